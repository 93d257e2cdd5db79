"""Other systems, as far as this one can play them: no POSIX calls, other line ends, alphabets, paths and ways to start processes."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from dspc import DSPC, dspc

from dspec.compiler.check.analysis import analyse
from dspec.grammar import format_text

SOURCE = """dspec 1
lm learner { model = "embedded/icl" }
signature Sort {
  "Say what the message is."
  input text: str
  output kind: "praise" | "complaint"
}
module sorter = Predict(Sort)
dataset messages {
  source = csv("data/messages.csv")
  input text: str
  field kind: "praise" | "complaint"
}
metric right(gold: messages, pred: sorter) { score = gold.kind == pred.kind }
optimize sorted {
  program = sorter
  metric = right
  train = messages
  step labels = LabeledFewShot(k = 4)
}
eval held { program = sorted; metric = right; data = messages }
"""
ROWS = "text,kind\nI love it,praise\nIt is broken,complaint\nso good,praise\nso bad,complaint\n"
WITHOUT_POSIX = """
import asyncio, logging, os, signal, ssl, subprocess, sys, tempfile, uuid
import multiprocessing.util
for module in ("fcntl", "grp", "pwd", "resource", "termios"):
    sys.modules[module] = None
for name in ("O_CLOEXEC", "O_NOFOLLOW", "O_NONBLOCK", "O_DIRECTORY", "pread", "pwrite", "fork", "killpg", "getpgid",
             "geteuid", "getuid", "setsid", "mkfifo", "sysconf"):
    if hasattr(os, name):
        delattr(os, name)
for name in ("SIGHUP", "SIGKILL", "SIGCHLD", "SIGPIPE", "SIGUSR1", "SIGXFSZ"):
    if hasattr(signal, name):
        delattr(signal, name)
def unknown(*_):
    raise NotImplementedError
