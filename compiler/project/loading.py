"""Files of a project: the root folder, reading a source, following imports.

The untrusted border of the front end. A source is a regular UTF-8 file of bounded size inside the
project's root, symlinks followed before the check; anything else gives a reason in words. Nothing
outside the root is opened.
"""

from __future__ import annotations

import os
import stat
import typing
from pathlib import Path

from msgspec import Struct, field

from dspec.grammar import parse
from dspec.grammar.tree import Block, Declaration, Literal, SourceTree

from .reads import looked_at
from .source import MAX_SOURCE_BYTES, Source
from .state import project_root

MAX_FILES = 500
MAX_DECLARATIONS = 20_000
"""Of one file; each costs kilobytes and takes part in every search for a name."""


class ImportProblem(Struct, frozen=True):
    """Why an import leads nowhere: of which kind that is, and the reason as a sentence's end."""

    kind: typing.Literal["missing", "outside", "unusable"]
    reason: str


class Import(Struct, eq=False):
    """One `import "path" as alias`: the file behind it, or why there is none."""

    alias: str
    block: Block
    declaration: Declaration
    target: Path | None = None
    problem: ImportProblem | None = None


class File(Struct, eq=False):
    """One source of the project, parsed, with its imports in order."""

    source: Source
    tree: SourceTree
    imports: list[Import] = field(default_factory=list[Import])


class Loaded(Struct, frozen=True):
    """The root file and every file it reaches, by resolved path, in the order of discovery."""

    root: Path
    main: File
    files: dict[Path, File]
    problem: str | None = None
    """Why the root file itself could not be read."""


def read_text(path: Path, root: Path) -> str | ImportProblem:
    """The text of a source inside `root`, or why it cannot be had. Never blocks on a fifo or device."""
    looked_at(path)
    try:
        real = path.resolve(strict=True)
    except (OSError, RuntimeError) as error:
        if isinstance(error, FileNotFoundError):
            return ImportProblem("missing", "there is no such file")
        return ImportProblem("unusable", _words(error))
    if not real.is_relative_to(root):
        return ImportProblem("outside", "it lies outside the project's root")
    try:
        descriptor = os.open(real, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0))
    except OSError as error:
        return ImportProblem("unusable", _words(error))
    status = os.fstat(descriptor)
    if not stat.S_ISREG(status.st_mode):
        os.close(descriptor)
        folder = stat.S_ISDIR(status.st_mode)
        return ImportProblem("unusable", "it is a folder" if folder else "it is not a regular file")
    with os.fdopen(descriptor, "rb") as stream:
        if status.st_size > MAX_SOURCE_BYTES:
            return ImportProblem(
                "unusable", f"it has {status.st_size >> 20:,} MiB; at most {MAX_SOURCE_BYTES >> 20} are read"
            )
        try:
            data = stream.read(MAX_SOURCE_BYTES + 1)
        except OSError as error:
            return ImportProblem("unusable", _words(error))
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        return ImportProblem("unusable", f"it is not UTF-8 text (byte {error.start:,}, in line {line:,})")


def _words(error: BaseException) -> str:
    if isinstance(error, IsADirectoryError):
        return "it is a folder"
    if isinstance(error, PermissionError):
        return "it may not be read (permissions)"
    if isinstance(error, RuntimeError) or getattr(error, "errno", None) == 40:
        return "it is a symbolic link that leads back to itself"
    reason = getattr(error, "strerror", None)
    return f"the system says: {reason}" if reason else "it cannot be opened"


def load(
    path: Path, text: str | None = None, *, known: dict[tuple[Path, Path], File] | None = None
) -> Loaded:
    """The root file and its imports. `text` stands in for the root file's content on disk.

    `known` holds files by project and place: those in it are not read again, and new ones are added.
    """
    known = {} if known is None else known
    path = Path(os.path.abspath(path))  # noqa: PTH100 - keeps symlinks, which `resolve` would not
    try:
        real = path.resolve()
    except (OSError, RuntimeError):
        real = path
    root = project_root(real)
    problem: str | None = None
    if text is None and (root, real) in known:
        text = known[root, real].source.text
    elif text is None:
        found = read_text(path, root)
        if isinstance(found, ImportProblem):
            problem, text, known = found.reason, "", {}
        else:
            text = found
    main = _file(real, root, text, known)
    if isinstance(main, ImportProblem):
        problem = main.reason
        main = File(Source(real, _name(real, root), text), SourceTree(text))
    files = {real: main}
    waiting = [main]
    while waiting:
        file = waiting.pop(0)
        for entry in file.imports:
            _follow(entry, file, root, files, waiting, known)
    return Loaded(root, main, files, problem)


def stand_in(path: Path, text: str, known: dict[tuple[Path, Path], File]) -> None:
    """Let `text` stand in for what the file at a resolved path holds, for each `load` that is given `known`."""
    _file(path, project_root(path), text, known)


def _name(path: Path, root: Path) -> str:
    return path.relative_to(root).as_posix() if path.is_relative_to(root) else path.name


def _file(path: Path, root: Path, text: str, known: dict[tuple[Path, Path], File]) -> File | ImportProblem:
    if (root, path) in known:
        return known[root, path]
    tree = parse(text)
    if len(tree.blocks) > MAX_DECLARATIONS:
        return ImportProblem(
            "unusable", f"it has {len(tree.blocks):,} declarations; at most {MAX_DECLARATIONS:,} are read"
        )
    file = known[root, path] = File(Source(path, _name(path, root), text), tree)
    for block in tree.blocks:
        declaration = block.declaration
        if declaration and declaration.keyword.text == "import" and declaration.name:
            file.imports.append(Import(declaration.name.text, block, declaration))
    return file


def _follow(
    entry: Import,
    file: File,
    root: Path,
    files: dict[Path, File],
    waiting: list[File],
    known: dict[tuple[Path, Path], File],
) -> None:
    value = entry.declaration.value
    if not (isinstance(value, Literal) and isinstance(value.value, str)):
        return  # the shape check says so
    written = value.value
    if written.startswith(("/", "~")) or "\\" in written or ":" in written:
        entry.problem = ImportProblem("outside", "paths are relative to this file and use `/`")
        return
    if "\0" in written or not written.strip():
        entry.problem = ImportProblem("unusable", "that is not a path")
        return
    target = Path(os.path.normpath(file.source.path.parent / written))
    if not target.is_relative_to(root):
        entry.problem = ImportProblem("outside", "it lies outside the project's root")
        return
    try:
        real = target.resolve()
    except (OSError, RuntimeError):
        real = target
    if real not in files:
        if len(files) >= MAX_FILES:
            entry.problem = ImportProblem("unusable", f"a project reads at most {MAX_FILES} files")
            return
        text = known[root, real].source.text if (root, real) in known else read_text(target, root)
        imported = text if isinstance(text, ImportProblem) else _file(real, root, text, known)
        if isinstance(imported, ImportProblem):
            entry.problem = imported
            return
        files[real] = imported
        waiting.append(imported)
    entry.target = real
