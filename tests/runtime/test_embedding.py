"""A program inside an application: settings of a call, keys, batches, history, hooks, threads, forks and loops."""

import asyncio
import dataclasses
import logging
import multiprocessing
import os
import threading
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextvars import ContextVar
from datetime import UTC, date, datetime
from decimal import Decimal
from enum import Enum
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from programs import chat, fields, module, predictor, question
from pydantic import BaseModel, ValidationError
from server import Call, FakeServer, beside

from dspec import Application, CallRecord, load
from dspec.runtime.artifact.artifact import Artifact, write_artifact
from dspec.runtime.errors import (
    ConfigurationError,
    InputError,
    ParseError,
    ProviderError,
    TimedOut,
    Unauthorized,
)
from dspec.runtime.models.background import shutdown
from dspec.runtime.running.bringing import brought
from dspec.runtime.schema.lms import LM
from dspec.runtime.schema.program import FieldSpec, Predictor, Program, Record
from dspec.runtime.schema.types import INT, STR, ListOf, OneOf, OptionalOf, RecordRef, Scalar, Type

INTENT = OneOf(values=("card", "cash", "other"))
ROUTE = predictor(fields(text=STR), fields(intent=INTENT))
LINE = Record(name="Line", fields=fields(item=STR, due=Scalar(name="date")))
ORDER = Record(
    name="Order", fields=fields(lines=ListOf(item=RecordRef(name="Line")), note=OptionalOf(item=STR))
)
RECORDS = {"Line": LINE, "Order": ORDER}


@pytest.fixture(autouse=True)
def _stopped() -> Iterator[None]:  # pyright: ignore[reportUnusedFunction]
    yield
    shutdown()


def saved(folder: Path, asked: Predictor | Program = ROUTE, **lms: LM) -> Path:
    models = lms or {
        "mini": LM(name="mini", model="hosted_vllm/x", api_base_env="BASE", retry=0, retry_said=True)
    }
    program = module(asked, lms=models) if isinstance(asked, Predictor) else asked
    path = folder / "router.dspc.json"
    write_artifact(path, Artifact(name="router", program=program))
    return path


def opened(
    folder: Path, server: FakeServer, asked: Predictor | Program = ROUTE, **settings: Any
) -> Application:
    return load(saved(folder, asked), **{"api_base": server.url, **settings})


def cash(call: Call) -> str:
    return chat(intent="cash")


# Settings ----------------------------------------------------------------------------------------------


async def test_settings_of_one_call(tmp_path: Path) -> None:
    async with FakeServer(cash) as server:
        p = opened(tmp_path, server)
        await p.acall(text="a", lm="hosted_vllm/other", temperature=0.7)
        await p.acall(text="a")
        await p.acall(text="a", lm={"mini": "hosted_vllm/third"})
        await p.abatch([{"text": "b"}], lm="hosted_vllm/other", temperature=0)
    asked = [(call.body["model"], call.body.get("temperature")) for call in server.calls]
    assert asked == [("other", 0.7), ("x", None), ("third", None), ("other", 0)]
    with pytest.raises(ConfigurationError, match="`lm` names the model `big`"):
        p(text="a", lm={"big": "openai/x"})
    with pytest.raises(ConfigurationError, match="`temperature` must be at least 0"):
        p(text="a", temperature=-1)
    with pytest.raises(ConfigurationError, match="`timeout` is of type str, and should be a number"):
        p(text="a", timeout="5")


async def test_a_setting_that_is_an_input_is_the_input(tmp_path: Path) -> None:
    asked = predictor(fields(text=STR, timeout=INT, lm=OptionalOf(item=STR)), fields(intent=INTENT))
    async with FakeServer(cash) as server:
        p = opened(tmp_path, server, asked)
        await p.acall(text="a", timeout=5, lm=None)
        assert "[[ ## timeout ## ]]\n5" in server.calls[0].prompt
        await p.with_lm("hosted_vllm/other", timeout=9).acall(text="a", timeout=6, lm="b")
        assert server.calls[1].body["model"] == "other"
        assert "[[ ## lm ## ]]\nb" in server.calls[1].prompt


