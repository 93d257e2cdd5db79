"""Reads calls of what a class of DSPy has: modules, functions of the file, and modules that are made on the spot."""

from __future__ import annotations

import ast
from collections.abc import Callable, Mapping

from msgspec import Struct

from .callables import CalledPart
from .drafts import Draft, Unread, plain_name
from .expressions import Env, Expressions, Value
from .python_source import PythonFile, constant, line_of

Part = CalledPart | list[CalledPart] | dict[str, CalledPart]


class ClassScope(Struct):
    """What a class of DSPy has: what it calls, its constants and its methods."""

    name: str
    parts: Mapping[str, Part]
    methods: Mapping[str, ast.FunctionDef | ast.AsyncFunctionDef]


class ClassCalls(Struct):
    """Reads the calls of one class's functions. `resolve` says what an expression in them calls."""

    file: PythonFile
    draft: Draft
    resolve: Callable[[ast.expr, ClassScope], Part | None]
    scope: ClassScope

    def ready(self, node: ast.Call, env: Env, reader: Expressions) -> Value | None:
        """A call of what DSPy has ready-made, where it is one."""
        if self.file.framework(node.func) == "majority":
            return self._majority(node, env, reader)
        if self.file.dotted(node.func).rpartition(".")[2] == "deduplicate" and len(node.args) == 1:
            items = reader.value(node.args[0], env)
            return Value(f"unique({items.text})", items.kind, asks=items.asks)
        return None

    def method(self, node: ast.Call) -> ast.FunctionDef | ast.AsyncFunctionDef | None:
        """The method of the class that is called, where it is one."""
        match _function(node):
            case ast.Attribute(value=ast.Name(id="self"), attr=name):
                return self.scope.methods.get(name)
            case _:
                return None

    def made(self, node: ast.Call, env: Env, reader: Expressions) -> Value | None:
        """A call of a module or of a function, where it is one."""
        part = self._part(_function(node), env, reader)
        return None if part is None else self._call_of(part, node, env, reader)

    def _part(self, function: ast.expr, env: Env, reader: Expressions) -> CalledPart | None:
        if isinstance(function, ast.Subscript):
            parts = self.resolve(function.value, self.scope)
            if isinstance(parts, list):
                place = reader.value(function.slice, env).text
                if place.isdigit() and int(place) < len(parts):
                    return parts[int(place)]
                raise Unread("a module that is chosen while the program runs", line_of(function))
            if isinstance(parts, dict) and isinstance(function.slice, ast.Constant):
                return parts.get(str(function.slice.value))
            return None
        found = self.resolve(function, self.scope)
        return found if isinstance(found, CalledPart) else None

    def _call_of(self, part: CalledPart, node: ast.Call, env: Env, reader: Expressions) -> Value:
        given: dict[str, Value] = {}
        names = list(part.inputs)
        if part.makes_chains and node.args:
            self.draft.say(
                node.lineno,
                f"`{part.name}` makes the answers that it compares: those that it is given are left out",
            )
        for place, one in enumerate(node.args if not part.makes_chains else ()):
            if isinstance(one, ast.Starred) or place >= len(names):
                raise Unread(f"`{part.name}` takes no such argument", node.lineno)
            given[names[place]] = reader.value(one, env)
        for keyword in node.keywords:
            if keyword.arg is None:
                group = (
                    reader.value(keyword.value, env)
                    if not isinstance(keyword.value, ast.Name) or keyword.value.id in env
                    else None
                )
                if group is None or group.outputs is None:
                    raise Unread("a call with `**`", node.lineno)
                given |= {one: reader.field(group, one) for one in part.inputs if one in group.outputs}
                continue
            name = plain_name(keyword.arg)
            if name in part.inputs:
                given[name] = reader.value(keyword.value, env)
            elif keyword.arg == "k" and part.outputs is None:
                self.draft.say(node.lineno, f"`k` of `{part.name}` is left out")
            else:
                self.draft.say(
                    node.lineno,
                    f"`{keyword.arg}` of a call of `{part.name}` is left out: it is none of its inputs",
                )
        for name, value in given.items():
            listed = value.kind.startswith("list[") or value.text == "[]"
            if listed and name in part.untyped and part.inputs[name] == "str":
                kind = value.kind if value.kind.startswith("list[") else "list[str]"
                self.draft.widen(part.signature, name, kind)
                self.draft.say(
                    node.lineno,
                    f"`{name}` of `{part.name}` has no type there, and is given a list: it is `{kind}` here, and shown as JSON",
                )
        text = f"{part.name}({', '.join(f'{one} = {value.text}' for one, value in given.items())})"
        if part.outputs is None:
            return Value(text, "" if part.gives == "any" else part.gives, asks=True)
        return Value(text, outputs=part.outputs, asks=True)

    def _majority(self, node: ast.Call, env: Env, reader: Expressions) -> Value:
        """`dspy.majority([self.ask(…) for _ in range(5)])`: a module of its own."""
        listed = node.args[0] if node.args else None
        if not (
            isinstance(listed, ast.ListComp)
            and len(listed.generators) == 1
            and isinstance(listed.elt, ast.Call)
        ):
            raise Unread("`dspy.majority` of answers that are made elsewhere", node.lineno)
        times = reader.value(listed.generators[0].iter, env).text
        part = self._part(listed.elt.func, env, reader)
        if part is None or part.outputs is None or not times.startswith("range("):
            raise Unread("`dspy.majority` of what is no module", node.lineno)
        count = times.removeprefix("range(").removesuffix(")")
        field_ = next(
            (str(constant(self.file, one.value)) for one in node.keywords if one.arg == "field"), ""
        )
        name = self.draft.name(f"{part.name}_majority")
        options = [part.name, f"n = {count}", *([f"field = {plain_name(field_)}"] if field_ else [])]
        self.draft.add("module", f"module {name} = Majority({', '.join(options)})")
        return self._call_of(CalledPart(name, part.inputs, part.outputs), listed.elt, env, reader)


def _function(node: ast.Call) -> ast.expr:
    """What is called, by whichever of its methods."""
    function = node.func
    ways = ("acall", "aforward", "forward", "__call__")
    return function.value if isinstance(function, ast.Attribute) and function.attr in ways else function
