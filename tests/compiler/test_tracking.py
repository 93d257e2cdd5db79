"""`dspc compile --mlflow`: what a run of MLflow holds, and that nothing is lost where none can be logged."""

from __future__ import annotations

import importlib
import json
import os
import socket
import threading
import warnings
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from dspc import dspc

from dspec.compiler.compile.reports import tracking
from dspec.runtime.errors import ConfigurationError

needs_mlflow = pytest.mark.skipif(
    find_spec("mlflow") is None, reason='MLflow is not installed: pip install "dspc[mlflow]"'
)
SOURCE = """dspec 1

lm m { model = "embedded/icl"; default = true; headers { X_Title = "a title of ours" } }
signature Feel { "Say how the writer feels."
  input text: str
  output a: "glad" | "sad" }
module f = Predict(Feel)
dataset d { source = jsonl("rows.jsonl"); input text: str; field a: str; split { train = 15; val = 15; test = 10 } }
metric ok(gold: d, pred: f) = gold.a == pred.a
optimize best { program = f; metric = ok; train = d.train; val = d.val; seed = 7
  step s = BootstrapFewShotWithRandomSearch(num_candidate_programs = 3) }
eval e { program = best; baseline = f; metric = ok; data = d.test }
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    rows = [
        {"text": f"what a {word} day number {n}", "a": mood}
        for n in range(10)
        for word, mood in (("fine", "glad"), ("lovely", "glad"), ("bad", "sad"), ("dreadful", "sad"))
    ]
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (tmp_path / "main.dspec").write_text(SOURCE)
    (tmp_path / "dspec.toml").write_text("")
    return tmp_path


def store(uri: str, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A client of what was logged."""
    monkeypatch.setenv("MLFLOW_DISABLE_TELEMETRY", "true")
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    return importlib.import_module("mlflow.tracking").MlflowClient(tracking_uri=uri)


@needs_mlflow
@pytest.mark.parametrize("scheme", ["folder", pytest.param("sqlite", marks=pytest.mark.slow)])
def test_a_compile_is_a_run(project: Path, scheme: str, monkeypatch: pytest.MonkeyPatch) -> None:
    uri = str(project / "runs") if scheme == "folder" else f"sqlite:///{project / 'mlflow.db'}"
    done = dspc("compile", "main.dspec", "--mlflow", "--json", cwd=project, MLFLOW_TRACKING_URI=uri)
    assert done.code == 0, done.text
    told = json.loads(done.out)["compiled"][0]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of SQLAlchemy, about MLflow
        client = store(uri, monkeypatch)
        experiment = client.get_experiment_by_name("dspec")
        [run] = client.search_runs([experiment.experiment_id])
        series = client.get_metric_history(run.info.run_id, "candidates/s")
        kept = client.download_artifacts(run.info.run_id, "best.dspc.json", str(project))
    assert f"MLflow: best is run {run.info.run_id}\n" in done.err
    assert (run.info.run_name, run.info.status, run.info.user_id) == ("best", "FINISHED", "unknown")

    artifact = json.loads((project / "compiled" / "best.dspc.json").read_text())
    assert Path(kept).read_bytes() == (project / "compiled" / "best.dspc.json").read_bytes()
    assert (
        run.data.tags.items()
        >= {
            "dspec.block": "best",
            "dspec.file": "main.dspec",
            "dspec.source_sha256": artifact["provenance"]["source"],
            "dspec.version": artifact["provenance"]["toolchain"],
            "dspec.status": "complete",
        }.items()
    )
    params = run.data.params
    assert (
        params.items()
        >= {
            "seed": "7",
            "rows/train": "15",
            "rows/val": "15",
            "model/m": "embedded/icl",
            "step/s/optimizer": "BootstrapFewShotWithRandomSearch",
            "step/s/num_candidate_programs": "3",
        }.items()
    )
    [step] = artifact["provenance"]["steps"]
    assert {f"step/s/{name}" for name in step["options"]} <= params.keys()
    metrics = run.data.metrics
    assert metrics["score/baseline"] == pytest.approx(told["baseline"]["score"], abs=1e-6)
    assert metrics["score/val"] == pytest.approx(told["final"]["score"], abs=1e-6)
    assert metrics["score/without_luck"] == pytest.approx(told["final"]["corrected"], abs=1e-6)
    assert metrics["eval/e/score"] == pytest.approx(told["evals"][0]["score"])
    assert metrics["eval/e/baseline"] == pytest.approx(told["evals"][0]["baseline"]["score"])
    assert metrics["calls/needed"] == told["calls"]["needed"] > 0
    assert metrics["calls/made"] == told["calls"]["made"]
    assert metrics["tokens/input"] == told["needed"]["input_tokens"]
    assert metrics["usd"] == told["needed"]["cost_usd"]
    scores = [candidate["score"] for candidate in told["steps"][0]["candidates"]]
    assert [(one.step, one.value) for one in series] == list(enumerate(reversed(scores)))

    logged = json.dumps([params, metrics, run.data.tags])
    assert "a title of ours" not in logged
    assert "writer" not in logged
    assert "number 1" not in logged
    assert str(project) not in logged


