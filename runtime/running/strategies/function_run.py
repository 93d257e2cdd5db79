"""One run of a module that is a function of the project: what it calls is run here, so that all of it is counted, traced
and kept like anything else that a program asks.
"""

from __future__ import annotations

import asyncio
from collections import Counter

from ...errors import AnswerError, CheckFailed, FunctionFailed
from ...schema.program import canonical
from ...schema.types import JsonValue, Row
from ...tools.worker import first_line
from ...values.checks import failures, record_failures
from ..siblings import Siblings
from .base import Conductor
from .offering import missing_argument, unknown_argument


async def outputs_of(work: Conductor, inputs: Row, most: int) -> Row:
    """What the function gives for the inputs with `most` calls, once the signature's and the records' checks hold."""
    outputs = await FunctionRun(work, most).outputs(inputs)
    module = work.module
    assert module.function is not None
    broken = [
        *record_failures(module.outputs, outputs, work.program.records),
        *failures(module.function.checks, {**inputs, **outputs}),
    ]
    for one in broken:
        if one.kind == "assert":
            work.note(f"failed: {one.message}")
            raise CheckFailed(f"{_name(work)}: {one.message}")
    for one in broken:
        work.note(f"suggest not met: {one.message}")
    return outputs


class FunctionRun:
    """One run of the function, with the calls that it makes in the order in which it makes them.

    What it calls may give nothing usable, and then the function is told why and may go on. Whatever else goes wrong
    ends the run: a model that does not answer, the wall, one call more than are allowed.
    """

    def __init__(self, work: Conductor, most: int) -> None:
        function = work.module.function
        names = () if function is None else function.names
        self._work = work
        self._most = most
        self._keys = dict(zip(names, work.module.tools, strict=True))
        self._calls = Siblings[JsonValue]()
        self._equal = Counter[str]()
        self._failed: asyncio.Future[tuple[int, Exception]] = asyncio.get_running_loop().create_future()
        """What ends the run, and how many calls were begun before the one that did."""
        self._told: dict[str, AnswerError] = {}
        """What the function was told of calls that gave nothing usable."""
        self._over = False

    async def outputs(self, inputs: Row) -> Row:
        running = asyncio.ensure_future(self._work.function(inputs, self._answer if self._keys else None))
        try:
            await asyncio.wait({running, self._failed}, return_when=asyncio.FIRST_COMPLETED)
            if self._failed.done():
                raise await self._first_failure()
            return running.result()
        except FunctionFailed as error:
            raise self._unusable(error) from None
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
        program = self._work.program
        if wrong := unknown_argument(program, key, inputs) or missing_argument(program, key, inputs):
            raise RuntimeError(f"`{name}`: {wrong}")
        place = len(self._calls.tasks)
        if place == self._most:
            error = FunctionFailed(
                f"the function of the module `{_name(self._work)}` made a call more than the {place:,} that `max_calls` allows"
            )
            raise self._end(place, error)
        said = canonical([key, inputs])
        self._calls.begin(self._work.call(key, inputs, take=self._equal[said]))
        self._equal[said] += 1
        try:
            return await asyncio.shield(self._calls.tasks[place])
        except AnswerError as error:
            told = RuntimeError(error.message)
            self._told[first_line(told)] = error
            raise told from None
        except Exception as error:  # noqa: BLE001 - the function must not take it for an answer
            raise self._end(place, error) from None

    def _unusable(self, error: FunctionFailed) -> AnswerError:
        """What a call failed with, where the function let that pass: the answer was of no use, and not the function."""
        return next(
            (told for text, told in self._told.items() if error.message.endswith(f": RuntimeError: {text}")),
            error,
        )

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


def _name(work: Conductor) -> str:
    function = work.module.function
    return "" if function is None else work.program.tools[function.tool].name
