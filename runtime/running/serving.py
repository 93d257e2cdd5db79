"""The engine behind an application's calls: opened by the first one, on the loop that all applications share, and again after
a fork or a shutdown."""

from __future__ import annotations

import logging
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

from ..models.background import Background, background
from ..models.calls import EngineEvent
from ..models.engine import Engine
from ..models.ledger import Ledger
from ..models.transports import Mode
from ..schema.lms import LM
from ..tools.given import ToolService

THREADS = 16
"""Calls of models in flight at most, where nobody says how many."""
_LOG = logging.getLogger("dspec")

MakeTools = Callable[[Ledger | None], ToolService]


class Serving:
    """What the views of one loaded program share. Its methods are called on the loop."""

    def __init__(
        self,
        *,
        threads: int | None = None,
        cache: Path | None = None,
        tools: MakeTools | None = None,
        keys: Callable[[LM], str | None] | None = None,
        on_event: Callable[[EngineEvent], None] | None = None,
    ) -> None:
        self.threads = threads
        self.cache = cache
        self.make_tools = tools
        self.keys = keys
        self.on_event = on_event
        self._told = False
        self._tools: ToolService | None = None
        self._home: Background | None = None
        self._engine: Engine | None = None
        self._ledger: Ledger | None = None

    @property
    def opened(self) -> bool:
        return self._home is not None

    @property
    def kept(self) -> Ledger | None:
        """The ledger, where kept answers alone may answer a call: it is open, and nobody is told of what is asked."""
        if self.on_event is not None or self._home is None or self._home is not background():
            return None
        return self._ledger

    def open(self) -> Engine:
        """The engine on the loop that is running; in a forked child or after a shutdown, a new one."""
        home = background()
        if self._engine is None or self._home is not home:
            self._ledger = None if self.cache is None else Ledger(self.cache)
            self._tools = None if self.make_tools is None else self.make_tools(self._ledger)
            self._engine = Engine(
                threads=self.threads or THREADS,
                ledger=self._ledger,
                tools=self._tools,
                keys=self.keys,
                on_event=self.on_event,
            )
            self._home = home
            home.at_stop.append(self.aclose)
        return self._engine

    @asynccontextmanager
    async def apart(
        self,
        *,
        threads: int,
        ledger: Ledger | None,
        transport: Mode = "auto",
        on_event: Callable[[EngineEvent], None] | None = None,
    ) -> AsyncGenerator[Engine]:
        """An engine of its own on the caller's loop, with the keys and the tools of these views: for whoever runs the program
        many times. The ledger stays open."""
        tools = None if self.make_tools is None else self.make_tools(ledger)
        engine = Engine(
            threads=threads,
            ledger=ledger,
            transport=transport,
            on_event=on_event or self.on_event,
            tools=tools,
            keys=self.keys,
        )
        try:
            async with engine:
                yield engine
        finally:
            if tools is not None:
                await tools.aclose()

    def wide(self, threads: int | None) -> int:
        """How many rows of a batch run at once that is to have so many calls in flight. Where the application bounds all of
        its calls, that holds for a batch, too."""
        engine = self.open()
        if threads is None:
            return engine.threads
        if self.threads is None:
            engine.widen(threads)
        elif threads > self.threads and not self._told:
            self._told = True
            _LOG.warning(
                "batch(threads=%d): the program was loaded with threads=%d, so that many calls are in flight at most",
                threads,
                self.threads,
            )
        return threads

    async def aclose(self) -> None:
        engine, ledger, home, tools = self._engine, self._ledger, self._home, self._tools
        self._engine = self._ledger = self._home = self._tools = None
        if home is not None and self.aclose in home.at_stop:
            home.at_stop.remove(self.aclose)
        if engine is not None:
            await engine.aclose()
        if tools is not None:
            await tools.aclose()
        if ledger is not None:
            ledger.close()
