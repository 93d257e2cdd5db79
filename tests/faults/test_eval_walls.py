"""Evals are inside the budget: the optimize block's that they score, or one of their own."""

from __future__ import annotations

import json
import signal
import subprocess
import time
from pathlib import Path

import pytest
from faulting import Project, project, requests
from server import spawned

ROWS = 40


def shipped(folder: Path, *, budget: str = "", own: str = "") -> Project:
    made = project(folder, rows=ROWS, candidates=4)
    more = f"budget {{ {own} }}" if own else ""
    text = made.source.read_text()
    text = text.replace("  seed = 9", f"  seed = 9\n  {f'budget {{ {budget} }}' if budget else ''}")
    text += (
        f"\neval ship {{ program = tuned; baseline = labeller; metric = right; data = texts.test; {more} }}\n"
    )
    made.source.write_text(text)
    return made


@pytest.fixture(scope="module")
def calls(tmp_path_factory: pytest.TempPathFactory) -> tuple[int, int]:
    """Calls of the steps, and of the eval after them, with no wall in the way."""
    made = shipped(tmp_path_factory.mktemp("free"))
    with spawned("--answer", "hashed") as url:
        assert made.compile(url, "--no-evals").code == 0
        steps = requests(url)
        assert made.run("eval", url=url).code == 0
        return steps, requests(url) - steps


def test_a_compile_with_its_evals_stays_within_the_budget(calls: tuple[int, int], tmp_path: Path) -> None:
    steps, evals = calls
    wall = steps + evals // 2
    made = shipped(tmp_path, budget=f"calls = {wall}")
    with spawned("--answer", "hashed") as url:
        cut = made.compile(url)
        assert cut.code == 3, cut.text
        assert requests(url) == wall
        assert "eval `ship` was not finished: the next call could pass the budget" in cut.err
        assert made.artifact.exists()
        assert "notes" not in json.loads(made.artifact.read_text())  # the steps were done
        # Paid answers are free: the same budget goes on where it stopped.
        again = made.compile(url)
        assert again.code == 0, again.text
        assert requests(url) == steps + evals


def test_an_eval_on_its_own_stays_within_the_budget_of_what_it_scores(
    calls: tuple[int, int], tmp_path: Path
) -> None:
    made = shipped(tmp_path, budget=f"calls = {calls[0]}")
    with spawned("--answer", "hashed") as url:
        assert made.compile(url, "--no-evals").code == 0
    text = made.source.read_text()
    made.source.write_text(text.replace(f"calls = {calls[0]}", "calls = 20"))
    with spawned("--answer", "hashed") as url:
        for asked in (20, 40):
            cut = made.run("eval", "--json", url=url)
            assert cut.code == 3, cut.text
            assert json.loads(cut.out)["evals"] == []
            assert requests(url) == asked


def test_an_eval_with_a_budget_of_its_own_pays_for_itself(calls: tuple[int, int], tmp_path: Path) -> None:
    steps, evals = calls
    made = shipped(tmp_path / "enough", budget=f"calls = {steps}", own=f"calls = {evals}")
    with spawned("--answer", "hashed") as url:
        done = made.compile(url)
        assert done.code == 0, done.text
        assert requests(url) == steps + evals
    short = shipped(tmp_path / "short", budget=f"calls = {steps + evals}", own="usd = 0.003")
    with spawned("--answer", "hashed") as url:
        assert short.compile(url).code == 3
        assert steps < requests(url) < steps + evals


def test_ctrl_c_in_an_eval_keeps_what_is_on_its_way_and_exits_as_ever(tmp_path: Path) -> None:
    made = shipped(tmp_path)
    with spawned("--answer", "hashed") as url:
        assert made.compile(url, "--no-evals").code == 0
    before = made.answers()
    with spawned("--answer", "hashed", "--latency", "0.3") as url:
        process = subprocess.Popen(
            [*made.command("eval"), "--threads", "8"],
            cwd=made.folder,
            env=made.environment(url),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        deadline = time.monotonic() + 30
        while requests(url) < 16:
            assert time.monotonic() < deadline
            time.sleep(0.01)
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=20)
        assert process.returncode == 130, said
        assert made.answers() - before == requests(url)


def test_an_eval_that_is_cut_says_what_is_known(tmp_path: Path) -> None:
    """No table without rows; the program's score where only the baseline is cut."""
    made = project(tmp_path, rows=ROWS, candidates=4)
    more = "module slow = ChainOfThought(Label)\neval ship { program = labeller; baseline = slow; metric = right; data = texts.test\n"
    text = made.source.read_text() + more
    with spawned("--answer", "hashed") as url:
        for calls, known in ((1, False), (ROWS + 10, True)):
            made.source.write_text(f"{text}  budget {{ calls = {calls} }}\n}}\n")
            cut = made.run("eval", url=url)
            assert cut.code == 3, cut.text
            assert cut.out == ""
            assert ("; `labeller` scored " in cut.err) == known


def test_a_result_that_could_not_be_scored_is_not_called_the_start(tmp_path: Path) -> None:
    made = project(tmp_path, rows=ROWS, candidates=4)
    text = made.source.read_text()
    before, _, _ = text.partition("  step search")
    made.source.write_text(f"{before}  budget {{ calls = {ROWS + 10} }}\n  step s = LabeledFewShot()\n}}\n")
    with spawned("--answer", "hashed") as url:
        cut = made.compile(url)
        assert cut.code == 3, cut.text
        assert "could not be scored any more" in cut.out
        assert "the result of the steps, which was not scored, is in" in cut.err
