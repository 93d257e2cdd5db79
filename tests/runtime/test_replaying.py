"""Calls that kept answers alone can answer are answered in the caller's thread, as they would be anywhere."""

from __future__ import annotations

import hashlib
import sqlite3
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from programs import fields, module, predictor

from dspec import Application, Prediction, load
from dspec.runtime.artifact.artifact import Artifact, write_artifact
from dspec.runtime.errors import ParseError
from dspec.runtime.models.background import Background, shutdown
from dspec.runtime.models.protocol import Message, Request, ToolShape, key_of
from dspec.runtime.running import replaying
from dspec.runtime.schema.program import LM, Demo, Program, canonical
from dspec.runtime.schema.types import STR, OneOf

INTENT = OneOf(values=("card", "cash"))
ROUTE = predictor(fields(text=STR), fields(intent=INTENT)).model_copy(
    update={"demos": (Demo(inputs={"text": "my card"}, outputs={"intent": "card"}),)}
)


def program(**more: object) -> Program:
    lm = LM.model_validate({"name": "mini", "model": "embedded/icl", **more})
    return module(ROUTE, lms={"mini": lm})


@pytest.fixture
def artifact(tmp_path: Path) -> Path:
    path = tmp_path / "router.dspc.json"
    write_artifact(path, Artifact(name="router", program=program()))
    return path


@pytest.fixture(autouse=True)
def _stopped() -> Iterator[None]:  # pyright: ignore[reportUnusedFunction]
    yield
    shutdown()


