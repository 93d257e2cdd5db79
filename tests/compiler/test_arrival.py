"""However an evaluation, a compile or an eval ends, it ends in one way: answers may arrive in any order.

Each is run under four random latencies, with `DSPEC_DEEP=1` under twenty, on a clock that only counts waiting.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Coroutine, Mapping
from pathlib import Path
from typing import Any

import pytest
from agents import SEARCH as SEARCH_TOOL
from agents import several
from building import DEMOS, SEARCH, build, prepared, project
from judging import POLITE, judged_by, metric
from programs import fields
from scripted import (
    FAKE,
    Asked,
    Reply,
    Script,
    classifier,
    exact,
    fork,
    jitter,
    learner,
    member,
    oracle,
    pipeline,
    rows,
    scripted,
)
from virtual import elapsed

from dspec.compiler import ir
from dspec.compiler.compile.built import Built
from dspec.compiler.compile.evals import Walls, evaluate_each
from dspec.compiler.data import Example
from dspec.compiler.evaluate.budget import Wall
from dspec.compiler.evaluate.evaluation import Evaluator
from dspec.compiler.evaluate.events import CandidateScored, Event, StepFinished, StepStarted
from dspec.compiler.evaluate.store import Store
from dspec.compiler.evaluate.tasks import together
from dspec.compiler.optimizers.bootstrap_few_shot import Accepted, in_order
from dspec.runtime.artifact.artifact import artifact_text
from dspec.runtime.errors import (
    BudgetExceeded,
    ConfigurationError,
    DspecError,
    Refused,
    Stopped,
    Unauthorized,
)
from dspec.runtime.models.engine import Engine
from dspec.runtime.models.protocol import Answer, Request
from dspec.runtime.schema.ensemble import Ensemble, Majority, Runnable
from dspec.runtime.schema.expressions import BinaryOp, Constant, If
from dspec.runtime.schema.program import LM, Program, Signature
from dspec.runtime.schema.types import STR

SEEDS = range(20 if os.environ.get("DSPEC_DEEP") else 4)

Latency = Callable[[], float]


def outcomes(run: Callable[[Latency], Coroutine[Any, Any, object]]) -> set[object]:
    """What comes of the work, however long each answer takes."""
    return {elapsed(run(jitter(seed, 1.0)))[0] for seed in SEEDS}


def ended(error: DspecError) -> tuple[str, str]:
    return type(error).__name__, error.message


def number(asked: Asked) -> int:
    """The row that the program is asked about, or whose label the judge is shown."""
    return int(asked.question["text"].split()[1])


# Evaluations ---------------------------------------------------------------------------------------


def data(share: int = 0) -> tuple[Example, ...]:
    """Rows of which `NOTED` cannot judge every `share`-th."""
    return tuple(
        Example(
            i,
            {"text": f"row {i} of g{i % 3}"},
            {"label": f"L{i % 3}", "note": "none" if share and i % share == share - 1 else 0},
        )
        for i in range(120)
    )


NOTED = exact().model_copy(
    update={"score": BinaryOp(operator="<", left=member("gold", "note"), right=Constant(value=1))}
)
"""Fails where a row's note is text."""


def broken_on(*numbers: int, by: Callable[[str], Exception] = Refused) -> Reply:
    """No answer on these rows: the failure says which row it was."""

    def reply(asked: Asked) -> Mapping[str, object] | Exception:
        at = number(asked)
        return by(f"nothing on row {at}") if at in numbers else oracle(asked)

    return reply


def reads(asked: Asked) -> Mapping[str, object] | str:
    """A judge that cannot be read on the rows of one group."""
    shown = asked.question or asked.demos[0][0]
    return {"reasoning": "", "score": "rather good" if shown["reply"] == "L1" else 1.0}


def voting() -> Ensemble:
    base = classifier()
    return Ensemble(
        name="vote",
        inputs=base.inputs,
        outputs=base.outputs,
        members=tuple(
            base.with_predictor("ask", instruction=text) for text in ("Label it.", "Say it.", "Go.")
        ),
        reduce=Majority(field="label"),
    )


JUDGED = metric(f"= {POLITE}")
PLAIN = exact()
LONELY = [i for i in range(120) if i % 9]
"""Eight rows of nine: never fifty in a row, though more than fifty of them may come before the first answer."""

