"""The page at `/docs`: what is served, and a form to try it. It is whole in itself and fetches nothing from elsewhere."""

from __future__ import annotations

import json
from collections.abc import Mapping
from html import escape

from dspec.runtime.schema.ensemble import Runnable
from dspec.runtime.schema.program import FieldSpec
from dspec.runtime.schema.types import (
    DictOf,
    JsonValue,
    ListOf,
    OneOf,
    OneOfNumbers,
    OptionalOf,
    Scalar,
    TupleOf,
    Type,
    spell,
)

from ..schemas import told_of
from .openapi import path_of

_STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; max-width: 52rem; margin: 2rem auto; padding: 0 1rem; color: #1c1c1c }
h2 { margin-top: 2.5rem } table { border-collapse: collapse; width: 100% }
td, th { text-align: left; padding: .3rem .6rem; border-bottom: 1px solid #ddd; vertical-align: top }
pre, textarea { font: 13px/1.45 ui-monospace, monospace; background: #f6f6f4; padding: .7rem; width: 100%; box-sizing: border-box;
border: 1px solid #ddd; border-radius: 4px; white-space: pre-wrap; overflow-wrap: anywhere }
button { font: inherit; padding: .3rem 1rem } p.told { white-space: pre-wrap }
"""
_SCRIPT = """
for (const form of document.querySelectorAll("form")) form.addEventListener("submit", async (event) => {
  event.preventDefault();
  const shown = form.querySelector("pre"), button = form.querySelector("button");
  button.disabled = true; shown.textContent = "…";
  try {
    const answer = await fetch(form.dataset.path, {method: "POST", headers: {"Content-Type": "application/json"},
      body: form.querySelector("textarea").value});
    const text = await answer.text();
    try { shown.textContent = answer.status + "\\n" + JSON.stringify(JSON.parse(text), null, 2); }
    catch { shown.textContent = answer.status + "\\n" + text; }
  } catch (error) { shown.textContent = String(error); }
  button.disabled = false;
});
"""


def policy(nonce: str) -> str:
    """The page's Content-Security-Policy."""
    return (
        f"default-src 'none'; style-src 'nonce-{nonce}'; script-src 'nonce-{nonce}'; connect-src 'self'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )


def page(programs: Mapping[str, Runnable], nonce: str, address: str) -> str:
    parts = [_program(name, program, address) for name, program in programs.items()]
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8"><title>dspc serve</title>'
        f'<style nonce="{nonce}">{_STYLE}</style></head><body><h1>Programs</h1>'
        '<p><a href="/openapi.json">OpenAPI document</a> · <a href="/metrics">metrics</a></p>'
        f'{"".join(parts)}<script nonce="{nonce}">{_SCRIPT}</script></body></html>'
    )


def _program(name: str, program: Runnable, address: str) -> str:
    example = json.dumps({field.name: _example(field) for field in program.inputs}, indent=2)
    path = path_of(name)
    quoted = example.replace("'", "'\\''")
    curl = f"curl -H 'Content-Type: application/json' -d '{quoted}' {address}{path}"
    return (
        f'<h2 id="{escape(name)}">{escape(name)}</h2><p class="told">{escape(told_of(program))}</p>'
        f"<p><code>POST {escape(path)}</code></p>"
        f"{_table('Inputs', program.inputs)}{_table('Outputs', program.outputs)}<pre>{escape(curl)}</pre>"
        f'<form data-path="{escape(path)}"><textarea rows="6" spellcheck="false">{escape(example)}</textarea>'
        "<button>Run</button><pre></pre></form>"
    )


def _table(title: str, fields: tuple[FieldSpec, ...]) -> str:
    rows = "".join(
        f"<tr><td><code>{escape(field.name)}</code></td><td><code>{escape(spell(field.type))}</code></td>"
        f"<td>{escape(field.description)}</td></tr>"
        for field in fields
    )
    return f"<table><tr><th>{title}</th><th>type</th><th></th></tr>{rows}</table>"


def _example(field: FieldSpec) -> JsonValue:
    return field.default if field.has_default else _value(field.type)


def _value(kind: Type) -> JsonValue:
    match kind:
        case Scalar(name="int"):
            return 1
        case Scalar(name="float"):
            return 0.5
        case Scalar(name="bool"):
            return True
        case Scalar(name="date"):
            return "2026-01-31"
        case Scalar(name="datetime"):
            return "2026-01-31T09:00:00"
        case Scalar(name="image" | "audio" | "file"):
            return "https://…"
        case Scalar(name="history") | ListOf():
            return []
        case OneOf(values=values):
            return values[0]
        case OneOfNumbers(values=numbers):
            return numbers[0]
        case OptionalOf():
            return None
        case TupleOf(items=items):
            return [_value(item) for item in items]
        case DictOf():
            return {}
        case Scalar():
            return "…"
        case _:
            return {}
