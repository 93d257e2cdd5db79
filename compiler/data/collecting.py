"""Rows: a dataset's examples in memory, typed, in file order.

`collect` is the one loop that reads a table; a check and a compile differ only in how much they
read and in what they do with the problems. Rows in which nothing is wrong are typed by column, many at once.
"""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from functools import partial
from pathlib import Path, PurePath
from types import MappingProxyType
from typing import Literal

from msgspec import Struct
from msgspec.structs import replace

from dspec.runtime.schema.program import FieldSpec
from dspec.runtime.schema.types import JsonValue, Type, spell

from .. import ir
from ..diagnostics.spelling import closest
from ..diagnostics.wording import plural
from . import opening
from .columns import BrokenCell, KnownCells, is_by_column, literals, typed_column, typed_row
from .media import MediaFiles, beside
from .problem import SHOWN, DataError, DataProblem, listed, quoted, unreadable
from .reading import open_table
from .rows import Cells, ColumnarRows, Rows
from .sources.table import source_of
from .tables import MAX_ROWS, Batch, BrokenRow, RawRow, RawRows, Table


class Collected(Struct, frozen=True):
    """`examples` are the rows that could be read; `complete` says the table was read to its end."""

    examples: Rows
    problems: list[DataProblem]
    seen: int
    complete: bool
    unit: Literal["line", "row"] = "row"
    """What the examples' numbers count."""
    undeclared: tuple[str, ...] = ()
    """Columns of the source that the dataset does not declare, as far as they could be names."""


NO_TURNS: Mapping[str, Mapping[str, Type]] = MappingProxyType({})


def load_rows(
    dataset: ir.Dataset,
    folder: Path,
    *,
    root: Path | None = None,
    turns: Mapping[str, Mapping[str, Type]] = NO_TURNS,
) -> Rows:
    """Every row of `dataset`, in file order. `folder` is the declaring file's, `root` the project's; `turns` are the fields
    of a history's turns that are media, as those programs have them that take the rows.

    Raises DataError with every problem found: the file cannot be read or is empty, columns are
    missing, rows are broken or break the declared types.
    """
    with open_table(dataset.source, folder, root) as table:
        advice = "take a sample of it: an optimizer needs hundreds of rows, not millions"
        if table.size > opening.MAX_FILE_BYTES:
            size = f"{table.size >> 20:,} MiB; at most {opening.MAX_FILE_BYTES >> 20:,} can be read"
            raise unreadable(f"`{table.name}` has {size}", advice)
        media = MediaFiles(beside(dataset.source, folder), root or opening.root_of(folder), glancing=False)
        collected = collect(dataset, table, media, turns=turns, max_rows=MAX_ROWS)
    if collected.problems:
        raise DataError(collected.problems)
    if not collected.complete:
        raise unreadable(f"`{table.name}` has more than {plural(MAX_ROWS, 'row')}", advice)
    return collected.examples


MOST_UNDECLARED = 200
"""Columns that are kept of those that nobody declares."""


