"""BootstrapFewShotWithOptuna: bootstrap a pool of demos once, then search for the best single demo.

Algorithm: `BootstrapFewShotWithOptuna` of DSPy; the search is Optuna's TPE (Bergstra et al., 2011),
seeded from the step's stream. Where there are no more combinations than trials, each is scored once
and there is nothing to search.
"""

from __future__ import annotations

import itertools
import math
from typing import TYPE_CHECKING

from dspec.runtime.errors import BudgetExceeded, Stopped
from dspec.runtime.schema.program import Program

from ..evaluate.counts import Calls, Range
from ..evaluate.outcomes import Candidate
from ..evaluate.tasks import together
from .base import Context, Facts, Option, Options, Shows, Spec, StepResult
from .bootstrap_few_shot import DEMO_OPTIONS, assemble, bootstrap, prepare_teacher, teacher_calls
from .frozen import tunable
from .moving import scored_moved
from .ranking import ranked, settled

if TYPE_CHECKING:
    import asyncio

Choice = tuple[int, ...]
"""Index of the demo that each predictor shows, in the predictors' order, then of the model that each one asks which is open to
several."""


def pool_size(options: Options) -> int:
    """Bootstrapped demos per predictor to choose from."""
    demos = options["max_demos"]
    return demos if isinstance(demos, int) else options.integer("max_bootstrapped_demos")


def _calls(options: Options, facts: Facts) -> Calls:
    scoring = facts.val * facts.calls_per_run
    trials = options.integer("num_candidate_programs")
    as_it_came = 0 if facts.student_scored else 1
    return Calls(
        task=Range(scoring * as_it_came, scoring * (trials + as_it_came + facts.moved)),
        teacher=teacher_calls(pool_size(options), options, facts),
    )


SPEC = Spec(
    name="BootstrapFewShotWithOptuna",
    doc="Bootstraps a pool of demos once, then lets Optuna search for the one demo per predictor "
    "that scores best on val. What it starts from competes too.",
    suits="prompts with room for one demo",
    about="When a prompt has room for a single demo per module. It bootstraps a pool once and searches it "
    "with TPE. It replaces the demos and keeps instructions.",
    costs="the pool's teacher runs, then one run for every row of `val` and trial.",
    source="DSPy, BootstrapFewShotWithOptuna; TPE: Bergstra et al., NeurIPS 2011",
    options=(
        *DEMO_OPTIONS,
        Option(
            "max_demos",
            "int",
            None,
            "Bootstrapped demos in the pool; max_bootstrapped_demos when not set.",
            minimum=0,
            optional=True,
            counts="train",
        ),
        Option("num_candidate_programs", "int", 16, "Trials, each scored on all of val.", minimum=1),
    ),
    sets=frozenset({"demos"}),
    calls=_calls,
    shows=lambda options, facts: Shows(1, 1, options.integer("max_labeled_demos")),
    needs_val=True,
    takes_teacher=True,
    bootstraps=True,
    candidates=True,
    chooses_lms=True,
    advised_train=50,
)


async def run(student: Program, options: Options, context: Context) -> StepResult:
    import asyncio  # here, since a check reads this file for its SPEC

    from ..search.board import doubted, score_start

    size = pool_size(options)
    teacher = prepare_teacher(student, options, context)

    async def scored() -> Candidate:
        evaluation = await score_start(context, student, "as it came")
        return Candidate("as it came", student, evaluation.scores)

    start = asyncio.ensure_future(scored())
    try:
        if not await doubted(context, start):
            context.progress("as it came", (await start).score)
            return ranked([await start], ended=True)
        accepted, halt = await bootstrap(student, teacher, context.train, size, options, context)
        if halt is not None:
            raise halt
        pool = assemble(student, accepted, context.train, size, options, context.rng, context.room)
        search = _Search(student, start, pool, context)
        trials = options.integer("num_candidate_programs")
        if search.combinations <= trials:
            return await _enumerate(search)
        return await _sample(search, trials, context.rng("tpe").getrandbits(32))
    finally:
        start.cancel()
        await asyncio.gather(start, return_exceptions=True)


