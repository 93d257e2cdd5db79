"""`metric` declarations: `gold` has the dataset's columns, `pred` the program's outputs.

A metric of one parameter has no gold labels. It is a reward: `pred` has what was tried, inputs and outputs.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

from msgspec import Struct
from msgspec.structs import replace

from dspec.grammar.tree import Call, Conditional, Expr, NamedType, Node, Parameter, Reference, TypeNode
from dspec.grammar.walk import children
from dspec.runtime.running.rewards import REASON
from dspec.runtime.schema.expressions import Constant, Expression, If, Variable
from dspec.runtime.schema.program import Reward
from dspec.runtime.schema.types import BOOL, STR

from ... import ir
from ...diagnostics import codes
from ...tables.aggregates import AGGREGATES
from ...tables.judges import JUDGES
from ..expressions.aggregates import check_made_of_aggregates
from ..expressions.infer import expect, truth, value
from ..expressions.ranges import SHARE
from ..expressions.scope import Binding, Scope
from ..names.names import find, resolve
from ..session import Place, Session
from ..shape.attributes import Reader, settings
from ..symbols import Symbol
from ..types.declared import RunnableInfo, runnable
from ..types.kinds import ANY, Group, Kind, is_number, is_unknown, spell
from ..types.typenames import resolve_type
from .datasets import DatasetInfo, dataset
from .members_read import members_read
from .records import records_lookup
from .signatures import signature


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
    columns: frozenset[str] | None
    """The columns of the dataset that the metric reads; None where they are not known, or it reads a row as a whole."""
    outputs: frozenset[str] | None
    """The outputs of the program that the metric reads; None as for `columns`."""
    reward: Reward | None = None
    alone: bool = False
    """True of a metric without gold labels."""


def metric(session: Session, symbol: Symbol) -> MetricInfo | None:
    return session.once(_check_metric, symbol)


def _check_metric(session: Session, symbol: Symbol) -> MetricInfo:
    place = session.place(symbol)
    declaration = place.declaration
    nodes = declaration.parameters or ()
    alone = _prediction_of(session, place, nodes)
    data, written_for, names = (
        _parameters(session, place, symbol, nodes) if alone is None else _prediction(session, place, alone)
    )
    found = settings(declaration.items)
    value = declaration.value
    score_node = None if declaration.items is not None or isinstance(value, TypeNode) else value
    if "score" in found:
        score_node = found["score"].value
    reads: set[str] = set()
    judges: list[ir.Judge] = []
    aggregates: list[ir.Aggregate] = []
    reasoned = False
    scope = Scope(
        session, place, names, "a metric", reads=reads, records=records_lookup(session), judges=judges
    )
    kind: Kind = ANY
    graded: bool | None = None
    score: Expression = Constant(value=None)
    if score_node is not None:
        mistakes = len(session.findings)
        whole = replace(scope, aggregates=aggregates) if alone is None else replace(scope, one_row="a reward")
        kind, score = _score(whole, score_node)
        if aggregates:
            graded = _over_rows(whole, score_node, score, names, mistakes)
        if "score" not in names:
            numeric = is_number(kind)
            shown: Kind = kind if numeric or kind == BOOL else ANY
            scope = replace(scope, scores=frozenset({"score"}) if numeric else frozenset())
            scope = scope.having("score", Binding(shown, Variable(name="score")))
        reasoned = bool(judges) and REASON not in names
        # A judge that is called wrongly gives no reason. A use of the name is then no second mistake.
        faulty = any(found.code.severity == "error" for found in session.findings[mistakes:])
        if reasoned or (faulty and REASON not in names):
            sure = reasoned or _calls_judge(score_node)
            scope = scope.having(REASON, Binding(STR, Variable(name=REASON), sure=sure))
        if len(session.findings) == mistakes and not place.block.problems:
            _ignores(session, place, nodes, names, reads, score_node)
    scope = replace(scope, one_row="`accept`")
    if alone is not None and "accept" in found:
        session.report(codes.metrics.AcceptsNothing(place.at(found["accept"])))
    accept = truth(scope, found["accept"].value, "`accept`") if "accept" in found else None
    if accept is not None and "accept" not in names:
        scope = scope.having("accept", Binding(BOOL, Variable(name="accept")))
    scope = replace(scope, one_row="`feedback`")
    feedback = expect(scope, found["feedback"].value, STR, "`feedback`") if "feedback" in found else None
    built = None
    if data and written_for and len(nodes) == 2 and score_node is not None:
        built = ir.Metric(
            name=symbol.key,
            gold=nodes[0].name.text,
            pred=nodes[1].name.text,
            dataset=data.symbol.key,
            program=written_for.symbol.key,
            score=score,
            accept=accept,
            feedback=feedback,
            judges=tuple(judges),
            aggregates=tuple(aggregates),
            where=_where(place, score_node),
        )
    reward = None
    if alone is not None and written_for and score_node is not None:
        reward = Reward(
            name=symbol.key,
            pred=alone.name.text,
            score=score,
            feedback=feedback,
            judges=tuple(judges),
        )
    return MetricInfo(
        symbol,
        data,
        written_for,
        graded=is_number(kind) if graded is None else graded,
        accepts=accept is not None,
        explains=feedback is not None,
        judges=reasoned,
        metric=built,
        columns=None if built is None else members_read(built, built.gold),
        outputs=None if built is None else members_read(built, built.pred),
        reward=reward,
        alone=alone is not None,
    )


def rows_measure(session: Session, read: Reader) -> MetricInfo | None:
    """The `metric` of a block that scores rows; reports one that has no gold labels."""
    symbol = read.reference("metric")
    found = metric(session, symbol) if symbol else None
    if found is not None and found.alone:
        at = read.place.at(read.found["metric"].value)
        session.report(codes.metrics.RewardOnRows(at, found.symbol.location))
        return None
    return found


_RUNS = ("module", "program", "signature")


def _prediction_of(session: Session, place: Place, nodes: tuple[Parameter, ...]) -> Parameter | None:
    """The only parameter of a metric, if it stands for a run of something rather than for a row of a dataset."""
    if len(nodes) != 1:
        return None
    (node,) = nodes
    symbol = find(session, place, node.type) if isinstance(node.type, NamedType) else None
    return node if symbol is not None and symbol.kind in _RUNS else None


def _prediction(
    session: Session, place: Place, node: Parameter
) -> tuple[None, RunnableInfo | None, dict[str, Binding]]:
    """Reads the reward's parameter, which has the inputs and outputs of what is tried."""
    assert isinstance(node.type, NamedType)
    symbol = resolve(session, place, node.type, _RUNS, f"`{node.name.text}`")
    written_for: RunnableInfo | None = None
    if symbol is not None and symbol.kind == "signature":
        asked = signature(session, symbol)
        written_for = RunnableInfo(symbol, asked.inputs, asked.outputs, None) if asked else None
    elif symbol is not None:
        written_for = runnable(session, symbol)
    if written_for is None and symbol is not None:
        session.report(codes.names.LeadsBack(place.at(node.type), f"`{node.name.text}`", symbol.location, ()))
    kind: Kind = ANY
    if written_for is not None and written_for.known:
        title = f"what `{written_for.symbol.name}` takes and gives"
        kind = Group(title, {**written_for.inputs, **written_for.outputs}, "field", "pred")
    local = session.declare(place, "parameter", node.name.text, node.name, detail=spell(kind))
    return None, written_for, {node.name.text: Binding(kind, Variable(name=node.name.text), local)}


