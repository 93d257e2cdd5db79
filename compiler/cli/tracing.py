"""Shows the record of a run to a person: what each predictor was told and answered, what each tool gave."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from dspec.runtime.schema.trace import CODE

from .console import stderr

if TYPE_CHECKING:
    from dspec.runtime.schema.trace import ModelCall, TraceStep
    from dspec.runtime.schema.types import Row


def draw_trace(trace: Sequence[TraceStep]) -> None:
    """The trace on standard error, as text: what it holds is never taken for markup."""
    console = stderr()
    for number, step in enumerate(trace, 1):
        for line in _step(number, step):
            console.print(line, markup=False)
    console.print(_total(trace), markup=False)


def _step(number: int, step: TraceStep) -> Iterator[str]:
    yield f"{number}. {step.step}: {_who(step)}"
    if step.tool or step.predictor:
        yield f"   {' · '.join(_figures(step))}"
    for role, text in step.exchange:
        yield from _beside(role, text)
    for call in step.calls:
        if call.error:
            yield f"   no answer of {call.model}: {call.error}"
    yield from _row("in", step.inputs)
    if step.hint:
        yield f"   hint = {json.dumps(step.hint, ensure_ascii=False)}"
    yield from _row("out", step.outputs)
    for note in step.notes:
        yield f"   note: {note}"
    yield ""


def _who(step: TraceStep) -> str:
    if step.tool == CODE:
        return "code in the sandbox"
    if step.tool:
        return f"the tool `{step.tool}`"
    if step.reward is not None:
        return f"a reward of {step.reward:.4g}; the attempt {'does not count' if step.dropped else 'counts'}"
    if not step.predictor:
        return "besides its calls"
    models = dict.fromkeys(call.model for call in step.calls)
    return f"the predictor `{step.predictor}`" + (f" on {', '.join(models)}" if models else "")


def _figures(step: TraceStep) -> list[str]:
    found: list[str] = []
    if step.predictor:
        found = [f"{step.attempts} {'call' if step.attempts == 1 else 'calls'}", *_paid(step.calls)]
        found.append(_usd(step.cost))
    return [*found, _seconds(step.seconds), *(["no part of the answer"] if step.dropped else [])]


def _paid(calls: Sequence[ModelCall]) -> Iterator[str]:
    """Calls that took nothing, and the tokens of the others."""
    made = [call for call in calls if call.source == "model"]
    if len(made) < len(calls):
        yield f"{len(calls) - len(made)} of them kept from before or shared"
    if failed := sum(bool(call.error) for call in calls):
        yield f"{failed} of them without an answer"
    yield f"{sum(call.input_tokens for call in made):,} + {sum(call.output_tokens for call in made):,} tokens"


def _total(trace: Sequence[TraceStep]) -> str:
    calls = [call for step in trace for call in step.calls]
    tools = sum(bool(step.tool) and step.tool != CODE for step in trace)
    costs = [step.cost for step in trace]
    usd = None if None in costs else sum(cost for cost in costs if cost is not None)
    parts = [
        f"{len(calls)} model {'call' if len(calls) == 1 else 'calls'}",
        *([f"{tools} {'call' if tools == 1 else 'calls'} of tools"] if tools else []),
        *_paid(calls),
        _usd(usd),
    ]
    return "in all: " + " · ".join(parts)


def _beside(role: str, text: str) -> Iterator[str]:
    """A message with its role beside it."""
    for place, line in enumerate(text.split("\n")):
        yield f"   {role if place == 0 else '':<9} │ {line}"


def _row(what: str, row: Row) -> Iterator[str]:
    for name, value in row.items():
        yield f"   {what:<3} {name} = {json.dumps(value, ensure_ascii=False)}"


def _usd(cost: float | None) -> str:
    return "price not known" if cost is None else f"${cost:.6f}".rstrip("0").rstrip(".")


def _seconds(seconds: float) -> str:
    return f"{seconds:.2f} s" if seconds >= 0.01 else f"{1000 * seconds:.1f} ms"
