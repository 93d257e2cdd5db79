"""A server that was mended is asked again for what nobody could read, once; a compile that was stopped goes on."""

from __future__ import annotations

import asyncio
from collections import Counter
from pathlib import Path

import pytest
from dspc import Result
from faulting import Project, project
from server import Call, FakeServer

SMALL = {"rows": 12, "candidates": 2, "retry": 0}
BUDGET = "calls = 100000"
"""With one, calls are made in one order, so that a failure leaves the same behind every time."""


def label(call: Call) -> str:
    return f"[[ ## label ## ]]\n{'abcd'[int(call.digest, 16) % 4]}\n\n[[ ## completed ## ]]"


def asked_of(call: Call) -> str:
    """Which text a request is about."""
    return str(
        next(part["content"] for part in reversed(call.body["messages"]) if "text " in part["content"])
    )


def garbled(call: Call) -> str:
    """Nothing about every third text that is asked about can be read."""
    number = int(asked_of(call).split("text ")[-1].split()[0])
    return "no idea" if number % 3 == 0 else label(call)


async def compiled(made: Project, server: FakeServer) -> Result:
    return await asyncio.to_thread(made.compile, server.url)


def requests_of(server: FakeServer) -> Counter[str]:
    return Counter(call.digest for call in server.calls)


async def test_after_a_compile_that_ended_what_nobody_could_read_is_asked_for_again(tmp_path: Path) -> None:
    made, clean = project(tmp_path / "made", **SMALL), project(tmp_path / "clean", **SMALL)
    async with FakeServer(garbled) as server:
        assert (await compiled(made, server)).code == 0
        before = requests_of(server)
        unread = {call.digest for call in server.calls if garbled(call) == "no idea"}
        garbage = made.artifact.read_bytes()
        server.answer = label
        assert (await compiled(made, server)).code == 0
        twice = {digest for digest, times in requests_of(server).items() if times > 1}
        assert twice  # asked for again
        assert twice <= unread & before.keys()  # what could be read is not paid again
        asked = len(server.calls)
        assert (await compiled(made, server)).code == 0
        assert len(server.calls) == asked  # all of it was of use
        assert (await compiled(clean, server)).code == 0
    assert made.artifact.read_bytes() == clean.artifact.read_bytes() != garbage


async def test_a_compile_that_found_nothing_to_read_asks_again(tmp_path: Path) -> None:
    made = project(tmp_path / "made", **SMALL)
    async with FakeServer(lambda _: "no idea") as server:
        failed = await compiled(made, server)
        assert failed.code != 0
        assert "could be read" in failed.text
        server.answer = label
        assert (await compiled(made, server)).code == 0


@pytest.mark.parametrize("dead_from", [20, 45])
async def test_a_compile_that_a_failure_stopped_goes_on_and_pays_nothing_twice(
    tmp_path: Path, dead_from: int
) -> None:
    made, clean = (project(tmp_path / name, budget=BUDGET, **SMALL) for name in ("made", "clean"))
    dead = False

    def fails(_: Call) -> str | None:
        return "500" if dead and len(server.calls) - whole > dead_from else None

    async with FakeServer(garbled, faults=fails) as server:
        whole = 0
        assert (await compiled(clean, server)).code == 0
        whole, dead = len(server.calls), True
        assert (await compiled(made, server)).code == 4
        answered = server.calls[whole : whole + dead_from]
        assert any(garbled(call) == "no idea" for call in answered)
        begun, dead = len(server.calls), False
        assert (await compiled(made, server)).code == 0
        assert len(answered) + len(server.calls) - begun == whole
        later = {call.digest for call in server.calls[begun:]}
        assert not later & {call.digest for call in answered}
    assert made.artifact.read_bytes() == clean.artifact.read_bytes()
