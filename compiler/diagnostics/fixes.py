"""Makes the fixes that findings offer, and applies those that are safe to apply unseen (`dspc check --fix`).

A fix is safe unseen if it cannot change what the file means: it writes the same thing in the right form, or the one known name
that is a single slip of the pen away. All else is offered and left to a person.

To apply them, diagnostics are taken in their order, one machine fix of each. A fix is applied whole or not at all,
and not when it touches text that an earlier one changes. So the result depends on nothing but the texts and the diagnostics.
`repair` checks what comes of it, and keeps no fix that brings an error or a warning.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

from msgspec import Struct

from dspec.runtime.errors import DspecError

from ..project.source import Location, Source
from .record import Diagnostic, Edit, Fix, in_order
from .spelling import the_slip


def replace(location: Location, text: str, title: str = "", *, guess: bool = False) -> Fix:
    """The fix that writes `text` at `location`. A `guess` at what was meant is never applied unseen."""
    return Fix(
        title or f"Replace `{location.text}` with `{text}`",
        (Edit(location, text),),
        "maybe" if guess else "machine",
    )


def suggestions(
    location: Location, names: tuple[str, ...], *, guess: bool = False, declared: bool = False
) -> tuple[Fix, ...]:
    """One fix per suggestion. Safe to apply unseen is only what is no `guess` and alone a slip away from what is written.

    Of names that a file declares, the declaration may be what is misspelt: so one is safe only if the file says it twice or
    more, and what is written once.
    """
    written = location.text.strip('"')
    meant = None if guess else the_slip(written, [name.strip('"') for name in names])
    if meant and declared and not (location.source.says(written) == 1 and location.source.says(meant) > 1):
        meant = None
    return tuple(
        Fix(
            f"Replace with `{name}`",
            (Edit(location, name),),
            "machine" if name.strip('"') == meant else "maybe",
        )
        for name in names
    )


def insert(location: Location, text: str, *, safe: bool = False) -> Fix:
    """The fix that puts `text` before what stands at `location`."""
    start = location.near(location.start, location.start)
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


MAX_ALONE = 100
"""So many fixes are tried one by one where all of them together make things worse; each costs a check."""
MAX_ROUNDS = 10

Check = Callable[[Mapping[Path, str]], Sequence[Diagnostic]]
"""What is found where these texts stand in for the files."""


def safe_fix(diagnostic: Diagnostic) -> Fix | None:
    return next((fix for fix in diagnostic.fixes if fix.applicability == "machine"), None)


def repair(check: Check) -> Repaired:
    """Apply the safe fixes of what `check` finds, as long as they bring nothing worse than a hint.

    What a fix uncovers may be repaired in its turn. Repairing again what came of it changes nothing.
    """
    found = check({})
    sources: dict[Path, Source] = {}
    texts: dict[Path, str] = {}
    count = 0
    for _ in range(MAX_ROUNDS):
        kept, after = _harmless(found, texts, check)
        if not kept.count:
            break
        sources = {**kept.sources, **sources}
        texts, count, found = {**texts, **kept.texts}, count + kept.count, after
    return Repaired(sources, texts, count)


def _harmless(
    found: Sequence[Diagnostic], texts: Mapping[Path, str], check: Check
) -> tuple[Repaired, Sequence[Diagnostic]]:
    """All fixes together if that checks no worse than what was `found`, else those that do one after another."""
    fixable = [diagnostic for diagnostic in in_order(list(found)) if safe_fix(diagnostic)]
    together = apply_fixes(fixable)
    if not together.count:
        return together, found
    after = check({**texts, **together.texts})
    if _no_worse(found, after):
        return together, after
    kept, best, result = list[Diagnostic](), apply_fixes([]), found
    for diagnostic in fixable[:MAX_ALONE]:
        tried = apply_fixes([*kept, diagnostic])
        if tried.count == best.count:
            continue
        after = check({**texts, **tried.texts})
        if _no_worse(found, after):
            kept.append(diagnostic)
            best, result = tried, after
    return best, result


def _no_worse(before: Sequence[Diagnostic], after: Sequence[Diagnostic]) -> bool:
    return not _weighed(after) - _weighed(before)


def _weighed(found: Sequence[Diagnostic]) -> Counter[tuple[str, str, str]]:
    """Errors and warnings by file, code and the text that they are about: places and words shift with a fix."""
    return Counter(
        (one.primary.location.source.name, one.code, one.primary.location.text)
        for one in found
        if one.severity != "hint"
    )


def apply_fixes(diagnostics: Iterable[Diagnostic]) -> Repaired:
    """Apply each diagnostic's first machine fix. Fixes that repeat an earlier one exactly count once."""
    sources: dict[Path, Source] = {}
    taken: dict[Path, list[Edit]] = {}
    done: list[tuple[Edit, ...]] = []
    for diagnostic in in_order(list(diagnostics)):
        fix = safe_fix(diagnostic)
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
