"""Events and traces as OpenTelemetry spans, when asked for: one per step, and within it one per call of a
model or a tool; of one run, one per predictor and tool.

The names are those of the GenAI semantic conventions, all of them in `NAMES`. Only the API is used; where
spans go is set up by whoever runs the command (`opentelemetry-instrument dspc compile …`). A span holds
what an event holds: never a prompt, an answer, a tool's arguments or a key.
"""

from __future__ import annotations

import importlib
import time
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from typing import Any

from dspec.runtime.errors import ConfigurationError
from dspec.runtime.models.endpoints import split_model
from dspec.runtime.models.engine import CallEvent, EngineEvent, ToolEvent
from dspec.runtime.schema.trace import ModelCall, TraceStep

from .eventlog import Observer
from .events import Event, StepFinished, StepStarted

NAMES = {
    "operation": "gen_ai.operation.name",
    "provider": "gen_ai.provider.name",
    "model": "gen_ai.request.model",
    "input_tokens": "gen_ai.usage.input_tokens",
    "output_tokens": "gen_ai.usage.output_tokens",
    "error": "error.type",
    "lm": "dspec.lm",
    "attempt": "dspec.attempt",
    "cost": "dspec.cost_usd",
    "spoiled": "dspec.spoiled",
    "step": "dspec.step",
    "optimizer": "dspec.optimizer",
    "calls": "dspec.calls",
    "tool": "gen_ai.tool.name",
    "source": "dspec.source",
    "reward": "gen_ai.evaluation.score.value",
    "dropped": "dspec.dropped",
    "hinted": "dspec.hinted",
}
"""Attribute names. Those that the conventions do not have start with `dspec.`."""

CHAT = "chat"
EXECUTE_TOOL = "execute_tool"


@contextmanager
def spans(tracer: Any = None, now: Callable[[], int] = time.time_ns) -> Generator[Observer]:
    """An observer that makes spans. Raises ConfigurationError when the API is not installed.

    A step that the budget or the user ended, or one that failed, has the status of an error.
    """
    made = _Spans(tracer or default_tracer(), now)
    try:
        yield made.observe
    except BaseException as error:
        made.end(type(error).__name__)
        raise


def default_tracer() -> Any:
    """The tracer that was set up outside. Raises ConfigurationError when the API is not installed."""
    try:
        return importlib.import_module("opentelemetry.trace").get_tracer("dspec")
    except ImportError:
        raise ConfigurationError(
            "spans need OpenTelemetry, which is not installed",
            help="pip install opentelemetry-distro opentelemetry-exporter-otlp, then run dspc with "
            "opentelemetry-instrument",
        ) from None


def trace_spans(program: str, trace: Sequence[TraceStep], tracer: Any, *, began: int, ended: int) -> None:
    """Spans of a run that was recorded, between two times in nanoseconds: what each model and tool was asked, and the
    reward of each attempt. Notes have none: they may hold what was answered."""
    api = importlib.import_module("opentelemetry.trace")
    run = tracer.start_span(f"run {program}", start_time=began)
    within_run = api.set_span_in_context(run)
    for step in trace:
        found = _step_span(step)
        if found is None:
            continue
        name, attributes, failed = found
        attributes |= {NAMES["step"]: step.step, NAMES["dropped"]: step.dropped}
        start, end = _between(began, step.began, step.seconds)
        span = tracer.start_span(name, context=within_run, attributes=attributes, start_time=start)
        if failed:
            span.set_status(api.Status(api.StatusCode.ERROR))
        within_step = api.set_span_in_context(span)
        for call in step.calls:
            _model_call(tracer, within_step, call, began)
        span.end(end_time=end)
    run.end(end_time=ended)


def _step_span(step: TraceStep) -> tuple[str, dict[str, Any], bool] | None:
    """The name, attributes and failure of a step's span; None where it has none."""
    if step.tool:
        return (*_asked_tool(step.tool), "error" in step.outputs)
    if step.predictor:
        return f"predict {step.predictor}", {NAMES["hinted"]: bool(step.hint)}, not step.outputs
    return None if step.reward is None else (f"reward {step.step}", {NAMES["reward"]: step.reward}, False)


