"""What is known of every arm: its scores on a beginning of the rows, the same rows for all.

A board scores; it does not decide. Equal programs share their scores, whatever they are called. What
one arm took is never asked again: more rows continue where it stopped. What is sure to be asked may begin before
its turn. At the budget's wall, or when the engine is stopped, the board keeps what it has and says so.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Coroutine, Sequence
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from msgspec import Struct

from dspec.runtime.schema.program import Program

from ..evaluate.digests import asked_digest
from ..evaluate.outcomes import Candidate
from ..evaluate.shares import at_best, overall, perfect, shares_of
from ..evaluate.tasks import Halt, pair, together
from .order import in_turn, weights

if TYPE_CHECKING:
    import asyncio

    from ..data.rows import Rows
    from ..evaluate.evaluation import Evaluator
    from ..evaluate.outcomes import Evaluation

Result = TypeVar("Result")

FEW = 8
"""Once no more rows of an extension than these are out, `told` hears of each one that comes."""


class Arm(Struct, frozen=True):
    """A program to compare, under the name that messages give it."""

    label: str
    program: Program


class Scoring(Protocol):
    """What a board scores with, which an optimizer's context has."""

    @property
    def evaluator(self) -> Evaluator: ...
    @property
    def val(self) -> Rows: ...
    @property
    def progress(self) -> Callable[[str, float | None], None]:
        """Told of each arm that is known on every row: its label, and its score."""
        ...

    @property
    def start_scored(self) -> asyncio.Event | None:
        """Set once the incumbent is scored elsewhere; None where the board is to score it."""
        ...

    @property
    def start_doubted(self) -> asyncio.Event:
        """Set once a row is known on which the incumbent scores less than 1."""
        ...

    @property
    def settles(self) -> bool:
        """Whether the search may end where nothing can be better."""
        ...

    def doubts(self, place: int, score: float) -> None:
        """Hears of the incumbent's rows, and sets `start_doubted`."""
        ...


class _Going(Struct, frozen=True):
    """An arm being scored on the rows from `start` to `end` of the order; `scores` are those that came, by place."""

    start: int
    end: int
    scores: dict[int, float]
    task: asyncio.Task[tuple[float, ...]]

    @property
    def out(self) -> int:
        return self.end - self.start - len(self.scores)


