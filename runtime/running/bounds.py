"""Counts what a run may call before it runs: the least and the most, branches, rounds and attempts included."""

from __future__ import annotations

import heapq
from collections.abc import Generator, Iterable, Mapping
from contextlib import contextmanager
from types import MappingProxyType

from ..errors import ConfigurationError
from ..schema.ensemble import Ensemble, Runnable
from ..schema.program import (
    LM,
    BranchStep,
    CallStep,
    EachStep,
    ModuleSpec,
    Program,
    RepeatStep,
    RunStep,
    Step,
    ToolStep,
)
from .strategies.base import FUNCTION, REWARD, RUNS, TOOLS, Times
from .strategies.table import STRATEGIES, times_of

Counts = dict[str, Times]
"""How often a run calls each predictor and tool, by key."""

MAX_CALLS = 10_000
"""Model calls of one run; a program that may make more is refused."""
MAX_STEPS = 100_000
"""Steps of one run, those inside others counted as often as they may run."""
MAX_DEPTH = 50
"""Graphs, modules and blocks inside each other."""

_NEVER = Times(0, 0)
_ONCE = Times(1, 1)
_CALLS, _STEPS = "(calls)", "(steps)"
"""Keys of two totals, of model calls and of steps. Each has a count of its own, so that a branch costs as much as its
dearer side, not as the most that each of its keys may cost."""


def counted(program: Program) -> Counts:
    """How often a run calls each predictor and each tool, when every answer parses and every check holds.

    Raises ConfigurationError where graphs or modules run each other in a circle.
    """
    counts = _Counting(program, by_key=True).steps(program.steps)
    return {key: times for key, times in counts.items() if key not in (_CALLS, _STEPS)}


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
    return _calls(program)


def _calls(program: Program, lms: Mapping[str, LM] = MappingProxyType({})) -> Times:
    embedding = program.neighbours is not None and program.neighbours.lm is not None
    counts = _Counting(program, by_key=False, lms=lms).steps(program.steps)
    return counts.get(_CALLS, _NEVER) + Times(int(embedding), int(embedding))


def excess(program: Program) -> str:
    """What a run of the program might do too often, a clause that says how often; "" where all is within bounds.

    Raises ConfigurationError as `counted` does.
    """
    counts = _Counting(program, by_key=False).steps(program.steps)
    for key, limit, what in ((_CALLS, MAX_CALLS, "model calls"), (_STEPS, MAX_STEPS, "steps")):
        most = counts.get(key, _NEVER).most
        if most > limit:
            number = f"{most:,}" if most < 10**15 else "10^15 and more"
            return f"{number} {what}, and {limit:,} are the most"
    return ""


class _Counting:
    """One count of a program. What a key does is counted once, however often it is called."""

    def __init__(
        self, program: Program, *, by_key: bool, lms: Mapping[str, LM] = MappingProxyType({})
    ) -> None:
        """`lms` are models that the program may ask besides its own."""
        self.program = program
        self.lms = {**lms, **program.lms}
        self.by_key = by_key
        self.known: dict[str, Counts] = {}
        self.depth = 0

    def steps(self, steps: Iterable[Step]) -> Counts:
        total: Counts = {}
        with self.within():
            for step in steps:
                _add(total, {_STEPS: _ONCE})
                _add(total, self.step(step))
        return total

    @contextmanager
    def within(self) -> Generator[None]:
        """One level deeper."""
        self.depth += 1
        if self.depth > MAX_DEPTH:
            name = self.program.name
            raise ConfigurationError(
                f"`{name}` runs something that runs itself, or nests deeper than {MAX_DEPTH} levels"
            )
        yield
        self.depth -= 1

    def step(self, step: Step) -> Counts:
        match step:
            case CallStep(predictor=key) | RunStep(runs=key) | ToolStep(tool=key):
                return self.key(key)
            case BranchStep():
                return _either(
                    (self.steps(step.consequence.steps), self.steps(step.alternative.steps)), always=True
                )
            case EachStep():
                # An item counts as a step even if its block has none, so that its work is bounded, too.
                body = self.steps(step.body.steps) or {_STEPS: _ONCE}
                return _times(body, Times(step.least, step.most))
            case RepeatStep():
                first = self.steps(step.steps) or {_STEPS: _ONCE}
                total = _times(first, Times(min(1, step.times), step.times))
                least = 0 if step.until is not None else step.times
                _add(total, _times(self.steps(step.then), Times(least, step.times)))
                return total
            case _:
                return {}

    def key(self, key: str) -> Counts:
        if key not in self.known:
            graph, module = self.program.graphs.get(key), self.program.modules.get(key)
            if graph is not None:
                self.known[key] = self.steps(graph.steps)
            else:
                with self.within():
                    self.known[key] = self._called(key, module)
        return self.known[key]

    def _called(self, key: str, module: ModuleSpec | None) -> Counts:
        program = self.program
        if module is None:
            predictor = program.predictors.get(key)
            strategy = None if predictor is None else STRATEGIES.get(predictor.strategy)
            calls = 0 if predictor is None else strategy.calls if strategy else 1
            lm = None if predictor is None else predictor.asks(self.lms)
            calls *= 1 if lm is None or not lm.two_step else 2
            return {_CALLS: Times(calls, calls), **({key: _ONCE} if self.by_key else {})}
        total: Counts = {}
        for role, times in times_of(module).items():
            if role == RUNS:
                one = {} if module.runs is None else self.key(module.runs)
            elif role == TOOLS:
                one = _either([self.key(tool) for tool in module.tools])
            elif role == FUNCTION:
                one = {} if module.function is None else self.key(module.function.tool)
            elif role == REWARD:
                judges = () if module.reward is None else module.reward.judges
                asked = Times(0, sum(_calls(judge.program, self.lms).most for judge in judges))
                one = {_CALLS: asked, **({f"{REWARD} {key}": asked} if self.by_key else {})}
            else:
                address = module.predictors.get(role)
                one = {} if address is None else self.key(address)
            _add(total, _times(one, times))
        return total


def _either(choices: Iterable[Counts], *, always: bool = False) -> Counts:
    """What is called when one of several is chosen, or perhaps none."""
    found = list(choices)
    keys = {key: None for one in found for key in one}
    return {
        key: Times(
            min(one.get(key, _NEVER).least for one in found) if always else 0,
            max(one.get(key, _NEVER).most for one in found),
        )
        for key in keys
    }


def _times(counts: Counts, times: Times) -> Counts:
    return {key: one * times for key, one in counts.items()}


def _add(total: Counts, more: Counts) -> None:
    for key, times in more.items():
        total[key] = total.get(key, _NEVER) + times
