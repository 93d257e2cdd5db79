"""Short ways to write dataset declarations and their files in tests."""

from __future__ import annotations

import json
from pathlib import Path

from dspec.compiler import ir
from dspec.compiler.data import Example, Rows
from dspec.runtime.schema.program import FieldSpec
from dspec.runtime.schema.types import STR, JsonValue, OneOf, Type

INTENT = OneOf(values=("card_lost", "top_up", "other"))


def field(name: str, kind: Type = STR) -> FieldSpec:
    return FieldSpec(name=name, type=kind)


def defaulted(name: str, kind: Type, default: JsonValue) -> FieldSpec:
    return FieldSpec(name=name, type=kind, has_default=True, default=default)


def source(path: str, **options: JsonValue) -> ir.DataSource:
    return ir.DataSource.model_validate({"kind": path.rsplit(".")[-1], "path": path, "options": options})


def dataset(
    path: str = "rows.csv",
    *labels: FieldSpec,
    inputs: tuple[FieldSpec, ...] = (field("text"),),
    split: ir.Split | None = None,
    **options: JsonValue,
) -> ir.Dataset:
    """`inputs` are `text: str` unless given; `labels` are the `field` columns."""
    return ir.Dataset(
        name="tickets", source=source(path, **options), inputs=inputs, fields=labels, split=split
    )


def split(stratify: str | None = None, seed: int = 7, **sizes: str | float) -> ir.Split:
    """`train="20%"` or `train=5`."""
    parts = {
        name: ir.Amount(value=float(size[:-1]), unit="percent")
        if isinstance(size, str)
        else ir.Amount(value=size, unit="rows")
        for name, size in sizes.items()
    }
    return ir.Split(parts=parts, seed=seed, stratify=stratify)


def rows(count: int, classes: int = 3) -> Rows:
    return tuple(Example(i, {"text": f"t{i}"}, {"intent": f"c{i % classes}"}) for i in range(count))


def write(folder: Path, name: str, text: str | bytes) -> Path:
    path = folder / name
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return path


def jsonl(*values: JsonValue) -> str:
    return "".join(json.dumps(value) + "\n" for value in values)
