"""What every executor must do as `metered` does: evaluations whose outcome is compared, answers and errors included.

A case is given a `Bench`, and returns whatever it found, as plain values. Models are behind a server, which a worker in any process
can reach; so the same cases run on workers of any kind.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from own_functions import function_module
from programs import fields, predictor, var
from scripted import classifier, exact, fork, pipeline, rows
from server import Call, FakeServer
from tools import tool_of, trusting

from dspec.compiler import ir
from dspec.compiler.data import Example
from dspec.compiler.evaluate.budget import Wall
from dspec.compiler.evaluate.evaluation import Evaluator
from dspec.compiler.evaluate.executors.driver import Workers
from dspec.compiler.evaluate.meter import metered
from dspec.compiler.evaluate.store import Store
from dspec.runtime.errors import DspecError
from dspec.runtime.models.engine import Engine
from dspec.runtime.models.ledger import Ledger
from dspec.runtime.models.limits import Backoff
from dspec.runtime.schema.ensemble import Ensemble, Majority, Runnable
from dspec.runtime.schema.program import LM, CallStep, Demo, Neighbour, Neighbours, Program, ToolStep
from dspec.runtime.schema.types import STR, Row

BACKOFF = Backoff(base=0.001, cap=0.01)
FUNCTION = """
async def twice(question, call):
    first = await call("ask", question=question)
    second = await call("ask", question=first["answer"])
    return {"answer": f"{first['answer']} and {second['answer']}"}

def find(text):
    import os, time
    number = int(text.split()[1])
    print("searching", number)
    if number % 7 == 1:
        raise LookupError(f"nothing like {text}")
    if number % 7 == 2:
        return number
    if number % 7 == 3:
        return "x" * 500
    if number == 4:
        os._exit(3)
    if number == 5:
        time.sleep(60)
    return f"found {text}" + chr(0xDCE9)
"""


def said(call: Call) -> str:
    """An answer that follows from the whole request: now and then one that cannot be read, a half pair of surrogates, a number."""
    draw = int(call.digest, 16)
    if draw % 11 == 0:
        return "no such thing"
    label = "L\u00e4ngsschnitt " if draw % 7 == 0 else "L"
    return "\n\n".join(f"[[ ## {name} ## ]]\n{label}{draw % 3}" for name in ("label", "gist", "answer"))


@dataclass
class Bench:
    """A model's server, an engine on a ledger, and where runs are made."""

    server: FakeServer
    folder: Path
    workers: Workers | None
    ledger: Ledger
    made: int = 0
    engines: list[Engine] = field(default_factory=list[Engine])

    def lm(self, **settings: Any) -> LM:
        return LM(
            name="fake",
            model="openai/fake",
            api_base=self.server.url,
            price_input=1.0,
            price_output=2.0,
            **settings,
        )

    def on(self, program: Program, **settings: Any) -> Program:
        """The program with all its models at the server."""
        one = self.lm(**settings)
        return program.model_copy(
            update={"lms": {name: one.model_copy(update={"name": name}) for name in program.lms}}
        )

    @asynccontextmanager
    async def evaluator(
        self, metric: ir.Metric | None = None, *, threads: int = 16, **options: Any
    ) -> AsyncIterator[Evaluator]:
        (self.folder / "own.py").write_text(FUNCTION)
        workers = self.workers
        async with (
            trusting(
                self.folder, isolated=True, ledger=self.ledger, elsewhere=workers and workers.moved
            ) as toolbox,
            Engine(
                threads=threads,
                ledger=self.ledger,
                backoff=BACKOFF,
                tools=toolbox,
                senders=workers,
            ) as engine,
        ):
            execute = metered if workers is None else workers.run
            yield Evaluator(engine, Store(), metric or exact(), execute=execute, **options)
            await engine.drain()

    async def found(self, program: Runnable, given: tuple[Example, ...], **options: Any) -> list[str]:
        """How an evaluation ended, and what it counted."""
        async with self.evaluator(**options) as evaluator:
            try:
                ended = repr(await evaluator.evaluate(program, given))
            except DspecError as error:
                ended = f"{type(error).__name__}: {error.message} ({error.help})"
            return [ended.replace(self.server.url, "the server"), repr(evaluator.spent)]


