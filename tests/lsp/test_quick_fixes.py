"""Every quick fix removes its finding and adds none: on the corpus of wrong programs."""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path

import pytest
from corpus import BESIDE, CORPUS, case
from lsprotocol.types import LanguageKind, TextDocumentItem

from dspec.compiler.check.analysis import Analysis, analyse
from dspec.lsp.documents import Documents
from dspec.lsp.features.actions import actions
from dspec.lsp.features.rename import edited, texts_after
from dspec.lsp.work import whole
from dspec.lsp.workspace import Workspace

DEEP = bool(os.environ.get("DSPEC_DEEP"))
UNCOVERING = frozenset(("metric_feedback_for_typo", "one_mistake_one_message", "syntax_misspelt_items"))
"""A slip of the pen is put right, and what stands behind it is then read, and is wrong, too."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("fixes")
    (place / "data").mkdir()
    for name, content in BESIDE.items():
        (place / name).write_text(content, encoding="utf-8")
    return place


def weighed(analysis: Analysis) -> Counter[str]:
    return Counter(one.code for one in analysis.diagnostics if one.severity != "hint")


def told(analysis: Analysis) -> Counter[tuple[str, str]]:
    return Counter((one.code, one.message) for one in analysis.diagnostics)


@pytest.mark.parametrize("part", range(16 if DEEP else 4))
def test_a_quick_fix_removes_its_finding_and_adds_none(folder: Path, part: int) -> None:
    main = folder / "main.dspec"
    tried = 0
    for path in sorted(CORPUS.glob("*.dspec"))[part::16]:
        text = case(path.read_text(encoding="utf-8")).program
        documents = Documents()
        documents.open(TextDocumentItem(main.as_uri(), LanguageKind.Python, 1, text))
        files = Workspace(documents)
        before = analyse(main, text=text, probe=False)
        own = [one for one in before.diagnostics if one.primary.location.source is before.source]
        for one in own:
            if not one.fixes and one.severity == "error":
                continue
            place = one.primary.location
            for action in whole(actions(before, [one], place.start, place.end, files)):
                if not action.solves:
                    continue
                tried += 1
                after = files.analysis(main, texts_after(action.edits))
                assert told(after)[one.code, one.message] < told(before)[one.code, one.message], (
                    path.name,
                    action.title,
                )
                if path.stem not in UNCOVERING:
                    assert not weighed(after) - weighed(before), (path.name, action.title)
                assert edited(text, action.edits) != text
    assert tried > 5
