"""A compile as a run of MLflow, when asked for (`--mlflow`; the extra `mlflow`): what went in, what came out, and the artifact.

Where runs go is what MLflow's own variables say (`MLFLOW_TRACKING_URI`, `MLFLOW_EXPERIMENT_NAME` and those of its
credentials). A run holds names, options and numbers; prompts, rows and answers stand in the artifact's file alone, and keys
and addresses of models in nothing of it. Only MLflow's client is used, which adds nothing about the machine or its user.
A compile that an error ends is a run that failed. Whatever goes wrong here is said and changes nothing else: the artifact is
written by then.
"""

from __future__ import annotations

import importlib
import json
import logging
import os
import re
import time
import warnings
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal

from msgspec import Struct

from dspec.runtime.artifact.artifact import StepRecord
from dspec.runtime.errors import ConfigurationError
from dspec.runtime.models.calls import Tally
from dspec.runtime.schema.types import JsonValue

from ..pipeline import Compiled, Job
from ..prepared import Prepared, Resolved
from ..provenance import models_of, recipe, step_record, toolchain

EXPERIMENT = "dspec"
"""Where runs go if `MLFLOW_EXPERIMENT_NAME` names no other experiment."""
_SETTINGS = {
    "MLFLOW_DISABLE_TELEMETRY": "true",  # it would tell its makers
    "MLFLOW_LOGGING_LEVEL": "ERROR",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",  # where results are written, as JSON perhaps
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "10",  # of 120 s, eight times over: a server that is away would be waited for
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
    "MLFLOW_HTTP_RESPECT_RETRY_AFTER_HEADER": "false",
    "MLFLOW_ALLOW_FILE_STORE": "true",  # whoever names a folder means it
}
"""Variables of MLflow as they are meant here, where the environment does not set them."""
_LONGEST = 500
"""Characters of a parameter that every server takes."""
_MOST_PARAMS, _MOST_METRICS = 100, 1000
"""What one request may hold (MLflow's REST API, `runs/log-batch`)."""


class TrackedRun(Struct, frozen=True):
    """One compile of a block. A metric has a name, a value and its place in its series, from 0."""

    name: str
    params: dict[str, str]
    metrics: list[tuple[str, float, int]]
    tags: dict[str, str]
    artifact: Path | None
    status: Literal["FINISHED", "FAILED"] = "FINISHED"


def tracked(prepared: Prepared, result: Compiled, file: str) -> TrackedRun:
    """The run of a compile of `file`, whose rows are still there. Scores are in 0..1."""
    built = result.built
    provenance = built.artifact.provenance
    metric = next((score.metric for score in built.artifact.scores.values()), "")
    params = _params(
        provenance.seeds.get("optimize"),
        prepared.resolved(result.job.name),
        built.plan.scoring,
        metric,
        provenance.models,
        provenance.steps,
    )
    tags = _tags(result.job.name, file, provenance.source, built.status)
    return TrackedRun(result.job.name, params, list(_metrics(result)), tags, result.kept.place)


def failed(prepared: Prepared, job: Job, error: Exception, tally: Tally, file: str) -> TrackedRun:
    """The run of a compile that an error has ended: what it was made from, and how many calls it had made."""
    resolved = prepared.resolved(job.name)
    told = recipe(resolved)
    params = _params(
        told["seeds"]["optimize"],
        resolved,
        job.plan.scoring,
        resolved.metric.name,
        models_of(prepared.project, resolved, resolved.student),
        [step_record(step) for step in resolved.optimize.steps],
    )
    # What an error says may quote an answer.
    tags = _tags(job.name, file, told["source"], "failed") | {"dspec.error": type(error).__name__}
    return TrackedRun(job.name, params, [("calls/made", tally.calls, 0)], tags, None, "FAILED")


def _params(
    seed: int | None,
    resolved: Resolved,
    scoring: str,
    metric: str,
    models: Mapping[str, str],
    steps: Sequence[StepRecord],
) -> dict[str, str]:
    params: dict[str, str] = {
        "seed": _text(seed),
        "rows/train": str(len(resolved.train)),
        "rows/val": str(len(resolved.val)),
        "scoring": scoring,
        **({"metric": metric} if metric else {}),
        **{f"model/{name}": _text(model) for name, model in models.items()},
    }
    for step in steps:
        params[f"step/{step.name}/optimizer"] = step.optimizer
        params |= {f"step/{step.name}/{option}": _text(value) for option, value in step.options.items()}
    return params


def _tags(block: str, file: str, source: str, status: str) -> dict[str, str]:
    return {
        "dspec.block": block,
        "dspec.file": file,
        "dspec.source_sha256": source,
        "dspec.version": toolchain(),
        "dspec.status": status,
    }


