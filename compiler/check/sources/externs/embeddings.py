"""embeddings: a search by meaning through a column of a data file."""

from __future__ import annotations

from ....data.sources.base import SourceParameter
from .base import ExternSource
from .index import check_index

SOURCE = ExternSource(
    name="embeddings",
    doc="A search by meaning through a column of a data file.",
    parameters=(
        SourceParameter("file", "path", required=True),
        SourceParameter("text", "column"),
        SourceParameter("lm", "lm"),
    ),
    check=check_index,
)
