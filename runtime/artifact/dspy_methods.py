"""Writes graphs as methods of a DSPy module: their steps, one after the other, as lines of Python."""

from __future__ import annotations

import keyword
import re
from collections.abc import Callable, Iterable, Mapping

from msgspec import Struct, field

from ..schema.expressions import Expression
from ..schema.program import (
    BranchStep,
    CallStep,
    CheckStep,
    EachStep,
    FieldSpec,
    Graph,
    NestedSteps,
    RepeatStep,
    RunStep,
    Step,
    ToolStep,
    ValueStep,
)
from ..schema.types import OptionalOf
from .python_classes import PythonClasses, check_words, python_name
from .python_text import PythonText, python_literal


class MethodText(Struct):
    """Writes the methods of one module. What it leaves out is added to the losses of `classes`."""

    classes: PythonClasses
    text: PythonText
    attributes: Mapping[str, str]
    """Names of attributes and methods by the keys of what they are."""
    function: Callable[[str], str]
    """The name of the function that a tool is, by its key; it is written, or imported."""
    used: set[str] = field(default_factory=set[str])
    """Names of variables in the method that is being written."""

    def method(self, name: str, graph: Graph) -> str:
        """The source of a graph's method."""
        inputs, steps, returns = graph.inputs, graph.steps, graph.returns
        self.used = {"self"}
        names = {one.name: self._variable(one.name) for one in inputs}
        given = [f"{names[one.name]}: {self.classes.type_of(one.type)}{default_of(one)}" for one in inputs]
        given.sort(key=lambda text: " = " in text)
        lines: list[str] = []
        self._steps(steps, names, lines, "        ")
        out = ", ".join(
            f"{python_name(one, 'output')}={self.text.of(value, names)}" for one, value in returns.items()
        )
        lines.append(f"        return dspy.Prediction({out})")
        return "\n".join([f"    def {name}({', '.join(['self', *given])}) -> dspy.Prediction:", *lines])

    def _variable(self, name: str) -> str:
        plain = re.sub(r"\W", "_", name, flags=re.ASCII)
        plain = f"{plain}_" if keyword.iskeyword(plain) or plain in self.classes.taken else plain
        while plain in self.used:
            plain += "_"
        self.used.add(plain)
        return plain

    def _steps(self, steps: Iterable[Step], names: dict[str, str], lines: list[str], indent: str) -> None:
        for step in steps:
            match step:
                case CallStep():
                    self._set(
                        step.name,
                        f"self.{self.attributes[step.predictor]}({self._given(step.arguments, names)})",
                        names,
                        lines,
                        indent,
                    )
                case RunStep():
                    self._set(
                        step.name,
                        f"self.{self.attributes[step.runs]}({self._given(step.arguments, names)})",
                        names,
                        lines,
                        indent,
                    )
                case ToolStep():
                    function = self.function(step.tool)
                    self._set(
                        step.name, f"{function}({self._given(step.arguments, names)})", names, lines, indent
                    )
                case ValueStep():
                    self._set(step.name, self.text.of(step.value, names), names, lines, indent)
                case CheckStep():
                    self.classes.lost.append(f"the program's {check_words(step.check)}")
                    lines.append(
                        f"{indent}# Not exported: {step.check.kind} {PythonText().of(step.check.condition, names)[:200]}"
                    )
                case BranchStep():
                    self._branch(step, names, lines, indent)
                case EachStep():
                    self._each(step, names, lines, indent)
                case RepeatStep():
                    self._repeat(step, names, lines, indent)

    def _set(self, name: str, value: str, names: dict[str, str], lines: list[str], indent: str) -> None:
        names[name] = self._variable(name)
        lines.append(f"{indent}{names[name]} = {value}")

    def _given(self, arguments: Mapping[str, Expression], names: Mapping[str, str]) -> str:
        return ", ".join(
            f"{python_name(one, 'input')}={self.text.of(value, names)}" for one, value in arguments.items()
        )

    def _nested(
        self, nested: NestedSteps, target: str, names: dict[str, str], lines: list[str], indent: str
    ) -> None:
        inner = dict(names)
        self._steps(nested.steps, inner, lines, indent)
        lines.append(f"{indent}{target} = {self.text.of(nested.value, inner)}")

    def _branch(self, step: BranchStep, names: dict[str, str], lines: list[str], indent: str) -> None:
        target = self._variable(step.name)
        lines.append(f"{indent}if {self.text.of(step.condition, names)}:")
        self._nested(step.consequence, target, names, lines, f"{indent}    ")
        lines.append(f"{indent}else:")
        self._nested(step.alternative, target, names, lines, f"{indent}    ")
        names[step.name] = target

    def _each(self, step: EachStep, names: dict[str, str], lines: list[str], indent: str) -> None:
        target, variable = self._variable(step.name), self._variable(step.variable)
        lines.append(f"{indent}{target} = []")
        lines.append(f"{indent}for {variable} in {self.text.of(step.iterable, names)}:")
        inner = {**names, step.variable: variable}
        self._steps(step.body.steps, inner, lines, f"{indent}    ")
        lines.append(f"{indent}    {target}.append({self.text.of(step.body.value, inner)})")
        names[step.name] = target

    def _repeat(self, step: RepeatStep, names: dict[str, str], lines: list[str], indent: str) -> None:
        inner = dict(names)
        for name, value in step.start.items():
            inner[name] = self._variable(name)
            lines.append(f"{indent}{inner[name]} = {self.text.of(value, names)}")
        lines.append(f"{indent}for _ in range({step.times}):")
        rounds = dict(inner)
        deeper = f"{indent}    "
        before = len(lines)
        self._steps(step.steps, rounds, lines, deeper)
        if step.until is not None:
            last = [
                f"{deeper}    {inner[name]} = {self.text.of(value, rounds)}"
                for name, value in step.last.items()
            ]
            lines += [f"{deeper}if {self.text.of(step.until, rounds)}:", *last, f"{deeper}    break"]
        self._steps(step.then, rounds, lines, deeper)
        again = [(inner[name], self.text.of(value, rounds)) for name, value in step.again.items()]
        if again:
            lines.append(
                f"{deeper}{', '.join(name for name, _ in again)} = {', '.join(value for _, value in again)}"
            )
        if len(lines) == before:
            lines.append(f"{deeper}pass")
        if step.value is not None:
            self._set(step.name, self.text.of(step.value, inner), names, lines, indent)
        else:
            state = ", ".join(f"{python_name(name, 'name')}={inner[name]}" for name in step.start)
            self._set(step.name, f"dspy.Prediction({state})", names, lines, indent)


def default_of(field: FieldSpec) -> str:
    """What an argument is where it is not given."""
    if field.has_default:
        return f" = {python_literal(field.default)}"
    return " = None" if isinstance(field.type, OptionalOf) else ""
