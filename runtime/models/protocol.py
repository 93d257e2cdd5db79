"""The seam between the engine and whatever answers: one request in, one answer out.

A transport makes exactly one attempt. Retries, deadlines, budgets, caching and concurrency are the
engine's. A transport translates every failure into a `ProviderError` and never lets a key reach an
error's text.
"""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from functools import lru_cache
from json.encoder import encode_basestring
from typing import Literal, Protocol

from msgspec import Struct, field

from ..schema.identity import Same
from ..schema.lms import LM, SENT
from ..schema.program import Record, Tool, canonical
from ..schema.types import JsonValue, Row
from ..schema.usage import Usage
from ..values.media import Medium
from .endpoints import address, versioned
from .pacing import Quotas

Role = Literal["system", "user", "assistant"]


class Attached(Struct, frozen=True):
    """A medium that is sent in the place of the line that stands for it, from `start` to `end` of a message's content."""

    start: int
    end: int
    medium: Medium


class Message(Struct, frozen=True):
    """One turn. Where something is `attached`, the content has its line there: whoever reads, shows or keeps a message has a
    text, and only what is sent is made of parts. A line that stands in the content without being attached is only text."""

    role: Role
    content: str
    attached: tuple[Attached, ...] = ()

    def pieces(self) -> Iterator[str | Medium]:
        """The content in its order, media in the place of their lines."""
        at = 0
        for one in self.attached:
            yield self.content[at : one.start]
            yield one.medium
            at = one.end
        yield self.content[at:]

    @property
    def text(self) -> str:
        """The content without what is attached."""
        if not self.attached:
            return self.content
        return "".join(piece for piece in self.pieces() if isinstance(piece, str))

    def identity(self) -> JsonValue:
        """What tells it from others. The lines in the content say what the media are: their digests, or their URLs."""
        if not self.attached:
            return [self.role, self.content]
        return [self.role, self.content, [[one.start, one.end] for one in self.attached]]


class ToolShape(Struct, frozen=True):
    """A tool as a model that calls tools by itself is told of it."""

    name: str
    description: str
    parameters: dict[str, JsonValue]
    """JSON Schema of the arguments, an object."""

    def as_json(self) -> JsonValue:
        """As the OpenAI protocol has it."""
        told: dict[str, JsonValue] = {"name": self.name, "description": self.description}
        return {"type": "function", "function": {**told, "parameters": self.parameters}}


class ToolCall(Struct, frozen=True):
    """A tool that a model calls by itself, with what it gives as arguments: a text that should be JSON."""

    name: str
    arguments: str


class Hearing(Protocol):
    """Whoever hears an answer while it comes. Told on the engine's loop; raises nothing."""

    def said(self, piece: str) -> None:
        """The next piece of the answer's text, as the model writes it."""
        ...

    def unsaid(self) -> None:
        """What was said is no answer: the attempt failed. Another one begins from the start."""
        ...


class Request(Struct, frozen=True):
    """Everything that determines an answer; `sample` tells repeats apart. Two parts are none of its identity: `form`, and who
    hears it."""

    lm: LM
    messages: tuple[Message, ...]
    sample: int = 0
    temperature: float | None = None
    """Overrides the LM's, for exploring rounds."""
    response_format: dict[str, JsonValue] | None = None
    form: dict[str, JsonValue] | None = None
    """Sent in place of `response_format` where the model is listed to take a schema. What the prompt asks for is the same, so
    it is no part of the identity: which models are listed changes with LiteLLM's version, and no kept answer with it."""
    kind: Literal["chat", "embedding"] = "chat"
    """Of an embedding, the one message is the text, and the answer's text a JSON list of numbers."""
    tools: tuple[ToolShape, ...] = ()
    """Those that the model may call by itself."""
    reasoning: bool = False
    """Whether what the model thought is wanted with its answer."""
    heard: Hearing | None = None
    """Who hears the answer while it comes; where nobody does, it is asked for whole. The answer is the same, and so is what is
    kept of it."""

    def identity(self) -> str:
        """Canonical JSON of what the ledger keys an answer by: never a key, always the real address.

        Raises ConfigurationError when the variable that names the address is not set.
        """
        before, after = self.around()
        return f"{before}[{','.join(map(_written, self.messages))}]{after}"

    def around(self) -> tuple[str, str]:
        """What stands before and after its messages in its identity. Raises ConfigurationError as that does."""
        where = address(self.lm)
        if self.response_format is not None or self.tools:
            return _halves({"endpoint": where, **self._question_besides()})
        # All but the messages is the same for request after request.
        return _around_messages(
            Same(self.lm),
            where,
            self.sample,
            self.temperature,
            repr(self.temperature),
            self.kind,
            self.reasoning,
        )

    def question(self) -> dict[str, JsonValue]:
        """The request without the address, which differs from machine to machine."""
        messages: list[JsonValue] = [message.identity() for message in self.messages]
        return {"messages": messages, **self._question_besides()}

    def _question_besides(self) -> dict[str, JsonValue]:
        """The same without the messages."""
        parts: dict[str, JsonValue] = {
            "model": self.lm.model,
            "parameters": self.parameters(),
            "sample": self.sample,
        }
        if self.kind != "chat":
            parts["kind"] = self.kind
        if self.reasoning:
            parts["reasoning"] = True
        lm = self.lm
        if lm.api_version is not None and versioned(lm.model):
            parts["api_version"] = lm.api_version
        if lm.headers or lm.headers_env:
            # Gateways choose models by headers, providers turn on what is new. Of a variable only the name counts.
            parts["headers"] = [dict(lm.headers), dict(lm.headers_env)]
        return parts

    def parameters(self) -> dict[str, JsonValue]:
        """Sampling parameters that are set, by their OpenAI names, and what else is sent; an embedding has none."""
        if self.kind == "embedding":
            return {}
        values: dict[str, JsonValue] = {}
        temperature = self.lm.temperature if self.temperature is None else self.temperature
        if temperature is not None:
            values["temperature"] = temperature
        values.update(_set_in(Same(self.lm)))
        if self.response_format is not None:
            values["response_format"] = self.response_format
        if self.tools:
            values["tools"] = [tool.as_json() for tool in self.tools]
        if self.lm.stop is not None:
            values["stop"] = list(self.lm.stop)
        return values | self.lm.extra


