"""Computes a reward of outputs, and asks a judge when an expression first reads its score.

A metric of a compile asks its judges in the same way: its expressions are evaluated in `Judged`, too.
"""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable, Iterable, Mapping

from msgspec import Struct

from ..errors import EvaluationError, InputError
from ..schema.expressions import Expression
from ..schema.program import Judge, MetricValue, Program, Reward, digest
from ..schema.types import JsonValue, Row
from ..values.interpret import evaluate
from ..values.lazily import LazyScope
from ..values.values import short
from .fitting import check_inputs
from .strategies.base import Scored

REASON = "reason"
"""Name of the variable with the reasons of a score's judges, for the expressions that come after the score."""


class Opinion(Struct, frozen=True):
    """What a judge said: its score in 0..1, and why. Of an extern it is what that gave, without a reason."""

    score: JsonValue
    reason: str | None


Opinions = Mapping[str, Opinion]
"""What judges said, by their names; of those that are asked several times, with a digest of what they were asked."""


class Wanted(Exception):
    """An expression reads the score of a judge that has no opinion yet: ask it about these inputs."""

    def __init__(self, judge: Judge, inputs: Row, key: str) -> None:
        super().__init__(judge.name)
        self.judge = judge
        self.inputs = inputs
        self.key = key
        """What its opinion is kept by."""


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
        if judge.times is not None:
            inputs = self._asked(judge, scope)
            return self._heard(self._opinion(judge, inputs, f"{name} {digest(inputs)}"))
        opinion = self._opinions.get(name)
        self[name] = self._heard(opinion or self._opinion(judge, self._asked(judge, self), name))
        return self[name]

    def _asked(self, judge: Judge, scope: LazyScope) -> Row:
        inputs = {field: evaluate(expression, scope) for field, expression in judge.inputs.items()}
        return check_inputs(judge.program, inputs)

    def _opinion(self, judge: Judge, inputs: Row, key: str) -> Opinion:
        opinion = self._opinions.get(key)
        if opinion is None:
            asked = sum(other.startswith(f"{judge.name} ") for other in self._opinions)
            if judge.times is not None and asked >= judge.times:
                raise EvaluationError(f"`{judge.name}` is asked more than {judge.times:,} times")
            raise Wanted(judge, inputs, key)
        return opinion

    def _heard(self, opinion: Opinion) -> JsonValue:
        if opinion.reason is not None:
            self.heard.append(opinion.reason)
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
    while True:  # at most once for each question to a judge, and once more
        try:
            return _scored(reward, {**inputs, **outputs}, opinions)
        except Wanted as wanted:
            judge, asked, key = wanted.judge, wanted.inputs, wanted.key
        except InputError as error:
            raise EvaluationError(f"reward `{reward.name}`: {error.message}", help=error.help) from None
        opinions[key] = opinion_of(f"reward `{reward.name}`", judge, await run(judge.program, asked))


def opinion_of(who: str, judge: Judge, said: Row) -> Opinion:
    """What the outputs of a judge's program say; `who` asked. Raises EvaluationError where they say no score."""
    if judge.gives == "value":
        return Opinion(said["value"], None)
    if judge.gives == "verdict":
        score, reason = _verdict(said["value"])
    else:
        score, reason = number_of_score(said["score"]), said["reason"]
    if score is None or not isinstance(reason, str):
        shown = short(said["value" if judge.gives == "verdict" else "score"])
        if judge.gives == "verdict":
            raise EvaluationError(
                f"{who}: its function gave {shown}",
                help="it gives true, false or a number from 0 to 1, or such a `score` with `feedback`, a text: a dict of these "
                "two, or a pair",
            )
        raise EvaluationError(f"{who}: its judge gave no score, but {shown}")
    return Opinion(score, reason)


def _verdict(value: JsonValue) -> tuple[float | None, JsonValue]:
    """The score and the feedback that a function gave; no score where it gave anything else."""
    feedback: JsonValue = ""
    if isinstance(value, list) and len(value) == 2:
        value, feedback = value
    elif isinstance(value, dict) and "score" in value and value.keys() <= {"score", "feedback"}:
        value, feedback = value["score"], value.get("feedback")
    return number_of_score(value), "" if feedback is None else feedback


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
