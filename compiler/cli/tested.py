"""Results of tests: in words for people, as JSON and for JUnit's XML (`junit`) for machines.

The JSON is stable: `{"version": 1, "tests": […]}`, a record for each test in the files' order. No format holds a time,
so that equal answers give equal bytes.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from dspec.runtime.schema.types import JsonValue
from dspec.runtime.schema.usage import Spent
from dspec.runtime.values.values import short

from ..compile.testing import Expected, Tested
from ..diagnostics.wording import plural
from .junit import CaseSuite, JUnitCase, Outcome
from .results import told_money

if TYPE_CHECKING:
    from rich.console import Console

Results = Sequence[tuple[Path, Sequence[Tested]]]
"""Files with their tests."""


def draw_failure(console: Console, tested: Tested) -> None:
    """A test's line, and below it what was expected in vain."""
    word = {"passed": "ok", "failed": "FAILED", "unfinished": "not finished"}[tested.status]
    console.print(f"{word:<6}  {tested.test.name}", markup=False)
    for line in reasons(tested):
        console.print(f"        {line}", markup=False)


def reasons(tested: Tested) -> list[str]:
    """Why a test did not pass, line by line."""
    lines: list[str] = []
    if tested.error is not None:
        lines.append(f"{tested.test.where}: {tested.error.message}")
        if tested.error.help:
            lines.append(f"  help: {tested.error.help}")
    for one in tested.expected:
        if not one.held:
            lines.append(f"{one.where}: expect {one.text}")
            lines += [f"  {shown.text} = {short(shown.value)}" for shown in one.shown]
            if one.error:
                lines.append(f"  it cannot be told: {one.error}")
    return lines


def draw_total(console: Console, results: Results) -> None:
    every = [tested for _, found in results for tested in found]
    counts = {
        status: sum(one.status == status for one in every) for status in ("passed", "failed", "unfinished")
    }
    told = [f"{count} {status}" for status, count in counts.items() if count or status == "passed"]
    console.print(f"\n{plural(len(every), 'test')}: {', '.join(told)}", markup=False)
    used, paid = _sum(one.used for one in every), _sum(one.paid for one in every)
    now = f"{plural(paid.calls, 'call')} asked now, {told_money(paid)}" if paid.calls else "none asked now"
    console.print(
        f"{plural(used.calls, 'answer')}, worth {told_money(used)}; {now}", style="dim", markup=False
    )


def tests_json(results: Results) -> str:
    found: list[JsonValue] = [_test(path, tested) for path, several in results for tested in several]
    return json.dumps({"version": 1, "tests": found}, indent=2, ensure_ascii=False)


def suites(results: Results) -> list[CaseSuite]:
    """For JUnit: one suite for each file, one case for each test."""
    outcomes: Mapping[str, Outcome] = {"passed": "passed", "failed": "failed", "unfinished": "error"}
    return [
        CaseSuite(
            str(path),
            path,
            [JUnitCase(one.test.name, outcomes[one.status], reasons(one)) for one in found],
        )
        for path, found in results
    ]


def _test(path: Path, tested: Tested) -> dict[str, JsonValue]:
    error = tested.error
    return {
        "file": str(path),
        "name": tested.test.name,
        "place": tested.test.where,
        "program": tested.test.program,
        "status": tested.status,
        "error": None if error is None else {"message": error.message, "help": error.help},
        "outputs": tested.outputs,
        "expectations": [_expectation(one) for one in tested.expected],
        "calls": tested.used.calls,
        "cost_usd": tested.used.known_usd,
        "asked_now": tested.paid.calls,
        "paid_usd": tested.paid.known_usd,
    }


def _expectation(one: Expected) -> dict[str, JsonValue]:
    return {
        "text": one.text,
        "place": one.where,
        "held": one.held,
        "values": {shown.text: shown.value for shown in one.shown},
        "error": one.error or None,
    }


def _sum(spent: Iterable[Spent]) -> Spent:
    return sum(spent, Spent())
