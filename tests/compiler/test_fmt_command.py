"""`dspc fmt` as it is called: files, folders, standard input, and what is no text."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
from dspc import DSPC

UNTIDY = 'dspec 1\nlm   a { model="embedded/icl"}\n'
TIDY = 'dspec 1\nlm a { model = "embedded/icl" }\n'


def fmt(folder: Path, *arguments: str, given: str = "") -> tuple[int, str, str]:
    done = subprocess.run(
        [str(DSPC), "fmt", *arguments], cwd=folder, input=given, capture_output=True, text=True, timeout=60
    )
    return done.returncode, done.stdout, done.stderr


def test_standard_input_is_formatted_checked_and_compared(tmp_path: Path) -> None:
    assert fmt(tmp_path, "-", given=UNTIDY) == (0, TIDY, "")
    assert fmt(tmp_path, "--check", "-", given=UNTIDY) == (1, "", "")
    assert fmt(tmp_path, "--check", "-", given=TIDY) == (0, "", "")
    code, said, _ = fmt(tmp_path, "--check", "--diff", "-", given=UNTIDY)
    assert code == 1
    assert "-lm   a {" in said
    assert "+lm a {" in said
    assert fmt(tmp_path, "--check", "--diff", "-", given=TIDY)[0] == 0


def test_files_are_written_only_when_that_is_asked_for(tmp_path: Path) -> None:
    path = tmp_path / "main.dspec"
    path.write_text(UNTIDY)
    assert fmt(tmp_path, "--check")[0] == 1
    assert fmt(tmp_path, "--diff")[0] == 1
    assert path.read_text() == UNTIDY
    assert fmt(tmp_path)[0] == 0
    assert path.read_text() == TIDY
    assert fmt(tmp_path, "--check")[0] == 0


def test_what_is_no_text_is_said_to_be_so_and_the_rest_is_formatted(tmp_path: Path) -> None:
    (tmp_path / "bytes.dspec").write_bytes(b"lm   a\xff\xfe")
    (tmp_path / "good.dspec").write_text(UNTIDY)
    if hasattr(os, "mkfifo"):
        os.mkfifo(tmp_path / "pipe.dspec")
    code, _, said = fmt(tmp_path)
    assert code == 1
    assert "bytes.dspec cannot be read: it is not UTF-8 text" in said
    assert "DS0000" not in said
    assert (tmp_path / "good.dspec").read_text() == TIDY
    assert (tmp_path / "bytes.dspec").read_bytes() == b"lm   a\xff\xfe"


@pytest.mark.parametrize("name", ["absent.dspec", "absent"])
def test_a_path_that_is_not_there(name: str, tmp_path: Path) -> None:
    code, _, said = fmt(tmp_path, name)
    assert (code, said.splitlines()[0]) == (2, f"error: there is no file {name}")