def collect(
    dataset: ir.Dataset,
    table: Table,
    media: MediaFiles,
    *,
    turns: Mapping[str, Mapping[str, Type]] = NO_TURNS,
    max_rows: int,
    max_bytes: int = opening.MAX_FILE_BYTES,
) -> Collected:
    """Read up to `max_rows` rows or `max_bytes` bytes. Raises DataError only for an unreadable file."""
    table = renamed(table, dataset.columns)
    specs = dataset.inputs + dataset.fields
    absent = _absent_from_header(specs, table)
    gathered = _Gathered(dataset, table, media, turns, absent)
    complete = True
    if table.batches is not None and table.size <= max_bytes:
        for batch in table.batches(max_rows + 1):
            if gathered.seen + batch.count > max_rows:
                for raw in batch.each()[: max_rows - gathered.seen]:
                    gathered.row(raw)
                complete = False
                break
            gathered.batch(batch)
    else:
        for raw in table.rows:
            if gathered.seen >= max_rows or table.consumed() > max_bytes:
                complete = False
                break
            gathered.row(raw)
    seen, keys, faults = gathered.seen, gathered.keys, gathered.faults
    if seen == 0:
        problem = DataProblem(kind="empty", message=f"`{table.name}` has no rows")
        if (other := _other_delimiter(table, specs)) is not None:
            return Collected((), [other], 0, complete)
        missing = _missing(table, absent, Counter(table.columns or ()), dataset.columns)
        return Collected((), [*missing, problem], 0, complete)
    if table.columns is None and keys:
        absent = [spec.name for spec in specs if spec.name not in gathered.present and not spec.has_default]
    known = Counter(table.columns) if table.columns is not None else keys
    if (other := _other_delimiter(table, specs)) is not None:
        return Collected((), [other], seen, complete)
    if (headless := _no_header(table, absent, specs, dataset)) is not None:
        return Collected((), [headless], seen, complete)
    problems = [
        *faults.malformed(),
        *_missing(table, absent, known, dataset.columns),
        *faults.mistyped(absent),
    ]
    declared = {spec.name for spec in specs}
    undeclared = tuple(name for name in known if name.isidentifier() and name not in declared)
    return Collected(gathered.rows(), problems, seen, complete, table.unit, undeclared[:MOST_UNDECLARED])


class _Gathered:
    """What was read so far: the good rows by column, and what is wrong with the others."""

    def __init__(
        self,
        dataset: ir.Dataset,
        table: Table,
        media: MediaFiles,
        turns: Mapping[str, Mapping[str, Type]],
        absent: list[str],
    ) -> None:
        specs = dataset.inputs + dataset.fields
        self.seen = 0
        self.present: set[str] = set()
        """Declared columns that some row has, where rows name their own."""
        self.keys: Counter[str] = Counter()
        """All columns that rows name, the first ones."""
        self.faults = _Faults(table, {spec.name: spec for spec in specs})
        self._inputs = [spec.name for spec in dataset.inputs]
        self._labels = [spec.name for spec in dataset.fields]
        self._usable = [spec for spec in specs if spec.name not in absent]
        self._whole = not absent
        self._table = table
        self._typed = partial(typed_row, records=dataset.records, media=media, turns=turns, text=table.text)
        self._by_column = not absent and all(is_by_column(spec, turns) for spec in specs)
        self._known = {
            spec.name: KnownCells(spec, dataset.records, media, text=table.text) for spec in self._usable
        }
        self._columns: dict[str, list[JsonValue]] = {name: [] for name in (*self._inputs, *self._labels)}
        self._indexes = array("q")
        self._numbers = array("q")

    def row(self, raw: RawRow | BrokenRow) -> None:
        self.seen += 1
        if isinstance(raw, BrokenRow):
            self.faults.broken(raw)
            return
        if self._table.columns is None:
            self.present.update(name for name in self._columns if name in raw.values)
            _count_keys(self.keys, raw.values)
        row, broken = self._typed(raw, self._usable)
        if broken:
            self.faults.add(raw.number, broken)
        elif self._whole:
            for name, column in self._columns.items():
                column.append(row[name])
            self._indexes.append(self.seen - 1)
            self._numbers.append(raw.number)

    def batch(self, batch: Batch) -> None:
        """All rows of it at once, where nothing is wrong with any; else one by one, which says what is."""
        found = self._typed_columns(batch)
        if found is None:
            for raw in batch.each():
                self.row(raw)
            return
        if self._table.columns is None:
            for shape in batch.shapes:
                self.present.update(name for name in self._columns if name in shape)
                _count_keys(self.keys, shape)
        for name, cells in found.items():
            self._columns[name].extend(cells)
        self._indexes.extend(range(self.seen, self.seen + batch.count))
        self._numbers.extend(batch.numbers)
        self.seen += batch.count

    def _typed_columns(self, batch: Batch) -> dict[str, Cells] | None:
        if batch.column is None or not self._by_column:
            return None
        found: dict[str, Cells] = {}
        for spec in self._usable:
            have = [spec.name in shape for shape in batch.shapes]
            if any(have) and not all(have):
                return None
            given = batch.column(spec.name) if any(have) else None
            cells = typed_column(given, batch.count, spec, self._known[spec.name])
            if cells is None:
                return None
            found[spec.name] = cells
        return found

    def rows(self) -> ColumnarRows:
        return ColumnarRows(self._inputs, self._labels, self._columns, self._indexes, self._numbers)


