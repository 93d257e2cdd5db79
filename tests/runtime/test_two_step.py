"""Answers in two steps: the model's own words, and a second call that takes the outputs from them."""

from __future__ import annotations

import pytest
from agents import QA, SEARCH, several
from programs import Told, binary, chat, const, fields, module, must, predictor, question, var

from dspec.runtime.adapters import adapter
from dspec.runtime.artifact.integrity import faults
from dspec.runtime.errors import CheckFailed, ParseError
from dspec.runtime.models.protocol import Request
from dspec.runtime.running.bounds import call_bounds
from dspec.runtime.running.execute import Outcome, run
from dspec.runtime.running.strategies.base import Times
from dspec.runtime.schema.program import LM, Judge, Program, Reward
from dspec.runtime.schema.types import FLOAT, INT, STR

FREE = LM(name="mini", model="openai/gpt-4o", adapter="two_step", extract="small")
SMALL = LM(name="small", model="openai/gpt-4o-mini", adapter="json")
LMS = {"mini": FREE, "small": SMALL}
COUNT = predictor(
    fields(question=STR), fields(count=INT), checks=(must(binary(var("count"), "<", const(9)), "too many"),)
)


def on(program: Program, *lms: LM) -> Program:
    return program.with_lms({one.name: one for one in lms})


async def asked(engine: Told, program: Program, *, record: bool = False) -> Outcome:
    return await run(program, {"question": "How many?"}, engine, record=record)


def to(engine: Told) -> list[str]:
    return [request.lm.name for request in engine.requests]


async def test_a_second_call_takes_the_outputs_from_the_answer() -> None:
    engine = Told(["Three, I would say.", '{"count": 3}'])
    outcome = await asked(engine, module(COUNT, lms=LMS), record=True)
    assert outcome.outputs == {"count": 3}
    assert to(engine) == ["mini", "small"]
    first, second = engine.requests
    assert not any("[[ ##" in one.content or "JSON" in one.content for one in first.messages)
    assert first.response_format is None
    assert second.response_format is not None
    assert "Three, I would say." in second.messages[-1].content
    assert "How many?" not in "".join(one.content for one in second.messages)
    (step,) = outcome.trace
    assert step.attempts == outcome.calls == 2
    assert [(one.lm, one.answer) for one in step.calls] == [
        ("mini", "Three, I would say."),
        ("small", '{"count": 3}'),
    ]
    assert step.exchange[-1] == ("assistant", "Three, I would say.")


async def test_the_model_reads_itself_where_nobody_is_named() -> None:
    alone = FREE.model_copy(update={"extract": None})
    engine = Told(["Three.", chat(count="3")])
    assert (await asked(engine, module(COUNT, lms={"mini": alone}))).outputs == {"count": 3}
    assert to(engine) == ["mini", "mini"]
    assert "[[ ## count ## ]]" in engine.requests[1].messages[0].content


async def test_what_cannot_be_read_is_asked_of_the_second_step_alone() -> None:
    engine = Told(["Three.", "three or so", '{"count": 3}'])
    outcome = await asked(engine, module(COUNT, lms=LMS))
    assert outcome.outputs == {"count": 3}
    assert to(engine) == ["mini", "small", "small"]
    assert outcome.trace[0].attempts == 3
    assert outcome.trace[0].unreadable == 1


async def test_an_answer_that_nobody_can_read_is_set_aside_with_both_steps() -> None:
    given_up: list[Request] = []

    class Keeps(Told):
        def unusable(self, request: Request) -> None:
            given_up.append(request)

    engine = Keeps(["No idea.", "?", "?"])
    with pytest.raises(ParseError, match="count") as caught:
        await asked(engine, module(COUNT, lms=LMS))
    assert given_up == [engine.requests[1], engine.requests[2], engine.requests[0]]
    assert caught.value.flaws is not None
    assert caught.value.flaws.unreadable == 2


async def test_a_broken_check_is_told_to_the_model_that_answered() -> None:
    engine = Told(["Ten.", '{"count": 10}', "Eight, then.", '{"count": 8}'])
    outcome = await asked(engine, module(COUNT, lms=LMS))
    assert outcome.outputs == {"count": 8}
    assert to(engine) == ["mini", "small", "mini", "small"]
    again = engine.requests[2].messages
    assert [one.role for one in again] == ["system", "user", "assistant", "user"]
    assert again[2].content == "Ten."
    assert "too many" in again[3].content
    engine = Told(["Ten.", '{"count": 10}'] * 3)
    with pytest.raises(CheckFailed) as caught:
        await asked(engine, module(COUNT, lms=LMS))
    assert caught.value.raw == "Ten."


