"""SIMBA: learn from the rows on which runs of one program differ most.

Algorithm: DSPy's `SIMBA` (stochastic introspective mini-batch ascent). Each step runs good programs several
times on a batch of train. Where one run did well and another badly, a child is made that shows the good run
as a demo, or that is given advice which a model draws from comparing the two. Children are scored on the
same batch; in the end the best ones compete on val. What differs, but for `search = "full"`: a row is run again only
where that may tell more; each batch makes two steps of half its rows, the second of which knows what came of the first;
children and finalists race; and how good a program is follows from everything that was seen of it and of those that it shares
demos or advice with, the runs to learn from included (`search.kinship`), and not from its mean on one batch. So the demo that is
forgotten is the one that seems worst, and one child of a step is put together from what seems best in all programs
(`simba_pieces`). And always: a child that came out unchanged or like another is not scored; a program is run on a row without
the demo that shows this row; and what it starts from is scored first, so that it competes whatever happens.

Of one step, all runs of a wave are made at once, then all questions are asked at once, then all children are scored at
once. Every draw is made before any of them.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from msgspec import Struct
from msgspec.structs import replace

from dspec.runtime.errors import BudgetExceeded, Stopped
from dspec.runtime.schema.ensemble import Runnable, each
from dspec.runtime.schema.program import Demo, Program
from dspec.runtime.schema.types import JsonValue, Row

from ..diagnostics.wording import plural
from ..evaluate.counts import Calls, Range
from ..evaluate.digests import program_digest
from ..evaluate.outcomes import Candidate
from ..evaluate.scoring import MetricError
from ..evaluate.shares import overall
from ..evaluate.tasks import Halt, together
from ..search import Arm, Board, Foreseen, Full, Kinship, Listed, Racing, Strategy
from ..search.racing import Round
from .base import LEAST_COMPARED, Context, Facts, Option, Options, Shows, Spec, StepResult, Writes
from .demos import hide, showable
from .frozen import tunable
from .proposing import Proposer
from .proposing.cases import score_of
from .proposing.contrast import advise
from .ranking import ranked, settled
from .simba_batch import Bucket, by_worth, draw_program, dropped, percentile, spread
from .simba_pieces import Piece, Pieces, of_student, put_together, worst
from .teachers import matched

if TYPE_CHECKING:
    from ..data.rows import Example, Rows
    from ..evaluate.evaluation import Attempt, Evaluation

SEARCHES = ("racing", "full")
SHARE = 0.42
"""What the race of the best programs may cost, as a share of scoring each on all of val."""
PARTS = 2
"""Where it races, a batch is learned from in so many steps."""
FIRST_PART = 4
"""The first look at children takes so many-th part of a batch."""
FIRST_RUNS = 2
"""Runs of every row of a batch, before others are made where these did alike."""
NOTHING_LEFT = 1.02
"""It ends where the best program is expected to score so much on average rows: more than can be scored, since the best of many is
always expected to be a little better than it is."""
LIMIT_WITHOUT_DEMOS = 3
"""With `max_demos = 0`, from so many demos on one is forgotten each time. The number is DSPy's."""


def races(options: Options) -> bool:
    return options.text("search") == "racing"


class Steps(Struct, frozen=True):
    """How many steps there are at most, the rows of each, and the children that each makes at most: of a half of a batch one
    more than half of the batch's, since these cost less."""

    count: int
    rows: int
    children: int


def steps(options: Options, train: int) -> Steps:
    most, batch = options.integer("max_steps"), min(options.integer("bsize"), train)
    made = options.integer("num_candidates") + 1
    if not races(options):
        return Steps(most, batch, made)
    rows = math.ceil(batch / PARTS)
    parts = math.ceil(batch / rows)
    return Steps(most * parts, rows, math.ceil(made / parts) + (parts > 1))


