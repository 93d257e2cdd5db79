"""What running a program needs of the engine, and a meter around it: what one run used, and what of that was paid."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING, Protocol

from ..models.protocol import Answering, Request, ToolAnswer
from ..schema.lms import LM
from ..schema.program import Record, Tool
from ..schema.types import Row
from ..schema.usage import Spent

if TYPE_CHECKING:
    from ..models.engine import Completion


class Asks(Protocol):
    """The part of the engine that running a program needs."""

    async def complete(self, request: Request) -> Completion: ...

    def unusable(self, request: Request) -> None: ...

    async def call(
        self,
        tool: Tool,
        arguments: Row,
        *,
        lms: Mapping[str, LM] = MappingProxyType({}),
        records: Mapping[str, Record] = MappingProxyType({}),
        answer: Answering | None = None,
    ) -> ToolAnswer: ...


class Meter:
    """Wraps the engine of one run, and knows what the run `used`, whoever answered, and what of that was `paid` just now."""

    def __init__(self, engine: Asks) -> None:
        self._engine = engine
        self._answers: list[Completion] = []
        """They are added up when somebody asks: most runs have one answer, which several meters see."""
        self.set_aside = False
        """Whether nobody could read one of the run's answers, though it was asked for again."""

    @property
    def used(self) -> Spent:
        return spent_on(self._answers)

    @property
    def paid(self) -> Spent:
        return spent_on([one for one in self._answers if one.source == "model"])

    async def complete(self, request: Request) -> Completion:
        completion = await self._engine.complete(request)
        self._answers.append(completion)
        return completion

    def unusable(self, request: Request) -> None:
        self.set_aside = True
        self._engine.unusable(request)

    async def call(
        self,
        tool: Tool,
        arguments: Row,
        *,
        lms: Mapping[str, LM] = MappingProxyType({}),
        records: Mapping[str, Record] = MappingProxyType({}),
        answer: Answering | None = None,
    ) -> ToolAnswer:
        return await self._engine.call(tool, arguments, lms=lms, records=records, answer=answer)


def spent_on(completions: Sequence[Completion]) -> Spent:
    """What the answers took."""
    spent: Spent | None = None
    for one in completions:
        took = Spent.of(one.answer.usage, one.answer.cost)
        spent = took if spent is None else spent + took
    return spent or Spent()
