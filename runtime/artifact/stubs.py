"""Writes the Python classes of a program: its inputs, outputs and records with their types, for editors and type checkers."""

from __future__ import annotations

import json
import keyword
import re
from collections.abc import Iterable, Iterator, Sequence

from ..running.prediction import OWN
from ..schema.ensemble import Runnable
from ..schema.program import FieldSpec, Record
from ..schema.types import (
    DictOf,
    ListOf,
    OneOf,
    OneOfRecords,
    OptionalOf,
    RecordRef,
    Scalar,
    TupleOf,
    Type,
    spell,
)
from .python_text import python_literal, python_type

_SCALARS = {
    "str": "str",
    "int": "int",
    "float": "float",
    "bool": "bool",
    "date": "Date",
    "datetime": "DateTime",
    "any": "Any",
    "image": "GivenMedium",
    "audio": "GivenMedium",
    "file": "GivenMedium",
    "history": "Sequence[Mapping[str, Any]]",
}
_SETTINGS = {
    "lm": "lm: PerModel = None",
    "timeout": "timeout: float | None = None",
    "temperature": "temperature: float | None = None",
}
_TAKEN = OWN | {"get", "items", "keys", "values", "call_id", "into"}
"""Outputs of these names are items alone."""
_OURS = (
    "AnswerStream",
    "AsyncAnswerStream",
    "GivenMedium",
    "LoadedProgram",
    "PerModel",
    "Prompt",
    "TypedPrediction",
)
_IMPORTED = (
    *_OURS,
    *("Any", "BaseModel", "ClassVar", "ConfigDict", "Date", "DateTime", "Field", "Literal", "Mapping"),
    *("NotRequired", "Sequence", "TypedDict", "Unpack", "dataclass", "field"),
)
"""Names that no class of a record may have."""
_HEAD = '''"""Types of the program `{name}`, made by `dspc stubs`: do not edit, make it anew."""

# fmt: off
# ruff: noqa

from __future__ import annotations

'''


def shape_of(program: Runnable) -> tuple[str, ...]:
    """The inputs, the outputs and the fields of the records in them, a line each: what classes are made from."""
    records = _records(program)
    return (
        *(f"input {_line(field)}" for field in program.inputs),
        *(f"output {field.name}: {spell(field.type)}" for field in program.outputs),
        *(f"{record.name}.{_line(field)}" for record in records for field in record.fields),
    )


def stubs(program: Runnable, name: str, *, called: str = "", pydantic: bool = False) -> str:
    """A module with the classes: the program's, `called` so or after its name, its result, and its records as dataclasses or
    Pydantic models."""
    return _Stubs(program, name, called or class_name(name), pydantic=pydantic).module()


def class_name(name: str) -> str:
    """`router_v1` → `RouterV1`."""
    parts = re.split(r"[^A-Za-z0-9]+", name)
    made = "".join(part[:1].upper() + part[1:] for part in parts)
    return made if made and not made[0].isdigit() else f"Program{made}"


