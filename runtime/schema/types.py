"""Types of field values, as data that artifacts carry.

A type is a small frozen tree. It says nothing of how a value is asked for or read back: prompts and
parsing are in `adapters` and `values`.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, JsonValue, StrictFloat, StrictInt

ScalarName = Literal[
    "str", "int", "float", "bool", "date", "datetime", "any", "image", "audio", "file", "history"
]


class Frozen(BaseModel):
    """Base of every value that artifacts carry: immutable, and strict about unknown keys.

    Pydantic builds the validator of a class with `defer_build` when the first of its values is made. Most files need
    few of the classes; those that the others are built from are built at once, so that they are built once.

    Nobody asks which fields were given and which have their defaults. A set of them for each value would be a quarter of the
    memory of programs, so the values of a class share one that names all fields.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    def model_post_init(self, context: object, /) -> None:
        object.__setattr__(self, "__pydantic_fields_set__", _fields(type(self)))

    def model_copy(self, *, update: Mapping[str, Any] | None = None, deep: bool = False) -> Self:
        copied = super().model_copy(update=update, deep=deep)
        object.__setattr__(copied, "__pydantic_fields_set__", _fields(type(self)))
        return copied


@cache
def _fields(model: type[BaseModel]) -> set[str]:
    return set(model.model_fields)


class Scalar(Frozen):
    kind: Literal["scalar"] = "scalar"
    name: ScalarName


class ListOf(Frozen):
    kind: Literal["list"] = "list"
    item: Type


class DictOf(Frozen, defer_build=True):
    """`dict[K, V]`; keys are strings on the wire, whatever K is."""

    kind: Literal["dict"] = "dict"
    key: Type
    value: Type


class OptionalOf(Frozen, defer_build=True):
    kind: Literal["optional"] = "optional"
    item: Type


class OneOf(Frozen):
    """A union of string literals, in the order they were declared."""

    kind: Literal["one_of"] = "one_of"
    values: tuple[str, ...]
    notes: tuple[str, ...] = Field(default_factory=tuple[str, ...], exclude_if=lambda notes: not notes)
    """What each of the values means, empty where nothing is said of it; none at all where of none."""

    @property
    def noted(self) -> tuple[tuple[str, str], ...]:
        """The values, each with what it means."""
        return tuple(zip(self.values, self.notes or ("",) * len(self.values), strict=False))


class OneOfNumbers(Frozen, defer_build=True):
    """A union of numbers, in the order they were declared: all whole, or all floats."""

    kind: Literal["one_of_numbers"] = "one_of_numbers"
    values: tuple[StrictInt | Annotated[StrictFloat, Field(allow_inf_nan=False)], ...]

    @property
    def whole(self) -> bool:
        return all(isinstance(value, int) for value in self.values)


class TupleOf(Frozen, defer_build=True):
    """`tuple[A, B]`: a list of so many values, each of its own type."""

    kind: Literal["tuple"] = "tuple"
    items: tuple[Type, ...]


class RecordRef(Frozen):
    """A record by name; its fields stand in the program's `records` table."""

    kind: Literal["record"] = "record"
    name: str


class OneOfRecords(Frozen, defer_build=True):
    """A union of records, told apart by the field `tag`: in each of them a union of literals, and no two share one."""

    kind: Literal["one_of_records"] = "one_of_records"
    tag: str
    records: tuple[str, ...]


MAX_RECORDS = 64
"""Records that a union may have, since a value is compared with each of them."""
MAX_TUPLE = 64
"""Values that a tuple may have."""

Type = Annotated[
    Scalar | ListOf | DictOf | TupleOf | OptionalOf | OneOf | OneOfNumbers | OneOfRecords | RecordRef,
    Field(discriminator="kind"),
]

ListOf.model_rebuild()

STR = Scalar(name="str")
INT = Scalar(name="int")
FLOAT = Scalar(name="float")
BOOL = Scalar(name="bool")
ANY = Scalar(name="any")

Row = dict[str, JsonValue]
"""Values by field name: plain JSON, already checked against the fields' types."""


def spell(kind: Type) -> str:
    """The type as a user would write it: `list[str]?`, `"a" | "b"`."""
    match kind:
        case Scalar(name=name) | RecordRef(name=name):
            return name
        case ListOf(item=item):
            return f"list[{spell(item)}]"
        case DictOf(key=key, value=value):
            return f"dict[{spell(key)}, {spell(value)}]"
        case TupleOf(items=items):
            return f"tuple[{', '.join(map(spell, items))}]"
        case OptionalOf(item=OneOf() | OneOfNumbers() | OneOfRecords() as item):
            return f"({spell(item)})?"
        case OptionalOf(item=item):
            return f"{spell(item)}?"
        case OneOf(values=values):
            return " | ".join(f'"{value}"' for value in values)
        case OneOfNumbers(values=values):
            return " | ".join(map(str, values))
        case OneOfRecords(records=records):
            return " | ".join(records)
