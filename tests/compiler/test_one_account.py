"""Everything that says what a compile took says the same, to the call and the cent, however badly it is answered."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
from accounting import SUBJECTS, Account, compiled, usage, written
from msgspec.structs import replace
from server import Answering, Call, FakeServer, hashed

from dspec.compiler.cli.results import compiled_json
from dspec.runtime.schema.usage import pico

SPOILING = {"malformed": 0.05, "empty": 0.1, "choices": 0.05, "500": 0.05, "429:0.01": 0.05}
"""Faults by rate; all but the last two are billed, and an empty answer's usage is known."""


MUMBLE = "I would rather not say."


def mumbles(call: Call) -> str:
    """The label in sections, and one answer in eight that nobody can read."""
    return MUMBLE if mumbled(call.digest) else speaks(call)


def mumbled(digest: str) -> bool:
    return int(digest, 16) % 8 == 3


def speaks(call: Call) -> str:
    wanted = "abcd"[int(call.digest, 16) // 8 % 4]
    return f"[[ ## label ## ]]\n{wanted}\n\n[[ ## completed ## ]]"


def asked_again(server: FakeServer, before: Counter[str]) -> Counter[str]:
    """How often each request was answered since: at most as often as before. Samples are requests of one text."""
    since = server.answered - before
    assert since <= before
    return since


subjects = pytest.mark.parametrize("subject", list(SUBJECTS))


def agrees(account: Account) -> None:
    """Report, tally, events and spans of one compile."""
    tally, told, needed = account.result.tally, account.report, account.result.spent.total
    calls = told["calls"]
    by_kind = {
        kind: [one for one in account.events if one.kind == kind]
        for kind in ("answered", "replayed", "shared", "failed", "retrying")
    }
    assert len(by_kind["answered"]) == tally.calls == calls["made"]
    assert len(by_kind["replayed"]) == tally.replayed
    assert len(by_kind["shared"]) == tally.shared
    assert (calls["replayed"], calls["shared"]) == (tally.free, 0)
    failed = [*by_kind["failed"], *by_kind["retrying"]]
    assert sum(one.spoiled for one in failed) == tally.spoiled == calls["spoiled"]
    # Money: what was answered and what was spoiled is what is paid now.
    paid = sum(pico(one.cost or 0.0) for one in (*by_kind["answered"], *failed))
    assert paid == tally.spent.cost
    assert told["cost_usd"] == tally.spent.usd
    spanned = sum(pico(one.get("dspec.cost_usd", 0.0)) for one in account.spans)
    assert spanned == paid
    assert sum(one.get("gen_ai.usage.input_tokens", 0) for one in account.spans) == tally.spent.input_tokens
    # Calls: what was needed was made now, or is there from before.
    had = calls["made"] + calls["replayed"] + calls["remembered"] - calls["besides"]
    assert had == calls["needed"] == needed.calls
    assert told["needed"]["cost_usd"] == needed.usd
    planned = calls["planned"]
    assert needed.calls <= planned["most"] + planned["again"]


@subjects
@pytest.mark.parametrize("faults", [{}, SPOILING], ids=["well", "spoiled"])
async def test_everything_agrees(subject: str, faults: dict[str, float], tmp_path: Path) -> None:
    source = written(tmp_path, subject)
    async with FakeServer(mumbles, faults=faults, reports=usage) as server:
        first = await compiled(source, server, tmp_path / "state")
        agrees(first)
        tally = first.result.tally
        # A fresh compile needs what it makes, shares and meets again, and nothing else.
        assert first.report["calls"]["remembered"] == first.report["calls"]["besides"] == 0
        told = [one for one in first.events if one.kind in ("answered", "replayed", "shared")]
        assert sum(pico(one.cost or 0.0) for one in told) == first.result.spent.total.cost
        # The provider's bill, but for the failures that it tells nothing of.
        assert sum(server.answered.values()) == tally.calls
        assert len(server.billed) == tally.calls + tally.spoiled
        billed = sum(inputs for inputs, _ in server.billed)
        assert tally.spent.input_tokens <= billed

        before = server.answered.copy()
        again = await compiled(source, server, tmp_path / "state")
        agrees(again)
        assert again.artifact == first.artifact
        # Paid for once more: what nobody could read, and nothing else.
        since = asked_again(server, before)
        assert 0 < again.result.tally.calls == since.total()
        assert all(map(mumbled, since))
        assert again.report["calls"]["needed"] == first.report["calls"]["needed"]
        assert again.report["needed"] == first.report["needed"]

        before = server.answered.copy()
        without = await compiled(source, server, tmp_path / "state", store=False)
        agrees(without)
        assert asked_again(server, before) == since  # a run that is remembered holds none of them
        assert without.artifact == first.artifact
        assert without.report["calls"]["remembered"] == 0


@subjects
async def test_a_compile_that_was_answered_well_pays_for_nothing_again(subject: str, tmp_path: Path) -> None:
    source = written(tmp_path, subject)
    async with FakeServer(speaks, reports=usage) as server:
        first = await compiled(source, server, tmp_path / "state")
        for store in (True, False):
            again = await compiled(source, server, tmp_path / "state", store=store)
            agrees(again)
            assert again.artifact == first.artifact
            assert (again.result.tally.calls, again.result.tally.spent.cost) == (0, 0)
            assert again.report["needed"] == first.report["needed"]


async def test_how_soon_an_answer_came_is_not_told(tmp_path: Path) -> None:
    """The same request is answered from the ledger or shares the call in flight, as it happens."""
    async with FakeServer(speaks, reports=usage) as server:
        result = (await compiled(written(tmp_path, "one"), server, tmp_path / "state")).result
    told = {
        compiled_json([replace(result, tally=replace(result.tally, replayed=4 - shared, shared=shared))])
        for shared in range(4)
    }
    assert len(told) == 1


async def test_a_vote_is_held_again_where_nobody_could_read_one_of_its_answers(tmp_path: Path) -> None:
    """Its outputs are those of the others, and no memory of what the program does once the server was mended."""
    source = written(tmp_path / "a", "vote")
    came = Counter[str]()

    def third_mumbles(call: Call) -> str:
        came[call.digest] += 1
        corrected = any(MUMBLE in one["content"] for one in call.body["messages"])
        return MUMBLE if corrected or came[call.digest] % 3 == 0 else speaks(call)

    async with FakeServer(third_mumbles, reports=usage) as server:
        first = await compiled(source, server, tmp_path / "a" / "state")
        server.answer = speaks
        again = await compiled(source, server, tmp_path / "a" / "state")
        fresh = await compiled(written(tmp_path / "b", "vote"), server, tmp_path / "b" / "state")
        settled = await compiled(source, server, tmp_path / "a" / "state")
    agrees(again)
    assert 0 < again.result.tally.calls < first.result.tally.calls
    assert again.artifact == fresh.artifact == settled.artifact
    assert settled.result.tally.calls == 0


@pytest.mark.slow
@subjects
@pytest.mark.parametrize("answer", [speaks, mumbles])
async def test_a_changed_price_gives_the_artifact_of_a_fresh_compile(
    subject: str, answer: Answering, tmp_path: Path
) -> None:
    async with FakeServer(answer, reports=usage) as server:
        old = written(tmp_path / "a", subject)
        before = await compiled(old, server, tmp_path / "a" / "state")
        dearer = written(tmp_path / "a", subject, price=7.25)
        asked = server.answered.copy()
        made = await compiled(dearer, server, tmp_path / "a" / "state")
        since = asked_again(server, asked)
        fresh = await compiled(written(tmp_path / "b", subject, price=7.25), server, tmp_path / "b" / "state")
    agrees(made)
    assert made.result.tally.calls == since.total()
    assert all(map(mumbled, since))
    assert bool(since) == (answer is mumbles)
    assert made.artifact == fresh.artifact != before.artifact


async def test_what_was_answered_before_a_model_failed_is_needed_where_errors_are_scored(
    tmp_path: Path,
) -> None:
    """The second call of a run fails for good on some rows: the first was paid."""
    source = written(tmp_path, "graph", on_error="score_zero")

    def second_fails(call: Call) -> str | None:
        failing = (
            "[[ ## first ## ]]" in call.prompt and int(call.prompt.split("text ")[1].split()[0]) % 5 == 0
        )
        return "400" if failing else None

    async with FakeServer(hashed, faults=second_fails, reports=usage) as server:
        first = await compiled(source, server, tmp_path / "state")
    agrees(first)
    assert first.report["unanswered"] > 0
    assert first.report["calls"]["besides"] == 0
