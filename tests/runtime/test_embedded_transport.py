"""The embedded model as a transport: repeatable, bounded, honest about cost, never raising."""

from __future__ import annotations

import time

import pytest
from asking import ICL, ask, predictor
from hypothesis import given, settings
from hypothesis import strategies as st

from dspec.runtime.adapters.chat import ChatAdapter
from dspec.runtime.errors import Refused
from dspec.runtime.models.embedded import EmbeddedTransport
from dspec.runtime.models.embedded.transport import MAX_REMEMBERED, MAX_REMEMBERED_CHARACTERS
from dspec.runtime.models.protocol import Message, Request
from dspec.runtime.schema.program import LM
from dspec.runtime.schema.types import INT, STR, OneOf, Row

COLOURS = ("red", "green", "blue")
ASKED = predictor({"colour": OneOf(values=COLOURS)})
_ROLES = st.sampled_from(("system", "user", "assistant"))
_PIECES = st.sampled_from(
    (
        'Output fields:\n- a (one of "x", "y"',
        '- b (JSON list of P as a JSON object {"q": number',
        "Input fields:\n",
        "[[ ## a ## ]]\n",
        "[[ ## completed ## ]]",
        "Task:\nuse `x` when",
        '{"a": [1e999, NaN, {"b": null}]}',
        "\nAnswer with ",
        "- a: at most 3 words",
        "\ud800",
        "9" * 400,
    )
)
_MESSAGES = st.lists(
    st.builds(Message, _ROLES, st.lists(st.one_of(_PIECES, st.text(max_size=30)), max_size=5).map("".join)),
    max_size=7,
)


async def test_an_answer_is_free_repeatable_and_its_tokens_are_counted_here() -> None:
    messages = ChatAdapter().render(ASKED, {"text": "the sky is blue"}, {})
    first = await EmbeddedTransport().complete(Request(ICL, messages))
    assert first == await EmbeddedTransport().complete(Request(ICL, messages, sample=7))
    assert first.cost == 0.0
    assert not first.usage.estimated
    assert first.usage.input_tokens > first.usage.output_tokens > 0


async def test_samples_differ_above_temperature_zero_and_repeat_themselves() -> None:
    async def drawn() -> list[Row]:
        return [await ask(ASKED, {"text": "red or green"}, temperature=1.0, sample=n) for n in range(12)]

    first = await drawn()
    assert first == await drawn()
    assert len({str(answer) for answer in first}) > 1


async def test_an_objection_moves_the_answer_to_the_next_best() -> None:
    adapter = ChatAdapter()
    text = {"text": "blue, perhaps green, green"}
    first = await ask(ASKED, text)
    said = Message("assistant", f"[[ ## colour ## ]]\n{first['colour']}\n\n[[ ## completed ## ]]")
    second = await ask(
        ASKED, text, follow_up=[said, adapter.objection(ASKED, ["colour must be another one"])]
    )
    assert {first["colour"], second["colour"]} == {"blue", "green"}


async def test_an_objection_to_one_output_leaves_the_others() -> None:
    asked = predictor({"colour": OneOf(values=COLOURS), "count": INT})
    text = {"text": "3 blue and 8 green, blue"}
    first = await ask(asked, text)
    said = Message(
        "assistant", f"[[ ## colour ## ]]\n{first['colour']}\n\n[[ ## count ## ]]\n{first['count']}"
    )
    objection = ChatAdapter().objection(asked, ["count must be larger"])
    second = await ask(asked, text, follow_up=[said, objection])
    assert second["colour"] == first["colour"]
    assert (first["count"], second["count"]) == (3, 8)


async def test_a_text_is_cut_to_the_length_an_objection_names() -> None:
    asked = predictor({"summary": STR})
    text: Row = {"text": "One two three four five six seven."}
    said = Message("assistant", "[[ ## summary ## ]]\nsomething else")
    objection = ChatAdapter().objection(asked, ["summary must have at most 4 words"])
    assert (await ask(asked, text, follow_up=[said, objection]))["summary"] == "One two three four"


async def test_an_unknown_embedded_model_is_refused_with_the_known_ones() -> None:
    request = Request(LM(name="m", model="embedded/gpt"), (Message("user", "hi"),))
    with pytest.raises(Refused, match="no embedded model `embedded/gpt`") as refused:
        await EmbeddedTransport().complete(request)
    assert "`embedded/icl`" in refused.value.help


