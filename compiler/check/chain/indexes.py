"""Checks steps that choose demos for each input: does an index get too many rows, or a program a second index?

A program has one index. So a step that makes another one and leaves demos of the first in place could not finish,
and its calls would be paid for nothing.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from msgspec import structs

from dspec.runtime.index.limits import MAX_ROWS
from dspec.runtime.schema.program import Program

from ... import ir
from ...diagnostics import codes
from ..session import Session
from ..types.kinds import beyond_text
from .frozen import CHOICES
from .origins import Maker, Origin
from .rows import RowsInfo
from .step import StepInfo
from .students import Students

Shown = Mapping[str, Maker]
"""Predictors whose demos may come from an index, and who made it."""


def check_indexes(
    session: Session,
    chain: Sequence[StepInfo],
    programs: Students,
    train: RowsInfo | None,
    origins: Mapping[str, Origin],
) -> Mapping[str, Shown]:
    """Report steps that make an index of too many rows, or that leave demos of another index in place. Returns, by
    step, the predictors whose demos come from an index once the step has run."""
    for step in chain:
        for one in _in_order(step):
            _size(session, one, train)
            _texts(session, one, programs[step.name])
    dataset = train.data.dataset if train else None
    columns = {field.name for field in dataset.fields} if dataset else set[str]()
    shown: dict[str, Shown] = {name: one.shown for name, one in origins.items()}
    for step, origin in zip(chain, ir.origins(chain), strict=True):
        program = programs[step.name]
        if step.spec is None or not step.clean or program is None:
            return shown
        starts = shown.get(origin, {})
        for one in _in_order(step):
            held = {address: maker for address, maker in starts.items() if address in one.frozen}
            if one.spec is not None and one.spec.per_input and held:
                _second(session, one, held)
                return shown
            made = _after(one, starts, held, program, columns)
            # The best program wins, and any of the optimizers inside may have made it.
            starts = {**starts, **made} if one is not step else made
        shown[step.name] = starts
    return shown


def _in_order(step: StepInfo) -> list[StepInfo]:
    """The optimizers of the step in the order they run, each with the predictors that it leaves as they are."""
    options = step.options()
    if options is None or step.spec is None or not step.spec.nests:
        return [step]
    from ...optimizers.better_together import strategy_of  # few chains have such a step

    names = [name for name in strategy_of(options) if name in step.nested]
    return [structs.replace(step.nested[name], frozen=step.frozen) for name in names]


def _after(step: StepInfo, starts: Shown, held: Shown, program: Program, columns: Collection[str]) -> Shown:
    options = step.options()
    if step.spec is None or options is None or "demos" not in step.spec.sets:
        return starts
    if not step.spec.per_input:
        return starts if "demos" in step.spec.starts_from else held
    solved = options.integer("max_bootstrapped_demos") > 0
    where = step.place.at(step.call.callee) if step.call else step.where
    return {
        address: Maker(step.name, step.name, where)
        for address, predictor in program.predictors.items()
        if address not in step.frozen
        and (solved or any(field.name in columns for field in predictor.signature.outputs))
    }


def _size(session: Session, step: StepInfo, train: RowsInfo | None) -> None:
    count = train.count if train else None
    if step.spec is None or not step.spec.per_input or step.call is None or train is None or count is None:
        return
    if count > MAX_ROWS:
        at = step.place.at(step.call.callee)
        session.report(codes.training_rows.TooManyRows(at, step.spec.name, train.location, count, MAX_ROWS))


def _texts(session: Session, step: StepInfo, program: Program | None) -> None:
    """Warns of an index of rows that differ in what is not compared."""
    if step.spec is None or not step.spec.per_input or step.call is None or program is None:
        return
    left_out = tuple(one.name for one in program.inputs if beyond_text(one.type))
    if left_out:
        texts = tuple(one.name for one in program.inputs if one.name not in left_out)
        at = step.place.at(step.call.callee)
        session.report(codes.media.ComparedByText(at, step.spec.name, left_out, texts))


def _second(session: Session, step: StepInfo, held: Shown) -> None:
    address, maker = next(iter(held.items()))
    if step.spec is None or step.call is None:
        return
    said = next((step.arguments[name].value for name in CHOICES if name in step.arguments), step.call.callee)
    session.report(
        codes.chains.SecondIndex(step.place.at(said), step.spec.name, address, maker.name, maker.where)
    )
