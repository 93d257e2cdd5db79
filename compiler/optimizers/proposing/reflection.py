"""GEPA's proposals: a module's instruction written anew in view of what was said of its answers.

Algorithm: the reflective mutation of Agrawal et al., 2025 (arXiv:2507.19457). Besides the cases the model is
shown labelled rows of train where there are any: they are at hand and cost no run.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from dspec.runtime.schema.program import Program

from .answers import clean
from .cases import PredictorRun, listed
from .outline import outline, role
from .proposer import Proposer
from .showing import MAX_ROWS, rows_for, shown
from .templates import fill

if TYPE_CHECKING:
    import random

    from ...data.rows import Rows


async def reflect(
    proposer: Proposer,
    program: Program,
    address: str,
    cases: Sequence[PredictorRun],
    rows: Rows,
    rng: random.Random,
    *,
    sample: int,
) -> str:
    """The new instruction of one predictor; empty when the answer could not be used. Raises halts."""
    predictor = program.predictors[address]
    labelled = [row for row in rows if row.labels]
    examples = rows_for(predictor, tuple(rng.sample(labelled, min(MAX_ROWS, len(labelled)))))
    inputs = {
        "module": role(program, address),
        "program": outline(program) if len(program.predictors) > 1 else "",
        "cases": listed(cases),
        "examples": shown(examples),
        "current_instruction": predictor.signature.instruction or "(none)",
    }
    given = {name: text for name, text in inputs.items() if text}
    answer = await proposer.ask(
        fill("reflect", given=list(given)),
        given,
        "instruction",
        sample=sample,
        temperature=proposer.temperature,
    )
    return clean(answer or "")