EVALUATIONS: dict[str, tuple[Reply, ir.Metric | int, dict[str, Any]]] = {
    # A number in a metric's place: on every so many-th row the metric fails.
    "success": (learner, PLAIN, {}),
    "a few metric errors": (oracle, 15, {"on_error": "score_zero"}),
    "metric errors": (oracle, 7, {"on_error": "score_zero"}),
    "the first metric error": (oracle, 7, {}),
    "a judge that cannot be read": (judged_by(reads, oracle), JUDGED, {"on_error": "score_zero"}),
    "the first judge that cannot be read": (judged_by(reads, oracle), JUDGED, {}),
    "a provider's failures": (broken_on(7, 11, 40, 41, 43), PLAIN, {}),
    "a judge's provider's failures": (
        judged_by(lambda asked: Refused(f"no word on {asked.question['reply']}"), broken_on(2)),
        JUDGED,
        {},
    ),
    "metric errors, then a failure": (broken_on(90), 7, {"max_errors": 10}),
    "a failure, then metric errors": (broken_on(30), 7, {"max_errors": 10}),
    "a missing key": (broken_on(9, 33, by=ConfigurationError), PLAIN, {}),
    "a key that is refused": (lambda _: Unauthorized("no credit left"), PLAIN, {"on_error": "score_zero"}),
    "a stop": (broken_on(12, 50, by=Stopped), PLAIN, {}),
    "a stop, then a failure": (
        lambda asked: broken_on(21, 22)(asked) if number(asked) != 20 else Stopped("stop"),
        PLAIN,
        {},
    ),
    "the wall": (oracle, PLAIN, {"budget": 37}),
    "the wall, with metric errors before": (oracle, 2, {"budget": 37, "max_errors": 10}),
    "the wall, with metric errors behind": (oracle, 5, {"budget": 37, "max_errors": 10}),
    "rows that score zero": (broken_on(4, 5, 60), PLAIN, {"on_error": "score_zero"}),
    "many rows that score zero": (broken_on(*LONELY), PLAIN, {"on_error": "score_zero"}),
    "an endpoint that dies": (broken_on(*range(40, 120)), PLAIN, {"on_error": "score_zero"}),
    "a judge's endpoint that is dead": (
        judged_by(
            lambda asked: Refused(f"nothing on {asked.question['response']}"),
            lambda asked: {"label": f"L {number(asked)}"},
        ),
        metric("= semantic_f1(gold.label, pred.label, strict)"),
        {"on_error": "score_zero"},
    ),
}


def evaluated(
    monkeypatch: pytest.MonkeyPatch, name: str, program: Runnable, *, threads: int = 16
) -> Callable[[Latency], Coroutine[Any, Any, object]]:
    reply, measured, settings = EVALUATIONS[name]
    made, given = (NOTED, data(measured)) if isinstance(measured, int) else (measured, data())

    async def run(latency: Latency) -> object:
        chosen = dict(settings)
        limit = chosen.pop("budget", None)
        script = Script(reply, latency)
        with scripted(monkeypatch, script, threads=threads) as engine:
            wall = None if limit is None else Wall(ir.Budget(calls=limit))
            evaluator = Evaluator(engine, Store(), made, wall=wall, **chosen)
            try:
                found: object = repr(await evaluator.evaluate(program, given))
            except DspecError as error:
                found = ended(error)
        return found, repr(evaluator.spent)

    return run


