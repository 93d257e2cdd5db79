"""A plan together with what is known already: what `dspc plan` shows and `dspc compile --plan` holds to."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, cast

import typer
from msgspec import Struct, to_builtins

from dspec.runtime.errors import ConfigurationError
from dspec.runtime.schema.program import canonical

from .. import ir
from ..compile.bills import Bill
from ..compile.changes import (
    Change,
    CompileRecord,
    Free,
    Snapshot,
    changes,
    free,
    recall,
    record_path,
    repeats,
    snapshot,
)
from ..compile.pace import Duration, duration
from ..compile.plan import Plan, plan
from ..compile.prepared import Prepared, asked_in
from ..evaluate.store import Store
from ..project.state import project_root, state_folder
from .console import Exit, fail, few, print_error

if TYPE_CHECKING:
    from dspec.runtime.schema.types import JsonValue

THREADS = 16
_MAX_BYTES = 16 * 1024 * 1024
_SHOWN = 20


class Planned(Struct, frozen=True):
    """`changes` since the last complete compile; None where none is remembered.

    `expected` is what a compile is expected to take of which nothing is known yet, as the last one taught where it is
    `seen`. `before` are the plans of blocks that are compiled first because this one needs their results.
    """

    plan: Plan
    inputs: Snapshot
    free: Free
    changes: tuple[Change, ...] | None
    time: Duration
    expected: Bill
    budget: ir.Budget
    seen: bool = False
    repeats: bool = False
    """Asks what the last compile asked."""
    before: tuple[Planned, ...] = ()

    def in_all(self) -> tuple[int, int]:
        """Calls of this compile and of those before it, at least and at most."""
        plans = [one.plan for one in (*self.before, self)]
        return sum(one.least for one in plans), sum(one.most for one in plans)

    def to_json(self) -> str:
        """The plan's JSON with `inputs`, which `compile --plan` compares, `expected`, `free` and `seconds`."""
        plain = cast("dict[str, JsonValue]", json.loads(self.plan.to_json()))
        known: dict[str, JsonValue] = {
            "rows": self.free.rows,
            "steps": list(self.free.steps),
            "calls": self.free.calls,
        }
        seconds: dict[str, JsonValue] = {
            "least": self.time.least,
            "most": self.time.most,
            "per_call": list(self.time.per_call),
            "measured": self.time.measured,
        }
        if self.time.batched:
            seconds["batched"] = list(self.time.batched)
        found: dict[str, JsonValue] = {
            **plain,
            "inputs": dict(self.inputs),
            "expected": {**to_builtins(self.expected), "seen": self.seen},
            "free": known,
            "seconds": seconds,
        }
        if self.before:
            found["before"] = [cast("JsonValue", json.loads(one.to_json())) for one in self.before]
            found["in_all"] = list(self.in_all())
        return canonical(found)


def recalled(path: Path) -> Callable[[str], CompileRecord | None]:
    """What is remembered of the last compile of a block of the file at `path`."""

    def recall_one(name: str) -> CompileRecord | None:
        try:
            return recall(record_path(state_folder(project_root(path)), path, name))
        except ConfigurationError:
            return None

    return recall_one


def look(
    path: Path, prepared: Prepared, name: str, *, made: Plan | None = None, threads: int = THREADS
) -> Planned:
    """The plan of optimize block `name`, `made` if it is made already, and what the state folder knows of it.

    Makes no call.
    """
    resolved = prepared.resolved(name)
    inputs = snapshot(prepared, name)
    try:
        state = state_folder(project_root(path))
        with Store(state / "evaluations.sqlite") as store:
            record = recall(record_path(state, path, name))
            known = free(resolved, inputs, record, store, prepared.project.needed(name))
    except ConfigurationError:
        # a plan needs no state, and no address of a model
        record, known = None, Free()
    since = None if record is None else changes(record.snapshot, inputs)
    made = made or plan(prepared, name)
    time = duration(
        made.least,
        made.most,
        asked_in(prepared.project, resolved),
        threads=threads,
        measured=None if record is None else record.pace,
    )
    learned = {} if record is None else record.seen
    return Planned(
        made,
        inputs,
        known,
        since,
        time,
        made.expected(learned),
        resolved.optimize.budget,
        bool(learned),
        repeats(record, inputs),
    )


def refuse_drift(file: Path, path: Path, prepared: Prepared, made: Plan) -> None:
    """Leaves with exit code 1, saying what changed, unless the plan in `file` is still the plan, `made`."""
    name = made.optimize
    try:
        if file.stat().st_size > _MAX_BYTES:
            raise ValueError
        given = cast("JsonValue", json.loads(file.read_bytes()))
    except (OSError, ValueError, RecursionError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not JSON"
        fail(f"{file} cannot be read: {reason}", help="write it with `dspc plan --json`", code=Exit.USAGE)
    if not isinstance(given, dict) or not isinstance(given.get("inputs"), dict):
        fail(f"{file} is not a plan", help="write it with `dspc plan --json`", code=Exit.USAGE)
    if given.get("optimize") != name:
        fail(
            f"{file} is a plan of `{given.get('optimize')}`, not of `{name}`",
            help="name the block that the plan is for",
            code=Exit.USAGE,
        )
    now = cast("dict[str, JsonValue]", json.loads(look(path, prepared, name, made=made).to_json()))
    found = list(changes(_texts(given["inputs"]), _texts(now["inputs"])))
    found.extend(
        Change(name, canonical(given.get(name)), canonical(now.get(name)))
        for name in ("least", "most", "maximum")
        if canonical(given.get(name)) != canonical(now.get(name))
    )
    if not found:
        return
    lines = few([str(change) for change in found], _SHOWN)
    print_error(
        f"`{name}` is not what {file} planned:\n" + "\n".join(lines), "plan again, or undo the change"
    )
    raise typer.Exit(Exit.FINDINGS)


def _texts(inputs: JsonValue) -> Snapshot:
    plain = inputs if isinstance(inputs, dict) else {}
    return {place: text if isinstance(text, str) else canonical(text) for place, text in plain.items()}
