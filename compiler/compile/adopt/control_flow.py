"""Tells from their syntax what statements do to those after them: return, end a loop, set names."""

from __future__ import annotations

import ast
import copy
from collections.abc import Sequence
from typing import cast

from .drafts import Unread


def with_value(statement: ast.stmt, name: str, value: ast.expr) -> ast.stmt:
    """A statement of a loop in one round: its name is what it is there."""
    return cast("ast.stmt", _Replaced(name, value).visit(copy.deepcopy(statement)))


class _Replaced(ast.NodeTransformer):
    """A loop's name, as what it is in one round."""

    def __init__(self, name: str, value: ast.expr) -> None:
        self._name = name
        self._value = value

    def visit_Name(self, node: ast.Name) -> ast.expr:
        return ast.copy_location(copy.deepcopy(self._value), node) if node.id == self._name else node


def always_returns(body: Sequence[ast.stmt]) -> bool:
    """Whether nothing after these statements is reached."""
    return any(
        isinstance(one, ast.Return)
        or (isinstance(one, ast.If) and always_returns(one.body) and always_returns(one.orelse))
        for one in body
    )


def may_return(body: Sequence[ast.stmt]) -> bool:
    return any(isinstance(node, ast.Return) for one in body for node in ast.walk(one))


def ends_loop(statement: ast.stmt) -> bool:
    """Whether it is `if …: break`."""
    return (
        isinstance(statement, ast.If)
        and not statement.orelse
        and len(statement.body) == 1
        and isinstance(statement.body[0], ast.Break)
    )


def loop_names(node: ast.For) -> list[str]:
    """The names that a loop gives to its items."""
    match node.target:
        case ast.Name(id=name):
            return [name]
        case ast.Tuple(elts=[ast.Name(id=one), ast.Name(id=other)]):
            return [one, other]
        case _:
            raise Unread("a loop over more than two names", node.lineno)


def names_set(body: Sequence[ast.stmt]) -> list[str]:
    """The names that statements set or add to, each as often as they do."""
    found: list[str] = []
    for statement in body:
        for node in ast.walk(statement):
            match node:
                case ast.Assign(targets=targets):
                    found += [
                        one.id for target in targets for one in ast.walk(target) if isinstance(one, ast.Name)
                    ]
                case ast.AugAssign(target=ast.Name(id=name)) | ast.AnnAssign(target=ast.Name(id=name)):
                    found.append(name)
                case ast.Call(func=ast.Attribute(value=ast.Name(id=name), attr="append" | "extend")):
                    found.append(name)
                case _:
                    pass
    return found
