"""Reads a Python file as a syntax tree, and what its names stand for. Nothing of it is imported or run.

The file is a stranger's: its size, depth and number of nodes are bounded, and constants are computed from
literals alone, up to a bounded length.
"""

from __future__ import annotations

import ast
import inspect
import textwrap
import warnings
from collections.abc import Iterator, Sequence

from msgspec import Struct, field

from dspec.runtime.schema.types import JsonValue

from .drafts import Unread

MAX_BYTES = 2_000_000
MAX_NODES = 300_000
MAX_DEPTH = 200
MAX_STEPS = 200_000
"""Parts of constants that are computed in all: names of names can stand for any number of them."""
MAX_CONSTANT = 100_000
"""Characters of a text, or items of a list, that a constant may have."""

FRAMEWORK = "dspy"
GETENV = ("os.getenv", "os.environ.get", "getenv")


class NotRead(Exception):
    """The file cannot be read as a whole; the text says why."""


class PythonFile(Struct):
    """A module of Python by its top-level names."""

    name: str
    """Name of the file, without its folder."""
    tree: ast.Module
    lines: list[str]
    imports: dict[str, str] = field(default_factory=dict[str, str])
    """What imported names stand for: `{"Predict": "dspy.Predict"}`."""
    classes: dict[str, ast.ClassDef] = field(default_factory=dict[str, ast.ClassDef])
    functions: dict[str, ast.FunctionDef | ast.AsyncFunctionDef] = field(
        default_factory=dict[str, ast.FunctionDef | ast.AsyncFunctionDef]
    )
    values: dict[str, ast.expr] = field(default_factory=dict[str, ast.expr])
    """What names are set to, once, at the top level or in `main`."""
    own: dict[str, ast.expr] = field(default_factory=dict[str, ast.expr])
    """What attributes of `self` are set to, while a class is read."""
    changed: set[str] = field(default_factory=set[str])
    """Names that are set more than once: nothing can be said of their values."""
    steps: int = 0
    """Parts of constants that were computed."""
    statements: list[ast.stmt] = field(default_factory=list[ast.stmt])
    """Those that run, in order: of the top level, of `if __name__ == …`, and of functions without arguments."""

    @property
    def module(self) -> str:
        return self.name.removesuffix(".py")

    def dotted(self, node: ast.expr) -> str:
        """The full name that an expression stands for, as `dspy.Predict`; "" of anything else."""
        parts: list[str] = []
        while isinstance(node, ast.Attribute):
            parts.append(node.attr)
            node = node.value
        if not isinstance(node, ast.Name):
            return ""
        return ".".join([self.imports.get(node.id, node.id), *reversed(parts)])

    def framework(self, node: ast.expr) -> str:
        """The last part of a name of DSPy's: `ChainOfThought`; "" of anything else."""
        name = self.dotted(node)
        return name.rpartition(".")[2] if name.startswith(f"{FRAMEWORK}.") else ""

    def shown(self, node: ast.AST) -> list[str]:
        """The lines of a node, the first ten of them."""
        first, last = line_of(node), getattr(node, "end_lineno", None) or line_of(node)
        found = textwrap.dedent("\n".join(self.lines[first - 1 : last])).splitlines()
        return found if len(found) <= 10 else [*found[:10], "…"]


def line_of(node: ast.AST) -> int:
    return getattr(node, "lineno", 0)


def read_python(name: str, data: bytes) -> PythonFile:
    """The module. Raises NotRead for what is no Python, or beyond the bounds."""
    if len(data) > MAX_BYTES:
        raise NotRead(f"it has {len(data):,} bytes; at most {MAX_BYTES:,} are read")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise NotRead(f"it is no UTF-8 text: byte {error.start}") from None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            tree = ast.parse(text, filename=name)
    except SyntaxError as error:
        raise NotRead(f"it is no Python that can be read: line {error.lineno or 0}: {error.msg}") from None
    except (ValueError, RecursionError, MemoryError) as error:
        raise NotRead(f"it is no Python that can be read: {type(error).__name__}") from None
    _check_bounds(tree)
    found = PythonFile(name, tree, text.splitlines())
    _gather(found, tree.body)
    return found


def _check_bounds(tree: ast.Module) -> None:
    count, level, nodes = 0, 0, [tree]
    waiting: list[ast.AST] = list(nodes)
    while waiting:
        count, level = count + len(waiting), level + 1
        if count > MAX_NODES:
            raise NotRead(f"it has more than {MAX_NODES:,} parts")
        if level > MAX_DEPTH:
            raise NotRead(f"it nests deeper than {MAX_DEPTH} levels")
        waiting = [child for node in waiting for child in ast.iter_child_nodes(node)]


def _gather(found: PythonFile, body: Sequence[ast.stmt]) -> None:
    for statement in _running(body):
        match statement:
            case ast.Import(names=names):
                for alias in names:
                    found.imports[alias.asname or alias.name.partition(".")[0]] = (
                        alias.name if alias.asname else alias.name.partition(".")[0]
                    )
            case ast.ImportFrom(module=str() as module, names=names):
                for alias in names:
                    found.imports[alias.asname or alias.name] = f"{module}.{alias.name}"
            case ast.ClassDef():
                found.classes[statement.name] = statement
            case ast.FunctionDef() | ast.AsyncFunctionDef():
                found.functions[statement.name] = statement
                if statement.name in ("main", "build", "train", "run") and not _parameters(statement):
                    _gather(found, statement.body)
            case ast.Assign(targets=[ast.Name(id=name)], value=value):
                _set(found, name, value)
            case ast.AnnAssign(target=ast.Name(id=name), value=ast.expr() as value):
                _set(found, name, value)
            case ast.Assign(targets=[ast.Tuple(elts=names)], value=ast.Tuple(elts=values)):
                for one, value in zip(names, values, strict=False):
                    if isinstance(one, ast.Name):
                        _set(found, one.id, value)
            case ast.AugAssign(target=ast.Name(id=name)):
                found.changed.add(name)
            case _:
                pass
        found.statements.append(statement)


