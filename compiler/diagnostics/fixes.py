"""Makes the fixes that findings offer, and applies those that are safe to apply unseen (`dspc check --fix`).

To apply them, diagnostics are taken in their order, one machine fix of each. A fix is applied whole or not at all,
and not when it touches text that an earlier one changes: running again gets the rest. So the result
depends on nothing but the texts and the diagnostics.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from msgspec import Struct

from dspec.runtime.errors import DspecError

from ..project.source import Location, Source
from .record import Diagnostic, Edit, Fix, in_order


def replace(location: Location, text: str, title: str = "", *, guess: bool = False) -> Fix:
    """The fix that writes `text` at `location`. A `guess` at what was meant is never applied unseen."""
    return Fix(
        title or f"Replace `{location.text}` with `{text}`",
        (Edit(location, text),),
        "maybe" if guess else "machine",
    )


def suggestions(location: Location, names: tuple[str, ...], *, guess: bool = False) -> tuple[Fix, ...]:
    """One fix per suggestion; only a single one that is no `guess` is safe to apply unseen."""
    safe = len(names) == 1 and not guess
    return tuple(
        Fix(f"Replace with `{name}`", (Edit(location, name),), "machine" if safe else "maybe")
        for name in names
    )


def insert(location: Location, text: str, *, safe: bool = False) -> Fix:
    """The fix that puts `text` before what stands at `location`."""
    start = Location(location.source, location.start, location.start)
    return Fix(f"Insert `{text.strip()}`", (Edit(start, text),), "machine" if safe else "maybe")


class ItemRoom(Struct, frozen=True):
    """Where a block takes one more item: the place, and what goes before and behind the item."""

    where: Location
    before: str
    behind: str


def insert_item(room: ItemRoom | None, text: str, title: str = "", *, safe: bool = False) -> tuple[Fix, ...]:
    """The fix that adds an item to a block; none where it has no room."""
    if room is None:
        return ()
    edit = Edit(room.where, room.before + text + room.behind)
    return (Fix(title or f"Insert `{text}`", (edit,), "machine" if safe else "maybe"),)


class Repaired(Struct, frozen=True):
    """`texts` are the new texts of the files that change; `count` is how many fixes they hold."""

    sources: dict[Path, Source]
    texts: dict[Path, str]
    count: int

    def write(self) -> None:
        """Write every changed file, each whole or not at all.

        Raises DspecError, before writing anything, when a file no longer holds the text that was checked.
        """
        from ..project.files import write_text  # loads Pydantic, which no report of fixes needs

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
    """The mark that the file starts with and `source.text` lacks, if any. Raises DspecError."""
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
