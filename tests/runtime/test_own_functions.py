"""Modules that are functions of the project: what they call, what they give, and whatever they do besides."""

from __future__ import annotations

import asyncio
import os
import re
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from own_functions import FILE, WORLDS, Equipped, World, function_module, toolbox_in, trace_of
from programs import binary, call, chat, const, fields, var

from dspec.runtime.application import load
from dspec.runtime.artifact.artifact import Artifact, write_artifact
from dspec.runtime.artifact.integrity import faults
from dspec.runtime.errors import (
    CheckFailed,
    ConfigurationError,
    FunctionFailed,
    ParseError,
    Refused,
    ToolFailed,
    Unavailable,
)
from dspec.runtime.models.engine import Engine
from dspec.runtime.models.protocol import Request
from dspec.runtime.running.bounds import call_bounds, counted
from dspec.runtime.running.execute import Outcome, run
from dspec.runtime.running.strategies.base import Times
from dspec.runtime.schema.program import Check, Program, Record, Tool, reached
from dspec.runtime.schema.types import INT, STR, ListOf, RecordRef
from tests.support.tools import tool_of

FUNCTIONS = """
import asyncio, os, threading, time
kept = []

def forward(question, call):
    first = call("ask", question=question)
    second = call("ask", question=first["answer"])
    return {"answer": first["answer"] + second["answer"], "more": 1}
async def later(question, call):
    found = await asyncio.gather(*(call("ask", question=f"{question}{n}") for n in range(6)))
    return {"answer": " ".join(one["answer"] for one in found)}
def equal(question, call):
    return {"answer": "".join(call("ask", question=question)["answer"] for _ in range(3))}
async def equal_at_once(question, call):
    found = await asyncio.gather(*(call("ask", question=question) for _ in range(3)))
    return {"answer": "".join(sorted(one["answer"] for one in found))}
def threads(question, call):
    found = [None] * 4
    def one(n): found[n] = call("ask", question=question)["answer"]
    running = [threading.Thread(target=one, args=(n,)) for n in range(4)]
    for thread in running: thread.start()
    for thread in running: thread.join()
    return {"answer": "".join(sorted(found))}
def plain(question): return {"answer": question.upper()}
def said(question, call):
    wrong = {"unknown": lambda: call("hop"), "input": lambda: call("ask", query="x"),
             "missing": lambda: call("ask"), "type": lambda: call("ask", question=[1]),
             "odd": lambda: call("ask", question=object()),
             "unnamed": lambda: call("ask", "x"), "nameless": lambda: call(question="x"),
             "large": lambda: call("ask", question="x" * 5_000_000)}
    try: wrong[question]()
    except RuntimeError as error: return {"answer": str(error)}
def swallows(question, call):
    found = []
    for n in range(3):
        try: found.append(call("ask", question=f"{question}{n}")["answer"])
        except RuntimeError as error: found.append(f"({error})")
    return {"answer": " ".join(found)}
async def swallows_at_once(question, call):
    await asyncio.gather(*(call("ask", question=f"{question}{n}") for n in range(3)), return_exceptions=True)
    return {"answer": "fine"}
def many(question, call):
    while True:
        call("ask", question=question)
def stubborn(question, call):
    told = ""
    while told != "the run is over":
        try: call("nothing")
        except RuntimeError as error: told = str(error)
def recursion(question, call): return recursion(question, call)
def raises(question, call): raise KeyError("query")
def interrupt(question, call): raise KeyboardInterrupt("now")
def exit(question, call): raise SystemExit("no more")
def leaves(question, call):
    call("ask", question=question)
    os._exit(3)
def hang(question, call):
    call("ask", question=question)
    if question == "hang": time.sleep(600)
    return {"answer": "awake"}
def brief(question, call): return call("ask", question=question)
async def brief_later(question, call): return await call("ask", question=question)
def fork(question, call):
    child = os.fork()
    if child == 0:
        try: call("ask", question="the child's")
        except RuntimeError: pass
        os._exit(0)
    os.waitpid(child, 0)
    return call("ask", question=question)
def forked(question, call):
    return {"answer": "the child's"} if os.fork() == 0 else call("ask", question=question)
def leftover(question, call):
    def late():
        time.sleep(0.05)
        for _ in range(20):
            try: call("ask", question="left over")
            except RuntimeError: pass
            time.sleep(0.02)
    if question == "first": threading.Thread(target=late, daemon=True).start()
    else: time.sleep(0.3)
    return call("ask", question=question)
async def leftover_later(question, call):
    kept.append(asyncio.ensure_future(call("ask", question=f"left by {question}")))
    await asyncio.sleep(0)
    return {"answer": question}
def large(question, call): return {"answer": "x" * 10_000_000}
def text(question, call): return "just text"
def nothing(question, call): return None
def lacks(question, call): return {"reply": "x"}
def number(question, call): return {"answer": 5}
def odd(question, call): return {"answer": "x", "call": call, "more": object()}
def keyed(question, call): return {"answer": [os.environ["SOME_API_KEY"] * 3]}
def lines(question): return {"lines": [{"n": 1}, {"n": -1}]}
def searches(question, call): return {"answer": call("search", query=question)}
"""


