"""Events as OpenTelemetry spans, when asked for: one per step, and within it one per call of a model or a tool.

Names are those of the runtime's spans. Only the API is used; where spans go is set up by whoever runs the command
(`opentelemetry-instrument dspc compile …`). A span holds what an event holds: never a prompt, an answer, a tool's
arguments or a key.
"""

from __future__ import annotations

import importlib
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import Any

from dspec.runtime.models.engine import CallEvent, EngineEvent, ToolEvent
from dspec.runtime.running.spans import NAMES, asked, asked_tool, default_tracer

from .eventlog import Observer
from .events import Event, StepFinished, StepStarted


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


class _Spans:
    def __init__(self, tracer: Any, now: Callable[[], int]) -> None:
        self._tracer = tracer
        self._now = now
        self._step: Any = None

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
        name, attributes = asked(event.lm, event.model, event.cost)
        attributes[NAMES["attempt"]] = event.attempt
        if event.usage is not None:
            attributes[NAMES["input_tokens"]] = event.usage.input_tokens
            attributes[NAMES["output_tokens"]] = event.usage.output_tokens
        if event.spoiled:
            attributes[NAMES["spoiled"]] = event.spoiled
        if event.error:
            attributes[NAMES["error"]] = event.kind
        self._done(name, attributes, event.seconds if event.kind == "answered" else 0.0)

    def _tool(self, event: ToolEvent) -> None:
        name, attributes = asked_tool(event.tool)
        if event.failed:
            attributes[NAMES["error"]] = "failed"
        self._done(name, attributes, event.seconds, failed=event.failed)

    def _done(
        self, name: str, attributes: dict[str, str | int | float], seconds: float, *, failed: bool = False
    ) -> None:
        """A span of what has just ended, within the step that is open."""
        api = importlib.import_module("opentelemetry.trace")
        context = None if self._step is None else api.set_span_in_context(self._step)
        end = self._now()
        began = end - round(seconds * 1e9)
        span = self._tracer.start_span(name, context=context, attributes=attributes, start_time=began)
        if failed:
            span.set_status(api.Status(api.StatusCode.ERROR))
        span.end(end_time=end)