def _parameters(
    session: Session, place: Place, symbol: Symbol, nodes: tuple[Parameter, ...]
) -> tuple[DatasetInfo | None, RunnableInfo | None, dict[str, Binding]]:
    names: dict[str, Binding] = {}
    data: DatasetInfo | None = None
    written_for: RunnableInfo | None = None
    if place.declaration.parameters is not None and len(nodes) != 2 and not place.block.problems:
        session.report(codes.metrics.NotTwoParameters(symbol.location, len(nodes)))
    for position, node in enumerate(nodes):
        kind: Kind = ANY
        if node.type is None:
            session.report(codes.metrics.OfNothing(place.at(node), node.name.text, row=position == 0))
        elif position > 1:
            resolve_type(session, place, node.type)
        elif not isinstance(node.type, NamedType):
            wanted = "dataset" if position == 0 else "program"
            session.report(codes.names.NotADeclaration(place.at(node.type), node.name.text, wanted))
        elif position == 0:
            found = resolve(session, place, node.type, ("dataset",), f"`{node.name.text}`")
            data = dataset(session, found) if found else None
            kind = data.columns if data else ANY
        else:
            found = resolve(
                session, place, node.type, ("module", "program", "optimize"), f"`{node.name.text}`"
            )
            written_for = runnable(session, found) if found else None
            if written_for is not None and written_for.known:
                results = written_for.results()
                kind = Group(results.title, results.members, "output", "pred")
        first = names.get(node.name.text)
        local = session.declare(place, "parameter", node.name.text, node.name, detail=spell(kind))
        if first and first.symbol:
            session.report(codes.names.ParametersAlike(place.at(node.name), first.symbol.location))
            continue
        names[node.name.text] = Binding(kind, Variable(name=node.name.text), local)
    return data, written_for, names


