"""Tokens and money of calls that nobody has made: from prompts rendered on the data, and the models' prices."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from dspec.runtime.adapters import adapter
from dspec.runtime.prices import Price, price
from dspec.runtime.program import LM, Predictor, Program, canonical
from dspec.runtime.transports.answers import estimate_text, estimate_tokens

from .data import Rows
from .optimizers.base import Range

SAMPLE_ROWS = 20
"""Rows whose prompts are rendered for the estimate of tokens."""
OUTPUT_TOKENS = 12
"""Assumed tokens of an output whose size nobody knows; `reasoning` counts several times as much."""
REASONING_TOKENS = 80
PROMPT_TOKENS = (3000, 300)
"""Assumed tokens, in and out, of a call that writes an instruction."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """Tokens of one run as the program stands, from rendered prompts; USD where every price is known.

    Demos that a step will add make prompts longer: `most_usd` is for the plan's `most` calls with the
    prompts as they are now.
    """

    input_tokens: int
    output_tokens: int
    least_usd: float | None
    most_usd: float | None


@dataclass(frozen=True, slots=True)
class Share:
    """Some of a compile's calls: on the program's own models or on `lm`, of the program's size or of `tokens`."""

    calls: Range
    lm: LM | None = None
    tokens: tuple[int, int] | None = None


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


@dataclass(frozen=True, slots=True)
class _Size:
    """Mean tokens of one of the program's calls, and the model it asks."""

    inputs: int
    outputs: int
    lm: LM | None


def _sizes(program: Program, rows: Rows) -> list[_Size]:
    """One for each call of a run; steps' inputs stand for themselves by their names."""
    sample = rows[:SAMPLE_ROWS]
    sizes: list[_Size] = []
    for step in program.steps:
        if step.kind != "call":
            continue
        predictor = program.predictors[step.predictor]
        lm = program.lms.get(predictor.lm)
        if lm is None:
            sizes.append(_Size(0, 0, None))
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
        sizes.append(_Size(math.ceil(sum(tokens) / len(tokens)), _answer_tokens(predictor, sample), lm))
    return sizes


def _usd_per_call(share: Share, sizes: Sequence[_Size]) -> float | None:
    """The mean over the calls of a run, or None where a price is not known."""
    if share.tokens is not None:
        each = None if share.lm is None else price(share.lm)
        return None if each is None else _usd(each, *share.tokens)
    total = 0.0
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
            total += REASONING_TOKENS if field.name == "reasoning" else OUTPUT_TOKENS
        total += estimate_text(f"[[ ## {field.name} ## ]]")
    return total
