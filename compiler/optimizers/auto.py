"""Auto: which optimizer suits a program is tried out, in rounds of those that pay.

A round runs one of the other optimizers, or races a few cheap ones, from the best program so far. It chooses on a part of
the rows to compare on, drawn anew each time. Its winner is then compared with the program that the round started from on
the other rows, block after block, and takes its place only if it is ahead on all of them together. So no round is judged
by the rows it chose on alone, and one that brought nothing costs little. What a round is said to have gained, and what is
hoped of the next one, is without the luck of having been chosen (`evaluate.winners`).

The first rounds are those of what is cheap and of what most tasks gain by. Which family has the next one is decided by what it
may gain for each call: by what its last round gained, and before that by a guess. A round without a gain makes all others less
hopeful, and so does a search that gained, since searches find much the same. It ends when nothing is likely to pay.
Where `max_calls` pays for less, a round of contrasts has fewer batches, or nobody is asked to make demos.

A vote of the best, where more calls an answer are allowed, is self-consistency (Wang et al., 2022, arXiv:2203.11171) of
several programs.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from msgspec import Struct
from msgspec.structs import replace

from dspec.runtime.errors import BudgetExceeded, Stopped
from dspec.runtime.running.bounds import calls_per_run
from dspec.runtime.schema.ensemble import Ensemble, Runnable
from dspec.runtime.schema.program import Program

from ..diagnostics.wording import plural
from ..evaluate.counts import Calls, Range
from ..evaluate.digests import program_digest
from ..evaluate.outcomes import Candidate, Seen, rows_seen
from ..evaluate.sequential import interval
from ..evaluate.shares import overall
from ..evaluate.statistics import luck
from ..evaluate.tasks import Halt
from ..evaluate.winners import worth_of_winner
from .advising import Idea, Situation
from .auto_families import (
    COMPARED_ON,
    FAMILIES,
    FEW,
    FIRST,
    SEARCHED,
    Family,
    all_rounds,
    cheap_race,
    compared,
    part_of,
    round_calls,
    rounds_within,
)
from .base import Context, Explored, Facts, OptimizerError, Option, Options, Shows, Spec, StepResult, Writes
from .demos import Streams, has_demos, has_labels, without_demos
from .ensemble import SPEC as ENSEMBLE
from .ensemble import gather
from .frozen import thaw, tunable
from .ranking import chosen_from, ranked, settled
from .texts import tunable_tools

if TYPE_CHECKING:
    from ..data.rows import Rows

BLOCK = 30
"""Rows of each look at a round's winner on rows on which it was not chosen."""
BELIEF = 0.8
"""How much a family's last round says of its next one; the rest is what was hoped before."""
DOUBT = 0.75
"""What is left of the others' hope after a round without a gain: what one kind of search cannot find, another may."""
LEAST = 0.03
"""A round that is not hoped to gain more than this, in 0..1, is not begun."""
LITTLE = 0.02
"""A round that gains less, in 0..1, gains nothing."""
PATIENCE = 3
"""Rounds without a gain, one after the other, after which it ends."""
VOTERS = 3
"""Programs from which on a majority means anything."""


def _voters(options: Options, calls_of_one: int) -> int:
    """How many programs may answer each input."""
    found = options.integer("max_calls_per_answer") // max(1, calls_of_one)
    return found if found >= VOTERS else 1


def _calls(options: Options, facts: Facts) -> Calls:
    start = 0 if facts.student_scored else compared(facts).val * facts.calls_per_run
    total = Calls(Range(start, start))
    for family in all_rounds(options, compared(facts)):
        one = round_calls(family, compared(facts))
        total = Calls(total.task + one.task, total.teacher + one.teacher, total.prompt + one.prompt)
    return total


def _parts(options: Options, facts: Facts) -> Iterator[tuple[Spec, Options]]:
    """The optimizers that may run, as often as they may, with their options."""
    for family in all_rounds(options, compared(facts)):
        for part in family.parts:
            yield part.spec, part.given(facts.train)


def _shows(options: Options, facts: Facts) -> Shows:
    """Demos of one optimizer at a time: each replaces those that there are, or keeps them."""
    found = [spec.shows(own, facts) for spec, own in _parts(options, facts)]
    return Shows(
        most=max((one.most for one in found), default=0),
        made=max((one.made for one in found), default=0),
        taught=max((one.taught for one in found), default=0),
    )


