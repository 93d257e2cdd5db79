"""Rows as everything above the data sees them: a sequence of examples.

Those of a data file are kept by column (`ColumnarRows`). A row becomes an object when somebody asks for it, so a command
that only counts, measures, hashes or splits a million rows makes none.
"""

from __future__ import annotations

import hashlib
import json.encoder
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice, repeat
from typing import TypeVar, cast, overload

from dspec.runtime.schema.program import canonical, digest
from dspec.runtime.schema.types import JsonValue, Row

_AT_ONCE = 4_096
"""Digests that are joined before they are hashed."""
_quoted = json.encoder.encode_basestring
"""What `canonical` writes for a text: the encoder's own function, without what is around it."""


@dataclass(frozen=True, slots=True)
class Example:
    """One row: `index` counts from 0 in file order; `inputs` go to the program, `labels` do not."""

    index: int
    inputs: Row
    labels: Row
    number: int = field(default=0, repr=False, compare=False)
    """Where it stands in its file, as messages count: its line, or its row."""
    _digest: str = field(default="", init=False, repr=False, compare=False)

    @property
    def row(self) -> Row:
        return self.inputs | self.labels

    @property
    def digest(self) -> str:
        """SHA-256 of the row's canonical JSON; the row's identity wherever results are remembered."""
        if not self._digest:
            object.__setattr__(self, "_digest", digest(self.row))
        return self._digest


Rows = Sequence[Example]
Cells = Sequence[JsonValue]
"""The values of one column, row by row."""
_Item = TypeVar("_Item")


class ColumnarRows(Sequence[Example]):
    """Rows by column, each of them an `Example` from when it is first asked for on, always the same one.

    `columns` are the values by field name, for all of `inputs` and `labels`; `indexes` and `numbers` are those of the
    examples. None of it is changed afterwards.
    """

    __slots__ = ("_all", "_made", "columns", "indexes", "inputs", "labels", "numbers")

    def __init__(
        self,
        inputs: Sequence[str],
        labels: Sequence[str],
        columns: Mapping[str, Cells],
        indexes: Sequence[int],
        numbers: Sequence[int],
    ) -> None:
        self.inputs = tuple(inputs)
        self.labels = tuple(labels)
        self.columns = columns
        self.indexes = indexes
        self.numbers = numbers
        self._made: dict[int, Example] = {}
        self._all: tuple[Example, ...] | None = None
        """Once somebody has walked through them."""

    def __len__(self) -> int:
        return len(self.indexes)

    @overload
    def __getitem__(self, place: int) -> Example: ...
    @overload
    def __getitem__(self, place: slice) -> Rows: ...
    def __getitem__(self, place: int | slice) -> Example | Rows:
        if self._all is not None:
            return self._all[place]
        if isinstance(place, slice):
            return tuple(map(self._at, range(*place.indices(len(self)))))
        if not -len(self) <= place < len(self):
            raise IndexError(place)
        return self._at(place % len(self))

    def __iter__(self) -> Iterator[Example]:
        if self._all is None:
            self._all = tuple(map(self._at, range(len(self))))
            self._made.clear()
        return iter(self._all)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, ColumnarRows | tuple | list):
            return NotImplemented
        given = cast("Sequence[object]", other)
        return len(self) == len(given) and all(one == two for one, two in zip(self, given, strict=True))

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"ColumnarRows({len(self)} rows of {', '.join((*self.inputs, *self.labels))})"

    def take(self, places: Sequence[int]) -> ColumnarRows:
        """The rows at these places, in this order. They hold nothing of the others."""
        return ColumnarRows(
            self.inputs,
            self.labels,
            {name: _taken(column, places) for name, column in self.columns.items()},
            _taken(self.indexes, places),
            _taken(self.numbers, places),
        )

    def texts(self, names: Sequence[str]) -> Iterator[str]:
        """The canonical JSON of these columns of each row."""
        if not names:
            return repeat("{}", len(self))
        ordered = sorted(names)
        frame = ",".join(f"{_quoted(name)}:".replace("%", "%%") + "%s" for name in ordered)
        return map(
            f"{{{frame}}}".__mod__, zip(*(_written(self.columns[name]) for name in ordered), strict=True)
        )

    def _at(self, place: int) -> Example:
        found = self._made.get(place)
        if found is None:
            columns = self.columns
            found = self._made[place] = Example(
                self.indexes[place],
                {name: columns[name][place] for name in self.inputs},
                {name: columns[name][place] for name in self.labels},
                self.numbers[place],
            )
        return found


def _taken(items: Sequence[_Item], places: Sequence[int]) -> list[_Item]:
    return list(map(items.__getitem__, places))


def _written(cells: Cells) -> Iterable[str]:
    if only_texts(cells):
        return map(_quoted, cast("Sequence[str]", cells))
    return (_quoted(cell) if type(cell) is str else canonical(cell) for cell in cells)


def only_texts(cells: Sequence[object]) -> bool:
    """Whether all of the values are texts."""
    return set(map(type, cells)) == {str}


def columns_of(rows: Rows) -> Mapping[str, Cells]:
    """The rows' values by field name."""
    if isinstance(rows, ColumnarRows):
        return rows.columns
    each = [row.row for row in rows]
    return {name: [row.get(name) for row in each] for name in (each[0] if each else ())}


def take(rows: Rows, places: Sequence[int]) -> Rows:
    """The rows at these places, in this order."""
    return rows.take(places) if isinstance(rows, ColumnarRows) else tuple(_taken(rows, places))


def inputs_digests(rows: Rows) -> Iterator[str]:
    """`digest(row.inputs)` of each row."""
    if isinstance(rows, ColumnarRows):
        return map(_sha256, rows.texts(rows.inputs))
    return (digest(row.inputs) for row in rows)


def rows_digest(rows: Rows) -> str:
    """What rows are, in their order: the digest of the list of theirs."""
    if isinstance(rows, ColumnarRows):
        each = map(_sha256, rows.texts((*rows.inputs, *rows.labels)))
    else:
        each = (row.digest for row in rows)
    total = hashlib.sha256(b"[")
    ahead = ""
    while some := ",".join(f'"{one}"' for one in islice(each, _AT_ONCE)):
        total.update(f"{ahead}{some}".encode())
        ahead = ","
    total.update(b"]")
    return total.hexdigest()


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
