"""Calls that kept answers alone can answer are answered in the caller's thread, as they would be anywhere."""

from __future__ import annotations

import asyncio
import hashlib
import sqlite3
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import structs
from programs import binary, const, fields, module, must, predictor, should, var

from dspec import Application, Prediction, load
from dspec.runtime.adapters import chat
from dspec.runtime.adapters.chat import ChatAdapter
from dspec.runtime.artifact.artifact import Artifact, write_artifact
from dspec.runtime.errors import DspecError
from dspec.runtime.models.background import Background, shutdown
from dspec.runtime.models.calls import Completion
from dspec.runtime.models.prices import at_price
from dspec.runtime.models.protocol import Answer, Message, Request, ToolShape, key_of, keys_after
from dspec.runtime.running import replaying
from dspec.runtime.running.execute import Outcome, run
from dspec.runtime.schema.program import LM, Demo, Program, Record, canonical
from dspec.runtime.schema.types import BOOL, FLOAT, INT, STR, ListOf, OneOf, OptionalOf, RecordRef, Type
from dspec.runtime.schema.usage import Usage

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
        structs.replace(
            step,
            began=0.0,
            seconds=0.0,
            calls=tuple(structs.replace(call, began=0.0, seconds=0.0) for call in step.calls),
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
    one = program()
    assert replaying.straight(one) is not None
    (step,) = one.steps
    assert replaying.straight(one.model_copy(update={"steps": (step, step)})) is None


class Kept:
    """Answers every question alike: as a ledger, and as the engine over it."""

    def __init__(self, text: str, finish_reason: str = "stop", reasoning: str = "") -> None:
        self.answer = Answer(text, Usage(3, 2), 0.5, finish_reason, (), reasoning)
        self.keys: list[bytes] = []

    def find(self, keys: Sequence[bytes]) -> dict[bytes, Answer]:
        self.keys += keys
        return dict.fromkeys(keys, self.answer)

    async def complete(self, request: Request) -> Completion:
        self.keys.append(key_of(request))
        return Completion(at_price(self.answer, request.lm), "ledger")

    def unusable(self, request: Request) -> None:
        """As the engine is told, and forgets."""

    async def call(self, *_: Any, **__: Any) -> Any:
        raise AssertionError("there are no tools")


RECORDS = {
    "Order": Record(
        name="Order",
        fields=fields(total=FLOAT),
        checks=(must(binary(var("total"), ">=", const(0)), "negative"),),
    )
}
OUTPUTS: list[dict[str, Type]] = [
    {"intent": INTENT},
    {"reply": STR},
    {"sure": BOOL, "intent": INTENT},
    {"count": INT, "why": OptionalOf(item=STR)},
    {"tags": ListOf(item=STR)},
    {"order": RecordRef(name="Order"), "reply": STR},
]
BODY = st.one_of(
    st.sampled_from(
        ["card", "cash", " Card.", "yes", "true", "7", "", "- a\n- b", '["a", "b"]', '{"total": -1}']
    ),
    st.sampled_from(
        ['{"total": 2}', "\\[[ ## intent ## ]]", "<think>no</think>card", "［［ ## reply ## ］］"]
    ),
    st.text(st.characters(exclude_categories=()), max_size=12),
)
HEADER = st.sampled_from(
    ["[[ ## {} ## ]]", "[[ ## {} ## ]]", "**[[ ## {} ## ]]**", "{}:", "<{}>", "[[ ## {}"]
)


@st.composite
def answers(draw: st.DrawFn, names: list[str]) -> str:
    """Answers in the layout, near it, and in none."""
    if draw(st.booleans()):
        parts = [f"[[ ## {name} ## ]]\n{draw(BODY)}" for name in names]
        return "\n\n".join([*parts, "[[ ## completed ## ]]"]) + draw(
            st.sampled_from(["", "\n", " x", "</s>"])
        )
    lines = [
        draw(
            st.one_of(BODY, HEADER.map(lambda one: one.format(draw(st.sampled_from([*names, "completed"])))))
        )
        for _ in range(draw(st.integers(0, 7)))
    ]
    return draw(st.sampled_from(["\n", "\n\n", "\r\n"])).join(lines)


def _timeless(outcome: Outcome) -> tuple[object, ...]:
    steps = [
        structs.replace(
            step,
            began=0.0,
            seconds=0.0,
            calls=tuple(structs.replace(one, began=0.0, seconds=0.0) for one in step.calls),
        )
        for step in outcome.trace
    ]
    return outcome.outputs, steps, outcome.used, outcome.paid, outcome.notes


@settings(max_examples=400, deadline=None)
@given(st.data())
def test_a_replayed_run_is_the_run(data: st.DataObject) -> None:
    kinds = data.draw(st.sampled_from(OUTPUTS))
    one = predictor(fields(text=STR, n=INT), fields(**kinds))
    signature = one.signature
    if data.draw(st.booleans()):
        check = data.draw(st.sampled_from([must, should]))(binary(var("n"), ">", const(0)), "not so")
        signature = signature.model_copy(
            update={"checks": (check,), "max_retries": data.draw(st.integers(0, 1))}
        )
    one = one.model_copy(update={"signature": signature})
    lm = LM.model_validate(
        {
            "name": "mini",
            "model": "openai/fake",
            "api_base": "http://localhost:1/v1",
            "price_input": data.draw(st.sampled_from([None, 1.5])),
            "price_output": 2.0,
            "adapter": data.draw(st.sampled_from(["chat", "chat", "json", "xml"])),
            "parse": data.draw(st.sampled_from(["lenient", "strict"])),
        }
    )
    made = module(one, lms={"mini": lm}, records=RECORDS)
    if data.draw(st.booleans()):
        step = made.steps[0].name
        same = binary(var(step, next(iter(kinds))), "==", var("text"))
        said = {**made.returns, "long": binary(same, "or", binary(var("n"), ">", const(3)))}
        made = made.model_copy(update={"returns": said, "outputs": (*made.outputs, *fields(long=BOOL))})
    inputs: dict[str, Any] = {"text": data.draw(st.sampled_from(["a", "é\ud800", "[[ ## n ## ]]"])), "n": 1}
    if data.draw(st.booleans()):
        inputs["n"] = data.draw(st.sampled_from([0, 2.0, "2", None]))
    text = data.draw(
        st.one_of(answers(list(kinds)), st.just('{"intent": "card", "sure": true, "reply": "\\ud800"}'))
    )
    reason = data.draw(st.sampled_from(["stop", "length"]))
    temperature = data.draw(st.sampled_from([None, 0.0, 0.7]))
    usual, kept = Kept(text, reason), Kept(text, reason)
    expected: Outcome | None
    try:
        expected = asyncio.run(run(made, inputs, usual, temperature=temperature, record=True))
    except DspecError:
        expected = None
    if expected is not None and (
        expected.calls > 1 or any("not met" in one for one in expected.trace[0].notes)
    ):
        expected = None
    way = replaying.straight(made)
    assert way is not None
    several = data.draw(st.integers(1, 3))
    rows = [inputs] * several
    for found in replaying.replayed(way, rows, kept.find, temperature=temperature, record=True):
        assert (found and _timeless(found)) == (expected and _timeless(expected))
        several -= 1
    assert several == 0
    assert kept.keys == usual.keys[:1] * len(rows)


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_the_layout_to_the_letter_is_read_as_any_other(data: st.DataObject) -> None:
    kinds = data.draw(st.sampled_from(OUTPUTS))
    signature = predictor(fields(text=STR), fields(**kinds)).signature
    text, strict = data.draw(answers(list(kinds))), data.draw(st.booleans())
    found = ChatAdapter().split(text, signature.outputs, signature, strict=strict)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(chat, "_as_laid_out", lambda *_: None)
        assert ChatAdapter().split(text, signature.outputs, signature, strict=strict) == found


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
    if messages:
        before = structs.replace(request, messages=request.messages[:-1])
        assert keys_after(before)(messages[-1]) == key_of(request)


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
