"""BootstrapFewShot: run a teacher on training rows and keep the traces the metric accepts as demos.

Algorithm: `BootstrapFewShot` of DSPy (Khattab et al., 2023, arXiv:2310.03714, "bootstrapping
demonstrations"). Rows are tried in order until there are enough demos. Attempts run at the same time,
but only as many as the one-by-one algorithm is certain to make too, so that none is paid in vain; a search,
whose many sets share their attempts, makes a few more so as not to wait (`ahead`).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from typing import TYPE_CHECKING, TypeVar

from msgspec import Struct

from dspec.runtime.errors import BudgetExceeded, Stopped
from dspec.runtime.schema.ensemble import Runnable, each
from dspec.runtime.schema.program import Demo, Program

from ..diagnostics.wording import plural
from ..evaluate.counts import Calls, Range
from ..evaluate.scoring import MetricError
from .advising import FEW, SOME, Idea, Situation, Standing
from .base import Context, Facts, Option, Options, Shows, Spec, StepResult
from .demos import Streams, draw, has_demos, hide, labels_for, traced, with_labels, without_demos
from .frozen import tunable
from .prompt_room import PromptRoom
from .teachers import matched

if TYPE_CHECKING:
    import asyncio

    from ..data.rows import Example, Rows
    from ..evaluate.outcomes import Attempt

MAX_ERRORS = 10
"""Rows on which the metric may fail when `max_errors` is not set."""

ADVISED_TRAIN = 5

DEMO_OPTIONS = (
    Option(
        "max_bootstrapped_demos",
        "int",
        4,
        "Demos per predictor taken from accepted teacher runs. 0 bootstraps nothing.",
        minimum=0,
        counts="train",
    ),
    Option(
        "max_labeled_demos",
        "int",
        16,
        "Demos per predictor in all, filled up with labelled rows that were not bootstrapped. It is "
        "also how many labelled demos a teacher that has none of its own is given.",
        minimum=0,
        counts="train",
    ),
    Option(
        "max_rounds",
        "int",
        1,
        "Attempts per row. From the second on the teacher answers afresh at temperature 1.0.",
        minimum=1,
    ),
    Option(
        "max_errors",
        "int",
        None,
        "Rows on which the metric may fail before the step stops; 10 when not set. An answer that "
        "does not parse is a failed attempt, not an error.",
        minimum=1,
        optional=True,
    ),
    Option(
        "metric_threshold",
        "float",
        None,
        "A trace becomes a demo only if its score is at least this, besides passing `accept`.",
        minimum=0.0,
        maximum=1.0,
        optional=True,
    ),
)


def teacher_calls(demos: int, options: Options, facts: Facts) -> Range:
    """Calls to bootstrap up to `demos` demos: one run a demo at best, every row and round at worst."""
    if demos == 0:
        return Range()
    rounds = options.integer("max_rounds")
    return Range(min(demos, facts.train) * facts.teacher_calls, facts.train * rounds * facts.teacher_calls)


def demos_shown(options: Options, facts: Facts) -> Shows:
    """By the options that all have which bootstrap."""
    made, labels = options.integer("max_bootstrapped_demos"), options.integer("max_labeled_demos")
    return Shows(max(made, labels), made, labels)


def _calls(options: Options, facts: Facts) -> Calls:
    demos = options.integer("max_bootstrapped_demos")
    return Calls(teacher=teacher_calls(demos, options, facts))


def _advise(s: Situation) -> Iterator[Idea]:
    """With few rows it is the fitting step, unless they are too few for it to pay off; with more, it is a cheap one."""
    if s.no_demos:
        return
    standing: Standing = "cheap"
    if s.rows < FEW:
        why = f"{plural(s.rows, 'row is', 'rows are')} too few to compare programs on: runs that pass become demos"
        standing = "fitting" if s.train >= ADVISED_TRAIN else "cheap"
    elif s.rows < SOME:
        why = f"{s.rows} rows are too few to find the best of many: runs that pass become demos"
        standing = "fitting"
    else:
        why = "compares nothing, so it is cheap: runs that pass become demos"
    most = {"max_bootstrapped_demos": min(4, s.train), "max_labeled_demos": min(16, s.train)}
    yield Idea(standing, "demos", why, most)


SPEC = Spec(
    name="BootstrapFewShot",
    doc="Runs a teacher on training rows and keeps what the metric accepts as demos, reasoning and "
    "inner steps included; the rest is filled up with labelled rows.",
    suits="about 10 rows",
    about="For about ten rows and up, and whenever inner steps or reasoning have no labels: a teacher runs on "
    "rows of `train`, and the runs that the metric accepts become demos of every module on the way. It "
    "replaces the demos and keeps instructions.",
    costs="one teacher run for each demo at best; `max_rounds` for every row of `train` at worst. Nothing is "
    "scored.",
    source="DSPy, BootstrapFewShot; arXiv:2310.03714",
    options=DEMO_OPTIONS,
    sets=frozenset({"demos"}),
    calls=_calls,
    shows=demos_shown,
    shape=lambda student, options: without_demos(student),
    takes_teacher=True,
    bootstraps=True,
    advised_train=ADVISED_TRAIN,
    enough_from=10,
    advise=_advise,
)


class Accepted(Struct, frozen=True):
    """A row whose trace passed, and the demo of each predictor that the trace called."""

    example: Example
    demos: dict[str, Demo]


async def run(student: Program, options: Options, context: Context) -> StepResult:
    teacher = prepare_teacher(student, options, context)
    demos = options.integer("max_bootstrapped_demos")
    accepted, halt = await bootstrap(student, teacher, context.train, demos, options, context)
    if halt is not None and not accepted:
        raise halt
    program = assemble(student, accepted, context.train, demos, options, context.rng, context.room)
    notes: tuple[str, ...] = ()
    if len(accepted) < min(demos, len(context.train)) and halt is None:
        notes = (
            f"the metric accepted {len(accepted)} of {plural(len(context.train), 'row')}; wanted {demos}",
        )
    return StepResult(program, notes=notes, cut=halt)


def prepare_teacher(student: Program, options: Options, context: Context) -> Runnable:
    """The teacher, or the student where there is none; without demos of its own it gets labels.

    An ensemble teaches by the trace of the member whose answer was elected.
    Raises OptimizerError when its predictors are not the student's.
    """
    teacher = student if context.teacher is None else matched(student, context.teacher)
    labels = options.integer("max_labeled_demos")
    if labels == 0 or has_demos(teacher):
        return teacher
    return each(
        teacher,
        lambda one: with_labels(
            one, context.train, labels, lambda name: context.rng(f"teacher/{name}"), context.room
        ),
    )


async def bootstrap(
    student: Program,
    teacher: Runnable,
    rows: Rows,
    wanted: int,
    options: Options,
    context: Context,
    *,
    ahead: bool = False,
) -> tuple[list[Accepted], BudgetExceeded | Stopped | None]:
    """The first `wanted` rows that the teacher solves with something to show the student, in the rows' order.

    A halt (the budget's wall) comes back beside what was found until then; other errors are raised.
    """
    attempts = Attempts(teacher, options, context)

    async def row(example: Example) -> Accepted | None:
        def learned(attempt: Attempt) -> Accepted | None:
            demos = traced(student, attempt.trace, example.digest, context.rng)
            # Nothing can be learned from an ensemble whose reducer says what no member said, or from a
            # guess, or from what the student may not answer.
            return Accepted(example, demos) if demos else None

        return await attempts.row(example, learned)

    return await in_order(rows, wanted, row, tried=attempts.tried, ahead=ahead)


Passed = TypeVar("Passed")


async def in_order(
    rows: Rows,
    wanted: int,
    attempt: Callable[[Example], Awaitable[Passed | None]],
    *,
    tried: Callable[[Example], None] = lambda _: None,
    ahead: bool = False,
) -> tuple[list[Passed], BudgetExceeded | Stopped | None]:
    """The first `wanted` rows on which `attempt` succeeds, as if they were tried one by one.

    A row is started while the rows that passed and those still running are too few to make `wanted`: one by one, its
    turn would come whatever those bring. With `ahead`, a row is also started while its turn is `likely` to come, going
    by the first rows, as far as all their results are known. So which rows are tried depends on results and never on
    when they arrive. `tried` is told of rows in their order, but of no row whose turn would not have come one by one;
    the failure of such a row is not raised, either. After a halt the result has what was answered until then.
    """
    import asyncio  # here, since a check reads this file for its SPEC

    results: dict[int, Passed | Exception | None] = {}
    running: dict[asyncio.Future[Passed | None], int] = {}
    halts: dict[int, BudgetExceeded | Stopped] = {}
    place = seen = passed = 0
    bound = found = 0
    try:
        while True:
            while seen in results and passed < wanted:
                result = results[seen]
                if isinstance(result, Exception):
                    raise result
                tried(rows[seen])
                passed += result is not None
                seen += 1
                if ahead:
                    bound = max(bound, seen + likely(wanted - passed, seen, passed))
            while not halts and place < len(rows) and (found + len(running) < wanted or place < bound):
                running[asyncio.ensure_future(attempt(rows[place]))] = place
                place += 1
            if not running:
                ordered = (results[at] for at in sorted(results))
                passing = [one for one in ordered if one is not None and not isinstance(one, Exception)]
                return passing[:wanted], halts[min(halts)] if halts else None
            done, _ = await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                at = running.pop(task)
                try:
                    results[at] = task.result()
                    found += results[at] is not None
                except (BudgetExceeded, Stopped) as halt:
                    halts[at] = halt
                except Exception as error:  # noqa: BLE001  # raised when the rows before it are known
                    results[at] = error
    finally:
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)


def likely(wanted: int, tried: int, passed: int) -> int:
    """How many further rows to try at once: half of those that `wanted` more should take at the rate so far.

    Only half, since what lies beyond the last demo is paid in vain. The rate counts one more attempt, one that
    passes, so that little is concluded from few.
    """
    return wanted * (tried + 1) // (2 * (passed + 1))


class Attempts:
    """A teacher's attempts at rows, and the metric's failures among them."""

    def __init__(self, teacher: Runnable, options: Options, context: Context) -> None:
        self._teacher = teacher
        self._context = context
        self._rounds = options.integer("max_rounds")
        self._threshold = options.number("metric_threshold")
        limit = options["max_errors"]
        self._max_errors = limit if isinstance(limit, int) else MAX_ERRORS
        self._errors = 0
        self._failures: dict[int, list[str]] = {}
        """What the metric said of rows that are not counted yet, by the row's identity."""

    async def row(self, example: Example, learned: Callable[[Attempt], Passed | None]) -> Passed | None:
        """What is `learned` of the first of up to `max_rounds` attempts at one row that passes and has something to learn;
        None when there is none."""
        program = each(self._teacher, lambda one: hide(one, example))
        for attempt_number in range(self._rounds):
            attempt = await self._context.evaluator.attempt(
                program,
                example,
                sample=attempt_number,
                temperature=1.0 if attempt_number else None,
            )
            if attempt.passes(self._threshold):
                found = learned(attempt)
                if found is not None:
                    return found
            if attempt.metric_failed:
                failures = self._failures.setdefault(id(example), [])
                failures.append(attempt.reason or "the metric failed")
                if len(failures) == self._max_errors:
                    return None
        return None

    def tried(self, example: Example) -> None:
        """Counts the row's failures. Raises MetricError when there are too many."""
        for reason in self._failures.pop(id(example), ()):
            self._errors += 1
            self._context.metric_failed.setdefault(example.index, reason)
            if self._errors >= self._max_errors:
                raise MetricError(
                    reason, help=f"the step stops after {plural(self._errors, 'such row')} (`max_errors`)"
                )


def assemble(
    student: Program,
    accepted: list[Accepted],
    rows: Rows,
    demos: int,
    options: Options,
    rng: Streams,
    room: PromptRoom,
) -> Program:
    """The student with up to `demos` bootstrapped demos per predictor, filled up with labelled rows.

    Rows whose inputs are shown already are not shown again. Where a prompt lacks `room`, labelled rows are left out first.
    """
    labels = options.integer("max_labeled_demos")
    shown = [one.example.inputs for one in accepted]
    rest = tuple(row for row in rows if row.inputs not in shown)
    for address, predictor in tunable(student).items():
        bootstrapped = [one.demos[address] for one in accepted if address in one.demos][:demos]
        more = max(0, labels - len(bootstrapped))
        filling = draw(labels_for(predictor, rest, student.records), more, rng(f"labels/{address}"))
        student = student.with_predictor(address, demos=room.fit(student, address, (*bootstrapped, *filling)))
    return student
