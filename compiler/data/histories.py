"""Whether the turns of rows are turns of the modules that a program hands them to."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Protocol

from dspec.runtime.schema.program import Program
from dspec.runtime.schema.types import JsonValue, Type
from dspec.runtime.values.media import is_history
from dspec.runtime.values.values import coerce

from .. import ir
from ..diagnostics.wording import plural
from .checking import sampled
from .media import MediaFiles, is_path
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


class GivenHistory(Protocol):
    """A history that a file gives for an input of a program."""

    @property
    def program(self) -> Program: ...
    @property
    def name(self) -> str: ...
    @property
    def type(self) -> Type: ...
    @property
    def turns(self) -> JsonValue: ...


def unfit_history(given: GivenHistory, media: MediaFiles) -> str:
    """Why a program cannot show a history; empty where it can."""
    from dspec.runtime.adapters.turns import turn_media, unfit_turns

    kinds = turn_media([given.program]).get(given.name, {})
    try:
        value = media.in_turns(given.turns, kinds)
        return unfit_turns(given.program, {given.name: coerce(value, given.type, {})})
    except ValueError as error:
        return str(error)


def paths_in(given: GivenHistory) -> Iterator[str]:
    """The files that the turns of a history name, by their paths from the folder."""
    from dspec.runtime.adapters.turns import turn_media

    kinds = turn_media([given.program]).get(given.name, {})
    for turn in given.turns if isinstance(given.turns, list) else ():
        for name, value in turn.items() if isinstance(turn, dict) else ():
            for one in value if isinstance(value, list) else [value]:
                if name in kinds and isinstance(one, str) and is_path(one.strip()):
                    yield one.strip()


def has_history(dataset: ir.Dataset) -> bool:
    """Whether a column of the dataset is one."""
    return any(is_history(column.type) for column in dataset.inputs)
