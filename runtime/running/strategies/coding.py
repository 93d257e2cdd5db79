"""What the strategies share whose models write code: the sandbox of a run, what it offers, and what is said of both.

The inputs are variables there. `submit` takes the outputs and checks them as an answer is checked: what does not fit is an
exception in the code, so the model hears of it as of any other mistake.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from types import TracebackType
from typing import TYPE_CHECKING, cast

from ...errors import AnswerError, ConfigurationError
from ...schema.identity import Same
from ...schema.program import FieldSpec, ModuleSpec, Predictor, Program, Signature
from ...schema.types import STR, JsonValue, OptionalOf, Row
from ...values.markers import escape
from ...values.values import shown
from .base import CodeBytes, Conductor, StrategyOption, faithful, free_name
from .trajectory import asked_with

if TYPE_CHECKING:
    from ...tools.sandbox import CodeRan, HostFunction, SandboxLimits

SUBMIT = "submit"
MAX_GIVEN = "max_given"
"""Option of code that calls something."""
WORLD = (
    "The code runs in a sandbox, a Python with classes and functions and without `yield`, `del` and packages. Of the "
    "standard library it has bisect, collections, copy, csv, dataclasses, datetime, decimal, functools, itertools, json, "
    "math, random, re and typing. There are no files, no network and no clock."
)


def limits(max_output: int) -> tuple[StrategyOption, ...]:
    """The options that bound the code, with the default of one."""
    return (
        StrategyOption(
            "timeout", "number", "Seconds that each piece of code may run.", 10.0, low=0.1, high=600
        ),
        StrategyOption("memory", "integer", "MB of memory that the code may have.", 64, low=8, high=4096),
        StrategyOption(
            "max_output",
            "integer",
            "Characters, at most, that are kept of what a piece of code prints and of its last value, or that it submits.",
            max_output,
            low=100,
            high=1_000_000,
        ),
    )


_FENCE = re.compile(r"^[ \t]*```[ \t]*([\w+-]*)[^\n]*\n(.*?)(?:^[ \t]*```|\Z)", re.DOTALL | re.MULTILINE)
_LANGUAGES = frozenset({"", "py", "python", "python3"})
_ERROR = 2_200
"""Characters of an error, with all that is said around it, at most."""


def code_of(text: str) -> str:
    """The code in an answer: its first block of Python, or all of it where it has none."""
    blocks = (found[2] for found in _FENCE.finditer(text) if found[1].lower() in _LANGUAGES)
    return next(blocks, text).strip("\n")


def code_bytes(module: ModuleSpec) -> CodeBytes:
    """Shown are what it prints, its last value and an error."""
    shown = 4 * (cast("int", module.options["max_output"]) + _ERROR)
    return CodeBytes(shown, 4 * cast("int", module.options.get(MAX_GIVEN, 0)))


def listed(fields: Sequence[FieldSpec]) -> str:
    return ", ".join(f"`{field.name}`" for field in fields)


def fields_of(signature: Signature) -> set[str]:
    return {field.name for field in (*signature.inputs, *signature.outputs)}


class Coding:
    """The sandbox of one run of a module. `functions` are what the code may call besides `submit`, which there is only with
    `submitting`: the outputs that it takes, of which those `left_out` need not be given."""

    def __init__(
        self,
        work: Conductor,
        inputs: Row,
        *,
        functions: Mapping[str, HostFunction] | None = None,
        submitting: Predictor | None = None,
        left_out: Sequence[str] = (),
    ) -> None:
        from ...tools.sandbox import HostFunction, Sandbox, check_installed

        check_installed(work.name)
        self.submitted: Row | None = None
        self._work = work
        self._inputs = inputs
        self._submitting = submitting
        self._left_out = left_out
        offered = dict(functions or {})
        if submitting is not None:
            names = (field.name for field in submitting.signature.outputs)
            ordered = tuple(sorted(names, key=lambda name: name in left_out))
            offered[submit_name(inputs)] = HostFunction(ordered, self._submit)
        self._box = Sandbox(_limits(work.module), inputs, offered)

    async def __aenter__(self) -> Coding:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        await self._box.aclose()

    async def run(self, code: str) -> CodeRan:
        if not code.strip():
            from ...tools.sandbox import CodeRan

            return CodeRan(error="there is no code")
        return await self._work.run_code(code, self._box)

    async def _submit(self, given: Row) -> JsonValue:
        """Raises Finished with outputs that fit, CodeError with what is wrong with the others."""
        from ...tools.sandbox import CodeError, Finished
        from ...values.checks import failures, record_failures
        from ...values.values import coerce

        asked, records = cast("Predictor", self._submitting), self._work.program.records
        takes = asked.signature.outputs
        outputs: Row = {}
        wrong: list[str] = []
        unknown = [name for name in given if name not in {field.name for field in takes}]
        for field in takes:
            value = given.get(field.name)
            if field.name not in given:
                if field.name in self._left_out:
                    continue
                if not isinstance(field.type, OptionalOf):
                    wrong.append(f"`{field.name}` is missing")
                    continue
            if field.type == STR and isinstance(value, int | float):
                value = shown(value)  # to say a number as text is no change of it
            try:
                outputs[field.name] = coerce(value, field.type, records)
            except ValueError as problem:
                wrong.append(f"`{field.name}`: {problem}")
        wrong += [f"there is no output `{name[:80]}`" for name in unknown]
        if wrong:
            raise CodeError("ValueError", f"submit: {'; '.join(wrong)}"[:_ERROR])
        size, most = len(shown(outputs)), cast("int", self._work.module.options["max_output"])
        if size > most:
            raise CodeError("ValueError", f"submit: {size:,} characters, and {most:,} are the most")
        broken = [
            *record_failures(takes, outputs, records),
            *failures(asked.signature.checks, {**self._inputs, **outputs}),
        ]
        if broken:
            for one in broken:
                self._work.note(f"submitted, but {one.message}")
            raise CodeError("ValueError", f"submit: {'; '.join(one.message for one in broken)}"[:_ERROR])
        self.submitted = outputs
        raise Finished


def submit_name(inputs: Sequence[str] | Row) -> str:
    return free_name(SUBMIT, inputs)


def _limits(module: ModuleSpec) -> SandboxLimits:
    from ...tools.sandbox import MEGABYTE, SandboxLimits

    options = module.options
    return SandboxLimits(
        cast("float", options["timeout"]),
        cast("int", options["memory"]) * MEGABYTE,
        cast("int", options["max_output"]),
    )


def gave(ran: CodeRan) -> str:
    """What a piece of code printed, and the value of its last line."""
    value = ran.value if isinstance(ran.value, str | None) else shown(ran.value)
    return "\n".join(part for part in (ran.output.rstrip("\n"), value) if part)


async def coded_step(
    work: Conductor,
    coding: Coding,
    role: str,
    predictor: Predictor,
    inputs: Row,
    history: str,
    code: str,
    turns: list[JsonValue],
) -> Row | None:
    """One step of an agent: code, which is run. It stands with what it gave among the turns, which are the input `history`.

    None where the step could not be read, which the next one is told; DSPy ends the run there. Raises PromptTooLong.
    """
    try:
        step = await asked_with(work, role, inputs, history, turns, predictor=predictor, together=True)
    except AnswerError as error:
        if faithful(work.module):
            raise
        turns.append({"error": f"this step could not be read: {error.message}"})
        return None
    written = code_of(cast("str", step[code]))
    ran = await coding.run(written)
    said = {name: value for name, value in step.items() if isinstance(value, str)}
    gave = {} if coding.submitted is not None else ran.told() or {"output": "(it printed nothing)"}
    turns.append({**said, code: written, **gave})
    return step


# What a step's prompt says besides its signature --------------------------------------------------------

Extra = Callable[[Program, ModuleSpec], Sequence[str]]
"""Lines that a role's prompt has besides, made when it is asked: no optimizer can lose them."""


