"""bm25: a search by words through a column of a data file."""

from __future__ import annotations

from .base import DATA_FILE, FOUND, ExternSource
from .index import check_index

SOURCE = ExternSource(
    name="bm25",
    doc="A search by words through a column of a data file.",
    parameters=(*DATA_FILE, FOUND),
    check=check_index,
)
