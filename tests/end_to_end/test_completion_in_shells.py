"""`dspc completion` in the shells that are installed: commands, options, and names out of the file."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from dspc import dspc
from forking import SCRIPT

SOURCE = """\
dspec 1

lm learner { model = "embedded/icl" }
module router = Predict("a -> b")
optimize router_v1 { program = router }
optimize other { program = router }
eval held_out { program = router }
broken {
"""
CASES = [
    ("dspc comp", "compile", {"check"}),
    ("dspc ev", "eval", {"check"}),
    ("dspc compile --no-e", "--no-evals", {"--events"}),
    ("dspc compile main.dspec rou", "router_v1", {"other", "router", "held_out"}),
    ("dspc eval main.dspec ", "held_out", {"router_v1"}),
    ("dspc completion z", "zsh", {"bash"}),
]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "main.dspec").write_text(SOURCE, encoding="utf-8")
    for shell in ("bash", "zsh", "fish"):
        made = dspc("completion", shell, cwd=tmp_path)
        assert made.code == 0, made.text
        (tmp_path / f"it.{shell}").write_text(made.out, encoding="utf-8")
    return tmp_path


def ran(shell: str, script: str, folder: Path, *more: str) -> list[str]:
    if shutil.which(shell) is None:
        pytest.skip(f"{shell} is not installed")
    path = f"{SCRIPT.parent}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        [shell, *more, "-c", script],
        cwd=folder,
        env={**os.environ, "PATH": path, "HOME": str(folder)},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert not done.stderr, done.stderr
    return done.stdout.split("\n")


@pytest.mark.parametrize(("line", "wanted", "others"), CASES)
def test_bash(folder: Path, line: str, wanted: str, others: set[str]) -> None:
    words = line.split(" ")
    given = " ".join(f"'{word}'" for word in words)
    script = f"source it.bash; COMP_WORDS=({given}); COMP_CWORD={len(words) - 1}; _dspc_completion dspc; printf '%s\\n' \"${{COMPREPLY[@]}}\""
    found = set(ran("bash", script, folder))
    assert wanted in found
    assert not found & others


@pytest.mark.parametrize(("line", "wanted", "others"), CASES)
def test_zsh(folder: Path, line: str, wanted: str, others: set[str]) -> None:
    given = " ".join(f"'{word}'" for word in line.split(" "))
    # What zsh's own functions are given is what they show.
    script = (
        'compdef() { :; }; _arguments() { print -r -- "$@"; }; _files() { print files; }; source ./it.zsh; '
        f"words=({given}); CURRENT=$#words; _dspc_completion"
    )
    found = "\n".join(ran("zsh", script, folder, "-f"))
    assert f'"{wanted}"' in found
    assert not any(f'"{other}"' in found for other in others)


@pytest.mark.parametrize(("line", "wanted", "others"), CASES)
def test_fish(folder: Path, line: str, wanted: str, others: set[str]) -> None:
    shown = ran("fish", f"source it.fish; complete --do-complete '{line}'", folder, "--no-config")
    found = {each.split("\t")[0] for each in shown}
    assert wanted in found
    assert not found & others


def test_a_shell_that_is_not_known(tmp_path: Path) -> None:
    done = dspc("completion", "tcsh", cwd=tmp_path)
    assert done.code == 2
    assert "fish" in done.err


def test_names_are_completed_without_what_makes_calls() -> None:
    """A shell asks at every press of a key."""
    code = (
        "import sys, dspec.compiler.cli.plan, dspec.compiler.cli.compile, dspec.compiler.cli.evaluate, dspec.compiler.cli.run;"
        "print([one for one in ('asyncio', 'dspec.runtime.models', 'dspec.compiler.ir') if one in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
