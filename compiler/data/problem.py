"""What can be wrong with a dataset, as values.

Reading and splitting find problems and never print; the checker turns them into findings with
`report.diagnose`, a compile raises them as one `DataError`. Texts are complete sentences for users
and may quote cells of the file, so whoever shows them must escape control characters.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Literal

from dspec.runtime.errors import DspecError
from dspec.runtime.schema.types import Frozen, JsonValue

Kind = Literal[
    "unreadable",
    "outside",
    "unfetched",
    "malformed",
    "empty",
    "column_missing",
    "type_broken",
    "split",
    "stratify_column",
    "stratify_small",
    "duplicates",
    "long_values",
]
"""`unreadable` and `outside` (the project) concern the whole file, `malformed` some of its rows.

`unfetched` is no mistake while checking: the rows are elsewhere, and nobody has asked for them yet."""

WARNINGS: frozenset[Kind] = frozenset({"stratify_small", "duplicates", "long_values"})
"""Problems that do not stop a compile; all others do."""

SHOWN = 3
"""How many rows, values or columns a message names before it says how many more there are."""

_SHOWN_CHARACTERS = 40


class DataProblem(Frozen, defer_build=True):
    """One problem. `rows` are numbers as `unit` counts them, from 1: lines of a csv or jsonl file.

    `count` is how many rows (or inputs) are concerned; `rows` and `values` hold the first few.
    `part` and `others` name splits, `suggestions` the names or literals that may have been meant,
    best first.
    """

    kind: Kind
    message: str
    help: str = ""
    column: str | None = None
    part: str | None = None
    others: tuple[str, ...] = ()
    count: int = 0
    unit: Literal["line", "row"] = "row"
    rows: tuple[int, ...] = ()
    values: tuple[str, ...] = ()
    suggestions: tuple[str, ...] = ()

    @property
    def is_error(self) -> bool:
        return self.kind not in WARNINGS


class DataError(DspecError):
    """A dataset cannot be used. `problems` says why, the gravest first; there is at least one."""

    def __init__(self, problems: Sequence[DataProblem]) -> None:
        first = problems[0]
        more = len(problems) - 1
        suffix = f" (and {more} more problem{'s' if more > 1 else ''})" if more else ""
        super().__init__(first.message + suffix, help=first.help)
        self.problems = tuple(problems)


def unreadable(message: str, help: str = "") -> DataError:  # noqa: A002
    """The error for a file that cannot be read at all."""
    return DataError([DataProblem(kind="unreadable", message=message, help=help)])


def listed(items: Sequence[str], total: int | None = None, shown: int = SHOWN) -> str:
    """`a, b, c and 4 more`, out of `total` items of which `items` are the first."""
    total = len(items) if total is None else total
    head = list(items[:shown])
    if total > len(head):
        return f"{', '.join(head)} and {total - len(head):,} more"
    return ", ".join(head[:-1]) + f" and {head[-1]}" if len(head) > 1 else "".join(head)


def quoted(value: JsonValue) -> str:
    """A cell as a message shows it: JSON, cut to one short line."""
    if isinstance(value, str) and len(value) > _SHOWN_CHARACTERS:
        value = value[: _SHOWN_CHARACTERS - 1] + "…"
    try:
        text = json.dumps(value, ensure_ascii=False)
    except (ValueError, RecursionError):
        text = "a value too large to show"
    return text if len(text) <= 2 * _SHOWN_CHARACTERS else text[: 2 * _SHOWN_CHARACTERS - 1] + "…"
