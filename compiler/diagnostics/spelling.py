"""Did you mean: the few known words that a misspelt one most likely stands for.

Edit distance with transpositions (optimal string alignment, Damerau 1964), case ignored. Only close
words are offered, since a far-fetched suggestion is worse than none.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from itertools import islice

MAX_WORD = 64
SHORTEST = 4
"""Shorter words are all a letter or two away from each other."""
MAX_KNOWN = 2_000
"""Where more words are known, none is offered: to go through them for every mistake would take too long."""


def distance(a: str, b: str, limit: int) -> int:
    """Insertions, deletions, substitutions and swaps of neighbours; `limit + 1` when beyond `limit`."""
    if abs(len(a) - len(b)) > limit:
        return limit + 1
    before: list[int] = []
    above = list(range(len(b) + 1))
    for i, left in enumerate(a, 1):
        row = [i]
        for j, right in enumerate(b, 1):
            cost = min(above[j] + 1, row[j - 1] + 1, above[j - 1] + (left != right))
            if i > 1 and j > 1 and left == b[j - 2] and a[i - 2] == right:
                cost = min(cost, before[j - 2] + 1)
            row.append(cost)
        if min(row) > limit:
            return limit + 1
        before, above = above, row
    return min(above[-1], limit + 1)


def the_slip(written: str, near: Sequence[str]) -> str | None:
    """The one of `near` that a slip of the pen tells from what is written: a letter too many, too few or wrong, two that changed
    places, or capitals alone. None where another is as near.

    Never where what differs is a digit, or a part of fewer than four letters (`top_k` and `top_p`, `v1` and `v2`): such names
    are told apart by it.
    """
    nearest = [name for name in near if distance(written.casefold(), name.casefold(), 1) <= 1]
    return nearest[0] if len(nearest) == 1 and _is_slip(written, nearest[0]) else None


def _is_slip(written: str, meant: str) -> bool:
    if written.casefold() == meant.casefold():
        return written != meant
    if distance(written, meant, 1) > 1 or re.sub(r"\D", "", written) != re.sub(r"\D", "", meant):
        return False
    here, there = (re.split(r"[\W\d_]+", text) for text in (written, meant))
    if len(here) != len(there):
        here, there = ["".join(here)], ["".join(there)]
    return all(min(len(a), len(b)) >= SHORTEST for a, b in zip(here, there, strict=True) if a != b)


def _same_words(a: str, b: str) -> bool:
    """Whether two names are of the same words in another order, as `f1_macro` and `macro_f1`."""
    return "_" in a and sorted(a.split("_")) == sorted(b.split("_"))


def closest(word: str, known: Iterable[str], limit: int = 3) -> tuple[str, ...]:
    """At most `limit` of `known`, nearest first; ties by spelling. Where two letters changed places and nothing else, those words
    alone: `modle` is `model` and not `mode`. Empty when nothing is near.

    Also empty when there are more than `MAX_KNOWN`.
    """
    wanted = word.casefold()[:MAX_WORD]
    reach = (len(wanted) + 1) // 3  # of one letter alone: itself, a capital or not
    ranked: list[tuple[int, str]] = []
    candidates = list(islice(dict.fromkeys(known), MAX_KNOWN + 1))
    if len(candidates) > MAX_KNOWN:
        return ()
    for candidate in candidates:
        other = candidate.casefold()[:MAX_WORD]
        away = distance(wanted, other, reach)
        if away > reach and _same_words(wanted, other):
            away = reach
        if away > reach and min(len(wanted), len(other)) >= 3 and (wanted in other or other in wanted):
            away = reach
        if away <= reach:
            ranked.append((away, candidate))
    if not ranked and len(wanted) > 5:  # `num_candidates` for `num_candidate_programs`
        ranked = [(reach, each) for each in candidates if each.casefold().startswith(wanted[:-1])]
    mixed = None if re.search(r"\d", wanted) else sorted(wanted)  # digits tell names apart
    swapped = [one for one in ranked if one[0] == 1 and sorted(one[1].casefold()) == mixed]
    return tuple(candidate for _, candidate in sorted(swapped or ranked)[:limit])
