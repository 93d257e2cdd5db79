"""`eval` blocks and their gates."""

from __future__ import annotations

from collections.abc import Mapping

from dspec.grammar import tokenize
from dspec.grammar.tree import Expr, Gate
from dspec.runtime.expressions import Variable

from .. import ir
from ..diagnostics import Label
from ..symbols import Symbol
from .attributes import Reader
from .expressions import truth
from .fits import check_fit, referred_program, referred_rows
from .kinds import FLOAT, Group, Member
from .metrics import metric
from .optimize import optimize
from .rows import RowsInfo
from .runnable import Runnable
from .scope import Binding, Scope
from .session import Place, Session, insert_item


def evaluation(session: Session, symbol: Symbol) -> ir.Eval | None:
    return session.once(_check_eval, symbol)


def _check_eval(session: Session, symbol: Symbol) -> ir.Eval | None:
    place = session.place(symbol)
    read = Reader(session, place, place.declaration.items)
    subject = referred_program(session, place, read, "program")
    baseline = referred_program(session, place, read, "baseline")
    scored = read.reference("metric")
    judge = metric(session, scored) if scored else None
    data = referred_rows(session, place, read, "data")
    for found in (subject, baseline):
        if found is not None:
            check_fit(session, found, judge if found is subject else None, (data,), read)
            if data is not None:
                _trained_on(session, found, data)
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
        gates=gates,
    )


def _trained_on(session: Session, found: Runnable, data: RowsInfo) -> None:
    """Warn of a score on rows that the program was tuned on."""
    if found.symbol.kind != "optimize":
        return
    block = optimize(session, found.symbol)
    for name, info in (("train", block.train), ("val", block.val)) if block else ():
        if info is not None and info.overlaps(data):
            session.report(
                "DS0805",
                f"`{found.symbol.name}` was tuned on `{info.text}`, so its score on `{data.text}` says "
                "little",
                data.location,
                f"also its `{name}`",
                secondary=(Label(info.location, f"`{name}` of `{found.symbol.name}`"),),
                help="score on rows that no step has seen",
            )
            return


def gate_names(baseline: bool) -> Mapping[str, Binding]:
    """What a gate may read."""
    names = {"score": Binding(FLOAT, Variable(name="score"))}
    if baseline:
        group = Group("the results of the baseline", {"score": Member("score", FLOAT)}, "result", "DS0806")
        names["baseline"] = Binding(group, Variable(name="baseline"))
    return names


def _gate(session: Session, place: Place, item: Gate, baseline: bool) -> ir.Gate:
    if not baseline and _reads_baseline(place, item.condition):
        session.report(
            "DS0806",
            "this gate reads `baseline`, and the block names no baseline",
            place.at(item.condition),
            "no baseline to compare with",
            help="add `baseline = …`",
            fixes=insert_item(place, "baseline = router", "Insert `baseline = …`"),
        )
        baseline = True
    scope = Scope(session, place, gate_names(baseline), "a gate")
    condition = truth(scope, item.condition, "a gate")
    return ir.Gate(text=" ".join(place.text(item.condition).split()), condition=condition)


def _reads_baseline(place: Place, node: Expr) -> bool:
    """True when the word stands in the condition outside text in quotes."""
    return any(token.text == "baseline" and token.kind == "name" for token in tokenize(place.text(node)))
