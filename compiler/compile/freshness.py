"""Says whether the artifact of an optimize block is what compiling the block would give now.

By the artifact alone, so that one which was copied here or checked in counts: its hashes of program, rows, metric,
steps and seed are compared with those of the source. Where the last compile is remembered here, what no artifact
tells (`emit`, settings of models) must be as it was, too.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from dspec.runtime.artifact.artifact import Artifact, read_artifact
from dspec.runtime.errors import ArtifactError
from dspec.runtime.schema.ensemble import Runnable, parts
from dspec.runtime.schema.program import canonical, digest
from dspec.runtime.schema.types import JsonValue

from .. import ir
from ..evaluate.digests import ANSWERS
from .changes import NOT_OF_RESULTS, Change, CompileRecord, changes, snapshot
from .keeping import is_whole
from .prepared import Prepared
from .provenance import recipe, step_record


def result_in(path: Path, prepared: Prepared, name: str, record: CompileRecord | None) -> Runnable | None:
    """The program in the artifact of block `name`, or None where the block is to be compiled.

    Raises DataError for rows that cannot be used and OptimizerError for a block that cannot run.
    """
    resolved = prepared.resolved(name)
    if resolved.awaited:
        return None
    try:
        artifact = read_artifact(path)
    except ArtifactError:
        return None
    if artifact.name != name or not is_whole(artifact) or drift(artifact, prepared, name):
        return None
    if record is not None:
        changed = [one.place for one in changes(record.snapshot, snapshot(prepared, name))]
        if any(not place.startswith(NOT_OF_RESULTS) for place in changed):
            return None
    return prepared.project.on_declared(artifact.program)


def drift(artifact: Artifact, prepared: Prepared, name: str) -> tuple[Change, ...]:
    """What of block `name` is another than what the artifact says it was made from. Raises as `result_in`."""
    resolved, told = prepared.resolved(name), artifact.provenance
    now = recipe(resolved)
    found = [Change("program", _short(told.source), _short(now["source"]))]
    found += [
        Change(f"rows of {role}", _short(told.data.get(role)), _short(now["data"].get(role)))
        for role in dict.fromkeys([*told.data, *now["data"]])
    ]
    found.append(Change("metric", _short(told.metric), _short(now["metric"])))
    if told.options != now["options"]:
        found += _steps(artifact, resolved.optimize) or [
            Change("steps", _short(told.options), _short(now["options"]))
        ]
    found += [
        Change(f"seed of {role}", _text(told.seeds, role), _text(now["seeds"], role))
        for role in dict.fromkeys([*told.seeds, *now["seeds"]])
    ]
    found.append(Change("scoring", told.scoring, now["scoring"]))
    return (*(one for one in found if one.before != one.after), *_models(artifact, prepared, name))


def _steps(artifact: Artifact, optimize: ir.Optimize) -> list[Change]:
    """Options of steps that are other ones, as far as the artifact tells of its steps."""
    then = {step.name: step for step in artifact.provenance.steps}
    now = {step.name: step_record(step) for step in optimize.steps}
    found: list[Change] = []
    for name in dict.fromkeys([*then, *now]) if then else ():
        before, after = then.get(name), now.get(name)
        if before is None or after is None or before.optimizer != after.optimizer:
            sides = [None if one is None else one.optimizer for one in (before, after)]
            found.append(Change(f"step {name}", *sides))
            continue
        found += [
            Change(f"step {name}.{option}", _text(before.options, option), _text(after.options, option))
            for option in dict.fromkeys([*before.options, *after.options])
            if _text(before.options, option) != _text(after.options, option)
        ]
    return found


def _models(artifact: Artifact, prepared: Prepared, name: str) -> Iterator[Change]:
    """Models that predictors would ask now instead of theirs, and what changes answers of those that they ask."""
    resolved, declared = prepared.resolved(name), prepared.project.lms
    optimize, student = resolved.optimize, resolved.student
    for key in optimize.lms:
        then, now = artifact.provenance.models.get(key), declared[key].model
        if then != now and key not in artifact.program.lms:
            yield Change(f"lm {key}", then, now)
    free = prepared.project.open_in(optimize.program) if optimize.lms else ()
    for program in parts(artifact.program):
        for key, lm in program.lms.items():
            now = declared.get(key)
            if now is None:
                yield Change(f"lm {key}", lm.model, None)
                continue
            for member in sorted(ANSWERS):
                then, set_now = getattr(lm, member), getattr(now, member)
                if then != set_now:
                    yield Change(f"lm {key}.{member}", *map(_setting, (then, set_now)))
        for address, predictor in program.predictors.items():
            own = student.predictors.get(address)
            chosen = address in free and predictor.lm in optimize.lms
            if own is not None and own.lm != predictor.lm and not chosen:
                yield Change(f"{address}.lm", predictor.lm, own.lm)


def _setting(value: object) -> str | None:
    """A setting as a text; of what is sent besides, which may be anybody's, only that it is there."""
    if value is None or isinstance(value, bool | int | float | str):
        return None if value is None else str(value)
    return f"({digest(str(value))[:8]})"


def _text(values: Mapping[str, JsonValue], name: str) -> str | None:
    if name not in values:
        return None
    value = values[name]
    return value if isinstance(value, str) else canonical(value)


def _short(value: str | None) -> str | None:
    return value[:12] if value else None
