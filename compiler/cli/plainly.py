"""Shows text that came from elsewhere as text: what a terminal would obey is written as its number."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment
from rich.text import Text

from .controls import plain


class PlainConsole(Console):
    """Styles and movements are Rich's own; no text has any, and none is taken for the name of a picture."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(emoji=False, **settings)

    def render_str(self, text: str, **settings: Any) -> Text:
        return super().render_str(plain(text), **settings)  # Rich would leave some of the codes out

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        for segment in super().render(renderable, options):
            yield segment if segment.control else Segment(plain(segment.text), segment.style)
