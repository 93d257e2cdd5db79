"""`dspc watch-drift`: recorded calls held against the rows that an artifact was compiled on."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dspec.runtime.errors import DspecError

from .console import Exit, fail, print_json, stdout

if TYPE_CHECKING:
    from dspec.runtime.artifact.artifact import Artifact
    from dspec.runtime.schema.types import Row

    from ..compile.drift import Drift


def watch_drift(
    artifact: Annotated[
        Path, typer.Argument(metavar="ARTIFACT", help="A compiled program (.dspc.json).", show_default=False)
    ],
    recorded: Annotated[
        Path,
        typer.Option(
            "--recorded", metavar="FILE", help="What its applications recorded.", show_default=False
        ),
    ],
    source: Annotated[
        Path | None,
        typer.Option(
            help="The .dspec file with the rows that it was compiled on; the one that declares its block if left out."
        ),
    ] = None,
    program: Annotated[
        str | None,
        typer.Option(
            help="Whose calls, of a file with those of several; if left out the artifact's.",
            show_default=False,
        ),
    ] = None,
    last: Annotated[
        int | None, typer.Option(min=1, metavar="N", help="Only the last N calls.", show_default=False)
    ] = None,
    alpha: Annotated[
        float,
        typer.Option(min=0.0, max=1.0, help="How rarely chance may be taken for drift, over all tests."),
    ] = 0.01,
    effect: Annotated[
        float, typer.Option(min=0.0, max=1.0, help="How large a difference must be to be drift, 0 to 1.")
    ] = 0.1,
    json: Annotated[bool, typer.Option("--json", help="For machines, on standard output.")] = False,
) -> None:
    """Compare recorded calls with what a program was compiled on: inputs, and scores that people gave. Leaves with 6 where they
    drifted. Asks no model."""
    from dspec.runtime.artifact.artifact import read_artifact

    from ..compile.drift import drift_of

    compiled = read_artifact(artifact, keys_given=lambda _: True)
    calls, scores = _recorded(recorded, program, compiled.name, last)
    rows, notes = _rows(artifact, compiled, source)
    score = compiled.scores.get("val", compiled.scores.get("train"))
    if not scores:
        notes.append("no call has a score by feedback, so scores are not compared")
    elif score is None:
        notes.append("the artifact carries no score, so scores are not compared")
    found = drift_of(
        compiled.name,
        compiled.program.inputs,
        rows,
        calls,
        score,
        scores,
        alpha=alpha,
        effect=effect,
        notes=notes,
    )
    if json:
        print_json(_as_json(found))
    else:
        _draw(found)
    if found.drifted:
        raise typer.Exit(Exit.DRIFTED)


def _recorded(path: Path, program: str | None, name: str, last: int | None) -> tuple[list[Row], list[float]]:
    """The inputs of a program's calls, and the scores that were given to them. Where nobody says which program is meant it is the
    one of that `name`, or the only one."""
    from dspec.runtime.running.recording.reading import NoRecordFile, RecordedCalls

    from ..data.tables import MAX_ROWS, parse_json

    if not path.is_file():
        fail(f"{path} is no file", help="name what `load(…, record = …)` writes", code=Exit.USAGE)
    calls: deque[tuple[Row, float | None]] = deque(maxlen=last or MAX_ROWS)
    try:
        with RecordedCalls(path.resolve()) as there:
            meant = _meant(there.programs(), program, name, path)
            for call in there.calls():
                if call.program != meant or call.inputs is None:
                    continue
                try:
                    inputs = parse_json(call.inputs)
                except ValueError as error:
                    raise NoRecordFile(f"is damaged: call {call.number} is not JSON: {error}") from None
                if isinstance(inputs, dict):
                    calls.append((inputs, None if call.said is None else call.said.score))
    except NoRecordFile as error:
        fail(f"{path} {error}", code=Exit.USAGE)
    return [inputs for inputs, _ in calls], [score for _, score in calls if score is not None]


def _meant(programs: Mapping[str, int], program: str | None, name: str, path: Path) -> str:
    meant = program or (name if name in programs or len(programs) != 1 else next(iter(programs)))
    if meant not in programs:
        names = ", ".join(f"`{one[:60]}`" for one in list(programs)[:12])
        advice = f"it has those of {names}: `--program` says which" if programs else "it has none at all"
        fail(f"{path} has no calls of `{meant}`", help=advice, code=Exit.USAGE)
    return meant


def _rows(artifact: Path, compiled: Artifact, source: Path | None) -> tuple[list[Row], list[str]]:
    """The inputs of the rows that it was compiled on, and why there are none, or others."""
    from ..compile.reports.compare import data_of
    from .report import prepared_for, source_of

    block = compiled.name
    path = source or source_of(artifact, block)
    if path is None:
        return [], [f"no .dspec file by {artifact} declares `optimize {block}`: `--source` names it"]
    try:
        prepared, _ = prepared_for(path, block, artifact.parent)
        resolved = prepared.resolved(block)
        now = data_of(prepared, block)
    except DspecError as error:
        return [], [f"no rows to compare with: {error.message}"]
    notes = [
        f"the rows of {role} are not those that it was compiled on"
        for role, value in now.items()
        if compiled.provenance.data.get(role) not in (None, value)
    ]
    parts = [resolved.train] if resolved.optimize.val is None else [resolved.train, resolved.val]
    return [row.inputs for rows in parts for row in rows], notes


def _as_json(found: Drift) -> str:
    """`{"version": 1, "program": …, "rows": n, "calls": n, "scored": n, "alpha": …, "effect": …, "drifted": bool, "tests":
    [{"field", "test", "before", "after", "effect", "p_value", "corrected", "drifted", "new"}], "notes": […]}`."""
    import json

    from msgspec import to_builtins

    told = to_builtins(found)
    tests = told.pop("lines")
    return json.dumps(
        {"version": 1, **told, "drifted": found.drifted, "tests": tests}, indent=2, ensure_ascii=False
    )


def _draw(found: Drift) -> None:
    from rich.table import Table
    from rich.text import Text

    from ..diagnostics.wording import plural
    from .controls import plain

    console = stdout()
    console.print(
        f"{plain(found.program)}: {plural(found.calls, 'recorded call')}, {found.scored:,} of them scored, beside "
        f"{plural(found.rows, 'row')} that it was compiled on",
        markup=False,
    )
    if found.lines:
        grid = Table(box=None, pad_edge=False, header_style="dim")
        for name in ("", "", "compiled on", "now", "effect", "p", ""):
            grid.add_column(name, overflow="fold")
        for line in found.lines:
            after = line.after + (f"; new: {', '.join(line.new)}" if line.new else "")
            sure = "< 0.0001" if line.corrected < 0.0001 else f"{line.corrected:.4f}"
            mark = Text("drifted", "bold red") if line.drifted else Text("")
            grid.add_row(
                *(plain(line.field) or "(score)", line.test, plain(line.before), plain(after)),
                *(f"{line.effect:.2f}", sure, mark),
            )
        console.print(grid)
    for note in found.notes:
        console.print(f"note: {plain(note)}", markup=False)
    names = [line.field or "score" for line in found.lines if line.drifted]
    told = f"drifted: {', '.join(dict.fromkeys(map(plain, names)))}" if names else "no drift"
    console.print(Text(told, "bold red" if names else "green"))
