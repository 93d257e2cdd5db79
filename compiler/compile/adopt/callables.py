"""What a program calls: modules of DSPy as modules, functions of the project and searches as externs."""

from __future__ import annotations

import ast
import inspect
from collections.abc import Mapping

from msgspec import Struct, field

from dspec.runtime.running.strategies.table import STRATEGIES

from .drafts import SETTINGS, Draft, Unread, documented, literal, plain_name, quoted
from .kinds import FieldDraft, Kinds
from .python_source import PythonFile, constant, line_of, text_of
from .signatures import SignatureDraft, Signatures

MODULES = {
    "Predict": "Predict",
    "ChainOfThought": "ChainOfThought",
    "TypedPredictor": "Predict",
    "TypedChainOfThought": "ChainOfThought",
    "ReAct": "ReAct",
    "ReActV2": "ReAct",
    "ProgramOfThought": "ProgramOfThought",
    "CodeAct": "CodeAct",
    "RLM": "RLM",
    "MultiChainComparison": "MultiChainComparison",
    "BestOfN": "BestOfN",
    "Refine": "Refine",
}
"""DSPy's modules, and the strategies that they are."""
_OPTIONS = {
    "max_iters": "max_iters",
    "max_llm_calls": "max_llm_calls",
    "max_output_chars": "max_output",
    "M": "m",
    "N": "n",
    "threshold": "threshold",
    "fail_count": "fail_count",
}
_SILENT = ("verbose", "cache", "interpreter", "interpreter_factory", "num_threads", "callbacks")


class CalledPart(Struct, frozen=True):
    """Something that a program calls, by the name of its declaration."""

    name: str
    inputs: Mapping[str, str]
    outputs: Mapping[str, str] | None = None
    """Types of what it gives by name; None of an extern, which gives one value."""
    gives: str = "any"
    """Type of an extern's value."""
    needed: int | None = None
    """Inputs that must be given; all of them unless said."""
    signature: str = ""
    untyped: tuple[str, ...] = ()
    """Inputs of its signature whose type nobody said."""
    makes_chains: bool = False
    """Whether it makes the answers that it compares, which DSPy is given."""


