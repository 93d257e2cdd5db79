"""ProgramOfThought: the model writes code, which runs in a sandbox, and what the code gives is the answer.

Code that fails is written again in view of its error. Outputs that the code submits are the answer as they are; where it
only prints, one more call reads the answer out of that. DSPy always makes that call, and so does `compat`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import cast

from ...errors import ToolFailed
from ...schema.program import FieldSpec, ModuleSpec, Program, Signature
from ...schema.trace import CODE
from ...schema.types import STR, Row
from ...values.values import shown
from .base import Conductor, ModuleParts, ModuleStrategy, Role, StrategyOption, Times, faithful, free_name
from .chain_of_thought import STRATEGY as CHAIN_OF_THOUGHT
from .coding import (
    WORLD,
    Coding,
    Extra,
    code_bytes,
    code_of,
    fields_of,
    gave,
    limits,
    listed,
    submit_name,
    submitting_told,
    told_of,
    untold,
)
from .trajectory import inputs_of_step

GENERATE, REGENERATE, ANSWER = "generate", "regenerate", "answer"
_ADDED = tuple(field.name for field in CHAIN_OF_THOUGHT.adds)


def _how(signature: Signature, code: str) -> str:
    names = [field.name for field in signature.inputs]
    return (
        f"Write Python code as `{code}` that works out {listed(signature.outputs)}; it will be run. "
        f"{listed(signature.inputs)} {'are variables' if len(names) > 1 else 'is a variable'} in it. "
        f"Let it end with a call of `{submit_name(names)}`, which takes the outputs by name. {WORLD}"
    )


def _generate(parts: ModuleParts) -> Signature:
    signature = parts.signature
    code = free_name("generated_code", fields_of(signature))
    return Signature(
        name=f"{parts.name}.{GENERATE}",
        instruction=signature.instruction,
        fixed=(*signature.fixed, _how(signature, code)),
        inputs=inputs_of_step(signature),
        outputs=(FieldSpec(name=code, type=STR, description="Python code"),),
        max_retries=signature.max_retries,
        submits=True,
    )


def _regenerate(parts: ModuleParts) -> Signature:
    first, taken = _generate(parts), fields_of(parts.signature)
    previous, error = free_name("previous_code", taken), free_name("error", taken)
    again = f"`{previous}` was run and failed with `{error}`. Write code that does not fail."
    return first.model_copy(
        update={
            "name": f"{parts.name}.{REGENERATE}",
            "fixed": (*first.fixed, again),
            "inputs": (*first.inputs, FieldSpec(name=previous, type=STR), FieldSpec(name=error, type=STR)),
        }
    )


def _answer(parts: ModuleParts) -> Signature:
    signature, taken = parts.signature, fields_of(parts.signature)
    code, output = free_name("final_generated_code", taken), free_name("code_output", taken)
    how = f"`{code}` was written for this and run, and `{output}` is what it gave. Answer from that."
    return signature.model_copy(
        update={
            "name": f"{parts.name}.{ANSWER}",
            "fixed": (*signature.fixed, how),
            "inputs": (
                *signature.inputs,
                FieldSpec(name=code, type=STR),
                FieldSpec(name=output, type=STR),
            ),
        }
    )


def _submit_told(role: str) -> Extra:
    def told(program: Program, module: ModuleSpec) -> tuple[str, ...]:
        return (submitting_told(program, module, role, ANSWER, _left_out(program, module)),)

    return told


def _left_out(program: Program, module: ModuleSpec) -> tuple[str, ...]:
    """The outputs that the code need not submit: what the model wrote before it."""
    written = program.predictors[module.predictors[GENERATE]].signature
    names = {field.name for field in module.outputs}
    return tuple(name for name in _ADDED if name in names and _adds(written, name))


def _adds(written: Signature, name: str) -> bool:
    return any(field.name == name for field in written.outputs)


_TOLD = {role: told_of(role, _submit_told(role)) for role in (GENERATE, REGENERATE)}


async def _conduct(work: Conductor, inputs: Row) -> Row:
    program, module = work.program, work.module
    as_dspy, most = faithful(module), cast("int", module.options["max_iters"])
    told = {role: one(program, module) for role, one in _TOLD.items()}
    code_name = told[GENERATE].signature.outputs[-1].name
    own = slice(len(module.inputs), len(module.inputs) + 2)  # advice may follow them
    previous, error = (field.name for field in told[REGENERATE].signature.inputs[own])
    answer = program.predictors[module.predictors[ANSWER]]
    async with Coding(work, inputs, submitting=answer, left_out=_left_out(program, module)) as coding:
        step = await work.ask(GENERATE, inputs, predictor=told[GENERATE])
        code = given = wrong = ""
        for attempt in range(most):
            code = code_of(cast("str", step[code_name]))
            ran = await coding.run(code)
            wrong, given = ran.error, gave(ran)
            if coding.submitted is not None and not as_dspy:
                return {**step, **coding.submitted}
            if not wrong and not ran.finished and not given and not as_dspy:
                wrong = f"it printed nothing, and did not call `{submit_name(inputs)}`"
            if not wrong:
                break
            if attempt + 1 < most:
                again = {**inputs, previous: code, error: wrong}
                step = await work.ask(REGENERATE, again, predictor=told[REGENERATE])
        else:
            if as_dspy:
                raise ToolFailed(f"`{work.name}`: no code of {most} ran to its end; the last: {wrong}")
            work.note(f"none of the {most} pieces of code ran to its end: the answer is given without")
            given = f"{given}\n{wrong}".strip()
    if coding.submitted is not None:
        given = shown(coding.submitted)
    code_field, output_field = (field.name for field in answer.signature.inputs[own])
    return await work.ask(ANSWER, {**inputs, code_field: code, output_field: given})


def _times(module: ModuleSpec) -> Mapping[str, Times]:
    most = cast("int", module.options["max_iters"])
    asked = Times(0, 1)
    return {GENERATE: Times(1, 1), REGENERATE: Times(0, most - 1), CODE: Times(1, most), ANSWER: asked}


def _faults(program: Program, module: ModuleSpec) -> Iterator[str]:
    inputs = len(module.inputs)
    for role, more in ((GENERATE, 0), (REGENERATE, 2), (ANSWER, 2)):
        signature = program.predictors[module.predictors[role]].signature
        if len(signature.inputs) != inputs + more:
            yield f"`{role}` must have {more or 'no'} inputs besides the module's"
        if role != ANSWER and (not signature.outputs or signature.outputs[-1].type != STR):
            yield f"`{role}` must give its code as text, last"


STRATEGY = ModuleStrategy(
    name="ProgramOfThought",
    doc="The model writes code, which runs in a sandbox, and what the code gives is the answer.",
    adds=CHAIN_OF_THOUGHT.adds,
    options=(
        StrategyOption("max_iters", "integer", "Pieces of code at most, until one runs.", 3, low=1, high=100),
        *limits(2_000),
    ),
    conduct=_conduct,
    times=_times,
    faults=_faults,
    roles={
        GENERATE: Role(
            CHAIN_OF_THOUGHT.name,
            _generate,
            dspy="code_generate.predict",
            told=_TOLD[GENERATE],
            from_state=untold(GENERATE, _TOLD[GENERATE]),
        ),
        REGENERATE: Role(
            CHAIN_OF_THOUGHT.name,
            _regenerate,
            dspy="code_regenerate.predict",
            told=_TOLD[REGENERATE],
            from_state=untold(REGENERATE, _TOLD[REGENERATE]),
        ),
        ANSWER: Role(CHAIN_OF_THOUGHT.name, _answer, dspy="generate_output.predict"),
    },
    code=code_bytes,
    manner="writes code, which is run, and takes what the code gives as its answer",
)
