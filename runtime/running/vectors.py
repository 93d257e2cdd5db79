"""Embeddings as an index carries them: one signed byte a number, as base64, compared by their cosine.

A cosine does not depend on a vector's length, so each vector is scaled to its own largest number. The
error of the cosine is below a hundredth, for a quarter of the size of single precision.
"""

from __future__ import annotations

import base64
import binascii
import json
import math
from array import array
from collections.abc import Sequence
from functools import lru_cache
from operator import mul
from typing import cast

from ..errors import Unavailable
from ..schema.types import JsonValue

MAX_NUMBERS = 20_000
"""Numbers of one vector; no embedding model has as many."""


def pack(vector: Sequence[float]) -> str:
    """A vector of finite numbers in its compact form."""
    largest = max(map(abs, vector), default=0.0)
    scaled = (round(127 * (number / largest)) for number in vector) if largest else (0 for _ in vector)
    return base64.b64encode(array("b", scaled).tobytes()).decode()


def unpack(text: str) -> array[int]:
    """The numbers of a packed vector. Raises ValueError for what is none."""
    try:
        numbers = array("b", base64.b64decode(text, validate=True))
    except (binascii.Error, ValueError):
        raise ValueError("not a packed vector") from None
    if not 0 < len(numbers) <= MAX_NUMBERS:
        raise ValueError(f"a vector of {len(numbers)} numbers")
    return numbers


def read_vector(text: str) -> list[float]:
    """The vector in the text of an embedding's answer. Raises Unavailable where there is none."""
    try:
        numbers = cast("JsonValue", json.loads(text))
    except (ValueError, RecursionError):
        numbers = None
    if not isinstance(numbers, list) or not 0 < len(numbers) <= MAX_NUMBERS:
        raise Unavailable("the answer is not an embedding")
    found = [float(number) for number in numbers if isinstance(number, int | float) and math.isfinite(number)]
    if len(found) != len(numbers):
        raise Unavailable("the embedding is not a list of numbers")
    return found


def likeness(packed: tuple[str, ...], vector: Sequence[float]) -> list[float]:
    """The cosine of the vector and each packed one; 0 for a vector without a direction.

    Raises ValueError when they do not have as many numbers.
    """
    rows = _rows(packed)
    length = math.sqrt(math.fsum(number * number for number in vector))
    found: list[float] = []
    for numbers, size in rows:
        if len(numbers) != len(vector):
            raise ValueError(
                f"the index has vectors of {len(numbers)} numbers, and this one has {len(vector)}"
            )
        found.append(sum(map(mul, numbers, vector)) / (size * length) if size and length else 0.0)
    return found


@lru_cache(maxsize=8)
def _rows(packed: tuple[str, ...]) -> tuple[tuple[array[int], float], ...]:
    rows = (unpack(text) for text in packed)
    return tuple((numbers, math.sqrt(sum(map(mul, numbers, numbers)))) for numbers in rows)