def told_of(role: str, extra: Extra) -> Callable[[Program, ModuleSpec], Predictor]:
    """The role's predictor as it is asked. It is made once, since rendered prompts are kept by its identity."""

    @lru_cache(maxsize=64)
    def made(program: Same[Program], module: Same[ModuleSpec]) -> Predictor:
        address = module.value.predictors[role]
        found = program.value.predictors.get(address)
        if found is None:
            raise ConfigurationError(f"there is no predictor `{address}`")
        more = (*found.signature.fixed, *extra(program.value, module.value))
        return found.model_copy(update={"signature": found.signature.model_copy(update={"fixed": more})})

    return lambda program, module: made(Same(program), Same(module))


def untold(role: str, told: Callable[[Program, ModuleSpec], Predictor]) -> Callable[..., tuple[Program, Row]]:
    """The other way: takes out of a saved state what `told` adds to the instruction."""

    def from_state(program: Program, module: ModuleSpec, state: Row) -> tuple[Program, Row]:
        own = program.predictors[module.predictors[role]].signature
        tail = "\n".join(told(program, module).signature.fixed[len(own.fixed) :])
        signature = state.get("signature")
        text = signature.get("instructions") if isinstance(signature, dict) else None
        if not isinstance(signature, dict) or not isinstance(text, str) or not text.endswith(tail):
            return program, state
        shorter = text.removesuffix(tail).removesuffix("\n")
        return program, {**state, "signature": {**signature, "instructions": shorter}}

    return from_state


def submitting_told(
    program: Program, module: ModuleSpec, role: str, answering: str, left_out: Sequence[str] = ()
) -> str:
    """What `submit` takes in the code of `role`, one output a line, and what must hold of it, as `answering` has it checked."""
    from ...adapters.base import rules_of  # with jinja2, which reading a record does not need
    from ...adapters.words import in_words

    seen: set[str] = set()
    lines = [f"`{submit_name([field.name for field in module.inputs])}` takes:"]
    for field in module.outputs:
        if field.name in left_out:
            continue
        note = " ".join(field.description.split())
        lines.append(
            escape(f"- {field.name}: {in_words(field.type, program.records, seen)}{note and f' ({note})'}")
        )
    if program.predictors[module.predictors[role]].signature.submits:
        checked = program.predictors[module.predictors[answering]].signature
        rules = rules_of(checked, program.records)
        lines += ["What must hold of that:"] if rules else []
        lines += [escape(f"- {rule}") for rule in rules]
    return "\n".join(lines)
