"""The text measures of question answering, under the names this field uses.

Text normalisation and token F1 follow the SQuAD evaluation script (Rajpurkar et al., 2016) as DSPy
applies it; passage matching follows the answer check of Dense Passage Retrieval (Karpukhin et al.,
2020). Scores are comparable with figures published for those.
"""

from __future__ import annotations

import string
import unicodedata
from collections import Counter
from collections.abc import Iterator, Sequence

from ..schema.program import canonical
from ..schema.types import JsonValue

_PUNCTUATION = str.maketrans("", "", string.punctuation)
_ARTICLES = frozenset({"a", "an", "the"})


def normalize_text(text: str) -> str:
    """NFD, lower case, no ASCII punctuation, no articles, single spaces. Accents stay as marks."""
    plain = unicodedata.normalize("NFD", text).lower().translate(_PUNCTUATION)
    return " ".join(word for word in plain.split() if word not in _ARTICLES)


def exact_match(golds: Sequence[str], pred: str) -> bool:
    """Whether the normalised prediction equals any normalised reference."""
    wanted = normalize_text(pred)
    return any(normalize_text(gold) == wanted for gold in golds)


def token_f1(golds: Sequence[str], pred: str) -> float:
    """The best harmonic mean of token precision and recall over the references; 0 without overlap."""
    given = Counter(normalize_text(pred).split())
    return max((_f1(Counter(normalize_text(gold).split()), given) for gold in golds), default=0.0)


def _f1(gold: Counter[str], pred: Counter[str]) -> float:
    common = sum(min(count, pred[word]) for word, count in gold.items())
    if common == 0:
        return 0.0
    precision, recall = common / pred.total(), common / gold.total()
    return 2 * precision * recall / (precision + recall)


def passage_match(golds: Sequence[str], passages: Sequence[str]) -> bool:
    """Whether any passage has any reference as a run of whole tokens."""
    # Joined by a character no token holds, a run of tokens is a substring, which is fast to find.
    wanted = [_run(gold) for gold in golds]
    wanted = [run for run in wanted if run != "\0"]
    return any(run in passage for passage in map(_run, passages) for run in wanted)


def _run(text: str) -> str:
    return "\0" + "".join(f"{token}\0" for token in _tokens(normalize_text(text)))


def _tokens(text: str) -> Iterator[str]:
    """Runs of letters, digits and marks, and every other visible character by itself."""
    word: list[str] = []
    for character in unicodedata.normalize("NFD", text):
        major = unicodedata.category(character)[0]
        if major in "LNM":
            word.append(character)
            continue
        if word:
            yield "".join(word)
            word = []
        if major not in "ZC":
            yield character
    if word:
        yield "".join(word)


def json_agreement(gold: JsonValue, pred: JsonValue) -> float:
    """Share of leaves on which two JSON values agree, out of all leaves of either; 1 where both are empty.

    A leaf is a scalar or an empty container at its path. Lists are compared by position.
    """
    left, right = dict(_leaves(gold, ())), dict(_leaves(pred, ()))
    paths = left.keys() | right.keys()
    same = sum(path in left and path in right and _same_leaf(left[path], right[path]) for path in paths)
    return same / len(paths)


def _leaves(
    value: JsonValue, path: tuple[str | int, ...]
) -> Iterator[tuple[tuple[str | int, ...], JsonValue]]:
    if isinstance(value, dict) and value:
        for name, element in value.items():
            yield from _leaves(element, (*path, name))
    elif isinstance(value, list) and value:
        for index, element in enumerate(value):
            yield from _leaves(element, (*path, index))
    else:
        yield path, value


def _same_leaf(left: JsonValue, right: JsonValue) -> bool:
    return isinstance(left, bool) == isinstance(right, bool) and left == right


def most_agreed(values: Sequence[JsonValue], *, closed: bool = False) -> tuple[int, int]:
    """The place of the first of the most frequent values, and how many there are of it. Texts are compared normalised
    unless they come from a `closed` choice. Empty values count only if there are no others. `values` has at least one."""
    keys = [_comparable(value, closed) for value in values]
    counted = Counter(key for key in keys if key is not None) or Counter(keys)
    # Of equal counts, the first that was counted: `most_common` keeps the order of arrival.
    ((winner, agreed),) = counted.most_common(1)
    return keys.index(winner), agreed


def _comparable(value: JsonValue, closed: bool) -> str | None:
    """What two values that count as the same have in common; None for an empty one."""
    if isinstance(value, str) and not closed:
        return normalize_text(value) or None
    return None if value is None else canonical(value)
