"""Runs code that a model wrote, in a sandbox: `pydantic-monty`, a Python in a process of its own that has no files, no
network, no clock and no dice, and is bounded in time, memory and depth.

What the code is given are values, and functions that are answered here; what comes back are values and text. Asking for the
time is an error and its dice always fall alike, so the same code on the same values gives the same. One thing is not the
code's alone: how fast the machine is. The time limit is for what never ends, counts only while the code runs, and only so
many codes run at once as there are processors. What is said of code that was stopped says nothing of how far it had come,
and its variables are gone.
"""

from __future__ import annotations

import asyncio
import datetime
import importlib.util
import os
import signal
import threading
from collections.abc import Awaitable, Callable, Generator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar, cast

from msgspec import Struct

from ..errors import ConfigurationError, ToolFailed
from ..schema.types import JsonValue, Row
from ..values.values import MAX_DEPTH, shown

if TYPE_CHECKING:
    from pydantic_monty import Monty, MontyError, MontySession, OSPolicy, ResourceLimits, SyncSnapshot

Value = TypeVar("Value")

INSTALL = "pip install 'dspc[sandbox]'"
MEGABYTE = 1_000_000
_SUSPENSIONS = 2_000
"""How often one sandbox may ask for something outside, whatever comes of it."""
_GRACE = 1.0
"""Seconds after its time in which code that does not notice is killed."""
_ENDING_SECONDS = 3.0
_MAX_BITS = 3_300
"""Of an integer that leaves the sandbox: a thousand digits."""
_MAX_TRACE = 2_000
"""Characters of an error's trace."""

_POLICY: OSPolicy = {
    "datetime": "call_host",
    "timezone": "utc",
    "sleep": "call_host",
    "process_time": "zero",
    "random_start": {"seed": 0},
}
_CLOCKS = frozenset({"datetime.now", "date.today", "time.time", "time.sleep", "asyncio.sleep"})
"""What the code asks the time of, and waits by: all other names of the clock are told under these."""
_NO_CLOCK = "there is no clock here: what time it is, and how long something takes, the code cannot know"
_PLACES = threading.BoundedSemaphore(os.cpu_count() or 1)
"""For code that runs: what waits for an answer from outside has none, so it stands in nobody's way."""


def installed() -> bool:
    """Whether there is a sandbox here. Imports nothing."""
    return importlib.util.find_spec("pydantic_monty") is not None


def check_installed(who: str) -> None:
    """Raises ConfigurationError where there is no sandbox for what `who` runs."""
    if not installed():
        raise ConfigurationError(
            f"`{who}` runs code that a model writes, and the sandbox for it (pydantic-monty) is not installed",
            help=INSTALL,
        )


class CodeError(Exception):
    """What the code is told of a call that failed: an exception of that kind, which it may catch."""

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(message)
        self.kind = kind
        self.message = message


class Finished(Exception):
    """Raised by a function whose call ends the code."""


class HostFunction(Struct, frozen=True):
    """A function that the code may call. Arguments by position have the `parameters`' names."""

    parameters: tuple[str, ...]
    call: Callable[[Row], Awaitable[JsonValue]]
    """Raises CodeError, or Finished; whatever else it raises ends the sandbox and is raised by `run`."""


class SandboxLimits(Struct, frozen=True):
    """`seconds` of running and `memory` in bytes for each piece of code, and characters of `output` that are kept of what it
    prints and of its last value, together."""

    seconds: float
    memory: int
    output: int


class CodeRan(Struct, frozen=True):
    """What became of a piece of code: what it printed, the value of its last line, and why it did not come to its end."""

    output: str = ""
    value: JsonValue = None
    error: str = ""
    finished: bool = False
    """Whether one of its calls ended it."""

    def told(self) -> Row:
        """What there is of it, by name."""
        found: Row = {"output": self.output} if self.output else {}
        if self.value is not None:
            found["result"] = self.value
        return {**found, "error": self.error} if self.error else found


