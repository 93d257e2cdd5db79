"""Providers' batch APIs behind the engine, through LiteLLM: one file for what is out together, and nothing asked for twice."""

from __future__ import annotations

import asyncio
import gc
import json
import time
import warnings
from collections.abc import AsyncGenerator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest
from batching import BatchServer

from dspec.runtime.errors import (
    ConfigurationError,
    ProviderError,
    RateLimited,
    Refused,
    Stopped,
    Unauthorized,
)
from dspec.runtime.models.engine import Engine
from dspec.runtime.models.ledger import Ledger
from dspec.runtime.models.limits import Backoff
from dspec.runtime.models.prices import price
from dspec.runtime.models.protocol import Message, Request
from dspec.runtime.models.transports.batched import BatchRecord, name_of
from dspec.runtime.schema.program import LM


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dspec.runtime.models.transports.batched.SETTLED", 0.1)
    monkeypatch.setattr("dspec.runtime.models.transports.batched._LOOKED_AT", (0.02, 0.05))
    monkeypatch.setattr("dspec.runtime.models.transports.batched._PATIENCE", 3.0)
    monkeypatch.setenv("OPENAI_API_KEY", "none")


@pytest.fixture(autouse=True)
def _swept() -> Iterator[None]:
    """LiteLLM makes a client for each call and leaves its connection to the search for garbage."""
    yield
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        gc.collect()


def lm(url: str, **more: Any) -> LM:
    return LM(name="fake", model="openai/fake", api_base=url, mode="batch", **more)


def said(text: str, where: LM, sample: int = 0) -> Request:
    return Request(where, (Message("user", text),), sample=sample)


def prompt(body: dict[str, Any]) -> str:
    return body["messages"][-1]["content"]


def echo(body: dict[str, Any]) -> str:
    return f"re: {prompt(body)}"


@asynccontextmanager
async def engine(folder: Path, **more: Any) -> AsyncGenerator[Engine]:
    with Ledger(folder / "ledger.sqlite") as ledger:
        async with Engine(threads=2, ledger=ledger, backoff=Backoff(base=0.01), **more) as made:
            yield made


async def asked(made: Engine, where: LM, texts: list[str]) -> list[str | Exception]:
    work = (made.complete(said(text, where)) for text in texts)
    found = await asyncio.gather(*work, return_exceptions=True)
    return [one if isinstance(one, Exception) else one.answer.text for one in found]  # type: ignore[union-attr]


def records(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(path.read_bytes()) for path in sorted((folder / "batches").glob("*.json"))]


async def test_what_is_out_together_is_one_batch(tmp_path: Path) -> None:
    async with BatchServer(echo, looks=3) as server, engine(tmp_path) as made:
        where = lm(server.url, price_input=1.0, price_output=2.0)
        texts = [f"t{i}" for i in range(300)]
        assert await asked(made, where, [*texts, "t7"]) == [*(f"re: {text}" for text in texts), "re: t7"]
        assert server.sizes == [300]
        assert (made.tally.spent.calls, made.tally.shared) == (300, 1)
        assert made.tally.spent.input_tokens == 300 * 100
        assert made.tally.spent.usd == pytest.approx(300 * (100 + 2 * 10) / 1e6)
        # A second time they are in the ledger.
        assert await asked(made, where, texts[:5]) == [f"re: {text}" for text in texts[:5]]
        assert server.sizes == [300]
        body = json.loads(next(iter(server.asked)))
        assert body["model"] == "fake"
    assert records(tmp_path) == []


async def test_models_and_kinds_each_have_their_own(tmp_path: Path) -> None:
    async with BatchServer(echo) as server, engine(tmp_path) as made:
        one, other = lm(server.url), lm(server.url).model_copy(update={"model": "openai/other", "name": "o"})
        texts, others, vectors = await asyncio.gather(
            asked(made, one, ["a", "b"]), asked(made, other, ["a"]), made.embed(one, ["x", "y", "z"])
        )
        assert (texts, others) == (["re: a", "re: b"], ["re: a"])
        assert vectors == [[1.0, 2.0]] * 3
        assert sorted(server.sizes) == [1, 2, 3]


