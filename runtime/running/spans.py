"""Runs that were recorded as OpenTelemetry spans: one of the run, one per predictor and tool, one per call of a model.

The names are those of the GenAI semantic conventions, all of them in `NAMES`. Only the API is used; where spans go is set
up by the application. A span holds names and numbers: never a prompt, an answer, a tool's arguments or a key.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping, Sequence
from typing import Any

from ..errors import ConfigurationError
from ..models.endpoints import split_model
from ..schema.trace import ModelCall, TraceStep
from .records import CallRecord, OnCall

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
    "call": "dspec.call_id",
}
"""Attribute names. Those that the conventions do not have start with `dspec.`."""

CHAT = "chat"
EXECUTE_TOOL = "execute_tool"


def call_spans(tracer: Any = None) -> OnCall:
    """An `on_call` for `load`, which makes spans of each call of a program, under the span that is open where the program
    is called. A call that failed has the status of an error, and its kind; the record's id is `dspec.call_id`.

    `tracer` is one of OpenTelemetry's; the one that was set up for the application if it is left out. Raises
    ConfigurationError when OpenTelemetry is not installed (the extra `otel`).
    """
    found = tracer or default_tracer()

    def on_call(record: CallRecord) -> None:
        began = round(record.began * 1e9)
        trace_spans(
            record.program,
            record.trace,
            found,
            began=began,
            ended=began + round(record.seconds * 1e9),
            attributes={NAMES["call"]: record.id},
            failure="" if record.error is None else type(record.error).__name__,
        )

    return on_call


def default_tracer() -> Any:
    """The tracer that was set up outside. Raises ConfigurationError when the API is not installed."""
    try:
        return importlib.import_module("opentelemetry.trace").get_tracer("dspec")
    except ImportError:
        raise ConfigurationError(
            "spans need OpenTelemetry, which is not installed",
            help='pip install "dspc[otel]" opentelemetry-distro opentelemetry-exporter-otlp, then run it with '
            "opentelemetry-instrument",
        ) from None


def trace_spans(
    program: str,
    trace: Sequence[TraceStep],
    tracer: Any,
    *,
    began: int,
    ended: int,
    attributes: Mapping[str, str] | None = None,
    failure: str = "",
) -> None:
    """Spans of a run that was recorded, between two times in nanoseconds: what each model and tool was asked, and the
    reward of each attempt. Notes have none: they may hold what was answered. `failure` is the kind of error that ended
    the run."""
    api = importlib.import_module("opentelemetry.trace")
    run = tracer.start_span(f"run {program}", attributes=attributes, start_time=began)
    if failure:
        run.set_attribute(NAMES["error"], failure)
        run.set_status(api.Status(api.StatusCode.ERROR, failure))
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
        return (*asked_tool(step.tool), "error" in step.outputs)
    if step.predictor:
        return f"predict {step.predictor}", {NAMES["hinted"]: bool(step.hint)}, not step.outputs
    return None if step.reward is None else (f"reward {step.step}", {NAMES["reward"]: step.reward}, False)


def _model_call(tracer: Any, context: Any, call: ModelCall, began: int) -> None:
    """Tokens and cost are those of a call that was made: sums over spans count each answer once."""
    made = call.source == "model"
    name, attributes = asked(call.lm, call.model, call.cost if made else None)
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


def asked(lm: str, model: str, cost: float | None) -> tuple[str, dict[str, str | int | float]]:
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


def asked_tool(tool: str) -> tuple[str, dict[str, str | int | float]]:
    """The same for a call of a tool."""
    return f"{EXECUTE_TOOL} {tool}", {NAMES["operation"]: EXECUTE_TOOL, NAMES["tool"]: tool}


def _between(origin: int, began: float, seconds: float) -> tuple[int, int]:
    start = origin + round(began * 1e9)
    return start, start + round(seconds * 1e9)
