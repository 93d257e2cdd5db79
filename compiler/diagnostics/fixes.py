"""Applying fixes that are safe unseen, for `dspc check --fix`.

Diagnostics are taken in their order, one machine fix of each. A fix is applied whole or not at all,
and not when it touches text that an earlier one changes: running again gets the rest. So the result
depends on nothing but the texts and the diagnostics.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from msgspec import Struct

from dspec.runtime.errors import DspecError

from ..project.files import write_text
from ..project.source import Source
from .record import Diagnostic, Edit, Fix, in_order


class Repaired(Struct, frozen=True):
    """`texts` are the new texts of the files that change; `count` is how many fixes they hold."""

    sources: dict[Path, Source]
    texts: dict[Path, str]
    count: int

    def write(self) -> None:
        """Write every changed file, each whole or not at all.

        Raises DspecError, before writing anything, when a file no longer holds the text that was checked.
        """
        marks = {path: _byte_order_mark(source) for path, source in self.sources.items()}
        for path, text in self.texts.items():
            write_text(path, marks[path] + text)


def apply_fixes(diagnostics: Iterable[Diagnostic]) -> Repaired:
    """Apply each diagnostic's first machine fix. Fixes that repeat an earlier one exactly count once."""
    sources: dict[Path, Source] = {}
    taken: dict[Path, list[Edit]] = {}
    done: list[tuple[Edit, ...]] = []
    for diagnostic in in_order(list(diagnostics)):
        fix = next((fix for fix in diagnostic.fixes if fix.applicability == "machine"), None)
        if fix is None or not fix.edits or fix.edits in done or not _fits(fix, taken, sources):
            continue
        done.append(fix.edits)
        for edit in fix.edits:
            path = edit.location.source.path
            sources[path] = edit.location.source
            taken.setdefault(path, []).append(edit)
    texts = {path: _edited(source.text, taken[path]) for path, source in sources.items()}
    return Repaired(sources, texts, len(done))


def _byte_order_mark(source: Source) -> str:
    """The mark that the file starts with and `source.text` has not, if any. Raises DspecError."""
    try:
        current = source.path.read_bytes().decode()
    except (OSError, UnicodeDecodeError):
        current = ""
    if current == source.text:
        return ""
    if current != "\ufeff" + source.text:
        raise DspecError(f"`{source.name}` changed while it was checked", help="run it again")
    return "\ufeff"


def _fits(fix: Fix, taken: dict[Path, list[Edit]], sources: dict[Path, Source]) -> bool:
    """False when an edit is out of bounds, or meets one of another fix or of this one."""
    for number, edit in enumerate(fix.edits):
        source = edit.location.source
        if not 0 <= edit.location.start <= edit.location.end <= len(source.text):
            return False
        if sources.get(source.path, source).text != source.text:
            return False
        others = [e for e in fix.edits[:number] if e.location.source.path == source.path]
        if any(_meet(edit, other) for other in taken.get(source.path, []) + others):
            return False
    return True


def _meet(a: Edit, b: Edit) -> bool:
    """True when the edits overlap, or insert at one place, where their order would be a guess."""
    if (a.location.start, a.location.end) == (b.location.start, b.location.end):
        return True
    return a.location.start < b.location.end and b.location.start < a.location.end


def _edited(text: str, edits: list[Edit]) -> str:
    """The text with the edits; line ends in a replacement become the file's own."""
    line_end = "\r\n" if "\r\n" in text[: text.find("\n") + 1] else "\n"
    pieces: list[str] = []
    position = 0
    for edit in sorted(edits, key=lambda edit: (edit.location.start, edit.location.end)):
        pieces += [text[position : edit.location.start], edit.replacement.replace("\n", line_end)]
        position = edit.location.end
    return "".join([*pieces, text[position:]])
