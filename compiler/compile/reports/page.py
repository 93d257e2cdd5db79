"""Draws a report as one HTML file that needs nothing else: no network, no other file, no server.

Everything that came from data or a model is text in it: the template escapes it, the rows are JSON that cannot end its
element, and the script puts it into the page as text nodes. A Content-Security-Policy allows the two inline
blocks by their digests, and nothing else. Equal facts give equal bytes.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterable
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any, cast

from msgspec import to_builtins
from pydantic import BaseModel

from dspec.runtime.schema.lms import LM
from dspec.runtime.schema.types import JsonValue

from .facts import ReportFacts, RowLook, RowTable
from .headline import answers, cost_text, many, money, points
from .prompting import told
from .secrets import Covering

if TYPE_CHECKING:
    from jinja2 import Template

_ROOM = 24 * 1024 * 1024
"""Characters that the values of all rows may take; where they take more, long ones are cut shorter."""
_CUTS = (20_000, 4_000, 1_000, 300, 80)
"""Characters of a value, each tried where the one before takes too much room."""


def page_of(facts: ReportFacts, lms: Iterable[LM] = ()) -> bytes:
    """The page, in UTF-8. `lms` are the models whose keys must not be in it, wherever they come from."""
    covering = Covering(lms)
    cut, rows = _rows(facts)
    plain: dict[str, Any] = to_builtins(
        {
            name: getattr(facts, name)
            for name in facts.__struct_fields__
            if name not in ("tables", "troubles")
        },
        enc_hook=_encoded,
    )
    view: dict[str, Any] = {
        **plain,
        "answers": to_builtins(answers(facts)),
        "tables": rows,
        "troubles": _troubles(facts),
        "cut": cut,
    }
    view = cast("dict[str, Any]", covering.value(view))
    css, script = _text("report.css"), _text("report.js")
    data = {name: view[name] for name in ("tables", "trials", "start", "troubles")}
    html = _template().render(
        **{name: value for name, value in view.items() if name != "tables"},
        shown=[{name: table[name] for name in table if name != "rows"} for table in view["tables"]],
        css=css,
        script=script,
        policy=f"default-src 'none'; style-src {_source(css)}; script-src {_source(script)}; base-uri 'none'; form-action 'none'",
        data=_embedded(data),
    )
    # Half of a surrogate pair is no character, and no file of text can hold it.
    return html.encode("utf-8", "replace")


def _encoded(value: object) -> object:
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json")
    raise NotImplementedError


def _rows(facts: ReportFacts) -> tuple[int, list[dict[str, JsonValue]]]:
    """The tables for the script, and at how many characters a value is cut."""
    for cut in _CUTS:
        tables = [_table(table, cut) for table in facts.tables]
        if cut == _CUTS[-1] or sum(len(json.dumps(table)) for table in tables) <= _ROOM:
            return cut, tables
    raise AssertionError("the last cut is taken whatever it gives")


def _table(table: RowTable, cut: int) -> dict[str, JsonValue]:
    labels = table.labels
    gold, output = (labels.gold, labels.output) if labels else table.main
    return {
        "title": table.title,
        "about": table.about,
        "metric": table.metric,
        "before": table.before_name,
        "after": table.after_name,
        "inputs": list(table.inputs),
        "golds": list(table.golds),
        "outputs": list(table.outputs),
        "gold": _place(table.golds, gold),
        "output": _place(table.outputs, output),
        "labels": None if labels is None else list(labels.values),
        "rows": [
            [
                row.example.index + 1,
                [told(row.example.inputs.get(name), cut) for name in table.inputs],
                [told(row.example.labels.get(name), cut) for name in table.golds],
                _look(row.before, table.outputs, cut),
                _look(row.after, table.outputs, cut),
            ]
            for row in table.rows
        ],
    }


def _place(names: tuple[str, ...], name: str) -> int:
    return names.index(name) if name in names else -1


def _look(look: RowLook | None, outputs: tuple[str, ...], cut: int) -> JsonValue:
    if look is None:
        return None
    values: JsonValue = None
    if look.outputs is not None:
        values = [told(look.outputs.get(name), cut) for name in outputs]
    spent, flaws = look.spent, look.flaws
    marks = ("f" if look.failed else "") + ("r" if flaws.repaired else "") + ("c" if flaws.cut else "")
    marks += "u" if flaws.unreadable else ""
    cost = cost_text(spent) if spent.calls else ""
    return [round(look.score, 6), values, told(look.reason, cut), spent.calls, spent.tokens, cost, marks]


def _troubles(facts: ReportFacts) -> list[JsonValue]:
    found: list[JsonValue] = []
    for one in facts.troubles:
        table = facts.tables[one.table]
        row = table.rows[one.row]
        found.append(
            {
                "table": one.table,
                "row": one.row,
                "side": one.side,
                "where": f"{table.title}, row {row.example.index + 1}",
                "program": table.before_name if one.side == "before" else table.after_name,
                "reason": told(one.reason, _CUTS[1]),
                "flaws": {
                    "cut off": one.flaws.cut,
                    "guessed at": one.flaws.repaired,
                    "unreadable": one.flaws.unreadable,
                },
                "exchanges": [
                    {
                        "step": said.step,
                        "model": said.model,
                        "messages": [
                            [role, told(text, _CUTS[1])] for role, text in _last(said.messages, said.answers)
                        ],
                        "answers": [told(text, _CUTS[1]) for text in said.answers],
                        "notes": list(said.notes),
                        "error": said.error,
                    }
                    for said in one.exchanges
                ],
            }
        )
    return found


def _last(messages: tuple[tuple[str, str], ...], answers: tuple[str, ...]) -> tuple[tuple[str, str], ...]:
    """The question and what followed it; demos and instructions before it are the prompt's, shown once elsewhere."""
    return messages[-(2 * max(1, len(answers)) - 1) :]


def _embedded(value: JsonValue) -> str:
    """JSON that is safe inside a script element: no character in it can end that, or begin a comment."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    for character in "<>&\u2028\u2029":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return text


def _source(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def _text(name: str) -> str:
    return files("dspec.compiler.compile.reports").joinpath("page", name).read_text("utf-8")


@cache
def _template() -> Template:
    from jinja2 import StrictUndefined
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    environment = ImmutableSandboxedEnvironment(
        undefined=StrictUndefined, autoescape=True, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters.update(points=points, money=money, many=many, cost=_cost)
    return environment.from_string(_text("report.html.j2"))


def _cost(spent: dict[str, int]) -> str:
    if spent["unpriced"]:
        return "unpriced"
    return money(spent["cost"] / 10**12)
