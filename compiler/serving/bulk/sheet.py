"""The rows that are to be answered: a file's columns as a program's inputs, and what else of it the answers carry along.

Nothing is held but the row that is being read. The file is the user's own, named by hand, so it may lie anywhere; the paths of
images and other files in its cells may not (`data.media`).
"""

from __future__ import annotations

import hashlib
import stat
from collections.abc import Generator, Iterator, Mapping
from contextlib import contextmanager
from functools import cached_property
from itertools import islice
from pathlib import Path

from msgspec import Struct
from msgspec.structs import replace

from dspec.runtime.adapters.turns import turn_media
from dspec.runtime.errors import ConfigurationError, InputError
from dspec.runtime.schema.ensemble import Runnable, programs
from dspec.runtime.schema.types import JsonValue, OptionalOf, Row
from dspec.runtime.values.media import medium_kind

from ... import ir
from ...data.collecting import other_delimiter
from ...data.columns import typed_row
from ...data.media import MediaFiles, is_path
from ...data.opening import SAVE_AS_UTF8, PlacedFile
from ...data.problem import unreadable
from ...data.sources.base import FileSource
from ...data.sources.table import SOURCES
from ...data.tables import BrokenRow, RawRow, RawRows, Table
from ...diagnostics.spelling import closest
from ...project.state import project_root

_GLANCED = 100
"""Rows that are looked at for the columns of a file whose rows name their own."""
_CHUNK = 1 << 20
_SHELL = {"\t": "$'\\t'", ";": "';'", "|": "'|'", ",": ","}
"""Delimiters as a shell takes them."""
_MEDIA_KNOWN = 1000
"""Rows for which files that cells name are remembered."""


class SheetRow(Struct, frozen=True):
    """A row of the file by its place from 0: as it is there, and why it cannot be read where it cannot."""

    place: int
    cells: Mapping[str, JsonValue]
    broken: str = ""


