"""Who looks through the files of a project, each once, finds what a look through each by itself finds."""

from pathlib import Path

import pytest
from lsprotocol.types import LanguageKind, TextDocumentItem

from dspec.compiler.check.analysis import analyse
from dspec.lsp.documents import Documents
from dspec.lsp.features.names import mentions, same
from dspec.lsp.workspace import Workspace

SOURCES = {
    "lib.dspec": """
lm mini { model = "embedded/icl" }
record Note { field text: str; field more: list[Note] }
signature Read { input page: str; output notes: list[Note]; output sure: bool }
module read = Predict(Read, lm = mini)
""",
    "middle.dspec": """
import "lib.dspec" as lib
module twice = ChainOfThought(lib.Read, lm = lib.mini)
metric both(gold: rows, pred: twice) = gold.sure == pred.sure and pred.notes[0].text != ""
dataset rows { source = csv("rows.csv"); input page: str; field sure: bool }
""",
    "top.dspec": """
import "middle.dspec" as middle
import "lib.dspec" as lib
signature Wide extends lib.Read { output why: str }
optimize best { program = middle.twice; metric = middle.both; train = middle.rows; step s = LabeledFewShot() }
metric some(gold: middle.rows, pred: lib.read) = pred.sure
""",
    "side.dspec": """
import "lib.dspec" as of
program p(page: str) {
  let r = of.read(page = page)
  return notes = r.notes, sure = r.sure
}
""",
    "round.dspec": """
import "about.dspec" as about
import "lib.dspec" as lib
module here = Predict(lib.Read, lm = about.other)
""",
    "about.dspec": """
import "round.dspec" as round
lm other { model = "embedded/icl" }
module there = Predict(sig(a -> b), lm = other)
program goes(page: str) {
  let r = round.here(page = page)
  return sure = r.sure
}
""",
}


@pytest.mark.parametrize("name", SOURCES)
def test_each_mention_is_found(tmp_path: Path, name: str) -> None:
    folder = tmp_path.resolve()
    (folder / "dspec.toml").touch()
    for file, text in SOURCES.items():
        (folder / file).write_text(f"dspec 1\n{text}", encoding="utf-8")
    main = folder / name
    documents = Documents()
    documents.open(TextDocumentItem(main.as_uri(), LanguageKind.Python, 1, main.read_text(encoding="utf-8")))
    workspace = Workspace(documents)
    analysis = analyse(main, probe=False)
    alone = [analyse(folder / file, probe=False) for file in SOURCES]
    # Nothing is wrong but the circle of two files.
    assert [one.code for each in alone for one in each.diagnostics if one.severity == "error"] == [
        "DS0214"
    ] * 2
    seeing = list(workspace.seeing(analysis))
    found = 0
    for symbol in analysis.symbols.declared:
        if symbol.location.source is analysis.source:
            declared = same(analysis, symbol)
            expected = mentions(alone, declared)
            assert mentions(seeing, declared) == expected, symbol.name
            found += len(expected)
    assert found >= len(SOURCES[name].split("\n")) - 3
