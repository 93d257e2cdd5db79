"""Modules of several calls, as the check makes them."""

from __future__ import annotations

from collections.abc import Sequence

from programs import fields, var

from dspec.runtime.running.strategies.base import ModuleParts
from dspec.runtime.running.strategies.table import STRATEGIES
from dspec.runtime.schema.program import (
    LM,
    FieldSpec,
    ModuleSpec,
    Predictor,
    Program,
    Reward,
    RunStep,
    Signature,
    Tool,
)
from dspec.runtime.schema.types import INT, STR, JsonValue, ListOf

MINI = LM(name="mini", model="embedded/icl")
QA = Signature(
    name="Ask", instruction="Answer the question.", inputs=fields(question=STR), outputs=fields(answer=STR)
)
SEARCH = Tool(
    name="search",
    description="Passages that may answer the query.",
    inputs=(
        FieldSpec(name="query", type=STR, description="what to look for"),
        FieldSpec(name="k", type=INT, has_default=True, default=3),
    ),
    output=ListOf(item=STR),
    source="python",
)


def several(
    strategy: str,
    *,
    signature: Signature = QA,
    tools: Sequence[Tool] = (),
    more: Program | None = None,
    runs: str | None = None,
    reward: Reward | None = None,
    lm: LM = MINI,
    **options: JsonValue,
) -> Program:
    """A module named `m` of a strategy of several calls. `more` has what it calls besides its own predictors."""
    record = STRATEGIES[strategy]
    given = {one.name: one.default for one in record.options if one.default is not None} | options
    keys = (*(tool.name for tool in tools), *(more.predictors if more is not None and runs is None else ()))
    parts = ModuleParts("m", signature, given, keys)
    predictors: dict[str, Predictor] = {}
    for role, one in record.roles.items():
        asked = one.signature(parts)
        outputs = (*STRATEGIES[one.strategy].adds, *asked.outputs)
        asked = asked.model_copy(update={"outputs": outputs})
        predictors[f"m.{role}"] = Predictor(strategy=one.strategy, signature=asked, lm=lm.name)
    outputs = (*(() if record.tries else record.adds), *signature.outputs)
    spec = ModuleSpec(
        strategy=strategy,
        inputs=signature.inputs,
        outputs=outputs,
        options=given,
        predictors={role: f"m.{role}" for role in record.roles},
        tools=() if record.tries else keys,
        runs=runs,
        reward=reward,
    )
    return Program(
        name="m",
        inputs=signature.inputs,
        outputs=outputs,
        steps=(
            RunStep(name="out", runs="m", arguments={one.name: var(one.name) for one in signature.inputs}),
        ),
        returns={one.name: var("out", one.name) for one in outputs},
        predictors=predictors | (more.predictors if more is not None else {}),
        lms={lm.name: lm} | (more.lms if more is not None else {}),
        modules={"m": spec} | (more.modules if more is not None else {}),
        tools={tool.name: tool for tool in tools},
        graphs=more.graphs if more is not None else {},
    )
