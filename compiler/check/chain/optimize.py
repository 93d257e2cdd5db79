"""`optimize` blocks: program, metric, rows, budget and steps."""

from __future__ import annotations

from msgspec.structs import replace

from dspec.grammar.tree import Call, Expr, Reference, Setting

from ... import ir
from ...diagnostics import codes
from ...optimizers.table import FIRST_STEP
from ...tables.blocks import BUDGET
from ..declarations.metrics import rows_measure
from ..session import Place, Session
from ..shape.attributes import Reader, section
from ..symbols import Symbol
from ..types.declared import RunnableInfo, SavedInfo, TunedInfo
from .advice import check_advice, check_teachers, check_temperatures
from .asked import NOTHING, ModelsAsked, asked_by_judges, asked_by_result, asked_by_steps
from .budgets import check_calls, check_models, least_compared, limited, on_error_of
from .chain import check_chain
from .cheapest import cheapest, check_priced
from .compat import with_compat
from .fits import check_fit, check_steps_fit, check_test_rows, referred_program, referred_rows
from .frozen import with_frozen
from .indexes import check_indexes
from .labels import check_labels, check_shown
from .members import check_members
from .models import chosen_among
from .origins import DECLARED, Origin, block_origin, declared_origin, saved_origin
from .rows import RowsInfo
from .step import StepInfo, named_steps
from .steps import steps
from .students import Students, moved, start_of, students
from .weights import check_weights


class OptimizeInfo(TunedInfo, frozen=True):
    train: RowsInfo | None
    val: RowsInfo | None
    optimize: ir.Optimize | None
    limits: Reader | None
    """The budget. An eval of this block that has no budget keeps to it, too."""
    on_error: ir.OnError
    """An eval of this block that has no `on_error` keeps to it, too."""
    asked: ModelsAsked
    """The models that runs of the result may ask."""
    result: Origin
    """What the steps made of the program."""


def optimize(session: Session, symbol: Symbol) -> OptimizeInfo | None:
    return session.once(_check_optimize, symbol)


def _check_optimize(session: Session, symbol: Symbol) -> OptimizeInfo:
    place = session.place(symbol)
    items = place.declaration.items
    read = Reader(session, place, items)
    tuned = referred_program(session, place, read, "program")
    scored = read.reference("metric")
    measure = rows_measure(session, read)
    train, val = referred_rows(session, place, read, "train"), referred_rows(session, place, read, "val")
    lms = {name: read.reference(name) for name in ("lm", "prompt_lm", "teacher_lm")}
    seed = read.integer("seed")
    budget = section(items, "budget")
    limits = Reader(session, place, budget.items, BUDGET) if budget else None
    on_error = on_error_of(read)
    said = read.choice("scoring")
    scoring: ir.Scoring = "none" if said == "none" else "all" if said == "all" else "enough"
    unit, gate = cheapest(session, read, measure)
    keep = read.integer("keep")
    chain = with_compat(session, steps(session, place, symbol), read.choice("compat"))
    programs: Students = students(session, chain, tuned) if tuned is not None else {}
    chain = with_frozen(session, read, chain, tuned, programs)
    models = chosen_among(session, read, tuned, chain)
    if models:
        lms["lm"] = models[0]
    emit = _emit(session, place, read.value("emit"), chain)
    stray = any(isinstance(item, Setting) and isinstance(item.value, Call) for item in items or ())
    if items is not None and not chain and not place.block.problems and not stray:
        session.report(codes.chains.NoStep(symbol.location, FIRST_STEP, place.room))
    origins = _origins(session, read, tuned, chain)
    result = check_chain(session, chain, emit, origins)
    asked = NOTHING
    if tuned is not None:
        check_fit(session, tuned, measure, (train, val), read)
        if tuned.program is not None and not tuned.program.predictors:
            session.report(codes.chains.CallsNoModel(symbol.location, tuned.symbol.location))
        check_members(session, chain, tuned)
        shown = check_indexes(session, chain, programs, train, origins)
        result = replace(result, shown=shown.get(emit or (chain[-1].name if chain else ""), {}))
        check_teachers(session, chain, programs, tuned)
        check_temperatures(session, chain, programs, tuned, lms)
        check_weights(session, chain, programs, tuned, lms)
        asked = asked_by_result(session, place, tuned, lms["lm"], chain)
        for model in models[1:]:
            asked = asked.with_more(asked_by_result(session, place, tuned, model, chain))
        if unit == "usd":
            check_priced(session, read, asked)
        if limits is not None:
            besides = asked_by_steps(session, place, lms, chain).with_more(asked_by_judges(session, measure))
            check_models(session, limits, asked.with_more(besides))
            if scoring != "none":
                check_calls(
                    session,
                    limits,
                    tuned,
                    val or train,
                    steps=True,
                    most=least_compared(chain) if val and scoring == "enough" else None,
                )
    if tuned is not None:
        check_labels(session, chain, tuned, train)
        check_shown(session, chain, tuned, train)
    check_steps_fit(
        session, chain, measure, train, val, val_named="val" in read.found, scored=scoring != "none"
    )
    check_advice(session, chain, measure, train, val)
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
            lms=tuple(model.key for model in models),
            prompt_lm=lms["prompt_lm"].key if lms["prompt_lm"] else None,
            teacher_lm=lms["teacher_lm"].key if lms["teacher_lm"] else None,
            seed=seed or 0,
            on_error=on_error,
            scoring=scoring,
            budget=limited(limits),
            steps=tuple(ready),
            emit=emit or ready[-1].name,
            drops=emit is None,
            minimize=unit,
            gate=gate,
            keep=keep or 0,
        )
    base = tuned or RunnableInfo(symbol, {}, {}, None, known=False)
    program = moved(session, base, lms["lm"])
    own = RunnableInfo(symbol, base.inputs, base.outputs, program, base.unbound, base.known)
    return OptimizeInfo(own, result.ensemble, train, val, built, limits, on_error, asked, result)


def _origins(
    session: Session, read: Reader, tuned: RunnableInfo | None, chain: list[StepInfo]
) -> dict[str, Origin]:
    """The origins of the block's program, "", and of others that steps start from, by key. Reports an ensemble as the
    block's program, which cannot be tuned."""
    found: dict[str, Origin] = {}
    node = read.value("program")
    if tuned is not None and node is not None:
        found[""] = start = _origin(session, tuned, read.place.text(node))
        if start.ensemble:
            at, made = read.place.at(node), tuned.symbol.location
            session.report(
                codes.ensembles.TunesResult(at, start.name, made if tuned.symbol.kind == "optimize" else None)
            )
            found[""] = DECLARED
    for step in chain:
        argument = step.arguments.get("student")
        named = start_of(session, step.place, argument.value) if argument and step.student else None
        if argument is not None and named is not None and named.symbol.key == step.student:
            found[named.symbol.key] = _origin(session, named, step.place.text(argument.value))
    return found


def _origin(session: Session, info: RunnableInfo, name: str) -> Origin:
    if info.symbol.kind != "optimize":
        return saved_origin(info, name) if isinstance(info, SavedInfo) else declared_origin(info, name)
    block = optimize(session, info.symbol)
    return DECLARED if block is None else block_origin(block.result, info, name)


def _emit(session: Session, place: Place, node: Expr | None, chain: list[StepInfo]) -> str | None:
    if node is None:
        return None
    written, named = place.text(node), named_steps(chain)
    session.seek(node, (), named)
    if isinstance(node, Reference) and written in named:
        session.use(place, node, named[written])
        return written
    session.report(codes.chains.EmitsNoStep(place.at(node), tuple(named)))
    return None
