"""Expressions of Python as expressions of the language. What has no form there is Unread."""

from __future__ import annotations

import ast
from collections.abc import Callable, Mapping

from msgspec import Struct

from .drafts import Unread, literal, quoted
from .python_source import PythonFile, constant, enum_members, line_of

MAX_ITEMS = 20
"""Items of a list of any length for which a model is asked: calls are counted before anything runs."""


class Value(Struct, frozen=True):
    """A value as the language writes it. `kind` is its type where that is known, `outputs` are the fields of a group."""

    text: str
    kind: str = ""
    outputs: Mapping[str, str] | None = None
    atom: bool = True
    asks: bool = False
    """Whether computing it calls something."""
    fields: Mapping[str, str] | None = None
    """Where the fields of a group have names of their own: as inputs of a program."""

    @property
    def inner(self) -> str:
        """As it stands inside another expression."""
        return self.text if self.atom else f"({self.text})"


Env = dict[str, Value]
_COMPARED: dict[type[ast.cmpop], str] = {
    ast.Eq: "==",
    ast.NotEq: "!=",
    ast.Lt: "<",
    ast.LtE: "<=",
    ast.Gt: ">",
    ast.GtE: ">=",
    ast.In: "in",
    ast.NotIn: "not in",
    ast.Is: "==",
    ast.IsNot: "!=",
}
_COMPUTED: dict[type[ast.operator], str] = {ast.Add: "+", ast.Sub: "-", ast.Mult: "*", ast.Div: "/"}
_FUNCTIONS = {
    "len": "int",
    "abs": "",
    "round": "",
    "sum": "",
    "any": "bool",
    "all": "bool",
    "min": "",
    "max": "",
}
_METHODS = {"lower": "lower", "casefold": "lower", "upper": "upper", "strip": "strip"}
_TESTS = {"startswith": "startswith", "endswith": "endswith"}


