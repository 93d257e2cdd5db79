"""Demos chosen per input: the training rows nearest to it, from an index that the program carries.

Texts are compared by the cosine of their features (words, word pairs, character n-grams), each weighed
by how few rows have it (inverse document frequency; Sparck Jones, 1972). There is no model in it and
nothing to fetch, so a program chooses the same demos on every machine. The program holds texts; the index
of them (`runtime/index`) is made when it is first needed.

Or a model's embeddings are compared: those of the rows travel in the program, that of an input is asked for.

A few rows are searched here and now, without numpy. Many are searched in a thread, and their index is kept on disk.
"""

from __future__ import annotations

import asyncio
import random
import threading
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import lru_cache
from heapq import nsmallest
from typing import TYPE_CHECKING

from ..errors import ConfigurationError
from ..index.limits import DIGITS
from ..schema.program import LM, Demo, Neighbours, Program, canonical
from ..schema.types import JsonValue
from ..values.media import is_history, medium_kind
from .vectors import likeness, unpack

if TYPE_CHECKING:
    from ..index.ngrams import NgramIndex
    from ..index.plain import PlainIndex
    from ..index.vectors import VectorIndex

Embed = Callable[[LM, str], Awaitable[Sequence[float]]]
"""A text's embedding by a model; raises what the engine raises."""

_FEW_CHARACTERS = 30_000
"""Characters of all rows' texts, or of their packed vectors. With fewer, an index without numpy is made and searched
before numpy would be imported."""

_MANY_CHARACTERS = 1_000_000
"""An index of more is kept on disk: making it anew takes noticeably longer than reading it."""

_MADE = 8
"""Indexes that are held in memory."""


async def with_nearest_demos(program: Program, inputs: Mapping[str, JsonValue], embed: Embed) -> Program:
    """The program as it answers these inputs: the nearest rows' demos follow each predictor's own."""
    index = program.neighbours
    if index is None:
        return program
    text = row_text(program, inputs)
    if index.lm is None:
        found = nearest(index, text) if _known(index).few else await asyncio.to_thread(nearest, index, text)
        return _showing(program, index, found)
    lm = program.lms[index.lm]
    vector = await embed(lm, text)
    try:
        if _known(index).few:
            return _showing(program, index, nearest_by_vector(index, vector))
        return _showing(program, index, await asyncio.to_thread(nearest_by_vector, index, vector))
    except ValueError as error:
        raise ConfigurationError(
            f"`{lm.name}` ({lm.model}) is not the model that the index was made with: {error}",
            help="compile the program again with this model",
        ) from None


def _showing(program: Program, index: Neighbours, places: Sequence[int]) -> Program:
    rows = [index.rows[place] for place in places]
    shown = [row for row in rows if row.bootstrapped][: index.max_bootstrapped_demos]
    others = [row for row in rows if not any(row is one for one in shown)]
    drawn = index.fill == "dspy"
    draws = random.Random(0)  # noqa: S311 - DSPy's seed
    if drawn:
        random.Random(0).shuffle(others)  # noqa: S311
    predictors = dict(program.predictors)
    for address, predictor in program.predictors.items():
        demos: list[Demo] = [row.bootstrapped[address] for row in shown if address in row.bootstrapped]
        room = max(0, index.max_labeled_demos - len(demos))
        filling = draws.sample(others, min(room, len(others))) if drawn else others
        demos += [row.labelled[address] for row in filling if address in row.labelled][:room]
        if demos:
            predictors[address] = predictor.model_copy(update={"demos": (*predictor.demos, *demos)})
    return program.model_copy(update={"predictors": predictors, "neighbours": None})


def row_text(program: Program, inputs: Mapping[str, JsonValue]) -> str:
    """A row as the index knows it: `name: value` for every input that is text, in the program's order."""
    values = {
        field.name: inputs.get(field.name, field.default)
        for field in program.inputs
        if not (medium_kind(field.type) or is_history(field.type))
    }
    return " | ".join(
        f"{name}: {value if isinstance(value, str) else canonical(value)}" for name, value in values.items()
    )


def nearest(neighbours: Neighbours, text: str) -> tuple[int, ...]:
    """The places of the `k` rows most like the text, the likest first; earlier rows win ties."""
    from ..index.plain import PlainIndex  # most programs have no index

    index = _known(neighbours).by_text()
    if isinstance(index, PlainIndex):
        return _likest(index.likeness(text), neighbours)
    hidden = () if neighbours.hidden is None else index.places_of(neighbours.hidden)
    return tuple(place for place, _ in index.search(text, neighbours.k, hidden))


def nearest_by_vector(neighbours: Neighbours, vector: Sequence[float]) -> tuple[int, ...]:
    """Like `nearest`, by an embedding. Raises ValueError for one that has more or fewer numbers than the rows'."""
    rows = _known(neighbours)
    if rows.few:
        return _likest(likeness(rows.vectors, vector), neighbours)
    hidden = [place for place, text in enumerate(rows.texts) if text == neighbours.hidden]
    return tuple(place for place, _ in rows.by_vector().search(vector, neighbours.k, hidden))


def _likest(likenesses: Sequence[float], neighbours: Neighbours) -> tuple[int, ...]:
    hidden = neighbours.hidden
    shown = (
        (-round(likenesses[place], DIGITS), place)
        for place, row in enumerate(neighbours.rows)
        if row.text != hidden
    )
    return tuple(place for _, place in nsmallest(neighbours.k, shown))


class _Rows:
    """An index's rows, and what searches them, which is made when it is first needed. Inputs that come at the same time
    wait for it, instead of making one each."""

    def __init__(self, neighbours: Neighbours) -> None:
        self.rows = neighbours.rows
        self.texts = tuple(row.text for row in self.rows)
        self.vectors = () if neighbours.lm is None else tuple(row.vector for row in self.rows)
        self.few = sum(map(len, self.vectors or self.texts)) < _FEW_CHARACTERS
        self._making = threading.Lock()
        self._by_text: PlainIndex | NgramIndex | None = None
        self._by_vector: VectorIndex | None = None

    def by_text(self) -> PlainIndex | NgramIndex:
        with self._making:
            if self._by_text is None:
                self._by_text = _of_texts(self.texts, self.few)
            return self._by_text

    def by_vector(self) -> VectorIndex:
        from ..index.vectors import VectorIndex

        with self._making:
            if self._by_vector is None:
                self._by_vector = VectorIndex.of_packed([unpack(text).tobytes() for text in self.vectors])
            return self._by_vector


@lru_cache(maxsize=_MADE)
def _of_texts(texts: tuple[str, ...], few: bool) -> PlainIndex | NgramIndex:
    """Kept by the texts, so that programs that differ in nothing but their demos share one."""
    if few:
        from ..index.plain import PlainIndex

        return PlainIndex(texts)
    from ..index.ngrams import NgramIndex

    many = sum(map(len, texts)) >= _MANY_CHARACTERS
    return NgramIndex.kept(texts) if many else NgramIndex.build(texts)


_latest: dict[int, _Rows] = {}
"""By the identity of the rows. They are the same object for every input, so nobody need go through them again."""
_finding = threading.Lock()


def _known(neighbours: Neighbours) -> _Rows:
    key = id(neighbours.rows)
    with _finding:
        held = _latest.get(key)
        if held is None or held.rows is not neighbours.rows:
            while len(_latest) >= _MADE:
                del _latest[next(iter(_latest))]
            held = _latest[key] = _Rows(neighbours)
        return held
