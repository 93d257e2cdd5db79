"""The compile itself: score, run the steps, score again, and put it all into an artifact.

An artifact depends on inputs, seed and answers and on nothing else: not on time, not on the number of
threads, not on what the ledger or the store already knew. Calls and costs in it are those of a fresh
run, so the second compile gives the same bytes as the first.

At the budget's wall, or when the engine is told to stop, the best program scored so far is the
result; every other failure ends the compile, with what was answered kept in the ledger.

With `scoring = "none"` nothing is scored but what a step scores for itself. There is then no last word and no best:
the result is what the steps made, and at the wall what they had made by then.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Literal

from msgspec import Struct
from msgspec.structs import replace

from dspec.runtime.artifact.artifact import Artifact, MadeFrom, kind_of
from dspec.runtime.errors import BudgetExceeded, Stopped
from dspec.runtime.models.engine import Engine
from dspec.runtime.running.bounds import calls_per_run
from dspec.runtime.schema.ensemble import Runnable, each, programs
from dspec.runtime.schema.program import Program

from .. import ir
from ..diagnostics.wording import plural
from ..evaluate.budget import Wall, wall_of
from ..evaluate.digests import asked_digest
from ..evaluate.evaluation import Evaluation, Evaluator
from ..evaluate.events import CandidateScored, Held, Report, StepFinished, StepStarted, silent
from ..evaluate.meter import Account, Execute, metered
from ..evaluate.outcomes import Candidate
from ..evaluate.shares import leaves_something, perfect
from ..evaluate.store import Store
from ..evaluate.streams import stream
from ..evaluate.tasks import Halt, together
from ..optimizers.base import Context, OptimizerError, Options, PromptModel, Spec, StepResult
from ..optimizers.compat.students import as_dspy
from ..optimizers.compat.table import run_of
from ..optimizers.frozen import thaw, thawed
from ..optimizers.ranking import chosen_from
from ..optimizers.texts import prompt_tokens
from ..optimizers.training.service import Training
from . import remarks
from .built import Built, Status, StepOutcome
from .chain import (
    finalists_of,
    members_of,
    model_choice,
    nested_of,
    on_teacher_lm,
    reducer_of,
    spec_of,
    student_of,
    teacher_of,
    teachers_of,
)
from .enough import affordable, looks
from .evals import scored
from .offers import Chosen, ScoredProgram
from .plan import Plan, scored_results
from .prepared import Prepared, Resolved
from .provenance import as_evaluation, provenance
from .selection import LastWord, last_word
from .weighing import cheapest, kept_candidates, unweighed, wants_weighing, weighed

WIDTH = 256
"""How many runs a compile keeps at work, if the engine does not ask for more.

