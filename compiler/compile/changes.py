"""What a compile depends on, spelled out, so that two moments can be compared.

A snapshot holds everything a compile's calls follow from, one short value per place, under names a user
knows: `program.predictors.router.signature.instruction`, `steps.search.num_candidate_programs`, `train`.
It is made from the checked IR and the rows, so comments, formatting and the order of declarations
are not in it. The snapshot of the last compile is kept in the state folder: a memory for `dspc plan`,
which may vanish at any time, and from which nothing is ever replayed.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast

from msgspec import Struct
from pydantic import TypeAdapter, ValidationError

from dspec.runtime.running.bounds import calls_per_run
from dspec.runtime.schema.program import LM, canonical, digest
from dspec.runtime.schema.types import JsonValue

from .. import ir
from ..data import Rows, rows_digest
from ..data.rows import inputs_digests
from ..evaluate.digests import LM_PACE, TOOL_PACE, program_digest
from ..evaluate.judging import Judges
from ..evaluate.meter import Purpose
from ..evaluate.store import ProgramKey, Store
from ..project.files import write_text
from .bills import Seen
from .prepared import Prepared, Resolved

FORMAT = 1
_LONGEST = 60
"""Characters of a value that is kept as it is; a longer one by its beginning and its digest."""
_MAX_BYTES = 4 * 1024 * 1024

BUDGET = "budget."
EVALS = "evals."
PROGRAMS = "programs."
NOT_OF_STEPS = ("steps.", BUDGET, "order", "emit", EVALS)
"""Places that a step does not depend on, its own aside."""
NOT_OF_RESULTS = (BUDGET, EVALS)
"""Places that a result does not depend on."""
AWAITED = "compiled first"
"""The result of another block that is not there yet."""

Snapshot = dict[str, str]


class Change(Struct, frozen=True):
    """One place at which two snapshots differ. `before` or `after` is None where it did not exist."""

    place: str
    before: str | None
    after: str | None

    def __str__(self) -> str:
        if self.before is None:
            return f"{self.place}: new, {self.after}"
        if self.after is None:
            return f"{self.place}: gone, was {self.before}"
        return f"{self.place}: {self.before} → {self.after}"


@dataclass(frozen=True, slots=True)
class CompileRecord:
    """The last compile of one block that was complete. `calls` are those it needed, by step; `pace` is the mean
    duration of a call in seconds, of the last compile that made enough of them; `seen` says by purpose how it
    differed from what was expected by rule; `answered` tells that its evals came to
    their end, and that no run lacks an answer."""

    format: int
    snapshot: Snapshot
    calls: dict[str, int]
    pace: float | None = None
    seen: dict[Purpose, Seen] = field(default_factory=dict[Purpose, Seen])
    answered: bool = True


class Free(Struct, frozen=True):
    """What need not be paid again: rows of the baseline, whole steps by name, and their calls together."""

    rows: int = 0
    steps: tuple[str, ...] = ()
    calls: int = 0


_RECORD = TypeAdapter(CompileRecord)


def snapshot(prepared: Prepared, name: str) -> Snapshot:
    """Of optimize block `name`, with the rows of the evals that score its result."""
    project, resolved = prepared.project, prepared.resolved(name)
    optimize = resolved.optimize
    evals = [block for block in project.evals.values() if block.program == name]
    named = {name for name in (optimize.prompt_lm, optimize.teacher_lm) if name is not None}
    models = project.with_fallbacks(optimize.lms) | {name: project.lms[name] for name in sorted(named)}
    models |= resolved.student.lms
    for judge in resolved.metric.judges:
        models |= judge.program.lms
    results: dict[str, JsonValue] = {
        one: AWAITED if one in resolved.awaited else program_digest(project.made[one])[:12]
        for one in project.needed(name)
        if one in project.made
    }
    others = {
        one: program_digest(project.on_lm(one, None))[:12]
        for one in project.named(name)
        if one not in project.optimizes
    }
    student = resolved.student.model_dump(
        mode="json", exclude={"name": True, "lms": True, "tools": {"__all__": TOOL_PACE}}
    )
    plain: dict[str, JsonValue] = {
        "program": {"result": results[optimize.program]} if optimize.program in results else student,
        "models": {name: _settings(lm) for name, lm in models.items()},
        "metric": _metric(resolved.metric),
        "train": _rows(resolved.train),
        "val": _rows(resolved.val),
        "seed": optimize.seed,
        "on_error": optimize.on_error,
        **optimize.model_dump(
            mode="json", include={"lms", "minimize", "gate", "keep"}, exclude_defaults=True
        ),
        **(
            {"scoring": optimize.scoring}
            if len(resolved.raced) < len(resolved.val) or optimize.scoring == "none"
            else {}
        ),
        "budget": optimize.budget.model_dump(mode="json", exclude_none=True),
        "emit": optimize.emit,
        "prompt_lm": optimize.prompt_lm,
        "teacher_lm": optimize.teacher_lm,
        "steps": {step.name: step.model_dump(mode="json", exclude={"name"}) for step in optimize.steps},
        "order": [step.name for step in optimize.steps],
        **({"programs": {**results, **others}} if results or others else {}),
        **({"evals": {one.name: {"data": _rows(prepared.rows(one.data))} for one in evals}} if evals else {}),
    }
    found = dict(_leaves(plain, ""))
    for other in project.needed(name):
        inner = snapshot(prepared, other)
        found |= {
            f"{other}.{place}": value
            for place, value in inner.items()
            if not place.startswith(NOT_OF_RESULTS)
        }
    return found


def changes(before: Snapshot, after: Snapshot) -> tuple[Change, ...]:
    """In the order of the places' names.

    Older snapshots say nothing of evals and of the programs that steps name, so the first ones are not told as new.
    """
    places = {*before, *after}
    for kind in (EVALS, PROGRAMS):
        if not any(place.startswith(kind) for place in before):
            places = {place for place in places if not place.startswith(kind)}
    return tuple(
        Change(place, before.get(place), after.get(place))
        for place in sorted(places)
        if before.get(place) != after.get(place)
    )


def repeats(record: CompileRecord | None, now: Snapshot) -> bool:
    """Whether a compile asks what the last one asked, which is answered already, its evals as well."""
    if record is None or not record.answered:
        return False
    return all(change.place.startswith(BUDGET) for change in changes(record.snapshot, now))


def free(
    resolved: Resolved,
    now: Snapshot,
    record: CompileRecord | None,
    store: Store,
    others: Collection[str] = (),
) -> Free:
    """What is known already. Of the steps, only those that nothing changed for since a complete compile.

    `others` are the blocks whose results this one needs.
    """
    if resolved.awaited:
        return Free()  # nobody knows what it is about
    keyed = ProgramKey(resolved.student)
    baseline = resolved.raced if resolved.optimize.scoring != "none" else ()
    asked = () if store.is_empty() else baseline
    keys = [keyed.run(one, sample=0, temperature=None) for one in inputs_digests(asked)]
    known = store.lookup(keys)
    rows = len(known)
    calls = rows * calls_per_run(resolved.student)
    if resolved.metric.judges:
        runs = [(row, known[key].outputs) for row, key in zip(asked, keys, strict=True) if key in known]
        answered = [(row, outputs) for row, outputs in runs if outputs is not None]
        calls += Judges(resolved.metric).known(answered, store)
    if record is None or rows < len(baseline):
        return Free(rows, (), calls)
    changed = [change.place for change in changes(record.snapshot, now)]
    # Of another block only its result matters, and that has a place of its own.
    changed = [place for place in changed if not place.startswith(tuple(f"{name}." for name in others))]
    steps: list[str] = []
    for step in resolved.optimize.steps:
        # an earlier step knows nothing of a later one, and none of them of how much may be spent or what is scored after
        own = [place for place in changed if not place.startswith(NOT_OF_STEPS)]
        if own or any(place.startswith(f"steps.{step.name}.") for place in changed):
            break
        if step.name not in record.calls:
            break
        steps.append(step.name)
    return Free(rows, tuple(steps), calls + sum(record.calls[name] for name in steps))


def record_path(state: Path, source: Path, name: str) -> Path:
    return state / "compiles" / f"{digest([str(source.resolve()), name])[:24]}.json"


def remember(
    path: Path,
    now: Snapshot,
    calls: Mapping[str, int],
    pace: float | None = None,
    seen: Mapping[Purpose, Seen] | None = None,
    *,
    answered: bool = True,
) -> None:
    """Keeps the record of a complete compile, or leaves it where that is not possible. What it did not learn stays as it
    was."""
    earlier = recall(path)
    if earlier is not None:
        pace = earlier.pace if pace is None else pace
        seen = earlier.seen if seen is None else seen
    try:
        path.parent.mkdir(exist_ok=True)
        record = CompileRecord(FORMAT, now, dict(calls), pace, dict(seen or {}), answered)
        write_text(path, canonical(_RECORD.dump_python(record, mode="json")))
    except OSError:
        return


def recall(path: Path) -> CompileRecord | None:
    """The record, or None where there is none that can be used."""
    try:
        if path.stat().st_size > _MAX_BYTES:
            return None
        record = _RECORD.validate_python(json.loads(path.read_bytes()))
    except (OSError, ValueError, ValidationError, RecursionError):
        return None
    return record if record.format == FORMAT else None


def _settings(lm: LM) -> JsonValue:
    return cast(
        "JsonValue",
        lm.model_dump(mode="json", exclude={"name", "custom_endpoint", *LM_PACE}, exclude_none=True),
    )


def _metric(metric: ir.Metric) -> JsonValue:
    plain: dict[str, JsonValue] = metric.model_dump(mode="json", exclude={"name", "judges", "where"})
    if metric.judges:
        plain["judges"] = [
            judge.model_dump(mode="json", exclude={"program": {"name", "lms"}}) for judge in metric.judges
        ]
    return plain


def _rows(rows: Rows) -> str:
    return f"{len(rows)} rows, {rows_digest(rows)[:12]}"


def _leaves(value: JsonValue, place: str) -> Iterable[tuple[str, str]]:
    if isinstance(value, dict) and value:
        for name, inner in value.items():
            yield from _leaves(inner, f"{place}.{name}" if place else name)
        return
    if isinstance(value, list) and any(isinstance(inner, dict | list) for inner in value):
        for index, inner in enumerate(value):
            named = inner.get("name") if isinstance(inner, dict) else None
            yield from _leaves(inner, f"{place}.{named if isinstance(named, str) else index}")
        return
    text = canonical(value)
    if len(text) > _LONGEST:
        text = f"{text[: _LONGEST - 20]}… ({digest(value)[:8]})"
    yield place, text
