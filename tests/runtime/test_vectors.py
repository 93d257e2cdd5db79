"""Embeddings in an index: packed, compared, asked for once a run, and travelling with the artifact."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from programs import Told, chat, module, question
from requesting import fake_lm
from server import Call, FakeServer

from dspec.runtime.application import load
from dspec.runtime.artifact.artifact import Artifact, artifact_text, parse_artifact, write_artifact
from dspec.runtime.errors import ArtifactError, ConfigurationError, Unavailable
from dspec.runtime.models.engine import Engine
from dspec.runtime.running.bounds import calls_per_run
from dspec.runtime.running.execute import run
from dspec.runtime.running.neighbours import nearest_by_vector
from dspec.runtime.running.vectors import likeness, pack, read_vector, unpack
from dspec.runtime.schema.program import LM, Demo, Neighbour, Neighbours, Program
from dspec.runtime.schema.types import JsonValue

EMBEDDER = LM(name="embedder", model="openai/embed-1", api_key_env=None)
ROWS = {"red": [1.0, 0.0, 0.0], "green": [0.0, 1.0, 0.0], "blue": [0.0, 0.0, 1.0]}


def program(k: int = 1, lm: LM = EMBEDDER) -> Program:
    rows = tuple(
        Neighbour(
            text=f"question: {name}",
            vector=pack(vector),
            labelled={"module": Demo(inputs={"question": name}, outputs={"answer": name.upper()})},
        )
        for name, vector in ROWS.items()
    )
    index = Neighbours(
        k=k, vectorizer="lm", lm=lm.name, max_bootstrapped_demos=0, max_labeled_demos=3, rows=rows
    )
    made = module(question()).with_lms({lm.name: lm})
    return made.model_copy(update={"neighbours": index})


async def test_an_input_is_embedded_once_and_that_counts() -> None:
    told = Told(["[0.1, 0.9, 0.2]", chat(answer="x")])
    outcome = await run(program(), {"question": "grass"}, told)
    embedding, asked = told.requests
    assert (embedding.kind, embedding.lm, embedding.messages[0].content) == (
        "embedding",
        EMBEDDER,
        "question: grass",
    )
    assert "green" in asked.messages[1].content
    assert outcome.calls == calls_per_run(program()) == 2
    assert (outcome.paid.input_tokens, outcome.paid.usd) == (20, 0.5)


@pytest.mark.parametrize("answer", ["", "{}", "[]", '["a"]', "[1e999]", "[" * 10_000])
async def test_what_is_no_embedding_is_the_providers_failure(answer: str) -> None:
    with pytest.raises(Unavailable):
        await run(program(), {"question": "grass"}, Told([answer]))


async def test_another_models_vectors_are_not_compared() -> None:
    with pytest.raises(ConfigurationError, match="vectors of 3 numbers, and this one has 2") as caught:
        await run(program(), {"question": "grass"}, Told(["[1, 0]"]))
    assert caught.value.help == "compile the program again with this model"


async def test_saved_and_loaded_it_answers_the_same_and_loading_asks_nothing(tmp_path: Path) -> None:
    def sees(call: Call) -> str:
        """The demo that it was shown."""
        turns = call.body.get("messages")
        return chat(answer=next(name for name in ROWS if name in turns[1]["content"])) if turns else ""

    async with FakeServer(sees) as server:
        embedder = fake_lm(
            server.url, model="openai/embed-1", name="embedder", price_input=1.0, price_output=0.0
        )
        async with Engine() as engine:
            vectors = await engine.embed(embedder, [f"question: {name}" for name in ROWS])
        made = program(lm=embedder).with_lms({"mini": fake_lm(server.url, name="mini")})
        index = made.neighbours
        assert index is not None
        rows = [
            row.model_copy(update={"vector": pack(v)}) for row, v in zip(index.rows, vectors, strict=True)
        ]
        made = made.model_copy(update={"neighbours": index.model_copy(update={"rows": tuple(rows)})})
        async with Engine() as engine:
            before = {name: (await run(made, {"question": name}, engine)).outputs for name in ROWS}
        assert before == {name: {"answer": name} for name in ROWS}
        path = tmp_path / "near.dspc.json"
        write_artifact(path, Artifact(name="near", program=made))
        assert "http" not in path.read_text()
        asked = len(server.calls)
        with pytest.raises(ConfigurationError, match="embedder"):
            load(path, api_base={"mini": server.url})
        loaded = load(path, api_base=server.url)
        assert len(server.calls) == asked
        for name in ROWS:
            found = await loaded.acall(question=name)
            assert (found.answer, found.usage.calls) == (name, 2)
        # One model for all is another model to answer; the one that compares stays.
        other = load(path, api_base=server.url, lm="openai/another")
        await other.acall(question="red")
        assert [call.body["model"] for call in server.calls[-2:]] == ["embed-1", "another"]
        loaded.close()
        other.close()


def test_an_index_of_vectors_loses_nothing() -> None:
    made = Artifact(name="near", program=program())
    assert parse_artifact(artifact_text(made).encode()) == made


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"lm": None}, "an index has a model when, and only when"),
        ({"vectorizer": "ngrams"}, "an index has a model when, and only when"),
        ({"lm": "gone"}, "there is no lm `gone`"),
        ({"rows": [{"text": "a", "vector": "!"}]}, "rows[0].vector: not a packed vector"),
        ({"rows": [{"text": "a"}]}, "rows[0].vector: a vector of 0 numbers"),
        (
            {"rows": [{"text": "a", "vector": "AA=="}, {"text": "b", "vector": "AAAA"}]},
            "3 numbers, and the first",
        ),
    ],
)
def test_a_broken_index_is_refused(change: dict[str, JsonValue], message: str) -> None:
    plain = json.loads(artifact_text(Artifact(name="near", program=program())))
    plain["program"]["neighbours"] |= change
    with pytest.raises(ArtifactError) as caught:
        parse_artifact(json.dumps(plain).encode())
    assert message in caught.value.message


finite = st.just(0.0) | st.floats(1e-3, 1e6) | st.floats(-1e6, -1e-3)


@settings(max_examples=80, deadline=None)
@given(st.lists(finite, min_size=1, max_size=40), st.lists(finite, min_size=40, max_size=40))
def test_a_packed_vector_keeps_its_direction(vector: list[float], other: list[float]) -> None:
    other = other[: len(vector)]
    (found,) = likeness((pack(vector),), other)
    lengths = math.hypot(*vector) * math.hypot(*other)
    exact = sum(a * b for a, b in zip(vector, other, strict=True)) / lengths if lengths else 0.0
    assert len(unpack(pack(vector))) == len(vector)
    # Half a step of 1/127 in each number, against the largest of them.
    assert abs(found - exact) <= math.sqrt(len(vector)) / 127


def test_a_text_without_a_direction_gets_the_first_rows() -> None:
    index = program(k=2).neighbours
    assert index is not None
    assert nearest_by_vector(index, [0.0, 0.0, 0.0]) == (0, 1)
    assert nearest_by_vector(index, [0.0, 0.2, 0.9]) == (2, 1)


def test_reading_takes_whole_numbers_too() -> None:
    assert read_vector("[1, 0.5, -2]") == [1.0, 0.5, -2.0]
