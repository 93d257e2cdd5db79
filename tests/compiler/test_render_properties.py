"""Whatever a file holds and wherever labels point: no exception, nothing that commands a terminal."""

from __future__ import annotations

import json
import re
import unicodedata

from hypothesis import given, settings
from hypothesis import strategies as st
from marked import source_of

from dspec.compiler.diagnostics.fixes import apply_fixes
from dspec.compiler.diagnostics.formats.github_annotations import github
from dspec.compiler.diagnostics.formats.json_report import to_json
from dspec.compiler.diagnostics.formats.sarif_log import sarif
from dspec.compiler.diagnostics.formats.short_lines import short
from dspec.compiler.diagnostics.record import Diagnostic, Edit, Fix, Label
from dspec.compiler.diagnostics.render import render
from dspec.compiler.project.source import Location

ALPHABET = "ab\t\n\r\n \x1b\x00\x9b\u202e\u2028\ufe0f\u200d\u0301日👩👍🏽é\ud800%:,[](){}\\`|^"
TEXT = st.text(alphabet=ALPHABET, max_size=60) | st.text(max_size=30)
OFFSET = st.integers(-3, 70)


@st.composite
def findings(draw: st.DrawFn) -> Diagnostic:
    sources = [source_of(draw(TEXT), draw(TEXT) or "a.dspec") for _ in range(draw(st.integers(1, 2)))]

    def location() -> Location:
        return Location(draw(st.sampled_from(sources)), draw(OFFSET), draw(OFFSET))

    return Diagnostic(
        "DS0603",
        draw(st.sampled_from(["error", "warning", "hint"])),
        draw(TEXT),
        Label(location(), draw(TEXT)),
        tuple(Label(location(), draw(TEXT)) for _ in range(draw(st.integers(0, 3)))),
        tuple(draw(st.lists(TEXT, max_size=2))),
        draw(TEXT),
        tuple(Fix(draw(TEXT), (Edit(location(), draw(TEXT)),)) for _ in range(draw(st.integers(0, 2)))),
    )


def commands(text: str) -> list[str]:
    """Characters that a terminal might obey, line ends left out."""
    unsafe = {"Cc", "Cs", "Zl", "Zp", "Cf"}
    return [c for c in text if c not in "\n\u200d\u200c" and unicodedata.category(c) in unsafe]


@settings(max_examples=300, deadline=None)
@given(st.lists(findings(), max_size=2), st.booleans(), st.booleans(), st.integers(0, 200))
def test_any_diagnostic_can_be_rendered(
    found: list[Diagnostic], colour: bool, unicode: bool, columns: int
) -> None:
    text = render(found, colour=colour, unicode=unicode, width=columns)
    if colour:
        text = re.sub(r"\x1b\[[0-9;]+m", "", text)
    assert commands(text) == []
    assert unicode or text.isascii()
    text.encode()


@settings(max_examples=200, deadline=None)
@given(st.lists(findings(), max_size=3))
def test_any_diagnostic_can_be_written_in_every_format(found: list[Diagnostic]) -> None:
    assert commands(short(found) + github(found)) == []
    assert len(short(found).split("\n")) == len(github(found).split("\n")) == max(1, len(found))
    assert len(json.loads(to_json(found))["diagnostics"]) == len(found)
    assert len(json.loads(sarif(found))["runs"][0]["results"]) == len(found)
    assert to_json(found).isascii()
    assert sarif(found).isascii()


@settings(max_examples=200, deadline=None)
@given(st.lists(findings(), max_size=4))
def test_fixes_are_applied_whole_once_and_the_same_way_in_any_order(found: list[Diagnostic]) -> None:
    repaired = apply_fixes(found)
    assert repaired.texts == apply_fixes(found[::-1]).texts
    assert repaired.count <= sum(bool(diagnostic.fixes) for diagnostic in found)
    assert set(repaired.texts) == set(repaired.sources)
