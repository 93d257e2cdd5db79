"""Hints that make proposals differ from each other; the empty one asks for nothing in particular."""

from __future__ import annotations

TIPS: tuple[str, ...] = (
    "",
    "Take an angle that nobody would think of first.",
    "Keep it to two or three sentences without a spare word.",
    "Spell out how to decide, with a rule for each case that is easy to mistake.",
    "Make clear how much hangs on the answer being right, and for whom.",
    "Begin by saying who the reader is: a specialist in exactly this task.",
)
