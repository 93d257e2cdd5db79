"""The text measures of question answering, under the names this field uses.

Text normalisation and token F1 follow the SQuAD evaluation script (Rajpurkar et al., 2016) as DSPy
applies it; passage matching follows the answer check of Dense Passage Retrieval (Karpukhin et al.,
2020). Scores are comparable with figures published for those.

Those rules know words between spaces and the punctuation of ASCII. A text that is not in Latin letters is compared by the rules
of `scripts` instead; `squad_normalize`, `squad_f1` and `dpr_match` are the published rules for every text.
"""

from __future__ import annotations

import string
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterator, Sequence

from ..schema.program import canonical
from ..schema.types import JsonValue
from .scripts import ARTICLES, beyond_latin, normal, tokens

_PUNCTUATION = str.maketrans("", "", string.punctuation)


def squad_normalize(text: str) -> str:
    """NFD, lower case, no ASCII punctuation, no articles, single spaces. Accents stay as marks."""
    plain = unicodedata.normalize("NFD", text).lower().translate(_PUNCTUATION)
    return " ".join(word for word in plain.split() if word not in ARTICLES)


def normalize_text(text: str) -> str:
    """The text as comparisons see it: `squad_normalize`, or `scripts.normal` where it is not in Latin letters."""
    return normal(text) if beyond_latin(text) else squad_normalize(text)


def exact_match(golds: Sequence[str], pred: str) -> bool:
    """Whether the normalised prediction equals any normalised reference."""
    wanted = normalize_text(pred)
    return any(normalize_text(gold) == wanted for gold in golds)


def token_f1(golds: Sequence[str], pred: str) -> float:
    """The best harmonic mean of token precision and recall over the references; 0 without overlap."""
    given = Counter(_words(pred))
    return max((_f1(Counter(_words(gold)), given) for gold in golds), default=0.0)


def squad_f1(golds: Sequence[str], pred: str) -> float:
    """`token_f1` whose tokens stand between spaces, whatever the script."""
    given = Counter(squad_normalize(pred).split())
    return max((_f1(Counter(squad_normalize(gold).split()), given) for gold in golds), default=0.0)


def _words(text: str) -> list[str]:
    return tokens(text) if beyond_latin(text) else squad_normalize(text).split()


def _f1(gold: Counter[str], pred: Counter[str]) -> float:
    common = sum(min(count, pred[word]) for word, count in gold.items())
    if common == 0:
        return 0.0
    precision, recall = common / pred.total(), common / gold.total()
    return 2 * precision * recall / (precision + recall)


def passage_match(golds: Sequence[str], passages: Sequence[str]) -> bool:
    """Whether any passage has any reference as a run of whole tokens."""
    return _runs(golds, passages, lambda text: " ".join(_words(text)))


def dpr_match(golds: Sequence[str], passages: Sequence[str]) -> bool:
    """`passage_match` whose tokens are runs of letters, digits and marks, whatever the script."""
    return _runs(golds, passages, squad_normalize)


def _runs(golds: Sequence[str], passages: Sequence[str], plain: Callable[[str], str]) -> bool:
    # Joined by a character no token holds, a run of tokens is a substring, which is fast to find.
    def run(text: str) -> str:
        return "\0" + "".join(f"{token}\0" for token in _tokens(plain(text)))

    wanted = [found for found in map(run, golds) if found != "\0"]
    return any(found in passage for passage in map(run, passages) for found in wanted)


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
