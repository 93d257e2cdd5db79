"""Branches, fan-outs, rounds and graphs at run time: samples, redone steps, errors in order, and artifacts that ask
for too much."""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from programs import Told, binary, call, chat, const, fields, must, question, should, var

from dspec.runtime.artifact.artifact import read_artifact
from dspec.runtime.artifact.integrity import faults
from dspec.runtime.errors import CheckFailed, DspecError, EvaluationError, Unavailable
from dspec.runtime.models.protocol import Request
from dspec.runtime.running.bounds import MAX_CALLS, call_bounds, counted
from dspec.runtime.running.execute import run
from dspec.runtime.running.strategies.base import Times
from dspec.runtime.schema.expressions import Expression, ListOfItems, Variable
from dspec.runtime.schema.program import (
    LM,
    BranchStep,
    CallStep,
    CheckStep,
    EachStep,
    Graph,
    NestedSteps,
    Program,
    RepeatStep,
    RunStep,
    Step,
    ValueStep,
)
from dspec.runtime.schema.types import STR, Row

INPUTS: Row = {"question": "q"}


def ask(name: str, of: Expression) -> CallStep:
    return CallStep(name=name, predictor="ask", arguments={"question": of})


def each(name: str, most: int, *steps: Step, value: Expression, over: Expression | None = None) -> EachStep:
    listed = over or call("range", const(most))
    return EachStep(
        name=name, variable="i", iterable=listed, most=most, body=NestedSteps(steps=steps, value=value)
    )


def program(
    *steps: Step, returns: Expression | None = None, graphs: Mapping[str, Graph] | None = None
) -> Program:
    return Program(
        name="nested",
        inputs=fields(question=STR),
        outputs=fields(answer=STR),
        steps=steps,
        returns={"answer": returns or var("out", "answer")},
        predictors={"ask": question(max_retries=1)},
        lms={"mini": LM(name="mini", model="embedded/icl")},
        graphs=dict(graphs or {}),
    )


def asked(request: Request) -> str:
    users = [message.content for message in request.messages if message.role == "user"]
    return users[0].removeprefix("[[ ## question ## ]]\n").partition("\n")[0] + "!" * (len(users) - 1)


async def echo(request: Request) -> str:
    return chat(answer=f"<{asked(request)}>")


def joined(name: str) -> Expression:
    return call("join", Variable(name=name), const(" "))


async def test_what_is_asked_alike_in_two_items_is_asked_twice_however_deep() -> None:
    inner = each("inner", 2, ask("deep", const("same")), value=var("deep", "answer"))
    told = Told(echo)
    outcome = await run(
        program(each("outer", 2, inner, value=joined("inner")), returns=joined("outer")), INPUTS, told
    )
    assert outcome.outputs == {"answer": "<same> <same> <same> <same>"}
    assert len({request.sample for request in told.requests}) == 4
    assert [step.step for step in outcome.trace] == [
        f"outer[{i}].inner[{j}].deep" for i in range(2) for j in range(2)
    ]
    assert told.requests[0].sample == 0, "the first is that of a call by itself"


async def test_items_run_at_the_same_time_and_rounds_one_after_the_other() -> None:
    together = asyncio.Barrier(3)

    async def meet(request: Request) -> str:
        async with asyncio.timeout(60):
            await together.wait()
        return await echo(request)

    step = each("all", 3, ask("one", call("str", var("i"))), value=var("one", "answer"))
    outcome = await run(program(step, returns=joined("all")), INPUTS, Told(meet))
    assert outcome.outputs == {"answer": "<0> <1> <2>"}

    running = most = 0

    async def alone(request: Request) -> str:
        nonlocal running, most
        running += 1
        most = max(most, running)
        await asyncio.sleep(0)
        running -= 1
        return await echo(request)

    rounds = RepeatStep(
        name="out",
        times=3,
        start={"text": const("x")},
        steps=(ask("again", var("text")),),
        again={"text": var("again", "answer")},
        value=var("text"),
    )
    outcome = await run(program(rounds, returns=var("out")), INPUTS, Told(alone))
    assert outcome.outputs == {"answer": "<<<x>>>"}
    assert most == 1


@pytest.mark.parametrize("fail", ["0", "2", "0 2"])
async def test_of_several_items_that_fail_the_first_in_order_is_the_error(fail: str) -> None:
    for seed in range(6):
        waits = random.Random(seed)

        async def broken(request: Request, waits: random.Random = waits) -> str:
            for _ in range(waits.randint(0, 4)):
                await asyncio.sleep(0)
            if asked(request) in fail.split():
                raise Unavailable(f"item {asked(request)}")
            return await echo(request)

        step = each("all", 3, ask("one", call("str", var("i"))), value=var("one", "answer"))
        with pytest.raises(Unavailable, match=f"item {fail[0]}"):
            await run(program(step, returns=joined("all")), INPUTS, Told(broken))


