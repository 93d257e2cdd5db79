"""The Python behind `python("module:function")`: found inside the project and read, never imported.

A module is a file of the project, beside the source that names it, in the root or in the root's
`src`. Installed packages are not looked for: asking Python where they are may run code of theirs.
"""

from __future__ import annotations

import ast
import re
import warnings
from functools import lru_cache
from pathlib import Path

from msgspec import Struct

from ...project.loading import ImportProblem, read_text
from ...project.reads import listed, looked_at
from ...project.source import Location, Source

REFERENCE = re.compile(r"([^\W\d]\w*(?:\.[^\W\d]\w*)*):([^\W\d]\w*)")
MAX_CHARACTERS = 1 << 20
MAX_LISTED = 200

Function = ast.FunctionDef | ast.AsyncFunctionDef


def needed(function: Function) -> list[str]:
    """The parameters that have no default."""
    arguments = function.args
    taken = [*arguments.posonlyargs, *arguments.args]
    names = [each.arg for each in taken[: len(taken) - len(arguments.defaults)]]
    pairs = zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True)
    return names + [each.arg for each, default in pairs if default is None]


def takes_none(function: Function, name: str) -> bool:
    """Whether a parameter's default is None: Python lets `most: int = None` pass."""
    arguments = function.args
    taken = [*arguments.posonlyargs, *arguments.args]
    pairs = [
        *zip(reversed(taken), reversed(arguments.defaults), strict=False),
        *zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True),
    ]
    return any(
        each.arg == name and isinstance(default, ast.Constant) and default.value is None
        for each, default in pairs
    )


class Module(Struct, frozen=True, eq=False):
    """A Python file of the project. `functions` are those at its top level; `names` all it binds there, and `classes` those of
    them that are classes of their own, and make objects that no other language knows.

    `open` says that it may bind more than can be seen: it imports `*`, or makes names as it goes.
    """

    source: Source
    functions: dict[str, Function]
    names: frozenset[str]
    classes: frozenset[str]
    open: bool

    def place(self, node: ast.AST) -> Location:
        """Where a node stands: Python counts lines, and columns in bytes of UTF-8."""
        line, column = getattr(node, "lineno", 1), getattr(node, "col_offset", 0)
        end_line = getattr(node, "end_lineno", None) or line
        end_column = getattr(node, "end_col_offset", None) or column
        start, end = self._offset(line, column), self._offset(end_line, end_column)
        return Location(self.source, start, max(start, end))

    def heading(self, node: Function) -> Location:
        """The function's name in its `def`."""
        start = self.place(node).start
        found = self.source.text.find(
            node.name, start + (10 if isinstance(node, ast.AsyncFunctionDef) else 4)
        )
        return Location(self.source, found, found + len(node.name)) if found >= 0 else self.place(node)

    def _offset(self, line: int, column: int) -> int:
        line = min(line, self.source.line_count)
        text = self.source.line(line)
        start = self.source.start_of(line)
        return start + len(text.encode()[:column].decode(errors="ignore"))


class Missing(Struct, frozen=True):
    """Why there is no module to read, and what there is instead."""

    reason: str
    there: tuple[str, ...] = ()


def find_module(name: str, folder: Path, root: Path) -> Module | Missing:
    """The module `name` as a source in `folder` would name it."""
    places = tuple(dict.fromkeys((folder, root, root / "src")))
    parts = name.split(".")
    for place in places:
        for path in (place.joinpath(*parts).with_suffix(".py"), place.joinpath(*parts, "__init__.py")):
            if _is_there(path):
                return _read(path, root)
    inside = [place.joinpath(*parts[:-1]) for place in places]
    prefix = "".join(f"{part}." for part in parts[:-1])
    there = [prefix + found for place in inside for found in _modules_in(place, root)]
    return Missing(f"this project has no module `{name}`", tuple(dict.fromkeys(there)))


def _is_there(path: Path) -> bool:
    looked_at(path)
    try:
        return path.is_file() or path.is_symlink()
    except OSError:
        return False


