"""CPU of one evaluation: in this process, and on workers of Ray (`--engine ray`), beside raw aiohttp that makes the same calls.

    python bench/cluster.py [--rows 2000] [--width 64] [--workers 2] [--latency 0.02] [--rounds 3]

Needs Ray's environment (`tests/cluster/ray_environment.py` makes it). The model's server is a process of its own that is not
counted. Rounds are interleaved and the least of each is shown: other load on the machine can only add. What the driver takes,
which keeps ledger, limits and budget, bounds how many evaluations a cluster makes in a second, whatever its size.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
import tempfile
import time
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

import aiohttp

from dspec.compiler.evaluate.evaluation import Evaluator
from dspec.compiler.evaluate.executors.driver import Workers
from dspec.compiler.evaluate.executors.on_ray import on_ray
from dspec.compiler.evaluate.meter import metered
from dspec.compiler.evaluate.store import Store
from dspec.runtime.models.engine import Engine
from dspec.runtime.models.ledger import Ledger
from dspec.runtime.models.transports import Mode
from dspec.runtime.running.asking import exchange
from dspec.runtime.schema.program import LM, Demo, Program

sys.path.insert(0, str(Path(__file__).parent.parent / "tests" / "support"))
sys.path.insert(0, str(Path(__file__).parent.parent / "tests" / "cluster"))
from ray_environment import RAY
from scripted import classifier, exact, rows
from server import spawned

TICK = os.sysconf("SC_CLK_TCK")
RAW, HERE = "raw aiohttp", "this process"


class Cost(NamedTuple):
    """Milliseconds for each evaluation."""

    driver: float
    others: float
    """CPU of all processes that the driver has started."""
    wall: float

    @property
    def total(self) -> float:
        return self.driver + self.others


def others() -> float:
    """Seconds of CPU that the descendants of this process have taken, but for the model's server."""
    children: dict[int, list[tuple[int, float]]] = {}
    for place in Path("/proc").glob("[0-9]*/stat"):
        try:
            about = place.read_text().rpartition(")")[2].split()
            if b"support/server.py" in (place.parent / "cmdline").read_bytes():
                continue
        except OSError:
            continue
        took = (int(about[11]) + int(about[12])) / TICK
        children.setdefault(int(about[1]), []).append((int(place.parent.name), took))
    total, waiting = 0.0, [os.getpid()]
    while waiting:
        for child, took in children.get(waiting.pop(), []):
            total += took
            waiting.append(child)
    return total


def program(url: str, shots: int) -> Program:
    lm = LM(name="fake", model="openai/gpt-4o-mini", api_base=url, price_input=1.0, price_output=2.0)
    demos = tuple(
        Demo(inputs={"text": f"row {n} of g{n}, with some more words to read"}, outputs={"label": f"L{n}"})
        for n in range(shots)
    )
    return classifier().model_copy(update={"lms": {"fake": lm}}).with_predictor("ask", demos=demos)


async def measured(made: Program, count: int, width: int, mode: Mode, workers: Workers | None) -> Cost:
    with tempfile.TemporaryDirectory() as folder, Ledger(Path(folder) / "ledger.sqlite") as ledger:
        async with Engine(threads=width, ledger=ledger, transport=mode, senders=workers) as engine:
            execute = metered if workers is None else workers.run
            evaluator = Evaluator(engine, Store(), exact(), width=width, execute=execute)
            await evaluator.evaluate(made, rows(2 * width, start=10_000_000))  # connections, imports
            before, cpu, wall = others(), time.process_time(), time.perf_counter()
            await evaluator.evaluate(made, rows(count))
            wall = time.perf_counter() - wall
            cpu = time.process_time() - cpu
            return Cost(*(1000 * one / count for one in (cpu, others() - before, wall)))