def asked_of(request: Request) -> str:
    """The question that is asked last."""
    found = re.findall(r"## question ## \]\]\n(.*)", request.messages[1].content)
    return found[-1]


async def echo(request: Request) -> str:
    return chat(answer=f"<{asked_of(request)}>")


@asynccontextmanager
async def engine(
    world: World, folder: Path, name: str, script: Callable[[Request], Awaitable[Any]] = echo
) -> AsyncIterator[Equipped]:
    async with toolbox_in(world, folder, FUNCTIONS, name) as toolbox:
        yield Equipped(script, toolbox)


async def outcome(
    world: World,
    folder: Path,
    name: str,
    question: str = "q",
    script: Callable[[Request], Awaitable[Any]] = echo,
    **settings: Any,
) -> Outcome:
    async with engine(world, folder, name, script) as told:
        return await run(function_module(name, **settings), {"question": question}, told, record=True)


both = pytest.mark.parametrize("world", WORLDS)


@both
async def test_a_function_calls_what_it_uses_and_gives_the_outputs(world: World, tmp_path: Path) -> None:
    found = await outcome(world, tmp_path, "forward")
    assert found.outputs == {"answer": "<q><<q>>"}
    assert trace_of(found.trace) == [
        ("out", "m.function", {"question": "q"}),
        ("out.ask", "ask", {"question": "q"}),
        ("out.ask", "ask", {"question": "<q>"}),
    ]
    assert found.trace[0].outputs == found.outputs
    assert found.used.calls == 2


@both
async def test_calls_at_once_stand_in_the_order_in_which_they_were_made(world: World, tmp_path: Path) -> None:
    async def slow_first(request: Request) -> str:
        await asyncio.sleep(0.06 - 0.01 * int(asked_of(request)[1]))
        return await echo(request)

    found = await outcome(world, tmp_path, "later", script=slow_first)
    assert found.outputs == {"answer": " ".join(f"<q{n}>" for n in range(6))}
    assert [one.inputs["question"] for one in found.trace[1:]] == [f"q{n}" for n in range(6)]


@both
@pytest.mark.parametrize("name", ["equal", "equal_at_once"])
async def test_equal_calls_get_answers_of_their_own(world: World, name: str, tmp_path: Path) -> None:
    samples: list[int] = []

    async def numbered(request: Request) -> str:
        samples.append(request.sample)
        return chat(answer=str(len(set(samples))))

    found = await outcome(world, tmp_path, name, script=numbered)
    assert found.outputs == {"answer": "123"}
    assert samples[0] == 0
    again: list[int] = samples[:]
    samples.clear()
    await outcome(world, tmp_path, name, script=numbered)
    assert samples == again


@both
async def test_threads_of_a_function_call_as_it_does(world: World, tmp_path: Path) -> None:
    assert (await outcome(world, tmp_path, "threads")).outputs == {"answer": "<q>" * 4}


@both
async def test_a_function_that_uses_nothing_gets_no_call(world: World, tmp_path: Path) -> None:
    found = await outcome(world, tmp_path, "plain", uses={})
    assert (found.outputs, len(found.trace)) == ({"answer": "Q"}, 1)


@both
async def test_a_tool_gives_a_function_its_value(world: World, tmp_path: Path) -> None:
    search = tool_of("python", output=ListOf(item=STR), function="own:plain_search", file="own.py")
    text = FUNCTIONS + "def plain_search(query): return [query, query]\n"
    (tmp_path / "own.py").write_text(text)
    program = function_module("searches", uses={"search": search}, outputs=fields(answer=ListOf(item=STR)))
    async with toolbox_in(world, tmp_path, text, "searches") as toolbox:
        if world == "here":
            toolbox._functions = {**toolbox._functions, "search": lambda query: [query, query]}  # type: ignore[attr-defined]
        found = await run(program, {"question": "q"}, Equipped(echo, toolbox))
    assert found.outputs == {"answer": ["q", "q"]}
    assert [(one.step, one.tool) for one in found.trace] == [("out", "m.function"), ("out.search", "search")]


