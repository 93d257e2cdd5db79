"""Reads the optimizers and evaluations of a DSPy script as `optimize` and `eval`."""

from __future__ import annotations

import ast
from collections.abc import Callable, Mapping

from msgspec import Struct, field

from ...optimizers.table import ALIASES, INSTEAD, SPECS
from .callables import CalledPart
from .drafts import Draft, Unread, literal
from .models import QUIET, Models
from .python_source import PythonFile, constant, line_of
from .rows import ScriptRows
from .scores import Metrics


class Chains(Struct):
    """Optimizers and evaluations. `program_of` says what an expression's program is called."""

    file: PythonFile
    draft: Draft
    models: Models
    metrics: Metrics
    program_of: Callable[[ast.expr], CalledPart | None]
    rows: ScriptRows
    made: dict[str, CalledPart] = field(default_factory=dict[str, CalledPart])
    """What is compiled, by the variable that holds it."""

    def read(self) -> None:
        for statement in self.file.statements:
            calls = (
                [node for node in ast.walk(statement) if isinstance(node, ast.Call)]
                if not isinstance(statement, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
                else []
            )
            for call in calls:
                try:
                    if isinstance(call.func, ast.Attribute) and call.func.attr == "compile":
                        self._compile(call, statement)
                    elif self._evaluates(call):
                        self._evaluate(call, statement)
                except Unread as unread:
                    kind = (
                        "optimize"
                        if isinstance(call.func, ast.Attribute) and call.func.attr == "compile"
                        else "eval"
                    )
                    line, last = unread.line or call.lineno, statement.end_lineno or statement.lineno
                    why = (
                        unread.why
                        if statement.lineno <= line <= last
                        else f"{unread.why}, and line {statement.lineno} needs it"
                    )
                    self.draft.comment(kind, line, why, self.file.shown(statement))
        self.rows.declare()

    def _made_by(self, node: ast.expr) -> ast.Call | None:
        if isinstance(node, ast.Name):
            node = self.file.values.get(node.id, node)
        return node if isinstance(node, ast.Call) else None

    def _compile(self, call: ast.Call, statement: ast.stmt) -> None:
        assert isinstance(call.func, ast.Attribute)
        optimizer = self._made_by(call.func.value)
        if optimizer is None:
            return
        name = self.file.framework(optimizer.func)
        name = ALIASES.get(name, name)
        if name in INSTEAD:
            raise Unread(f"`{name}`: {INSTEAD[name]}", call.lineno)
        if name not in SPECS:
            return
        given = {one.arg: one.value for one in (*optimizer.keywords, *call.keywords) if one.arg is not None}
        student = given.get("student", call.args[0] if call.args else None)
        program = None if student is None else self.program_of(student)
        if program is None or program.outputs is None:
            raise Unread("an optimizer of a program that is not read", call.lineno)
        target = (
            statement.targets[0].id
            if isinstance(statement, ast.Assign) and isinstance(statement.targets[0], ast.Name)
            else f"{program.name}_v1"
        )
        train = given.get("trainset") or (call.args[1] if len(call.args) > 1 else None)
        if train is None and name == "KNNFewShot" and len(optimizer.args) > 1:
            train = optimizer.args[1]
        if train is None:
            raise Unread("an optimizer without rows", call.lineno)
        rows = self.rows.named(train, program)
        val = given.get("valset")
        lines = [f"program = {program.name}"]
        metric = given.get(
            "metric",
            optimizer.args[0] if optimizer.args and name not in ("LabeledFewShot", "KNNFewShot") else None,
        )
        spec = SPECS[name]
        if metric is None and spec.needs_metric:
            raise Unread(f"`{name}` without a metric", call.lineno)
        if metric is None:
            raise Unread(f"`{name}` asks no metric, and `optimize` has one: write it", call.lineno)
        lines.append(f"metric = {self.metrics.metric(metric, program, rows, self.rows.datasets[rows][1])}")
        lines.append(f"train = {rows}")
        if val is not None:
            lines.append(f"val = {self.rows.named(val, program)}")
        lines += self._models_of(given)
        if "seed" in given:
            lines.append(f"seed = {literal(constant(self.file, given['seed']))}")
        lines.append(
            f"step {name}({', '.join(self._options(name, given, call.lineno))})".replace(
                "step ", "step tuned = ", 1
            )
        )
        declared = self.draft.name(target)
        self.draft.add(
            "optimize", "\n".join([f"optimize {declared} {{", *(f"  {line}" for line in lines), "}"])
        )
        self.made[target] = CalledPart(declared, program.inputs, program.outputs)

    def _models_of(self, given: Mapping[str, ast.expr]) -> list[str]:
        found: list[str] = []
        for word, ours in (
            ("prompt_model", "prompt_lm"),
            ("reflection_lm", "prompt_lm"),
            ("task_model", "lm"),
        ):
            value = given.get(word)
            if value is None:
                continue
            if isinstance(value, ast.Name) and value.id in self.models.names:
                found.append(f"{ours} = {self.models.names[value.id]}")
            elif isinstance(value, ast.Call) and self.models.is_lm(value):
                self.models.declare(ours, value, "", default=False)
                found.append(f"{ours} = {self.models.names[ours]}")
            else:
                self.draft.say(line_of(value), f"`{word}` is left out: its model is not known", lost=True)
        teacher = given.get("teacher_settings")
        if isinstance(teacher, ast.Dict | ast.Call):
            pairs = (
                dict(
                    zip(
                        (key.value if isinstance(key, ast.Constant) else "" for key in teacher.keys),
                        teacher.values,
                        strict=True,
                    )
                )
                if isinstance(teacher, ast.Dict)
                else {one.arg: one.value for one in teacher.keywords}
            )
            lm = pairs.get("lm")
            if isinstance(lm, ast.Name) and lm.id in self.models.names:
                found.append(f"teacher_lm = {self.models.names[lm.id]}")
        return found

    def _options(self, name: str, given: Mapping[str, ast.expr], line: int) -> list[str]:
        known = {option.name for option in SPECS[name].options}
        found: list[str] = []
        for word, value in given.items():
            if word in known:
                try:
                    said = constant(self.file, value)
                except Unread:
                    self.draft.say(line, f"`{word}` of `{name}` is computed: left out", lost=True)
                    continue
                if said is not None or word == "auto":
                    found.append(f"{word} = {literal(said)}")
            elif word == "max_metric_calls" or word == "max_full_evals":
                self.draft.say(
                    line,
                    f"`{word}` of `{name}` is left out: `budget {{ calls = … }}` bounds a compile",
                    lost=True,
                )
            elif word == "teacher":
                self.draft.say(
                    line, f"the teacher of `{name}` is left out: name it, as `teacher = …`", lost=True
                )
            elif word not in QUIET:
                self.draft.say(line, f"`{word}` of `{name}` is left out", lost=True)
        return found

    def _evaluates(self, call: ast.Call) -> bool:
        made = self._made_by(call.func) if not isinstance(call.func, ast.Attribute) else None
        return made is not None and self.file.framework(made.func) == "Evaluate"

    def _evaluate(self, call: ast.Call, statement: ast.stmt) -> None:
        made = self._made_by(call.func)
        assert made is not None
        given = {one.arg: one.value for one in (*made.keywords, *call.keywords) if one.arg is not None}
        subject = call.args[0] if call.args else given.get("program")
        if isinstance(subject, ast.Name) and subject.id in self.made:
            program = self.made[subject.id]
        else:
            program = None if subject is None else self.program_of(subject)
        rows = given.get("devset", made.args[0] if made.args else None)
        metric = given.get("metric")
        if program is None or rows is None or metric is None:
            raise Unread("an evaluation whose program, rows or metric is not read", call.lineno)
        data = self.rows.named(rows, program)
        scored = self.metrics.metric(metric, program, data, self.rows.datasets[data][1])
        declared = self.draft.name(f"{program.name}_score")
        self.draft.add(
            "eval",
            f"eval {declared} {{\n  program = {program.name}\n  metric = {scored}\n  data = {data}\n}}",
        )