def children(options: Options, batch: int) -> Strategy:
    """How the children of a step are compared on its rows."""
    return Racing(math.ceil(batch / FIRST_PART)) if races(options) else Full()


def winners(options: Options, best: int, val: int, finalists: int = 1) -> Strategy:
    """How the best programs are compared on val."""
    return Racing.within(SHARE * best * val, best, val, finalists=finalists) if races(options) else Full()


def _calls(options: Options, facts: Facts) -> Calls:
    runs = options.integer("num_candidates")
    planned = steps(options, facts.train)
    own, taught = facts.calls_per_run, max(facts.calls_per_run, facts.teacher_calls)
    start = 0 if facts.student_scored else facts.val
    best = min(planned.count * (planned.children if races(options) else 1), runs)
    rows = planned.count * children(options, planned.rows).most(planned.children, planned.rows)
    rows += max(
        winners(options, few, facts.val, facts.finalists).most(few, facts.val) for few in range(1, best + 1)
    )
    sure = min(runs, FIRST_RUNS) if races(options) else runs
    return Calls(
        task=Range(start * own, (start + rows) * own),
        teacher=Range(
            sure * min(own, facts.teacher_calls), planned.count * planned.rows * ((runs - 1) * own + taught)
        ),
        prompt=Range(0, planned.count * min(planned.rows, planned.children)),
    )


SPEC = Spec(
    name="SIMBA",
    doc="Runs the program several times on batches of train and, where runs of one row differ, adds the good "
    "run as a demo or advice that a model draws from comparing it with a bad one.",
    suits="rows that one program gets right only now and then",
    about="When the same program sometimes gets a row right and sometimes not: the good run becomes a demo, "
    "or the model is asked what it did that the bad run did not. It adds to demos and instructions.",
    costs="for each of `max_steps` batches, up to `num_candidates` runs of each row, at most `num_candidates` "
    "questions and four more, and the children on the same rows; then the best programs on `val`.",
    source="DSPy, SIMBA",
    options=(
        Option(
            "bsize",
            "int",
            32,
            "Rows of a batch; all of train where there are fewer.",
            minimum=1,
            counts="train",
        ),
        Option(
            "num_candidates",
            "int",
            6,
            "Runs of each row of a batch; a few more children than that are made of each batch.",
            minimum=1,
        ),
        Option("max_steps", "int", 8, "Batches to learn from.", minimum=1),
        Option(
            "max_demos",
            "int",
            4,
            "Demos from which on one is forgotten whenever one is added. 0 adds advice only, and demos that there are make "
            "way for it as if there were room for three.",
            minimum=0,
        ),
        Option(
            "demo_input_field_maxlen",
            "int",
            100_000,
            "Characters of one input that a demo keeps.",
            minimum=1,
        ),
        Option(
            "temperature_for_sampling",
            "float",
            0.2,
            "How freely programs are drawn to be run; 0 always takes the best.",
            minimum=0.0,
        ),
        Option(
            "temperature_for_candidates",
            "float",
            0.2,
            "How freely programs are drawn to make children of; 0 always takes the best.",
            minimum=0.0,
        ),
        Option(
            "search",
            "str",
            "racing",
            'How much is run: with "racing" a row is run again only while its runs are alike and few rows are known whose runs '
            "differ, a batch is learned from half by half, and children, and in the end the best programs, race on growing "
            'parts of the rows; with "full" every row is run as often, and every child on all rows.',
            choices=SEARCHES,
        ),
    ),
    sets=frozenset({"instructions", "demos"}),
    starts_from=frozenset({"instructions", "demos"}),
    calls=_calls,
    shows=lambda options, facts: Shows(
        options.integer("max_demos"), options.integer("max_demos"), repeats=True
    ),
    writes=lambda options, facts: Writes(
        kept=steps(options, facts.train).count,
        shown=steps(options, facts.train).count * facts.predictors,
        runs=2,
    ),
    needs_val=True,
    takes_teacher=True,
    candidates=True,
    advised_train=32,
    compares_on=lambda options, train, val: max(LEAST_COMPARED, train),
    prompts=True,
    reflective=True,
)


