"""Strategies whose models write code: what is asked, what runs, and what becomes of what it gives."""

from __future__ import annotations

import asyncio
import json
import random
from typing import Any

import pytest
from agents import QA, SEARCH, several
from programs import Told, binary, call, chat, const, fields, must, var

from dspec.runtime.artifact.integrity import faults
from dspec.runtime.errors import ParseError, ToolFailed, Unavailable
from dspec.runtime.models.protocol import Request
from dspec.runtime.running.bounds import call_bounds, counted
from dspec.runtime.running.execute import Outcome, run
from dspec.runtime.running.strategies.base import Times
from dspec.runtime.running.strategies.coding import code_of
from dspec.runtime.schema.program import Program, Reward, Signature
from dspec.runtime.schema.trace import CODE
from dspec.runtime.schema.types import INT, STR, JsonValue, ListOf, OneOf, Row

INPUTS: Row = {"question": "What is 6 times 7?"}
POT = several("ProgramOfThought", max_iters=3)
FAITHFUL = several("ProgramOfThought", max_iters=3, compat="dspy")
ANSWER = chat(reasoning="it gave that", answer="42")


def wrote(code: str, reasoning: str = "multiply") -> str:
    return chat(reasoning=reasoning, generated_code=code)


def codes(outcome: Outcome) -> list[tuple[Any, Any]]:
    """The code that ran, and what there is of each."""
    return [(one.inputs["code"], one.outputs) for one in outcome.trace if one.tool == CODE]


def predictors(outcome: Outcome) -> list[str]:
    return [one.predictor for one in outcome.trace if one.predictor]


async def test_what_the_code_submits_is_the_answer() -> None:
    outcome = await run(POT, INPUTS, Told([wrote("submit(answer=str(6 * 7))")]))
    assert outcome.outputs == {"reasoning": "multiply", "answer": "42"}
    assert [(one.step, one.predictor, one.tool) for one in outcome.trace] == [
        ("out.generate", "m.generate", ""),
        ("out.code", "", CODE),
    ]
    assert outcome.calls == 1


async def test_code_that_fails_is_written_again_with_its_error() -> None:
    engine = Told([wrote("```python\n1 / 0\n```"), wrote("submit(answer=6 * 7)", "again")])
    outcome = await run(POT, INPUTS, engine)
    assert outcome.outputs == {"reasoning": "again", "answer": "42"}
    again = outcome.trace[2]
    assert again.predictor == "m.regenerate"
    assert again.inputs["previous_code"] == "1 / 0"
    assert "ZeroDivisionError: division by zero" in str(again.inputs["error"])


@pytest.mark.parametrize(
    ("code", "gave"),
    [
        ("print(6 * 7)", "42"),
        ("6 * 7", "42"),
        ("print('so')\n[question, 42]", 'so\n["What is 6 times 7?", 42]'),
    ],
)
async def test_what_the_code_prints_or_ends_with_is_read(code: str, gave: str) -> None:
    outcome = await run(POT, INPUTS, Told([wrote(code), ANSWER]))
    assert outcome.outputs == {"reasoning": "it gave that", "answer": "42"}
    assert outcome.trace[-1].inputs == {**INPUTS, "final_generated_code": code, "code_output": gave}


async def test_code_that_gives_nothing_is_told_so() -> None:
    outcome = await run(POT, INPUTS, Told([wrote("x = 42"), wrote("submit(x)", "kept")]))
    assert outcome.outputs == {"reasoning": "kept", "answer": "42"}
    assert outcome.trace[2].inputs["error"] == "it printed nothing, and did not call `submit`"


async def test_where_no_code_runs_the_answer_is_given_without() -> None:
    outcome = await run(POT, INPUTS, Told([wrote("nope"), wrote("1 / 0"), wrote(""), ANSWER]))
    assert outcome.outputs["answer"] == "42"
    assert predictors(outcome) == ["m.generate", "m.regenerate", "m.regenerate", "m.answer"]
    assert outcome.trace[-1].inputs["code_output"] == "there is no code"
    assert "none of the 3 pieces of code ran to its end: the answer is given without" in outcome.notes


TYPED = Signature(
    name="Count",
    instruction="Count them.",
    inputs=fields(submit=ListOf(item=STR)),
    outputs=fields(count=INT, size=OneOf(values=("small", "large"))),
)