async def test_a_call_has_so_much_time(tmp_path: Path) -> None:
    async with FakeServer(cash, faults={"hang": 1.0}) as server:
        p = opened(tmp_path, server)
        with pytest.raises(TimedOut, match=r"no result within 0.1 s, and the call was given up") as caught:
            await p.acall(text="a", timeout=0.1)
        assert "with all of its steps" in caught.value.help
        with pytest.raises(TimedOut):
            await p.with_lm(timeout=0.1).acall(text="b")
        with pytest.raises(TimedOut):
            await opened(tmp_path, server, timeout=0.1).acall(text="c")
        with pytest.raises(ProviderError, match=r"no whole answer within 0.1 s"):
            await opened(tmp_path, server, attempt_timeout=0.1).acall(text="d")


async def test_tries_and_rates_are_settings_of_load(tmp_path: Path) -> None:
    async with FakeServer(cash, faults=["500", "500", "500"]) as server:
        p = opened(tmp_path, server, retry=1, rpm=1000, tpm=10**6, max_parallel=2)
        lm = p.program.lms["mini"]
        assert (lm.retry, lm.retry_said, lm.rpm, lm.tpm, lm.max_parallel) == (1, True, 1000, 10**6, 2)
        with pytest.raises(ProviderError, match="after 2 attempts"):
            await p.acall(text="a")
        assert (await p.with_lm(retry=3).acall(text="a")).intent == "cash"
    assert p.with_lm(retry={"mini": 0}).program.lms["mini"].retry == 0
    for arguments, words in (
        ({"retry": -1}, "`retry` must be at least 0"),
        ({"retry": 1.5}, "`retry` is of type float, and should be a whole number"),
        ({"rpm": {"big": 5}}, "`rpm` names the model `big`, which the program does not have"),
        ({"timeout": 0}, "`timeout` must be at least 0.001"),
        ({"timeout": float("inf")}, "`timeout` must be at least 0.001, and finite"),
        ({"history": -1}, "`history` must be at least 0"),
        ({"on_call": 5}, "`on_call` is of type int, and should be a function"),
        ({"api_key": 5}, "`api_key` is of type int, and should be a text, a function"),
        ({"program": int}, "`program` is <class 'int'>, and should be a class that `dspc stubs` wrote"),
    ):
        with pytest.raises(ConfigurationError) as caught:
            load(saved(tmp_path), **{"api_base": "http://127.0.0.1:1/v1", **arguments})  # pyright: ignore[reportArgumentType, reportCallIssue]
        assert caught.value.message.startswith(words)


async def test_views_share_all_else(tmp_path: Path) -> None:
    async with FakeServer(cash) as server:
        p = opened(tmp_path, server, cache=tmp_path / "kept.sqlite")
        other = p.with_lm("hosted_vllm/other", temperature=0.5)
        await p.acall(text="a")
        await other.acall(text="a")
        assert (await other.acall(text="a")).usage.replayed == 1
        assert (other.program.lms["mini"].model, p.program.lms["mini"].model) == (
            "hosted_vllm/other",
            "hosted_vllm/x",
        )
        assert len(p.history()) == len(other.history()) == 3
        assert p.usage == other.usage
        assert len({call.port for call in server.calls}) == 1
        other.close()
        assert (await p.acall(text="a")).usage.replayed == 1


# Keys --------------------------------------------------------------------------------------------------


async def test_a_key_by_value_or_by_a_function(tmp_path: Path) -> None:
    async with FakeServer(cash, key="sk-first") as server:
        assert (await opened(tmp_path, server, api_key="sk-first").acall(text="a")).intent == "cash"
        given = iter(["sk-wrong", "sk-first", "sk-second"])
        p = opened(tmp_path, server, api_key={"mini": lambda: next(given)})
        with pytest.raises(Unauthorized, match="the key was not accepted") as caught:
            await p.acall(text="a")
        assert caught.value.help == "check the key that the application gives"
        assert "sk-wrong" not in str(caught.value) + repr(p) + str(vars(p))
        assert (await p.acall(text="a")).intent == "cash"
        server.key = "sk-second"
        assert (await p.acall(text="a")).intent == "cash"
        with pytest.raises(ConfigurationError, match="the function that gives its key raised StopIteration"):
            await p.acall(text="a")
        p.close()


