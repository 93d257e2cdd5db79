"""Diagnostics as people read them in a terminal."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from ...project.source import Source
from ..record import Diagnostic, Label
from ..wording import plural
from .cells import safe, width, wrap
from .look import Look
from .snippet import Mark, gutter, mark, snippet

MAX_FIXES = 3
SECRET = "DS0705"  # noqa: S105
"""The code of a key in the source. Logs must never have the key, whichever finding shows its line."""
_NARROWEST = 40


def render(diagnostics: Sequence[Diagnostic], *, colour: bool, unicode: bool, width: int) -> str:
    """All diagnostics in the order given, blank lines between, no line end at the end.

    `width` is the terminal's columns. The text holds no control character but line ends and, with
    `colour`, the renderer's own colour codes; without `unicode` it is ASCII.
    """
    secrets = tuple(diagnostic.primary.location for diagnostic in diagnostics if diagnostic.code == SECRET)
    return "\n\n".join(
        "\n".join(
            _one(diagnostic, Look(colour, unicode, max(_NARROWEST, width), diagnostic.severity, secrets))
        )
        for diagnostic in diagnostics
    )


def summary(diagnostics: Iterable[Diagnostic]) -> str:
    """`2 errors, 1 warning`, or `no problems`."""
    counts = Counter(diagnostic.severity for diagnostic in diagnostics)
    parts = [plural(counts[name], name) for name in ("error", "warning", "hint") if counts[name]]
    return ", ".join(parts) or "no problems"


def _one(diagnostic: Diagnostic, look: Look) -> list[str]:
    head = look.paint(f"{diagnostic.severity}[{safe(diagnostic.code, unicode=look.unicode)}]", look.severity)
    message = look.paint(": " + safe(diagnostic.message, unicode=look.unicode), "bold")
    rows = [head + message]
    files = _by_file(diagnostic)
    margin = max(gutter(source, marks) for source, marks in files)
    for source, marks in files:
        first = marks[0]
        line, column = source.position(first.start)
        place = f"{safe(source.name, unicode=look.unicode)}:{line}:{column}"
        rows.append(f"{' ' * margin}{look.paint(look.glyphs.corner, 'frame')} {place}")
        rows += snippet(source, marks, margin, look)
    for note in diagnostic.notes:
        rows += _item("note", note, margin, look)
    if diagnostic.help:
        rows += _item("help", diagnostic.help, margin, look)
    for fix in diagnostic.fixes[:MAX_FIXES]:
        how = "  [--fix]" if fix.applicability == "machine" else ""
        rows += _item("fix", fix.title + how, margin, look)
    return rows + _item("docs", f"dspc explain {diagnostic.code}", margin, look)


def _by_file(diagnostic: Diagnostic) -> list[tuple[Source, list[Mark]]]:
    """The marks of each file, the primary's file first; the first mark gives the file's position."""
    files: dict[int, tuple[Source, list[Mark]]] = {}
    labels: list[tuple[Label, bool]] = [(diagnostic.primary, True)]
    labels += [(label, False) for label in diagnostic.secondary]
    for label, primary in labels:
        source = label.location.source
        _, marks = files.setdefault(id(source), (source, []))
        marks.append(mark(label.location, label.text, primary=primary))
    return list(files.values())


def _item(kind: str, text: str, margin: int, look: Look) -> list[str]:
    """`= kind: text`, wrapped; line ends in the text are kept, and indented like wrapped lines."""
    lead = f"{' ' * margin}= {kind}: "
    rows: list[str] = []
    for paragraph in text.split("\n"):
        rows += wrap(safe(paragraph, unicode=look.unicode), look.width - width(lead))
    first = f"{' ' * margin}{look.paint('=', 'frame')} {look.paint(kind, 'bold')}: {rows[0]}"
    return [first, *(f"{' ' * width(lead)}{row}".rstrip() for row in rows[1:])]
