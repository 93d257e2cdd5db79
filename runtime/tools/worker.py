"""Runs the project's functions for its tools: a script for an interpreter of its own.

It imports nothing of dspec. What it is told arrives on what was standard input when it started, and what it answers
leaves through what was standard output, one JSON object a line each way; whatever a function prints goes to standard
error. One call runs at a time, in the main thread. When the other side is gone the process ends, with everything
that it started.

Told: `{"function": {...}}` imports, `{"call": {...}, "arguments": {...}}` calls, `{"reply": n, ...}` answers a question.
Answered: `{"ready": true}`, `{"value": ...}` or `{"error": ..., "at": ...}`; `{"ask": key, "inputs": {...}, "number": n,
"run": r}` is a question that the function has while it runs, in the call that was told to be run `r`.
"""

from __future__ import annotations

import asyncio
import importlib
import inspect
import json
import os
import queue
import re
import signal
import sys
import threading
import traceback
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import fields, is_dataclass
from datetime import date
from functools import cache
from pathlib import Path
from typing import Any, BinaryIO, TypedDict, cast


class FunctionPlace(TypedDict):
    """`file` is where `module` must come from, with `path` before Python's own. With `own` the function must be one that the
    module defines, and not one that it imports."""

    module: str
    function: str
    file: str
    root: str
    path: list[str]
    own: bool


MOST_QUESTION = 4 << 20
"""Characters of what a function asks, as JSON."""


class Line:
    """The other side: what it asks for, and what it answers."""

    def __init__(self, told: BinaryIO, answers: BinaryIO) -> None:
        self.process = os.getpid()
        self.orders: queue.SimpleQueue[dict[str, Any]] = queue.SimpleQueue()
        self._told = told
        self._answers = answers
        self._guard = threading.Lock()
        self._waiting: dict[int, Callable[[dict[str, Any]], object]] = {}
        self._number = 0
        threading.Thread(target=self._listen, daemon=True).start()

    def say(self, message: dict[str, Any]) -> None:
        text = json.dumps(message, ensure_ascii=False, allow_nan=False).encode(errors="surrogatepass") + b"\n"
        with self._guard:
            self._answers.write(text)
            self._answers.flush()

    def ask(
        self, run: int, key: str, inputs: dict[str, Any], heard: Callable[[dict[str, Any]], object]
    ) -> None:
        """Asks the other side; `heard` gets the answer, in another thread. Raises RuntimeError for what cannot be asked."""
        if os.getpid() != self.process:
            raise RuntimeError("a process that the function started cannot call anything")
        text = question(inputs)
        with self._guard:
            self._number += 1
            number = self._number
            self._waiting[number] = heard
        self.say({"ask": key, "inputs": json.loads(text), "number": number, "run": run})

    def _listen(self) -> None:
        for line in self._told:
            message = cast("dict[str, Any]", json.loads(line))
            if "reply" not in message:
                self.orders.put(message)
            elif (heard := self._waiting.pop(message["reply"], None)) is not None:
                heard(message)
        if os.name == "posix":
            os.killpg(0, signal.SIGKILL)  # this process leads a group of its own
        os._exit(0)


def main() -> None:
    told, answers = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    empty = os.open(os.devnull, os.O_RDONLY)
    os.dup2(empty, 0)
    os.close(empty)
    os.dup2(2, 1)
    sys.stdin, sys.stdout = open(0, closefd=False), sys.stderr  # noqa: SIM115 - as long as the process
    line = Line(told, answers)
    function: Callable[..., Any] | None = None
    root = ""
    while True:
        order = line.orders.get()
        try:
            if "function" in order:
                root = order["function"]["root"]
                function = found(order["function"])
                answer: dict[str, Any] = {"ready": True}
            else:
                assert function is not None
                answer = {"value": called(function, order, line)}
        except BaseException as error:  # noqa: BLE001 - whatever a user's code raises is told in words
            answer = told_of(error, root)
        if os.getpid() != line.process:
            os._exit(0)  # a child that the function forked has no business here
        line.say(answer)


def found(place: FunctionPlace) -> Callable[..., Any]:
    for folder in reversed(place["path"]):
        if folder not in sys.path:
            sys.path.insert(0, folder)
    module = importlib.import_module(place["module"])
    file = Path(getattr(module, "__file__", None) or "nowhere").resolve()
    if str(file) != place["file"]:
        raise ImportError(f"Python takes `{place['module']}` from elsewhere: {file.name}")
    function = getattr(module, place["function"])
    home = getattr(function, "__module__", None)
    if place["own"] and not (isinstance(home, str) and f"{home}.".startswith(f"{place['module']}.")):
        raise ImportError(f"`{place['function']}` is no function of the module `{place['module']}` itself")
    return function


@cache
def loop() -> asyncio.AbstractEventLoop:
    """One event loop for all calls, so that what an `async` function keeps between them stays usable."""
    return asyncio.new_event_loop()


