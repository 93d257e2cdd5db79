"""Whether the turns of rows are turns of the modules that a program hands them to."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from dspec.runtime.schema.program import Program
from dspec.runtime.values.media import is_history

from .. import ir
from ..diagnostics.wording import plural
from .checking import sampled
from .problem import DataProblem
from .rows import Example


def unfit_rows(
    dataset: ir.Dataset, rows: Sequence[Example], members: Sequence[Program]
) -> DataProblem | None:
    """Rows with a history that a program of `members` cannot show, or None."""
    if not has_history(dataset):
        return None
    from dspec.runtime.adapters.turns import unfit_turns  # few datasets have such a column

    broken = [
        (row, problem)
        for row in rows
        if (problem := next(filter(None, (unfit_turns(one, row.inputs) for one in members)), ""))
    ]
    if not broken:
        return None
    row, problem = broken[0]
    return DataProblem(
        kind="type_broken",
        message=f"{plural(len(broken), 'row')} of `{dataset.name}` {'has' if len(broken) == 1 else 'have'} a "
        f"history that the program cannot show, the first of them row {row.number or row.index + 1}: {problem}",
        help="a turn is an object with inputs and outputs of the signature that takes the history",
        count=len(broken),
    )


def unfit_turns_of(
    dataset: ir.Dataset, folder: Path, members: Sequence[Program], *, root: Path | None = None
) -> DataProblem | None:
    """The same of as many rows as a check reads of a large file. Nothing is said of a file that cannot be read."""
    if not has_history(dataset):
        return None
    from dspec.runtime.adapters.turns import turn_media  # few datasets have such a column

    found = sampled(dataset, folder, root, turn_media(members))
    return None if found is None else unfit_rows(dataset, found.examples, members)


def has_history(dataset: ir.Dataset) -> bool:
    """Whether a column of the dataset is one."""
    return any(is_history(column.type) for column in dataset.inputs)
