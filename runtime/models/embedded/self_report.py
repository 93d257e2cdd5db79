"""Outputs that are about the answer itself: reasoning, and a stated confidence."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from ...schema.types import JsonValue
from .shapes import PromptField

_REASONING = frozenset(("reasoning", "rationale", "thought", "thoughts", "explanation", "justification"))
_CONFIDENCE = re.compile(r"confidence|probability|certainty|likelihood", re.IGNORECASE)


def is_reasoning(field: PromptField) -> bool:
    return field.shape.kind == "text" and field.name.lower().removeprefix("next_") in _REASONING


def is_confidence(field: PromptField) -> bool:
    told = f"{field.name} {field.note}"
    return field.shape.kind in ("float", "int") and _CONFIDENCE.search(told) is not None


def reasoning(cues: Sequence[str], values: Mapping[str, JsonValue]) -> str:
    """One sentence that names what was found; it claims no more than that."""
    stated = [value for value in values.values() if isinstance(value, str | int | float)]
    answer = f" points to {str(stated[0])[:80]}" if stated else " gives the answer"
    if not cues:
        return f"No word of the input is known from the examples; the closest match{answer}."
    listed = ", ".join(f'"{cue}"' for cue in cues[:3])
    return f"The input mentions {listed}, which{answer}."
