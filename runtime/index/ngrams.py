"""Texts compared by the cosine of their words, word pairs and character n-grams, searched by numpy.

The features and their weights are those of `features`, each weighed by how few rows have it. It finds the same rows
as `plain`. A feature that few rows have is kept as a list of those rows. A feature that many rows have is a bit in
each row. Eight such bits are a byte, and for each byte a text has a table of the 256 sums that the byte can stand
for, so one look at a row counts eight features. The bits have the order in which words were first seen: since the
n-grams of a word occur together, a text needs only the bytes of its own words.

Features are known by 64-bit digests, not as strings: an index of millions of them is two arrays of numbers.
"""

from __future__ import annotations

import hashlib
from array import array
from collections.abc import Iterator, Sequence
from typing import cast

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from ..models.embedded.features import FUNCTION_WEIGHT, GRAM_WEIGHT, PAIR_WEIGHT, stem, weigh, words
from .keeping import Arrays, kept, key_of
from .limits import MAX_ROWS
from .ranking import best

_KIND = "ngrams 2"
_CHUNK = 2_000_000
"""Features of the rows that are taken at a time, repeated ones counted."""
_CHUNK_ROWS = 65_536
_BLOCK = 32_768
"""Rows whose sums stay in the processor's cache."""
_LIGHT = np.uint64(0x9E3779B97F4A7C15)
"""Mixed into the key of a feature that has its lower weight, which so differs from its key with the full one."""
_FACTORS = tuple(
    np.uint64(factor)
    for factor in (0xFF51AFD7ED558CCD, 0xC4CEB9FE1A85EC53, 0xD6E8FEB86659FD93, 0xA0761D6478BD642F)
)
_STEM_WEIGHTS = (FUNCTION_WEIGHT, 1.0)
_PAIR_WEIGHTS = (PAIR_WEIGHT * max(FUNCTION_WEIGHT, 0.5), PAIR_WEIGHT)
"""With the lower weight and with the full one, as `features` has them."""
_BITS = ((np.arange(256)[None, :] >> np.arange(8)[:, None]) & 1).astype(np.float64)

Keys = NDArray[np.uint64]
Numbers = NDArray[np.int64]
Floats = NDArray[np.float64]


