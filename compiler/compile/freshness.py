"""Says whether the artifact of an optimize block is what compiling the block would give now.

By the artifact alone, so that one which was copied here or checked in counts: its hashes of program, rows, metric,
steps and seed are compared with those of the source. Where the last compile is remembered here, what no artifact
tells (`emit`, settings of models) must be as it was, too.
"""

from __future__ import annotations

from pathlib import Path

from dspec.runtime.artifact.artifact import Artifact, read_artifact
from dspec.runtime.errors import ArtifactError
from dspec.runtime.schema.ensemble import Runnable, parts

from ..evaluate.digests import ANSWERS
from .changes import NOT_OF_RESULTS, CompileRecord, changes, snapshot
from .keeping import is_whole
from .prepared import Prepared
from .provenance import recipe


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
    told = artifact.provenance
    then = told.model_copy(update=recipe(resolved))
    if (
        artifact.name != name
        or not is_whole(artifact)
        or told != then
        or not _same_models(artifact, prepared, name)
    ):
        return None
    if record is not None:
        changed = [one.place for one in changes(record.snapshot, snapshot(prepared, name))]
        if any(not place.startswith(NOT_OF_RESULTS) for place in changed):
            return None
    return prepared.project.on_declared(artifact.program)


def _same_models(artifact: Artifact, prepared: Prepared, name: str) -> bool:
    """Whether its predictors ask the models that they would ask now, with what changes answers set as now."""
    student, declared = prepared.resolved(name).student, prepared.project.lms
    for program in parts(artifact.program):
        for key, lm in program.lms.items():
            now = declared.get(key)
            if now is None or any(getattr(now, member) != getattr(lm, member) for member in ANSWERS):
                return False
        for address, predictor in program.predictors.items():
            own = student.predictors.get(address)
            if own is not None and own.lm != predictor.lm:
                return False
    return True
