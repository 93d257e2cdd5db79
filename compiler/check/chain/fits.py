"""Do program, metric, rows and steps fit each other? Shared by `optimize` and `eval` blocks."""

from __future__ import annotations

from dspec.runtime.schema.ensemble import programs

from ...data import TurnsQuestion
from ...data.histories import has_history
from ...diagnostics import codes
from ...optimizers.base import Spec
from ...optimizers.table import for_few
from ...project.source import Location
from ..declarations.datasets import TEST_PARTS
from ..declarations.metrics import MetricInfo
from ..names.names import find
from ..session import Place, Session
from ..shape.attributes import Reader
from ..symbols import Symbol
from ..types.declared import RunnableInfo, SavedInfo, runnable
from ..types.kinds import assignable, spell
from .rows import RowsInfo, rows
from .saved import is_saved, saved_program
from .step import StepInfo


def referred_program(session: Session, place: Place, read: Reader, name: str) -> RunnableInfo | None:
    node = read.value(name)
    if node is not None and is_saved(place, node):
        return saved_program(session, place, node)
    symbol = read.reference(name)
    if symbol is None:
        return None
    found = runnable(session, symbol)
    if found is None:
        at = place.at(read.found[name].value)
        session.report(codes.circles.LeadsBack(at, f"`{name}`", symbol.location, circle(session, symbol)))
    return found


def circle(session: Session, symbol: Symbol) -> tuple[str, ...]:
    """The blocks that lead from `symbol`, whose check is at work, back to it."""
    blocks = [one for one in session.running if one.kind == "optimize"]
    return tuple(one.name for one in blocks[blocks.index(symbol) :]) if symbol in blocks else ()


def referred_rows(session: Session, place: Place, read: Reader, name: str) -> RowsInfo | None:
    node = read.value(name)
    return rows(session, place, node, f"`{name}`") if node is not None else None


def check_fit(
    session: Session,
    tuned: RunnableInfo,
    measure: MetricInfo | None,
    data: tuple[RowsInfo | None, ...],
    reader: Reader,
) -> None:
    """Report rows that lack the program's inputs, and a metric that is written for another program or other rows."""
    seen: set[str] = set()
    for info in data:
        if info is None or info.data.symbol.key in seen:
            continue
        seen.add(info.data.symbol.key)
        _inputs_fit(session, tuned, info)
        _turns_fit(session, tuned, info)
        if measure and measure.data and measure.data.symbol is not info.data.symbol:
            _columns_fit(session, measure, info)
    program = measure.written_for if measure else None
    if measure and program and program.known and tuned.known:
        if isinstance(tuned, SavedInfo):
            _types_fit(session, tuned, measure, program, reader)
        other = any(name not in tuned.outputs for name in program.outputs)
        read = program.outputs if measure.outputs is None else measure.outputs
        absent = tuple(name for name in program.outputs if name in read and name not in tuned.outputs)
        if other and not absent and not isinstance(tuned, SavedInfo):
            _types_fit(session, tuned, measure, program, reader)
        if absent and _base(session, program.symbol) is not _base(session, tuned.symbol):
            at = reader.place.at(reader.found["metric"].value)
            session.report(
                codes.metrics.ForOtherProgram(
                    at, measure.symbol.location, program.symbol.name, tuned.symbol.name, absent
                )
            )


def _types_fit(
    session: Session, tuned: RunnableInfo, measure: MetricInfo, program: RunnableInfo, read: Reader
) -> None:
    """Report an output that is read and whose type is not the one that the metric was written for."""
    for name, output in program.outputs.items():
        given = tuned.outputs.get(name)
        is_read = measure.outputs is None or name in measure.outputs
        if is_read and given is not None and not assignable(given.type, output.type):
            at, kinds = read.place.at(read.found["metric"].value), (spell(output.type), spell(given.type))
            where = output.location or program.symbol.location
            session.report(
                codes.metrics.OtherOutput(at, measure.symbol.location, tuned.symbol.name, name, *kinds, where)
            )
            return


def _base(session: Session, symbol: Symbol) -> Symbol:
    """The module or program behind an optimize block."""
    for _ in range(20):
        if symbol.kind != "optimize":
            break
        place = session.place(symbol)
        node = Reader(session, place, place.declaration.items).value("program")
        inner = find(session, place, node) if node is not None else None
        if inner is None:
            break
        symbol = inner
    return symbol


def _inputs_fit(session: Session, tuned: RunnableInfo, info: RowsInfo) -> None:
    """Report inputs of the program that the rows lack, and columns of the wrong type."""
    data = info.data
    if not tuned.known or not data.whole:
        return
    program, rows = tuned.symbol, data.symbol
    for member in tuned.inputs.values():
        name, column = member.name, data.inputs.get(member.name)
        if column is None:
            if member.has_default:
                continue
            other = spell(member.type) if name in data.columns.members else ""
            places = program.location, rows.location
            session.report(codes.data.InputNotInData(info.location, *places, name, other, tuple(data.inputs)))
        elif not assignable(column.type, member.type):
            wanted, given = spell(member.type), spell(column.type)
            places = member.location, column.location
            session.report(
                codes.data.OtherType(info.location, name, program.name, wanted, rows.name, given, *places)
            )


