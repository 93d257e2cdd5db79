"""BetterTogether: other optimizers in the order of a strategy, the best program on the way wins.

Algorithm: `BetterTogether` of DSPy (Soylu et al., 2024, arXiv:2407.10930), which alternates optimizers of
prompts and of weights. Each step starts from what the one before it made, on training rows in a new
order; the program as it came and every step's result are scored on val. A mistake in a step is an error
here, not a shorter strategy.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from msgspec.structs import replace

from dspec.runtime.errors import BudgetExceeded, Stopped
from dspec.runtime.running.bounds import calls_per_run
from dspec.runtime.schema.program import Program

from ..evaluate.counts import Calls, Range
from ..evaluate.outcomes import Candidate, Seen
from .base import (
    Context,
    Facts,
    Nested,
    Option,
    Options,
    Run,
    Shows,
    Spec,
    StepResult,
    TrainingDone,
    Trains,
    Writes,
)
from .demos import Streams
from .ranking import chosen_from, ranked, settled

if TYPE_CHECKING:
    from ..data.rows import Rows

DEFAULTS = {"p": "BootstrapFewShotWithRandomSearch", "w": "BootstrapFinetune"}
"""The optimizers that a strategy's names stand for where the step says nothing else, as in DSPy."""


def strategy_of(options: Options) -> tuple[str, ...]:
    """The names in the order in which their optimizers run; empty where a name is missing between two arrows."""
    names = tuple(part.strip() for part in (options.text("strategy") or "").split("->"))
    return names if all(names) else ()


def _nested(facts: Facts, name: str) -> Nested:
    """The optimizer of that name in the strategy."""
    from .table import SPECS  # the table lists this file

    found = facts.nested.get(name)
    if found is not None:
        return found
    spec = SPECS[DEFAULTS[name]]
    return Nested(spec.name, spec, Options(spec, {}))


def _calls(options: Options, facts: Facts) -> Calls:
    held_out = held_out_rows(facts.train, options) if not facts.val_given else 0
    if held_out:
        facts = replace(facts, train=facts.train - held_out, val=held_out)
    scoring = facts.val * facts.calls_per_run
    task = Range() if facts.student_scored else Range(scoring, scoring)
    total = Calls(task=task)
    for place, name in enumerate(strategy_of(options)):
        nested = _nested(facts, name)
        inner = replace(
            facts, student_scored=True, student_bare=facts.student_bare and place == 0, finalists=1, nested={}
        )
        if nested.teacher is not None:
            taught = sum(map(calls_per_run, (nested.teacher, *nested.teachers)))
            inner = replace(inner, teacher_calls_per_run=taught, teachers=1 + len(nested.teachers))
        calls = nested.spec.calls(nested.options, inner)
        # A search has scored what it picked. Another step's result may equal its student, which is scored, too.
        result = Range(0, 0 if nested.spec.candidates else scoring)
        total = Calls(
            total.task + Range(0, calls.task.most) + result,
            Range(max(total.teacher.least, calls.teacher.least), total.teacher.most + calls.teacher.most),
            Range(max(total.prompt.least, calls.prompt.least), total.prompt.most + calls.prompt.most),
        )
    return total


def _inside(options: Options, facts: Facts) -> Iterator[tuple[Spec, Options]]:
    """The optimizers of the strategy, in its order."""
    for name in strategy_of(options):
        nested = _nested(facts, name)
        yield nested.spec, nested.options


def _shows(options: Options, facts: Facts) -> Shows:
    """Demos of one optimizer at a time, unless it adds to those that it finds."""
    found = [spec.shows(own, facts) for spec, own in _inside(options, facts)]
    return Shows(
        most=sum(one.most for one in found),
        made=sum(one.made for one in found),
        taught=max((one.taught for one in found), default=0),
        repeats=len(found) > 1 or any(one.repeats for one in found),
    )


def _writes(options: Options, facts: Facts) -> Writes:
    found = [spec.writes(own, facts) for spec, own in _inside(options, facts)]
    kept = sum(one.kept for one in found)
    return Writes(
        kept=kept,
        shown=max((one.shown for one in found), default=0) + kept * facts.predictors,
        runs=max((one.runs for one in found), default=0),
    )


def _trains(options: Options, facts: Facts) -> Trains:
    found = [spec.trains(own, facts) for spec, own in _inside(options, facts) if spec.trains is not None]
    return Trains(sum(one.runs for one in found))


