"""python: a function of the project in the place of a strategy, which calls predictors, modules and tools as it likes.

The function is a tool of the program: it runs where tools run, within their limits, and an artifact names it and no
more. What it calls is run here, so that all of it is counted, traced and kept like anything else that a program asks.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Mapping
from typing import cast

from ...errors import AnswerError, CheckFailed, ToolFailed
from ...schema.program import ModuleSpec, canonical
from ...schema.types import JsonValue, Row
from ...values.checks import failures, record_failures
from .base import FUNCTION, MAX_CALLS, TOOLS, Conductor, ModuleStrategy, StrategyOption, Times
from .offering import unknown_argument


async def _conduct(work: Conductor, inputs: Row) -> Row:
    outputs = await _FunctionRun(work).outputs(inputs)
    module = work.module
    assert module.function is not None
    broken = [
        *record_failures(module.outputs, outputs, work.program.records),
        *failures(module.function.checks, {**inputs, **outputs}),
    ]
    for one in broken:
        if one.kind == "assert":
            raise CheckFailed(f"{work.program.tools[module.function.tool].name}: {one.message}")
    for one in broken:
        work.note(f"suggest not met: {one.message}")
    return outputs


class _FunctionRun:
    """One run of the function, with the calls that it makes in the order in which it makes them.

    What it calls may give nothing usable, and then the function is told why and may go on. Whatever else goes wrong
    ends the run: a model that does not answer, the wall, one call more than are allowed.
    """

    def __init__(self, work: Conductor) -> None:
        from ..siblings import Siblings

        function = work.module.function
        names = () if function is None else function.names
        self._work = work
        self._keys = dict(zip(names, work.module.tools, strict=True))
        self._calls = Siblings[JsonValue]()
        self._equal = Counter[str]()
        self._failed: asyncio.Future[tuple[int, Exception]] = asyncio.get_running_loop().create_future()
        """What ends the run, and how many calls were begun before the one that did."""
        self._over = False

    async def outputs(self, inputs: Row) -> Row:
        running = asyncio.ensure_future(
            self._work.function(inputs, self._answer if self._keys else None)
        )
        try:
            await asyncio.wait({running, self._failed}, return_when=asyncio.FIRST_COMPLETED)
            if self._failed.done():
                raise await self._first_failure()
            return running.result()
        finally:
            self._over = True
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)
            await self._calls.drop()

    async def _answer(self, name: str, inputs: Row) -> JsonValue:
        """What the function's call gives. Raises RuntimeError with what the function is told."""
        if self._over:
            raise RuntimeError("the run is over")
        key = self._keys.get(name)
        if key is None:
            uses = ", ".join(f"`{one}`" for one in self._keys)
            raise RuntimeError(f"there is no `{name[:80]}` to call; the module uses {uses}")
        if unknown := unknown_argument(self._work.program, key, inputs):
            raise RuntimeError(f"`{name}`: {unknown}")
        place = len(self._calls.tasks)
        if place == max_calls(self._work.module):
            error = ToolFailed(f"the function made a call more than the {place:,} that `max_calls` allows")
            raise self._end(place, error)
        said = canonical([key, inputs])
        self._calls.begin(self._work.call(key, inputs, take=self._equal[said]))
        self._equal[said] += 1
        try:
            return await asyncio.shield(self._calls.tasks[place])
        except AnswerError as error:
            raise RuntimeError(error.message) from None
        except Exception as error:  # noqa: BLE001 - the function must not take it for an answer
            raise self._end(place, error) from None

    def _end(self, place: int, error: Exception) -> RuntimeError:
        self._over = True
        if not self._failed.done():
            self._failed.set_result((place, error))
        return RuntimeError(str(error))

    async def _first_failure(self) -> Exception:
        """What ends the run: of the calls that were out when one failed, the first in order that fails so."""
        place, error = self._failed.result()
        for given in await asyncio.gather(*self._calls.tasks[:place], return_exceptions=True):
            if isinstance(given, Exception) and not isinstance(given, AnswerError):
                return given
        return error


def max_calls(module: ModuleSpec) -> int:
    return cast("int", module.options.get(MAX_CALLS, 0))


def _times(module: ModuleSpec) -> Mapping[str, Times]:
    return {FUNCTION: Times(1, 1), TOOLS: Times(0, max_calls(module))}


STRATEGY = ModuleStrategy(
    name="python",
    doc="A Python function of the project, which calls what it uses and gives the outputs.",
    options=(
        StrategyOption(
            "function",
            "function",
            "`module:function`, of a file beside the source, in the root or in its `src`.",
            of_function=True,
        ),
        StrategyOption("uses", "tools", "The externs, modules and programs that it may call.", optional=True),
        StrategyOption(
            MAX_CALLS, "integer", "Calls of them in one run, at most.", low=1, high=10_000, optional=True
        ),
        StrategyOption(
            "timeout",
            "number",
            "Seconds that it may take, those of its calls not counted.",
            30.0,
            low=0.1,
            high=3600,
            of_function=True,
        ),
        StrategyOption(
            "max_result",
            "integer",
            "Characters of its outputs as JSON, at most.",
            100_000,
            low=1,
            high=10_000_000,
            of_function=True,
        ),
        StrategyOption(
            "max_parallel", "integer", "Runs of it at the same time.", 16, low=1, high=256, of_function=True
        ),
    ),
    conduct=_conduct,
    times=_times,
    function="python",
    manner="runs a function that calls other modules",
)
