"""Whether two machines have the same code of a function: its file, what that imports of the project, and whether packages that
it imports are there. Read from the text alone: nothing is imported, and an import that is made as the code runs is not seen."""

from __future__ import annotations

import ast
import hashlib
import sys
import threading
from collections.abc import Iterator, Sequence
from importlib.machinery import PathFinder
from pathlib import Path

from dspec.runtime.schema.program import Tool
from dspec.runtime.tools.base import ToolProblem, text_option
from dspec.runtime.tools.files import inside
from dspec.runtime.tools.python import module_folders

MAX_FILES = 2_000
MAX_BYTES = 64 << 20
_PARSING = threading.Lock()
"""CPython 3.11 counts how deep trees are that threads make at the same time together, and may then fail (gh-106905)."""


def code_digest(root: Path, tool: Tool) -> str:
    """Of what the function of a tool runs, as it is below `root` on this machine. Raises OSError, ToolProblem."""
    border = root.resolve()
    module = text_option(tool, "function").partition(":")[0]
    file = text_option(tool, "file")
    folders = [folder.resolve() for folder in module_folders(module, file, border)]
    total = hashlib.sha256()
    waiting, known, size = [inside(file, border)], set[Path](), 0
    absent = set[str]()
    while waiting:
        path = waiting.pop()
        if path in known:
            continue
        known.add(path)
        data = path.read_bytes()
        size += len(data)
        if len(known) > MAX_FILES or size > MAX_BYTES:
            raise ToolProblem(f"`{file}` imports more of the project than can be compared")
        total.update(f"{path.relative_to(border).as_posix()}:{len(data)}:".encode(errors="surrogatepass"))
        total.update(data)
        for home, name in _imported(data, path):
            found = list(_files(name, folders if home is None else [home], border))
            waiting += found
            if not found and home is None:
                absent.add(name.partition(".")[0])
    for name in sorted(absent):
        there = name in sys.stdlib_module_names or PathFinder.find_spec(name) is not None
        total.update(f"{name}:{there}:".encode())
    return total.hexdigest()


def _imported(data: bytes, path: Path) -> Iterator[tuple[Path | None, str]]:
    """The modules that a text imports, or may: each with the folder that it is looked for in, None for all."""
    try:
        with _PARSING:
            tree = ast.parse(data)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return  # whoever imports it is told
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield None, alias.name
        elif isinstance(node, ast.ImportFrom):
            home = path.parents[node.level - 1] if 0 < node.level <= len(path.parents) else None
            for alias in node.names:
                yield home, ".".join(part for part in (node.module, alias.name) if part and part != "*")


def _files(name: str, folders: Sequence[Path], border: Path) -> Iterator[Path]:
    """The files of the project that importing a module runs, packages' before their parts'. The last part may be a name in a
    module."""
    for folder in folders:
        place = folder
        for part in name.split("."):
            for one in (place / part / "__init__.py", place / f"{part}.py"):
                real = one.resolve()
                if real.is_file() and real.is_relative_to(border):
                    yield real
            place = place / part
