"""What the checks know of a value: its type, or that it is a group of named values.

`any` doubles as "unknown": after a mistake it agrees with everything, so that one mistake gives one
message. A `Group` is what `gold`, `pred` and the result of a module call are: its members have
types, itself it is no value. A fan-out gives a list of groups, `GroupList`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Literal

from msgspec import Struct

from dspec.grammar.tree import Expr
from dspec.runtime.schema.types import (
    ANY,
    BOOL,
    FLOAT,
    INT,
    STR,
    DictOf,
    ListOf,
    OneOf,
    OneOfNumbers,
    OneOfRecords,
    OptionalOf,
    RecordRef,
    Scalar,
    TupleOf,
    Type,
)
from dspec.runtime.schema.types import spell as spell_type
from dspec.runtime.values.media import KINDS

from ...project.source import Location
from ...tables.block_specs import SymbolKind
from ..symbols import Symbol


class NamedValue(Struct, frozen=True):
    """A named value of a group: a field, a column, an output."""

    name: str
    type: Type
    symbol: Symbol | None = None
    default: Expr | None = None
    description: str = ""
    group: Group | None = None
    """The group, where the value is one itself, as in a state of several names. Its type is `any` then."""

    @property
    def kind(self) -> Kind:
        return self.group if self.group is not None else self.type

    @property
    def has_default(self) -> bool:
        return self.default is not None

    @property
    def location(self) -> Location | None:
        return self.symbol.location if self.symbol else None


class Group(Struct, frozen=True):
    """Named values that are reached with a dot. `title` says what it is, as in "the outputs of `ask`"."""

    title: str
    members: Mapping[str, NamedValue]
    noun: str = "field"
    """What one member is called in messages: column, output, field."""
    role: Literal["", "gold", "pred", "baseline"] = ""
    """Which of these values it is: each has its own code for a member that does not exist."""
    open: bool = False
    """True after a mistake: any member may be asked for."""
    elsewhere: frozenset[str] = frozenset()
    """Columns of a dataset's file that the dataset does not declare."""
    watched: tuple[list[MemberRead], ...] = ()
    """Lists that each read of a member is added to."""

    @property
    def owner(self) -> str:
        """Whose members they are: "`tickets`" of "the columns of `tickets`"."""
        return self.title.partition(" of ")[2] or self.title


class GroupList(Group, frozen=True):
    """A list of groups: no value either, but one that can be walked through, counted and indexed."""

    item: Group = Group("nothing", {})


class MemberRead(Struct, frozen=True):
    """A member of a group that is read, and where its name stands."""

    name: str
    where: Location


Kind = Type | Group

NONE = OptionalOf(item=ANY)
"""The type of `none`."""

BEYOND_TEXT = (*KINDS, "history")
"""Types of values that are handed on and nothing else."""

CALLABLE: tuple[SymbolKind, ...] = ("module", "program", "extern")
"""What an expression may call, besides functions and judges."""


def spell(kind: Kind) -> str:
    """A kind as a message names it."""
    if isinstance(kind, Group):
        return kind.title
    inner = kind.item if isinstance(kind, OptionalOf) else kind
    if isinstance(inner, OneOf | OneOfNumbers) and len(inner.values) > (
        4 if isinstance(inner, OneOf) else 10
    ):
        shown = " | ".join(map(written, inner.values[:3]))
        return f"one of {len(inner.values)} literals ({shown} | …)"
    return spell_type(kind)


def written(value: str | float) -> str:
    """A literal as a file writes it."""
    return f'"{value}"' if isinstance(value, str) else str(value)


def is_unknown(kind: Kind) -> bool:
    # Not by `==`: Pydantic's is fifty times as slow, and every expression asks.
    return kind.open if isinstance(kind, Group) else isinstance(kind, Scalar) and kind.name == "any"


def beyond_text(kind: Kind) -> str:
    """The type of what is not text within a kind: `image`, `audio`, `file` or `history`; empty where there is none."""
    match kind:
        case Scalar(name=name):
            return name if name in BEYOND_TEXT else ""
        case ListOf(item=item) | OptionalOf(item=item):
            return beyond_text(item)
        case DictOf(value=value):
            return beyond_text(value)
        case TupleOf(items=items):
            return next((found for item in items if (found := beyond_text(item))), "")
        case _:
            return ""


def is_number(kind: Kind) -> bool:
    return isinstance(kind, OneOfNumbers) or (isinstance(kind, Scalar) and kind.name in ("int", "float"))


