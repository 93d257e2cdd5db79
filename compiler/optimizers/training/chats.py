"""Chats to train on: each a prompt as a run sends it, with the answer that the model is to give. Kept and sent as JSONL."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Sequence

from dspec.runtime.models.protocol import Message
from dspec.runtime.models.transports.answers import estimate_tokens

Chat = tuple[Message, ...]
"""The last message is the assistant's."""


def jsonl(chats: Iterable[Chat]) -> bytes:
    """The chats in the form that OpenAI's fine-tuning and TRL read: one `{"messages": […]}` a line."""
    lines = (
        json.dumps(
            {"messages": [{"role": one.role, "content": one.content} for one in chat]}, ensure_ascii=False
        )
        for chat in chats
    )
    return "".join(f"{line}\n" for line in lines).encode("utf-8", "surrogatepass")


def digest(data: bytes) -> str:
    """What tells a dataset from others, in hexadecimal."""
    return hashlib.sha256(data).hexdigest()


def tokens(chats: Sequence[Chat]) -> int:
    """Of all the chats once, by the rule that plans go by."""
    return sum(estimate_tokens(chat) for chat in chats)
