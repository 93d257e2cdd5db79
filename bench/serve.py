"""`dspc serve` beside a raw aiohttp handler that makes the same call of the model: requests a second, p50, p99, none lost.

    python bench/serve.py [--requests 10000] [--width 64] [--latency 0.1] [--rounds 2]

The load is bounded: `width` requests are out at once, over kept connections, from a process of its own. Both servers ask the same
local model. Rounds are interleaved, and the best of each figure is shown. At the end the server is told to stop (SIGTERM) in the
middle of the load: whatever it asked its model for is answered, all others are told 503 or, once it is gone, find nobody there.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import re
import signal
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections import Counter
from pathlib import Path
from typing import NamedTuple

import aiohttp

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "tests" / "support"))
from server import spawned  # noqa: E402

from dspec.compiler.check.analysis import analyse  # noqa: E402
from dspec.runtime.artifact.artifact import Artifact, kind_of, write_artifact  # noqa: E402

ANSWER = "[[ ## intent ## ]]\nbilling\n\n[[ ## completed ## ]]"
SOURCE = """dspec 1
lm fake { model = "openai/fake"; api_base = env("SERVE_URL"); api_key = env("OPENAI_API_KEY"); temperature = 0.0 }
type Intent = "billing" | "refund" | "shipping" | "account_access"
signature Route {
  "Decide which intent a support ticket expresses."
  input text: str "what the customer wrote"
  output intent: Intent
}
module router = Predict(Route)
"""


class Load(NamedTuple):
    rate: float
    p50: float
    p99: float
    cpu: float
    """ms of the server's, a request."""
    statuses: Counter[int]


async def load(port: int, requests: int, width: int) -> tuple[float, list[float], Counter[int]]:
    seconds: list[float] = []
    statuses: Counter[int] = Counter()
    places = iter(range(requests))
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:

        async def ask() -> None:
            for place in places:
                began = time.perf_counter()
                try:
                    async with session.post(
                        f"http://127.0.0.1:{port}/run", json={"text": f"Message {place}: I was charged twice"}
                    ) as response:
                        whole = await response.json()
                        right = response.status == 200 and whole["outputs"] == {"intent": "billing"}
                        statuses[response.status if right or response.status != 200 else -1] += 1
                except aiohttp.ClientError:
                    statuses[-1] += 1  # nobody was there, or the connection was closed
                seconds.append(time.perf_counter() - began)

        began = time.perf_counter()
        await asyncio.gather(*(ask() for _ in range(width)))
    return time.perf_counter() - began, seconds, statuses


def served(name: str, folder: Path, url: str, width: int) -> tuple[subprocess.Popen[str], int]:
    environment = {**os.environ, "SERVE_URL": url, "OPENAI_API_KEY": "none"}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)  # an installed package has its bytecode
    if name == "raw aiohttp":
        command = [sys.executable, str(HERE / "contenders" / "handler.py"), url]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment)
        assert process.stdout is not None
        return process, int(process.stdout.readline())
    command = [str(Path(sys.executable).parent / "dspc"), "serve", "router.dspc.json", "--port", "0", "-q"]
    command += ["--concurrency", str(width), "--threads", str(width)]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=environment, cwd=folder)
    assert process.stderr is not None
    found = re.search(r":(\d+) ", process.stderr.readline())
    assert found
    return process, int(found[1])


def measured(name: str, folder: Path, url: str, requests: int, width: int) -> Load:
    process, port = served(name, folder, url, width)
    asyncio.run(load(port, width * 2, width))  # connections, caches
    before = cpu_of(process.pid)
    took, seconds, statuses = asyncio.run(load(port, requests, width))
    cpu = cpu_of(process.pid) - before
    process.terminate()
    process.wait()
    cuts = statistics.quantiles(seconds, n=100)
    return Load(requests / took, cuts[49] * 1000, cuts[98] * 1000, cpu * 1000 / requests, statuses)


def cpu_of(pid: int) -> float:
    """Seconds, user and system."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def calls(url: str) -> int:
    with urllib.request.urlopen(url.removesuffix("/v1") + "/count") as response:
        return int(response.read())


def drained(folder: Path, url: str, width: int) -> tuple[Counter[int], int]:
    """What becomes of 2,000 requests where the server is told to stop in the middle, and how many calls its model got."""
    before = calls(url)
    process, port = served("dspc serve", folder, url, width)

    async def work() -> Counter[int]:
        async def stop() -> None:
            await asyncio.sleep(0.6)
            process.send_signal(signal.SIGTERM)

        _, (_, _, statuses) = await asyncio.gather(stop(), load(port, 2000, width))
        return statuses

    statuses = asyncio.run(work())
    if process.wait(60):
        sys.exit("the server did not end well")
    return statuses, calls(url) - before


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--requests", type=int, default=10_000)
    parser.add_argument("--width", type=int, default=64)
    parser.add_argument("--latency", type=float, default=0.1)
    parser.add_argument("--rounds", type=int, default=2)
    given = parser.parse_args()
    found: dict[str, list[Load]] = {"raw aiohttp": [], "dspc serve": []}
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        (folder / "main.dspec").write_text(SOURCE)
        project = analyse(folder / "main.dspec").project
        assert project is not None
        program = project.programs["router"]
        write_artifact(
            folder / "router.dspc.json", Artifact(kind=kind_of(program), name="router", program=program)
        )
        with spawned("--latency", str(given.latency), "--answer", ANSWER) as url:
            for _ in range(given.rounds):
                for name, runs in found.items():
                    runs.append(measured(name, folder, url, given.requests, given.width))
            stopped, begun = drained(folder, url, given.width)
    print(
        f"{given.requests:,} requests, {given.width} at once, {given.latency * 1000:.0f} ms a call of the model, "
        f"{given.rounds} rounds"
    )
    best = {
        name: (
            max(r.rate for r in runs),
            *(min(getattr(r, what) for r in runs) for what in ("p50", "p99", "cpu")),
        )
        for name, runs in found.items()
    }
    raw = best["raw aiohttp"]
    for name, (rate, p50, p99, cpu) in best.items():
        print(f"  {name:12}{rate:8,.0f}/s  p50 {p50:7.1f} ms  p99 {p99:7.1f} ms  CPU {cpu:6.3f} ms", end="")
        print(
            f"  {rate / raw[0]:.2f} × raw rate, {p50 / raw[1]:.2f} × p50, {p99 / raw[2]:.2f} × p99, {cpu / raw[3]:.2f} × CPU"
        )
    lost = sum(
        sum(count for status, count in run.statuses.items() if status != 200) for run in found["dspc serve"]
    )
    print(f"  requests of dspc serve without their answer: {lost} (bar: 0)")
    print(
        f"  stopped in the middle: {stopped[200]} answered, {stopped[503]} told 503, {stopped[-1]} after it was gone; "
        f"{begun} calls of the model, lost: {begun - stopped[200]} (bar: 0)"
    )


if __name__ == "__main__":
    main()
