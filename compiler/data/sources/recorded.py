"""recorded: calls of an application, with what people said of them."""

from __future__ import annotations

from ... import ir
from .. import opening
from ..tables import Table
from .base import FileSource, SourceParameter


def _read(stream: opening.PlacedFile, source: ir.DataSource) -> Table:
    from .recorded_rows import recorded_table  # few projects have such files

    return recorded_table(stream, source)


def _count(stream: opening.PlacedFile, source: ir.DataSource) -> int:
    from .recorded_rows import recorded_count

    return recorded_count(stream, source)


SOURCE = FileSource(
    name="recorded",
    doc="Calls that an application recorded, an SQLite file: inputs and outputs by their names, corrected where "
    "feedback says so. Also the columns `@score`, `@comment` and `@id`.",
    parameters=(
        SourceParameter("path", "path", required=True),
        SourceParameter("program", "text", doc="Whose calls, of a file with those of several programs."),
        SourceParameter(
            "only",
            "choice",
            default="right",
            doc='Which calls: `"right"` that were corrected, or scored `min_score`; `"feedback"` of which anything was said; '
            '`"all"`. The outputs of the latter two may be wrong.',
            choices=("right", "feedback", "all"),
        ),
        SourceParameter(
            "min_score",
            "share",
            doc='Calls that scored less are left out, unless they were corrected. With `only = "right"` it is 1 unless said.',
        ),
    ),
    read=_read,
    count=_count,
    ends="sqlite",
    beside="-wal",
)
