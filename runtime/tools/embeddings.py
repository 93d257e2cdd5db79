"""embeddings: a search by meaning through a column of a data file, by a model's vectors or, without one, by n-grams."""

from __future__ import annotations

import asyncio

from ..models.protocol import ToolUse
from ..schema.program import Tool
from .base import Ground, OpenTool, ToolProblem, ToolSource, text_option
from .indexed import FILE, FileSearch, Searched, largest_found, opened_file

_AT_ONCE = 256
"""Texts that are asked for together."""


async def _open(tool: Tool, ground: Ground, use: ToolUse) -> OpenTool:
    searched = await asyncio.to_thread(opened_file, tool, ground)
    if use.lm is None:
        return await asyncio.to_thread(_by_ngrams, searched)
    return await _by_vectors(searched, use, use.lm.model)


def _by_ngrams(searched: Searched) -> FileSearch:
    from ..index.ngrams import NgramIndex

    index = NgramIndex.kept(searched.texts)
    return FileSearch(searched, lambda text, k, use: asyncio.to_thread(index.search, text, k))


async def _by_vectors(searched: Searched, use: ToolUse, model: str) -> FileSearch:
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

    async def ranking(text: str, k: int, use: ToolUse) -> list[tuple[int, float]]:
        (vector,) = await use.embed([text])
        return await asyncio.to_thread(ready.search, vector, k)

    return FileSearch(searched, ranking)


SOURCE = ToolSource(
    name="embeddings",
    options=FILE,
    open=_open,
    called=lambda tool: f"a search through `{text_option(tool, 'file')}`",
    steady=True,
    size=largest_found,
)
