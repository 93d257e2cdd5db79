"""Every feature of the editor on the cases in `cases/`, as `support/cursors` reads them: a folder for each feature."""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Callable, Iterable, Iterator
from functools import cache
from pathlib import Path

import pytest
from cursors import MAIN, PROJECT, Case, case_files, check_cases, marked, place
from lsprotocol.types import LanguageKind, TextDocumentItem

from dspec.compiler.check.analysis import Analysis, analyse
from dspec.compiler.project.source import Location
from dspec.grammar import format_text
from dspec.lsp.documents import Documents
from dspec.lsp.features.actions import actions
from dspec.lsp.features.brackets import folds, growing
from dspec.lsp.features.calls import callable_at, incoming, outgoing
from dspec.lsp.features.colours import colours
from dspec.lsp.features.completion import complete
from dspec.lsp.features.facts import DataFacts, facts_of
from dspec.lsp.features.formatting import applied, format_closed, format_range, format_whole, indent_line
from dspec.lsp.features.hints import hints
from dspec.lsp.features.hover import hover
from dspec.lsp.features.lenses import COMMANDS, lenses
from dspec.lsp.features.links import links
from dspec.lsp.features.names import definitions, mentions, named_at, same, type_definitions
from dspec.lsp.features.outline import Outline, outline
from dspec.lsp.features.rename import RenameRefused, edited, rename, texts_after
from dspec.lsp.features.signature_help import signature_help
from dspec.lsp.work import whole
from dspec.lsp.workspace import Workspace

LISTED = 12
"""Completions that a case lists."""


@cache
def analysed(text: str) -> Analysis:
    return analyse(MAIN, text=text, probe=False)


@cache
def facts(text: str) -> DataFacts:
    return facts_of(analyse(MAIN, text=text))


def _hover(case: Case) -> str:
    told: list[str] = []
    for offset in case.cursors:
        found = hover(analysed(case.text), offset, facts(case.text))
        shown = f"[{case.text[found.start : found.end]}]\n{found.text}" if found else "nothing"
        told.append(shown)
    return "\n~~~\n".join(told)


def _at(location: Location) -> str:
    """`main.dspec 12:7 the line with the «name» marked`."""
    source = location.source
    if not source.text:
        return source.path.relative_to(PROJECT).as_posix()
    return f"{source.name} {place(source.text, location.start)} {marked(source.text, location.start, location.end)}"


def _definition(case: Case) -> str:
    return _each(case, lambda offset: map(_at, definitions(analysed(case.text), offset)))


def _type_definition(case: Case) -> str:
    return _each(case, lambda offset: map(_at, type_definitions(analysed(case.text), offset)))


def _references(case: Case) -> str:
    def told(offset: int) -> Iterator[str]:
        found = named_at(analysed(case.text), offset)
        everywhere = workspace(case.text).seeing(analysed(case.text))
        for one in mentions(everywhere, same(analysed(case.text), found[1])) if found else ():
            yield f"{'declared ' if one.declares else ''}{_at(one.location)}"

    return _each(case, told)


def _each(case: Case, told: Callable[[int], Iterable[str]]) -> str:
    return "\n~~~\n".join("\n".join(told(offset)) or "nothing" for offset in case.cursors)


def workspace(text: str) -> Workspace:
    """The project with this text as its main file."""
    documents = Documents()
    documents.open(TextDocumentItem(MAIN.as_uri(), LanguageKind.Python, 1, text))
    return Workspace(documents)


def _rename(case: Case) -> str:
    """The new name stands behind the title: `=== a module -> judge`."""
    new = case.title.rpartition(" -> ")[2]
    files = workspace(case.text)

    def told(offset: int) -> Iterator[str]:
        analysis = analysed(case.text)
        try:
            found = whole(rename(analysis, offset, new, list(files.seeing(analysis)), files.together))
        except RenameRefused as refused:
            yield f"refused: {refused}"
            return
        for path, after in texts_after(found).items():
            source = next(edit.location.source for edit in found if edit.location.source.path == path)
            pairs = zip(source.text.splitlines(), after.splitlines(), strict=True)
            yield from (f"{path.name}: {new.strip()}" for old, new in pairs if old != new)

    return _each(case, told)


def _outline(case: Case) -> str:
    """Of what stands behind the project's own declarations."""

    def told(one: Outline, depth: int) -> Iterator[str]:
        yield f"{'  ' * depth}{one.kind} {one.name} {one.detail}".rstrip()
        for each in one.inside:
            yield from told(each, depth + 1)

    start = case.text.rfind(unmarked_text(case.written))
    found = [one for one in outline(analysed(case.text).tree) if one.start >= start]
    for one in found:
        assert case.text[one.name_start : one.name_end] == one.name
    return "\n".join(line for one in found for line in told(one, 0))


def unmarked_text(written: str) -> str:
    return re.sub(r"\$[0-9\[\]]", "", written)


def _written_start(case: Case) -> int:
    return max(case.text.rfind(unmarked_text(case.written)), 0)


def _folding(case: Case) -> str:
    first = case.text.count("\n", 0, _written_start(case))
    lines: list[str] = []
    for one in folds(analysed(case.text).tree):
        start, end = (case.text.count("\n", 0, at) - first + 1 for at in (one.start, one.end))
        if start >= 1:
            lines.append(f"{start}-{end} {one.kind}".rstrip())
    return "\n".join(lines)


def _selection(case: Case) -> str:
    def told(offset: int) -> Iterator[str]:
        for start, end in growing(analysed(case.text).tree, offset)[:-1]:
            yield repr(case.text[start:end])[1:-1]

    return _each(case, told)


