"""A provider at its worst: no row is lost, none scores 0 for it, and the result is the same."""

from __future__ import annotations

import time
from pathlib import Path

from faulting import CANARY, built, project, requests, unused_port
from server import FakeServer, hashed, spawned

RATES = {
    "429:0.01": 0.05,
    "500": 0.05,
    "reset": 0.05,
    "cut": 0.05,
    "malformed": 0.05,
    "empty": 0.05,
    "hang": 0.01,
}


async def test_faults_at_every_tenth_request_and_worse_change_nothing(tmp_path: Path) -> None:
    async with FakeServer(hashed) as server:
        clean = await built(project(tmp_path / "clean"), server)
        calls = len(server.calls)
    async with FakeServer(hashed, faults=RATES) as server:
        faulty = await built(project(tmp_path / "faulty"), server, threads=32)
    assert calls >= 800
    assert faulty.artifact == clean.artifact
    assert (faulty.tally.calls, faulty.tally.failed) == (calls, 0)
    assert set(server.answered.values()) == {1}
    assert len(server.answered) == calls
    # 31 of 100 requests fail, each on its own: 1 / (1 - 0.31) = 1.449 requests per answer at least
    assert len(server.calls) / calls <= 1.5


async def test_the_usual_retries_are_enough_for_one_row_at_a_time(tmp_path: Path) -> None:
    async with FakeServer(hashed, faults=RATES) as server:
        faulty = await built(project(tmp_path, rows=12, candidates=4), server, threads=1)
    assert (faulty.built.status, faulty.tally.failed) == ("complete", 0)


def test_an_endpoint_that_dies_pauses_the_run_and_one_that_is_back_finishes_it(tmp_path: Path) -> None:
    clean = project(tmp_path / "clean", retry=1)
    made = project(tmp_path / "dying", retry=1)
    port = str(unused_port())
    with spawned("--answer", "hashed", "--port", port) as url:
        assert clean.compile(url).code == 0
        calls = clean.answers()
    with spawned("--answer", "hashed", "--dead-from", "150", "--port", port) as url:
        began = time.monotonic()
        died = made.compile(url)
        assert time.monotonic() - began < 60
    assert died.code == 4, died.text
    assert "told to say 503" in died.err
    assert "run the same command again to go on" in died.err
    assert CANARY not in died.text
    assert not made.artifact.exists()
    assert made.answers() == 149
    with spawned("--answer", "hashed", "--port", port) as url:
        again = made.compile(url)
        assert again.code == 0, again.text
        assert requests(url) == calls - 149
    assert made.artifact.read_bytes() == clean.artifact.read_bytes()


def test_a_key_that_is_not_accepted_stops_the_run_at_once(tmp_path: Path) -> None:
    made = project(tmp_path)
    with spawned("--answer", "hashed", "--fault", "401=1.0") as url:
        refused = made.compile(url)
        assert requests(url) <= 8
    assert refused.code == 4
    assert "the key was not accepted (401)" in refused.err
    assert "FAULTING_KEY" in refused.err
    assert not made.artifact.exists()