async def run(student: Program, options: Options, context: Context) -> StepResult:
    if context.teacher is not None:
        context = replace(context, teacher=matched(student, context.teacher))
    first = await context.evaluator.evaluate(student, context.val, label="as it came")
    ascent = _Ascent(student, options, context, Candidate("as it came", student, first.scores))
    board = Board(context, Arm(ascent.start.label, student), first.scores, context.rng("order"))
    scored = [ascent.start]
    if settled(scored, context):
        return ranked(scored, ended=True)
    try:
        await ascent.climb()
    except (BudgetExceeded, Stopped) as halt:
        return ranked(scored, cut=halt)
    best = ascent.best(options.integer("num_candidates"))
    compared = winners(options, max(1, len(best)), board.rows, context.finalists)
    halt = await compared.run(board, ascent.listed(best, board), len(best))
    notes = () if halt else tuple(ascent.notes)
    return ranked(board.candidates(), cut=halt, notes=notes, rivals=board.rivals, ended=board.settled)


class _Entry(Struct, frozen=True):
    """A program of the pool, and what it scored on average: the start on val, the others on their batch. `parent` is the
    place of the one that it was made of."""

    label: str
    program: Program
    pieces: Pieces
    mean: float = 0.0
    parent: int = 0


class _Idea(Struct, frozen=True):
    """A child to be made: of which program of the pool, of what is left of its pieces, from which row's runs, and how."""

    parent: int
    pieces: Pieces
    bucket: Bucket
    adds_demo: bool


