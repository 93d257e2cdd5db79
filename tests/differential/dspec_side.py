"""This project's side: the same cases, compiled with `compat = "dspy"` through an engine and over HTTP."""

from __future__ import annotations

from dataclasses import dataclass

from cases import Case
from msgspec.structs import replace
from programs import module
from scripted import exact, member, pipeline, predictor

from dspec.compiler.data import Example, Rows
from dspec.compiler.evaluate.evaluation import Evaluator
from dspec.compiler.evaluate.store import Store
from dspec.compiler.evaluate.streams import stream
from dspec.compiler.optimizers.base import Context, Nested, Options, StepResult
from dspec.compiler.optimizers.compat.faithful import percent
from dspec.compiler.optimizers.compat.few_shot import labeled
from dspec.compiler.optimizers.compat.table import FAITHFUL
from dspec.compiler.optimizers.table import SPECS, find
from dspec.runtime.artifact.dspy_state import dspy_state
from dspec.runtime.models.engine import Engine
from dspec.runtime.running.execute import run
from dspec.runtime.running.neighbours import nearest, row_text
from dspec.runtime.schema.ensemble import Runnable, each, programs
from dspec.runtime.schema.program import LM, Neighbour, Neighbours, Program
from dspec.runtime.schema.types import JsonValue


@dataclass(frozen=True)
class Compiled:
    result: StepResult
    program: Program
    calls: int

    @property
    def scores(self) -> list[float]:
        return [percent(candidate.scores) for candidate in self.result.candidates]


def student(case: Case, url: str) -> Program:
    """The program of DSPy's side."""
    lm = LM(
        name="fake",
        model=f"openai/{case.model('ours')}",
        api_base=url,
        api_key_env="DIFFERENTIAL_KEY",
        temperature=0.0,
    )
    if case.program == "two":
        return pipeline().model_copy(update={"lms": {"fake": lm}})
    asked = predictor("text", "reasoning label").model_copy(update={"strategy": "ChainOfThought"})
    signature = asked.signature.model_copy(update={"instruction": "Give label."})
    asked = asked.model_copy(update={"signature": signature})
    program = module(asked, lms={"fake": lm})
    call = program.steps[0].model_copy(update={"predictor": "ask"})
    return program.model_copy(
        update={
            "steps": (call,),
            "predictors": {"ask": asked},
            "outputs": asked.signature.outputs[1:],
            "returns": {"label": member("out", "label")},
        }
    )


async def compiled(case: Case, url: str) -> Compiled:
    async with Engine(threads=8, transport="lean") as engine:
        context = _context(case, engine)
        options = Options(SPECS[case.optimizer], case.options)
        result = await FAITHFUL[case.optimizer].run(student(case, url), options, context)
    assert isinstance(result.program, Program)
    return Compiled(result, result.program, engine.tally.calls)


def _context(case: Case, engine: Engine) -> Context:
    train, val = (_rows(rows) for rows in case.rows())
    return Context(
        evaluator=Evaluator(engine, Store(), exact()),
        train=train,
        val=val or train,
        teacher=None,
        rng=lambda name: stream(case.seed, "step", name),
        progress=lambda label, score: None,
        seed=case.seed,
        val_given=bool(val),
        nested={name: _nested(*given) for name, given in case.more.get("nested", {}).items()},
    )


def _nested(name: str, options: dict[str, JsonValue]) -> Nested:
    spec = find(name)
    assert spec is not None
    return Nested(spec.name, spec, Options(spec, options))


def _rows(rows: list[dict[str, str]]) -> Rows:
    return tuple(
        Example(place, {"text": row["text"]}, {"label": row.get("label")}) for place, row in enumerate(rows)
    )


def labelled(case: Case, url: str) -> Program:
    """The student with demos, and with a text that optimizers may not touch; no model is asked."""
    train, _ = case.rows()
    program = labeled(student(case, url), _rows(train), case.options["k"])
    address, predictor = next(iter(program.predictors.items()))
    signature = predictor.signature.model_copy(update={"fixed": ("Say nothing else.",)})
    changed = predictor.model_copy(update={"signature": signature})
    return program.model_copy(update={"predictors": {**program.predictors, address: changed}})


def exported(case: Case, url: str) -> dict[str, JsonValue]:
    return dspy_state(labelled(case, url))


def members(case: Case, url: str) -> list[Program]:
    """Programs that differ in the labels they show."""
    train, _ = (_rows(rows) for rows in case.rows())
    parts = (train[:3], train[3:6], train[6:])
    return [labeled(student(case, url), part, 3, sample=False) for part in parts]


async def elected(case: Case, url: str) -> Runnable:
    """The members as one program."""
    async with Engine() as engine:
        context = replace(_context(case, engine), members=tuple(members(case, url)))
        result = await FAITHFUL["Ensemble"].run(student(case, url), Options(SPECS["Ensemble"], {}), context)
    return result.program


def ranks(case: Case, url: str) -> dict[str, list[float]]:
    """Vectors by the text that DSPy embeds.

    A row of train has a place of its own; a row of val says there how near it comes, so that the dot product
    ranks the rows as the index does.
    """
    train, val = case.rows()
    program = student(case, url)
    texts = [row_text(program, {"text": row["text"]}) for row in train]
    index = Neighbours(
        k=len(texts),
        max_bootstrapped_demos=0,
        max_labeled_demos=0,
        rows=tuple(Neighbour(text=text) for text in texts),
    )
    vectors = {text: [float(place == own) for place in range(len(texts))] for own, text in enumerate(texts)}
    for row in val:
        text = row_text(program, {"text": row["text"]})
        order = nearest(index, text)
        vectors[text] = [float(len(order) - order.index(place)) for place in range(len(order))]
    return vectors


async def answers(program: Runnable, case: Case) -> list[JsonValue]:
    """The labels that a program gives here, on the rows of val, by the model that DSPy asks."""
    _, val = case.rows()
    lm = programs(program)[0].lms["fake"].model_copy(update={"model": f"openai/{case.model('dspy')}"})
    moved = each(program, lambda one: one.with_lms({"fake": lm}))
    async with Engine(threads=8, transport="lean") as engine:
        found = [await run(moved, {"text": row["text"]}, engine) for row in val]
    return [outcome.outputs["label"] for outcome in found]
