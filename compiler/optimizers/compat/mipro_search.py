"""DSPy's last stage of MIPROv2: TPE over instructions and demo sets, with its full evaluations.

The baseline, the student as it came, is told to the sampler as the choice of option 0 everywhere, though the
demos of option 0 are none. Combinations may repeat. Where none is left for a full evaluation, which ends
DSPy's search with an error, the trial goes without.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from msgspec import Struct

from dspec.runtime.errors import BudgetExceeded, Stopped
from dspec.runtime.schema.program import Demo, Program

from ...evaluate.outcomes import Candidate
from ..base import Context, StepResult
from .faithful import percent

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution

    from ...data.rows import Rows


class FaithfulPool(Struct, frozen=True):
    """What there is to choose from, by predictor. `demos` is empty where no demos are searched."""

    addresses: tuple[str, ...]
    instructions: tuple[tuple[str, ...], ...]
    demos: tuple[tuple[tuple[Demo, ...], ...], ...]

    def sizes(self) -> dict[str, int]:
        """Options by the name that DSPy gives each choice, in the order in which it makes them."""
        sizes: dict[str, int] = {}
        for place in range(len(self.addresses)):
            sizes[f"{place}_predictor_instruction"] = len(self.instructions[place])
            if self.demos:
                sizes[f"{place}_predictor_demos"] = len(self.demos[place])
        return sizes

    def program(self, student: Program, chosen: Mapping[str, int]) -> Program:
        for place, address in enumerate(self.addresses):
            instruction = self.instructions[place][chosen[f"{place}_predictor_instruction"]]
            demos = self.demos[place][chosen[f"{place}_predictor_demos"]] if self.demos else None
            student = student.with_predictor(address, instruction=instruction, demos=demos)
        return student


class Schedule(Struct, frozen=True):
    """`trials` on `size` rows each; after every `full_every` of them, and after the last, the best mean
    so far is scored on all rows. None: every trial is."""

    trials: int
    size: int
    full_every: int | None

    def full_after(self, number: int) -> bool:
        """Whether a full evaluation follows the trial of this number; the sampler counts both, and the
        baseline, which is number 1."""
        if self.full_every is None:
            return False
        last = self.trials + self.trials // self.full_every + (self.trials % self.full_every != 0)
        return number % (self.full_every + 1) == 0 or number == last


async def search(
    student: Program,
    pool: FaithfulPool,
    schedule: Schedule,
    val: Rows,
    context: Context,
    draws: random.Random,
) -> StepResult:
    run = _Search(student, pool, schedule, val, context, draws)
    try:
        await run.all()
    except (BudgetExceeded, Stopped) as halt:
        if not run.full:
            raise
        return run.result(halt)
    return run.result(None)


class _Search:
    """The sampler, and what is known: full evaluations, and the scores of every combination."""

    def __init__(
        self,
        student: Program,
        pool: FaithfulPool,
        schedule: Schedule,
        val: Rows,
        context: Context,
        draws: random.Random,
    ) -> None:
        # Optuna takes a second to import: only a compile that searches pays for it.
        import optuna

        optuna.logging.set_verbosity(optuna.logging.WARNING)
        sampler = optuna.samplers.TPESampler(seed=context.seed, multivariate=True)
        self._study = optuna.create_study(direction="maximize", sampler=sampler)
        self._distributions: dict[str, BaseDistribution] = {
            name: optuna.distributions.CategoricalDistribution(list(range(size)))
            for name, size in pool.sizes().items()
        }
        self._student = student
        self._pool = pool
        self._schedule = schedule
        self._val = val
        self._context = context
        self._draws = draws
        self._means: dict[tuple[int, ...], list[float]] = {}
        self._done: set[tuple[int, ...]] = set()
        self.full: list[Candidate] = []
        self._best: Candidate | None = None

    async def all(self) -> None:
        baseline = await self._on_all(self._student, "as it came")
        self._best = baseline
        self._tell(dict.fromkeys(self._pool.sizes(), 0), percent(baseline.scores))
        for _ in range(self._schedule.trials):
            await self._trial()

    async def _trial(self) -> None:
        trial = self._study.ask()
        sizes = self._pool.sizes()
        chosen = {
            name: int(trial.suggest_categorical(name, list(range(size)))) for name, size in sizes.items()
        }
        key = tuple(chosen.values())
        program, label = self._pool.program(self._student, chosen), _label(key, trial.number)
        if self._schedule.size < len(self._val):
            places = self._draws.sample(range(len(self._val)), self._schedule.size)
            rows = [self._val[place] for place in places]
            score = percent((await self._context.evaluator.evaluate(program, rows, label=label)).scores)
        else:
            candidate = await self._on_all(program, label)
            score = percent(candidate.scores)
            if self._schedule.full_every is None:
                self._better(candidate)
        self._means.setdefault(key, []).append(score)
        if self._schedule.full_after(trial.number + 1):
            await self._complete_best()
        self._study.tell(trial, score)

    async def _complete_best(self) -> None:
        """Score the combination with the best mean on all rows, unless that was done before."""
        waiting = [key for key in self._means if key not in self._done]
        if not waiting:
            return
        key = max(waiting, key=lambda key: sum(self._means[key]) / len(self._means[key]))
        chosen = dict(zip(self._pool.sizes(), key, strict=True))
        self._done.add(key)
        candidate = await self._on_all(self._pool.program(self._student, chosen), _label(key, None))
        self._tell(chosen, percent(candidate.scores))
        self._better(candidate)

    def _better(self, candidate: Candidate) -> None:
        assert self._best is not None
        if percent(candidate.scores) > percent(self._best.scores):
            self._best = candidate

    async def _on_all(self, program: Program, label: str) -> Candidate:
        evaluation = await self._context.evaluator.evaluate(program, self._val, label=label)
        candidate = Candidate(label, program, evaluation.scores)
        self.full.append(candidate)
        self._context.progress(label, candidate.score)
        return candidate

    def _tell(self, chosen: Mapping[str, int], score: float) -> None:
        import optuna

        self._study.add_trial(
            optuna.trial.create_trial(value=score, params=dict(chosen), distributions=self._distributions)
        )

    def result(self, cut: BudgetExceeded | Stopped | None) -> StepResult:
        assert self._best is not None
        best_first = tuple(sorted(self.full, key=lambda candidate: -percent(candidate.scores)))
        return StepResult(self._best.program, best_first, cut=cut, scored_on=self._val)


def _label(key: Sequence[int], number: int | None) -> str:
    choice = " ".join(map(str, key))
    return f"options {choice}, on all rows" if number is None else f"trial {number}: options {choice}"