class Callables(Struct):
    """Modules and externs of one file. Each is declared where it is first met."""

    file: PythonFile
    draft: Draft
    kinds: Kinds
    signatures: Signatures
    lms: Mapping[str, str]
    """Names of the `lm` declarations by the names of their variables."""
    externs: dict[str, CalledPart] = field(default_factory=dict[str, CalledPart])
    rewards: dict[str, str] = field(default_factory=dict[str, str])
    reward: object = None
    """Reads a function as a reward: `(name, signature) -> name of the metric`."""

    def module(self, node: ast.Call, wanted: str) -> CalledPart:
        """The module that a call of DSPy's class makes. Raises Unread."""
        name = self.file.framework(node.func)
        if name not in MODULES:
            raise Unread(f"`dspy.{name}`, which has no counterpart", node.lineno)
        strategy = MODULES[name]
        given = {one.arg: one.value for one in node.keywords if one.arg is not None}
        first = node.args[0] if node.args else given.pop("signature", None) or given.pop("module", None)
        if first is None:
            raise Unread(f"`dspy.{name}` of nothing", node.lineno)
        for place, value in enumerate(node.args[1:], 1):
            order = {
                "ReAct": ("tools", "max_iters"),
                "CodeAct": ("tools", "max_iters"),
                "MultiChainComparison": ("M",),
                "ProgramOfThought": ("max_iters",),
            }
            names = (
                ("N", "reward_fn", "threshold")
                if strategy in ("BestOfN", "Refine")
                else order.get(strategy, ())
            )
            if place > len(names):
                raise Unread(f"an argument of `dspy.{name}` without its name", node.lineno)
            given[names[place - 1]] = value
        declared = self.draft.name(wanted)
        if strategy in ("BestOfN", "Refine"):
            return self._tried(node, strategy, declared, first, given)
        signature = self.signatures.of(first, declared)
        options = self._options(strategy, given, signature, node.lineno)
        self.draft.add("module", f"module {declared} = {strategy}({', '.join([signature.name, *options])})")
        return _called(declared, signature, strategy)

    def _tried(
        self, node: ast.Call, strategy: str, declared: str, first: ast.expr, given: dict[str, ast.expr]
    ) -> CalledPart:
        if not isinstance(first, ast.Call) or self.file.framework(first.func) not in MODULES:
            raise Unread(f"`dspy.{strategy}` of a module that is made elsewhere", node.lineno)
        tried = self.module(first, f"{declared}_once")
        reward = given.pop("reward_fn", None)
        options = self._options(strategy, given, None, node.lineno)
        if reward is None or not callable(self.reward):
            raise Unread(f"`dspy.{strategy}` without a reward", node.lineno)
        options.append(f"reward = {self.reward(reward, tried)}")
        self.draft.add("module", f"module {declared} = {strategy}({', '.join([tried.name, *options])})")
        return CalledPart(
            declared, tried.inputs, tried.outputs, signature=tried.signature, untyped=tried.untyped
        )

    def _options(
        self, strategy: str, given: dict[str, ast.expr], signature: SignatureDraft | None, line: int
    ) -> list[str]:
        own = {option.name for option in STRATEGIES[strategy].options}
        found: list[str] = []
        for name, value in given.items():
            option = _OPTIONS.get(name, name)
            if name == "tools":
                tools = value
                if isinstance(tools, ast.Name) and tools.id in self.file.values:
                    tools = self.file.values[tools.id]
                items = tools.elts if isinstance(tools, ast.List | ast.Tuple) else None
                if items is None:
                    raise Unread("a list of tools that is made while the program runs", line)
                found.append(f"tools = [{', '.join(self.extern(one).name for one in items)}]")
            elif name in ("sub_lm", "lm") and isinstance(value, ast.Name) and value.id in self.lms:
                found.append(f"{name} = {self.lms[value.id]}")
            elif option in own or name in SETTINGS:
                found.append(f"{option} = {literal(constant(self.file, value))}")
            elif name not in _SILENT:
                self.draft.say(line, f"`{name}` of `dspy.{strategy}` is left out")
        return found

    # Externs --------------------------------------------------------------------------------------

    def extern(self, node: ast.expr) -> CalledPart:
        """The function of the project that an expression names, as an agent's tool or a step. Raises Unread."""
        description = ""
        if isinstance(node, ast.Call) and self.file.framework(node.func) == "Tool":
            said = {one.arg: one.value for one in node.keywords}
            if "desc" in said:
                description = text_of(self.file, said["desc"])
            inner = node.args[0] if node.args else said.get("func")
            if inner is None:
                raise Unread("a tool of no function", node.lineno)
            node = inner
        if not isinstance(node, ast.Name):
            raise Unread("a tool that is no function of this file", line_of(node))
        if node.id in self.externs:
            return self.externs[node.id]
        if node.id in self.file.functions:
            self.externs[node.id] = self._function(self.file.functions[node.id], description)
        elif node.id in self.file.imports and not self.file.imports[node.id].startswith("dspy"):
            module, _, name = self.file.imports[node.id].rpartition(".")
            self.draft.say(node.lineno, f"what `{node.id}` takes and gives is not known: it is in `{module}`")
            raise (
                Unread(f"the function `{node.id}` of `{module}`", node.lineno)
                if not module
                else Unread(f"`{name}` of another module, whose arguments are not known", node.lineno)
            )
        else:
            raise Unread(f"`{node.id}` is no function of this file", node.lineno)
        return self.externs[node.id]

    def _function(self, node: ast.FunctionDef | ast.AsyncFunctionDef, description: str) -> CalledPart:
        given = node.args
        if given.vararg or given.kwarg:
            raise Unread(f"`{node.name}` takes any arguments", node.lineno)
        arguments = [*given.posonlyargs, *given.args]
        defaults: list[ast.expr | None] = [None] * (len(arguments) - len(given.defaults)) + [*given.defaults]
        arguments += given.kwonlyargs
        defaults += given.kw_defaults
        inputs: dict[str, str] = {}
        shown: list[str] = []
        for one, default in zip(arguments, defaults, strict=True):
            kind = (
                "any"
                if one.annotation is None
                else self.kinds.field(one.arg, one.annotation, None, node.lineno).type
            )
            try:
                value = "" if default is None else literal(constant(self.file, default))
            except Unread:
                raise Unread(f"the default of `{one.arg}` is computed", node.lineno) from None
            made = self.kinds.taking_none(FieldDraft(plain_name(one.arg), kind, default=value))
            inputs[made.name] = made.type
            shown.append(f"{made.name}: {made.type}{f' = {value}' if value else ''}")
        gives = (
            "any" if node.returns is None else self.kinds.field("it", node.returns, None, node.lineno).type
        )
        text = description or inspect.cleandoc(ast.get_docstring(node, clean=False) or "")
        name = self.draft.name(node.name)
        lines = [f"extern {name}({', '.join(shown)}) -> {gives} {{"]
        if text:
            lines.append(f"  {documented(text)}")
        lines += [f"  source = python({quoted(f'{self.file.module}:{node.name}')})", "}"]
        self.draft.add("extern", "\n".join(lines))
        return CalledPart(name, inputs, None, gives, sum(one is None for one in defaults))

    def retriever(self, node: ast.Call, wanted: str) -> CalledPart:
        """`dspy.Retrieve(k=…)` and `dspy.ColBERTv2(url=…)`, which find texts."""
        given = {one.arg: one.value for one in node.keywords}
        kind = self.file.framework(node.func)
        url, k = "", 3
        if kind == "ColBERTv2":
            address = given.get("url", node.args[0] if node.args else None)
            url = text_of(self.file, address) if address is not None else ""
        else:
            if "k" in given or node.args:
                said = constant(self.file, given.get("k", node.args[0] if node.args else ast.Constant(3)))
                k = said if isinstance(said, int) else 3
            url = self._server()
        declared = self.draft.name(wanted)
        if not url:
            self.draft.comment(
                "extern",
                node.lineno,
                f"`{wanted}` searches what the application configures: say where, as `bm25(…)` or `embeddings(…)` of a data file",
            )
            source = f'bm25("data/{declared}.jsonl", k = {k})'
        else:
            source = f"colbert({quoted(url)}, k = {k})"
        self.draft.add("extern", f"extern {declared}(query: str, k: int = {k}) -> list[str] = {source}")
        return CalledPart(declared, {"query": "str", "k": "int"}, None, "list[str]", 1)

    def search(self, node: ast.expr, wanted: str) -> CalledPart:
        """A retriever that some other library makes, or DSPy out of data that is not here."""
        declared = self.draft.name(wanted)
        self.draft.comment(
            "extern",
            line_of(node),
            f"`{wanted}` searches what is made by code: say where, as `bm25(…)` or `embeddings(…)` of a data file",
            self.file.shown(node),
        )
        self.draft.add(
            "extern", f'extern {declared}(query: str) -> list[str] = bm25("data/{declared}.jsonl")'
        )
        return CalledPart(declared, {"query": "str"}, None, "list[str]", 1)

    def _server(self) -> str:
        """The address of the only `dspy.ColBERTv2` of the file."""
        for node in ast.walk(self.file.tree):
            if isinstance(node, ast.Call) and self.file.framework(node.func) == "ColBERTv2":
                address = next(
                    (one.value for one in node.keywords if one.arg == "url"),
                    node.args[0] if node.args else None,
                )
                try:
                    return "" if address is None else text_of(self.file, address)
                except Unread:
                    return ""
        return ""


def _called(name: str, signature: SignatureDraft, strategy: str) -> CalledPart:
    outputs = {one.name: one.type for one in signature.outputs}
    added = {one.name: "str" for one in STRATEGIES[strategy].adds if one.name not in outputs}
    needed = {one.name: one.type for one in signature.inputs}
    untyped = tuple(one.name for one in signature.inputs if one.untyped)
    chains = strategy == "MultiChainComparison"
    return CalledPart(
        name, needed, {**added, **outputs}, signature=signature.name, untyped=untyped, makes_chains=chains
    )
