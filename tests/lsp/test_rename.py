"""Renaming changes nothing but the name: on generated programs and on the examples."""

from __future__ import annotations

import json
import os
import random
import re
from collections.abc import Iterable, Mapping
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from program_writer import LIBRARY, write_program

from dspec.compiler.check.analysis import Analysis, analyse
from dspec.compiler.check.symbols import Symbol
from dspec.lsp.features.rename import RenameRefused, rename, texts_after
from dspec.lsp.work import whole
from dspec.runtime.schema.types import JsonValue

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
DEEP = bool(os.environ.get("DSPEC_DEEP"))
NEW = "renamed_here"


def shown(analysis: Analysis, old: str) -> JsonValue:
    """What `show --ir` prints, with both names made the same."""
    if analysis.project is None:
        return None
    text = analysis.project.model_dump_json()
    return json.loads(re.sub(rf"(?<!\w)(?:{re.escape(old)}|{NEW})(?!\w)", "§", text))


def without_columns(printed: JsonValue) -> JsonValue:
    """Without the names that datasets' columns have in the source: a renamed column keeps its own there."""
    if isinstance(printed, dict):
        return {key: without_columns(value) for key, value in printed.items() if key != "columns"}
    return [without_columns(one) for one in printed] if isinstance(printed, list) else printed


def again(path: Path, texts: Mapping[Path, str]) -> Analysis:
    others = dict(texts)
    own = others.pop(path, None)
    return analyse(path, text=own, probe=False, texts=others)


def all_again(paths: Iterable[Path], texts: Mapping[Path, str]) -> list[Analysis]:
    return [again(path, texts) for path in paths]


def check_renamed(analysis: Analysis, symbol: Symbol) -> bool:
    """Whether the name could be changed; fails where that changed more."""
    try:
        found = whole(rename(analysis, symbol.location.start, NEW, [analysis], all_again))
    except RenameRefused:
        return False
    texts = texts_after(found)
    after = again(analysis.source.path, texts)
    told = [(one.code, one.primary.location.source.name) for one in analysis.diagnostics]
    assert [(one.code, one.primary.location.source.name) for one in after.diagnostics] == told
    before, now = shown(analysis, symbol.name), shown(after, symbol.name)
    if symbol.kind == "column":
        before, now = without_columns(before), without_columns(now)
    assert before == now, symbol
    # And back again.
    place = next(one for one in after.symbols.declared if one.name == NEW and one.kind == symbol.kind)
    if symbol.kind != "column" and analysis.source.path in texts:
        back = whole(
            rename(
                after,
                place.location.start,
                symbol.name,
                [after],
                lambda paths, more: all_again(paths, {**texts, **more}),
            )
        )
        assert {**texts, **texts_after(back)}[analysis.source.path] == analysis.source.text
    return True


def renamable(analysis: Analysis) -> list[Symbol]:
    here = [one for one in analysis.symbols.declared if one.location.source is analysis.source]
    return [one for one in here if one.location.text == one.name]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("renaming")
    (place / "lib.dspec").write_text(LIBRARY, encoding="utf-8")
    return place


@settings(max_examples=150 if DEEP else 5)
@given(st.builds(write_program, st.integers(0, 2**48), st.integers(1, 3)), st.integers(0, 2**32))
def test_renaming_in_generated_programs(folder: Path, text: str, seed: int) -> None:
    path = folder / "main.dspec"
    path.write_text(text, encoding="utf-8")
    analysis = analyse(path, probe=False)
    found = renamable(analysis)
    for symbol in random.Random(seed).sample(found, min(3, len(found))):
        done = check_renamed(analysis, symbol)
        whole = symbol.kind not in ("input", "output", "field", "column", "parameter")
        assert done or not whole, f"{symbol.kind} {symbol.name} cannot be renamed"


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("*/*.dspec")), ids=lambda path: path.stem)
def test_renaming_in_the_examples(path: Path) -> None:
    analysis = analyse(path, probe=False)
    found = renamable(analysis)
    for symbol in found if DEEP else random.Random(path.stem).sample(found, min(3, len(found))):
        done = check_renamed(analysis, symbol)
        whole = symbol.kind not in ("input", "output", "field", "column", "parameter")
        assert done or not whole, f"{symbol.kind} {symbol.name} cannot be renamed"
