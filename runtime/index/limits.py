"""How large an index may be, and to how many decimals scores count; without numpy, for code that searches nothing yet."""

from __future__ import annotations

MAX_ROWS = 1_000_000
"""Rows of an index: what was measured (`bench/RESULTS.md`)."""

DIGITS = 9
"""Scores are compared to this many decimals: the last bits of a logarithm or of a sum differ by machine."""
