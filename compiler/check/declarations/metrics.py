"""`metric` declarations: `gold` has the dataset's columns, `pred` the program's outputs.

A metric of one parameter has no gold labels. It is a reward: `pred` has what was tried, inputs and outputs.
"""

from __future__ import annotations

from collections.abc import Mapping

from msgspec.structs import replace

from dspec.grammar.tree import (
    Call,
    Expr,
    Item,
    Let,
    NamedType,
    Node,
    Parameter,
    Reference,
    SettingOf,
    Span,
    TypeNode,
)
from dspec.grammar.walk import children
from dspec.runtime.running.rewards import REASON
from dspec.runtime.schema.expressions import Constant, Expression, Variable
from dspec.runtime.schema.program import Reward
from dspec.runtime.schema.types import BOOL, STR

from ... import ir
from ...diagnostics import codes
from ...tables.aggregates import AGGREGATES
from ...tables.block_specs import SymbolKind
from ...tables.judges import JUDGES
from ..expressions.aggregates import check_made_of_aggregates
from ..expressions.in_range import check_in_range
from ..expressions.infer import expect, infer, truth, value
from ..expressions.scope import Binding, Measure, Scope, Typed
from ..names.names import find, resolve
from ..session import Place, Session
from ..shape.attributes import Reader, settings
from ..symbols import Symbol
from ..types.declared import RunnableInfo, runnable
from ..types.kinds import ANY, FLOAT, Group, Kind, is_number, is_unknown, spell
from ..types.typenames import resolve_type
from .callees import check_called_first
from .datasets import DatasetInfo, dataset
from .feedback import feedbacks
from .members_read import members_read
from .metric_functions import call_extern, call_function, is_function
from .metric_parts import MetricInfo, call_metric, part_of
from .records import records_lookup
from .signatures import signature


def metric(session: Session, symbol: Symbol) -> MetricInfo | None:
    return session.once(_check_metric, symbol)


