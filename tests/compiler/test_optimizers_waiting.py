"""Nobody waits for what he does not need: attempts ahead of time, first rounds while sets are still being made.

What is asked and what comes out depend on answers alone, never on when they arrive.
"""

from __future__ import annotations

import asyncio
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scripted import Asked, classifier, group, jitter, learner, pipeline, rows, wrong
from stepping import step
from virtual import elapsed
from writing import Model

from dspec.compiler.data import Example
from dspec.compiler.evaluate.store import program_digest
from dspec.compiler.evaluate.tasks import both
from dspec.compiler.optimizers.bootstrap_few_shot import Accepted, in_order, likely
from dspec.runtime.errors import BudgetExceeded
from dspec.runtime.schema.program import Program

SEARCH = "BootstrapFewShotWithRandomSearch"
TRAIN, VAL = rows(24, groups=5), rows(20, start=100, groups=5)


async def tried(
    passing: list[bool], wanted: int, seed: int, *, ahead: bool
) -> tuple[list[int], list[int], list[int]]:
    """Rows that were started, rows told of, and rows accepted, when answers come in an order drawn from `seed`."""
    draws = random.Random(seed)
    started: list[int] = []
    told: list[int] = []

    async def attempt(example: Example) -> Accepted | None:
        started.append(example.index)
        for _ in range(draws.randrange(6)):
            await asyncio.sleep(0)
        return Accepted(example, {}) if passing[example.index] else None

    accepted, halt = await in_order(
        rows(len(passing)), wanted, attempt, tried=lambda row: told.append(row.index), ahead=ahead
    )
    assert halt is None
    return started, told, [one.example.index for one in accepted]


@given(st.lists(st.booleans(), max_size=40), st.integers(0, 6), st.integers(0, 1000), st.integers(0, 1000))
def test_which_rows_are_tried_is_a_matter_of_results(
    passing: list[bool], wanted: int, one: int, other: int
) -> None:
    places = [place for place, passed in enumerate(passing) if passed][:wanted]
    needed = 0 if wanted == 0 else places[-1] + 1 if len(places) == wanted else len(passing)
    started, told, accepted = asyncio.run(tried(passing, wanted, one, ahead=False))
    assert (started, told, accepted) == (list(range(needed)), list(range(needed)), places)
    started, told, accepted = asyncio.run(tried(passing, wanted, one, ahead=True))
    assert (told, accepted) == (list(range(needed)), places)
    assert started == asyncio.run(tried(passing, wanted, other, ahead=True))[0]
    assert needed <= len(started) <= needed * 1.5 + 1


def test_how_far_ahead_follows_from_what_was_seen() -> None:
    assert [likely(4, n, 0) for n in (0, 1, 3, 10)] == [2, 4, 8, 22]
    assert [likely(2, n, n) for n in (0, 1, 10)] == [1, 1, 1]
    assert likely(0, 10, 4) == 0


async def test_a_candidate_is_scored_while_others_are_being_made(monkeypatch: pytest.MonkeyPatch) -> None:
    def hard(asked: Asked) -> dict[str, str]:
        # Only one row of train can be solved, so that most sets go on to the last one.
        text = asked.question["text"]
        solved = text == TRAIN[3].inputs["text"] or int(text.split()[1]) >= 100
        return {"label": f"L{group(text)}" if solved and asked.demos else "L?", "gist": "so"}

    done = await step(
        monkeypatch,
        SEARCH,
        hard,
        train=TRAIN,
        val=VAL,
        num_candidate_programs=6,
        max_labeled_demos=3,
        latency=lambda: 0.002,
    )
    places = [int(text.split()[1]) for text in done.script.texts()]
    last_attempt = max(at for at, place in enumerate(places) if place < 100)
    scored = [at for at, place in enumerate(places) if place >= 100][len(VAL) :]
    assert min(scored) < last_attempt
    assert done.spent.calls == done.script.calls <= done.promised.most


