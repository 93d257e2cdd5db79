"""Reads what a command wrote with `--json`, and holds it against the schema that is published for it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema

SCHEMAS = Path(__file__).resolve().parent.parent.parent / "docs" / "schemas"


def schema_text(name: str) -> str:
    return (SCHEMAS / f"{name}.schema.json").read_text(encoding="utf-8")


@cache
def _validator(name: str) -> jsonschema.Draft202012Validator:
    return jsonschema.Draft202012Validator(json.loads(schema_text(name)))


def read(name: str, text: str) -> Any:
    """The value of an output that its schema takes as it is, not without any of its members, and with none that it does not tell
    of."""
    made, check = json.loads(text), _validator(name)
    check.validate(made)
    untold = sorted(set(_untold(made, check.schema, check.schema, "")))
    assert not untold, f"docs/schemas/{name}.schema.json does not tell of {untold}"
    for member in made:
        fewer = {key: value for key, value in made.items() if key != member}
        assert not check.is_valid(fewer), f"{name}: `{member}` may be missing"
    return made


def _untold(value: Any, here: Any, schema: Any, at: str) -> Iterator[str]:
    if "$ref" in here:
        here = schema["$defs"][here["$ref"].rpartition("/")[2]]
    several = [one for one in here.get("anyOf", ()) if one.get("type") != "null"]
    if several:
        if value is not None and len(several) == 1:
            yield from _untold(value, several[0], schema, at)
    elif isinstance(value, list) and isinstance(here.get("items"), dict):
        for one in value:
            yield from _untold(one, here["items"], schema, at)
    elif isinstance(value, dict) and "properties" in here:
        for name, one in value.items():
            if name in here["properties"]:
                yield from _untold(one, here["properties"][name], schema, f"{at}.{name}")
            else:
                yield f"{at}.{name}"