async def test_what_is_remembered_is_bounded() -> None:
    transport = EmbeddedTransport()
    for place in range(MAX_REMEMBERED + 20):
        await transport.complete(Request(ICL, (Message("system", f"task {place}"), Message("user", "hi"))))
    assert len(transport._learners) == MAX_REMEMBERED  # pyright: ignore[reportPrivateUsage]
    for place in range(5):
        huge = Message("system", f"task {place} " + "a" * (MAX_REMEMBERED_CHARACTERS // 3))
        await transport.complete(Request(ICL, (huge, Message("user", "hi"))))
    assert len(transport._learners) == 2  # pyright: ignore[reportPrivateUsage]
    await transport.aclose()
    assert not transport._learners  # pyright: ignore[reportPrivateUsage]


def _hostile() -> dict[str, tuple[Message, ...]]:
    lists = 'Input fields:\n- text (text)\n\nOutput fields:\n- out (one of "a", "b")\n\n'
    head = lists + "[[ ## out ## ]]\n...\n\nTask:\n"
    demos: list[Message] = []
    for place in range(10_000):
        demos.append(Message("user", f"[[ ## text ## ]]\nword{place} and thing{place % 31}"))
        demos.append(Message("assistant", f"[[ ## out ## ]]\n{'ab'[place % 2]}\n\n[[ ## completed ## ]]"))
    question = Message("user", "[[ ## text ## ]]\nword7")
    labels = ", ".join(f'"lab{place}"' for place in range(5_000))
    uses = "\n".join(f"use lab{place} when word{place} is there" for place in range(5_000))
    return {
        "10,000 demos": (Message("system", head), *demos, question),
        "huge input": (Message("system", head), Message("user", "[[ ## text ## ]]\n" + "word " * 300_000)),
        "huge task": (Message("system", head + "a " * 500_000), question),
        "5,000 labels": (
            Message("system", f"Output fields:\n- out (one of {labels})\n\nTask:\n{uses}"),
            question,
        ),
        "blanks": (Message("system", " " * 1_000_000), Message("user", " " * 1_000_000)),
        "headers": (Message("system", "[[ ## a ## ]]\n" * 50_000), Message("user", "[[ ## " * 100_000)),
        "nested types": (Message("system", "Output fields:\n- out (" + "JSON list of " * 50_000), question),
        "nested JSON": (
            Message("user", "x"),
            Message("assistant", '{"a":' * 100_000),
            Message("user", "{" * 100_000),
        ),
        "brackets": (Message("system", "Output fields:\n- out (" + "(" * 100_000 + '"' * 9_999), question),
    }


_HOSTILE = _hostile()


@pytest.mark.parametrize("name", _HOSTILE)
async def test_hostile_prompts_are_answered_in_bounded_time(name: str) -> None:
    start = time.process_time()
    answer = await EmbeddedTransport().complete(Request(ICL, _HOSTILE[name]))
    assert answer.text
    assert time.process_time() - start < 2.0


@given(
    messages=_MESSAGES, temperature=st.sampled_from((None, 0.0, 0.7, 1e-9, 100.0)), sample=st.integers(0, 2)
)
@settings(max_examples=150, deadline=None)
async def test_no_message_makes_it_raise(
    messages: list[Message], temperature: float | None, sample: int
) -> None:
    request = Request(ICL, tuple(messages), sample=sample, temperature=temperature)
    answer = await EmbeddedTransport().complete(request)
    assert answer == await EmbeddedTransport().complete(request)


async def test_a_call_with_sixteen_short_demos_is_cheap() -> None:
    demos: list[tuple[Row, Row]] = [
        ({"text": f"a {colour} thing number {n} on the table by the door"}, {"colour": colour})
        for n in range(6)
        for colour in COLOURS
    ]
    asked = predictor({"colour": OneOf(values=COLOURS)}, demos[:16])
    transport = EmbeddedTransport()
    requests = [
        Request(ICL, ChatAdapter().render(asked, {"text": f"thing {n} is blue or so, number {n * n}"}, {}))
        for n in range(200)
    ]
    await transport.complete(requests[0])
    start = time.process_time()
    for request in requests:
        await transport.complete(request)
    # Measured 0.2 ms; the bound leaves room for a slow, busy machine.
    assert (time.process_time() - start) / len(requests) < 0.003