class _Stubs:
    def __init__(self, program: Runnable, name: str, called: str, *, pydantic: bool) -> None:
        self._program = program
        self._name = name
        self._pydantic = pydantic
        self._class = called
        taken = {called, *(f"{called}{part}" for part in ("Inputs", "Result", "Partial")), *_IMPORTED}
        self._records: dict[str, str] = {}
        """Names of the classes by the records'. One with a field that no attribute can be called after has none."""
        self._all = {
            record.name: record
            for record in _records(program)
            if all(_is_name(field.name) and field.name[0] != "_" for field in record.fields)
        }
        for record in self._all:
            made = record if record.isidentifier() and not keyword.iskeyword(record) else class_name(record)
            while made in taken:
                made += "_"
            taken.add(made)
            self._records[record] = made

    def module(self) -> str:
        body = "\n\n\n".join(self._classes()) + "\n"
        return _HEAD.format(name=_plain(self._name)) + self._imports(body) + "\n\n" + body

    def _imports(self, body: str) -> str:
        code = re.sub(r'"(?:[^"\\]|\\.)*"', "", body)  # a text names nothing

        def used(names: Iterable[str]) -> list[str]:
            return [name for name in names if re.search(rf"\b{name}\b", code)]

        lines: list[str] = []
        if found := used(["Mapping", "Sequence"]):
            lines.append(f"from collections.abc import {', '.join(found)}")
        if "@dataclass" in body:
            lines.append(f"from dataclasses import {', '.join(used(['dataclass', 'field']))}")
        if found := used(["Date", "DateTime"]):
            lines += [f"from datetime import {one.lower()} as {one}" for one in found]
        typing = used(["Any", "ClassVar", "Literal", "NotRequired", "TypedDict", "Unpack"])
        lines.append(f"from typing import {', '.join(typing)}")
        if self._pydantic and self._all:
            lines += ["", f"from pydantic import {', '.join(used(['BaseModel', 'ConfigDict', 'Field']))}"]
        ours = used(_OURS)
        return "\n".join([*lines, "", f"from dspec import {', '.join(ours)}", ""])

    def _classes(self) -> Iterator[str]:
        for record in self._all.values():
            yield self._record(record)
        yield self._typed_dict(f"{self._class}Inputs", self._inputs())
        outputs = [(one.name, self._type(one.type), False) for one in self._program.outputs]
        yield self._typed_dict(f"{self._class}Partial", [(name, kind, True) for name, kind, _ in outputs])
        yield self._result()
        yield self._own_class()

    def _record(self, record: Record) -> str:
        name = self._records[record.name]
        lines = [_docstring(record.description or f"The record `{record.name}`.")]
        if self._pydantic:
            lines += ["", "model_config = ConfigDict(frozen=True)", ""]
            head = f"class {name}(BaseModel):"
        else:
            lines += [""]
            head = f"@dataclass(frozen=True, kw_only=True)\nclass {name}:"
        for field in record.fields:
            lines.append(f"{field.name}: {self._type(field.type)}{self._default(field)}")
            if field.description:
                lines.append(_docstring(field.description))
        return "\n".join([head, *(f"    {line}" if line else "" for line in lines)])

    def _default(self, field: FieldSpec) -> str:
        if not field.has_default:
            return " = None" if isinstance(field.type, OptionalOf) else ""
        value = field.default
        if (
            value is None
            or isinstance(value, bool | int | float)
            or (isinstance(value, str) and field.type not in (Scalar(name="date"), Scalar(name="datetime")))
        ):
            return f" = {python_literal(value)}"
        if isinstance(value, str):
            return f" = {_SCALARS[spell(field.type)]}.fromisoformat({python_literal(value)})"
        maker = "Field" if self._pydantic else "field"
        return f" = {maker}(default_factory=lambda: {value!r})" if value in ([], {}) else ""

    def _inputs(self) -> list[tuple[str, str, bool]]:
        return [
            (one.name, self._taken(one.type), one.has_default or isinstance(one.type, OptionalOf))
            for one in self._program.inputs
        ]

    def _typed_dict(self, name: str, fields: Sequence[tuple[str, str, bool]]) -> str:
        """`optional` fields need not be there; names that no attribute can have are written otherwise."""
        plain = all(_is_name(field) for field, _, _ in fields)
        optional = bool(fields) and all(rest for _, _, rest in fields)
        total = ", total=False" if optional else ""
        written = [
            (field, f"NotRequired[{kind}]" if rest and not optional else kind) for field, kind, rest in fields
        ]
        if not plain:
            inside = ", ".join(f"{python_literal(field)}: {kind}" for field, kind in written)
            return f'{name} = TypedDict("{name}", {{{inside}}}{total})'
        lines = [f"class {name}(TypedDict{total}):", *(f"    {field}: {kind}" for field, kind in written)]
        return "\n".join(lines if written else [*lines, "    pass"])

    def _result(self) -> str:
        fields = [
            line
            for one in self._program.outputs
            if _is_name(one.name) and one.name not in _TAKEN and not one.name.startswith("_")
            for line in (
                f"    {one.name}: {self._type(one.type)}",
                *((f"    {_docstring(one.description)}",) if one.description else ()),
            )
        ]
        text = f"What `{self._class}` gives."
        return "\n".join(
            [
                f"class {self._class}Result(TypedPrediction):",
                f'    """{text}"""',
                *([""] if fields else []),
                *fields,
            ]
        )

    def _own_class(self) -> str:
        name = self._class
        inputs = {one.name for one in self._program.inputs}
        settings = [text for one, text in _SETTINGS.items() if one not in inputs]
        inner = [] if "inner" in inputs else ["inner: bool = False"]
        shape = "".join(f"        {python_literal(line)},\n" for line in shape_of(self._program))
        streams = f"[{name}Result, {name}Partial]"

        def method(head: str, options: Sequence[str], gives: str, body: str) -> str:
            named = ["self", "/", *(["*"] if options else []), *options, f"**inputs: Unpack[{name}Inputs]"]
            written = "".join(f"        {one},\n" for one in named)
            names = (option.partition(":")[0] for option in options)
            handed = ", ".join(["inputs", *(f"{one}={one}" for one in names)])
            return f"    {head}(\n{written}    ) -> {gives}:\n        return {body}({handed})\n"

        methods = (
            method("def __call__", settings, f"{name}Result", "self.call"),
            method("async def acall", settings, f"{name}Result", "await self._acall"),
            method("def stream", [*inner, *settings], f"AnswerStream{streams}", "self._stream"),
            method("def astream", [*inner, *settings], f"AsyncAnswerStream{streams}", "self._astream"),
            method("def inspect", [], "list[Prompt]", "self._inspect"),
        )
        return (
            f"class {name}(LoadedProgram[{name}Inputs, {name}Result, {name}Partial]):\n"
            f'    """The program `{_plain(self._name)}`: `load("….dspc.json", {name})`."""\n\n'
            f"    result: ClassVar[type[TypedPrediction]] = {name}Result\n"
            f"    shape: ClassVar[tuple[str, ...]] = (\n{shape}    )\n\n" + "\n".join(methods).rstrip()
        )

    def _type(self, kind: Type) -> str:
        """The type of an output's values."""
        return python_type(
            kind, _SCALARS, lambda name: self._records.get(name, "dict[str, Any]"), whole_keys=False
        )

    def _taken(self, kind: Type) -> str:
        """The type of what is passed for an input."""
        match kind:
            case Scalar(name="date" | "datetime" as name):
                return f"{_SCALARS[name]} | str"
            case OptionalOf(item=item):
                return f"{self._taken(item)} | None"
            case ListOf(item=item):
                return f"Sequence[{self._taken(item)}]"
            case DictOf(key=key, value=value):
                return (
                    f"Mapping[{self._type(key) if isinstance(key, OneOf) else 'str'}, {self._taken(value)}]"
                )
            case TupleOf():
                return f"{self._type(kind)} | Sequence[Any]"
            case RecordRef() | OneOfRecords():
                return f"{self._type(kind)} | Mapping[str, Any]"
            case _:
                return self._type(kind)


