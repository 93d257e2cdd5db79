"""Indexes: what is near, the same as said in the plainest words; kept on disk, and what of that can be trusted."""

from __future__ import annotations

import hashlib
import math
import os
import random
import threading
import time
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dspec.runtime.index import keeping, ngrams
from dspec.runtime.index.bm25 import WordIndex
from dspec.runtime.index.keeping import kept, key_of, opened
from dspec.runtime.index.limits import DIGITS
from dspec.runtime.index.ngrams import NgramIndex
from dspec.runtime.index.plain import PlainIndex
from dspec.runtime.index.ranking import best
from dspec.runtime.index.vectors import VectorIndex
from dspec.runtime.models.embedded.features import features, stem, words
from dspec.runtime.running.vectors import likeness, pack, unpack

WORDS = """the a of and it's don't used uses use running runs ran parcel parcels money refund nation nations nationals
    straße STRASSE ПРИВЕТ 東京 o'clock aaaa aaaaaaa x é é ﬁne 12345 a_b supercalifragilisticexpialidocious""".split()  # noqa: SIM905 - a word list reads better as words
TEXTS = st.one_of(
    st.lists(st.sampled_from(WORDS), max_size=8).map(" ".join), st.text(max_size=20), st.just("")
)
ROWS = st.one_of(
    st.lists(TEXTS, min_size=1, max_size=12),
    # Many rows of few words: common features, repeated texts and ties.
    st.lists(st.lists(st.sampled_from(WORDS[:9]), max_size=4).map(" ".join), min_size=30, max_size=60),
)


def reference(texts: list[str], query: str, k: int, hidden: str | None) -> list[int]:
    """Cosine of features that are weighed by their rarity, as this project has always compared rows."""
    rows = [features(text) for text in texts]
    counts = Counter(feature for row in rows for feature in row)
    rarity = {feature: math.log((1 + len(texts)) / count) for feature, count in counts.items()}
    asked = {feature: weight * rarity.get(feature, 0.0) for feature, weight in features(query).items()}
    scores: list[float] = []
    for row in rows:
        length = math.sqrt(math.fsum((weight * rarity[feature]) ** 2 for feature, weight in row.items()))
        products = (asked[feature] * row[feature] * rarity[feature] for feature in asked if feature in row)
        scores.append(sum(products) / length if length else 0.0)
    shown = sorted(
        (-round(score, DIGITS), place) for place, score in enumerate(scores) if texts[place] != hidden
    )
    return [place for _, place in shown[:k]]


