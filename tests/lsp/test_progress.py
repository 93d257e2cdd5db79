"""Work that takes long is shown, and may be cancelled."""

from __future__ import annotations

import asyncio
from concurrent.futures import Future
from typing import Any

import pytest

from dspec.lsp import progress
from dspec.lsp.progress import shown


class Shown:
    """What an editor would show."""

    def __init__(self) -> None:
        self.tokens: dict[str, Future[None]] = {}
        self.seen: list[str] = []

    async def create_async(self, token: str) -> None:
        self.tokens[token] = Future()

    def begin(self, token: str, value: Any) -> None:
        self.seen.append(value.title)

    def end(self, token: str, value: Any) -> None:
        self.seen.append("ended")


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "PATIENCE", 0.01)


async def test_long_work_is_shown_until_it_ends() -> None:
    editor = Shown()
    async with shown(editor, "Reading", lambda: None):  # type: ignore[arg-type]
        while not editor.seen:
            await asyncio.sleep(0.005)
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert editor.seen == ["Reading", "ended"]


async def test_short_work_is_not_shown() -> None:
    editor = Shown()
    async with shown(editor, "Reading", lambda: None):  # type: ignore[arg-type]
        pass
    await asyncio.sleep(0.03)
    assert editor.seen == []


async def test_work_is_cancelled_in_the_editor() -> None:
    editor, cancelled = Shown(), asyncio.Event()
    async with shown(editor, "Reading", cancelled.set):  # type: ignore[arg-type]
        while not editor.seen:
            await asyncio.sleep(0.005)
        next(iter(editor.tokens.values())).cancel()
        await asyncio.wait_for(cancelled.wait(), 5)
