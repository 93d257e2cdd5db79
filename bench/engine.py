"""CPU of one model call: raw aiohttp, our engine with a fresh ledger, ledger hits.

    python bench/engine.py [--calls 2000] [--width 32] [--latency 0.02]

The server is a process of its own, so that only the asking side is counted. Rounds are interleaved and
the least of each is shown: other load on the machine can only add.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import resource
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import NamedTuple

import aiohttp

from dspec.runtime.models.engine import Engine
from dspec.runtime.models.ledger import Ledger
from dspec.runtime.models.protocol import Message, Request
from dspec.runtime.schema.program import LM

sys.path.insert(0, str(Path(__file__).parent.parent / "tests" / "support"))
from server import spawned

PROMPT = "Classify the message by its intent. " * 40


class Cost(NamedTuple):
    cpu: float
    """Milliseconds of this process's CPU per call."""
    wall: float
    """Seconds for all calls."""


async def measured(work: Callable[[], Awaitable[None]], calls: int) -> Cost:
    wall, cpu = time.perf_counter(), time.process_time()
    await work()
    return Cost((time.process_time() - cpu) * 1000 / calls, time.perf_counter() - wall)


async def raw(url: str, prompts: list[str], width: int) -> None:
    places = asyncio.Semaphore(width)
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:

        async def ask(prompt: str) -> str:
            messages = [{"role": "system", "content": PROMPT}, {"role": "user", "content": prompt}]
            async with (
                places,
                session.post(
                    f"{url}/chat/completions", json={"model": "gpt-4o-mini", "messages": messages}
                ) as response,
            ):
                return json.loads(await response.read())["choices"][0]["message"]["content"]

        await asyncio.gather(*(ask(prompt) for prompt in prompts))


async def through_engine(url: str, prompts: list[str], width: int, ledger: Ledger | None) -> None:
    lm = LM(name="bench", model="openai/gpt-4o-mini", api_base=url)
    system = Message("system", PROMPT)
    async with Engine(threads=width, ledger=ledger) as engine:
        await asyncio.gather(
            *(engine.complete(Request(lm, (system, Message("user", prompt)))) for prompt in prompts)
        )


async def one_round(url: str, prompts: list[str], width: int) -> dict[str, Cost]:
    with tempfile.TemporaryDirectory() as folder, Ledger(Path(folder) / "ledger.sqlite") as ledger:
        works: dict[str, Callable[[], Awaitable[None]]] = {
            "raw aiohttp": lambda: raw(url, prompts, width),
            "engine, no ledger": lambda: through_engine(url, prompts, width, None),
            "engine, fresh ledger": lambda: through_engine(url, prompts, width, ledger),
            "engine, ledger hits": lambda: through_engine(url, prompts, width, ledger),
        }
        return {name: await measured(work, len(prompts)) for name, work in works.items()}


async def rounds(url: str, calls: int, width: int, count: int) -> dict[str, list[Cost]]:
    costs: dict[str, list[Cost]] = {}
    for number in range(count):
        prompts = [f"message {i} of round {number}" for i in range(calls)]
        for name, cost in (await one_round(url, prompts, width)).items():
            costs.setdefault(name, []).append(cost)
    return costs


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--calls", type=int, default=2000)
    parser.add_argument("--width", type=int, default=32)
    parser.add_argument("--latency", type=float, default=0.02)
    parser.add_argument("--rounds", type=int, default=3)
    flags = parser.parse_args()
    with spawned("--latency", str(flags.latency)) as url:
        costs = asyncio.run(rounds(url, flags.calls, flags.width, flags.rounds))
    base = Cost(*map(min, zip(*costs["raw aiohttp"], strict=True)))
    print(f"{flags.calls} calls, {flags.width} in flight, {flags.latency * 1000:.0f} ms answers")
    print(f"{'':22}{'CPU ms/call':>12}{'× raw':>8}{'wall s':>8}{'× raw':>8}")
    for name, measurements in costs.items():
        cpu, wall = map(min, zip(*measurements, strict=True))
        print(f"{name:22}{cpu:12.3f}{cpu / base.cpu:8.2f}{wall:8.2f}{wall / base.wall:8.2f}")
    print(f"peak memory {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MiB")


if __name__ == "__main__":
    main()