SPEC = Spec(
    name="BetterTogether",
    doc="Runs other optimizers one after the other, as `strategy` has it; each starts from the result of the "
    "one before. All results and what it starts from are scored on val, and the best wins.",
    suits="several optimizers that are worth their calls",
    about="A chain with a memory: `strategy` runs the optimizers given by name one after the other, each "
    "starting from the last one's result, and the best program on the way wins.",
    costs="those of its optimizers, and a scoring of each result on `val`.",
    source="DSPy, BetterTogether; arXiv:2407.10930",
    options=(
        Option(
            "strategy",
            "str",
            "p -> w -> p",
            "The order of the optimizers, by the names they are given here: "
            '`BetterTogether(p = MIPROv2(), d = LabeledFewShot(), strategy = "p -> d")`.',
        ),
        Option(
            "shuffle_trainset_between_steps",
            "bool",
            True,
            "Give every optimizer the training rows in a new order.",
        ),
        Option(
            "valset_ratio",
            "float",
            0.1,
            "Where the block has no val: the share of train that is set aside to compare results on.",
            minimum=0.0,
            maximum=0.9,
        ),
    ),
    sets=frozenset({"instructions", "demos", "weights"}),
    calls=_calls,
    shows=_shows,
    writes=_writes,
    trains=_trains,
    takes_teacher=True,
    candidates=True,
    starts_from=frozenset({"instructions", "demos", "weights"}),
    advised_train=50,
    holds_out=True,
    nests=True,
    refused={
        "optimizer_compile_args": "an optimizer's options stand in its own parentheses",
        "max_errors": "it is an option of the optimizers inside",
    },
)


def held_out_rows(train: int, options: Options) -> int:
    """Rows of train that are set aside when there is no val; at least one row stays on each side."""
    ratio = options.number("valset_ratio") or 0.0
    return min(train - 1, max(1, int(train * ratio))) if ratio > 0.0 and train > 1 else 0


async def run(student: Program, options: Options, context: Context) -> StepResult:
    from .table import RUNS  # the table lists this file

    val, train = context.val, context.train
    held_out = held_out_rows(len(train), options) if not context.val_given else 0
    if held_out:
        val, train = train[:held_out], train[held_out:]
    context = replace(context, train=train, val=val)
    candidates = [await scored("as it came", student, context)]
    names: tuple[str, ...] = ()
    notes: list[str] = []
    rivals: list[Seen] = []
    trained: list[TrainingDone] = []
    for place, name in enumerate(strategy_of(options)):
        if settled(candidates, context):
            return _finished(candidates, rivals, val, notes, trained, ended=True)
        names = (*names, name)
        label = " -> ".join(names)
        rng = _within(context.rng, f"{place}/{name}")
        if options.flag("shuffle_trainset_between_steps"):
            train = _shuffled(train, rng)
        inner = replace(context, train=train, rng=rng, progress=_inside_progress(context, label))
        alone = replace(inner, finalists=1, nested={})
        try:
            result = await stepped(context.nested[name], student, alone, RUNS.__getitem__)
            if result.scored_on in (None, val):
                rivals += chosen_from(result, candidates[-1].scores)
            if result.cut is not None:
                candidates += result.candidates[:1]
                return _finished(candidates, rivals, val, notes, trained, cut=result.cut)
            assert isinstance(result.program, Program)
            student = result.program
            trained += result.trained
            candidates.append(await scored(label, student, context))
        except (BudgetExceeded, Stopped) as halt:
            return _finished(candidates, rivals, val, notes, trained, cut=halt)
        notes += [f"{label}: {note}" for note in result.notes]
    return _finished(candidates, rivals, val, notes, trained)


async def stepped(
    nested: Nested, student: Program, context: Context, run_named: Callable[[str], Run]
) -> StepResult:
    """Runs one optimizer of the strategy: `run_named` gives the `run` of its name."""
    if nested.teacher is not None:
        context = replace(context, teacher=nested.teacher, teachers=nested.teachers)
    return await run_named(nested.spec.name)(student, nested.options, context)


async def scored(label: str, program: Program, context: Context) -> Candidate:
    """The program as a candidate, with its scores on val."""
    evaluation = await context.evaluator.evaluate(program, context.val, label=label)
    candidate = Candidate(label, program, evaluation.scores)
    context.progress(label, candidate.score)
    return candidate


def _finished(
    candidates: list[Candidate],
    rivals: list[Seen],
    val: Rows,
    notes: list[str],
    trained: list[TrainingDone],
    *,
    cut: BudgetExceeded | Stopped | None = None,
    ended: bool = False,
) -> StepResult:
    """The best of the strategy, which was chosen from all that the optimizers inside chose from."""
    known = set(rivals)
    ends = [one.scores for one in candidates[1:] if one.scores not in known]
    result = ranked(candidates, cut=cut, notes=tuple(notes), rivals=(*rivals, *ends), ended=ended)
    return replace(result, scored_on=val, trained=tuple(trained))


def _within(rng: Streams, prefix: str) -> Streams:
    return lambda name: rng(f"{prefix}/{name}")


def _inside_progress(context: Context, label: str) -> Callable[[str, float | None], None]:
    return lambda candidate, score: context.progress(f"{label}: {candidate}", score)


def _shuffled(rows: Rows, rng: Streams) -> Rows:
    order = list(rows)
    rng("order").shuffle(order)
    return tuple(order)
