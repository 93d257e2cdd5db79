"""Tokens and money of calls that nobody has made: from prompts rendered on the data, and the models' prices.

What a judge is shown depends on answers that nobody has yet: they are taken to be as long as the labels.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from msgspec import Struct

from dspec.runtime.adapters import adapter
from dspec.runtime.errors import EvaluationError
from dspec.runtime.models.prices import Price, price
from dspec.runtime.models.transports.answers import estimate_text, estimate_tokens
from dspec.runtime.running.bounds import calls_per_run, counted
from dspec.runtime.running.strategies.table import strategy_of
from dspec.runtime.schema.ensemble import Runnable
from dspec.runtime.schema.expressions import Expression
from dspec.runtime.schema.program import LM, Predictor, Program, canonical
from dspec.runtime.schema.types import JsonValue, Row
from dspec.runtime.values.interpret import evaluate

from .. import ir
from ..data import Example, Rows
from ..evaluate.counts import Range

SAMPLE_ROWS = 20
"""Rows whose prompts are rendered for the estimate of tokens."""
OUTPUT_TOKENS = 12
"""Assumed tokens of an output whose size nobody knows; `reasoning` counts several times as much."""
REASONING_TOKENS = 80
PROMPT_TOKENS = (3000, 300)
"""Assumed tokens, in and out, of a call that writes an instruction."""


class Estimate(Struct, frozen=True):
    """Tokens of one run as the program stands, from rendered prompts; USD where every price is known.

    Demos that a step will add make prompts longer: `most_usd` is for the plan's `most` calls with the
    prompts as they are now.
    """

    input_tokens: int
    output_tokens: int
    least_usd: float | None
    most_usd: float | None


class Share(Struct, frozen=True):
    """Some of a compile's calls: on the program's own models or on `lm`, of the program's size, of `tokens`, or
    of `sizes`."""

    calls: Range
    lm: LM | None = None
    tokens: tuple[int, int] | None = None
    sizes: Sequence[Size] = ()


def estimated(program: Program, rows: Rows, shares: Sequence[Share]) -> Estimate:
    """One run's tokens, and what all shares cost together; no cost where one with calls has no price."""
    sizes = _sizes(program, rows)
    least: float | None = 0.0
    most: float | None = 0.0
    for share in shares:
        if share.calls.most == 0:
            continue
        each = _usd_per_call(share, sizes)
        least = None if each is None or least is None else least + each * share.calls.least
        most = None if each is None or most is None else most + each * share.calls.most
    return Estimate(sum(size.inputs for size in sizes), sum(size.outputs for size in sizes), least, most)


def judged(metric: ir.Metric, program: Runnable, rows: Rows, runs: int) -> tuple[Share, ...]:
    """The judges' share when that many runs of `program` are scored on rows like these."""
    sample = rows[:SAMPLE_ROWS]
    return tuple(
        Share(
            Range(0, runs * calls_per_run(judge.program)),
            sizes=_sizes(
                judge.program,
                tuple(Example(row.index, _shown(metric, judge, program, row), {}) for row in sample),
            ),
        )
        for judge in metric.judges
    )


def _shown(metric: ir.Metric, judge: ir.Judge, program: Runnable, row: Example) -> Row:
    """What a judge is shown of an answer that agrees with the row's labels; a stand-in where that says nothing."""
    answer = {spec.name: row.labels.get(spec.name, _stand_in(spec.name)) for spec in program.outputs}
    scope: dict[str, JsonValue] = {
        "score": 0.5,
        "accept": True,
        "reason": _stand_in("reasoning"),
        **{other.name: 0.5 for other in metric.judges},
        metric.gold: row.row,
        metric.pred: answer,
    }

    def value(name: str, expression: Expression) -> JsonValue:
        try:
            return evaluate(expression, scope)
        except EvaluationError:
            return _stand_in(name)

    return {name: value(name, expression) for name, expression in judge.inputs.items()}


def _stand_in(name: str) -> str:
    """A text of the size that an output of this name is taken to have, four characters a token."""
    return "word" * _guess(name)


def _guess(name: str) -> int:
    return REASONING_TOKENS if name == "reasoning" else OUTPUT_TOKENS


class Size(Struct, frozen=True):
    """Mean tokens of one of the program's calls, and the model it asks."""

    inputs: int
    outputs: int
    lm: LM | None


def _sizes(program: Program, rows: Rows) -> list[Size]:
    """One for each call of a run; steps' inputs stand for themselves by their names."""
    sample = rows[:SAMPLE_ROWS]
    sizes: list[Size] = []
    for address, times in counted(program).items():
        predictor = program.predictors.get(address)
        if predictor is None:
            continue
        lm = program.lms.get(predictor.lm)
        if lm is None:
            sizes += [Size(0, 0, None)] * (strategy_of(predictor).calls * times.most)
            continue
        tokens = [
            estimate_tokens(
                adapter(lm.adapter).render(
                    predictor,
                    {
                        field.name: example.row.get(field.name, field.default)
                        for field in predictor.signature.inputs
                    },
                    program.records,
                )
            )
            for example in sample
        ]
        size = Size(math.ceil(sum(tokens) / len(tokens)), _answer_tokens(predictor, sample), lm)
        sizes += [size] * (strategy_of(predictor).calls * times.most)
    return sizes


def _usd_per_call(share: Share, sizes: Sequence[Size]) -> float | None:
    """The mean over the calls of a run, or None where a price is not known."""
    if share.tokens is not None:
        each = None if share.lm is None else price(share.lm)
        return None if each is None else _usd(each, *share.tokens)
    total = 0.0
    sizes = share.sizes or sizes
    for size in sizes:
        lm = share.lm or size.lm
        each = None if lm is None else price(lm)
        if each is None:
            return None
        total += _usd(each, size.inputs, size.outputs)
    return total / max(1, len(sizes))


def _usd(each: Price, inputs: int, outputs: int) -> float:
    return inputs * each.input + outputs * each.output


def _answer_tokens(predictor: Predictor, sample: Rows) -> int:
    """Tokens of one answer: labels where rows have them, else a guess by the output's name."""
    total = 0
    for field in predictor.signature.outputs:
        labels = [row.labels[field.name] for row in sample if field.name in row.labels]
        if labels:
            total += math.ceil(sum(estimate_text(canonical(label)) for label in labels) / len(labels))
        else:
            total += _guess(field.name)
        total += estimate_text(f"[[ ## {field.name} ## ]]")
    return total