@both
@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ("unknown", "there is no `hop` to call; the module uses `ask`"),
        ("input", "`ask`: there is no argument `query`; the tool takes question"),
        ("missing", "`ask`: `question` is missing"),
        ("type", "out.ask: `question`: expected text, got [1]"),
        ("odd", "what is passed on is not JSON: a value of type object"),
        ("unnamed", "call takes the name of what it calls, and then the inputs by their names"),
        ("nameless", "call takes the name of what it calls, and then the inputs by their names"),
        ("large", "what is passed on has 5,000,015 characters, and 4,194,304 are the most"),
    ],
)
async def test_a_function_is_told_what_is_wrong_with_a_call(
    world: World, wrong: str, told: str, tmp_path: Path
) -> None:
    found = await outcome(world, tmp_path, "said", wrong, max_result=1_000_000)
    assert str(found.outputs["answer"]).startswith(told)


@both
async def test_an_answer_that_cannot_be_used_is_told_and_the_function_may_go_on(
    world: World, tmp_path: Path
) -> None:
    async def mumbles(request: Request) -> str:
        return "" if "q1" in request.messages[1].content else await echo(request)

    found = await outcome(world, tmp_path, "swallows", script=mumbles)
    first, wrong, last = str(found.outputs["answer"]).split(" ", 1)[0], found.trace[2], found.trace[3]
    assert (first, wrong.dropped, last.outputs) == ("<q0>", True, {"answer": "<q2>"})


@both
async def test_an_answer_that_a_function_does_nothing_about_is_the_runs_own_failure(
    world: World, tmp_path: Path
) -> None:
    async def mumbles(request: Request) -> str:
        return ""

    with pytest.raises(ParseError, match="Asked: answer: is missing"):
        await outcome(world, tmp_path, "forward", script=mumbles)


@both
@pytest.mark.parametrize("name", ["swallows", "swallows_at_once"])
async def test_a_model_that_does_not_answer_ends_the_run_whatever_the_function_makes_of_it(
    world: World, name: str, tmp_path: Path
) -> None:
    """Of several, the first in the order of the calls is the one, however they arrive."""

    async def fails(request: Request) -> str:
        number = int(asked_of(request)[1])
        await asyncio.sleep(0.05 * (2 - number))
        if number:
            raise Unavailable(f"down for {number}")
        return await echo(request)

    with pytest.raises(Unavailable, match="down for 1") as error:
        await outcome(world, tmp_path, name, script=fails)
    assert [one.predictor for one in error.value.trace if one.predictor][:1] == ["ask"]


@both
async def test_a_call_too_many_ends_the_run(world: World, tmp_path: Path) -> None:
    async with engine(world, tmp_path, "many") as told:
        with pytest.raises(FunctionFailed, match="a call more than the 3 that `max_calls` allows"):
            await run(function_module("many", max_calls=3), {"question": "q"}, told)
        assert len(told.requests) == 3


FAILURES = {
    "raises": "KeyError: 'query'",
    "interrupt": "KeyboardInterrupt: now",
    "exit": "SystemExit: no more",
    "recursion": "RecursionError: maximum recursion depth exceeded",
    "large": "its result has 10,000,013 characters, and 100,000 are the most",
    "text": "gave what it is not declared to give: expected answer: str",
    "nothing": "gave what it is not declared to give: expected answer: str",
    "lacks": "gave what it is not declared to give: m: `answer` has no value",
    "number": "gave what it is not declared to give: m: `answer`: expected text, got 5",
}


@both
@pytest.mark.parametrize("name", FAILURES)
async def test_what_goes_wrong_in_a_function_is_an_unusable_answer(
    world: World, name: str, tmp_path: Path
) -> None:
    with pytest.raises(FunctionFailed) as error:
        await outcome(world, tmp_path, name)
    assert error.value.message.startswith("the function of the module `m` ")
    assert FAILURES[name] in error.value.message
    assert [one.tool for one in error.value.trace] == ["m.function"]