def called(function: Callable[..., Any], order: dict[str, Any], line: Line) -> Any:
    arguments = dict(order["arguments"])
    calls = OneRun(line, order["run"])
    if order["answers"]:
        arguments["call"] = calls.later if inspect.iscoroutinefunction(function) else calls.now
    try:
        result = function(**arguments)
        if inspect.isawaitable(result):
            result = loop().run_until_complete(_awaited(result))
    finally:
        calls.over = True
    try:
        result = wanted(result, order["outputs"])
        text = json.dumps(result, ensure_ascii=False, allow_nan=False, separators=(",", ":"), default=in_json)
    except (TypeError, ValueError, RecursionError) as error:
        raise Unusable(f"its result is not JSON: {first_line(error)}") from None
    if len(text) > order["most"]:
        raise Unusable(f"its result has {len(text):,} characters, and {order['most']:,} are the most")
    return json.loads(text)


async def _awaited(value: Awaitable[Any]) -> Any:
    return await value


class OneRun:
    """What one call of the function may ask for: nothing more once it has come back, whatever it left behind."""

    def __init__(self, line: Line, run: int) -> None:
        self.over = False
        self._line = line
        self._run = run

    def now(self, *named: object, **inputs: Any) -> Any:
        heard: queue.SimpleQueue[dict[str, Any]] = queue.SimpleQueue()
        self._ask(only_name(named), inputs, heard.put)
        return told(heard.get())

    async def later(self, *named: object, **inputs: Any) -> Any:
        key = only_name(named)
        here = asyncio.get_running_loop()
        heard: asyncio.Future[dict[str, Any]] = here.create_future()

        def settle(answer: dict[str, Any]) -> None:
            if not heard.done():
                heard.set_result(answer)

        self._ask(key, inputs, lambda answer: here.call_soon_threadsafe(settle, answer))
        return told(await heard)

    def _ask(self, key: str, inputs: dict[str, Any], heard: Callable[[dict[str, Any]], object]) -> None:
        if self.over:
            raise RuntimeError("the run is over")
        self._line.ask(self._run, key, inputs, heard)


def told(answer: dict[str, Any]) -> Any:
    """The value. Raises RuntimeError with what went wrong on the other side."""
    if "error" in answer:
        raise RuntimeError(answer["error"])
    return answer.get("value")


def only_name(given: tuple[object, ...]) -> str:
    """What a function calls. Raises RuntimeError unless it is all that stands there without a name."""
    if len(given) == 1 and isinstance(given[0], str):
        return given[0]
    raise RuntimeError(
        'call takes the name of what it calls, and then the inputs by their names: call("ask", question=…)'
    )


def question(inputs: dict[str, Any]) -> str:
    """What a function passes on, as JSON. Raises RuntimeError for what it cannot be."""
    try:
        text = json.dumps(inputs, ensure_ascii=False, allow_nan=False, separators=(",", ":"), default=in_json)
    except (TypeError, ValueError, RecursionError) as error:
        raise RuntimeError(f"what is passed on is not JSON: {first_line(error)}") from None
    if len(text) > MOST_QUESTION:
        raise RuntimeError(
            f"what is passed on has {len(text):,} characters, and {MOST_QUESTION:,} are the most"
        )
    return text


def wanted(result: object, outputs: list[str] | None) -> object:
    """A result without the members that are no outputs, whatever they are; with None it is one value."""
    if outputs is None:
        return result
    if is_dataclass(result) and not isinstance(result, type):
        return {name: getattr(result, name) for name in outputs if hasattr(result, name)}
    if isinstance(result, dict):
        members = cast("dict[object, object]", result)
        return {name: members[name] for name in outputs if name in members}
    return result


class Unusable(Exception):
    """A result that cannot be sent."""


def in_json(value: object) -> object:
    """The form in JSON of other values that functions return: dates, dataclasses, Pydantic's models."""
    if isinstance(value, date):
        return value.isoformat()
    if is_dataclass(value) and not isinstance(value, type):
        return {field.name: getattr(value, field.name) for field in fields(value)}
    dump = getattr(value, "model_dump", None)
    if callable(dump):
        return dump(mode="json")
    raise TypeError(f"a value of type {type(value).__name__}")


def told_of(error: BaseException, root: str) -> dict[str, Any]:
    """The exception's first line, and the line of the project that it came from."""
    if isinstance(error, Unusable):
        return {"error": first_line(error)}
    answer: dict[str, Any] = {"error": f"{type(error).__name__}: {first_line(error)}"}
    with suppress(Exception):
        for frame in reversed(traceback.extract_tb(error.__traceback__)):
            if root and frame.filename.startswith(root + os.sep):
                answer["at"] = f"{Path(frame.filename).relative_to(root).as_posix()}:{frame.lineno}"
                break
    return answer


def first_line(error: BaseException) -> str:
    try:
        text = (str(error).strip().splitlines() or ["no message"])[0][:300]
        # Later Pythons add the value. A model is told the same by every one of them.
        text = re.sub(r"(Out of range float values are not JSON compliant): .*", r"\1", text)
        return text.encode(errors="replace").decode()
    except Exception:  # noqa: BLE001 - `__str__` is the user's, too
        return "no message"


if __name__ == "__main__":
    main()