async def test_only_the_branch_that_is_chosen_runs() -> None:
    branch = BranchStep(
        name="out",
        condition=binary(var("question"), "==", const("q")),
        consequence=NestedSteps(steps=(ask("a", const("then")),), value=var("a")),
        alternative=NestedSteps(steps=(ask("b", const("else")),), value=var("b")),
    )
    told = Told(echo)
    assert (await run(program(branch), INPUTS, told)).outputs == {"answer": "<then>"}
    assert (await run(program(branch), {"question": "other"}, told)).outputs == {"answer": "<else>"}
    assert [asked(request) for request in told.requests] == ["then", "else"]


async def test_a_step_that_is_done_again_may_take_the_other_branch() -> None:
    """The blamed call's second answer leads to a branch that asks nothing."""
    branch = BranchStep(
        name="more",
        condition=binary(var("first", "answer"), "==", const("<q>")),
        consequence=NestedSteps(steps=(ask("deep", const("deep")),), value=var("deep", "answer")),
        alternative=NestedSteps(value=const("fine")),
    )
    check = CheckStep(check=must(binary(var("more"), "==", const("fine")), "say it again"), blames="first")
    outcome = await run(
        program(ask("first", var("question")), branch, check, returns=var("more")), INPUTS, Told(echo)
    )
    assert outcome.outputs == {"answer": "fine"}
    assert [(step.step, step.attempts) for step in outcome.trace] == [("first", 2)]


async def test_a_check_on_a_fan_out_sends_nothing_back() -> None:
    step = each("all", 2, ask("one", call("str", var("i"))), value=var("one", "answer"))
    soft = CheckStep(check=should(const(False), "more of them"), blames=None)
    outcome = await run(program(step, soft, returns=joined("all")), INPUTS, Told(echo))
    assert outcome.notes == ("suggest not met: more of them",)
    hard = CheckStep(check=must(const(False), "more of them"), blames=None)
    with pytest.raises(CheckFailed, match="more of them"):
        await run(program(step, hard, returns=joined("all")), INPUTS, Told(echo))


async def test_a_list_of_another_length_than_declared_is_an_error() -> None:
    step = each("all", 2, ask("one", var("i")), value=var("i"), over=ListOfItems(items=(const("a"),) * 3))
    with pytest.raises(EvaluationError, match="walks through 3 items, and 2 are the most"):
        await run(program(step, returns=joined("all")), INPUTS, Told(echo))
    short = step.model_copy(update={"least": 4, "most": 4})
    with pytest.raises(EvaluationError, match="walks through 3 items, and 4 are the least"):
        await run(program(short, returns=joined("all")), INPUTS, Told(echo))


def test_a_branch_counts_its_dearer_side_and_not_each_predictor_at_its_most() -> None:
    made = program(
        BranchStep(
            name="out",
            condition=const(True),
            consequence=NestedSteps(
                steps=(each("many", 5, ask("one", const("x")), value=const("x")),), value=const("x")
            ),
            alternative=NestedSteps(
                steps=tuple(
                    CallStep(name=f"s{i}", predictor="other", arguments={"question": const("y")})
                    for i in range(4)
                ),
                value=const("y"),
            ),
        )
    )
    made = made.model_copy(update={"predictors": {"ask": question(), "other": question()}})
    assert call_bounds(made) == Times(0, 5)
    assert counted(made) == {"ask": Times(0, 5), "other": Times(0, 4)}


def test_graphs_that_call_each_other_many_times_are_counted_in_no_time() -> None:
    graphs = {
        f"g{level}": Graph(
            name=f"g{level}",
            inputs=fields(question=STR),
            outputs=fields(answer=STR),
            steps=tuple(
                RunStep(name=f"s{i}", runs=f"g{level + 1}", arguments={"question": var("question")})
                if level < 20
                else ask(f"s{i}", var("question"))
                for i in range(10)
            ),
            returns={"answer": var("s0", "answer")},
        )
        for level in range(21)
    }
    made = program(RunStep(name="out", runs="g0", arguments={"question": var("question")}), graphs=graphs)
    assert call_bounds(made).most == 10**21
    assert any("10^15 and more model calls, and 10,000 are the most" in fault for fault in faults(made))


def circle(length: int) -> Program:
    graphs = {
        f"g{i}": Graph(
            name=f"g{i}",
            inputs=fields(question=STR),
            outputs=fields(answer=STR),
            steps=(
                RunStep(name="a", runs=f"g{(i + 1) % length}", arguments={"question": var("question")}),
                RunStep(name="b", runs=f"g{(i + 1) % length}", arguments={"question": var("question")}),
            ),
            returns={"answer": var("a", "answer")},
        )
        for i in range(length)
    }
    return program(RunStep(name="out", runs="g0", arguments={"question": var("question")}), graphs=graphs)