class Expressions(Struct):
    """Reads expressions of one function. `called` and `named` say what calls and names of the function's own are; each gives
    None where it does not know."""

    file: PythonFile
    called: Callable[[ast.Call, Env], Value | None]
    named: Callable[[ast.expr, Env], Value | None]

    def value(self, node: ast.expr, env: Env) -> Value:
        own = self.named(node, env)
        if own is not None:
            return own
        match node:
            case ast.Name(id=name) if name in env:
                return env[name]
            case ast.Await(value=inner):
                return self.value(inner, env)
            case ast.Constant() | ast.Name():
                return self._constant(node)
            case ast.JoinedStr(values=parts):
                return self._joined([self._part(one, env) for one in parts])
            case ast.Attribute(value=ast.Name(id=name) | ast.Attribute(value=ast.Name(id=name))) if (
                name not in env and enum_members(self.file, name)
            ):
                return self._constant(node)
            case ast.Attribute(value=inner, attr="value") if enum_members(
                self.file, (found := self.value(inner, env)).kind.removesuffix("?")
            ):
                return found
            case ast.Attribute(value=inner, attr=name):
                return self.field(self.value(inner, env), name)
            case ast.Subscript(value=inner, slice=place):
                return self._item(self.value(inner, env), place, env)
            case ast.List(elts=items) | ast.Tuple(elts=items):
                found = [self.value(one, env) for one in items]
                asks = any(one.asks for one in found)
                kinds = {one.kind for one in found}
                kind = f"list[{found[0].kind}]" if len(kinds) == 1 and found[0].kind else ""
                return Value(f"[{', '.join(one.text for one in found)}]", kind, asks=asks)
            case ast.UnaryOp(op=ast.Not(), operand=inner):
                found = self.condition(inner, env)
                return Value(f"not {found.inner}", "bool", atom=False, asks=found.asks)
            case ast.UnaryOp(op=ast.USub(), operand=inner):
                found = self.value(inner, env)
                return Value(f"-{found.inner}", found.kind, atom=False, asks=found.asks)
            case ast.BinOp(op=operator, left=left, right=right) if type(operator) in _COMPUTED:
                return self._binary(_COMPUTED[type(operator)], self.value(left, env), self.value(right, env))
            case ast.BoolOp(op=operator, values=values):
                word = "and" if isinstance(operator, ast.And) else "or"
                found = [self.condition(one, env) for one in values]
                asks = any(one.asks for one in found)
                return Value(f" {word} ".join(one.inner for one in found), "bool", atom=False, asks=asks)
            case ast.Compare():
                return self._compared(node, env)
            case ast.IfExp(test=test, body=body, orelse=other):
                return chosen(self.condition(test, env), self.value(body, env), self.value(other, env))
            case (
                ast.ListComp(elt=element, generators=[loop])
                | ast.GeneratorExp(elt=element, generators=[loop])
            ):
                return self.each(element, loop, env)
            case ast.Call():
                return self._call(node, env)
            case _:
                raise Unread("an expression that the language has no form for", line_of(node))

    def condition(self, node: ast.expr, env: Env) -> Value:
        """An expression as Python decides by it: an empty text or list is false."""
        found = self.value(node, env)
        kind = found.kind
        if kind == "str":
            return Value(f'{found.inner} != ""', "bool", atom=False, asks=found.asks)
        if kind.startswith(("list[", "dict[")) and not kind.endswith("?"):
            return Value(f"len({found.text}) > 0", "bool", atom=False, asks=found.asks)
        if kind.endswith("?"):
            return Value(f"{found.inner} != none", "bool", atom=False, asks=found.asks)
        if kind in ("int", "float"):
            return Value(f"{found.inner} != 0", "bool", atom=False, asks=found.asks)
        return found

    def each(self, element: ast.expr, loop: ast.comprehension, env: Env) -> Value:
        """A list of what is made of each item of another."""
        if loop.is_async or not isinstance(loop.target, ast.Name):
            raise Unread("a loop over more than one name", line_of(element))
        if loop.ifs:
            raise Unread("a list of some of the items: the language has no filter", line_of(element))
        items = self.value(loop.iter, env)
        return self.each_of(items, loop.target.id, lambda inner: self.value(element, inner), env)

    def each_of(self, items: Value, name: str, made: Callable[[Env], Value], env: Env) -> Value:
        variable = free(name, env)
        one = Value(variable, item_kind(items.kind), items.outputs)
        found = made({**env, name: one})
        text = items.text
        if found.asks and not (items.outputs is not None or text.startswith(("range(", "first(", "["))):
            text = f"first({text}, {MAX_ITEMS})"
        kind = f"list[{found.kind}]" if found.kind else ""
        return Value(
            f"[{found.text} for {variable} in {text}]", kind, found.outputs, asks=found.asks or items.asks
        )

    def _constant(self, node: ast.expr) -> Value:
        found = constant(self.file, node)
        kinds: dict[type, str] = {str: "str", bool: "bool", int: "int", float: "float"}
        kind = kinds.get(type(found), "")
        if isinstance(found, list) and found and all(isinstance(one, str) for one in found):
            kind = "list[str]"
        text = literal(found)
        return Value(text, kind, atom=not text.startswith("-"))

    def field(self, target: Value, name: str) -> Value:
        kind = "" if target.outputs is None else target.outputs.get(name, "")
        if target.fields is not None and name in target.fields:
            return Value(target.fields[name], kind)
        if name == "passages" and target.kind.startswith("list["):
            return target  # of a retriever, whose value is the list itself
        if target.outputs is not None and name not in target.outputs:
            raise Unread(f"`{target.text}` has no output `{name}`")
        return Value(f"{target.inner}.{name}", kind, asks=target.asks)

    def _item(self, target: Value, place: ast.expr, env: Env) -> Value:
        if isinstance(place, ast.Slice):
            if place.lower is None and place.step is None and place.upper is not None:
                count = self.value(place.upper, env)
                if not count.text.startswith("-"):
                    return Value(
                        f"first({target.text}, {count.text})", target.kind, target.outputs, asks=target.asks
                    )
            raise Unread("a slice other than the first items", line_of(place))
        if target.outputs is not None and isinstance(place, ast.Constant) and isinstance(place.value, str):
            return self.field(target, place.value)
        if target.kind == "str" and isinstance(place, ast.Constant) and place.value in ("text", "long_text"):
            return target  # of a passage, which is a text
        index = self.value(place, env)
        return Value(
            f"{target.inner}[{index.text}]", item_kind(target.kind), target.outputs, asks=target.asks
        )

    def _part(self, node: ast.expr, env: Env) -> Value:
        match node:
            case ast.Constant(value=str() as text):
                return Value(quoted(text), "str")
            case ast.FormattedValue(value=inner, conversion=-1, format_spec=None):
                return as_text(self.value(inner, env))
            case _:
                raise Unread("a text with a format", line_of(node))

    def _joined(self, parts: list[Value]) -> Value:
        if not parts:
            return Value('""', "str")
        asks = any(one.asks for one in parts)
        return Value(" + ".join(one.inner for one in parts), "str", atom=len(parts) == 1, asks=asks)

    def _binary(self, operator: str, left: Value, right: Value) -> Value:
        left, right = as_number(left), as_number(right)
        kind = (
            left.kind if left.kind == right.kind and operator != "/" else "float" if operator == "/" else ""
        )
        if not kind and {left.kind, right.kind} <= {"int", "float"} and left.kind and right.kind:
            kind = "float"
        if operator == "+" and not kind:
            kind = (
                left.kind
                if left.kind.startswith("list")
                else right.kind
                if right.kind.startswith("list")
                else ""
            )
        if operator == "*" and kind in ("str",):
            raise Unread("a text times a number")
        return Value(f"{left.inner} {operator} {right.inner}", kind, atom=False, asks=left.asks or right.asks)

    def _compared(self, node: ast.Compare, env: Env) -> Value:
        values = [self.value(one, env) for one in (node.left, *node.comparators)]
        parts: list[str] = []
        for operator, one, other in zip(node.ops, values, values[1:], strict=False):
            word = _COMPARED.get(type(operator))
            if word is None:
                raise Unread("a comparison that the language has no word for", line_of(node))
            if word in ("in", "not in") and other.kind in ("", "str"):
                found = f"contains({other.text}, {one.text})"
                parts.append(found if word == "in" else f"not {found}")
            else:
                parts.append(f"{one.inner} {word} {other.inner}")
        asks = any(one.asks for one in values)
        return Value(" and ".join(parts), "bool", atom=False, asks=asks)

    def _call(self, node: ast.Call, env: Env) -> Value:
        own = self.called(node, env)
        if own is not None:
            return own
        if any(isinstance(one, ast.Starred) for one in node.args) or any(
            one.arg is None for one in node.keywords
        ):
            raise Unread("a call with `*` or `**`", node.lineno)
        if isinstance(node.func, ast.Attribute):
            made = self._method(node, node.func, env)
        elif isinstance(node.func, ast.Name):
            made = self._function(node, node.func.id, env)
        else:
            made = None
        if made is None:
            raise Unread(f"a call of `{ast.unparse(node.func)[:60]}`, which is not read", node.lineno)
        return made

    def _method(self, node: ast.Call, function: ast.Attribute, env: Env) -> Value | None:
        name = function.attr
        if self.file.dotted(function) == "re.search" and len(node.args) == 2:
            pattern, text = (self.value(one, env) for one in node.args)
            return Value(f"matches({text.text}, {pattern.text})", "bool")
        known = (*_METHODS, *_TESTS, "join", "split", "get", "format", "toDict", "copy")
        if name not in known:
            return None
        target = self.value(function.value, env)
        arguments = [self.value(one, env) for one in node.args]
        match name, arguments:
            case ("lower" | "casefold" | "upper" | "strip", []):
                return Value(f"{_METHODS[name]}({target.text})", "str", asks=target.asks)
            case ("startswith" | "endswith", [one]):
                return Value(f"{_TESTS[name]}({target.text}, {one.text})", "bool", asks=target.asks)
            case ("join", [items]):
                return Value(f"join({items.text}, {target.text})", "str", asks=items.asks)
            case ("split", []):
                return Value(f"split({target.text})", "list[str]", asks=target.asks)
            case ("split", [separator]):
                return Value(f"split({target.text}, {separator.text})", "list[str]", asks=target.asks)
            case ("get", [_, *_]) if target.outputs is not None and isinstance(node.args[0], ast.Constant):
                return self.field(target, str(node.args[0].value))
            case ("copy", []):
                return target
            case ("format", _) if isinstance(function.value, ast.Constant) and isinstance(
                function.value.value, str
            ):
                named = {one.arg: self.value(one.value, env) for one in node.keywords if one.arg}
                return self._formatted(function.value.value, arguments, named, node.lineno)
            case _:
                return None

    def _formatted(self, text: str, given: list[Value], named: dict[str, Value], line: int) -> Value:
        import string

        parts: list[Value] = []
        place = 0
        try:
            pieces = list(string.Formatter().parse(text))
        except ValueError:
            raise Unread("a text with a format", line) from None
        for before, name, how, conversion in pieces:
            if before:
                parts.append(Value(quoted(before), "str"))
            if name is None:
                continue
            if how or conversion or not (name == "" or name.isdigit() or name in named):
                raise Unread("a text with a format", line)
            index = place if name == "" else int(name) if name.isdigit() else 0
            place += name == ""
            if name not in named and index >= len(given):
                raise Unread("a text with a format", line)
            parts.append(as_text(named[name] if name in named else given[index]))
        return self._joined(parts)

    def _function(self, node: ast.Call, name: str, env: Env) -> Value | None:
        dotted = self.file.dotted(node.func)
        given = [self.value(one, env) for one in node.args]
        asks = any(one.asks for one in given)
        match name, given:
            case ("str", [one]):
                return as_text(one)
            case ("float" | "int", [one]) if one.kind == "bool":
                numbers = ("1.0", "0.0") if name == "float" else ("1", "0")
                return Value(
                    f"if {one.text} then {numbers[0]} else {numbers[1]}", name, atom=False, asks=asks
                )
            case ("float", [one]):
                return (
                    Value(f"1.0 * {one.inner}", "float", atom=False, asks=asks) if one.kind == "int" else one
                )
            case ("bool", [one]):
                return self.condition(node.args[0], env)
            case ("list" | "tuple", [one]):
                return one
            case ("list", []):
                return Value("[]", "")
            case ("sorted" | "reversed" | "enumerate" | "zip" | "map" | "filter", _):
                raise Unread(f"`{name}`, which the language has no function for", node.lineno)
            case ("set", [one]):
                return Value(f"unique({one.text})", one.kind, asks=asks)
            case ("range", [one]):
                return Value(f"range({one.text})", "list[int]")
            case _:
                pass
        if dotted == name and name in _FUNCTIONS and given and not node.keywords:
            kind = _FUNCTIONS[name] or (
                item_kind(given[0].kind)
                if len(given) == 1 and given[0].kind.startswith("list")
                else given[0].kind
            )
            if name == "sum" and item_kind(given[0].kind) == "bool":
                kind = "int"
            return Value(f"{name}({', '.join(one.text for one in given)})", kind, asks=asks)
        return None


