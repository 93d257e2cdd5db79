"""Where an expression stands: the names in scope and what they stand for."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple

from msgspec import Struct, field
from msgspec.structs import replace

from dspec.grammar.tree import Call, Expr
from dspec.runtime.schema.expressions import Constant, Expression, Variable
from dspec.runtime.schema.types import OneOf, OneOfRecords

from ... import ir
from ...diagnostics import codes
from ...project.source import Location
from ...tables.block_specs import SymbolKind
from ..session import Place, Session
from ..symbols import Symbol
from ..types.kinds import Group, Kind, NamedValue, spell
from .blocks import StepBlock
from .presence import NOTHING_MEANT, Meant, names_in, never_empty, path
from .ranges import Bounds, range_of

NOTHING = Constant(value=None)
LONGEST_PATH = 1_000
"""Characters. Of a longer path no name is known to stand for it, since names of names would make it as long as they like."""


class Length(NamedTuple):
    """How many items a list has, at least and at most."""

    least: int
    most: int

    def __add__(self, other: object) -> Length:
        if not isinstance(other, Length):
            return NotImplemented
        return Length(self.least + other.least, self.most + other.most)

    def cut(self, count: int) -> Length:
        return Length(min(self.least, count), min(self.most, count))


class Told(NamedTuple):
    """What conditions say of a value that is one of some records; `there` where one of them says that it is not none."""

    records: tuple[str, ...]
    there: bool = False


class Binding(Struct, frozen=True):
    """A name in scope: what it is, the expression it stands for, where it was introduced.

    `sure` is False for a name that may not exist: after another mistake its uses are let pass.
    """

    kind: Kind
    code: Expression
    symbol: Symbol | None = None
    sure: bool = True
    length: Length | None = None
    """The length of a list, where it is known before anything runs."""
    unsure: Location | None = None
    """Where an item is taken that this value is; None where the item is sure to be there."""


def bindings(members: Iterable[NamedValue]) -> dict[str, Binding]:
    """Members by their names, each a variable of its own."""
    return {each.name: Binding(each.type, Variable(name=each.name), each.symbol) for each in members}


class Typed(Struct, frozen=True):
    kind: Kind
    code: Expression = NOTHING
    length: Length | None = None
    """The length of a list, where it is known before anything runs."""
    unsure: Location | None = None
    """Where an item is taken that this value is or may be; the value is none if the list is too short, or the dict lacks
    the key. None where the item is sure to be there."""


class Endless(NamedTuple):
    """A list in a comprehension of which nobody knows how long it is; with `keys` a dict."""

    where: Location
    keys: bool


class Measure(Struct, frozen=True):
    """What the expressions of a metric need before they have a value: its judges, and the values that are computed once."""

    judges: list[ir.Judge] = field(default_factory=list[ir.Judge])
    lets: list[ir.MetricValue] = field(default_factory=list[ir.MetricValue])
    written: dict[str, Expr] = field(default_factory=dict[str, Expr])
    """The expression of each `let`, as it stands in the file."""
    ranges: dict[str, Bounds] = field(default_factory=dict[str, Bounds])
    """The bounds of each `let`."""

    def named(self, code: Expression) -> tuple[Expr, Expression] | None:
        """What a name stands for that a `let` gives, as it is written and what it means; None of anything else."""
        if not isinstance(code, Variable) or code.name not in self.written:
            return None
        return self.written[code.name], next(let.value for let in self.lets if let.name == code.name)

    @property
    def shares(self) -> list[str]:
        """Names of values in 0..1."""
        return [
            *(judge.name for judge in self.judges if judge.gives != "value"),
            *(let.name for let in self.lets if let.score),
        ]


CallHandler = Callable[["Scope", Call, Symbol], Typed]


class Scope(Struct, frozen=True):
    """Where an expression stands. `purpose` names it in messages, as in "a metric".

    `reads` collects the names that were read. `calls` takes calls of declarations of the kinds `callable`; in a
    program it makes a step of `block` of each. `let` is the expression of a `let`, with the name of its step.
    `times` says how often it is evaluated where that is once for each item of a list, `endless` that nobody knows how many
    these are. `measure` collects the judges
    that are asked; it is None where no judge may be asked.
    """

    session: Session
    place: Place
    names: Mapping[str, Binding]
    purpose: str
    calls: CallHandler | None = None
    callable: tuple[SymbolKind, ...] = ()
    reads: set[str] = field(default_factory=set[str])
    block: StepBlock | None = None
    let: tuple[Expr, str] | None = None
    records: Callable[[str], Group | None] = lambda key: None
    present: frozenset[str] = frozenset()
    """Paths of values that are not none here, and what values are or are not, since a condition has asked."""
    meant: Meant = NOTHING_MEANT
    measure: Measure | None = None
    times: int | None = None
    endless: Endless | None = None
    aggregates: list[ir.Aggregate] | None = None
    """Collects the aggregates over all rows; None where the expression is of one row, or of none."""
    one_row: str = ""
    """What the expression is that looks at one row of a metric's, where no aggregate may stand; else the `purpose`."""
    scores: frozenset[str] = frozenset()
    """Names of values that lie in 0..1, such as `baseline.score`."""
    parts: list[tuple[Expr, Expression]] | None = None
    """Collects the parts of the expression, each before what it is a part of; None where nobody asks for them."""

    def range_of(self, code: Expression, *, lets: bool = False) -> Bounds:
        """The bounds of the number that an expression of this scope gives; `lets` says whether those of named values count."""
        shares = [
            *(self.measure.shares if self.measure else ()),
            *(one.name for one in self.aggregates or ()),
        ]
        known = self.measure.ranges if lets and self.measure else {}
        return range_of(code, self.scores.union(shares), known)

    def having(self, name: str, binding: Binding) -> Scope:
        paths = frozenset(path for path in self.present if name not in names_in(path))
        meant = {one: path for one, path in self.meant.items() if name not in (one, *names_in(path))}
        return replace(self, names={**self.names, name: binding}, present=paths, meant=meant)

    def naming(self, name: str, node: Expr) -> Scope:
        """The scope in which it is known what a name of it, which has just got this value, stands for."""
        found = path(node, self.meant)
        if found is not None and name not in names_in(found) and len(found) <= LONGEST_PATH:
            return replace(self, meant={**self.meant, name: found})
        return self.knowing(frozenset((f"{name}[0]", f"{name}[-1]"))) if never_empty(node) else self

    def holds(self, node: Expr) -> bool:
        """Whether a condition has asked for this value, so that it is not none."""
        return bool(self.present) and path(node, self.meant) in self.present

    def may_be(self, node: Expr, kind: OneOfRecords) -> Told:
        """The records of a union that a value may be here, as far as conditions have asked for the field that tells."""
        found = path(node, self.meant) if self.present else None
        if found is None:
            return Told(kind.records)
        left = kind.records
        for name in kind.records:
            group = self.records(name)
            member = group.members.get(kind.tag) if group is not None else None
            if member is None or not isinstance(member.type, OneOf):
                return Told(kind.records)  # which is reported
            said = [value for value in member.type.values if f'{found}.{kind.tag}=="{value}"' in self.present]
            if said:
                return Told((name,), there=True)
            if all(f'{found}.{kind.tag}!="{value}"' in self.present for value in member.type.values):
                left = tuple(one for one in left if one != name)
        return Told(left or kind.records)

    def knowing(self, paths: frozenset[str]) -> Scope:
        return replace(self, present=self.present | paths) if paths else self

    def apart(self) -> Scope:
        """The scope of an expression that may be skipped or run several times: its calls get a block of their own."""
        return self if self.block is None else replace(self, block=self.block.inner())

    def step_name(self, node: Expr, wanted: str) -> str:
        """The name of the step that an expression makes: that of the `let` whose value it is, or one like `wanted`."""
        assert self.block is not None
        if self.let is not None and self.let[0] is node:
            return self.let[1]
        return self.block.free_name(wanted)

    def operand(self, node: Expr, kind: Kind) -> codes.types.Operand:
        """A value of this kind, as findings tell of it."""
        return codes.types.Operand(self.place.at(node), spell(kind))
