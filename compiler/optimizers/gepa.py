"""GEPA: instructions and tools' descriptions evolve by reflection on what the metric says of them.

Algorithm: Agrawal et al., 2025 (arXiv:2507.19457), as DSPy's `GEPA` has it. A candidate that leads on some
row of val is drawn and run on a minibatch of train, and one predictor's instruction or one tool's description is
written anew from the feedback. A child that does better on the minibatch is scored on val and joins the pool; now and then two
relatives are merged. What differs: how good a program is follows from everything that was seen of it and its kin
(`search.kinship`), by which a child may be given up after each of a few looks at val; the budget is never passed, and a round
that it may not cover is not begun; no row is scored twice for one program; the metric's feedback comes with the score and not
by a second call; and the search ends when there is nothing left to learn.

The rounds follow one upon the other. Every draw is from a stream named after its round.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from msgspec import Struct, field
from msgspec.structs import replace

from dspec.runtime.errors import BudgetExceeded, Stopped
from dspec.runtime.schema.program import Program, reached
from dspec.runtime.schema.trace import counting

from ..diagnostics.wording import plural
from ..evaluate.digests import program_digest
from ..evaluate.outcomes import Candidate
from ..evaluate.shares import overall, said_perfect
from ..evaluate.tasks import Halt, together
from ..search.order import in_turn
from .advising import FEW, Idea, Situation
from .base import Context, Option, Options, Spec, StepResult, Writes
from .frozen import tunable
from .gepa_batches import Batches
from .gepa_budget import AUTO, CONFLICTS, calls, metric_calls, reflections
from .gepa_merge import Lineage, Merge, child, find_merge, subsample
from .gepa_pareto import best, draw_parent, wins
from .gepa_scores import Scores
from .proposing import Proposer
from .proposing.cases import PredictorRun, feedback_of, listed, runs_listed, score_of
from .proposing.reflection import reflect
from .proposing.subjects import Subject
from .ranking import ranked, settled
from .texts import described, text_of, tunable_tools

if TYPE_CHECKING:
    from ..data.rows import Example
    from ..evaluate.evaluation import Attempt

COMPARED_ON = 60
"""Rows of val on which candidates are scored, where it has more."""
LOOKS = (10, 20, 40)
"""Rows of val after which a child is given up if it seems worse than its parent, before it is scored on all of them."""
MAX_LOST = 10
"""Proposals in a row that bring nothing new, after which the model is taken to have no further ideas."""


def _advise(s: Situation) -> Iterator[Idea]:
    if s.feedback and (s.no_demos or s.rows >= FEW):
        why = "the metric's `feedback` says what was wrong; a model reads it and rewrites the instruction"
        yield Idea("fitting" if s.no_demos else "another way", "reflect", why, {"auto": "light"})


SPEC = Spec(
    name="GEPA",
    doc="Has a model rewrite one instruction or one tool's description at a time from the metric's feedback on a few "
    "rows, keeps every candidate that leads on some row of val, and merges them. Demos stay as they are.",
    suits="a metric that can say what was wrong",
    about="When the metric has `feedback`: a model reads what went wrong on a few rows and rewrites one "
    "instruction at a time. Candidates that lead on some row of `val` are kept and merged. It learns from few "
    "rows of `train` and wants a large `val`. It rewrites instructions and the descriptions of an agent's tools, and "
    "keeps demos. Tools do not make the budget of `auto` larger: they take turns with the predictors.",
    costs="a budget in rows scored, never passed (`max_metric_calls`, or `max_full_evals` passes, or sized by "
    "`auto`), and one reflection for each child.",
    source="DSPy, GEPA; arXiv:2507.19457",
    options=(
        Option(
            "auto",
            "str",
            None,
            'The budget, sized by the program and val; "light" where no budget is given.',
            optional=True,
            choices=tuple(AUTO),
        ),
        Option(
            "max_full_evals",
            "int",
            None,
            "The budget in passes over train and val.",
            minimum=1,
            optional=True,
        ),
        Option(
            "max_metric_calls",
            "int",
            None,
            "The budget in rows scored, never passed. Scoring the program as it came on val is part of it.",
            pays_for="val",
            minimum=1,
            optional=True,
        ),
        Option(
            "reflection_minibatch_size",
            "int",
            3,
            "Rows of train that a reflection looks at, and on which a child has to do better.",
            minimum=1,
            counts="train",
        ),
        Option(
            "candidate_selection_strategy",
            "str",
            "pareto",
            'Which candidate is rewritten next: "pareto" draws among those that lead on some row of val, '
            '"current_best" takes the one with the best score.',
            choices=("pareto", "current_best"),
        ),
        Option(
            "skip_perfect_score",
            "bool",
            True,
            "Reflect on no minibatch whose rows all reach `perfect_score`.",
        ),
        Option(
            "perfect_score",
            "float",
            1.0,
            "The score from which there is nothing to improve on a row.",
            minimum=0.0,
            maximum=1.0,
        ),
        Option(
            "add_format_failure_as_feedback",
            "bool",
            False,
            "Show reflections also the answers that could not be read. Where all are of that kind, they are "
            "shown in any case.",
        ),
        Option(
            "component_selector",
            "str",
            "round_robin",
            'What a reflection rewrites: "round_robin" one predictor after the other and after the last one a tool, '
            'another one each time; "all" each of them.',
            choices=("round_robin", "all"),
        ),
        Option("use_merge", "bool", True, "Merge candidates that improved on different predictors."),
        Option("max_merge_invocations", "int", 5, "Merges to try at most.", minimum=0),
    ),
    sets=frozenset({"instructions", "descriptions"}),
    starts_from=frozenset({"instructions", "descriptions"}),
    calls=calls,
    writes=lambda options, facts: Writes(runs=options.integer("reflection_minibatch_size")),
    needs_val=True,
    candidates=True,
    compares_on=lambda options, train, val: COMPARED_ON,
    conflicts=CONFLICTS,
    prompts=True,
    compares_on_more=False,
    reflective=True,
    refused={
        "reflection_lm": "the model that writes is the block's `prompt_lm`",
        "enable_tool_optimization": "descriptions of an agent's tools are written unless `freeze` names the tools",
        "failure_score": "a row without a usable answer scores 0 everywhere",
        "track_stats": "the candidates are always there, as `.candidates`",
        "log_dir": "an interrupted compile goes on when it is run again",
    },
    advise=_advise,
)


async def run(student: Program, options: Options, context: Context) -> StepResult:
    budget = metric_calls(
        options,
        len(tunable(student)),
        len(context.train),
        len(context.val),
        val_given=context.val_given,
        whole=context.val_whole,
    )
    if budget < len(context.val):
        note = (
            f"a budget of {plural(budget, 'metric call')} does not cover val once ({plural(len(context.val), 'row')}): "
            "nothing was tried"
        )
        return StepResult(student, notes=(note,))
    evolution = _Evolution(student, options, context, budget)
    await evolution.begin()
    cut: Halt | None = None
    try:
        await evolution.evolve()
    except (BudgetExceeded, Stopped) as halt:
        cut = halt
    candidates = [member.candidate for member in evolution.pool]
    found = ranked(candidates, cut=cut, notes=() if cut else evolution.notes())
    return replace(found, ended=settled(candidates, context))


class _Member(Struct):
    """A candidate of the pool. `turn` counts the components that were chosen from it."""

    candidate: Candidate
    parents: tuple[int, ...]
    turn: int = 0


class _Counts(Struct):
    """What happened, for the step's notes, and for knowing when to stop."""

    reflections: int = 0
    lost: int = 0
    lost_in_a_row: int = 0
    better: int = 0
    dropped: int = 0
    merges: int = 0
    merged: int = 0
    perfect_in_a_row: int = 0
    tried: set[Merge] = field(default_factory=set[Merge])