@settings(max_examples=150)
@given(ROWS, TEXTS, st.integers(1, 70), st.booleans())
def test_the_same_rows_in_the_same_order_as_ever(texts: list[str], query: str, k: int, hide: bool) -> None:
    hidden = texts[len(texts) // 2] if hide else None
    index = NgramIndex.build(texts)
    found = index.search(query, k, () if hidden is None else index.places_of(hidden))
    assert [place for place, _ in found] == reference(texts, query, k, hidden)
    plain = PlainIndex(texts).likeness(query)
    assert [score for _, score in found] == pytest.approx([plain[place] for place, _ in found], abs=1.5e-9)


def test_a_row_is_found_by_its_own_text_among_many() -> None:
    """Also where the rows are taken in several chunks, and sums go block by block."""
    rng = random.Random(3)
    texts = [" ".join(rng.choices(WORDS, k=rng.randint(0, 12))) + f" n{place}" for place in range(400)]
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(ngrams, "_CHUNK", 500)
        patched.setattr(ngrams, "_BLOCK", 37)
        index = NgramIndex.build(texts)
        for place in range(0, 400, 23):
            found = [row for row, _ in index.search(texts[place], 5)]
            assert found == reference(texts, texts[place], 5, None)
            assert found[0] == place
    assert index.search("", 3) == [(0, 0.0), (1, 0.0), (2, 0.0)]


NUMBERS = st.floats(-5, 5, allow_nan=False, width=32)


@settings(max_examples=150)
@given(st.data(), st.integers(1, 6), st.integers(1, 40))
def test_vectors_are_as_near_as_ever(data: st.DataObject, size: int, k: int) -> None:
    vector = st.lists(st.one_of(NUMBERS, st.sampled_from((0.0, 1.0, -1.0))), min_size=size, max_size=size)
    rows = data.draw(st.lists(vector, min_size=1, max_size=30))
    asked = data.draw(vector)
    packed = tuple(map(pack, rows))
    scores = likeness(packed, asked)
    order = sorted((-round(score, DIGITS), place) for place, score in enumerate(scores))
    wanted = [place for _, place in order[:k]]
    for index in (VectorIndex.build(rows), VectorIndex.of_packed([unpack(row).tobytes() for row in packed])):
        assert [place for place, _ in index.search(asked, k)] == wanted
    shown = [place for _, place in order if place != wanted[0]][:k]
    assert [place for place, _ in index.search(asked, k, [wanted[0]])] == shown


def test_vectors_that_single_precision_cannot_tell_apart() -> None:
    rng = np.random.default_rng(5)
    base = rng.integers(-120, 120, 64)
    rows = [base + (np.arange(64) == place % 64) for place in range(300)]
    index = VectorIndex.of_packed([row.astype(np.int8).tobytes() for row in rows])
    asked = rng.normal(size=64)
    exact = [float(row @ asked / (np.linalg.norm(row) * np.linalg.norm(asked))) for row in rows]
    order = sorted((-round(score, DIGITS), place) for place, score in enumerate(exact))
    assert [place for place, _ in index.search(asked.tolist(), 12)] == [place for _, place in order[:12]]


def test_a_vector_of_another_size_or_without_direction() -> None:
    index = VectorIndex.build([[1.0, 0.0], [0.0, 1.0]])
    with pytest.raises(ValueError, match="vectors of 2 numbers, and this one has 3"):
        index.search([1.0, 2.0, 3.0], 1)
    assert index.search([0.0, 0.0], 5) == [(0, 0.0), (1, 0.0)]
    assert index.search([0.0, 1e300], 1) == [(1, 1.0)]
    assert VectorIndex.build([]).search([1.0], 3) == []
    with pytest.raises(ValueError, match="different lengths"):
        VectorIndex.build([[1.0], [1.0, 2.0]])


@given(
    st.lists(st.sampled_from((0.0, 0.1, 0.1 + 1e-12, 0.1 - 3e-10, 0.5, -1.0)), max_size=30),
    st.integers(0, 35),
)
def test_the_best_are_told_apart_by_nine_decimals(scores: list[float], k: int) -> None:
    wanted = sorted((-round(score, DIGITS), place) for place, score in enumerate(scores))[:k]
    assert [(-score, place) for place, score in best(np.array(scores, np.float64), k)] == wanted


def bm25(texts: list[str], query: str) -> list[tuple[int, float]]:
    """Lucene's BM25, from the formula."""
    rows = [[stem(word) for word in words(text)] for text in texts]
    average = sum(map(len, rows)) / len(rows)
    found: list[tuple[float, int]] = []
    for place, row in enumerate(rows):
        score = 0.0
        for word in [stem(word) for word in words(query)]:
            having = sum(word in other for other in rows)
            count = row.count(word)
            if count:
                idf = math.log(1 + (len(rows) - having + 0.5) / (having + 0.5))
                score += idf * count / (count + 1.5 * (1 - 0.75 + 0.75 * len(row) / average))
        if score:
            found.append((-score, place))
    return [(place, -score) for score, place in sorted(found)]


@settings(max_examples=60)
@given(ROWS, TEXTS)
def test_words_are_scored_by_bm25(texts: list[str], query: str) -> None:
    index = WordIndex.build(texts)
    found = dict(index.search(query, len(texts)))
    assert found == pytest.approx(dict(bm25(texts, query)), rel=1e-4)
    scores = list(index.search(query, 5))
    assert scores == sorted(scores, key=lambda one: (-one[1], one[0]))


def test_equal_rows_keep_their_order_and_rows_without_a_word_are_no_result() -> None:
    index = WordIndex.build(["red fox", "blue fox", "red fox", "", "grey owl"])
    assert [row for row, _ in index.search("a red fox", 10)] == [0, 2, 1]
    assert [row for row, _ in WordIndex.build(["one parcel", "two"]).search("PARCELS!", 5)] == [0]
    assert index.search("whale", 3) == index.search("", 3) == []
    assert WordIndex.build(["", ""]).search("fox", 3) == WordIndex.build([]).search("fox", 3) == []


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("DSPEC_INDEX_DIR", str(tmp_path / "kept"))
    return tmp_path / "kept"


SOME = [f"row {place} about topic {place % 7}" for place in range(40)]


def test_what_is_kept_answers_the_same_and_is_not_made_again(
    cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    indexes = (NgramIndex, WordIndex)
    first = [one.kept(SOME).search("topic 3", 5) for one in indexes]
    vectors = VectorIndex.kept("mine", lambda: [[1.0, 2.0], [3.0, 1.0]]).search([1.0, 1.0], 2)
    assert len(list(cache.iterdir())) == 3
    monkeypatch.setattr("dspec.runtime.index.ngrams._build", None)
    monkeypatch.setattr("dspec.runtime.index.bm25._build", None)
    assert [one.kept(SOME).search("topic 3", 5) for one in indexes] == first
    again = VectorIndex.opened("mine")
    assert again is not None
    assert again.search([1.0, 1.0], 2) == vectors
    assert VectorIndex.opened("other") is None


def test_a_damaged_file_is_made_again(cache: Path) -> None:
    wanted = NgramIndex.kept(SOME).search("topic 3", 5)
    (file,) = cache.iterdir()
    whole = file.read_bytes()
    rng = random.Random(1)
    for damaged in (
        b"",
        whole[:-1],
        whole[: len(whole) // 2],
        whole + b"\0",
        *(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :] for at in rng.sample(range(len(whole)), 30)),
    ):
        file.write_bytes(damaged)
        assert opened(file.stem) is None
        assert NgramIndex.kept(SOME).search("topic 3", 5) == wanted
        assert file.read_bytes() == whole


@pytest.mark.parametrize(
    "header",
    [
        "{}",
        "[[]]",
        '[["a","object",0,1,0]]',
        '[["a","float64",0,1000000000000,0]]',
        '[["a","float64",0,4294967296,4294967296]]',
        '[["a","float64",-64,1,0]]',
        '[["a","float64",1,1,0]]',
        '[["a","uint8",0,-1,0]]',
        '[["a","uint8",0,-1,-1]]',
        '[["a","uint8",0,1]]',
        "[" * 60_000,
        "no json",
    ],
)
def test_a_file_that_someone_made_up_is_not_believed(cache: Path, header: str) -> None:
    cache.mkdir()
    body = b"dspec index 1\n" + len(header).to_bytes(8, "little") + header.encode() + b"\0" * 64
    (cache / "it.index").write_bytes(body + hashlib.sha256(body).digest())
    assert opened("it") is None
    (cache / "it.index").write_bytes(b"dspec index 1\n" + b"\xff" * 100)
    assert opened("it") is None


def test_no_file_is_followed_out_of_what_a_file_may_be(cache: Path) -> None:
    (cache / "it.index").mkdir(parents=True)
    assert opened("it") is None


def test_a_cache_that_cannot_be_written_is_no_fault(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("DSPEC_INDEX_DIR", str(tmp_path / "file"))
    assert NgramIndex.kept(SOME).search("topic 3", 5) == NgramIndex.build(SOME).search("topic 3", 5)


def test_the_least_recently_used_go_when_the_folder_is_full(
    cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def make() -> dict[str, np.ndarray]:
        return {"a": np.zeros(1000, np.uint8)}

    for name in "abc":
        kept(name, make)
    for age, name in enumerate("abc"):
        (cache / f"{name}.index").touch()
        stamp = time.time() - 100 + (age if name != "a" else 50)
        os.utime(cache / f"{name}.index", (stamp, stamp))
    (cache / "left.tmp").write_text("")
    os.utime(cache / "left.tmp", (1, 1))
    monkeypatch.setattr(keeping, "MAX_FOLDER", 3 * 1600)
    kept("d", make)
    assert {entry.name for entry in cache.iterdir()} == {"a.index", "c.index", "d.index"}


def test_those_who_come_together_make_one(cache: Path) -> None:
    made: list[int] = []

    def make() -> dict[str, np.ndarray]:
        made.append(1)
        time.sleep(0.05)
        return {"a": np.arange(5)}

    threads = [threading.Thread(target=kept, args=("one", make)) for _ in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert made == [1]


def test_a_key_tells_all_rows_apart() -> None:
    keys = {
        key_of("k", ["a", "b"]),
        key_of("k", ["ab"]),
        key_of("k", ["a"], ["b"]),
        key_of("k", ["b", "a"]),
        key_of("k2", ["a", "b"]),
        key_of("k", ["1:a"]),
        key_of("k", ["\ud800"]),
    }
    assert len(keys) == 7


def test_searching_many_rows_costs_a_fraction_of_going_through_them() -> None:
    rng = random.Random(2)
    names = ["".join(rng.choices("abcdefghijklmnop", k=7)) for _ in range(300)]
    texts = [f"question: where is the order of {' '.join(rng.choices(names, k=12))}" for _ in range(4000)]

    def cost(run: object) -> float:
        began = time.process_time()
        run()  # type: ignore[operator]
        return time.process_time() - began

    made: list[object] = []
    slow, fast = (
        cost(lambda: made.append(PlainIndex(texts))),
        cost(lambda: made.append(NgramIndex.build(texts))),
    )
    assert fast < slow / 3
    plain, index = made
    assert isinstance(plain, PlainIndex)
    assert isinstance(index, NgramIndex)
    slow = cost(lambda: [plain.likeness(text) for text in texts[:10]])
    assert cost(lambda: [index.search(text, 3) for text in texts[:10]]) < slow / 2


def test_an_index_of_too_many_rows_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    for kind in ("ngrams", "bm25", "vectors"):
        monkeypatch.setattr(f"dspec.runtime.index.{kind}.MAX_ROWS", 2)
    for make in (NgramIndex.build, WordIndex.build):
        with pytest.raises(ValueError, match="at most 2 rows"):
            make(["a", "b", "c"])
    with pytest.raises(ValueError, match="at most 2 rows"):
        VectorIndex.build([[1.0]] * 3)
    assert NgramIndex.build(["a b", "b c"]).search("c", 1)[0][0] == 1
