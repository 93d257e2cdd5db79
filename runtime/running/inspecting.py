"""What a program would ask first for given inputs: its prompts, without a call."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from ..adapters import adapter, adapter_of
from ..errors import ConfigurationError, DspecError, InputError, Stopped
from ..models.calls import Completion
from ..models.protocol import Answering, Message, Request, ToolAnswer
from ..schema.ensemble import Ensemble, Runnable, parts
from ..schema.lms import LM
from ..schema.program import Predictor, Program, Record, Tool, digest
from ..schema.types import JsonValue, Row
from .execute import run
from .thinking import as_asked


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


def blank_prompt(program: Program, predictor: Predictor) -> tuple[Message, ...]:
    """The messages that a predictor of the program sends, with the names of inputs in the place of their values.

    Raises InputError for one that takes a history, whose turns have no blanks.
    """
    lm = predictor.asks(program.lms)
    layout = adapter("chat") if lm is None else adapter_of(lm)
    blanks: Row = {field.name: f"<{field.name}>" for field in predictor.signature.inputs}
    return layout.render(as_asked(predictor, lm), blanks, program.records)


def prompt_digests(program: Runnable) -> dict[str, str]:
    """SHA-256 of each predictor's messages as this version lays them out (`blank_prompt`), by address; of an ensemble by
    member, from 1, or `reducer`. Those are left out whose messages cannot be told without inputs."""
    found: dict[str, str] = {}
    every = parts(program)
    for place, one in enumerate(every):
        lead = "" if len(every) == 1 else f"member {place + 1}: "
        if isinstance(program, Ensemble) and program.reducer is one:
            lead = "reducer: "
        for address, predictor in one.predictors.items():
            try:
                messages = blank_prompt(one, predictor)
            except InputError:
                continue
            found[f"{lead}{address}"] = digest([[each.role, each.content] for each in messages])
    return found