def plain_number(kind: Kind) -> Kind:
    """`int` or `float` in place of a union of numbers; any other kind as it is."""
    return (INT if kind.whole else FLOAT) if isinstance(kind, OneOfNumbers) else kind


def is_text(kind: Kind) -> bool:
    """Text on the wire: str, unions of literals, dates."""
    return isinstance(kind, OneOf) or (isinstance(kind, Scalar) and kind.name in ("str", "date", "datetime"))


def assignable(got: Kind, want: Type) -> bool:
    """True when every value of `got` is a value of `want`."""
    if is_unknown(got) or got == want:
        return True
    if want == ANY:
        return not beyond_text(got)
    if isinstance(got, Group):
        return False
    match got, want:
        case OptionalOf(item=item), OptionalOf(item=wanted):
            return assignable(item, wanted)
        case _, OptionalOf(item=wanted):
            return assignable(got, wanted)
        case ListOf(item=item), ListOf(item=wanted):
            return assignable(item, wanted)
        case DictOf(value=value), DictOf(value=wanted):
            return assignable(value, wanted)
        case TupleOf(items=items), TupleOf(items=wanted):
            return len(items) == len(wanted) and all(map(assignable, items, wanted))
        case TupleOf(items=items), ListOf(item=wanted):
            return all(assignable(item, wanted) for item in items)
        case RecordRef() | OneOfRecords(), DictOf(value=wanted):
            return wanted == ANY
        case RecordRef(name=name), OneOfRecords(records=names):
            return name in names
        case OneOfRecords(records=names), OneOfRecords(records=wanted):
            return set(names) <= set(wanted)
        case OneOfNumbers(values=values), OneOfNumbers(values=wanted):
            return set(values) <= set(wanted) and got.whole == want.whole
        case OneOfNumbers(), Scalar(name="int" | "float"):
            return assignable(plain_number(got), want)
        case OneOf(values=values), OneOf(values=wanted):
            return set(values) <= set(wanted)
        case OneOf(), Scalar(name="str"):
            return True
        case Scalar(name="int"), Scalar(name="float"):
            return True
        case _:
            return False


def comparable(a: Kind, b: Kind) -> bool:
    """False when no value of `a` can equal a value of `b`."""
    if is_unknown(a) or is_unknown(b):
        return True
    if isinstance(a, Group) or isinstance(b, Group):
        return False
    if isinstance(a, OptionalOf) and isinstance(b, OptionalOf):
        return True
    if isinstance(a, OptionalOf):
        return comparable(a.item, b)
    if isinstance(b, OptionalOf):
        return comparable(a, b.item)
    match a, b:
        case OneOf(values=left), OneOf(values=right):
            return bool(set(left) & set(right))
        case OneOfNumbers(values=left), OneOfNumbers(values=right):
            return bool(set(left) & set(right))
        case ListOf(item=left), ListOf(item=right):
            return comparable(left, right)
        case TupleOf(items=left), TupleOf(items=right):
            return len(left) == len(right) and all(map(comparable, left, right))
        case (TupleOf(items=left), ListOf(item=right)) | (ListOf(item=right), TupleOf(items=left)):
            return all(comparable(one, right) for one in left)
        case OneOfRecords() | RecordRef(), OneOfRecords() | RecordRef():
            return not _names(a).isdisjoint(_names(b))
        case (OneOfRecords(), DictOf()) | (DictOf(), OneOfRecords()):
            return True
        case (ListOf() | DictOf() | TupleOf() | RecordRef() | OneOfRecords(), _) | (
            _,
            ListOf() | DictOf() | TupleOf() | RecordRef() | OneOfRecords(),
        ):
            return type(a) is type(b) or {type(a), type(b)} == {DictOf, RecordRef}
        case _:
            return (is_number(a) and is_number(b)) or (is_text(a) and is_text(b)) or a == b


def _names(kind: Type) -> frozenset[str]:
    """The records that a value may be one of."""
    if isinstance(kind, OneOfRecords):
        return frozenset(kind.records)
    return frozenset((kind.name,) if isinstance(kind, RecordRef) else ())