It is far wider than the engine's places. A compile that kept only as many runs as there are places would start attempts
ahead of time in the order in which places become free, which depends on how fast answers come.
"""


async def run_steps(
    prepared: Prepared,
    planned: Plan,
    *,
    engine: Engine,
    store: Store,
    wall: Wall | None = None,
    clock: Callable[[], float] = time.monotonic,
    report: Report = silent,
    training: Training | None = None,
    execute: Execute = metered,
    front: bool = False,
) -> Ran:
    """Score the program that the planned block starts from, run its steps, and score what comes out, unless its
    `scoring` is "none".

    `wall` pays for it, and for what the caller does besides; without one, the block's budget does. `execute` says where runs
    are made. `front` asks for what an answer of every program takes (`Built.front`), where the result does not depend on it.

    Raises DataError, OptimizerError, MetricError, ProviderError and ConfigurationError. At the wall, or when the
    engine is told to stop, what was made by then is there all the same (`Built.status`).
    """
    resolved = prepared.resolved(planned.optimize)
    if resolved.awaited:
        absent = " and ".join(f"`{name}`" for name in sorted(resolved.awaited))
        raise OptimizerError(
            f"`{planned.optimize}` needs the result of {absent}, which is not there",
            help="compile that first",
        )
    if training is not None and any(step.training is not None for step in planned.steps):
        for name in sorted({one.lm for one in resolved.student.predictors.values()}):
            training.ready(resolved.student.lms[name])  # before anything is paid
    wall = wall or wall_of(resolved.optimize.budget, clock)
    evaluator = Evaluator(
        engine,
        store,
        resolved.metric,
        width=max(WIDTH, engine.at_once(prepared.project.lms.values())),
        wall=wall,
        on_error=resolved.optimize.on_error,
        report=report,
        execute=execute,
    )
    ran = Ran(
        prepared.project,
        resolved,
        planned,
        evaluator,
        report,
        walled=wall is not None,
        training=training,
        files=prepared.files(planned.optimize),
    )
    try:
        await ran.run()
    except (BudgetExceeded, Stopped) as halt:
        ran.halted(halt)
    if front or wants_weighing(resolved.optimize):
        await ran.weigh()
    return ran


class _Begun(Struct, frozen=True):
    """A step that is ready to run. What it reports is held until it is its turn."""

    index: int
    step: ir.StepSpec
    spec: Spec
    student: Program
    context: Context
    report: Held

    async def work(self) -> StepResult:
        run = run_of(self.spec, self.step.compat)
        return await run(self.student, Options(self.spec, self.step.options), self.context)


class Ran:
    """The steps of one block: what they have made and scored so far."""

    def __init__(
        self,
        project: ir.Project,
        resolved: Resolved,
        planned: Plan,
        evaluator: Evaluator,
        report: Report,
        *,
        walled: bool,
        training: Training | None = None,
        files: tuple[MadeFrom, ...] = (),
    ) -> None:
        self._files = files
        self._project = project
        self._resolved = resolved
        self._plan = planned
        self._evaluator = evaluator
        self._report = report
        self._accounts: list[Evaluator] = []
        """Those of the steps that had their turn, each with what it spent."""
        self._scored = asyncio.Event()
        """Set once the program that the compile starts from is scored, or nobody is going to score it."""
        self._unscored = resolved.optimize.scoring == "none"
        self._walled = walled
        self._training = training
        self._programs: dict[str, Runnable] = {}
        self._origins = ir.origins(resolved.optimize.steps)
        self._outcomes: list[StepOutcome] = []
        self._status: Status = "complete"
        self._notes: list[str] = []
        self._baseline: Evaluation | None = None
        self._final: Evaluation | None = None
        self._further: list[Evaluation] = []
        """Start and result in turns, on the rows of one look after the other that no step has seen."""
        self._emitted: Runnable = resolved.student
        self._best: Candidate | None = None
        self._best_step = ""
        self._faithful = any(step.compat is not None for step in resolved.optimize.steps)
        """Whether a step has DSPy's schedule, which ends where DSPy ends."""
        self._unended = self._faithful or any(spec_of(step).saves for step in resolved.optimize.steps)
        """Whether steps run though nothing can be better than the program that the compile starts from."""
        if resolved.optimize.lms and resolved.optimize.minimize is not None:
            self._unended = True  # as good on another model, it may be cheaper
        self._made = "the result" if resolved.optimize.minimize is None else "the steps' program"
        """What the steps end with, for people: where something is minimized, a cheaper program may be the result."""
        self._offers: list[ScoredProgram] = []
        self._chosen: Chosen | None = None
        self._settled = False
        """Whether no step ran, since nothing can be better than the program that the compile starts from."""

    async def run(self) -> None:
        resolved = self._resolved
        steps = resolved.optimize.steps
        first = self._begin(0)
        early = None if self._unscored else await self._score_start(first)
        self._scored.set()
        if self._baseline is not None and perfect(self._baseline.scores) and not self._unended:
            self._settled, self._final = True, self._baseline
            self._notes.append(remarks.settled(self._baseline.scores))
            return
        await self._step(first, early or first.work())
        for index in range(1, len(steps)):
            if self._status != "complete":
                return
            begun = self._begin(index)
            await self._step(begun, begun.work())
        if self._status != "complete":
            return
        self._emitted = self._programs[resolved.optimize.emit]
        if resolved.optimize.drops:
            self._drop()
        if self._unscored:
            return
        try:
            label = resolved.optimize.name if resolved.optimize.minimize is None else self._made
            self._final = await self._evaluator.evaluate(self._emitted, resolved.raced, label=label)
        except (BudgetExceeded, Stopped) as halt:
            self._halt(halt)
            self._notes.append(f"every step ran, but {self._made} could not be scored any more")
            return
        try:
            await self._look_further()
        except (BudgetExceeded, Stopped) as halt:
            self._halt(halt)
            self._notes.append(
                "every step ran, but the result could not be compared on further rows any more"
            )

    def _drop(self) -> None:
        """Leave out the steps at the end that are not likely better than what they were given. The first step is for the last
        word to judge."""
        origins = dict(zip((step.name for step in self._resolved.optimize.steps), self._origins, strict=True))
        verdicts = {outcome.name: outcome.verdict for outcome in self._outcomes}
        last = self._resolved.optimize.emit
        dropped: list[tuple[str, LastWord]] = []
        while (
            origins[last] in self._programs
            and (verdict := verdicts[last]) is not None
            and not (verdict.likely or self._saves(last))
        ):
            dropped.append((last, verdict))
            last = origins[last]
        self._notes += (
            f"step `{name}` is left out for what step `{last}` made: {verdict.said} (`emit = {name}` keeps it)"
            for name, verdict in dropped
        )
        self._emitted = self._programs[last]

    def _saves(self, name: str) -> bool:
        """Whether a step makes programs cheaper, and is to be judged by that."""
        return next(spec_of(one).saves for one in self._resolved.optimize.steps if one.name == name)

    async def weigh(self) -> None:
        """See what an answer takes of every program that was scored on all rows."""
        result = None
        if self._final is not None:
            optimize, final = self._resolved.optimize, self._final
            result = unweighed(optimize.emit, optimize.name, self._emitted, final.scores, final.score)
        steps = [(outcome.name, outcome.result) for outcome in self._outcomes]
        self._offers = await weighed(self._evaluator, self._resolved, self._baseline, steps, result)

    def _cheapest(self) -> Chosen | None:
        """Where the block says what to minimize: the cheapest program that is certain to reach its gate is the result."""
        results = (outcome.result for outcome in self._outcomes)
        chosen = cheapest(self._resolved.optimize, self._offers, self._baseline, results)
        if chosen is None:
            return None
        if chosen.offer is not None:
            self._emitted = chosen.offer.program
            self._final = as_evaluation(
                Candidate(chosen.offer.label, self._resolved.student, chosen.offer.scores),
                self._resolved.raced,
            )
        self._notes.append(chosen.said())
        return chosen

    async def _look_further(self) -> None:
        """Compare the result with the start on rows that no step has seen, until it is certain which one is better."""
        student, result = self._resolved.student, self._emitted
        if self._baseline is None or student == result:
            return
        taken = sum((account.spent for account in self._accounts), Account())
        each = calls_per_run(student) + calls_per_run(result)
        most = affordable(self._plan.further, taken.calls - taken.judge.calls, each)
        for places in looks(most):
            if self._compared().decided:
                return
            rows = self._resolved.rest[places.start : places.stop]
            both = await together(
                [
                    self._evaluator.evaluate(program, rows, label=label)
                    for program, label in (
                        (student, "baseline, further rows"),
                        (result, f"{self._resolved.optimize.name}, further rows"),
                    )
                ]
            )
            halts = [one for one in both if not isinstance(one, Evaluation)]
            if halts:
                raise halts[0]
            self._further += [one for one in both if isinstance(one, Evaluation)]

    async def _score_start(self, first: _Begun) -> asyncio.Task[StepResult] | None:
        """Score the program that the compile starts from; the first step's work, where it has begun beside it."""
        resolved = self._resolved
        # What the first step needs no score for goes on beside the baseline. Not where there is a budget: at the wall
        # there is then a program that was scored. And not with judges: which of the two is the first to ask one the
        # same thing, and so counts it, would be a matter of time.
        beside = not (self._walled or resolved.metric.judges)
        early = asyncio.create_task(first.work()) if beside and self._faithful else None

        def told(place: int, score: float) -> None:
            nonlocal early
            if not self._origins[0]:
                first.context.doubts(place, score)
            # Not before: where no row leaves anything to improve, no step is begun, however fast answers come.
            if beside and early is None and leaves_something(score):
                early = asyncio.create_task(first.work())

        try:
            self._baseline = await self._evaluator.evaluate(
                resolved.student,
                resolved.raced,
                label="baseline",
                told=told,
                # A model that is to be tuned need not know the layout yet.
                must_read=resolved.optimize.on_error == "stop"
                and all(step.training is None for step in self._plan.steps),
            )
        except BaseException:
            if early is not None:
                early.cancel()
                await asyncio.gather(early, return_exceptions=True)
            raise
        self._best = Candidate("baseline", resolved.student, self._baseline.scores)
        if not self._origins[0] and not perfect(self._baseline.scores):
            first.context.start_doubted.set()  # with a percentile no single row tells
        return early

    def _begin(self, index: int) -> _Begun:
        """The step with all that it takes of those before it."""
        resolved = self._resolved
        step = resolved.optimize.steps[index]
        spec, lm = spec_of(step), resolved.optimize.lm
        student = student_of(self._project, step, self._origins[index], self._programs, resolved.student, lm)
        teacher = teacher_of(self._project, step, self._programs, lm)
        if spec.takes_teacher and resolved.teacher_lm is not None:
            teacher = self._on_teacher_lm(teacher or student)
        if step.compat is not None:
            student = as_dspy(student)
            teacher = each(teacher, as_dspy) if teacher is not None else None
        report = Held(self._report)
        evaluator = self._evaluator.account(report)
        nested = nested_of(self._project, step, self._programs, lm, self._on_teacher_lm)
        context = Context(
            evaluator=evaluator,
            train=resolved.train,
            val=resolved.raced,
            val_whole=len(resolved.val) if len(resolved.raced) < len(resolved.val) else None,
            teacher=teacher,
            rng=lambda name: stream(resolved.optimize.seed, step.name, name),
            progress=_progress(step.name, report),
            prompt_model=self._prompt_model(),
            val_given=resolved.optimize.val is not None,
            finalists=finalists_of(resolved.optimize, step.name),
            seed=resolved.optimize.seed,
            members=members_of(self._project, step, self._programs, self._candidates, lm),
            reducer=reducer_of(self._project, step, lm),
            nested=nested,
            lms=self._project.lms,
            student_scored=self._origins[index] in scored_results(resolved.optimize),
            start_scored=None if self._walled else self._scored,
            faithful=step.compat is not None,
            training=self._training,
            teachers=tuple(map(self._on_teacher_lm, teachers_of(self._project, step, self._programs, lm))),
            models=model_choice(self._project, resolved.optimize, step, student, nested),
        )
        return _Begun(index, step, spec, student, context, report)

    async def _step(self, begun: _Begun, work: Awaitable[StepResult]) -> None:
        resolved, step = self._resolved, begun.step
        planned = self._plan.steps[begun.index]
        steps = len(resolved.optimize.steps)
        self._report(StepStarted(step.name, begun.spec.name, begun.index + 1, steps, planned.calls))
        begun.report.release()
        # Not before: what a step asked beside a baseline that came to nothing depends on how far it got.
        self._accounts.append(begun.context.evaluator)
        spent = begun.context.evaluator.spent
        try:
            result = _with_notes(thawed(await work), begun.context)
        except (BudgetExceeded, Stopped) as halt:
            self._report(StepFinished(step.name, spent.calls, halt=halt.message))
            raise
        won = next((one for one in result.candidates if one.program == result.program), None)
        verdict = _verdict_on(begun.student, result, won)
        self._outcomes.append(
            StepOutcome(step.name, begun.spec.name, planned, spent, result, verdict, begun.spec.saves)
        )
        self._programs[step.name] = result.program
        best = next(iter(result.candidates), None) if result.scored_on in (None, resolved.raced) else None
        if best is not None and self._best is not None and best.score > self._best.score:
            self._best, self._best_step = best, step.name
        if result.cut is not None:
            self._halt(result.cut)
            self._settle()
        halt = result.cut.message if result.cut else ""
        label, score = ("", None) if won is None else (won.label, won.score)
        self._report(StepFinished(step.name, spent.calls, result.notes, halt, label, score))

    def halted(self, halt: Halt) -> None:
        """The wall was met where the step had nothing to show for itself."""
        self._halt(halt)
        self._settle()

    def _halt(self, halt: Halt) -> None:
        self._status = "stopped" if isinstance(halt, Stopped) else "budget"
        self._notes.append(halt.message)

    def _settle(self) -> None:
        """The result is the best program that was scored, even if that is the one we started from; where none was
        to be scored, what the steps had made."""
        if self._unscored:
            made = [self._resolved.optimize.emit, *(outcome.name for outcome in reversed(self._outcomes))]
            step = next((name for name in made if name in self._programs), None)
            if step is not None:
                self._emitted = self._programs[step]
            what = "the program it started from" if step is None else f"what step `{step}` had made"
            self._notes.append(f"cut short: the result is {what}, and nothing tells how good it is")
            return
        if self._best is None:
            self._notes.append("nothing was scored: the program is the one it started from")
            return
        self._emitted = self._best.program
        self._notes.append(f"cut short: {self._made} is `{self._best.label}`, the best that was scored")

    def _spent(self) -> Account:
        """What the compile needed: the scorings before and after the steps, and each step."""
        return sum((account.spent for account in self._accounts), self._evaluator.spent)

    def _candidates(self, step: str) -> list[Program]:
        """The programs that an earlier step scored, best first."""
        outcome = next(outcome for outcome in self._outcomes if outcome.name == step)
        return [candidate.program for candidate in outcome.result.candidates]

    def _on_teacher_lm(self, program: Runnable) -> Runnable:
        return on_teacher_lm(self._project, program, self._resolved.teacher_lm)

    def _prompt_model(self) -> PromptModel | None:
        name = self._resolved.optimize.prompt_lm
        if name is None and self._resolved.optimize.lms and self._resolved.prompt_lm is not None:
            name = self._resolved.prompt_lm.name  # whatever the student of a later step asks
        return None if name is None else PromptModel(name, self._project.with_fallbacks([name]))

    def _lean(self, verdict: LastWord) -> bool:
        """Whether the result is what a step saved: smaller than the start, and not clearly worse."""
        if not self._saves(self._resolved.optimize.emit) or verdict.comparison.high < 0.0:
            return False
        before, after = (
            sum(map(prompt_tokens, programs(one))) for one in (self._resolved.student, self._emitted)
        )
        return after < before

    def _compared(self) -> LastWord:
        """The result against the start, on all rows that both were scored on."""
        assert self._baseline is not None
        assert self._final is not None
        before, after = (
            tuple(score for one in self._further[which::2] for score in one.scores) for which in (0, 1)
        )
        results = [
            outcome.result
            for outcome in self._outcomes
            if outcome.result.scored_on in (None, self._resolved.raced)
        ]
        return last_word(
            self._baseline.scores,
            self._final.scores,
            [chosen_from(one, self._baseline.scores) for one in results],
            (before, after),
            [one.luck for one in results],
        )

    def _all_rows(self) -> tuple[Evaluation, Evaluation]:
        """What start and result scored on all rows on which they were compared."""
        assert self._baseline is not None
        assert self._final is not None
        before, after = (
            Evaluation((*first.rows, *(row for one in self._further[which::2] for row in one.rows)))
            for which, first in enumerate((self._baseline, self._final))
        )
        return before, after

    def _judged(self) -> LastWord | None:
        """The result against the start (`selection`). Where the difference is noise, the start is the result."""
        if self._baseline is None or self._final is None or self._settled:
            return None
        verdict = self._compared()
        same = self._emitted == self._resolved.student
        kept = not (verdict.likely or self._faithful or self._lean(verdict) or self._chosen is not None)
        self._notes += verdict.notes(kept=kept or same) if self._chosen is None else ()
        if self._resolved.rest:
            self._notes.append(verdict.looked(len(self._resolved.val)))
        raced = self._final
        before, after = self._all_rows()
        self._baseline, self._final = before, after
        if kept and not same:
            self._emitted, self._final = self._resolved.student, before
        elif (
            self._chosen is None
            and self._best is not None
            and self._best_step
            and self._best.score > raced.score
        ):
            self._notes.append(
                f"step `{self._best_step}` found a program that scored {100 * self._best.score:.1f} on these rows, "
                f"more than the result: `emit = {self._best_step}` takes it, if that is more than luck"
            )
        return verdict

    def select(self) -> Built:
        """The result of the steps, or what they started from where that is no worse, as the block's artifact."""
        self._chosen = self._cheapest()
        verdict = self._judged()
        corrected = self._corrected(verdict)
        if self._final is None and self._best is not None and self._best.program is self._emitted:
            # Not before the verdict: a compile that was cut short has none.
            self._final = as_evaluation(self._best, self._resolved.raced)
        if not self._unscored:
            self._notes += remarks.seen(self._resolved, self._emitted)
        self._notes += remarks.described(self._resolved.student, self._emitted)
        self._notes += remarks.asking(self._project, self._resolved.optimize, self._emitted)
        zeros = tuple(remarks.zeros(self._evaluator))
        artifact = self._artifact(corrected, [note for note, _ in zeros])
        tools = self._evaluator.tools
        failures = tools.found(self._project.places)
        self._notes += (f"{note}; for example: {reason}" for note, reason in zeros)
        self._notes += (failure.said for failure in failures)
        return Built(
            artifact=artifact,
            status=self._status,
            plan=self._plan,
            steps=tuple(self._outcomes),
            spent=self._spent(),
            baseline=self._baseline,
            final=self._final,
            verdict=verdict,
            notes=tuple(self._notes),
            offers=tuple(self._offers),
            chosen=self._chosen,
            tools=failures,
            ended_by_tools=tools.ended,
            corrected=corrected,
        )

    def _corrected(self, verdict: LastWord | None) -> float | None:
        """The result's score without its luck, where a choice made it the result."""
        if verdict is None or self._final is None or not verdict.lucky:
            return None
        if self._emitted == self._resolved.student or verdict.comparison.difference <= 0:
            return None
        return round(max(0.0, self._final.score - verdict.worth.luck), 6)

    def _artifact(self, corrected: float | None, zeros: Sequence[str]) -> Artifact:
        """The result. `zeros` say which scores hold zeros for failures: without an example, which is not for artifacts."""
        resolved, optimize, metric = self._resolved, self._resolved.optimize, self._resolved.metric
        role: Literal["train", "val"] = "train" if optimize.val is None else "val"
        final = self._final
        settled = (remarks.settled(final.scores),) if self._settled and final is not None else ()
        return Artifact(
            kind=kind_of(self._emitted),
            name=optimize.name,
            program=self._emitted,
            scores={}
            if final is None
            else {role: scored(metric.name, final).model_copy(update={"corrected": corrected})},
            provenance=provenance(
                self._project,
                resolved,
                self._emitted,
                [(one.name, one.result, one.spent, one.verdict) for one in self._outcomes],
                spent=self._spent(),
                unanswered=len(self._evaluator.unanswered),
                files=self._files,
            ),
            candidates=kept_candidates(optimize, metric.name, self._offers),
            notes=(*(self._notes if self._status != "complete" else settled), *zeros),
        )


def _verdict_on(given: Program, result: StepResult, won: Candidate | None) -> LastWord | None:
    """What a step made against what it was `given`, where it scored both on the same rows: `won` is its result."""
    digest = asked_digest(thaw(given))
    start = next((one for one in result.candidates if asked_digest(one.program) == digest), None)
    if start is None or won is None:
        return None
    chosen = [chosen_from(result, start.scores)]
    return last_word(start.scores, won.scores, chosen, measured=[result.luck])


def _with_notes(result: StepResult, context: Context) -> StepResult:
    """The result with what was cut and left out of its demos, and of the rows on which the metric failed."""
    cut = [note for program in programs(result.program) for note in context.room.notes(program)]
    failed = context.metric_failed
    if failed:
        first = failed[min(failed)]
        cut.append(
            f"the metric failed on {plural(len(failed), 'row')} of train, no demo among them; the first: {first}"
        )
    return replace(result, notes=(*result.notes, *dict.fromkeys(cut)))


def _progress(step: str, report: Report) -> Callable[[str, float | None], None]:
    best: float | None = None

    def tell(candidate: str, score: float | None) -> None:
        nonlocal best
        if score is not None:
            best = score if best is None else max(best, score)
        report(CandidateScored(step, candidate, score, best))

    return tell
