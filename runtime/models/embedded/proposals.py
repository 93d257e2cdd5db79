"""Writing an instruction: what a proposer prompt shows of the data, said in words.

The rows that stand in the prompt are read back, the field whose few short values come again is taken
for the label, and for each of its values the words that tell it from the others are listed (weighted
log-odds with a prior; Monroe, Colaresi and Quinn, "Fightin' Words", 2008, without the variance). What the
prompt does not show is not written.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence

from msgspec import Struct

from ...schema.types import JsonValue
from .case import Answerer, Case, Reply
from .features import stem, weigh, words
from .numbers import even_reply
from .shapes import PromptField
from .shown_rows import ShownRow, shown_rows

MAX_LABELS = 60
MAX_LABEL = 60
SIZES = (12, 6, 20, 3)
"""How many words each label gets, in the order in which proposals are offered."""
PRIOR = 0.3

_NAME = re.compile(r"(?:^|_)(?:instructions?|guidelines?|prompt)$", re.IGNORECASE)
_CURRENT = re.compile(r"instruction|prompt|task", re.IGNORECASE)
_OWN_LINE = re.compile(r"^- use `.{1,80}` when it mentions: .*$\n?", re.MULTILINE)


def is_proposal(field: PromptField) -> bool:
    """True for a text output that is named as an instruction is."""
    return field.shape.kind == "text" and _NAME.search(field.name) is not None


class Proposals(Struct, frozen=True):
    """Answers with an instruction written from the case's own rows, or as any text where it has none."""

    otherwise: Answerer

    def answer(self, case: Case) -> Reply:
        rows = [row for value in case.inputs.values() for row in shown_rows(value)]
        start = _current(case)
        label = _label_field(rows)
        if not label:
            return even_reply([start]) if start else self.otherwise.answer(case)
        start = start or f"Decide `{label}` from the input."
        ranked = _ranked(rows, label)
        texts: list[JsonValue] = ["\n".join([start, *_lines(ranked, size)]) for size in SIZES]
        return even_reply([*dict.fromkeys(str(text) for text in texts), start])


def _current(case: Case) -> str:
    """The instruction that the prompt asks to improve, without lines that an earlier proposal added."""
    for name, value in case.inputs.items():
        if _CURRENT.search(name) and not shown_rows(value):
            return _OWN_LINE.sub("", value).strip()
    return ""


def _label_field(rows: Sequence[ShownRow]) -> str:
    """The last field whose values are short and come again; empty where there is none."""
    names = dict.fromkeys(name for row in rows for name in row)
    chosen = ""
    for name in names:
        values = [row[name] for row in rows if name in row]
        distinct = dict.fromkeys(values)
        short = all(
            0 < len(value) <= MAX_LABEL and "`" not in value and "\n" not in value for value in distinct
        )
        if short and 1 < len(distinct) <= min(MAX_LABELS, len(values) / 2):
            chosen = name
    return chosen


def _ranked(rows: Sequence[ShownRow], label: str) -> dict[str, list[str]]:
    """For each value of the label, the words that speak for it, strongest first."""
    counts: dict[str, dict[str, int]] = {}
    totals: dict[str, int] = {}
    spelled: dict[str, str] = {}
    for row in rows:
        if label not in row:
            continue
        own = counts.setdefault(row[label], {})
        text = " ".join(value for name, value in row.items() if name != label)
        for root, word in {stem(word): word for word in words(text) if weigh(word) == 1.0}.items():
            spelled.setdefault(root, word)
            own[root] = own.get(root, 0) + 1
            totals[root] = totals.get(root, 0) + 1
    ranked: dict[str, list[str]] = {}
    for value, own in counts.items():
        scores = {
            root: round(count * math.log((count + PRIOR) / (totals[root] - count + PRIOR)), 9)
            for root, count in own.items()
        }
        telling = (root for root in own if scores[root] > 0)
        ranked[value] = [spelled[root] for root in sorted(telling, key=lambda root: -scores[root])]
    return ranked


def _lines(ranked: dict[str, list[str]], size: int) -> list[str]:
    return [
        f"- use `{value}` when it mentions: {', '.join(cues[:size])}"
        for value, cues in ranked.items()
        if cues
    ]
