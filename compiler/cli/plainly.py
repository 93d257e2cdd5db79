"""Shows text that came from elsewhere as text: what a terminal would obey is written as its number."""

from __future__ import annotations

import re
from collections.abc import Iterable

from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment

from .controls import CODES


def plain(text: str) -> str:
    return re.sub(CODES, lambda found: ascii(found[0])[1:-1], text)


class PlainConsole(Console):
    """Styles and movements are Rich's own; no text has any."""

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        for segment in super().render(renderable, options):
            yield segment if segment.control else Segment(plain(segment.text), segment.style)
