"""What the check of a metric finds out; and calls of one metric in another, whose values and judges become the other's own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar, cast

from msgspec import Struct

from dspec.grammar.tree import Call, Expr, Reference
from dspec.runtime.schema.expressions import Expression, ForEach, Variable
from dspec.runtime.schema.program import Reward
from dspec.runtime.schema.types import Frozen

from ... import ir
from ...diagnostics import codes
from ...project.source import Location
from ..expressions.infer import infer
from ..expressions.scope import Measure, Scope, Typed
from ..shape.arguments import match_arguments
from ..symbols import Symbol
from ..types.declared import RunnableInfo
from ..types.kinds import FLOAT, Group, Kind, assignable, is_unknown, spell
from .datasets import DatasetInfo

F = TypeVar("F")


class CalledMetric(Struct, frozen=True):
    """A metric as others call it. `parameters` are its parameters' names there, and `reads` are the members that it reads of
    each; None where it reads one as a whole."""

    parameters: tuple[str, ...]
    reads: tuple[frozenset[str] | None, ...]
    lets: tuple[ir.MetricValue, ...]
    judges: tuple[ir.Judge, ...]
    score: str
    """The name of the value that is its score, the last one."""


class MetricInfo(Struct, frozen=True):
    """`graded` says that the score is a number rather than true or false."""

    symbol: Symbol
    data: DatasetInfo | None
    written_for: RunnableInfo | None
    graded: bool
    accepts: bool
    explains: bool
    judges: bool
    """True when a judge marks the score, so that `reason` says why."""
    metric: ir.Metric | None
    where: Location | None
    """The score."""
    columns: frozenset[str] | None
    """The columns of the dataset that the metric reads; None where they are not known, or it reads a row as a whole."""
    outputs: frozenset[str] | None
    """The outputs of the program that the metric reads; None as for `columns`."""
    reward: Reward | None = None
    alone: bool = False
    """True of a metric without gold labels."""
    takes: tuple[Kind, ...] = ()
    """What its parameters are."""
    part: CalledMetric | None = None
    """The metric as others call it; None where something is wrong with it."""

    @property
    def placed(self) -> ir.Metric | None:
        """The metric with the line of its score. Checks do without it: a metric may move, and is the same metric."""
        if self.metric is None or self.where is None:
            return self.metric
        return self.metric.model_copy(update={"where": self.where.told})

    @property
    def asked(self) -> tuple[ir.Judge, ...]:
        """Whom it asks."""
        made = self.metric or self.reward
        return () if made is None else made.judges


def part_of(
    key: str,
    parameters: tuple[str, ...],
    reads: tuple[frozenset[str] | None, ...],
    score: Expression,
    measure: Measure,
) -> CalledMetric:
    """A metric's score with all that it is made from, as others call it."""
    own = [*parameters, *(let.name for let in measure.lets), *(judge.name for judge in measure.judges)]
    names = {name: name if _is_of_another(name) else f"{key}.{name}" for name in own}
    lets = tuple(
        ir.MetricValue(name=names[let.name], value=renamed(let.value, names), score=let.score)
        for let in measure.lets
    )
    judges = tuple(
        judge.model_copy(update={"name": names[judge.name], "inputs": renamed(judge.inputs, names)})
        for judge in measure.judges
    )
    whole = ir.MetricValue(name=f"{key}()", value=renamed(score, names), score=True)
    return CalledMetric(tuple(names[name] for name in parameters), reads, (*lets, whole), judges, whole.name)


def _is_of_another(name: str) -> bool:
    """Whether it belongs to a metric that this one calls. A name that is written has no dot, and no parentheses either; that
    of a metric's own judge has a number in them."""
    return "." in name or name.endswith("()")


