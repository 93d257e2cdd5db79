"""Reads `forward` methods as programs: straight lines, branches, loops with bounds, returns.

A variable that is set anew gets a new `let`. A branch becomes an expression where nothing in it is needed twice, else a
program of its own. A loop over `range(n)` is written out, or is a `repeat` where it ends early.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Mapping, Sequence

from msgspec import Struct

from .callables import CalledPart
from .calls import ClassCalls
from .control_flow import always_returns, ends_loop, loop_names, may_return, names_set, with_value
from .drafts import Draft, Unread, literal, plain_name
from .expressions import MAX_ITEMS, Env, Expressions, Value, chosen
from .python_source import PythonFile, constant, line_of
from .steps import NeedsProgram, WrittenSteps, folded

MAX_ROUNDS = 8
"""Rounds of a loop that are written out."""
MAX_ROUNDS_IN_ALL = 100
MAX_STEPS = 5_000
"""Statements that are read of one method, each as often as it stands in a branch that is tried."""
_QUIET = ("print", "logging", "logger", "log", "warnings", "tqdm")

Returned = Value | dict[str, Value]
"""What a program gives: a group, or values by name."""


class Bodies(Struct):
    """Reads the bodies of one class's functions, or of a metric's."""

    file: PythonFile
    draft: Draft
    calls: ClassCalls
    steps: WrittenSteps
    rounds: int = 0
    deep: int = 0
    read: int = 0
    """Statements so far."""
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
        self.steps.used |= {value.text for value in env.values()}
        shown = [
            f"{plain_name(one)}: {kind}{f' = {default}' if default else ''}"
            for one, (kind, default) in inputs.items()
        ]
        outputs = self._declare(name, shown, function.body, env)
        return CalledPart(name, {plain_name(one): kind for one, (kind, _) in inputs.items()}, outputs)

    def _declare(self, name: str, shown: list[str], body: Sequence[ast.stmt], env: Env) -> dict[str, str]:
        written: list[str] = []
        with self.steps.going_to(written):
            returned = self.run(body, dict(env))
            if returned is None:
                raise Unread("it returns nothing")
            outputs = self._returned(returned, written)
        lines = [f"  {line}" for line in written]
        text = "\n".join(lines)
        needed = [one for one in shown if self.deep == 0 or re.search(rf"\b{one.partition(':')[0]}\b", text)]
        shown[:] = needed
        header = f"program {name}({', '.join(shown)})"
        known = all(outputs.values())
        if known:
            header += f" -> ({', '.join(f'{one}: {kind}' for one, kind in outputs.items())})"
        self.draft.add("program", "\n".join([f"{header} {{", *lines, "}"]))
        return outputs

    def _returned(self, returned: Returned, lines: list[str]) -> dict[str, str]:
        """Writes the `return`, and gives the outputs' types."""
        if isinstance(returned, Value):
            if returned.outputs is None:
                returned = {"result": returned}
            else:
                group = self.steps.let("out", returned) if returned.asks else returned
                returned = {one: self.expressions().field(group, one) for one in returned.outputs}
        if not returned:
            raise Unread("it returns nothing that is known")
        lines.append(
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
        self.read += 1
        if self.read > MAX_STEPS:
            raise Unread("it is too long, with its branches")
        match statement:
            case ast.Return(value=None):
                raise Unread("it returns nothing")
            case ast.Return(value=ast.expr() as value):
                return self._return(value, env)
            case ast.If():
                return self._if(statement, rest, env)
            case ast.For() if may_return(statement.body):
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
                given = [one if one.atom and not one.asks else self.steps.let(each, one) for one in given]
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
        env[name] = self.steps.let(name, value)

    def _check(self, call: ast.Call, env: Env) -> None:
        word = "assert" if self.file.framework(call.func) == "Assert" else "suggest"
        given = [*call.args, *(one.value for one in call.keywords if one.arg in ("constraint", "msg"))]
        if not given:
            raise Unread("a check of nothing", call.lineno)
        self._add_check(word, given[0], given[1] if len(given) > 1 else None, env)

    def _add_check(self, word: str, test: ast.expr, message: ast.expr | None, env: Env) -> None:
        lines = self.steps.lines
        if lines is None:
            raise NeedsProgram("a check in a branch", line_of(test))
        told = "" if message is None else f" else {self._value(message, env).text}"
        lines.append(f"{word} {self.expressions().condition(test, env).text}{told}")

    # Branches -------------------------------------------------------------------------------------

    def _if(self, node: ast.If, rest: Sequence[ast.stmt], env: Env) -> Returned | None:
        if isinstance(node.test, ast.Constant):  # it is known beforehand, as of a metric's `trace`
            body = node.body if node.test.value else node.orelse
            return self.run([*body, *rest], env) if may_return(body) else self.run(body, env)
        test = self.expressions().condition(node.test, env)
        if self.steps.lines is not None and test.asks:
            test = self.steps.let("decided", test)
        leaves = [always_returns(node.body), always_returns(node.orelse)]
        if not any(leaves):
            if may_return(node.body) or may_return(node.orelse):
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
        except NeedsProgram:
            self.draft.sections, self.draft.taken = kept  # without what was declared on the way
            return self._outside(body, env, word)

    def _inline(self, body: Sequence[ast.stmt], env: Env) -> Returned | None:
        """What a branch returns, as expressions. Raises NeedsProgram where something would be asked twice."""
        inner = dict(env)
        with self.steps.going_to(None):
            returned = self.run(body, inner)
        if returned is None:
            return None
        self._once(inner, env, [returned] if isinstance(returned, Value) else [*returned.values()])
        return returned

    def _once(self, inner: Env, env: Env, results: Sequence[Value]) -> None:
        text = "\n".join(one.text for one in results)
        for name, value in inner.items():
            if value.asks and env.get(name) is not value and text.count(value.text) != 1:
                raise NeedsProgram(f"`{name}` is needed twice in a branch")

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
            with self.steps.going_to(None):
                self.run(body, inner)
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
            except NeedsProgram as needs:
                if len(both) != 1 or side[both[0]].outputs is not None:
                    raise Unread(
                        f"{needs.why}, which sets several things: make it a method", node.lineno
                    ) from None
                group = self._outside(body, env, word, gives=both[0])
                side[both[0]] = self.expressions().field(group, plain_name(both[0]))
        for name in both:
            env[name] = self.steps.let(name, chosen(test, sides[0][name], sides[1][name]))
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
        name = self.draft.name(f"{self.calls.scope.name}_{word}")
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
        used, self.steps.used = self.steps.used, {one.partition(":")[0] for one in shown}
        self.deep += 1
        try:
            outputs = self._declare(name, shown, body, inner)
        finally:
            self.steps.used = used
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
        breaks = [place for place, one in enumerate(node.body) if ends_loop(one)]
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
        target = loop_names(node)
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
        (name,) = loop_names(node) if isinstance(node.target, ast.Name) else ("",)
        if not name:
            raise Unread("a loop over more than one name", node.lineno)
        return [with_value(one, name, value) for value in listed for one in node.body]

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
            with self.steps.going_to(None):
                if self.run(node.body[:-1], inner) is not None:
                    raise Unread("a loop that returns", node.lineno)
                found = self._value(element, inner)
            try:
                self._once(inner, env, [found])
            except NeedsProgram as needs:
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
        env[lists[0]] = self.steps.let(lists[0], found)
        return True

    def _repeat(self, node: ast.For, times: int, until: int | None, env: Env) -> None:
        lines = self.steps.lines
        if lines is None:
            raise NeedsProgram("a loop in a branch", node.lineno)
        target = loop_names(node)
        if any(
            isinstance(one, ast.Name) and one.id in target for part in node.body for one in ast.walk(part)
        ):
            raise Unread("a loop that ends early and uses its number", node.lineno)
        sets = dict.fromkeys(names_set(node.body))
        state = [name for name in sets if name in env]
        if not state:
            raise Unread("a loop that changes nothing that was there before", node.lineno)
        for name in state:
            if not env[name].text.isidentifier() or env[name].text not in self.steps.used:
                named = self.steps.free(name)
                lines.append(f"let {named} = {env[name].text}")
                env[name] = Value(named, env[name].kind, env[name].outputs)
        inner = dict(env)
        inside: list[str] = []
        with self.steps.going_to(inside):
            for place, one in enumerate(node.body):
                if place == until:
                    assert isinstance(one, ast.If)
                    inside.append(f"until {self.expressions().condition(one.test, inner).text}")
                elif self.run([one], inner) is not None:
                    raise Unread("a loop that returns", node.lineno)
        names = {name: env[name].text for name in state}
        inside += [
            f"let {names[name]} = {inner[name].text}" for name in state if inner[name].text != names[name]
        ]
        inside = folded(inside, names)
        named = self.steps.free(f"{state[0]}_at_last" if len(state) == 1 else "at_last")
        lines.append(f"let {named} = repeat {times} from {', '.join(names.values())} {{")
        lines += [f"  {line}" for line in inside]
        lines.append("}")
        for name in sets:
            if name in state:
                text = named if len(state) == 1 else f"{named}.{names[name]}"
                env[name] = Value(text, env[name].kind or inner[name].kind, env[name].outputs)
            else:
                env.pop(name, None)

    # Expressions ----------------------------------------------------------------------------------

    def expressions(self) -> Expressions:
        if self.reader is None:
            self.reader = Expressions(self.file, self.called, self._named)
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
                group = self.steps.let("out", group)
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
                name in self.file.own and name not in self.calls.scope.parts
            ):
                found = constant(self.file, node)
                kinds: dict[type, str] = {str: "str", bool: "bool", int: "int", float: "float"}
                return Value(literal(found), kinds.get(type(found), ""))
            case _:
                return None

    def called(self, node: ast.Call, env: Env) -> Value | None:
        """What a call gives, where it is known."""
        reader = self.expressions()
        found = self.calls.ready(node, env, reader)
        if found is None and (method := self.calls.method(node)) is not None:
            found = self.method(method, node, env)
        return found or self.calls.made(node, env, reader)

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
                kept = {name: self.steps.let(name, value) for name, value in returned.items()}
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
        return self.steps.let(name, value) if value.asks else value
