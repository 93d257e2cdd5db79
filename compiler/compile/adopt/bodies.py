"""`forward` methods as programs: straight lines, branches, loops with bounds, returns.

A variable that is set anew gets a new `let`. A branch becomes an expression where nothing in it is needed twice, else a
program of its own. A loop over `range(n)` is written out, or is a `repeat` where it ends early.
"""

from __future__ import annotations

import ast
import copy
import re
from collections.abc import Callable, Mapping, Sequence
from typing import cast

from msgspec import Struct, field

from .callables import CalledPart
from .drafts import Draft, Unread, literal, plain_name
from .expressions import MAX_ITEMS, Env, Expressions, Value, chosen
from .python_source import PythonFile, constant, line_of

MAX_ROUNDS = 8
"""Rounds of a loop that are written out."""
MAX_ROUNDS_IN_ALL = 100
MAX_STEPS = 5_000
"""Statements that are read of one method, each as often as it stands in a branch that is tried."""
MAX_TEXT = 20_000
"""Characters of one expression."""
_QUIET = ("print", "logging", "logger", "log", "warnings", "tqdm")

Part = CalledPart | list[CalledPart] | dict[str, CalledPart]
Returned = Value | dict[str, Value]
"""What a program gives: a group, or values by name."""


class _NeedsProgram(Unread):
    """A branch that is no expression: a part of it is needed twice."""


class ClassScope(Struct):
    """What a class of DSPy has: what it calls, its constants and its methods."""

    name: str
    parts: Mapping[str, Part]
    methods: Mapping[str, ast.FunctionDef | ast.AsyncFunctionDef]