async def raw(made: Program, url: str, count: int, width: int) -> Cost:
    """The same calls by aiohttp alone: what no evaluation can be below, wherever it is made."""
    lm = made.lms["fake"]
    bodies = [
        {
            "model": lm.model.partition("/")[2],
            "messages": [
                {"role": one.role, "content": one.content}
                for one in exchange(made, "ask", row.inputs, {"label": "L1"})[:-1]
            ],
        }
        for row in rows(count)
    ]
    left = iter(bodies)

    async def work(session: aiohttp.ClientSession) -> None:
        for body in left:
            async with session.post(f"{url}/chat/completions", json=body) as response:
                assert (await response.json())["choices"]

    connector = aiohttp.TCPConnector(limit=width)
    async with aiohttp.ClientSession(connector=connector) as session:
        cpu, wall = time.process_time(), time.perf_counter()
        async with asyncio.TaskGroup() as group:
            for _ in range(width):
                group.create_task(work(session))
        wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    return Cost(1000 * cpu / count, 0.0, 1000 * wall / count)


async def rounds(flags: argparse.Namespace) -> dict[tuple[str, str], list[Cost]]:
    found: dict[tuple[str, str], list[Cost]] = {}
    ways: list[tuple[str, Mode, int, int]] = [
        ("lean, no demos", "lean", 0, flags.rows),
        ("lean, 16 demos", "lean", 16, flags.rows),
        ("LiteLLM, no demos", "litellm", 0, flags.rows // 4),
    ]
    async with on_ray("", flags.workers) as workers:
        while len(workers) < flags.workers:  # noqa: ASYNC110  # only here is it waited for
            await asyncio.sleep(0.05)
        for number in range(flags.rounds):
            for name, mode, shots, count in ways:
                if mode == "lean":
                    with spawned("--answer", "L1", "--latency", str(flags.latency)) as url:
                        cost = await raw(program(url, shots), url, count, flags.width)
                    found.setdefault((name, RAW), []).append(cost)
                for where, made_by in ((HERE, None), ("Ray's workers", workers)):
                    text = f"[[ ## label ## ]]\nL1\n\nround {number}"
                    with spawned("--answer", text, "--latency", str(flags.latency)) as url:
                        cost = await measured(program(url, shots), count, flags.width, mode, made_by)
                    found.setdefault((name, where), []).append(cost)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--rows", type=int, default=2000)
    parser.add_argument("--width", type=int, default=64)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--latency", type=float, default=0.02)
    parser.add_argument("--rounds", type=int, default=3)
    flags = parser.parse_args()
    os.environ.setdefault("LITELLM_LOCAL_MODEL_COST_MAP", "True")
    if find_spec("ray") is None:
        if not RAY.ready():
            print("Ray's environment is not made: python tests/cluster/ray_environment.py makes it")
            return
        os.execv(RAY.python, [str(RAY.python), *sys.argv])
    found = asyncio.run(rounds(flags))
    print(f"{flags.rows} evaluations of one call, {flags.width} in flight, {flags.workers} workers")
    print(
        f"{'':20}{'':16}{'driver':>9}{'others':>9}{'in all':>9}{'driver ×':>10}{'in all ×':>10}{'wall ms':>9}"
        f"{'in all × raw':>14}{'wall × raw':>12}"
    )
    for (name, where), costs in found.items():
        least = Cost(*map(min, zip(*costs, strict=True)))
        base = Cost(*map(min, zip(*found[name, HERE], strict=True)))
        limit = found.get((name, RAW))
        least_of_all = None if limit is None else Cost(*map(min, zip(*limit, strict=True)))
        print(
            f"{name:20}{where:16}{least.driver:9.3f}{least.others:9.3f}{least.total:9.3f}"
            f"{least.driver / base.driver:10.2f}{least.total / base.total:10.2f}{least.wall:9.3f}"
            + (
                ""
                if least_of_all is None
                else f"{least.total / least_of_all.total:14.2f}{least.wall / least_of_all.wall:12.2f}"
            )
        )


if __name__ == "__main__":
    main()
