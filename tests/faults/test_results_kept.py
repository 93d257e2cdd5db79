"""What a compile gave is never replaced by less, and it is known before a call that the result can be written."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from pathlib import Path

import pytest
from faulting import project, requests, unused_port
from programs import module, question
from server import spawned

from dspec.compiler.compile.keeping import check_writable, keep, partial_of
from dspec.runtime.artifact.artifact import Artifact, Provenance, Score, read_artifact, write_artifact
from dspec.runtime.errors import ConfigurationError

CUT = ("the budget of 3 calls is spent",)


def artifact(score: float | None, *, notes: tuple[str, ...] = (), metric: str = "m") -> Artifact:
    scores = {} if score is None else {"val": Score(metric="right", score=score, low=0.0, high=1.0, n=9)}
    return Artifact(
        name="tuned",
        program=module(question()),
        scores=scores,  # pyright: ignore[reportArgumentType]
        provenance=Provenance(metric=metric),
        notes=notes,
    )


def score_in(path: Path) -> float | None:
    return next((score.score for score in read_artifact(path).scores.values()), None)


@pytest.mark.parametrize(
    ("stands", "comes", "in_place", "beside"),
    [
        (None, artifact(0.3, notes=CUT), 0.3, None),
        (artifact(0.9), artifact(0.3, notes=CUT), 0.9, 0.3),
        (artifact(0.3), artifact(0.9, notes=CUT), 0.3, 0.9),
        (artifact(0.9, notes=CUT), artifact(0.3, notes=CUT), 0.9, 0.3),
        (artifact(0.3, notes=CUT), artifact(0.9, notes=CUT), 0.9, None),
        (artifact(0.3, notes=CUT), artifact(None, notes=CUT), 0.3, None),
        (artifact(0.3, notes=CUT), artifact(0.9, notes=CUT, metric="other"), 0.3, 0.9),
        (artifact(None, notes=CUT), artifact(0.1, notes=CUT), 0.1, None),
    ],
)
def test_less_never_takes_the_place_of_more(
    stands: Artifact | None, comes: Artifact, in_place: float, beside: float | None, tmp_path: Path
) -> None:
    path = tmp_path / "tuned.dspc.json"
    if stands is not None:
        keep(path, stands, whole=True)
    kept = keep(path, comes, whole=False)
    assert score_in(path) == in_place
    if beside is None and comes.scores:
        assert kept.place == path
        assert not partial_of(path).exists()
    else:
        assert kept.place == partial_of(path)
        assert score_in(partial_of(path)) == beside
    # a better one that was cut short earlier stays, too
    worse = keep(path, artifact(0.0, notes=CUT), whole=False)
    assert worse.place != path
    assert score_in(path) == in_place
    assert beside is None or (worse.place is None and score_in(partial_of(path)) == beside)
    # and the next whole result makes an end of it
    keep(path, artifact(0.5), whole=True)
    assert score_in(path) == 0.5
    assert not partial_of(path).exists()


def test_runs_without_an_answer_take_no_better_result_away(tmp_path: Path) -> None:
    def unanswered(score: float, metric: str = "m") -> Artifact:
        found = artifact(score, metric=metric, notes=("7 runs got no answer",))
        return found.model_copy(update={"provenance": Provenance(metric=metric, unanswered=7)})

    path = tmp_path / "tuned.dspc.json"
    keep(path, artifact(0.9), whole=True)
    kept = keep(path, unanswered(0.2), whole=True)
    assert (kept.place, kept.stays) == (partial_of(path), (path,))
    assert kept.better is not None
    assert (kept.better.score, score_in(path), score_in(partial_of(path))) == (0.9, 0.9, 0.2)
    # as good, or by another metric: it is the result
    for comes in (unanswered(0.9), unanswered(0.2, metric="other")):
        assert keep(path, comes, whole=True).place == path
        assert not partial_of(path).exists()
    # and one that was answered whole replaces it at any score
    assert keep(path, artifact(0.1, metric="other"), whole=True).place == path


def test_a_provider_that_fails_leaves_the_good_artifact_where_failures_score_zero(tmp_path: Path) -> None:
    made = project(tmp_path, rows=12, candidates=2, retry=0)
    made.source.write_text(made.source.read_text().replace("seed = 9", 'seed = 9\n  on_error = "score_zero"'))
    with spawned("--answer", "hashed") as url:
        assert made.compile(url).code == 0
    good = made.artifact.read_bytes()
    made.source.write_text(made.source.read_text().replace("a label.", "one of the labels."))
    result = made.compile(f"http://127.0.0.1:{unused_port()}/v1")
    assert result.code == 0, result.text
    assert made.artifact.read_bytes() == good
    assert "got no answer, and the result scored less than the artifact that stands there" in " ".join(
        result.text.split()
    )
    assert read_artifact(partial_of(made.artifact)).provenance.unanswered


def test_what_nobody_compared_is_not_called_better(tmp_path: Path) -> None:
    made = project(tmp_path, rows=12, candidates=2)
    with spawned("--answer", "hashed") as url:
        assert made.compile(url).code == 0
        cut = read_artifact(made.artifact).model_copy(update={"notes": CUT})
        write_artifact(partial_of(made.artifact), cut)
        told = project(tmp_path, rows=12, candidates=2, budget="calls = 3")
        text = told.source.read_text().replace("a label.", "one of the labels.")
        told.source.write_text(text.replace("seed = 9", 'seed = 9\n  scoring = "none"'))
        result = told.compile(url)
    assert result.code == 3, result.text
    said = " ".join(result.err.split())
    assert "which nobody compared with the result until now, stays as it was" in said


def test_what_cannot_be_read_stays(tmp_path: Path) -> None:
    path = tmp_path / "tuned.dspc.json"
    path.write_text('{"format": 99}')
    assert keep(path, artifact(0.3, notes=CUT), whole=False).place == partial_of(path)
    assert path.read_text() == '{"format": 99}'


@pytest.mark.parametrize("stop", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_stop_leaves_the_good_artifact_and_loses_no_answer(stop: signal.Signals, tmp_path: Path) -> None:
    made = project(tmp_path, rows=12, candidates=6)
    with spawned("--answer", "hashed") as url:
        assert made.compile(url).code == 0
        good = made.artifact.read_bytes()
    made.source.write_text(made.source.read_text().replace("a label.", "one of the labels."))
    with spawned("--answer", "hashed", "--latency", "0.5") as url:
        before = made.answers()
        process = made.start(url)
        deadline = time.monotonic() + 60
        while requests(url) < 4:
            assert time.monotonic() < deadline
            time.sleep(0.01)
        process.send_signal(stop)
        if stop is signal.SIGHUP:  # the shell tells of a closed terminal, and so does the kernel
            time.sleep(0.05)
            process.send_signal(stop)
        _, said = process.communicate(timeout=60)
        assert process.returncode == 130, said
        assert made.answers() - before == requests(url)
    assert made.artifact.read_bytes() == good
    partial = partial_of(made.artifact)
    assert partial.exists()
    assert "tuned.dspc.json stays as it was" in said
    assert "tuned.partial.dspc.json" in said


def test_a_spent_budget_leaves_the_good_artifact(tmp_path: Path) -> None:
    made = project(tmp_path, rows=12, candidates=4)
    with spawned("--answer", "hashed") as url:
        assert made.compile(url).code == 0
        good = made.artifact.read_bytes()
        cut = project(tmp_path, rows=12, candidates=4, budget="calls = 3")
        cut.source.write_text(cut.source.read_text().replace("a label.", "one of the labels."))
        result = cut.compile(url)
    assert result.code == 3, result.text
    assert made.artifact.read_bytes() == good
    assert "stays as it was" in result.err
    assert not read_artifact(partial_of(made.artifact)).scores


def test_a_terminal_that_is_gone_ends_nothing(tmp_path: Path) -> None:
    """Bars are drawn on a terminal; when it goes away under them, the compile drains all the same."""
    made = project(tmp_path, rows=12, candidates=6)
    with spawned("--answer", "hashed", "--latency", "0.5") as url:
        main, side = os.openpty()
        process = subprocess.Popen(
            [*made.command("compile"), "--yes"],
            cwd=made.folder,
            env=made.environment(url, TERM="xterm"),
            stdin=side,
            stdout=side,
            stderr=side,
            start_new_session=True,
        )
        os.close(side)
        deadline = time.monotonic() + 60
        while requests(url) < 4:
            assert time.monotonic() < deadline
            os.set_blocking(main, False)
            with contextlib.suppress(BlockingIOError):
                os.read(main, 65536)
            time.sleep(0.01)
        os.close(main)
        process.send_signal(signal.SIGHUP)
        process.wait(timeout=60)
        assert process.returncode == 130
        assert made.answers() == requests(url)


def test_a_place_that_cannot_be_written_is_said_before_a_call(tmp_path: Path) -> None:
    made = project(tmp_path / "project", rows=12, candidates=4)
    with spawned("--answer", "hashed") as url:
        for out in ("main.dspec", "main.dspec/deeper", "/proc/nothing"):
            refused = made.compile(url, "--out", out)
            assert refused.code == 2, refused.text
            assert "cannot be written" in refused.err
            assert "--out" in refused.err
        assert requests(url) == 0
    assert sorted(path.name for path in made.folder.iterdir()) == [".dspec", "main.dspec", "texts.jsonl"]


def test_looking_at_a_place_leaves_nothing_there(tmp_path: Path) -> None:
    check_writable(tmp_path / "a" / "b" / "tuned.dspc.json")
    assert list(tmp_path.iterdir()) == []
    for path in (tmp_path, tmp_path / ("n" * 240 + ".dspc.json")):
        with pytest.raises(ConfigurationError, match="cannot be written"):
            check_writable(path)


@pytest.mark.parametrize("target", ["events", "stdout", "closed"])
def test_outputs_that_take_no_more_are_said_and_break_nothing(target: str, tmp_path: Path) -> None:
    made = project(tmp_path, rows=12, candidates=4)
    command = " ".join(made.command("compile"))
    more = {"events": "--events /dev/full", "stdout": "> /dev/full", "closed": ">&-"}[target]
    with spawned("--answer", "hashed") as url:
        done = subprocess.run(
            ["sh", "-c", f"{command} {more}"],
            cwd=made.folder,
            env=made.environment(url),
            capture_output=True,
            text=True,
            check=False,
        )
    assert made.artifact.exists()
    assert "takes no more" in done.stderr, done.stderr
    assert "DS0000" not in done.stderr
    assert done.returncode == (0 if target == "events" else 4)
