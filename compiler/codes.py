"""Every diagnostic code: the one table that `check`, `explain`, the editor and the docs read.

Codes are `DSxxyy` and never reused: 01 syntax, 02 names, 03 types, 04 data, 05 metric, 06 optimizer
and chain, 07 LM and budget, 08 project and gates.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Severity = Literal["error", "warning", "hint"]


@dataclass(frozen=True, slots=True)
class Code:
    """`explanation` is prose; `wrong` and `right` are complete `.dspec` snippets."""

    severity: Severity
    title: str
    explanation: str
    wrong: str
    right: str


CODES: dict[str, Code] = {}
