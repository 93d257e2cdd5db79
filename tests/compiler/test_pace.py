"""How long a compile may take: bounds that follow from calls, width, rates and what calls took before."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dspec.compiler.compile.pace import EMBEDDED, GUESS, duration, mean_seconds, spell
from dspec.runtime.schema.program import LM

HOSTED = LM(name="hosted", model="openai/gpt-4o-mini")
TOY = LM(name="toy", model="embedded/icl")


def test_rounds_of_calls_take_what_one_call_takes() -> None:
    found = duration(32, 160, [HOSTED], threads=16)
    assert (found.least, found.most, found.measured) == (2 * GUESS[0], 10 * GUESS[1], False)
    measured = duration(32, 160, [HOSTED], threads=16, measured=1.0)
    assert (measured.least, measured.most, measured.measured) == (pytest.approx(1.4), 15.0, True)


def test_the_narrowest_model_and_the_slowest_rate_count() -> None:
    narrow = HOSTED.model_copy(update={"max_parallel": 4})
    assert duration(8, 8, [HOSTED, narrow], threads=16, measured=1.0).most == 3.0
    slow = HOSTED.model_copy(update={"rpm": 10})
    assert duration(31, 31, [slow], threads=16, measured=0.1).least == 180.0
    toy = duration(100, 100, [TOY], threads=16)
    assert (toy.least, toy.most) == (pytest.approx(100 * EMBEDDED[0]), pytest.approx(100 * EMBEDDED[1]))
    assert duration(0, 0, [], threads=16).most == 0.0


@given(st.integers(0, 500), st.integers(0, 500), st.integers(1, 300), st.none() | st.floats(0.001, 100))
def test_the_least_is_never_above_the_most(
    least: int, more: int, threads: int, measured: float | None
) -> None:
    found = duration(least, least + more, [HOSTED], threads=threads, measured=measured)
    assert 0 <= found.least <= found.most


def test_few_calls_say_nothing_of_the_pace() -> None:
    assert mean_seconds(3, 9.0) is None
    assert mean_seconds(100, 50.0) == 0.5


def test_durations_are_spelled_for_people() -> None:
    assert [spell(x) for x in (0.31, 4.0, 42.3, 600.0, 9000.0)] == [
        "0.31 s",
        "4 s",
        "42 s",
        "10 min",
        "2.5 h",
    ]
