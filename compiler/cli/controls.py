"""Names what a terminal obeys instead of showing it."""

from __future__ import annotations

CODES = r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]"
"""Control characters but tabs and line ends, and overrides of the direction of reading: a pattern."""
