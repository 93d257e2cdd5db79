"""Measures of rankings: how near its beginning a ranking has the items that are relevant.

`precision_at`, `recall_at` and the discounted gain follow `trec_eval` (P, recall and ndcg_cut): precision divides by k even where
the ranking is shorter, gains are taken as they are, and the gain at rank r is divided by log2(r + 1) (Järvelin & Kekäläinen,
2002). The reciprocal rank is that of Voorhees (TREC-8, 1999); its mean over rows is MRR. An item that a ranking has twice counts
at its first place only, and where nothing is relevant every measure is 0.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping, Sequence

from ..schema.types import JsonValue


def reciprocal_rank(gold: Sequence[JsonValue], ranking: Sequence[JsonValue]) -> float:
    """1 / the rank of the first relevant item; 0 where there is none."""
    wanted = set(map(_key, gold))
    return next((1 / rank for rank, item in enumerate(ranking, 1) if _key(item) in wanted), 0.0)


def precision_at(gold: Sequence[JsonValue], ranking: Sequence[JsonValue], k: int) -> float:
    """The share of relevant items among the first `k`."""
    return _hits(gold, ranking, k) / _at_least_one(k)


def recall_at(gold: Sequence[JsonValue], ranking: Sequence[JsonValue], k: int) -> float:
    """The share of the relevant items that is among the first `k`."""
    relevant = len(set(map(_key, gold)))
    return _hits(gold, ranking, k) / relevant if relevant else 0.0


def ndcg(
    gold: Sequence[JsonValue] | Mapping[str, float], ranking: Sequence[JsonValue], k: int | None
) -> float:
    """The discounted gain of the first `k`, divided by that of the best ranking there is. `gold` are the relevant items, or the
    gain of each."""
    if isinstance(gold, Mapping):
        gains = {_key(item): float(gain) for item, gain in gold.items()}
    else:
        gains = {_key(item): 1.0 for item in gold}
    if any(gain < 0 for gain in gains.values()):
        raise ValueError("a gain is a number from 0 on")
    cut = len(ranking) + len(gains) if k is None else _at_least_one(k)
    best = _discounted(sorted(gains.values(), reverse=True)[:cut])
    found = _discounted([gains.pop(_key(item), 0.0) for item in ranking[:cut]])
    return min(1.0, found / best) if best > 0 else 0.0


def _discounted(gains: Sequence[float]) -> float:
    return math.fsum(gain / math.log2(rank + 1) for rank, gain in enumerate(gains, 1))


def _hits(gold: Sequence[JsonValue], ranking: Sequence[JsonValue], k: int) -> int:
    return len(set(map(_key, gold)) & set(map(_key, ranking[: _at_least_one(k)])))


def _at_least_one(k: int) -> int:
    if k < 1:
        raise ValueError(f"`k` is at least 1, and this is {k}")
    return k


def _key(item: JsonValue) -> Hashable:
    """What equal items have in common: `1` and `1.0` are equal, `1` and true are not."""
    if isinstance(item, list):
        return "list", tuple(map(_key, item))
    if isinstance(item, dict):
        return "dict", frozenset((name, _key(value)) for name, value in item.items())
    return isinstance(item, bool), item
