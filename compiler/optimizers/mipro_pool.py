"""What MIPROv2 chooses from: demo sets, instructions grounded in data, program and demos, and further ones later.

Stages 1 and 2 of Opsahl-Ong et al., 2024 (arXiv:2406.11695). Instructions written in view of how others scored: Yang
et al., 2023 (arXiv:2309.03409).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from msgspec import Struct

from dspec.runtime.schema.program import Demo, Program

from ..evaluate.tasks import both
from ..search import Arm, Choice, Space
from ..search.additive import Additive
from .base import Context, Options
from .bootstrap_few_shot import assemble, bootstrap, prepare_teacher
from .demo_sets import bootstrap_options, demo_sets
from .frozen import tunable
from .mipro_plan import PROPOSER_DEMOS, Sizes, proposed, written_first, zero_shot
from .proposing import Attempted, Grounding, propose_from_attempts, propose_grounded, summary_for
from .proposing.outline import outline


class Pool(Struct):
    """What there is to choose from, by predictor; option 0 is the student's own. Instructions may be added."""

    student: Program
    options: Options
    context: Context
    instructions: dict[str, tuple[str, ...]]
    demos: dict[str, tuple[tuple[Demo, ...], ...]]
    lms: dict[str, tuple[str, ...]]
    """Models that the predictors may ask which are open to several."""
    summary: str
    """What proposals are told of the data."""
    lost: int
    """Proposals that could not be used or said what another said."""

    @property
    def space(self) -> Space:
        """Two dimensions a predictor, its instruction, then its demos; and after those one for each that is open to several
        models."""
        written = (
            size
            for address, texts in self.instructions.items()
            for size in (len(texts), len(self.demos[address]))
        )
        return Space((*written, *map(len, self.lms.values())))

    def arm(self, choice: Choice) -> Arm:
        names: list[str] = []
        program = self.student
        for place, (address, texts) in enumerate(self.instructions.items()):
            instruction, demos = choice[2 * place : 2 * place + 2]
            program = program.with_predictor(
                address,
                instruction=texts[instruction],
                # Set 0 is the student's own. It is left alone, since it may be chosen per input.
                demos=self.demos[address][demos] if demos else None,
            )
            name = f"{address}: " if len(self.instructions) > 1 else ""
            names.append(f"{name}instruction {instruction}, demos {demos}")
        asked = choice[2 * len(self.instructions) :]
        models, room = self.context.models, self.context.room
        program = models.moved(
            program,
            {address: lms[place] for (address, lms), place in zip(self.lms.items(), asked, strict=True)},
            room,
        )
        return Arm("; ".join(names) + models.said(program, self.student), program)

    def further(self, most: int) -> Callable[[Additive], Awaitable[Space]]:
        """A function that adds the instructions that are `proposed` at a look, in the light of the scores, to every predictor.
        From the call after `most` on it adds none."""
        looks = iter(range(1, most + 1))

        async def more(model: Additive) -> Space:
            if (look := next(looks, None)) is not None:
                for address, texts in (await self._proposed(model, look)).items():
                    known = self.instructions[address]
                    new = tuple(text for text in texts if text not in known)
                    self.lost += proposed(self.options) - len(new)
                    self.instructions[address] = known + new
            return self.space

        return more

    async def _proposed(self, model: Additive, look: int) -> dict[str, list[str]]:
        attempts: dict[str, list[Attempted]] = {}
        best = self.student
        for place, (address, texts) in enumerate(self.instructions.items()):
            effects, weights = model.effects[2 * place], model.weights[2 * place]
            tried = [
                Attempted(text, min(1.0, max(0.0, model.mean + effect)))
                for text, effect, weight in zip(texts, effects, weights, strict=True)
                if weight
            ]
            attempts[address] = tried
            best = best.with_predictor(address, instruction=max(tried, key=lambda one: one.score).text)
        grounding = grounded(self.options)
        besides = {"data_summary": self.summary, "program": outline(best) if grounding.program else ""}
        return await propose_from_attempts(
            best,
            self.context,
            range(1, proposed(self.options) + 1),
            grounding.temperature,
            attempts,
            look,
            besides={name: text for name, text in besides.items() if text},
            rows=grounding.data,
        )


def grounded(options: Options) -> Grounding:
    return Grounding(
        data=options.flag("data_aware_proposer"),
        program=options.flag("program_aware_proposer"),
        demos=options.flag("fewshot_aware_proposer"),
        tips=options.flag("tip_aware_proposer"),
        batch=options.integer("view_data_batch_size"),
        temperature=options.number("init_temperature") or 0.0,
    )


async def first_pool(student: Program, chosen: Sizes, options: Options, context: Context) -> Pool:
    """Stages 1 and 2: demo sets, then instructions that know them. Raises halts."""
    grounding = grounded(options)
    wanted = written_first(options, chosen)
    made, summary = await both(
        _sets(student, chosen, options, context, shown=grounding.demos and wanted > 1),
        summary_for(student, context, wanted, grounding),
    )
    instructions, lost = await propose_grounded(student, context, wanted, grounding, made, summary)
    sets = [student] if zero_shot(options) else made
    demos = {
        address: _distinct([one.predictors[address].demos for one in sets]) for address in tunable(student)
    }
    return Pool(
        student, options, context, instructions, demos, context.models.options(student), summary, lost
    )


async def _sets(
    student: Program, chosen: Sizes, options: Options, context: Context, *, shown: bool
) -> list[Program]:
    """The student with each demo set; where it gets none, with a few demos if proposals are `shown` any."""
    if zero_shot(options):
        return await _for_proposer(student, options, context) if shown else []
    settings = bootstrap_options(
        options,
        bootstrapped=options.integer("max_bootstrapped_demos"),
        labeled=options.integer("max_labeled_demos"),
    )
    return [one.program for one in await demo_sets(student, chosen.demo_sets, settings, context)]


async def _for_proposer(student: Program, options: Options, context: Context) -> list[Program]:
    """The student with a few demos that only the proposer sees."""
    settings = bootstrap_options(options, bootstrapped=PROPOSER_DEMOS, labeled=0)
    teacher = prepare_teacher(student, settings, context)
    accepted, halt = await bootstrap(student, teacher, context.train, PROPOSER_DEMOS, settings, context)
    if halt is not None:
        raise halt
    return [assemble(student, accepted, context.train, PROPOSER_DEMOS, settings, context.rng, context.room)]


def _distinct(demos: list[tuple[Demo, ...]]) -> tuple[tuple[Demo, ...], ...]:
    found: list[tuple[Demo, ...]] = []
    for one in demos:
        if one not in found:
            found.append(one)
    return tuple(found)
