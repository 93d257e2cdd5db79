"""The agent of `examples/questions`, compiled with MIPROv2 light here and by DSPy: held-out score and calls.

    DSPEC_BENCH_PEERS=…/python python bench/agents.py [--seeds 5] [--json FILE]

Both sides have the same rows, the same searches and the same model: a policy on loopback that takes the right step more
often when the prompt has a good hint or fitting demos (`tests/support/searching.py`). A seed is a model of its own and the
optimizers' seed. `DSPEC_BENCH_PEERS` names a Python that has DSPy, which `tests/differential/environment.py` makes; without
it only this project's figures are made. DSPy keeps its own cache on. Calls are what came to the server: the compile, and the
held-out rows before and after it.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "tests" / "support"))
import agents_beside as beside  # noqa: E402


@dataclass(frozen=True)
class Figures:
    """Scores from 0 to 100 on held-out rows, before and after; `val` is the score by which the program was chosen."""

    side: str
    seed: int
    before: float
    after: float
    val: float
    calls: int
    seconds: float


def of_ours(folder: Path, url: str, seed: int, *, compat: bool) -> Figures:
    side = "ours, compat" if compat else "ours"
    every = beside.PROPOSALS if compat else 0
    path = beside.project(folder, f"ours.s{seed}.{every}", seed, compat=compat)
    before, began = beside.stats(url)["requests"], time.perf_counter()
    done = beside.ours(path, url)
    calls = beside.stats(url)["requests"] - before
    assert done.plan["least"] <= done.made["calls"]["needed"] <= done.plan["most"], "the plan bounds it"
    (scored,) = done.made["evals"]
    return Figures(
        side,
        seed,
        100 * scored["baseline"]["score"],
        100 * scored["score"],
        100 * done.made["final"]["score"],
        calls,
        time.perf_counter() - began,
    )


def of_dspy(python: Path, folder: Path, url: str, seed: int) -> Figures:
    model = f"dspy.s{seed}.0"
    path = beside.project(folder, model, seed)
    before, began = beside.stats(url)["requests"], time.perf_counter()
    made = beside.theirs(python, path, url, model, seed, test=True, cache=True, same_draws=False)
    calls = beside.stats(url)["requests"] - before
    return Figures("DSPy", seed, *made["test"], made["score"], calls, time.perf_counter() - began)


def main() -> None:
    parser = argparse.ArgumentParser(description="An agent's compile beside DSPy's.")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--json", type=Path)
    flags = parser.parse_args()
    peers = os.environ.get("DSPEC_BENCH_PEERS")
    figures: list[Figures] = []
    with beside.served() as url, tempfile.TemporaryDirectory() as folder:
        for seed in range(1, flags.seeds + 1):
            own = Path(folder) / str(seed)
            made = [of_ours(own / "ours", url, seed, compat=False)]
            made.append(of_ours(own / "compat", url, seed, compat=True))
            if peers:
                made.append(of_dspy(Path(peers), own / "dspy", url, seed))
            for one in made:
                sys.stdout.write(
                    f"seed {one.seed}  {one.side:13} {one.before:5.1f} → {one.after:5.1f} held out, "
                    f"{one.val:5.1f} on val, {one.calls:6,} calls, {one.seconds:5.1f} s\n"
                )
                sys.stdout.flush()
            figures += made
    for side in dict.fromkeys(one.side for one in figures):
        of = [one for one in figures if one.side == side]
        before, after, calls = (
            statistics.mean(getattr(one, name) for one in of) for name in ("before", "after", "calls")
        )
        sys.stdout.write(f"mean    {side:13} {before:5.1f} → {after:5.1f} held out, {calls:8,.0f} calls\n")
    if flags.json is not None:
        flags.json.write_text(json.dumps([asdict(one) for one in figures], indent=2))


if __name__ == "__main__":
    main()
