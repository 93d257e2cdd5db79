"""What one diagnostic code is."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

Severity = Literal["error", "warning", "hint"]


@dataclass(frozen=True, slots=True)
class Code:
    """`explanation` is prose; `wrong` and `right` are complete `.dspec` snippets.

    `files` holds what the snippets read besides: further sources and data, by path. `about` is the
    file that the snippets are: the settings, where a code is about those.
    """

    severity: Severity
    title: str
    explanation: str
    wrong: str
    right: str
    files: dict[str, str] = field(default_factory=dict[str, str])
    about: str = "main.dspec"
