"""embeddings: a search by meaning through a column of a data file."""

from __future__ import annotations

from ....data.sources.base import SourceParameter
from .base import DATA_FILE, FOUND, ExternSource
from .index import check_index

SOURCE = ExternSource(
    name="embeddings",
    doc="A search by meaning through a column of a data file.",
    parameters=(
        *DATA_FILE,
        SourceParameter(
            "lm", "lm", doc="The model whose vectors are compared; without one, words and parts of words are."
        ),
        FOUND,
    ),
    check=check_index,
)
