"""A bug in a check, put in by force: the editor sees a DS0000, the log the traceback, and work goes on."""

from __future__ import annotations

import asyncio
import logging

import pytest
from lsprotocol import types

from dspec.compiler.check import checking as front
from dspec.compiler.diagnostics.record import Diagnostic
from dspec.lsp.checks import Checks
from dspec.lsp.documents import Document, Documents

TEXT = 'dspec 1\n\nlm mini { model = "openai/gpt-4o-mini" }\nmodule ask = Predict(Unknown)\n'


def broken(*_: object) -> None:
    raise RuntimeError("something is off")


async def test_the_editor_is_told_and_the_server_goes_on(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    published: list[list[str]] = []
    told = asyncio.Event()

    def publish(_: Document, found: list[Diagnostic]) -> None:
        published.append([each.code for each in found])
        told.set()

    documents = Documents()
    checks = Checks(documents, publish, lambda uri: None)
    monkeypatch.setattr(front, "check_declarations", broken)
    item = types.TextDocumentItem("untitled:one", "dspec", 1, TEXT)
    with caplog.at_level(logging.ERROR):
        documents.open(item)
        checks.schedule(item.uri)
        await asyncio.wait_for(told.wait(), 10)
    assert published == [["DS0000"]]
    assert "in broken" in caplog.text
    monkeypatch.undo()
    told.clear()
    documents.open(types.TextDocumentItem("untitled:one", "dspec", 2, TEXT))
    checks.schedule(item.uri)
    await asyncio.wait_for(told.wait(), 10)
    assert published[-1] == ["DS0201"]
    checks.close()
