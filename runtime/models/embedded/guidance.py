"""What an instruction and its fields' descriptions say of each label.

A sentence speaks for a label when it names exactly one, in a way that means the label rather than the
everyday word: in quotes or backticks, before a colon or dash, or beside words like "use … when".
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from .features import features, words

MAX_TASK = 50_000
MAX_SENTENCES = 2_000
MAX_SENTENCE = 2_000

_SPLIT = re.compile(r"\n+|;\s+|(?<=[.!?])\s+")
_MEANT_BEFORE = re.compile(
    r"(?:\b(?:use|choose|pick|answer|say|label|as|is|means?|into|mark|return|give|select)\s*"
    r"|[\"'`“‘«*]\s*|^[-*\s]*)$",
    re.IGNORECASE,
)
_MEANT_AFTER = re.compile(
    r"^(?:\s*[\"'`”’»*]|\s*[:=(—–→]|\s+-\s|\s+(?:when|if|for|means?|covers?|is|are|includes?)\b)",
    re.IGNORECASE,
)


def sentences(text: str) -> list[str]:
    parts = _SPLIT.split(text[:MAX_TASK])[:MAX_SENTENCES]
    return [part.strip()[:MAX_SENTENCE] for part in parts if part.strip()]


def guidance(labels: Sequence[str], text: str) -> list[dict[str, float]]:
    """For each label the features of every sentence that speaks for it."""
    spoken: list[dict[str, float]] = [{} for _ in labels]
    patterns = [(label.lower(), _naming(label)) for label in labels]
    for sentence in sentences(text):
        lowered = sentence.lower()
        meant: list[tuple[int, re.Match[str]]] = []
        for index, (name, pattern) in enumerate(patterns):
            match = pattern.search(sentence) if name in lowered else None
            if match and _is_meant(sentence, match):
                meant.append((index, match))
        if len(meant) != 1:
            continue
        index, match = meant[0]
        about = f"{sentence[: match.start()]} {sentence[match.end() :]}"
        for feature, weight in features(about, MAX_SENTENCE).items():
            spoken[index][feature] = max(spoken[index].get(feature, 0.0), weight)
    return spoken


def name_features(label: str) -> dict[str, float]:
    """The features of a label's own words."""
    return features(" ".join(words(re.sub(r"(?<=[a-z])(?=[A-Z])", " ", label).replace("_", " "), 200)))


def _naming(label: str) -> re.Pattern[str]:
    return re.compile(rf"(?<![\w]){re.escape(label)}(?![\w])", re.IGNORECASE)


def _is_meant(sentence: str, match: re.Match[str]) -> bool:
    return (
        "_" in match[0]
        or _MEANT_BEFORE.search(sentence[max(0, match.start() - 24) : match.start()]) is not None
        or _MEANT_AFTER.match(sentence[match.end() :]) is not None
    )
