"""The ledger, the store and the engine of one command, and what Ctrl-C does to them.

The first Ctrl-C starts nothing more and waits for the answers that are on their way; the second leaves at once. SIGTERM,
and SIGHUP of a terminal that was closed, are like the first. So is what fails for good. Either way every answer received
so far is on disk.
"""

from __future__ import annotations

import asyncio
import gc
import signal
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec import Struct

from dspec.runtime.errors import (
    BudgetExceeded,
    ConfigurationError,
    DspecError,
    ProviderError,
    Stopped,
)
from dspec.runtime.models.engine import Engine, EngineEvent
from dspec.runtime.models.ledger import Ledger

from ..evaluate.meter import Execute, metered
from ..evaluate.store import Store
from ..project.lock import held
from ..project.state import project_root, state_folder
from .console import stderr

if TYPE_CHECKING:
    from dspec.runtime.schema.program import Tool
    from dspec.runtime.tools.toolbox import Toolbox

    from ..evaluate.executors.driver import Workers
    from .options import TransportChoice


_COLLECT_EVERY = 50_000
"""Objects made, less those that went, between two searches for garbage."""


_UNFINISHED = (ProviderError, ConfigurationError, BudgetExceeded, Stopped)
"""What the same command goes on from when it is run again."""


_PATIENCE = 3600.0
"""Seconds that a stop waits for answers: each attempt ends in its model's own `timeout`, and nothing is tried again."""


class CommandSession(Struct, frozen=True):
    engine: Engine
    store: Store
    execute: Execute
    finished: Callable[[], None]
    """To be called once the attempt that the session belongs to has come to its end (`Ledger`)."""


def open_workers(engine: str, number: int | None) -> AbstractAsyncContextManager[Workers | None]:
    """The workers of one command, for what `--engine` and `--workers` say; None where its own process does the work.

    Raises ConfigurationError when they cannot be had.
    """
    if engine == "local":
        return nullcontext()
    from ..evaluate.executors.on_ray import on_ray  # most commands have no cluster

    return on_ray(engine.removeprefix("ray").removeprefix("://"), number)


@asynccontextmanager
async def open_session(
    path: Path,
    threads: int,
    transport: TransportChoice,
    *,
    attempt: str,
    tools: Sequence[Tool] = (),
    on_event: Callable[[EngineEvent], None] | None = None,
    workers: Workers | None = None,
) -> AsyncGenerator[CommandSession]:
    """Opens the state of the project that `path` is in, waiting for another command that uses it.

    `attempt` is the command's word for what it attempts with `path`: run again before it was `finished`, it goes on. What
    fails for another reason than that somebody did not answer, or that the command cannot go on here, is finished with that.

    `workers` make its runs, and the attempts at its calls, where somebody has opened them (`open_workers`).
    `tools` are those that the project declares, which may be called: Python in processes of its own.
    Raises ConfigurationError when it is unusable.
    """
    state = state_folder(project_root(path))
    collect_rarely()
    async with held(state / "lock", _say_waiting):
        with Ledger(state / "ledger.sqlite") as ledger, Store(state / "evaluations.sqlite") as store:
            async with (
                project_tools(path, tools, ledger, workers) if tools else nullcontext() as toolbox,
                Engine(
                    threads=threads,
                    ledger=ledger,
                    transport=transport.value,
                    on_event=on_event,
                    tools=toolbox,
                    senders=workers,
                ) as engine,
            ):
                ledger.begin(_named(attempt, path))
                with_signals = StopSignals(engine)
                try:
                    yield CommandSession(
                        engine, store, metered if workers is None else workers.run, ledger.end
                    )
                except DspecError as error:
                    if not isinstance(error, _UNFINISHED):
                        ledger.end()
                    # One call or row failed for good. What others are on their way with may have been paid for.
                    await engine.drain()
                    raise
                else:
                    # At the budget's wall, too, somebody may have left before his answer came.
                    await engine.drain()
                finally:
                    await with_signals.drained()
                    with_signals.release()


def collect_rarely() -> None:
    """What was imported and checked stays for good: looking through it for garbage, again and again as answers come, was a fifth
    of the time that a call takes. Not even once: that takes as long as 50 calls."""
    gc.freeze()
    gc.set_threshold(_COLLECT_EVERY, 20, 50)


def _named(attempt: str, path: Path) -> str:
    return f"{attempt} {path.resolve()}"


def project_tools(
    path: Path, tools: Sequence[Tool], ledger: Ledger | None, workers: Workers | None = None
) -> Toolbox:
    """What calls the tools that the project of `path` declares, and no other: whoever runs a command there runs the
    project's code, and never that of an artifact which came from elsewhere."""
    from dspec.runtime.tools.toolbox import Toolbox  # few projects have tools

    elsewhere = None if workers is None else workers.moved
    return Toolbox(project_root(path), declared=tools, isolated=True, ledger=ledger, elsewhere=elsewhere)


def _say_waiting(holder: str) -> None:
    stderr().print(f"waiting for {holder}, which is at work in this project …", markup=False)


class StopSignals:
    """Has an engine drained by the first signal that asks for a stop, and leaves at once by the second."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._loop = asyncio.get_running_loop()
        self._draining: asyncio.Task[None] | None = None
        self._taken: list[signal.Signals] = []
        for number in stop_signals():
            try:
                self._loop.add_signal_handler(number, self._arrived, number)
                self._taken.append(number)
            except (NotImplementedError, RuntimeError):
                # Windows, or not in the main thread: Python's own KeyboardInterrupt stays.
                return

    def _arrived(self, number: signal.Signals) -> None:
        if self._draining is None:
            self._draining = self._loop.create_task(self._engine.drain(_PATIENCE))
            stderr().print("stopping: waiting for the answers on their way (again to leave at once) …")
        elif number in (signal.SIGINT, signal.SIGTERM):
            self.release()
            signal.raise_signal(signal.SIGINT)

    async def drained(self) -> None:
        """Waits for the answers on their way once a stop was asked for: also for those that nobody waits for any more,
        which closing the engine would drop."""
        if self._draining is not None:
            await asyncio.wait([self._draining])

    def release(self) -> None:
        for number in self._taken:
            self._loop.remove_signal_handler(number)
        self._taken = []


def stop_signals() -> list[signal.Signals]:
    """What asks for a stop. A terminal that closes is told of by the kernel and by its shell, so that it never means
    "at once"; and `nohup` asks for it to mean nothing."""
    found = [signal.SIGINT, signal.SIGTERM]
    closed: signal.Signals | None = getattr(signal, "SIGHUP", None)
    if closed is not None and signal.getsignal(closed) is not signal.SIG_IGN:
        found.append(closed)
    return found
