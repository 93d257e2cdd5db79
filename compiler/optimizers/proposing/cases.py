"""Runs as a proposer sees them: what was given, what came out, what was said of it.

Everything shown is bounded: a long row or a talkative metric cannot crowd out the rest. Text that others
wrote is quoted line by line, so that it stays recognisable as text.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from msgspec import Struct

from dspec.runtime.schema.types import JsonValue, Row

if TYPE_CHECKING:
    from ...evaluate.evaluation import Attempt

MAX_VALUE = 2_000
"""Characters of one value."""
MAX_FEEDBACK = 2_000
MAX_NOTES = 3
"""Notes of one call that are shown: what it was asked again for, suggestions it did not meet."""
MAX_CASES = 20_000
"""Characters of all cases together; the first is always there."""
MAX_CALLS = 40
"""Calls of one run that are listed."""


class PredictorRun(Struct, frozen=True):
    """A predictor's part in one run. `outputs` is None when the run had no usable answer."""

    inputs: Row
    outputs: Row | None
    score: float
    feedback: str


def feedback_of(attempt: Attempt, notes: Sequence[str] = (), address: str | None = None) -> str:
    """What is to be learned from a run: why it failed, else the metric's feedback, else its score. With an `address` it is
    the feedback for that predictor or tool, where there is one."""
    if attempt.verdict is None:
        what = "The metric failed" if attempt.metric_failed else "There was no usable answer"
        return f"{what}: {attempt.reason or 'no reason was given'}"
    said = (
        attempt.verdict.feedback_for(address) or ""
    ).strip() or f"It scored {points(attempt.verdict.score)}."
    return "\n".join([said, *(f"While answering: {note}" for note in notes[:MAX_NOTES])])


def score_of(attempt: Attempt) -> float:
    """The run's score; 0.0 where there is nothing to score."""
    return 0.0 if attempt.verdict is None else attempt.verdict.score


def points(score: float) -> str:
    return f"{100 * score:g} of 100" if round(100 * score, 1) == 100 * score else f"{100 * score:.1f} of 100"


def listed(cases: Iterable[PredictorRun]) -> str:
    """The cases one below the other, as many as fit."""
    parts: list[str] = []
    room = MAX_CASES
    for number, case in enumerate(cases, 1):
        answered = "no answer" if case.outputs is None else f"answered {shown(case.outputs)}"
        text = "\n".join(
            [
                f"Case {number}, scored {points(case.score)}",
                f"given {shown(case.inputs)}",
                answered,
                quoted(case.feedback),
            ]
        )
        room -= len(text)
        if parts and room < 0:
            break
        parts.append(text[:MAX_CASES])
    return "\n\n".join(parts)


def runs_listed(attempts: Sequence[Attempt], address: str | None = None) -> str:
    """Whole runs one below the other, with what tools were given and without what predictors were: an agent's steps
    repeat all that came before them. With an `address` what is said of each run is said for that tool."""
    most = MAX_CASES // max(1, len(attempts))
    return "\n\n".join(
        f"Run {number}, given {shown(attempt.example.inputs)}\n{run_listed(attempt, given=False, address=address)}"[
            :most
        ]
        for number, attempt in enumerate(attempts, 1)
    )


def run_listed(attempt: Attempt, *, given: bool = True, address: str | None = None) -> str:
    """One whole run: each call in order, the result and what was said of it; with what predictors were `given`."""
    lines: list[str] = []
    for step in [step for step in attempt.trace if not step.dropped][:MAX_CALLS]:
        who = f"the tool `{step.tool}`" if step.tool else f"`{step.predictor}`"
        if given or step.tool:
            lines.append(f"{who} was given {shown(step.inputs)}")
        lines.append(f"{who} answered {shown(step.outputs)}")
    result = "no result" if attempt.outputs is None else f"result {shown(attempt.outputs)}"
    lines += [f"{result}, scored {points(score_of(attempt))}", quoted(feedback_of(attempt, (), address))]
    return "\n".join(lines)[:MAX_CASES]


def shown(row: Row) -> str:
    """A row as JSON on one line, long values cut and marked."""
    return json.dumps({name: _short(value) for name, value in row.items()}, ensure_ascii=False)


def quoted(text: str) -> str:
    cut = text if len(text) <= MAX_FEEDBACK else f"{text[:MAX_FEEDBACK]} …"
    return "\n".join(f"> {line}" for line in cut.splitlines() or [""])


def _short(value: JsonValue) -> JsonValue:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return value if len(text) <= MAX_VALUE else f"{text[:MAX_VALUE]} …"