def join(a: Kind, b: Kind) -> Kind | None:
    """The smallest kind that holds values of both; None when there is none."""
    if is_unknown(a):
        return b
    if is_unknown(b):
        return a
    if isinstance(a, Group) or isinstance(b, Group):
        return None
    if a == NONE or b == NONE:
        other = b if a == NONE else a
        return other if isinstance(other, OptionalOf) else OptionalOf(item=other)
    if isinstance(a, OptionalOf) or isinstance(b, OptionalOf):
        inner = join(
            a.item if isinstance(a, OptionalOf) else a,
            b.item if isinstance(b, OptionalOf) else b,
        )
        return None if inner is None or isinstance(inner, Group) else OptionalOf(item=inner)
    if isinstance(a, OneOf) and isinstance(b, OneOf):
        return OneOf(values=tuple(dict.fromkeys(a.values + b.values)))
    if isinstance(a, OneOfNumbers) and isinstance(b, OneOfNumbers) and a.whole == b.whole:
        return OneOfNumbers(values=tuple(dict.fromkeys(a.values + b.values)))
    if isinstance(a, ListOf) and isinstance(b, ListOf):
        inner = join(a.item, b.item)
        return None if inner is None or isinstance(inner, Group) else ListOf(item=inner)
    if assignable(a, b):
        return b
    if assignable(b, a):
        return a
    if is_number(a) and is_number(b):
        return FLOAT
    return STR if is_text(a) and is_text(b) else None


def joined(a: Kind, b: Kind) -> Kind | None:
    """`join` for values of a program, which may be groups: of two groups, what both have."""
    if isinstance(a, GroupList) or isinstance(b, GroupList):
        if isinstance(a, GroupList) and isinstance(b, GroupList):
            item = joined(a.item, b.item)
            return list_of(item) if isinstance(item, Group) else None
        some, other = (a, b) if isinstance(a, GroupList) else (b, a)
        return some if is_unknown(other) or other == ListOf(item=ANY) else None
    if not (isinstance(a, Group) and isinstance(b, Group)) or a.open or b.open:
        return join(a, b)
    shared = {name: both for name, one in a.members.items() if (both := _both(one, b.members.get(name)))}
    if not shared:
        return None
    title = a.title if a.title == b.title else f"{a.title} or {b.owner}"
    watched = tuple({id(each): each for each in (*a.watched, *b.watched)}.values())
    return Group(title, shared, a.noun, watched=watched)


def _both(one: NamedValue, other: NamedValue | None) -> NamedValue | None:
    kind = None if other is None else joined(one.kind, other.kind)
    return None if kind is None else named_value(one.name, kind, one.symbol)


def named_value(name: str, kind: Kind, symbol: Symbol | None) -> NamedValue:
    """A member of a group, which may be a group itself."""
    group = isinstance(kind, Group)
    return NamedValue(name, ANY, symbol, group=kind) if group else NamedValue(name, kind, symbol)


def shared_fields(kind: OneOfRecords, records: Callable[[str], Group | None]) -> Group:
    """What can be read of a value of a union whichever record it is: the fields that all have, with a type for all."""
    groups = [records(name) for name in kind.records]
    title = f"the fields that {' and '.join(f'`{name}`' for name in kind.records[:4])} share"
    if any(group is None or group.open for group in groups):
        return Group(title, {}, open=True)
    first, *others = (group.members for group in groups if group is not None)
    shared = dict(first)
    for members in others:
        shared = {
            name: both for name, one in shared.items() if (both := _both(one, members.get(name))) is not None
        }
    return Group(title, shared)


def list_of(item: Kind) -> Kind:
    """A list of values of a kind."""
    if isinstance(item, Group):
        return GroupList(f"a list of {item.title}", {}, item.noun, item=item)
    return ListOf(item=item)


def iterated(kind: Kind) -> Kind | None:
    """What a comprehension's variable is; None when `kind` cannot be walked through."""
    if isinstance(kind, GroupList):
        return kind.item
    if is_unknown(kind):
        return ANY
    return kind.item if isinstance(kind, ListOf) else None


__all__ = [
    "ANY",
    "BEYOND_TEXT",
    "BOOL",
    "CALLABLE",
    "FLOAT",
    "INT",
    "NONE",
    "STR",
    "Group",
    "GroupList",
    "Kind",
    "MemberRead",
    "NamedValue",
    "assignable",
    "beyond_text",
    "comparable",
    "is_number",
    "is_text",
    "is_unknown",
    "iterated",
    "join",
    "joined",
    "list_of",
    "named_value",
    "plain_number",
    "shared_fields",
    "spell",
    "written",
]