def _colours(case: Case) -> str:
    found = colours(analysed(case.text), _written_start(case))
    told = [f"{case.text[one.start : one.end]}: {' '.join((one.type, *one.modifiers))}" for one in found]
    assert found == [one for one in colours(analysed(case.text)) if one.end > _written_start(case)]
    return "\n".join(told)


def _formatting(case: Case) -> str:
    """With a selection, of its declarations; with a cursor, of what was just typed there; else of the whole file."""
    tree = analysed(case.text).tree
    if "[" in case.marks:
        found = format_range(tree, *case.selection)
    elif case.cursors:
        (offset,) = case.cursors
        found = (format_closed if case.text[offset - 1] == "}" else indent_line)(tree, offset)
    else:
        found = format_whole(case.text)
    after = applied(case.text, found)
    assert applied(after, format_whole(after)) == format_text(case.text) or "[" in case.marks or case.cursors
    return after[_written_start(case) :].replace("\r", "␍").rstrip("\n")


def _links(case: Case) -> str:
    start = _written_start(case)
    return "\n".join(
        f"{case.text[one.start : one.end]} -> {_at(one.target)} ({one.tooltip})"
        for one in links(analysed(case.text))
        if one.start >= start
    )


def _actions(case: Case) -> str:
    """Each with what it makes of the text, as lines that go and come."""

    def told(start: int, end: int) -> Iterator[str]:
        analysis = analysed(case.text)
        own = [one for one in analysis.diagnostics if one.primary.location.source is analysis.source]
        for one in whole(actions(analysis, own, start, end, workspace(case.text))):
            sure = " (sure)" if one.sure else ""
            yield f"{one.kind}: {one.title}{sure} {' '.join(each.code for each in one.solves)}".rstrip()
            after = edited(case.text, one.edits)
            before = case.text.splitlines()
            for each in difflib.unified_diff(before, after.splitlines(), n=0, lineterm=""):
                if each[0] in "+-" and each[:3] not in ("+++", "---"):
                    yield f"  {each}".rstrip()

    spans = [case.selection] if "[" in case.marks else [(offset, offset) for offset in case.cursors]
    return "\n~~~\n".join("\n".join(told(*span)) or "nothing" for span in spans)


def _lenses(case: Case) -> str:
    start = _written_start(case)
    return "\n".join(
        f"{case.text[one.start : one.end]}: {one.title}{f' [{one.command}]' if one.command else ''}"
        for one in lenses(analysed(case.text), facts(case.text), COMMANDS)
        if one.start >= start
    )


def _hints(case: Case) -> str:
    """The text with the hints in it."""
    start = _written_start(case)
    text = case.text[start:]
    for one in reversed(hints(analysed(case.text), facts(case.text), start, len(case.text))):
        at = one.offset - start
        text = f"{text[:at]}‹{one.text}›{text[at:]}"
    return text.rstrip("\n")


def _signature_help(case: Case) -> str:
    def told(offset: int) -> Iterator[str]:
        found = signature_help(analysed(case.text), offset)
        if found is None:
            return
        label = found.label
        if found.active is not None:
            start, end = found.span(found.active)
            label = f"{label[:start]}«{label[start:end]}»{label[end:]}"
            yield label
            yield from filter(None, [found.parameters[found.active].doc])
        else:
            yield label

    return _each(case, told)


def _calls(case: Case) -> str:
    def told(offset: int) -> Iterator[str]:
        analysis = analysed(case.text)
        symbol = callable_at(analysis, offset)
        if symbol is None:
            return
        yield f"{symbol.kind} {symbol.name}"
        for one in outgoing(analysis, symbol):
            yield f"  -> {one.symbol.kind} {one.symbol.key} at {' '.join(place(case.text, each.start) for each in one.places)}"
        for one in incoming(workspace(case.text).seeing(analysis), symbol.location):
            yield f"  <- {one.symbol.kind} {one.symbol.key} at {' '.join(place(case.text, each.start) for each in one.places)}"

    return _each(case, told)


def _completion(case: Case) -> str:
    """What is offered; behind `+` what is written where that is not the label."""

    def told(offset: int) -> Iterator[str]:
        found = complete(analysed(case.text), offset, analysed(case.text).diagnostics)
        for one in found.suggestions[:LISTED]:
            text = one.snippet or one.insert
            written = f" +{text!r}" if text not in ("", one.label, f'{one.label}"') else ""
            yield f"{one.kind} {one.label}{f' ({one.detail})' if one.detail else ''}{written}"
        if len(found.suggestions) > LISTED:
            yield "…"

    return _each(case, told)


SHOWN: dict[str, Callable[[Case], str]] = {
    "hover": _hover,
    "definition": _definition,
    "type_definition": _type_definition,
    "references": _references,
    "rename": _rename,
    "outline": _outline,
    "folding": _folding,
    "selection": _selection,
    "colours": _colours,
    "formatting": _formatting,
    "links": _links,
    "actions": _actions,
    "lenses": _lenses,
    "hints": _hints,
    "signature_help": _signature_help,
    "calls": _calls,
    "completion": _completion,
}
"""How the answers of each feature are written down."""


@pytest.fixture(autouse=True)
def _no_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    """Names of the variables of whoever runs the tests are offered, too."""
    for name in [
        name for name in os.environ if name.endswith(("_KEY", "_TOKEN", "_BASE", "_URL", "_ENDPOINT"))
    ]:
        monkeypatch.delenv(name)


@pytest.mark.parametrize("path", case_files(), ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_cases(path: Path) -> None:
    check_cases(path, SHOWN[path.parent.name])
