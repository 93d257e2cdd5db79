"""Splits: exact sizes, no overlap, the same everywhere."""

from __future__ import annotations

import random
from collections import Counter

import pytest
from datasets import dataset, field, rows, split
from hypothesis import given, settings
from hypothesis import strategies as st

from dspec.compiler import ir
from dspec.compiler.data import DataError, part, part_sizes, parts

CLASSED = field("intent")


def declared(chosen: ir.Split | None) -> ir.Dataset:
    return dataset("rows.csv", CLASSED, split=chosen)


def test_no_part_means_every_row_in_file_order() -> None:
    assert part(declared(split(train="50%")), rows(7), None) == rows(7)


def test_a_split_is_the_same_on_every_machine() -> None:
    """Draws of `random.Random(7).random()`; a change here silently reshuffles everyone's data."""
    got = {
        name: [e.index for e in chosen]
        for name, chosen in parts(declared(split(a=4, b="50%")), rows(10)).items()
    }
    assert got == {"a": [2, 7, 4, 6], "b": [8, 9, 0, 5, 1]}
    stratified = declared(split("intent", a=4, b="50%"))
    assert [e.index for e in part(stratified, rows(10), "a")] == [6, 7, 2, 9]


def test_percentages_are_dealt_by_largest_remainder() -> None:
    thirds = split(a="33.3%", b="33.3%", c="33.4%")
    assert part_sizes(thirds, 10) == {"a": 3, "b": 3, "c": 4}
    assert part_sizes(split(a="50%", b="50%"), 7) == {"a": 4, "b": 3}
    assert part_sizes(split(a="0.1%", b="0.2%"), 1000) == {"a": 1, "b": 2}
    assert part_sizes(split(a="70%", b="30%"), 10**9 + 1) == {"a": 700_000_001, "b": 300_000_000}


def test_rows_and_percent_may_be_mixed_and_rows_may_be_left_over() -> None:
    assert part_sizes(split(train=3, val="25%"), 20) == {"train": 3, "val": 5}


@settings(max_examples=100, deadline=None)
@given(
    count=st.integers(1, 120),
    percents=st.lists(st.integers(1, 60), min_size=1, max_size=4),
    seed=st.integers(0, 2**64),
    classes=st.integers(1, 9),
    stratify=st.booleans(),
)
def test_parts_are_disjoint_stable_and_complete(
    count: int, percents: list[int], seed: int, classes: int, stratify: bool
) -> None:
    names = [f"p{i}" for i in range(len(percents))]
    sizes = {name: f"{percent}%" for name, percent in zip(names, percents, strict=True)}
    chosen = declared(split("intent" if stratify else None, seed, **sizes))
    if sum(percents) > 100:
        with pytest.raises(DataError, match="asks for"):
            parts(chosen, rows(count))
        return
    if 0 in part_sizes(split(**sizes), count).values():
        with pytest.raises(DataError, match="has no rows"):
            parts(chosen, rows(count))
        return
    got = parts(chosen, rows(count, classes))
    assert list(got) == names
    indices = [example.index for name in names for example in got[name]]
    assert len(indices) == len(set(indices)) == sum(percents) * count // 100
    assert all(
        abs(len(got[name]) - percent * count / 100) < 1 for name, percent in zip(names, percents, strict=True)
    )
    assert got == parts(chosen, rows(count, classes))
    random.seed(1)
    assert got == parts(chosen, rows(count, classes)), "the global generator must play no part"


def test_another_seed_is_another_split() -> None:
    assert part(declared(split(a="50%", seed=1)), rows(40), "a") != part(
        declared(split(a="50%", seed=2)), rows(40), "a"
    )


@pytest.mark.parametrize("seed", range(20))
def test_stratified_parts_hold_their_share_of_each_class(seed: int) -> None:
    chosen = declared(split("intent", seed, train="20%", val="60%", test="20%"))
    got = parts(chosen, rows(300, 5))
    for name, share in (("train", 12), ("val", 36), ("test", 12)):
        counts = Counter(example.labels["intent"] for example in got[name])
        assert all(abs(count - share) <= 2 for count in counts.values()), counts
        first = Counter(example.labels["intent"] for example in got[name][:10])
        assert max(first.values()) <= 4, "the first rows of a part are a balanced sample"


def test_a_class_of_one_row_is_not_always_drawn_to_the_same_part() -> None:
    single = [e if e.index else type(e)(0, e.inputs, {"intent": "rare"}) for e in rows(30)]
    found = {
        name
        for seed in range(40)
        for name, got in parts(
            declared(split("intent", seed, a="30%", b="40%", c="30%")), tuple(single)
        ).items()
        if any(example.index == 0 for example in got)
    }
    assert found == {"a", "b", "c"}


@pytest.mark.parametrize(
    ("chosen", "words"),
    [
        (split(a=8, b=5), r"asks for 13 rows \(8 a \+ 5 b\), the dataset has 10"),
        (split(a=8, b="50%"), r"asks for 13 rows \(8 a \+ 5 b\), the dataset has 10"),
        (split(a="60%", b="60%"), r"asks for 60 \+ 60 = 120 % of its rows"),
        (split(a="5%"), r"part `a` \(5 % of 10 rows\) has no rows"),
        (split(a=0), "part `a` of `tickets` asks for no rows"),
        (split(a=-3), "asks for no rows"),
        (
            split("kind", a=3),
            "`stratify` names `kind`, which is no column of `tickets`; it has `text` and `intent`",
        ),
    ],
)
def test_what_does_not_add_up_is_an_error_with_numbers(chosen: ir.Split, words: str) -> None:
    with pytest.raises(DataError, match=words):
        part(declared(chosen), rows(10), "a")


def test_unknown_parts_name_those_there_are() -> None:
    with pytest.raises(DataError, match=r"no part `dev`; its parts: `train` and `val`"):
        part(declared(split(train=1, val=1)), rows(10), "dev")
    with pytest.raises(DataError, match=r"no part `dev`; it has no `split`"):
        part(declared(None), rows(10), "dev")
    assert parts(declared(None), rows(3)) == {}
