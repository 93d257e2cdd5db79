"""`optimize` blocks: program, metric, rows, budget and steps."""

from __future__ import annotations

from dspec.grammar.tree import Call, Expr, Reference, Setting

from ... import ir
from ...diagnostics.fixes import suggestions
from ...diagnostics.record import Label
from ...diagnostics.spelling import closest
from ...diagnostics.wording import did_you_mean, listed
from ...optimizers.table import FIRST_STEP
from ...tables.blocks import BUDGET
from ..declarations.metrics import metric
from ..session import Place, Session, insert_item
from ..shape.attributes import Reader, section
from ..shape.shape import later
from ..symbols import Symbol
from ..types.declared import Runnable, Tuned
from .advice import check_advice, check_teachers
from .asked import NOTHING, Asked, asked_by_judges, asked_by_result, asked_by_steps
from .budgets import check_calls, check_models, limited, on_error_of
from .chain import check_chain
from .compat import with_compat
from .fits import check_fit, check_steps_fit, check_test_rows, referred_program, referred_rows
from .frozen import with_frozen
from .indexes import check_indexes
from .members import check_members
from .rows import RowsInfo
from .step import StepInfo
from .steps import steps


class OptimizeInfo(Tuned, frozen=True):
    train: RowsInfo | None
    val: RowsInfo | None
    optimize: ir.Optimize | None
    limits: Reader | None
    """The budget, which also evals that have none keep to."""
    asked: Asked
    """By runs of the result."""


def optimize(session: Session, symbol: Symbol) -> OptimizeInfo | None:
    return session.once(_check_optimize, symbol)


def _check_optimize(session: Session, symbol: Symbol) -> OptimizeInfo:
    place = session.place(symbol)
    items = place.declaration.items
    read = Reader(session, place, items)
    tuned = referred_program(session, place, read, "program")
    if tuned is not None and tuned.symbol.kind == "optimize":
        later(
            session,
            place,
            f"tuning the result of another optimize block, `{tuned.symbol.name}`",
            read.found["program"].value,
        )
    scored = read.reference("metric")
    judge = metric(session, scored) if scored else None
    train, val = referred_rows(session, place, read, "train"), referred_rows(session, place, read, "val")
    lms = {name: read.reference(name) for name in ("lm", "prompt_lm", "teacher_lm")}
    seed = read.integer("seed")
    budget = section(items, "budget")
    limits = Reader(session, place, budget.items, BUDGET) if budget else None
    on_error = on_error_of(read)
    chain = with_compat(session, place, steps(session, place, symbol), read.choice("compat"))
    chain = with_frozen(session, read, chain, tuned)
    emit = _emit(session, place, read.value("emit"), chain)
    stray = any(isinstance(item, Setting) and isinstance(item.value, Call) for item in items or ())
    if items is not None and not chain and not place.block.problems and not stray:
        session.report(
            "DS0619",
            f"optimize block `{symbol.name}` has no step, so there is nothing to do",
            symbol.location,
            "no step",
            help=f"for example `{FIRST_STEP}`",
            fixes=insert_item(place, FIRST_STEP, "Insert a step"),
        )
    check_chain(session, place, chain, emit)
    asked = NOTHING
    if tuned is not None:
        check_fit(session, tuned, judge, (train, val), read)
        _tunable(session, symbol, tuned)
        check_members(session, place, chain, tuned)
        check_indexes(session, place, chain, tuned, train)
        check_teachers(session, place, chain, tuned)
        asked = asked_by_result(session, place, tuned, lms["lm"], chain)
        if limits is not None:
            besides = asked_by_steps(session, place, lms, chain).with_more(asked_by_judges(session, judge))
            check_models(session, limits, asked.with_more(besides))
            check_calls(session, limits, tuned, val or train, steps=True)
    check_steps_fit(session, place, chain, judge, train, val)
    check_advice(session, place, chain, judge, train, val)
    check_test_rows(session, (("train", train), ("val", val)))
    built = None
    specs = [step.ir() for step in chain]
    ready = [spec for spec in specs if spec is not None]
    if tuned and scored and train and ready and len(ready) == len(specs):
        built = ir.Optimize(
            name=symbol.key,
            program=tuned.symbol.key,
            metric=scored.key,
            train=train.reference,
            val=val.reference if val else None,
            lm=lms["lm"].key if lms["lm"] else None,
            prompt_lm=lms["prompt_lm"].key if lms["prompt_lm"] else None,
            teacher_lm=lms["teacher_lm"].key if lms["teacher_lm"] else None,
            seed=seed or 0,
            on_error=on_error,
            budget=limited(limits),
            steps=tuple(ready),
            emit=emit or ready[-1].name,
        )
    base = tuned or Runnable(symbol, {}, {}, None, known=False)
    own = Runnable(symbol, base.inputs, base.outputs, base.program, base.unbound, base.known)
    return OptimizeInfo(own, train, val, built, limits, asked)


def _emit(session: Session, place: Place, node: Expr | None, chain: list[StepInfo]) -> str | None:
    if node is None:
        return None
    names = [step.name for step in chain if step.symbol]
    written = place.text(node)
    if isinstance(node, Reference) and written in names:
        session.use(place, node, next(step.symbol for step in chain if step.name == written))
        return written
    near = closest(written, names)
    session.report(
        "DS0622",
        f"`emit` names `{written}`, which is no step of this block{did_you_mean(near)}",
        place.at(node),
        "not a step",
        help=""
        if near
        else f"its steps are {listed(names)}"
        if names
        else "give a step a name: `step demos = …`",
        fixes=suggestions(place.at(node), near),
    )
    return None


def _tunable(session: Session, symbol: Symbol, tuned: Runnable) -> None:
    if tuned.program is not None and not tuned.program.predictors:
        session.report(
            "DS0615",
            f"`{tuned.symbol.name}` calls no model, so there is nothing to tune",
            symbol.location,
            "nothing to tune",
            secondary=(Label(tuned.symbol.location, "calls no module"),),
        )
