"""`--locked`: a command goes on only where an artifact still is what its source and its files would give; and what
`dspc verify` says of each of them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from .console import Exit, few, print_error

if TYPE_CHECKING:
    from dspec.runtime.artifact.artifact import Artifact
    from dspec.runtime.artifact.verifying import Verified

    from ..compile.prepared import Prepared

LockedOption = Annotated[
    bool,
    typer.Option(
        "--locked",
        help="Stop unless program, files, rows, models and dspec are what the artifact says it was made from.",
    ),
]
_SHOWN = 40


def refuse_unlocked(prepared: Prepared, names: Iterable[str], folder: Path) -> None:
    """Leaves with exit code 1 unless each of these optimize blocks is what its artifact in `folder` was made from, and that
    artifact is as it was written."""
    from dspec.runtime.artifact.verifying import verify_file

    from ..compile.locking import of_source, of_tools, of_version, refused

    for name in names:
        place = folder / f"{name}.dspc.json"
        if not place.exists():
            print_error(
                f"`{name}` is locked to nothing: there is no {place}",
                "an artifact is the lock of its compile: compile without --locked, and keep the artifact",
            )
            raise typer.Exit(Exit.FINDINGS)
        artifact, found = verify_file(place)
        if artifact is not None:
            found += of_version(artifact)
            found += of_tools(artifact, prepared.root)
            found += of_source(artifact, prepared, name)
        leave(place, refused(found))


def refuse_changed(place: Path, lm: str | None) -> None:
    """Leaves with exit code 1 unless the artifact at `place` is as it was written, and what it was made from is, as far as that
    is there; with 2 where it is to run on another model, `lm`."""
    from ..compile.locking import refused

    if lm is not None:
        print_error(f"--lm asks another model than {place} was compiled on", "leave out --lm, or --locked")
        raise typer.Exit(Exit.USAGE)
    # A program that runs away from its source is no drift.
    leave(place, [one for one in refused(looked_at(place)) if one.state == "differs" or one.what in _OWN])


_OWN = ("rows", "media", "weights")
"""What lies beside an artifact."""


def leave(place: Path, differences: Sequence[Verified]) -> None:
    """Leaves with exit code 1, naming each of the differences, if there are any."""
    if not differences:
        return
    lines = few([told(one) for one in differences], _SHOWN)
    print_error(
        f"this is not what {place} was made from:\n" + "\n".join(lines),
        "undo the change, or compile anew, without --locked, and keep the new artifact",
    )
    raise typer.Exit(Exit.FINDINGS)


def told(one: Verified) -> str:
    """One line: what it is, and how it differs."""
    name = one.name if one.what == "meaning" else f"{one.what} {one.name}"
    if one.state == "differs":
        change = f"{_short(one.then)} → {_short(one.now)}"
        return f"{name}: {change}{f' ({one.note})' if one.note else ''}"
    return f"{name}: {one.note or 'is not there'}"


def _short(value: str | None) -> str:
    if value is None:
        return "none"
    return value[:12] if len(value) == 64 and value.isalnum() else value


def looked_at(target: Path, source: Path | None = None) -> list[Verified]:
    """All that can be told of an artifact from here: its own file and what lies beside it, its prompts, the files that it
    was made from, and what the source means now. `source` is its .dspec file, looked for beside it if left out.

    Raises ArtifactError for a file that is no artifact. Asks no model, fetches nothing and runs nothing.
    """
    from dspec.runtime.artifact.verifying import Verified, verify_file

    from ..compile.locking import of_files, of_source, of_tools, of_version
    from ..project.state import project_root

    artifact, found = verify_file(target)
    if artifact is None:
        found.append(
            Verified("meaning", target.name, "unknown", note="it cannot be read without what lies beside it")
        )
        return found
    found += of_version(artifact)
    path = source or _source_of(target, artifact)
    place = target.absolute()
    base = path.resolve().parent if path is not None else place.parent
    root = project_root(path or (base if base.name == "compiled" else place))
    found += of_tools(artifact, root)
    if path is None:
        note = "no .dspec file by it declares its block; `--source` names it"
        found += [
            Verified(one.role, one.path, "unknown", one.sha256, note=note)
            for one in artifact.provenance.files
        ]
        found.append(Verified("meaning", artifact.name, "unknown", note=note))
        return found
    prepared = _prepared(path, artifact.name, target)
    if isinstance(prepared, str):
        found += of_files(artifact, base, root)
        found.append(Verified("meaning", artifact.name, "unknown", note=prepared))
        return found
    found += of_source(artifact, prepared, artifact.name)
    return found


def _source_of(target: Path, artifact: Artifact) -> Path | None:
    """The file that the artifact says it was made from, where it would lie; else the only one by it that declares the block."""
    from .report import places_of, source_of

    told_of = next((one.path for one in artifact.provenance.files if one.role == "source"), "")
    if told_of.endswith(".dspec") and "/" not in told_of and "\\" not in told_of:
        for base in places_of(target):
            if (base / told_of).is_file():
                return base / told_of
    return source_of(target, artifact.name)


def _prepared(path: Path, name: str, target: Path) -> Prepared | str:
    """The checked source, with the results of other blocks that lie beside the artifact; why there is none."""
    from dspec.runtime.artifact.artifact import read_artifact
    from dspec.runtime.errors import ArtifactError

    from ..check.analysis import analyse
    from ..compile.prepared import Prepared
    from ..data.needs import compile_needs
    from .quick import check_cache

    analysis = analyse(path, cache=check_cache(path))
    if analysis.project is None:
        return f"{path.name} has errors: `dspc check` tells them"
    project = analysis.project
    if name not in project.optimizes:
        return f"{path.name} declares no optimize block `{name}`"
    prepared = Prepared(
        project, path.resolve().parent, compile_needs(project, [name]), sources=analysis.sources
    )
    for other in project.in_order([name]):
        place = target.parent / f"{other}.dspc.json"
        if other != name and place.exists():
            try:
                prepared.made(other, project.on_declared(read_artifact(place).program))
            except ArtifactError:
                continue
    return prepared