@needs_mlflow
def test_a_compile_that_an_error_ends_is_a_run_that_failed(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.socket() as taken:  # bound and not listening: nobody else gets the port, nobody answers
        taken.bind(("127.0.0.1", 0))
        away = f'model = "openai/away"; api_base = "http://127.0.0.1:{taken.getsockname()[1]}/v1"; retry = 0'
        source = SOURCE.replace(
            "optimize best", f"lm gone {{ {away} }}\nmodule g = Predict(Feel, lm = gone)\noptimize best"
        )
        second = source[source.index("optimize best") : source.index("eval e")]
        second = second.replace("optimize best", "optimize last").replace("program = f", "program = g")
        second = second.replace("metric = ok", "metric = well")
        metric = "metric well(gold: d, pred: g) = gold.a == pred.a\n"
        (project / "main.dspec").write_text(source + metric + second)
        done = dspc(
            "compile", "main.dspec", "--mlflow", cwd=project, MLFLOW_TRACKING_URI=str(project / "runs")
        )
    assert done.code == 4, done.text
    client = store(str(project / "runs"), monkeypatch)
    experiment = client.get_experiment_by_name("dspec").experiment_id
    runs = {run.info.run_name: run for run in client.search_runs([experiment])}
    assert {name: run.info.status for name, run in runs.items()} == {"best": "FINISHED", "last": "FAILED"}
    params, finished = runs["last"].data.params, runs["best"].data.params
    changed = {name for name in {*params, *finished} if params.get(name) != finished.get(name)}
    assert changed == {"metric", "model/m", "model/gone"}
    tags = runs["last"].data.tags
    assert (tags["dspec.status"], tags["dspec.error"]) == ("failed", "Unavailable")
    assert tags["dspec.version"] == runs["best"].data.tags["dspec.version"]
    assert runs["last"].data.metrics == {"calls/made": 0}
    assert "127.0.0.1" not in json.dumps([params, tags])


class Listening(BaseHTTPRequestHandler):
    """As much of MLflow's REST API as a run takes."""

    asked: list[tuple[str, str, str]]

    def do_GET(self) -> None:
        length = int(self.headers.get("Content-Length", 0))
        body = self.rfile.read(length).decode()
        path = self.path.partition("?")[0].removeprefix("/api/2.0/")
        self.asked.append((path, body, self.headers.get("Authorization", "")))
        info = {
            "run_id": "r1",
            "experiment_id": "1",
            "status": "RUNNING",
            "artifact_uri": "mlflow-artifacts:/1/r1/artifacts",
        }
        answers = {
            "mlflow/runs/create": {"run": {"info": info, "data": {}}},
            "mlflow/runs/get": {"run": {"info": info, "data": {}}},
            "mlflow/runs/update": {"run_info": info},
            "mlflow/experiments/create": {"experiment_id": "1"},
        }
        unknown = path == "mlflow/experiments/get-by-name"
        answer = {"error_code": "RESOURCE_DOES_NOT_EXIST"} if unknown else answers.get(path, {})
        self.send_response(404 if unknown else 200)
        self.end_headers()
        self.wfile.write(json.dumps(answer).encode())

    do_POST = do_PUT = do_GET  # noqa: N815

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        pass


@needs_mlflow
def test_a_server_gets_the_run_and_standard_output_stays_json(project: Path) -> None:
    Listening.asked = []
    with ThreadingHTTPServer(("127.0.0.1", 0), Listening) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            done = dspc(
                "compile",
                "main.dspec",
                "--mlflow",
                "--json",
                cwd=project,
                MLFLOW_TRACKING_URI=f"http://127.0.0.1:{server.server_port}",
                MLFLOW_EXPERIMENT_NAME="ours",
                MLFLOW_TRACKING_TOKEN="a-token",
            )
        finally:
            server.shutdown()
            thread.join()
    assert done.code == 0, done.text
    assert json.loads(done.out)["version"] == 1
    assert "MLflow: best is run r1\n" in done.err
    bodies = {path: body for path, body, _ in Listening.asked}
    assert {token for _, _, token in Listening.asked} == {"Bearer a-token"}
    assert json.loads(bodies["mlflow/experiments/create"])["name"] == "ours"
    assert json.loads(bodies["mlflow/runs/update"])["status"] == "FINISHED"
    file = bodies.pop("mlflow-artifacts/artifacts/1/r1/artifacts/best.dspc.json")
    assert file == (project / "compiled" / "best.dspc.json").read_text()
    assert not any("writer" in body or "number 1" in body or "a title" in body for body in bodies.values())


@needs_mlflow
def test_a_server_that_is_away_is_said_once_and_costs_nothing_else(project: Path) -> None:
    with socket.socket() as taken:  # bound and not listening: nobody else gets the port, nobody answers
        taken.bind(("127.0.0.1", 0))
        where = f"127.0.0.1:{taken.getsockname()[1]}"
        plain = dspc("compile", "main.dspec", cwd=project)
        first = (project / "compiled" / "best.dspc.json").read_bytes()
        done = dspc(
            "compile", "main.dspec", "--mlflow", cwd=project, MLFLOW_TRACKING_URI=f"http://me:hush@{where}"
        )
    assert (plain.code, done.code) == (0, 0), done.text
    assert (project / "compiled" / "best.dspc.json").read_bytes() == first
    [line] = [line for line in done.err.splitlines() if line not in plain.err.splitlines()]
    assert line.startswith("MLflow took no run: ")
    assert where.rpartition(":")[2] in line
    assert "MLFLOW_TRACKING_URI says where runs go" in line
    assert "hush" not in done.text


@needs_mlflow
def test_a_run_whose_file_cannot_be_stored_is_a_run_all_the_same(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", str(project / "runs"))
    gone = tracking.TrackedRun(
        "b", {"seed": "1"}, [("score/val", 0.5, 0)], {"dspec.block": "b"}, project / "no"
    )
    many = tracking.TrackedRun(
        "c", {f"p{n}": "1" for n in range(250)}, [("m", n, n) for n in range(2100)], {}, None
    )
    said: list[str] = []
    before = {name for name in os.environ if name.startswith("MLFLOW")}
    tracking.log_runs([gone, many], said.append)
    assert {name for name in os.environ if name.startswith("MLFLOW")} == before
    assert ", without the artifact's file: " in said[0]
    assert len(said) == 2
    client = store(str(project / "runs"), monkeypatch)
    second, first = client.search_runs([client.get_experiment_by_name("dspec").experiment_id])
    assert (first.data.metrics["score/val"], first.info.status) == (0.5, "FINISHED")
    assert (len(second.data.params), second.data.metrics["m"]) == (250, 2099)


def test_without_mlflow_the_wish_is_refused_with_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tracking, "find_spec", lambda name: None)  # pyright: ignore[reportUnknownLambdaType]
    with pytest.raises(ConfigurationError, match="not installed") as caught:
        tracking.require_mlflow()
    assert caught.value.help == 'pip install "dspc[mlflow]"'
