"""Reads tables of awkward answers (`tests/runtime/answers.txt`): of each its type, its text, and what it is."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from dspec.runtime.schema.lms import AdapterName
from dspec.runtime.schema.program import FieldSpec, Record
from dspec.runtime.schema.types import (
    ANY,
    BOOL,
    FLOAT,
    INT,
    STR,
    DictOf,
    JsonValue,
    ListOf,
    OneOf,
    OneOfNumbers,
    OneOfRecords,
    OptionalOf,
    RecordRef,
    Row,
    Scalar,
    TupleOf,
    Type,
)

TABLE = Path(__file__).resolve().parents[1] / "runtime" / "answers.txt"
_SCALARS = {
    "str": STR,
    "int": INT,
    "float": FLOAT,
    "bool": BOOL,
    "any": ANY,
    "date": Scalar(name="date"),
    "datetime": Scalar(name="datetime"),
}
_TOKEN = re.compile(r'\s*("[^"]*"|-?\w+|[\[\]|,?:])')
_LINE = re.compile(r"(.*?)  (=[>~!])(?:  (.*))?")


@dataclass(frozen=True)
class AwkwardAnswer:
    line: int
    kind: str
    """The heading that it stands under."""
    outputs: tuple[FieldSpec, ...]
    adapter: AdapterName
    whole: bool
    """The text is a whole answer, not that of one section."""
    cut: bool
    text: str
    verdict: Literal["=>", "=~", "=!"]
    wanted: Row | None

    @property
    def answer(self) -> str:
        """What the model said."""
        return self.text if self.whole else f"[[ ## out ## ]]\n{self.text}\n\n[[ ## completed ## ]]"

    @property
    def name(self) -> str:
        return f"{self.line}: {self.text[:30]!r} as {self.kind[:30]}"

    def holds(self, values: Row | None) -> bool:
        """Whether these values, or None for a refusal, are what the table says."""
        if values is None:
            return self.verdict != "=>"
        return self.wanted is not None and same(values, self.wanted)

    def judged(
        self, values: Row | None
    ) -> Literal["read", "rightly refused", "refused though plain", "wrong"]:
        if values is None:
            return "refused though plain" if self.verdict == "=>" else "rightly refused"
        return "read" if self.holds(values) else "wrong"


def same(one: JsonValue | Row, other: JsonValue | Row) -> bool:
    """Whether two values are equal, 1 and 1.0 and true told apart."""
    return json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True)


def awkward() -> tuple[list[AwkwardAnswer], dict[str, Record]]:
    """The table's answers, and the records that they speak of."""
    records: dict[str, Record] = {}
    return list(_answers(records)), records


def _answers(records: dict[str, Record]) -> Iterator[AwkwardAnswer]:
    kind, outputs, whole, cut = "", (), False, False
    adapter: AdapterName = "chat"
    for number, line in enumerate(TABLE.read_text(encoding="utf-8").split("\n"), 1):
        if line.startswith("  record "):
            name, _, members = line.removeprefix("  record ").partition(": ")
            records[name] = Record(name=name, fields=_fields(members))
        elif line.startswith("== "):
            kind = line.removeprefix("== ")
            spec, cut = kind.removesuffix(" cut"), kind.endswith(" cut")
            layout, _, members = spec.partition(": ")
            whole = layout in ("answer", "json", "xml")
            adapter = "json" if layout == "json" else "xml" if layout == "xml" else "chat"
            outputs = _fields(members if whole else f"out: {spec}")
        elif kind and line:
            match = _LINE.fullmatch(line)
            assert match is not None, f"line {number} has no verdict: {line}"
            text, verdict, value = match.groups()
            wanted = None if value is None else json.loads(value)
            yield AwkwardAnswer(
                line=number,
                kind=kind,
                outputs=outputs,
                adapter=adapter,
                whole=whole,
                cut=cut,
                text=text.replace("⏎", "\n").replace("␣", " "),
                verdict=verdict,  # type: ignore[arg-type]
                wanted=None if verdict == "=!" else wanted if whole else {"out": wanted},
            )


def _fields(spec: str) -> tuple[FieldSpec, ...]:
    tokens = _TOKEN.findall(spec)
    fields: list[FieldSpec] = []
    while tokens:
        name = tokens.pop(0)
        assert tokens.pop(0) == ":", spec
        fields.append(FieldSpec(name=name, type=_type(tokens)))
        if tokens:
            assert tokens.pop(0) == ",", spec
    return tuple(fields)


def _type(tokens: list[str]) -> Type:
    word = tokens.pop(0)
    kind: Type
    if word.startswith('"'):
        values = [word[1:-1]]
        while tokens and tokens[0] == "|":
            tokens.pop(0)
            values.append(tokens.pop(0)[1:-1])
        kind = OneOf(values=tuple(values))
    elif word.lstrip("-").isdigit():
        numbers = [int(word)]
        while tokens and tokens[0] == "|":
            tokens.pop(0)
            numbers.append(int(tokens.pop(0)))
        kind = OneOfNumbers(values=tuple(numbers))
    elif word[0].isupper() and tokens and tokens[0] == "|":
        names = [word]
        while tokens and tokens[0] == "|":
            tokens.pop(0)
            names.append(tokens.pop(0))
        kind = OneOfRecords(tag="kind", records=tuple(names))
    elif word == "tuple":
        items: list[Type] = []
        while tokens.pop(0) != "]":
            items.append(_type(tokens))
        kind = TupleOf(items=tuple(items))
    elif word == "list":
        tokens.pop(0)
        kind = ListOf(item=_type(tokens))
        tokens.pop(0)
    elif word == "dict":
        tokens.pop(0)
        key = _type(tokens)
        tokens.pop(0)
        kind = DictOf(key=key, value=_type(tokens))
        tokens.pop(0)
    else:
        kind = _SCALARS.get(word) or RecordRef(name=word)
    if tokens and tokens[0] == "?":
        tokens.pop(0)
        kind = OptionalOf(item=kind)
    return kind