class Board:
    """Scores of arms on `scoring.val`. The first arm is the incumbent, known on every row."""

    def __init__(self, scoring: Scoring, incumbent: Arm, scores: Sequence[float], rng: random.Random) -> None:
        self._scoring = scoring
        self._order = in_turn(scores, rng)
        self._arms: dict[str, Arm] = {}
        self._scores: dict[str, list[float]] = {}
        self._complete: list[str] = []
        self._going: dict[str, _Going] = {}
        self._told: Callable[[], None] | None = None
        self._waited_for: set[str] = set()
        self.incumbent = incumbent
        key = self._register(incumbent)
        self._scores[key] = [scores[place] for place in self._order]
        self._weights: dict[int, list[float] | None] = {}
        self._completed(key)

    @property
    def rows(self) -> int:
        return len(self._order)

    @property
    def rivals(self) -> tuple[tuple[float | None, ...], ...]:
        """What each distinct arm scored on each row, None where it was not; the incumbent left out, and those that never
        were scored."""
        own = asked_digest(self.incumbent.program)
        return tuple(self._by_row(scores) for key, scores in self._scores.items() if scores and key != own)

    @property
    def settled(self) -> bool:
        """Whether nothing can be better: an arm scores 1 on every row, and the search may end there."""
        return self._scoring.settles and any(perfect(self._scores[key]) for key in self._complete)

    def may_win(self, arm: Arm) -> bool:
        """Whether the arm could still score more than every arm that is known on all rows; True where more than the
        best is wanted."""
        if not self._scoring.settles:
            return True
        scores = self.scores(arm)
        start = self.scores(self.incumbent)
        if shares_of(start):
            best = max(overall(self._scores[key]) for key in self._complete)
            return overall([*scores, *map(at_best, start[len(scores) :])]) > best
        best = max(math.fsum(self._scores[key]) for key in self._complete)
        return math.fsum([*scores, self.rows - len(scores)]) > best

    def knows(self, program: Program) -> bool:
        return asked_digest(program) in self._arms

    def seen(self, arm: Arm) -> int:
        """Rows on which the arm has been scored."""
        return len(self._scores.get(asked_digest(arm.program), ()))

    def scores(self, arm: Arm) -> Sequence[float]:
        """The arm's scores on the first rows of the order."""
        return self._scores.get(asked_digest(arm.program), [])

    def mean(self, arm: Arm, rows: int | None = None) -> float:
        """The number of the first `rows` rows, or of all that the arm has seen; 0.0 on none."""
        scores = self.scores(arm)[:rows]
        return overall(scores, self.weights(len(scores)))

    def weights(self, rows: int) -> list[float] | None:
        """How much each of the first rows counts, where they do not hold each label in proportion."""
        if rows not in self._weights:
            self._weights[rows] = weights(self.scores(self.incumbent), rows)
        return self._weights[rows]

    def estimate(self, arm: Arm) -> float:
        """What the arm would score on all rows, going by how it differs from the incumbent so far.

        A control variate: rows that are hard for one are mostly hard for the other.
        """
        return self.estimated(self.scores(arm))

    def estimated(self, scores: Sequence[float]) -> float:
        """`estimate` of an arm with these scores on the first rows."""
        if not scores:
            return self.mean(self.incumbent)
        return self.projected(overall(scores, self.weights(len(scores))), len(scores))

    def projected(self, mean: float, rows: int) -> float:
        """`estimate` of an arm with that mean on the first `rows` rows. It rises with the mean."""
        lead = mean - self.mean(self.incumbent, rows)
        return min(1.0, max(0.0, self.mean(self.incumbent) + lead))

    def span(self, arm: Arm, rows: int) -> tuple[list[float], list[float]]:
        """The least and the most that the arm may score on each of the first `rows` rows: 0 and 1 where the row is out, and
        there is no aggregate."""
        key = asked_digest(arm.program)
        known = self._scores.get(key, [])[:rows]
        going = self._going.get(key)
        came = {} if going is None else {going.start + place: score for place, score in going.scores.items()}
        left = range(len(known), rows)
        return [*known, *(came.get(at, 0.0) for at in left)], [*known, *(came.get(at, 1.0) for at in left)]

    def begin(self, arm: Arm, rows: int) -> None:
        """Start to score a program that is sure to be scored on the first `rows` rows, before its turn: `extend` then
        waits for what is left. Arms are known in the order of `extend`, whichever began first.

        Who begins something and then extends by none of it must `drop` it.
        """
        import asyncio  # here, since the table of optimizers is read where nothing runs

        key = asked_digest(arm.program)
        start = len(self._scores.get(key, ()))
        if start < rows and key not in self._going:
            scores: dict[int, float] = {}
            task = asyncio.create_task(self._score(key, arm, start, rows, scores))
            self._going[key] = _Going(start, rows, scores, task)

    async def ahead(self, arm: Arm, rows: int) -> Sequence[float]:
        """Begins to score an arm, as above, and gives its scores on the first `rows` rows or more when they are there. The arm is
        known by `extend` alone. Raises what the evaluation raises."""
        import asyncio  # as above

        self.begin(arm, rows)
        key = asked_digest(arm.program)
        known, going = self._scores.get(key, []), self._going.get(key)
        return [*known, *(await asyncio.shield(going.task) if going else ())]

    async def drop(self) -> None:
        """Cancels what was begun and not waited for."""
        import asyncio  # as above

        tasks = [going.task for going in self._going.values()]
        self._going = {}
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def extend(
        self, arms: Sequence[Arm], rows: int, *, told: Callable[[], None] | None = None
    ) -> Halt | None:
        """Score every arm on the first `rows` rows, all at the same time.

        `told` hears when an arm is through, and of each row when `FEW` are out: it may `begin` what is sure by then.
        A halt comes back, with what was scored until then kept; other failures are raised. Either drops what was begun.
        """
        keys = list(dict.fromkeys(map(self._register, arms)))
        due = [key for key in keys if len(self._scores[key]) < rows]
        for key in due:
            self.begin(self._arms[key], rows)
        self._told, self._waited_for = told, set(due)
        try:
            found = await together([self._scored(key, rows) for key in due])
        except BaseException:
            await self.drop()
            raise
        finally:
            self._told = None
        halt = next((one for one in found if one is not None), None)
        if halt is not None:
            await self.drop()
        for key in keys:
            if len(self._scores[key]) == self.rows and key not in self._complete:
                self._completed(key)
        return halt

    def candidates(self) -> list[Candidate]:
        """The arms that were scored on all rows, in the order in which they were first seen."""
        complete = set(self._complete)
        return [self._candidate(key) for key in self._arms if key in complete]

    async def _scored(self, key: str, rows: int) -> None:
        """Waits until the arm is scored on so many rows, of which it may have begun on fewer.

        Only here does what was begun become known: what is known never depends on how fast it came.
        """
        while len(self._scores[key]) < rows:
            self.begin(self._arms[key], rows)
            going = self._going[key]
            try:
                self._scores[key] += await going.task
            finally:
                del self._going[key]
        self._waited_for.discard(key)
        if self._told is not None:
            self._told()

    async def _score(
        self, key: str, arm: Arm, start: int, end: int, scores: dict[int, float]
    ) -> tuple[float, ...]:
        def told(place: int, score: float) -> None:
            scores[place] = score
            if self._told is not None and key in self._waited_for and self._out() <= FEW:
                self._told()

        rows = [self._scoring.val[place] for place in self._order[start:end]]
        evaluation = await self._scoring.evaluator.evaluate(arm.program, rows, label=arm.label, told=told)
        return evaluation.scores

    def _out(self) -> int:
        """Rows that the extension under way waits for."""
        return sum(self._going[key].out for key in self._waited_for if key in self._going)

    def _register(self, arm: Arm) -> str:
        key = asked_digest(arm.program)
        self._arms.setdefault(key, arm)
        self._scores.setdefault(key, [])
        return key

    def _completed(self, key: str) -> None:
        self._complete.append(key)
        self._scoring.progress(self._arms[key].label, self._candidate(key).score)

    def _candidate(self, key: str) -> Candidate:
        arm = self._arms[key]
        scores = dict(zip(self._order, self._scores[key], strict=True))
        return Candidate(arm.label, arm.program, tuple(scores[place] for place in range(self.rows)))

    def _by_row(self, scores: Sequence[float]) -> tuple[float | None, ...]:
        """In the rows' order, scores of the first rows of the board's order."""
        known = dict(zip(self._order, scores, strict=False))
        return tuple(known.get(place) for place in range(self.rows))


