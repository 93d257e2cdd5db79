"""How a rendering looks: colour, character set, width. Decided by the caller, who knows the terminal."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

from ...project.source import Location
from ..record import Severity

Style = Literal["plain", "bold", "frame", "error", "warning", "hint", "secondary"]

_SGR: dict[Style, str] = {
    "plain": "",
    "bold": "1",
    "frame": "34",
    "error": "1;31",
    "warning": "1;33",
    "hint": "1;36",
    "secondary": "34",
}


class Glyphs(Struct, frozen=True):
    """`opens`, `runs` and `closes` draw the lane of a span over several lines."""

    corner: str
    bar: str
    gap: str
    more: str
    opens: str
    runs: str
    closes: str
    secondary: str
    primary: str = "^"


_UNICODE = Glyphs("┌─", "│", "·", "…", "╭", "│", "╰", "─")
_ASCII = Glyphs("-->", "|", ":", "...", "/", "|", "\\", "-")


class Look(Struct, frozen=True):
    colour: bool
    unicode: bool
    width: int
    severity: Severity = "error"
    secrets: tuple[Location, ...] = ()
    """Places whose text is hidden in the lines that are shown."""

    @property
    def glyphs(self) -> Glyphs:
        return _UNICODE if self.unicode else _ASCII

    def paint(self, text: str, style: Style) -> str:
        """The text in a style, when there is colour."""
        code = _SGR[style]
        return f"\x1b[{code}m{text}\x1b[0m" if self.colour and code and text.strip() else text
