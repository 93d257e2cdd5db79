"""`dspc dev` as somebody uses it: saves, mistakes, budgets and Ctrl-C, with a model on loopback."""

from __future__ import annotations

import json
import os
import pty
import shutil
import signal
import sqlite3
import subprocess
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest
from dspc import DSPC, dspc
from server import beside

SOURCE = """dspec 1
lm fake {{ model = "openai/fake"; api_base = "{url}"; api_key = env("FAKE_KEY"); retry = 0 }}
signature Sort {{
  "Say what the message is."
  input text: str
  output kind: "praise" | "complaint"
}}
module sorter = Predict(Sort)
dataset messages {{
  source = csv("messages.csv")
  input text: str
  field kind: "praise" | "complaint"
  split {{ train = 50%; val = 50%; seed = 1 }}
}}
metric right(gold: messages, pred: sorter) {{ score = gold.kind == pred.kind }}
optimize sorted {{
  program = sorter
  metric = right
  train = messages.train
  val = messages.val
  scoring = "all"
  step labels = LabeledFewShot(k = 4, sample = false)
}}
eval held {{
  program = sorted
  metric = right
  data = messages.val
}}
"""
ROWS = "text,kind\n" + "".join(
    f"{text} {number},{kind}\n"
    for number in range(10)
    for text, kind in (("I love it", "praise"), ("It is broken", "complaint"))
)


class Session:
    """A `dspc dev` that runs: what it says, and the project that it watches."""

    def __init__(self, project: Path, process: subprocess.Popen[bytes], said: Callable[[], str]) -> None:
        self.project, self.process, self._said = project, process, said
        self.source = project / "main.dspec"

    @property
    def said(self) -> str:
        return self._said()

    def until(self, text: str, times: int = 1) -> None:
        self.when(lambda: self.said.count(text) >= times, text)

    def when(self, holds: Callable[[], bool], what: str) -> None:
        for _ in range(1200):
            if holds():
                return
            assert self.process.poll() is None, self.said
            time.sleep(0.05)
        raise AssertionError(f"waited for {what!r} in vain:\n{self.said}")

    def save(self, before: str, after: str) -> None:
        text = self.source.read_text()
        assert before in text
        self.source.write_text(text.replace(before, after, 1))

    def end(self) -> int:
        self.process.send_signal(signal.SIGINT)
        return self.process.wait(60)


def made(folder: Path, url: str) -> Path:
    (folder / "dspec.toml").touch()
    (folder / "messages.csv").write_text(ROWS)
    (folder / "main.dspec").write_text(SOURCE.format(url=url))
    return folder


@contextmanager
def session(project: Path, *flags: str, command: str = "dev") -> Iterator[Session]:
    log = project.parent / "said.txt"
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("OPENAI_", "DSPEC_"))}
    with log.open("wb") as out:
        process = subprocess.Popen(
            [str(DSPC), command, "main.dspec", *flags],
            cwd=project,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.STDOUT,
            env={**clean, "FAKE_KEY": "k", "NO_COLOR": "1", "COLUMNS": "110"},
        )
    try:
        yield Session(project, process, lambda: log.read_text("utf-8", "replace"))
        assert "Traceback" not in log.read_text("utf-8", "replace")
    finally:
        process.kill()
        process.wait()


def stats(url: str) -> dict[str, Any]:
    with urllib.request.urlopen(url.removesuffix("/v1") + "/stats") as answer:
        return dict(json.load(answer))


@pytest.fixture(scope="module")
def quick() -> Iterator[str]:
    with beside("--answer", "embedded") as url:
        yield url


@pytest.fixture(scope="module")
def slow() -> Iterator[str]:
    with beside("--answer", "embedded", "--latency", "0.4") as url:
        yield url


@pytest.fixture
def project(tmp_path: Path) -> Path:
    folder = tmp_path / "project"
    folder.mkdir()
    return folder


def test_a_save_is_checked_compiled_and_compared(project: Path, quick: str) -> None:
    made(project, quick)
    before = stats(quick)["requests"]
    with session(project, "--max-calls", "500") as at:
        at.until("wrote compiled/sorted.dspc.json")
        at.until("no errors")
        first = (project / "compiled" / "sorted.dspc.json").read_bytes()
        asked = stats(quick)["requests"]
        at.save("gold.kind == pred.kind", "gold.knd == pred.kind")
        at.until("nothing is compiled until they are mended")
        assert "DS0501" in at.said
        at.save("gold.knd == pred.kind", "gold.kind == pred.kind")
        at.until("no errors", 2)
        at.save("dspec 1", "dspec 1\n# a comment")
        time.sleep(1.0)
        assert stats(quick)["requests"] == asked, "what is fresh is not compiled again"
        assert at.said.count("compiling") == 1
        at.save("k = 4", "k = 1")
        at.until("sorted: before → after")
        at.until("model calls ·", 2)
        assert "steps.labels.options.k: 4 → 1" in at.said
        assert "on val: right " in at.said
        assert "val (messages.val), 10 rows: " in at.said
        assert "eval held (messages.val), 10 rows: " in at.said
        assert at.end() == 0
        assert f"this session took {stats(quick)['requests'] - before} model calls" in at.said
    (project / "main.dspec").write_text(SOURCE.format(url=quick))
    alone = dspc("compile", "main.dspec", "--out", "alone", cwd=project, FAKE_KEY="k")
    assert alone.code == 0, alone.text
    assert (project / "alone" / "sorted.dspc.json").read_bytes() == first


