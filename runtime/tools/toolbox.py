"""Calls tools within their limits: time, tries, size, how many at once; what a pure one gave is kept in the ledger.

A failure is an answer, never an exception. What is raised is what no further try could change: that nothing here may
call the tool, or that the ledger cannot be used.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import cast

from msgspec.structs import replace

from ..errors import ConfigurationError
from ..models.ledger import Ledger
from ..models.protocol import Answer, ToolAnswer, ToolUse
from ..schema.program import Tool, canonical
from ..schema.types import JsonValue, Row
from .base import (
    Elsewhere,
    Ground,
    OpenTool,
    TookTooLong,
    ToolFunction,
    ToolProblem,
    Undeclared,
    declared,
    from_environment,
    plain,
    text_option,
)
from .files import check_contents, inside
from .functions import FunctionTool
from .secrets import without_secrets
from .table import SOURCES

PARALLEL = 8
"""Calls of a tool at the same time, where its `max_parallel` says nothing."""
_SHORTEST_WAIT, _LONGEST_WAIT = 0.1, 5.0
OPENING_SECONDS = 600.0
"""How long it may take to make what a tool searches, before its first call."""


class Toolbox:
    """The tools of a program, or of several. One toolbox serves one event loop.

    `functions` stand in for tools, by their names. Any other tool that runs or reaches something may be called only
    when `allow` has just that. With `declared`, as in the project that declares them, those tools may be called and
    no others. `root` is the folder that data files are below; with `isolated` Python runs in processes of its own, and
    where `elsewhere` says so, on other machines: what may be called, how often and for how long is decided here all the same.
    """

    def __init__(
        self,
        root: Path,
        *,
        functions: Mapping[str, ToolFunction] = MappingProxyType({}),
        allow: Iterable[str] = (),
        declared: Iterable[Tool] | None = None,
        isolated: bool = False,
        ledger: Ledger | None = None,
        elsewhere: Elsewhere | None = None,
    ) -> None:
        self._elsewhere = elsewhere
        self._ground = Ground(root, isolated, declared is not None)
        self._functions = functions
        self._allowed = frozenset(allow)
        self._declared = None if declared is None else {tool.name: tool for tool in declared}
        self._ledger = ledger
        self._open: dict[str, asyncio.Task[OpenTool]] = {}
        self._places: dict[str, asyncio.Semaphore] = {}

    async def __aenter__(self) -> Toolbox:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    def check(self, tools: Iterable[Tool]) -> None:
        """Raises ConfigurationError for a tool that may not be called. Runs, opens and reads nothing."""
        for tool in tools:
            if tool.name in self._functions:
                continue
            source = SOURCES.get(tool.source)
            if source is None:
                raise ConfigurationError(
                    f"the tool `{tool.name}` comes from `{tool.source[:80]}`, which this version does not know",
                    help="update dspec, or " + _pass(tool),
                )
            if self._declared is not None:
                own = self._declared.get(tool.name)
                if own is None or (own.source, own.options, own.lm) != (tool.source, tool.options, tool.lm):
                    raise ConfigurationError(
                        f"the tool `{tool.name}` is not what the source declares, and no other is called",
                        help="compile again, so that the program and its source agree",
                    )
                continue
            wanted = [source.reaches(tool, self._ground), text_option(tool, "api_key_env")]
            wanted = [one for one in wanted if one]
            if not self._allowed.issuperset(wanted):
                key = f", given the key {wanted[-1]}" if len(wanted) > 1 else ""
                raise ConfigurationError(
                    f"the tool `{tool.name}` is {source.called(tool)}{key}, and an artifact neither runs code nor "
                    "reaches the network by itself",
                    help=f"{_pass(tool)}, or allow it: load(…, allow={wanted!r}), `dspc run --allow`",
                )
            if source.steady:
                self._data_file(tool)

    def check_files(self, tools: Iterable[Tool]) -> None:
        """Raises ConfigurationError for a tool whose data file is not the one that it was made with. Reads the files."""
        for tool in tools:
            if tool.name in self._functions or not SOURCES[tool.source].steady:
                continue
            try:
                check_contents(self._data_file(tool), text_option(tool, "sha256"))
            except ToolProblem as problem:
                raise ConfigurationError(
                    f"the tool `{tool.name}` searches through a file of {self._ground.root}: {problem.message}",
                    help="restore the file, compile again with the one that is there, or " + _pass(tool),
                ) from None

    def _data_file(self, tool: Tool) -> Path:
        try:
            return inside(text_option(tool, "file"), self._ground.root)
        except ToolProblem as problem:
            raise ConfigurationError(
                f"the tool `{tool.name}` searches through a file of {self._ground.root}: {problem.message}",
                help="say which folder the file is below: load(…, root=…), or " + _pass(tool),
            ) from None

    async def call(self, tool: Tool, arguments: Row, use: ToolUse) -> ToolAnswer:
        """One call with checked arguments, tried again as often as the tool allows.

        Raises ConfigurationError when it may not be called, or the ledger is unusable.
        """
        self.check((tool,))
        key = self._key(tool, arguments, use)
        if key is not None and self._ledger is not None and (kept := self._ledger.get(key)) is not None:
            return ToolAnswer(cast("JsonValue", json.loads(kept.text)), notes=("kept from an earlier call",))
        place = canonical([self._definition(tool, use), tool.name, tool.max_parallel])
        places = self._places.get(place)
        if places is None:
            places = self._places[place] = asyncio.Semaphore(tool.max_parallel or PARALLEL)
        notes: list[str] = []

        def note(text: str) -> None:
            notes.append(without_secrets(text, tool))

        use = replace(use, note=note)
        async with places:
            for attempt in range(tool.retry + 1):
                try:
                    value = await self._try(tool, arguments, use)
                except ToolProblem as problem:
                    message = without_secrets(problem.message, tool)
                    said = f"{message}; {without_secrets(problem.note, tool)}" if problem.note else message
                    notes.append(f"try {attempt + 1} of {tool.retry + 1}: {said}")
                    if attempt == tool.retry:
                        return ToolAnswer(
                            error=message,
                            late=isinstance(problem, TookTooLong),
                            undeclared=isinstance(problem, Undeclared),
                            notes=tuple(notes),
                        )
                    await asyncio.sleep(min(_LONGEST_WAIT, _SHORTEST_WAIT * 2**attempt))
                else:
                    return ToolAnswer(await self._kept(key, tool, value), notes=tuple(notes))
        raise AssertionError("a tool is tried once at least")

    async def aclose(self) -> None:
        """Ends what was opened; Python processes and servers among it. Idempotent."""
        opened, self._open = list(self._open.values()), {}
        for task in opened:
            task.cancel()
        for result in await asyncio.gather(*opened, return_exceptions=True):
            if not isinstance(result, BaseException):
                await result.aclose()

    async def _try(self, tool: Tool, arguments: Row, use: ToolUse) -> JsonValue:
        opened = await self._opened(tool, use)
        value = plain(await opened.call(tool, arguments, use), tool)
        declared(tool, value, use.records)
        return value

    async def _opened(self, tool: Tool, use: ToolUse) -> OpenTool:
        place = self._opened_as(tool, use)
        opening = self._open.get(place)
        if (
            opening is not None
            and opening.done()
            and (opening.cancelled() or opening.exception() is not None)
        ):
            opening = None  # what could not be opened may be there by now
        if opening is None:
            opening = self._open[place] = asyncio.get_running_loop().create_task(self._opening(tool, use))
        return await asyncio.shield(opening)

    async def _opening(self, tool: Tool, use: ToolUse) -> OpenTool:
        if (function := self._functions.get(tool.name)) is not None:
            return FunctionTool(function)
        try:
            async with asyncio.timeout(OPENING_SECONDS):
                source = SOURCES[tool.source]
                opened = await source.open(tool, self._ground, use)
        except TimeoutError:
            raise TookTooLong(OPENING_SECONDS) from None
        moves = self._elsewhere is not None and source.movable and self._ground.isolated
        return self._elsewhere(opened, tool, self._ground) if self._elsewhere and moves else opened

    def _definition(self, tool: Tool, use: ToolUse) -> JsonValue:
        """What a call depends on. Tools that have this in common are the same to call, whatever their names and descriptions."""
        if (function := self._functions.get(tool.name)) is not None:
            return ["given", tool.name, *_named(function)]
        lm = use.lm
        model: JsonValue = None if lm is None else [lm.model, lm.api_base, lm.api_base_env]
        return [tool.source, dict(tool.options), model]

    def _opened_as(self, tool: Tool, use: ToolUse) -> str:
        source = SOURCES.get(tool.source)
        apart = () if source is None else source.per_call
        kept = {name: value for name, value in tool.options.items() if name not in apart}
        return canonical(self._definition(tool.model_copy(update={"options": kept}), use))

    def _key(self, tool: Tool, arguments: Row, use: ToolUse) -> bytes | None:
        """What a result is kept by: all that it depends on. None for one that is not kept."""
        if not tool.pure or self._ledger is None or use.answer is not None:
            return None
        try:
            address = from_environment(tool, "url")
        except ToolProblem:
            return None
        returned = None if tool.output is None else tool.output.model_dump(mode="json")
        parts: JsonValue = ["tool", self._definition(tool, use), address, arguments, returned]
        return hashlib.sha256(canonical(parts).encode(errors="surrogatepass")).digest()

    async def _kept(self, key: bytes | None, tool: Tool, value: JsonValue) -> JsonValue:
        """The value; where it is to be kept, the one that was put on disk first, which stands for good."""
        if key is None or self._ledger is None:
            return value
        answer = await self._ledger.put(key, f"tool {tool.name}", Answer(json.dumps(value)))
        return cast("JsonValue", json.loads(answer.text))


def _named(function: ToolFunction) -> list[JsonValue]:
    kind = type(function)
    return [
        str(getattr(function, "__module__", kind.__module__)),
        str(getattr(function, "__qualname__", kind.__qualname__)),
    ]


def _pass(tool: Tool) -> str:
    return f"pass a function in its place: load(…, tools={{{tool.name!r}: function}})"
