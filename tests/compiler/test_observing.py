"""Who listens to a compile: the log, the spans; and the project's `.env`."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import pytest
import typer
from dspc import dspc
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import StatusCode
from server import beside

from dspec.compiler.cli.dotenv import fill_environment, parse
from dspec.compiler.cli.observing import observing
from dspec.compiler.evaluate.counts import Calls, Range
from dspec.compiler.evaluate.eventlog import Observer, both, calls, event_log
from dspec.compiler.evaluate.events import Event, RowScored, StepFinished, StepStarted
from dspec.compiler.evaluate.spans import spans
from dspec.runtime.errors import ConfigurationError
from dspec.runtime.models.engine import CallEvent, ToolEvent
from dspec.runtime.running.spans import NAMES
from dspec.runtime.schema.program import LM
from dspec.runtime.schema.usage import Usage

ANSWERED = CallEvent("answered", "mini", "openai/gpt-x", 2, 0.5, Usage(7, 3), 0.25)
SEARCHED = ToolEvent("search", 0.25, failed=False)


def test_every_event_is_a_line_of_json(tmp_path: Path) -> None:
    path = tmp_path / "events.ndjson"
    seen: list[Event] = []
    with event_log(path, now=lambda: 1.5) as observe:
        both(seen.append, [observe])(RowScored("final", 1, 2, 0.5))
        tell = calls([observe])
        assert tell is not None
        tell(ANSWERED)
        tell(SEARCHED)
    with event_log(path, now=lambda: 2.5) as observe:
        observe(StepFinished("s", 4, ("a note",)))
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    assert [line["event"] for line in lines] == [
        "row_scored",
        "call_answered",
        "tool_called",
        "step_finished",
    ]
    assert lines[0] == {
        "time": "1970-01-01T00:00:01.500+00:00",
        "event": "row_scored",
        "label": "final",
        "done": 1,
        "rows": 2,
        "score": 0.5,
    }
    assert lines[1]["usage"] == {"input_tokens": 7, "output_tokens": 3, "estimated": False}
    assert lines[2] == {
        "time": "1970-01-01T00:00:01.500+00:00",
        "event": "tool_called",
        "tool": "search",
        "seconds": 0.25,
        "failed": False,
    }
    assert seen == [RowScored("final", 1, 2, 0.5)]


def test_where_nobody_listens_nothing_is_told() -> None:
    report = both(print, [])
    assert report is print
    assert calls([]) is None


def test_a_log_that_cannot_be_opened_is_said_and_one_that_fills_up_is_given_up(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="cannot be written"), event_log(tmp_path / "no" / "x"):
        pass
    full = Path("/dev/full")
    if full.exists():
        with event_log(full) as observe:
            for _ in range(3):
                observe(ANSWERED)


@contextmanager
def exported() -> Generator[tuple[Observer, InMemorySpanExporter]]:
    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    with spans(provider.get_tracer("dspec"), now=lambda: 10_000_000_000) as observe:
        yield observe, exporter


STARTED = StepStarted("demos", "BootstrapFewShot", 1, 1, Calls(Range(0, 1), Range(0, 1)))


def test_steps_and_calls_become_spans() -> None:
    with exported() as (observe, exporter):
        observe(STARTED)
        observe(ANSWERED)
        observe(CallEvent("failed", "mini", "openai/gpt-x", 5, error="429"))
        observe(CallEvent("started", "mini", "openai/gpt-x", 1))
        observe(StepFinished("demos", 9))
    answered, failed, step = exporter.get_finished_spans()
    assert (answered.name, answered.start_time, answered.end_time) == (
        "chat gpt-x",
        9_500_000_000,
        10_000_000_000,
    )
    assert answered.attributes is not None
    assert answered.attributes["gen_ai.provider.name"] == "openai"
    assert answered.attributes["gen_ai.usage.input_tokens"] == 7
    assert failed.attributes is not None
    assert failed.attributes["error.type"] == "failed"
    assert step.name == "step demos"
    assert step.attributes is not None
    assert step.attributes[NAMES["calls"]] == 9
    assert answered.parent is not None
    assert answered.parent.span_id == step.context.span_id
    assert step.status.is_unset


def test_calls_of_tools_become_spans_within_their_step() -> None:
    with exported() as (observe, exporter):
        observe(STARTED)
        observe(SEARCHED)
        observe(ToolEvent("fetch", 1.0, failed=True))
        observe(StepFinished("demos", 9))
    searched, failed, step = exporter.get_finished_spans()
    assert (searched.name, searched.start_time, searched.end_time) == (
        "execute_tool search",
        9_750_000_000,
        10_000_000_000,
    )
    assert searched.attributes == {"gen_ai.operation.name": "execute_tool", "gen_ai.tool.name": "search"}
    assert searched.status.is_unset
    assert searched.parent is not None
    assert searched.parent.span_id == step.context.span_id
    assert failed.status.status_code is StatusCode.ERROR
    assert failed.attributes is not None
    assert failed.attributes["error.type"] == "failed"


def test_a_halted_step_ends_with_the_status_of_an_error() -> None:
    with exported() as (observe, exporter):
        observe(STARTED)
        observe(StepFinished("demos", 9, halt="the budget is spent"))
        (step,) = exporter.get_finished_spans()
    assert (step.status.status_code, step.status.description) == (StatusCode.ERROR, "the budget is spent")
    assert step.attributes is not None
    assert step.attributes[NAMES["calls"]] == 9


@pytest.mark.parametrize("error", [ConfigurationError("the key sk-1 is wrong"), KeyboardInterrupt()])
def test_a_failed_step_ends_with_what_failed_and_without_its_words(error: BaseException) -> None:
    def fail() -> None:
        observe(STARTED)
        raise error

    with pytest.raises(type(error)), exported() as (observe, exporter):
        fail()
    (step,) = exporter.get_finished_spans()
    assert (step.status.status_code, step.status.description) == (StatusCode.ERROR, type(error).__name__)


def test_without_opentelemetry_the_wish_is_refused_with_what_to_install(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "opentelemetry.trace", None)
    with pytest.raises(ConfigurationError, match="not installed") as caught, spans():
        pass
    assert "pip install" in caught.value.help


def test_env_files_are_read_plainly() -> None:
    text = "# no\nA=1\nexport B = 'two # 2' # note\nC=three # note\nD=\"x\ny\nbad line\nE=$A\nF=\n"
    assert parse(text) == {"A": "1", "B": "two # 2", "C": "three", "D": "x", "E": "$A", "F": ""}


def test_env_files_fill_in_what_models_ask_for_and_nothing_else(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text(
        "OPENAI_API_KEY=from file\nOPENAI_BASE_URL=http://elsewhere\nPATH=/evil\nMINE=k\nWHERE=http://w\n"
        "LOOSE=http://loose\n"
    )
    lms = [
        LM(name="a", model="openai/gpt-x"),
        LM(name="b", model="openai/x", api_key_env="MINE", api_base_env="WHERE"),
        LM(name="c", model="openai/x", api_base_env="LOOSE"),
    ]
    environ = {"MINE": "already"}
    assert fill_environment(tmp_path, lms, environ) == ("OPENAI_API_KEY", "WHERE")
    assert environ == {"MINE": "already", "OPENAI_API_KEY": "from file", "WHERE": "http://w"}
    assert fill_environment(tmp_path / "none", lms, {}) == ()


def test_run_and_eval_read_the_env_file_as_compile_does(tmp_path: Path) -> None:
    (tmp_path / "dspec.toml").write_text("")
    (tmp_path / ".env").write_text("CASE_KEY=sk-from-file\n")
    (tmp_path / "rows.jsonl").write_text(
        "".join(json.dumps({"text": f"t{i}", "a": "x"}) + "\n" for i in range(6))
    )
    with beside("--answer", "[[ ## a ## ]]\nx", "--key", "sk-from-file") as url:
        (tmp_path / "main.dspec").write_text(
            f"""dspec 1

