"""One graph of projects: importers see what the editor has, else what is on disk, and each list is shown once."""

from __future__ import annotations

import asyncio
import gc
import json
import tracemalloc
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from lsprotocol import types
from media import png

from dspec.compiler.diagnostics.record import Diagnostic
from dspec.lsp.checks import TIDYING, Checks
from dspec.lsp.documents import Document, Documents

LIB = 'dspec 1\n\nlm mini { model = "openai/gpt-4o-mini" }\n'
MAIN = 'dspec 1\n\nimport "lib.dspec" as lib\nmodule ask = Predict(sig(a -> b), lm = lib.mini)\n'
ROWS = 'dspec 1\n\ndataset rows { source = csv("rows.csv"); input text: str; split { a = 50%; b = 50% } }\n'


class Editor:
    """Documents in a folder with their checks; `shown` has the codes that were published, in order."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.documents = Documents()
        self.shown: list[tuple[str, int | None, list[str]]] = []
        self.checks = Checks(self.documents, self._publish, self._clear)

    def _publish(self, document: Document, found: list[Diagnostic]) -> None:
        name = document.uri.rpartition("/")[2]
        self.shown.append((name, document.version, [one.code for one in found]))

    def _clear(self, uri: str) -> None:
        self.shown.append((uri.rpartition("/")[2], None, []))

    def uri(self, name: str) -> str:
        return (self.folder / name).as_uri()

    async def open(self, name: str, text: str, version: int = 1) -> None:
        self.documents.open(types.TextDocumentItem(self.uri(name), "dspec", version, text))
        self.checks.schedule(self.uri(name))
        await self.settled()

    async def change(self, name: str, text: str, version: int) -> None:
        identifier = types.VersionedTextDocumentIdentifier(version, self.uri(name))
        self.documents.change(identifier, [types.TextDocumentContentChangeWholeDocument(text)])
        self.checks.schedule(self.uri(name))
        await self.settled()

    async def close(self, name: str) -> None:
        document = self.documents.get(self.uri(name))
        assert document is not None
        self.documents.close(document.uri)
        self.checks.drop(document)
        await self.settled()

    async def settled(self) -> None:
        while self.checks.busy:
            await asyncio.sleep(0.005)

    async def read(self) -> None:
        """Wait until all that checks ask of data is answered."""
        await self.settled()
        while self.checks.busy or any(one.questions for one in self.checks._checkings.values()):
            await asyncio.sleep(0.01)

    def now(self) -> dict[str, list[str]]:
        """What is shown of each file."""
        return {name: codes for name, _, codes in self.shown}


@pytest.fixture
async def editor(tmp_path: Path) -> AsyncIterator[Editor]:
    (tmp_path / "dspec.toml").touch()
    (tmp_path / "lib.dspec").write_text(LIB)
    made = Editor(tmp_path)
    yield made
    made.checks.close()


async def test_importers_see_a_text_that_is_not_saved(editor: Editor) -> None:
    await editor.open("main.dspec", MAIN)
    assert editor.now() == {"main.dspec": []}
    await editor.open("lib.dspec", LIB.replace("mini", "other"))
    assert editor.now()["main.dspec"] == ["DS0208"]
    await editor.change("lib.dspec", LIB, 2)
    assert editor.now()["main.dspec"] == []


async def test_a_closed_document_counts_as_it_is_on_disk(editor: Editor) -> None:
    await editor.open("main.dspec", MAIN)
    await editor.open("lib.dspec", LIB.replace("mini", "other"))
    assert editor.now()["main.dspec"] == ["DS0208"]
    await editor.close("lib.dspec")
    assert editor.now() == {"main.dspec": [], "lib.dspec": []}


async def test_what_closed_documents_held_is_free_again(editor: Editor) -> None:
    """Python keeps the pages of freed objects; that they are free is what can be told."""
    signatures = "".join(f'signature S{n} {{ "Say it." input a: str output b{n}: str }}\n' for n in range(60))
    await editor.open("first.dspec", MAIN + signatures.replace("S", "T"))
    await editor.close("first.dspec")
    names = [f"more{n}.dspec" for n in range(12)]
    tracemalloc.start()
    try:
        held = [_held()]
        for number, name in enumerate(names):
            await editor.open(name, MAIN + signatures.replace("S", f"S{number}x"))
        held.append(_held())
        for name in names:
            await editor.close(name)
        await asyncio.sleep(TIDYING + 0.2)
        held.append(_held())
    finally:
        tracemalloc.stop()
    empty, opened, closed = held
    assert closed - empty < (opened - empty) / 10


def _held() -> int:
    gc.collect()
    return tracemalloc.get_traced_memory()[0]


async def test_mistakes_in_files_that_are_not_open_are_shown(editor: Editor) -> None:
    (editor.folder / "lib.dspec").write_text(LIB + "module wrong = Predict(Unknown)\n")
    await editor.open("main.dspec", MAIN)
    assert editor.now() == {"main.dspec": [], "lib.dspec": ["DS0201"]}
    await editor.open("lib.dspec", LIB)
    assert editor.now()["lib.dspec"] == [], "the editor's text is another one"
    await editor.close("main.dspec")
    await editor.close("lib.dspec")
    assert editor.now() == {"main.dspec": [], "lib.dspec": []}


async def test_a_change_on_disk_is_seen_after_a_look(editor: Editor) -> None:
    await editor.open("main.dspec", MAIN)
    (editor.folder / "lib.dspec").write_text(LIB.replace("mini", "other"))
    editor.checks.refresh()
    await editor.settled()
    assert editor.now()["main.dspec"] == ["DS0208"]
    (editor.folder / "lib.dspec").unlink()
    editor.checks.refresh()
    await editor.settled()
    assert editor.now()["main.dspec"] == ["DS0204"]
    (editor.folder / "lib.dspec").write_text(LIB)
    editor.checks.refresh()
    await editor.settled()
    assert editor.now()["main.dspec"] == []


async def test_what_has_not_changed_is_not_shown_again(editor: Editor) -> None:
    await editor.open("main.dspec", MAIN)
    before = len(editor.shown)
    editor.checks.refresh()
    await editor.settled()
    assert len(editor.shown) == before


async def test_many_edits_at_once_cost_one_check(editor: Editor) -> None:
    await editor.open("main.dspec", MAIN)
    before = len(editor.shown)
    for version in range(2, 202):
        identifier = types.VersionedTextDocumentIdentifier(version, editor.uri("main.dspec"))
        change = types.TextDocumentContentChangeWholeDocument(MAIN + "\n" * version)
        editor.documents.change(identifier, [change])
        editor.checks.schedule(editor.uri("main.dspec"))
    await editor.settled()
    assert editor.shown[before:] == [("main.dspec", 201, [])]


async def test_a_file_that_is_opened_through_a_link_is_the_same_file(editor: Editor) -> None:
    (editor.folder / "link.dspec").symlink_to(editor.folder / "lib.dspec")
    await editor.open("main.dspec", MAIN)
    await editor.open("link.dspec", LIB.replace("mini", "other"))
    assert editor.now()["main.dspec"] == ["DS0208"]
    assert "lib.dspec" not in editor.now()


async def test_of_several_documents_of_a_file_each_has_its_own_text_and_others_see_the_last(
    editor: Editor,
) -> None:
    (editor.folder / "link.dspec").symlink_to(editor.folder / "lib.dspec")
    wrong = LIB.replace("mini", "other") + "module wrong = Predict(Unknown)\n"
    await editor.open("main.dspec", MAIN)
    await editor.open("lib.dspec", LIB)
    await editor.open("link.dspec", wrong)
    assert editor.now() == {"main.dspec": ["DS0208"], "lib.dspec": [], "link.dspec": ["DS0201"]}
    await editor.change("lib.dspec", LIB + "# more\n", 2)
    assert editor.now() == {"main.dspec": [], "lib.dspec": [], "link.dspec": ["DS0201"]}
    await editor.change("link.dspec", wrong + "# more\n", 2)
    assert editor.now()["main.dspec"] == ["DS0208"]
    await editor.close("link.dspec")
    assert editor.now() == {"main.dspec": [], "lib.dspec": [], "link.dspec": []}


async def test_a_project_root_that_appears_is_the_root_of_what_is_read(editor: Editor) -> None:
    (editor.folder / "part").mkdir()
    (editor.folder / "rows.csv").write_text("text\n" + "a\n" * 4)
    (editor.folder / "part" / "dspec.toml").touch()
    await editor.open("part/main.dspec", ROWS.replace("rows.csv", "../rows.csv"))
    assert editor.now() == {"main.dspec": ["DS0413"]}
    (editor.folder / "part" / "dspec.toml").unlink()
    editor.checks.refresh()
    await editor.settled()
    checking = editor.checks._checkings[editor.uri("part/main.dspec")]
    assert editor.now() == {"main.dspec": []}
    assert checking.session.root == editor.folder
    assert json.loads(checking.questions[0])[1] == str(editor.folder)


async def test_data_is_read_by_a_process_and_what_it_says_stays(editor: Editor) -> None:
    (editor.folder / "rows.csv").write_text("txt\n" + "a\n" * 4)
    await editor.open("main.dspec", ROWS)
    assert editor.now() == {"main.dspec": []}
    while editor.checks.status()["reading"] or not editor.now()["main.dspec"]:
        await asyncio.sleep(0.02)
    assert editor.now() == {"main.dspec": ["DS0402"]}
    await editor.change("main.dspec", ROWS + "\n# more\n", 2)
    assert editor.now() == {"main.dspec": ["DS0402"]}, "it is not read again"


async def test_pictures_of_demos_and_rows_are_looked_at_again_when_they_change(editor: Editor) -> None:
    (editor.folder / "rows.jsonl").write_text('{"photo": "b.png", "kind": "x"}\n' * 4)
    (editor.folder / "a.png").write_bytes(png(2, 2))
    text = (
        "dspec 1\nsignature S { input photo: image; output kind: str"
        '; demo { photo = "a.png"; kind = "x" } }\n'
        'dataset rows { source = jsonl("rows.jsonl"); input photo: image; field kind: str }\n'
    )
    await editor.open("main.dspec", text)
    assert editor.now() == {"main.dspec": []}, "nothing is said of what nobody has read"
    await editor.read()
    assert "DS0661" not in editor.now()["main.dspec"]
    assert editor.now()["main.dspec"], "rows name a picture that is not there"
    (editor.folder / "b.png").write_bytes(png(2, 2))
    (editor.folder / "a.png").unlink()
    editor.checks.refresh()
    await editor.read()
    assert editor.now() == {"main.dspec": ["DS0661"]}


async def test_closing_a_document_ends_the_reading_of_its_data(editor: Editor) -> None:
    (editor.folder / "rows.csv").write_text("txt\n" + "a\n" * 4)
    await editor.open("main.dspec", ROWS)
    while not editor.checks.status()["reading"]:
        await asyncio.sleep(0.02)
    await editor.close("main.dspec")
    assert editor.checks.status()["reading"] == 0