async def doubted(scoring: Scoring, opening: asyncio.Future[Any]) -> bool:
    """Whether anything can be better than the incumbent, which `opening` scores: said with its first row that is not
    perfect, or when all are known. So what goes on beside the scoring is never begun in vain, however fast answers come.

    Without `start_scored` it waits for all rows. Raises what `opening` raises.
    """
    import asyncio  # as above

    if scoring.start_scored is None:
        await asyncio.shield(opening)
    if not scoring.settles:
        return True
    doubt = asyncio.ensure_future(scoring.start_doubted.wait())
    try:
        await asyncio.wait({doubt, opening}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        doubt.cancel()
    if scoring.start_doubted.is_set():
        return True
    opening.result()
    return False


async def open_beside(
    scoring: Scoring, incumbent: Arm, rng: random.Random, other: Coroutine[Any, Any, Result]
) -> tuple[Board, Result | Halt | None]:
    """Opens a board and runs `other`, which needs no scores: both at the same time where the incumbent is scored
    elsewhere (`Scoring.start_scored`), else one after the other. None in the place of what `other` gives where nothing
    can be better: it is not begun. Raises what `open_board` raises; a halt of `other` is returned in its place."""
    import asyncio  # as above

    opening = asyncio.ensure_future(open_board(scoring, incumbent, rng))

    async def opened() -> Board:
        return await opening

    try:
        if not await doubted(scoring, opening):
            return await opening, None
        board, found = await pair(opened(), other)
        if isinstance(board, Board):
            return board, found
        raise board
    finally:
        other.close()
        opening.cancel()


async def open_board(scoring: Scoring, incumbent: Arm, rng: random.Random) -> Board:
    """A board whose incumbent is scored on all rows. Raises what the evaluation raises, halts included."""
    if scoring.start_scored is not None:
        await scoring.start_scored.wait()

    evaluation = await score_start(scoring, incumbent.program, incumbent.label)
    return Board(scoring, incumbent, evaluation.scores, rng)


async def score_start(scoring: Scoring, program: Program, label: str) -> Evaluation:
    """Scores the incumbent on all rows; `start_doubted` is set as soon as it is known to be less than perfect."""
    evaluation = await scoring.evaluator.evaluate(program, scoring.val, label=label, told=scoring.doubts)
    if not perfect(evaluation.scores):
        scoring.start_doubted.set()  # of some aggregates no single row tells
    return evaluation