def _check_metric(session: Session, symbol: Symbol) -> MetricInfo:
    check_called_first(session, symbol)
    place = session.place(symbol)
    declaration = place.declaration
    nodes = declaration.parameters or ()
    alone = _prediction_of(session, place, nodes)
    data, written_for, names = (
        _parameters(session, place, symbol, nodes) if alone is None else _prediction(session, place, alone)
    )
    takes = tuple(names[node.name.text].kind for node in nodes if node.name.text in names)
    found = settings(declaration.items)
    value = declaration.value
    score_node = None if declaration.items is not None or isinstance(value, TypeNode) else value
    if "score" in found:
        score_node = found["score"].value
    reads: set[str] = set()
    aggregates: list[ir.Aggregate] = []
    measure = Measure()
    mistakes = len(session.findings)
    scope = Scope(
        session,
        place,
        names,
        "a metric",
        reads=reads,
        records=records_lookup(session),
        measure=measure,
        calls=_call,
        callable=_CALLABLE,
        one_row="a `let`",
    )
    scope, lets = _lets(scope, declaration.items or ())
    own = scope.names
    kind: Kind = ANY
    graded: bool | None = None
    score: Expression = Constant(value=None)
    faulty = reasoned = False
    direct = isinstance(score_node, Call) and is_function(scope, score_node)
    if score_node is not None:
        whole = replace(scope, aggregates=aggregates) if alone is None else replace(scope, one_row="a reward")
        kind, score = _score(whole, score_node, symbol if direct else None, names)
        if aggregates:
            graded = _over_rows(whole, score_node, score, mistakes)
        if "score" not in own:
            numeric = is_number(kind)
            shown: Kind = kind if numeric or kind == BOOL else ANY
            scope = replace(scope, scores=scope.scores | {"score"} if numeric else scope.scores)
            scope = scope.having("score", Binding(shown, Variable(name="score")))
        reasoned = any(judge.gives != "value" for judge in measure.judges) and REASON not in own
        # A judge that is called wrongly gives no reason. A use of the name is then no second mistake.
        faulty = any(found.code.severity == "error" for found in session.findings[mistakes:])
        if reasoned or (faulty and REASON not in own):
            sure = reasoned or _calls_judge(score_node)
            scope = scope.having(REASON, Binding(STR, Variable(name=REASON), sure=sure))
        if len(session.findings) == mistakes and not place.block.problems:
            _ignores(session, place, nodes, names, reads, score_node)
    scope = replace(scope, one_row="`accept`")
    if alone is not None and "accept" in found:
        session.report(codes.metrics.AcceptsNothing(place.at(found["accept"])))
    scored = Measure([*measure.judges], [*measure.lets])
    accept = truth(scope, found["accept"].value, "`accept`") if "accept" in found else None
    if accept is not None and "accept" not in own:
        scope = scope.having("accept", Binding(BOOL, Variable(name="accept")))
    scope = replace(scope, one_row="`feedback`")
    feedback = expect(scope, found["feedback"].value, STR, "`feedback`") if "feedback" in found else None
    items = declaration.items or ()
    student = None if alone is not None or written_for is None else written_for.program
    for_one = feedbacks(scope, items, student)
    for item in items if alone is not None else ():
        if isinstance(item, SettingOf):
            session.report(codes.metric_calls.NotForOne(place.at(item.address), item.name.text, reward=True))
    if direct and feedback is None:  # what the function says besides the score
        feedback = Variable(name=REASON)
    if len(session.findings) == mistakes and not place.block.problems:
        read = {id(use.symbol) for use in session.uses}
        for let in lets:
            if id(let) not in read:
                session.report(codes.names.UnusedValue(let.location, "value"))
    built = None
    read_over = (one for aggregate in aggregates for one in aggregate.inputs)
    parts = (score, accept, feedback, *for_one.values(), *read_over)
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
            feedbacks=for_one,
            lets=tuple(measure.lets),
            judges=tuple(measure.judges),
            aggregates=tuple(aggregates),
            where="",
        )
    reward = None
    if alone is not None and written_for and score_node is not None:
        reward = Reward(
            name=symbol.key,
            pred=alone.name.text,
            score=score,
            feedback=feedback,
            lets=tuple(measure.lets),
            judges=tuple(measure.judges),
        )
    part = None
    if not faulty and not aggregates and (built or reward):
        given = tuple(node.name.text for node in nodes)
        of_score = tuple(members_read((score,), scored, name) for name in given)
        part = part_of(symbol.key, given, of_score, score, scored)
    return MetricInfo(
        symbol,
        data,
        written_for,
        graded=is_number(kind) if graded is None else graded,
        accepts=accept is not None,
        explains=feedback is not None or bool(for_one),
        judges=reasoned,
        metric=built,
        where=None if score_node is None else place.at(score_node),
        columns=None if built is None else members_read(parts, measure, built.gold),
        outputs=None if built is None else members_read(parts, measure, built.pred),
        reward=reward,
        alone=alone is not None,
        takes=takes,
        part=part,
    )


_CALLABLE: tuple[SymbolKind, ...] = ("metric", "extern")
"""What a metric may call, besides functions and judges."""


def _call(scope: Scope, node: Call, callee: Symbol) -> Typed:
    if callee is scope.session.symbol_of(scope.place):
        at = scope.place.at(node.callee)
        scope.session.report(codes.circles.CallsItself(at, callee.location, "metric"))
        return Typed(FLOAT)
    if callee.kind == "extern":
        return call_extern(scope, node, callee)
    found = metric(scope.session, callee)
    if found is None:  # a circle, which is reported where it is closed
        for argument in node.arguments:
            infer(scope, argument.value)
        return Typed(FLOAT)
    return call_metric(scope, node, found)


_SAID = ("score", "accept", REASON)
"""Names of what the metric itself says, which no `let` may take."""


