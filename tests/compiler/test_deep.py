"""`dspc check --deep`, the cache of what data files hold, and exit codes of the command."""

from __future__ import annotations

from pathlib import Path

import pytest
import typer

from dspec.compiler.check import checking as front
from dspec.compiler.check.analysis import analyse
from dspec.compiler.cli.check import Format, check
from dspec.compiler.data import FolderCache

PROGRAM = 'dspec 1\n\ndataset rows { source = csv("rows.csv"); input text: str; field size: int }\n'


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A data file whose last row breaks its type, taken for a large one."""
    monkeypatch.setattr("dspec.compiler.data.probing.WHOLE_BYTES", 100)
    monkeypatch.setattr("dspec.compiler.data.checking.SAMPLE_ROWS", 5)
    (tmp_path / "dspec.toml").touch()
    (tmp_path / "rows.csv").write_text("text,size\n" + "a,1\n" * 100 + "b,many\n")
    (tmp_path / "main.dspec").write_text(PROGRAM)
    monkeypatch.delenv("DSPEC_STATE_DIR", raising=False)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_large_file_is_sampled_unless_the_check_is_deep(project: Path) -> None:
    quick = analyse(project / "main.dspec")
    assert (quick.diagnostics, quick.sampled) == ((), ("rows.csv",))
    deep = analyse(project / "main.dspec", deep=True)
    assert [each.code for each in deep.diagnostics] == ["DS0403"]
    assert "line 102" in deep.diagnostics[0].message
    assert deep.sampled == ()


def test_the_two_kinds_of_check_are_remembered_apart(project: Path) -> None:
    cache = FolderCache(project / "cache")
    for _ in range(2):
        assert not analyse(project / "main.dspec", cache=cache).diagnostics
        assert analyse(project / "main.dspec", cache=cache, deep=True).diagnostics


def test_a_remembered_file_is_not_read_again(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cache = FolderCache(project / "cache")
    first = analyse(project / "main.dspec", cache=cache, deep=True).diagnostics

    def unread(*_: object) -> None:
        raise AssertionError("the data file was opened again")

    monkeypatch.setattr("dspec.compiler.data.checking.open_table", unread)
    again = analyse(project / "main.dspec", cache=cache, deep=True)
    assert again.diagnostics == first


def test_the_command_says_that_it_sampled(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    check([project / "main.dspec"])
    assert "of rows.csv only the first rows were checked; --deep checks them all" in capsys.readouterr().err
    with pytest.raises(typer.Exit) as left:
        check([project / "main.dspec"], deep=True)
    assert left.value.exit_code == 1
    assert "--deep checks them all" not in capsys.readouterr().err


def test_a_bug_ends_the_command_with_its_own_exit_code(
    project: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken(*_: object) -> None:
        raise KeyError("oops")

    monkeypatch.setattr("tempfile.tempdir", str(project))
    monkeypatch.setattr(front, "check_declarations", broken)
    with pytest.raises(typer.Exit) as left:
        check([project / "main.dspec"], style=Format.human)
    assert left.value.exit_code == 70
    shown = capsys.readouterr().err
    assert "DS0000" in shown
    assert "dspc-crash-" in shown
    assert "Traceback" not in shown