async def test_a_key_is_shown_to_nobody_else(tmp_path: Path) -> None:
    async with FakeServer(cash) as server, FakeServer(cash) as foreign:
        p = opened(tmp_path, server, api_key="sk-mine")
        await p.acall(text="a")
        await p.acall(text="a", lm="litellm_proxy/x")
        await p.with_lm(api_base=foreign.url).acall(text="a")
        await p.with_lm(api_base=foreign.url, api_key="sk-theirs").acall(text="a")
    assert [call.headers.get("Authorization") for call in server.calls] == ["Bearer sk-mine", None]
    assert [call.headers.get("Authorization") for call in foreign.calls] == [None, "Bearer sk-theirs"]
    asked = question()
    two = module(
        asked,
        lms={
            "mini": LM(name="mini", model="openai/a", fallback=("big",)),
            "big": LM(name="big", model="groq/b"),
        },
    )
    with pytest.raises(ConfigurationError, match="served at several places") as caught:
        load(saved(tmp_path, two), api_key="sk-one")
    assert caught.value.help == 'give one for each model: api_key={"mini": …, "big": …}'
    assert load(saved(tmp_path, two), api_key={"big": "sk-two"})


# Batches -----------------------------------------------------------------------------------------------


async def test_threads_are_calls_in_flight(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    rows = [{"text": f"row {number}"} for number in range(64)]

    async def width(wanted: int, at_once: int | None, **settings: Any) -> int:
        """How many were in flight at most, of a server that answers once as many are as there should be."""
        full = asyncio.Event()

        async def answer(call: Call) -> str:
            if server.in_flight >= wanted:
                full.set()
            await full.wait()
            return chat(intent="cash")

        async with FakeServer(answer) as server:
            await opened(tmp_path, server, **settings).abatch(rows, threads=at_once)
            return server.most_in_flight

    assert await width(16, None) == 16
    assert await width(64, 64) == 64
    assert await width(32, None, threads=32) == 32
    assert not caplog.records
    with caplog.at_level(logging.WARNING, "dspec"):
        assert await width(8, 64, threads=8) == 8
    assert [record.getMessage() for record in caplog.records] == [
        "batch(threads=64): the program was loaded with threads=8, so that many calls are in flight at most"
    ]


async def test_an_error_names_its_row(tmp_path: Path) -> None:
    def answer(call: Call) -> str:
        return chat(
            intent="neither"
            if "bad" in call.body["messages"][-1]["content"] or len(call.body["messages"]) > 2
            else "cash"
        )

    async with FakeServer(answer) as server:
        p = opened(tmp_path, server)
        rows: list[dict[str, Any]] = [{"text": "a"}, {"text": "bad"}, {"txt": "b"}, {"text": "bad"}]
        with pytest.raises(Exception, match=r"^rows\[1\]: Asked: intent") as caught:
            await p.abatch(rows)
        assert getattr(caught.value, "row", None) == 1
        first, *errors = await p.abatch(rows, return_exceptions=True)
        assert first.intent == "cash"  # pyright: ignore[reportAttributeAccessIssue]
    assert [str(error).partition(":")[0] for error in errors] == ["rows[1]", "rows[2]", "rows[3]"]
    assert [error.row for error in errors] == [1, 2, 3]  # pyright: ignore[reportAttributeAccessIssue]
    assert isinstance(errors[1], InputError)
    with pytest.raises(InputError, match=r"^there is no input") as alone:
        await p.acall(txt="b")
    assert alone.value.row is None


async def test_progress(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    async with FakeServer(cash) as server:
        told: list[tuple[int, int]] = []
        p = opened(tmp_path, server)
        await p.abatch([{"text": "a"}] * 3, progress=lambda done, total: told.append((done, total)))
        assert told == [(1, 3), (2, 3), (3, 3)]
        await p.abatch([{"text": "a"}] * 3, progress=True)
    assert capsys.readouterr().err.endswith("3 of 3 rows\n")


# History, usage, hooks, inspection -----------------------------------------------------------------------


async def test_history_and_usage(tmp_path: Path) -> None:
    async with FakeServer(cash, faults=[None, "400"]) as server:
        p = opened(tmp_path, server, history=3)
        first = await p.acall(text="a")
        with pytest.raises(ProviderError):
            await p.acall(text="b")
        with pytest.raises(InputError):
            await p.acall(txt="c")
        await p.acall(text="d")
        records = p.history()
        assert [record.inputs for record in records] == [{"text": "b"}, {"txt": "c"}, {"text": "d"}]
        assert [type(record.error).__name__ for record in records] == ["Refused", "InputError", "NoneType"]
        assert records[0].trace[0].exchange
        assert p.history(1) == records[-1:]
        assert p.history(0) == []
        (last,) = p.history(1)
        assert last.prediction is not None
        assert (last.program, last.outputs, last.prediction.call_id) == (
            "router",
            {"intent": "cash"},
            last.id,
        )
        assert 0 <= last.seconds < 5
        assert p.usage.calls == 2
        assert p.usage.tokens == first.usage.tokens + last.prediction.usage.tokens
    assert opened(tmp_path, server, history=0).history() == []


async def test_hooks(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    where: ContextVar[str] = ContextVar("where", default="nowhere")
    told: list[tuple[str, CallRecord]] = []
    events: list[str] = []

    def hook(record: CallRecord) -> None:
        told.append((where.get(), record))
        raise RuntimeError("a hook that fails")

    async with FakeServer(cash, faults=["500"]) as server:
        p = opened(
            tmp_path,
            server,
            retry=1,
            on_call=hook,
            on_event=lambda event: events.append(getattr(event, "kind", "")),
        )
        where.set("in a request")
        assert (await p.acall(text="a")).intent == "cash"
        await p.acall(text="b")
    assert [(place, record.inputs) for place, record in told] == [
        ("in a request", {"text": "a"}),
        ("in a request", {"text": "b"}),
    ]
    assert events == ["started", "retrying", "started", "answered", "started", "answered"]
    assert len([record for record in caplog.records if "on_call" in record.message]) == 1


def test_inspection_asks_nobody(tmp_path: Path) -> None:
    path = saved(tmp_path, mini=LM(name="mini", model="openai/gpt-4o-mini", temperature=0.3))
    p = load(path)
    (prompt,) = p.inspect(text="my card")
    assert (prompt.step, prompt.predictor, prompt.lm, prompt.model) == (
        "out",
        "module",
        "mini",
        "openai/gpt-4o-mini",
    )
    assert [role for role, _ in prompt.messages] == ["system", "user"]
    assert "my card" in prompt.messages[1][1]
    assert dict(prompt.parameters) == {"temperature": 0.3}
    assert dict(p.with_lm(temperature=0).inspect(text="x")[0].parameters) == {"temperature": 0}
    with pytest.raises(InputError, match="no input `txt`"):
        p.inspect(txt="x")
    assert p.history() == []


# Values ------------------------------------------------------------------------------------------------


class Level(Enum):
    HIGH = "high"


@dataclasses.dataclass
class Line:
    item: str
    due: date


class Order(BaseModel):
    lines: list[Line]
    note: str | None = None


async def test_values_of_the_applications_own_classes(tmp_path: Path) -> None:
    asked = predictor(
        fields(
            order=RecordRef(name="Order"), at=Scalar(name="datetime"), level=OneOf(values=("high", "low"))
        ),
        fields(first=RecordRef(name="Order"), orders=ListOf(item=RecordRef(name="Order"))),
    )
    program = module(
        asked, records=RECORDS, lms={"mini": LM(name="mini", model="hosted_vllm/x", api_base_env="BASE")}
    )
    given = '{"lines": [{"item": "pen", "due": "2026-05-04"}], "note": null}'
    async with FakeServer(lambda call: chat(first=given, orders=f"[{given}]")) as server:
        p = opened(tmp_path, server, program)
        at = datetime(2026, 1, 2, 3, 4, tzinfo=UTC)
        result = await p.acall(order=Order(lines=[Line("pen", date(2026, 5, 4))]), at=at, level=Level.HIGH)
        (record,) = p.history()
        assert record.inputs == {
            "order": {"lines": [{"item": "pen", "due": "2026-05-04"}], "note": None},
            "at": "2026-01-02T03:04:00+00:00",
            "level": "high",
        }
        with pytest.raises(InputError, match=r"expected a value of JSON, got bytes; a text is passed as"):
            await p.acall(order={"lines": [], "note": b"x"}, at=at, level="low")
    assert result.first.lines[0].item == result.orders[0].lines[0].item == "pen"
    assert result["first"] == {"lines": [{"item": "pen", "due": "2026-05-04"}], "note": None}
    assert result.first == result["first"]
    with pytest.raises(AttributeError, match="no member `due`: there are lines, note"):
        _ = result.first.due

    class Both(BaseModel):
        first: Order
        orders: list[Order]

    both = result.into(Both)
    assert both.orders[0].lines[0].due == date(2026, 5, 4)

    class Numbers(BaseModel):
        orders: list[dict[str, list[dict[str, int]]]]
        total: int

    with pytest.raises(ParseError) as caught:
        result.into(Numbers)
    assert caught.value.message == (
        "an answer is no `Numbers`: `orders[0].lines[0].item`: input should be a valid integer, unable to parse string "
        "as an integer, got 'pen' (and 3 more)"
    )
    assert caught.value.help == (
        "declare in the signature what `Numbers` asks for, or let `Numbers` take what the signature declares"
    )
    assert isinstance(caught.value.__cause__, ValidationError)
    with pytest.raises(InputError, match="outputs cannot be read into `Decimals`: "):
        result.into(Decimals)


class Decimals:
    """Nothing that outputs can be read into."""


KINDS: dict[str, Type] = {
    "str": STR,
    "int": INT,
    "any": Scalar(name="any"),
    "image": Scalar(name="image"),
    "datetime": Scalar(name="datetime"),
    '"a" | "b"': OneOf(values=("a", "b")),
    "list[str]": ListOf(item=STR),
    "Order": RecordRef(name="Order"),
}
ENDLESS: list[Any] = []
ENDLESS.append(ENDLESS)
DEEP: Any = "x"
for _ in range(5_000):
    DEEP = [DEEP]
NO_VALUES: dict[str, tuple[Any, str]] = {
    "object": (object(), "expected {kind}, got object"),
    "class": (Order, "expected {kind}, got the class Order"),
    "set": ({"a"}, "expected {kind}, got set\nhelp: a set has no order"),
    "numpy": (np.int64(3), "expected {kind}, got numpy.int64\nhelp: pass a number of NumPy's as `x.item()`"),
    "array": (np.array([1]), "expected {kind}, got numpy.ndarray"),
    "decimal": (Decimal("1.5"), "expected {kind}, got decimal.Decimal"),
    "function": (len, "expected {kind}, got builtin_function_or_method"),
    "inside": ({"lines": [object()]}, "expected {kind}, got object in it"),
    "key": ({1: "x"}, "a member is named by a text, not by int"),
    "deep": (DEEP, "nested deeper than"),
    "endless": (ENDLESS, "nested deeper than"),
}


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_no_value_is_an_input_error(kind: str) -> None:
    given = (FieldSpec(name="x", type=KINDS[kind]),)
    for value, told in NO_VALUES.values():
        with pytest.raises(InputError, match="the input `x` does not fit: ") as raised:
            brought(given, {"x": value})
        said = "\n".join((str(raised.value), *getattr(raised.value, "__notes__", ())))
        assert told.format(kind=kind) in said


async def test_what_holds_no_inputs_is_an_input_error(tmp_path: Path) -> None:
    async with FakeServer(lambda call: chat(answer="a")) as server:
        p: Any = opened(tmp_path, server, question())
        for wrong in ("question", None, 5, [("question", "?")]):
            kind = type(wrong).__name__
            with pytest.raises(InputError, match=rf"^inputs are a mapping of names to values, not `{kind}`"):
                p.call(wrong)
            with pytest.raises(InputError, match=rf"^rows\[0\]: inputs are a mapping .* not `{kind}`"):
                p.batch([wrong])
        with pytest.raises(InputError, match=r"^a batch takes rows, each a mapping of inputs, not `int`"):
            p.batch(5)
        with pytest.raises(InputError, match=r"^a batch takes rows"):
            await p.abatch(5)
        assert not server.calls


async def test_outputs_come_before_a_predictions_newer_names(tmp_path: Path) -> None:
    async with FakeServer(lambda call: chat(call_id="mine", into="it")) as server:
        p = opened(tmp_path, server, predictor(fields(text=STR), fields(call_id=STR, into=STR)))
        result = await p.acall(text="a")
    assert (result.call_id, result.into) == ("mine", "it")


async def test_a_notebook_shows_a_table(tmp_path: Path) -> None:
    async with FakeServer(lambda call: chat(answer="<script>alert(1)</script>")) as server:
        result = await opened(tmp_path, server, question()).acall(question="?")
    shown = result._repr_html_()  # pyright: ignore[reportPrivateUsage]
    assert "&lt;script&gt;" in shown
    assert "<script>" not in shown
    assert "1 model call " in shown


# Threads, loops, processes -------------------------------------------------------------------------------


async def test_a_hundred_threads(tmp_path: Path) -> None:
    async with FakeServer(
        lambda call: chat(intent="card" if "card" in call.prompt else "cash"), latency=0.01
    ) as server:
        p = opened(tmp_path, server)
        barrier = threading.Barrier(100)

        def use(number: int) -> tuple[str, str]:
            barrier.wait()
            text = "card" if number % 2 else "cash"
            streamed = (
                p.stream(text=f"{text} {number}").result if number % 10 == 0 else p(text=f"{text} {number}")
            )
            return text, streamed.intent

        def all_of_them() -> list[tuple[str, str]]:
            with ThreadPoolExecutor(100) as pool:
                return list(pool.map(use, range(100)))

        results = await asyncio.to_thread(all_of_them)
        assert all(wanted == got for wanted, got in results)
        assert len(server.calls) == 100
        assert server.most_in_flight <= 16
        assert p.usage.calls == 100


async def test_a_thousand_coroutines(tmp_path: Path) -> None:
    async with FakeServer(lambda call: chat(intent="card" if "card" in call.prompt else "cash")) as server:
        p = opened(tmp_path, server, history=1000)

        async def use(number: int) -> bool:
            text = "card" if number % 2 else "cash"
            if number % 20 == 0:
                return (await p.astream(text=f"{text} {number}").result()).intent == text
            return (await p.acall(text=f"{text} {number}")).intent == text

        assert all(await asyncio.gather(*map(use, range(1000))))
        assert len(server.calls) == 1000
        assert server.most_in_flight <= 16
        assert Counter(type(record.error) for record in p.history()) == {type(None): 1000}


def test_a_fork_calls_on(tmp_path: Path) -> None:
    with beside("--answer", chat(intent="cash")) as url:
        p = load(saved(tmp_path), api_base=url, cache=tmp_path / "kept.sqlite")
        assert p(text="parent").intent == "cash"
        context = multiprocessing.get_context("fork")
        told: Any = context.SimpleQueue()

        def child() -> None:
            told.put(
                (
                    p(text="child").intent,
                    p(text="parent").usage.replayed,
                    "".join(getattr(event, "text", "") for event in p.stream(text="streamed")),
                )
            )
            told.close()
            os._exit(0)

        forked = context.Process(target=child)
        forked.start()
        assert told.get() == ("cash", 1, "")
        forked.join(10)
        assert p(text="parent again").intent == "cash"


def test_loops_that_come_and_go(tmp_path: Path) -> None:
    with beside("--answer", chat(intent="cash")) as url:
        p = load(saved(tmp_path), api_base=url)
        for number in range(3):
            assert asyncio.run(p.acall(text=f"a {number}")).intent == "cash"

            async def streamed() -> int:
                return len([event async for event in p.astream(text="b")])

            assert asyncio.run(streamed()) == 1


def test_field_specs_are_there(tmp_path: Path) -> None:
    p = load(saved(tmp_path), api_base="http://127.0.0.1:1/v1")
    assert all(isinstance(spec, FieldSpec) for spec in (*p.inputs, *p.outputs))
    assert p.artifact.name == "router"