def _absent_from_header(specs: tuple[FieldSpec, ...], table: Table) -> list[str]:
    if table.columns is None:
        return []
    return [spec.name for spec in specs if spec.name not in table.columns and not spec.has_default]


def _count_keys(keys: Counter[str], values: Iterable[str]) -> None:
    """Keys that rows name, for the message about a missing column; bounded against hostile opening."""
    for name in values:
        if name in keys or len(keys) < 200:
            keys[name] += 1


def renamed(table: Table, columns: Mapping[str, str]) -> Table:
    """The table with the columns' names in the dataset beside those in the source, which `columns` gives by them."""
    if not columns:
        return table
    own = table.columns
    if own is not None:
        kept = [name for name in own if name not in columns]
        own = (*kept, *(name for name, source in columns.items() if source in own))
    batches = table.batches

    def renamed_batches(most: int) -> Iterator[Batch]:
        assert batches is not None
        return (_renamed(one, columns) for one in batches(most))

    return replace(
        table,
        columns=own,
        rows=_renamed_rows(table.rows, columns),
        batches=None if batches is None else renamed_batches,
    )


def _renamed(batch: Batch, columns: Mapping[str, str]) -> Batch:
    column = batch.column
    return Batch(
        batch.count,
        lambda: list(_renamed_rows(iter(batch.each()), columns)),
        batch.numbers,
        [
            (
                *(name for name in shape if name not in columns),
                *(name for name, source in columns.items() if source in shape),
            )
            for shape in batch.shapes
        ],
        None if column is None else lambda name: column(columns.get(name, name)),
    )


def _renamed_rows(rows: RawRows, columns: Mapping[str, str]) -> RawRows:
    for row in rows:
        if isinstance(row, BrokenRow):
            yield row
            continue
        values = {name: value for name, value in row.values.items() if name not in columns}
        values |= {name: row.values[source] for name, source in columns.items() if source in row.values}
        yield RawRow(row.number, values)


_DELIMITERS = {";": ";", "\t": "\\t", "|": "|", ",": ","}
"""What tables are separated by, as it is written between quotes."""


def _other_delimiter(table: Table, specs: tuple[FieldSpec, ...]) -> DataProblem | None:
    """The problem of a table whose header is one cell, and names declared columns between other separators."""
    if not table.text or table.columns is None:
        return None
    delimiter = other_delimiter(table.columns, {spec.name for spec in specs})
    if delimiter is None:
        return None
    written = _DELIMITERS[delimiter]
    return DataProblem(
        kind="unreadable",
        message=f"`{table.name}` seems to be separated by `{written}`: its header is read as one column, "
        f"{quoted(table.columns[0])}",
        help=f'say so: `csv("{PurePath(table.name).name}", delimiter = "{written}")`',
    )


def other_delimiter(columns: Sequence[str], wanted: Set[str]) -> str | None:
    """What seems to stand between the cells of a header that is read as one cell: it separates one of the names wanted."""
    if len(columns) != 1:
        return None
    for delimiter in _DELIMITERS:
        names = [name.strip().strip('"') for name in columns[0].split(delimiter)]
        if len(names) > 1 and not wanted.isdisjoint(names):
            return delimiter
    return None


def _no_header(
    table: Table, absent: list[str], specs: tuple[FieldSpec, ...], dataset: ir.Dataset
) -> DataProblem | None:
    """The problem of a table that seems to begin with a row: its header has none of the columns, but as many cells."""
    columns = table.columns
    if not table.text or columns is None or len(absent) < len(specs) or len(columns) != len(specs):
        return None
    wanted = [dataset.columns.get(name, name) for name in absent]
    takes = {parameter.name for parameter in source_of(dataset.source).parameters}
    if "header" not in takes - set(dataset.source.options) or any(closest(name, columns) for name in wanted):
        return None
    return DataProblem(
        kind="unreadable",
        message=f"`{table.name}` has none of the columns declared; its first line names "
        f"{listed([f'`{name[:60]}`' for name in columns], shown=12)}",
        help=f'if that is a row, and the file has no header, name the columns in order: `csv("{PurePath(table.name).name}", '
        f"header = {quoted(','.join(wanted))})`",
    )