async def test_what_does_not_fit_is_an_exception_in_the_code() -> None:
    program = several("ProgramOfThought", signature=TYPED, max_iters=4)
    tries = (
        "submit(count=1)",
        "submit_(count='two', size='huge', colour='red')",
        "try:\n    submit_(count=1.5, size='small')\nexcept ValueError:\n    submit_(2, 'small')",
    )
    outcome = await run(program, {"submit": ["a", "b"]}, Told([wrote(one) for one in tries]))
    assert outcome.outputs == {"reasoning": "multiply", "count": 2, "size": "small"}
    first, second = (given["error"] for _, given in codes(outcome)[:2])
    assert "TypeError: 'list' object is not callable" in first
    assert "`count`: expected a whole number" in second
    assert "`size`: expected one of" in second
    assert "there is no output `colour`" in second


async def test_an_assert_of_the_signature_is_told_the_code() -> None:
    short = must(binary(call("len", var("answer")), "==", const(2)), "two digits")
    program = several("ProgramOfThought", signature=QA.model_copy(update={"checks": (short,)}))
    outcome = await run(
        program, INPUTS, Told([wrote("submit(answer='forty-two')"), wrote("submit(answer='42')")])
    )
    assert outcome.outputs["answer"] == "42"
    assert "ValueError: submit: two digits" in codes(outcome)[0][1]["error"]
    assert outcome.notes == ("submitted, but two digits",)


async def test_code_that_never_ends_fails_like_any_other() -> None:
    program = several("ProgramOfThought", max_iters=2, timeout=0.5)
    outcome = await run(
        program, INPUTS, Told([wrote("while True: pass"), wrote("submit(answer=question[-1])")])
    )
    assert outcome.outputs["answer"] == "?"
    assert "did not come to its end in 0.5 s" in codes(outcome)[0][1]["error"]


async def test_a_model_that_does_not_answer_ends_the_run_and_the_sandbox() -> None:
    with pytest.raises(Unavailable) as error:
        await run(POT, INPUTS, Told([wrote("1 / 0"), Unavailable("gone")]))
    assert [one.tool for one in error.value.trace if one.tool] == [CODE]


async def test_the_prompt_says_what_submit_takes() -> None:
    engine = Told([wrote("submit(answer=1)")])
    await run(POT, INPUTS, engine)
    system = engine.requests[0].messages[0].content
    assert "Write Python code as `generated_code` that works out `answer`" in system
    assert "`submit` takes:\n- answer: text" in system


@pytest.mark.parametrize(
    ("script", "asked"),
    [
        ((wrote("submit(answer=42)"), ANSWER), ["generate", "answer"]),
        ((wrote("x = 1"), ANSWER), ["generate", "answer"]),
        ((wrote("1/0"), wrote("42"), ANSWER), ["generate", "regenerate", "answer"]),
    ],
)
async def test_under_compat_the_answer_is_always_read(script: tuple[str, ...], asked: list[str]) -> None:
    outcome = await run(FAITHFUL, INPUTS, Told(script))
    assert predictors(outcome) == [f"m.{role}" for role in asked]


async def test_under_compat_code_that_never_runs_ends_the_run() -> None:
    with pytest.raises(ToolFailed, match="no code of 3 ran to its end"):
        await run(FAITHFUL, INPUTS, Told([wrote("1/0")] * 3))


@pytest.mark.parametrize("program", [POT, FAITHFUL, several("ProgramOfThought", signature=TYPED)])
def test_the_artifact_holds_and_the_calls_are_counted(program: Program) -> None:
    assert list(faults(program)) == []
    assert call_bounds(program) == Times(1, 4)


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("x = 1", "x = 1"),
        ("```python\nx = 1\n```", "x = 1"),
        ("Here:\n```py\nx = 1\n```\nand\n```python\ny = 2\n```", "x = 1"),
        ("```\nx = 1", "x = 1"),
        ("```json\n{}\n```\n```Python\nx = 1\n```", "x = 1"),
        ("if x:\n    print('```')", "if x:\n    print('```')"),
        ("  \n", "  "),
    ],
)
def test_the_code_in_an_answer(text: str, code: str) -> None:
    assert code_of(text) == code


# Agents whose steps are code -----------------------------------------------------------------------