def deep(levels: int) -> Program:
    step: Step = ask("out", var("question"))
    for _ in range(levels):
        step = BranchStep(
            name="out",
            condition=const(True),
            consequence=NestedSteps(steps=(step,), value=var("out")),
            alternative=NestedSteps(value=const("x")),
        )
    return program(step)


def idle(times: int) -> Step:
    """Rounds in rounds that call nothing."""
    step: Step = ValueStep(name="x", value=const(1))
    for level in range(5):
        step = RepeatStep(name=f"r{level}", times=times, start={"x": const(1)}, steps=(step,), again={})
    return step


HOSTILE: dict[str, tuple[Program, str]] = {
    "itself": (circle(1), "runs something that runs itself"),
    "a circle": (circle(3), "runs something that runs itself"),
    "too deep": (deep(60), "nests deeper than 50 levels"),
    "calls": (
        program(each("out", MAX_CALLS + 1, ask("a", const("x")), value=var("a"))),
        "10,001 model calls, and 10,000 are the most",
    ),
    "steps": (
        program(idle(1_000), ask("out", var("question"))),
        "10^15 and more steps, and 100,000 are the most",
    ),
    "items": (program(each("x", 10**9, value=const(1)), ask("out", var("question"))), "steps"),
    "items in items": (
        program(
            each("x", 9_000, each("y", 9_000, value=const(1)), value=const(1)), ask("out", var("question"))
        ),
        "81,",
    ),
    "fewer than none": (program(each("out", -1, ask("a", const("x")), value=var("a"))), "most: must lie in"),
    "no such graph": (
        program(RunStep(name="out", runs="nobody", arguments={})),
        "there is no module or program `nobody`",
    ),
    "a state that is none": (
        program(
            RepeatStep(name="x", times=1, start={"a": const(1)}, again={"b": const(1)}),
            ask("out", var("question")),
        ),
        "`b` is no part of the state",
    ),
    "a function inside a branch of a graph": (
        circle(1).model_copy(
            update={
                "graphs": {
                    "g0": Graph(
                        name="g0",
                        inputs=(),
                        outputs=fields(answer=STR),
                        steps=(each("x", 1, ValueStep(name="y", value=call("system")), value=const(1)),),
                        returns={},
                    )
                }
            }
        ),
        "this version of dspec has no function `system`",
    ),
    "a key that is there twice": (
        program(ask("out", var("question")), graphs={"ask": circle(1).graphs["g0"]}),
        "`ask` is there twice",
    ),
}


@pytest.mark.parametrize("name", sorted(HOSTILE))
def test_a_program_that_asks_for_too_much_is_refused(name: str) -> None:
    made, fault = HOSTILE[name]
    found = list(faults(made))
    assert any(fault in one for one in found), found


def test_a_sound_program_has_no_fault() -> None:
    step = each("all", 3, ask("one", call("str", var("i"))), value=var("one", "answer"))
    assert list(faults(program(step, returns=joined("all")))) == []
    assert list(faults(deep(40))) == []


@pytest.mark.parametrize("levels", [100, 5_000])
def test_an_artifact_that_nests_without_end_is_an_error_and_no_crash(tmp_path: Path, levels: int) -> None:
    inner: dict[str, Any] = {"kind": "value", "name": "x", "value": {"op": "constant", "value": 1}}
    steps = json.dumps(inner)
    head = (
        '{"kind": "each", "name": "x", "variable": "i", "most": 1, "iterable": {"op": "list", "items": []}, '
        '"body": {"value": {"op": "constant", "value": 1}, "steps": ['
    )
    steps = head * levels + steps + "]}}" * levels
    plain = program(ask("out", var("question"))).model_dump(mode="json")
    plain["steps"] = ["@"]
    text = json.dumps({"format": 1, "program": plain}).replace('"@"', steps)
    path = tmp_path / "deep.dspc.json"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(DspecError):
        read_artifact(path)


@pytest.mark.parametrize("levels", [48])
async def test_what_nests_as_deep_as_is_allowed_runs(levels: int) -> None:
    graphs = {
        f"g{i}": Graph(
            name=f"g{i}",
            inputs=fields(question=STR),
            outputs=fields(answer=STR),
            steps=(
                RunStep(name="a", runs=f"g{i + 1}", arguments={"question": var("question")})
                if i + 1 < levels
                else ask("a", var("question")),
            ),
            returns={"answer": var("a", "answer")},
        )
        for i in range(levels)
    }
    made = program(RunStep(name="out", runs="g0", arguments={"question": var("question")}), graphs=graphs)
    for one in (made, deep(levels)):
        assert list(faults(one)) == []
        assert (await run(one, INPUTS, Told(echo))).outputs == {"answer": "<q>"}
