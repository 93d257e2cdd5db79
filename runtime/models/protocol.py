"""The seam between the engine and whatever answers: one request in, one answer out.

A transport makes exactly one attempt. Retries, deadlines, budgets, caching and concurrency are the
engine's. A transport translates every failure into a `ProviderError` and never lets a key reach an
error's text.
"""

from __future__ import annotations

from typing import Literal, Protocol

from msgspec import Struct, field

from ..schema.program import LM, Tool, canonical
from ..schema.types import JsonValue, Row
from ..schema.usage import Usage
from .endpoints import address
from .pacing import Quotas

Role = Literal["system", "user", "assistant"]


class Message(Struct, frozen=True):
    role: Role
    content: str


class Request(Struct, frozen=True):
    """Everything that determines an answer, and nothing else; `sample` tells repeats apart."""

    lm: LM
    messages: tuple[Message, ...]
    sample: int = 0
    temperature: float | None = None
    """Overrides the LM's, for exploring rounds."""
    response_format: dict[str, JsonValue] | None = None
    kind: Literal["chat", "embedding"] = "chat"
    """Of an embedding, the one message is the text, and the answer's text a JSON list of numbers."""

    def identity(self) -> str:
        """Canonical JSON of what the ledger keys an answer by: never a key, always the real address.

        Raises ConfigurationError when the variable that names the address is not set.
        """
        parts: dict[str, JsonValue] = {
            "endpoint": address(self.lm),
            "model": self.lm.model,
            "messages": [[message.role, message.content] for message in self.messages],
            "parameters": self.parameters(),
            "sample": self.sample,
        }
        if self.kind != "chat":
            parts["kind"] = self.kind
        return canonical(parts)

    def parameters(self) -> dict[str, JsonValue]:
        """Sampling parameters that are set, by their OpenAI names; an embedding has none."""
        if self.kind == "embedding":
            return {}
        values: dict[str, JsonValue] = {
            "temperature": self.lm.temperature if self.temperature is None else self.temperature,
            "max_tokens": self.lm.max_tokens,
            "seed": self.lm.seed,
            "response_format": self.response_format,
        }
        return {name: value for name, value in values.items() if value is not None}


class Answer(Struct, frozen=True):
    text: str
    usage: Usage = field(default_factory=Usage)
    cost: float | None = None
    """USD, or None where no price is known."""
    finish_reason: str = "stop"
    quotas: Quotas | None = None
    """What the provider says is left of its limits: for the engine, which keeps it no longer than that."""


class ToolAnswer(Struct, frozen=True):
    """What a tool gave: a value, or an error that says what went wrong."""

    value: JsonValue = None
    error: str = ""
    notes: tuple[str, ...] = ()
    """What is to be said of the call: that it was tried again, that its result was kept from before."""


class Tools(Protocol):
    """Whatever calls tools, within their limits."""

    async def call(self, tool: Tool, arguments: Row) -> ToolAnswer:
        """One call with checked arguments, tried again as often as the tool allows. A failure is an answer."""
        ...


class Transport(Protocol):
    """Life cycle: made once per endpoint, `complete` called many times at once, closed once."""

    async def complete(self, request: Request) -> Answer:
        """One attempt. Raises `ProviderError`; cancellation closes the attempt's connection."""
        ...

    async def aclose(self) -> None: ...
