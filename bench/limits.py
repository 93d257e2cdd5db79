"""Time and requests under 429s: the engine beside a client that holds only the requests that were refused.

    python bench/limits.py [--real]

On a clock that counts waiting alone, so that the figures are the same on any machine; with `--real` the first three again,
against a server on loopback and by the wall's clock.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import aiohttp

sys.path.insert(0, str(Path(__file__).parent.parent / "tests" / "support"))
from limited import Bucket, Rule, Server, Share, Some, Window, holding_the_refused, through_engine, waited
from requesting import ask, fake_lm
from server import Call, FakeServer

from dspec.runtime.models.engine import Engine


class Scenario(NamedTuple):
    name: str
    rule: Callable[[], Rule | None]
    rows: int
    width: int
    latency: float = 0.05


SCENARIOS = (
    Scenario("no 429s", lambda: None, 400, 32),
    Scenario("5 % at random, Retry-After: 1", lambda: Share(0.05, 1), 400, 32),
    Scenario("the same", lambda: Share(0.05, 1), 1000, 128),
    Scenario("7 of 600, Retry-After: 5", lambda: Some(7, 600, 5), 600, 32),
    Scenario("50 a second, 50 at once", lambda: Bucket(50, 50), 6000, 32, 0.2),
    Scenario("the same, without Retry-After", lambda: Bucket(50, 50, says=False), 3000, 32, 0.2),
    Scenario("50 a second, 3,000 at once", lambda: Bucket(50, 3000), 6000, 128, 0.2),
    Scenario("3,000 within a minute", lambda: Window(3000, 60), 9000, 32),
    Scenario("the same", lambda: Window(3000, 60), 9000, 128),
    Scenario("the same, Retry-After: 1", lambda: Window(3000, 60, 1), 9000, 128, 0.2),
    Scenario("50 within a second", lambda: Window(50, 1), 3000, 32),
)


def virtual() -> None:
    print(f"{'':34}{'rows':>6}{'wide':>6}{'engine':>10}{'client':>10}{'×':>7}{'a row':>9}{'client':>9}")
    for scenario in SCENARIOS:
        own = Server(scenario.rule(), latency=scenario.latency)
        seconds = waited(through_engine(own, scenario.rows, scenario.width))
        other = Server(scenario.rule(), latency=scenario.latency)
        peer = waited(holding_the_refused(other, scenario.rows, scenario.width))
        print(
            f"{scenario.name:34}{scenario.rows:6}{scenario.width:6}{seconds:8.2f} s{peer:8.2f} s{seconds / peer:7.2f}"
            f"{own.requests / scenario.rows:9.3f}{other.requests / scenario.rows:9.3f}"
        )


def refusing(rule: Rule) -> Callable[[Call], str | None]:
    """The rule as a fault of a real server."""

    def fault(call: Call) -> str | None:
        wait = rule.refusal(call.number, time.monotonic())
        return None if wait is None else f"429:{wait:g}"

    return fault


async def engine_against(url: str, rows: int, width: int) -> None:
    lm = fake_lm(url)
    async with Engine(threads=width) as engine:
        await asyncio.gather(*(engine.complete(ask(lm, f"row {i}")) for i in range(rows)))


async def client_against(url: str, rows: int, width: int) -> None:
    places = asyncio.Semaphore(width)
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:

        async def one(row: int) -> None:
            body = {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": f"row {row}"}]}
            while True:
                async with places, session.post(f"{url}/chat/completions", json=body) as response:
                    await response.read()
                    if response.status == 200:
                        return
                    wait = float(response.headers["Retry-After"])
                await asyncio.sleep(wait)

        await asyncio.gather(*(one(row) for row in range(rows)))


async def real() -> None:
    print(
        f"\n{'on loopback':34}{'rows':>6}{'wide':>6}{'engine':>10}{'client':>10}{'×':>7}{'a row':>9}{'client':>9}"
    )
    for scenario in SCENARIOS[1:4]:
        found: list[tuple[float, float]] = []
        for work in (engine_against, client_against):
            rule = scenario.rule()
            assert rule is not None
            async with FakeServer(faults=refusing(rule), latency=scenario.latency) as server:
                began = time.perf_counter()
                await work(server.url, scenario.rows, scenario.width)
                found.append((time.perf_counter() - began, len(server.calls) / scenario.rows))
        (seconds, requests), (peer, others) = found
        print(
            f"{scenario.name:34}{scenario.rows:6}{scenario.width:6}{seconds:8.2f} s{peer:8.2f} s{seconds / peer:7.2f}"
            f"{requests:9.3f}{others:9.3f}"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--real", action="store_true", help="against a server on loopback, too")
    flags = parser.parse_args()
    virtual()
    if flags.real:
        asyncio.run(real())


if __name__ == "__main__":
    main()