CODER = several("CodeAct", tools=[SEARCH], max_iters=3, max_calls=4, max_given=100)
READER = several("RLM", tools=[SEARCH], max_iters=3, max_llm_calls=4, max_given=100)
LONG: Row = {"question": "Who? " * 100_000}


def acted(code: str, finished: str = "false") -> str:
    return chat(generated_code=code, finished=finished)


def step(code: str, reasoning: str = "look") -> str:
    return chat(reasoning=reasoning, code=code)


def find(query: str, k: int) -> JsonValue:
    if query == "nothing":
        raise ValueError("no such word")
    return [f"{query} {number}" for number in range(k)]


async def test_an_agent_calls_its_tools_in_its_code() -> None:
    script = (
        acted("found = [search(one, k=1) for one in ('a', 'b')]\nfound"),
        acted("print(found[0])", "true"),
        ANSWER,
    )
    engine = Told(script, tools={"search": find})
    outcome = await run(CODER, INPUTS, engine)
    assert outcome.outputs == {"reasoning": "it gave that", "answer": "42"}
    assert engine.called == [("search", {"query": "a", "k": 1}), ("search", {"query": "b", "k": 1})]
    assert [(one.step, one.predictor, one.tool) for one in outcome.trace] == [
        ("out.act", "m.act", ""),
        ("out.code", "", CODE),
        ("out.search", "", "search"),
        ("out.search", "", "search"),
        ("out.act", "m.act", ""),
        ("out.code", "", CODE),
        ("out.extract", "m.extract", ""),
    ]
    assert outcome.trace[-1].inputs["trajectory"] == [
        {
            "generated_code": "found = [search(one, k=1) for one in ('a', 'b')]\nfound",
            "result": [["a 0"], ["b 0"]],
        },
        {"generated_code": "print(found[0])", "output": "['a 0']\n"},
    ]


WRONG_CALLS = """
for call in (
    lambda: search('nothing', 1),
    lambda: search(5),
    lambda: search(),
    lambda: search('a', 1, 2),
    lambda: search('a', size=2),
    lambda: search('a' * 200),
    lambda: search('a', 1),
    lambda: search('a', 1),
    lambda: search('a', 1),
):
    try:
        print(call())
    except Exception as error:
        print(error)
"""


async def test_what_a_call_fails_with_is_told_the_code_and_calls_have_an_end() -> None:
    engine = Told([acted(WRONG_CALLS, "true"), ANSWER], tools={"search": find})
    outcome = await run(CODER, INPUTS, engine)
    ((_, given),) = codes(outcome)
    assert given["output"].splitlines() == [
        "the tool `search` failed: no such word",
        "out.search: `query`: expected text, got 5",
        "`query` is missing",
        "search() takes query, k; 3 were given",
        "there is no argument `size`; the tool takes query, k",
        "it is given 213 characters, and 100 are the most",
        "['a 0']",
        "['a 0']",
        "no call is left of the 4 that one run may make",
    ]
    assert len(engine.called) == 3


async def test_a_step_that_cannot_be_read_is_told_to_the_model() -> None:
    outcome = await run(CODER, INPUTS, Told(["?", "?", acted("1", "true"), ANSWER]))
    turns = outcome.trace[-1].inputs["trajectory"]
    assert isinstance(turns, list)
    assert "this step could not be read" in str(turns[0])
    assert turns[1] == {"generated_code": "1", "result": 1}
    faithful = several("CodeAct", tools=[SEARCH], compat="dspy")
    with pytest.raises(ParseError):
        await run(faithful, INPUTS, Told(["?", "?"]))


async def test_tools_have_names_that_python_takes() -> None:
    tools = [
        SEARCH.model_copy(update={"name": name}) for name in ("common.search", "question", "class", "2nd")
    ]
    program = several("CodeAct", tools=tools, max_iters=1)
    code = "[one('a', k=1) for one in (common_search, question_, tool_class, tool_2nd)]"
    engine = Told([acted(code), ANSWER], tools={one.name: find for one in tools})
    outcome = await run(program, INPUTS, engine)
    assert codes(outcome) == [(code, {"result": [["a 0"]] * 4})]
    assert "- common_search: query (text)" in engine.requests[0].messages[0].content


