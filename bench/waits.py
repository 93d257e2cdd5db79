"""What a compile waits for: its wall at a width against the least that it can be, in units of one answer's latency.

    python bench/waits.py [--width 64] [--seeds 3] [--only COPRO]

Tasks are simulated, as in `optimizers.py`, and so is time: every call takes one unit, and nothing else takes any. So the figures
are exact, on a busy machine as well, and what they leave out is the processor's work (`compile.py` has it). The least is the
longer of calls ÷ width, and the wall of the same compile with no limit on how much is out at once: the waits for answers that
the next question depends on.
"""

from __future__ import annotations

import argparse
import asyncio
import selectors
import statistics
from collections.abc import Mapping

from optimizers import STEPS, block, planned_block
from simulated.kinds import KINDS
from simulated.model import Simulated, Task

from dspec.compiler.compile.build import Ran
from dspec.compiler.data import Example
from dspec.compiler.evaluate.events import silent
from dspec.compiler.evaluate.meter import Purpose
from dspec.compiler.evaluate.store import RunResult
from dspec.compiler.evaluate.turns import Turn
from dspec.runtime.models.engine import Engine
from dspec.runtime.schema.program import Program

UNLIMITED = 100_000
BARS = {"RandomSearch(10)": 1.2, "COPRO": 1.2, "MIPROv2 light": 1.6, "MIPROv2 medium": 1.6}


class _Skipping(selectors.DefaultSelector):
    """Does not wait: time is what was to be waited for."""

    now = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        found = super().select(0 if timeout is not None else None)
        if not found and timeout:
            self.now += timeout
        return found


class _Waited(Simulated):
    """Every call takes a unit of time."""

    async def _execute(
        self,
        program: Program,
        example: Example,
        purpose: Purpose,
        sample: int,
        temperature: float | None,
        turn: Turn,
    ) -> RunResult:
        result = await super()._execute(program, example, purpose, sample, temperature, turn)
        await asyncio.sleep(result.spent.calls)
        return result


def waited(name: str, kind: str, seed: int, width: int) -> tuple[int, float]:
    """Calls of a compile, and its wall."""
    task = Task(seed, KINDS[kind])
    project, resolved, planned, measure = planned_block(block(name, kind, seed, compat=False), task)

    async def compile_() -> int:
        async with Engine() as engine:
            evaluator = _Waited(engine, measure, task, width=width)
            ran = Ran(project, resolved, planned, evaluator, silent, walled=False)
            await ran.run()
            return ran.select().spent.calls

    selector = _Skipping()
    loop = asyncio.SelectorEventLoop(selector)
    loop.time = lambda: selector.now  # type: ignore[method-assign]
    try:
        calls = loop.run_until_complete(compile_())
    finally:
        loop.close()
    return calls, selector.now


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--width", type=int, default=64)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--only", default="", help="only optimizers whose name holds this")
    parser.add_argument("--kind", default="plain")
    flags = parser.parse_args()
    print(f"{flags.width} at once, {flags.seeds} tasks of the kind `{flags.kind}`; medians\n")
    print("| optimizer | calls | calls ÷ width | waits | wall | ÷ the longer | bar |")
    print("| --- | ---: | ---: | ---: | ---: | ---: | ---: |")
    for name in STEPS:
        if flags.only not in name:
            continue
        found: list[Mapping[str, float]] = []
        for seed in range(flags.seeds):
            calls, wall = waited(name, flags.kind, seed, flags.width)
            _, waits = waited(name, flags.kind, seed, UNLIMITED)
            shared = calls / flags.width
            found.append(
                {
                    "calls": calls,
                    "shared": shared,
                    "waits": waits,
                    "wall": wall,
                    "ratio": wall / max(shared, waits),
                }
            )
        calls, shared, waits, wall, ratio = (
            statistics.median(one[what] for one in found)
            for what in ("calls", "shared", "waits", "wall", "ratio")
        )
        bar = f"{BARS[name]}" if name in BARS else ""
        print(
            f"| {name} | {calls:,.0f} | {shared:.1f} | {waits:.0f} | {wall:.0f} | {ratio:.2f} | {bar} |",
            flush=True,
        )


if __name__ == "__main__":
    main()
