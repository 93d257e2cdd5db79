"""This project's side: the same cases, compiled with `compat = "dspy"` through an engine and over HTTP."""

from __future__ import annotations

from dataclasses import dataclass

from cases import Case
from programs import module
from scripted import exact, member, pipeline, predictor

from dspec.compiler.data import Example, Rows
from dspec.compiler.evaluation import Evaluator
from dspec.compiler.optimizers.base import Context, Options, StepResult
from dspec.compiler.optimizers.compat.faithful import percent
from dspec.compiler.optimizers.compat.few_shot import labeled
from dspec.compiler.optimizers.compat.table import FAITHFUL
from dspec.compiler.optimizers.table import SPECS
from dspec.compiler.store import Store
from dspec.compiler.streams import stream
from dspec.runtime.dspy_state import dspy_state
from dspec.runtime.engine import Engine
from dspec.runtime.execute import run
from dspec.runtime.program import LM, Program
from dspec.runtime.types import JsonValue


@dataclass(frozen=True)
class Compiled:
    result: StepResult
    program: Program

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
    train, val = (_rows(rows) for rows in case.rows())
    async with Engine(threads=8, transport="lean") as engine:
        context = Context(
            evaluator=Evaluator(engine, Store(), exact()),
            train=train,
            val=val or train,
            teacher=None,
            rng=lambda name: stream(case.seed, "step", name),
            progress=lambda label, score: None,
            seed=case.seed,
            val_given=bool(val),
        )
        options = Options(SPECS[case.optimizer], case.options)
        result = await FAITHFUL[case.optimizer].run(student(case, url), options, context)
    assert isinstance(result.program, Program)
    return Compiled(result, result.program)


def _rows(rows: list[dict[str, str]]) -> Rows:
    return tuple(
        Example(place, {"text": row["text"]}, {"label": row["label"]}) for place, row in enumerate(rows)
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


async def answers(case: Case, url: str) -> list[JsonValue]:
    """The labels that the exported program gives here, on the rows of val."""
    _, val = case.rows()
    program = labelled(case, url)
    lm = program.lms["fake"].model_copy(update={"model": f"openai/{case.model('dspy')}"})
    async with Engine(threads=8, transport="lean") as engine:
        found = [await run(program.with_lms({"fake": lm}), {"text": row["text"]}, engine) for row in val]
    return [outcome.outputs["label"] for outcome in found]
