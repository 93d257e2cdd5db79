"""Reads a DSPy module's source as a `.dspec` file, without importing or running any of it."""

from __future__ import annotations

import ast
from collections.abc import Mapping

from msgspec import Struct, field

from .bodies import Bodies
from .callables import MODULES, Callables, CalledPart
from .calls import ClassCalls, ClassScope, Part
from .chains import Chains
from .drafts import Draft, Unread, literal, plain_name
from .kinds import Kinds
from .models import Models
from .python_source import NotRead, PythonFile, constant, line_of, read_python
from .rows import ScriptRows
from .scores import Metrics
from .signatures import Signatures
from .steps import WrittenSteps

_RETRIEVERS = ("Retrieve", "ColBERTv2")


def adopted_from_dspy(name: str, data: bytes, target: str | None) -> Draft:
    """The draft of a Python file; `target` is the class or variable that is wanted, all of them unless said. Raises NotRead."""
    file = read_python(name, data)
    draft = Draft(name)
    reader = _Adoption(file, draft)
    reader.read(target)
    return draft


class _Adoption(Struct):
    file: PythonFile
    draft: Draft
    models: Models | None = None
    kinds: Kinds | None = None
    signatures: Signatures | None = None
    callables: Callables | None = None
    metrics: Metrics | None = None
    programs: dict[str, CalledPart | None] = field(default_factory=dict[str, CalledPart | None])
    """By the name of the class; None of one that is not read."""
    variables: dict[str, Part] = field(default_factory=dict[str, Part])
    modules: dict[str, bool] = field(default_factory=dict[str, bool])
    """Whether a class is a module of DSPy's, by its name."""
    reading: set[str] = field(default_factory=set[str])

    def read(self, target: str | None) -> None:
        self._reserve()
        self.models = Models(self.file, self.draft)
        self.models.read()
        self.kinds = Kinds(self.file, self.draft)
        self.signatures = Signatures(self.file, self.draft, self.kinds)
        judge = self.models.default or next(iter(self.models.names.values()), "")
        self.metrics = Metrics(self.file, self.draft, self.signatures, judge)
        self.callables = Callables(
            self.file, self.draft, self.kinds, self.signatures, self.models.names, reward=self.metrics.reward
        )
        modules = [one for one in self.file.classes if self._is_module(self.file.classes[one])]
        variables = [one for one, value in self.file.values.items() if self._makes_module(value)]
        if target is not None:
            if target in modules:
                modules, variables = [target], []
            elif target in variables:
                modules, variables = [], [target]
            elif target in self.file.classes and self.signatures.is_one(self.file.classes[target]):
                modules, variables = [], []
                self.signatures.of(ast.Name(target), target)
            elif target in self.file.values and (made := self._class_of(self.file.values[target])):
                modules, variables = [made], []
            else:
                there = ", ".join([*modules, *variables]) or "none"
                raise NotRead(f"it has no module `{target}`; there is {there}")
        if not modules and not variables and target is None:
            self._bare_signatures()
        for one in variables:
            self._variable(one)
        for one in modules:
            self._program(one)
        rows = ScriptRows(self.file, self.draft)
        chains = Chains(self.file, self.draft, self.models, self.metrics, self._program_of, rows)
        chains.read()
        if any(text.startswith("module ") for text in self.draft.sections["module"]):
            self.models.stand_in()
        if not any(self.draft.sections.values()):
            raise NotRead("it has no module, signature or program of DSPy's")

    def _reserve(self) -> None:
        """Names of fields and keywords are no declarations; names of programs are kept for them."""

    def _bare_signatures(self) -> None:
        assert self.signatures is not None
        for name, node in self.file.classes.items():
            if self.signatures.is_one(node):
                try:
                    self.signatures.of(ast.copy_location(ast.Name(name), node), name)
                except Unread as unread:
                    self.draft.comment("signature", unread.line or node.lineno, unread.why)

    # Modules of the file --------------------------------------------------------------------------

    def _is_module(self, node: ast.ClassDef) -> bool:
        if node.name not in self.modules:
            self.modules[node.name] = False  # while it is looked for: a class may be above itself
            self.modules[node.name] = self._has_module_above(node)
        return self.modules[node.name]

    def _has_module_above(self, node: ast.ClassDef) -> bool:
        for base in node.bases:
            if self.file.framework(base) in ("Module", "Program"):
                return True
            own = isinstance(base, ast.Name) and base.id in self.file.classes and base.id != node.name
            if own and isinstance(base, ast.Name) and self._is_module(self.file.classes[base.id]):
                return True
        return False

    def _makes_module(self, node: ast.expr) -> bool:
        return isinstance(node, ast.Call) and self.file.framework(node.func) in (*MODULES, *_RETRIEVERS)

    def _class_of(self, node: ast.expr) -> str:
        """The class of DSPy module that an expression makes one of; "" of anything else."""
        if (
            isinstance(node, ast.Call)
            and isinstance(node.func, ast.Name)
            and node.func.id in self.file.classes
            and self._is_module(self.file.classes[node.func.id])
        ):
            return node.func.id
        return ""

    def _program_of(self, node: ast.expr) -> CalledPart | None:
        """What is optimized or scored."""
        match node:
            case ast.Name(id=name):
                if name in self.file.values and (made := self._class_of(self.file.values[name])):
                    return self._program(made)
                part = self._variable(name) if name in self.file.values else None
                return part if isinstance(part, CalledPart) else None
            case ast.Call(func=ast.Attribute(value=value, attr="deepcopy" | "reset_copy")):
                return self._program_of(value)
            case ast.Call() if made := self._class_of(node):
                return self._program(made)
            case ast.Call() if self._makes_module(node):
                return self._made(node, "program")
            case _:
                return None

    def _variable(self, name: str) -> Part | None:
        if name not in self.variables:
            value = self.file.values[name]
            if not isinstance(value, ast.Call):
                return None
            if made := self._class_of(value):
                program = self._program(made)
                if program is None:
                    return None
                self.variables[name] = program
            elif self._makes_module(value):
                try:
                    self.variables[name] = self._made(value, name)
                except Unread as unread:
                    self.draft.comment(
                        "module", unread.line or value.lineno, unread.why, self.file.shown(value)
                    )
                    return None
            else:
                return None
        return self.variables[name]

    def _made(self, node: ast.Call, wanted: str) -> CalledPart:
        assert self.callables is not None
        if self.file.framework(node.func) in _RETRIEVERS:
            return self.callables.retriever(node, wanted)
        return self.callables.module(node, wanted)

    def _program(self, name: str) -> CalledPart | None:
        """The program of a class; None where it is not read, which is said."""
        if name not in self.programs:
            node = self.file.classes[name]
            if name in self.reading:
                self.draft.comment("program", node.lineno, f"`{name}` contains itself")
                return None
            self.reading.add(name)
            made: CalledPart | None = None
            try:
                made = self._class(node)
            except RecursionError:
                self.draft.comment("program", node.lineno, f"`{name}` is not read: it nests too deep")
            except Unread as unread:
                self.draft.comment(
                    "program",
                    unread.line or node.lineno,
                    f"`{name}` is not read: {unread.why}",
                    self._place(unread, node),
                )
            if made is None:  # parts of it mean nothing without it
                texts = self.draft.sections["program"]
                texts[:] = [text for text in texts if not text.startswith(f"program {plain_name(name)}_")]
            self.programs[name] = made
        return self.programs[name]

    def _place(self, unread: Unread, node: ast.ClassDef) -> list[str]:
        for inner in ast.walk(node):
            if isinstance(inner, ast.stmt) and inner.lineno == unread.line:
                return self.file.shown(inner)
        return []

    # A class --------------------------------------------------------------------------------------

    def _class(self, node: ast.ClassDef) -> CalledPart:
        methods: dict[str, ast.FunctionDef | ast.AsyncFunctionDef] = {}
        for base in [*self._bases(node), node]:
            methods |= {
                one.name: one for one in base.body if isinstance(one, ast.FunctionDef | ast.AsyncFunctionDef)
            }
        forward = methods.get("forward") or methods.get("aforward")
        if forward is None:
            raise Unread("it has no `forward`", node.lineno)
        outer_values, outer_own = self.file.values, self.file.own
        self.file.values, self.file.own = dict(outer_values), {}
        try:
            parts = self._parts(node, methods.get("__init__"))
            scope = ClassScope(
                plain_name(node.name),
                parts,
                {
                    name: one
                    for name, one in methods.items()
                    if name not in ("__init__", "forward", "aforward")
                },
            )
            inputs = self._inputs(forward, parts)
            calls = ClassCalls(self.file, self.draft, self._resolve, scope)
            bodies = Bodies(self.file, self.draft, calls, WrittenSteps(self.draft))
            return bodies.program(self.draft.name(node.name), _with_keywords(forward, inputs), inputs)
        finally:
            self.file.values, self.file.own = outer_values, outer_own

    def _bases(self, node: ast.ClassDef) -> list[ast.ClassDef]:
        """The classes of the file above it, the furthest first."""
        found: list[ast.ClassDef] = []
        waiting = [node]
        while waiting:
            for base in waiting.pop().bases:
                if isinstance(base, ast.Name) and base.id in self.file.classes:
                    above = self.file.classes[base.id]
                    if above not in found and above is not node:
                        found.append(above)
                        waiting.append(above)
        return found[::-1]

    def _parts(
        self, node: ast.ClassDef, made: ast.FunctionDef | ast.AsyncFunctionDef | None
    ) -> dict[str, Part]:
        """What the class has as attributes; constants go to `file.own`."""
        parts: dict[str, Part] = {}
        body: list[ast.stmt] = [one for one in node.body if isinstance(one, ast.Assign)]
        if made is not None:
            given = made.args
            arguments = [one.arg for one in (*given.posonlyargs, *given.args)]
            for name, default in zip(
                arguments[len(arguments) - len(given.defaults) :], given.defaults, strict=True
            ):
                self.file.values[name] = default
            for one, default in zip(given.kwonlyargs, given.kw_defaults, strict=True):
                if default is not None:
                    self.file.values[one.arg] = default
            self._instance_arguments(node.name, arguments[1:])
            body += made.body
        for statement in body:
            match statement:
                case ast.Assign(targets=[ast.Attribute(value=ast.Name(id="self"), attr=name)], value=value):
                    self._attribute(node.name, name, value, parts)
                case ast.AnnAssign(
                    target=ast.Attribute(value=ast.Name(id="self"), attr=name), value=ast.expr() as value
                ):
                    self._attribute(node.name, name, value, parts)
                case ast.Assign(targets=[ast.Name(id=name)], value=value):
                    self.file.values[name] = value
                    self.file.own.setdefault(name, value)
                case ast.Expr(value=ast.Constant()) | ast.Pass():
                    pass
                case ast.Expr(
                    value=ast.Call(
                        func=ast.Attribute(value=ast.Call(func=ast.Name(id="super")), attr="__init__")
                    )
                ):
                    pass
                case ast.FunctionDef():
                    pass
                case ast.If(test=test):
                    self.draft.say(
                        line_of(test), f"a branch of `{node.name}.__init__` is left out", lost=True
                    )
                case _:
                    self.draft.say(
                        line_of(statement), f"this line of `{node.name}.__init__` is left out", lost=True
                    )
        return parts

    def _instance_arguments(self, name: str, arguments: list[str]) -> None:
        """What the only instance of a class that is made at the top level is given."""
        calls = [
            value
            for value in self.file.values.values()
            if self._class_of(value) == name and isinstance(value, ast.Call)
        ]
        if len(calls) == 1:
            for argument, value in zip(arguments, calls[0].args, strict=False):
                self.file.values[argument] = value
            for keyword in calls[0].keywords:
                if keyword.arg is not None:
                    self.file.values[keyword.arg] = keyword.value

    def _attribute(self, owner: str, name: str, value: ast.expr, parts: dict[str, Part]) -> None:
        try:
            found = self._part(name, value)
        except Unread as unread:
            unread.line = unread.line or line_of(value)
            raise
        if found is None:
            self.file.own[name] = value
        else:
            parts[name] = found

    def _part(self, name: str, value: ast.expr) -> Part | None:
        """What an attribute is set to; None of a constant."""
        match value:
            case ast.Call() if self._makes_module(value):
                return self._made(value, name)
            case ast.Call() if made := self._class_of(value):
                program = self._program(made)
                if program is None:
                    raise Unread(f"`{made}` is not read", value.lineno)
                return program
            case ast.ListComp(
                elt=ast.Call() as element,
                generators=[ast.comprehension(iter=ast.Call(func=ast.Name(id="range"), args=[count]))],
            ) if self._makes_module(element):
                times = constant(self.file, count)
                if not isinstance(times, int) or not 0 < times <= 50:
                    raise Unread("a list of modules whose length is not known", value.lineno)
                return [self._made(element, f"{name}_{place}") for place in range(times)]
            case ast.List(elts=items) if items and all(
                isinstance(one, ast.Call) and self._makes_module(one) for one in items
            ):
                return [
                    self._made(one, f"{name}_{place}")
                    for place, one in enumerate(items)
                    if isinstance(one, ast.Call)
                ]
            case ast.Dict(keys=keys, values=items) if items and all(
                isinstance(one, ast.Call) and self._makes_module(one) for one in items
            ):
                return {
                    str(constant(self.file, key)): self._made(
                        one, f"{name}_{plain_name(str(constant(self.file, key)))}"
                    )
                    for key, one in zip(keys, items, strict=True)
                    if key is not None and isinstance(one, ast.Call)
                }
            case ast.Name(id=other) if other in self.file.functions:
                assert self.callables is not None
                return self.callables.extern(value)
            case ast.Name(id=other) if other in self.file.values and isinstance(
                self.file.values[other], ast.Call
            ):
                return self._variable(other)
            case _:
                return None

    def _resolve(self, node: ast.expr, scope: ClassScope) -> Part | None:
        """What an expression in `forward` calls."""
        assert self.callables is not None
        match node:
            case ast.Attribute(value=ast.Name(id="self"), attr=name):
                return scope.parts.get(name) or self._search(name, self.file.own.get(name))
            case ast.Name(id=name) if name in self.file.functions:
                return self.callables.extern(node)
            case ast.Name(id=name) if name in self.file.values:
                return self._variable(name) or self._search(name, self.file.values[name])
            case ast.Call() if self._makes_module(node):
                return self._made(node, f"{scope.name}_asks")
            case _:
                return None

    def _search(self, name: str, value: ast.expr | None) -> CalledPart | None:
        """What is called and made by another library's class, as `QdrantRM(…)`: a search."""
        assert self.callables is not None
        if isinstance(value, ast.Name):
            return self._search(value.id, self.file.values.get(value.id))
        if not isinstance(value, ast.Call) or self._class_of(value):
            return None
        key = f"{name}: {ast.unparse(value)[:500]}"
        if key not in self.variables:
            self.variables[key] = self.callables.search(value, name)
        found = self.variables[key]
        return found if isinstance(found, CalledPart) else None

    def _inputs(
        self, forward: ast.FunctionDef | ast.AsyncFunctionDef, parts: Mapping[str, Part]
    ) -> dict[str, tuple[str, str]]:
        """The program's inputs: their types, as written or as what they are handed to has them, and their defaults."""
        assert self.kinds is not None
        given = forward.args
        arguments = [one for one in (*given.posonlyargs, *given.args, *given.kwonlyargs) if one.arg != "self"]
        plain = [*given.posonlyargs, *given.args]
        defaults = dict(
            zip((one.arg for one in plain[len(plain) - len(given.defaults) :]), given.defaults, strict=True)
        )
        defaults |= {
            one.arg: value
            for one, value in zip(given.kwonlyargs, given.kw_defaults, strict=True)
            if value is not None
        }
        handed = self._handed(forward, parts)
        looked_into = {
            node.value.id
            for node in ast.walk(forward)
            if isinstance(node, ast.Attribute)
            and isinstance(node.value, ast.Name)
            and not _is_of_texts(node.attr)
        }
        found: dict[str, tuple[str, str]] = {}
        for one in arguments:
            kind = (
                self.kinds.field(one.arg, one.annotation, None, forward.lineno).type
                if one.annotation is not None
                else handed.get(one.arg, "any" if one.arg in looked_into else "str")
            )
            default = ""
            if one.arg in defaults:
                try:
                    default = literal(constant(self.file, defaults[one.arg]))
                except Unread:
                    self.draft.say(forward.lineno, f"the default of `{one.arg}` is computed: left out")
                if default == "none":
                    kind = self.draft.optional(kind)
            found[one.arg] = (kind, default)
        if given.kwarg is not None:
            called = [
                self._resolve(node.func, ClassScope("", parts, {}))
                for node in ast.walk(forward)
                if isinstance(node, ast.Call)
                and any(
                    isinstance(one.value, ast.Name) and one.arg is None and one.value.id == given.kwarg.arg
                    for one in node.keywords
                )
            ]
            for part in called:
                if isinstance(part, CalledPart):
                    found |= {name: (kind, "") for name, kind in part.inputs.items() if name not in found}
        return found

    def _handed(
        self, forward: ast.FunctionDef | ast.AsyncFunctionDef, parts: Mapping[str, Part]
    ) -> dict[str, str]:
        found: dict[str, str] = {}
        for node in ast.walk(forward):
            if not (
                isinstance(node, ast.Call)
                and isinstance(node.func, ast.Attribute)
                and isinstance(node.func.value, ast.Name)
                and node.func.value.id == "self"
            ):
                continue
            part = parts.get(node.func.attr)
            if isinstance(part, CalledPart):
                for keyword in node.keywords:
                    if (
                        keyword.arg is not None
                        and isinstance(keyword.value, ast.Name)
                        and keyword.arg in part.inputs
                    ):
                        found.setdefault(keyword.value.id, part.inputs[keyword.arg])
        return found


def _is_of_texts(name: str) -> bool:
    """Whether an attribute is one that texts and lists have."""
    return hasattr(str, name) or hasattr(list, name)


def _with_keywords(
    forward: ast.FunctionDef | ast.AsyncFunctionDef, inputs: Mapping[str, tuple[str, str]]
) -> ast.FunctionDef | ast.AsyncFunctionDef:
    """The method with `**kwargs` of its calls written out."""
    if forward.args.kwarg is None:
        return forward
    import copy

    name = forward.args.kwarg.arg
    made = copy.deepcopy(forward)
    for node in ast.walk(made):
        if isinstance(node, ast.Call):
            for one in [
                one
                for one in node.keywords
                if one.arg is None and isinstance(one.value, ast.Name) and one.value.id == name
            ]:
                node.keywords.remove(one)
                said = {other.arg for other in node.keywords}
                node.keywords += [
                    ast.keyword(arg=word, value=ast.copy_location(ast.Name(word), node))
                    for word in inputs
                    if word not in said
                ]
    return made
