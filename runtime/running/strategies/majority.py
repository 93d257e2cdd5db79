"""Majority: several answers to the same inputs; the one that most of them agree on counts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast

from ...errors import AnswerError
from ...schema.ensemble import needed
from ...schema.program import ModuleSpec
from ...schema.types import OneOf, Row
from ...values.scoring import most_agreed
from .base import RUNS, Conductor, ModuleStrategy, StrategyOption, Times


async def _conduct(work: Conductor, inputs: Row) -> Row:
    from ..taking import outcomes

    n = cast("int", work.module.options["n"])
    temperature = cast("float", work.module.options["temperature"])
    answers = await outcomes(work.attempt(inputs, take=take, temperature=temperature) for take in range(n))
    usable = [(take, one) for take, one in enumerate(answers) if not isinstance(one, AnswerError)]
    failed = [one for one in answers if isinstance(one, AnswerError)]
    if not usable:
        raise failed[0].within(f"`{work.name}`, answer 1 of {n}")
    field = _field(work.module)
    closed = any(one.name == field and isinstance(needed(one.type), OneOf) for one in work.module.outputs)
    place, agreed = most_agreed([one[field] for _, one in usable], closed=closed)
    take, outputs = usable[place]
    work.choose(take)
    work.note(f"{agreed} of {n} answers agreed")
    if failed:
        work.note(f"{len(failed)} could not be used: {failed[0].message}")
    return outputs


def _field(module: ModuleSpec) -> str:
    return cast("str", module.options.get("field") or module.outputs[-1].name)


def _times(module: ModuleSpec) -> Mapping[str, Times]:
    n = cast("int", module.options["n"])
    return {RUNS: Times(n, n)}


STRATEGY = ModuleStrategy(
    name="Majority",
    doc="Several answers to the same inputs; the one that most of them agree on counts, the first of equals.",
    options=(
        StrategyOption("n", "integer", "Answers.", 5, low=1, high=1000),
        StrategyOption(
            "field", "output", "The output that is compared; the last one unless said.", optional=True
        ),
        StrategyOption("temperature", "number", "Temperature of the answers.", 1.0, low=0, high=2),
    ),
    conduct=_conduct,
    times=_times,
    tries=True,
    manner="answers several times and goes with the majority",
)
