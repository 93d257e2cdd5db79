"""Metrics of Python as metrics of the language: comparisons, DSPy's own, judges, feedback, what `trace` decides."""

from __future__ import annotations

import ast
import copy
from collections.abc import Callable, Iterator, Mapping
from typing import TypeVar, cast

from msgspec import Struct, field

from .bodies import Bodies
from .callables import MODULES, CalledPart
from .calls import ClassCalls, ClassScope
from .drafts import Draft, Unread, plain_name, quoted
from .expressions import Env, Value
from .python_source import PythonFile, constant, line_of
from .signatures import Signatures
from .steps import WrittenSteps

_Node = TypeVar("_Node", bound=ast.AST)
Function = ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda
_TEXTS = {
    "answer_exact_match": ("answer_exact_match", "answer", "answer", "bool"),
    "answer_passage_match": ("answer_passage_match", "answer", "context", "bool"),
}
_NAMES = {
    "answer_exact_match": "exact",
    "answer_passage_match": "in_passages",
    "SemanticF1": "same_meaning",
    "CompleteAndGrounded": "grounded",
}
"""What DSPy's metrics are called, whose names are those of functions."""
_PAIRS = {
    "EM": ("exact_match", "bool"),
    "F1": ("f1", "float"),
    "em_score": ("exact_match", "bool"),
    "f1_score": ("f1", "float"),
}


class Columns(Mapping[str, str]):
    """The columns of a row that a metric reads. Any name is one; it is kept."""

    def __init__(self, known: Mapping[str, str]) -> None:
        self.known = known
        self.read: dict[str, str] = {}

    def __getitem__(self, name: str) -> str:
        self.read[name] = self.known.get(name, "str")
        return self.read[name]

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str)

    def __iter__(self) -> Iterator[str]:
        return iter(self.read)

    def __len__(self) -> int:
        return len(self.read)


