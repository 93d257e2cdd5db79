"""BootstrapFewShotWithRandomSearch: several ways to choose demos, compared on val, the best one wins.

Algorithm: `BootstrapFewShotWithRandomSearch` of DSPy, with named candidate kinds in place of its
seeds −3, −2 and −1, and with the program it starts from as a candidate. Candidates race: all are scored on
some rows, the better ones on more, the last ones on all (`search = "full"` scores each on all of val). What
that saves pays for sets composed of the demos that did best.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from msgspec import Struct

from dspec.runtime.errors import BudgetExceeded, Stopped
from dspec.runtime.schema.program import Program

from ..evaluate.counts import Calls, Range
from ..evaluate.digests import asked_digest
from ..evaluate.outcomes import Candidate
from ..evaluate.tasks import Halt, together
from .advising import FEW, MANY, SOME, Idea, Situation
from .base import Conflict, Context, Facts, Option, Options, Spec, StepResult
from .bootstrap_few_shot import (
    DEMO_OPTIONS,
    assemble,
    bootstrap,
    demos_shown,
    prepare_teacher,
    teacher_calls,
)
from .demos import Streams, has_demos, with_labels, without_demos
from .moving import moved_arms, scored_moved
from .ranking import ranked

if TYPE_CHECKING:
    import asyncio

    from ..data.rows import Rows
    from ..search import Arm, Board, Racing

ZERO_SHOT, LABELS_ONLY, UNSHUFFLED = -3, -2, -1
"""How `restrict` names the candidates that are not a shuffled set: DSPy's numbers."""
SEARCHES = ("racing", "full")
SHARE = 0.415
"""What a race may cost, composed sets and all, as a share of scoring every candidate on every row."""
COMPARED_ON = 200
"""Rows of val on which candidates are compared, where it has more."""
COMPOSED, COMPOSED_SHARE = 2, 0.4
"""Sets composed after a race, and what share of its cost scoring them may take."""


def selected(options: Options) -> tuple[int, ...]:
    """The candidates asked for, by DSPy's numbers, in the order in which they are proposed."""
    restrict = options.integers("restrict")
    every = range(ZERO_SHOT, options.integer("num_candidate_programs"))
    return tuple(number for number in every if restrict is None or number in restrict)


def races(options: Options) -> bool:
    """Whether candidates race. A search that ends at the first good one has to score them one by one."""
    return options.text("search") == "racing" and options.number("stop_at_score") is None


def composed(options: Options) -> int:
    """How many sets are composed after a race: none where it is too small to tell demos apart, or no demos are shown."""
    shown = options.integer("max_bootstrapped_demos") or options.integer("max_labeled_demos")
    return min(COMPOSED, int(COMPOSED_SHARE * SHARE * len(selected(options)))) if shown else 0


def race(options: Options, rows: int, finalists: int, lms: int = 1) -> Racing:
    """The race of all candidates that the options ask for, and of the start on each further of `lms` models. It leaves calls to
    score each composed set on all rows."""
    from ..search import Racing

    count = len(selected(options)) + lms - 1
    return Racing.within((SHARE * count - composed(options)) * rows, count, rows, finalists=finalists)


def _calls(options: Options, facts: Facts) -> Calls:
    numbers = selected(options)
    demos = options.integer("max_bootstrapped_demos")
    scoring = facts.val * facts.calls_per_run
    as_it_came = 0 if facts.student_scored else 1
    count = len(numbers) + facts.lms - 1
    others = count - (facts.student_bare and ZERO_SHOT in numbers and facts.ways == 1)
    most = scoring * others
    if races(options) and others:
        # A candidate that came out like another leaves the others more rows.
        raced = race(options, facts.val, facts.finalists, facts.lms)
        rows = raced.most(count, facts.val) + composed(options) * facts.val
        most = min(most, rows * facts.calls_per_run)
    if options.number("stop_at_score") is None:
        most += scoring * facts.moved
    bootstraps = any(number >= UNSHUFFLED for number in numbers) and demos > 0
    # All sets ask one teacher, whose runs are shared: together they never need more than one set
    # that has to try every row.
    teacher = teacher_calls(demos, options, facts) if bootstraps else Range()
    if options.number("stop_at_score") is not None:
        teacher = Range(0, teacher.most)
    elif UNSHUFFLED not in numbers:
        teacher = Range(min(teacher.least, facts.teacher_calls), teacher.most)
    return Calls(Range(scoring * as_it_came, scoring * as_it_came + most), teacher)


def _nothing_left(options: Options) -> str | None:
    if selected(options):
        return None
    last = options.integer("num_candidate_programs") - 1
    return f"`restrict` leaves no candidate: there are {ZERO_SHOT} to {last}"


def _advise(s: Situation) -> Iterator[Idea]:
    if s.no_demos or s.rows < FEW:
        return
    candidates = {"num_candidate_programs": 10 if s.rows >= SOME else 4}
    if s.rows >= MANY:
        yield Idea("next", "search", "searches demos alone: no model has to write instructions", candidates)
    elif s.rows >= SOME:
        why = f"{s.rows} rows are enough to compare demo sets: ten of them race"
        yield Idea("fitting", "search", why, candidates)
    else:
        why = "compares a few demo sets; the winner is kept only if it is well ahead"
        yield Idea("next", "search", why, candidates)


