"""Two compiles at once, Ctrl-C once and twice, and a key that must turn up nowhere."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import pytest
from faulting import CANARY, Project, project, requests, stats
from server import hashed_to_no_label, spawned

THREADS = 8


def until_asked(url: str, calls: int) -> None:
    deadline = time.monotonic() + 30
    while requests(url) < calls:
        assert time.monotonic() < deadline
        time.sleep(0.01)


def assert_paid_once(asked: dict[str, int], clean: dict[str, int]) -> None:
    """By request, how often each was made. The second of two compiles asks once more for what nobody could read."""
    assert asked.keys() == clean.keys()
    again = {digest for digest, times in asked.items() if times > 1}
    assert again
    assert all(map(hashed_to_no_label, again))
    assert max(asked.values()) == 2


@pytest.fixture(scope="module")
def clean(tmp_path_factory: pytest.TempPathFactory) -> tuple[Project, dict[str, int]]:
    """A project that was compiled, and how often each request was made."""
    made = project(tmp_path_factory.mktemp("clean"))
    with spawned("--answer", "hashed") as url:
        assert made.compile(url).code == 0
        return made, stats(url)["asked"]


def test_two_compiles_in_one_project_pay_once(clean: tuple[Project, dict[str, int]], tmp_path: Path) -> None:
    made = project(tmp_path)
    with spawned("--answer", "hashed", "--latency", "0.01") as url:
        first = made.start(url)
        until_asked(url, 50)
        os.kill(first.pid, signal.SIGSTOP)  # or it might be done before the second has begun
        second = made.start(url)
        assert second.stderr is not None
        second_said = second.stderr.readline()
        os.kill(first.pid, signal.SIGCONT)
        _, first_said = first.communicate(timeout=60)
        second_said += second.communicate(timeout=60)[1]
        assert (first.returncode, second.returncode) == (0, 0), first_said + second_said
        assert_paid_once(stats(url)["asked"], clean[1])
    assert f"waiting for process {first.pid}" in second_said
    assert "waiting" not in first_said
    assert made.artifact.read_bytes() == clean[0].artifact.read_bytes()


def test_two_projects_share_one_state_folder_and_pay_once(
    clean: tuple[Project, dict[str, int]], tmp_path: Path
) -> None:
    """Answers belong to requests, not to projects: a folder on a shared path serves both, at once or in turn."""
    shared = str(tmp_path / "shared")
    one, two = project(tmp_path / "one"), project(tmp_path / "two")
    with spawned("--answer", "hashed", "--latency", "0.005") as url:
        processes = [made.start(url, DSPEC_STATE_DIR=shared) for made in (one, two)]
        said = [process.communicate(timeout=60) for process in processes]
        assert [process.returncode for process in processes] == [0, 0], said
        assert_paid_once(stats(url)["asked"], clean[1])
    assert not one.state.exists()
    artifacts = {made.artifact.read_bytes() for made in (one, two, clean[0])}
    assert len(artifacts) == 1


def test_a_compile_that_waits_goes_on_when_the_other_is_killed(tmp_path: Path) -> None:
    made = project(tmp_path)
    with spawned("--answer", "hashed", "--latency", "0.05") as url:
        first = made.start(url)
        until_asked(url, 20)
        second = made.start(url)
        assert second.stderr is not None
        waiting = second.stderr.readline()
        os.killpg(first.pid, signal.SIGKILL)
        first.communicate()
        _, said = second.communicate(timeout=60)
    assert second.returncode == 0, said
    assert "waiting for process" in waiting


@pytest.mark.parametrize("asked", [4, 12, 40, 70, 200])
def test_ctrl_c_once_keeps_what_is_on_its_way_and_says_how_to_go_on(
    clean: tuple[Project, dict[str, int]], tmp_path: Path, asked: int
) -> None:
    """Early ones meet the baseline, and what the first step begins beside it."""
    made = project(tmp_path)
    with spawned("--answer", "hashed", "--latency", "0.1") as url:
        process = made.start(url)
        until_asked(url, asked)
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=20)
        assert process.returncode == 130, said
        assert made.answers() == requests(url)
    assert "waiting for the answers on their way" in said
    assert "run the same command again to go on" in said
    assert made.artifact.exists()  # the best so far, which says that it is cut short
    text = made.artifact.read_text()
    assert "cut short" in text or (asked < 200 and "nothing was scored" in text)
    assert_finishes(made, clean[0])


def test_ctrl_c_while_dspc_starts_leaves_without_a_traceback(tmp_path: Path) -> None:
    """Stopped in the middle of an import, however fast the machine is."""
    script = (
        "import builtins, os, signal, sys\n"
        "from dspec.compiler.cli.main import main\n"
        "real = builtins.__import__\n"
        "def stopped(name, *rest):\n"
        "    if name == {late!r}: os.kill(os.getpid(), signal.SIGINT)\n"
        "    return real(name, *rest)\n"
        "builtins.__import__ = stopped\n"
        "sys.argv = ['dspc', 'compile', 'absent.dspec']\n"
        "main()\n"
    )
    for late in ("quick", "app", "typer"):
        ended = subprocess.run(
            [sys.executable, "-c", script.format(late=late)],
            capture_output=True,
            text=True,
            cwd=tmp_path,
            check=False,
        )
        assert (ended.returncode, ended.stderr) == (130, ""), late


def test_ctrl_c_ends_the_command_and_not_only_the_block_at_work(tmp_path: Path) -> None:
    made = project(tmp_path)
    text = made.source.read_text()
    block = text[text.index("optimize tuned") :]
    made.source.write_text(
        text + block.replace("optimize tuned", "optimize another").replace("seed = 9", "seed = 8")
    )
    with spawned("--answer", "hashed", "--latency", "0.1") as url:
        process = made.start(url)
        until_asked(url, 100)
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=20)
        assert process.returncode == 130, said
        assert made.answers() == requests(url) < 200
    assert [path.name for path in made.artifact.parent.iterdir()] == ["tuned.dspc.json"]


def test_ctrl_c_twice_leaves_at_once_and_spoils_nothing(
    clean: tuple[Project, dict[str, int]], tmp_path: Path
) -> None:
    made = project(tmp_path)
    with spawned("--answer", "hashed", "--latency", "3") as url:
        process = made.start(url)
        until_asked(url, 8)
        process.send_signal(signal.SIGINT)
        time.sleep(0.3)
        began = time.monotonic()
        process.send_signal(signal.SIGINT)
        out, said = process.communicate(timeout=20)
        assert time.monotonic() - began < 2.0
    assert process.returncode == 130, said
    assert "Traceback" not in out + said
    assert not made.artifact.exists()
    assert_finishes(made, clean[0])


def assert_finishes(made: Project, clean: Project) -> None:
    with spawned("--answer", "hashed") as url:
        result = made.compile(url)
        assert result.code == 0, result.text
    assert made.artifact.read_bytes() == clean.artifact.read_bytes()


def test_a_key_from_the_projects_env_file_is_used_and_stays_there(tmp_path: Path) -> None:
    made = project(tmp_path, rows=12, candidates=4)
    (made.folder / ".env").write_text(f"FAULTING_KEY={CANARY}\n")
    with spawned("--answer", "hashed", "--key", CANARY) as url:
        environment = made.environment(url)
        del environment["FAULTING_KEY"]
        done = subprocess.run(
            [*made.command("compile"), "--events", "events.ndjson"],
            cwd=made.folder,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
    assert done.returncode == 0, done.stderr
    assert CANARY not in done.stdout + done.stderr
    for path in made.folder.rglob("*"):
        assert path.name == ".env" or path.is_dir() or CANARY.encode() not in path.read_bytes(), path


def test_the_key_turns_up_nowhere(tmp_path: Path) -> None:
    """Not in files, and not in what is printed, whatever a provider sends back."""
    made = project(tmp_path, rows=12, candidates=4, retry=1)
    said = ""
    for faults in ([], ["leak:400=1.0"], ["leak:500=1.0"], ["401=1.0"]):
        flags = [part for fault in faults for part in ("--fault", fault)]
        with spawned("--answer", "hashed", *flags) as url:
            for arguments in (["--events", "events.ndjson"], ["--json"])[: 1 if faults else 2]:
                said += made.compile(url, *arguments).text
            for command in () if faults else ("plan", "check", "show", "eval"):
                done = subprocess.run(
                    [*made.command(command)],
                    cwd=made.folder,
                    env=made.environment(url),
                    capture_output=True,
                    text=True,
                    check=False,
                )
                said += done.stdout + done.stderr
    assert CANARY not in said
    files = [path for path in made.folder.rglob("*") if path.is_file()]
    assert {"ledger.sqlite", "evaluations.sqlite", "tuned.dspc.json", "events.ndjson"} <= {
        p.name for p in files
    }
    for path in files:
        assert CANARY.encode() not in path.read_bytes(), path
    with closing(sqlite3.connect(made.state / "ledger.sqlite")) as database:
        assert database.execute("SELECT body FROM answers").fetchall()
