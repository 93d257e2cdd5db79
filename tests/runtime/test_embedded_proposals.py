"""An instruction written by the embedded model helps the embedded model."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence

import pytest
from asking import ask, predictor

from dspec.runtime.models.embedded.shown_rows import shown_rows
from dspec.runtime.schema.types import STR, OneOf

SIDES = ("north", "south")
Rows = Sequence[tuple[str, str]]
ROWS: Rows = (
    ("snow fell on the fjord", "north"),
    ("lemons ripen by the harbour", "south"),
    ("the fjord froze last night", "north"),
    ("olives and lemons grow here", "south"),
    ("reindeer crossed the snow", "north"),
    ("the harbour sells olives", "south"),
)
HELD_OUT: Rows = (
    ("a reindeer near a fjord", "north"),
    ("a basket of olives", "south"),
    ("fresh snow", "north"),
)

FORMS: dict[str, Callable[[Rows], str]] = {
    "JSON lines": lambda rows: "\n".join(json.dumps({"text": text, "side": side}) for text, side in rows),
    "JSON list": lambda rows: json.dumps(
        [{"inputs": {"text": text}, "outputs": {"side": side}} for text, side in rows]
    ),
    "lines": lambda rows: "\n\n".join(f"text: {text}\nside: {side}" for text, side in rows),
    "bullets": lambda rows: "\n".join(f"- text: {text}\n- side: {side}" for text, side in rows),
    "sections": lambda rows: "\n\n".join(
        f"[[ ## text ## ]]\n{text}\n\n[[ ## side ## ]]\n{side}" for text, side in rows
    ),
}
PROPOSER = predictor(
    {"proposed_instruction": STR},
    inputs=("current_instruction", "examples"),
    instruction="Write a better instruction.",
)


async def proposed(examples: str, *, current: str = "Which side?", sample: int = 0) -> str:
    temperature = 1.0 if sample else None
    given = {"current_instruction": current, "examples": examples}
    answer = await ask(PROPOSER, {**given}, sample=sample, temperature=temperature)
    return str(answer["proposed_instruction"])


async def right(instruction: str) -> int:
    asked = predictor({"side": OneOf(values=SIDES)}, instruction=instruction)
    answers = [await ask(asked, {"text": text}) for text, _ in HELD_OUT]
    return sum(answer["side"] == side for answer, (_, side) in zip(answers, HELD_OUT, strict=True))


@pytest.mark.parametrize("form", FORMS)
async def test_rows_are_read_back_from_every_form(form: str) -> None:
    assert shown_rows(FORMS[form](ROWS)) == [{"text": text, "side": side} for text, side in ROWS]


@pytest.mark.parametrize("form", FORMS)
async def test_a_proposal_raises_the_score(form: str) -> None:
    instruction = await proposed(FORMS[form](ROWS))
    assert instruction.startswith("Which side?\n- use `north` when it mentions: ")
    assert await right("Which side?") < len(HELD_OUT)
    assert await right(instruction) == len(HELD_OUT)


async def test_proposals_differ_from_sample_to_sample() -> None:
    examples = FORMS["lines"](ROWS)
    assert len({await proposed(examples, sample=sample) for sample in range(1, 9)}) > 1


async def test_an_earlier_proposal_is_replaced_and_not_piled_up() -> None:
    examples = FORMS["lines"](ROWS)
    once = await proposed(examples)
    assert await proposed(examples, current=once) == once


async def test_without_rows_the_current_instruction_stands() -> None:
    assert await proposed("nothing but prose here") == "Which side?"


async def test_an_output_called_instructions_is_plain_text_where_no_rows_are_shown() -> None:
    asked = predictor({"instructions": STR})
    answer = await ask(asked, {"text": "Boil the water. Then add salt."})
    assert answer["instructions"] == "Boil the water. Then add salt."
