"""The embedded model learns labels from demos and instructions, and from nothing else."""

from __future__ import annotations

import os
import subprocess
import sys

from asking import ask, predictor

from dspec.runtime.models.embedded import EmbeddedTransport
from dspec.runtime.schema.program import Predictor
from dspec.runtime.schema.types import BOOL, FLOAT, STR, OneOf, Row

TEAMS = ("baker", "florist", "plumber", "tailor")
ROWS: list[tuple[str, str]] = [
    ("two loaves of rye and six rolls please", "baker"),
    ("the sink leaks under the kitchen counter", "plumber"),
    ("a bouquet of red roses for saturday", "florist"),
    ("these trousers must be shortened by an inch", "tailor"),
    ("is the sourdough loaf sliced", "baker"),
    ("water drips from the pipe behind the toilet", "plumber"),
    ("do you have tulips or white lilies", "florist"),
    ("the zip of my coat is torn", "tailor"),
    ("a birthday cake with cream for ten", "baker"),
    ("the boiler makes no hot water", "plumber"),
    ("a wreath with ribbon for the funeral", "florist"),
    ("can you take in the waist of this dress", "tailor"),
    ("rolls and pretzels for breakfast every day", "baker"),
    ("our drain is blocked and smells", "plumber"),
    ("potted orchids that like shade", "florist"),
    ("sew a button on the sleeve of my jacket", "tailor"),
    ("does the rye bread contain seeds", "baker"),
    ("a pipe in the cellar has burst and water leaks", "plumber"),
    ("roses and lilies in a glass vase", "florist"),
    ("shorten the sleeves of the coat", "tailor"),
    ("cream cake or plain cake for the party", "baker"),
    ("the toilet tank never stops filling with water", "plumber"),
    ("a ribbon around the bouquet of tulips", "florist"),
    ("the dress is too wide at the waist", "tailor"),
]
LEARNED, HELD_OUT = ROWS[:16], ROWS[16:]
INSTRUCTION = """Who does the work?
- use `baker` for bread, loaf, rolls or cake
- use `plumber` for water, a pipe, a leak or the toilet
- use `florist` for flowers: roses, lilies, tulips, a bouquet
- use `tailor` for clothes: dress, coat, sleeves, waist"""


def team(count: int, *, instruction: str = "Who does the work?", shift: int = 0) -> Predictor:
    """A predictor with the first `count` rows as demos, their labels moved on by `shift`."""
    demos: list[tuple[Row, Row]] = [
        ({"text": text}, {"team": TEAMS[(TEAMS.index(label) + shift) % 4]}) for text, label in LEARNED[:count]
    ]
    return predictor({"team": OneOf(values=TEAMS)}, demos, instruction=instruction)


async def right(asked: Predictor) -> int:
    transport = EmbeddedTransport()
    answers = [await ask(asked, {"text": text}, transport=transport) for text, _ in HELD_OUT]
    return sum(answer["team"] == label for answer, (_, label) in zip(answers, HELD_OUT, strict=True))


async def test_more_demos_score_higher() -> None:
    scores = [await right(team(count)) for count in (0, 4, 8, 16)]
    assert scores == sorted(scores)
    assert scores[0] <= 3
    assert scores[-1] == len(HELD_OUT)


async def test_a_clear_instruction_scores_as_demos_do() -> None:
    assert await right(team(0, instruction=INSTRUCTION)) >= 7


async def test_wrong_demos_score_lower_than_none() -> None:
    assert await right(team(16, shift=1)) < await right(team(0))


async def test_a_field_s_description_speaks_for_its_labels() -> None:
    asked = predictor(
        {"team": OneOf(values=TEAMS)}, notes={"team": "baker: bread and cake; plumber: pipes and water"}
    )
    assert (await ask(asked, {"text": "the water pipes"}))["team"] == "plumber"


async def test_labels_that_nothing_speaks_for_keep_their_order() -> None:
    assert (await ask(team(0), {"text": "qqq"}))["team"] == TEAMS[0]


async def test_a_short_input_that_decides_the_label_outweighs_the_text() -> None:
    demos: list[tuple[Row, Row]] = [
        ({"text": f"it is {word}", "shop": shop}, {"team": label})
        for word in ("late", "broken", "wet", "dear")
        for shop, label in (("north", "baker"), ("south", "tailor"))
    ]
    asked = predictor({"team": OneOf(values=TEAMS)}, demos, inputs=("text", "shop"))
    for shop, label in (("north", "baker"), ("south", "tailor")):
        assert (await ask(asked, {"text": "it is late and wet", "shop": shop}))["team"] == label


async def test_a_later_output_leans_on_an_earlier_one() -> None:
    demos: list[tuple[Row, Row]] = [
        ({"text": text}, {"team": label, "visit": label in ("plumber", "florist")}) for text, label in LEARNED
    ]
    asked = predictor({"team": OneOf(values=TEAMS), "visit": BOOL}, demos)
    answers = [await ask(asked, {"text": text}) for text, _ in HELD_OUT]
    assert all(answer["visit"] == (answer["team"] in ("plumber", "florist")) for answer in answers)


async def test_reasoning_names_words_of_the_input_and_confidence_follows_the_evidence() -> None:
    demos: list[tuple[Row, Row]] = [({"text": text}, {"team": label}) for text, label in LEARNED]
    asked = predictor({"reasoning": STR, "team": OneOf(values=TEAMS), "confidence": FLOAT}, demos)
    clear = await ask(asked, {"text": "roses and tulips in a bouquet"})
    vague = await ask(asked, {"text": "when are you open tomorrow"})
    assert "roses" in str(clear["reasoning"])
    assert "florist" in str(clear["reasoning"])
    assert isinstance(clear["confidence"], float)
    assert isinstance(vague["confidence"], float)
    assert 0.0 <= vague["confidence"] < clear["confidence"] <= 1.0


async def test_text_outputs_that_repeat_are_learned_as_labels() -> None:
    demos: list[tuple[Row, Row]] = [({"text": text}, {"team": label}) for text, label in LEARNED]
    asked = predictor({"team": STR}, demos)
    answers = [(await ask(asked, {"text": text}))["team"] for text, _ in HELD_OUT]
    assert answers == [label for _, label in HELD_OUT]


_PROGRAM = """
import asyncio, sys
sys.path[:0] = {path!r}
from asking import ICL, ask
import test_embedded_labels as tests
async def main():
    for temperature in (None, 1.0):
        for count in (0, 8, 16):
            for text, _ in tests.HELD_OUT:
                print(await ask(tests.team(count), {{"text": text}}, temperature=temperature, sample=3))
asyncio.run(main())
"""


def test_answers_do_not_depend_on_the_interpreter_s_hash_seed() -> None:
    here = os.path.dirname(__file__)  # noqa: PTH120 - a plain string for another interpreter's path
    program = _PROGRAM.format(path=[here, os.path.join(here, "..", "support")])  # noqa: PTH118

    def run(seed: str) -> str:
        environment = {**os.environ, "PYTHONHASHSEED": seed}
        done = subprocess.run(
            [sys.executable, "-c", program], env=environment, capture_output=True, check=True
        )
        return done.stdout.decode()

    assert run("1").count("\n") == 48
    assert run("1") == run("2")
