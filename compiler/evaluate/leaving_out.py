"""Scores a row that is in a program's own index as one that is not, since its label would be in the prompt.

An application asks about rows that are new. So an index is scored on its own rows one left out at a time: a row is asked
about with the index of all others.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache

from dspec.runtime.schema.identity import Same
from dspec.runtime.schema.program import Neighbour, Program
from dspec.runtime.schema.types import JsonValue


def left_out(program: Program, inputs: Mapping[str, JsonValue]) -> Program:
    """The program as it is asked about a row: without the row in its index, if it has one and the row is in it."""
    if program.neighbours is None or program.neighbours.hidden is not None:
        return program
    from dspec.runtime.running.neighbours import row_text  # it brings what compares texts

    itself = row_text(program, inputs)
    if itself not in _texts(Same(program.neighbours.rows)):
        return program
    return program.model_copy(update={"neighbours": program.neighbours.hiding(itself)})


@lru_cache(maxsize=8)
def _texts(of: Same[tuple[Neighbour, ...]]) -> frozenset[str]:
    return frozenset(row.text for row in of.value)