async def test_lines_that_fail_are_asked_again_in_another_batch(tmp_path: Path) -> None:
    seen: set[str] = set()

    def answer(body: dict[str, Any]) -> str | int | None:
        text = prompt(body)
        again = text in seen
        seen.add(text)
        if text == "refused":
            return 400
        if again or not text.startswith("b"):
            return echo(body)
        return 503 if text == "b1" else None

    async with BatchServer(answer) as server, engine(tmp_path) as made:
        found = await asked(made, lm(server.url), ["a1", "a2", "b1", "b2", "refused"])
        assert found[:4] == ["re: a1", "re: a2", "re: b1", "re: b2"]
        assert isinstance(found[4], Refused)
        assert "told to say 400" in found[4].message
        assert server.sizes == [5, 2]


async def test_what_expired_is_asked_again_and_the_rest_is_kept(tmp_path: Path) -> None:
    async with BatchServer(echo, ends={1: "expired"}) as server, engine(tmp_path) as made:
        texts = [f"t{i}" for i in range(6)]
        assert await asked(made, lm(server.url), texts) == [f"re: {text}" for text in texts]
        assert server.sizes == [6, 3]
        assert sorted(server.asked.values()) == [1, 1, 1, 2, 2, 2]


async def test_one_that_is_not_taken_is_no_answer(tmp_path: Path) -> None:
    async with BatchServer(echo, ends={1: "failed"}) as server, engine(tmp_path) as made:
        found = await asked(made, lm(server.url), ["a", "b"])
        assert all(isinstance(one, Refused) and "the file is not taken" in one.message for one in found)
        assert records(tmp_path) == []
        assert await asked(made, lm(server.url), ["a", "b"]) == ["re: a", "re: b"]


@pytest.mark.parametrize(("status", "kind"), [("401", Unauthorized), ("400", Refused), ("429", RateLimited)])
@pytest.mark.parametrize("where", ["POST /files", "POST /batches"])
async def test_one_that_is_refused_leaves_nothing_behind(
    tmp_path: Path, status: str, kind: type[ProviderError], where: str
) -> None:
    async with BatchServer(echo) as server, engine(tmp_path) as made:
        server.fault = lambda request: status if request == where else None
        found = await asked(made, lm(server.url, retry=0), ["a"])
        assert isinstance(found[0], kind), found
        assert records(tmp_path) == []
        server.fault = lambda request: None
        assert await asked(made, lm(server.url), ["a"]) == ["re: a"]
        assert server.sizes == [1]


async def test_one_that_was_made_though_nobody_said_so_is_found(tmp_path: Path) -> None:
    """The connection is cut when the batch is made: it is looked for by its name, and not made again."""
    cut = ["POST /batches"]

    def fault(request: str) -> str | None:
        return "cut" if request in cut else None

    async with BatchServer(echo) as server, engine(tmp_path) as made:
        server.fault = fault
        assert await asked(made, lm(server.url), ["a", "b"]) == ["re: a", "re: b"]
        assert server.sizes == [2]
        assert "GET /batches" in server.requests


async def test_a_later_process_finds_the_batch_of_an_earlier_one(tmp_path: Path) -> None:
    """Stopped while it waits: the second engine asks the same, and more, and pays for the more alone."""
    async with BatchServer(echo, looks=1000) as server:
        async with engine(tmp_path) as made:
            waiting = asyncio.create_task(asked(made, lm(server.url), ["a", "b", "c"]))
            while not server.sizes or not records(tmp_path)[0]["job"]:
                await asyncio.sleep(0.01)
            async with asyncio.timeout(2):
                await made.drain()
                assert all(isinstance(one, Stopped) for one in await waiting)
        (record,) = records(tmp_path)
        assert (record["job"], len(record["keys"])) == ("batch_1", 3)
        server.looks = 1
        async with engine(tmp_path) as made:
            assert await asked(made, lm(server.url), ["b", "d", "a"]) == ["re: b", "re: d", "re: a"]
            assert server.sizes == [3, 1]
            assert made.tally.spent.calls == 3
        # `c` was not asked for yet: it is still to be had.
        assert len(records(tmp_path)) == 1
        async with engine(tmp_path) as made:
            assert await asked(made, lm(server.url), ["c"]) == ["re: c"]
        assert server.sizes == [3, 1]


