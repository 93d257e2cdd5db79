"""How diagnostics look. The pictures are in `snapshots/`; read them when they change."""

from __future__ import annotations

from pathlib import Path

import pytest
from marked import diagnostic, marked, source_of
from snapshot import check_snapshot

from dspec.compiler.diagnostics.record import Diagnostic, Edit, Fix, Label
from dspec.compiler.diagnostics.render import render, summary
from dspec.compiler.diagnostics.render.cells import safe, width, wrap
from dspec.compiler.project.source import Location

SNAPSHOTS = Path(__file__).parent / "snapshots"

CHAIN = '  step ‹joint› = MIPROv2(‹auto = "light"›, «num_candidates = 12»)\n'
SET = "auto sets 6 candidates for your 2 predictors"
FAMILY = "\U0001f469\u200d\U0001f469\u200d\U0001f467"


def two_files() -> Diagnostic:
    base = diagnostic('import «"lms.dspec"» as lms\n', "imported here")
    there = Label(marked("\nlm «judge» { }\n", "sub/lms.dspec")[0], "declared here")
    return Diagnostic(base.code, "warning", "`judge` is never used", base.primary, (there,))


def fixable() -> Diagnostic:
    place, _ = marked(CHAIN)
    fixes = (
        Fix("delete `num_candidates`", (Edit(place, ""),)),
        Fix("write `auto = none`", (Edit(place, "auto = none"),), "maybe"),
    )
    return diagnostic(
        CHAIN,
        "would be overridden",
        "this step",
        SET,
        notes=("`auto` chooses the number of candidates and of trials from the size of the validation set",),
        help="drop `num_candidates`, or set `auto = none, num_candidates = 12, num_trials = 28`",
        fixes=fixes,
    )


PICTURES = {
    "one_label": diagnostic("lm «mini» { }\n", "never used", severity="hint"),
    "labels_on_one_line": fixable(),
    "labels_on_several_lines": diagnostic(
        "dspec 1\n\nlm ‹mini› { }\nlm other { }\nlm «mini» { }\n\n\n\n# ‹end›\n", "again", "first", "far"
    ),
    "span_over_lines": diagnostic(
        "a\n«dataset tickets {\n  source = 1\n\n\n  split { }\n}»\n", "never closed"
    ),
    "spans_inside_spans": diagnostic(
        "«dataset t {\n  ‹split {\n    ‹train› = 1\n  }›\n}»\n", "whole", "inner", "leaf"
    ),
    "two_files": two_files(),
    "tabs": diagnostic("\tfield\t«intent»:\t‹str›\n", "here", "text"),
    "wide": diagnostic(f"# ‹日本語›: {FAMILY} ❤️ ‹é› e\u0301 «値»\n", "value", "wide", "narrow"),
    "controls": diagnostic("evil \x1b[31m\x07 \u202e«x»\x00\n", "red \x1b[0m", message="a\x1b]0;t\x07b"),
    "long_line": diagnostic("x" * 5000 + " «bad» " + "y" * 5000, "look here"),
    "long_label": diagnostic(
        "  metric ‹right›(gold: tickets) { score = «gold.intnet» }",
        "no such column: " + "one of many names, " * 8,
        "in this metric, which is used by three optimize blocks",
    ),
    "crlf": diagnostic("dspec 1\r\nlm «mini\r\n»lm b\r\n", "line end"),
    "empty_file": diagnostic("«»", "the file is empty"),
    "end_of_file": diagnostic("lm mini {\n«»", "`}` expected before the end of the file"),
    "end_of_last_line": diagnostic("lm mini {«»", "`}` expected"),
    "same_place": diagnostic("lm «‹mini›» { }", "primary", "secondary"),
    "overlapping": diagnostic("a = ‹b + «c›» + d", "right side", "left side"),
    "note_of_lines": diagnostic("lm «a» { }", notes=("first\nsecond\n\nfourth",)),
}


@pytest.mark.parametrize("name", PICTURES)
def test_pictures(name: str) -> None:
    text = render([PICTURES[name]], colour=False, unicode=True, width=80)
    check_snapshot(SNAPSHOTS / "render" / f"{name}.txt", text)