async def _enumerate(search: _Search) -> StepResult:
    choices = itertools.product(*(range(n) for n in search.sizes)) if search.sizes else ()
    found = await together([search.score(None), *(search.score(choice) for choice in choices)], search.tell)
    scored = [one for one in found if isinstance(one, Candidate)]
    halts = [one for one in found if not isinstance(one, Candidate)]
    if halts and not scored:
        raise halts[0]
    note = f"scored all {search.combinations} combinations: no more than there are trials"
    return ranked(
        scored, cut=halts[0] if halts else None, notes=(note,) if search.sizes else ("no demos to choose",)
    )


async def _sample(search: _Search, trials: int, seed: int) -> StepResult:
    # Optuna takes a second to import: only a compile that searches pays for it.
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(
        direction="maximize", sampler=optuna.samplers.TPESampler(seed=seed, multivariate=True)
    )
    space: dict[str, optuna.distributions.BaseDistribution] = {
        address: optuna.distributions.IntDistribution(0, size - 1)
        for address, size in zip(search.addresses, search.sizes, strict=False)
    }
    for address, names in search.lms.items():
        space[f"{address} lm"] = optuna.distributions.CategoricalDistribution(list(range(len(names))))
    scored = [await search.score(None)]
    search.tell(scored[0])
    context = search.context
    for _ in range(trials):
        trial = study.ask(space)
        choice = tuple(int(trial.params[name]) for name in space)
        try:
            candidate = await search.score(choice)
        except (BudgetExceeded, Stopped) as halt:
            return ranked(scored, cut=halt)
        search.tell(candidate)
        study.tell(trial, candidate.score)
        scored.append(candidate)
        if settled(scored, context):
            return ranked(scored, ended=True)
    more, halt = await scored_moved(scored, context)
    return ranked([*scored, *more], cut=halt)


class _Search:
    """The space of choices and what is known of it. `sizes` holds predictors that have any demos, then those that are open to
    several models."""

    def __init__(
        self, student: Program, start: asyncio.Future[Candidate], pool: Program, context: Context
    ) -> None:
        self._student = student
        self._start = start
        """The student, being scored."""
        self._pool = pool
        self.context = context
        self.addresses = tuple(address for address, predictor in tunable(pool).items() if predictor.demos)
        self.lms = context.models.options(student)
        self.sizes = (
            *(len(pool.predictors[address].demos) for address in self.addresses),
            *map(len, self.lms.values()),
        )
        self.combinations = math.prod(self.sizes)
        self.known: dict[Choice, Candidate] = {}
        self._told: set[str] = set()

    async def score(self, choice: Choice | None) -> Candidate:
        """The candidate of one choice, or the student as it came; scored once, then remembered."""
        if choice is None:
            return await self._start
        known = self.known.get(choice)
        if known is not None:
            return known
        program = self._student
        shown, asked = choice[: len(self.addresses)], choice[len(self.addresses) :]
        label = "demos " + " ".join(str(index) for index in shown) if shown else "no demos"
        for address in program.predictors:
            program = program.with_predictor(address, demos=())
        for address, index in zip(self.addresses, shown, strict=True):
            demo = self._pool.predictors[address].demos[index]
            program = program.with_predictor(address, demos=(demo,))
        models = self.context.models
        lms = {address: names[place] for (address, names), place in zip(self.lms.items(), asked, strict=True)}
        program = models.moved(program, lms, self.context.room)
        label += models.said(program, self._student)
        evaluation = await self.context.evaluator.evaluate(program, self.context.val, label=label)
        candidate = Candidate(label, program, evaluation.scores)
        self.known[choice] = candidate
        return candidate

    def tell(self, candidate: Candidate) -> None:
        """Tells of a candidate once."""
        if candidate.label not in self._told:
            self._told.add(candidate.label)
            self.context.progress(candidate.label, candidate.score)