@pytest.fixture
def handed_over(monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """What is handed to the engine's thread."""
    found: list[object] = []
    submit = Background.submit

    def noted(self: Background, work: Any) -> Any:
        found.append(work)
        return submit(self, work)

    monkeypatch.setattr(Background, "submit", noted)
    return found


def timeless(prediction: Prediction) -> tuple[object, ...]:
    steps = [
        replace(
            step,
            began=0.0,
            seconds=0.0,
            calls=tuple(replace(call, began=0.0, seconds=0.0) for call in step.calls),
        )
        for step in prediction.trace
    ]
    return prediction.outputs, steps, prediction.usage


def test_a_kept_answer_is_given_where_it_is_asked_for(
    artifact: Path, tmp_path: Path, handed_over: list[object]
) -> None:
    cache = tmp_path / "answers.sqlite"
    with load(artifact, cache=cache) as route:
        route(text="my card")
        assert len(handed_over) == 1
        again = route(text="my card")
        assert len(handed_over) == 1
        assert route.usage.calls == 2
        assert route.usage.replayed == 1
        assert [record.prediction for record in route.history(2)][-1] is again
    with load(artifact, cache=cache, on_event=lambda _: None) as usual:
        assert timeless(usual(text="my card")) == timeless(again)
    assert again.trace[0].calls[0].source == "ledger"


@pytest.mark.parametrize("setting", [{"on_call": lambda _: None}, {"on_event": lambda _: None}, {}])
def test_whoever_is_told_of_calls_is_told_on_the_engines_thread(
    artifact: Path, tmp_path: Path, handed_over: list[object], setting: dict[str, Any]
) -> None:
    cache = None if not setting else tmp_path / "answers.sqlite"
    with load(artifact, cache=cache, **setting) as route:
        for _ in range(3):
            route(text="my card")
        assert len(handed_over) == 3


def test_other_questions_are_asked(artifact: Path, tmp_path: Path, handed_over: list[object]) -> None:
    with load(artifact, cache=tmp_path / "answers.sqlite") as route:
        route(text="my card")
        route(text="my cash")
        route(text="my card", temperature=0.5)
        route(text="my card", temperature=0)
        route(text="my card", temperature=0.0)
        assert len(handed_over) == 5
        route.close()
        route(text="my card")
        assert len(handed_over) == 7, "closing, and what opens the cache again"


def test_a_damaged_answer_is_asked_for_again(
    artifact: Path, tmp_path: Path, handed_over: list[object]
) -> None:
    cache = tmp_path / "answers.sqlite"
    with load(artifact, cache=cache) as route:
        before = route(text="my card")
        with closing(sqlite3.connect(cache)) as database, database:
            database.execute("UPDATE answers SET body = replace(body, 'card', 'cash')")
        assert route(text="my card").outputs == before.outputs
        assert len(handed_over) == 2


def test_an_answer_that_nobody_can_read_is_never_given(
    tmp_path: Path, artifact: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ran: list[object] = []
    monkeypatch.setattr(replaying, "run", lambda *given, **named: ran.append(given) or _failing())
    with load(artifact, cache=tmp_path / "answers.sqlite") as route:
        route(text="my card")
        assert route(text="my card").intent == "card"
        assert len(ran) == 1


async def _failing() -> None:
    raise ParseError("nothing to read")


def test_many_threads_ask_at_once(artifact: Path, tmp_path: Path) -> None:
    texts = [f"my card number {number}" for number in range(40)]
    with load(artifact, cache=tmp_path / "answers.sqlite", history=1_000) as route:
        expected = [one.outputs for one in route.batch([{"text": text} for text in texts])]
        started = threading.Barrier(8)

        def ask(_: int) -> list[object]:
            started.wait()
            return [route(text=text).outputs for text in texts]

        with ThreadPoolExecutor(8) as pool:
            assert list(pool.map(ask, range(8))) == [expected] * 8
        assert route.usage.calls == 9 * len(texts)
        assert len(route.history(1_000)) == 9 * len(texts)


async def test_it_holds_within_a_running_loop(
    artifact: Path, tmp_path: Path, handed_over: list[object]
) -> None:
    with load(artifact, cache=tmp_path / "answers.sqlite") as route:
        assert route(text="my card").outputs == route(text="my card").outputs
        assert len(handed_over) == 1


def test_only_what_does_one_thing_after_the_other_is_answered_so() -> None:
    straight = program()
    assert replaying.is_straight(straight)
    (step,) = straight.steps
    assert not replaying.is_straight(straight.model_copy(update={"steps": (step, step)}))


TEXT = st.text(st.characters(exclude_categories=()), max_size=20)
PLAIN = LM(name="mini", model="openai/fake", api_base="http://localhost:1/v1")


@settings(max_examples=200, deadline=None)
@given(
    st.lists(st.builds(Message, st.sampled_from(["system", "user", "assistant"]), TEXT), max_size=3),
    st.sampled_from(
        [
            {},
            {"temperature": 0.0, "stop": ("a", "é")},
            {"extra": {"messages": 0, "top_k": 3}, "headers": {"x": "y"}},
            {"max_tokens": 5, "seed": 1},
        ]
    ),
    st.sampled_from([None, 0, 0.0, -0.0, 1, 1.0, 0.7]),
    st.integers(0, 3),
    st.sampled_from([None, {"type": "json_object"}]),
    st.sampled_from(["chat", "embedding"]),
    st.booleans(),
    st.booleans(),
)
def test_a_request_is_known_by_its_canonical_json(
    messages: list[Message],
    changes: dict[str, Any],
    temperature: float | None,
    sample: int,
    form: dict[str, Any] | None,
    kind: Any,
    tools: bool,
    reasoning: bool,
) -> None:
    lm = PLAIN.model_copy(update=changes)
    shapes = (ToolShape("search", "finds", {}),) if tools else ()
    request = Request(
        lm, tuple(messages), sample, temperature, form, kind=kind, tools=shapes, reasoning=reasoning
    )
    written = canonical({"endpoint": "http://localhost:1/v1", **request.question()})
    assert request.identity() == written
    assert key_of(request) == hashlib.sha256(written.encode(errors="surrogatepass")).digest()


def test_views_and_their_programs_are_told_apart(artifact: Path, tmp_path: Path) -> None:
    with load(artifact, cache=tmp_path / "answers.sqlite") as route:
        assert isinstance(route, Application)
        view = route.with_lm(temperature=0.9)
        view(text="my card")
        assert [record.prediction and record.prediction.usage.replayed for record in route.history(9)] == [0]
        route(text="my card")
        route(text="my card")
        view(text="my card")
        assert [record.prediction and record.prediction.usage.replayed for record in route.history(9)] == [
            0,
            0,
            1,
            1,
        ]