@pytest.mark.parametrize("name", list(EVALUATIONS))
def test_an_evaluation_has_one_end(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    assert len(outcomes(evaluated(monkeypatch, name, classifier()))) == 1


@pytest.mark.parametrize(
    "name",
    [
        "success",
        "metric errors",
        "a provider's failures",
        "a stop, then a failure",
        "the wall",
        "rows that score zero",
        "many rows that score zero",
    ],
)
def test_an_ensembles_evaluation_too(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    assert len(outcomes(evaluated(monkeypatch, name, voting()))) == 1


NO_KEY = LM(name="nokey", model="hosted_vllm/none", api_base="http://127.0.0.1:9/v1")
"""A model at an endpoint of its own, which refuses every call."""
SEVERAL: dict[str, tuple[tuple[str, ...], Reply]] = {
    # The predictors that ask the model whose key is refused, and what the other model says.
    "success": ((), oracle),
    "no key for the first call": (("summarize",), oracle),
    "no key for the second call": (("decide",), oracle),
    "no key for either": (("summarize", "decide"), oracle),
    "failures of the other call": (("decide",), broken_on(0, 1, 5)),
    "failures of the other call on later rows": (("decide",), broken_on(7, 9)),
    "failures of the second call and no key for the first": (("summarize",), broken_on(0, 2)),
    "failures of both calls": ((), broken_on(3, 11, 40)),
    "a key that is missing on some rows": ((), broken_on(9, 33, by=ConfigurationError)),
}


@pytest.mark.parametrize("program", [fork(), pipeline()], ids=["at once", "in a row"])
@pytest.mark.parametrize("on_error", ["stop", "score_zero"])
@pytest.mark.parametrize("name", list(SEVERAL))
def test_an_evaluation_of_a_program_of_several_calls_has_one_end(
    monkeypatch: pytest.MonkeyPatch, name: str, on_error: ir.OnError, program: Program
) -> None:
    """Of calls at the same time, the one that the program names first says what a run ends with."""
    refused, other = SEVERAL[name]
    predictors = {
        address: one.model_copy(update={"lm": "nokey"}) if address in refused else one
        for address, one in program.predictors.items()
    }
    made = program.model_copy(update={"predictors": predictors, "lms": {**program.lms, "nokey": NO_KEY}})

    def reply(asked: Asked) -> Mapping[str, object] | str | Exception:
        if asked.request.lm.name == "nokey":
            return Unauthorized("no credit left")
        said = other(asked)
        return {**said, "gist": asked.question["text"]} if isinstance(said, Mapping) else said

    async def run(latency: Latency) -> object:
        with scripted(monkeypatch, Script(reply, latency), threads=16) as engine:
            evaluator = Evaluator(engine, Store(), PLAIN, on_error=on_error)
            try:
                found: object = repr(await evaluator.evaluate(made, data()))
            except DspecError as error:
                found = ended(error)
        return found, repr(evaluator.spent)

    assert len(outcomes(run)) == 1


AGENT = several(
    "ReAct",
    signature=Signature(
        name="Label", instruction="Label it.", inputs=fields(text=STR), outputs=fields(label=STR)
    ),
    tools=[SEARCH_TOOL],
    max_iters=20,
    lm=FAKE,
)


@pytest.mark.parametrize(
    ("program", "unreadable", "calls"),
    [
        (fork(), "gist", 2),
        (fork(), "label", 3),
        (pipeline(), "gist", 2),
        (pipeline(), "label", 3),
        (AGENT, "label", 3),
    ],
    ids=[
        "first of two at once",
        "second of two at once",
        "first",
        "second",
        "an agent's answer",
    ],
)
def test_a_run_that_fails_counts_what_it_asked_and_nothing_that_time_decides(
    monkeypatch: pytest.MonkeyPatch, program: Program, unreadable: str, calls: int
) -> None:
    """What cannot be read is asked for twice. Whoever stands after it, and is asked at the same time, is not counted."""

    def reply(asked: Asked) -> Mapping[str, object] | str:
        if unreadable in asked.wanted:
            return "[[ ## other ## ]]\nnothing of the kind"
        return {
            "gist": "g",
            "label": "L0",
            "reasoning": "r",
            "next_thought": "t",
            "next_tool_name": "finish",
            "next_tool_args": {},
        }

    async def run(latency: Latency) -> object:
        with scripted(monkeypatch, Script(reply, latency), threads=16) as engine:
            evaluator = Evaluator(engine, Store(), PLAIN)
            await evaluator.evaluate(program, data()[:6])
        assert evaluator.spent.calls == 6 * calls
        assert evaluator.spent.total.input_tokens > 0
        return repr(evaluator.spent)

    assert len(outcomes(run)) == 1


@pytest.mark.parametrize("seconds", [0.0, 0.4, 1.5, 4.0])
def test_a_stop_is_all_that_is_told_of_an_evaluation_that_somebody_stops(
    monkeypatch: pytest.MonkeyPatch, seconds: float
) -> None:
    """Which rows were answered by then is a matter of time."""

    async def run(latency: Latency) -> object:
        with scripted(monkeypatch, Script(oracle, latency), threads=8) as engine:
            evaluator = Evaluator(engine, Store(), PLAIN)
            stopping = asyncio.create_task(stop(engine, seconds))
            try:
                return repr(await evaluator.evaluate(classifier(), data()))
            except DspecError as error:
                return type(error)
            finally:
                await stopping

    assert outcomes(run) == {Stopped}


async def stop(engine: Engine, seconds: float) -> None:
    """What the first Ctrl-C does."""
    await asyncio.sleep(seconds)
    await engine.drain()


class Hasty(Script):
    """Refuses at once, and takes its time to answer."""

    async def complete(self, request: Request) -> Answer:
        await asyncio.sleep(0.0 if int(request.messages[-1].content.split("row ")[1].split()[0]) % 9 else 1.0)
        return await super().complete(request)


def test_an_endpoint_that_refuses_faster_than_it_answers_is_not_dead(monkeypatch: pytest.MonkeyPatch) -> None:
    async def run() -> object:
        script = Hasty(broken_on(*(i for i in range(120) if i % 9)))
        with scripted(monkeypatch, script, threads=200) as engine:
            evaluator = Evaluator(engine, Store(), PLAIN, width=200, on_error="score_zero")
            return (await evaluator.evaluate(classifier(), data())).unanswered

    assert elapsed(run()) == (106, 1.0)


# Work at the same time -----------------------------------------------------------------------------


def test_of_several_failures_the_first_in_order_is_raised_and_results_are_told_in_order() -> None:
    async def run(latency: Latency) -> object:
        async def job(place: int) -> int:
            await asyncio.sleep(latency())
            if place in failing:
                raise failing[place](f"job {place}")
            return place

        told: list[int] = []
        try:
            found: object = [
                one if isinstance(one, int) else ended(one)
                for one in await together([job(place) for place in range(9)], told.append)
            ]
        except DspecError as error:
            found = ended(error)
        return repr(found), tuple(told)

    failing: dict[int, type[DspecError]] = {}
    assert outcomes(run) == {(repr(list(range(9))), tuple(range(9)))}
    failing = {3: Refused, 5: ConfigurationError, 6: BudgetExceeded}
    assert outcomes(run) == {(repr(("Refused", "job 3")), (0, 1, 2))}
    failing = {2: BudgetExceeded, 5: Refused, 7: Stopped}
    halted = ("BudgetExceeded", "job 2")
    assert outcomes(run) == {(repr([0, 1, halted, 3, 4, halted, halted, halted, halted]), (0, 1, 3, 4))}


@pytest.mark.parametrize("ahead", [False, True])
@pytest.mark.parametrize("failing", [(), (1,), (9, 12), (30, 31, 32), (39,)])
def test_of_attempts_that_fail_only_those_count_that_one_by_one_would_have_been_made(
    ahead: bool, failing: tuple[int, ...]
) -> None:
    passing = (0, 8, 17, 28, 29)

    async def run(latency: Latency) -> object:
        told: list[int] = []

        async def attempt(example: Example) -> Accepted | None:
            await asyncio.sleep(latency())
            if example.index in failing:
                raise Refused(f"row {example.index}")
            return Accepted(example, {}) if example.index in passing else None

        try:
            accepted, halt = await in_order(
                rows(40), len(passing), attempt, tried=lambda row: told.append(row.index), ahead=ahead
            )
        except Refused as error:
            return error.message, tuple(told)
        assert halt is None
        return tuple(one.example.index for one in accepted), tuple(told)

    first = min(failing, default=40)
    end = (passing, tuple(range(30))) if first >= 30 else (f"row {first}", tuple(range(first)))
    assert outcomes(run) == {end}


# Compiles ------------------------------------------------------------------------------------------

RACE = SEARCH.model_copy(
    update={"name": "race", "options": {"num_candidate_programs": 4, "max_labeled_demos": 4}}
)
TAUGHT = DEMOS.model_copy(update={"options": {"max_labeled_demos": 4, "max_errors": 2}})
"""A step whose teacher is shown labelled rows, as the program that is scored first is not."""


def picky(*labels: str) -> ir.Metric:
    """A metric that fails on rows with these labels."""
    label = member("gold", "label")
    listed = Constant(value=list(labels))
    broken = BinaryOp(operator="<", left=label, right=Constant(value=1))
    score = If(
        condition=BinaryOp(operator="in", left=label, right=listed),
        consequence=broken,
        alternative=exact().score,
    )
    return exact().model_copy(update={"score": score})


def fails_at(every: int, *, shown: bool | None = None, by: Callable[[str], Exception] = Refused) -> Reply:
    """No answer on every so-many-th row, where demos are shown or not; the failure says what was asked."""

    def reply(asked: Asked) -> Mapping[str, object] | Exception:
        at = number(asked)
        if at % every == 1 and shown in (None, bool(asked.demos)):
            return by(f"nothing on row {at} after {asked.demos}")
        return learner(asked)

    return reply


FORGIVING = {"on_error": "score_zero"}
COMPILES: dict[str, tuple[Reply, ir.Metric, tuple[ir.StepSpec, ...], dict[str, Any]]] = {
    "success": (learner, PLAIN, (TAUGHT, SEARCH), {}),
    "success of a race": (learner, PLAIN, (RACE,), {}),
    "success with a judge": (judged_by(reads, learner), metric(f"= {POLITE}"), (TAUGHT, RACE), {}),
    "metric errors of the baseline": (learner, picky("L1", "L2", "L3"), (TAUGHT, RACE), {}),
    "metric errors of a step": (learner, picky("L1"), (TAUGHT, RACE), {}),
    "metric errors of a search": (learner, picky("L1", "L4"), (RACE,), {}),
    "a judge that cannot be read": (
        judged_by(lambda _: {"reasoning": "", "score": "so so"}, learner),
        metric("= semantic_f1(gold.text, pred.label, strict)"),
        (TAUGHT, RACE),
        {},
    ),
    "failures of the baseline and the step": (fails_at(4), PLAIN, (TAUGHT, RACE), {}),
    "failures of a step": (fails_at(4, shown=True), PLAIN, (TAUGHT, RACE), {}),
    "failures of a race": (fails_at(7, shown=True), PLAIN, (RACE,), {}),
    "failures of a search": (fails_at(7, shown=True), PLAIN, (SEARCH,), {}),
    "rows that score zero": (fails_at(4), PLAIN, (TAUGHT, RACE), FORGIVING),
    "a key that is refused": (lambda _: Unauthorized("no credit left"), PLAIN, (TAUGHT, RACE), FORGIVING),
    "a key that is refused to a judge": (
        judged_by(lambda _: Unauthorized("no credit left"), learner),
        metric("= semantic_f1(gold.text, pred.label, strict)"),
        (TAUGHT, RACE),
        FORGIVING,
    ),
    "an endpoint that is dead": (
        lambda asked: Refused(f"nothing on row {number(asked)}"),
        PLAIN,
        (TAUGHT, RACE),
        {**FORGIVING, "part": 60},
    ),
    "the wall in the baseline": (learner, PLAIN, (TAUGHT, RACE), {"budget": ir.Budget(calls=13)}),
    "the wall at its end": (learner, PLAIN, (TAUGHT, RACE), {"budget": ir.Budget(calls=20)}),
    "a stop in the baseline": (fails_at(9, by=Stopped), PLAIN, (TAUGHT, RACE), {}),
}


def compiling(
    monkeypatch: pytest.MonkeyPatch,
    folder: Path,
    reply: Reply,
    measured: ir.Metric,
    steps: tuple[ir.StepSpec, ...],
    settings: dict[str, Any],
    stopped_after: float | None = None,
) -> Callable[[Latency], Coroutine[Any, Any, tuple[Built | None, object]]]:
    """The compile, and all that is told of it as a result."""
    made = project(folder, *steps, **settings).model_copy(update={"metrics": {"right": measured}})

    async def run(latency: Latency) -> tuple[Built | None, object]:
        events: list[Event] = []
        built: Built | None = None
        with scripted(monkeypatch, Script(reply, latency), threads=8) as engine:
            if stopped_after is not None:
                stopping = asyncio.create_task(stop(engine, stopped_after))
            try:
                built = await build(made, "tuned", folder, engine=engine, store=Store(), report=events.append)
                found: object = whole(built)
            except DspecError as error:
                found = ended(error)
            if stopped_after is not None:
                await stopping
        told = [event for event in events if isinstance(event, StepStarted | StepFinished | CandidateScored)]
        return built, (found, repr(told))

    return run


def whole(built: Built) -> object:
    steps = [(step.name, step.spent, step.result.notes, step.result.candidates) for step in built.steps]
    scores = [None if one is None else one.scores for one in (built.baseline, built.final)]
    return built.status, artifact_text(built.artifact), built.notes, repr((built.spent, steps, scores))


@pytest.mark.parametrize("name", list(COMPILES))
def test_a_compile_has_one_end(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str) -> None:
    run = compiling(monkeypatch, tmp_path, *COMPILES[name])

    async def told(latency: Latency) -> object:
        return (await run(latency))[1]

    assert len(outcomes(told)) == 1


@pytest.mark.parametrize("calls", [30, 60, 90])
def test_a_compile_at_the_wall_gives_a_program_that_was_scored(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, calls: int
) -> None:
    """How far each of several at work comes is a matter of time; what is said of the result is not."""
    run = compiling(monkeypatch, tmp_path, learner, PLAIN, (TAUGHT, RACE), {"budget": ir.Budget(calls=calls)})
    assert outcomes(lambda latency: scored(run, latency)) == {("budget", 2, True)}


@pytest.mark.parametrize("seconds", [0.7, 2.5, 6.0])
def test_a_compile_that_somebody_stops_gives_a_program_that_was_scored_if_there_is_one(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, seconds: float
) -> None:
    run = compiling(monkeypatch, tmp_path, learner, PLAIN, (TAUGHT, RACE), {}, seconds)
    assert outcomes(lambda latency: scored(run, latency)) == {("stopped", 2, True)}


async def scored(
    run: Callable[[Latency], Coroutine[Any, Any, tuple[Built | None, object]]], latency: Latency
) -> object:
    """The status, the number of notes, and whether the program and its score are those of one that was scored whole."""
    built, _ = await run(latency)
    assert built is not None
    known = [] if built.baseline is None else [(classifier(), round(built.baseline.score, 6))]
    known += [(one.program, round(one.score, 6)) for step in built.steps for one in step.result.candidates]
    scores = [score.score for score in built.artifact.scores.values()]
    if not known:
        return built.status, len(built.notes), built.artifact.program == classifier() and not scores
    return (
        built.status,
        len(built.notes),
        any([score] == scores and built.artifact.program == p for p, score in known),
    )


# Evals ---------------------------------------------------------------------------------------------

EVALS: dict[str, tuple[Reply, ir.Metric, dict[str, Any]]] = {
    "success": (learner, PLAIN, {}),
    "metric errors": (learner, picky("L1", "L2", "L3"), {}),
    "a judge that cannot be read": (
        judged_by(lambda _: {"reasoning": "", "score": "so so"}, learner),
        metric("= semantic_f1(gold.text, pred.label, strict)"),
        {},
    ),
    "a provider's failures": (fails_at(4), PLAIN, {}),
    "rows that score zero": (fails_at(4), PLAIN, FORGIVING),
    "a key that is refused": (lambda _: Unauthorized("no credit left"), PLAIN, FORGIVING),
    "the wall": (learner, PLAIN, {"budget": ir.Budget(calls=11)}),
    "the wall in the second": (learner, PLAIN, {"budget": ir.Budget(calls=31)}),
    "a stop": (fails_at(4, by=Stopped), PLAIN, {}),
}


@pytest.mark.parametrize("name", list(EVALS))
def test_an_eval_has_one_end(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str) -> None:
    reply, measured, settings = EVALS[name]
    budget = settings.get("budget", ir.Budget())
    made = project(tmp_path, budget=budget)
    taught = classifier("taught").with_predictor("ask", instruction="Say it.")
    shared = {"metric": "right", "on_error": settings.get("on_error", "stop")}
    evals = {
        name: ir.Eval(
            name=name,
            program="tuned",
            baseline=baseline,
            data=ir.RowsRef(dataset="tickets", part=part),
            **shared,
        )
        for name, baseline, part in (("one", None, "val"), ("two", "router", "test"))
    }
    made = made.model_copy(update={"metrics": {"right": measured}, "evals": evals})

    async def run(latency: Latency) -> object:
        with scripted(monkeypatch, Script(reply, latency), threads=8) as engine:
            try:
                results, halt = await evaluate_each(
                    prepared(made, tmp_path),
                    list(evals),
                    walls=Walls(made),
                    engine=engine,
                    store=Store(),
                    compiled={"tuned": taught},
                )
            except DspecError as error:
                return ended(error)
        return repr(results), None if halt is None else ended(halt)

    assert len(outcomes(run)) == 1
