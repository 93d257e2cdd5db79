"""bm25: a search by words through a column of a data file."""

from __future__ import annotations

from ....data.sources.base import SourceParameter
from .base import ExternSource
from .index import check_index

SOURCE = ExternSource(
    name="bm25",
    doc="A search by words through a column of a data file.",
    parameters=(SourceParameter("file", "path", required=True), SourceParameter("text", "column")),
    check=check_index,
)
