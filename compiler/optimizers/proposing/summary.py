"""A few sentences on the training data, written once a step from batches of its rows.

The batches are looked at independently and at the same time; one more question joins what was seen.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from ...evaluate.tasks import Halt, together
from .proposer import Proposer
from .showing import MAX_ROWS, shown
from .templates import fill

if TYPE_CHECKING:
    from ...data.rows import Rows

MAX_BATCHES = 10
MAX_SUMMARY = 4_000
"""Characters of a summary, or of one batch's observations, that are shown on."""


def summary_batches(rows: int, size: int) -> int:
    return min(MAX_BATCHES, math.ceil(rows / size))


async def summarize(proposer: Proposer, rows: Rows, size: int) -> str:
    """What the data are about; empty when no answer could be used. Raises halts."""
    size = min(size, MAX_ROWS)
    starts = range(0, size * summary_batches(len(rows), size), size)
    batches = [shown(row.row for row in rows[start : start + size]) for start in starts]
    found: list[str | Halt | None] = await together(
        [proposer.ask(fill("observe"), {"rows": batch}, "observations") for batch in batches]
    )
    observations: list[str] = []
    for one in found:
        if isinstance(one, str):
            observations.append(one.strip()[:MAX_SUMMARY])
        elif one is not None:
            raise one
    if len(batches) == 1 or not observations:
        return "\n".join(observations)
    written = await proposer.ask(fill("condense"), {"observations": "\n\n".join(observations)}, "summary")
    return (written or observations[0]).strip()[:MAX_SUMMARY]