class Bodies(Struct):
    """Reads the bodies of one file's functions. `resolve` says what a name of the file calls, and `make` what a call that
    makes a module on the spot does."""

    file: PythonFile
    draft: Draft
    resolve: Callable[[ast.expr, ClassScope], Part | None]
    scope: ClassScope
    used: set[str] = field(default_factory=set[str])
    rounds: int = 0
    deep: int = 0
    steps: int = 0
    lines: list[str] | None = None
    """Where the steps go; None inside an expression, which has none."""
    reader: Expressions | None = None

    # The whole program ----------------------------------------------------------------------------

    def program(
        self,
        name: str,
        function: ast.FunctionDef | ast.AsyncFunctionDef,
        inputs: Mapping[str, tuple[str, str]],
    ) -> CalledPart:
        """Declares the program of a function. `inputs` are types and defaults by name. Raises Unread."""
        env: Env = {one: Value(plain_name(one), kind) for one, (kind, _) in inputs.items()}
        self.used |= {value.text for value in env.values()}
        shown = [
            f"{plain_name(one)}: {kind}{f' = {default}' if default else ''}"
            for one, (kind, default) in inputs.items()
        ]
        outputs = self._declare(name, shown, function.body, env)
        return CalledPart(name, {plain_name(one): kind for one, (kind, _) in inputs.items()}, outputs)

    def _declare(self, name: str, shown: list[str], body: Sequence[ast.stmt], env: Env) -> dict[str, str]:
        outer, self.lines = self.lines, []
        try:
            returned = self.run(body, dict(env))
            if returned is None:
                raise Unread("it returns nothing")
            outputs = self._returned(returned)
            lines = [f"  {line}" for line in self.lines]
        finally:
            self.lines = outer
        text = "\n".join(lines)
        needed = [one for one in shown if self.deep == 0 or re.search(rf"\b{one.partition(':')[0]}\b", text)]
        shown[:] = needed
        header = f"program {name}({', '.join(shown)})"
        known = all(outputs.values())
        if known:
            header += f" -> ({', '.join(f'{one}: {kind}' for one, kind in outputs.items())})"
        self.draft.add("program", "\n".join([f"{header} {{", *lines, "}"]))
        return outputs

    def _returned(self, returned: Returned) -> dict[str, str]:
        """Writes the `return`, and gives the outputs' types."""
        if isinstance(returned, Value):
            if returned.outputs is None:
                returned = {"result": returned}
            else:
                group = self._let("out", returned) if returned.asks else returned
                returned = {one: self.expressions().field(group, one) for one in returned.outputs}
        assert self.lines is not None
        if not returned:
            raise Unread("it returns nothing that is known")
        self.lines.append(
            "return " + ", ".join(f"{plain_name(one)} = {value.text}" for one, value in returned.items())
        )
        return {plain_name(one): value.kind for one, value in returned.items()}

    # Statements -----------------------------------------------------------------------------------

    def run(self, body: Sequence[ast.stmt], env: Env) -> Returned | None:
        """Reads statements; what they set goes into `env`. Gives what they return, None where they go on."""
        for place, statement in enumerate(body):
            try:
                returned = self._step(statement, body[place + 1 :], env)
            except Unread as unread:
                unread.line = unread.line or line_of(statement)
                raise
            if returned is not None:
                return returned
        return None

    def _step(self, statement: ast.stmt, rest: Sequence[ast.stmt], env: Env) -> Returned | None:
        self.steps += 1
        if self.steps > MAX_STEPS:
            raise Unread("it is too long, with its branches")
        match statement:
            case ast.Return(value=None):
                raise Unread("it returns nothing")
            case ast.Return(value=ast.expr() as value):
                return self._return(value, env)
            case ast.If():
                return self._if(statement, rest, env)
            case ast.For() if _may_return(statement.body):
                return self.run([*self._written_out(statement, env), *rest], env)
            case _:
                self._one(statement, env)
                return None

    def _one(self, statement: ast.stmt, env: Env) -> None:
        match statement:
            case ast.Expr(value=ast.Constant()) | ast.Pass():
                pass
            case ast.Assign(targets=[ast.Name(id=name)], value=value):
                self._set(name, value, env)
            case ast.AnnAssign(target=ast.Name(id=name), value=ast.expr() as value):
                self._set(name, value, env)
            case ast.AnnAssign(value=None):
                pass
            case ast.Assign(targets=[ast.Tuple(elts=names)], value=ast.Tuple(elts=values)) if len(
                names
            ) == len(values):
                self._set_all(names, [self._value(one, env) for one in values], env)
            case ast.Assign(
                targets=[ast.Tuple(elts=names)],
                value=ast.ListComp(
                    elt=element,
                    generators=[
                        ast.comprehension(
                            target=ast.Name(id=each),
                            iter=ast.List(elts=items) | ast.Tuple(elts=items),
                            ifs=[],
                        )
                    ],
                ),
            ) if len(names) == len(items):
                given = [self._value(one, env) for one in items]
                given = [one if one.atom and not one.asks else self._let(each, one) for one in given]
                self._set_all(names, [self._value(element, {**env, each: one}) for one in given], env)
            case ast.AugAssign(target=ast.Name(id=name), op=ast.Add(), value=value):
                self._set(
                    name, ast.copy_location(ast.BinOp(ast.Name(name), ast.Add(), value), statement), env
                )
            case ast.Expr(
                value=ast.Call(func=ast.Attribute(value=ast.Name(id=name), attr="append"), args=[value])
            ) if name in env:
                item = ast.copy_location(ast.List([value], ast.Load()), statement)
                self._set(name, ast.copy_location(ast.BinOp(ast.Name(name), ast.Add(), item), statement), env)
            case ast.Expr(
                value=ast.Call(func=ast.Attribute(value=ast.Name(id=name), attr="extend"), args=[value])
            ) if name in env:
                self._set(
                    name, ast.copy_location(ast.BinOp(ast.Name(name), ast.Add(), value), statement), env
                )
            case ast.Expr(value=ast.Call() as call) if self._quiet(call):
                self.draft.say(statement.lineno, "what is printed or logged is left out")
            case ast.Expr(value=ast.Call() as call) if self.file.framework(call.func) in (
                "Assert",
                "Suggest",
            ):
                self._check(call, env)
            case ast.Assert(test=test, msg=message):
                self._add_check("assert", test, message, env)
            case ast.For():
                self._for(statement, env)
            case ast.With(items=[ast.withitem(context_expr=ast.Call() as call)], body=body) if (
                self.file.framework(call.func) == "context"
            ):
                self.draft.say(
                    statement.lineno,
                    "`dspy.context(…)` is left out: give its model to the module, as `Predict(…, lm = …)`",
                )
                if self.run(body, env) is not None:
                    raise Unread("a `with` that returns", statement.lineno)
            case _:
                what = type(statement).__name__.lower()
                told = "an assignment of this form" if what.endswith("assign") else f"`{what}`"
                raise Unread(f"{told} is not read here", line_of(statement))

    def _quiet(self, call: ast.Call) -> bool:
        return self.file.dotted(call.func).partition(".")[0] in _QUIET

    def _set_all(self, targets: Sequence[ast.expr], values: Sequence[Value], env: Env) -> None:
        """Sets several names at once: all values were read before the first is set."""
        for target, value in zip(targets, values, strict=True):
            if not isinstance(target, ast.Name):
                raise Unread("a target that is no name", line_of(target))
            self._name(target.id, value, env)

    def _set(self, name: str, node: ast.expr, env: Env) -> None:
        self._name(name, self._value(node, env), env)

    def _name(self, name: str, value: Value, env: Env) -> None:
        known = env.get(name)
        if known is not None and not value.kind and known.kind and value.outputs is None:
            value = Value(value.text, known.kind, atom=value.atom, asks=value.asks)
        env[name] = self._let(name, value)

    def _let(self, name: str, value: Value) -> Value:
        """The value by a name of its own; inside an expression it stays what it is."""
        if len(value.text) > MAX_TEXT:
            raise Unread(f"`{name}` becomes too long an expression")
        if value.fields is not None:
            return self._let_fields(name, value)
        if self.lines is None or (
            value.atom and not value.asks and value.text.replace(".", "").isidentifier()
        ):
            return value
        named = self._free(name)
        self.lines.append(f"let {named} = {value.text}")
        return Value(named, value.kind, value.outputs)

    def _let_fields(self, name: str, group: Value) -> Value:
        """A group that is no expression of its own, as what a judge says: where it has one field, that has the name."""
        fields = dict(group.fields or {})
        if self.lines is None or len(fields) != 1:
            return group
        ((field, text),) = fields.items()
        if text.isidentifier():
            return group
        named = self._free(name)
        self.lines.append(f"let {named} = {text}")
        return Value(group.text, group.kind, group.outputs, fields={field: named})

    def _free(self, wanted: str) -> str:
        name, number = plain_name(wanted), 2
        while name in self.used or name in self.draft.taken:
            name, number = f"{plain_name(wanted)}_{number}", number + 1
        self.used.add(name)
        return name

    def _check(self, call: ast.Call, env: Env) -> None:
        word = "assert" if self.file.framework(call.func) == "Assert" else "suggest"
        given = [*call.args, *(one.value for one in call.keywords if one.arg in ("constraint", "msg"))]
        if not given:
            raise Unread("a check of nothing", call.lineno)
        self._add_check(word, given[0], given[1] if len(given) > 1 else None, env)

    def _add_check(self, word: str, test: ast.expr, message: ast.expr | None, env: Env) -> None:
        if self.lines is None:
            raise _NeedsProgram("a check in a branch", line_of(test))
        told = "" if message is None else f" else {self._value(message, env).text}"
        self.lines.append(f"{word} {self.expressions().condition(test, env).text}{told}")

    # Branches -------------------------------------------------------------------------------------

    def _if(self, node: ast.If, rest: Sequence[ast.stmt], env: Env) -> Returned | None:
        if isinstance(node.test, ast.Constant):  # it is known beforehand, as of a metric's `trace`
            body = node.body if node.test.value else node.orelse
            return self.run([*body, *rest], env) if _may_return(body) else self.run(body, env)
        test = self.expressions().condition(node.test, env)
        if self.lines is not None and test.asks:
            test = self._let("decided", test)
        leaves = [_always_returns(node.body), _always_returns(node.orelse)]
        if not any(leaves):
            if _may_return(node.body) or _may_return(node.orelse):
                raise Unread("a branch that returns only at times", node.lineno)
            self._merge(test, node, env)
            return None
        consequence = node.body if leaves[0] else [*node.body, *rest]
        alternative = node.orelse if leaves[1] else [*node.orelse, *rest]
        if not alternative:
            raise Unread("it returns in some cases only", node.lineno)
        first = self._branch(consequence, env, "then")
        other = self._branch(alternative, env, "otherwise")
        if isinstance(first, dict) and isinstance(other, Value) and other.asks and len(first) > 1:
            first = self._outside(consequence, env, "then")
        elif isinstance(other, dict) and isinstance(first, Value) and first.asks and len(other) > 1:
            other = self._outside(alternative, env, "otherwise")
        return self._either(test, first, other, node.lineno)

    def _branch(self, body: Sequence[ast.stmt], env: Env, word: str) -> Returned:
        kept = ({kind: list(texts) for kind, texts in self.draft.sections.items()}, set(self.draft.taken))
        try:
            returned = self._inline(body, env)
            if returned is None:
                raise Unread("a branch that returns nothing", line_of(body[0]) if body else 0)
            return returned
        except _NeedsProgram:
            self.draft.sections, self.draft.taken = kept  # without what was declared on the way
            return self._outside(body, env, word)

    def _inline(self, body: Sequence[ast.stmt], env: Env) -> Returned | None:
        """What a branch returns, as expressions. Raises _NeedsProgram where something would be asked twice."""
        outer, self.lines = self.lines, None
        inner = dict(env)
        try:
            returned = self.run(body, inner)
        finally:
            self.lines = outer
        if returned is None:
            return None
        self._once(inner, env, [returned] if isinstance(returned, Value) else [*returned.values()])
        return returned

    def _once(self, inner: Env, env: Env, results: Sequence[Value]) -> None:
        text = "\n".join(one.text for one in results)
        for name, value in inner.items():
            if value.asks and env.get(name) is not value and text.count(value.text) != 1:
                raise _NeedsProgram(f"`{name}` is needed twice in a branch")

    def _either(self, test: Value, first: Returned, other: Returned, line: int) -> Returned:
        if isinstance(first, Value) and isinstance(other, Value):
            return chosen(test, first, other)
        names = [list((one.outputs or {}) if isinstance(one, Value) else one) for one in (first, other)]
        common = [name for name in names[0] if name in names[1]]
        if not common:
            raise Unread("the branches return nothing in common", line)
        parts: dict[str, Value] = {}
        for name in common:
            pair: list[Value] = []
            for side in (first, other):
                if isinstance(side, Value):
                    if side.asks and len(common) > 1:
                        raise Unread("one branch returns a call, and the other values", line)
                    pair.append(self.expressions().field(side, name))
                else:
                    pair.append(side[name])
            parts[name] = chosen(test, *pair)
        left = [name for side in names for name in side if name not in common]
        if left:
            self.draft.say(
                line,
                f"only one branch returns {', '.join(f'`{name}`' for name in dict.fromkeys(left))}: left out",
            )
        return parts

    def _merge(self, test: Value, node: ast.If, env: Env) -> None:
        """A branch that sets variables: each is then one value or the other."""
        sides: list[Env] = []
        for body in (node.body, node.orelse):
            inner = dict(env)
            outer, self.lines = self.lines, None
            try:
                self.run(body, inner)
            finally:
                self.lines = outer
            sides.append(inner)
        changed = [
            name
            for name in {**sides[0], **sides[1]}
            if any(side.get(name) is not env.get(name) for side in sides)
        ]
        both = [name for name in changed if all(name in side for side in sides)]
        for side, body, word in zip(sides, (node.body, node.orelse), ("then", "otherwise"), strict=True):
            try:
                self._once(side, env, [side[name] for name in both])
            except _NeedsProgram as needs:
                if len(both) != 1 or side[both[0]].outputs is not None:
                    raise Unread(
                        f"{needs.why}, which sets several things: make it a method", node.lineno
                    ) from None
                group = self._outside(body, env, word, gives=both[0])
                side[both[0]] = self.expressions().field(group, plain_name(both[0]))
        for name in both:
            env[name] = self._let(name, chosen(test, sides[0][name], sides[1][name]))
        for name in changed:
            if name not in both:
                env.pop(name, None)

    def _outside(self, body: Sequence[ast.stmt], env: Env, word: str, gives: str = "") -> Value:
        """A branch as a program of its own, called with what it reads; `gives` is the variable that it sets, of one that
        returns nothing."""
        if gives:
            body = [
                *body,
                ast.copy_location(ast.Return(ast.Dict([ast.Constant(gives)], [ast.Name(gives)])), body[0]),
            ]
        if self.deep > MAX_ROUNDS:
            raise Unread("branches that nest too deep", line_of(body[0]))
        read = [node for one in body for node in ast.walk(one)]
        names = {node.id for node in read if isinstance(node, ast.Name) and node.id in env}
        name = self.draft.name(f"{self.scope.name}_{word}")
        shown: list[str] = []
        given: list[str] = []
        inner: Env = {}
        for one in [one for one in env if one in names]:
            value = env[one]
            if value.outputs is None:
                inner[one] = Value(plain_name(one), value.kind)
                shown.append(f"{plain_name(one)}: {value.kind or 'any'}")
                given.append(f"{plain_name(one)} = {value.text}")
                continue
            wanted = dict.fromkeys(
                node.attr
                for node in read
                if isinstance(node, ast.Attribute)
                and isinstance(node.value, ast.Name)
                and node.value.id == one
            )
            fields = {field: plain_name(f"{one}_{field}") for field in wanted if field in value.outputs}
            inner[one] = Value(
                f"({one})", outputs={field: value.outputs[field] for field in fields}, fields=fields
            )
            for field_, plain in fields.items():
                shown.append(f"{plain}: {value.outputs[field_] or 'any'}")
                given.append(f"{plain} = {self.expressions().field(value, field_).text}")
        used, self.used = self.used, {one.partition(":")[0] for one in shown}
        self.deep += 1
        try:
            outputs = self._declare(name, shown, body, inner)
        finally:
            self.used = used
            self.deep -= 1
        needed = {one.partition(":")[0] for one in shown}
        given = [one for one in given if one.partition(" ")[0] in needed]
        return Value(f"{name}({', '.join(given)})", outputs=outputs, asks=True)

    # Loops ----------------------------------------------------------------------------------------

    def _for(self, node: ast.For, env: Env) -> None:
        if node.orelse or any(isinstance(one, ast.Continue) for one in ast.walk(node)):
            raise Unread("a loop with `else` or `continue`", node.lineno)
        gathered = self._gathering(node, env)
        if gathered:
            return
        rounds = self._rounds(node, env)
        breaks = [place for place, one in enumerate(node.body) if _breaks(one)]
        if any(isinstance(one, ast.Break) for one in ast.walk(node)):
            if len(breaks) != 1 or rounds is None:
                raise Unread("a loop that ends in another way than by `if …: break`", node.lineno)
            self._repeat(node, len(rounds), breaks[0], env)
            return
        if rounds is None:
            raise Unread("a loop whose number of rounds is not known", node.lineno)
        if len(rounds) > MAX_ROUNDS:
            self._repeat(node, len(rounds), None, env)
            return
        self.rounds += len(rounds)
        if self.rounds > MAX_ROUNDS_IN_ALL:
            raise Unread("too many rounds", node.lineno)
        target = _target(node)
        if any(len(one) != len(target) for one in rounds):
            raise Unread("a loop over more than one name", node.lineno)
        for one in rounds:
            env.update(dict(zip(target, one, strict=True)))
            if self.run(node.body, env) is not None:
                raise Unread("a loop that returns", node.lineno)

    def _written_out(self, node: ast.For, env: Env) -> list[ast.stmt]:
        """The statements of a loop that may return, for each of its rounds."""
        if node.orelse or any(isinstance(one, ast.Continue | ast.Break) for one in ast.walk(node)):
            raise Unread("a loop that returns and has `else`, `break` or `continue`", node.lineno)
        listed = node.iter.elts if isinstance(node.iter, ast.List | ast.Tuple) else None
        if listed is None:
            rounds = self._rounds(node, env)
            if rounds is None or not all(len(one) == 1 and one[0].text.isdigit() for one in rounds):
                raise Unread("a loop that returns, over what is no `range(…)` or list", node.lineno)
            listed = [ast.copy_location(ast.Constant(int(one[0].text)), node) for one in rounds]
        self.rounds += len(listed)
        if len(listed) > MAX_ROUNDS or self.rounds > MAX_ROUNDS_IN_ALL:
            raise Unread("too many rounds of a loop that returns", node.lineno)
        (name,) = _target(node) if isinstance(node.target, ast.Name) else ("",)
        if not name:
            raise Unread("a loop over more than one name", node.lineno)
        return [
            cast("ast.stmt", _Replaced(name, value).visit(copy.deepcopy(one)))
            for value in listed
            for one in node.body
        ]

    def _rounds(self, node: ast.For, env: Env) -> list[tuple[Value, ...]] | None:
        """The values of the loop's names in each round; None where their number is not known."""
        iterated, counted = node.iter, False
        if (
            isinstance(iterated, ast.Call)
            and isinstance(iterated.func, ast.Name)
            and iterated.func.id == "enumerate"
            and iterated.args
        ):
            iterated, counted = iterated.args[0], True
        found: list[Value] | None = None
        if (
            isinstance(iterated, ast.Call)
            and isinstance(iterated.func, ast.Name)
            and iterated.func.id == "range"
        ):
            bounds = [self._value(one, env).text for one in iterated.args]
            if 0 < len(bounds) <= 2 and all(one.isdigit() and len(one) < 5 for one in bounds):
                found = [Value(str(one), "int") for one in range(*map(int, bounds))]
        elif isinstance(iterated, ast.List | ast.Tuple):
            found = [self._value(one, env) for one in iterated.elts]
        else:
            try:
                listed = constant(self.file, iterated)
            except Unread:
                return None
            if isinstance(listed, list):
                found = [Value(literal(one), "str" if isinstance(one, str) else "") for one in listed]
        if found is None:
            return None
        if counted:
            return [(Value(str(place), "int"), one) for place, one in enumerate(found)]
        return [(one,) for one in found]

    def _gathering(self, node: ast.For, env: Env) -> bool:
        """`for x in xs: found.append(…)`, of a list of any length: a comprehension."""
        target = node.target
        if not isinstance(target, ast.Name) or self._rounds(node, env) is not None:
            return False
        lists = [
            one.value.func.value.id
            for one in ast.walk(node)
            if isinstance(one, ast.Expr)
            and isinstance(one.value, ast.Call)
            and isinstance(one.value.func, ast.Attribute)
            and one.value.func.attr == "append"
            and isinstance(one.value.func.value, ast.Name)
        ]
        last = node.body[-1]
        if len(lists) != 1 or not (isinstance(last, ast.Expr) and isinstance(last.value, ast.Call)):
            return False
        function = last.value.func
        if not (
            isinstance(function, ast.Attribute) and function.attr == "append" and len(last.value.args) == 1
        ):
            return False
        element = last.value.args[0]

        def made(inner: Env) -> Value:
            outer, self.lines = self.lines, None
            try:
                if self.run(node.body[:-1], inner) is not None:
                    raise Unread("a loop that returns", node.lineno)
                found = self._value(element, inner)
            finally:
                self.lines = outer
            try:
                self._once(inner, env, [found])
            except _NeedsProgram as needs:
                raise Unread(f"{needs.why.removesuffix('a branch')}a loop", node.lineno) from None
            return found

        items = self._value(node.iter, env)
        found = self.expressions().each_of(items, target.id, made, env)
        if f", {MAX_ITEMS})" in found.text and found.asks:
            self.draft.say(
                node.lineno,
                f"a list for which a model is asked has {MAX_ITEMS} items at most here: change the number",
            )
        before = env.get(lists[0])
        if (
            before is not None
            and before.text not in ("[]",)
            and not before.text.startswith(f"{plain_name(lists[0])}")
        ):
            found = Value(f"{before.inner} + {found.text}", found.kind, atom=False, asks=found.asks)
        env[lists[0]] = self._let(lists[0], found)
        return True

    def _repeat(self, node: ast.For, times: int, until: int | None, env: Env) -> None:
        if self.lines is None:
            raise _NeedsProgram("a loop in a branch", node.lineno)
        target = _target(node)
        if any(
            isinstance(one, ast.Name) and one.id in target for part in node.body for one in ast.walk(part)
        ):
            raise Unread("a loop that ends early and uses its number", node.lineno)
        sets = dict.fromkeys(_sets(node.body))
        state = [name for name in sets if name in env]
        if not state:
            raise Unread("a loop that changes nothing that was there before", node.lineno)
        outer_lines = self.lines
        for name in state:
            if not env[name].text.isidentifier() or env[name].text not in self.used:
                named = self._free(name)
                self.lines.append(f"let {named} = {env[name].text}")
                env[name] = Value(named, env[name].kind, env[name].outputs)
        inner = dict(env)
        self.lines = []
        try:
            for place, one in enumerate(node.body):
                if place == until:
                    assert isinstance(one, ast.If)
                    self.lines.append(f"until {self.expressions().condition(one.test, inner).text}")
                elif self.run([one], inner) is not None:
                    raise Unread("a loop that returns", node.lineno)
            names = {name: env[name].text for name in state}
            inside = self.lines
            for name in state:
                if inner[name].text != names[name]:
                    inside.append(f"let {names[name]} = {inner[name].text}")
            inside = _folded(inside, names)
        finally:
            self.lines = outer_lines
        named = self._free(f"{state[0]}_at_last" if len(state) == 1 else "at_last")
        self.lines.append(f"let {named} = repeat {times} from {', '.join(names.values())} {{")
        self.lines += [f"  {line}" for line in inside]
        self.lines.append("}")
        for name in sets:
            if name in state:
                text = named if len(state) == 1 else f"{named}.{names[name]}"
                env[name] = Value(text, env[name].kind or inner[name].kind, env[name].outputs)
            else:
                env.pop(name, None)

    # Expressions ----------------------------------------------------------------------------------

    def expressions(self) -> Expressions:
        if self.reader is None:
            self.reader = Expressions(self.file, self._called, self._named)
        return self.reader

    def _value(self, node: ast.expr, env: Env) -> Value:
        return self.expressions().value(node, env)

    def _return(self, node: ast.expr, env: Env) -> Returned:
        if isinstance(node, ast.Await):
            node = node.value
        if isinstance(node, ast.Call) and self.file.framework(node.func) == "Prediction":
            found: dict[str, Value] = {}
            for one in node.keywords:
                if one.arg is not None:
                    found[one.arg] = self._value(one.value, env)
                    continue
                group = self._value(one.value, env)
                if group.outputs is None:
                    raise Unread("a prediction of what is not known", node.lineno)
                group = self._let("out", group)
                found |= {name: self.expressions().field(group, name) for name in group.outputs or ()}
            if node.args or not found:
                raise Unread("a prediction without names", node.lineno)
            return found
        if isinstance(node, ast.Dict) and all(isinstance(key, ast.Constant) for key in node.keys):
            return {
                str(key.value): self._value(value, env)
                for key, value in zip(node.keys, node.values, strict=True)
                if isinstance(key, ast.Constant)
            }
        if isinstance(node, ast.Tuple):
            return {f"output_{place}": self._value(one, env) for place, one in enumerate(node.elts, 1)}
        return self._value(node, env)

    def _named(self, node: ast.expr, env: Env) -> Value | None:
        match node:
            case ast.Attribute(value=ast.Name(id="self"), attr=name) if (
                name in self.file.own and name not in self.scope.parts
            ):
                found = constant(self.file, node)
                kinds: dict[type, str] = {str: "str", bool: "bool", int: "int", float: "float"}
                return Value(literal(found), kinds.get(type(found), ""))
            case _:
                return None

    def _called(self, node: ast.Call, env: Env) -> Value | None:
        function = node.func
        if isinstance(function, ast.Attribute) and function.attr in (
            "acall",
            "aforward",
            "forward",
            "__call__",
        ):
            function = function.value
        if self.file.framework(node.func) == "majority":
            return self._majority(node, env)
        if self.file.dotted(node.func).rpartition(".")[2] == "deduplicate" and len(node.args) == 1:
            items = self._value(node.args[0], env)
            return Value(f"unique({items.text})", items.kind, asks=items.asks)
        if (
            isinstance(function, ast.Attribute)
            and isinstance(function.value, ast.Name)
            and function.value.id == "self"
            and function.attr in self.scope.methods
        ):
            return self.method(self.scope.methods[function.attr], node, env)
        part = self._part(function, env)
        if part is None:
            return None
        return self._call_of(part, node, env)

    def _part(self, function: ast.expr, env: Env) -> CalledPart | None:
        if isinstance(function, ast.Subscript):
            parts = self.resolve(function.value, self.scope)
            if isinstance(parts, list):
                place = self._value(function.slice, env).text
                if place.isdigit() and int(place) < len(parts):
                    return parts[int(place)]
                raise Unread("a module that is chosen while the program runs", line_of(function))
            if isinstance(parts, dict) and isinstance(function.slice, ast.Constant):
                return parts.get(str(function.slice.value))
            return None
        found = self.resolve(function, self.scope)
        return found if isinstance(found, CalledPart) else None

    def _call_of(self, part: CalledPart, node: ast.Call, env: Env) -> Value:
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
            given[names[place]] = self._value(one, env)
        for keyword in node.keywords:
            if keyword.arg is None:
                group = (
                    self._value(keyword.value, env)
                    if not isinstance(keyword.value, ast.Name) or keyword.value.id in env
                    else None
                )
                if group is None or group.outputs is None:
                    raise Unread("a call with `**`", node.lineno)
                given |= {
                    one: self.expressions().field(group, one) for one in part.inputs if one in group.outputs
                }
                continue
            name = plain_name(keyword.arg)
            if name in part.inputs:
                given[name] = self._value(keyword.value, env)
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

    def method(self, method: ast.FunctionDef | ast.AsyncFunctionDef, node: ast.Call, env: Env) -> Value:
        """A method of the class that is one expression, written in its place."""
        self.deep += 1
        if self.deep > 10:
            raise Unread("methods that call each other", node.lineno)
        try:
            names = [
                one.arg
                for one in (*method.args.posonlyargs, *method.args.args, *method.args.kwonlyargs)
                if one.arg != "self"
            ]
            inner: Env = {}
            for name, one in zip(names, node.args, strict=False):
                inner[name] = self._argument(name, one, env)
            for keyword in node.keywords:
                if keyword.arg is not None:
                    inner[keyword.arg] = self._argument(keyword.arg, keyword.value, env)
            defaults = (
                dict(zip(names[len(names) - len(method.args.defaults) :], method.args.defaults, strict=True))
                if method.args.defaults
                else {}
            )
            for name in names:
                if name not in inner:
                    if name not in defaults:
                        raise Unread(f"`{method.name}` is not given `{name}`", node.lineno)
                    inner[name] = self._value(defaults[name], {})
            returned = self.run(method.body, inner)
            if isinstance(returned, dict):
                kept = {name: self._let(name, value) for name, value in returned.items()}
                return Value(
                    f"({method.name})",
                    outputs={name: value.kind for name, value in kept.items()},
                    fields={name: value.text for name, value in kept.items()},
                )
            if returned is None:
                raise Unread(f"`{method.name}` returns nothing", node.lineno)
            return returned
        finally:
            self.deep -= 1

    def _argument(self, name: str, node: ast.expr, env: Env) -> Value:
        """What a method is given: a value may stand wherever it is read, a call is made once."""
        value = self._value(node, env)
        return self._let(name, value) if value.asks else value

    def _majority(self, node: ast.Call, env: Env) -> Value:
        """`dspy.majority([self.ask(…) for _ in range(5)])`: a module of its own."""
        listed = node.args[0] if node.args else None
        if not (
            isinstance(listed, ast.ListComp)
            and len(listed.generators) == 1
            and isinstance(listed.elt, ast.Call)
        ):
            raise Unread("`dspy.majority` of answers that are made elsewhere", node.lineno)
        times = self._value(listed.generators[0].iter, env).text
        part = self._part(listed.elt.func, env)
        if part is None or part.outputs is None or not times.startswith("range("):
            raise Unread("`dspy.majority` of what is no module", node.lineno)
        count = times.removeprefix("range(").removesuffix(")")
        field_ = next(
            (str(constant(self.file, one.value)) for one in node.keywords if one.arg == "field"), ""
        )
        name = self.draft.name(f"{part.name}_majority")
        options = [part.name, f"n = {count}", *([f"field = {plain_name(field_)}"] if field_ else [])]
        self.draft.add("module", f"module {name} = Majority({', '.join(options)})")
        return self._call_of(CalledPart(name, part.inputs, part.outputs), listed.elt, env)


