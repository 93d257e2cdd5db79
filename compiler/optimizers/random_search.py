"""BootstrapFewShotWithRandomSearch: several ways to choose demos, scored on val, the best one wins.

Algorithm: `BootstrapFewShotWithRandomSearch` of DSPy, with named candidate kinds in place of its
seeds −3, −2 and −1, and with the program it starts from as a candidate.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from dspec.runtime.errors import BudgetExceeded, Stopped
from dspec.runtime.program import Program

from ..digests import program_digest
from ..tasks import together
from .base import Calls, Candidate, Context, Facts, Option, Options, Range, Spec, StepResult
from .bootstrap_few_shot import (
    DEMO_OPTIONS,
    assemble,
    bootstrap,
    prepare_teacher,
    teacher_calls,
)
from .demos import Streams, with_labels, without_demos
from .ranking import ranked

if TYPE_CHECKING:
    import asyncio

    from ..data.rows import Rows

ZERO_SHOT, LABELS_ONLY, UNSHUFFLED = -3, -2, -1
"""How `restrict` names the candidates that are not a shuffled set: DSPy's numbers."""


def selected(options: Options) -> tuple[int, ...]:
    """The candidates asked for, by DSPy's numbers, in the order in which they are proposed."""
    restrict = options.integers("restrict")
    every = range(ZERO_SHOT, options.integer("num_candidate_programs"))
    return tuple(number for number in every if restrict is None or number in restrict)


def _calls(options: Options, facts: Facts) -> Calls:
    numbers = selected(options)
    demos = options.integer("max_bootstrapped_demos")
    scoring = facts.val * facts.calls_per_run
    as_it_came = 0 if facts.student_scored else 1
    others = len(numbers) - (facts.student_bare and ZERO_SHOT in numbers)
    bootstraps = any(number >= UNSHUFFLED for number in numbers) and demos > 0
    # All sets ask one teacher, whose runs are shared: together they never need more than one set
    # that has to try every row.
    teacher = teacher_calls(demos, options, facts) if bootstraps else Range()
    if options.number("stop_at_score") is not None:
        teacher = Range(0, teacher.most)
    elif UNSHUFFLED not in numbers:
        teacher = Range(min(teacher.least, facts.teacher_calls), teacher.most)
    return Calls(Range(scoring * as_it_came, scoring * (as_it_came + others)), teacher)


def _contradiction(options: Options) -> str | None:
    if selected(options):
        return None
    last = options.integer("num_candidate_programs") - 1
    return f"`restrict` leaves no candidate: there are {ZERO_SHOT} to {last}"


SPEC = Spec(
    name="BootstrapFewShotWithRandomSearch",
    doc="Tries the program without demos, with labelled demos, and with many random sets of "
    "bootstrapped demos; scores each on val and keeps the best. What it starts from competes too.",
    source="DSPy, BootstrapFewShotWithRandomSearch; arXiv:2310.03714",
    options=(
        *DEMO_OPTIONS,
        Option("num_candidate_programs", "int", 16, "Shuffled demo sets to try.", minimum=0),
        Option(
            "stop_at_score",
            "float",
            None,
            "Stop at the first candidate that scores at least this. Candidates are then scored one "
            "after another.",
            minimum=0.0,
            maximum=1.0,
            optional=True,
        ),
        Option("labeled_sample", "bool", True, "Draw the labels-only candidate's rows at random."),
        Option(
            "restrict",
            "int_list",
            None,
            "Only these candidates: -3 zero-shot, -2 labels only, -1 unshuffled, 0 and up the shuffled sets.",
            minimum=ZERO_SHOT,
            optional=True,
        ),
    ),
    sets=frozenset({"demos"}),
    calls=_calls,
    needs_val=True,
    takes_teacher=True,
    bootstraps=True,
    candidates=True,
    advised_train=50,
    contradiction=_contradiction,
)


async def run(student: Program, options: Options, context: Context) -> StepResult:
    search = _Search(student, options, context)
    target = options.number("stop_at_score")
    return await _all(search) if target is None else await _until(search, target)


async def _all(search: _Search) -> StepResult:
    """Score every candidate, all at the same time."""
    found = await together([search.score(number) for number in search.numbers])
    scored = [one for one in found if isinstance(one, Candidate)]
    halts = [one for one in found if not isinstance(one, Candidate)]
    if halts and not scored:
        raise halts[0]
    return ranked(scored, cut=halts[0] if halts else None)


async def _until(search: _Search, target: float) -> StepResult:
    """Score one candidate after another until one reaches the target."""
    scored: list[Candidate] = []
    for number in search.numbers:
        try:
            scored.append(await search.score(number))
        except (BudgetExceeded, Stopped) as halt:
            if not scored:
                raise
            return ranked(scored, cut=halt)
        if scored[-1].score >= target:
            note = f"stopped at `{scored[-1].label}`: it reached {target:g}"
            return ranked(scored, notes=(note,))
    return ranked(scored)


class _Search:
    """Proposes and scores candidates; one that came out like another waits for its score."""

    def __init__(self, student: Program, options: Options, context: Context) -> None:
        self.numbers: tuple[int | None, ...] = (None, *selected(options))
        """None is the program as it came, always the first candidate."""
        self._student = student
        self._options = options
        self._context = context
        self._teacher = prepare_teacher(student, options, context)
        self._scores: dict[str, asyncio.Lock] = {}
        self._known: dict[str, tuple[float, ...]] = {}

    async def score(self, number: int | None) -> Candidate:
        import asyncio  # here, since a check reads this file for its SPEC

        label = _label(number)
        program = await self._propose(number)
        key = program_digest(program)
        async with self._scores.setdefault(key, asyncio.Lock()):
            if key not in self._known:
                evaluation = await self._context.evaluator.evaluate(program, self._context.val, label=label)
                self._known[key] = evaluation.scores
        candidate = Candidate(label, program, self._known[key])
        self._context.progress(label, candidate.score)
        return candidate

    async def _propose(self, number: int | None) -> Program:
        options, train = self._options, self._context.train
        if number is None:
            return self._student
        if number == ZERO_SHOT:
            return without_demos(self._student)
        if number == LABELS_ONLY:
            rng = self._streams(number) if options.flag("labeled_sample") else None
            return with_labels(self._student, train, options.integer("max_labeled_demos"), rng)
        size = options.integer("max_bootstrapped_demos")
        rows = train
        if number != UNSHUFFLED:
            rows, size = self._shuffled(number, size)
        accepted, halt = await bootstrap(self._teacher, rows, size, options, self._context)
        if halt is not None:
            raise halt
        return assemble(self._student, accepted, rows, size, options, self._streams(number))

    def _shuffled(self, number: int, most: int) -> tuple[Rows, int]:
        """The set's own order of the training rows, and how many demos it bootstraps: 1 to `most`."""
        draws = self._streams(number)("order")
        order = list(self._context.train)
        draws.shuffle(order)
        return tuple(order), draws.randint(1, most) if most else 0

    def _streams(self, number: int) -> Streams:
        return lambda name: self._context.rng(f"{_label(number)}/{name}")


def _label(number: int | None) -> str:
    match number:
        case None:
            return "as it came"
        case -3:
            return "zero-shot"
        case -2:
            return "labels only"
        case -1:
            return "unshuffled"
        case _:
            return f"shuffled {number}"
