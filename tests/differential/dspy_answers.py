"""DSPy's side of the table of awkward answers. Runs in DSPy's environment:

    python dspy_answers.py CASES.json RESULTS.json

What its adapters make of each text, without asking anybody: values, or null where they raise an error.
"""

from __future__ import annotations

import datetime
import json
import logging
import sys
from pathlib import Path
from typing import Any, Literal, Union

import dspy
from dspy.adapters import ChatAdapter, JSONAdapter, XMLAdapter
from pydantic import BaseModel, create_model

SCALARS: dict[str, Any] = {
    "str": str,
    "int": int,
    "float": float,
    "bool": bool,
    "any": Any,
    "date": datetime.date,
    "datetime": datetime.datetime,
}
ADAPTERS = {"chat": ChatAdapter(), "json": JSONAdapter(), "xml": XMLAdapter()}


def python_type(kind: dict[str, Any], records: dict[str, type[BaseModel]]) -> Any:
    match kind["kind"]:
        case "scalar":
            return SCALARS[kind["name"]]
        case "one_of" | "one_of_numbers":
            return Literal[tuple(kind["values"])]
        case "optional":
            return python_type(kind["item"], records) | None
        case "list":
            return list[python_type(kind["item"], records)]
        case "dict":
            return dict[python_type(kind["key"], records), python_type(kind["value"], records)]
        case "tuple":
            return tuple[tuple(python_type(item, records) for item in kind["items"])]
        case "one_of_records":
            return Union[tuple(records[name] for name in kind["records"])]  # noqa: UP007  # how many, nobody knows
        case "record":
            return records[kind["name"]]
        case other:
            raise ValueError(f"no type of Python for {other}")


def models(records: dict[str, dict[str, Any]]) -> dict[str, type[BaseModel]]:
    made: dict[str, type[BaseModel]] = {}
    for name, members in records.items():
        fields: dict[str, Any] = {}
        for member, kind in members.items():
            hint = python_type(kind, made)
            fields[member] = (hint, None) if kind["kind"] == "optional" else (hint, ...)
        made[name] = create_model(name, **fields)
    return made


def plain(value: Any) -> Any:
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json")
    if isinstance(value, list | tuple):
        return [plain(element) for element in value]
    if isinstance(value, dict):
        return {name: plain(element) for name, element in value.items()}
    if isinstance(value, datetime.date | datetime.datetime):
        return value.isoformat()
    return value


def read(case: dict[str, Any], records: dict[str, type[BaseModel]]) -> Any:
    fields: dict[str, Any] = {"question": (str, dspy.InputField())}
    for name, kind in case["outputs"].items():
        fields[name] = (python_type(kind, records), dspy.OutputField())
    signature = dspy.Signature(fields, "Answer the question.")
    try:
        values = ADAPTERS[case["adapter"]].parse(signature, case["answer"])
        return {name: plain(value) for name, value in values.items()}
    except Exception:  # noqa: BLE001  # whichever error it is, there is no value
        return None


def main(given: str, results: str) -> None:
    logging.disable(logging.CRITICAL)
    work = json.loads(Path(given).read_text(encoding="utf-8"))
    records = models(work["records"])
    found = [read(case, records) for case in work["cases"]]
    Path(results).write_text(json.dumps(found, default=str), encoding="utf-8")


if __name__ == "__main__":
    main(*sys.argv[1:])
