"""Named streams: the same everywhere, independent of each other."""

from __future__ import annotations

import subprocess
import sys

from hypothesis import given, settings
from hypothesis import strategies as st

from dspec.compiler.evaluate.streams import stream

NAMES = st.lists(st.text(max_size=6), max_size=3)


def test_the_draws_are_these_on_every_machine() -> None:
    draws = stream(9, "demos", "shuffled 3")
    assert [draws.randrange(1000) for _ in range(5)] == [741, 192, 15, 286, 948]


def test_another_process_with_another_hash_seed_draws_the_same() -> None:
    code = "from dspec.compiler.evaluate.streams import stream; print(stream(0, 'a', 'b').random())"
    command = [sys.executable, "-c", code]
    printed = {
        subprocess.run(command, env={"PYTHONHASHSEED": seed}, capture_output=True, check=True).stdout
        for seed in ("1", "2")
    }
    assert printed == {f"{stream(0, 'a', 'b').random()}\n".encode()}


@settings(max_examples=60)
@given(st.integers(), NAMES, st.integers(), NAMES)
def test_streams_are_alike_exactly_when_seed_and_names_are(
    seed: int, names: list[str], other_seed: int, other_names: list[str]
) -> None:
    same = (seed, names) == (other_seed, other_names)
    assert (stream(seed, *names).random() == stream(other_seed, *other_names).random()) is same


def test_names_do_not_run_together_and_seed_zero_counts() -> None:
    firsts = {
        stream(0, "ab", "c").random(),
        stream(0, "a", "bc").random(),
        stream(0, "abc").random(),
        stream(0, "a", "b", "c").random(),
        stream(1, "abc").random(),
    }
    assert len(firsts) == 5
