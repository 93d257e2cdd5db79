"""The outline of a file: its declarations and what stands in them, read from the syntax tree alone."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Literal

from msgspec import Struct

from dspec.grammar.tree import (
    Block,
    Call,
    Declaration,
    FieldItem,
    Item,
    Let,
    Name,
    Node,
    Parameter,
    Reference,
    Repeat,
    Section,
    Setting,
    SourceTree,
    Step,
)
from dspec.grammar.tree import (
    Literal as LiteralNode,
)

OutlineKind = Literal[
    "import", "extern", "type", "record", "lm", "signature", "module", "program", "dataset", "metric",
    "optimize", "eval", "test", "field", "let", "step", "part", "parameter",
]  # fmt: skip


class Outline(Struct, frozen=True):
    """One entry: `start` and `end` are all of it, `name_start` and `name_end` its name, as offsets in the file."""

    name: str
    kind: OutlineKind
    detail: str
    start: int
    end: int
    name_start: int
    name_end: int
    inside: tuple[Outline, ...] = ()


def outline(tree: SourceTree) -> list[Outline]:
    return [found for block in tree.blocks if (found := outline_of(block)) is not None]


def outline_of(block: Block) -> Outline | None:
    """The entry of a declaration; None for the version and for what has no name yet."""
    declaration = block.declaration
    if declaration is None or declaration.name is None or declaration.keyword.text == "dspec":
        return None
    kind: OutlineKind = declaration.keyword.text  # type: ignore[assignment]  # the keywords are kinds
    inside = () if kind == "import" else tuple(_inside(block, declaration))
    return _entry(block, declaration.name, kind, _detail(block, declaration), declaration, inside)


def _entry(
    block: Block, name: Name, kind: OutlineKind, detail: str, node: Node, inside: tuple[Outline, ...] = ()
) -> Outline:
    return Outline(
        name.text,
        kind,
        detail,
        block.start + node.span.start,
        block.start + node.span.end,
        block.start + name.span.start,
        block.start + name.span.end,
        inside,
    )


def _detail(block: Block, declaration: Declaration) -> str:
    """A few characters that tell the declaration from others of its kind."""
    value = declaration.value
    if declaration.keyword.text == "import" and isinstance(value, LiteralNode):
        return str(value.value)
    if isinstance(value, Call) and isinstance(value.callee, Reference):
        return value.callee.name.text
    settings = [one for one in declaration.items or () if isinstance(one, Setting)]
    wanted = {"lm": "model", "dataset": "source", "optimize": "program", "eval": "program", "test": "program"}
    for one in settings:
        if one.name.text == wanted.get(declaration.keyword.text):
            return _written(block, one.value)
    return ""


def _written(block: Block, node: Node) -> str:
    text = " ".join(block.text[node.span.start : node.span.end].split())
    return text if len(text) <= 60 else f"{text[:59]}…"


def _inside(block: Block, declaration: Declaration) -> Iterator[Outline]:
    for one in declaration.parameters or ():
        yield _parameter(block, one)
    if isinstance(declaration.returns, tuple):
        for one in declaration.returns:
            yield _parameter(block, one)
    yield from _items(block, declaration.items or ())


def _parameter(block: Block, one: Parameter) -> Outline:
    return _entry(block, one.name, "parameter", _written(block, one.type) if one.type else "", one)


def _items(block: Block, items: Iterable[Item]) -> Iterator[Outline]:
    for item in items:
        match item:
            case FieldItem():
                yield _entry(block, item.name, "field", _written(block, item.type) if item.type else "", item)
            case Let():
                yield _entry(block, item.name, "let", _called(item.value), item)
            case Repeat():
                yield _entry(block, item.name, "let", "repeat", item, tuple(_items(block, item.items)))
            case Step() if item.name is not None:
                yield _entry(block, item.name, "step", _called(item.value), item)
            case Section() if item.name.text == "split":
                for part in item.items:
                    if isinstance(part, Setting) and part.name.text not in ("seed", "stratify"):
                        yield _entry(block, part.name, "part", _written(block, part.value), part)
            case _:
                pass


def _called(value: Node) -> str:
    return value.callee.name.text if isinstance(value, Call) and isinstance(value.callee, Reference) else ""


def matches(name: str, query: str) -> bool:
    """Whether the letters of a query stand in a name, in their order."""
    letters = iter(name.lower())
    return all(letter in letters for letter in query.lower())
