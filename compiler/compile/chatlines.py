"""Rows as chat messages, a JSON object a line, as providers take them for training and for evaluation.

The prompt is the one that the runtime sends. The answer is that of the row's labels, laid out as a demo's is; a row without
labels has none.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path

from dspec.runtime.adapters import adapter_of
from dspec.runtime.errors import InputError
from dspec.runtime.running.inspecting import Prompt, prompts_of
from dspec.runtime.schema.ensemble import Runnable, programs
from dspec.runtime.schema.program import Demo, Predictor, Program
from dspec.runtime.schema.types import JsonValue, OptionalOf, Row, Type

from .. import ir
from ..data import load_rows
from ..data.probing import glance
from ..diagnostics.wording import plural


def chosen_prompt(prompts: Sequence[Prompt], predictor: str | None) -> Prompt:
    """The prompt that is wanted. Raises InputError where there is none, or several and nobody says which."""
    there = ", ".join(f"`{one.predictor}`" for one in prompts)
    wanted = [one for one in prompts if predictor is None or one.predictor == predictor]
    if not wanted:
        raise InputError(
            f"`{predictor}` asks nothing before another call"
            if predictor
            else "the program asks no model at first",
            help=f"what is asked first is {there}" if there else "",
        )
    if len({one.predictor for one in wanted}) > 1:
        raise InputError(f"several are asked first: {there}", help="say which: `--predictor NAME`")
    return wanted[0]


def as_messages(prompt: Prompt) -> list[dict[str, str]]:
    """The messages as chat endpoints take them."""
    return [{"role": role, "content": content} for role, content in prompt.messages]


def rows_of_file(program: Runnable, path: Path) -> tuple[tuple[Row, Row], ...]:
    """Inputs and labels of a file's rows; labels are those outputs that it has a column for. Raises DataError."""
    from ..data.sources.base import FileSource
    from ..data.sources.table import SOURCES

    kind = path.suffix.removeprefix(".")
    if not isinstance(SOURCES.get(kind), FileSource):
        raise InputError(f"{path} is no file of rows", help="rows are a csv, jsonl, json or parquet file")
    source = ir.DataSource(kind=kind, path=path.name)
    folder = path.absolute().parent
    columns = glance(source, folder, root=folder).columns
    outputs = {
        field.name: field
        for one in programs(program)
        for predictor in one.predictors.values()
        for field in predictor.signature.outputs
    }
    outputs |= {field.name: field for field in program.outputs}
    taken = {field.name for field in program.inputs}
    labels = tuple(
        field.model_copy(update={"type": _perhaps(field.type)})
        for name, field in outputs.items()
        if name in columns and name not in taken
    )
    dataset = ir.Dataset(
        name="rows", source=source, inputs=program.inputs, fields=labels, records=program.records
    )
    return tuple((one.inputs, one.labels) for one in load_rows(dataset, folder, root=folder))


def _perhaps(kind: Type) -> Type:
    """The type, or nothing: a row need not have every label."""
    return kind if isinstance(kind, OptionalOf) else OptionalOf(item=kind)


async def chat_lines(
    program: Program, rows: Sequence[tuple[Row, Row]], predictor: str | None
) -> tuple[list[str], list[str]]:
    """The lines, and what is to be said of them. Raises InputError and InputError."""
    lines: list[str] = []
    missing: dict[str, int] = {}
    for inputs, labels in rows:
        prompt = chosen_prompt(await prompts_of(program, inputs, None), predictor)
        messages = as_messages(prompt)
        asked = program.predictors[prompt.predictor]
        given: Row = {name: value for name, value in labels.items() if value is not None}
        answer = _answer(program, asked, inputs, given)
        if answer is not None:
            messages.append({"role": "assistant", "content": answer})
        for name in _absent(asked, given):
            missing[name] = missing.get(name, 0) + 1
        lines.append(json.dumps({"messages": messages}, ensure_ascii=False))
    said = [
        f"`{name}` is in {len(rows) - count} of {plural(len(rows), 'row')}: the other answers are without it"
        for name, count in missing.items()
    ]
    return lines, said


def _absent(predictor: Predictor, labels: Row) -> Iterator[str]:
    return (field.name for field in predictor.signature.outputs if field.name not in labels)


def _answer(program: Program, predictor: Predictor, inputs: Row, labels: Row) -> str | None:
    """What the model should have answered; None where the row has none of its outputs."""
    outputs = [field for field in predictor.signature.outputs if field.name in labels]
    if not outputs:
        return None
    lm = predictor.asks(program.lms)
    if lm is None or lm.two_step:
        raise InputError(
            f"`{predictor.signature.name}` is answered in two steps, in the model's own words",
            help='give its lm a layout: `adapter = "chat"`',
        )
    values: dict[str, JsonValue] = {field.name: labels[field.name] for field in outputs}
    return adapter_of(lm).answer(Demo(inputs=inputs, outputs=values), outputs)
