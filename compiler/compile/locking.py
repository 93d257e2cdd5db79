"""Holds an artifact against the source that it was made from: an artifact's provenance is the lock of its compile.

What is compared: the version of dspec, the bytes of files, and what they mean: program, rows, metric, steps, seeds, models.
A source whose text alone is another one (comments, layout) is the same. Data is held by its bytes: rows that no
block reads today may be read tomorrow. Nothing is fetched, run or asked.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from dspec.runtime.artifact.artifact import Artifact, MadeFrom
from dspec.runtime.artifact.verifying import Verified, compared
from dspec.runtime.running.inspecting import prompt_digests
from dspec.runtime.schema.ensemble import parts
from dspec.runtime.schema.program import Tool
from dspec.runtime.tools.base import ToolProblem
from dspec.runtime.tools.files import contents_digest, inside

from ..data import DataError, file_digest
from ..optimizers.base import OptimizerError
from .freshness import drift
from .prepared import Prepared
from .provenance import models_of, toolchain

NOT_SAID = "the artifact does not say"


def of_version(artifact: Artifact) -> Iterator[Verified]:
    """What of an artifact depends on the version of dspec alone: who compiled it, and its prompts as they are laid out now."""
    told = artifact.provenance
    yield compared(
        "version", "dspec", told.toolchain or None, toolchain(), "" if told.toolchain else NOT_SAID
    )
    now = prompt_digests(artifact.program)
    for address in dict.fromkeys([*told.prompts, *now]):
        then = told.prompts.get(address)
        yield compared("prompt", address, then, now.get(address), "" if then else NOT_SAID)


def of_tools(artifact: Artifact, root: Path) -> Iterator[Verified]:
    """The files of its tools, Python and rows, which lie below the project's root."""
    tools = {
        (str(tool.options["file"]), str(tool.options["sha256"])): tool
        for program in parts(artifact.program)
        for tool in program.tools.values()
        if tool.options.get("file") and tool.options.get("sha256")
    }
    for (file, then), tool in tools.items():
        yield _tool(tool, file, then, root)


def _tool(tool: Tool, file: str, then: str, root: Path) -> Verified:
    what, note = "python" if tool.source == "python" else "data", f"of the tool `{tool.name}`"
    try:
        return compared(what, file, then, contents_digest(inside(file, root)), note)
    except ToolProblem as problem:
        return Verified(what, file, "absent", then, None, str(problem))


def of_source(artifact: Artifact, prepared: Prepared, name: str) -> Iterator[Verified]:
    """The artifact of optimize block `name` against the checked project, which it was made from."""
    if artifact.name != name:
        yield Verified("artifact", "its block", "differs", artifact.name, name)
        return
    try:
        found = drift(artifact, prepared, name)
        files = prepared.files(name)
    except (DataError, OptimizerError) as error:
        yield from of_files(artifact, prepared.folder, prepared.root)
        yield Verified("meaning", name, "unknown", note=error.message)
        return
    yield from _files(artifact, files, changed=bool(found))
    told = artifact.provenance
    if not told.data:
        yield Verified("meaning", name, "unknown", told.source or None, note=NOT_SAID)
        return
    if prepared.resolved(name).awaited:
        yield Verified(
            "meaning", name, "unknown", note="it is made of the result of another block, which is not there"
        )
        return
    places = [f"rows of {role}" for role in told.data]
    for place in ("program", *places, "metric", "steps", "seed", "scoring"):
        changes = [one for one in found if _is_at(one.place, place)]
        if not changes and place not in ("scoring", "seed"):
            yield Verified("meaning", place, "same", *_hashes(artifact, place))
        yield from (Verified("meaning", one.place, "differs", one.before, one.after) for one in changes)
    resolved = prepared.resolved(name)
    now = models_of(prepared.project, resolved, prepared.project.on_declared(artifact.program))
    for role in dict.fromkeys([*told.models, *now]):
        yield compared("model", role, told.models.get(role) or "none", now.get(role, "none"))
    for one in found:
        if one.place.startswith("lm ") and not one.place.endswith(".model") and one.after != one.before:
            yield Verified("model", one.place.removeprefix("lm "), "differs", one.before, one.after)
        elif one.place.endswith(".lm"):
            yield Verified("model", one.place, "differs", one.before, one.after)


def _is_at(change: str, place: str) -> bool:
    if place == "steps":
        return change == "steps" or change.startswith("step ")
    return change.startswith("seed of ") if place == "seed" else change == place


def _hashes(artifact: Artifact, place: str) -> tuple[str | None, str | None]:
    told = artifact.provenance
    hashes = {"program": told.source, "metric": told.metric, "steps": told.options}
    hashes |= {f"rows of {role}": value for role, value in told.data.items()}
    return hashes[place], hashes[place]


def _files(artifact: Artifact, files: Sequence[MadeFrom], *, changed: bool) -> Iterator[Verified]:
    told = artifact.provenance
    if not told.files:
        yield Verified(
            "source",
            "files",
            "unknown",
            note="it was written before artifacts said which files they are made from",
        )
        return
    then = {(one.role, one.path): one.sha256 for one in told.files}
    now = {(one.role, one.path): one.sha256 for one in files}
    for key in dict.fromkeys([*then, *now]):
        role, path = key
        if key not in then:
            yield Verified(role, path, "differs", None, now[key], "it was none of the files")
        elif role == "source" and not changed and key in now and then[key] != now[key]:
            note = "its text is another one, and means the same"
            yield Verified(role, path, "same", then[key], now[key], note)
        else:
            yield compared(role, path, then[key], now.get(key))


def of_files(artifact: Artifact, folder: Path, root: Path) -> Iterator[Verified]:
    """The files that it was made from by their bytes alone, in the source's `folder`, inside the project's root."""
    for one in artifact.provenance.files:
        if one.role == "fetched":
            note = "the rows are elsewhere, and the source that names them was not read"
            yield Verified(one.role, one.path, "unknown", one.sha256, note=note)
            continue
        try:
            yield compared(one.role, one.path, one.sha256, file_digest(one.path, folder, root))
        except DataError as error:
            yield Verified(one.role, one.path, "absent", one.sha256, None, error.message)


def refused(checks: Sequence[Verified]) -> list[Verified]:
    """Those that a lock does not hold for."""
    return [one for one in checks if one.state in ("differs", "absent")]