def _metrics(result: Compiled) -> Iterator[tuple[str, float, int]]:
    built, spent, tally = result.built, result.spent, result.tally
    role = next(iter(built.artifact.scores), "val")
    if built.baseline is not None:
        yield "score/baseline", built.baseline.score, 0
    if built.final is not None:
        yield f"score/{role}", built.final.score, 0
    if (left := built.without_luck) is not None:
        yield "score/without_luck", left, 0
    for evaluation in result.evals:
        yield f"eval/{evaluation.name}/score", evaluation.score.score, 0
        if evaluation.baseline_score is not None:
            yield f"eval/{evaluation.name}/baseline", evaluation.baseline_score.score, 0
    for step in built.steps:
        # The best last: of a series, MLflow shows and compares the end.
        for place, candidate in enumerate(reversed(step.result.candidates)):
            yield f"candidates/{step.name}", candidate.score, place
    yield "calls/needed", spent.calls, 0
    yield "calls/made", tally.calls, 0
    yield "tokens/input", spent.total.input_tokens, 0
    yield "tokens/output", spent.total.output_tokens, 0
    if (usd := spent.total.known_usd) is not None:
        yield "usd", usd, 0


def require_mlflow() -> None:
    """Raises ConfigurationError where MLflow is not installed; does not import it."""
    if find_spec("mlflow") is None:
        raise ConfigurationError(
            "--mlflow needs MLflow, which is not installed", help='pip install "dspc[mlflow]"'
        )


def log_runs(runs: Sequence[TrackedRun], say: Callable[[str], None]) -> None:
    """Logs them, in order, and tells `say` in one line each where they are; where the store fails, that once. Never raises
    for what MLflow, its store or its server does."""
    with _settings(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            client: Any = importlib.import_module("mlflow.tracking").MlflowClient()
            experiment = _experiment(client)
            for run in runs:
                say(_log(client, experiment, run))
        except Exception as error:  # noqa: BLE001  MLflow lets through what requests, SQLAlchemy and cloud libraries raise
            say(
                f"MLflow took no run: {_told(error)}; the compile is not touched by that. MLFLOW_TRACKING_URI says where runs go"
            )


def _experiment(client: Any) -> str:
    name = os.environ.get("MLFLOW_EXPERIMENT_NAME") or EXPERIMENT
    found = client.get_experiment_by_name(name)
    return client.create_experiment(name) if found is None else found.experiment_id


def _log(client: Any, experiment: str, run: TrackedRun) -> str:
    """Where the run is, for a person to read."""
    entities = importlib.import_module("mlflow.entities")
    begun = client.create_run(experiment, run_name=run.name, tags=run.tags).info.run_id
    now = time.time_ns() // 1_000_000
    params = [entities.Param(name, value) for name, value in run.params.items()]
    metrics = [entities.Metric(name, value, now, place) for name, value, place in run.metrics]
    for start in range(0, len(params), _MOST_PARAMS):
        client.log_batch(begun, params=params[start : start + _MOST_PARAMS])
    for start in range(0, len(metrics), _MOST_METRICS):
        client.log_batch(begun, metrics=metrics[start : start + _MOST_METRICS])
    without = ""
    if run.artifact is not None:
        try:
            client.log_artifact(begun, str(run.artifact))
        except Exception as error:  # noqa: BLE001  files lie in another store, with libraries of its own
            without = f", without the artifact's file: {_told(error)}"
    client.set_terminated(begun, run.status)
    return f"MLflow: {run.name} is run {begun}{without}"


@contextmanager
def _settings() -> Generator[None]:
    """The variables, and quiet besides: `say` tells what is to be told."""
    added = {name: value for name, value in _SETTINGS.items() if name not in os.environ}
    loggers = [logging.getLogger(name) for name in ("mlflow", "alembic", "urllib3")]
    levels = [one.level for one in loggers]
    os.environ.update(added)
    for one in loggers:
        one.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        for one, level in zip(loggers, levels, strict=True):
            one.setLevel(level)
        for name in added:
            os.environ.pop(name, None)


def _told(error: Exception) -> str:
    """The first line, without the user and password of an address in it."""
    line = next(iter(str(error).strip().splitlines()), "") or type(error).__name__
    return _cut(re.sub(r"(?<=//)[^/\s@]*@", "", line), 200)


def _text(value: JsonValue) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return _cut(text, _LONGEST)


def _cut(text: str, longest: int) -> str:
    return text if len(text) <= longest else f"{text[: longest - 1]}…"
