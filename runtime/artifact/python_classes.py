"""Signatures and records of a program as classes in Python, in the words that DSPy and Pydantic have."""

from __future__ import annotations

import inspect
import keyword
import re
from collections.abc import Iterable, Mapping, Sequence

from msgspec import Struct, field

from ..errors import ArtifactError
from ..schema.expressions import Apply, BinaryOp, Constant, Expression, Variable
from ..schema.program import (
    Check,
    FieldSpec,
    Record,
    Signature,
)
from ..schema.types import (
    DictOf,
    ListOf,
    OptionalOf,
    RecordRef,
    Type,
)
from .python_text import PythonText, python_literal, python_type
from .stubs import class_name

_SCALARS = {
    "str": "str",
    "int": "int",
    "float": "float",
    "bool": "bool",
    "date": "datetime.date",
    "datetime": "datetime.datetime",
    "any": "Any",
    "image": "dspy.Image",
    "audio": "dspy.Audio",
    "file": "dspy.File",
    "history": "dspy.History",
}
_BOUNDS = {">=": "ge", ">": "gt", "<=": "le", "<": "lt"}
_LENGTHS = {">=": "min_length", "<=": "max_length"}
_IMPORTED = (
    "dspy",
    "datetime",
    "json",
    "os",
    "re",
    "Any",
    "Literal",
    "Path",
    "BaseModel",
    "Field",
    "load",
    "STATE",
)


class PythonClasses(Struct):
    """The classes that a program needs, each written when it is first asked for, and the names that are taken by then."""

    declared: Mapping[str, Record]
    written: dict[str, str] = field(default_factory=dict[str, str])
    """Source of the signatures and records by their names, in order."""
    taken: set[str] = field(default_factory=lambda: set(_IMPORTED))
    lost: list[str] = field(default_factory=list[str])
    _named: dict[str, str] = field(default_factory=dict[str, str])
    """Names of signatures by what they say."""
    _made: dict[str, str] = field(default_factory=dict[str, str])
    """Names of records by those that they have in the program."""

    def free(self, wanted: str) -> str:
        name = re.sub(r"\W", "_", wanted, flags=re.ASCII) or "it"
        name = f"_{name}" if name[0].isdigit() else name
        name = f"{name}_" if keyword.iskeyword(name) else name
        while name in self.taken:
            name += "_"
        self.taken.add(name)
        return name

    # Types ----------------------------------------------------------------------------------------

    def type_of(self, kind: Type) -> str:
        return python_type(kind, _SCALARS, self._record, whole_keys=True)

    def _record(self, name: str) -> str:
        if name not in self._made:
            record = self.declared[name]
            made = self._made[name] = self.free(name)
            source = self._record_source(made, record)
            if re.search(rf"\b{made}\b", source.partition("\n")[2]):
                source = f"{source}\n\n{made}.model_rebuild()"
            self.written[made] = source + "\n"
        return self._made[name]

    def _record_source(self, made: str, record: Record) -> str:
        lines = [docstring(record.description)] if record.description else []
        if record.description and record.fields:
            lines.append("")
        said, left = _bounds(record.checks, record.fields)
        for one in record.fields:
            python_name(one.name, "field")
            own = [f"description={python_literal(one.description)}"] if one.description else []
            own += said.get(one.name, [])
            if one.has_default:
                value = f"default={python_literal(one.default)}" if own else python_literal(one.default)
            elif isinstance(one.type, OptionalOf):
                value = "default=None" if own else "None"
            else:
                value = ""
            default = (
                f" = Field({', '.join([*([value] if value else []), *own])})"
                if own
                else f" = {value}"
                if value
                else ""
            )
            kind = self.type_of(one.type)
            lines.append(
                f"{one.name}: {python_literal(kind) if record.name == _of_itself(one.type, record.name) else kind}{default}"
            )
        self.lost += [f"the record `{record.name}`: {check_words(one)}" for one in left]
        return "\n".join(
            [f"class {made}(BaseModel):", *(f"    {line}" if line else "" for line in lines or ["pass"])]
        )

    # Signatures -----------------------------------------------------------------------------------

    def signature(
        self, signature: Signature, wanted: str, outputs: Sequence[FieldSpec], adds: Iterable[FieldSpec] = ()
    ) -> str:
        added = [one for one in outputs if one in adds]
        kept = [one for one in outputs if one not in added]
        said, left = _bounds(signature.checks, kept)
        self.lost += [f"{signature.name}: {check_words(one)}" for one in left]
        lines = [
            docstring("\n".join(text for text in (signature.instruction, *signature.fixed) if text)),
            "",
        ]
        for role, fields in (("Input", signature.inputs), ("Output", kept)):
            for one in fields:
                python_name(one.name, "field")
                own = [f"desc={python_literal(one.description)}"] if one.description else []
                own += said.get(one.name, []) if role == "Output" else []
                own += [f"default={python_literal(one.default)}"] if one.has_default else []
                lines.append(f"{one.name}: {self.type_of(one.type)} = dspy.{role}Field({', '.join(own)})")
        body = "\n".join(f"    {line}" if line else "" for line in lines)
        if body not in self._named:
            short = class_name(wanted)
            made = self._named[body] = self.free(f"{short}Signature" if short in self.taken else short)
            self.written[made] = f"class {made}(dspy.Signature):\n{body}\n"
        return self._named[body]