class _Evolution:
    """The pool and what is left of the budget. `begin` once, then `evolve`."""

    def __init__(self, student: Program, options: Options, context: Context, budget: int) -> None:
        self.pool: list[_Member] = []
        self._student = student
        self._options = options
        self._context = context
        self._proposer = Proposer(context, student)
        self._batches = Batches(len(context.train), options.integer("reflection_minibatch_size"), context.rng)
        self._most = reflections(budget, self._batches.size, len(context.val))
        self._scores = Scores(context, budget)
        self._counts = _Counts()
        self._merge_due = False
        self._order: tuple[int, ...] = ()
        """The rows of val, so that the first of them are as hard as all are."""
        self._seen = {program_digest(student)}
        called = reached(student)
        self._predictors = [address for address in tunable(student) if address in called]
        self._tools = [key for key in tunable_tools(student) if key in called]
        self._addresses = [*self._predictors, *self._tools]
        self._readers = described(student)
        self._end = "" if self._addresses else "no module is called"

    async def begin(self) -> None:
        """Score the student. Raises halts: until then there is no candidate."""
        await self._scores.begin(self._student, "as it came")
        self._join("as it came", self._student, (), 0)
        self._order = in_turn(self.pool[0].candidate.scores, self._context.rng("order"))

    async def evolve(self) -> None:
        number = 0
        while not self._end:
            number += 1
            if not await self._merged(number):
                await self._reflected(number)

    def notes(self) -> tuple[str, ...]:
        counts = self._counts
        told = f"{counts.reflections} reflections, {counts.better} of them better on their minibatch"
        if counts.dropped:
            told += f", {counts.dropped} of which seemed worse than their parent after a look at val"
        if counts.lost:
            told += f", {counts.lost} with nothing new"
        if counts.merges:
            told += f"; {counts.merges} merges, {counts.merged} kept"
        return (told, f"ended: {self._end}")

    # Reflection ------------------------------------------------------------------------------------

    async def _reflected(self, number: int) -> None:
        """One round: a parent, a minibatch, and a child if the feedback leads to one."""
        counts, scores = self._counts, self._scores
        parent = self._parent(number)
        member = self.pool[parent]
        program = member.candidate.program
        batch = [self._context.train[place] for place in self._batches.next()]
        needed = scores.price(program, batch) + scores.fresh_price([*batch, *self._context.val])
        if counts.reflections == self._most or needed > scores.left:
            self._end = "the budget does not cover another round"
            return
        before = await scores.score(program, batch, f"round {number}: parent")
        perfect = self._options.number("perfect_score") or 0.0
        if self._options.flag("skip_perfect_score") and all(score >= perfect for score in before):
            counts.perfect_in_a_row += 1
            if counts.perfect_in_a_row >= self._batches.per_pass:
                self._end = "a whole pass over train left nothing to improve"
            return
        counts.perfect_in_a_row = 0
        addresses = self._components(member)
        turn = member.turn
        rewritten = await self._rewritten(program, addresses, batch, number)
        counts.reflections += 1
        if not self._is_new(rewritten, program):
            counts.lost += 1
            counts.lost_in_a_row += 1
            if counts.lost_in_a_row == MAX_LOST:
                self._end = f"{MAX_LOST} proposals in a row brought nothing new"
            return
        counts.lost_in_a_row = 0
        label = f"reflection {number}"
        after = await scores.score(rewritten, batch, label)
        if overall(after) > overall(before):
            counts.better += 1
            if not await self._promising(rewritten, program, label):
                counts.dropped += 1
                return
            await scores.score(rewritten, self._context.val, label)
            self._join(label, rewritten, (parent,), turn)
            self._merge_due = self._options.flag("use_merge")

    async def _promising(self, child: Program, parent: Program, label: str) -> bool:
        """Whether a child seems at least as good as its parent after each look at val: a minibatch tells little, and all of
        val is dear. Raises halts."""
        for rows in LOOKS:
            if rows >= len(self._order):
                break
            looked = [self._context.val[place] for place in self._order[:rows]]
            await self._scores.score(child, looked, label)
            own, before = self._scores.worth([child, parent])
            if own < before:
                return False
        return True

    def _parent(self, number: int) -> int:
        table = [member.candidate.scores for member in self.pool]
        if self._options.text("candidate_selection_strategy") == "current_best":
            return best(table)
        return draw_parent(table, self._context.rng(f"round {number}/parent"))

    def _components(self, member: _Member) -> list[str]:
        if self._options.text("component_selector") == "all":
            return self._addresses
        # All tools take one turn together, since an agent may have many more of them than instructions.
        turns, place = divmod(member.turn, len(self._predictors) + bool(self._tools))
        member.turn += 1
        if place < len(self._predictors):
            return [self._predictors[place]]
        return [self._tools[turns % len(self._tools)]]

    async def _rewritten(
        self, program: Program, addresses: Sequence[str], batch: Sequence[Example], number: int
    ) -> Program:
        """The program with new texts where the model gave any. Raises halts."""
        # The runs have just been scored: the store knows them, traces included.
        attempts = await self._attempts(program, batch)
        found: list[str | Halt] = await together(
            [
                reflect(
                    self._proposer,
                    Subject(program, address),
                    self._seen_of(program, address, attempts, number),
                    self._context.train,
                    self._context.rng(f"round {number}/examples/{address}"),
                    sample=number,
                )
                for address in addresses
            ]
        )
        for address, text in zip(addresses, found, strict=True):
            if not isinstance(text, str):
                raise text
            if text:
                program = program.with_text(address, text)
        return program

    async def _attempts(self, program: Program, batch: Sequence[Example]) -> list[Attempt]:
        found: list[Attempt | Halt] = await together(
            [self._context.evaluator.attempt(program, row) for row in batch]
        )
        attempts: list[Attempt] = []
        for one in found:
            if isinstance(one, Halt):
                raise one
            attempts.append(one)
        if self._options.flag("add_format_failure_as_feedback"):
            return attempts
        return [attempt for attempt in attempts if not attempt.unreadable] or attempts

    def _seen_of(self, program: Program, address: str, attempts: Sequence[Attempt], number: int) -> str:
        """What a reflection sees of the runs: a predictor's cases; whole runs of the agents that are told of a tool."""
        if address not in program.tools:
            return listed(self._cases(address, attempts, number))
        readers = {
            one for name in self._readers[address] for one in program.modules[name].predictors.values()
        }
        return runs_listed(
            [
                attempt
                for attempt in attempts
                if attempt.outputs is None or any(step.predictor in readers for step in attempt.trace)
            ],
            address,
        )

    def _cases(self, address: str, attempts: Sequence[Attempt], number: int) -> list[PredictorRun]:
        """The predictor's part in each run; of a failed run, whose trace is lost, the program's inputs."""
        cases: list[PredictorRun] = []
        for attempt in attempts:
            steps = [step for step in counting(attempt.trace) if step.predictor == address]
            if steps:
                draws = self._context.rng(f"round {number}/call/{address}/{attempt.example.digest}")
                step = draws.choice(steps)
                cases.append(
                    PredictorRun(
                        step.inputs,
                        step.outputs,
                        score_of(attempt),
                        feedback_of(attempt, step.notes, address),
                    )
                )
            elif attempt.outputs is None:
                cases.append(PredictorRun(attempt.example.inputs, None, 0.0, feedback_of(attempt)))
        return cases

    # Merging ---------------------------------------------------------------------------------------

    async def _merged(self, number: int) -> bool:
        """Try a merge if one is due; False when this round is still to be used for a reflection."""
        counts = self._counts
        if not self._merge_due or counts.merges == self._options.integer("max_merge_invocations"):
            return False
        self._merge_due = False
        scores = self._scores
        if scores.fresh_price(self._context.val) > scores.left:
            return False
        draws = self._context.rng(f"round {number}/merge")
        pool = [self._lineage(member) for member in self.pool]
        among = list(wins([member.candidate.scores for member in self.pool]))
        merge = find_merge(pool, among, counts.tried, draws)
        if merge is None:
            return False
        counts.tried.add(merge)
        program = self._student
        for address, text in zip(self._addresses, child(pool, merge), strict=True):
            program = program.with_text(address, text)
        better = max(merge.first, merge.second, key=lambda place: pool[place].score)
        if not self._is_new(program, self.pool[better].candidate.program):
            return False
        counts.merges += 1
        first, second = (self.pool[place].candidate.scores for place in (merge.first, merge.second))
        places = subsample(first, second, draws)
        label = f"merge {counts.merges}"
        sample = await scores.score(program, [self._context.val[place] for place in places], label)
        to_beat = max(overall([parent[place] for place in places]) for parent in (first, second))
        if overall(sample) >= to_beat:
            counts.merged += 1
            await scores.score(program, self._context.val, label)
            turn = max(self.pool[merge.first].turn, self.pool[merge.second].turn)
            self._join(label, program, (merge.first, merge.second), turn)
        return True

    def _lineage(self, member: _Member) -> Lineage:
        texts = tuple(text_of(member.candidate.program, address) for address in self._addresses)
        return Lineage(texts, member.parents, member.candidate.score)

    # The pool --------------------------------------------------------------------------------------

    def _is_new(self, program: Program, parent: Program) -> bool:
        """True for the first time that a program is seen; it then counts as the parent's kin."""
        key = program_digest(program)
        if key in self._seen:
            return False
        self._seen.add(key)
        self._scores.born(program, parent)
        return True

    def _join(self, label: str, program: Program, parents: tuple[int, ...], turn: int) -> None:
        candidate = Candidate(label, program, self._scores.on_val(program))
        self.pool.append(_Member(candidate, parents, turn))
        if settled([candidate], self._context):
            self._end = f"{said_perfect(candidate.scores)}, and nothing can score more"
        self._context.progress(label, candidate.score)
