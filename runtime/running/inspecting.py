"""What a program would ask first for given inputs: its prompts, without a call."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from ..errors import ConfigurationError, DspecError, Stopped
from ..models.calls import Completion
from ..models.protocol import Answering, Request, ToolAnswer
from ..schema.ensemble import Runnable
from ..schema.lms import LM
from ..schema.program import Record, Tool
from ..schema.types import JsonValue, Row
from .execute import run


@dataclass(frozen=True, slots=True)
class Prompt:
    """What one predictor would ask."""

    step: str
    """Where in the program, as in a trace."""
    predictor: str
    lm: str
    model: str
    messages: tuple[tuple[str, str], ...]
    """Role and text of each; a medium as the line that stands for it."""
    parameters: Mapping[str, JsonValue]
    """What is sent besides."""


class _Asked(Stopped):
    """Ends a run at what it asks."""


class _Unasked:
    """In the place of an engine: notes what it is asked, and answers nothing."""

    def __init__(self) -> None:
        self.asked: list[tuple[_Asked, Request]] = []

    async def complete(self, request: Request) -> Completion:
        if request.kind == "embedding":
            raise ConfigurationError(
                "which demos are near these inputs is not known without a call: the model "
                f"`{request.lm.name}` compares them",
                help="call the program, and look at `.trace[0].exchange`",
            )
        ended = _Asked("not asked")
        self.asked.append((ended, request))
        raise ended

    def unusable(self, request: Request) -> None:
        """Nothing is kept here."""

    async def call(
        self,
        tool: Tool,
        arguments: Row,
        *,
        lms: Mapping[str, LM] = MappingProxyType({}),
        records: Mapping[str, Record] = MappingProxyType({}),
        answer: Answering | None = None,
    ) -> ToolAnswer:
        raise _Asked(f"the tool `{tool.name}` is called before a model is asked")


async def prompts_of(program: Runnable, inputs: Row, temperature: float | None) -> list[Prompt]:
    """The prompts of the predictors that depend on nothing but the inputs, in the order in which they are asked; none where a
    tool is called before. Raises InputError, and ConfigurationError where a prompt depends on a call."""
    unasked = _Unasked()
    try:
        await run(program, inputs, unasked, temperature=temperature, record=True)
    except _Asked:
        pass
    except DspecError:
        if not unasked.asked:
            raise
    return [_prompt(ended, request) for ended, request in unasked.asked]


def _prompt(ended: _Asked, request: Request) -> Prompt:
    entry = next((one for one in reversed(ended.trace) if one.exchange), None)
    return Prompt(
        "" if entry is None else entry.step,
        "" if entry is None else entry.predictor,
        request.lm.name,
        request.lm.model,
        tuple((message.role, message.content) for message in request.messages),
        MappingProxyType(request.parameters()),
    )