def as_text(value: Value) -> Value:
    """`str(value)`."""
    return value if value.kind == "str" else Value(f"str({value.text})", "str", asks=value.asks)


def as_number(value: Value) -> Value:
    """What Python computes with: True is 1, False is 0."""
    if value.kind != "bool":
        return value
    return Value(f"if {value.text} then 1 else 0", "int", atom=False, asks=value.asks)


def chosen(condition: Value, one: Value, other: Value) -> Value:
    """`one if condition else other`."""
    if one.text == other.text:
        return one
    outputs = None
    if one.outputs is not None and other.outputs is not None:
        outputs = {name: kind for name, kind in one.outputs.items() if name in other.outputs}
    kind = (
        one.kind if one.kind == other.kind else "float" if {one.kind, other.kind} == {"int", "float"} else ""
    )
    asks = condition.asks or one.asks or other.asks
    return Value(
        f"if {condition.text} then {one.text} else {other.text}", kind, outputs, atom=False, asks=asks
    )


def item_kind(kind: str) -> str:
    return kind[5:-1] if kind.startswith("list[") and kind.endswith("]") else ""


def free(name: str, env: Env) -> str:
    """A name that no value in scope has."""
    from .drafts import plain_name

    taken = {value.text for value in env.values()}
    made, number = plain_name(name), 2
    while made in taken:
        made, number = f"{plain_name(name)}_{number}", number + 1
    return made