def _where(place: Place, node: Node) -> str:
    at = place.at(node)
    return f"{at.source.name}:{at.source.position(at.start).line}"


def _calls_judge(node: Node) -> bool:
    if isinstance(node, Call) and isinstance(node.callee, Reference) and node.callee.name.text in JUDGES:
        return True
    return any(_calls_judge(child) for child in children(node))


def _over_rows(
    scope: Scope, node: Expr, code: Expression, names: Mapping[str, Binding], mistakes: int
) -> bool:
    """Check a score that is made of aggregates. Returns whether a row by itself may score a number between 0 and 1."""
    assert scope.aggregates is not None
    if len(scope.session.findings) == mistakes:
        bounds = check_made_of_aggregates(scope, node, code, names)
        if bounds is not None and not (bounds.low >= 0 and bounds.high <= 1):
            scope.session.report(codes.metrics.ScoreOutOfRange(scope.place.at(node), bounds.low, bounds.high))
    return not (isinstance(code, Variable) and AGGREGATES[scope.aggregates[0].function].of_labels)


def _score(scope: Scope, node: Expr) -> tuple[Kind, Expression]:
    kind, code = value(scope, node, "`score`")
    if not (kind == BOOL or is_number(kind) or is_unknown(kind)):
        scope.session.report(codes.metrics.NoScore(scope.place.at(node), spell(kind)))
        return ANY, code
    if not scope.aggregates:
        _in_range(scope, node, code)
    return kind, code


def _in_range(scope: Scope, node: Expr, code: Expression) -> None:
    """Report a score that cannot lie in 0..1, or is known to leave it; each branch of a condition by itself."""
    if isinstance(node, Conditional) and isinstance(code, If):
        _in_range(scope, node.consequence, code.consequence)
        _in_range(scope, node.alternative, code.alternative)
        return
    found = scope.range_of(code)
    outside = found.beside(SHARE)
    reached = found.free < 2 and not math.isinf(found.high) and not math.isinf(found.low)
    if outside or (reached and not (found.low >= 0 and found.high <= 1)):
        scope.session.report(codes.metrics.ScoreOutOfRange(scope.place.at(node), found.low, found.high))


def _ignores(
    session: Session,
    place: Place,
    nodes: tuple[Parameter, ...],
    names: dict[str, Binding],
    reads: set[str],
    node: Expr,
) -> None:
    """Warn of a score that does not look at what the program answered."""
    if not 1 <= len(nodes) <= 2 or nodes[-1].name.text in reads or nodes[-1].name.text not in names:
        return
    pred = nodes[-1].name.text
    session.report(codes.metrics.IgnoresProgram(place.at(node), pred, place.at(nodes[-1])))