def _model_call(tracer: Any, context: Any, call: ModelCall, began: int) -> None:
    """Tokens and cost are those of a call that was made: sums over spans count each answer once."""
    made = call.source == "model"
    name, attributes = _asked(call.lm, call.model, call.cost if made else None)
    attributes[NAMES["source"]] = call.source
    if made:
        attributes[NAMES["input_tokens"]] = call.input_tokens
        attributes[NAMES["output_tokens"]] = call.output_tokens
    if call.error:
        attributes[NAMES["error"]] = "failed"
    start, end = _between(began, call.began, call.seconds)
    span = tracer.start_span(name, context=context, attributes=attributes, start_time=start)
    if call.error:
        api = importlib.import_module("opentelemetry.trace")
        span.set_status(api.Status(api.StatusCode.ERROR))
    span.end(end_time=end)


def _asked(lm: str, model: str, cost: float | None) -> tuple[str, dict[str, str | int | float]]:
    """A span's name and attributes for a call of a model, as far as every call has them."""
    provider, name = split_model(model)
    attributes: dict[str, str | int | float] = {
        NAMES["operation"]: CHAT,
        NAMES["provider"]: provider,
        NAMES["model"]: name,
        NAMES["lm"]: lm,
    }
    if cost is not None:
        attributes[NAMES["cost"]] = cost
    return f"{CHAT} {name}", attributes


def _asked_tool(tool: str) -> tuple[str, dict[str, str | int | float]]:
    """The same for a call of a tool."""
    return f"{EXECUTE_TOOL} {tool}", {NAMES["operation"]: EXECUTE_TOOL, NAMES["tool"]: tool}


def _between(origin: int, began: float, seconds: float) -> tuple[int, int]:
    start = origin + round(began * 1e9)
    return start, start + round(seconds * 1e9)


class _Spans:
    def __init__(self, tracer: Any, now: Callable[[], int]) -> None:
        self._tracer = tracer
        self._now = now
        self._step: Any = None
        self._context: Any = None

    def observe(self, event: Event | EngineEvent) -> None:
        match event:
            case StepStarted(step=step, optimizer=optimizer):
                attributes = {NAMES["step"]: step, NAMES["optimizer"]: optimizer}
                self._step = self._tracer.start_span(f"step {step}", attributes=attributes)
            case StepFinished(calls=calls, halt=halt) if self._step is not None:
                self._step.set_attribute(NAMES["calls"], calls)
                self.end(halt)
            case CallEvent(kind="answered" | "failed" | "retrying"):
                self._call(event)
            case ToolEvent():
                self._tool(event)
            case _:
                pass

    def end(self, failure: str = "") -> None:
        """End the step that is open, if one is; `failure` says why it is not done."""
        if self._step is None:
            return
        if failure:
            trace = importlib.import_module("opentelemetry.trace")
            self._step.set_status(trace.Status(trace.StatusCode.ERROR, failure))
        self._step.end()
        self._step = None

    def _call(self, event: CallEvent) -> None:
        """One attempt, after the fact: its start is its end less its duration."""
        name, attributes = _asked(event.lm, event.model, event.cost)
        attributes[NAMES["attempt"]] = event.attempt
        if event.usage is not None:
            attributes[NAMES["input_tokens"]] = event.usage.input_tokens
            attributes[NAMES["output_tokens"]] = event.usage.output_tokens
        if event.spoiled:
            attributes[NAMES["spoiled"]] = event.spoiled
        if event.error:
            attributes[NAMES["error"]] = event.kind
        end = self._now()
        lasted = round(event.seconds * 1e9) if event.kind == "answered" else 0
        span = self._tracer.start_span(
            name,
            context=self._within(),
            attributes=attributes,
            start_time=end - lasted,
        )
        span.end(end_time=end)

    def _tool(self, event: ToolEvent) -> None:
        """A call of a tool, after the fact."""
        name, attributes = _asked_tool(event.tool)
        if event.failed:
            attributes[NAMES["error"]] = "failed"
        end = self._now()
        span = self._tracer.start_span(
            name,
            context=self._within(),
            attributes=attributes,
            start_time=end - round(event.seconds * 1e9),
        )
        if event.failed:
            api = importlib.import_module("opentelemetry.trace")
            span.set_status(api.Status(api.StatusCode.ERROR))
        span.end(end_time=end)

    def _within(self) -> Any:
        if self._step is None:
            return None
        return importlib.import_module("opentelemetry.trace").set_span_in_context(self._step)
