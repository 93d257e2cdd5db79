"""Reads the rows of a DSPy script as `dataset` declarations."""

from __future__ import annotations

import ast
import json
from collections.abc import Mapping

from msgspec import Struct, field

from dspec.runtime.schema.types import JsonValue

from ...diagnostics.wording import plural
from .callables import CalledPart
from .drafts import Draft, Unread, plain_name, quoted
from .python_source import PythonFile, constant, line_of, text_of
from .scores import Columns

MAX_ROWS = 5_000


class Rows(Struct, frozen=True):
    """Rows that a script names: where they come from, and their columns as far as the script tells them."""

    source: str
    inputs: tuple[str, ...] = ()
    columns: tuple[str, ...] = ()
    called: Mapping[str, str] = {}
    """What the source calls a column, where that is another name."""


class ScriptRows(Struct):
    """The rows that a script names, each declared once."""

    file: PythonFile
    draft: Draft
    datasets: dict[str, tuple[Rows, Columns]] = field(default_factory=dict[str, tuple[Rows, Columns]])
    """By the name of the declaration."""
    shapes: dict[str, CalledPart] = field(default_factory=dict[str, CalledPart])
    """The program that they are for, by that name."""

    def named(self, node: ast.expr, program: CalledPart) -> str:
        """The name of the dataset that an expression is, for a program."""
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
            rows = Rows(f'jsonl("data/{name}.jsonl")')
            self.draft.comment(
                "dataset",
                unread.line or line_of(node),
                f"the rows of `{name}` are made by code ({unread.why}): put them into `data/{name}.jsonl`",
            )
        outputs = program.outputs or {}
        self.datasets[name] = (rows, Columns({**program.inputs, **outputs}))
        self.shapes[name] = program
        return name

    def declare(self) -> None:
        """Declares all of them, once metrics have told which columns they read."""
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
        node = _example(node)
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
            raise Unread(f"a list of {plural(len(items), 'example')}", line_of(items[0]) if items else 0)
        lines: list[str] = []
        inputs: tuple[str, ...] = ()
        columns: dict[str, None] = {}
        for one in items:
            inputs = self._with_inputs(one) or inputs
            example = _example(one)
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


def _example(node: ast.expr) -> ast.expr:
    """`dspy.Example(…)` of `dspy.Example(…).with_inputs(…)`."""
    match node:
        case ast.Call(func=ast.Attribute(value=example, attr="with_inputs")):
            return example
        case _:
            return node


def _column(role: str, name: str, kind: str, rows: Rows) -> str:
    called = rows.called.get(name)
    return f"{role} {plain_name(name)}: {kind}{f' = column({quoted(called)})' if called else ''}"


def _names(value: JsonValue) -> tuple[str, ...]:
    return tuple(str(one) for one in value) if isinstance(value, list) else ()
