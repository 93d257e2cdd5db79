"""colbert: a search on a ColBERT server."""

from __future__ import annotations

from ....data.sources.base import SourceParameter
from .base import ExternSource

SOURCE = ExternSource(
    name="colbert",
    doc="A search on a ColBERT server.",
    parameters=(SourceParameter("url", "text", required=True), SourceParameter("k", "integer")),
)