def renamed(code: F, names: Mapping[str, str]) -> F:
    """The same expression, or something that holds expressions, with other names for what it reads. None of them can be hidden
    by a loop's own names, which are written."""
    match code:
        case Variable(name=name):
            return cast("F", Variable(name=names.get(name, name)))
        case ForEach():
            inner = {old: new for old, new in names.items() if old not in (code.variable, code.of)}
            parts = {"iterable": renamed(code.iterable, names), "element": renamed(code.element, inner)}
            return cast("F", code.model_copy(update=parts))
        case Frozen():
            parts = {field: renamed(value, names) for field, value in vars(code).items()}
            return cast("F", code.model_copy(update=parts))
        case tuple():
            return cast("F", tuple(renamed(one, names) for one in cast("tuple[object, ...]", code)))
        case dict():
            return cast(
                "F", {key: renamed(one, names) for key, one in cast("dict[str, object]", code).items()}
            )
        case _:
            return code


def call_metric(scope: Scope, node: Call, callee: MetricInfo) -> Typed:
    """A metric's score within another one, a number in 0..1."""
    title, called = f"`{callee.symbol.name}`", callee.symbol
    nodes = scope.session.place(called).declaration.parameters or ()
    names = [one.name.text for one in nodes]
    given = match_arguments(
        scope.session, scope.place, node, title, names, names, f"{title[:-1]}({', '.join(names)})`"
    )
    if callee.metric is not None and callee.metric.aggregates:
        first = callee.metric.aggregates[0].function
        at = scope.place.at(node.callee)
        scope.session.report(codes.aggregates.CallsOverRows(at, callee.symbol.name, first, called.location))
    part, measure = callee.part, scope.measure
    fits = part is not None and [*given] == names
    codes_of: list[Expression] = []
    for position, name in enumerate(names):
        for argument in given.get(name, ()):
            code = _argument(scope, argument.value, callee, position)
            fits = fits and code is not None
            codes_of += [code] if code is not None else []
    if part is None or measure is None or not fits:
        return Typed(FLOAT)
    own = {let.name for let in measure.lets}
    if part.score not in own:
        measure.lets.extend(
            ir.MetricValue(name=n, value=c) for n, c in zip(part.parameters, codes_of, strict=True)
        )
        measure.lets.extend(let for let in part.lets if let.name not in own)
        judged = {judge.name for judge in measure.judges}
        measure.judges.extend(judge for judge in part.judges if judge.name not in judged)
    return Typed(FLOAT, Variable(name=part.score))


def _argument(scope: Scope, node: Expr, callee: MetricInfo, position: int) -> Expression | None:
    """A row or a run that is handed on. Reports another value, and one that lacks what the metric reads of it."""
    wanted = callee.takes[position]
    typed = infer(scope, node)
    rows = position == 0 and not callee.alone
    if (
        not isinstance(node, Reference)
        or not isinstance(typed.kind, Group)
        or not _handed_on(typed.kind, rows=rows)
    ):
        if not is_unknown(typed.kind):
            own = tuple(name for name, one in scope.names.items() if _handed_on(one.kind, rows=rows))
            at, name = scope.place.at(node), callee.symbol.name
            scope.session.report(codes.metric_calls.NotHandedOn(at, name, callee.symbol.location, rows, own))
        return None
    if not isinstance(wanted, Group) or wanted.open or typed.kind.open or callee.part is None:
        return typed.code
    reads = callee.part.reads[position]
    for name, member in wanted.members.items():
        given = typed.kind.members.get(name)
        if reads is not None and name not in reads:
            continue
        if given is None or not assignable(given.type, member.type):
            kinds = spell(member.type), "" if given is None else spell(given.type)
            at, where = scope.place.at(node), member.location or callee.symbol.location
            scope.session.report(codes.metric_calls.MetricLacks(at, callee.symbol.name, name, *kinds, where))
            return None
    return typed.code


def _handed_on(kind: Kind, *, rows: bool) -> bool:
    return isinstance(kind, Group) and (kind.role == "gold") == rows