Case = Callable[[Bench], Awaitable[object]]


async def scores(bench: Bench) -> object:
    return await bench.found(bench.on(classifier()), rows(60), on_error="score_zero")


async def several_calls(bench: Bench) -> object:
    return [
        await bench.found(bench.on(made), rows(30), on_error="score_zero") for made in (fork(), pipeline())
    ]


async def failures(bench: Bench) -> object:
    """An endpoint that fails now and then, one that refuses some rows, and one that does not come back."""
    found: list[object] = []
    bench.server.faults = {"500": 0.1, "429": 0.05, "cut": 0.05, "no_usage": 0.1}
    found.append(await bench.found(bench.on(classifier(), retry=9), rows(40)))
    bench.server.faults = lambda call: "says:not that one" if "row 7 " in call.prompt else None
    refused = bench.on(classifier("refused"))
    found.append(await bench.found(refused, rows(20), on_error="stop"))
    found.append(await bench.found(refused, rows(20), on_error="score_zero"))
    bench.server.faults = {"500": 1.0}
    found.append(await bench.found(bench.on(classifier(), retry=1), rows(70, start=900)))
    return found


async def fallbacks(bench: Bench) -> object:
    """What an answer that stays unreadable falls back to, and a model that does not answer."""
    program = bench.on(classifier())
    first = bench.lm(fallback=("other",), on_unreadable="fallback", retry=0)
    lms = {"fake": first, "other": bench.lm(temperature=0.5).model_copy(update={"name": "other"})}
    bench.server.faults = lambda call: (
        "500" if "row 3 " in call.prompt and "temperature" not in call.body else None
    )
    return await bench.found(program.model_copy(update={"lms": lms}), rows(40))


async def votes(bench: Bench) -> object:
    base = bench.on(classifier())
    ensemble = Ensemble(
        name="vote",
        inputs=base.inputs,
        outputs=base.outputs,
        members=tuple(
            base.with_predictor("ask", instruction=text) for text in ("Label it.", "Say it.", "Go.")
        ),
        reduce=Majority(field="label"),
    )
    return await bench.found(ensemble, rows(20), on_error="score_zero")


async def neighbours(bench: Bench) -> object:
    """An index of the very rows that are scored: each is asked about without itself."""
    given = rows(12)
    index = tuple(
        Neighbour(
            text=f"text: {row.inputs['text']}", labelled={"ask": Demo(inputs=row.inputs, outputs=row.labels)}
        )
        for row in given
    )
    near = Neighbours(k=3, max_bootstrapped_demos=0, max_labeled_demos=3, rows=index)
    program = bench.on(classifier()).model_copy(update={"neighbours": near})
    found = await bench.found(program, (*given, *rows(6, start=50)), on_error="score_zero")
    prompts = [call.body["messages"] for call in bench.server.calls]
    assert not any(asked[-1]["content"] in [one["content"] for one in asked[:-1]] for asked in prompts)
    return found


async def functions(bench: Bench) -> object:
    """A module that is a function of the project, which asks a model twice."""
    ask = predictor(fields(question=STR), fields(answer=STR))
    program = bench.on(function_module("twice", uses={"ask": ask}))
    given = tuple(Example(n, {"question": f"row {n}"}, {"label": "L"}) for n in range(6))
    async with bench.evaluator() as evaluator:
        found = [await evaluator.attempt(program, row) for row in given]
        return [repr(found), repr(evaluator.spent)]