class _Replaced(ast.NodeTransformer):
    """A loop's name, as what it is in one round."""

    def __init__(self, name: str, value: ast.expr) -> None:
        self._name = name
        self._value = value

    def visit_Name(self, node: ast.Name) -> ast.expr:
        return ast.copy_location(copy.deepcopy(self._value), node) if node.id == self._name else node


def _always_returns(body: Sequence[ast.stmt]) -> bool:
    return any(
        isinstance(one, ast.Return)
        or (isinstance(one, ast.If) and _always_returns(one.body) and _always_returns(one.orelse))
        for one in body
    )


def _may_return(body: Sequence[ast.stmt]) -> bool:
    return any(isinstance(node, ast.Return) for one in body for node in ast.walk(one))


def _breaks(statement: ast.stmt) -> bool:
    return (
        isinstance(statement, ast.If)
        and not statement.orelse
        and len(statement.body) == 1
        and isinstance(statement.body[0], ast.Break)
    )


def _target(node: ast.For) -> list[str]:
    match node.target:
        case ast.Name(id=name):
            return [name]
        case ast.Tuple(elts=[ast.Name(id=one), ast.Name(id=other)]):
            return [one, other]
        case _:
            raise Unread("a loop over more than two names", node.lineno)


def _sets(body: Sequence[ast.stmt]) -> list[str]:
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


def _folded(lines: list[str], names: Mapping[str, str]) -> list[str]:
    """`let context_2 = …` and then `let context = context_2`, in one line where nothing else reads the first."""
    kept = list(lines)
    for name in names.values():
        last = next((line for line in kept if line.startswith(f"let {name} = ")), None)
        if last is None:
            continue
        inner = last.removeprefix(f"let {name} = ")
        made = next((line for line in kept if line.startswith(f"let {inner} = ")), None)
        if (
            made is not None
            and made.count("\n") == 0
            and not made.endswith("{")
            and "\n".join(kept).count(inner) == 2
        ):
            kept[kept.index(made)] = f"let {name} = {made.removeprefix(f'let {inner} = ')}"
            kept.remove(last)
    return kept
