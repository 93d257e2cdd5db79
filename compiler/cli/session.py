"""The ledger, the store and the engine of one command, and what Ctrl-C does to them.

The first Ctrl-C (or SIGTERM) starts nothing more and waits for the answers that are on their way; the
second leaves at once. Either way every answer received so far is on disk.
"""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from dspec.runtime.engine import Engine
from dspec.runtime.ledger import Ledger

from ..state import project_root, state_folder
from ..store import Store
from .console import stderr


class TransportChoice(StrEnum):
    auto = "auto"
    lean = "lean"
    litellm = "litellm"


ThreadsOption = Annotated[
    int, typer.Option("--threads", "-j", min=1, max=4096, help="Model calls in flight at most.")
]
TransportOption = Annotated[
    TransportChoice,
    typer.Option(help="auto: the lean client where the endpoint speaks OpenAI's protocol, else LiteLLM."),
]


@dataclass(frozen=True, slots=True)
class Session:
    engine: Engine
    store: Store


@asynccontextmanager
async def open_session(path: Path, threads: int, transport: TransportChoice) -> AsyncGenerator[Session]:
    """Opens the state of the project that `path` is in. Raises ConfigurationError when it is unusable."""
    state = state_folder(project_root(path))
    with Ledger(state / "ledger.sqlite") as ledger, Store(state / "evaluations.sqlite") as store:
        async with Engine(threads=threads, ledger=ledger, transport=transport.value) as engine:
            with_signals = _Signals(engine)
            try:
                yield Session(engine, store)
            finally:
                with_signals.release()


class _Signals:
    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._loop = asyncio.get_running_loop()
        self._draining: asyncio.Task[None] | None = None
        self._taken: list[signal.Signals] = []
        for number in (signal.SIGINT, signal.SIGTERM):
            try:
                self._loop.add_signal_handler(number, self._arrived)
                self._taken.append(number)
            except (NotImplementedError, RuntimeError):
                # Windows, or not in the main thread: Python's own KeyboardInterrupt stays.
                return

    def _arrived(self) -> None:
        if self._draining is None:
            stderr().print("stopping: waiting for the answers on their way (again to leave at once) …")
            self._draining = self._loop.create_task(self._engine.drain())
        else:
            self.release()
            signal.raise_signal(signal.SIGINT)

    def release(self) -> None:
        for number in self._taken:
            self._loop.remove_signal_handler(number)
        self._taken = []