def _modules_in(folder: Path, root: Path) -> list[str]:
    listed(folder)
    try:
        if not folder.resolve().is_relative_to(root):
            return []
        found = sorted(folder.iterdir())[:MAX_LISTED]
    except (OSError, RuntimeError):
        return []
    names = [path.stem for path in found if path.suffix == ".py" and path.stem != "__init__"]
    names += [path.name for path in found if _is_there(path / "__init__.py")]
    return [name for name in names if name.isidentifier()]


def _read(path: Path, root: Path) -> Module | Missing:
    text = read_text(path, root)
    name = path.relative_to(root).as_posix() if path.is_relative_to(root) else path.name
    if isinstance(text, ImportProblem):
        return Missing(f"`{name}` cannot be read: {text.reason}")
    if len(text) > MAX_CHARACTERS:
        return Missing(f"`{name}` has {len(text):,} characters; at most {MAX_CHARACTERS:,} are read")
    return _parsed(path, name, text)


def quietly_parsed(text: str) -> ast.Module:
    """The syntax tree, without Python's warnings about the text: it is not what is checked.

    Raises SyntaxError, ValueError, RecursionError or MemoryError for text that is no Python.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return ast.parse(text)


@lru_cache(maxsize=32)
def _parsed(path: Path, name: str, text: str) -> Module | Missing:
    try:
        tree = quietly_parsed(text)
    except SyntaxError as error:
        return Missing(f"`{name}` is not valid Python: line {error.lineno or 1}: {error.msg}")
    except (ValueError, RecursionError, MemoryError):
        return Missing(f"`{name}` is not Python that can be read")
    functions: dict[str, Function] = {}
    names: set[str] = set()
    classes: set[str] = set()
    unseen = _collect(tree.body, functions, names, classes)
    unseen = unseen or "__getattr__" in functions
    return Module(Source(path, name, text), functions, frozenset(names), frozenset(classes), unseen)


def _collect(
    body: list[ast.stmt], functions: dict[str, Function], names: set[str], classes: set[str]
) -> bool:
    """What the statements bind, branches included; True when there may be more than can be seen."""
    unseen = False
    for statement in body:
        match statement:
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name):
                # The last definition of a name is the one that counts; a decorator may change it.
                names.add(name)
                classes.discard(name)
                functions[name] = statement
                if any(not _keeps(each) for each in statement.decorator_list):
                    del functions[name]
            case ast.ClassDef(name=name):
                names.add(name)
                functions.pop(name, None)
                plain = not (
                    statement.bases or statement.keywords or statement.decorator_list or _news(statement)
                )
                (classes.add if plain else classes.discard)(name)
            case ast.Import(names=aliases) | ast.ImportFrom(names=aliases):
                unseen = unseen or any(alias.name == "*" for alias in aliases)
                names |= {(alias.asname or alias.name).partition(".")[0] for alias in aliases}
            case ast.Assign() | ast.AnnAssign():
                targets = statement.targets if isinstance(statement, ast.Assign) else [statement.target]
                bound = {node.id for each in targets for node in ast.walk(each) if isinstance(node, ast.Name)}
                names |= bound
                classes -= bound
                for name in bound:
                    functions.pop(name, None)
            case ast.If() | ast.Try() | ast.With() | ast.For() | ast.While():
                branches = [
                    statement.body,
                    getattr(statement, "orelse", []),
                    getattr(statement, "finalbody", []),
                ]
                branches += [handler.body for handler in getattr(statement, "handlers", [])]
                for branch in branches:
                    unseen = _collect(branch, functions, names, classes) or unseen
            case _:
                pass
    return unseen


def _news(statement: ast.ClassDef) -> bool:
    """Whether a class says itself what a call of it makes."""
    return any(isinstance(one, ast.FunctionDef) and one.name == "__new__" for one in statement.body)


def _keeps(decorator: ast.expr) -> bool:
    """True for decorators that leave a function's parameters as they are written."""
    node = decorator.func if isinstance(decorator, ast.Call) else decorator
    name = node.attr if isinstance(node, ast.Attribute) else node.id if isinstance(node, ast.Name) else ""
    return name in ("cache", "lru_cache", "wraps")
