"""Code actions: the fixes that findings offer, and the refactorings that a place allows."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Literal, Protocol

from msgspec import Struct

from dspec.compiler.check.analysis import Analysis
from dspec.compiler.diagnostics.fixes import apply_fixes
from dspec.compiler.diagnostics.record import Diagnostic, Edit, Fix, Severity
from dspec.compiler.project.source import Location

from ..work import Work
from .refactorings import refactorings
from .rename import texts_after

_OF_COMMENTS = ("DS0813", "DS0814", "DS0815")
"""Codes about the comments themselves, which cannot be allowed away."""


MAX_TRIED = 50
"""Edits that are tried for one answer. Whoever asks about a large part of a file is offered no more that may be wrong."""
_A_TRY = 50_000
"""Characters of a text that count as one more try."""


class Trying(Protocol):
    """A file and all that it imports, in which edits are tried."""

    def found(self, instead: Mapping[Path, str]) -> Sequence[Diagnostic]:
        """What is found with some texts `instead` of those that the editor has."""
        ...


class ProjectView(Protocol):
    """The project as the editor has it: `Workspace` is it."""

    def trial(self, path: Path) -> Trying: ...

    def seeing(self, analysis: Analysis) -> Iterator[Analysis]: ...


ActionKind = Literal["quickfix", "refactor.extract", "refactor.inline", "refactor.rewrite", "source.fixAll"]
ALLOWING = "seen and accepted"
"""The reason that a new `allow` comment gives, for the author to write better."""


class Action(Struct, frozen=True):
    """`solves` are the findings that it is about; `sure` says that it can be taken unseen."""

    title: str
    kind: ActionKind
    edits: tuple[Edit, ...]
    solves: tuple[Diagnostic, ...] = ()
    sure: bool = False


def actions(
    analysis: Analysis, found: Sequence[Diagnostic], start: int, end: int, files: ProjectView
) -> Work[list[Action]]:
    """What can be done about the text from `start` to `end`, where this was `found` in the file; a try in each piece.

    A fix that may be a wrong guess is tried first: it is not offered where it brings another error or warning.
    """
    here = [one for one in found if _touches(one.primary.location, start, end)]
    tries = _Tries(analysis, files)
    listed: list[Action] = []
    for one in (*_fixes(here), *_allowing(here)):
        if one.sure or tries.help(one):
            listed.append(one)
        if not one.sure and tries.left:
            yield
    done = set[str]()
    for one in refactorings(analysis, start, end, lambda: files.seeing(analysis)):
        action = Action(one.title, one.kind, one.edits)
        yield
        if one.way_of not in done and (not one.way_of or tries.help(action, ("error",))):
            done.update([one.way_of] if one.way_of else [])
            listed.append(action)
    everything = fix_all(analysis, found)
    return [*listed, *([everything] if everything else [])]


class _Tries:
    """Tries edits of a file, one after the other. The first costs a whole check, each other one what it changes."""

    def __init__(self, analysis: Analysis, files: ProjectView) -> None:
        self._analysis, self._files = analysis, files
        self._trial: Trying | None = None
        self.left = MAX_TRIED

    def help(self, action: Action, severities: Sequence[Severity] = ("error", "warning")) -> bool:
        """Whether what an action is about is gone then, and nothing new is as severe."""
        if self.left <= 0:
            return False
        self.left -= 1 + len(self._analysis.source.text) // _A_TRY
        if self._trial is None:
            self._trial = self._files.trial(self._analysis.source.path)
        before, after = self._analysis.diagnostics, self._trial.found(texts_after(action.edits))
        worse = _weighed(after, severities) - _weighed(before, severities)
        told = (
            Counter((one.code, one.message) for one in before),
            Counter((one.code, one.message) for one in after),
        )
        gone = all(told[1][one.code, one.message] < told[0][one.code, one.message] for one in action.solves)
        return not worse and (gone or any(one not in before for one in action.solves))


def _weighed(found: Iterable[Diagnostic], severities: Sequence[Severity]) -> Counter[str]:
    return Counter(one.code for one in found if one.severity in severities)


def _touches(place: Location, start: int, end: int) -> bool:
    return place.start <= end and start <= max(place.end, place.start)


def _fixes(found: Iterable[Diagnostic]) -> Iterator[Action]:
    """Each fix once, with all the findings that it is offered for."""
    known: dict[tuple[Edit, ...], tuple[Fix, list[Diagnostic]]] = {}
    for diagnostic in found:
        for fix in diagnostic.fixes:
            if fix.edits:
                known.setdefault(fix.edits, (fix, []))[1].append(diagnostic)
    for edits, (fix, about) in known.items():
        yield Action(fix.title, "quickfix", edits, tuple(about), sure=fix.applicability == "machine")


def _allowing(found: Iterable[Diagnostic]) -> Iterator[Action]:
    """A comment above the line that allows what is no error."""
    for one in found:
        place = one.primary.location
        if one.severity == "error" or one.code in _OF_COMMENTS:
            continue
        text = place.source.text
        start = text.rfind("\n", 0, place.start) + 1
        line = text[start:].partition("\n")[0]
        indentation = line[: len(line) - len(line.lstrip(" \t"))]
        comment = f"{indentation}# dspc: allow {one.code} -- {ALLOWING}\n"
        edit = Edit(Location(place.source, start, start), comment)
        yield Action(f"Allow {one.code} here", "quickfix", (edit,), (one,))


def fix_all(analysis: Analysis, found: Sequence[Diagnostic]) -> Action | None:
    """All fixes of the file that are safe to apply unseen, as one change."""
    source = analysis.source
    own = [
        one for one in found if all(edit.location.source is source for fix in one.fixes for edit in fix.edits)
    ]
    repaired = apply_fixes(own)
    if not repaired.count:
        return None
    (after,) = repaired.texts.values()
    edit = Edit(Location(source, 0, len(source.text)), after)
    return Action(
        f"Apply {repaired.count} safe {'fix' if repaired.count == 1 else 'fixes'}", "source.fixAll", (edit,)
    )