def _writes(options: Options, facts: Facts) -> Writes:
    found = [spec.writes(own, facts) for spec, own in _parts(options, facts)]
    kept = sum(one.kept for one in found)
    return Writes(
        kept=kept,
        shown=max((one.shown for one in found), default=0) + kept * facts.predictors,
        runs=max((one.runs for one in found), default=0),
    )


def _shape(student: Program, options: Options) -> Runnable:
    """A vote where more than one call an answer is allowed, which is the most that a run of the result calls."""
    voters = _voters(options, calls_per_run(student))
    return student if voters == 1 else gather(student, (student,) * voters, Options(ENSEMBLE, {}))


def _advise(s: Situation) -> Iterator[Idea]:
    if s.faithful or s.no_demos or not s.val:
        return
    if s.val < FEW:
        why = f"{plural(s.val, 'row of val tells', 'rows of val tell')} little: it tries {FAMILIES[0].name}, and stops"
        yield Idea("unsure", "tuned", why)
        return
    families = [family.name for family in FAMILIES if s.labelled or not family.needs_labels]
    names = f"{', '.join(families[:-1])} and {families[-1]}"
    why = f"tries {names}, cheapest first, goes on with what gains most, and stops when nothing is likely to pay"
    yield Idea("fitting", "tuned", why)


SPEC = Spec(
    name="Auto",
    doc="Finds out which optimizers suit: runs cheap ones first, compares what they make row by row, goes on with what gains "
    "most for each call, and stops when nothing is likely to pay. What it starts from competes too.",
    suits="no wish to choose",
    about="Where it is not known which optimizer suits. It runs the others in rounds, each from the best program so far: rows "
    "as they are (a bootstrap, labels, the rows nearest to each input), contrasts, rules, demo sets, wordings. A round chooses "
    "on some rows of `val`; its winner has to be ahead on all of them together. After the first two rounds, the family that "
    "promises most for each call has the next; where none promises more than 3 points, or three rounds in a row gain nothing, "
    "it stops. The report and the artifact say of every round what was tried, on how many rows, what it gained and took, and "
    "why it stopped. A program stays at one call an answer, unless `max_calls_per_answer` allows a vote.",
    costs="at most those of all rounds, as `dspc plan` counts them, and mostly half of that; nothing but the scoring of the "
    "start where that is perfect; with fewer than 16 rows of `val` those of one race among what is cheap. Without `val` half of "
    "`train` takes its place.",
    source="dspec",
    options=(
        Option(
            "max_calls",
            "int",
            None,
            "Model calls of the step at most: a round of contrasts is as long as this pays for, and other rounds that it could "
            "not pay for are left out. Answers that are asked for again and judges come on top of a round, and are taken off "
            "the later ones. `none`: all that there may be.",
            minimum=1,
            optional=True,
        ),
        Option(
            "max_calls_per_answer",
            "int",
            1,
            "Model calls of the result for each input at most. Where three programs fit into it, a majority vote of the best "
            "competes, too: for a program of one call that is from 3 on, and 2 changes nothing.",
            minimum=1,
            maximum=100,
        ),
    ),
    sets=frozenset({"instructions", "demos", "descriptions"}),
    calls=_calls,
    shows=_shows,
    writes=_writes,
    shape=_shape,
    needs_val=True,
    holds_out=True,
    takes_teacher=True,
    bootstraps=True,
    candidates=True,
    starts_from=frozenset({"instructions", "demos", "descriptions"}),
    prompts=True,
    compares_on=lambda options, train, val: COMPARED_ON,
    advise=_advise,
)


async def run(student: Program, options: Options, context: Context) -> StepResult:
    from ..search import Arm  # here, since a check reads this file for its SPEC
    from ..search.board import open_board

    if not context.val_given:
        half = len(context.train) // 2
        rest = context.train[half:] or context.train
        context = replace(context, train=context.train[:half] or context.train, val=rest)
    board = await open_board(context, Arm("as it came", student), context.rng("order"))
    search = _Search(student, board.candidates()[0], options, context)
    cut = await search.go()
    return search.result(cut, await search.vote() if cut is None else None)


class _Round(Struct, frozen=True):
    """What a round made: its result, and the rows of val on which it chose, by place."""

    result: StepResult
    places: tuple[int, ...]


