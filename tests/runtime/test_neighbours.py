"""Demos chosen per input: which rows are near, and what of them is shown."""

from __future__ import annotations

import asyncio
import json
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from programs import Told, chat, module, question

from dspec.runtime.artifact.artifact import Artifact, artifact_text, parse_artifact
from dspec.runtime.errors import ArtifactError
from dspec.runtime.running.execute import run
from dspec.runtime.running.neighbours import nearest, row_text, with_nearest_demos
from dspec.runtime.schema.program import LM, Demo, Neighbour, Neighbours, Program
from dspec.runtime.schema.types import JsonValue

TEXTS = (
    "question: where is my parcel",
    "question: the parcel never arrived",
    "question: refund my money please",
    "question: cannot log in to my account",
    "question: where can I get a refund",
)


def demo(text: str, *, augmented: bool) -> Demo:
    return Demo(inputs={"question": text}, outputs={"answer": text.upper()}, augmented=augmented)


def index(
    k: int = 2, bootstrapped: int = 4, labelled: int = 16, solved: tuple[int, ...] = (0, 1)
) -> Neighbours:
    rows = tuple(
        Neighbour(
            text=text,
            bootstrapped={"module": demo(text, augmented=True)} if place in solved else {},
            labelled={"module": demo(text, augmented=False)},
        )
        for place, text in enumerate(TEXTS)
    )
    return Neighbours(k=k, max_bootstrapped_demos=bootstrapped, max_labeled_demos=labelled, rows=rows)


def program(neighbours: Neighbours) -> Program:
    return module(question()).model_copy(update={"neighbours": neighbours})


async def no_model(lm: LM, text: str) -> list[float]:
    raise AssertionError(f"{lm.name} was asked for the embedding of {text}")


def shown(made: Program, text: str) -> list[tuple[str, bool]]:
    found = asyncio.run(with_nearest_demos(made, {"question": text}, no_model))
    assert found.neighbours is None
    return [(str(d.inputs["question"]), d.augmented) for d in found.predictors["module"].demos]


def test_the_likest_rows_come_first() -> None:
    assert nearest(index(k=2), "question: my parcel, where is it?") == (0, 1)
    assert nearest(index(k=2), "question: get me a refund") == (4, 2)
    assert nearest(index(k=9), "question: login problems with an account")[0] == 3
    # Nothing in common: the rows' own order.
    assert nearest(index(k=3), "zzz") == (0, 1, 2)


def test_bootstrapped_demos_first_then_labelled_ones() -> None:
    made = program(index(k=3))
    assert shown(made, "refund of a parcel that never arrived")[0] == (TEXTS[1], True)
    flags = [augmented for _, augmented in shown(made, "refund of a parcel that never arrived")]
    assert flags == sorted(flags, reverse=True)
    assert len(flags) == 3


@pytest.mark.parametrize(
    ("bootstrapped", "labelled", "expected"),
    [
        (4, 16, [True, True, False]),
        (1, 16, [True, False, False]),
        (0, 16, [False, False, False]),
        (4, 2, [True, True]),
        (4, 0, [True, True]),
        (0, 0, []),
        (0, 1, [False]),
    ],
)
def test_how_many_demos_of_each_kind(bootstrapped: int, labelled: int, expected: list[bool]) -> None:
    made = program(index(3, bootstrapped, labelled))
    assert [flag for _, flag in shown(made, "where is my parcel, it never arrived")] == expected


def test_demos_that_are_always_shown_stay_in_front() -> None:
    always = demo("always", augmented=False)
    made = program(index(k=1))
    predictor = made.predictors["module"].model_copy(update={"demos": (always,)})
    made = made.model_copy(update={"predictors": {"module": predictor}})
    assert [text for text, _ in shown(made, "where is my parcel")] == ["always", TEXTS[0]]


def test_new_demos_replace_those_chosen_per_input_and_instructions_do_not() -> None:
    made = program(index())
    assert made.with_predictor("module", instruction="Other.").neighbours == index()
    assert made.with_predictor("module", demos=()).neighbours is None


def test_a_row_is_known_by_all_inputs_in_the_programs_order() -> None:
    made = module(question())
    two = made.model_copy(
        update={
            "inputs": (
                *made.inputs,
                made.inputs[0].model_copy(update={"name": "tags", "has_default": True, "default": ["a"]}),
            )
        }
    )
    assert row_text(two, {"tags": ["x", 1], "question": "q"}) == 'question: q | tags: ["x",1]'
    assert row_text(two, {"question": "q"}) == 'question: q | tags: ["a"]'


async def test_a_run_shows_the_neighbours_and_costs_one_call() -> None:
    told = Told([chat(answer="x")])
    outcome = await run(program(index(k=1)), {"question": "refund my money"}, told)
    assert outcome.calls == 1
    assert [message.role for message in told.requests[0].messages] == ["system", "user", "assistant", "user"]
    assert "refund my money please" in told.requests[0].messages[1].content


def test_saving_an_index_loses_nothing() -> None:
    made = Artifact(name="knn", program=program(index()))
    text = artifact_text(made)
    back = parse_artifact(text.encode())
    assert back == made
    assert artifact_text(back) == text


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"k": 0}, "neighbours.k: must lie in 1.."),
        ({"vectorizer": "openai/text-embedding-3-small"}, "neighbours.vectorizer"),
        (
            {"rows": [{"text": "a", "labelled": {"gone": {"inputs": {}, "outputs": {}}}}]},
            "no predictor `gone`",
        ),
        ({"rows": [{"text": "a"}] * 21}, "neighbours.rows: 21, and an index has at most 20"),
    ],
)
def test_a_broken_index_is_refused(
    change: dict[str, JsonValue], message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dspec.runtime.artifact.integrity.MAX_ROWS", 20)
    plain = json.loads(artifact_text(Artifact(name="knn", program=program(index()))))
    plain["program"]["neighbours"] |= change
    with pytest.raises(ArtifactError) as caught:
        parse_artifact(json.dumps(plain).encode())
    assert message in caught.value.message


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.text(max_size=40), min_size=1, max_size=12),
    st.text(max_size=40),
    st.integers(1, 15),
)
def test_any_texts_give_k_different_rows_and_a_row_finds_itself(texts: list[str], query: str, k: int) -> None:
    made = Neighbours(
        k=k,
        max_bootstrapped_demos=1,
        max_labeled_demos=1,
        rows=tuple(Neighbour(text=text) for text in texts),
    )
    found = nearest(made, query)
    assert len(found) == len(set(found)) == min(k, len(texts))
    assert nearest(made, query) == found


def test_a_thousand_rows_are_searched_fast() -> None:
    rows = tuple(
        Neighbour(text=f"question: order {n} about topic {n % 37} came late to street {n % 91}")
        for n in range(1000)
    )
    made = Neighbours(k=3, max_bootstrapped_demos=1, max_labeled_demos=1, rows=rows)
    nearest(made, "question: warm up")
    began = time.process_time()
    for n in range(20):
        nearest(made, f"question: order {n} came late")
    assert (time.process_time() - began) / 20 < 0.05