async def test_a_long_input_is_explored_by_code_that_asks_a_model() -> None:
    script = (
        step("len(question), question[:4]"),
        step("found = llm_query_batched(['same', 'same', 'other'])\nprint(found, llm_query(question[:4]))"),
        chat(response="1"),
        chat(response="2"),
        chat(response="3"),
        chat(response="4"),
        step("submit(answer=found[-1])"),
    )
    engine = Told(script)
    outcome = await run(READER, LONG, engine)
    assert outcome.outputs == {"answer": "3"}
    assert predictors(outcome) == ["m.act", "m.act", *["m.query"] * 4, "m.act"]
    assert codes(outcome)[1][1] == {"output": "['1', '2', '3'] 4\n"}
    queries = [
        one
        for one in engine.requests
        if "other" in one.messages[-1].content or "same" in one.messages[-1].content
    ]
    assert len({one.sample for one in queries if "same" in one.messages[-1].content}) == 2
    prompts = [len(one.messages[-1].content) for one in engine.requests]
    assert max(prompts) < 3_000
    assert "`question`: str, 500,000 characters" in engine.requests[0].messages[-1].content


ASKING = """
for call in (
    lambda: llm_query(''),
    lambda: llm_query('a' * 200),
    lambda: llm_query_batched('a'),
    lambda: llm_query_batched(['a'] * 5),
    lambda: llm_query('a'),
    lambda: llm_query_batched(['b', 'c']),
    lambda: llm_query_batched(['b', 'c']),
):
    try:
        print(call())
    except Exception as error:
        print(type(error).__name__, error)
"""


async def test_questions_have_an_end_and_their_failures_are_told() -> None:
    bad = "no layout"
    script = (step(ASKING), bad, bad, chat(response="b"), bad, bad, step("submit('x')"))

    async def answer(request: Request) -> str:
        return next(given)

    given = iter(script)
    program = READER.model_copy(
        update={"lms": {name: lm.model_copy(update={"parse": "strict"}) for name, lm in READER.lms.items()}}
    )
    outcome = await run(program, LONG, Told(answer))
    lines = codes(outcome)[0][1]["output"].splitlines()
    assert lines[:4] == [
        "TypeError a prompt must be a text, and not empty",
        "ValueError it is given 202 characters, and 100 are the most",
        "TypeError the prompts must be a list of texts",
        "RuntimeError 5 questions, and 4 are left of the 4 that one run may ask",
    ]
    assert lines[4].startswith("RuntimeError m.query: ")
    assert lines[-1] == "RuntimeError 2 questions, and 1 are left of the 4 that one run may ask"


async def test_without_an_answer_in_time_it_is_extracted() -> None:
    outcome = await run(READER, INPUTS, Told([step("1"), step("1 / 0"), step("submit()"), chat(answer="so")]))
    assert outcome.outputs == {"answer": "so"}
    history = outcome.trace[-1].inputs["repl_history"]
    assert isinstance(history, list)
    assert [set(one) for one in history if isinstance(one, dict)] == [
        {"reasoning", "code", "result"},
        {"reasoning", "code", "error"},
        {"reasoning", "code", "error"},
    ]


HARM = {
    "while True: pass": "did not come to its end in 0.2 s",
    "'a' * 10 ** 9": "needs more than the 64 MB of memory",
    "import os\nos.fork()": "AttributeError",
    "open('/etc/passwd')": "PermissionError",
    "import socket": "ModuleNotFoundError",
}
"""Code of a step, and what the next one is told."""


@pytest.mark.parametrize("strategy", ["CodeAct", "RLM"])
async def test_harm_is_stopped_and_told_and_the_run_goes_on(strategy: str) -> None:
    program = several(strategy, max_iters=6, timeout=0.2)
    written, last = (step, [step("submit(answer='42')")]) if strategy == "RLM" else (acted, [])
    script = [*(written(code) for code in HARM), *(last or [acted("print(42)", "true"), ANSWER])]
    outcome = await run(program, INPUTS, Told(script))
    assert outcome.outputs["answer"] == "42"
    ran = codes(outcome)
    assert [code for code, _ in ran[: len(HARM)]] == [*HARM]
    for (_, gave), error in zip(ran, HARM.values(), strict=False):
        assert error in gave["error"]
    asked = [
        one.inputs["repl_history" if strategy == "RLM" else "trajectory"]
        for one in outcome.trace
        if one.predictor
    ]
    assert [error in str(told) for told, error in zip(asked[1:], HARM.values(), strict=False)] == [
        True
    ] * len(HARM)


