"""Reads the cursor cases of the editor: text files of sources with marks, and what is expected at each of them.

A file of cases is a list of these:

    === what the case is about
    module router = Pre$0dict(Route)
    ---
    what the feature answers

`$0` to `$9` are cursors, and what stands for each is expected in their order; `$[` and `$]` are a selection. The source stands
behind `project/main.dspec`, or in the place of its declarations of the same kind and name; after `=== alone:` it is the
whole file. `DSPEC_UPDATE=1 pytest …` rewrites what is expected, to be read before it is kept.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from pathlib import Path

from msgspec import Struct

from dspec.grammar import parse

CASES = Path(__file__).resolve().parents[1] / "lsp" / "cases"
PROJECT = CASES / "project"
MAIN = PROJECT / "main.dspec"
ALONE = "alone: "
_MARK = re.compile(r"\$([0-9\[\]])")


class Case(Struct, frozen=True):
    """`marks` are the cursors by their signs, as offsets of `text`."""

    title: str
    written: str
    expected: str
    text: str
    marks: dict[str, int]

    @property
    def cursors(self) -> list[int]:
        return [offset for sign, offset in sorted(self.marks.items()) if sign.isdigit()]

    @property
    def selection(self) -> tuple[int, int]:
        return self.marks["["], self.marks["]"]


def read_cases(path: Path) -> tuple[str, list[Case]]:
    """What stands before the first case, and the cases."""
    head, *parts = re.split(r"^=== ", path.read_text(encoding="utf-8"), flags=re.MULTILINE)
    return head, [_case(part) for part in parts]


def _case(part: str) -> Case:
    title, _, rest = part.partition("\n")
    written, _, expected = rest.partition("\n---\n") if "\n---\n" in rest else (rest.rstrip("\n"), "", "")
    text, marks = unmarked(written + "\n", alone=title.startswith(ALONE))
    return Case(title, written, expected.strip("\n"), text, marks)


def unmarked(written: str, *, alone: bool = False) -> tuple[str, dict[str, int]]:
    """The whole text of a case, and where its marks stood."""
    if not alone:
        written = _beside_main(written)
    marks: dict[str, int] = {}
    pieces: list[str] = []
    end = length = 0
    for found in _MARK.finditer(written):
        pieces.append(written[end : found.start()])
        length += len(pieces[-1])
        marks[found[1]] = length
        end = found.end()
    return "".join([*pieces, written[end:]]), marks


def _beside_main(written: str) -> str:
    """The project's main file with the declarations of the case in it."""
    text = MAIN.read_text(encoding="utf-8")
    wanted = {_header(block.text) for block in parse(written).blocks} - {""}
    blocks = parse(text).blocks
    kept = [block.text for block in blocks if _header(block.text) not in wanted]
    return "".join(kept).rstrip("\n") + "\n\n" + written


def _header(text: str) -> str:
    """`module router`, or nothing for a declaration without a name."""
    plain = _MARK.sub("", text)
    found = re.match(r"([a-z]+)[ \t]+(\w+)", plain) or re.match(r'(import)[ \t]+("[^"]*")', plain)
    return f"{found[1]} {found[2]}" if found else ""


def check_cases(path: Path, answer: Callable[[Case], str]) -> None:
    """Compare what is answered to each case of a file; or write it there when updating."""
    head, cases = read_cases(path)
    told = [(case, answer(case).strip("\n")) for case in cases]
    if os.environ.get("DSPEC_UPDATE") == "1":
        parts = [f"=== {case.title}\n{case.written}\n---\n{found}\n\n" for case, found in told]
        path.write_text(head + "".join(parts).rstrip("\n") + "\n", encoding="utf-8")
        return
    wrong = [(case.title, case.expected, found) for case, found in told if found != case.expected]
    assert not wrong, "\n\n".join(f"{title}\nexpected:\n{old}\nfound:\n{new}" for title, old, new in wrong)


def place(text: str, offset: int) -> str:
    """`12:7`, both from 1."""
    before = text[:offset]
    return f"{before.count(chr(10)) + 1}:{offset - before.rfind(chr(10))}"


def line(text: str, offset: int) -> str:
    """The line around an offset, without its indentation."""
    start = text.rfind("\n", 0, offset) + 1
    end = text.find("\n", offset)
    return text[start : end if end >= 0 else len(text)].strip()


def marked(text: str, start: int, end: int) -> str:
    """The line with the stretch in it marked: `let «r» = router(text = text)`."""
    first = text.rfind("\n", 0, start) + 1
    last = text.find("\n", end)
    whole = (
        text[first:start]
        + "«"
        + text[start:end].replace("\n", "⏎")
        + "»"
        + text[end : last if last >= 0 else len(text)]
    )
    return whole.strip()


def case_files() -> list[Path]:
    return sorted(CASES.glob("*/*.txt"))
