"""Answers that were recorded in a file, in the place of models and of tools that are elsewhere.

A line of the file is what was given to one request, under a digest of all that determines it except for where the
model is served, which differs from machine to machine. So a program that asks anything else than it did finds nothing
there, and is told so: nobody is asked instead. The file is data, bounded and checked line by line. It holds no request
and no key, and it may be written by hand.

The embedded model, the project's own Python and searches in its files are no part of it: they answer as they do always.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal, cast

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from dspec.runtime.errors import InputError, PromptTooLong, ProviderError, Refused
from dspec.runtime.models.endpoints import split_model
from dspec.runtime.models.engine import Completion, Engine
from dspec.runtime.models.prices import at_price
from dspec.runtime.models.protocol import Answer, Answering, Request, ToolAnswer
from dspec.runtime.schema.program import LM, Record, Tool, digest
from dspec.runtime.schema.types import JsonValue, Row
from dspec.runtime.schema.usage import Spent
from dspec.runtime.tools.table import SOURCES

MAX_BYTES = 64 * 1024 * 1024
Failing = Literal["too long", "refused", "failed"]
_FAILURES: Mapping[Failing, type[ProviderError]] = {
    "too long": PromptTooLong,
    "refused": Refused,
    "failed": ProviderError,
}
"""The failures that what runs a program tells apart, each before what it is a kind of."""


class NotRecorded(ProviderError):
    """Nothing is recorded for a request, and nobody may be asked."""


class ToolGave(Struct, frozen=True, omit_defaults=True):
    """What a tool gave, as `ToolAnswer` has it."""

    value: Any = None
    error: str = ""
    late: bool = False
    undeclared: bool = False


class RecordedAnswer(Struct, frozen=True, omit_defaults=True):
    """What one request was given: an answer, a failure in the model's place, or what a tool gave."""

    key: str
    of: str
    """The model or tool, for whoever reads the file."""
    answer: Answer | None = None
    failure: tuple[Failing, str] | None = None
    tool: ToolGave | None = None