@pytest.mark.parametrize("name", ["labels_on_one_line", "spans_inside_spans", "wide", "long_line"])
def test_ascii_pictures(name: str) -> None:
    text = render([PICTURES[name]], colour=False, unicode=False, width=60)
    assert text.isascii()
    check_snapshot(SNAPSHOTS / "render" / f"{name}.ascii.txt", text)


def test_colour_adds_codes_and_nothing_else() -> None:
    """With colour codes taken out, a coloured text is the plain one."""
    import re

    for picture in PICTURES.values():
        plain = render([picture], colour=False, unicode=True, width=80)
        coloured = render([picture], colour=True, unicode=True, width=80)
        assert re.sub(r"\x1b\[[0-9;]+m", "", coloured) == plain
        assert coloured.startswith("\x1b[1;3")
        assert coloured.count("\x1b[0m") * 2 == coloured.count("\x1b[")


def test_diagnostics_stand_apart_in_the_order_given() -> None:
    first, second = PICTURES["one_label"], PICTURES["two_files"]
    text = render([second, first], colour=False, unicode=True, width=80)
    alone = [render([d], colour=False, unicode=True, width=80) for d in (second, first)]
    assert text == "\n\n".join(alone)
    assert render([], colour=False, unicode=True, width=80) == ""


def test_markers_stand_under_what_they_mark() -> None:
    """The columns before the marker are those before the text, tabs and wide characters counted."""
    text = render([diagnostic(f"\t日本{FAMILY}\tq «here» z", "")], colour=False, unicode=True, width=80)
    line, marker = text.splitlines()[2:4]
    assert width(line[: line.index("here")]) == marker.index("^")


def test_locations_out_of_bounds_are_drawn_at_the_border() -> None:
    source = source_of("ab\ncd")
    for start, end in [(-5, 2), (3, 99), (99, 99), (4, 1)]:
        found = Diagnostic("DS0603", "error", "m", Label(Location(source, start, end), "label"))
        assert "label" in render([found], colour=False, unicode=True, width=80)


def test_huge_lines_are_cut_before_they_are_measured() -> None:
    """16 MB on one line, labelled a thousand times: work by what is shown, not by what is there."""
    source = source_of("x" * (16 << 20))
    found = [
        Diagnostic("DS0603", "error", "m", Label(Location(source, i * 16_000, i * 16_000 + 15_000), "here"))
        for i in range(1000)
    ]
    text = render(found, colour=False, unicode=True, width=80)
    assert len(text) < 1000 * 500


@pytest.mark.parametrize(
    ("counts", "words"),
    [
        ({}, "no problems"),
        ({"error": 1}, "1 error"),
        ({"error": 2, "warning": 1, "hint": 1}, "2 errors, 1 warning, 1 hint"),
    ],
)
def test_summary(counts: dict[str, int], words: str) -> None:
    found = [diagnostic("«a»", severity=name) for name, n in counts.items() for _ in range(n)]  # type: ignore[arg-type]
    assert summary(found) == words


@pytest.mark.parametrize(
    ("text", "columns"),
    [
        ("abc", 3),
        ("日本", 4),
        ("ｈ", 2),
        ("é", 1),
        ("e\u0301", 1),
        (FAMILY, 2),
        ("👍🏽", 2),
        ("❤️", 2),
        ("🇩🇪", 2),
        ("", 0),
    ],
)
def test_widths(text: str, columns: int) -> None:
    assert width(text) == columns


def test_unsafe_characters_become_visible() -> None:
    text = "a\x1b\x7f\x9b\n\u2028\u202e\ufeff\ud800\u200b"
    assert safe(text) == "a␛␡\\x9b␊\\u2028\\u202e\\ufeff\\ud800\\u200b"
    assert safe("é\x1b😀", unicode=False) == "\\xe9\\x1b\\U0001f600"


def test_wrapping_keeps_words_whole() -> None:
    assert wrap("aa bb cc", 5) == ["aa bb", "cc"]
    assert wrap("abcdefgh ij", 4) == ["abcdefgh", "ij"]
    assert wrap("日本 日本", 5) == ["日本", "日本"]
    assert wrap("", 5) == [""]
