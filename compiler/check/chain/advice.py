"""Checks an optimizer's options against its rows, beyond what is checked of each alone.

Numbers come from the optimizer table and from the rows that were counted. Nothing is said about the size
of a file that was not read.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from dspec.grammar.tree import ListLiteral
from dspec.runtime.schema.program import Program

from ...data.sources.table import is_fetched, title
from ...diagnostics import codes
from ...optimizers.base import Facts, OptimizerError, Spec
from ...optimizers.compat.table import FAITHFUL
from ...optimizers.teachers import addresses
from ...project.source import Location
from ...tables.models import takes_one_temperature
from ..declarations.lms import lm
from ..declarations.metrics import MetricInfo
from ..session import Session
from ..shape.attributes import number_of
from ..symbols import Symbol
from ..types.declared import RunnableInfo
from ..types.kinds import assignable, spell
from .rows import RowsInfo
from .step import StepInfo
from .students import Students, declared


def check_advice(
    session: Session,
    chain: Sequence[StepInfo],
    measure: MetricInfo | None,
    train: RowsInfo | None,
    val: RowsInfo | None,
) -> None:
    """Report options that ask for more rows than there are, and rows shared out the wrong way round."""
    told = False
    if train is not None and val is not None:
        _one_file(session, train, val)
    for step in chain:
        if step.spec is None or step.call is None or not step.clean:
            continue
        refused = _refused(session, step, train, val)
        for one in (step, *step.nested.values()):
            if one is not step or not refused:
                _asked(session, one, train, val or train)
            _paid(session, one, val or train)
        at = step.place.at(step.call.callee)
        if step.spec.reflective and measure is not None and not measure.explains:
            by = (
                "judge"
                if measure.judges
                else "accept"
                if measure.accepts
                else "number"
                if measure.graded
                else "score"
            )
            symbol = measure.symbol
            session.report(
                codes.metrics.NoFeedback(at, step.spec.name, symbol.location, by, session.place(symbol).room)
            )
        if not told and step.spec.prompts and step.spec.needs_val and train and val:
            told = _shares(session, at, step.spec, train, val)


def _refused(session: Session, step: StepInfo, train: RowsInfo | None, val: RowsInfo | None) -> bool:
    """Whether DSPy's schedule cannot run with the step's options on so many rows; reports that."""
    options, faithful = step.options(), FAITHFUL.get(step.spec.name) if step.spec and step.compat else None
    if options is None or faithful is None or step.call is None or train is None or not train.count:
        return False
    if val is not None and not val.count:
        return False
    rows = train.count if val is None or not val.count else val.count
    facts = Facts(train=train.count, val=rows, predictors=1, calls_per_run=1, val_given=val is not None)
    why = faithful.refuses(options, facts)
    if why is None:
        return False
    named = next((one for name, one in step.arguments.items() if f"`{name}`" in why.message), None)
    at = step.place.at(named.value if named is not None else step.call.callee)
    session.report(
        codes.training_rows.ScheduleRefuses(at, why.message, why.help or "", (val or train).location)
    )
    return True


def _one_file(session: Session, train: RowsInfo, val: RowsInfo) -> None:
    """Warn of two datasets over one file: each is split by itself, and a row may fall to both."""
    ours, theirs = train.data.dataset, val.data.dataset
    if ours is None or theirs is None or train.data.symbol is val.data.symbol:
        return
    if title(ours.source) == title(theirs.source) and ours.source.kind == theirs.source.kind:
        name, fetched = title(ours.source), is_fetched(ours.source)
        session.report(codes.data.CutFromOne(val.location, train.location, name, fetched))


def _asked(session: Session, step: StepInfo, train: RowsInfo | None, compared: RowsInfo | None) -> None:
    """Warn of options that are written in the step and ask for more rows than there are."""
    for option in step.spec.options if step.spec else ():
        rows = train if option.counts == "train" else compared
        argument = step.arguments.get(option.name)
        if step.spec is None or option.counts is None or rows is None or not rows.count or argument is None:
            continue
        wanted = number_of(argument.value)
        if wanted is not None and wanted > rows.count:
            at = step.place.at(argument.value)
            session.report(
                codes.training_rows.FewerRows(
                    at, option.name, step.spec.name, int(wanted), rows.location, rows.count
                )
            )


def _paid(session: Session, step: StepInfo, compared: RowsInfo | None) -> None:
    """Warn of a budget within a step that pays for no candidate."""
    for option in step.spec.options if step.spec else ():
        argument = step.arguments.get(option.name)
        if step.spec is None or option.pays_for is None or argument is None or compared is None:
            continue
        paid = number_of(argument.value)
        if paid is not None and compared.count and paid < 2 * compared.count:
            at = step.place.at(argument.value)
            session.report(
                codes.training_rows.PaysForNothing(
                    at, option.name, step.spec.name, int(paid), compared.location, compared.count
                )
            )


def _shares(session: Session, at: Location, spec: Spec, train: RowsInfo, val: RowsInfo) -> bool:
    """Hint at rows that are shared out the wrong way round for the optimizer, which should compare on more rows than it
    learns from, or on fewer (`compares_on_more`). Returns whether there was a hint."""
    if not train.count or not val.count or train.overlaps(val):
        return False
    reverse = not spec.compares_on_more
    if (val.count if reverse else train.count) <= (train.count if reverse else val.count):
        return False
    parts = train.data is val.data and bool(train.part and val.part)
    session.report(
        codes.training_rows.SharedOut(
            at, spec.name, reverse, train.location, train.count, val.location, val.count, parts
        )
    )
    return True


def check_temperatures(
    session: Session,
    chain: Sequence[StepInfo],
    programs: Students,
    tuned: RunnableInfo,
    lms: Mapping[str, Symbol | None],
) -> None:
    """Warn of a step that asks the model that writes at a temperature which that is known to refuse.

    `lms` are those that the block names, by `lm` and `prompt_lm`.
    """
    for step in chain:
        writer = lms["prompt_lm"] or _first_model(session, programs.get(step.name), tuned, lms["lm"])
        settings = lm(session, writer) if writer is not None else None
        if writer is None or settings is None:
            continue
        for one in (step, *step.nested.values()):
            spec, options = one.spec, one.options()
            for option in spec.options if spec is not None and options is not None else ():
                degree = options.number(option.name) if options is not None and option.asks_at else 1.0
                if degree in (None, 1) or not takes_one_temperature(settings) or one.call is None:
                    continue
                argument = one.arguments.get(option.name)
                at = one.place.at(argument.value if argument else one.call.callee)
                owner = spec.name if spec is not None else ""
                session.report(
                    codes.models.AsksAtAnother(
                        at, settings.model, degree, writer.location, owner, option.name, writes=True
                    )
                )


def _first_model(
    session: Session, program: Program | None, tuned: RunnableInfo, block: Symbol | None
) -> Symbol | None:
    """Which writes where the block names none for it: that of the first predictor."""
    first = next(iter(program.predictors.items()), None) if program is not None else None
    if first is None:
        return None
    return block if block is not None and first[0] in tuned.unbound else session.lms.get(first[1].lm)


def check_teachers(
    session: Session, chain: Sequence[StepInfo], programs: Students, tuned: RunnableInfo
) -> None:
    """Report teachers whose demos could not be given to the student: they have other predictors."""
    for step in chain:
        argument, starts = step.arguments.get("teacher"), programs.get(step.name)
        if argument is None or step.teacher is None or starts is None:
            continue
        if step.spec is None or not step.spec.bootstraps:
            continue
        nodes = argument.value.items if isinstance(argument.value, ListLiteral) else (argument.value,)
        for node, name in zip(nodes, (step.teacher, *step.teachers), strict=False):
            at = step.place.at(node)
            teacher = programs[name] if name in programs else declared(session, step.place, node)
            if teacher is None:
                continue
            try:
                same = addresses(starts, teacher)
            except OptimizerError as error:
                session.report(codes.chains.OtherPredictors(at, tuned.symbol.location, error.message))
                continue
            _answers_fit(session, at, tuned, starts, teacher, same)


def _answers_fit(
    session: Session,
    at: Location,
    tuned: RunnableInfo,
    student: Program,
    teacher: Program,
    same: Mapping[str, str],
) -> None:
    """Warn of the first output that the teacher may answer otherwise than the student may."""
    for theirs, ours in same.items():
        wanted = {one.name: one.type for one in student.predictors[ours].signature.outputs}
        for one in teacher.predictors[theirs].signature.outputs:
            if not assignable(one.type, wanted[one.name]):
                found = codes.chains.WiderTeacher(
                    at,
                    tuned.symbol.location,
                    teacher.name,
                    one.name,
                    spell(one.type),
                    spell(wanted[one.name]),
                )
                session.report(found)
                return