class AnswersFile:
    """The answers in the file at `path`; none where there is no such file.

    Raises InputError for a file that cannot be read, or that no recording wrote.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.lines: dict[str, RecordedAnswer] = {}
        self.needed: set[str] = set()
        """Keys of the lines that somebody read."""
        try:
            with path.open("rb") as file:
                data = file.read(MAX_BYTES + 1)
        except FileNotFoundError:
            return
        except OSError as error:
            raise InputError(f"{path} cannot be read: {error.strerror or error}") from error
        if len(data) > MAX_BYTES:
            raise InputError(f"{path} is larger than {MAX_BYTES // 1024 // 1024} MiB", help=_AFRESH)
        for number, text in enumerate(data.splitlines(), 1):
            if text.strip():
                try:
                    line = msgspec.convert(json.loads(text), RecordedAnswer)
                except (ValueError, msgspec.ValidationError, RecursionError) as error:
                    raise InputError(
                        f"{path}, line {number}, is no recorded answer: {error}", help=_AFRESH
                    ) from None
                self.lines[line.key] = line

    def add(self, lines: Iterable[RecordedAnswer]) -> None:
        for line in lines:
            self.lines[line.key] = line
            self.needed.add(line.key)

    def drop_unneeded(self) -> int:
        """Takes out what nobody read; returns how many lines that are."""
        kept = {key: line for key, line in self.lines.items() if key in self.needed}
        dropped, self.lines = len(self.lines) - len(kept), kept
        return dropped

    def content(self) -> bytes:
        """The file as it is to be: sorted, so that the same answers give the same bytes."""
        return b"".join(_written(line) for _, line in sorted(self.lines.items()))


_AFRESH = "remove it, and record it again: dspc test --record"


class Recorded:
    """Asks a file in the place of an engine, for one run. With `asking`, what the file lacks is asked, and `found`.

    `needed` are the keys of what was read; `missed` says what was not there.
    """

    def __init__(self, engine: Engine, file: AnswersFile, *, asking: bool) -> None:
        self.found: dict[str, RecordedAnswer] = {}
        self.needed: set[str] = set()
        self.missed: list[str] = []
        self.paid = Spent()
        """What answers took that a model gave just now; the embedded one is not paid."""
        self._engine = engine
        self._file = file
        self._asking = asking

    async def complete(self, request: Request) -> Completion:
        """Raises NotRecorded where nothing is recorded and nobody may be asked; else what the engine raises."""
        if split_model(request.lm.model)[0] == "embedded":
            return await self._engine.complete(request)
        key = digest(["model", request.question()])
        line = self._line(key)
        if line is not None and line.answer is not None:
            return Completion(at_price(line.answer, request.lm), "ledger")
        if not self._asking:
            if line is not None and line.failure is not None:
                kind, message = line.failure
                raise _FAILURES[kind](message)
            self._miss(f"lm {request.lm.name}", sure=not request.lm.fallback)
        try:
            completion = await self._engine.complete(request)
        except ProviderError as error:
            kind: Failing = next(kind for kind, one in _FAILURES.items() if isinstance(error, one))
            self.found[key] = RecordedAnswer(key, request.lm.model, failure=(kind, error.message))
            raise
        if completion.source == "model":
            self.paid += Spent.of(completion.answer.usage, completion.answer.cost)
        self.found[key] = RecordedAnswer(key, request.lm.model, replace(completion.answer, cost=None))
        return completion

    def unusable(self, request: Request) -> None:
        """A recorded answer stays what it is, whatever can be read out of it."""
        self._engine.unusable(request)

    async def call(
        self,
        tool: Tool,
        arguments: Row,
        *,
        lms: Mapping[str, LM] = MappingProxyType({}),
        records: Mapping[str, Record] = MappingProxyType({}),
        answer: Answering | None = None,
    ) -> ToolAnswer:
        """Raises as `complete` does."""
        source = SOURCES.get(tool.source)
        if source is None or not source.elsewhere:
            return await self._engine.call(
                tool, arguments, lms=lms, records=records, answer=answer, asked=self.complete
            )
        returned: JsonValue = [one.model_dump(mode="json") for one in tool.outputs]
        if tool.output is not None:
            returned = tool.output.model_dump(mode="json")
        key = digest(["tool", tool.source, dict(tool.options), returned, arguments])
        line = self._line(key)
        if line is not None and line.tool is not None:
            kept = line.tool
            return ToolAnswer(kept.value, kept.error, kept.late, kept.undeclared)
        if not self._asking:
            self._miss(f"the tool `{tool.name}`", sure=True)
        given = await self._engine.call(tool, arguments, lms=lms, records=records, answer=answer)
        gave = ToolGave(given.value, given.error, given.late, given.undeclared)
        self.found[key] = RecordedAnswer(key, f"tool {tool.name}", tool=gave)
        return given

    def _line(self, key: str) -> RecordedAnswer | None:
        line = self.found.get(key) or self._file.lines.get(key)
        if line is not None:
            self.needed.add(key)
        return line

    def _miss(self, what: str, *, sure: bool) -> None:
        """`sure` says that nothing else may stand in for it, so that the run cannot be what was recorded."""
        error = not_recorded(what, self._file)
        if sure:
            self.missed.append(what)
        raise error


def not_recorded(what: str, file: AnswersFile) -> NotRecorded:
    there = f"{file.path.name} has no answer" if file.lines else f"there is no answer in {file.path.name}"
    return NotRecorded(
        f"{there} of {what} to what it is asked here",
        help="ask it, and keep what it answers: dspc test --record",
    )


def _written(line: RecordedAnswer) -> bytes:
    """A line without what is at its default in the answer that it holds."""
    found = cast("dict[str, Any]", msgspec.to_builtins(line))
    if line.answer is not None:
        usual = cast("dict[str, Any]", msgspec.to_builtins(Answer("")))
        kept = cast("dict[str, Any]", found["answer"])
        found["answer"] = {
            name: value for name, value in kept.items() if name == "text" or value != usual[name]
        }
    try:
        return f"{json.dumps(found, ensure_ascii=False)}\n".encode()
    except UnicodeEncodeError:  # half of a character that a model was cut off in
        return f"{json.dumps(found)}\n".encode()