def _missing(
    table: Table, absent: list[str], known: Counter[str], columns: Mapping[str, str]
) -> list[DataProblem]:
    problems: list[DataProblem] = []
    names = list(known)
    for column in absent:
        wanted = columns.get(column, column)
        near = closest(wanted, [name for name in names[:200] if name != column])
        has = listed([f"`{name[:60]}`" for name in names], shown=12) if names else "none"
        problems.append(
            DataProblem(
                kind="column_missing",
                message=f"column `{wanted}` is not in `{table.name}`; its columns: {has}",
                help=_meant(column, near[0]) if near else "",
                column=column,
                suggestions=near if wanted == column else (),
            )
        )
    return problems


def _meant(column: str, near: str) -> str:
    """What to write for the column `near`, whose name may be one that nobody can write without quotes."""
    if near.isidentifier():
        return f"did you mean `{near}`?"
    return f"did you mean `{near}`? write `{column}: … = column({quoted(near)})`"


class _Faults:
    """Counts what is wrong with rows and keeps the first few of each kind."""

    def __init__(self, table: Table, specs: Mapping[str, FieldSpec]) -> None:
        self._table = table
        self._specs = specs
        self._malformed: list[BrokenRow] = []
        self._malformed_count = 0
        self._counts: Counter[str] = Counter()
        self._cells: dict[str, list[tuple[int, BrokenCell]]] = {}

    def broken(self, row: BrokenRow) -> None:
        self._malformed_count += 1
        if len(self._malformed) < SHOWN:
            self._malformed.append(row)

    def add(self, number: int, cells: list[BrokenCell]) -> None:
        for cell in cells:
            self._counts[cell.column] += 1
            kept = self._cells.setdefault(cell.column, [])
            if len(kept) < SHOWN:
                kept.append((number, cell))

    def malformed(self) -> list[DataProblem]:
        if not self._malformed:
            return []
        first, count, unit = self._malformed[0], self._malformed_count, self._table.unit
        others = [str(row.number) for row in self._malformed[1:]]
        also = f" (so are {unit}s {listed(others, count - 1)})" if count > 2 else ""
        also = f" (so is {unit} {others[0]})" if count == 2 else also
        return [
            DataProblem(
                kind="malformed",
                message=f"{plural(count, 'row')} of `{self._table.name}` cannot be read: "
                f"{unit} {first.number} {first.reason}{also}",
                count=count,
                unit=unit,
                rows=tuple(row.number for row in self._malformed),
            )
        ]

    def mistyped(self, absent: list[str]) -> list[DataProblem]:
        return [self._mistyped(name) for name in self._specs if name in self._counts and name not in absent]

    def _mistyped(self, column: str) -> DataProblem:
        count, cells, unit = self._counts[column], self._cells[column], self._table.unit
        numbers = listed([f"{number}: {cell.shown}" for number, cell in cells], count)
        kind = self._specs[column].type
        rows = "row breaks" if count == 1 else "rows break"
        choices = literals(kind)
        near = closest(cells[0][1].given, choices[:200], 1)
        reason = cells[0][1].reason
        if not reason.startswith("expected"):
            reason = f"`{column}` is {spell(kind) if len(choices) <= 6 else 'a union of literals'}: {reason}"
        return DataProblem(
            kind="type_broken",
            message=f"{count:,} {rows} the declared type of `{column}` ({unit}{'s' * (count > 1)} {numbers})",
            help=f"did you mean {quoted(near[0])}?" if near else reason,
            column=column,
            count=count,
            unit=unit,
            rows=tuple(number for number, _ in cells),
            values=tuple(cell.shown for _, cell in cells),
            suggestions=near,
        )
