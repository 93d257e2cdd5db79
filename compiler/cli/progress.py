"""What a running compile shows: live bars on a terminal, one line per result anywhere else.

Both read the same events; neither decides anything. Time appears here and nowhere in results.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from dspec.runtime.models.engine import Tally

from ..evaluate.events import Report
from .console import stderr
from .lines import Lines

if TYPE_CHECKING:
    from rich.console import Console


@contextmanager
def reporting(
    tally: Callable[[], Tally], *, quiet: bool = False, console: Console | None = None
) -> Generator[Report]:
    """A `Report` that draws on `console`, or on standard error, while the context is open."""
    if quiet:
        yield lambda event: None
    elif sys.stderr.isatty() if console is None else console.is_terminal:
        from .bars import Bars

        with Bars(console or stderr(), tally) as bars:
            yield bars.report
    else:
        yield Lines(console).report
