"""MultiChainComparison: several chains of thought, and a last call that compares them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast

from ...errors import AnswerError
from ...schema.program import FieldSpec, ModuleSpec, Signature
from ...schema.types import ANY, STR, Row
from ...values.values import shown
from .base import Conductor, ModuleParts, ModuleStrategy, Role, StrategyOption, Times, free_name
from .chain_of_thought import STRATEGY as CHAIN_OF_THOUGHT
from .predict import STRATEGY as PREDICT

CHAIN, COMPARE = "chain", "compare"
RATIONALE = FieldSpec(
    name="rationale", type=STR, description="what the attempts got right and wrong, and what follows from it"
)


def _chain(parts: ModuleParts) -> Signature:
    return parts.signature.model_copy(update={"name": f"{parts.name}.{CHAIN}"})


def _compare(parts: ModuleParts) -> Signature:
    signature = parts.signature
    taken = {field.name for field in (*signature.inputs, *signature.outputs)}
    attempts = tuple(
        FieldSpec(
            name=free_name(f"reasoning_attempt_{number + 1}", taken),
            type=ANY,
            description="another attempt at this, which may be wrong",
            has_default=True,
            default=None,
        )
        for number in range(cast("int", parts.options["m"]))
    )
    more = () if RATIONALE.name in taken else (RATIONALE,)
    return signature.model_copy(
        update={
            "name": f"{parts.name}.{COMPARE}",
            "inputs": (*signature.inputs, *attempts),
            "outputs": (*more, *signature.outputs),
        }
    )


async def _conduct(work: Conductor, inputs: Row) -> Row:
    from ..taking import outcomes

    m = cast("int", work.module.options["m"])
    temperature = cast("float", work.module.options["temperature"])
    chains = await outcomes(work.ask(CHAIN, inputs, take=take, temperature=temperature) for take in range(m))
    failed = [one for one in chains if isinstance(one, AnswerError)]
    attempts = [one for one in chains if not isinstance(one, AnswerError)]
    if not attempts:
        raise failed[0].within(f"`{work.name}`, attempt 1 of {m}")
    if failed:
        work.note(f"{len(failed)} of {m} attempts could not be used: {failed[0].message}")
    named = work.program.predictors[work.module.predictors[COMPARE]].signature.inputs[
        len(work.module.inputs) :
    ]
    shown: Row = {field.name: dict(one) for field, one in zip(named, attempts, strict=False)}
    return await work.ask(COMPARE, {**inputs, **shown})


def _as_text(inputs: Row) -> Row:
    """A demo's inputs with the attempts as texts."""
    return {
        name: shown(one) if name.startswith("reasoning_attempt_") else one for name, one in inputs.items()
    }


def _times(module: ModuleSpec) -> Mapping[str, Times]:
    m = cast("int", module.options["m"])
    return {CHAIN: Times(m, m), COMPARE: Times(1, 1)}


STRATEGY = ModuleStrategy(
    name="MultiChainComparison",
    doc="Several chains of thought, and one more call that compares them and answers.",
    adds=(RATIONALE,),
    options=(
        StrategyOption("m", "integer", "Chains to compare.", 3, low=1, high=100),
        StrategyOption("temperature", "number", "Temperature of the chains.", 0.7, low=0, high=2),
    ),
    conduct=_conduct,
    times=_times,
    roles={
        CHAIN: Role(CHAIN_OF_THOUGHT.name, _chain, dspy=f"{CHAIN}.predict"),
        COMPARE: Role(PREDICT.name, _compare, dspy=f"{COMPARE}.predict", dspy_inputs=_as_text),
    },
    manner="compares several attempts of its own before it answers",
)