def _parameters(function: ast.FunctionDef | ast.AsyncFunctionDef) -> list[ast.arg]:
    given = function.args
    return [*given.posonlyargs, *given.args, *given.kwonlyargs]


def _running(body: Sequence[ast.stmt]) -> Iterator[ast.stmt]:
    """The statements, with those of a `try` and of `if __name__ == "__main__"` in their places."""
    for statement in body:
        match statement:
            case ast.If(test=ast.Compare(left=ast.Name(id="__name__")), body=inner):
                yield from _running(inner)
            case ast.Try(body=inner):
                yield from _running(inner)
            case _:
                yield statement


def _set(found: PythonFile, name: str, value: ast.expr) -> None:
    if name in found.values:
        found.changed.add(name)
    found.values[name] = value


# Constants ----------------------------------------------------------------------------------------

_ENUMS = ("Enum", "StrEnum", "IntEnum")


def is_enum(file: PythonFile, node: ast.ClassDef) -> bool:
    return any(file.dotted(base).rpartition(".")[2] in _ENUMS for base in node.bases)


def enum_members(file: PythonFile, name: str) -> dict[str, ast.expr]:
    """What the members of an enumeration are set to, by their names; none of anything else."""
    node = file.classes.get(name)
    if node is None or not is_enum(file, node):
        return {}
    return {
        one.targets[0].id: one.value
        for one in node.body
        if isinstance(one, ast.Assign) and isinstance(one.targets[0], ast.Name)
    }


def _member(file: PythonFile, name: str, value: ast.expr, deep: int) -> JsonValue:
    return name.lower() if isinstance(value, ast.Call) else constant(file, value, deep)  # auto()


def enum_values(file: PythonFile, name: str) -> list[JsonValue]:
    """The values of an enumeration. Raises Unread."""
    return [_member(file, member, value, 0) for member, value in enum_members(file, name).items()]


def constant(file: PythonFile, node: ast.expr, deep: int = 0) -> JsonValue:
    """The value of an expression that is made of literals. Raises Unread."""
    file.steps += 1
    if deep > 20 or file.steps > MAX_STEPS:
        raise Unread("this constant is too deep", line_of(node))
    made = _constant(file, node, deep + 1)
    if isinstance(made, str | list | dict) and len(made) > MAX_CONSTANT:
        raise Unread("this constant is too long", line_of(node))
    return made


def _constant(file: PythonFile, node: ast.expr, deep: int) -> JsonValue:
    match node:
        case ast.Constant(value=str() | int() | float() | bool() | None as value):
            return value
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            value = constant(file, operand, deep)
            if isinstance(value, int | float):
                return -value
        case ast.Name(id=name) if name in file.values and name not in file.changed:
            return constant(file, file.values[name], deep)
        case ast.Call(func=function, args=[_, default]) if file.dotted(function) in GETENV:
            return constant(file, default, deep)
        case ast.Attribute(value=ast.Name(id="self"), attr=name) if name in file.own:
            return constant(file, file.own[name], deep)
        case ast.Attribute(value=ast.Name(id=name), attr=member) if (
            members := enum_members(file, name)
        ) and member in members:
            return _member(file, member, members[member], deep)
        case ast.Attribute(value=ast.Attribute(value=ast.Name(id=name)) as inner, attr="value") if (
            enum_members(file, name)
        ):
            return constant(file, inner, deep)
        case ast.List(elts=items) | ast.Tuple(elts=items) | ast.Set(elts=items):
            return [constant(file, one, deep) for one in items]
        case ast.Dict(keys=keys, values=values) if all(key is not None for key in keys):
            return {
                str(constant(file, key, deep)): constant(file, value, deep)
                for key, value in zip(keys, values, strict=True)
                if key is not None
            }
        case ast.BinOp(op=ast.Add(), left=left, right=right):
            one, other = constant(file, left, deep), constant(file, right, deep)
            if isinstance(one, str) and isinstance(other, str):
                return one + other
            if isinstance(one, list) and isinstance(other, list):
                return [*one, *other]
            if isinstance(one, int | float) and isinstance(other, int | float):
                return one + other
        case ast.JoinedStr(values=values):
            return "".join(str(constant(file, one, deep)) for one in values)
        case ast.FormattedValue(value=value, conversion=-1, format_spec=None):
            return constant(file, value, deep)
        case ast.Call(func=ast.Attribute(value=value, attr="strip"), args=[], keywords=[]):
            made = constant(file, value, deep)
            if isinstance(made, str):
                return made.strip()
        case ast.Call(func=ast.Name(id="list" | "tuple" | "sorted" as name), args=[value], keywords=[]):
            made = constant(file, value, deep)
            if isinstance(made, list):
                return made if name != "sorted" else sorted(made, key=str)
        case ast.Call(func=function, args=[value], keywords=[]):
            made = constant(file, value, deep)
            if isinstance(made, str) and file.dotted(function) in ("textwrap.dedent", "dedent"):
                return textwrap.dedent(made)
            if isinstance(made, str) and file.dotted(function) in ("inspect.cleandoc", "cleandoc"):
                return inspect.cleandoc(made)
        case _:
            pass
    raise Unread("this is no constant that can be read", line_of(node))


def text_of(file: PythonFile, node: ast.expr) -> str:
    """The text that an expression is. Raises Unread."""
    value = constant(file, node)
    if not isinstance(value, str):
        raise Unread("this is no text", line_of(node))
    return value
