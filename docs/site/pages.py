"""Gathers the pages of the site into a folder, from which MkDocs makes it: those of the repository as they stand, and each file
that they link to as a page of its own.

    python docs/site/pages.py FOLDER

Pages keep their paths below the repository's root, so a link means the same on the site, in an editor and where the repository is
hosted. Nothing is fetched, nothing outside the repository is read, and no part of it depends on which generator reads the folder.
"""

from __future__ import annotations

import posixpath
import re
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

SITE = Path(__file__).resolve().parent
ROOT = SITE.parents[1]
PAGES = ("README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "CHANGELOG.md", "bench/RESULTS.md")
LINK = re.compile(r"(\]\()(?!https?:|mailto:|#)([^)#\s]+)((?:#[^)]*)?\))")
FENCE = re.compile(r"^(```.*?^```$)", re.MULTILINE | re.DOTALL)
CODE = re.compile(r"(`+).+?\1")
LANGUAGES = {".dspec": "dspec", ".py": "python", ".json": "json", ".ipynb": "json", ".toml": "toml"}
"""What a file that is linked to is coloured as."""


def pages() -> Iterator[str]:
    """Every page of the repository, by its path below the root."""
    yield from PAGES
    for folder, pattern in (("docs", "*.md"), ("examples", "**/README.md")):
        yield from sorted(path.relative_to(ROOT).as_posix() for path in (ROOT / folder).glob(pattern))


def gather(folder: Path) -> None:
    """Writes `mkdocs.yml` and, in `pages`, all that the site is made of. What was there is gone."""
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(SITE / "assets", folder / "pages")
    shutil.copy(SITE / "mkdocs.yml", folder)
    texts = {page: (ROOT / page).read_text(encoding="utf-8") for page in pages()}
    linked = {target for page, text in texts.items() for target in _targets(page, text)} - set(texts)
    pictures = {path for path in linked if path.endswith(".png")}
    files = linked - pictures
    for page, text in texts.items():
        _write(folder, page, _led(page, text, files))
    for path in files:
        _write(folder, f"{path}.md", _folder_page(path) if (ROOT / path).is_dir() else _file_page(path))
    for path in pictures:
        (folder / "pages" / path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / path, folder / "pages" / path)


def _write(folder: Path, path: str, text: str) -> None:
    target = folder / "pages" / path
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(text, encoding="utf-8")


def _at(page: str, link: str) -> str:
    """Where a link of a page leads, below the root."""
    return posixpath.normpath(posixpath.join(posixpath.dirname(page), link))


def _targets(page: str, text: str) -> Iterator[str]:
    for part in FENCE.split(text)[::2]:
        for found in LINK.finditer(part):
            yield _at(page, found[2])


def _led(page: str, text: str, files: set[str]) -> str:
    """The page with its links to files leading to their pages."""

    def led(found: re.Match[str]) -> str:
        if _at(page, found[2]) not in files:
            return found[0]
        return f"{found[1]}{found[2].rstrip('/')}.md{found[3]}"

    parts = FENCE.split(text)
    parts[::2] = [_as_elsewhere(LINK.sub(led, part)) for part in parts[::2]]
    return "".join(parts)


def _as_elsewhere(text: str) -> str:
    """Prose that MkDocs reads otherwise than editors and hosts of repositories do, written so that it reads the same: a list in a
    list stands in by four, and code in a table has its pipes as they are."""
    lines = [
        CODE.sub(lambda found: found[0].replace("\\|", "|"), line) if line.startswith("|") else line
        for line in text.split("\n")
    ]
    return re.sub(r"^((?:  )+)(?=- )", r"\1\1", "\n".join(lines), flags=re.MULTILINE)


def _file_page(path: str) -> str:
    """A file of the repository as a page. The search leaves it out: it would drown what is written about it."""
    text = (ROOT / path).read_text(encoding="utf-8")
    fence = "`" * (max((len(run) for run in re.findall("`{3,}", text)), default=2) + 1)
    language = LANGUAGES.get(Path(path).suffix, "text")
    head = f"---\nsearch:\n  exclude: true\n---\n# {Path(path).name}\n\n`{path}`"
    return f"{head}\n\n{fence}{language}\n{text}\n{fence}\n"


def _folder_page(path: str) -> str:
    names = sorted(f"{one.name}{'/' * one.is_dir()}" for one in (ROOT / path).iterdir() if one.name[0] != ".")
    return f"# {Path(path).name}\n\n`{path}`\n\n" + "\n".join(f"- `{name}`" for name in names) + "\n"


if __name__ == "__main__":
    gather(Path(sys.argv[1]))
