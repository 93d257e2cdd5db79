"""Counts what a run may call before it runs: the least and the most, branches, rounds and attempts included."""

from __future__ import annotations

import heapq
from collections.abc import Iterable

from ..errors import ConfigurationError
from ..schema.ensemble import Ensemble, Runnable
from ..schema.program import (
    BranchStep,
    CallStep,
    EachStep,
    Program,
    RepeatStep,
    RunStep,
    Step,
    ToolStep,
)
from .strategies.base import REWARD, RUNS, TOOLS, Times
from .strategies.table import strategy_of, times_of

Counts = dict[str, Times]
"""By key of a predictor or tool: how often a run calls it."""

_NEVER = Times(0, 0)
_MAX_DEPTH = 50
"""Graphs and modules inside each other; an artifact with more is refused, a circle among them."""


def counted(program: Program) -> Counts:
    """How often a run calls each predictor and each tool, when every answer parses and every check holds.

    Raises ConfigurationError where graphs or modules run each other in a circle.
    """
    return _Count(program).steps(program.steps, 0)


def calls_per_run(program: Runnable) -> int:
    """Model calls of one run at most, when every answer parses and every check holds."""
    return call_bounds(program).most


def call_bounds(program: Runnable) -> Times:
    """Model calls of one run, when every answer parses and every check holds."""
    if isinstance(program, Ensemble):
        calls = [call_bounds(member) for member in program.members]
        reducing = _NEVER if program.reducer is None else call_bounds(program.reducer)
        size = program.size or len(calls)
        return reducing + Times(
            sum(heapq.nsmallest(size, (one.least for one in calls))),
            sum(heapq.nlargest(size, (one.most for one in calls))),
        )
    embedding = program.neighbours is not None and program.neighbours.lm is not None
    total = Times(int(embedding), int(embedding))
    for key, times in counted(program).items():
        if key in program.predictors:
            each = strategy_of(program.predictors[key]).calls
            total += times * Times(each, each)
        elif key.startswith(REWARD):
            total += times
    return total


class _Count:
    """The count of one program. What a key calls is counted once, however many steps name it."""

    def __init__(self, program: Program) -> None:
        self._program = program
        self._known: dict[str, Counts] = {}

    def steps(self, steps: Iterable[Step], depth: int) -> Counts:
        total: Counts = {}
        for step in steps:
            _add(total, self._step(step, depth))
        return total

    def _step(self, step: Step, depth: int) -> Counts:
        match step:
            case CallStep(predictor=key) | RunStep(runs=key) | ToolStep(tool=key):
                return self._key(key, depth + 1)
            case BranchStep():
                one = self.steps(step.consequence.steps, depth)
                other = self.steps(step.alternative.steps, depth)
                return _either((one, other))
            case EachStep():
                return _times(self.steps(step.body.steps, depth), Times(0, step.most))
            case RepeatStep():
                first = _times(self.steps(step.steps, depth), Times(min(1, step.times), step.times))
                least = 0 if step.until is not None else step.times
                _add(first, _times(self.steps(step.then, depth), Times(least, step.times)))
                return first
            case _:
                return {}

    def _key(self, key: str, depth: int) -> Counts:
        if depth > _MAX_DEPTH:
            raise ConfigurationError(f"`{key[:80]}` runs itself, or nests deeper than {_MAX_DEPTH} levels")
        found = self._known.get(key)
        if found is None:
            found = self._known[key] = self._called(key, depth)
        return found

    def _called(self, key: str, depth: int) -> Counts:
        if key in self._program.graphs:
            return self.steps(self._program.graphs[key].steps, depth)
        module = self._program.modules.get(key)
        if module is None:
            return {key: Times(1, 1)}
        total: Counts = {}
        for role, times in times_of(module).items():
            if role == RUNS:
                one = {} if module.runs is None else self._key(module.runs, depth + 1)
            elif role == TOOLS:
                one = _either([self._key(tool, depth + 1) for tool in module.tools])
                one = {name: Times(0, bound.most) for name, bound in one.items()}
            elif role == REWARD:
                judges = () if module.reward is None else module.reward.judges
                one = {f"{REWARD} {key}": Times(0, sum(calls_per_run(judge.program) for judge in judges))}
            else:
                one = {module.predictors[role]: Times(1, 1)}
            _add(total, _times(one, times))
        return total


def _either(choices: Iterable[Counts]) -> Counts:
    """What is called when one of several is chosen."""
    found = list(choices)
    keys = {key: None for one in found for key in one}
    return {
        key: Times(
            min(one.get(key, _NEVER).least for one in found), max(one.get(key, _NEVER).most for one in found)
        )
        for key in keys
    }


def _times(counts: Counts, times: Times) -> Counts:
    return {key: one * times for key, one in counts.items()}


def _add(total: Counts, more: Counts) -> None:
    for key, times in more.items():
        total[key] = total.get(key, _NEVER) + times