class _Search:
    """The best program so far, what each family is hoped to gain, and what was tried."""

    def __init__(self, student: Program, start: Candidate, options: Options, context: Context) -> None:
        self.context = context
        self.options = options
        self.best = start
        self.accepted = [start]
        self.rivals: list[Seen] = []
        self.explored: list[Explored] = []
        self.notes: list[str] = []
        self.stopped = ""
        self.ended = False
        self.luck = 0.0
        teachers = [one for one in (context.teacher, *context.teachers) if one is not None]
        self.facts = Facts(
            train=len(context.train),
            val=len(context.val),
            predictors=len(tunable(student)),
            calls_per_run=calls_per_run(student),
            teacher_calls_per_run=sum(map(calls_per_run, teachers)) if teachers else None,
            student_scored=True,
            tools=len(tunable_tools(student)),
            teachers=len(teachers),
            labelled=has_labels(student, context.train),
        )
        scored = replace(self.facts, student_scored=context.student_scored)
        self.left = all_rounds(options, scored)
        self.bounded = self.left != rounds_within(math.inf, scored)
        # The start's own calls are the step's where nobody else has scored it.
        own = 0 if scored.student_scored else self.facts.val * self.facts.calls_per_run
        self.before = context.evaluator.spent.total.calls - own
        self.hope = {family.name: family.hoped for family in FAMILIES}
        self._limit()

    def _limit(self) -> None:
        """Says what is left out since it cannot help here (`rounds_within`), and why."""
        if self.facts.val < FEW:
            self.notes.append(
                f"{plural(self.facts.val, 'row to compare on tells', 'rows to compare on tell')} little: "
                f"only what is cheap is tried ({FEW} would do)"
            )
        elif not self.facts.labelled:
            without = [family.name for family in FAMILIES if family.needs_labels]
            self.notes.append(f"no row of train has a label: {' and '.join(without)} are left out")

    async def go(self) -> Halt | None:
        """Rounds until nothing is likely to pay; the halt that ended them before, if one did."""
        failed = 0
        while not self._through(failed):
            family = self._next()
            if family is None:
                return None
            self.left.remove(family)
            spent = self.context.evaluator.spent.total
            try:
                made = await self._made(family)
                gained, cut = await self._judged(family, made, spent.calls, spent.known_usd)
            except (BudgetExceeded, Stopped) as halt:
                self.stopped = halt.message
                return halt
            if cut is not None:
                self.stopped = cut.message
                return cut
            self._learn(family, gained)
            failed = 0 if gained >= LITTLE else failed + 1
        return None

    def _through(self, failed: int) -> bool:
        if settled(self.accepted, self.context):
            self.stopped, self.ended = "nothing can score more", True
        elif failed >= PATIENCE:
            self.stopped = f"{failed} rounds in a row gained nothing"
        return bool(self.stopped)

    def _next(self) -> Family | None:
        """The family that may gain most for each call; None, with the reason said, where none is worth its calls."""
        able = self._affordable()
        for family in FIRST[len(self.explored) :]:
            if (first := next((one for one in able if one.name == family.name), None)) is not None:
                return first
        if not able:
            self.stopped = "every family had all the rounds that it may have"
            if self.bounded or self.left:
                further = "further round" if self.explored else "round"
                self.stopped = f"`max_calls = {self.options.integer('max_calls')}` pays for no {further}"
            return None
        worth = [one for one in able if self.hope[one.name] >= LEAST]
        if worth:
            return max(worth, key=lambda one: self.hope[one.name] / self._price(one))
        likely = max(able, key=lambda one: self.hope[one.name])
        self.stopped = (
            f"nothing is likely to pay: a further round of {likely.name} is hoped to gain "
            f"{100 * self.hope[likely.name]:.1f} for up to {plural(self._price(likely), 'call')}"
        )
        return None

    def _affordable(self) -> list[Family]:
        """The rounds left that `max_calls` still pays for: answers that were asked for again and judges have taken of it."""
        if self.options["max_calls"] is None:
            return self.left
        calls = self.options.integer("max_calls") - self.context.evaluator.spent.total.calls + self.before
        return [one for one in self.left if round_calls(one, self.facts).most <= calls]

    def _price(self, family: Family) -> int:
        """What a round is likely to take: a teacher seldom has to try every row."""
        calls = round_calls(family, self.facts)
        return max(1, calls.task.most + calls.teacher.most // 2 + calls.prompt.most)

    def _learn(self, family: Family, gained: float) -> None:
        for other in self.hope.keys() - {family.name}:
            if gained < LITTLE:
                self.hope[other] *= DOUBT
            elif family.searches:
                self.hope[other] *= SEARCHED**family.size
        own = self.hope[family.name]
        self.hope[family.name] = (1 - BELIEF) * own + BELIEF * max(0.0, gained)

    # A round --------------------------------------------------------------------------------------

    async def _made(self, family: Family) -> _Round:
        """Runs the family's optimizers from the best program, on rows of val drawn for this round. Raises halts."""
        label = f"round {len(self.explored) + 1}, {family.name}"
        rows = len(self.context.val)
        drawn = self.context.rng(f"{label}/rows").sample(range(rows), part_of(rows))
        places = tuple(sorted(drawn))
        inner = self._inside(label, tuple(self.context.val[place] for place in places))
        first, *others = family.parts
        if others:
            return _Round(await self._raced(family, label, inner, places), places)
        return _Round(await self._run(first.optimizer, first.given(len(inner.train)), inner), places)

    def _inside(self, label: str, val: Rows) -> Context:
        import asyncio  # here, since a check reads this file for its SPEC

        outer = self.context

        def told(candidate: str, score: float | None) -> None:
            outer.progress(f"{label}: {candidate}", score)

        return replace(
            outer,
            val=val,
            val_given=True,
            val_whole=None,
            rng=_within(outer.rng, label),
            progress=told,
            finalists=1,
            nested={},
            start_scored=None,
            start_doubted=asyncio.Event(),
        )

    async def _run(self, optimizer: str, given: Options, inner: Context) -> StepResult:
        from .table import RUNS  # the table lists this file

        return await RUNS[optimizer](self.best.program, given, inner)

    async def _raced(self, family: Family, label: str, inner: Context, places: Sequence[int]) -> StepResult:
        """What each part makes, and the program without demos where it has some, raced against the best. Raises halts."""
        from ..search import Arm, Board, Listed

        start = self.best.program
        made: dict[str, Program] = {"no demos": without_demos(start)} if has_demos(start) else {}
        for part in family.parts:
            given = part.given(len(inner.train))
            within = replace(inner, rng=_within(inner.rng, part.name))
            try:
                found = await self._run(part.optimizer, given, within)
            except OptimizerError as error:
                self.notes.append(f"{part.name} cannot be tried: {error.message}")
                continue
            if found.cut is not None:
                raise found.cut
            assert isinstance(found.program, Program)
            made[part.name] = found.program
        board = Board(
            inner, Arm("as it was", start), [self.best.scores[place] for place in places], inner.rng("order")
        )
        distinct = {program_digest(start): ""}
        arms: list[Arm] = []
        for name, program in made.items():
            if program_digest(program) not in distinct:
                distinct[program_digest(program)] = name
                arms.append(Arm(name, program))
        halt = await cheap_race(len(arms), board.rows).run(board, Listed(arms), len(arms))
        return ranked(board.candidates(), cut=halt, rivals=board.rivals)

    async def _judged(
        self, family: Family, made: _Round, calls: int, usd: float | None
    ) -> tuple[float, Halt | None]:
        """What the round's winner gains over the best so far, whose place it takes where that is more than nothing; and the
        halt that ended the round, if one did."""
        before, result = self.best, made.result
        own = tuple(before.scores[place] for place in made.places)
        chosen = chosen_from(result, own)
        rows = len(before.scores)
        self.rivals += [_on_all(seen, made.places, rows) for seen in chosen]
        won = result.candidates[0]
        better = overall(won.scores) > overall(own)
        known = dict(zip(made.places, won.scores, strict=True))
        lead = overall(won.scores) - overall(own)
        rest = [place for place in range(rows) if place not in known]
        label = f"round {len(self.explored) + 1}, {family.name}: {won.label}"
        self.context.rng(f"{label}/rest").shuffle(rest)
        while rest and lead > 0 and result.cut is None:
            block, rest = rest[:BLOCK], rest[BLOCK:]
            val = [self.context.val[place] for place in block]
            scored = await self.context.evaluator.evaluate(won.program, val, label=label)
            known |= zip(block, scored.scores, strict=True)
            lead = overall(list(known.values())) - overall([before.scores[place] for place in known])
        kept = lead > 0 and not rest
        lucky = self._luck(own, won.scores, chosen, lead) if kept else 0.0
        gained = lead - lucky if kept else 0.0
        low, high = self._between(before, known, chosen, len(own)) if better else (0.0, 0.0)
        if kept:
            scores = tuple(known[place] for place in range(rows))
            self.best = Candidate(label, won.program, scores)
            self.accepted.append(self.best)
            self.rivals.append(scores)
            self.luck += lucky
            self.context.progress(label, self.best.score)
        after = self.context.evaluator.spent.total
        paid = None if usd is None or after.known_usd is None else after.known_usd - usd
        self.explored.append(
            Explored(
                family.name,
                tuple(part.optimizer for part in family.parts),
                programs=len(chosen),
                rows=len(known),
                gain=gained if kept else lead,
                low=low,
                high=high,
                calls=after.calls - calls,
                cost_usd=paid,
                kept=kept,
                winner=won.label if better else "",
                cut=result.cut is not None,
            )
        )
        return max(0.0, gained), result.cut

    def _luck(self, own: Sequence[float], won: Sequence[float], chosen: Sequence[Seen], lead: float) -> float:
        """How much of a winner's `lead` on all rows is the luck of having been chosen on its own: what it leads by less on the
        other, where that is likely. Choosing again tells the most; where a search builds on what it chose, too much."""
        rows, part = len(self.best.scores), len(own)
        most = worth_of_winner(own, won, chosen).luck * part / rows
        if part == rows:
            return most
        here = overall(won) - overall(own)
        others = (lead - here * part / rows) * rows / (rows - part)
        return min(most, max(0.0, lead - others))

    def _between(
        self, before: Candidate, known: dict[int, float], chosen: Sequence[Seen], own: int
    ) -> tuple[float, float]:
        """The interval of what the winner gains, which holds however often it is asked for; those rows on which it was chosen,
        the first `own`, show too much."""
        places = list(known)
        first = [before.scores[place] for place in places[:own]]
        after = [known[place] for place in places[:own]]
        chance = luck(first, after, [rows_seen(seen) for seen in chosen])
        lucky = [max(-1.0, b - a - chance) for a, b in zip(first, after, strict=True)]
        return interval([*lucky, *(known[place] - before.scores[place] for place in places[own:])])

    # The end --------------------------------------------------------------------------------------

    async def vote(self) -> Ensemble | None:
        """The last programs that were the best, as a vote, where that is allowed and scores more. Their runs are known, so
        it takes no call."""
        voters = _voters(self.options, self.facts.calls_per_run)
        members = tuple(thaw(one.program) for one in self.accepted[: -voters - 1 : -1])
        if voters == 1 or len(members) < VOTERS or self.ended:
            return None
        ensemble = gather(members[0], members, Options(ENSEMBLE, {}))
        scored = await self.context.evaluator.evaluate(
            ensemble, self.context.val, label=f"a vote of {len(members)}"
        )
        gain = scored.score - self.best.score
        kept = gain > 0
        self.notes.append(
            f"a vote of {len(members)} programs: {100 * gain:+.1f} on {plural(len(scored.scores), 'row')}, "
            f"{'kept' if kept else 'not kept'}"
        )
        return ensemble if kept else None

    def result(self, cut: Halt | None, vote: Ensemble | None) -> StepResult:
        """The best program, or the vote, and what was tried."""
        found = ranked(
            list(reversed(self.accepted)),
            cut=cut,
            rivals=tuple(self.rivals),
            ended=self.ended and cut is None,
        )
        notes = (*(one.said() for one in self.explored), *self.notes, f"it stopped: {self.stopped}")
        return replace(
            found,
            program=found.program if vote is None else vote,
            notes=(*found.notes, *notes),
            scored_on=self.context.val,
            explored=tuple(self.explored),
            stopped=self.stopped,
            luck=self.luck,
        )


def _within(rng: Streams, prefix: str) -> Streams:
    return lambda name: rng(f"{prefix}/{name}")


def _on_all(seen: Seen, places: Sequence[int], rows: int) -> Seen:
    """Scores of a part of the rows, by place, as scores of all, None where there is none."""
    known = dict(zip(places, seen, strict=True))
    return tuple(known.get(place) for place in range(rows))
