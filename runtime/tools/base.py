"""What a source of tools is: a record of how its tools are opened and called, and of what must be allowed before.

An artifact is data: what it names runs, or is reached over the network, only where somebody has allowed that very
thing. So a source says what a tool reaches, as it would be allowed: a module, a command, the origin of an address.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Awaitable, Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Literal, Protocol, cast

from msgspec import Struct

from ..errors import EvaluationError
from ..models.protocol import ToolUse
from ..schema.program import Record, Tool
from ..schema.types import JsonValue, Row, spell
from ..values.rows import fitting
from ..values.values import coerce
from .secrets import value_without_secrets, without_secrets
from .worker import first_line, in_json, wanted

ToolFunction = Callable[..., Any]
"""A function that an application gives in a tool's place, plain or `async`."""

MAX_RESULT = 10_000_000
"""The most characters that a tool's `max_result` may allow."""


class ToolProblem(Exception):
    """Why one try failed, in words that a model may read. `note` is for people alone."""

    def __init__(self, message: str, *, note: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.note = note


class Undeclared(ToolProblem):
    """A result that is not of the type that the tool is declared to give."""


class TookTooLong(ToolProblem):
    """A try without a result in its time."""

    def __init__(self, seconds: float, *, note: str = "") -> None:
        super().__init__(f"no result within {seconds:g} s", note=note)


class OpenTool(Protocol):
    """Life cycle: opened once for all tools that share its definition, called many times at once, closed once."""

    async def call(self, tool: Tool, arguments: Row, use: ToolUse) -> JsonValue:
        """One try within the tool's time. Raises ToolProblem; cancelling ends what can be ended."""
        ...

    async def aclose(self) -> None: ...


Elsewhere = Callable[[OpenTool, Tool, "Ground"], OpenTool]
"""Has the calls of an open tool that is `movable` made by other processes."""


class Ground(Struct, frozen=True):
    """What all tools of a toolbox share. `root` is the folder that their files are below; `isolated` says that Python
    runs in processes of its own, `declared` that the project's source names the tools, and not an artifact alone."""

    root: Path
    isolated: bool = False
    declared: bool = False


class ToolOption(Struct, frozen=True):
    """One of the options that a tool of the source carries."""

    name: str
    value: Literal["text", "integer"] = "text"
    required: bool = False
    pattern: str = ""
    """What the whole of a text must match."""


def nothing(tool: Tool, ground: Ground) -> str:
    return ""


class ToolSize(Struct, frozen=True):
    """Bytes, as JSON: of a tool's largest result, and of all that a model reads before the first."""

    result: int
    prepared: int = 0


class ToolSource(Struct, frozen=True):
    """The facts of one source."""

    name: str
    options: tuple[ToolOption, ...]
    open: Callable[[Tool, Ground, ToolUse], Awaitable[OpenTool]]
    """Raises ToolProblem when it cannot be opened now, ConfigurationError when it never can."""
    reaches: Callable[[Tool, Ground], str] = nothing
    """What must be allowed for a tool of an artifact; "" for what needs no leave. Raises ConfigurationError."""
    called: Callable[[Tool], str] = lambda tool: f"one of `{tool.source}`"
    """What people are told that the tool is, as "the Python function `tools:search`"."""
    in_folder: bool = False
    """Whether it runs something in the folder `Ground.root`."""
    elsewhere: bool = False
    """Whether it reaches what is no part of the project, and may give something else tomorrow."""
    movable: bool = False
    """Whether any process that has the folder can call it as well as this one, where Python runs in processes of its own."""
    steady: bool = False
    """Equal arguments give an equal result, and a call costs nothing. So no result need be kept, and a call may run again."""
    per_call: tuple[str, ...] = ()
    """Options that matter to a call alone: tools that differ in nothing else share what is opened."""
    faults: Callable[[Tool], Iterator[str]] = lambda _: iter(())
    """What else is wrong with a tool's options, in an artifact."""
    size: Callable[[Tool, Ground], ToolSize | None] = lambda tool, ground: None
    """How much a tool gives at most, where that can be told without calling it; None: as much as `max_result` allows."""


def option_faults(source: ToolSource, options: Mapping[str, JsonValue]) -> Iterator[str]:
    """Which options of a tool are not what its source takes."""
    known = {option.name: option for option in source.options}
    for name, value in options.items():
        option = known.get(name)
        if option is None:
            yield f"`{source.name}` has no option `{name[:80]}`"
        elif option.value == "integer":
            if not isinstance(value, int) or isinstance(value, bool) or value < 1:
                yield f"option `{name}` is no count"
        elif not isinstance(value, str) or (option.pattern and not re.fullmatch(option.pattern, value)):
            yield f"option `{name}` is not what `{source.name}` takes"
    for option in source.options:
        if option.required and option.name not in options:
            yield f"option `{option.name}` is missing"


def text_option(tool: Tool, name: str) -> str:
    """A text among the tool's options, "" where it has none of the name."""
    value = tool.options.get(name)
    return value if isinstance(value, str) else ""


def count_option(tool: Tool, name: str, default: int) -> int:
    value = tool.options.get(name)
    return value if isinstance(value, int) and not isinstance(value, bool) else default


def from_environment(tool: Tool, name: str) -> str:
    """The option's value: written as it is, or in the variable that `name_env` names. Raises ToolProblem."""
    variable = text_option(tool, f"{name}_env")
    if not variable:
        return text_option(tool, name)
    value = os.environ.get(variable, "").strip()
    if not value:
        raise ToolProblem(f"the environment variable {variable} is not set")
    return value


def output_names(tool: Tool) -> list[str] | None:
    """Of the members of its result those that count; None where the result is one value."""
    return [one.name for one in tool.outputs] if tool.output is None else None


def plain(value: object, tool: Tool) -> JsonValue:
    """What a function returned, as JSON of as many characters as the tool may give. Raises ToolProblem."""
    most = tool.max_result
    try:
        value = wanted(value, output_names(tool))
        text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"), default=in_json)
    except (TypeError, ValueError, RecursionError) as error:
        raise ToolProblem(f"its result is not JSON: {first_line(error)}") from None
    if len(text) > most:
        raise too_large(len(text), most)
    return cast("JsonValue", json.loads(text))


def declared(tool: Tool, value: JsonValue, records: Mapping[str, Record]) -> JsonValue:
    """A result as the tool is declared to give it. Raises Undeclared."""
    try:
        return _fitted(tool, value, records)
    except ValueError as problem:
        message = str(problem)
    try:
        # Secrets go before the value is cut to a length, which would leave a part of one.
        _fitted(tool, value_without_secrets(value, tool), records)
    except ValueError as problem:
        message = str(problem)
    raise Undeclared(without_secrets(message, tool))


def _fitted(tool: Tool, value: JsonValue, records: Mapping[str, Record]) -> JsonValue:
    if tool.output is not None:
        return coerce(value, tool.output, records)
    if not isinstance(value, dict):
        raise ValueError(f"expected {', '.join(f'{one.name}: {spell(one.type)}' for one in tool.outputs)}")
    try:
        return fitting(tool.outputs, value, records, tool.name)
    except EvaluationError as error:
        raise ValueError(error.message) from None


def too_large(size: int, most: int) -> ToolProblem:
    return ToolProblem(f"its result has {size:,} characters, and {most:,} are the most")


def told(error: BaseException) -> str:
    return f"{type(error).__name__}: {first_line(error)}"
