"""`TwoHop` of `examples/questions`, compiled here as it comes and by DSPy: held-out score and calls of the compile.

    DSPEC_BENCH_PEERS=…/python python bench/hops.py [--seeds 20] [--step mipro|search]

The step is MIPROv2 light or RandomSearch, with the defaults of each side. Both have the same rows, searches and model: a
policy on loopback that asks for the right passage, and reads the answer off the passages, more often when a prompt has a good
hint or fitting demos (`tests/support/searching.py`). A seed is a model of its own and the optimizer's seed. What is compiled is
scored on the 46 held-out questions with ten further models of the kind, too: with its own alone a score is off by 7 points. The
example's two `suggest` are left out, which DSPy does not have. `DSPEC_BENCH_PEERS` names a Python that has DSPy, which
`tests/differential/environment.py` makes; without it only this project's figures are made. DSPy keeps its own cache on.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import math
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any, NamedTuple

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "tests" / "support"))
import agents_beside as beside  # noqa: E402
import searching  # noqa: E402

from dspec import load  # noqa: E402
from dspec.compiler.check.analysis import analyse  # noqa: E402
from dspec.compiler.compile.prepared import Prepared  # noqa: E402
from dspec.compiler.data.needs import compile_needs, eval_needs  # noqa: E402

MODELS = 10
"""Further models of the kind with which a result is scored."""
STEPS = {"mipro": 'MIPROv2(auto = "light")', "search": "BootstrapFewShotWithRandomSearch()"}


class Figures(NamedTuple):
    """Scores from 0 to 100 on held-out rows: before and after the compile, and after it in the mean of further models; and the
    calls that the compile made."""

    before: float
    after: float
    further: float
    calls: int


def project(folder: Path, model: str, seed: int, step: str) -> Path:
    """The example on that model, with that step."""
    shutil.copytree(searching.QUESTIONS / "data", folder / "data")
    (folder / "dspec.toml").touch()
    common = (searching.QUESTIONS / "common.dspec").read_text(encoding="utf-8")
    learner = 'lm learner { model = "embedded/icl"; default = true }'
    assert learner in common
    given = (
        f'lm learner {{ model = "openai/{model}"; api_base = env("{beside.URL}"); api_key = env("{beside.KEY}"); '
        "temperature = 0.0; max_tokens = 1000; default = true }"
    )
    (folder / "common.dspec").write_text(common.replace(learner, given), encoding="utf-8")
    source = (searching.QUESTIONS / "two_hop.dspec").read_text(encoding="utf-8")
    source = re.sub(r"^  suggest .*\n", "", source, flags=re.MULTILINE)
    source, steps = re.subn(r"^  step .*$", f"  step tuned = {STEPS[step]}", source, flags=re.MULTILINE)
    source, seeds = re.subn(r"^  seed = 9$", f"  seed = {seed}", source, flags=re.MULTILINE)
    assert steps == seeds == 1
    path = folder / "two_hop.dspec"
    path.write_text(source, encoding="utf-8")
    return path


def further(model: str) -> list[str]:
    side, salt, every = model.split(".")
    return [f"{side}.{salt}x{number}.{every}" for number in range(MODELS)]


async def scored(artifact: Path, test: list[dict[str, Any]], url: str, model: str) -> float:
    program = load(artifact, lm=f"openai/{model}", api_base=url, api_key="none", root=artifact.parents[1])
    answers = await asyncio.gather(*(program.acall(question=row["question"]) for row in test))
    return 100 * statistics.fmean(row["answer"] == one.answer for row, one in zip(test, answers, strict=True))


def ours(path: Path, url: str, model: str, test: list[dict[str, Any]]) -> Figures:
    before = beside.stats(url)["requests"]
    beside.dspc(path.parent, url, "compile", path.name, "--no-evals", "--json")
    calls = beside.stats(url)["requests"] - before
    told = json.loads(beside.dspc(path.parent, url, "eval", path.name, "two_hop_held_out", "--json"))
    (on_held_out,) = told["evals"]
    (artifact,) = (path.parent / "compiled").glob("*.json")
    elsewhere = [asyncio.run(scored(artifact, test, url, one)) for one in further(model)]
    return Figures(
        100 * on_held_out["baseline"]["score"], 100 * on_held_out["score"], statistics.fmean(elsewhere), calls
    )


def parts(path: Path) -> dict[str, list[dict[str, Any]]]:
    """Rows of train, val and held out."""
    made = analyse(path).project
    assert made is not None
    prepared = Prepared(made, path.parent, compile_needs(made, made.optimizes) | eval_needs(made, made.evals))
    block, held_out = made.optimizes["two_hop_v1"], made.evals["two_hop_held_out"]
    assert block.val is not None
    refs = {"train": block.train, "val": block.val, "test": held_out.data}
    return {part: beside.plain(prepared.rows(ref)) for part, ref in refs.items()}


def theirs(
    python: Path,
    path: Path,
    url: str,
    model: str,
    rows: dict[str, list[dict[str, Any]]],
    seed: int,
    step: str,
) -> Figures:
    folder = path.parent
    case = {
        "url": url,
        "model": model,
        "further": further(model),
        "seed": seed,
        "step": step,
        "searches": searching.searches(),
        **rows,
    }
    (folder / "case.json").write_text(json.dumps(case), encoding="utf-8")
    quiet = {"PATH": os.environ.get("PATH", ""), "HOME": str(folder), "DSPY_CACHEDIR": str(folder / "cache")}
    quiet |= {"LITELLM_LOCAL_MODEL_COST_MAP": "True", "NO_PROXY": "*"}
    done = subprocess.run(
        [str(python), str(HERE / "contenders" / "hops.py"), "case.json", "result.json"],
        env=quiet,
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    told = json.loads((folder / "result.json").read_text(encoding="utf-8"))
    return Figures(*told["test"], told["further"], told["calls"])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--step", choices=tuple(STEPS), default="mipro")
    flags = parser.parse_args()
    peers = os.environ.get("DSPEC_BENCH_PEERS")
    found: dict[str, list[Figures]] = {"ours": [], "DSPy": []}
    print(
        "| seed | side | before | after | further models | calls |\n| ---: | --- | ---: | ---: | ---: | ---: |"
    )
    for seed in range(1, flags.seeds + 1):
        for side in ("ours", "DSPy") if peers else ("ours",):
            with beside.served() as url, tempfile.TemporaryDirectory() as folder:
                model = f"{side.lower()}.s{seed}.0"
                path = project(Path(folder) / "example", model, seed, flags.step)
                rows = parts(path)
                one = (
                    ours(path, url, model, rows["test"])
                    if side == "ours"
                    else theirs(Path(peers or ""), path, url, model, rows, seed, flags.step)
                )
            found[side].append(one)
            scores = f"{one.before:.1f} | {one.after:.1f} | {one.further:.1f}"
            print(f"| {seed} | {side} | {scores} | {one.calls:,} |", flush=True)
    if peers:
        share = sum(one.calls for one in found["ours"]) / sum(one.calls for one in found["DSPy"])
        print(f"\nours − DSPy, {share:.1%} of the calls:")
        for what in ("after", "further"):
            gaps = [getattr(a, what) - getattr(b, what) for a, b in zip(*found.values(), strict=True)]
            error = statistics.stdev(gaps) / math.sqrt(len(gaps)) if len(gaps) > 1 else 0.0
            print(f"  {what}: {statistics.fmean(gaps):+.1f} ± {error:.1f} points")


if __name__ == "__main__":
    main()
