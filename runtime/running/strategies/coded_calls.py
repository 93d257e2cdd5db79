"""What an agent's code may call: its tools, each under a name that Python takes. Every call is one of the run's own."""

from __future__ import annotations

import json
import keyword
from collections import Counter
from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING, cast

from ...errors import AnswerError
from ...schema.program import ModuleSpec, Program, canonical
from ...schema.types import JsonValue, Row
from ...values.markers import escape
from .base import MAX_CALLS, Conductor, StrategyOption, free_name
from .coding import MAX_GIVEN
from .offering import around, missing_argument, offered, sentences, unknown_argument

if TYPE_CHECKING:
    from ...tools.sandbox import HostFunction

LIMITS = (
    StrategyOption(MAX_CALLS, "integer", "Calls of its tools in one run, at most.", 50, low=1, high=1000),
    StrategyOption(
        MAX_GIVEN,
        "integer",
        "Characters, as JSON, of what the code gives to one of its calls, at most.",
        20_000,
        low=100,
        high=10_000_000,
    ),
)


def function_names(keys: Sequence[str], taken: Collection[str]) -> dict[str, str]:
    """The name of each tool's function, by key."""
    found: dict[str, str] = {}
    for key in keys:
        plain = "".join(one if one.isascii() and one.isalnum() else "_" for one in key)[:60]
        if not plain or plain[0].isdigit() or keyword.iskeyword(plain):
            plain = f"tool_{plain}"
        found[key] = free_name(plain, (*taken, *found.values()))
    return found


def functions_told(program: Program, module: ModuleSpec, taken: Collection[str]) -> tuple[str, ...]:
    """The tools as a prompt of code lists them, one a line."""
    if not module.tools:
        return ()
    lines = ["Functions that the code may call, with their arguments:"]
    for key, (head, notes) in around(program, function_names(module.tools, taken)).items():
        lines.append(escape(sentences(head, offered(program, key).description, *notes)))
    return ("\n".join(lines),)


class CodeCalls:
    """The calls of one run's code, counted and bounded."""

    def __init__(self, work: Conductor, taken: Collection[str]) -> None:
        from ...tools.sandbox import HostFunction

        self._work = work
        self._left = cast("int", work.module.options[MAX_CALLS])
        self._takes = Counter[str]()
        self.functions: dict[str, HostFunction] = {}
        for key, name in function_names(work.module.tools, taken).items():
            names = tuple(field.name for field in offered(work.program, key).inputs)
            self.functions[name] = HostFunction(names, self._calling(key))

    def take(self, *said: JsonValue) -> int:
        """Which of the equal calls of the run this is: each has an answer of its own."""
        key = canonical([*said])
        self._takes[key] += 1
        return self._takes[key] - 1

    def check_size(self, given: JsonValue) -> None:
        """Raises CodeError for what is too long to be given to a call."""
        from ...tools.sandbox import CodeError

        most, size = (
            cast("int", self._work.module.options[MAX_GIVEN]),
            len(json.dumps(given, ensure_ascii=False)),
        )
        if size > most:
            raise CodeError("ValueError", f"it is given {size:,} characters, and {most:,} are the most")

    def _calling(self, key: str):
        from ...tools.sandbox import CodeError

        work = self._work

        async def call(given: Row) -> JsonValue:
            if wrong := unknown_argument(work.program, key, given) or missing_argument(
                work.program, key, given
            ):
                raise CodeError("TypeError", wrong)
            self.check_size(given)
            if self._left == 0:
                most = work.module.options[MAX_CALLS]
                raise CodeError("RuntimeError", f"no call is left of the {most:,} that one run may make")
            self._left -= 1
            try:
                return await work.call(key, given, take=self.take(key, given))
            except AnswerError as error:
                raise CodeError("RuntimeError", error.message) from None

        return call
