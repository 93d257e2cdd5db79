"""`dspc eval` beside raw aiohttp, and beside DSPy where there is one: CPU, wall, memory, calls in flight.

    python bench/eval.py [--rounds 3] [--only cpu,wall,flight,rows,memory,instructions]

Every contender is a process of its own, started cold, that reads the same rows, asks the same local server
and counts the right answers; its CPU and memory are what the kernel says of it. `DSPEC_BENCH_PEERS` names
a Python that has DSPy. Rounds are interleaved and the least of each is shown: other load can only add.
`instructions`, for which valgrind has to be there, counts what the processes execute outside the kernel: the same
on a busy machine as on an idle one.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "tests" / "support"))
from server import spawned  # noqa: E402

ANSWER = "[[ ## intent ## ]]\nbilling\n\n[[ ## completed ## ]]"
LABELS = ("billing", "refund", "shipping", "account_access")
SOURCE = """dspec 1
lm fake {{ model = "openai/fake"; api_base = "{url}"; temperature = 0.0 }}
type Intent = "billing" | "refund" | "shipping" | "account_access"
signature Route {{
  "Decide which intent a support ticket expresses."
  input text: str "what the customer wrote"
  output intent: Intent
}}
module router = Predict(Route)
dataset tickets {{ source = csv("rows.csv"); input text: str; field intent: Intent }}
metric right(gold: tickets, pred: router) {{ score = gold.intent == pred.intent }}
eval ship {{ program = router; metric = right; data = tickets }}
"""


class Cost(NamedTuple):
    cpu: float
    """Seconds, user and system."""
    wall: float
    memory: float
    """MiB at most."""
    busy: float
    """Requests at the server on average, from the first that came to the last answer."""


def project(folder: Path, url: str, rows: int) -> None:
    (folder / "main.dspec").write_text(SOURCE.format(url=url))
    lines = [
        f'"Message {i}: I was charged twice on my invoice this month and would like to know what happened",'
        f"{LABELS[i % 4]}"
        for i in range(rows)
    ]
    (folder / "rows.csv").write_text("text,intent\n" + "\n".join(lines) + "\n")


def measured(command: list[str], folder: Path, url: str) -> Cost:
    environment = {**os.environ, "OPENAI_API_KEY": "none", "NO_COLOR": "1"}
    # an installed package has its bytecode
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    before = stats(url)
    wall = time.perf_counter()
    process = subprocess.Popen(
        command, cwd=folder, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    )
    assert process.stderr is not None
    said = process.stderr.read()
    _, status, usage = os.wait4(process.pid, 0)
    wall = time.perf_counter() - wall
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        sys.exit(f"{' '.join(command)} failed:\n{said[-2000:]}")
    after = stats(url)
    busy = (after["busy"] - before["busy"]) / after["serving"] if after["serving"] else 0.0
    return Cost(usage.ru_utime + usage.ru_stime, wall, usage.ru_maxrss / 1024, busy)


def stats(url: str) -> dict[str, float]:
    with urllib.request.urlopen(url.removesuffix("/v1") + "/stats") as response:
        return json.load(response)


def contenders(width: int) -> dict[str, list[str]]:
    found = {
        "raw aiohttp": [
            sys.executable,
            str(HERE / "contenders" / "ask.py"),
            "aiohttp",
            "rows.csv",
            str(width),
        ],
        "dspc eval": [str(Path(sys.executable).parent / "dspc"), "eval", "main.dspec", "-j", str(width)],
    }
    if peers := os.environ.get("DSPEC_BENCH_PEERS"):
        found["DSPy"] = [peers, str(HERE / "contenders" / "ask.py"), "dspy", "rows.csv", str(width)]
    return found


def best(
    rows: int, width: int, latency: float, rounds: int, names: set[str] | None = None
) -> dict[str, Cost]:
    """The least of each figure (of `busy` the most), over some rounds."""
    costs: dict[str, list[Cost]] = {}
    for _ in range(rounds):
        for name, command in contenders(width).items():
            if names is not None and name not in names:
                continue
            flags = ("--latency", str(latency), "--answer", ANSWER)
            with tempfile.TemporaryDirectory() as folder, spawned(*flags) as url:
                project(Path(folder), url, rows)
                # a folder of its own: nothing is known of these rows
                given = command if name == "dspc eval" else [*command, url]
                costs.setdefault(name, []).append(measured(given, Path(folder), url))
    return {
        name: Cost(*(min(each) for each in list(zip(*runs, strict=True))[:3]), max(run.busy for run in runs))
        for name, runs in costs.items()
    }


def table(title: str, costs: dict[str, Cost], figure: Callable[[Cost], float], unit: str, bar: str) -> None:
    base = figure(costs["raw aiohttp"])
    print(f"\n{title} (bar: {bar})")
    for name, cost in costs.items():
        print(f"  {name:14}{figure(cost):10.3f} {unit}{figure(cost) / base:8.2f} × raw")


def cpu(rounds: int) -> None:
    rows = 2000
    costs = best(rows, 32, 0.02, rounds)
    table(
        f"CPU per call, {rows} rows, process start and end included",
        costs,
        lambda cost: cost.cpu * 1000 / rows,
        "ms",
        "dspc ≤ 2 × raw",
    )
    empty = best(1, 32, 0.0, rounds, {"raw aiohttp", "dspc eval"})
    table(
        "the same without what one row takes (start-up)",
        {
            name: cost._replace(cpu=cost.cpu - empty[name].cpu)
            for name, cost in costs.items()
            if name in empty
        },
        lambda cost: cost.cpu * 1000 / (rows - 1),
        "ms",
        "dspc ≤ 2 × raw",
    )


def wall(rounds: int) -> None:
    costs = best(1000, 256, 0.5, rounds)
    table("wall, 1,000 rows, 500 ms, 256 in flight", costs, lambda cost: cost.wall, "s", "dspc ≤ 1.3 × raw")


def flight(rounds: int) -> None:
    costs = best(2000, 32, 0.05, rounds)
    table("in flight at 50 ms, 32 wide", costs, lambda cost: cost.busy, "calls", "dspc ≥ 0.9 × raw")


def rows(rounds: int) -> None:
    names = {"dspc eval"}
    one = best(1, 64, 0.0, rounds, names)["dspc eval"].cpu
    few = (best(1000, 64, 0.01, rounds, names)["dspc eval"].cpu - one) / 999
    many = (best(16000, 64, 0.01, rounds, names)["dspc eval"].cpu - one) / 15999
    print("\nCPU per row without start-up, 16,000 rows against 1,000 (bar: ≤ 1.1)")
    print(f"  1,000 rows {few * 1000:.3f} ms, 16,000 rows {many * 1000:.3f} ms: {many / few:.2f}")


def memory(rounds: int) -> None:
    costs = best(2000, 256, 0.1, rounds)
    table("peak memory, 2,000 rows, 256 in flight", costs, lambda cost: cost.memory, "MiB", "dspc ≤ 90 MiB")


def instructions(rounds: int) -> None:
    if shutil.which("valgrind") is None:
        print("\ninstructions: not counted, there is no valgrind")
        return
    print("\ninstructions outside the kernel, millions")
    totals: dict[str, float] = {}
    for name in ("raw aiohttp", "dspc eval"):
        start, few = counted(name, 1), counted(name, 2000)
        totals[name] = few
        each = (few - start) / 1999
        print(f"  {name:14}{start:8.0f} to start, {each:.3f} a call, {few:.0f} for 2,000")
    print(f"  in all{'':8}{totals['dspc eval'] / totals['raw aiohttp']:8.2f} × raw")
    start = counted("dspc eval", 1)
    few, many = (counted("dspc eval", 1000) - start) / 999, (counted("dspc eval", 16000) - start) / 15999
    print(f"  a row of 16,000 against one of 1,000: {many / few:.2f}")


def counted(name: str, rows: int) -> float:
    """Millions of instructions of one process, start to end."""
    command = contenders(32)[name]
    with tempfile.TemporaryDirectory() as folder, spawned("--latency", "0.0", "--answer", ANSWER) as url:
        project(Path(folder), url, rows)
        given = [sys.executable, *command] if name == "dspc eval" else [*command, url]
        tool = ["valgrind", "--tool=cachegrind", "--cache-sim=no", "--cachegrind-out-file=/dev/null"]
        done = subprocess.run([*tool, *given], cwd=folder, capture_output=True, text=True, check=True)
    said = re.search(r"I *refs: *([\d,]+)", done.stderr)
    assert said is not None, done.stderr
    return int(said[1].replace(",", "")) / 1e6


MEASUREMENTS = {each.__name__: each for each in (cpu, wall, flight, rows, memory, instructions)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", default=",".join(MEASUREMENTS))
    flags = parser.parse_args()
    for name in flags.only.split(","):
        MEASUREMENTS[name](flags.rounds)


if __name__ == "__main__":
    main()
