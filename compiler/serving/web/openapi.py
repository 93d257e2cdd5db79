"""The OpenAPI 3.1 document of a server: made of the programs' types, so that it says what is taken and what comes back."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import cast
from urllib.parse import quote

from dspec.runtime.schema.ensemble import Runnable
from dspec.runtime.schema.types import JsonValue

from ..schemas import JsonSchema, SchemaWriter, told_of

_STREAM = """A stream of server-sent events, for `Accept: text/event-stream`:

- `text`: `{"field", "text"}`, more of a text
- `value`: `{"field", "value"}`, an output that is whole
- `withdrawn`: `{"field", "why"}`, what was told of the output counts no more
- `result`: the last one, what a plain answer has
- `error`: the last one instead, with the `status` that a plain answer would have"""
_FAILURES: dict[str, str] = {
    "400": "The body is no JSON object.",
    "401": "The key is missing or wrong.",
    "408": "The body did not come in time.",
    "413": "The body is too large.",
    "415": "The body is not said to be JSON, or is packed.",
    "422": "Inputs do not fit: `details` says which, and why.",
    "429": "As many are being answered and wait as may.",
    "500": "The server cannot run the program.",
    "502": "The model does not answer, or its answer cannot be used.",
    "503": "The server is stopping, or there was no room in time.",
    "504": "There was no answer in time.",
}
_AGAIN = {"429", "503"}
_ERROR: JsonSchema = {
    "type": "object",
    "required": ["error"],
    "properties": {
        "error": {
            "type": "object",
            "required": ["kind", "message"],
            "properties": {
                "kind": {"type": "string"},
                "message": {"type": "string"},
                "details": {
                    "type": "array",
                    "items": {
                        "type": "object",
                        "required": ["where", "message"],
                        "properties": {"where": {"type": "string"}, "message": {"type": "string"}},
                    },
                },
            },
        }
    },
}
_USAGE: JsonSchema = {
    "type": "object",
    "required": ["calls", "replayed", "input_tokens", "output_tokens", "cost"],
    "properties": {
        "calls": {"type": "integer", "description": "Answers of models that were used."},
        "replayed": {"type": "integer", "description": "Those of them that were not paid for."},
        "input_tokens": {"type": "integer"},
        "output_tokens": {"type": "integer"},
        "cost": {
            "anyOf": [{"type": "number"}, {"type": "null"}],
            "description": "USD; null where a price is not known.",
        },
    },
}


def path_of(name: str) -> str:
    """Where a program is run."""
    return f"/run/{quote(name, safe='')}"


def openapi(
    programs: Mapping[str, Runnable], *, keyed: bool, version: str, recorded: Collection[str] = ()
) -> JsonSchema:
    """The document for these programs; `keyed` where requests need a key. Of those that are `recorded`, feedback is taken."""
    schemas: dict[str, JsonValue] = {"Error": _ERROR, "Usage": _USAGE}
    paths: dict[str, JsonValue] = {}
    for number, (name, program) in enumerate(programs.items()):
        prefix = name if name.isidentifier() and name.isascii() else f"program{number + 1}"
        operation = _operation(name, program, prefix, schemas, keyed=keyed)
        paths[path_of(name)] = {"post": operation}
        if len(programs) == 1:
            paths["/run"] = {"post": {**operation, "operationId": "run"}}
        if name in recorded:
            said = _feedback(name, prefix, keyed=keyed)
            paths[f"/feedback/{quote(name, safe='')}"] = {"post": said}
            if len(programs) == 1:
                paths["/feedback"] = {"post": {**said, "operationId": "feedback"}}
    paths["/health"] = {"get": _plain("Whether the server is alive.", ())}
    paths["/ready"] = {"get": _plain("Whether it takes requests.", ("503",))}
    metrics = _plain("What it did, in Prometheus' text format.", (), kind="text/plain")
    paths["/metrics"] = {"get": _secured(metrics) if keyed else metrics}
    components: dict[str, JsonValue] = {"schemas": schemas}
    if keyed:
        components["securitySchemes"] = {"key": {"type": "http", "scheme": "bearer"}}
    return {
        "openapi": "3.1.0",
        "info": {
            "title": ", ".join(programs),
            "version": version,
            "description": "Programs that `dspc serve` runs.",
        },
        "paths": paths,
        "components": components,
    }


def _operation(
    name: str, program: Runnable, prefix: str, schemas: dict[str, JsonValue], *, keyed: bool
) -> JsonSchema:
    writer = SchemaWriter(program.records, "#/components/schemas/", named=f"{prefix}.")
    schemas[f"{prefix}_inputs"] = writer.inputs(program)
    schemas[f"{prefix}_outputs"] = writer.members(program.outputs, given=False)
    schemas.update(writer.definitions)
    schemas[f"{prefix}_answer"] = {
        "type": "object",
        "required": ["id", "outputs", "notes", "usage"],
        "properties": {
            "id": {
                "type": "string",
                "description": "Names this run in the server's log; feedback names it, too.",
            },
            "outputs": {"$ref": f"#/components/schemas/{prefix}_outputs"},
            "notes": {
                "type": "array",
                "items": {"type": "string"},
                "description": "What is to be said of it besides.",
            },
            "usage": {"$ref": "#/components/schemas/Usage"},
        },
    }
    failures = {status: _failure(status) for status in _FAILURES if keyed or status != "401"}
    operation: JsonSchema = {
        "operationId": f"run_{prefix}",
        "summary": f"Run {name}",
        "requestBody": {
            "required": True,
            "content": {"application/json": {"schema": {"$ref": f"#/components/schemas/{prefix}_inputs"}}},
        },
        "responses": {
            "200": {
                "description": f"The outputs, and what they took. {_STREAM}",
                "content": {
                    "application/json": {"schema": {"$ref": f"#/components/schemas/{prefix}_answer"}},
                    "text/event-stream": {"schema": {"type": "string"}},
                },
            },
            **failures,
        },
    }
    if told := told_of(program):
        operation["description"] = told
    return _secured(operation) if keyed else operation


def _feedback(name: str, prefix: str, *, keyed: bool) -> JsonSchema:
    members: JsonSchema = {
        "id": {"type": "string", "description": "Of the answer that it is about."},
        "score": {"type": ["number", "boolean", "null"], "minimum": 0, "maximum": 1},
        "comment": {"type": ["string", "null"]},
        "label": {"description": "What would have been right, of a program with one output."},
        "outputs": {
            "type": ["object", "null"],
            "description": "What would have been right, by outputs' names.",
        },
    }
    schema: JsonSchema = {
        "type": "object",
        "required": ["id"],
        "properties": members,
        "additionalProperties": False,
    }
    operation: JsonSchema = {
        "operationId": f"feedback_{prefix}",
        "summary": f"Say how good an answer of {name} was",
        "requestBody": {"required": True, "content": {"application/json": {"schema": schema}}},
        "responses": {
            "202": {"description": "It is noted, and written within a second."},
            **{status: _failure(status) for status in ("400", "408", "413", "415", "422", "429", "503")},
        },
    }
    return _secured(operation) if keyed else operation


def _secured(operation: JsonSchema) -> JsonSchema:
    responses = cast("dict[str, JsonValue]", operation["responses"])
    return {
        **operation,
        "responses": {**responses, "401": _failure("401")},
        "security": [{"key": []}],
    }


def _failure(status: str) -> JsonSchema:
    told: JsonSchema = {
        "description": _FAILURES[status],
        "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}},
    }
    if status in _AGAIN:
        told["headers"] = {
            "Retry-After": {
                "description": "Seconds until it may be tried again.",
                "schema": {"type": "integer"},
            }
        }
    return told


def _plain(summary: str, failures: tuple[str, ...], kind: str = "application/json") -> JsonSchema:
    schema: JsonSchema = {"type": "string"} if kind == "text/plain" else {"type": "object"}
    responses: dict[str, JsonValue] = {
        "200": {"description": summary, "content": {kind: {"schema": schema}}},
        **{status: _failure(status) for status in failures},
    }
    return {"summary": summary, "responses": responses}
