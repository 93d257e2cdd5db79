"""The table of codes: every `wrong` snippet gives its code, every `right` one is clean."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from generators import generator

from dspec.compiler.check.analysis import analyse
from dspec.compiler.compile.affording import check_budgets
from dspec.compiler.diagnostics import codes as codes_room
from dspec.compiler.diagnostics.codes.base import Code, Finding
from dspec.compiler.diagnostics.codes.table import CODES

ROOM = Path(codes_room.__file__).parents[2]

NOT_A_SNIPPET = {"DS0000", "DS0640", "DS0650", "DS0810", "DS0816"}
"""About the toolchain itself and what is installed beside it, a file that cannot be read at all, which `test_analysis` shows,
a million rows, and what stands in two files."""

NOT_RUN: set[str] = set()
"""About what is checked and cannot run yet, which DS0120 says beside them."""

ANY_PROGRAM = CODES["DS0107"].right


def codes_of(folder: Path, code: Code, text: str) -> list[str]:
    (folder / "dspec.toml").touch()
    for name, content in code.files.items():
        (folder / name).write_text(content, encoding="utf-8")
    path = folder / "main.dspec"
    path.write_text(ANY_PROGRAM, encoding="utf-8")
    (folder / code.about).write_text(text, encoding="utf-8")
    return [diagnostic.code for diagnostic in analyse(path, besides=check_budgets).diagnostics]


def expected(name: str, *codes: str) -> set[str]:
    return {*codes, "DS0120"} if name in NOT_RUN else set(codes)


@pytest.mark.parametrize("name", sorted(set(CODES) - NOT_A_SNIPPET))
def test_wrong_snippet_gives_its_code_and_no_other(name: str, tmp_path: Path) -> None:
    assert set(codes_of(tmp_path, CODES[name], CODES[name].wrong)) == expected(name, name)


@pytest.mark.parametrize("name", sorted(CODES))
def test_right_snippet_is_clean(name: str, tmp_path: Path) -> None:
    assert set(codes_of(tmp_path, CODES[name], CODES[name].right)) == expected(name)


def kinds_of(finding: type[Finding]) -> Iterator[type[Finding]]:
    """The classes of findings that have a code; those without one are what several have in common."""
    for kind in finding.__subclasses__():
        if hasattr(kind, "code"):
            yield kind
        yield from kinds_of(kind)


KINDS = list(kinds_of(Finding))


def named_outside_the_table() -> set[str]:
    """The names that the compiler's files outside `codes/` read."""
    return {
        node.id if isinstance(node, ast.Name) else node.attr
        for path in ROOM.rglob("*.py")
        if path.parent.name != "codes"
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Name | ast.Attribute)
    }


def test_every_code_is_that_of_a_finding() -> None:
    assert [kind for kind in KINDS if CODES[kind.code.name] is not kind.code] == []
    assert {kind.code.name for kind in KINDS} == set(CODES)


def test_every_kind_of_finding_is_reported_and_has_words() -> None:
    names = named_outside_the_table()
    assert [kind.__name__ for kind in KINDS if kind.__name__ not in names] == []
    assert [kind.__name__ for kind in KINDS if kind.told is Finding.told] == []
    assert len({kind.__name__ for kind in KINDS}) == len(KINDS)


@pytest.mark.parametrize("name", sorted(CODES))
def test_texts_are_finished(name: str) -> None:
    code = CODES[name]
    assert re.fullmatch(r"DS0000|DS0[1-8]\d\d", name)
    assert code.title
    assert not code.title.endswith(".")
    assert code.explanation.endswith(".")


def test_the_page_of_codes_is_current() -> None:
    """`python dev.py generate` rewrites it."""
    made = generator("diagnostics")
    assert made.PAGE.read_text(encoding="utf-8") == made.page(CODES)
