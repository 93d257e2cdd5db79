"""embeddings: a search by meaning through a column of a data file, by a model's vectors or, without one, by n-grams."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import cast

from ..models.protocol import ToolUse
from ..schema.program import Tool
from ..schema.types import JsonValue, Row
from .base import Ground, OpenTool, TookTooLong, ToolProblem, ToolSource, text_option
from .indexed import FILE, Searched, opened_file
from .searching import asked, found

_AT_ONCE = 256
"""Texts that are asked for together."""

Places = list[tuple[int, float]]


class MeaningSearch:
    """The rows of a file and the index of one of their columns. `vector` says that a text is searched by its vector."""

    def __init__(self, searched: Searched, search: Callable[[object, int], Places], *, vector: bool) -> None:
        self._searched = searched
        self._search = search
        self._vector = vector

    async def call(self, tool: Tool, arguments: Row, use: ToolUse) -> JsonValue:
        text, k = asked(tool, arguments)
        try:
            async with asyncio.timeout(tool.timeout):
                wanted: object = (await use.embed([text]))[0] if self._vector else text
                places = await asyncio.to_thread(self._search, wanted, k)
        except TimeoutError:
            raise TookTooLong(tool.timeout) from None
        except ValueError as error:
            raise ToolProblem(f"the text cannot be compared: {error}") from None
        return found(
            tool, [self._searched.rows[place] for place, _ in places], self._searched.column, use.records
        )

    async def aclose(self) -> None:
        return


async def _open(tool: Tool, ground: Ground, use: ToolUse) -> OpenTool:
    searched = await asyncio.to_thread(opened_file, tool, ground)
    if use.lm is None:
        return await asyncio.to_thread(_by_ngrams, searched)
    return await _by_vectors(searched, use, use.lm.model)


def _by_ngrams(searched: Searched) -> MeaningSearch:
    from ..index.ngrams import NgramIndex

    index = NgramIndex.kept(searched.texts)
    return MeaningSearch(searched, lambda text, k: index.search(cast("str", text), k), vector=False)


async def _by_vectors(searched: Searched, use: ToolUse, model: str) -> MeaningSearch:
    """Every row's vector is asked for once and kept, with the index."""
    from ..index import keeping
    from ..index.vectors import VectorIndex

    lm = use.lm
    assert lm is not None
    served = lm.api_base or lm.api_base_env or ""
    key = await asyncio.to_thread(keeping.key_of, "tool", model, served, searched.texts)
    index = await asyncio.to_thread(VectorIndex.opened, key)
    if index is None:
        vectors: list[list[float]] = []
        for start in range(0, len(searched.texts), _AT_ONCE):
            vectors += await use.embed(searched.texts[start : start + _AT_ONCE])
        try:
            index = await asyncio.to_thread(VectorIndex.kept, key, lambda: vectors)
        except ValueError as error:
            raise ToolProblem(f"the model's vectors cannot be compared: {error}") from None
    ready = index
    return MeaningSearch(
        searched, lambda vector, k: ready.search(cast("list[float]", vector), k), vector=True
    )


SOURCE = ToolSource(
    name="embeddings",
    options=FILE,
    open=_open,
    called=lambda tool: f"a search through `{text_option(tool, 'file')}`",
    steady=True,
)
