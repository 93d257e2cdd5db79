"""Externs against their Python: what is read, what it means, and what is never run."""

from __future__ import annotations

import ast
import sys
from pathlib import Path

import pytest

from dspec.compiler.check.analysis import analyse
from dspec.compiler.check.types.annotations import type_of
from dspec.compiler.data.sources.python_module import Missing, find_module
from dspec.runtime.schema.types import spell

HOSTILE = "open('ran', 'w').close()\nimport os\nos.system('touch ran')\nraise SystemExit\n"


@pytest.mark.parametrize(
    ("annotation", "meaning"),
    [
        ("str", "str"),
        ("float", "float"),
        ("datetime.date", "date"),
        ("list[str]", "list[str]"),
        ("typing.List[int]", "list[int]"),
        ("Sequence[dict[str, float]]", "list[dict[str, float]]"),
        ("Iterable", "any"),
        ("list", "list[any]"),
        ("str | None", "str?"),
        ("None | list[str]", "list[str]?"),
        ("Optional[int]", "int?"),
        ("int | float", "float"),
        ("Union[int, float, None]", "float?"),
        ("int | str", "any"),
        ("Literal['a', 'b']", '"a" | "b"'),
        ("Literal[1, 'b']", "any"),
        ("Annotated[str, 'a note']", "str"),
        ("Awaitable[bool]", "bool"),
        ("Coroutine[None, None, str]", "str"),
        ("'list[str]'", "list[str]"),
        ("'not python ('", "any"),
        ("Invoice", "any"),
        ("tuple[int, str]", "any"),
        ("lambda: 3", "any"),
    ],
)
def test_annotations_as_types(annotation: str, meaning: str) -> None:
    assert spell(type_of(ast.parse(annotation, mode="eval").body)) == meaning


def test_annotations_of_any_depth_are_read_in_bounded_time() -> None:
    deep = "list[" * 60 + "str" + "]" * 60
    assert spell(type_of(ast.parse(deep, mode="eval").body)).count("list") <= 21
    wide = " | ".join(["int"] * 2000)
    assert spell(type_of(ast.parse(wide, mode="eval").body)) in ("float", "any")


@pytest.mark.parametrize(
    ("name", "file"),
    [
        ("tools", "tools.py"),
        ("pack", "pack/__init__.py"),
        ("pack.inner", "pack/inner.py"),
        ("beside", "sub/beside.py"),
        ("sourced", "src/sourced.py"),
    ],
)
def test_a_module_is_a_file_of_the_project(tmp_path: Path, name: str, file: str) -> None:
    place = tmp_path / file
    place.parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / "sub").mkdir(exist_ok=True)
    place.write_text("def f(): ...\n")
    module = find_module(name, tmp_path / "sub", tmp_path)
    assert not isinstance(module, Missing)
    assert (module.source.name, list(module.functions)) == (file, ["f"])


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("def f(:\n", "is not valid Python: line 1"),
        ("x = '\0'\n", "not"),
        ("(" * 3000, "not"),
        ("-" * 100_000 + "1", "not"),
        ("#" * (1 << 20) + "#", "at most"),
    ],
)
def test_a_module_that_cannot_be_read_gives_a_reason(tmp_path: Path, text: str, reason: str) -> None:
    (tmp_path / "tools.py").write_text(text)
    module = find_module("tools", tmp_path, tmp_path)
    assert isinstance(module, Missing)
    assert reason in module.reason


def test_a_module_outside_the_project_is_not_read(tmp_path: Path) -> None:
    root = tmp_path / "root"
    root.mkdir()
    (tmp_path / "secret.py").write_text("def f(): ...\n")
    (root / "tools.py").symlink_to(tmp_path / "secret.py")
    module = find_module("tools", root, root)
    assert isinstance(module, Missing)
    assert "outside the project" in module.reason


