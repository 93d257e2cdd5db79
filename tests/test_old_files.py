"""Files that older versions wrote, or were written for them, check, load and answer today as they did."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from old_files import BESIDE, KINDS, LATER, OLD, listed, lost, mended, old_files, present, sha256

FILES = old_files()


def names(paths: list[Path] | dict[Path, Any]) -> list[str]:
    return [path.relative_to(OLD).as_posix() for path in paths]


def expected(path: Path) -> dict[str, Any]:
    return mended(json.loads(path.with_name(path.name + BESIDE).read_bytes()))


def told(shown: dict[str, Any]) -> list[str]:
    """The findings that an old file must go on to have: errors and warnings. What is not supported may come, and advice
    may change."""
    found = [line.rsplit(" ", 2) for line in shown.pop("found", [])]
    return [f"{place} {code}" for place, severity, code in found if severity != "hint" and code != LATER]


@pytest.mark.parametrize(("path", "show"), FILES.items(), ids=names(FILES))
def test_an_old_file_is_read_as_it_was(path: Path, show: Callable[[Path, Any], dict[str, Any]]) -> None:
    before = expected(path)
    now = show(path, before)
    assert told(now) == told(before)
    assert lost(before, now) == []
    # What is sent and given is the same to the last member.
    assert {name: now.get(name) for name in ("runs", "dspy", "answers", "rows")} == {
        name: before.get(name) for name in ("runs", "dspy", "answers", "rows")
    }


def test_old_files_are_never_rewritten() -> None:
    """Each has its line in the manifest, as it was when it came. If this fails, restore the file; a changed reading of it
    is a fault of today's code, and a new file is added with `python tests/support/old_files.py`."""
    assert {name: sha256(OLD / name) for name in present()} == listed()


def test_every_file_has_an_expectation_and_every_expectation_a_file() -> None:
    recorded = {path.with_name(path.name.removesuffix(BESIDE)) for path in OLD.rglob(f"*{BESIDE}")}
    assert sorted(names(list(recorded))) == sorted(names(FILES))
    assert all(any(path.match(f"old/{pattern}") for path in FILES) for pattern in KINDS)


def test_a_loss_is_seen() -> None:
    before = {"a": [{"b": 1, "c": None}], "d": True}
    assert lost(before, {"a": [{"b": 1, "c": None, "e": 2}], "d": True, "f": 1}) == []
    assert lost(before, {"a": [{"b": 1}], "d": 1}) == [".a[0].c", ".d: True → 1"]
    assert lost(before, {"a": [], "d": True}) == [".a: [{'b': 1, 'c': None}] → []"]