class NgramIndex:
    """Rows by the features they have; `search` gives the likest."""

    def __init__(self, arrays: Arrays) -> None:
        self._keys = cast("Keys", arrays["keys"])
        self._starts = cast("Numbers", arrays["starts"])
        self._places = cast("Numbers", arrays["places"])
        self._dense = cast("NDArray[np.int32]", arrays["dense"])
        self._bits = cast("NDArray[np.int32]", arrays["bits"])
        self._counts = cast("NDArray[np.int32]", arrays["counts"])
        self._columns = cast("NDArray[np.uint8]", arrays["columns"])
        self._lengths = cast("Floats", arrays["lengths"])
        self._texts = cast("Keys", arrays["texts"])

    def __len__(self) -> int:
        return len(self._lengths)

    @classmethod
    def build(cls, texts: Sequence[str]) -> NgramIndex:
        return cls(_build(texts))

    @classmethod
    def kept(cls, texts: Sequence[str]) -> NgramIndex:
        """The index of these rows from the cache; made and kept where it is not there."""
        return cls(kept(key_of(_KIND, texts), lambda: _build(texts)))

    def places_of(self, text: str) -> list[int]:
        """The rows that have this very text."""
        return np.flatnonzero(self._texts == np.uint64(_digest(text))).tolist()

    def search(self, text: str, k: int, hidden: Sequence[int] = ()) -> list[tuple[int, float]]:
        """The `k` likest rows with their likeness, the likest first; earlier rows win ties.

        Likeness is the cosine times the text's own length, which is the same for all rows.
        """
        return best(self._likeness(text), k, hidden)

    def _likeness(self, text: str) -> Floats:
        sums = np.zeros(len(self))
        found, shares = self._found(text)
        if len(found):
            dense = np.searchsorted(self._dense, found)
            dense[dense == len(self._dense)] = 0
            common = self._dense[dense] == found if len(self._dense) else np.zeros(len(found), np.bool_)
            self._add_common(sums, self._bits[dense[common]], shares[common])
            self._add_rare(sums, found[~common], shares[~common])
        return np.divide(sums, self._lengths, out=sums, where=self._lengths > 0)

    def _found(self, text: str) -> tuple[Numbers, Floats]:
        """The index's features that the text has, with what each adds to a row of length 1."""
        features = _Features([text])
        ids = next(features.chunks())[0].astype(np.int64)
        if not len(ids) or not len(self._keys):
            return np.zeros(0, np.int64), np.zeros(0)
        weights = features.weights()
        full = features.keys(ids, full=True)
        # Each feature twice: the rows that have it with its full weight, and with its lower one.
        keys = np.concatenate([full, full ^ _LIGHT])
        order = np.argsort(keys)  # a look-up in order reads each page of the index once
        places = np.empty(len(keys), np.int64)
        places[order] = np.searchsorted(self._keys, keys[order])
        places[places == len(self._keys)] = 0
        there = self._keys[places] == keys
        counts = np.where(there, self._count(places), 0)
        rows = counts[: len(full)] + counts[len(full) :]
        rarity = np.log((1 + len(self)) / np.maximum(rows, 1))
        lower = ids - (ids >= features.doubled_from) * ((ids - features.doubled_from) & 1)
        higher = lower + (ids >= features.doubled_from)
        theirs = np.concatenate([weights[higher], weights[lower]])
        shares = np.tile(weights[ids] * rarity, 2) * (theirs * np.tile(rarity, 2))
        return places[there], shares[there]

    def _count(self, places: Numbers) -> Numbers:
        counts = np.asarray(self._starts[places + 1], np.int64) - self._starts[places]
        if len(self._dense):
            dense = np.searchsorted(self._dense, places)
            dense[dense == len(self._dense)] = 0
            counts = np.where(self._dense[dense] == places, self._counts[dense], counts)
        return counts

    def _add_common(self, sums: Floats, bits: NDArray[np.int32], shares: Floats) -> None:
        if not len(bits):
            return
        weights = np.zeros(8 * len(self._columns))
        weights[bits] = shares
        used = np.flatnonzero(weights.reshape(-1, 8).any(axis=1))
        tables = weights.reshape(-1, 8)[used] @ _BITS
        looked = np.empty(min(_BLOCK, len(self)))
        for start in range(0, len(self), _BLOCK):
            part = sums[start : start + _BLOCK]
            into = looked[: len(part)]
            for column, table in zip(used.tolist(), tables, strict=True):
                np.take(table, self._columns[column, start : start + _BLOCK], out=into, mode="clip")
                np.add(part, into, out=part)

    def _add_rare(self, sums: Floats, found: Numbers, shares: Floats) -> None:
        starts, ends = self._starts[found].tolist(), self._starts[found + 1].tolist()
        for start, end, share in zip(starts, ends, shares.tolist(), strict=True):
            np.add.at(sums, self._places[start:end], share)


_Chunk = tuple[NDArray[np.int32], NDArray[np.int32], NDArray[np.uint16], int]


class _Grams(Struct, frozen=True):
    """Character n-grams of words: those of word `i` are `ids[starts[i]:starts[i + 1]]`."""

    keys: Keys
    first: Numbers
    """Where each n-gram was first seen."""
    ids: Numbers
    starts: Numbers


