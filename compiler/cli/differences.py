"""How `dspc diff` shows two artifacts: side by side for people, as JSON for machines.

The JSON is stable: `{"version": 1, "before": …, "after": …, "breaking": bool, "contract": [...], "scores": [...], "rows": [...],
"settings": [...], "prompts": [...], "compile": {...}, "missing": [...]}`. Scores and differences are in 0..1, costs in USD.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import TYPE_CHECKING

from msgspec import to_builtins
from rich.table import Table
from rich.text import Text

from dspec.runtime.artifact.artifact import Score
from dspec.runtime.schema.types import JsonValue
from dspec.runtime.schema.usage import Spent

from ..compile.reports.facts import ComparedRow, DemoFacts, PromptFacts, RowLook, RowTable, TextChange
from ..compile.reports.headline import cost_text, money, points
from ..compile.reports.prompting import told
from ..diagnostics.wording import plural
from .plainly import plain

if TYPE_CHECKING:
    from rich.console import Console

    from ..compile.reports.compare import Comparison

_SHOWN = 12
"""Flipped rows that are shown of one dataset, and demos of one predictor."""
_ANSWER = 18
"""Columns of an answer at most."""


def draw(console: Console, result: Comparison) -> None:
    console.print(Text.assemble((plain(result.names[0]), "bold"), " → ", (plain(result.names[1]), "bold")))
    _draw_contract(console, result)
    draw_scores(console, result)
    for table in result.tables:
        draw_rows(console, table)
    _draw_cost(console, result)
    if result.settings:
        console.print(Text("\nsettings", "bold"))
        grid = _grid(result.names)
        for one in result.settings:
            grid.add_row(plain(one.place), plain(one.before or "–"), plain(one.after or "–"))
        console.print(grid)
    for prompt in result.prompts:
        _draw_prompt(console, prompt, result.names)
    for line in result.missing:
        console.print(f"\nnote: {plain(line)}", markup=False)


def _grid(names: tuple[str, str], first: str = "") -> Table:
    table = Table(box=None, pad_edge=False, header_style="dim")
    table.add_column(first, style="dim")
    for name in names:
        table.add_column(plain(name), ratio=1, overflow="fold")
    return table


def _draw_contract(console: Console, result: Comparison) -> None:
    if not result.contract:
        console.print("contract: the same inputs and outputs")
        return
    console.print(Text("\ncontract", "bold"))
    for one in result.contract:
        mark = Text("breaks  ", "bold red") if one.breaking else Text("fits    ", "green")
        console.print(Text.assemble("  ", mark, plain(one.text)))


def draw_scores(console: Console, result: Comparison) -> None:
    for pair in result.scores:
        gain = ""
        if pair.before is not None and pair.after is not None:
            gain = (
                f" ({points(pair.after.score - pair.before.score)})"
                if pair.same_rows
                else " (not of the same rows)"
            )
        console.print(f"on {pair.role}: {_score(pair.before)} → {_score(pair.after)}{gain}", markup=False)


def _score(score: Score | None) -> str:
    if score is None:
        return "not scored"
    return f"{score.metric} {100 * score.score:.1f} ({100 * score.low:.1f} to {100 * score.high:.1f}, {plural(score.n, 'row')})"


def _flipped(table: RowTable) -> list[ComparedRow]:
    """Rows whose score changed, those that fell first."""
    return sorted(
        (row for row in table.rows if row.change), key=lambda row: (row.change > 0, row.example.index)
    )


def draw_rows(
    console: Console, table: RowTable, more: str = ": `--json` has all, `--out` a page of them"
) -> None:
    """The rows that flipped, those that fell first; `more` is said where not all are shown."""
    pair = table.paired
    assert pair is not None, "others are left out"
    rows = pair.better + pair.worse + pair.same
    sure = "" if pair.low > 0 or pair.high < 0 else ": no real difference"
    console.print(
        f"\n{table.title} ({table.about}), {plural(rows, 'row')}: {pair.better:,} better, {pair.worse:,} worse; "
        f"{points(pair.difference)} ({points(pair.low)} to {points(pair.high)}){sure}",
        markup=False,
    )
    flipped = _flipped(table)
    if not flipped:
        return
    shown = Table(box=None, pad_edge=False, header_style="dim")
    golds = [name for name in _pair(table)[:1] if name]
    answers = (*(plain(name) for name in golds), plain(table.before_name), plain(table.after_name))
    for name in ("row", "score", *answers, " · ".join(map(plain, table.inputs))):
        shown.add_column(name, no_wrap=True, overflow="ellipsis")
    # The inputs take what is left: a column that may shrink would take the others along.
    room = max(16, console.width - 18 - len(answers) * (_ANSWER + 2))
    for row in flipped[:_SHOWN]:
        number, score, *said, inputs = _cells(table, row)
        shown.add_row(number, score, *(_cut(one, _ANSWER) for one in said), _cut(inputs, room))
    console.print(shown)
    if len(flipped) > _SHOWN:
        console.print(f"  and {len(flipped) - _SHOWN:,} more{more}", style="dim")


def _cut(text: Text | str, width: int) -> Text:
    text = Text(text) if isinstance(text, str) else text
    text.truncate(width, overflow="ellipsis")
    return text


def _cells(table: RowTable, row: ComparedRow) -> Iterator[Text | str]:
    gold, output = _pair(table)
    golds = [gold] if gold else []
    yield str(row.example.index + 1)
    before, after = row.before, row.after
    assert before is not None, "a row that is not known does not flip"
    assert after is not None, "likewise"
    yield Text(f"{100 * before.score:g} → {100 * after.score:g}", "green" if row.change > 0 else "red")
    for name in golds:
        yield _line(row.example.labels.get(name))
    for look in (before, after):
        yield "failed" if look.outputs is None else _line(look.outputs.get(output))
    yield " · ".join(_line(row.example.inputs.get(name)) for name in table.inputs)


def _pair(table: RowTable) -> tuple[str, str]:
    """The column and the output that are shown."""
    return table.main if table.labels is None else (table.labels.gold, table.labels.output)


def _line(value: JsonValue) -> str:
    return plain(" ".join(told(value, 200).split()))


def _draw_cost(console: Console, result: Comparison) -> None:
    for table in result.tables[:1]:
        old, new = (_mean(table.known(side)) for side in ("before", "after"))
        console.print(f"\na run: {old} → {new}", markup=False)
    old, new = result.spent
    console.print(
        f"compile: {plural(old.calls, 'call')}, {cost_text(old)} → {plural(new.calls, 'call')}, {cost_text(new)}",
        markup=False,
    )


def _mean(looks: list[RowLook]) -> str:
    spent = sum((look.spent for look in looks), Spent())
    usd = spent.known_usd
    cost = "unpriced" if usd is None else money(usd / len(looks))
    return f"{spent.tokens / len(looks):,.0f} tokens, {cost}"


def _draw_prompt(console: Console, prompt: PromptFacts, names: tuple[str, str]) -> None:
    moved = [demo for demo in prompt.demos if demo.state != "kept"]
    texts = [change for change in prompt.texts if change.changed]
    if not texts and not moved:
        return
    console.print(Text.assemble("\n", (plain(prompt.address), "bold")))
    grid = _grid(names)
    for change in texts:
        grid.add_row(change.name, _sided(change, "gone"), _sided(change, "new"))
    gone = [demo for demo in moved if demo.state == "gone"]
    new = [demo for demo in moved if demo.state == "new"]
    kept = len(prompt.demos) - len(moved)
    if moved:
        grid.add_row(
            "demos",
            *(
                f"{kept + len(one)}, {len(one)} of them here alone" if one else f"{kept}"
                for one in (gone, new)
            ),
        )
    for place in range(min(_SHOWN, max(len(gone), len(new)))):
        cells = [_demo(side[place]) if place < len(side) else "" for side in (gone, new)]
        grid.add_row("", Text(cells[0], "red"), Text(cells[1], "green"))
    console.print(grid)
    if max(len(gone), len(new)) > _SHOWN:
        console.print("  and more: `--json` has all, `--out` a page of them", style="dim")


def _demo(demo: DemoFacts) -> str:
    sides = (", ".join(_line(value) for _, value in side) for side in (demo.inputs, demo.outputs))
    return " → ".join(sides)


def _sided(change: TextChange, kind: str) -> Text:
    """One side of a text, with the words marked that are there alone."""
    style = "red" if kind == "gone" else "green"
    return Text.assemble(
        *(
            (plain(span.text), style if span.kind == kind else "")
            for span in change.spans
            if span.kind in ("same", kind)
        )
    )


def as_json(result: Comparison) -> str:
    value: dict[str, JsonValue] = {
        "version": 1,
        "before": result.names[0],
        "after": result.names[1],
        "breaking": result.breaks,
        "contract": to_builtins(result.contract),
        "scores": [
            {
                "role": one.role,
                "before": None if one.before is None else one.before.model_dump(mode="json"),
                "after": None if one.after is None else one.after.model_dump(mode="json"),
                "same_rows": one.same_rows,
            }
            for one in result.scores
        ],
        "rows": [_table_json(table) for table in result.tables],
        "settings": to_builtins(result.settings),
        "prompts": [
            {
                "predictor": one.address,
                "texts": to_builtins([change for change in one.texts if change.changed]),
                "demos": to_builtins(one.demos),
            }
            for one in result.prompts
        ],
        "compile": {"before": _spent(result.spent[0]), "after": _spent(result.spent[1])},
        "missing": list(result.missing),
    }
    return json.dumps(value, indent=2, ensure_ascii=False)


def _table_json(table: RowTable) -> JsonValue:
    both = [row for row in table.rows if row.before is not None and row.after is not None]
    sides = {
        side: [look for row in both if (look := getattr(row, side)) is not None]
        for side in ("before", "after")
    }
    return {
        "title": table.title,
        "data": table.about,
        "metric": table.metric,
        "rows": len(table.rows),
        "compared": len(both),
        "comparison": to_builtins(table.paired),
        "per_run": {
            side: _spent(sum((look.spent for look in looks), Spent()), len(looks))
            for side, looks in sides.items()
        },
        "flipped": [
            {
                "row": row.example.index + 1,
                "id": row.example.digest[:16],
                "inputs": row.example.inputs,
                "gold": row.example.labels,
                "before": _look_json(row.before),
                "after": _look_json(row.after),
            }
            for row in _flipped(table)
        ],
    }


def _look_json(look: RowLook | None) -> JsonValue:
    return None if look is None else {"score": look.score, "outputs": look.outputs, "reason": look.reason}


def _spent(spent: Spent, of: int = 1) -> JsonValue:
    usd = spent.known_usd
    return {
        "calls": spent.calls / of if of > 1 else spent.calls,
        "input_tokens": spent.input_tokens / of if of > 1 else spent.input_tokens,
        "output_tokens": spent.output_tokens / of if of > 1 else spent.output_tokens,
        "cost_usd": None if usd is None else usd / of,
    }
