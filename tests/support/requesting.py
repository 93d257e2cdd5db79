"""Requests to a `FakeServer`, for tests of the engine and the transports."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from dspec.runtime.models.limits import Backoff
from dspec.runtime.models.protocol import Message, Request
from dspec.runtime.schema.program import LM

FAST = Backoff(base=0.001, cap=0.01)
"""Retries at once: what is tested is that they happen."""


def fake_lm(url: str, **settings: Any) -> LM:
    """An LM behind a `FakeServer`."""
    return LM(**{"name": "fake", "model": "openai/gpt-4o-mini", "api_base": url, **settings})


def ask(lm: LM, prompt: str = "hello", **settings: Any) -> Request:
    return Request(lm, (Message("system", "Be brief."), Message("user", prompt)), **settings)


async def eventually(condition: Callable[[], bool]) -> None:
    """Waits until `condition` holds, for a minute at most."""
    async with asyncio.timeout(60.0):
        while not condition():
            await asyncio.sleep(0.005)