asyncio.SelectorEventLoop.add_signal_handler = unknown
"""


def made(folder: Path, *, line_end: str = "\n", bom: bool = False) -> Path:
    (folder / "data").mkdir(parents=True)
    (folder / "dspec.toml").touch()
    for path, text in ((folder / "main.dspec", SOURCE), (folder / "data" / "messages.csv", ROWS)):
        path.write_bytes((b"\xef\xbb\xbf" if bom else b"") + text.replace("\n", line_end).encode())
    return folder


def test_commands_need_no_posix_calls(tmp_path: Path) -> None:
    project = made(tmp_path / "project")
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "sitecustomize.py").write_text(WITHOUT_POSIX)
    for command in (
        "check main.dspec",
        "fmt main.dspec",
        "plan main.dspec",
        "compile main.dspec",
        "compile main.dspec --locked",
        "eval main.dspec",
        "verify compiled/sorted.dspc.json",
        "run compiled/sorted.dspc.json -i text=good",
        "show compiled/sorted.dspc.json",
        "cache info",
    ):
        done = dspc(*command.split(), cwd=project, PYTHONPATH=str(tmp_path / "site"))
        assert done.code == 0, (command, done.text)
    probe = "import os, sys; print(hasattr(os, 'fork'), sys.modules['fcntl'])"
    said = subprocess.run(
        [sys.executable, "-c", probe],
        env={**os.environ, "PYTHONPATH": str(tmp_path / "site")},
        capture_output=True,
        text=True,
        check=True,
    )
    assert said.stdout.split() == ["False", "None"], "the calls were there"


def test_line_ends_and_a_mark_at_the_start_change_nothing_but_bytes(tmp_path: Path) -> None:
    artifacts: list[dict[str, object]] = []
    for name, line_end, bom in (("lf", "\n", False), ("crlf", "\r\n", False), ("bom", "\r\n", True)):
        project = made(tmp_path / name, line_end=line_end, bom=bom)
        assert dspc("check", "main.dspec", cwd=project).code == 0
        done = dspc("compile", "main.dspec", cwd=project)
        assert done.code == 0, done.text
        assert dspc("verify", "compiled/sorted.dspc.json", cwd=project).code == 0
        plain = json.loads((project / "compiled" / "sorted.dspc.json").read_bytes())
        assert b"\r" not in (project / "compiled" / "sorted.dspc.json").read_bytes()
        files = plain["provenance"].pop("files")
        assert [one["path"] for one in files] == ["main.dspec", "data/messages.csv"]
        del plain["sha256"]
        artifacts.append(plain)
    assert artifacts[0] == artifacts[1] == artifacts[2]
    crlf = SOURCE.replace("\n", "\r\n")
    assert format_text(format_text(crlf)) == format_text(crlf)


@pytest.mark.parametrize(
    "path",
    [
        "C:\\rows.csv",
        "C:rows.csv",
        "C:/rows.csv",
        "\\rows.csv",
        "\\\\host\\share\\rows.csv",
        "//host/share/rows.csv",
    ],
)
def test_paths_of_windows_lead_nowhere(tmp_path: Path, path: str) -> None:
    project = made(tmp_path / "project")
    written = path.replace("\\", "\\\\")
    source = project / "main.dspec"
    source.write_text(SOURCE.replace("data/messages.csv", written))
    found = analyse(source)
    assert found.project is None
    assert any(re.search("outside|no such file|backslash", one.message) for one in found.diagnostics)
    source.write_text(SOURCE + f'import "{written}" as other\n')
    assert analyse(source).project is None
    source.write_text(SOURCE)
    assert dspc("compile", "main.dspec", cwd=project).code == 0
    place = project / "compiled" / "sorted.dspc.json"
    plain = json.loads(place.read_bytes())
    plain["provenance"]["files"][1]["path"] = path
    place.write_text(json.dumps(plain))
    assert dspc("verify", "compiled/sorted.dspc.json", cwd=project).code == 1


def test_a_name_in_another_case_is_told(tmp_path: Path) -> None:
    project = made(tmp_path / "project")
    (project / "main.dspec").write_text(SOURCE.replace("data/messages.csv", "data/Messages.CSV"))
    said = dspc("check", "main.dspec", cwd=project)
    assert said.code == 1
    assert "messages.csv" in said.err.partition("did you mean")[2]


@pytest.mark.parametrize(
    "environment",
    [
        {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
        {"PYTHONIOENCODING": "cp1252"},
        {"PYTHONIOENCODING": "ascii"},
    ],
    ids=["c", "cp1252", "ascii"],
)
def test_alphabets_of_terminals_lose_no_command(tmp_path: Path, environment: dict[str, str]) -> None:
    project = made(tmp_path / "prüfung")
    source = project / "main.dspec"
    source.write_text(SOURCE.replace("Say what", "Sag, 日本 🙂"), "utf-8")
    clean = {**os.environ, "NO_COLOR": "1", **environment}
    for command in (
        "check main.dspec",
        "compile main.dspec",
        "verify compiled/sorted.dspc.json",
        "show compiled/sorted.dspc.json",
    ):
        done = subprocess.run(
            [str(DSPC), *command.split()], cwd=project, env=clean, capture_output=True, check=False
        )
        assert done.returncode == 0, done.stderr
        assert b"Traceback" not in done.stderr
    assert "日本 🙂" in (project / "compiled" / "sorted.dspc.json").read_text("utf-8")


SPAWNED = """
import multiprocessing
from dspec import load

def asked(text):
    with load("compiled/sorted.dspc.json") as program:
        return program(text=text).kind

if __name__ == "__main__":
    for method in ("spawn", "forkserver"):
        with multiprocessing.get_context(method).Pool(2) as pool:
            print(*pool.map(asked, ["so good", "so bad"]))
"""


def test_an_application_may_start_its_processes_by_spawning(tmp_path: Path) -> None:
    project = made(tmp_path / "project")
    assert dspc("compile", "main.dspec", cwd=project).code == 0
    (project / "app.py").write_text(SPAWNED)
    done = subprocess.run(
        [sys.executable, "app.py"], cwd=project, capture_output=True, text=True, check=False, timeout=240
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["praise", "complaint"] * 2