class Metrics(Struct):
    """Reads the metrics of one file."""

    file: PythonFile
    draft: Draft
    signatures: Signatures
    judge: str = ""
    """Name of the `lm` that judges are asked of."""
    names: dict[str, str] = field(default_factory=dict[str, str])
    """Names of declarations by the names of functions."""

    def metric(self, node: ast.expr, program: CalledPart, dataset: str, columns: Columns) -> str:
        """The name of the metric that an expression is, declared where it is first met. Raises Unread."""
        value = self.file.values.get(node.id) if isinstance(node, ast.Name) else None
        if isinstance(value, ast.Name | ast.Attribute):
            node = value  # another name of it
        own = self.file.framework(node)
        name = own or (node.id if isinstance(node, ast.Name) else "metric")
        if name not in self.names:
            gold, pred = Value("gold", outputs=columns), Value("pred", outputs=program.outputs)
            if own or isinstance(node, ast.Call):
                value = self._ready(node, gold, pred)
                lines, score = list[str](), value
                again: Value | None = None
                feedback: Value | None = None
            else:
                function = self._function(node)
                names = [one.arg for one in (*function.args.posonlyargs, *function.args.args)]
                if len(names) < 2:
                    raise Unread(f"`{name}` takes no row and answer", line_of(node))
                env = {names[0]: gold, names[1]: pred}
                lines, score, feedback = self._read(function, env, traced=False)
                again = None
                if any(one == "trace" for one in names) and _asks_trace(function):
                    again = self._read(function, env, traced=True)[1]
            declared = self.draft.name(_NAMES.get(name, name))
            body = [f"score = {score.text}"]
            if score.kind != "bool":
                accept = f"{again.text}" if again is not None and again.kind == "bool" else "score > 0.0"
                body.append(f"accept = {accept}")
            elif again is not None and again.text != score.text:
                body.append(f"accept = {again.text}")
            if feedback is not None:
                body.append(f"feedback = {feedback.text}")
            header = f"metric {declared}(gold: {dataset}, pred: {program.name})"
            self.draft.add("metric", _declared(header, lines, body))
            self.names[name] = declared
        return self.names[name]

    def reward(self, node: ast.expr, tried: CalledPart) -> str:
        """The metric of a prediction alone that a reward function is. Raises Unread."""
        function = self._function(node)
        names = [one.arg for one in (*function.args.posonlyargs, *function.args.args)]
        if len(names) != 2:
            raise Unread("a reward takes the inputs and the prediction", line_of(node))
        env = {names[0]: Value("pred", outputs=tried.inputs), names[1]: Value("pred", outputs=tried.outputs)}
        lines, score, _ = self._read(function, env, traced=False)
        declared = self.draft.name(
            function.name if not isinstance(function, ast.Lambda) else f"{tried.name}_reward"
        )
        header = f"metric {declared}(pred: {tried.name})"
        self.draft.add("metric", _declared(header, lines, [f"score = {score.text}"]))
        return declared

    def _function(self, node: ast.expr) -> Function:
        if isinstance(node, ast.Lambda):
            return node
        if isinstance(node, ast.Name) and node.id in self.file.functions:
            return self.file.functions[node.id]
        if isinstance(node, ast.Name) and isinstance(self.file.values.get(node.id), ast.Lambda):
            return cast("ast.Lambda", self.file.values[node.id])
        raise Unread("a metric that is no function of this file", line_of(node))

    def _read(self, function: Function, env: Env, *, traced: bool) -> tuple[list[str], Value, Value | None]:
        """The `let`s of a function, its score and its feedback."""
        lines: list[str] = []
        calls = ClassCalls(self.file, self.draft, lambda node, scope: None, ClassScope("metric", {}, {}))
        used = {"gold", "pred", "score", "accept", "feedback", "reason"}
        bodies = _MetricBodies(
            self.file, self.draft, calls, WrittenSteps(self.draft, used, lines), metrics=self
        )
        if isinstance(function, ast.Lambda):
            body: list[ast.stmt] = [
                ast.copy_location(ast.Return(_Traced(traced).visit(_copied(function.body))), function)
            ]
        else:
            body = [_Traced(traced).visit(_copied(one)) for one in function.body]
        inner: Env = {**env, "trace": Value('"a trace"' if traced else "none")}
        returned = bodies.run(body, inner)
        if isinstance(returned, dict):
            if "score" not in returned:
                raise Unread("a metric that gives no score", line_of(function))
            return lines, returned["score"], returned.get("feedback")
        if returned is None or returned.outputs is not None:
            raise Unread("a metric that gives no number", line_of(function))
        return lines, returned, None

    # What DSPy has --------------------------------------------------------------------------------

    def called(self, node: ast.Call, env: Env, bodies: Bodies) -> Value | None:
        """A call within a metric that is DSPy's, a judge's, or of another function of the file."""
        reader = bodies.expressions()
        name = self.file.framework(node.func) or (
            self.file.dotted(node.func) if isinstance(node.func, ast.Name) else ""
        )
        given = [one for one in node.args if not isinstance(one, ast.Starred)]
        if name in _TEXTS and len(given) >= 2:
            values = [reader.value(one, env) for one in given[:2]]
            said = next((one.value for one in node.keywords if one.arg == "frac"), None)
            return self._texts(
                name, values[0], values[1], None if said is None else str(constant(self.file, said))
            )
        last = name.rpartition(".")[2]
        if last in _PAIRS and self.file.imports.get(last, "").startswith("dspy") and len(given) == 2:
            pred, gold = (reader.value(one, env) for one in given)
            function, kind = _PAIRS[last]
            return Value(f"{function}({gold.text}, {pred.text})", kind)
        if last == "normalize_text" and len(given) == 1:
            return Value(f"normalize_text({reader.value(given[0], env).text})", "str")
        instance = self._instance(node.func)
        if instance is not None and len(given) >= 2:
            return self._ready(instance, *(reader.value(one, env) for one in given[:2]))
        if instance is not None and self.file.framework(instance.func) in MODULES:
            return self._judge(
                instance,
                {one.arg: reader.value(one.value, env) for one in node.keywords if one.arg},
                node.lineno,
            )
        if isinstance(node.func, ast.Name) and node.func.id in self.file.functions:
            function_ = self.file.functions[node.func.id]
            filled = ast.copy_location(
                ast.Call(node.func, given[: len(function_.args.args)], node.keywords), node
            )
            method = _copied(function_)
            method.body = [_Traced(False).visit(one) for one in method.body]
            return bodies.method(method, filled, env)
        return None

    def _instance(self, node: ast.expr) -> ast.Call | None:
        """The call that made what is called: `SemanticF1()`, or a variable that is one."""
        if isinstance(node, ast.Call):
            return node
        if isinstance(node, ast.Name) and node.id not in self.file.changed:
            value = self.file.values.get(node.id)
            return value if isinstance(value, ast.Call) else None
        return None

    def _ready(self, node: ast.expr, gold: Value, pred: Value) -> Value:
        """A metric of DSPy's as it is."""
        name = self.file.framework(node.func if isinstance(node, ast.Call) else node)
        if name in _TEXTS:
            return self._texts(name, gold, pred, None)
        read = _fields_of(gold, pred)
        if name == "SemanticF1":
            return Value(
                f"semantic_f1({read('gold', 'response')}, {read('pred', 'response')}, judge = {self._asked()}, "
                f"question = {read('gold', 'question')})",
                "float",
            )
        if name == "CompleteAndGrounded":
            return Value(
                f"complete_and_grounded({read('gold', 'response')}, {read('pred', 'response')}, "
                f"{read('pred', 'context')}, judge = {self._asked()}, question = {read('gold', 'question')})",
                "float",
            )
        raise Unread(f"`{ast.unparse(node)[:60]}` is no metric that is known", line_of(node))

    def _texts(self, name: str, gold: Value, pred: Value, frac: str | None) -> Value:
        function, one, other, kind = _TEXTS[name]
        read = _fields_of(gold, pred)
        more = "" if frac is None or float(frac) >= 1 else f", frac = {frac}"
        return Value(f"{function}({read('gold', one)}, {read('pred', other)}{more})", kind)

    def _asked(self) -> str:
        return self.judge or "main"

    def _judge(self, node: ast.Call, given: Mapping[str, Value], line: int) -> Value:
        """A module that a metric asks: its instruction is what a judge of the language is given as criteria."""
        if not node.args:
            raise Unread("a judge of nothing", line)
        kept = {name: list(texts) for name, texts in self.draft.sections.items()}
        taken = set(self.draft.taken)
        signature = self.signatures.of(node.args[0], "Judged")
        self.draft.sections, self.draft.taken = (
            kept,
            taken,
        )  # its signature is not declared: the judge has its words
        criteria = " ".join(
            [signature.instruction, *(one.description for one in signature.outputs if one.description)]
        )
        shown = ", ".join(f"{plain_name(name)} = {value.text}" for name, value in given.items())
        call = f"llm_judge({quoted(criteria)}, judge = {self._asked()}{', ' if shown else ''}{shown})"
        fields: dict[str, str] = {}
        kinds: dict[str, str] = {}
        for one in signature.outputs:
            if one.type in ("bool", "float"):
                fields[one.name] = f"({call} >= 0.5)" if one.type == "bool" else call
                kinds[one.name] = one.type
        self.draft.say(line, "a judge is asked as `llm_judge`, in the language's own words")
        return Value("(judge)", outputs=kinds, fields=fields)