class Sheet:
    """One file of rows for one program. `columns` gives the file's names for inputs that it calls otherwise.

    Raises ConfigurationError when there is no such file or nothing reads its kind, DataError when it cannot be read.
    """

    def __init__(
        self, path: Path, program: Runnable, *, columns: Mapping[str, str], delimiter: str | None = None
    ) -> None:
        self.path = path
        self.kind = path.suffix.removeprefix(".").lower()
        kinds = [name for name, one in SOURCES.items() if isinstance(one, FileSource) and one.ending == name]
        found = SOURCES.get(self.kind) if self.kind in kinds else None
        if not isinstance(found, FileSource):
            known = ", ".join(f".{name}" for name in kinds)
            raise ConfigurationError(f"rows are read from files that end with {known}, and {path} does not")
        if delimiter is not None and not any(one.name == "delimiter" for one in found.parameters):
            raise ConfigurationError(f"{path} has no delimiter: its kind is {self.kind}")
        self._read = found
        self._source = ir.DataSource(
            kind=self.kind, path=str(path), options={} if delimiter is None else {"delimiter": delimiter}
        )
        self._fields = program.inputs
        self._records = program.records
        self._turns = turn_media(programs(program))
        self._root = project_root(path)
        self._media = MediaFiles(path.parent, self._root, glancing=False)
        self.columns = dict(columns)
        for name in columns:
            if all(name != field.name for field in program.inputs):
                raise ConfigurationError(
                    f"`{program.name}` has no input `{name}`",
                    help=f"it takes {', '.join(f'`{field.name}`' for field in program.inputs)}",
                )
        try:
            if not stat.S_ISREG(path.stat().st_mode):
                raise ConfigurationError(f"{path} is no file")
        except OSError as error:
            raise ConfigurationError(f"{path} cannot be read: {error.strerror or error}") from error

    @cached_property
    def digest(self) -> str:
        """SHA-256 of the file."""
        return self.digest_now()

    def digest_now(self) -> str:
        found = hashlib.sha256()
        with self.path.open("rb") as file:
            while chunk := file.read(_CHUNK):
                found.update(chunk)
        return found.hexdigest()

    def count(self) -> int | None:
        """How many rows there are; None where only reading them all would tell."""
        if self.kind == "json":
            return None
        with PlacedFile(self.path) as file:
            return self._read.count(file, self._source)

    def check_columns(self) -> tuple[str, ...]:
        """The file's columns, as far as its first rows name them. Raises InputError where an input has none."""
        with self._open() as table:
            known = dict.fromkeys(table.columns or ())
            looked = 0
            if table.columns is None:
                for raw in islice(table.rows, _GLANCED):
                    looked += 1
                    if isinstance(raw, RawRow):
                        known.update(dict.fromkeys(raw.values))
        names = list(known)
        if table.columns is None and not looked:
            return ()  # of no rows, all are answered
        for field in self._fields:
            wanted = self.columns.get(field.name, field.name)
            optional = field.has_default or isinstance(field.type, OptionalOf)
            if wanted in known or (optional and field.name not in self.columns):
                continue
            if table.text and (delimiter := other_delimiter(names, {wanted})) is not None:
                raise InputError(
                    f"the header of {self.path} is read as one column, `{names[0][:60]}`",
                    help=f"where its cells are separated otherwise, write --delimiter {_SHELL[delimiter]}",
                )
            near = closest(wanted, names[:200])
            meant = f"did you mean `{near[0]}`? write " if near else "where another column has it, write "
            raise InputError(
                f"{self.path} has no column `{wanted}` for the input `{field.name}`; its columns: "
                f"{', '.join(f'`{name[:60]}`' for name in names[:12]) or 'none'}",
                help=f"{meant}--column {field.name}={near[0] if near else 'COLUMN'}",
            )
        return tuple(names)

    def rows(self) -> Iterator[SheetRow]:
        """Every row, in the file's order. Raises DataError where the file cannot be read on."""
        with self._open() as table:
            unit = table.unit
            for place, raw in enumerate(table.rows):
                if isinstance(raw, BrokenRow):
                    yield SheetRow(place, {}, f"{unit} {raw.number} {raw.reason}")
                else:
                    yield SheetRow(place, raw.values)

    def inputs(self, row: SheetRow) -> Row:
        """The program's inputs in a row, as an application would pass them: what is a URL stays one. Raises InputError."""
        if row.broken:
            raise InputError(row.broken)
        given: Row = {}
        urls: Row = {}
        for field in self._fields:
            column = self.columns.get(field.name, field.name)
            if column in row.cells:
                cell = row.cells[column]
                url = medium_kind(field.type) is not None and isinstance(cell, str) and not is_path(cell)
                (urls if url else given)[field.name] = cell
        if row.place % _MEDIA_KNOWN == 0:
            self._media = MediaFiles(self.path.parent, self._root, glancing=False)
        fields = [field for field in self._fields if field.name not in urls]
        found, broken = typed_row(
            RawRow(1, given), fields, self._records, self._media, self._turns, text=self._text
        )
        if broken:
            raise InputError("; ".join(f"`{one.column}` is {one.shown}: {one.reason}" for one in broken[:3]))
        return found | urls

    @cached_property
    def _text(self) -> bool:
        with self._open() as table:
            return table.text

    @contextmanager
    def _open(self) -> Generator[Table]:
        """A line that is not UTF-8 is a row that cannot be read, as any such row; a header that is not ends it."""
        with PlacedFile(self.path, lenient=True) as file:
            table = self._read.read(file, self._source)
            if file.undecoded:
                raise unreadable(f"the header of {self.path} is not UTF-8: {file.undecoded}", SAVE_AS_UTF8)
            yield replace(table, rows=_decoded(file, table.rows))


def _decoded(file: PlacedFile, rows: RawRows) -> RawRows:
    for raw in rows:
        if file.undecoded:
            yield BrokenRow(raw.number, f"is not UTF-8: {file.undecoded}")
            file.undecoded = ""
        else:
            yield raw
