"""A bug in dspc itself: what its maintainers need, in a file beside nothing of the user's."""

from __future__ import annotations

import platform
import sys
import tempfile
import traceback
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec.structs import replace

if TYPE_CHECKING:
    from ..check.analysis import Analysis
    from ..diagnostics.record import Diagnostic


def report_crash(error: BaseException) -> Path:
    """The report of an exception that reached the top."""
    return write_report("".join(traceback.format_exception(error)))


def write_report(text: str) -> Path:
    """A new file with the traceback; environment variables, arguments and data are left out."""
    from importlib.metadata import version  # with what reads mail, which every command would wait for

    with tempfile.NamedTemporaryFile(
        "w", prefix="dspc-crash-", suffix=".txt", delete=False, encoding="utf-8"
    ) as file:
        file.write(f"dspc {version('dspc')}, Python {platform.python_version()}, {platform.platform()}\n")
        file.write(f"command: {' '.join(sys.argv[1:2])}\n\n")
        file.write(text)
    return Path(file.name)


def with_reports(analysis: Analysis) -> list[Diagnostic]:
    """The diagnostics of an analysis; those about crashes name the report, which is written here."""
    found = list(analysis.diagnostics)
    if analysis.crashes:
        report = write_report("\n".join(crash.traceback for crash in analysis.crashes))
        help_text = f"please report it with {report}"
        crashed = [crash.finding.told() for crash in analysis.crashes]
        found = [replace(each, help=help_text) if each in crashed else each for each in found]
    return found