def test_rows_that_are_saved_are_a_change_too(project: Path, quick: str) -> None:
    made(project, quick)
    with session(project, "--max-calls", "500") as at:
        at.until("wrote compiled/sorted.dspc.json")
        (project / "messages.csv").write_text(ROWS.replace("I love it 3", "I adore it 3"))
        at.until("model calls ·", 2)
        assert "  train: " in at.said or "  val: " in at.said
        assert at.end() == 0


def test_a_save_during_a_compile_ends_it_and_keeps_its_answers(project: Path, slow: str) -> None:
    made(project, slow)
    with session(project, "--max-calls", "500", "-j", "2") as at:
        at.until("compiling")
        begun = stats(slow)["requests"]
        at.when(lambda: stats(slow)["requests"] >= begun + 3, "requests")
        at.save("dspec 1", "dspec 1\n# a comment")
        time.sleep(0.8)
        assert "stopped by a save" not in at.said
        at.save("k = 4", "k = 1")
        at.until("stopped by a save; every answer is kept")
        at.until("compiling", 2)
        at.until("wrote compiled/sorted.dspc.json")
        assert at.end() == 0
        asked = stats(slow)["asked"]
        assert set(asked.values()) == {1}, "no answer was asked for twice"
    assert not list((project / "compiled").glob("*.partial.*"))


def test_a_budget_is_of_the_whole_session(project: Path, quick: str) -> None:
    made(project, quick)
    before = stats(quick)["requests"]
    with session(project, "--max-calls", "25") as at:
        at.until("model calls ·")
        at.save("Say what", "Tell what")
        at.until("the budget is spent")
        at.save("Tell what", "Name what")
        at.until("compiling", 3)
        at.until("the budget is spent", 2)
        assert at.end() == 0
    assert stats(quick)["requests"] - before <= 25


def test_without_a_budget_nothing_that_costs_is_asked(project: Path, quick: str) -> None:
    made(project, quick)
    before = stats(quick)["requests"]
    with session(project) as at:
        at.until("give --max-calls or --max-usd")
        at.save("k = 4", "k = 1")
        at.until("give --max-calls or --max-usd", 2)
        assert at.end() == 0
    assert stats(quick)["requests"] == before
    assert not (project / "compiled").exists()


def test_ctrl_c_in_a_compile_keeps_what_was_answered(project: Path, slow: str) -> None:
    made(project, slow)
    with session(project, "--max-calls", "500", "-j", "2") as at:
        at.until("compiling")
        begun = stats(slow)["requests"]
        at.when(lambda: stats(slow)["requests"] >= begun + 3, "requests")
        assert at.end() == 130
        assert "stopping: waiting for the answers on their way" in at.said
        taken = stats(slow)["requests"] - begun
    with closing(sqlite3.connect(project / ".dspec" / "ledger.sqlite")) as ledger:
        names = [name for (name,) in ledger.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        counts = [ledger.execute(f'SELECT count(*) FROM "{name}"').fetchone()[0] for name in names]
    assert max(counts) >= taken - 2


def test_a_provider_that_fails_does_not_end_the_session(project: Path) -> None:
    with beside("--answer", "embedded", "--dead-from", "1") as url:
        made(project, url)
        with session(project, "--max-calls", "500") as at:
            at.until("(503)")
            at.save("k = 4", "k = 1")
            at.until("compiling", 2)
            at.until("(503)", 2)
            assert at.end() == 0


def test_files_may_go_and_come_back(project: Path, quick: str) -> None:
    made(project, quick)
    with session(project, "--max-calls", "500") as at:
        at.until("wrote compiled/sorted.dspc.json")
        shutil.move(project / "messages.csv", project / "away.csv")
        at.until("there is no such file")
        shutil.move(project / "away.csv", project / "messages.csv")
        at.until("no errors", 2)
        text = at.source.read_text()
        at.source.unlink()
        at.until("nothing is compiled until they are mended", 2)
        at.source.write_text(text)
        at.until("no errors", 3)
        assert at.said.count("compiling") == 1
        assert at.end() == 0


def test_in_a_terminal_ctrl_c_ends_it(project: Path, quick: str) -> None:
    made(project, quick)
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [str(DSPC), "dev", "main.dspec"],
        cwd=project,
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        start_new_session=True,
        preexec_fn=lambda: __import__("fcntl").ioctl(theirs, __import__("termios").TIOCSCTTY, 0),
    )
    os.close(theirs)
    try:
        said = b""
        while b"give --max-calls" not in said:
            said += os.read(ours, 4096)
        os.write(ours, b"\x03")
        assert process.wait(30) == 0
    finally:
        process.kill()
        process.wait()
        os.close(ours)


def test_what_cannot_be_watched_is_refused(tmp_path: Path) -> None:
    refused = dspc("dev", "nowhere.dspec", cwd=tmp_path)
    assert refused.code == 2
    assert "there is no file" in refused.err


def test_check_watch_tells_what_is_new(project: Path) -> None:
    made(project, "http://127.0.0.1:9/v1")
    (project / "other.dspec").write_text("dspec 1\n")
    with session(project, "other.dspec", "--watch", "--format", "short", command="check") as at:
        at.until("DS0805")
        at.save("gold.kind ==", "gold.knd ==")
        at.until("DS0501")
        at.save("dspec 1", "dspec 1\n# a comment")
        (project / "other.dspec").write_text("dspec 1\nlm {\n")
        at.until("other.dspec")
        at.save("gold.knd ==", "gold.kind ==")
        at.until("DS0805", 4)
        assert at.end() == 0
    assert dspc("check", "main.dspec", "--watch", "--fix", cwd=project).code == 2
