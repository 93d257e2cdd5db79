"""The prompts of a program before and after: instructions, tool descriptions, demos, and the whole as a model is sent it."""

from __future__ import annotations

import json
from collections.abc import Iterator

from dspec.runtime.running.inspecting import blank_prompt
from dspec.runtime.schema.ensemble import Ensemble, Runnable, parts
from dspec.runtime.schema.program import Demo, Predictor, Program
from dspec.runtime.schema.types import JsonValue, spell

from ...diagnostics.wording import plural
from .facts import DemoFacts, PromptFacts
from .wording import compared

MAX_VALUE = 4_000
"""Characters of a demo's value that are shown."""
MAX_PROMPT = 60_000
"""Characters of a whole prompt that are shown."""


def told(value: JsonValue, limit: int = MAX_VALUE) -> str:
    """A value as a text: a text as it is, anything else as JSON; cut where it is longer than `limit`."""
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= limit else f"{text[:limit]}… ({len(text) - limit:,} more characters)"


def prompts_of(before: Runnable | None, after: Runnable) -> tuple[PromptFacts, ...]:
    """Predictor by predictor; of an ensemble member by member, each against the start."""
    return tuple(_prompts(before, after))


def _prompts(before: Runnable | None, after: Runnable) -> Iterator[PromptFacts]:
    start = None if before is None or isinstance(before, Ensemble) else before
    every = parts(after)
    for place, program in enumerate(every):
        lead = "" if len(every) == 1 else f"member {place + 1}: "
        if isinstance(after, Ensemble) and after.reducer is program:
            lead = "reducer: "
        for address, predictor in program.predictors.items():
            old = None if start is None else start.predictors.get(address)
            yield _prompt(f"{lead}{address}", start, old, program, predictor)
        tools = [
            compared(
                tool.name,
                "" if start is None or key not in start.tools else start.tools[key].description,
                tool.description,
            )
            for key, tool in program.tools.items()
        ]
        if tools:
            yield PromptFacts(f"{lead}tools", "what an agent is told of them", tuple(tools), (), ())


def _prompt(
    address: str, start: Program | None, old: Predictor | None, program: Program, new: Predictor
) -> PromptFacts:
    lm = new.asks(program.lms)
    model = new.lm if lm is None else lm.model
    inputs = ", ".join(field.name for field in new.signature.inputs)
    outputs = ", ".join(f"{field.name}: {spell(field.type)}" for field in new.signature.outputs)
    texts = [
        compared("instruction", "" if old is None else old.signature.instruction, new.signature.instruction)
    ]
    if (old is not None and old.signature.fixed != new.signature.fixed) or new.signature.fixed:
        fixed = () if old is None else old.signature.fixed
        texts.append(compared("fixed", "\n".join(fixed), "\n".join(new.signature.fixed)))
    about = f"{new.strategy} on {model}: {inputs} → {outputs}"
    if program.neighbours is not None:
        shown = plural(program.neighbours.shown, "demo is", "demos are")
        about += f"; {shown} chosen for each input, of {plural(len(program.neighbours.rows), 'row')}"
    was = "" if start is None or old is None else _whole(start, old)
    whole = compared("prompt", was, _whole(program, new))
    return PromptFacts(address, about, tuple(texts), _demos(old, new), (whole,))


def _whole(program: Program, predictor: Predictor) -> str:
    """The messages as one text, with the names of inputs in the place of their values."""
    messages = blank_prompt(program, predictor)
    text = "\n\n".join(f"── {message.role}\n{message.content}" for message in messages)
    return told(text, MAX_PROMPT)


def _demos(old: Predictor | None, new: Predictor) -> tuple[DemoFacts, ...]:
    before = () if old is None else old.demos
    found = [_demo("kept" if demo in before else "new", demo) for demo in new.demos]
    return (*found, *(_demo("gone", demo) for demo in before if demo not in new.demos))


def _demo(state: str, demo: Demo) -> DemoFacts:
    return DemoFacts(
        state,
        "answered by a model" if demo.augmented else "given",
        tuple((name, told(value)) for name, value in demo.inputs.items()),
        tuple((name, told(value)) for name, value in demo.outputs.items()),
    )