class _Printed:
    """Keeps the first characters of what is printed, and the number of all."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._kept: list[str] = []
        self._count = 0

    def __call__(self, stream: str, text: str) -> None:
        room = self._most - self._count
        if room > 0:
            self._kept.append(text[:room])
        self._count += len(text)

    def text(self, *, stopped: bool) -> str:
        kept, more = "".join(self._kept), self._count - self._most
        if more <= 0:
            return kept
        # How much code prints until it is stopped is a matter of speed.
        return f"{kept}\n… (cut here)" if stopped else f"{kept}\n… ({more:,} characters more)"


class Sandbox:
    """One process, started by the first code. Variables stay from one piece of code to the next. It serves one task.

    `variables` are there from the start. All that waits for the process does so in a thread of its own.
    """

    def __init__(self, limits: SandboxLimits, variables: Row, functions: Mapping[str, HostFunction]) -> None:
        self._limits = limits
        self._variables = {name: _inward(value) for name, value in variables.items()}
        self._functions = functions
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="dspec-sandbox")
        self._pool: Monty | None = None
        self._session: MontySession | None = None
        self.pid: int | None = None
        """Of its process."""
        self.running = False
        """Whether code runs there just now, and waits for nothing."""
        self._closed = False

    async def __aenter__(self) -> Sandbox:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    async def run(self, code: str) -> CodeRan:
        """Runs the code to its end, or until it is stopped.

        Raises ConfigurationError where no sandbox can be started, ToolFailed where it has no room for the variables.
        """
        from pydantic_monty import FunctionSnapshot, MontyComplete, MontyCrashedError, MontyError

        if self._session is None:
            await self._in_thread(self._open)
        session = cast("MontySession", self._session)
        printed = _Printed(self._limits.output)
        try:
            at = await self._turn(lambda: session.feed_start(code, print_callback=printed))
            while not isinstance(at, MontyComplete):
                if isinstance(at, FunctionSnapshot) and not at.is_os_function:
                    reply = await self._answer(str(at.function_name), at.args, at.kwargs)
                    at = await self._turn(partial(at.resume, reply))
                else:
                    at = await self._turn(partial(self._refuse, at))
        except Finished:
            await self._drop()
            return CodeRan(printed.text(stopped=False), finished=True)
        except MontyCrashedError as error:
            await self._drop()
            why = (
                _late(self._limits)
                if error.timed_out
                else "the process in which the code ran came to its end"
            )
            return CodeRan(printed.text(stopped=True), error=_stopped(why))
        except MontyError as error:
            if why := self._stop(error):
                await self._drop()
                return CodeRan(printed.text(stopped=True), error=_stopped(why))
            return CodeRan(printed.text(stopped=False), error=_trace(error))
        output = printed.text(stopped=False)
        return CodeRan(output, _last_value(at.output, max(0, self._limits.output - len(output))))

    async def aclose(self) -> None:
        """Ends the process, whatever it does. Idempotent."""
        if self._closed:
            return
        self._closed = True
        if self.running and self.pid is not None:
            with suppress(OSError):
                os.kill(self.pid, getattr(signal, "SIGKILL", signal.SIGTERM))
        ending = self._thread.submit(self._leave)
        self._thread.shutdown(wait=False)
        with suppress(TimeoutError):
            async with asyncio.timeout(_ENDING_SECONDS):
                await asyncio.shield(asyncio.wrap_future(ending))

    # In the thread -----------------------------------------------------------------------------------

    def _open(self) -> None:
        from pydantic_monty import Monty, MontyError

        limits: ResourceLimits = {
            "max_feed_duration_secs": self._limits.seconds,
            "max_memory": self._limits.memory,
            "max_suspensions": _SUSPENSIONS,
        }
        try:
            pool = Monty(min_processes=1, max_processes=1, feed_duration_limit_grace=_GRACE)
            with _unheard():
                pool.__enter__()
            self._pool = pool
            session = pool.checkout(limits=limits, os_policy=_POLICY)
            session.__enter__()
        except (OSError, RuntimeError) as error:
            raise ConfigurationError(
                f"the sandbox for code cannot be started: {error}",
                help=f"its program `monty` comes with the package: {INSTALL}",
            ) from None
        self._session, self.pid = session, session.worker_pid
        try:
            session.feed_run("None", inputs=self._variables)
        except (MontyError, RuntimeError):
            self._leave()
            raise ToolFailed(
                f"the inputs do not fit into the {self._limits.memory // MEGABYTE:,} MB of the sandbox's `memory`",
                help="raise `memory`",
            ) from None

    def _leave(self) -> None:
        session, pool, self._session, self._pool = self._session, self._pool, None, None
        for one in (session, pool):
            if one is not None:
                with suppress(Exception):  # it may have ended already, in any way
                    one.__exit__(None, None, None)

    def _refuse(self, asked: Any) -> SyncSnapshot:
        """Answers what is not there to be had: a name that nothing has, a file, the environment."""
        from pydantic_monty import FunctionSnapshot, NameLookupSnapshot

        if isinstance(asked, FunctionSnapshot):
            if str(asked.function_name) in _CLOCKS:
                return asked.resume({"exc_type": "RuntimeError", "message": _NO_CLOCK})
            return asked.resume_not_handled()
        if not isinstance(asked, NameLookupSnapshot):
            return asked.resume({})
        name = asked.variable_name
        return asked.resume(value=_named(name)) if name in self._functions else asked.resume()

    async def _in_thread(self, work: Callable[[], Value]) -> Value:
        return await asyncio.get_running_loop().run_in_executor(self._thread, work)

    async def _turn(self, work: Callable[[], SyncSnapshot]) -> SyncSnapshot:
        """Lets the code run until it asks for something or ends."""

        def run() -> SyncSnapshot:
            with _PLACES:
                if self._closed:
                    raise RuntimeError("the sandbox is closed")
                self.running = True
                try:
                    return work()
                finally:
                    self.running = False

        return await self._in_thread(run)

    async def _drop(self) -> None:
        """Ends the process; the next code gets another."""
        await self._in_thread(self._leave)

    # What it asks, and what is said of it ----------------------------------------------------------------

    async def _answer(self, name: str, args: Sequence[Any], named: Mapping[str, Any]) -> Any:
        function = self._functions.get(name)
        try:
            if function is None:
                raise CodeError("NameError", f"name '{name[:80]}' is not defined")
            return {"return_value": _inward(await function.call(_bound(name, function, args, named)))}
        except CodeError as error:
            return {"exc_type": error.kind, "message": error.message}

    def _stop(self, error: MontyError) -> str:
        """Why the code was stopped, where its own doing alone does not say how far it came; "" of any other error."""
        inner, text = error.exception(), str(error)
        if isinstance(inner, TimeoutError) and "time limit exceeded" in text:
            return _late(self._limits)
        if isinstance(inner, MemoryError):
            return f"it needs more than the {self._limits.memory // MEGABYTE:,} MB of memory that it may have"
        if isinstance(inner, RuntimeError) and "suspension limit" in text:
            return f"it asked for something outside more than {_SUSPENSIONS:,} times"
        return ""


@contextmanager
def _unheard() -> Generator[None]:
    """What is started here does not write to our standard error: it would say there what the code is told anyway."""
    if os.name != "posix":
        yield
        return
    try:
        was = os.get_inheritable(2)
        os.set_inheritable(2, False)
    except OSError:  # there is none
        yield
        return
    try:
        yield
    finally:
        os.set_inheritable(2, was)


def _named(name: str) -> Callable[..., None]:
    """A function of this name, which stands for one that is answered by `Sandbox.run`."""

    def function() -> None: ...

    function.__name__ = function.__qualname__ = name
    return function


def _late(limits: SandboxLimits) -> str:
    return f"it did not come to its end in {limits.seconds:g} s"


def _stopped(why: str) -> str:
    return f"the code was stopped: {why}. Its variables are gone; the inputs are there again."


def _trace(error: MontyError) -> str:
    display = getattr(error, "display", None)
    text = cast("str", display()) if callable(display) else str(error)
    return text if len(text) <= _MAX_TRACE else f"… {text[-_MAX_TRACE:]}"


def _bound(name: str, function: HostFunction, args: Sequence[Any], named: Mapping[str, Any]) -> Row:
    """The arguments by their names. Raises CodeError."""
    takes = function.parameters
    if len(args) > len(takes):
        raise CodeError(
            "TypeError", f"{name}() takes {', '.join(takes) or 'no arguments'}; {len(args)} were given"
        )
    values = {**dict(zip(takes, args, strict=False)), **named}
    if len(values) < len(args) + len(named):
        raise CodeError("TypeError", f"{name}() was given an argument twice")
    try:
        return {one: outward(value) for one, value in values.items()}
    except ValueError as problem:
        raise CodeError("TypeError", f"{name}(): {problem}") from None


def _last_value(value: Any, most: int) -> JsonValue:
    """The value as far as it may be shown; a text that says so where it is cut or is no JSON."""
    try:
        plain = outward(value)
    except ValueError as problem:
        return f"(the value of the last line is not shown: {problem})"
    text = "" if plain is None else shown(plain)
    return plain if len(text) <= most else f"{text[:most]}\n… ({len(text) - most:,} characters more)"


def outward(value: Any, depth: int = 0) -> JsonValue:
    """A value of the sandbox as JSON. Raises ValueError that says what cannot be."""
    if value is None or isinstance(value, bool):
        return value
    match value:
        case int():
            if value.bit_length() > _MAX_BITS:
                raise ValueError("an integer has more than a thousand digits")
            return int(value)
        case float():
            if value != value or value in (float("inf"), float("-inf")):
                raise ValueError(f"{value} is no number that JSON has")
            return float(value)
        case str():
            return str(value)
        case datetime.date():
            return value.isoformat()
        case _ if depth >= MAX_DEPTH:
            raise ValueError(f"it nests deeper than {MAX_DEPTH} levels")
        case list() | tuple():
            return [outward(one, depth + 1) for one in cast("Sequence[Any]", value)]
        case dict():
            items = cast("dict[Any, Any]", value)
            odd = next((key for key in items if not isinstance(key, str)), None)
            if odd is not None:
                raise ValueError("the keys of a dict must be text")
            return {key: outward(one, depth + 1) for key, one in items.items()}
        case set() | frozenset():
            raise ValueError("a set has no order: make it a list with `sorted(…)`")
        case _:
            raise ValueError("it is neither text, number, list nor dict")


def _inward(value: JsonValue) -> Any:
    """A JSON value as the sandbox takes it: its texts have no lone surrogates."""
    match value:
        case str():
            return value if value.isascii() else value.encode(errors="replace").decode()
        case list():
            return [_inward(one) for one in value]
        case dict():
            return {cast("str", _inward(key)): _inward(one) for key, one in value.items()}
        case _:
            return value
