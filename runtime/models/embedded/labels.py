"""Choosing one of several values: nearest class centroid over tf-idf, label words as a zeroth example.

Each label's vector is the sum of its examples' unit vectors, of the words of its name, and of what the
instruction says of it (Rocchio's classifier with prior documents; see Manning, Raghavan and Schütze,
"Introduction to Information Retrieval", chapter 14). With no example only name and instruction speak; with
many they fade. The belief in a label is a softmax of its cosine with the input.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from msgspec import Struct

from ...schema.types import JsonValue
from .case import Case, Choice, Lessons, Reply
from .features import stem, weigh, words

NAME_WEIGHT = 0.8
"""A label's name against one example."""
GUIDANCE_WEIGHT = 0.7
PRIOR_WEIGHT = 0.01
SHARPNESS = 24.0
"""Inverse temperature of the softmax over cosines, fitted so that belief roughly matches accuracy."""
CATEGORY_WEIGHT = 12.0
"""How much a short value counts that fully decides the label, such as a product beside a message."""
MAX_PAIRED = 64
PAIRS_DOUBTED = 8.0
"""How many pairs of examples it takes to believe half of what they show."""
DIGITS = 9
"""Scores are rounded, so that the last bits of a machine's logarithm decide nothing."""

Vector = Mapping[str, float]


class Labels(Struct, frozen=True):
    """The trained chooser: for each feature its rarity and the labels that it speaks for."""

    values: tuple[JsonValue, ...]
    rarity: Mapping[str, float]
    spoken: Mapping[str, tuple[tuple[int, float], ...]]
    bias: tuple[float, ...]
    unknown: float
    """Squared rarity of a feature that no document has: it speaks for no label and lowers the belief."""

    def cosines(self, vector: Vector) -> list[float]:
        """The cosine of a text with each label, over the features that are known."""
        scores = [0.0] * len(self.values)
        length = 0.0
        for feature, weight in vector.items():
            rarity = self.rarity.get(feature)
            if rarity is None:
                length += weight * weight * self.unknown
                continue
            weight *= rarity
            length += weight * weight
            for label, share in self.spoken[feature]:
                scores[label] += weight * share
        norm = math.sqrt(length) or 1.0
        return [score / norm for score in scores]

    def answer(self, case: Case) -> Reply:
        scores = [bias + cosine for bias, cosine in zip(self.bias, self.cosines(case.vector), strict=True)]
        order = sorted(range(len(scores)), key=lambda label: (-round(scores[label], DIGITS), label))
        beliefs = softmax([scores[label] for label in order])
        choices = tuple(
            Choice(self.values[label], belief) for label, belief in zip(order, beliefs, strict=True)
        )
        return Reply(choices, self._cues(case, order[0]))

    def _cues(self, case: Case, best: int) -> tuple[str, ...]:
        """Up to three words of the input that speak most for the chosen label."""
        found: dict[str, float] = {}
        for word in words(case.text, 2_000):
            root = stem(word)
            if weigh(word) == 1.0 and word not in found:
                share = dict(self.spoken.get(root, ())).get(best, 0.0)
                if share > 0:
                    found[word] = round(share * self.rarity[root], DIGITS)
        return tuple(sorted(found, key=lambda word: -found[word])[:3])


def teach_labels(
    values: Sequence[JsonValue],
    lessons: Lessons,
    names: Sequence[Vector],
    said: Sequence[Vector],
    bias: Sequence[float] | None = None,
) -> Labels:
    """A chooser among `values`; `names` and `said` are each value's own words and the guidance on it."""
    places = {_key(value): place for place, value in enumerate(values)}
    known = [
        (lesson.case.vector, places[_key(lesson.value)]) for lesson in lessons if _key(lesson.value) in places
    ]
    documents = [*(vector for vector, _ in known), *(vector for vector in (*names, *said) if vector)]
    rarity = _rarity(documents)
    for feature, lift in _lifts(known).items():
        rarity[feature] = CATEGORY_WEIGHT * lift
    sums: list[dict[str, float]] = [{} for _ in values]
    for sources, strength in ((names, NAME_WEIGHT), (said, GUIDANCE_WEIGHT)):
        for place, vector in enumerate(sources):
            _add(sums[place], unit(vector, rarity), strength)
    counts = [0] * len(values)
    for vector, place in known:
        counts[place] += 1
        _add(sums[place], unit(vector, rarity), 1.0)
    spoken: dict[str, list[tuple[int, float]]] = {feature: [] for feature in rarity}
    for place, total in enumerate(sums):
        norm = math.sqrt(sum(weight * weight for weight in total.values())) or 1.0
        for feature, weight in total.items():
            spoken[feature].append((place, weight / norm))
    prior = [PRIOR_WEIGHT * math.log((count + 1) / (len(known) + len(values))) for count in counts]
    start = [given + own for given, own in zip(bias or [0.0] * len(values), prior, strict=True)]
    return Labels(
        values=tuple(values),
        rarity=rarity,
        spoken={feature: tuple(shares) for feature, shares in spoken.items()},
        bias=tuple(start),
        unknown=math.log(2.0 + len(documents)) ** 2,
    )


def softmax(scores: Sequence[float]) -> list[float]:
    """Beliefs that sum to one, in the scores' order."""
    top = max(scores)
    parts = [math.exp(SHARPNESS * (score - top)) for score in scores]
    total = math.fsum(parts)
    return [round(part / total, DIGITS) for part in parts]


def unit(vector: Vector, rarity: Vector) -> dict[str, float]:
    """A vector weighted by rarity and brought to length one."""
    weighted = {feature: weight * rarity[feature] for feature, weight in vector.items() if feature in rarity}
    norm = math.sqrt(sum(weight * weight for weight in weighted.values())) or 1.0
    return {feature: weight / norm for feature, weight in weighted.items()}


def _rarity(documents: Sequence[Vector]) -> dict[str, float]:
    """Inverse document frequency, smoothed so that a feature of every document still counts."""
    seen: dict[str, int] = {}
    for vector in documents:
        for feature in vector:
            seen[feature] = seen.get(feature, 0) + 1
    return {feature: math.log(1.0 + len(documents) / count) for feature, count in seen.items()}


def _lifts(known: Sequence[tuple[Vector, int]]) -> dict[str, float]:
    """For each short value how far knowing its field tells the label, 0 to 1.

    Over all pairs of examples: how much more often two have the same label when they agree in the field.
    A field that says nothing of the label would only drown out the text.
    """
    shown = known[:MAX_PAIRED]
    groups: dict[str, list[tuple[str, int]]] = {}
    for vector, place in shown:
        for feature in vector:
            if feature[0] == "=":
                groups.setdefault(feature.split("=")[1], []).append((feature, place))
    lifts: dict[str, float] = {}
    for members in groups.values():
        pairs = [(a, b) for at, a in enumerate(members) for b in members[:at]]
        agreeing = [a[1] == b[1] for a, b in pairs if a[0] == b[0]]
        base = sum(a[1] == b[1] for a, b in pairs) / max(1, len(pairs))
        rate = (sum(agreeing) + PAIRS_DOUBTED * base) / (len(agreeing) + PAIRS_DOUBTED)
        lift = max(0.0, (rate - base) / (1.0 - base)) if base < 1.0 else 0.0
        lifts.update((feature, lift) for feature, _ in members)
    return lifts


def _add(total: dict[str, float], vector: Vector, strength: float) -> None:
    for feature, weight in vector.items():
        total[feature] = total.get(feature, 0.0) + strength * weight


def _key(value: JsonValue) -> str:
    return f"{type(value).__name__}:{value}"
