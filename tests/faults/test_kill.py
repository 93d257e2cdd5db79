"""`kill -9` at any moment: nothing that was answered is asked again, and the result is the same.

Twenty kills by default; DSPEC_DEEP=1 makes it the hundred of the promise.
"""

from __future__ import annotations

import os
import random
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from faulting import Project, kill, project, requests
from forking import Forks
from server import spawned

THREADS = 8
COMPILES = 5 if os.environ.get("DSPEC_DEEP") else 2
KILLS = 20 if os.environ.get("DSPEC_DEEP") else 10


@pytest.fixture(scope="module")
def expected(tmp_path_factory: pytest.TempPathFactory) -> tuple[bytes, int]:
    """The artifact of a compile that nobody disturbs, and its calls."""
    made = project(tmp_path_factory.mktemp("undisturbed"))
    with spawned("--answer", "hashed") as url:
        result = made.compile(url)
        assert result.code == 0, result.text
        return made.artifact.read_bytes(), requests(url)


@pytest.fixture(scope="module")
def forks() -> Iterator[Forks]:
    with Forks() as made:
        yield made


def killed_once(made: Project, url: str, forks: Forks, moment: random.Random) -> None:
    """One compile, killed some calls after it began; one in ten from the command line, at any moment of its start."""
    before = requests(url)
    if moment.random() < 0.1:
        process = made.start(url)
        time.sleep(moment.uniform(0.0, 1.0))
        kill(process)
        return
    fork = forks.start(["compile", "main.dspec", "--threads", "8"], made.folder, made.environment(url))
    calls = moment.randint(0, 80)
    while requests(url) - before < calls and fork.poll() is None:
        time.sleep(0.004)
    time.sleep(moment.uniform(0.0, 0.02))
    fork.kill()


@pytest.mark.parametrize("seed", range(COMPILES))
def test_a_compile_killed_over_and_over_pays_for_every_answer_once(
    seed: int, expected: tuple[bytes, int], forks: Forks, tmp_path: Path
) -> None:
    artifact, calls = expected
    assert calls >= 800
    made = project(tmp_path)
    moment = random.Random(seed)
    lost = 0
    with spawned("--answer", "hashed", "--latency", "0.02") as url:
        kept = asked = 0
        for _ in range(KILLS):
            killed_once(made, url, forks, moment)
            now_kept = made.answers() if made.state.exists() else 0
            now_asked = requests(url)
            # every answer that was kept was asked for in this round: none of those kept before was
            repeated = (now_asked - asked) - (now_kept - kept)
            assert 0 <= repeated <= THREADS
            lost += repeated
            kept, asked = now_kept, now_asked
        result = made.compile(url)
        assert result.code == 0, result.text
        assert requests(url) - asked == calls - kept
        assert requests(url) == calls + lost
        assert made.answers() == calls
    assert made.artifact.read_bytes() == artifact
