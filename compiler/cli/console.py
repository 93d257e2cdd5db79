"""What every command shares: consoles, exit codes, and how an error looks.

Results go to stdout, everything else to stderr, so that a pipe sees results alone. Rich is imported by the first
command that has something to draw: it takes as long as checking a small file. Typer takes longer, and needs to be there
only for a command that it has called.
"""

from __future__ import annotations

import json
import os
import re
import sys
from contextlib import suppress
from enum import IntEnum
from typing import TYPE_CHECKING, NamedTuple, NoReturn, TextIO

from dspec.runtime.errors import DspecError

from .controls import CODES, plain

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import Console


class Exit(IntEnum):
    """Exit codes, as `dspc --help` prints them."""

    OK = 0
    FINDINGS = 1
    """Errors in the source, a failed gate, input that does not fit."""
    USAGE = 2
    BUDGET = 3
    """The budget is spent; the best program so far is kept."""
    ENVIRONMENT = 4
    """A key, a model or a state folder is missing, or a provider does not answer."""
    BREAKING = 5
    """What a program takes or gives changed in a way that breaks its callers (`dspc diff --breaking`)."""
    DRIFTED = 6
    """Recorded calls are not what a program was compiled on (`dspc watch-drift`)."""
    BUG = 70
    INTERRUPTED = 130


def stdout() -> Console:
    from .plainly import PlainConsole

    # A pipe has no width to fit into, and what a table cuts off is lost.
    return PlainConsole(highlight=False, soft_wrap=True, width=None if sys.stdout.isatty() else 120)


def stderr() -> Console:
    from .plainly import PlainConsole

    return PlainConsole(stderr=True, highlight=False, soft_wrap=True)


class Drawing(NamedTuple):
    """What standard error can show."""

    colour: bool
    unicode: bool
    width: int


def drawing() -> Drawing:
    """What Rich makes of standard error; where that is no terminal and nobody says otherwise, without asking Rich."""
    asked = ("FORCE_COLOR", "TTY_COMPATIBLE", "TTY_INTERACTIVE", "JUPYTER_COLUMNS")
    if os.name == "nt" or sys.stderr.isatty() or any(name in os.environ for name in asked):
        console = stderr()
        return Drawing(console.color_system is not None, not console.options.ascii_only, console.width)
    width = 0
    for stream in (0, 1, 2):
        with suppress(OSError, ValueError):
            width = os.get_terminal_size(stream).columns
            break
    if (columns := os.environ.get("COLUMNS", "")).isdigit():
        width = int(columns)
    return Drawing(False, (sys.stderr.encoding or "utf-8").lower().startswith("utf"), width or 80)


def say(text: str) -> None:
    """A line on standard error, as it is but for what a terminal would obey."""
    sys.stderr.write(plain(text) + "\n")


def few(lines: Sequence[str], most: int) -> list[str]:
    """The first of the lines, indented, and how many more there are."""
    more = [f"  and {len(lines) - most} more"] if len(lines) > most else []
    return [f"  {line}" for line in lines[:most]] + more


def print_json(text: str, stream: TextIO | None = None) -> None:
    """JSON for machines, on stdout unless said: no colour, no wrapping. What a terminal would obey and what the stream's
    alphabet lacks stand as JSON's own escapes."""
    out: TextIO = sys.stdout if stream is None else stream
    try:
        text.encode(out.encoding or "utf-8")
    except UnicodeEncodeError:
        text = "".join(one if one.isascii() else json.dumps(one)[1:-1] for one in text)
    text = re.sub(CODES, lambda found: f"\\u{ord(found[0]):04x}", text)
    out.write(text if text.endswith("\n") else text + "\n")


def print_error(message: str, help: str = "") -> None:  # noqa: A002
    from rich.text import Text

    console = stderr()
    console.print(Text.assemble(("error", "bold red"), (": ", "bold"), plain(message)))
    if help:
        console.print(Text.assemble(("  help", "bold cyan"), ": ", plain(help)))


def fail(message: str, *, help: str = "", code: Exit = Exit.FINDINGS) -> NoReturn:  # noqa: A002
    """Print an error and leave with `code`."""
    import typer

    print_error(message, help)
    raise typer.Exit(code)


def exit_code(error: DspecError) -> Exit:
    """Which exit code an error that reached the top stands for."""
    from dspec.runtime.errors import BudgetExceeded, ConfigurationError, ProviderError, Stopped

    match error:
        case BudgetExceeded():
            return Exit.BUDGET
        case Stopped():
            return Exit.INTERRUPTED
        case ConfigurationError() | ProviderError():
            return Exit.ENVIRONMENT
        case _:
            return Exit.FINDINGS
