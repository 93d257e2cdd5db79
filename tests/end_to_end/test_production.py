"""`docs/production.md`: what it shows runs as it stands there, from the first recorded call to the program of next week."""

import csv
import os
import re
import shutil
import sqlite3
import subprocess
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from dspc import DSPC, EXAMPLES, dspc

from dspec import RecordSettings, load
from dspec.runtime.models.background import shutdown

PAGE = EXAMPLES.parent / "docs" / "production.md"
SNIPPET = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)
FILE = re.compile(r"^```\w+\n(# (\S+\.\w+)\n.*?)^```$", re.MULTILINE | re.DOTALL)
CONSOLE = re.compile(r"^```console\n(dspc .*?)\n```$", re.MULTILINE)


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The project of the page: the desk, compiled and live, and the files that the page shows."""
    folder = tmp_path_factory.mktemp("production") / "desk"
    (folder / "data").mkdir(parents=True)
    for name in ("desk.dspec", "data/messages.csv"):
        shutil.copy(EXAMPLES / "embedding" / name, folder / name)
    assert dspc("compile", "desk.dspec", cwd=folder).code == 0
    (folder / "live").mkdir()
    shutil.copy(folder / "compiled/desk_v1.dspc.json", folder / "live/desk.dspc.json")
    for text, name in FILE.findall(PAGE.read_text(encoding="utf-8")):
        (folder / name).write_text(text, encoding="utf-8")
    return folder


@pytest.fixture(autouse=True)
def _stopped() -> Iterator[None]:  # pyright: ignore[reportUnusedFunction]
    yield
    shutdown()


def weekly(folder: Path) -> subprocess.CompletedProcess[str]:
    paths = f"{DSPC.parent}{os.pathsep}{os.environ['PATH']}"
    return subprocess.run(
        ["sh", "weekly.sh"],
        cwd=folder,
        env={**os.environ, "PATH": paths, "NO_COLOR": "1"},
        capture_output=True,
        text=True,
        check=False,
    )


def served(folder: Path, *, mended: bool) -> None:
    """A week: messages come in, and somebody confirms each answer or says what is right. Not `mended`, all are confirmed."""
    live = load(
        folder / "live/desk.dspc.json", record=RecordSettings(folder / "recorded.sqlite", name="desk")
    )
    rows = list(csv.DictReader((folder / "data/messages.csv").read_text(encoding="utf-8").splitlines()))
    for row, more in ((row, more) for more in ("", ".", "!", " ?") for row in rows):
        right = {"team": row["team"], "urgent": row["urgent"] == "true"}
        result = live(message=row["message"] + more)
        if mended and result.outputs != right:
            live.feedback(result, score=0, outputs=right)
        else:
            live.feedback(result, score=1)
    live.close()


def test_the_page_runs(
    desk: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(desk)
    names: dict[str, Any] = {}
    for found in SNIPPET.finditer(PAGE.read_text(encoding="utf-8")):
        exec(found[1], names)
    names["desk"].close()
    names["careful"].close()
    with closing(sqlite3.connect("recorded.sqlite")) as database:
        rows = database.execute("SELECT id, program, inputs, trace IS NULL FROM calls").fetchall()
        said = database.execute("SELECT id, score, outputs FROM feedback ORDER BY seq").fetchall()
    first = names["result"].call_id
    assert rows[0][:2] == (first, "desk")
    assert rows[1][1:] == ("desk", '{"message":"Where is order #?"}', 1)
    assert said == [(first, 1.0, None), (first, 0.0, '{"team":"billing"}')]
    assert first in capsys.readouterr().out
    (command,) = (found[1] for found in CONSOLE.finditer(PAGE.read_text(encoding="utf-8")))
    told = dspc(*command.split()[1:], cwd=desk)
    assert told.code in (0, 6), told.text
    assert "2 recorded calls, 1 of them scored, beside 60 rows" in told.out
    (desk / "recorded.sqlite").unlink()


def test_a_week_is_compiled_and_a_gate_holds_it(desk: Path, tmp_path: Path) -> None:
    folder = tmp_path / "desk"
    shutil.copytree(desk, folder)
    live = folder / "live/desk.dspc.json"
    before = live.read_bytes()

    nothing = weekly(folder)
    assert nothing.returncode == 1
    assert "is an SQLite file, but none of recorded calls" in nothing.stderr
    assert live.read_bytes() == before

    served(folder, mended=True)
    better = weekly(folder)
    assert better.returncode == 0, better.stdout + better.stderr
    assert "240 recorded calls, 240 of them scored" in better.stdout
    assert live.read_bytes() != before
    assert load(live).artifact.name == "desk_next"

    # In the next week all that is live says is taken for right: nothing can be better, and what is worse is held.
    before = live.read_bytes()
    (folder / "recorded.sqlite").unlink()
    served(folder, mended=False)
    worse = folder / "weekly.dspec"
    worse.write_text(
        worse.read_text().replace("KNNFewShot(k = 8)", "LabeledFewShot(k = 1)"), encoding="utf-8"
    )
    held = weekly(folder)
    assert held.returncode == 1, held.stdout + held.stderr
    assert live.read_bytes() == before
