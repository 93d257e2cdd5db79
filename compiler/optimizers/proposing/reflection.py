"""GEPA's proposals: an instruction or a tool's description written anew in view of what was said of the answers.

Algorithm: the reflective mutation of Agrawal et al., 2025 (arXiv:2507.19457). Besides the cases the model is
shown labelled rows of train where there are any: they are at hand and cost no run.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from .outline import outline
from .proposer import Proposer
from .showing import MAX_ROWS, shown
from .subjects import Subject

if TYPE_CHECKING:
    import random

    from ...data.rows import Rows


async def reflect(
    proposer: Proposer, subject: Subject, seen: str, rows: Rows, rng: random.Random, *, sample: int
) -> str:
    """The new text; empty when the answer could not be used. Raises halts.

    `seen` are a predictor's cases, or the runs of an agent that is told of a tool.
    """
    program = subject.program
    labelled = [row for row in rows if row.labels]
    examples = subject.rows(tuple(rng.sample(labelled, min(MAX_ROWS, len(labelled)))))
    inputs = {
        **subject.about(),
        "program": outline(program) if len(program.predictors) > 1 else "",
        "runs" if subject.describes else "cases": seen,
        "examples": shown(examples),
        **{name: text or "(none)" for name, text in subject.current().items()},
    }
    given = {name: text for name, text in inputs.items() if text}
    answer = await proposer.ask(
        subject.task("reflect", list(given)),
        given,
        subject.output,
        sample=sample,
        temperature=proposer.temperature,
    )
    return subject.read(answer)