@lru_cache(maxsize=256)
def _around_messages(
    lm: Same[LM],
    where: str,
    sample: int,
    temperature: float | None,
    _spelled: str,
    kind: Literal["chat", "embedding"],
    reasoning: bool,
) -> tuple[str, str]:
    """`_spelled` is the temperature as it is written: 0 and 0.0 are two texts, and the same key."""
    request = Request(lm.value, (), sample, temperature, kind=kind, reasoning=reasoning)
    return _halves({"endpoint": where, **request._question_besides()})  # pyright: ignore[reportPrivateUsage]


def _halves(besides: Mapping[str, JsonValue]) -> tuple[str, str]:
    """Canonical JSON of a request, what stands before its messages and what follows them; both have other members."""
    before = canonical({name: value for name, value in besides.items() if name < "messages"})
    after = canonical({name: value for name, value in besides.items() if name > "messages"})
    return f'{before[:-1]},"messages":', f",{after[1:]}"


def _written(message: Message) -> str:
    """Canonical JSON of a message's identity."""
    if message.attached:
        return canonical(message.identity())
    return f'["{message.role}",{encode_basestring(message.content)}]'


def key_of(request: Request) -> bytes:
    """What the ledger knows the answer by. Raises ConfigurationError when the variable that names the address is not set."""
    return hashlib.sha256(request.identity().encode(errors="surrogatepass")).digest()


def keys_after(request: Request) -> Callable[[Message], bytes]:
    """Gives the key of the request with one more message: what all of them begin with is hashed once. Raises
    ConfigurationError as `key_of` does."""
    before, after = request.around()
    same = "".join(f"{_written(one)}," for one in request.messages)
    begun = hashlib.sha256(f"{before}[{same}".encode(errors="surrogatepass"))

    def key(message: Message) -> bytes:
        whole = begun.copy()
        whole.update(f"{_written(message)}]{after}".encode(errors="surrogatepass"))
        return whole.digest()

    return key


@lru_cache(maxsize=256)
def _set_in(lm: Same[LM]) -> Mapping[str, JsonValue]:
    """What a model's declaration sets of the parameters that every request has."""
    named = {name: getattr(lm.value, name) for name in ("max_tokens", "seed", *SENT)}
    return {name: value for name, value in named.items() if value is not None}


class Answer(Struct, frozen=True):
    text: str
    usage: Usage = field(default_factory=Usage)
    cost: float | None = None
    """USD, or None where no price is known."""
    finish_reason: str = "stop"
    calls: tuple[ToolCall, ...] = ()
    """Tools that the model calls, in its order."""
    reasoning: str = ""
    """What the model thought before it answered, where that was asked for and it tells."""
    quotas: Quotas | None = None
    """What the provider says is left of its limits: for the engine, which keeps it no longer than that."""


class ToolAnswer(Struct, frozen=True):
    """What a tool gave: a value, or an error that says what went wrong."""

    value: JsonValue = None
    error: str = ""
    late: bool = False
    """Whether the error is that nothing came in time."""
    undeclared: bool = False
    """Whether the error is that what came is of another type than the tool is declared to give."""
    notes: tuple[str, ...] = ()
    """What is to be said of the call: that it was tried again, that its result was kept from before."""


Answering = Callable[[str, Row], Awaitable[JsonValue]]
"""What a function that a tool runs may ask for while it runs: by a key and inputs."""


def _unheard(note: str) -> None:
    return


class ToolUse(Struct, frozen=True):
    """What a tool may use of the run that calls it.

    `embed` gives the vectors of texts by `lm`, the model that the tool names. `answer` is there when the tool's
    function is given `call`: what it calls is answered here, and what this raises, the function sees. `note` takes what is
    to be said of the call besides its result.
    """

    lm: LM | None
    embed: Callable[[Sequence[str]], Awaitable[list[list[float]]]]
    records: Mapping[str, Record]
    """That the tool's types name."""
    answer: Answering | None = None
    note: Callable[[str], None] = _unheard


class Tools(Protocol):
    """Whatever calls tools, within their limits."""

    async def call(self, tool: Tool, arguments: Row, use: ToolUse) -> ToolAnswer:
        """One call with checked arguments, tried again as often as the tool allows. A failure is an answer."""
        ...


class Transport(Protocol):
    """Life cycle: made once per endpoint, `complete` called many times at once, closed once."""

    async def complete(self, request: Request) -> Answer:
        """One attempt. Raises `ProviderError`; cancellation closes the attempt's connection. Where the request is `heard`, the
        answer's text is told in pieces as far as the endpoint gives it so; the answer is whole all the same."""
        ...

    async def aclose(self) -> None: ...
