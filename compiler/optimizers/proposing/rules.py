"""InferRules' rules: what decides the answers, written down from labelled rows."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from dspec.runtime.schema.program import Program

from .answers import clean
from .outline import role
from .proposer import Proposer
from .showing import MAX_ROWS, rows_for, shown
from .templates import fill

if TYPE_CHECKING:
    import random

    from ...data.rows import Rows

_ITEM = re.compile(
    r"^[ \t\u3000]{0,3}(?:(?:[-*•]|\d{1,3}[.)])[ \t]"
    # as Chinese and Japanese number lists: 1、  （2）  ③  四、  ・
    r"|\d{1,3}[、．]|[（(]\d{1,3}[）)]|[①-⑳]|[一二三四五六七八九十]{1,3}、|[・－])",
    re.MULTILINE,
)


async def infer_rules(
    proposer: Proposer,
    program: Program,
    address: str,
    rows: Rows,
    rng: random.Random,
    *,
    number: int,
    sample: int,
    temperature: float,
) -> str:
    """At most `number` rules for one predictor; empty when the answer could not be used. Raises halts."""
    predictor = program.predictors[address]
    drawn = tuple(rng.sample(rows, min(MAX_ROWS, len(rows))))
    inputs = {
        "module": role(program, address),
        "purpose": predictor.signature.instruction,
        "examples": shown(rows_for(predictor, drawn)),
    }
    given = {name: text for name, text in inputs.items() if text}
    task = fill("rules", given=list(given), number=number)
    answer = await proposer.ask(task, given, "guidelines", sample=sample, temperature=temperature)
    return first_rules(clean(answer or ""), number)


def first_rules(text: str, number: int) -> str:
    """The text up to its `number`-th list item; all of it where it is no longer list."""
    starts = [match.start() for match in _ITEM.finditer(text)]
    return text if len(starts) <= number else text[: starts[number]].rstrip()
