"""Wrong programs, one file each: what is reported, where, and whether the first fixes repair it.

A corpus file is a program followed by lines of the form `#! CODE line:column-line:column message`,
in the order of the report, and `#! fixed` when applying the first fix of every diagnostic gives a
program that checks clean. Write a program without such lines, run with `DSPEC_UPDATE=1`, and read
what was added. A first line `#! shares mini Topic` puts `dspec 1` and those declarations of
`corpus/shared.txt` before the program; places are those in the file as it stands.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from corpus import BESIDE, CORPUS, MARK, Case, case

from dspec.compiler.check.analysis import analyse
from dspec.compiler.diagnostics.fixes import apply_fixes
from dspec.compiler.diagnostics.record import Diagnostic


def short(found: Diagnostic, of: Case) -> str:
    place = found.primary.location
    start, end = place.source.position(place.start), place.source.position(place.end)
    file, first, last = f"{place.source.name} ", start.line, end.line
    if place.source.name == "main.dspec":
        assert place.start >= len(of.before), "what is reported of a case stands in its own text"
        file, first, last = "", of.line(first), of.line(last)
    return f"{file}{found.code} {first}:{start.column}-{last}:{end.column} {found.message}"


def first_fixes(found: tuple[Diagnostic, ...]) -> str | None:
    """The program after the first fix of every diagnostic; None where one has no fix."""
    if not found or not all(diagnostic.fixes for diagnostic in found):
        return None
    text = found[0].primary.location.source.text
    edits = {edit for diagnostic in found for edit in diagnostic.fixes[0].edits}
    for edit in sorted(edits, key=lambda edit: (edit.location.start, edit.location.end), reverse=True):
        text = text[: edit.location.start] + edit.replacement + text[edit.location.end :]
    return text


def outcome(folder: Path, of: Case) -> list[str]:
    (folder / "data").mkdir(exist_ok=True)
    for name, content in BESIDE.items():
        (folder / name).write_text(content, encoding="utf-8")
    path = folder / "main.dspec"
    path.write_text(of.program, encoding="utf-8")
    found = analyse(path).diagnostics
    lines = [short(diagnostic, of) for diagnostic in found]
    repaired = first_fixes(found)
    if repaired is not None and not analyse(path, text=repaired).diagnostics:
        lines.append("fixed")
    return lines


@pytest.mark.parametrize("path", sorted(CORPUS.glob("*.dspec")), ids=lambda path: path.stem)
def test_wrong_program(path: Path, tmp_path: Path) -> None:
    wrong = case(path.read_text(encoding="utf-8"))
    lines = outcome(tmp_path, wrong)
    if os.environ.get("DSPEC_UPDATE"):
        found = "".join(f"{MARK} {line}\n" for line in lines)
        path.write_text(wrong.head + wrong.own + found, encoding="utf-8")
        return
    assert lines == list(wrong.expected)
    assert lines, "a program of the corpus is wrong in some way"


FILLED_IN = ("Insert", "Write it as a block")
"""How fixes begin that write a placeholder: what stands in it is still to be decided."""


@pytest.mark.parametrize("path", sorted(CORPUS.glob("*.dspec")), ids=lambda path: path.stem)
def test_every_fix_resolves_what_it_is_offered_for(path: Path, tmp_path: Path) -> None:
    """Applied alone, it takes its own diagnostic away and makes no new error."""
    wrong = case(path.read_text(encoding="utf-8"))
    outcome(tmp_path, wrong)
    main = tmp_path / "main.dspec"
    before = analyse(main).diagnostics
    known = {(found.code, found.message) for found in before}
    for diagnostic in before:
        for fix in diagnostic.fixes[:1]:
            if any(edit.location.source.name != "main.dspec" for edit in fix.edits):
                continue
            text = wrong.program
            for edit in sorted(fix.edits, key=lambda edit: edit.location.start, reverse=True):
                text = text[: edit.location.start] + edit.replacement + text[edit.location.end :]
            after = analyse(main, text=text).diagnostics
            new = [found for found in after if (found.code, found.message) not in known]
            if not fix.title.startswith(FILLED_IN):
                assert not [found for found in new if found.severity == "error"], fix.title
            assert (diagnostic.code, diagnostic.message) not in {(f.code, f.message) for f in after}


def test_safe_fixes_are_applied_by_the_command_line(tmp_path: Path) -> None:
    """`--fix` and the editor read the same edits: the safe ones lead to the same text."""
    program = 'dspec 1\n\nlm mini { modle = "openai/gpt-4o-mini" }\n'
    path = tmp_path / "main.dspec"
    path.write_text(program, encoding="utf-8")
    (tmp_path / "dspec.toml").touch()
    found = [diagnostic for diagnostic in analyse(path).diagnostics if diagnostic.code == "DS0105"]
    apply_fixes(found).write()
    assert path.read_text(encoding="utf-8") == program.replace("modle", "model")