def _records(program: Runnable) -> list[Record]:
    """The records that the inputs and outputs hold, those first that others hold. One that holds itself is among them once."""
    found: dict[str, Record] = {}

    def walk(kind: Type, within: frozenset[str]) -> None:
        match kind:
            case RecordRef(name=name) if name in program.records and name not in within:
                for field in program.records[name].fields:
                    walk(field.type, within | {name})
                found.setdefault(name, program.records[name])
            case OneOfRecords(records=names):
                for name in names:
                    walk(RecordRef(name=name), within)
            case ListOf(item=inner) | OptionalOf(item=inner) | DictOf(value=inner):
                walk(inner, within)
            case TupleOf(items=items):
                for inner in items:
                    walk(inner, within)
            case _:
                pass

    for field in (*program.inputs, *program.outputs):
        walk(field.type, frozenset())
    return list(found.values())


def _line(field: FieldSpec) -> str:
    default = f" = {json.dumps(field.default, ensure_ascii=False)}" if field.has_default else ""
    return f"{field.name}: {spell(field.type)}{default}"


def _is_name(text: str) -> bool:
    return text.isidentifier() and not keyword.iskeyword(text)


def _docstring(text: str) -> str:
    """A text that may be anything, as one line of documentation."""
    return f'"""{_plain(text)}"""'


def _plain(text: str) -> str:
    return " ".join(text.split()).replace("\\", "\\\\").replace('"', '\\"')
