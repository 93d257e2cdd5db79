"""Running programs of several steps: what runs at once, what waits, what is done again."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Mapping

import pytest
from programs import Told, binary, call, chat, const, fields, must, question, should, var

from dspec.runtime.errors import CheckFailed, EvaluationError, ParseError, Unavailable
from dspec.runtime.models.protocol import Request
from dspec.runtime.running.execute import run
from dspec.runtime.running.order import plan
from dspec.runtime.schema.expressions import Expression
from dspec.runtime.schema.program import LM, CallStep, Check, CheckStep, Program, Step, ValueStep
from dspec.runtime.schema.types import STR, Row

INPUTS: Row = {"question": "q"}


def ask(name: str, of: Expression) -> CallStep:
    return CallStep(name=name, predictor="ask", arguments={"question": of})


def let(name: str, value: Expression) -> ValueStep:
    return ValueStep(name=name, value=value)


def check(check: Check, blames: str | None) -> CheckStep:
    return CheckStep(check=check, blames=blames)


def program(*steps: Step, returns: Mapping[str, Expression] | None = None, max_retries: int = 2) -> Program:
    gives = dict(returns or {"answer": var("out", "answer")})
    return Program(
        name="chain",
        inputs=fields(question=STR),
        outputs=fields(**dict.fromkeys(gives, STR)),
        steps=steps,
        returns=gives,
        predictors={"ask": question(max_retries=max_retries)},
        lms={"mini": LM(name="mini", model="embedded/icl")},
    )


def asked(request: Request) -> str:
    """The question of a request, with how often it was objected to."""
    users = [message.content for message in request.messages if message.role == "user"]
    text = users[0].removeprefix("[[ ## question ## ]]\n").partition("\n")[0]
    return text + "!" * (len(users) - 1)


async def echo(request: Request) -> str:
    return chat(answer=f"<{asked(request)}>")


async def test_independent_steps_run_at_the_same_time() -> None:
    both = asyncio.Barrier(2)

    async def meet(request: Request) -> str:
        if asked(request) in ("a", "b"):
            async with asyncio.timeout(60):
                await both.wait()
        return await echo(request)

    outcome = await run(
        program(
            ask("first", const("a")),
            ask("second", const("b")),
            ask("out", binary(var("first", "answer"), "+", var("second", "answer"))),
        ),
        INPUTS,
        Told(meet),
    )
    assert outcome.outputs == {"answer": "<<a><b>>"}
    assert [step.step for step in outcome.trace] == ["first", "second", "out"]


async def test_the_trace_does_not_depend_on_the_order_of_answers() -> None:
    outcomes: list[object] = []
    for seed in range(8):
        rng = random.Random(seed)

        async def slow(request: Request, rng: random.Random = rng) -> str:
            await asyncio.sleep(rng.random() / 500)
            return await echo(request)

        steps = (
            *(ask(f"s{index}", const(str(index))) for index in range(5)),
            ask("out", var("s3", "answer")),
        )
        outcome = await run(program(*steps), INPUTS, Told(slow))
        outcomes.append((outcome.outputs, outcome.trace))
    assert all(outcome == outcomes[0] for outcome in outcomes)


async def test_when_several_steps_fail_the_error_is_the_first_steps() -> None:
    async def fail(request: Request) -> str:
        if asked(request) == "slow":
            await asyncio.sleep(0.02)
            raise Unavailable("the first step's")
        raise Unavailable("the second step's")

    steps = (ask("first", const("slow")), ask("out", const("fast")))
    with pytest.raises(Unavailable, match="the first step's"):
        await run(program(*steps), INPUTS, Told(fail))


async def test_nothing_goes_on_after_a_failure_or_a_cancellation() -> None:
    running = 0

    async def forever(request: Request) -> str:
        nonlocal running
        if asked(request).startswith("bad"):
            return ""
        running += 1
        try:
            await asyncio.sleep(60)
        finally:
            running -= 1
        return ""

    steps = (ask("first", const("bad")), ask("out", const("slow")))
    before = asyncio.all_tasks()
    with pytest.raises(ParseError):
        await run(program(*steps), INPUTS, Told(forever))
    assert running == 0
    task = asyncio.create_task(run(program(*reversed(steps)), INPUTS, Told(forever)))
    while not running:
        await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert running == 0
    assert asyncio.all_tasks() == before


async def test_value_steps_need_no_call() -> None:
    model = Told(echo)
    outcome = await run(
        program(let("both", binary(var("question"), "+", const("s"))), ask("out", var("both"))), INPUTS, model
    )
    assert outcome.outputs == {"answer": "<qs>"}
    assert outcome.calls == 1


async def test_an_argument_that_does_not_fit_names_the_step() -> None:
    with pytest.raises(EvaluationError, match="out: `question`: expected text, got 1"):
        await run(program(ask("out", const(1))), INPUTS, Told([]))


ONCE = binary(call("contains", var("out", "answer"), const("!")), "==", const(True))


async def test_a_check_between_steps_sends_its_call_back() -> None:
    model = Told(echo)
    outcome = await run(
        program(
            ask("out", var("question")),
            let("shown", call("upper", var("out", "answer"))),
            check(must(ONCE, "say it with force"), "out"),
            ask("last", var("shown")),
            returns={"answer": var("last", "answer")},
        ),
        INPUTS,
        model,
    )
    assert outcome.outputs == {"answer": "<<Q!>>"}
    assert [asked(request) for request in model.requests] == ["q", "q!", "<Q!>"]
    assert outcome.trace[0].attempts == 2
    assert outcome.trace[0].notes == ("asked again: say it with force",)


async def test_calls_between_the_blamed_one_and_the_check_are_made_again() -> None:
    checked = binary(call("contains", var("mid", "answer"), const("!")), "==", const(True))
    model = Told(echo)
    outcome = await run(
        program(
            ask("out", var("question")),
            ask("apart", const("x")),
            ask("mid", var("out", "answer")),
            check(must(checked, "again"), "out"),
            returns={"answer": binary(var("mid", "answer"), "+", var("apart", "answer"))},
        ),
        INPUTS,
        model,
    )
    assert outcome.outputs == {"answer": "<<q!>><x>"}
    assert sorted(asked(request) for request in model.requests) == ["<q!>", "<q>", "q", "q!", "x"]
    assert [step.attempts for step in outcome.trace] == [2, 1, 2]


NEVER = binary(const(1), "==", const(2))


def never_of(name: str) -> Expression:
    return binary(var(name, "answer"), "==", const(""))


async def test_a_check_that_stays_broken() -> None:
    steps = (ask("out", var("question")),)
    model = Told(echo)
    with pytest.raises(CheckFailed, match="chain: never") as caught:
        await run(program(*steps, check(must(never_of("out"), "never"), "out")), INPUTS, model)
    assert len(model.requests) == 3
    assert "<q!!>" in caught.value.raw
    outcome = await run(program(*steps, check(should(never_of("out"), "never"), "out")), INPUTS, Told(echo))
    assert outcome.outputs == {"answer": "<q!!>"}
    assert outcome.trace[0].notes == ("asked again: never", "asked again: never", "suggest not met: never")


async def test_after_a_suggest_gives_up_what_follows_is_up_to_date() -> None:
    outcome = await run(
        program(
            ask("out", var("question")),
            check(should(never_of("out"), "first"), "out"),
            let("shown", var("out", "answer")),
            check(should(never_of("out"), "second"), "out"),
            returns={"answer": var("shown")},
            max_retries=1,
        ),
        INPUTS,
        Told(echo),
    )
    assert outcome.outputs == {"answer": outcome.trace[0].outputs["answer"]} == {"answer": "<q!!>"}


async def test_an_earlier_assert_holds_after_a_later_check_sent_its_call_back() -> None:
    calm = binary(call("len", var("out", "answer")), "<", const(4))
    steps = (
        ask("out", var("question")),
        check(must(calm, "be brief"), "out"),
        check(must(ONCE, "say it with force"), "out"),
    )
    with pytest.raises(CheckFailed, match="chain: be brief"):
        await run(program(*steps), INPUTS, Told(echo))


async def test_a_check_without_a_call_to_blame() -> None:
    fine = check(should(NEVER, "odd"), None)
    outcome = await run(program(fine, ask("out", var("question"))), INPUTS, Told(echo))
    assert outcome.notes == ("suggest not met: odd",)
    model = Told([])
    with pytest.raises(CheckFailed, match="chain: odd"):
        await run(program(check(must(NEVER, "odd"), None), ask("out", var("question"))), INPUTS, model)
    assert model.requests == []


def test_the_plan_of_steps() -> None:
    steps: tuple[Step, ...] = (
        ask("a", var("question")),
        ask("b", var("a", "answer")),
        ask("c", var("question")),
        check(must(never_of("b"), ""), "a"),
        let("d", binary(var("b", "answer"), "+", var("c", "answer"))),
        let("e", var("c", "answer")),
    )
    places = plan(steps)
    assert [place.after for place in places] == [(), (0,), (), (0, 1), (1, 2, 3), (2,)]
    assert (places[3].blamed, places[3].redone) == (0, (1,))
