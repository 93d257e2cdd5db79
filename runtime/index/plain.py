"""Texts compared as `ngrams` compares them, without numpy: for indexes so small that importing it would take longer.

It is the shortest statement of what is near, so the tests compare `ngrams` with it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from ..models.embedded.features import features


class PlainIndex:
    """Rows by the features they have, each row's weights scaled to length 1."""

    def __init__(self, texts: Sequence[str]) -> None:
        self._size = len(texts)
        rows = [features(text) for text in texts]
        found: dict[str, list[tuple[int, float]]] = {}
        for place, row in enumerate(rows):
            for feature, weight in row.items():
                found.setdefault(feature, []).append((place, weight))
        self._rarity = {
            feature: math.log((1 + self._size) / len(places)) for feature, places in found.items()
        }
        lengths = [
            math.sqrt(math.fsum((weight * self._rarity[feature]) ** 2 for feature, weight in row.items()))
            for row in rows
        ]
        self._rows = {
            feature: [
                (place, weight * self._rarity[feature] / lengths[place])
                for place, weight in places
                if lengths[place]
            ]
            for feature, places in found.items()
        }

    def likeness(self, text: str) -> list[float]:
        """The likeness of each row to the text, in the rows' order."""
        found = [0.0] * self._size
        for feature, weight in features(text).items():
            share = weight * self._rarity.get(feature, 0.0)
            for place, part in self._rows.get(feature, ()):
                found[place] += share * part
        return found
