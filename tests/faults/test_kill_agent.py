"""`kill -9` in the middle of an agent's compile with MIPROv2: no answered call is repeated, and the artifact is the same."""

from __future__ import annotations

import sqlite3
import subprocess
import time
from pathlib import Path

import agents_beside as beside
from dspc import DSPC
from faulting import kill, requests

THREADS = 8
KILLS = 4
MODEL = "ours.k.0"


def started(folder: Path, url: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [str(DSPC), "compile", "agent.dspec", "--threads", str(THREADS)],
        cwd=folder,
        env=beside.environment(url),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def finished(folder: Path, url: str) -> bytes:
    with started(folder, url) as process:
        said, failed = process.communicate(timeout=120)
    assert process.returncode == 0, said + failed
    return (folder / "compiled" / "agent_v1.dspc.json").read_bytes()


def kept(folder: Path) -> int:
    """The model's answers in the ledger; what the search gave is kept there, too."""
    path = folder / ".dspec" / "ledger.sqlite"
    if not path.exists():
        return 0
    with sqlite3.connect(path) as ledger:
        (count,) = ledger.execute(
            "SELECT count(*) FROM answers WHERE model = ?", (f"openai/{MODEL}",)
        ).fetchone()
    ledger.close()
    return int(count)


def test_an_agents_compile_goes_on_after_it_was_killed(tmp_path: Path) -> None:
    quiet = beside.project(tmp_path / "quiet", MODEL, 3).parent
    with beside.served() as url:
        expected, calls = finished(quiet, url), requests(url)
    assert kept(quiet) == calls > 1000

    killed = beside.project(tmp_path / "killed", MODEL, 3).parent
    asked = answers = lost = 0
    with beside.served(latency=0.005) as url:
        for number in range(1, KILLS + 1):
            process = started(killed, url)
            while requests(url) < calls * number // (KILLS + 1) and process.poll() is None:
                time.sleep(0.005)
            assert process.poll() is None, "it was killed in the middle"
            kill(process)
            now_kept, now_asked = kept(killed), requests(url)
            # Whatever was asked in this round is kept, but for what was on its way.
            repeated = (now_asked - asked) - (now_kept - answers)
            assert 0 <= repeated <= THREADS
            asked, answers, lost = now_asked, now_kept, lost + repeated
        assert 0 < answers < calls
        assert finished(killed, url) == expected
        assert requests(url) == calls + lost
    assert kept(killed) == calls
