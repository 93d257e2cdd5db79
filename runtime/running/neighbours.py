"""Demos chosen per input: the training rows nearest to it, from an index that the program carries.

Texts are compared by the cosine of their features (words, word pairs, character n-grams), each weighed
by how few rows have it (inverse document frequency; Sparck Jones, 1972). There is no model in it and
nothing to fetch, so a program chooses the same demos on every machine. The index holds texts; vectors
are made from them when they are first needed.

Or a model's embeddings are compared: those of the rows travel in the index, that of an input is asked for.
"""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import lru_cache
from heapq import nsmallest

from ..errors import ConfigurationError
from ..models.embedded.features import features
from ..schema.program import LM, Demo, Neighbours, Program, canonical
from ..schema.types import JsonValue
from .vectors import likeness

Embed = Callable[[LM, str], Awaitable[Sequence[float]]]
"""A text's embedding by a model; raises what the engine raises."""

MAX_ROWS = 20_000
"""Rows of an index. More take seconds to make vectors of, and no artifact holds them."""

_DIGITS = 9
"""Similarities are compared to this many decimals: the last bits of a logarithm differ by machine."""


async def with_nearest_demos(program: Program, inputs: Mapping[str, JsonValue], embed: Embed) -> Program:
    """The program as it answers these inputs: the nearest rows' demos follow each predictor's own."""
    index = program.neighbours
    if index is None:
        return program
    text = row_text(program, inputs)
    if index.lm is None:
        return _showing(program, index, nearest(index, text))
    lm = program.lms[index.lm]
    try:
        return _showing(program, index, nearest_by_vector(index, await embed(lm, text)))
    except ValueError as error:
        raise ConfigurationError(
            f"`{lm.name}` ({lm.model}) is not the model that the index was made with: {error}",
            help="compile the program again with this model",
        ) from None


def _showing(program: Program, index: Neighbours, places: Sequence[int]) -> Program:
    rows = [index.rows[place] for place in places]
    shown = [row for row in rows if row.bootstrapped][: index.max_bootstrapped_demos]
    others = [row for row in rows if not any(row is one for one in shown)]
    predictors = dict(program.predictors)
    for address, predictor in program.predictors.items():
        demos: list[Demo] = [row.bootstrapped[address] for row in shown if address in row.bootstrapped]
        room = max(0, index.max_labeled_demos - len(demos))
        demos += [row.labelled[address] for row in others if address in row.labelled][:room]
        if demos:
            predictors[address] = predictor.model_copy(update={"demos": (*predictor.demos, *demos)})
    return program.model_copy(update={"predictors": predictors, "neighbours": None})


def row_text(program: Program, inputs: Mapping[str, JsonValue]) -> str:
    """A row as the index knows it: `name: value` for every input, in the program's order."""
    values = {field.name: inputs.get(field.name, field.default) for field in program.inputs}
    return " | ".join(
        f"{name}: {value if isinstance(value, str) else canonical(value)}" for name, value in values.items()
    )


def nearest(neighbours: Neighbours, text: str) -> tuple[int, ...]:
    """The places of the `k` rows most like the text, the likest first; earlier rows win ties."""
    texts = tuple(row.text for row in neighbours.rows)
    return _likest(_index(texts).likeness(text), neighbours)


def nearest_by_vector(neighbours: Neighbours, vector: Sequence[float]) -> tuple[int, ...]:
    """The same by an embedding. Raises ValueError for one that has not as many numbers as the rows'."""
    found = likeness(tuple(row.vector for row in neighbours.rows), vector)
    return _likest(found, neighbours)


def _likest(likenesses: Sequence[float], neighbours: Neighbours) -> tuple[int, ...]:
    hidden = neighbours.hidden
    shown = (
        (-round(likenesses[place], _DIGITS), place)
        for place, row in enumerate(neighbours.rows)
        if row.text != hidden
    )
    return tuple(place for _, place in nsmallest(neighbours.k, shown))


class _Index:
    """Rows by the features they have, each row's weights scaled to length 1."""

    def __init__(self, texts: tuple[str, ...]) -> None:
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
        found = [0.0] * self._size
        for feature, weight in features(text).items():
            share = weight * self._rarity.get(feature, 0.0)
            for place, part in self._rows.get(feature, ()):
                found[place] += share * part
        return found


@lru_cache(maxsize=8)
def _index(texts: tuple[str, ...]) -> _Index:
    return _Index(texts)
