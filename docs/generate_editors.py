"""Writes the words of the language into what each editor knows of it, in `lsp/editors`.

A line with `words: NAME` in a comment says which words stand in the list on the next line. What surrounds a list is
written by hand. Keywords come from the grammar; strategies, optimizers, functions, sources and types from their tables: a
new one is highlighted in every editor by itself. The TextMate, Vim and Emacs grammars and tree-sitter's queries are read.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from pathlib import Path

from dspec.compiler.check.sources.externs.table import EXTERN_SOURCES
from dspec.compiler.data.sources.table import SOURCES
from dspec.compiler.optimizers.table import ALIASES, SPECS
from dspec.compiler.tables.aggregates import AGGREGATES
from dspec.compiler.tables.judges import JUDGES
from dspec.compiler.tables.vocabulary import TYPES
from dspec.grammar.lexemes import ITEM_WORDS
from dspec.grammar.tokens import CONTINUING_WORDS
from dspec.grammar.tree import KEYWORDS
from dspec.runtime.running.strategies.table import STRATEGIES
from dspec.runtime.values.functions import FUNCTIONS

EDITORS = Path(__file__).resolve().parent.parent / "lsp" / "editors"

WORDS: dict[str, Iterable[str]] = {
    "declarations": (word for word in KEYWORDS if word not in ("dspec", "import")),
    "items": ITEM_WORDS,
    "continuing": CONTINUING_WORDS,
    "types": TYPES,
    "strategies": STRATEGIES,
    "optimizers": (*SPECS, *ALIASES),
    "functions": (*FUNCTIONS, *AGGREGATES, *JUDGES),
    "sources": (*SOURCES, *EXTERN_SOURCES, "artifact"),
}
WORDS = {name: tuple(dict.fromkeys(words)) for name, words in WORDS.items()}
"""What each list holds, in the order of its table."""

FORMS = {
    ".json": (r"(?<=\(\?:)[^()]*(?=\))", "|", "{}"),
    ".vim": (r"(?<=<%\()[^()]*(?=\)>)", "|", "{}"),
    ".el": (r"(?<='\()[^()]*(?=\))", " ", '"{}"'),
    ".scm": (r"(?<=[ \[])\"[^()\[\]]*\"(?=[)\]])", " ", '"{}"'),
    ".c": (r"(?<=    )\".*\"(?=,$)", ", ", '"{}"'),
    ".js": (r"(?<=\[)[^\[\]]*(?=\])", ", ", '"{}"'),
}
"""By the ending of a file: where on its line a list stands, what is between two words, what is around one."""

COPIES = {
    "helix/queries/dspec/highlights.scm": "highlights",
    "helix/queries/dspec/indents.scm": "indents",
    "helix/queries/dspec/textobjects.scm": "textobjects",
    "zed/languages/dspec/highlights.scm": "highlights",
    "zed/languages/dspec/brackets.scm": "brackets",
    "zed/languages/dspec/outline.scm": "outline",
}
"""Queries that editors read beside their own files, each a copy of one of tree-sitter's."""

CALLED = {
    "helix": {
        "@keyword.import": "@keyword.control.import",
        "@keyword.conditional": "@keyword.control.conditional",
        "@property": "@variable.other.member",
        "@number": "@constant.numeric",
        "@string.escape": "@constant.character.escape",
    },
    "zed": {
        "@keyword.import": "@keyword",
        "@keyword.conditional": "@keyword",
        "@keyword.operator": "@keyword",
    },
}
"""What an editor calls a colour that goes by another name in `tree-sitter/queries`."""

_MARK = re.compile(r"^(?P<mark>.*\bwords: (?P<name>\w+)\b.*\n)(?P<line>.*)$", re.MULTILINE)


def files() -> list[Path]:
    """The files that hold lists."""
    found: list[Path] = []
    for folder, inner, names in os.walk(EDITORS):
        inner[:] = [name for name in inner if name not in ("node_modules", "out")]
        found += [Path(folder, name) for name in names if Path(name).suffix in FORMS]
    return sorted(path for path in found if _MARK.search(path.read_text(encoding="utf-8")))


def refreshed(path: Path) -> str:
    """The text that the file should have."""
    pattern, between, around = FORMS[path.suffix]

    def listed(match: re.Match[str]) -> str:
        words = between.join(around.format(word) for word in WORDS[match["name"]])
        line, count = re.subn(pattern, lambda _: words, match["line"], count=1)
        if not count:
            raise ValueError(f"{path}: there is no list below `words: {match['name']}`")
        return match["mark"] + line

    return _MARK.sub(listed, path.read_text(encoding="utf-8"))


def copied(name: str) -> str:
    """The text of one of `COPIES`."""
    text = refreshed(EDITORS / "tree-sitter" / "queries" / f"{COPIES[name]}.scm")
    for theirs, ours in CALLED[name.split("/")[0]].items():
        text = re.sub(rf"{theirs}\b(?![.])", ours, text)
    return text


if __name__ == "__main__":
    for file in files():
        file.write_text(refreshed(file), encoding="utf-8")
    for copy in COPIES:
        (EDITORS / copy).parent.mkdir(parents=True, exist_ok=True)
        (EDITORS / copy).write_text(copied(copy), encoding="utf-8")
