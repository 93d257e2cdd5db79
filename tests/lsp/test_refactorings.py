"""A refactoring leaves the program what it is: the same IR, but for the name of a signature."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from dspec.compiler.check.analysis import Analysis, analyse
from dspec.lsp.features.actions import actions
from dspec.lsp.features.rename import texts_after
from dspec.lsp.work import whole
from dspec.lsp.workspace import Trial
from dspec.runtime.schema.types import JsonValue

PATH = Path("/nowhere/main.dspec")
HEAD = 'dspec 1\nlm m { model = "embedded/icl" }\ntype T = "a" | "b"\n'


class Alone:
    """A project of one file."""

    def trial(self, path: Path) -> Trial:
        return Trial(path, {})

    def seeing(self, analysis: Analysis) -> Iterator[Analysis]:
        yield analysis


def unnamed(printed: JsonValue) -> JsonValue:
    """The IR without the names of signatures."""
    if isinstance(printed, dict):
        kept = {key: unnamed(value) for key, value in printed.items()}
        return {**kept, "name": ""} if "instruction" in kept else kept
    return [unnamed(one) for one in printed] if isinstance(printed, list) else printed


def meaning(text: str) -> JsonValue:
    analysis = analyse(PATH, text=text, probe=False)
    assert analysis.project is not None, analysis.diagnostics
    return unnamed(json.loads(analysis.project.model_dump_json()))


def done(text: str, kind: str) -> str:
    """The text after the refactoring of that kind at `$0`."""
    offset = text.index("$0")
    text = text.replace("$0", "")
    analysis = analyse(PATH, text=text, probe=False)
    (action,) = [
        one
        for one in whole(actions(analysis, analysis.diagnostics, offset, offset, Alone()))
        if one.kind == kind
    ]
    return texts_after(action.edits)[PATH]


@pytest.mark.parametrize(
    "module",
    [
        "module one = Predict(s$0ig(question -> answer))",
        'module one = ChainOfThought(sig(a: str = "x", n: in$0t, f: T? -> t: T, more: list[str]))',
        "# why it is there\nmodule one = Predict(sig(a -> b$0), temperature = 0.5)",
    ],
)
def test_a_signature_is_extracted_and_put_back(module: str) -> None:
    text = HEAD + module
    extracted = done(text, "refactor.extract")
    assert "\nsignature One {" in extracted
    assert meaning(extracted) == meaning(text.replace("$0", ""))
    back = done(extracted.replace("signature One", "signature O$0ne"), "refactor.inline")
    assert "signature" not in back
    assert meaning(back) == meaning(text.replace("$0", ""))


def test_a_comment_stays_with_its_module() -> None:
    extracted = done(HEAD + "# why\nmodule one = Predict(s$0ig(a -> b))\n", "refactor.extract")
    assert extracted.endswith("# why\nmodule one = Predict(One)\n")