def _lets(scope: Scope, items: tuple[Item, ...]) -> tuple[Scope, list[Symbol]]:
    """The scope with the values that the metric names, and their symbols."""
    session, place, measure = scope.session, scope.place, scope.measure
    assert measure is not None
    symbols: list[Symbol] = []
    for item in items:
        if not isinstance(item, Let):
            continue
        name = item.name.text
        typed = infer(scope, item.value)
        symbol = session.declare(place, "let", name, item.name, detail=spell(typed.kind))
        first = scope.names.get(name)
        if name in _SAID:
            session.report(codes.repeats.SaidByMetric(place.at(item.name)))
            continue
        if first is not None:
            if first.symbol is not None:
                session.report(codes.repeats.ValueTwice(place.at(item.name), first.symbol.location, "metric"))
            continue
        bound = Binding(typed.kind, Variable(name=name), symbol, length=typed.length, unsure=typed.unsure)
        if scope.range_of(typed.code).is_score:
            scope = replace(scope, scores=scope.scores | {name})
        measure.lets.append(ir.MetricValue(name=name, value=typed.code))
        measure.written[name] = item.value
        measure.ranges[name] = scope.range_of(typed.code, lets=True)
        symbols.append(symbol)
        scope = scope.having(name, bound).naming(name, item.value)
    return scope, symbols


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
        written_for = (
            RunnableInfo(symbol, asked.inputs, asked.outputs, None, known=asked.whole) if asked else None
        )
    elif symbol is not None:
        written_for = runnable(session, symbol)
    if written_for is None and symbol is not None:
        session.report(
            codes.circles.LeadsBack(place.at(node.type), f"`{node.name.text}`", symbol.location, ())
        )
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
    more = tuple(node.name.text for node in nodes[2:])
    whole = place.declaration.parameters is not None and not place.block.problems
    if whole and more and all(node.type is None for node in nodes[2:]):
        at = place.at(Span(nodes[2].span.start, nodes[-1].span.end))
        session.report(codes.metrics.NoSuchParameters(at, symbol.name, more))
    elif whole and len(nodes) != 2:
        session.report(codes.metrics.NotTwoParameters(symbol.location, len(nodes)))
    bare = [] if more else [node for node in nodes if node.type is None]
    if len(bare) == 2:
        at = place.at(Span(bare[0].span.start, bare[1].span.end))
        session.report(codes.metrics.OfNothingAtAll(at, symbol.name, bare[0].name.text, bare[1].name.text))
    for position, node in enumerate(nodes):
        kind: Kind = ANY
        if node.type is None:
            if len(bare) == 1:
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
            session.report(codes.repeats.ParametersAlike(place.at(node.name), first.symbol.location))
            continue
        names[node.name.text] = Binding(kind, Variable(name=node.name.text), local)
    return data, written_for, names


def _calls_judge(node: Node) -> bool:
    if isinstance(node, Call) and isinstance(node.callee, Reference) and node.callee.name.text in JUDGES:
        return True
    return any(_calls_judge(child) for child in children(node))


def _over_rows(scope: Scope, node: Expr, code: Expression, mistakes: int) -> bool:
    """Check a score that is made of aggregates. Returns whether a row by itself may score a number between 0 and 1."""
    assert scope.aggregates is not None
    if len(scope.session.findings) == mistakes:
        bounds = check_made_of_aggregates(scope, node, code)
        if bounds is not None and not (bounds.low >= 0 and bounds.high <= 1):
            scope.session.report(codes.metrics.ScoreOutOfRange(scope.place.at(node), bounds.low, bounds.high))
    return not (isinstance(code, Variable) and AGGREGATES[scope.aggregates[0].function].of_labels)


def _score(
    scope: Scope, node: Expr, function: Symbol | None, parameters: Mapping[str, Binding]
) -> tuple[Kind, Expression]:
    """The score; with `function`, that of the metric of this name, whose score is a function of the project."""
    if function is not None and isinstance(node, Call):
        typed = call_function(scope, node, function, parameters)
        return FLOAT, typed.code
    kind, code = value(scope, node, "`score`")
    if not (kind == BOOL or is_number(kind) or is_unknown(kind)):
        scope.session.report(codes.metrics.NoScore(scope.place.at(node), spell(kind)))
        return ANY, code
    if not scope.aggregates:
        check_in_range(scope, node, code)
    return kind, code


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
