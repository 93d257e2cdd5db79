"""DSPy's COPRO: every instruction on every row of train, one predictor after another.

Proposals are asked for one by one, in the predictors' order. What DSPy also proposes, a prefix of the last
output, reaches no prompt of its adapters and is left out. With several predictors, all instructions ever
proposed for one are scored again in every round; what was scored before in the same company costs nothing.
"""

from __future__ import annotations

from msgspec import Struct, field

from dspec.runtime.errors import BudgetExceeded, Stopped
from dspec.runtime.schema.program import Program

from ...evaluate.counts import Calls, Range
from ...evaluate.outcomes import Candidate
from ..base import Context, Facts, Options, StepResult
from ..frozen import tunable
from ..proposing import Proposer, clean
from ..proposing.outline import role
from ..proposing.templates import TemplateName, fill
from .faithful import Faithful, best_first, percent


async def run(student: Program, options: Options, context: Context) -> StepResult:
    ascent = _Ascent(student, options, context)
    try:
        await ascent.climb()
    except (BudgetExceeded, Stopped) as halt:
        if not ascent.scored:
            raise
        return best_first(ascent.distinct(), cut=halt, notes=tuple(ascent.notes), scored_on=context.train)
    return best_first(ascent.distinct(), notes=tuple(ascent.notes), scored_on=context.train)


class _Ascent(Struct):
    """`current` has each predictor's best instruction so far; `scored` holds, by predictor and
    instruction, the best program that showed it."""

    current: Program
    options: Options
    context: Context
    scored: dict[str, dict[str, Candidate]] = field(default_factory=dict[str, dict[str, Candidate]])
    proposed: dict[str, list[str]] = field(default_factory=dict[str, list[str]])
    notes: list[str] = field(default_factory=list[str])
    asked: int = 0

    async def climb(self) -> None:
        breadth, depth = self.options.integer("breadth"), self.options.integer("depth")
        student = self.current
        latest: dict[str, list[str]] = {}
        for address, predictor in tunable(student).items():
            own = predictor.signature.instruction
            latest[address] = [*await self._ask(address, breadth - 1, own, ""), own]
            self.proposed[address] = list(latest[address])
        for number in range(1, depth + 1):
            for address in tunable(student):
                again = len(tunable(student)) > 1
                await self._score(address, self.proposed[address] if again else latest[address], number)
            if number == depth:
                return
            for address in tunable(student):
                best = sorted(self.scored[address].items(), key=lambda one: -percent(one[1].scores))[:breadth]
                shown = "\n\n".join(
                    f"Scored {percent(candidate.scores)} of 100.\n{text}"
                    for text, candidate in reversed(best)
                )
                latest[address] = await self._ask(address, breadth, best[0][0], shown)
                self.proposed[address] += latest[address]

    async def _ask(self, address: str, wanted: int, current: str, attempts: str) -> list[str]:
        """`wanted` answers, repeats too; those that are no text are left out."""
        proposer = Proposer(self.context, self.current)
        template: TemplateName = "attempts" if attempts else "variation"
        inputs = {"module": role(self.current, address), "attempts": attempts, "current_instruction": current}
        inputs = {name: text for name, text in inputs.items() if text}
        found: list[str] = []
        for _ in range(wanted):
            self.asked += 1
            answer = await proposer.ask(
                fill(template, given=list(inputs)),
                inputs,
                "instruction",
                sample=self.asked,
                temperature=self.options.number("init_temperature"),
            )
            if text := clean(answer or ""):
                found.append(text)
        return found

    async def _score(self, address: str, texts: list[str], number: int) -> None:
        """Score the instructions on train, then go on with the best that this predictor ever had."""
        known = self.scored.setdefault(address, {})
        scores: list[float] = []
        name = f"{address} " if len(tunable(self.current)) > 1 else ""
        for place, given in enumerate(texts, 1):
            text = given.strip('"').strip()
            program = self.current.with_predictor(address, instruction=text)
            label = f"{name}round {number}, instruction {place}"
            evaluation = await self.context.evaluator.evaluate(program, self.context.train, label=label)
            candidate = Candidate(label, program, evaluation.scores)
            scores.append(percent(candidate.scores))
            self.context.progress(label, candidate.score)
            if text not in known or percent(known[text].scores) < percent(candidate.scores):
                known[text] = candidate
        if self.options.flag("track_stats") and scores:
            mean = sum(scores) / len(scores)
            self.notes.append(
                f"{name}round {number}: best {max(scores):.1f}, mean {mean:.1f}, worst {min(scores):.1f}"
            )
        best = max(known, key=lambda text: percent(known[text].scores))
        self.current = self.current.with_predictor(address, instruction=best)

    def distinct(self) -> list[Candidate]:
        """What was scored, predictor by predictor; of equal programs with equal scores the first."""
        found: dict[tuple[float, tuple[str, ...]], Candidate] = {}
        for known in self.scored.values():
            for candidate in known.values():
                instructions = (one.signature.instruction for one in candidate.program.predictors.values())
                found.setdefault((percent(candidate.scores), tuple(instructions)), candidate)
        return list(found.values())


def _calls(options: Options, facts: Facts) -> Calls:
    breadth, depth, predictors = options.integer("breadth"), options.integer("depth"), facts.predictors
    programs = breadth * depth
    if predictors > 1:
        programs = predictors * breadth * depth * (depth + 1) // 2
    once = facts.train * facts.calls_per_run
    prompts = predictors * (breadth - 1 + breadth * (depth - 1))
    # Proposals that say the same share their runs; the questions are all different.
    return Calls(task=Range(once, once * programs), prompt=Range(prompts, prompts))


FAITHFUL = Faithful(run, _calls, unknown=("search",), scores_val=False)