async def test_one_whose_id_was_not_written_is_found_by_a_later_process(tmp_path: Path) -> None:
    async with BatchServer(echo, looks=1000) as server:
        async with engine(tmp_path) as made:
            waiting = asyncio.create_task(asked(made, lm(server.url), ["a"]))
            while not server.sizes or not records(tmp_path)[0]["job"]:
                await asyncio.sleep(0.01)
            await made.drain()
            await waiting
        (path,) = (tmp_path / "batches").glob("*.json")
        path.write_text(json.dumps({**json.loads(path.read_text()), "job": ""}))
        server.looks = 1
        async with engine(tmp_path) as made:
            assert await asked(made, lm(server.url), ["a"]) == ["re: a"]
        assert server.sizes == [1]


async def test_one_that_never_came_so_far_is_made_anew(tmp_path: Path) -> None:
    """Killed between the record and the batch: no batch of its name is among the provider's."""
    async with BatchServer(echo) as server:
        request = said("a", lm(server.url))
        (tmp_path / "batches").mkdir()
        record = BatchRecord("1-x", server.url, "openai/fake", "chat", [name_of(request)], time.time())
        (tmp_path / "batches" / "1-x.json").write_bytes(msgspec.json.encode(record))
        (tmp_path / "batches" / "2-y.json").write_bytes(b'{"damaged')
        async with engine(tmp_path) as made:
            assert await asked(made, lm(server.url), ["a"]) == ["re: a"]
        assert server.sizes == [1]
        assert [path.name for path in (tmp_path / "batches").iterdir()] == ["2-y.json"]


async def test_a_provider_that_is_silent_for_a_while_is_asked_again(tmp_path: Path) -> None:
    down = [5]

    def fault(request: str) -> str | None:
        if request.startswith("GET /batches/") and down[0]:
            down[0] -= 1
            return "503"
        return None

    async with BatchServer(echo) as server, engine(tmp_path) as made:
        server.fault = fault
        assert await asked(made, lm(server.url), ["a"]) == ["re: a"]
        assert (server.sizes, down) == ([1], [0])


async def test_answers_that_lie_are_none(tmp_path: Path) -> None:
    """Lines of others, no JSON, other shapes, two for one."""
    async with BatchServer(echo) as server, engine(tmp_path) as made:
        finish = server._finish

        def lying(name: str, batch: dict[str, Any]) -> None:
            finish(name, batch)
            output = batch.get("output_file_id")
            if name == "batch_1" and output:
                lines = [json.loads(line) for line in server.files[output].splitlines()]
                stranger = {**lines[0], "custom_id": "somebody else's"}
                lines[1]["response"] = "no object"
                server.files[output] = b"\n".join(
                    [b"\x00\xff not json", b"[1]", json.dumps(stranger).encode()]
                    + [json.dumps(line).encode() for line in (*lines, lines[0])]
                )

        server._finish = lying  # type: ignore[method-assign]
        texts = ["a", "b", "c"]
        assert await asked(made, lm(server.url), texts) == [f"re: {text}" for text in texts]
        assert server.sizes == [3, 1]


async def test_without_a_place_for_its_id_none_is_begun() -> None:
    async with BatchServer(echo) as server, Engine() as made:
        with pytest.raises(ConfigurationError, match="would be lost with this process"):
            await made.complete(said("a", lm(server.url)))
        assert not server.requests


def test_it_costs_what_is_listed() -> None:
    at_once, batched = (LM(name="m", model="openai/gpt-4o-mini", mode=mode) for mode in (None, "batch"))
    full, half = price(at_once), price(batched)
    assert full is not None
    assert half is not None
    assert half.input == pytest.approx(full.input / 2)
    assert half.output == pytest.approx(full.output / 2)
    own = price(LM(name="m", model="openai/own", mode="batch", price_input=1.0, price_output=2.0))
    assert own is not None
    assert own.input == pytest.approx(1e-6)
