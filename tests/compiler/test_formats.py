"""Diagnostics for machines."""

from __future__ import annotations

import json
from pathlib import Path

import jsonschema
import pytest
from marked import diagnostic, marked, source_of
from snapshot import check_snapshot

from dspec.compiler.diagnostics.codes.base import Code
from dspec.compiler.diagnostics.formats.github_annotations import github
from dspec.compiler.diagnostics.formats.json_report import to_json
from dspec.compiler.diagnostics.formats.places import fingerprints, uri
from dspec.compiler.diagnostics.formats.sarif_log import sarif
from dspec.compiler.diagnostics.formats.short_lines import short
from dspec.compiler.diagnostics.record import Diagnostic, Edit, Fix, Label
from dspec.compiler.project.source import Location

HERE = Path(__file__).parent
CHAIN = 'a\n  step x = MIPROv2(‹auto = "light"›, «num_candidates = 12»)\n'


@pytest.fixture(autouse=True)
def one_code(monkeypatch: pytest.MonkeyPatch) -> None:
    """The formats read the table of codes; these pictures must not change with its prose."""
    entry = Code("DS0603", "error", "Options that contradict", "Because [so](x).", "wrong = 1", "right = 2")
    monkeypatch.setattr("dspec.compiler.diagnostics.codes.table.CODES", {"DS0603": entry})
    monkeypatch.setattr("dspec.compiler.diagnostics.formats.sarif_log.version", lambda _: "1.2.3")


def findings() -> list[Diagnostic]:
    place, _ = marked(CHAIN)
    fix = Fix("delete `num_candidates`", (Edit(place, ""), Edit(Location(place.source, 0, 0), "x\n")))
    return [
        diagnostic(CHAIN, "over", "auto", notes=("a note",), help="drop one", fixes=(fix,)),
        diagnostic("«a\nb»\n", severity="warning", message="over lines", name="sub dir/ü#1.dspec"),
        diagnostic("«»", severity="hint", message="nothing"),
    ]


@pytest.mark.parametrize("style", [short, to_json, github, sarif], ids=lambda style: style.__name__)
def test_pictures(style: object) -> None:
    assert callable(style)
    check_snapshot(HERE / "snapshots" / "formats" / f"{style.__name__}.txt", style(findings()))


def test_sarif_holds_to_the_standard() -> None:
    schema = json.loads((HERE / "sarif-2.1.0.schema.json").read_text(encoding="utf-8"))
    jsonschema.Draft202012Validator.check_schema(schema)
    validator = jsonschema.Draft202012Validator(
        schema, format_checker=jsonschema.Draft202012Validator.FORMAT_CHECKER
    )
    with pytest.raises(jsonschema.ValidationError):
        validator.validate({"version": "2.1.0", "runs": [{"tool": {}}]})
    validator.validate(json.loads(sarif(findings())))
    validator.validate(json.loads(sarif([])))
    twice = findings()[0]
    repeated = Diagnostic("DS0603", "error", "m", twice.primary, twice.secondary * 2, fixes=twice.fixes * 2)
    validator.validate(json.loads(sarif([repeated, repeated])))


def test_sarif_without_an_entry_in_the_table_still_has_its_rule() -> None:
    unknown = Diagnostic("DS9999", "error", "m", findings()[0].primary)
    run = json.loads(sarif([unknown]))["runs"][0]
    assert run["tool"]["driver"]["rules"] == [{"id": "DS9999"}]
    assert run["results"][0]["ruleIndex"] == 0


def test_sarif_messages_hold_no_links_and_no_placeholders() -> None:
    found = diagnostic("«a»", message="see [this](http://evil) {0}")
    (result,) = json.loads(sarif([found]))["runs"][0]["results"]
    assert result["message"]["text"] == r"see \[this\](http://evil) {{0}}"


def test_github_commands_cannot_be_broken_out_of() -> None:
    found = diagnostic(
        "«a»", "l\n::error::x", message="100%\r\n::set-output name=a::b\x1b", name="a,line=9:b%\n.dspec"
    )
    (line,) = github([found]).split("\n")
    assert line == (
        "::error file=a%2Cline=9%3Ab%25␊.dspec,line=1,col=1,endColumn=1,title=error[DS0603]"
        "::100%25%0A::set-output name=a::b␛%0Al%0A::error::x"
    )


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("a/b.dspec", "a/b.dspec"),
        ("sub\\b.dspec", "sub/b.dspec"),
        ("ü ?#%.dspec", "%C3%BC%20%3F%23%25.dspec"),
        ("http://evil/x", "http%3A//evil/x"),
        ("//host/x", "host/x"),
        ("\ud800", "%3F"),
        ("", "unnamed"),
    ],
)
def test_uris_are_relative_and_encoded(name: str, expected: str) -> None:
    assert uri(source_of("", name)) == expected


def test_fingerprints_survive_lines_added_elsewhere_and_tell_equals_apart() -> None:
    before = diagnostic("lm «mini» { }\n")
    after = diagnostic("# new\n\nlm   «mini»   { }\n")
    other = diagnostic("lm «maxi» { }\n")
    assert fingerprints([before]) == fingerprints([after])
    assert fingerprints([before]) != fingerprints([other])
    assert len(set(fingerprints([before, before, other]))) == 3


def test_json_ranges_are_clamped_to_the_text() -> None:
    wild = Diagnostic("DS0603", "error", "m", Label(Location(source_of("ab\n"), -4, 99)))
    place = json.loads(to_json([wild]))["diagnostics"][0]["primary"]
    assert place["start"] == {"line": 1, "column": 1, "offset": 0}
    assert place["end"] == {"line": 2, "column": 1, "offset": 3}
