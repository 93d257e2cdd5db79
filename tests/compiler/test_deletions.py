"""One token deleted anywhere in an example: nine tenths of the other declarations are still checked.

Every declaration gets a mistake of its own, told apart by its name; a metric's is one that only shows when
its dataset is understood. A declaration counts as checked when its mistake is found. By default every fifth
token is deleted, with `DSPEC_DEEP=1` every one, each alone; `pytest -s` prints the share.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from dspc import EXAMPLES

from dspec.compiler.check.analysis import analyse
from dspec.grammar import tokenize

FILES = [
    path
    for path in sorted(EXAMPLES.glob("*/[!.]*.dspec"))
    if (text := path.read_text("utf-8")).count("\n}") + text.count("module ") >= 6
]
"""Those with enough declarations to plant mistakes in."""
STEP = 1 if os.environ.get("DSPEC_DEEP") else 5
SHARE = 0.9
PLANTED = {
    "lm": "fallback = [{name}]",
    "record": "field planted: {name}",
    "signature": "input planted: {name}",
    "program": "let planted = {name}(1)",
    "dataset": "field planted: {name}",
    "metric": "let planted = gold.{name}",
    "optimize": "step planted = LabeledFewShot(k = {name})",
    "eval": "gate {name} > 1",
}
"""By keyword: an item that names what does not exist."""


def with_mistakes(text: str) -> tuple[str, list[str]]:
    """The program with a mistake in every declaration that can hold one, and the mistakes' names."""
    lines: list[str] = []
    names: list[str] = []
    keyword = ""
    for line in text.splitlines(keepends=True):
        name = f"nowhere_{len(names)}"
        word = line.split(" ")[0] if line[:1].isalpha() else ""
        keyword = word or keyword
        if word in PLANTED and line.rstrip().endswith("}"):
            lines.append(line.rstrip()[:-1] + f"; {PLANTED[word].format(name=name)} }}\n")
        elif line == "}\n" and keyword in PLANTED:
            lines.append(f"  {PLANTED[keyword].format(name=name)}\n}}\n")
        elif keyword == "module" and line.startswith("  uses = ["):
            lines.append(line.replace("[", f"[{name}, ", 1))
        elif word == "module" and line.endswith(")\n") and " lm = " not in line:
            lines.append(line.rstrip()[:-1] + f", lm = {name})\n")
        elif word == "type" and line.rstrip().endswith('"'):
            lines.append(line.rstrip() + f" | {name}\n")
        else:
            lines.append(line)
            continue
        names.append(name)
    return "".join(lines), names


def found(path: Path, text: str, names: list[str]) -> set[str]:
    said = " ".join(one.message + " " for one in analyse(path, text=text, probe=False).diagnostics)
    return {name for name in names if f"`{name}`" in said}


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_what_stands_beside_a_deletion_is_still_checked(path: Path) -> None:
    text, names = with_mistakes(path.read_text(encoding="utf-8"))
    assert len(names) >= 6
    assert found(path, text, names) == set(names), "the mistakes are found while nothing is deleted"
    places: list[tuple[int, int]] = []
    offset = 0
    for token in tokenize(text):
        if token.text.strip() and not token.text.startswith("#"):
            places.append((offset, offset + len(token.text)))
        offset += len(token.text)
    checked = others = 0
    worst: list[tuple[float, str]] = []
    places = places[::STEP]
    for start, end in places:
        broken = text[:start] + text[end:]
        own = declaration_at(text, start)
        beside = [name for name in names if name not in own]
        still = found(path, broken, beside)
        checked += len(still)
        others += len(beside)
        worst.append((len(still) / len(beside), f"{text[start:end]!r} of {own.splitlines()[0]!r}"))
    share = checked / others
    print(f"\n{path.name}: {len(places)} deletions, {share:.2%} of the other declarations checked")  # noqa: T201
    for part, what in sorted(worst)[:5]:
        print(f"  {part:.0%} without {what}")  # noqa: T201
    assert share >= SHARE


def declaration_at(text: str, offset: int) -> str:
    """The declaration, from column 0 to the next."""
    starts = [0]
    place = 0
    for line in text.splitlines(keepends=True):
        if line[:1].isalpha():
            starts.append(place)
        place += len(line)
    start = max(one for one in starts if one <= offset)
    end = min((one for one in [*starts, len(text)] if one > offset), default=len(text))
    return text[start:end]