async def test_an_answer_that_was_cut_is_read_all_the_same() -> None:
    from programs import cut

    engine = Told([cut("Three, and"), '{"count": 3}'])
    outcome = await asked(engine, module(COUNT, lms=LMS))
    assert outcome.outputs == {"count": 3}
    assert outcome.trace[0].cut == 1
    assert any("max_tokens" in note for note in outcome.trace[0].notes)


async def test_an_agent_names_its_tools_in_words() -> None:
    agent = on(several("ReAct", tools=[SEARCH], max_iters=3, lm=FREE), SMALL)
    engine = Told(
        [
            "I look Ada up, twice.",
            '{"next_thought": "look", "next_tool_name": "search", "next_tool_args": {"query": "ada", "k": 2}}',
            "That is enough.",
            '{"next_thought": "enough", "next_tool_name": "finish", "next_tool_args": {}}',
            "It says Ada.",
            '{"reasoning": "it says so", "answer": "Ada"}',
        ],
        tools={"search": lambda query, k: [query] * k},
    )
    assert (await asked(engine, agent)).outputs == {"reasoning": "it says so", "answer": "Ada"}
    assert not any(request.tools for request in engine.requests)
    assert call_bounds(agent) == Times(4, 8)


def test_each_answer_counts_twice() -> None:
    assert call_bounds(module(COUNT, lms=LMS)) == Times(2, 2)
    assert call_bounds(module(COUNT, lms={"mini": SMALL.model_copy(update={"name": "mini"})})) == Times(1, 1)
    offline = FREE.model_copy(update={"model": "embedded/icl", "extract": None})
    assert call_bounds(module(COUNT, lms={"mini": offline})) == Times(1, 1)


def test_a_rewards_judge_counts_twice() -> None:
    """Its program has no models of its own."""
    judge = module(predictor(fields(answer=STR), fields(score=FLOAT, reason=STR)), lms={"none": SMALL})
    judge = judge.model_copy(update={"lms": {}})
    inputs = {"answer": var("pred", "answer")}
    reward = Reward(
        name="good",
        pred="pred",
        score=const(1.0),
        judges=(Judge(name="(judge)", program=judge, inputs=inputs),),
    )
    tried = on(module(question(), lms=LMS), SMALL)
    program = several("BestOfN", more=tried, runs="module", reward=reward, lm=FREE, n=3, threshold=1.0)
    alone = program.with_lms({"mini": SMALL.model_copy(update={"name": "mini"})})
    assert call_bounds(on(program, SMALL)).most == 2 * call_bounds(alone).most


async def test_the_built_in_learner_answers_in_one() -> None:
    """An application may put it in the place of any model."""
    offline = FREE.model_copy(update={"model": "embedded/icl", "extract": None})
    engine = Told([chat(count="3")])
    assert (await asked(engine, module(COUNT, lms={"mini": offline}))).outputs == {"count": 3}


@pytest.mark.parametrize(
    ("lms", "wanted"),
    [
        ({"mini": FREE, "small": SMALL}, ""),
        ({"mini": FREE}, "there is no lm `small`"),
        (
            {"mini": FREE, "small": SMALL.model_copy(update={"adapter": "two_step"})},
            "in a layout takes the outputs",
        ),
        (
            {"mini": FREE.model_copy(update={"adapter": "chat"}), "small": SMALL},
            "in a layout takes the outputs",
        ),
    ],
)
def test_an_artifact_whose_second_step_cannot_be_made_is_refused(lms: dict[str, LM], wanted: str) -> None:
    found = [*faults(module(COUNT, lms=lms))]
    assert bool(found) == bool(wanted)
    assert wanted in "".join(found)


def test_the_first_prompt_and_demos_hold_no_layout() -> None:
    layout = adapter("two_step")
    (system, *_, last) = layout.render(COUNT, {"question": "[[ ## count ## ]]"}, {})
    assert "Layout" not in system.content
    assert QA.instruction in system.content
    assert last.content == "question:\n[[ ## count ## ]]\n\nAnswer with `count`."
