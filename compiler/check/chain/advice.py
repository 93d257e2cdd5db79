"""What an optimizer's options and rows say together, beyond what each says alone.

Numbers come from the optimizer table and from the rows that were counted; where a file was not read,
nothing is said about its size.
"""

from __future__ import annotations

from collections.abc import Sequence

from ...data.sources.table import is_fetched, title
from ...diagnostics.record import Edit, Fix, Label
from ...diagnostics.wording import plural, quoted
from ...optimizers.base import OptimizerError
from ...optimizers.bootstrap_few_shot import require_match
from ..declarations.metrics import MetricInfo
from ..session import Place, Session, insert_item
from ..shape.attributes import number_of
from ..types.declared import Runnable
from .rows import RowsInfo
from .step import StepInfo
from .students import declared, students


def check_advice(
    session: Session,
    place: Place,
    chain: Sequence[StepInfo],
    judge: MetricInfo | None,
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
        for one in (step, *step.nested.values()):
            _asked(session, place, one, train, val or train)
        if step.spec.reflective and judge is not None and not judge.explains:
            _unexplained(session, place, step, judge)
        if not told and step.spec.prompts and step.spec.needs_val and train and val:
            told = _shares(session, place, step, train, val)


def _one_file(session: Session, train: RowsInfo, val: RowsInfo) -> None:
    """Warn of two datasets over one file: each is split by itself, and a row may fall to both."""
    ours, theirs = train.data.dataset, val.data.dataset
    if ours is None or theirs is None or train.data.symbol is val.data.symbol:
        return
    if title(ours.source) == title(theirs.source) and ours.source.kind == theirs.source.kind:
        what = "rows" if is_fetched(ours.source) else "file"
        session.report(
            "DS0406",
            f"`train` and `val` are cut from the same {what}, `{title(ours.source)}`, by two datasets: a row may "
            "stand in both",
            val.location,
            f"the same {what}",
            secondary=(Label(train.location, "reads it, too"),),
            help="declare one dataset and give it a `split` with both parts",
        )


def _asked(
    session: Session, place: Place, step: StepInfo, train: RowsInfo | None, compared: RowsInfo | None
) -> None:
    """Warn of options that were written to ask for more rows than there are."""
    for option in step.spec.options if step.spec else ():
        rows = train if option.counts == "train" else compared
        argument = step.arguments.get(option.name)
        if option.counts is None or rows is None or not rows.count or argument is None:
            continue
        wanted = number_of(argument.value)
        if wanted is None or wanted <= rows.count:
            continue
        assert step.spec is not None
        value = place.at(argument.value)
        session.report(
            "DS0605",
            f"`{option.name}` of `{step.spec.name}` asks for {plural(int(wanted), 'row')}, and `{rows.text}` has "
            f"{rows.count:,}",
            value,
            f"more than {plural(rows.count, 'row')}",
            secondary=(Label(rows.location, plural(rows.count, "row")),),
            help="with fewer rows it uses all there are",
            fixes=(Fix(f"Lower it to {rows.count}", (Edit(value, str(rows.count)),), "maybe"),),
        )


def _unexplained(session: Session, place: Place, step: StepInfo, judge: MetricInfo) -> None:
    assert step.spec is not None
    assert step.call is not None
    words = f'if score {">= 0.5 " if judge.graded else ""}then "correct" else "wrong"'
    if judge.accepts:
        words = 'if accept then "correct" else "wrong"'
    session.report(
        "DS0507",
        f"`{step.spec.name}` learns from what the metric says about each answer, and `{judge.symbol.name}` "
        "gives no `feedback`",
        place.at(step.call.callee),
        "sees only the score",
        secondary=(Label(judge.symbol.location, "no `feedback`"),),
        help="what its judge said is there: `feedback = reason`"
        if judge.judges
        else 'say what was wrong: `feedback = if score then "correct" else "expected …"`',
        fixes=insert_item(session.place(judge.symbol), "feedback = reason", "Insert `feedback = reason`")
        if judge.judges
        else insert_item(
            session.place(judge.symbol), f"feedback = {words}", "Insert a `feedback` to fill in"
        ),
    )


def _shares(session: Session, place: Place, step: StepInfo, train: RowsInfo, val: RowsInfo) -> bool:
    """Hint at the usual shares: few rows to learn from and many to compare on, or the reverse."""
    assert step.spec is not None
    assert step.call is not None
    if not train.count or not val.count or train.overlaps(val):
        return False
    reverse = not step.spec.compares_on_more
    if (val.count if reverse else train.count) <= (train.count if reverse else val.count):
        return False
    share = train.count * 100 // (train.count + val.count)
    usual = "80 % train and 20 % val" if reverse else "20 % train and 80 % val"
    reason = (
        "reflects on rows of train and needs only enough of val to rank"
        if reverse
        else "learns from few rows and needs many to tell its candidates apart"
    )
    session.report(
        "DS0608",
        f"`{step.spec.name}` {reason}; here they are {share} % train and {100 - share} % val",
        place.at(step.call.callee),
        f"usually {usual}",
        secondary=(
            Label(train.location, plural(train.count, "row")),
            Label(val.location, plural(val.count, "row")),
        ),
        help="swap the two parts" if train.data is val.data and train.part and val.part else "",
    )
    return True


def check_teachers(session: Session, place: Place, chain: Sequence[StepInfo], tuned: Runnable) -> None:
    """Report teachers whose demos could not be given to the student: they have other predictors."""
    programs = students(session, place, chain, tuned)
    for step in chain:
        argument, starts = step.arguments.get("teacher"), programs.get(step.name)
        if argument is None or step.teacher is None or starts is None:
            continue
        if step.spec is None or not step.spec.bootstraps:
            continue
        teacher = (
            programs[step.teacher] if step.teacher in programs else declared(session, place, argument.value)
        )
        if teacher is None:
            continue
        try:
            require_match(starts, teacher)
        except OptimizerError as error:
            ours, theirs = list(starts.predictors), list(teacher.predictors)
            session.report(
                "DS0611",
                error.message
                if set(ours) == set(theirs)
                else f"teacher `{teacher.name}` calls {quoted(theirs)}, and student `{starts.name}` calls "
                f"{quoted(ours)}: demos of one are of no use to the other",
                place.at(argument.value),
                "has other predictors",
                secondary=(Label(tuned.symbol.location, "the student"),),
                help="a teacher calls the same modules, and may use another `teacher_lm` or have demos",
            )
