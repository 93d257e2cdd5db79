"""`examples/questions/agent.dspec` on the scripted model, and DSPy beside it: what both are given, and what came of it."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))

import searching  # noqa: E402
from dspc import DSPC  # noqa: E402

from dspec.compiler.check.analysis import analyse  # noqa: E402
from dspec.compiler.compile.prepared import Prepared  # noqa: E402
from dspec.compiler.data.needs import compile_needs, eval_needs  # noqa: E402
from dspec.compiler.data.rows import Rows  # noqa: E402
from dspec.compiler.evaluate.streams import stream  # noqa: E402

URL, KEY = "SEARCHING_URL", "SEARCHING_KEY"
MAX_ITERS = 5
TIMEOUT = 280
OURS = 'lm learner { model = "embedded/icl" }'
PROPOSALS = 3
"""Instructions that DSPy's MIPROv2 asks for a predictor, with `auto = "light"`."""


@contextlib.contextmanager
def served(latency: float = 0.0) -> Iterator[str]:
    """The model in a process of its own."""
    command = [sys.executable, str(HERE / "searching.py"), str(latency)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield process.stdout.readline().strip()
        finally:
            process.kill()


def stats(url: str) -> dict[str, Any]:
    with urllib.request.urlopen(url.removesuffix("/v1") + "/stats", timeout=30) as response:
        return json.load(response)


def project(folder: Path, model: str, seed: int, *, compat: bool = False) -> Path:
    """The example on that model, with the block's seed, in a folder of its own."""
    shutil.copytree(searching.QUESTIONS / "data", folder / "data")
    source = (searching.QUESTIONS / "agent.dspec").read_text(encoding="utf-8")
    given = (
        f'lm learner {{ model = "openai/{model}"; api_base = env("{URL}"); api_key = env("{KEY}"); '
        "temperature = 0.0; max_tokens = 1000 }"
    )
    assert OURS in source
    assert "\n  seed = 9\n" in source
    source = source.replace(OURS, given)
    more = '  compat = "dspy"\n' if compat else ""
    source = source.replace("\n  seed = 9\n", f"\n  seed = {seed}\n{more}", 1)
    path = folder / "agent.dspec"
    path.write_text(source, encoding="utf-8")
    return path


def environment(url: str) -> dict[str, str]:
    return {**os.environ, URL: url, KEY: "none", "NO_COLOR": "1", "NO_PROXY": "*"}


def dspc(folder: Path, url: str, *arguments: str) -> str:
    done = subprocess.run(
        [str(DSPC), *arguments],
        cwd=folder,
        env=environment(url),
        capture_output=True,
        text=True,
        timeout=TIMEOUT,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout


@dataclass(frozen=True)
class Ours:
    plan: dict[str, Any]
    made: dict[str, Any]
    state: dict[str, Any]


def ours(path: Path, url: str) -> Ours:
    """The example planned, compiled and written as DSPy's state."""
    folder = path.parent
    plan = json.loads(dspc(folder, url, "plan", "agent.dspec", "--json"))
    (made,) = json.loads(dspc(folder, url, "compile", "agent.dspec", "--json"))["compiled"]
    state = json.loads(
        dspc(
            folder,
            url,
            "export",
            "compiled/agent_v1.dspc.json",
            "--to",
            "dspy",
            "--predictor",
            "agent.react=react",
            "--predictor",
            "agent.extract=extract.predict",
        )
    )
    return Ours(plan, made, state)


def theirs(
    python: Path, path: Path, url: str, model: str, seed: int, *, test: bool, cache: bool, same_draws: bool
) -> dict[str, Any]:
    """What DSPy makes of the same rows."""
    folder = path.parent
    analysis = analyse(path)
    made = analysis.project
    assert made is not None
    prepared = Prepared(made, folder, compile_needs(made, made.optimizes) | eval_needs(made, made.evals))
    block = made.optimizes["agent_v1"]
    assert block.val is not None
    train, val, held_out = (
        prepared.rows(ref) for ref in (block.train, block.val, made.evals["held_out"].data)
    )
    case: dict[str, Any] = {
        "url": url,
        "model": model,
        "seed": seed,
        "cache": cache,
        "searches": searching.searches(),
        "train": plain(train),
        "val": plain(val),
        "test": plain(held_out) if test else [],
    }
    if same_draws:
        case["draws"] = {row.row["question"]: drawn(seed, row.digest) for row in train}
    (folder / "case.json").write_text(json.dumps(case), encoding="utf-8")
    quiet = {"PATH": os.environ.get("PATH", ""), "HOME": str(folder), "DSPY_CACHEDIR": str(folder / "cache")}
    quiet |= {"LITELLM_LOCAL_MODEL_COST_MAP": "True", "NO_PROXY": "*"}
    done = subprocess.run(
        [str(python), str(HERE.parent / "differential" / "dspy_agent.py"), "case.json", "result.json"],
        env=quiet,
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=TIMEOUT,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads((folder / "result.json").read_text(encoding="utf-8"))


def plain(rows: Rows) -> list[dict[str, Any]]:
    return [row.row for row in rows]


def drawn(seed: int, digest: str) -> list[int]:
    """By the number of calls of `agent.react`, the one that becomes a demo of the row."""
    places: list[int] = []
    for calls in range(1, MAX_ITERS + 1):
        draws = stream(seed, "light", f"trace/agent.react/{digest}")
        places.append(calls - 1 if calls == 1 or draws.random() < 0.5 else draws.choice(range(calls - 1)))
    return places
