"""What a condition says of values that may be missing: `x != none` holds, so `x` is there."""

from __future__ import annotations

from dspec.grammar.tree import Attribute, Binary, Expr, Index, Literal, Reference, Unary

from ...diagnostics import codes


def path(node: Expr) -> str | None:
    """A name with its fields and items as written, `gold.lines[0].sku`; None for what is computed."""
    match node:
        case Reference(name=name):
            return name.text
        case Attribute(target=target, name=name) if name is not None:
            inner = path(target)
            return None if inner is None else f"{inner}.{name.text}"
        case Index(target=target, index=Literal(value=int() as place)):
            inner = path(target)
            return None if inner is None else f"{inner}[{place}]"
        case _:
            return None


def present(condition: Expr, outcome: bool) -> frozenset[str]:
    """The paths that are not none where `condition` came out as `outcome`."""
    match condition:
        case Unary(operator="not", operand=operand):
            return present(operand, not outcome)
        case Binary(operator="and" | "or" as word, left=left, right=right):
            if outcome == (word == "and"):
                return present(left, outcome) | present(right, outcome)
            return frozenset()
        case Binary(operator="==" | "!=" as word, left=left, right=right) if outcome == (word == "!="):
            for value, other in ((left, right), (right, left)):
                if _is_none(other) and (found := path(value)):
                    return frozenset((found,))
            return frozenset()
        case _:
            return frozenset()


def _is_none(node: Expr) -> bool:
    """Whether the node is `none`, or a misspelling of it, which was reported already."""
    if isinstance(node, Reference):
        return codes.habits.LITERALS.get(node.name.text) == "none"
    return isinstance(node, Literal) and node.value is None