lm m {{ model = "openai/m"; api_base = "{url}"; api_key = env("CASE_KEY"); retry = 0; default = true }}
module f = Predict(sig(text -> a: str))
dataset d {{ source = jsonl("rows.jsonl"); input text: str; field a: str; split {{ train = 50%; val = 50% }} }}
metric ok(gold: d, pred: f) = gold.a == pred.a
optimize best {{ program = f; metric = ok; train = d.train; val = d.val; step s = LabeledFewShot(k = 1) }}
eval e {{ program = best; metric = ok; data = d.val }}
"""
        )
        assert dspc("compile", "main.dspec", cwd=tmp_path).code == 0
        shutil.rmtree(tmp_path / ".dspec")
        artifact = Path("compiled") / "best.dspc.json"
        ran = dspc("run", artifact, "-i", "text=t", "--api-base", url, cwd=tmp_path)
        assert (ran.code, ran.out) == (0, "a: x\n")
        ran = dspc("run", "main.dspec", "f", "-i", "text=t", cwd=tmp_path)
        assert (ran.code, ran.out) == (0, "a: x\n")
        assert dspc("eval", "main.dspec", cwd=tmp_path).code == 0


def test_a_log_that_cannot_be_written_is_wrong_usage(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(typer.Exit) as left, observing(tmp_path / "no" / "x", otel=False):
        pass
    assert left.value.exit_code == 2
    assert "choose another file for --events" in " ".join(capsys.readouterr().err.split())
