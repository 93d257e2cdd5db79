"""Rewrites `docs/diagnostics.md` from the table of codes.

The page is what `dspc explain` prints, for all codes; nothing on it is written by hand.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from dspec.compiler.diagnostics.codes.base import Code
from dspec.compiler.diagnostics.codes.table import CODES

PAGE = Path(__file__).resolve().parent / "diagnostics.md"

GROUPS = {
    "00": "The toolchain itself",
    "01": "Syntax and shape",
    "02": "Names, imports and files",
    "03": "Types, calls and programs",
    "04": "Datasets",
    "05": "Metrics",
    "06": "Optimizers",
    "07": "Models and budgets",
    "08": "Evaluations, settings and comments",
}

HEAD = """\
# Diagnostics

<!-- Made from the table of codes by `python dev.py generate`: edit the table. -->

Every finding of `dspc check` has a code, which never changes its meaning. `dspc explain CODE` prints what
stands here. An error stops a compile; a warning does not, except with `dspc check --strict`; a hint is
advice.

A project sets the level of warnings and hints in `dspec.toml`, which stands in its root:

```toml
[severity]
DS0607 = "off"
DS0205 = "error"
```

A comment allows one of them at one place, with the reason:

```dspec
# dspc: allow DS0606 -- the rows are too few to split
```

At the end of a line it covers that line; on a line of its own, the item or the declaration that starts on
the next one. Errors can be neither allowed nor set to another level.
"""

WIDEST = 120
"""Characters of a snippet's line that the page shows."""


def page(codes: dict[str, Code]) -> str:
    """The whole page as Markdown."""
    return "\n".join([HEAD, *_contents(codes), *_sections(codes)])


def _groups(codes: dict[str, Code]) -> Iterator[tuple[str, list[str]]]:
    for number, title in GROUPS.items():
        if names := sorted(name for name in codes if name[2:4] == number):
            yield title, names


def _contents(codes: dict[str, Code]) -> Iterator[str]:
    for title, names in _groups(codes):
        yield f"## {title}\n\n| code | | |\n| --- | --- | --- |"
        for name in names:
            yield f"| [{name}](#{name.lower()}) | {codes[name].severity} | {codes[name].title} |"
        yield ""


def _sections(codes: dict[str, Code]) -> Iterator[str]:
    for name, code in sorted(codes.items()):
        yield f"## {name}\n\n**{code.title}** ({code.severity}). {code.explanation.strip()}\n"
        start = _differing(code.wrong, code.right)
        for word, text in (("Wrong", code.wrong), ("Right", code.right)):
            if text.strip():
                language = Path(code.about).suffix[1:]
                yield f"{word}:\n\n```{language}\n{_shown(text, start)}\n```\n"


def _differing(wrong: str, right: str) -> int:
    """The line on which the declaration starts that is another one in the two snippets."""
    ours, theirs = wrong.strip().splitlines(), right.strip().splitlines()
    same = 0
    while same < min(len(ours), len(theirs)) and ours[same] == theirs[same]:
        same += 1
    for lines in (ours, theirs):
        while 0 < same < len(lines) and lines[same][:1] in (" ", "}", ""):
            same -= 1
    while same and same <= len(ours) and ours[same - 1].startswith("#"):
        same -= 1
    return same if same > 2 else 0


def _shown(text: str, start: int) -> str:
    lines = text.strip().splitlines()[start:]
    if start:
        lines.insert(0, "# …")
    return "\n".join(line if len(line) <= WIDEST else line[: WIDEST - 1] + "…" for line in lines)


def main() -> None:
    PAGE.write_text(page(CODES), encoding="utf-8")


if __name__ == "__main__":
    main()
