"""Computes a reward of outputs, and asks a judge when an expression first reads its score.

A metric of a compile asks its judges in the same way: its expressions are evaluated in `Judged`, too.
"""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable, Iterable, Mapping

from msgspec import Struct

from ..errors import EvaluationError, InputError
from ..schema.expressions import Expression
from ..schema.program import Judge, MetricValue, Program, Reward
from ..schema.types import JsonValue, Row
from ..values.interpret import evaluate
from ..values.lazily import LazyScope
from ..values.values import short
from .fitting import check_inputs
from .strategies.base import Scored

REASON = "reason"
"""Name of the variable with the reasons of a score's judges, for the expressions that come after the score."""


class Opinion(Struct, frozen=True):
    """What a judge said: its score in 0..1, and why."""

    score: float
    reason: str


Opinions = Mapping[str, Opinion]
"""What judges said, by their names."""


class Wanted(Exception):
    """An expression reads the score of a judge that has no opinion yet: ask it about these inputs."""

    def __init__(self, judge: Judge, inputs: Row) -> None:
        super().__init__(judge.name)
        self.judge = judge
        self.inputs = inputs


class _Unmade(Exception):
    """An expression reads a value of the metric that is not computed yet."""

    def __init__(self, let: MetricValue) -> None:
        super().__init__(let.name)
        self.let = let


class Judged(LazyScope):
    """The scope of a metric's expressions, which gets the metric's own values and the scores of its judges when they
    are first read.

    `heard` holds the reasons of the judges that were read, in that order. To read one that has no opinion yet raises
    Wanted. The caller then asks that judge, and evaluates everything again.
    """

    def __init__(
        self,
        names: Mapping[str, JsonValue],
        lets: Iterable[MetricValue],
        judges: Iterable[Judge],
        opinions: Opinions,
    ) -> None:
        super().__init__(names)
        self.heard: list[str] = []
        self._lets = {let.name: let for let in lets}
        self._judges = {judge.name: judge for judge in judges}
        self._opinions = opinions

    def finds(self, name: str) -> bool:
        return name in self._judges or name in self._lets

    def find(self, name: str, scope: LazyScope) -> JsonValue:
        if name in self.keys():  # since the scope within was made
            return self[name]
        if name in self._lets:
            raise _Unmade(self._lets[name])
        judge = self._judges[name]
        opinion = self._opinions.get(name)
        if opinion is None:
            inputs = {field: evaluate(expression, self) for field, expression in judge.inputs.items()}
            raise Wanted(judge, check_inputs(judge.program, inputs))
        self.heard.append(opinion.reason)
        self[name] = opinion.score
        return opinion.score

    def value(self, expression: Expression) -> JsonValue:
        """What an expression gives here, the values that it reads computed before it.

        Raises EvaluationError, InputError for what a judge cannot be shown, and Wanted.
        """
        waiting: dict[str, MetricValue] = {}
        while True:  # as often as there are values, and once more
            let = next(reversed(waiting.values()), None)
            try:
                value = evaluate(expression if let is None else let.value, self)
            except _Unmade as unmade:
                if unmade.let.name in waiting:
                    raise EvaluationError(f"`{unmade.let.name}` is made from itself") from None
                waiting[unmade.let.name] = unmade.let
                continue
            if let is None:
                return value
            self[let.name] = _share(let, value) if let.score else value
            del waiting[let.name]


def _share(let: MetricValue, value: JsonValue) -> float:
    score = number_of_score(value)
    if score is None:
        raise EvaluationError(
            f"the metric `{let.name.removesuffix('()')}` gave {short(value)}",
            help="`score` must be true, false, or a number from 0 to 1",
        )
    return score


def number_of_score(value: JsonValue) -> float | None:
    """A score as a float, or None where it is none: NaN, infinite, out of range, another type."""
    if not isinstance(value, bool | int | float):
        return None
    number = float(value) if abs(value) <= 1 else math.nan
    return number if 0.0 <= number <= 1.0 else None


Run = Callable[[Program, Row], Awaitable[Row]]
"""One run of a judge's program: its outputs."""


async def scored(reward: Reward, inputs: Row, outputs: Row, run: Run) -> Scored:
    """What the reward says of outputs for these inputs.

    Raises EvaluationError when an expression fails or gives no score, and what `run` raises.
    """
    opinions: dict[str, Opinion] = {}
    while True:  # at most once for each judge, and once more
        try:
            return _scored(reward, {**inputs, **outputs}, opinions)
        except Wanted as wanted:
            judge, asked = wanted.judge, wanted.inputs
        except InputError as error:
            raise EvaluationError(f"reward `{reward.name}`: {error.message}", help=error.help) from None
        said = await run(judge.program, asked)
        score, reason = number_of_score(said["score"]), said["reason"]
        if score is None or not isinstance(reason, str):
            raise EvaluationError(
                f"reward `{reward.name}`: its judge gave no score, but {short(said['score'])}"
            )
        opinions[judge.name] = Opinion(score, reason)


def _scored(reward: Reward, pred: Row, opinions: Opinions) -> Scored:
    scope = Judged({reward.pred: pred}, reward.lets, reward.judges, opinions)
    value = _evaluated(reward, reward.score, scope)
    score = number_of_score(value)
    if score is None:
        raise EvaluationError(
            f"reward `{reward.name}` gave {short(value)}",
            help="`score` must be true, false, or a number from 0 to 1",
        )
    feedback = ""
    if reward.feedback is not None:
        scope["score"] = value
        scope.setdefault(REASON, "\n".join(scope.heard))
        said = _evaluated(reward, reward.feedback, scope)
        feedback = said if isinstance(said, str) else short(said)
    return Scored(score, feedback)


def _evaluated(reward: Reward, expression: Expression, scope: Judged) -> JsonValue:
    try:
        return scope.value(expression)
    except EvaluationError as error:
        raise error.within(f"reward `{reward.name}`") from None
