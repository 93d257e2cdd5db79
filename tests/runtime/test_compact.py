"""JSON that is read back as what was written, the fast way or the slow one."""

from __future__ import annotations

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Struct

from dspec.runtime.models.compact import compact, read_compact

PLAIN = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**80), 2**80)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=())),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=12,
)


class Pair(Struct, frozen=True):
    first: object
    second: tuple[object, ...] = ()


@given(PLAIN)
def test_what_is_written_is_read(value: object) -> None:
    text = compact(value)
    assert json.loads(text) == value
    assert repr(read_compact(text)) == repr(read_compact(text.decode())) == repr(json.loads(text))


@pytest.mark.parametrize("text", ["NaN", "-Infinity", "half \ud83d of a pair", "\0 é 漢 😀"])
def test_texts_that_need_care_are_read_as_they_were(text: str) -> None:
    assert json.loads(compact({text: [text]})) == {text: [text]}
    assert json.loads(compact(Pair(text, (Pair(1), text)))) == {
        "first": text,
        "second": [{"first": 1, "second": []}, text],
    }


@pytest.mark.parametrize("number", [math.nan, math.inf, -math.inf])
def test_numbers_that_json_has_not_are_refused(number: float) -> None:
    for value in (number, {"a": [number]}, Pair(1, (number,))):
        with pytest.raises(ValueError, match="JSON compliant"):
            compact(value)


def test_what_is_not_plain_is_refused() -> None:
    with pytest.raises(ValueError, match="JSON"):
        compact({"a": object()})