class _MetricBodies(Bodies):
    metrics: Metrics | None = None

    def called(self, node: ast.Call, env: Env) -> Value | None:
        assert self.metrics is not None
        found = self.metrics.called(node, env, self)
        return found if found is not None else super().called(node, env)


def _fields_of(gold: Value, pred: Value) -> Callable[[str, str], str]:
    def read(side: str, name: str) -> str:
        value = gold if side == "gold" else pred
        if value.outputs is None or name not in value.outputs:
            raise Unread(f"`{value.text}` has no `{name}`, which this metric reads")
        _ = value.outputs[name]
        return f"{value.text}.{name}"

    return read


def _declared(header: str, lines: list[str], body: list[str]) -> str:
    if not lines and len(body) == 1:
        return f"{header} {{\n  {body[0]}\n}}"
    return "\n".join([f"{header} {{", *(f"  {line}" for line in (*lines, *body)), "}"])


def _copied(node: _Node) -> _Node:
    return copy.deepcopy(node)


def _asks_trace(function: Function) -> bool:
    inside = function.body if isinstance(function.body, list) else [function.body]
    return any(isinstance(node, ast.Name) and node.id == "trace" for one in inside for node in ast.walk(one))


class _Traced(ast.NodeTransformer):
    """Decides what a metric asks of its `trace`: whether there is one."""

    def __init__(self, traced: bool) -> None:
        self._traced = traced

    def visit_Compare(self, node: ast.Compare) -> ast.expr:
        match node:
            case ast.Compare(
                left=ast.Name(id="trace"), ops=[ast.Is() | ast.Eq()], comparators=[ast.Constant(value=None)]
            ):
                return ast.copy_location(ast.Constant(not self._traced), node)
            case ast.Compare(
                left=ast.Name(id="trace"),
                ops=[ast.IsNot() | ast.NotEq()],
                comparators=[ast.Constant(value=None)],
            ):
                return ast.copy_location(ast.Constant(self._traced), node)
            case _:
                return cast("ast.expr", self.generic_visit(node))

    def visit_IfExp(self, node: ast.IfExp) -> ast.AST:
        self.generic_visit(node)
        if isinstance(node.test, ast.Constant):
            return node.body if node.test.value else node.orelse
        return node

    def visit_If(self, node: ast.If) -> ast.AST:
        if isinstance(node.test, ast.Name) and node.test.id == "trace":
            node.test = ast.copy_location(ast.Constant(self._traced), node.test)
        self.generic_visit(node)
        return node
