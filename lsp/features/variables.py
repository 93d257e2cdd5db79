"""The names that an expression can read at the cursor, and what a chain such as `gold.lines[0].` holds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from msgspec import Struct

from dspec.compiler.check.symbols import FileScope
from dspec.compiler.tables.judges import JUDGES
from dspec.grammar.tree import Declaration, NamedType

from .cursor import Cursor, Group, Part, find, named, terminal, word
from .shapes import (
    MAX_HOPS,
    Fields,
    Interface,
    Typed,
    Value,
    columns,
    fields,
    follow,
    interface,
    item,
    look_up,
    members,
    parameters,
    parts,
    result,
    setting,
)


class Variable(Struct, frozen=True):
    """A name in scope. `value` is None where it is not known; `detail` says what it is."""

    value: Value | None = None
    detail: str = ""
    doc: str = ""


Variables = Mapping[str, Variable]

CALLABLE = ("module", "program", "extern")


def variables(cursor: Cursor, scope: FileScope) -> dict[str, Variable]:
    """What an expression at the cursor can read, by the kind of its declaration."""
    declaration = cursor.declaration
    if declaration is None:
        return {}
    found: dict[str, Variable] = {}
    match declaration.keyword.text:
        case "signature":
            found = _fields(fields(declaration.items, scope, ("input", "output")), "field")
        case "record":
            found = _fields(fields(declaration.items, scope, ("field",)), "field")
        case "metric":
            found = _metric(cursor, declaration, scope)
        case "program":
            found = _fields(parameters(declaration.parameters or (), scope), "input")
            _lets(cursor, scope, found)
        case "test":
            tested = target(cursor, declaration, scope)
            found = _fields(tested.outputs, "output") if tested else {}
        case "eval":
            score = Variable(Typed(None, scope), "score", "Mean score of the program, 0 to 1.")
            found = {"score": score}
            if "baseline" in _set_in_block(cursor):
                found["baseline"] = Variable((), "baseline", "The scores of the baseline.")
        case _:
            pass
    _comprehended(cursor, scope, found)
    return found


def _fields(group: Fields, noun: str) -> dict[str, Variable]:
    return {
        field.name: Variable(field.value, f"{noun}: {field.detail or 'str'}", field.doc) for field in group
    }


def _set_in_block(cursor: Cursor) -> set[str]:
    return named(iter(cursor.braces[0].group.elements)) if cursor.braces else set()


def target(cursor: Cursor, declaration: Declaration, scope: FileScope) -> Interface | None:
    """Inputs and outputs of what `program = …` of the block names."""
    value = setting(declaration.items, "program")
    found = follow(scope, value) if value else None
    return interface(*found) if found else None


def _metric(cursor: Cursor, declaration: Declaration, scope: FileScope) -> dict[str, Variable]:
    found: dict[str, Variable] = {}
    for node in declaration.parameters or ():
        value: Value | None = Typed(node.type, scope)
        detail = ""
        if isinstance(node.type, NamedType):
            named_type = node.type
            place = look_up(
                scope, named_type.name.text, named_type.qualifier.text if named_type.qualifier else None
            )
            if place and place[1].kind == "dataset":
                value, detail = columns(*place), f"a row of {place[1].name}"
            elif place:
                judged = interface(*place)
                value, detail = (judged.outputs if judged else None), f"the outputs of {place[1].name}"
        found[node.name.text] = Variable(value, detail)
    if cursor.braces:
        attribute = word(cursor.braces[0].element, 0)
        if attribute in ("accept", "feedback"):
            found["score"] = Variable(None, "score", "The metric's score for this row.")
            items = cursor.braces[0].group.elements
            if any(word(item, 0) == "score" and _asks_judge(item) for item in items):
                found["reason"] = Variable(None, "str", "What the judges of the score said.")
        if attribute == "feedback" and "accept" in _set_in_block(cursor):
            found["accept"] = Variable(None, "accept", "Whether the run may become a demo.")
    return found


def _asks_judge(parts_: Sequence[Part]) -> bool:
    """True when a judge's name stands anywhere among the parts."""
    return any(
        any(map(_asks_judge, part.elements)) if isinstance(part, Group) else part.text in JUDGES
        for part in parts_
    )


def _lets(cursor: Cursor, scope: FileScope, found: dict[str, Variable]) -> None:
    """Adds the `let`s before the cursor's own item, each read with those before it."""
    if not cursor.braces:
        return
    body = cursor.braces[0]
    for element in body.group.elements[: body.number]:
        if word(element, 0) != "let" or terminal(element, 2) != "ASSIGN":
            continue
        value = chain(element[3:], scope, found)
        source = next((word(element, i) for i in range(3, len(element)) if word(element, i)), "")
        found[word(element, 1)] = Variable(value, f"let: {source}{'(…)' if isinstance(value, tuple) else ''}")


def _comprehended(cursor: Cursor, scope: FileScope, found: dict[str, Variable]) -> None:
    """Adds the variables of the comprehensions around the cursor."""
    for spot in cursor.spots:
        if spot.group.opener != "[":
            continue
        at = find(spot.element, "FOR")
        if at >= 0 and terminal(spot.element, at + 2) == "IN" and spot.index <= at:
            whole = chain(spot.element[at + 3 :], scope, found)
            found[word(spot.element, at + 1)] = Variable(item(whole), "variable")


def chain(parts_: Sequence[Part], scope: FileScope, known: Variables) -> Value | None:
    """What an expression of the shape `name(…).name[…]…` holds; None for any other expression."""
    name = word(parts_, 0)
    if terminal(parts_, 0) != "NAME":
        return None
    value: Value | None
    index = 1
    if terminal(parts_, 1) == "(" or (terminal(parts_, 1) == "DOT" and terminal(parts_, 3) == "("):
        qualified = terminal(parts_, 1) == "DOT"
        called = look_up(scope, word(parts_, 2), name) if qualified else look_up(scope, name)
        value = result(*called) if called and called[1].kind in CALLABLE else None
        index = 4 if qualified else 2
    elif name in known:
        value = known[name].value
    else:
        return None
    for _ in range(MAX_HOPS):
        if index >= len(parts_):
            return value
        if terminal(parts_, index) == "DOT":
            wanted = word(parts_, index + 1)
            value = next((field.value for field in members(value) if field.name == wanted), None)
            index += 2
        elif terminal(parts_, index) == "[":
            value = item(value)
            index += 1
        else:
            return None
    return None


def chain_start(parts_: Sequence[Part], end: int) -> int:
    """Where the chain that ends before `end` begins; `end` itself where there is none."""
    index = end
    while index > 0:
        before = parts_[index - 1]
        if isinstance(before, Group):
            index -= 1
            if before.opener == "{" or terminal(parts_, index - 1) not in ("NAME", "[", "("):
                return end if before.opener == "{" else index
        elif terminal(parts_, index - 1) == "NAME":
            index -= 1
            if terminal(parts_, index - 1) != "DOT":
                return index
            index -= 1
        else:
            return index
    return index


def split_parts(scope: FileScope, path: Sequence[str]) -> tuple[str, ...]:
    """The split parts of the dataset that `name` or `alias.name` stands for."""
    found = look_up(scope, path[-1], path[0] if len(path) == 2 else None) if 0 < len(path) <= 2 else None
    return parts(found[1]) if found and found[1].kind == "dataset" else ()