@pytest.mark.parametrize("reply", [learner, wrong])
async def test_a_search_asks_the_same_at_any_width(monkeypatch: pytest.MonkeyPatch, reply: object) -> None:
    found: set[tuple[object, ...]] = set()
    for threads, seed in ((1, 0), (3, 1), (64, 2), (64, 3)):
        done = await step(
            monkeypatch,
            SEARCH,
            reply,  # type: ignore[arg-type]
            train=TRAIN,
            val=VAL,
            threads=threads,
            latency=jitter(seed),
            num_candidate_programs=6,
            max_labeled_demos=3,
            max_rounds=2,
        )
        candidates = [(one.label, program_digest(one.program)) for one in done.result.candidates]
        asked = sorted(
            (text, repr(one.demos)) for text, one in zip(done.script.texts(), done.script.asked, strict=True)
        )
        found.add((repr(candidates), repr(asked), repr(done.told), done.spent.calls))
    assert len(found) == 1


@pytest.mark.parametrize(
    ("student", "skills"),
    [
        (classifier(), [30, 60, 45, 70, 50, 65]),
        (classifier(), [30, 60, 45, 100, 50]),
        (pipeline(), [30, 60, 45, 70, 50, 65]),
    ],
)
async def test_rounds_of_proposals_ask_the_same_at_any_width(
    monkeypatch: pytest.MonkeyPatch, student: Program, skills: list[int]
) -> None:
    """One round begins while the race of the one before it is on, unless that might find something perfect."""
    found: set[tuple[object, ...]] = set()
    for threads, seed in ((1, 0), (64, 1)):
        done = await step(
            monkeypatch,
            "COPRO",
            Model(skills),
            student=student,
            train=TRAIN,
            val=VAL,
            threads=threads,
            latency=jitter(seed),
            breadth=4,
            ends=True,
        )
        candidates = [(one.label, program_digest(one.program)) for one in done.result.candidates]
        # What two programs ask alike is asked once where it is out at the same time.
        asked = sorted({str((one.request.messages, one.request.sample)) for one in done.script.asked})
        found.add((repr(candidates), repr(asked), repr(done.told), done.result.notes, done.spent.calls))
        assert done.spent.calls <= done.promised.most
        assert done.result.ended is (100 in skills)
    assert len(found) == 1


def test_rounds_of_proposals_wait_for_little_but_their_calls(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a clock that counts waiting alone."""
    done, seconds = elapsed(
        step(
            monkeypatch,
            "COPRO",
            Model([20 + number * 7 % 45 for number in range(40)]),
            train=rows(100),
            val=rows(100, start=1000),
            threads=64,
            latency=lambda: 0.1,
        )
    )
    assert done.spent.calls == done.script.calls <= done.promised.most
    assert seconds <= 1.25 * done.spent.calls * 0.1 / 64


@pytest.mark.parametrize(("threads", "bar"), [(16, 1.1), (64, 1.4)])
def test_a_search_waits_for_little_but_its_calls(
    monkeypatch: pytest.MonkeyPatch, threads: int, bar: float
) -> None:
    """On a clock that counts waiting alone: the rest of a compile's wall is computing."""

    def unsure(asked: Asked) -> dict[str, str]:
        draw = random.Random(f"{asked.question} {asked.demos}").random()
        return {"label": f"L{group(asked.question['text'])}" if draw < 0.24 else "L?"}

    done, seconds = elapsed(
        step(
            monkeypatch,
            SEARCH,
            unsure,
            train=rows(200),
            val=rows(200, start=1000),
            threads=threads,
            latency=lambda: 0.1,
            num_candidate_programs=10,
        )
    )
    assert done.spent.calls == done.script.calls <= done.promised.most
    assert seconds <= bar * done.spent.calls * 0.1 / threads


async def test_data_are_summarized_while_demos_are_made(monkeypatch: pytest.MonkeyPatch) -> None:
    done = await step(monkeypatch, "MIPROv2", wrong, train=TRAIN, val=VAL, latency=lambda: 0.002)
    wanted = [asked.wanted[0] for asked in done.script.asked]
    places = [int(text.split()[1]) if text else 100 for text in done.script.texts()]
    attempts = [at for at, place in enumerate(places) if place < 100]
    assert wanted.index("observations") < attempts[-1]


async def test_of_two_jobs_a_halt_is_raised_once_both_are_over() -> None:
    over: list[str] = []

    async def job(name: str, *, halt: bool = False) -> str:
        await asyncio.sleep(0)
        over.append(name)
        if halt:
            raise BudgetExceeded(name)
        return name

    assert await both(job("a"), job("b")) == ("a", "b")
    with pytest.raises(BudgetExceeded, match="c"):
        await both(job("c", halt=True), job("d"))
    assert over == ["a", "b", "c", "d"]
