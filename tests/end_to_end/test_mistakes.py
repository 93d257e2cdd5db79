"""Mistakes people make, with the message each gets: what, where, what to do. Never a traceback."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from dspc import EXAMPLES, Result, dspc

SOURCE = (EXAMPLES / "tickets" / "tickets.dspec").read_text(encoding="utf-8")

Checked = Callable[[str, str], Result]


@pytest.fixture
def check_with(tmp_path: Path) -> Checked:
    """Checks the ticket example with one piece of its text replaced."""

    def check(before: str, after: str) -> Result:
        assert before in SOURCE
        shutil.copytree(EXAMPLES / "tickets" / "data", tmp_path / "data")
        (tmp_path / "tickets.dspec").write_text(SOURCE.replace(before, after, 1), encoding="utf-8")
        return dspc("check", "tickets.dspec", cwd=tmp_path)

    return check


def test_a_misspelt_field(check_with: Checked) -> None:
    result = check_with("gold.intent == pred.intent", "gold.intnet == pred.intent")
    assert result.code == 1
    assert "intnet" in result.err
    assert "did you mean `intent`" in result.err
    assert "tickets.dspec:" in result.err


def test_a_missing_column(check_with: Checked) -> None:
    result = check_with("input text: str\n  field", "input message: str\n  field")
    assert result.code == 1
    assert "`message`" in result.err
    assert "`text`" in result.err


def test_an_unknown_option(check_with: Checked) -> None:
    result = check_with("max_labeled_demos = 64", "max_labelled_demos = 64")
    assert result.code == 1
    assert "did you mean `max_labeled_demos`" in result.err


def test_a_literal_key(check_with: Checked) -> None:
    result = check_with('model = "embedded/icl"', 'model = "openai/x"; api_key = "sk-canary-5678"')
    assert result.code == 1
    assert "env(" in result.err


def test_an_unreadable_data_file(check_with: Checked, tmp_path: Path) -> None:
    result = check_with('csv("data/tickets.csv")', 'csv("data/ticket.csv")')
    assert result.code == 1
    assert "data/ticket.csv" in result.err


def test_a_data_file_that_is_not_text(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "tickets.csv").write_bytes(b"text,intent\n\xff\xfe,billing\n")
    (tmp_path / "tickets.dspec").write_text(SOURCE, encoding="utf-8")
    for command in ("check", "plan", "compile"):
        result = dspc(command, "tickets.dspec", cwd=tmp_path)
        assert result.code == 1, command
        assert "UTF-8" in result.err


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    for command in ("check", "plan", "compile", "eval", "show"):
        result = dspc(command, "nowhere.dspec", cwd=tmp_path)
        assert result.code == 2, command
        assert "nowhere.dspec" in result.err


def test_a_state_folder_that_cannot_be_used(tmp_path: Path) -> None:
    shutil.copytree(EXAMPLES / "tickets" / "data", tmp_path / "data")
    (tmp_path / "tickets.dspec").write_text(SOURCE, encoding="utf-8")
    (tmp_path / "state").write_text("a file, not a folder")
    result = dspc("compile", "tickets.dspec", cwd=tmp_path, DSPEC_STATE_DIR=str(tmp_path / "state"))
    assert result.code == 4
    assert "DSPEC_STATE_DIR" in result.err


def test_an_artifact_that_is_not_one(tmp_path: Path) -> None:
    (tmp_path / "broken.dspc.json").write_text('{"format": 1', encoding="utf-8")
    result = dspc("run", "broken.dspc.json", "--input", "text=x", cwd=tmp_path)
    assert result.code == 1
    assert "broken.dspc.json" in result.err


@pytest.mark.parametrize(
    ("given", "message"), [((), "the input `text` is missing"), (("-i", "txt=a"), "there is no input `txt`")]
)
def test_run_says_how_inputs_are_given(tmp_path: Path, given: tuple[str, ...], message: str) -> None:
    (tmp_path / "main.dspec").write_text(
        'dspec 1\n\nlm learner { model = "embedded/icl" }\nmodule ask = Predict(sig(text -> answer))\n',
        encoding="utf-8",
    )
    done = dspc("run", "main.dspec", *given, cwd=tmp_path)
    assert message in done.err
    assert "help: inputs are given by `--input name=value`" in done.err


@pytest.mark.parametrize(
    ("given", "what", "instead"),
    [
        (("run", "main.dspec", "text=hello"), "`text=hello` is", "-i text=hello"),
        (("run", "main.dspec", "ask", "text=a b", "x=1"), "`text=a b` and `x=1` are", "-i 'text=a b' -i x=1"),
        (("run", "main.dspec", "ask", "hello"), "`hello` is", "--input name=value"),
        (("export", "main.dspec", "ask", "text=a", "--to", "messages"), "`text=a` is", "-i text=a"),
    ],
)
def test_inputs_given_as_arguments(tmp_path: Path, given: tuple[str, ...], what: str, instead: str) -> None:
    done = dspc(*given, cwd=tmp_path)
    assert done.code == 2
    assert f"error: {what} too much here" in done.err
    assert f"help: inputs are given by `{instead}`" in done.err
