"""Files of a project: the root folder, reading a source, following imports.

The untrusted border of the front end. A source is a regular UTF-8 file of bounded size inside the
project's root, symlinks followed before the check; anything else gives a reason in words. Nothing
outside the root is opened.
"""

from __future__ import annotations

import os
import stat
import typing
from collections.abc import Collection, Mapping
from pathlib import Path

from msgspec import Struct, field

from dspec.grammar import parse, reparse
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

    @property
    def written(self) -> str:
        """The path as the source has it; empty where there is none."""
        value = self.declaration.value
        return value.value if isinstance(value, Literal) and isinstance(value.value, str) else ""


class File(Struct, eq=False):
    """One source of the project, parsed, with its imports in order. `version` counts its texts."""

    source: Source
    tree: SourceTree
    imports: list[Import] = field(default_factory=list[Import])
    version: int = 0

    def become(self, text: str) -> bool:
        """Have another text. Declarations that it leaves as they are keep their blocks. True where the project may
        consist of other files then."""
        old = self.tree.blocks
        self.tree = reparse(self.tree, text) if self.version else parse(text)
        self.source.become(text)
        self.version += 1
        known, now = set(map(id, old)), set(map(id, self.tree.blocks))
        starts = [entry.block.start for entry in self.imports]
        same = (
            starts == sorted(starts)
            and all(id(entry.block) in now for entry in self.imports)
            and not any(id(block) not in known and _imports(block) for block in self.tree.blocks)
        )
        if not same:
            self.imports = [one for block in self.tree.blocks if (one := _imports(block))]
        return not same or max(len(old), len(self.tree.blocks)) > MAX_DECLARATIONS


def _imports(block: Block) -> Import | None:
    declaration = block.declaration
    if declaration is None or declaration.keyword.text != "import" or declaration.name is None:
        return None
    return Import(declaration.name.text, block, declaration)


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


class Files:
    """The sources of projects: what somebody has open, else what is on disk. Each is read and parsed once, until it is
    another one.

    `texts`, by resolved path, stand in for what files hold on disk.
    """

    def __init__(self, texts: Mapping[Path, str] | None = None) -> None:
        self.texts: dict[Path, str] = dict(texts or {})
        self.changes = 0
        """Counts the changes after which a project may consist of other files."""
        self._known: dict[tuple[Path, Path], File] = {}

    def edit(self, path: Path, text: str) -> None:
        """Let a text stand in for what the file at a resolved path holds."""
        new = path not in self.texts
        self.texts[path] = text
        changed = [file.become(text) for (_, place), file in self._known.items() if place == path]
        if any(changed) or (new and not changed):
            self.changes += 1

    def release(self, path: Path) -> None:
        """Let the file at a resolved path be again what it is on disk."""
        if self.texts.pop(path, None) is not None:
            self._read_again(path)

    def refresh(self) -> None:
        """Read again whatever is on disk."""
        for _, path in list(self._known):
            if path not in self.texts:
                self._read_again(path)
        self.changes += 1

    def forget_all_but(self, paths: Collection[Path]) -> None:
        """Forget the files that nobody needs any more."""
        self._known = {key: file for key, file in self._known.items() if key[1] in paths}

    def _read_again(self, path: Path) -> None:
        for (root, place), file in list(self._known.items()):
            if place != path:
                continue
            text = read_text(path, root)
            if isinstance(text, ImportProblem):
                del self._known[root, place]
            elif text != file.source.text:
                file.become(text)
        self.changes += 1

    def load(self, path: Path) -> Loaded:
        """The root file and its imports."""
        path = Path(os.path.abspath(path))  # noqa: PTH100 - keeps symlinks, which `resolve` would not
        real = resolved(path)
        root = project_root(real)
        problem: str | None = None
        found = self._file(real, root, path)
        if isinstance(found, ImportProblem):
            problem = found.reason
            text = self.texts.get(real, "")
            found = File(Source(real, _name(real, root), text), SourceTree(text))
        files = {real: found}
        waiting = [found]
        while waiting:
            file = waiting.pop(0)
            for entry in file.imports:
                self._follow(entry, file, root, files, waiting)
        return Loaded(root, found, files, problem)

    def _file(self, real: Path, root: Path, written: Path) -> File | ImportProblem:
        """The file at a resolved path, which is read where it was `written`."""
        file = self._known.get((root, real))
        if file is None:
            # What lies outside is not read, also where somebody has it open.
            text = self.texts.get(real) if real.is_relative_to(root) else None
            found = read_text(written, root) if text is None else text
            if isinstance(found, ImportProblem):
                return found
            file = File(Source(real, _name(real, root), ""), SourceTree(""))
            file.become(found)
            self._known[root, real] = file
        if len(file.tree.blocks) > MAX_DECLARATIONS:
            return ImportProblem(
                "unusable",
                f"it has {len(file.tree.blocks):,} declarations; at most {MAX_DECLARATIONS:,} are read",
            )
        return file

    def _follow(
        self, entry: Import, file: File, root: Path, files: dict[Path, File], waiting: list[File]
    ) -> None:
        entry.target = entry.problem = None
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
        real = resolved(target)
        if real not in files:
            if len(files) >= MAX_FILES:
                entry.problem = ImportProblem("unusable", f"a project reads at most {MAX_FILES} files")
                return
            imported = self._file(real, root, target)
            if isinstance(imported, ImportProblem):
                entry.problem = imported
                return
            files[real] = imported
            waiting.append(imported)
        entry.target = real


def resolved(path: Path) -> Path:
    """The place that a path leads to, links followed."""
    try:
        return path.resolve()
    except (OSError, RuntimeError):
        return path


def _name(path: Path, root: Path) -> str:
    return path.relative_to(root).as_posix() if path.is_relative_to(root) else path.name