SPEC = Spec(
    name="BootstrapFewShotWithRandomSearch",
    doc="Tries the program without demos, with labelled demos, and with many random sets of "
    "bootstrapped demos; compares them on val and keeps the best. What it starts from competes too.",
    suits="50 rows and more",
    about="With 50 rows and more: which demos are shown matters as much as that there are some. It tries "
    "none, labelled ones and `num_candidate_programs` shuffled sets of bootstrapped ones. What it starts from "
    "competes, so a step cannot make a program worse on `val`. When racing, it also tries sets composed of "
    "the demos that did best. It replaces the demos and keeps instructions.",
    costs="one run for every row of `val` and candidate at most, less when racing; the sets share the "
    "teacher's runs, which are those of one `BootstrapFewShot` that has to try every row.",
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
        Option(
            "search",
            "str",
            "racing",
            'How candidates are compared: "racing" on growing parts of val, the best on all of it; '
            '"full" scores each on all of val, as does `stop_at_score`.',
            choices=SEARCHES,
        ),
    ),
    sets=frozenset({"demos"}),
    calls=_calls,
    shows=demos_shown,
    needs_val=True,
    takes_teacher=True,
    bootstraps=True,
    candidates=True,
    chooses_lms=True,
    advised_train=50,
    compares_on=lambda options, train, val: COMPARED_ON,
    conflicts=(Conflict(("restrict",), _nothing_left),),
    advise=_advise,
)


async def run(student: Program, options: Options, context: Context) -> StepResult:
    search = _Search(student, options, context)
    target = options.number("stop_at_score")
    if target is not None:
        return await _until(search, target)
    return await (_race(search) if races(options) else _all(search))


async def _race(search: _Search) -> StepResult:
    """Make every candidate at the same time, let those that differ race, then try what their demos compose.

    Every candidate is in the first round. So it is scored on the rows that this round is sure to have, as soon as it is
    made and the board is open: none has to wait for the last one, whose making takes one answer after the other.
    """
    import asyncio  # here, since a check reads this file for its SPEC

    from ..search import Arm, Board
    from ..search.board import doubted, open_board

    context = search.context
    start = Arm(_label(None), await search.propose(search.plans[0]))
    plans, rows = search.plans[1:], len(context.val)
    planned = race(search.options, rows, context.finalists, search.lms)
    bare = any(plan.number == ZERO_SHOT for plan in plans) and not has_demos(start.program)
    most = len(plans) - (bare and context.models.ways == 1)
    # Candidates that come out like another leave the rest more rows, so how many is not known yet.
    races = ((arms, planned.fewer(len(plans), arms, rows)) for arms in range(1, most + 1))
    sure = min((race.rounds(arms, rows)[0].rows for arms, race in races), default=0)
    opening = asyncio.ensure_future(open_board(context, start, context.rng("order")))

    async def entered(plan: _Plan) -> Program:
        program = await search.propose(plan)
        board = await asyncio.shield(opening)
        board.begin(Arm(search.label(plan, program), program), sure)
        return program

    try:
        if not await doubted(context, opening):
            board = await opening
            return ranked(board.candidates(), rivals=board.rivals, ended=True)
        made = await together([entered(plan) for plan in plans])
        return await _compared(search, await opening, start, planned, made)
    finally:
        opening.cancel()
        for board in await asyncio.gather(opening, return_exceptions=True):
            if isinstance(board, Board):
                await board.drop()


async def _compared(
    search: _Search, board: Board, start: Arm, planned: Racing, made: Sequence[Program | Halt]
) -> StepResult:
    """The race of the candidates that were made, and what it composes. After a halt, while they were made, none race."""
    from ..search import Arm, Listed
    from .composing import compose

    plans = search.plans[1:]
    halt = next((one for one in made if not isinstance(one, Program)), None)
    arms: dict[str, Arm] = {asked_digest(start.program): start}
    for plan, program in zip(plans, made, strict=True):
        if isinstance(program, Program):
            arms.setdefault(asked_digest(program), Arm(search.label(plan, program), program))
    others = list(arms.values())[1:]
    if halt is not None:
        return ranked(board.candidates(), cut=halt, rivals=board.rivals)
    raced = planned.fewer(len(plans), len(others), board.rows)
    halt = await raced.run(board, Listed(others), len(others))
    if halt is None and not board.settled and (wanted := composed(search.options)):
        sets = [
            Arm(one.label + search.context.models.said(one.program, start.program), one.program)
            for one in compose(start.program, board, [start, *others])
        ]
        halt = await board.extend(sets[:wanted], board.rows)
    if halt is None:
        halt = await board.extend(moved_arms(board, search.context), board.rows)
    repeats = len(plans) - len(others)
    notes = (f"{repeats} of {len(plans) + 1} candidates came out like an earlier one",) if repeats else ()
    return ranked(board.candidates(), cut=halt, notes=notes, rivals=board.rivals, ended=board.settled)


