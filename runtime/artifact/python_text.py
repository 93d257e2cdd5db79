"""Expressions of the language as Python, for programs that are written for another tool.

What Python has no operator or function for is a helper, whose source goes into the program where it is used.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping

from msgspec import Struct, field

from ..schema.expressions import (
    Apply,
    BinaryOp,
    Constant,
    Expression,
    ForEach,
    If,
    Item,
    ListOfItems,
    Member,
    UnaryOp,
    Variable,
)
from ..schema.types import (
    STR,
    DictOf,
    JsonValue,
    ListOf,
    OneOf,
    OneOfNumbers,
    OneOfRecords,
    OptionalOf,
    RecordRef,
    Scalar,
    TupleOf,
    Type,
)

_FORMS = {
    "len": "len({0})",
    "lower": "{0}.lower()",
    "upper": "{0}.upper()",
    "strip": "{0}.strip()",
    "contains": "({1} in {0})",
    "startswith": "{0}.startswith({1})",
    "endswith": "{0}.endswith({1})",
    "round": "round({all})",
    "abs": "abs({0})",
    "min": "min({all})",
    "max": "max({all})",
    "sum": "sum({0})",
    "any": "any({0})",
    "all": "all({0})",
    "first": "{0}[:{1}]",
    "range": "range({0})",
    "matches": "(re.search({1}, {0}) is not None)",
    "regex": "(re.search({1}, {0}) is not None)",
    "unique": "list(dict.fromkeys({0}))",
    "mean": "(sum({0}) / len({0}))",
}
_HELPERS = {
    "str": '''def as_text(value: Any) -> str:
    """A text as it is, anything else as JSON."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
''',
    "item": '''def at(values: Any, place: Any) -> Any:
    """What is there, or nothing."""
    try:
        return values[place]
    except (IndexError, KeyError):
        return None
''',
}
_IMPORTS = {
    "os.getenv": "import os",
    "re.search": "import re",
    "json.dumps": "import json",
    "Any": "from typing import Any",
}


class PythonText(Struct):
    """Writes expressions. `names` are Python's for the variables; `helpers`, and functions that are `missing`, are gathered."""

    names: Mapping[str, str] = field(default_factory=dict[str, str])
    helpers: dict[str, str] = field(default_factory=dict[str, str])
    missing: dict[str, int] = field(default_factory=dict[str, int])
    """Functions of the language that Python has none for, and how many arguments they take at most."""

    def of(self, expression: Expression, names: Mapping[str, str] | None = None) -> str:
        return self._text(expression, self.names if names is None else names)

    def _text(self, node: Expression, names: Mapping[str, str]) -> str:
        match node:
            case Constant(value=value):
                return python_literal(value)
            case Variable(name=name):
                return names.get(name, name)
            case Member(target=target, name=name):
                return f"{self._inner(target, names)}.{name}"
            case Item(target=target, index=index):
                self.helpers["item"] = _HELPERS["item"]
                return f"at({self._text(target, names)}, {self._text(index, names)})"
            case UnaryOp(operator=operator, operand=operand):
                return f"{operator}{' ' if operator == 'not' else ''}{self._inner(operand, names)}"
            case BinaryOp(operator=operator, left=left, right=right):
                if operator in ("==", "!=") and isinstance(right, Constant) and right.value is None:
                    operator = "is" if operator == "==" else "is not"
                return f"{self._inner(left, names)} {operator} {self._inner(right, names)}"
            case If(condition=condition, consequence=one, alternative=other):
                return f"{self._inner(one, names)} if {self._inner(condition, names)} else {self._inner(other, names)}"
            case ListOfItems(items=items):
                return f"[{', '.join(self._text(one, names) for one in items)}]"
            case ForEach():
                return self._each(node, names)
            case Apply():
                return self._call(node, names)

    def _inner(self, node: Expression, names: Mapping[str, str]) -> str:
        text = self._text(node, names)
        return f"({text})" if isinstance(node, UnaryOp | BinaryOp | If) else text

    def _each(self, node: ForEach, names: Mapping[str, str]) -> str:
        own = [node.variable, *([node.of] if node.of is not None else [])]
        inner = {**names, **{one: one for one in own}}
        items = f"{self._inner(node.iterable, names)}{'.items()' if node.of is not None else ''}"
        return f"[{self._text(node.element, inner)} for {', '.join(own)} in {items}]"

    def _call(self, node: Apply, names: Mapping[str, str]) -> str:
        given = [self._inner(one, names) for one in node.arguments]
        given += [self._inner(one, names) for one in node.named.values()]
        plain = [self._text(one, names) for one in (*node.arguments, *node.named.values())]
        if node.function == "join":
            separator = given[1] if len(given) > 1 else '", "'
            return f"{separator}.join({plain[0]})"
        if node.function == "split":
            return f"{given[0]}.split({given[1]})" if len(given) > 1 else f"{given[0]}.split()"
        if node.function == "str":
            self.helpers["str"] = _HELPERS["str"]
            return f"as_text({plain[0]})"
        form = _FORMS.get(node.function)
        if form is not None:
            return form.format(*given, all=", ".join(plain))
        name = f"dspec_{node.function}"
        self.missing[node.function] = max(self.missing.get(node.function, 0), len(plain))
        return f"{name}({', '.join(plain)})"


def python_literal(value: JsonValue) -> str:
    """A value as Python has it. A text is in double quotes, and holds no character that its quotes or lines would end at, or
    that an editor obeys."""
    if isinstance(value, str):
        text = json.dumps(value, ensure_ascii=False)  # which leaves most of what cannot be printed as it is
        return "".join(one if one.isprintable() else f"\\U{ord(one):08x}" for one in text)
    if isinstance(value, list):
        return "[" + ", ".join(python_literal(one) for one in value) + "]"
    if isinstance(value, dict):
        return (
            "{"
            + ", ".join(f"{python_literal(key)}: {python_literal(one)}" for key, one in value.items())
            + "}"
        )
    return repr(value)


def python_type(
    kind: Type, scalars: Mapping[str, str], record: Callable[[str], str], *, whole_keys: bool
) -> str:
    """A type as Python has it, with these words for scalars and records. A dict's keys that are whole numbers are texts in JSON,
    so they are numbers only with `whole_keys`: where somebody reads the JSON into the type."""

    def of(kind: Type) -> str:
        match kind:
            case Scalar(name=name):
                return scalars[name]
            case OneOf(values=values):
                return f"Literal[{', '.join(map(python_literal, values))}]"
            case OneOfNumbers(values=values):
                return f"Literal[{', '.join(map(python_literal, values))}]" if kind.whole else "float"
            case OptionalOf(item=item):
                return f"{of(item)} | None"
            case ListOf(item=item):
                return f"list[{of(item)}]"
            case DictOf(key=key, value=value):
                return f"dict[{of(key if whole_keys or isinstance(key, OneOf) else STR)}, {of(value)}]"
            case TupleOf(items=items):
                return f"tuple[{', '.join(map(of, items))}]"
            case RecordRef(name=name):
                return record(name)
            case OneOfRecords(records=names):
                return " | ".join(map(record, names))

    return of(kind)


def imports_of(text: str) -> list[str]:
    """What the helpers and forms in a text need imported."""
    return [statement for mark, statement in _IMPORTS.items() if mark in text]
