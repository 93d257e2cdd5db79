"""Free text: copied from the nearest example or taken from the input, whichever suits the examples.

A few ways of answering are tried on the examples themselves, each example answered from the others, and
the one whose answers share most words with the given ones is used. Without examples the output's name
and the inputs decide. Nothing is ever made up.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Literal

from msgspec import Struct

from .case import Case, Lessons, Reply
from .features import features, split_sentences, stem, weigh, words
from .numbers import even_reply
from .shapes import PromptField
from .spans import Spans, first_guess, teach_spans

Way = Literal["span", "copy", "sentence", "keywords", "whole"]
WAYS: tuple[Way, ...] = ("span", "copy", "sentence", "keywords", "whole")
"""In order of preference where two fit the examples equally well."""

MAX_CHOICES = 8
MAX_TRIED = 12
"""Examples that the ways of answering are tried on."""
MAX_TEXT = 8_000
_QUERY = re.compile(r"query|keyword|search|topic", re.IGNORECASE)
_SUMMARY = re.compile(r"summar|title|headline|gist|quote|evidence|sentence", re.IGNORECASE)
_ECHO = re.compile(
    r"rewrit|rephras|paraphras|translat|clean|correct|normal|message|reply|response", re.IGNORECASE
)


class Texts(Struct, frozen=True):
    way: Way
    lessons: Lessons
    spans: Spans | None

    def answer(self, case: Case) -> Reply:
        choices = choices_by(self.way, case, self.lessons, self.spans)
        for way in WAYS if len(choices) < 2 else ():
            choices += choices_by(way, case, self.lessons, self.spans)
        kept = [text for text in dict.fromkeys(choices) if text.strip()][:MAX_CHOICES]
        return even_reply(kept or ["unknown"], _shared(case, kept[0]) if kept else ())


def teach_text(field: PromptField, lessons: Lessons) -> Texts:
    given = [lesson for lesson in lessons if isinstance(lesson.value, str) and lesson.value.strip()]
    if not given:
        return Texts(_untaught(field), (), None)
    spans = teach_spans(given)
    tried = given[:: max(1, len(given) // MAX_TRIED)][:MAX_TRIED]
    worth = dict.fromkeys(WAYS, 0.0)
    for lesson in tried:
        others = [other for other in given if other is not lesson]
        for way in WAYS:
            guess = choices_by(way, lesson.case, others, spans)
            worth[way] += overlap(guess[0], str(lesson.value)) if guess else 0.0
    best = max(WAYS, key=lambda way: (round(worth[way], 6), -WAYS.index(way)))
    return Texts(best, given, spans)


def _untaught(field: PromptField) -> Way:
    told = f"{field.name} {field.note}"
    if _QUERY.search(told):
        return "keywords"
    if _SUMMARY.search(told):
        return "sentence"
    return "whole" if _ECHO.search(told) else "span"


def choices_by(way: Way, case: Case, lessons: Lessons, spans: Spans | None) -> list[str]:
    """What one way of answering offers, best first; possibly nothing."""
    match way:
        case "span":
            return spans.find(case) if spans else first_guess(case)
        case "copy":
            return [str(lesson.value) for lesson in nearest(case, lessons)]
        case "sentence":
            return sentences_for(case)
        case "keywords":
            return _keywords(case)
        case "whole":
            return [value[:MAX_TEXT] for value in case.inputs.values() if value.strip()]


def nearest(case: Case, lessons: Lessons) -> Lessons:
    """Examples by cosine with the case, nearest first; equally near ones keep their order."""
    scored = [(_cosine(case, lesson.case), lesson) for lesson in lessons]
    scored.sort(key=lambda pair: -pair[0])
    return [lesson for _, lesson in scored[:MAX_CHOICES]]


def _cosine(left: Case, right: Case) -> float:
    small, large = sorted((left.vector, right.vector), key=len)
    product = math.fsum(weight * large[feature] for feature, weight in small.items() if feature in large)
    lengths = math.fsum(w * w for w in left.vector.values()) * math.fsum(w * w for w in right.vector.values())
    return round(product / math.sqrt(lengths), 9) if lengths else 0.0


def overlap(given: str, wanted: str) -> float:
    """F1 over words, as a multiset."""
    left, right = words(given), words(wanted)
    counts: dict[str, int] = {}
    for word in right:
        counts[word] = counts.get(word, 0) + 1
    shared = 0
    for word in left:
        if counts.get(word, 0) > 0:
            counts[word] -= 1
            shared += 1
    return 2 * shared / (len(left) + len(right)) if shared else 0.0


def sentences_for(case: Case) -> list[str]:
    """Sentences of the input: with several fields, those of the later ones that best match the first."""
    values = [value for value in case.inputs.values() if value.strip()]
    if not values:
        return []
    asked, *rest = values
    sought = features(asked, MAX_TEXT) if rest else {}
    parts = split_sentences("\n".join(rest) if rest else asked)
    scores = [_shared_weight(sought, features(part)) for part in parts]
    order = sorted(range(len(parts)), key=lambda place: (-round(scores[place], 9), place))
    return [parts[place] for place in order[:MAX_CHOICES]]


def _shared_weight(sought: Mapping[str, float], given: Mapping[str, float]) -> float:
    """How much of what is sought a sentence has, in whole words and pairs of words."""
    whole = (feature for feature in given if feature[0] != "#" and feature in sought)
    return math.fsum(sought[feature] * given[feature] for feature in whole)


def _keywords(case: Case) -> list[str]:
    first = next((value for value in case.inputs.values() if value.strip()), "")
    kept = [word for word in re.findall(r"[\w'-]+", first[:MAX_TEXT]) if weigh(word.lower()) == 1.0]
    return [" ".join(dict.fromkeys(kept[:12]))] if kept else []


def _shared(case: Case, text: str) -> tuple[str, ...]:
    roots = {stem(word) for word in words(text)}
    known = (word for word in words(case.text, 2_000) if weigh(word) == 1.0 and stem(word) in roots)
    return tuple(dict.fromkeys(known))[:3]