def test_top_level_names_that_cannot_be_followed_are_not_reported(tmp_path: Path) -> None:
    (tmp_path / "dspec.toml").touch()
    (tmp_path / "main.dspec").write_text('dspec 1\n\nextern find(q: str) -> str = python("tools:find")\n')

    def found(text: str) -> list[str]:
        (tmp_path / "tools.py").write_text(text)
        return [each.code for each in analyse(tmp_path / "main.dspec").diagnostics]

    for text in (
        "from os import *\n",
        "find = print\n",
        "from x import find\n",
        "class find(Base): ...\n",
    ):
        assert found(text) == [], text
    assert found("class find: ...\n") == ["DS0206"], "what a plain class is called with can be followed"


@pytest.mark.parametrize(
    ("annotation", "codes"),
    [("str", []), ("date", []), ("int", ["DS0308"]), ("list[str]", ["DS0308"])],
)
def test_a_date_may_be_annotated_as_what_it_is_or_as_its_text(
    tmp_path: Path, annotation: str, codes: list[str]
) -> None:
    (tmp_path / "dspec.toml").touch()
    (tmp_path / "tools.py").write_text(
        f"from datetime import date\ndef find(day: {annotation}, days: list[{annotation}] = []) -> str: ...\n"
    )
    text = 'dspec 1\n\nextern find(day: date) -> str = python("tools:find")\n'
    (tmp_path / "main.dspec").write_text(text)
    assert [each.code for each in analyse(tmp_path / "main.dspec").diagnostics] == codes
    (tmp_path / "main.dspec").write_text(text.replace("day: date", "day: date, days: list[date]"))
    assert [each.code for each in analyse(tmp_path / "main.dspec").diagnostics] == codes * 2


def test_functions_in_branches_count_and_decorated_ones_are_not_compared(tmp_path: Path) -> None:
    (tmp_path / "tools.py").write_text(
        "try:\n    import fast\nexcept ImportError:\n    def a(q: int): ...\n"
        "else:\n    def b(q: int): ...\n"
        "@remade\ndef c(q: int): ...\n@lru_cache(maxsize=2)\ndef d(q: int): ...\n"
    )
    module = find_module("tools", tmp_path, tmp_path)
    assert not isinstance(module, Missing)
    assert sorted(module.functions) == ["a", "b", "d"]
    assert "c" in module.names


def test_places_in_python_count_characters_not_bytes(tmp_path: Path) -> None:
    (tmp_path / "tools.py").write_text('x = "ä€𝄞"; y = 1\ndef f(grüße: int, ß: str): ...\n', encoding="utf-8")
    module = find_module("tools", tmp_path, tmp_path)
    assert not isinstance(module, Missing)
    function = module.functions["f"]
    for argument, text in zip(function.args.args, ("grüße: int", "ß: str"), strict=True):
        place = module.place(argument)
        assert place.source.text[place.start : place.end] == text
    heading = module.heading(function)
    assert heading.source.text[heading.start : heading.end] == "f"


def test_nothing_of_the_users_is_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "dspec.toml").touch()
    (tmp_path / "evil.py").write_text(HOSTILE + "def run(a: int) -> str: ...\n")
    (tmp_path / "pack").mkdir()
    (tmp_path / "pack" / "__init__.py").write_text(HOSTILE)
    (tmp_path / "pack" / "inner.py").write_text("def run(a: int) -> str: ...\n")
    (tmp_path / "main.dspec").write_text(
        'dspec 1\n\nextern one(a: str) -> str = python("evil:run")\n'
        'extern two(a: str) -> str = python("pack.inner:run")\n'
        'extern three(a: str) -> str = python("antigravity:fly")\n'
    )
    before = set(sys.modules)
    codes = [each.code for each in analyse(tmp_path / "main.dspec").diagnostics]
    assert sorted(codes) == ["DS0206", "DS0308", "DS0308"]
    assert not {"evil", "pack", "antigravity"} & (set(sys.modules) - before)
    assert not (tmp_path / "ran").exists()
