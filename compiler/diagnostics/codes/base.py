"""What one diagnostic code is."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct, field

Severity = Literal["error", "warning", "hint"]


class Code(Struct, frozen=True):
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
