"""`kill -9` of a compile whose program calls tools: no answered model call is made again, and no kept result; tools that
are not pure run again, and no process of theirs is left."""

from __future__ import annotations

import os
import time
from collections import Counter
from pathlib import Path

from faulting import Project, kill, project, requests
from server import spawned

THREADS = 8
KILLS = 3

TOOLS = """
import os, time
def noted(kind, text):
    line = f"{os.getpid()} {text}\\n".encode()
    log = os.open(kind, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.write(log, line)
    os.close(log)
def lookup(text):
    noted("lookup.log", text)
    return text + "!"
def stamp(text):
    noted("stamp.log", text)
    return text + "?"
"""

PROGRAM = """\
extern lookup(text: str) -> str { "Looks up."; source = python("marks:lookup"); pure = true }
extern stamp(text: str) -> str { "Stamps."; source = python("marks:stamp") }

program marked(text: str) -> (label: "a" | "b" | "c" | "d") {
  let found = lookup(text = text)
  let stamped = stamp(text = found)
  let out = labeller(text = stamped)
  return label = out.label
}

dataset texts"""


def with_tools(folder: Path) -> Project:
    made = project(folder, rows=40, candidates=4)
    (folder / "dspec.toml").touch()
    (folder / "marks.py").write_text(TOOLS, encoding="utf-8")
    source = made.source.read_text(encoding="utf-8").replace("dataset texts", PROGRAM, 1)
    source = source.replace("program = labeller", "program = marked").replace(
        "pred: labeller", "pred: marked"
    )
    made.source.write_text(source, encoding="utf-8")
    return made


def calls(made: Project, kind: str) -> Counter[str]:
    log = made.folder / f"{kind}.log"
    lines = log.read_text(encoding="utf-8").splitlines() if log.exists() else []
    return Counter(line.partition(" ")[2] for line in lines)


def processes(made: Project) -> set[int]:
    return {
        int(line.partition(" ")[0])
        for kind in ("lookup", "stamp")
        for line in (made.folder / f"{kind}.log").read_text(encoding="utf-8").splitlines()
    }


def runs(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def test_a_compile_with_tools_goes_on_after_it_was_killed(tmp_path: Path) -> None:
    quiet = with_tools(tmp_path / "quiet")
    with spawned("--answer", "hashed", "--latency", "0.01") as url:
        result = quiet.compile(url)
        assert result.code == 0, result.text
        expected, asked = quiet.artifact.read_bytes(), requests(url)
    once = calls(quiet, "lookup")
    assert set(once.values()) == {1}, "a pure tool's result is kept, whatever calls it"

    made = with_tools(tmp_path / "killed")
    with spawned("--answer", "hashed", "--latency", "0.01") as url:
        for number in range(1, KILLS + 1):
            process = made.start(url)
            while requests(url) < asked * number // (KILLS + 2) and process.poll() is None:
                time.sleep(0.005)
            kill(process)
        result = made.compile(url)
        assert result.code == 0, result.text
        assert made.artifact.read_bytes() == expected
        assert requests(url) <= asked + KILLS * THREADS
    looked = calls(made, "lookup")
    assert looked.keys() == once.keys()
    assert looked.total() <= once.total() + KILLS * 2 * THREADS
    assert calls(made, "stamp").total() > calls(quiet, "stamp").total(), "what is not pure runs again"
    for _ in range(100):
        left = [pid for pid in processes(made) if runs(pid)]
        if not left:
            break
        time.sleep(0.05)
    assert not left
