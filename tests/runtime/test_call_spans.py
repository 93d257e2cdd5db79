"""OpenTelemetry spans of an application's calls, under the span that was open where it was called."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import StatusCode
from programs import chat, fields, module, predictor
from server import FakeServer

from dspec import call_spans, load
from dspec.runtime.artifact.artifact import Artifact, write_artifact
from dspec.runtime.errors import ConfigurationError, ProviderError
from dspec.runtime.schema.lms import LM
from dspec.runtime.schema.types import STR


@pytest.fixture
def artifact(tmp_path: Path) -> Path:
    asked = predictor(fields(text=STR), fields(a=STR))
    lm = LM(name="mini", model="hosted_vllm/x", api_base_env="BASE", retry=0, retry_said=True)
    path = tmp_path / "echo.dspc.json"
    write_artifact(path, Artifact(name="echo", program=module(asked, lms={"mini": lm})))
    return path


def tracing() -> tuple[Any, InMemorySpanExporter]:
    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    return provider.get_tracer("app"), exporter


def parent(span: ReadableSpan) -> int | None:
    return None if span.parent is None else span.parent.span_id


async def test_spans_of_a_call_stand_under_the_callers(artifact: Path) -> None:
    tracer, exporter = tracing()
    async with FakeServer(lambda call: chat(a="a secret answer")) as server:
        p = load(artifact, api_base=server.url, on_call=call_spans(tracer))
        with tracer.start_as_current_span("request") as request:
            await p.acall(text="a secret question")
        await p.acall(text="on its own")
    first, second = p.history()
    chat_span, predict, run, asked, *alone = exporter.get_finished_spans()
    assert [span.name for span in (chat_span, predict, run)] == ["chat x", "predict module", "run echo"]
    assert asked.name == "request"
    assert parent(run) == request.get_span_context().span_id
    assert parent(predict) == run.context.span_id
    assert parent(chat_span) == predict.context.span_id
    assert parent(alone[-1]) is None
    assert dict(run.attributes or {}) == {"dspec.call_id": first.id}
    assert dict(alone[-1].attributes or {}) == {"dspec.call_id": second.id}
    assert run.status.status_code is StatusCode.UNSET
    assert run.start_time == round(first.began * 1e9)
    assert run.end_time == run.start_time + round(first.seconds * 1e9)
    [made] = first.trace[0].calls
    told = dict(chat_span.attributes or {})
    assert told["gen_ai.operation.name"] == "chat"
    assert told["gen_ai.provider.name"] == "hosted_vllm"
    assert told["gen_ai.request.model"] == "x"
    assert told["gen_ai.usage.input_tokens"] == made.input_tokens > 0
    assert told["gen_ai.usage.output_tokens"] == made.output_tokens > 0
    assert "secret" not in json.dumps([json.loads(span.to_json()) for span in exporter.get_finished_spans()])


async def test_a_call_that_failed_has_its_error(artifact: Path) -> None:
    tracer, exporter = tracing()
    async with FakeServer(lambda call: chat(a="x"), faults=["500"]) as server:
        p = load(artifact, api_base=server.url, on_call=call_spans(tracer))
        with pytest.raises(ProviderError) as caught:
            await p.acall(text="q")
    kind = type(caught.value).__name__
    run = exporter.get_finished_spans()[-1]
    assert run.name == "run echo"
    assert (run.attributes or {})["error.type"] == kind
    assert (run.status.status_code, run.status.description) == (StatusCode.ERROR, kind)


def test_without_opentelemetry_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "opentelemetry.trace", None)
    with pytest.raises(ConfigurationError, match="not installed") as caught:
        call_spans()
    assert "dspc[otel]" in caught.value.help
