"""Models, rows, optimizers and evaluations of a DSPy script as `lm`, `dataset`, `optimize` and `eval`."""

from __future__ import annotations

import ast
import json
from collections.abc import Callable, Mapping

from msgspec import Struct, field

from dspec.runtime.schema.types import JsonValue

from ...optimizers.table import ALIASES, INSTEAD, SPECS
from .callables import CalledPart
from .drafts import Draft, Unread, literal, plain_name, quoted
from .python_source import GETENV, PythonFile, constant, line_of, text_of
from .scores import Columns, Metrics

_LM_CLASSES = {
    "LM": "",
    "OpenAI": "openai/",
    "AzureOpenAI": "azure/",
    "OllamaLocal": "ollama/",
    "Together": "together_ai/",
}
_LM_SETTINGS = (
    "temperature",
    "max_tokens",
    "top_p",
    "seed",
    "stop",
    "frequency_penalty",
    "presence_penalty",
    "reasoning_effort",
    "timeout",
)
_QUIET = (
    "cache",
    "callbacks",
    "num_threads",
    "display_progress",
    "display_table",
    "max_errors",
    "log_dir",
    "track_stats",
    "track_best_outputs",
    "verbose",
    "requires_permission_to_run",
    "provide_traceback",
    "model_type",
    "use_wandb",
    "use_mlflow",
    "teacher_settings",
    "prompt_model",
    "task_model",
    "reflection_lm",
    "metric",
    "seed",
    "trainset",
    "valset",
    "teacher",
    "student",
    "eval_kwargs",
    "return_outputs",
    "launch_kwargs",
    "save_as_json",
    "save_as_csv",
    "failure_score",
    "perfect_score",
)
_ADAPTERS = {
    "ChatAdapter": "chat",
    "JSONAdapter": "json",
    "XMLAdapter": "xml",
    "TwoStepAdapter": "two_step",
    "BAMLAdapter": "json",
}
MAX_ROWS = 5_000


