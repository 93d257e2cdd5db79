"""Programs that were right, broken at random: never a crash, and never a message without a place.

`DSPEC_DEEP=1` tries 10,000 of them, otherwise a few hundred.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.strategies import DrawFn

from dspec.compiler.check.analysis import Analysis, analyse
from dspec.compiler.diagnostics.codes.table import CODES
from dspec.grammar import tokenize

ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = 10_000 if os.environ.get("DSPEC_DEEP") else 250
PROGRAMS = [
    *(path.read_text(encoding="utf-8") for path in sorted((ROOT / "examples").rglob("[!.]*.dspec"))),
    *(code.right for code in CODES.values() if code.about == "main.dspec"),
]
WORDS = sorted({token.text for text in PROGRAMS for token in tokenize(text) if token.text.strip()})
"""Every word, mark and literal of all programs: what may stand where it should not."""


@st.composite
def broken_programs(draw: DrawFn) -> str:
    text = draw(st.sampled_from(PROGRAMS))
    for _ in range(draw(st.integers(1, 4))):
        tokens = [token.text for token in tokenize(text)]
        if not tokens:
            break
        at = draw(st.integers(0, len(tokens) - 1))
        other = draw(st.integers(0, len(tokens) - 1))
        match draw(st.sampled_from(["delete", "double", "swap", "replace", "insert", "cut", "garbage"])):
            case "delete":
                del tokens[at]
            case "double":
                tokens.insert(at, tokens[at])
            case "swap":
                tokens[at], tokens[other] = tokens[other], tokens[at]
            case "replace":
                tokens[at] = draw(st.sampled_from(WORDS))
            case "insert":
                tokens.insert(at, draw(st.sampled_from(WORDS)))
            case "cut":
                tokens = tokens[:at]
            case _:
                tokens.insert(at, draw(st.text(max_size=4)))
        text = "".join(tokens)
    return text


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project with the files that the programs name."""
    made = tmp_path_factory.mktemp("project")
    for code in CODES.values():
        for name, content in code.files.items():
            (made / name).write_text(content, encoding="utf-8")
    (made / "dspec.toml").touch()
    return made


def sound(analysis: Analysis) -> None:
    for found in analysis.diagnostics:
        assert found.code != "DS0000", analysis.crashes[0].traceback
        assert found.message.strip()
        edits = [edit.location for fix in found.fixes for edit in fix.edits]
        for place in (found.primary.location, *(label.location for label in found.secondary), *edits):
            assert 0 <= place.start <= place.end <= len(place.source.text), found
    assert (analysis.project is None) == any(found.severity == "error" for found in analysis.diagnostics)


@settings(
    max_examples=EXAMPLES,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(text=broken_programs(), probe=st.booleans())
def test_a_broken_program_is_told_what_is_wrong_with_it(folder: Path, text: str, probe: bool) -> None:
    sound(analyse(folder / "main.dspec", text=text, probe=probe))


def test_the_programs_start_out_right(folder: Path) -> None:
    """Else a mutation would only be noise on noise; the examples name files that are not beside them here."""
    right = [analyse(folder / "main.dspec", text=text).project is not None for text in PROGRAMS]
    assert sum(right) > len(PROGRAMS) * 3 // 4
