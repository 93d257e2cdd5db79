"""A bug of our own, put in by force: it becomes a DS0000, and everything else is still checked."""

from __future__ import annotations

from pathlib import Path

import pytest

from dspec.compiler.check import checking, project
from dspec.compiler.check.analysis import Analysis, analyse
from dspec.compiler.check.declarations import metrics
from dspec.compiler.cli.crash import with_reports
from dspec.compiler.project import loading

PROGRAM = """\
dspec 1

lm mini { model = "openai/gpt-4o-mini" }
module ask = Predict(sig(text -> topic))
module other = Predict(Unknown)
dataset rows { source = csv("rows.csv"); input text: str; field topic: str; split { a = 50%; b = 50% } }
metric right(gold: rows, pred: ask) = gold.topic == pred.topic
optimize one { program = ask; metric = right; train = rows.a; val = rows.b; step d = BootstrapFewShot() }
eval ship { program = one; metric = right; data = rows.b }
"""


def broken(*_: object, **__: object) -> None:
    raise RuntimeError("something is off\nin two lines")


def checked(folder: Path) -> Analysis:
    (folder / "dspec.toml").touch()
    (folder / "rows.csv").write_text("text,topic\n" + "".join(f"m{i},t\n" for i in range(40)))
    (folder / "main.dspec").write_text(PROGRAM)
    return analyse(folder / "main.dspec")


def test_a_check_that_fails_is_told_where_it_failed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metrics, "_score", broken)
    analysis = checked(tmp_path)
    (crash,) = [each for each in analysis.diagnostics if each.code == "DS0000"]
    place = crash.primary.location
    assert place.source.text[place.start : place.end] == "right", "the innermost declaration, told once"
    assert crash.message == "dspc itself failed here: RuntimeError: something is off"
    assert crash.severity == "error"
    assert "DS0201" in {each.code for each in analysis.diagnostics}, "the rest was checked"
    assert "DS0210" not in {each.code for each in analysis.diagnostics}, "and not taken for a circle"
    assert analysis.project is None
    assert "in broken" in analysis.crashes[0].traceback


@pytest.mark.parametrize(
    "stage",
    [
        (project, "check_syntax"),
        (checking, "read_settings"),
        (loading.Files, "load"),
        (checking, "check_declarations"),
        (checking, "in_order"),
    ],
)
def test_whatever_stage_fails_there_is_a_diagnostic_on_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stage: tuple[object, str]
) -> None:
    monkeypatch.setattr(*stage, broken)
    analysis = checked(tmp_path)
    assert "DS0000" in {each.code for each in analysis.diagnostics}
    assert all(each.primary.location.source.name == "main.dspec" for each in analysis.diagnostics)
    assert analysis.project is None


def test_lowering_that_fails_is_a_diagnostic_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checking, "lower", broken)
    (tmp_path / "main.dspec").write_text('dspec 1\n\nlm mini { model = "openai/gpt-4o-mini" }\n')
    analysis = analyse(tmp_path / "main.dspec")
    assert [each.code for each in analysis.diagnostics] == ["DS0000"]


def test_the_report_holds_the_traceback_and_no_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SECRET_FOR_THE_TEST", "sk-canary-77")
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.setattr(project, "check_defaults", broken)
    found = with_reports(checked(tmp_path))
    (crash,) = [each for each in found if each.code == "DS0000"]
    (report,) = tmp_path.glob("dspc-crash-*.txt")
    assert crash.help == f"please report it with {report}"
    text = report.read_text()
    assert "in broken" in text
    assert "sk-canary-77" not in text


def test_an_analysis_without_crashes_writes_no_report(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    assert with_reports(checked(tmp_path))
    assert not list(tmp_path.glob("dspc-crash-*"))
