"""BM25 over rows of text, with `bm25s` (Lucene's variant, k1 1.5, b 0.75), kept by content and mapped when opened.

Words are the lower-case stems that neighbours are compared by; where a script has no spaces, characters and pairs of them. A
row's score is the sum over the query's words, so a row without any of them scores 0 and is no result.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from ..models.embedded.features import clip, stem, words
from ..values.scripts import beyond_latin, pieces
from .keeping import Arrays, kept, key_of
from .limits import MAX_ROWS
from .ranking import best

_KIND = "bm25 2"
MAX_CHARACTERS = 200_000
"""How much of one row is read; a longer one is read at both ends."""


class WordIndex:
    """Rows by their words; `search` gives the best by BM25."""

    def __init__(self, arrays: Arrays) -> None:
        from bm25s import BM25  # pyright: ignore[reportMissingTypeStubs]

        self._rows = int(arrays["rows"][0])
        vocabulary = cast("NDArray[np.uint8]", arrays["vocabulary"]).tobytes().decode()
        self._ids = {word: place for place, word in enumerate(vocabulary.split("\n"))} if vocabulary else {}
        self._scorer = cast("Any", BM25())
        self._scorer.nonoccurrence_array = None
        self._scorer.scores = {
            "data": arrays["data"],
            "indices": arrays["indices"],
            "indptr": arrays["starts"],
            "num_docs": self._rows,
        }

    def __len__(self) -> int:
        return self._rows

    @classmethod
    def build(cls, texts: Sequence[str]) -> WordIndex:
        return cls(_build(texts))

    @classmethod
    def kept(cls, texts: Sequence[str]) -> WordIndex:
        """The index of these rows from the cache; made and kept where it is not there."""
        from bm25s import __version__ as version  # pyright: ignore[reportMissingTypeStubs]

        return cls(kept(key_of(f"{_KIND} {version}", texts), lambda: _build(texts)))

    def search(self, text: str, k: int) -> list[tuple[int, float]]:
        """At most `k` rows that share a word with the text, the best first; earlier rows win ties."""
        found = [self._ids[word] for word in _words(text) if word in self._ids]
        if not found:
            return []
        scores = cast("NDArray[np.float32]", self._scorer.get_scores_from_ids(found))
        return [(row, score) for row, score in best(scores.astype(np.float64), k) if score > 0]


def _words(text: str) -> list[str]:
    part = clip(text, MAX_CHARACTERS)
    if not beyond_latin(part):
        return [stem(word) for word in words(part, MAX_CHARACTERS)]
    found: list[str] = []
    for piece in pieces(part):
        found += map(stem, piece)
        found += (first + second for first, second in pairwise(piece))
    return found


def _build(texts: Sequence[str]) -> Arrays:
    from bm25s import BM25  # pyright: ignore[reportMissingTypeStubs]

    if len(texts) > MAX_ROWS:
        raise ValueError(f"an index has at most {MAX_ROWS:,} rows, and these are {len(texts):,}")
    ids: dict[str, int] = {}
    rows = [[ids.setdefault(word, len(ids)) for word in _words(text)] for text in texts]
    found: dict[str, Any] = {
        "data": np.zeros(0, np.float32),
        "indices": np.zeros(0, np.int32),
        "indptr": np.zeros(1, np.int64),
    }
    if ids:
        scorer = cast("Any", BM25())
        found = scorer.build_index_from_ids(list(ids.values()), rows, show_progress=False)
    return {
        "rows": np.array([len(texts)], np.int64),
        "vocabulary": np.frombuffer("\n".join(ids).encode(), np.uint8),
        "data": found["data"],
        "indices": found["indices"],
        "starts": found["indptr"],
    }
