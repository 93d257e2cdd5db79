"""Writes `docs/map.md`: every file of the four rooms with the first line of what it says of itself."""

from __future__ import annotations

import ast
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
MAP = ROOT / "docs" / "map.md"
ROOMS = ("grammar", "runtime", "compiler", "lsp")


def first_line(path: Path) -> str:
    text = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
    return text.split("\n\n")[0].replace("\n", " ").replace("|", "\\|")


def map_text() -> str:
    """The page. Folders in order of their paths, files by name; a package's face speaks for the folder."""
    parts = ["# Map\n\nEvery file and what it is for, in its own words (`python3.11 dev.py generate`)."]
    for room in ROOMS:
        for folder in sorted({path.parent for path in (ROOT / room).rglob("*.py")}):
            parts.append(f"\n## {folder.relative_to(ROOT).as_posix()}/\n\n| file | what |\n| --- | --- |")
            lines = {path.name: first_line(path) for path in sorted(folder.glob("*.py"))}
            parts += [f"| `{name}` | {line} |" for name, line in lines.items() if line]
    return "\n".join(parts) + "\n"


if __name__ == "__main__":
    MAP.write_text(map_text(), encoding="utf-8")
