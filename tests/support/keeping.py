"""A model that keeps to `max_tokens` and uses all of them: what a plan's maximum must hold against.

Its tokens are bytes, the most that any tokenizer makes of a text, or four bytes each. Now and then an answer cannot be
read. It writes as much as it may wherever a text is free, so that demos, instructions and trajectories are as long as they
can get.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Awaitable, Callable, Mapping
from typing import Literal

from scripted import FAKE, Asked, Reply, answer_text
from server import Call, Reporting, embedded

from dspec.runtime.models.protocol import Answer, Request
from dspec.runtime.schema.usage import Usage

Tokens = Literal["bytes", "fours"]
PRICED = FAKE.model_copy(
    update={
        "model": "openai/fake",
        "api_base": "http://127.0.0.1:1/v1",
        "max_tokens": 120,
        "price_input": 1.0,
        "price_output": 4.0,
    }
)
"""The scripted model as one that is paid."""


def tokens_of(text: str, tokens: Tokens) -> int:
    size = len(text.encode())
    return size if tokens == "bytes" else math.ceil(size / 4)


def prompt_tokens(request: Request, tokens: Tokens) -> int:
    """With what a provider counts around messages."""
    return sum(tokens_of(one.content, tokens) + 4 for one in request.messages)


def draw(request: Request) -> int:
    recipe = repr((request.lm.name, request.messages, request.sample, request.temperature))
    return int.from_bytes(hashlib.sha256(recipe.encode()).digest()[:4], "big")


def keeps(
    reply: Reply,
    tokens: Tokens,
    *,
    free: frozenset[str] = frozenset({"gist", "reasoning"}),
    unreadable: int = 11,
) -> Reply:
    """The reply with its `free` fields, and all texts that nobody labels, filled up to the model's limit; one answer in
    `unreadable` is nothing but words."""

    def answer(asked: Asked) -> Answer:
        request = asked.request
        assert request.lm.max_tokens is not None
        most = request.lm.max_tokens * (1 if tokens == "bytes" else 4)
        given = reply(asked)
        number = draw(request)
        if isinstance(given, Mapping):
            fields: dict[str, object] = dict(given)
            text = answer_text(fields, asked.wanted)
            wide = [name for name in asked.wanted if name in free or name not in ("label", "score")]
            room = most - len(text.encode()) - 40
            if wide and room > 0:
                name = wide[number % len(wide)]
                fields[name] = f"{fields.get(name, '')} {f'say {number} ' * (room // 4)}"[: room // 2 * 2]
                text = answer_text(fields, asked.wanted)
        else:
            text = str(given)
        if unreadable and number % unreadable == 0:
            text = "nobody can read this " * most
        text = text.encode()[:most].decode(errors="ignore")
        return Answer(text, Usage(prompt_tokens(request, tokens), tokens_of(text, tokens)))

    return answer


FREE = ("reasoning", "next_thought", "instruction", "guidelines", "observations", "summary", "note")
"""Sections in which a model may write as much as it likes."""


def filled(text: str, most: int, number: int) -> str:
    """An answer in sections with its first free one filled up to so many bytes."""
    room = most - len(text.encode()) - 8
    for name in FREE:
        head = f"[[ ## {name} ## ]]\n"
        if head in text and room > 0:
            more = (f"so {number} it goes, " * (room // 6 + 1))[:room]
            return text.replace(head, f"{head}{more} ", 1)
    return text


def talkative(tokens: Tokens) -> tuple[Callable[[Call], Awaitable[str]], Reporting]:
    """What a `FakeServer` answers and reports: the embedded model's answers, as long as the request allows."""
    inside = embedded()

    async def answer(call: Call) -> str:
        most = int(call.body["max_tokens"]) * (1 if tokens == "bytes" else 4)
        text = filled(await inside(call), most, int(call.digest, 16) % 1000)
        return text.encode()[:most].decode(errors="ignore")

    def reports(call: Call, text: str) -> tuple[tuple[int, int], dict[str, int]]:
        prompt = sum(tokens_of(str(one["content"]), tokens) + 4 for one in call.body["messages"])
        billed = (prompt, tokens_of(text, tokens))
        return billed, {"prompt_tokens": billed[0], "completion_tokens": billed[1]}

    return answer, reports