def _turns_fit(session: Session, tuned: RunnableInfo, info: RowsInfo) -> None:
    """Report rows whose turns are none of the modules that take them."""
    declared = info.data.dataset
    made = tuned.content if isinstance(tuned, SavedInfo) else tuned.program
    if declared is None or made is None or not session.probe:
        return
    if not has_history(declared):
        return
    seen = session.see(TurnsQuestion(dataset=declared, programs=programs(made)))
    if seen is not None and seen.problem is not None:
        session.report(codes.media.TurnsOfRows(info.location, seen.problem.message, tuned.symbol.location))


def _columns_fit(session: Session, measure: MetricInfo, info: RowsInfo) -> None:
    assert measure.data is not None
    read = measure.data.columns.members if measure.columns is None else measure.columns
    absent = tuple(
        name
        for name in measure.data.columns.members
        if name in read and name not in info.data.columns.members
    )
    if absent:
        read, data = measure.data.symbol.name, info.data.symbol.name
        session.report(codes.metrics.ForOtherRows(info.location, measure.symbol.location, read, data, absent))


def check_steps_fit(
    session: Session,
    chain: list[StepInfo],
    measure: MetricInfo | None,
    train: RowsInfo | None,
    val: RowsInfo | None,
    *,
    val_named: bool,
    scored: bool,
) -> None:
    """Report rows, and a metric, that do not suit the optimizers. `val_named` says that the block has a `val`, even
    one with a mistake in it, for which `val` is None; `scored` says that the result is scored."""
    inside = [inner for step in chain for inner in step.nested.values()]
    # A metric that is graded and accepts nothing is warned of once.
    vague = (
        measure
        if measure and measure.graded and not measure.accepts and not measure.symbol.block.problems
        else None
    )
    chosen = False  # whether a step was reported that compares on rows of train: one report for a block
    for number, step in enumerate((*chain, *inside)):
        if step.spec is None or step.call is None:
            continue
        spec, at = step.spec, step.place.at(step.call.callee)
        if spec.bootstraps and vague is not None and step.given.get("metric_threshold") is None:
            session.report(
                codes.metrics.NoAccept(at, spec.name, vague.symbol.location, session.place(vague.symbol).room)
            )
            vague = None
        if number >= len(chain) or train is None:
            continue  # rows are the outer optimizer's business
        wrong = val is None and val_named  # reported as that alone
        if not wrong:
            _sizing(session, spec, at, train, val)
        parts = tuple(
            f"{train.data.symbol.name}.{part}"
            for part in train.data.parts
            if part not in (train.part, *TEST_PARTS)
        )
        if chosen or wrong or not spec.needs_val:
            continue
        if val is None:
            chosen = True
            session.report(codes.training_rows.NoVal(at, spec.name, train.location, parts))
        elif val.overlaps(train):
            chosen = True
            session.report(codes.training_rows.ValIsTrain(val.location, spec.name, train.location, parts))
    if scored and not val_named and train is not None and not chosen:
        _only_train(session, chain, train)


def _only_train(session: Session, chain: list[StepInfo], train: RowsInfo) -> None:
    """Hint at a result that is scored on the rows that its prompts show, or its index holds."""
    for step in chain:
        if step.spec is not None and step.call is not None and "demos" in step.spec.sets:
            at = step.place.at(step.call.callee)
            session.report(
                codes.training_rows.ScoredOnShown(at, step.spec.name, train.location, step.spec.per_input)
            )
            return


def _sizing(session: Session, spec: Spec, at: Location, train: RowsInfo, val: RowsInfo | None) -> None:
    """Hint at a simpler optimizer where there are too few rows for this one to pay off.

    If the optimizer needs rows to compare on, they count as much as rows to learn from.
    """
    compared = val.count if spec.needs_val and val is not None and not val.overlaps(train) else 0
    if train.count is None or compared is None or not 0 < train.count + compared < spec.advised_train:
        return
    count, trained = train.count + compared, train.location
    better = for_few(count)
    session.report(
        codes.training_rows.SmallForOptimizer(
            at,
            spec.name,
            spec.advised_train,
            count,
            trained,
            train.count,
            val.location if val and compared else None,
            better if better != spec.name else "",
        )
    )


def check_test_rows(session: Session, data: tuple[tuple[str, RowsInfo | None], ...]) -> None:
    for name, info in data:
        if info is not None and info.part is not None and info.part.lower() in TEST_PARTS:
            others = [part for part in info.data.parts if part.lower() not in TEST_PARTS]
            named = tuple(f"{info.data.symbol.name}.{part}" for part in others)
            session.report(codes.data.TunesOnTest(info.location, name, named))
