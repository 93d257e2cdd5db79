"""A provider at its worst: no row is lost, none scores 0 for it, and the result is the same."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest
from faulting import CANARY, built, project, requests, stats, unused_port
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
    # long enough that on a busy machine nothing but a hanging request is late
    settings = {"retry": 16, "timeout": 3.0}
    async with FakeServer(hashed) as server:
        clean = await built(project(tmp_path / "clean", **settings), server)
        calls = len(server.calls)
    async with FakeServer(hashed, faults=RATES) as server:
        faulty = await built(project(tmp_path / "faulty", **settings), server, threads=32)
    assert calls >= 800
    assert faulty.artifact == clean.artifact
    assert (faulty.tally.calls, faulty.tally.failed) == (calls, 0)
    assert set(server.answered.values()) == {1}
    assert len(server.answered) == calls
    # 31 of 100 requests fail, each on its own: 1 / (1 - 0.31) = 1.449 requests per answer at least
    assert len(server.calls) / calls <= 1.5


async def test_faults_that_strike_once_take_at_most_four_requests_in_ten_more(tmp_path: Path) -> None:
    """A row's first request draws its fault, what is asked again is answered: 31 rows of 100 are asked twice."""
    async with FakeServer(hashed) as server:
        clean = await built(project(tmp_path / "clean", timeout=1.0), server)
        calls = len(server.answered)  # a busy machine may be late, and be asked twice
    async with FakeServer(hashed, faults=RATES, first_only=True) as server:
        faulty = await built(project(tmp_path / "faulty", timeout=1.0), server, threads=32)
    assert faulty.artifact == clean.artifact
    assert (faulty.tally.calls, faulty.tally.failed) == (calls, 0)
    assert len(server.answered) == calls
    assert set(server.answered.values()) == {1}
    assert 1.25 <= len(server.calls) / calls <= 1.4


async def test_the_usual_retries_are_enough_for_faults_that_strike_once(tmp_path: Path) -> None:
    async with FakeServer(hashed, faults=RATES, first_only=True) as server:
        faulty = await built(project(tmp_path, rows=12, candidates=4, timeout=1.0), server, threads=1)
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


async def test_a_model_that_never_answers_is_stood_in_for_by_its_fallback(tmp_path: Path) -> None:
    made = project(tmp_path, rows=12, candidates=4, retry=0)
    text = made.source.read_text()
    async with FakeServer(faults={"500": 1.0}) as broken, FakeServer(hashed) as spare:
        other = text[text.index("lm fake {") : text.index("signature Label")]
        other = other.replace("lm fake", "lm spare").replace('env("FAULTING_URL")', f'"{spare.url}"')
        made.source.write_text(
            text.replace("  retry = 0", "  retry = 0\n  fallback = [spare]\n  default = true", 1).replace(
                "signature Label", f"{other}\nsignature Label", 1
            )
        )
        found = await built(made, broken)
    assert found.built.status == "complete"
    assert found.built.baseline is not None
    assert found.built.baseline.failures <= 3  # those that `hashed` labels with none of the four
    assert len(spare.answered) == found.tally.calls > 12
    assert len(broken.calls) == found.tally.failed
    assert spare.url not in found.artifact.decode()


@pytest.mark.parametrize("status", ["400", "401"])
def test_a_call_that_is_refused_loses_none_of_the_answers_on_their_way(tmp_path: Path, status: str) -> None:
    made = project(tmp_path)
    with spawned("--answer", "hashed", "--latency", "0.2", "--fault", f"{status}=0.02") as url:
        result = made.compile(url)
        assert result.code == 4, result.text
        assert f"told to say {status}" in result.text
        found = stats(url)
        assert found["hung_up"] == 0
        assert made.answers() == len(found["answered"]) > 0


def test_a_key_that_is_not_accepted_stops_the_run_at_once(tmp_path: Path) -> None:
    made = project(tmp_path)
    with spawned("--answer", "hashed", "--fault", "401=1.0") as url:
        refused = made.compile(url)
        assert requests(url) <= 8
    assert refused.code == 4
    assert "the key was not accepted (401)" in refused.err
    assert "FAULTING_KEY" in refused.err
    assert not made.artifact.exists()


def test_a_plan_knows_how_long_a_call_took(tmp_path: Path) -> None:
    made = project(tmp_path, rows=24, candidates=4)
    with spawned("--answer", "hashed", "--latency", "0.05") as url:
        before = json.loads(made.run("plan", "--json", url=url).out)
        assert requests(url) == 0
        (made.folder / "plan.json").write_text(json.dumps(before))
        assert made.compile(url).code == 0
        after = json.loads(made.run("plan", "--json", url=url).out)
        # what was learned of time is no drift
        assert made.compile(url, "--plan", "plan.json").code == 0
        said = made.run("plan", "--threads", "4", url=url).out
    assert (before["seconds"]["measured"], after["seconds"]["measured"]) == (False, True)
    fastest, slowest = after["seconds"]["per_call"]
    assert 0.03 <= fastest < slowest < 1.0
    assert after["seconds"]["least"] <= after["seconds"]["most"] < before["seconds"]["most"]
    assert "at 4 threads" in said
    assert "as in the last compile" in said