async def tools(bench: Bench) -> object:
    """A function of the project that a step calls: what it gives, and each way in which it fails. The one call that takes too
    long is given up soon, beside others that have all the time there is."""
    found: list[object] = []
    for settings in ({}, {"pure": True}, {"retry": 1}):

        def searching(timeout: float, settings: dict[str, Any] = settings) -> Program:
            tool = tool_of(
                inputs=fields(text=STR),
                function="own:find",
                file="own.py",
                timeout=timeout,
                max_result=400,
                **settings,
            )
            program = pipeline()
            _, second = program.steps
            step = ToolStep(name="first", tool="search", arguments={"text": var("text")})
            assert isinstance(second, CallStep)
            second = second.model_copy(update={"arguments": {**second.arguments, "gist": var("first")}})
            return bench.on(program.model_copy(update={"steps": (step, second), "tools": {"search": tool}}))

        given = rows(15)
        slow, others = given[5:6], (*given[:5], *given[6:])
        async with bench.evaluator(on_error="score_zero") as evaluator:
            ended = await asyncio.gather(
                evaluator.evaluate(searching(60.0), others), evaluator.evaluate(searching(0.2), slow)
            )
            assert "0.2 s" in repr(ended[1])
            assert "0.2 s" not in repr(ended[0])
            found.append([repr(ended).replace(bench.server.url, "the server"), repr(evaluator.spent)])
    return found


async def attempts(bench: Bench) -> object:
    program = bench.on(classifier())
    async with bench.evaluator() as evaluator:
        found = await asyncio.gather(
            *(evaluator.attempt(program, row, sample=row.index, temperature=0.9) for row in rows(9)),
            *(evaluator.ask(program, row.inputs, sample=1) for row in rows(3)),
        )
        vectors = await evaluator.embed(bench.lm(), ["a text", "another", "a text"])
        return [
            repr(found),
            json.dumps([one for one in vectors if isinstance(one, list)]),
            repr(evaluator.spent),
        ]


async def wall(bench: Bench) -> object:
    """Which rows are through at the wall is a matter of time: what is spent never passes it, and it is said."""
    walled = Wall(ir.Budget(calls=25))
    found = await bench.found(bench.on(classifier()), rows(60), on_error="score_zero", wall=walled)
    assert len(bench.server.calls) <= 25
    assert walled.spent.calls == 25
    return found[0]


async def remembered(bench: Bench) -> object:
    """What the ledger has is not asked again, wherever the first was made."""
    program = bench.on(classifier())
    first = await bench.found(program, rows(30), on_error="score_zero")
    calls = len(bench.server.calls)
    kept, bench.workers = bench.workers, None
    assert await bench.found(program, rows(30), on_error="score_zero") == first
    bench.workers = kept
    assert await bench.found(program, rows(30), on_error="score_zero") == first
    assert len(bench.server.calls) == calls
    return first


async def limited(bench: Bench) -> object:
    """Calls in flight and calls a minute are counted in one place."""
    program = bench.on(classifier(), max_parallel=3)
    bench.server.latency = 0.05  # long enough for three to meet on a busy machine
    found = await bench.found(program, rows(40), on_error="score_zero")
    assert bench.server.most_in_flight == 3
    return found


async def left(bench: Bench) -> object:
    """Whoever leaves in the middle takes the work along, and the rest is as good as before."""
    program = bench.on(classifier())
    bench.server.latency = 0.05
    async with bench.evaluator() as evaluator:
        leaving = asyncio.create_task(evaluator.evaluate(program, rows(200)))
        while not bench.server.calls:
            await asyncio.sleep(0.005)
        leaving.cancel()
        with suppress(asyncio.CancelledError):
            await leaving
    bench.server.latency = 0.0
    assert len(bench.server.calls) <= 32
    return await bench.found(program, rows(30), on_error="score_zero")


CASES: Mapping[str, Case] = {
    case.__name__: case
    for case in (
        scores,
        several_calls,
        failures,
        fallbacks,
        votes,
        neighbours,
        functions,
        tools,
        attempts,
        wall,
        remembered,
        limited,
        left,
    )
}


async def outcome(case: Case, folder: Path, workers: Workers | None) -> object:
    folder.mkdir(parents=True, exist_ok=True)
    with Ledger(folder / "ledger.sqlite") as ledger:
        ledger.begin("conformance")
        async with FakeServer(said) as server:
            return await case(Bench(server, folder, workers, ledger))


__all__ = ["CASES", "Bench", "Row", "outcome"]
