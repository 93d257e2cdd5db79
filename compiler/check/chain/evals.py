"""`eval` blocks and their gates."""

from __future__ import annotations

from collections.abc import Mapping

from dspec.grammar import tokenize
from dspec.grammar.tree import Expr, Gate
from dspec.runtime.schema.expressions import Variable

from ... import ir
from ...diagnostics import codes
from ...tables.blocks import EVAL_BUDGET
from ..declarations.datasets import TEST_PARTS
from ..declarations.metrics import MetricInfo, rows_measure
from ..expressions.infer import truth
from ..expressions.scope import Binding, Scope
from ..session import Place, Session
from ..shape.attributes import Reader, section
from ..symbols import Symbol
from ..types.declared import RunnableInfo
from ..types.kinds import FLOAT, Group, NamedValue
from .asked import asked_by_judges, asked_by_runs
from .budgets import check_calls, check_models, limited, on_error_of
from .fits import check_fit, referred_program, referred_rows
from .optimize import OptimizeInfo, optimize
from .rows import RowsInfo

SCORES = frozenset({"score", "baseline.score"})
"""Names that a gate may read and whose values lie in 0..1."""


def evaluation(session: Session, symbol: Symbol) -> ir.Eval | None:
    return session.once(_check_eval, symbol)


def _check_eval(session: Session, symbol: Symbol) -> ir.Eval | None:
    place = session.place(symbol)
    read = Reader(session, place, place.declaration.items)
    subject = referred_program(session, place, read, "program")
    baseline = referred_program(session, place, read, "baseline")
    scored = read.reference("metric")
    measure = rows_measure(session, read)
    data = referred_rows(session, place, read, "data")
    for found in (subject, baseline):
        if found is not None:
            check_fit(session, found, measure if found is subject else None, (data,), read)
            if data is not None:
                _trained_on(session, found, data)
    if subject is not None and baseline is not None and subject.symbol is baseline.symbol:
        at, program = (place.at(read.found[name].value) for name in ("baseline", "program"))
        session.report(codes.project.ComparedWithItself(at, program))
    budget = section(place.declaration.items, "budget")
    limits = Reader(session, place, budget.items, EVAL_BUDGET) if budget else None
    tuned = (
        optimize(session, subject.symbol)
        if subject is not None and subject.symbol.kind == "optimize"
        else None
    )
    on_error = on_error_of(read)
    _walled(session, limits, measure, subject, baseline)
    if limits is not None and subject is not None:
        check_calls(session, limits, subject, data, steps=False)
    gates = tuple(
        _gate(session, place, item, "baseline" in read.found)
        for item in place.declaration.items or ()
        if isinstance(item, Gate)
    )
    if not (subject and scored and data):
        return None
    return ir.Eval(
        name=symbol.key,
        program=subject.symbol.key,
        baseline=baseline.symbol.key if baseline else None,
        metric=scored.key,
        data=data.reference,
        on_error=on_error,
        scored_on_error=None if tuned is None or "on_error" in read.found else tuned.on_error,
        budget=None if limits is None else limited(limits),
        gates=gates,
    )


def _walled(
    session: Session,
    limits: Reader | None,
    measure: MetricInfo | None,
    subject: RunnableInfo | None,
    baseline: RunnableInfo | None,
) -> None:
    """Check the models of both programs, and the metric's, against the wall: the eval's own budget or, where it has
    none, that of the optimize block it scores."""
    if subject is None:
        return
    block = _block(session, subject)
    wall = limits or (block.limits if block else None)
    if wall is None:
        return
    for one in (subject, baseline):
        if one is not None:
            scored = _block(session, one)
            check_models(session, wall, scored.asked if scored else asked_by_runs(session, [one]))
    check_models(session, wall, asked_by_judges(session, measure))


def _block(session: Session, found: RunnableInfo) -> OptimizeInfo | None:
    return optimize(session, found.symbol) if found.symbol.kind == "optimize" else None


def _trained_on(session: Session, found: RunnableInfo, data: RowsInfo) -> None:
    """Warn of a score on rows that the program was tuned on."""
    block = _block(session, found)
    for name, info in (("train", block.train), ("val", block.val)) if block else ():
        if info is not None and info.overlaps(data) and info.part not in TEST_PARTS:
            session.report(codes.project.TunedOnThese(data.location, found.symbol.name, name, info.location))
            return


def gate_names(baseline: bool) -> Mapping[str, Binding]:
    """What a gate may read."""
    names = {"score": Binding(FLOAT, Variable(name="score"))}
    if baseline:
        group = Group(
            "the results of the baseline",
            {"score": NamedValue("score", FLOAT)},
            "result",
            "baseline",
        )
        names["baseline"] = Binding(group, Variable(name="baseline"))
    return names


def _gate(session: Session, place: Place, item: Gate, baseline: bool) -> ir.EvalGate:
    if not baseline and _reads_baseline(place, item.condition):
        session.report(codes.project.NoBaseline(place.at(item.condition), place.room))
        baseline = True
    scope = Scope(session, place, gate_names(baseline), "a gate", scores=SCORES)
    condition = truth(scope, item.condition, "a gate")
    return ir.EvalGate(text=" ".join(place.text(item.condition).split()), condition=condition)


def _reads_baseline(place: Place, node: Expr) -> bool:
    """True when the word stands in the condition outside text in quotes."""
    return any(token.text == "baseline" and token.kind == "name" for token in tokenize(place.text(node)))