class Models(Struct):
    """The `dspy.LM`s of a file."""

    file: PythonFile
    draft: Draft
    names: dict[str, str] = field(default_factory=dict[str, str])
    """Names of declarations by those of variables."""
    default: str = ""

    def read(self) -> None:
        adapter = self._adapter()
        configured = self._configured()
        for name, value in self.file.values.items():
            if isinstance(value, ast.Call) and self.is_lm(value):
                self.declare(
                    name, value, adapter, default=isinstance(configured, ast.Name) and configured.id == name
                )
        if isinstance(configured, ast.Call) and self.is_lm(configured):
            self.declare("main", configured, adapter, default=True)
        if len(self.names) == 1:
            (self.default,) = self.names.values()

    def stand_in(self) -> None:
        """A model where the file has none: nothing answers without one."""
        texts = self.draft.sections["lm"]
        if len(self.names) > 1 and not self.default:
            self.default = next(iter(self.names.values()))
            place = next(
                place for place, text in enumerate(texts) if text.startswith(f"lm {self.default} {{")
            )
            texts[place] = f"{texts[place].removesuffix('}')}  default = true\n}}"
            self.draft.say(
                0, f"nothing says which model is asked: it is `{self.default}`, the first of the file"
            )
        if not texts:
            self.default = self.draft.name("main")
            self.draft.say(
                0, "the file names no model: `lm main` stands in for the one that the application configures"
            )
            self.draft.add(
                "lm",
                f'# The source names no model.\nlm {self.default} {{ model = "openai/gpt-4o-mini"; default = true }}',
            )

    def is_lm(self, node: ast.Call) -> bool:
        return self.file.framework(node.func) in _LM_CLASSES

    def _calls(self, *names: str) -> list[ast.Call]:
        return [
            node
            for node in ast.walk(self.file.tree)
            if isinstance(node, ast.Call) and self.file.dotted(node.func) in names
        ]

    def _said(self, word: str) -> ast.expr | None:
        found = [
            one.value
            for call in self._calls("dspy.configure", "dspy.settings.configure")
            for one in call.keywords
            if one.arg == word
        ]
        return found[-1] if found else None

    def _configured(self) -> ast.expr | None:
        return self._said("lm")

    def _adapter(self) -> str:
        said = self._said("adapter")
        if isinstance(said, ast.Name):
            said = self.file.values.get(said.id, said)
        name = self.file.framework(said.func) if isinstance(said, ast.Call) else ""
        return _ADAPTERS.get(name, "")

    def declare(self, name: str, node: ast.Call, adapter: str, *, default: bool) -> None:
        given = {one.arg: one.value for one in node.keywords if one.arg is not None}
        first = node.args[0] if node.args else given.pop("model", None)
        try:
            model = "" if first is None else text_of(self.file, first)
        except Unread:
            model = ""
        if not model:
            self.draft.comment(
                "lm", node.lineno, f"the model of `{name}` is not known before the program runs: name it here"
            )
            model = "openai/gpt-4o-mini"
        prefix = _LM_CLASSES[self.file.framework(node.func)]
        model = model if "/" in model else f"{prefix or 'openai/'}{model}"
        lines = [f"model = {quoted(model)}"]
        for word, value in given.items():
            if word in ("api_key", "api_base", "base_url"):
                lines += self._where("api_key" if word == "api_key" else "api_base", value)
            elif word == "num_retries":
                lines.append(f"retry = {literal(constant(self.file, value))}")
            elif word in _LM_SETTINGS:
                try:
                    lines.append(f"{word} = {literal(constant(self.file, value))}")
                except Unread:
                    self.draft.say(node.lineno, f"`{word}` of `{name}` is computed: left out", lost=True)
            elif word not in _QUIET:
                self.draft.say(node.lineno, f"`{word}` of `dspy.LM` is left out", lost=True)
        if adapter and adapter != "chat":
            lines.append(f'adapter = "{adapter}"')
        if default:
            lines.append("default = true")
        declared = self.draft.name(name)
        self.names[name] = declared
        if default:
            self.default = declared
        self.draft.add("lm", "\n".join([f"lm {declared} {{", *(f"  {line}" for line in lines), "}"]))

    def _where(self, word: str, node: ast.expr) -> list[str]:
        variable = self._variable(node)
        if variable:
            return [f'{word} = env("{variable}")']
        if word == "api_base":
            try:
                return [f"{word} = {quoted(text_of(self.file, node))}"]
            except Unread:
                self.draft.say(line_of(node), "where the model is served is computed: left out", lost=True)
                return []
        if not (isinstance(node, ast.Constant) and node.value in ("", None)):
            self.draft.say(
                line_of(node),
                'a key stands in no source: it is left out; name its variable, as `api_key = env("NAME")`',
            )
        return []

    def _variable(self, node: ast.expr) -> str:
        """The environment variable that an expression reads."""
        if isinstance(node, ast.Name) and node.id in self.file.values:
            node = self.file.values[node.id]
        match node:
            case ast.Call(func=function, args=[ast.Constant(value=str() as name), *_]) if (
                self.file.dotted(function) in GETENV
            ):
                return name
            case ast.Subscript(value=value, slice=ast.Constant(value=str() as name)) if self.file.dotted(
                value
            ) in ("os.environ", "environ"):
                return name
            case _:
                return ""


class Rows(Struct, frozen=True):
    """Rows that a script names: where they come from, and their columns as far as the script tells them."""

    source: str
    inputs: tuple[str, ...] = ()
    columns: tuple[str, ...] = ()
    called: Mapping[str, str] = {}
    """What the source calls a column, where that is another name."""
    found: bool = True