class _Features:
    """The features of some texts, as numbers: n-grams first, then stems, then pairs.

    A stem and a pair have two numbers each, for the lower weight that function words give them and for the full one.
    """

    def __init__(self, texts: Sequence[str]) -> None:
        vocabulary: dict[str, int] = {}
        read = array("i")
        sizes = np.empty(len(texts), np.int64)
        for place, text in enumerate(texts):
            found = words(text)
            sizes[place] = len(found)
            read.extend([vocabulary.setdefault(word, len(vocabulary)) for word in found])
        self._words = np.array(read, np.int32)
        self._row_starts = _before(sizes)
        distinct = list(vocabulary)
        stems: dict[str, int] = {}
        self._stem = np.array([stems.setdefault(stem(word), len(stems)) for word in distinct], np.int64)
        self._stem_keys = np.array([_digest(one) for one in stems], np.uint64)
        self._full = np.array([weigh(word) == 1.0 for word in distinct], np.bool_)
        self._grams = _grams([word if weigh(word) == 1.0 else "" for word in distinct])
        self._first_stem = self._grams.starts[np.unique(self._stem, return_index=True)[1]]
        # The word before each word; a row's first has none.
        self._later = np.ones(len(self._words), np.bool_)
        self._later[self._row_starts[:-1][sizes > 0]] = False
        at = np.flatnonzero(self._later)
        codes = self._stem[self._words[at - 1]] * len(stems) + self._stem[self._words[at]]
        self._pair_codes, which = np.unique(codes, return_inverse=True)
        self._pair = np.zeros(len(self._words), np.int64)
        self._pair[at] = which
        self.doubled_from = len(self._grams.keys)
        self._pairs_from = self.doubled_from + 2 * len(stems)

    @property
    def numbers(self) -> int:
        return self._pairs_from + 2 * len(self._pair_codes)

    def chunks(self) -> Iterator[_Chunk]:
        """Some rows at a time: their features in order, how many of the rows have each, which ones (counted from the
        first row), and the first row."""
        grams = self._grams
        sizes: Numbers = grams.starts[1:] - grams.starts[:-1]
        costs = _before(sizes[self._words] + 2)[self._row_starts]
        start, rows = 0, len(self._row_starts) - 1
        while start < rows:
            end = int(np.searchsorted(costs, int(costs[start]) + _CHUNK, side="right")) - 1
            end = min(max(end, start + 1), start + _CHUNK_ROWS, rows)
            coded: Numbers = np.concatenate(list(self._coded(start, end)))
            ids: Numbers = coded >> 16
            firsts = np.flatnonzero(np.diff(ids, prepend=-1))
            counts = np.diff(firsts, append=len(ids)).astype(np.int32)
            yield ids[firsts].astype(np.int32), counts, (coded & 0xFFFF).astype(np.uint16), start
            start = end

    def _coded(self, start: int, end: int) -> Iterator[Numbers]:
        """`feature << 16 | row` of every feature of the rows, in order."""
        low, high = self._row_starts[start], self._row_starts[end]
        found = self._words[low:high]
        rows = np.repeat(np.arange(end - start), np.diff(self._row_starts[start : end + 1]))
        grams = self._grams
        there = _distinct(rows * np.int64(len(self._stem)) + found)
        word, row = there % len(self._stem), there // len(self._stem)
        starts, counts = grams.starts[word], grams.starts[word + 1] - grams.starts[word]
        before = _before(counts)
        at = np.repeat(starts - before[:-1], counts) + np.arange(int(before[-1]))
        yield _distinct((grams.ids[at] << 16) | np.repeat(row, counts))
        # A stem has the highest weight of its words in the row, a pair that of its last occurrence.
        full = self._full[found]
        stems = np.sort((((self._stem[found] << 16) | rows) << 1) | full)
        yield from self._lasting(stems, self.doubled_from)
        later = self._later[low:high]
        pairs = (self._pair[low:high][later] << 16) | rows[later]
        order = np.argsort(pairs, kind="stable")
        yield from self._lasting((pairs[order] << 1) | full[later][order], self._pairs_from)

    @staticmethod
    def _lasting(coded: Numbers, origin: int) -> Iterator[Numbers]:
        """The last of each feature and row, as numbers of features from `origin` on."""
        if len(coded):
            where = coded >> 1
            last = coded[np.append(where[1:] != where[:-1], True)]
            ids = origin + ((last >> 17) << 1 | last & 1)
            yield np.sort((ids << 16) | (last >> 1 & 0xFFFF))

    def keys(self, ids: Numbers, *, full: bool = False) -> Keys:
        """The digests of features, each with the weight that its number says; with `full` each with its full weight."""
        grams, stems = ids < self.doubled_from, ids < self._pairs_from
        found = np.empty(len(ids), np.uint64)
        found[grams] = self._grams.keys[ids[grams]]
        found[stems & ~grams] = self._stem_keys[(ids[stems & ~grams] - self.doubled_from) >> 1]
        codes = self._pair_codes[(ids[~stems] - self._pairs_from) >> 1]
        size = max(1, len(self._stem_keys))
        found[~stems] = _mixed(self._stem_keys[codes // size], self._stem_keys[codes % size], 3)
        if not full:
            lower = ~grams & (((ids - self.doubled_from) & 1) == 0)
            found[lower] ^= _LIGHT
        return found

    def weights(self) -> Floats:
        """The weight of every feature, by its number."""
        found = np.full(self.numbers, GRAM_WEIGHT)
        for start, end, (lower, full) in (
            (self.doubled_from, self._pairs_from, _STEM_WEIGHTS),
            (self._pairs_from, self.numbers, _PAIR_WEIGHTS),
        ):
            found[start:end:2] = lower
            found[start + 1 : end : 2] = full
        return found

    def frequencies(self, counts: NDArray[np.int32]) -> NDArray[np.int32]:
        """How many rows have each feature with either weight."""
        found = counts.copy()
        found[self.doubled_from :: 2] += counts[self.doubled_from + 1 :: 2]
        found[self.doubled_from + 1 :: 2] = found[self.doubled_from :: 2]
        return found

    def order(self, ids: Numbers) -> Numbers:
        """The features in the order in which their words were first seen; pairs come last."""
        seen = np.full(len(ids), np.iinfo(np.int64).max)
        grams, stems = ids < self.doubled_from, ids < self._pairs_from
        seen[grams] = self._grams.first[ids[grams]]
        seen[stems & ~grams] = self._first_stem[(ids[stems & ~grams] - self.doubled_from) >> 1]
        return np.argsort(seen, kind="stable")


def _digest(text: str) -> int:
    data = text.encode(errors="surrogatepass")
    return int.from_bytes(hashlib.blake2b(data, digest_size=8).digest(), "little")


def _grams(texts: Sequence[str]) -> _Grams:
    """The 3- to 5-grams of words, their ends marked; none of an empty one."""
    marked = [f"<{text}>" if text else "" for text in texts]
    letters = np.frombuffer("".join(marked).encode("utf-32-le", "surrogatepass"), np.uint32).astype(np.uint64)
    sizes = np.array([len(text) for text in marked], np.int64)
    of = np.repeat(np.arange(len(texts)), sizes)
    left = np.cumsum(sizes)[of] - np.arange(len(letters)) if len(letters) else np.zeros(0, np.int64)
    parts: list[tuple[Numbers, Keys]] = []
    for size in (3, 4, 5):
        at = np.flatnonzero(left >= size)
        key = letters[at]
        for step in range(1, size):
            key = _mixed(key, letters[at + step], step)
        parts.append((of[at], _mixed(key, np.full(len(key), size, np.uint64), 0)))
    words_of = np.concatenate([part[0] for part in parts])
    order = np.argsort(words_of, kind="stable")
    keys, first, ids = np.unique(
        np.concatenate([part[1] for part in parts])[order], return_index=True, return_inverse=True
    )
    starts = _before(np.bincount(words_of, minlength=len(texts)))
    return _Grams(keys, first, ids.astype(np.int64), starts)


def _distinct(numbers: Numbers) -> Numbers:
    """The different numbers in order; numpy's own way costs a hundred times as much."""
    ordered = np.sort(numbers)
    return ordered[np.diff(ordered, prepend=-1) > 0]


def _before(counts: NDArray[np.integer]) -> Numbers:
    """How many come before each, and how many there are at the end."""
    found = np.zeros(len(counts) + 1, np.int64)
    np.cumsum(counts, out=found[1:])
    return found


def _mixed(left: Keys, right: Keys, round_: int) -> Keys:
    """One digest of two, in their order."""
    found = (left * _FACTORS[round_ % 4]) ^ ((right + _LIGHT) * _FACTORS[(round_ + 1) % 4])
    found ^= found >> np.uint64(32)
    found *= _FACTORS[0]
    found ^= found >> np.uint64(29)
    found *= _FACTORS[1]
    return found ^ (found >> np.uint64(32))


def _build(texts: Sequence[str]) -> Arrays:
    if len(texts) > MAX_ROWS:
        raise ValueError(f"an index has at most {MAX_ROWS:,} rows, and these are {len(texts):,}")
    features = _Features(texts)
    chunks = list(features.chunks())
    counts = np.zeros(features.numbers, np.int32)
    for ids, sizes, _, _ in chunks:
        counts[ids] += sizes
    there = np.flatnonzero(counts)
    keys = features.keys(there)
    order = np.argsort(keys, kind="stable")
    there, keys = there[order], keys[order]

    small = len(texts) <= 1 << 16
    dense_from = len(texts) / (8 * (2 if small else 4))
    common = counts[there] > dense_from
    starts = _before(np.where(common, 0, counts[there]))
    cursor = np.full(features.numbers, -1, np.int32 if starts[-1] < 1 << 31 else np.int64)
    cursor[there[~common]] = starts[:-1][~common]
    dense = np.flatnonzero(common)
    bit = np.full(features.numbers, -1, np.int32)
    bit[there[dense][features.order(there[dense])]] = np.arange(len(dense))

    places = np.empty(starts[-1], np.uint16 if small else np.uint32)
    columns = np.zeros((-(-len(dense) // 8), len(texts)), np.uint8)
    squares_of = np.log((1 + len(texts)) / np.maximum(features.frequencies(counts), 1))
    squares_of *= features.weights()
    squares_of *= squares_of
    squares = np.zeros(len(texts))
    while chunks:
        ids, sizes, rows, first = chunks.pop()
        _fill_lengths(squares, ids, sizes, rows, first, squares_of)
        _fill_columns(columns, bit[ids], sizes, rows, first)
        # The last chunk comes first: each feature's list fills from its end.
        listed = cursor[ids] >= 0
        counts[ids] -= sizes
        begins = cursor[ids].astype(np.int64) + counts[ids]
        entries = np.repeat(listed, sizes)
        offsets = np.repeat(begins - _before(sizes)[:-1], sizes) + np.arange(len(rows))
        places[offsets[entries]] = rows[entries].astype(places.dtype) + places.dtype.type(first)
    return {
        "keys": keys,
        "starts": starts.astype(np.uint32 if starts[-1] < 1 << 31 else np.int64),
        "places": places,
        "dense": dense.astype(np.int32),
        "bits": bit[there[dense]],
        "counts": _counted(columns, bit[there[dense]]),
        "columns": columns,
        "lengths": np.sqrt(squares),
        "texts": np.array([_digest(text) for text in texts], np.uint64),
    }


def _fill_lengths(
    squares: Floats,
    ids: NDArray[np.int32],
    sizes: NDArray[np.int32],
    rows: NDArray[np.uint16],
    first: int,
    squares_of: Floats,
) -> None:
    found = np.bincount(rows, np.repeat(squares_of[ids], sizes))
    squares[first : first + len(found)] += found


def _fill_columns(
    columns: NDArray[np.uint8],
    bits: NDArray[np.int32],
    sizes: NDArray[np.int32],
    rows: NDArray[np.uint16],
    first: int,
) -> None:
    every = np.repeat(bits, sizes)
    at = np.flatnonzero(every >= 0)
    every, where = every[at], rows[at].astype(np.int64) + first
    for place in range(8):
        one = (every & 7) == place
        columns[every[one] >> 3, where[one]] |= np.uint8(1 << place)


def _counted(columns: NDArray[np.uint8], bits: NDArray[np.int32]) -> NDArray[np.int32]:
    return np.array(
        [np.count_nonzero(columns[bit >> 3] & np.uint8(1 << (bit & 7))) for bit in bits.tolist()], np.int32
    )