async def _all(search: _Search) -> StepResult:
    """Score every candidate, all at the same time, once one is known to be worth it."""
    import asyncio  # here, since a check reads this file for its SPEC

    from ..search.board import doubted

    start = asyncio.ensure_future(search.score(search.plans[0]))

    async def started() -> Candidate:
        return await start

    try:
        if not await doubted(search.context, start):
            search.tell(await start)
            return ranked([await start], ended=True)
        others = [search.score(plan) for plan in search.plans[1:]]
        found = await together([started(), *others], search.tell)
    finally:
        start.cancel()
    scored = [one for one in found if isinstance(one, Candidate)]
    halts = [one for one in found if not isinstance(one, Candidate)]
    if halts and not scored:
        raise halts[0]
    if not halts:
        more, halt = await scored_moved(scored, search.context)
        scored += more
        halts += [] if halt is None else [halt]
    return ranked(scored, cut=halts[0] if halts else None)


async def _until(search: _Search, target: float) -> StepResult:
    """Score one candidate after another until one reaches the target."""
    scored: list[Candidate] = []
    for plan in search.plans:
        try:
            scored.append(await search.score(plan))
            search.tell(scored[-1])
        except (BudgetExceeded, Stopped) as halt:
            if not scored:
                raise
            return ranked(scored, cut=halt)
        if scored[-1].score >= target:
            note = f"stopped at `{scored[-1].label}`: it reached {target:g}"
            return ranked(scored, notes=(note,))
    return ranked(scored)


class _Plan(Struct, frozen=True):
    """A candidate to make: which demos it gets, and which models its predictors ask, where that is open."""

    number: int | None
    """DSPy's number; None for the program as it came."""
    asked: Mapping[str, str]


class _Search:
    """Proposes and scores candidates; one that came out like another waits for its score."""

    def __init__(self, student: Program, options: Options, context: Context) -> None:
        numbers, models = selected(options), context.models
        # A start on several models is on none of them as a whole: all but the last are tried here, and that at the end.
        others = models.others(student)[: len(models.names) - 1] if models.names else []
        dealt = models.dealt(student, len(numbers), context.rng("models"))
        self.plans: tuple[_Plan, ...] = (
            _Plan(None, {}),
            *map(_Plan, numbers, dealt),
            *(_Plan(None, asked) for asked in others),
        )
        """The program as it came is always the first candidate; on further models it is the last ones."""
        self.lms = 1 + len(others)
        self.options = options
        self.context = context
        self._student = student
        self._teacher = prepare_teacher(student, options, context)
        self._scores: dict[str, asyncio.Lock] = {}
        self._known: dict[str, tuple[float, ...]] = {}

    def label(self, plan: _Plan, program: Program) -> str:
        return _label(plan.number) + self.context.models.said(program, self._student)

    async def score(self, plan: _Plan) -> Candidate:
        import asyncio  # here, since a check reads this file for its SPEC

        from ..search.board import score_start

        program = await self.propose(plan)
        label = self.label(plan, program)
        key = asked_digest(program)
        async with self._scores.setdefault(key, asyncio.Lock()):
            if key not in self._known:
                if plan is self.plans[0]:
                    evaluation = await score_start(self.context, program, label)
                else:
                    evaluation = await self.context.evaluator.evaluate(program, self.context.val, label=label)
                self._known[key] = evaluation.scores
        return Candidate(label, program, self._known[key])

    def tell(self, candidate: Candidate) -> None:
        self.context.progress(candidate.label, candidate.score)

    async def propose(self, plan: _Plan) -> Program:
        options, train, number = self.options, self.context.train, plan.number
        student = self.context.models.moved(self._student, plan.asked, self.context.room)
        if number is None:
            return student
        if number == ZERO_SHOT:
            return without_demos(student)
        if number == LABELS_ONLY:
            rng = self._streams(number) if options.flag("labeled_sample") else None
            return with_labels(student, train, options.integer("max_labeled_demos"), rng, self.context.room)
        size = options.integer("max_bootstrapped_demos")
        rows = train
        if number != UNSHUFFLED:
            rows, size = self._shuffled(number, size)
        accepted, halt = await bootstrap(
            self._student, self._teacher, rows, size, options, self.context, ahead=True
        )
        if halt is not None:
            raise halt
        return assemble(student, accepted, rows, size, options, self._streams(number), self.context.room)

    def _shuffled(self, number: int, most: int) -> tuple[Rows, int]:
        """The set's own order of the training rows, and how many demos it bootstraps: 1 to `most`."""
        draws = self._streams(number)("order")
        order = list(self.context.train)
        draws.shuffle(order)
        return tuple(order), draws.randint(1, most) if most else 0

    def _streams(self, number: int) -> Streams:
        return lambda name: self.context.rng(f"{_label(number)}/{name}")


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