class _Ascent:
    """The pool, and the places of each step's winners; the first of both is the start."""

    def __init__(self, student: Program, options: Options, context: Context, start: Candidate) -> None:
        self.start = start
        self.notes: list[str] = []
        self._student = student
        self._pool = [_Entry(start.label, student, of_student(student), start.score)]
        self._known = list(self._pool[0].pieces.demos)
        self._winners = [0]
        self._kinship = Kinship(self._pool[0].pieces.names) if races(options) else None
        self._options = options
        self._context = context
        self._proposer = Proposer(context, student)
        self._steps = steps(options, len(context.train))
        self._runs = options.integer("num_candidates")
        self._seen = {program_digest(student)}
        self._order: list[Example] = []
        self._passes = 0
        self._failed: set[str] = set()
        for row, score in zip(context.val, start.scores, strict=True):
            self._tell(0, row, score)

    def _tell(self, place: int, row: Example, score: float) -> None:
        """Of a program of the pool, by its place."""
        if self._kinship is not None:
            self._kinship.told(place, row.digest, score)

    def _means(self) -> list[float]:
        """How good each program of the pool is."""
        if self._kinship is not None:
            return self._kinship.means()
        return [entry.mean for entry in self._pool]

    def best(self, most: int) -> list[int]:
        """Places of the programs that compete on val, the start left out."""
        if self._kinship is None:
            return [self._winners[place] for place in spread(len(self._winners), most + 1) if place > 0]
        means = self._means()
        return sorted(range(1, len(means)), key=lambda place: -means[place])[:most]

    def listed(self, places: Sequence[int], board: Board) -> Listed:
        arms = [Arm(self._pool[place].label, self._pool[place].program) for place in places]
        if self._kinship is None:
            return Listed(arms)
        means = self._means()
        return Foreseen(arms, [board.mean(board.incumbent) + means[place] - means[0] for place in places])

    async def climb(self) -> None:
        """All steps; ends early when a whole pass over train has led to no child."""
        barren = lost = 0
        for number in range(1, self._steps.count + 1):
            if number > 1 and self._kinship is not None and max(self._means()) >= NOTHING_LEFT:
                self.notes.append(f"stopped after step {number - 1}: nothing seems to be left to learn")
                break
            batch = self._batch()
            runs = await self._runs_of(batch, number)
            joined = self._put_together(number)
            ideas = self._ideas(runs, number, self._steps.children - len(joined))
            taught = await self._children(ideas, runs, number)
            made = [*taught, *joined]
            lost += len(ideas) - len(taught)
            if made:
                barren = 0
                self._winners.append(await self._scored(made, batch))
                continue
            barren += len(batch)
            if barren >= len(self._context.train) and number < self._steps.count:
                self.notes.append(f"stopped after step {number}: a whole pass over train taught nothing")
                break
        if lost:
            self.notes.append(
                f"{plural(lost, 'child', 'children')} came out unchanged or like an earlier one"
            )

    # Runs ------------------------------------------------------------------------------------------

    def _batch(self) -> Rows:
        """The next rows of a shuffled train; what does not fill a batch is left to the next pass."""
        size = self._steps.rows
        if len(self._order) < size:
            self._order = list(self._context.train)
            self._context.rng(f"pass {self._passes}").shuffle(self._order)
            self._passes += 1
        batch, self._order = self._order[:size], self._order[size:]
        return tuple(batch)

    async def _runs_of(self, batch: Rows, number: int) -> list[list[Attempt]]:
        """Each row's runs at temperature 1.0, by programs drawn for each; the teacher makes the first."""
        draws = self._context.rng(f"step {number}/runs")
        temperature = self._options.number("temperature_for_sampling") or 0.0
        means = self._means()
        jobs: list[tuple[Runnable, Example, int, float | None]] = []
        drawn: list[int | None] = []
        for row in batch:
            for turn in range(self._runs):
                place = draw_program(means, self._runs, temperature, draws)
                if turn == 0 and self._context.teacher is not None:
                    jobs.append((_hidden(self._context.teacher, row), row, number - 1, None))
                    drawn.append(None)
                    continue
                sample = (number - 1) * self._runs + turn
                jobs.append((hide(self._pool[place].program, row), row, sample, 1.0))
                drawn.append(place)
        made: list[list[Attempt]] = [[] for _ in batch]
        for turns in self._waves():
            places = self._unclear(made)
            wanted = [place * self._runs + turn for place in places for turn in turns]
            for job, attempt in zip(wanted, await self._attempts([jobs[one] for one in wanted]), strict=True):
                made[job // self._runs].append(attempt)
                if (place := drawn[job]) is not None:
                    self._tell(place, attempt.example, score_of(attempt))
        return made

    def _waves(self) -> list[range]:
        """Turns of a row's runs that are made at the same time."""
        if not races(self._options):
            return [range(self._runs)]
        first = min(FIRST_RUNS, self._runs)
        return [range(first), *(range(turn, turn + 1) for turn in range(first, self._runs))]

    def _unclear(self, made: Sequence[Sequence[Attempt]]) -> list[int]:
        """Places of the rows to be run again: those whose runs did alike, until so many others are known that every child has
        a row to learn from."""
        table = [[score_of(attempt) for attempt in row] for row in made]
        scores = [score for row in table for score in row]
        # Of graded scores hardly any two are equal: alike are those that are nearer than a quarter of how far scores lie apart.
        apart = (percentile(scores, 0.9) - percentile(scores, 0.1)) / 4 if scores else 0.0
        alike = [place for place, row in enumerate(table) if not row or max(row) - min(row) <= apart]
        return alike if len(table) - len(alike) <= self._runs else []

    async def _attempts(self, jobs: Sequence[tuple[Runnable, Example, int, float | None]]) -> list[Attempt]:
        """In the order of the jobs. Raises halts."""
        found: list[Attempt | Halt] = await together(
            [
                self._context.evaluator.attempt(program, row, sample=sample, temperature=degree)
                for program, row, sample, degree in jobs
            ]
        )
        attempts: list[Attempt] = []
        for one in found:
            if isinstance(one, Halt):
                raise one
            self._look_for_failure(one)
            attempts.append(one)
        return attempts

    def _look_for_failure(self, attempt: Attempt) -> None:
        """Raises MetricError once the metric has failed on so many rows that an evaluation would end, since scores decide
        here, too."""
        if attempt.metric_failed:
            self._failed.add(attempt.example.digest)
            self._context.metric_failed.setdefault(
                attempt.example.index, attempt.reason or "no reason was given"
            )
            if len(self._failed) >= self._context.evaluator.max_errors:
                raise MetricError(
                    attempt.reason or "the metric failed",
                    help=f"it did so on {plural(len(self._failed), 'row')} of train",
                )

    # Children --------------------------------------------------------------------------------------

    def _ideas(self, runs: Sequence[Sequence[Attempt]], number: int, most: int) -> list[_Idea]:
        """Up to `most` children to make, from the most telling rows."""
        table = [[score_of(attempt) for attempt in row] for row in runs]
        scores = [score for row in table for score in row]
        low, high = percentile(scores, 0.1), percentile(scores, 0.9)
        means = self._means()
        temperature = self._options.number("temperature_for_candidates") or 0.0
        demos = self._options.integer("max_demos")
        ideas: list[_Idea] = []
        for bucket in by_worth(table):
            if len(ideas) == most:
                break
            draws = self._context.rng(f"step {number}/child of row {bucket.row}")
            parent = draw_program(means, self._runs, temperature, draws)
            source = self._pool[parent]
            forgotten = dropped(len(source.pieces.demos), demos or LIMIT_WITHOUT_DEMOS, draws)
            if self._kinship is not None:
                effects = self._kinship.effects()
                seem = [effects.get(piece.name, 0.0) for piece in source.pieces.demos]
                forgotten = worst(seem, len(forgotten))
            good = bucket.scores[bucket.best] > low
            ways = {
                True: demos > 0
                and good
                and bool(showable(source.program, runs[bucket.row][bucket.best].trace)),
                False: good and bucket.scores[bucket.worst] < high,
            }
            wanted = draws.random() < 0.5
            # Where the way that was drawn has nothing to work with, the other one may.
            way = next((way for way in (wanted, not wanted) if ways[way]), None)
            if way is not None:
                ideas.append(_Idea(parent, source.pieces.without_demos(forgotten), bucket, way))
        return ideas

    def _put_together(self, number: int) -> list[_Entry]:
        """The best program with what seems good in others and without what seems bad in it, where that is a new one."""
        if self._kinship is None:
            return []
        means = self._means()
        parent = max(range(len(means)), key=means.__getitem__)
        best = self._pool[parent].pieces
        most = max(self._options.integer("max_demos"), len(best.demos))
        pieces = put_together(best, self._known, self._kinship.effects(), most)
        return self._new(f"step {number}, put together", parent, pieces)

    async def _children(
        self, ideas: Sequence[_Idea], runs: Sequence[Sequence[Attempt]], number: int
    ) -> list[_Entry]:
        """The programs that came of the ideas and are new, not scored yet."""
        found: list[Piece | Halt | None] = await together(
            [self._piece(idea, runs[idea.bucket.row], number, place) for place, idea in enumerate(ideas, 1)]
        )
        children: list[_Entry] = []
        for idea, piece in zip(ideas, found, strict=True):
            if isinstance(piece, Halt):
                raise piece
            # Without a piece there is no child: it is not made to forget demos and nothing else.
            if piece is None:
                continue
            known = next((one for one in self._known if one.like(piece)), None)
            if made := self._new(piece.name, idea.parent, idea.pieces.given(known or piece)):
                self._known += [] if known else [piece]
                children += made
        return children

    def _new(self, label: str, parent: int, pieces: Pieces) -> list[_Entry]:
        """The entry of a program that no other is like, or none."""
        program = pieces.program(self._student)
        key = program_digest(program)
        if key in self._seen:
            return []
        self._seen.add(key)
        return [_Entry(label, program, pieces, parent=parent)]

    async def _piece(self, idea: _Idea, runs: Sequence[Attempt], number: int, place: int) -> Piece | None:
        """What the runs of a row teach: a demo, or advice; None where that is nothing."""
        program = idea.pieces.program(self._student)
        better, worse = runs[idea.bucket.best], runs[idea.bucket.worst]
        name = f"step {number}, child {place}"
        if idea.adds_demo:
            longest = self._options.integer("demo_input_field_maxlen")
            demos = demos_of_run(program, better, longest)
            return Piece(name, demos=demos) if demos else None
        advice = await advise(
            self._proposer,
            program,
            better,
            worse,
            self._context.train,
            self._context.rng(f"step {number}/examples {place}"),
            sample=(number - 1) * (self._runs + 1) + place,
        )
        return Piece(name, advice=advice) if advice else None

    async def _scored(self, made: Sequence[_Entry], batch: Rows) -> int:
        """Adds the children to the pool, each with its mean on the rows of the batch that it got to. The place of the best of
        those that saw all."""
        compared = children(self._options, len(batch))
        rounds = (
            compared.rounds(len(made), len(batch))
            if isinstance(compared, Racing)
            else (Round(len(made), len(batch)),)
        )
        first = len(self._pool)
        racing = list(range(first, first + len(made)))
        if self._kinship is not None:
            for child in made:
                self._kinship.born(child.parent, child.pieces.names)
        scores: list[list[float]] = [[] for _ in made]
        seen = 0
        for now in rounds:
            if seen:
                means = self._means()
                racing = sorted(racing, key=lambda place: -means[place])[: now.arms]
            rows = batch[seen : now.rows]
            found = await together([self._on_rows(made[place - first], rows) for place in racing])
            seen = now.rows
            for place, one in zip(racing, found, strict=True):
                if isinstance(one, Halt):
                    raise one
                for row, score in one:
                    scores[place - first].append(score)
                    self._tell(place, row, score)
        self._pool += [replace(child, mean=overall(own)) for child, own in zip(made, scores, strict=True)]
        means = self._means()
        return max(sorted(racing), key=lambda place: means[place])

    async def _on_rows(self, child: _Entry, rows: Rows) -> list[tuple[Example, float]]:
        """The child's scores, each row without the demo that shows it. In the order of the variants that this makes."""
        variants: dict[str, tuple[Program, list[Example]]] = {}
        for row in rows:
            program = hide(child.program, row)
            variants.setdefault(program_digest(program), (program, []))[1].append(row)
        found: list[Evaluation | Halt] = await together(
            [
                self._context.evaluator.evaluate(program, those, label=child.label)
                for program, those in variants.values()
            ]
        )
        scores: list[tuple[Example, float]] = []
        for one, (_, those) in zip(found, variants.values(), strict=True):
            if isinstance(one, Halt):
                raise one
            scores += zip(those, one.scores, strict=True)
        return scores


def _hidden(teacher: Runnable, row: Example) -> Runnable:
    return each(teacher, lambda one: hide(one, row))


def demos_of_run(program: Program, attempt: Attempt, longest: int) -> dict[str, Demo]:
    """The run's calls as demos, the last one of each predictor that may be changed."""
    mine = tunable(program)
    last = {step.predictor: step for step in showable(program, attempt.trace) if step.predictor in mine}
    return {
        address: Demo(inputs=_cut(step.inputs, longest), outputs=step.outputs, augmented=True)
        for address, step in last.items()
    }


def _cut(row: Row, longest: int) -> Row:
    return {name: _cut_value(value, longest) for name, value in row.items()}


def _cut_value(value: JsonValue, longest: int) -> JsonValue:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return value if len(text) <= longest else f"{text[:longest]} …"