@both
async def test_what_else_a_function_gives_is_left_out_whatever_it_is(world: World, tmp_path: Path) -> None:
    assert (await outcome(world, tmp_path, "odd")).outputs == {"answer": "x"}


@both
async def test_a_key_in_what_a_function_gives_is_not_told(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SOME_API_KEY", "hush-" * 30)
    with pytest.raises(FunctionFailed, match="SOME_API_KEY") as error:
        await outcome(world, tmp_path, "keyed")
    assert "hush" not in f"{error.value.message}{error.value.trace}"


@both
async def test_a_hang_is_ended_and_the_next_run_works(world: World, tmp_path: Path) -> None:
    async with engine(world, tmp_path, "hang") as told:
        program = function_module("hang", timeout=0.3)
        with pytest.raises(ToolFailed, match=r"no result within 0\.3 s") as error:
            await run(program, {"question": "hang"}, told)
        assert not isinstance(error.value, FunctionFailed)
        assert (await run(program, {"question": "fine"}, told)).outputs == {"answer": "awake"}


@both
async def test_a_function_that_never_takes_no_for_an_answer_is_late(world: World, tmp_path: Path) -> None:
    with pytest.raises(ToolFailed, match=r"no result within 0\.5 s"):
        await outcome(world, tmp_path, "stubborn", timeout=0.5)


@both
@pytest.mark.parametrize("name", ["brief", "brief_later"])
async def test_what_its_calls_take_is_not_the_functions_time(world: World, name: str, tmp_path: Path) -> None:
    async def slow(request: Request) -> str:
        await asyncio.sleep(0.8)
        return await echo(request)

    assert (await outcome(world, tmp_path, name, script=slow, timeout=0.4)).outputs == {"answer": "<q>"}


async def test_a_process_that_leaves_is_a_failure_and_the_next_run_works(tmp_path: Path) -> None:
    async with engine("isolated", tmp_path, "leaves") as told:
        with pytest.raises(ToolFailed, match=r"its process ended \(exit code 3\)"):
            await run(function_module("leaves"), {"question": "q"}, told)
        assert (await run(function_module("brief"), {"question": "q"}, told)).outputs == {"answer": "<q>"}


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork")
@pytest.mark.parametrize(("world", "name"), [("isolated", "fork"), ("isolated", "forked"), ("here", "fork")])
async def test_a_child_calls_nothing(world: World, name: str, tmp_path: Path) -> None:
    found = await outcome(world, tmp_path, name)
    assert (found.outputs, len(found.trace)) == ({"answer": "<q>"}, 2)


@both
@pytest.mark.parametrize("name", ["leftover", "leftover_later"])
async def test_what_a_run_left_behind_calls_nothing_in_the_next(
    world: World, name: str, tmp_path: Path
) -> None:
    async with engine(world, tmp_path, name) as told:
        program = function_module(name, max_calls=2)
        for question in ("first", "second"):
            found = await run(program, {"question": question}, told)
            asked = [one.inputs["question"] for one in found.trace if one.predictor]
            assert set(asked) <= {question, f"left by {question}"}
            assert len(asked) <= 1


@both
async def test_the_signatures_checks_hold_of_what_a_function_gives(world: World, tmp_path: Path) -> None:
    short = binary(call("len", var("answer")), "<", const(3))
    hard = Check(kind="assert", condition=short, message=const("too long"))
    with pytest.raises(CheckFailed, match="m: too long") as error:
        await outcome(world, tmp_path, "brief", checks=[hard])
    assert [one.notes for one in error.value.trace][-1] == ("failed: too long",)
    soft = await outcome(world, tmp_path, "brief", checks=[hard.model_copy(update={"kind": "suggest"})])
    assert (soft.outputs, soft.notes) == ({"answer": "<q>"}, ("suggest not met: too long",))
    positive = binary(var("n"), ">", const(0))
    line = Record(
        name="Line",
        fields=fields(n=INT),
        checks=(Check(kind="assert", condition=positive, message=const("not positive")),),
    )
    outputs = fields(lines=ListOf(item=RecordRef(name="Line")))
    with pytest.raises(CheckFailed, match=r"lines\[1\].*not positive"):
        await outcome(world, tmp_path, "lines", uses={}, outputs=outputs, records={"Line": line})


async def test_a_function_is_told_the_same_in_both_worlds(tmp_path: Path) -> None:
    async def refuses(request: Request) -> str:
        raise Refused("not that")

    texts: set[str] = set()
    for world in WORLDS:
        with pytest.raises(Refused) as error:
            await outcome(world, tmp_path, "forward", script=refuses)
        texts.add(error.value.message)
    assert texts == {"not that"}


def test_it_is_counted_before_it_runs() -> None:
    program = function_module("forward", max_calls=4)
    assert call_bounds(program) == Times(0, 4)
    assert counted(program) == {"m.function": Times(1, 1), "ask": Times(0, 4)}
    assert reached(program) == {"m", "m.function", "ask"}


def changed(program: Program, **changes: Any) -> Program:
    module = program.modules["m"].model_copy(update=changes)
    return program.model_copy(update={"modules": {"m": module}})


def test_an_artifact_holds_a_function_as_it_must_be() -> None:
    program = function_module("forward")
    assert not list(faults(program))
    function = program.modules["m"].function
    assert function is not None
    tool = program.tools["m.function"]
    single: Tool = tool.model_copy(update={"output": STR, "outputs": ()})
    for wrong, said in (
        (changed(program, function=None), "`python` needs a function"),
        (changed(program, strategy="ReAct"), "`ReAct` has no function"),
        (changed(program, function=function.model_copy(update={"tool": "n"})), "there is no tool `n`"),
        (
            changed(program, function=function.model_copy(update={"names": ()})),
            "a name for each of the tools",
        ),
        (changed(program, options={}), "max_calls: it is missing"),
        (changed(program, options={"max_calls": 0}), "out of range"),
        (changed(program, options={"max_calls": 2, "timeout": 3}), "has no option `timeout`"),
        (program.model_copy(update={"tools": {"m.function": single}}), "a module gives named outputs"),
        (changed(program, tools=("m",)), "runs something that runs itself"),
    ):
        assert any(said in fault for fault in faults(wrong)), said


async def test_an_engine_without_tools_says_so() -> None:
    async with Engine() as bare:
        with pytest.raises(ConfigurationError, match="nothing here can call the tool `m`"):
            await run(function_module("forward"), {"question": "q"}, bare)


MARKED = """
from os import getcwd
from pathlib import Path
Path(__file__).with_name("ran").touch()
def forward(question, call): return call("ask", question=question)
async def later(question, call): return await call("ask", question=question)
"""


@pytest.fixture
def artifact(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Of a module whose function is in a file beside it that says when it was run."""
    (tmp_path / f"{FILE}.py").write_text(MARKED)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, FILE, raising=False)
    path = tmp_path / "compiled" / "m.dspc.json"
    path.parent.mkdir()
    write_artifact(path, Artifact(kind="program", name="m", program=function_module("forward")))
    return path


def test_loading_an_artifact_runs_no_function(artifact: Path) -> None:
    with pytest.raises(ConfigurationError) as refused:
        load(artifact)
    assert "the Python function `own:forward`" in refused.value.message
    assert "tools={'m': function}" in refused.value.help
    assert f"allow=['{FILE}']" in refused.value.help
    load(artifact, allow=[FILE]).close()
    assert not artifact.parent.with_name("ran").exists()
    assert FILE not in sys.modules


def test_it_answers_the_same_whoever_runs_the_function(artifact: Path) -> None:
    def given(question: str, call: Any) -> Any:
        return call("ask", question=question)

    async def given_later(question: str, call: Any) -> Any:
        return await call("ask", question=question)

    answers: set[tuple[Any, ...]] = set()
    for how in (
        {"tools": {"m": given}},
        {"tools": {"m": given_later}},
        {"allow": [FILE]},
        {"allow": [FILE], "root": artifact.parent.parent, "isolate": True},
    ):
        with load(artifact, **how) as program:
            found = program(question="tea or milk?")
        answers.add((found.answer, found.usage.calls, *((one.step, one.predictor) for one in found.trace)))
    assert len(answers) == 1


def test_of_an_allowed_module_only_its_own_functions_run(artifact: Path) -> None:
    program = function_module("getcwd")
    write_artifact(artifact, Artifact(kind="program", name="m", program=program))
    with load(artifact, allow=[FILE]) as loaded, pytest.raises(ConfigurationError):
        loaded(question="q")
    given = {"allow": [FILE], "root": artifact.parent.parent, "isolate": True}
    with load(artifact, **given) as loaded, pytest.raises(ToolFailed, match="no function of the module"):
        loaded(question="q")