async def test_a_model_that_does_not_answer_the_code_ends_the_run() -> None:
    with pytest.raises(Unavailable):
        await run(READER, INPUTS, Told([step("try:\n    llm_query('a')\nexcept: pass"), Unavailable("gone")]))


@pytest.mark.parametrize(("program", "most"), [(CODER, Times(2, 4)), (READER, Times(1, 8))])
def test_agents_of_code_are_counted(program: Program, most: Times) -> None:
    assert list(faults(program)) == []
    assert call_bounds(program) == most
    assert counted(program)["search"] == Times(0, program.modules["m"].options["max_calls"])  # type: ignore[arg-type]


@pytest.mark.parametrize("program", [POT, CODER, READER])
def test_a_predictor_of_another_shape_is_refused(program: Program) -> None:
    for address, asked in program.predictors.items():
        signature = asked.signature.model_copy(update={"inputs": (), "outputs": fields(x=INT)})
        changed = asked.model_copy(update={"signature": signature})
        other = program.model_copy(update={"predictors": {**program.predictors, address: changed}})
        if not address.endswith("extract"):
            assert list(faults(other))


async def test_the_same_answers_give_the_same_run_at_any_parallelism() -> None:
    code = "import random\nfound = llm_query_batched([str(n) for n in range(4)])\nprint(found, {'a', 'b'}, random.random())"

    async def answer(request: Request) -> str:
        said = request.messages[-1].content
        await asyncio.sleep(random.random() / 50)
        if "[[ ## prompt ## ]]" in said:
            return chat(response=said.split("\n")[1])
        return step("submit(answer=found[2])" if "random()" in said else code)

    alone = await run(READER, INPUTS, Told(answer))
    others = await asyncio.gather(*(run(READER, INPUTS, Told(answer)) for _ in range(16)))
    assert alone.outputs == {"answer": "2"}
    assert all(one.outputs == alone.outputs and one.trace == alone.trace for one in others)


@pytest.mark.parametrize(
    ("tried", "first", "second"),
    [
        (POT, (wrote("submit(answer='no')"),), (wrote("1 / 0"), wrote("print(42)"), ANSWER)),
        (CODER, (acted("1", "true"), chat(reasoning="r", answer="no")), (acted("42", "true"), ANSWER)),
        (READER, (step("submit('no')"),), (step("1"), step("submit('42')"))),
        (
            several("ReAct", tools=[SEARCH], max_iters=3),
            (
                chat(next_thought="t", next_tool_name="finish", next_tool_args="{}"),
                chat(reasoning="r", answer="no"),
            ),
            (
                chat(next_thought="t", next_tool_name="search", next_tool_args='{"query": "a"}'),
                chat(next_thought="t", next_tool_name="finish", next_tool_args="{}"),
                ANSWER,
            ),
        ),
    ],
)
async def test_advice_after_an_attempt_reaches_every_role(
    tried: Program, first: tuple[str, ...], second: tuple[str, ...]
) -> None:
    reward = Reward(name="right", pred="pred", score=binary(var("pred", "answer"), "==", const("42")))
    inner = {f"try.{address.partition('.')[2]}": one for address, one in tried.predictors.items()}
    spec = tried.modules["m"]
    own = {role: f"try.{address.partition('.')[2]}" for role, address in spec.predictors.items()}
    more = tried.model_copy(
        update={"predictors": inner, "modules": {"try": spec.model_copy(update={"predictors": own})}}
    )
    program = several("Refine", more=more, runs="try", reward=reward, n=2, threshold=1.0)
    program = program.model_copy(
        update={"modules": {**more.modules, **program.modules}, "tools": tried.tools}
    )
    advice = chat(discussion="d", advice=json.dumps(dict.fromkeys(inner, "think of 42")))
    engine = Told([*first, advice, *second], tools={"search": find})
    outcome = await run(program, INPUTS, engine)
    assert outcome.outputs["answer"] == "42"
    assert all("think of 42" in one.messages[-1].content for one in engine.requests[len(first) + 1 :])
