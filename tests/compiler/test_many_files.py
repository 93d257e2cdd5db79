"""Several files in one check: each is read, parsed and checked once, and what is said is said once."""

from __future__ import annotations

from pathlib import Path

import pytest

from dspec.compiler.check.analysis import analyse, analyse_all
from dspec.compiler.project import loading

LIBRARY = """dspec 1

module answer = Predict(sig(question -> reply))

dataset rows {
  source = csv("missing.csv")
  input question: str
}

module broken = Predict(Absent)
"""
USER = """dspec 1

import "{library}" as library

lm learner {{ model = "embedded/icl" }}

metric right(gold: library.rows, pred: library.answer) {{
  score = gold.{column} == pred.reply
}}
"""


def said(folder: Path, *names: str) -> list[tuple[str, str]]:
    return [
        (found.primary.location.source.name, found.code)
        for analysis in analyse_all([folder / name for name in names])
        for found in analysis.diagnostics
    ]


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "dspec.toml").touch()
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "library.dspec").write_text(LIBRARY)
    for name, column in (("a", "question"), ("b", "question"), ("z", "qestion")):
        (tmp_path / f"{name}.dspec").write_text(USER.format(library="data/library.dspec", column=column))
    return tmp_path


LIBRARY_FINDINGS = [("data/library.dspec", "DS0401"), ("data/library.dspec", "DS0201")]


def test_what_is_imported_is_checked_as_its_importers_see_it(project: Path) -> None:
    alone = said(project, "data/library.dspec")
    assert [code for _, code in alone].count("DS0701") > 0, "by itself it has no model"
    assert said(project, "data/library.dspec", "a.dspec") == LIBRARY_FINDINGS


def test_one_mistake_in_a_shared_file_is_one_finding(project: Path) -> None:
    found = said(project, "a.dspec", "b.dspec", "data/library.dspec", "z.dspec")
    assert sorted(found) == sorted([*LIBRARY_FINDINGS, ("z.dspec", "DS0501")])


def test_every_file_is_read_and_parsed_once(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    parsed: list[str] = []
    parse = loading.parse

    def counted(text: str) -> loading.SourceTree:
        parsed.append(text)
        return parse(text)

    monkeypatch.setattr(loading, "parse", counted)
    analyse_all(
        [project / "a.dspec", project / "b.dspec", project / "z.dspec", project / "data/library.dspec"]
    )
    assert len(parsed) == 4


def test_files_that_import_each_other_are_checked_from_the_first(tmp_path: Path) -> None:
    (tmp_path / "dspec.toml").touch()
    (tmp_path / "one.dspec").write_text('dspec 1\nimport "two.dspec" as two\n')
    (tmp_path / "two.dspec").write_text('dspec 1\nimport "one.dspec" as one\n')
    found = said(tmp_path, "one.dspec", "two.dspec")
    assert found == said(tmp_path, "one.dspec")
    assert ("two.dspec", "DS0214") in found


def test_one_file_gives_what_it_gives_alone(project: Path) -> None:
    (analysis,) = analyse_all([project / "z.dspec"])
    assert analysis.diagnostics == analyse(project / "z.dspec").diagnostics


def test_a_file_that_cannot_be_read_is_said_to_be_so_by_each_that_needs_it(project: Path) -> None:
    (project / "data" / "library.dspec").write_bytes(b"\xff")
    found = said(project, "data/library.dspec", "a.dspec")
    assert sorted(found) == [
        ("a.dspec", "DS0204"),
        ("data/library.dspec", "DS0810"),
    ]


def test_too_many_declarations_are_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loading, "MAX_DECLARATIONS", 3)
    (tmp_path / "main.dspec").write_text("dspec 1\n" + 'lm x { model = "m" }\n' * 3)
    (found,) = analyse(tmp_path / "main.dspec").diagnostics
    assert found.code == "DS0810"
    assert found.message == "`main.dspec` cannot be read: it has 4 declarations; at most 3 are read"