class Chains(Struct):
    """Optimizers and evaluations. `program_of` says what an expression's program is called."""

    file: PythonFile
    draft: Draft
    models: Models
    metrics: Metrics
    program_of: Callable[[ast.expr], CalledPart | None]
    datasets: dict[str, tuple[Rows, Columns]] = field(default_factory=dict[str, tuple[Rows, Columns]])
    """By the name of the declaration."""
    shapes: dict[str, CalledPart] = field(default_factory=dict[str, CalledPart])
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
        self._declare_rows()

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
        rows = self._rows(train, program)
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
        lines.append(f"metric = {self.metrics.metric(metric, program, rows, self.datasets[rows][1])}")
        lines.append(f"train = {rows}")
        if val is not None:
            lines.append(f"val = {self._rows(val, program)}")
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
            elif word not in _QUIET:
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
        data = self._rows(rows, program)
        scored = self.metrics.metric(metric, program, data, self.datasets[data][1])
        declared = self.draft.name(f"{program.name}_score")
        self.draft.add(
            "eval",
            f"eval {declared} {{\n  program = {program.name}\n  metric = {scored}\n  data = {data}\n}}",
        )

    # Rows -----------------------------------------------------------------------------------------

    def _rows(self, node: ast.expr, program: CalledPart) -> str:
        wanted = (
            node.id
            if isinstance(node, ast.Name)
            else node.attr
            if isinstance(node, ast.Attribute)
            else "rows"
        )
        if isinstance(node, ast.Subscript) and isinstance(node.value, ast.Name):
            wanted = node.value.id
        for name in self.datasets:
            if name == plain_name(wanted):
                return name
        name = self.draft.name(wanted)
        try:
            rows = self._source(node, name, 0)
        except Unread as unread:
            rows = Rows(f'jsonl("data/{name}.jsonl")', found=False)
            self.draft.comment(
                "dataset",
                unread.line or line_of(node),
                f"the rows of `{name}` are made by code ({unread.why}): put them into `data/{name}.jsonl`",
            )
        outputs = program.outputs or {}
        self.datasets[name] = (rows, Columns({**program.inputs, **outputs}))
        self.shapes[name] = program
        return name

    def _declare_rows(self) -> None:
        read: dict[str, str] = {}
        for _, columns in self.datasets.values():
            read |= columns.read  # a metric reads the same columns of all rows that it scores
        for name, (rows, columns) in self.datasets.items():
            program = self.shapes[name]
            inputs = rows.inputs or tuple(program.inputs)
            lines = [f"source = {rows.source}"]
            lines += [_column("input", one, program.inputs.get(one, "str"), rows) for one in inputs]
            known = {
                one: columns.known.get(one, "any") for one in rows.columns if one in (program.outputs or {})
            }
            fields = {
                **{one: kind for one, kind in read.items() if one not in inputs},
                **{one: kind for one, kind in known.items() if one not in inputs},
            }
            lines += [_column("field", one, kind or "any", rows) for one, kind in fields.items()]
            self.draft.add(
                "dataset", "\n".join([f"dataset {name} {{", *(f"  {line}" for line in lines), "}"])
            )

    def _source(self, node: ast.expr, name: str, deep: int) -> Rows:
        if deep > 10:
            raise Unread("their making is too long to follow", line_of(node))
        match node:
            case ast.Name(id=variable) if variable in self.file.values and variable not in self.file.changed:
                return self._source(self.file.values[variable], name, deep + 1)
            case ast.Subscript(value=value, slice=ast.Slice()):
                found = self._source(value, name, deep + 1)
                self.draft.say(
                    node.lineno,
                    f"`{name}` is a part of its rows there, and all of them here: say which in `split {{ … }}`",
                    lost=True,
                )
                return found
            case ast.ListComp(elt=element, generators=[ast.comprehension(iter=listed)]):
                found = self._source(listed, name, deep + 1)
                inputs, called = self._with_inputs(element), self._columns(element)
                others = {one: column for one, column in called.items() if one != column}
                return Rows(found.source, inputs or found.inputs, tuple(called) or found.columns, others)
            case ast.Subscript(value=ast.Call() as value, slice=ast.Constant(value=str() as split)):
                split_ = ast.keyword("split", ast.copy_location(ast.Constant(split), value))
                whole = ast.copy_location(ast.Call(value.func, value.args, [*value.keywords, split_]), value)
                return self._source(whole, name, deep + 1)
            case ast.Call(func=ast.Attribute(value=inner, attr="iterrows" | "to_dict" | "itertuples")):
                return self._source(inner, name, deep + 1)
            case ast.List(elts=items):
                return self._literal_rows(items, name)
            case ast.Attribute(value=ast.Name(id=variable)) if isinstance(
                self.file.values.get(variable), ast.Call
            ):
                return self._source(self.file.values[variable], name, deep + 1)
            case ast.Call():
                return self._called_source(node, name, deep)
            case _:
                raise Unread("what they are is not read", line_of(node))

    def _with_inputs(self, node: ast.expr) -> tuple[str, ...]:
        match node:
            case ast.Call(func=ast.Attribute(attr="with_inputs"), args=names):
                return tuple(text_of(self.file, one) for one in names)
            case _:
                return ()

    def _columns(self, node: ast.expr) -> dict[str, str]:
        """The fields of `dspy.Example(text=row["Text"], …)`, and the columns that they are."""
        if (
            isinstance(node, ast.Call)
            and isinstance(node.func, ast.Attribute)
            and node.func.attr == "with_inputs"
        ):
            node = node.func.value
        found: dict[str, str] = {}
        if isinstance(node, ast.Call) and self.file.framework(node.func) == "Example":
            for one in node.keywords:
                match one:
                    case ast.keyword(
                        arg=str() as field_, value=ast.Subscript(slice=ast.Constant(value=str() as column))
                    ):
                        found[field_] = column
                    case ast.keyword(arg=str() as field_, value=ast.Attribute(attr=column)):
                        found[field_] = column
                    case ast.keyword(arg=str() as field_):
                        raise Unread(f"`{field_}` of its examples is computed", node.lineno)
                    case _:
                        pass
        return found

    def _literal_rows(self, items: list[ast.expr], name: str) -> Rows:
        if not items or len(items) > MAX_ROWS:
            raise Unread(f"a list of {len(items)} examples", line_of(items[0]) if items else 0)
        lines: list[str] = []
        inputs: tuple[str, ...] = ()
        columns: dict[str, None] = {}
        for one in items:
            inputs = self._with_inputs(one) or inputs
            example = (
                one.func.value
                if isinstance(one, ast.Call)
                and isinstance(one.func, ast.Attribute)
                and one.func.attr == "with_inputs"
                else one
            )
            row: dict[str, JsonValue] = {}
            if isinstance(example, ast.Call) and self.file.framework(example.func) == "Example":
                pairs = {key.arg: key.value for key in example.keywords}
                inner = pairs.pop(None, None)
                row = {word: constant(self.file, value) for word, value in pairs.items() if word is not None}
                if inner is not None:
                    given = constant(self.file, inner)
                    row |= given if isinstance(given, dict) else {}
            elif isinstance(example, ast.Dict):
                given = constant(self.file, example)
                row = given if isinstance(given, dict) else {}
            if not row:
                raise Unread("an example that is no `dspy.Example` of constants", line_of(one))
            columns |= dict.fromkeys(map(str, row))
            lines.append(json.dumps(row, ensure_ascii=False))
        file = f"{self.file.module}.{name}.jsonl"
        self.draft.files[file] = "\n".join(lines) + "\n"
        return Rows(f"jsonl({quoted(file)})", inputs, tuple(columns))

    def _called_source(self, node: ast.Call, name: str, deep: int) -> Rows:
        function = self.file.dotted(node.func).rpartition(".")[2] or (
            node.func.attr if isinstance(node.func, ast.Attribute) else ""
        )
        given = {one.arg: one.value for one in node.keywords if one.arg is not None}
        args = node.args

        def said(word: str, place: int = -1) -> JsonValue:
            value = given.get(word, args[place] if 0 <= place < len(args) else None)
            return None if value is None else constant(self.file, value)

        match function:
            case "with_inputs" | "deepcopy" | "list" | "to_list" | "sample" if (
                isinstance(node.func, ast.Attribute) or args
            ):
                raise Unread("they are drawn by code", node.lineno)
            case "load_dataset":
                more = [f"split = {quoted(str(split))}" for split in [said("split")] if split]
                config = said("name", 1)
                more += [f"config = {quoted(str(config))}"] if config else []
                return Rows(f"huggingface({', '.join([quoted(str(said('path', 0))), *more])})")
            case "from_huggingface":
                more = [
                    f"split = {quoted(str(split))}" for split in [said("split")] if isinstance(split, str)
                ]
                source = f"huggingface({', '.join([quoted(str(said('dataset_name', 0))), *more])})"
                return Rows(source, _names(said("input_keys")), _names(said("fields")))
            case "from_csv" | "read_csv":
                return Rows(
                    f"csv({quoted(str(said('file_path', 0)))})",
                    _names(said("input_keys")),
                    _names(said("fields")),
                )
            case "from_json" | "read_json":
                path = str(said("file_path", 0))
                kind = "jsonl" if path.endswith("jsonl") or said("lines") else "json"
                return Rows(f"{kind}({quoted(path)})", _names(said("input_keys")), _names(said("fields")))
            case "from_parquet" | "read_parquet":
                return Rows(
                    f"parquet({quoted(str(said('file_path', 0)))})",
                    _names(said("input_keys")),
                    _names(said("fields")),
                )
            case "HotPotQA":
                self.draft.say(
                    node.lineno, "DSPy draws rows of HotPotQA with a seed of its own; here they are the hub's"
                )
                return Rows(
                    'huggingface("hotpotqa/hotpot_qa", config = "fullwiki", split = "train")',
                    ("question",),
                    ("question", "answer"),
                )
            case "GSM8K":
                self.draft.say(
                    node.lineno, "DSPy draws rows of GSM8K with a seed of its own; here they are the hub's"
                )
                return Rows(
                    'huggingface("openai/gsm8k", config = "main", split = "train")',
                    ("question",),
                    ("question", "answer"),
                )
            case _:
                raise Unread("what they are is not read", node.lineno)


def _column(role: str, name: str, kind: str, rows: Rows) -> str:
    called = rows.called.get(name)
    return f"{role} {plain_name(name)}: {kind}{f' = column({quoted(called)})' if called else ''}"


def _names(value: JsonValue) -> tuple[str, ...]:
    return tuple(str(one) for one in value) if isinstance(value, list) else ()