def _bounds(checks: Iterable[Check], fields: Sequence[FieldSpec]) -> tuple[dict[str, list[str]], list[Check]]:
    """Checks that Pydantic has a word for, by field, and the others."""
    names = {one.name for one in fields}
    said: dict[str, list[str]] = {}
    left: list[Check] = []
    for check in checks:
        pairs = [_bound(one, names) for one in _conjuncts(check.condition)]
        if all(pairs) and check.kind == "assert":
            for pair in pairs:
                if pair is not None:
                    said.setdefault(pair[0], []).append(pair[1])
        else:
            left.append(check)
    return said, left


def check_words(check: Check) -> str:
    text = PythonText().of(check.condition)
    return f"`{check.kind} {text if len(text) <= 120 else text[:119] + '…'}`: DSPy has no checks"


def _conjuncts(node: Expression) -> list[Expression]:
    if isinstance(node, BinaryOp) and node.operator == "and":
        return [*_conjuncts(node.left), *_conjuncts(node.right)]
    return [node]


def _bound(node: Expression, names: set[str]) -> tuple[str, str] | None:
    """The field that a comparison bounds, and Pydantic's word for it."""
    if not isinstance(node, BinaryOp):
        return None
    left, operator, right = node.left, node.operator, node.right
    if isinstance(left, Constant):
        turned = {"<=": ">=", "<": ">", ">=": "<=", ">": "<"}.get(operator)
        if turned is None:
            return None
        left, operator, right = right, turned, left
    if (
        not isinstance(right, Constant)
        or isinstance(right.value, bool)
        or not isinstance(right.value, int | float)
    ):
        return None
    match left:
        case Variable(name=name) if name in names and operator in _BOUNDS:
            return name, f"{_BOUNDS[operator]}={python_literal(right.value)}"
        case Apply(function="len", arguments=(Variable(name=name),)) if (
            name in names and operator in _LENGTHS
        ):
            return name, f"{_LENGTHS[operator]}={python_literal(right.value)}"
        case _:
            return None


def _of_itself(kind: Type, name: str) -> str:
    """The record's name where the type holds the record itself."""
    match kind:
        case RecordRef(name=own):
            return own if own == name else ""
        case ListOf(item=item) | OptionalOf(item=item) | DictOf(value=item):
            return _of_itself(item, name)
        case _:
            return ""


def python_name(name: str, what: str) -> str:
    """The name itself. Raises ArtifactError for one that Python cannot have."""
    if not name.isidentifier() or keyword.iskeyword(name):
        raise ArtifactError(
            f"the {what} `{name[:80]}` cannot be called so in Python", help="rename it in the source"
        )
    return name


def docstring(text: str) -> str:
    """A text that may be anything, as the documentation of a class, whose lines are indented by four."""
    plain = all(one.isprintable() or one == "\n" for one in text) and '"""' not in text and "\\" not in text
    indented = text.replace("\n", "\n    ")
    if plain and text and not text.endswith('"') and inspect.cleandoc(indented) == text:
        return '"""' + re.sub(r"\n +\n", "\n\n", indented) + '"""'
    return python_literal(text)
