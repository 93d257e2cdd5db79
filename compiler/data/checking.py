"""Everything that is wrong with a dataset, before a cent is spent on it."""

from __future__ import annotations

from array import array
from collections.abc import Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import Literal, cast

from pydantic import Field

from dspec.runtime.schema.program import Record, digest
from dspec.runtime.schema.types import Frozen, JsonValue, Type
from dspec.runtime.values.media import medium_kind

from .. import ir
from ..diagnostics.wording import plural
from ..project.caches import FolderCache
from . import cache as caching
from . import opening
from .collecting import NO_TURNS, Collected, collect
from .columns import misfit
from .media import MediaFiles, beside
from .probing import SAMPLE_BYTES, SAMPLE_ROWS, count_rows, is_sampled
from .problem import SHOWN, DataError, DataProblem, listed, quoted
from .reading import open_table
from .rows import Example, Rows, columns_of, inputs_digests, only_texts, take
from .splits import arithmetic, part_sizes, parts, stratification
from .tables import MAX_ROWS

LONG = 50_000
"""A check warns of values that have more characters than this."""


class Findings(Frozen):
    """What a check found. `rows` is None when the file cannot be read.

    `exact` False says that only the first rows were read, and the rest counted. `sizes` holds each
    part's rows, empty when there is no split or its arithmetic does not hold. `undeclared` are columns of the file that the
    dataset leaves out.
    """

    problems: tuple[DataProblem, ...]
    rows: int | None = None
    exact: bool = True
    sizes: dict[str, int] = Field(default_factory=dict)
    undeclared: tuple[str, ...] = ()


def problems(
    dataset: ir.Dataset, folder: Path, *, root: Path | None = None, cache: FolderCache | None = None
) -> list[DataProblem]:
    """What is wrong with `dataset`, in a fixed order; see `check`."""
    return list(check(dataset, folder, root=root, cache=cache).problems)


def check(
    dataset: ir.Dataset,
    folder: Path,
    *,
    root: Path | None = None,
    cache: FolderCache | None = None,
    deep: bool = False,
) -> Findings:
    """Problems, row count and part sizes. Never raises for what is in the file.

    Rows are read as a compile reads them, all of them in a file of up to `probing.WHOLE_BYTES`, or with
    `deep` in any that a compile would read. `cache` keeps results, by the declaration and the file's
    size and time of change.
    """
    question = f"deep {digest(dataset)}" if deep else digest(dataset)
    # What media files hold is not told from the data file, whose time of change is all that a kept result knows.
    kept = cache is not None and not any(medium_kind(column.type) for column in dataset.inputs)
    key = caching.key(dataset.source, folder, root, question) if kept else None
    if cache and key and (text := cache.recall(key)):
        try:
            return Findings.model_validate_json(text)
        except ValueError:
            pass  # A damaged entry is no entry.
    try:
        findings = _check(dataset, folder, root, deep=deep)
    except DataError as error:
        findings = Findings(problems=error.problems)
    if cache and key:
        cache.remember(key, findings.model_dump_json())
    return findings


def _check(dataset: ir.Dataset, folder: Path, root: Path | None, *, deep: bool) -> Findings:
    media = MediaFiles(beside(dataset.source, folder), root or opening.root_of(folder), glancing=True)
    with open_table(dataset.source, folder, root) as table:
        if is_sampled(table) and not deep:
            collected = collect(dataset, table, media, max_rows=SAMPLE_ROWS, max_bytes=SAMPLE_BYTES)
        else:
            collected = collect(dataset, table, media, max_rows=MAX_ROWS)
    rows = collected.seen if collected.complete else count_rows(dataset.source, folder, root)
    found = [*collected.problems, *long_values(dataset, collected.examples)]
    if not rows:
        return Findings(problems=tuple(found), rows=0)
    split = arithmetic(dataset, rows)
    sizes = part_sizes(dataset.split, rows) if dataset.split and not split else {}
    found += split
    found += _placement(dataset, collected, whole=not split)
    return Findings(
        problems=tuple(found),
        rows=rows,
        exact=collected.complete,
        sizes=sizes,
        undeclared=collected.undeclared,
    )


def _placement(dataset: ir.Dataset, collected: Collected, *, whole: bool) -> list[DataProblem]:
    """Stratification, and inputs in two parts; only where every row could be read and placed."""
    usable = collected.complete and not collected.problems
    strata = stratification(dataset, collected.examples if usable else ())
    if not usable or not whole or any(problem.is_error for problem in strata):
        return strata
    return strata + duplicates(parts(dataset, collected.examples), collected.unit)


def sampled(
    dataset: ir.Dataset, folder: Path, root: Path | None, turns: Mapping[str, Mapping[str, Type]] = NO_TURNS
) -> Collected | None:
    """As many rows as a check reads of a large file; None of a file that cannot be read. `turns` are as for `load_rows`."""
    try:
        with open_table(dataset.source, folder, root) as table:
            media = MediaFiles(beside(dataset.source, folder), root or opening.root_of(folder), glancing=True)
            return collect(dataset, table, media, turns=turns, max_rows=SAMPLE_ROWS, max_bytes=SAMPLE_BYTES)
    except DataError:
        return None


def unfit_labels(
    dataset: ir.Dataset,
    folder: Path,
    column: str,
    kind: Type,
    records: Mapping[str, Record],
    *,
    root: Path | None = None,
) -> DataProblem | None:
    """Values of a column that cannot be read as the type `kind`, which another field of its name has.

    Looks at as many rows as a check reads of a large file. Nothing is said of a file that cannot be read.
    """
    found = sampled(dataset, folder, root)
    if found is None:
        return None
    broken = [
        (row, reason) for row in found.examples if (reason := misfit(row.row.get(column), kind, records))
    ]
    if not broken:
        return None
    values = tuple(quoted(row.row[column]) for row, _ in broken[:SHOWN])
    numbers = [f"{_number(row)}: {value}" for (row, _), value in zip(broken, values, strict=False)]
    return DataProblem(
        kind="type_broken",
        message=f"{found.unit}{'s' * (len(broken) > 1)} {listed(numbers, len(broken))}",
        help=broken[0][1],
        column=column,
        count=len(broken),
        unit=found.unit,
        rows=tuple(_number(row) for row, _ in broken[:SHOWN]),
        values=values,
    )


def long_values(dataset: ir.Dataset, rows: Rows) -> list[DataProblem]:
    """Columns of which a value is longer than a prompt is good for, one problem each."""
    found: dict[str, list[tuple[int, int]]] = {}
    for name, cells in columns_of(rows).items():
        if only_texts(cells) and max(map(len, cast("Sequence[str]", cells))) <= LONG:
            continue
        for place, value in enumerate(cells):
            length = _length(value)
            if length > LONG:
                found.setdefault(name, []).append((rows[place].index + 1, length))
    order = [one.name for one in (*dataset.inputs, *dataset.fields) if one.name in found]
    return [_long(name, found[name]) for name in order]


def _long(column: str, rows: list[tuple[int, int]]) -> DataProblem:
    which = listed([f"{row:,}" for row, _ in rows])
    most = max(length for _, length in rows)
    return DataProblem(
        kind="long_values",
        message=f"`{column}` has more than {LONG:,} characters in {'row' if len(rows) == 1 else 'rows'} {which}: up to "
        f"{most:,}",
        help="cut the texts, or leave the rows out: each of them fills a prompt, as an input and as a demo",
        column=column,
        count=len(rows),
        rows=tuple(row for row, _ in rows[:SHOWN]),
    )


def _length(value: JsonValue) -> int:
    """The characters of all texts in a value."""
    match value:
        case str():
            return len(value)
        case list():
            return sum(map(_length, value))
        case dict():
            return sum(map(_length, value.values()))
        case _:
            return 0


def duplicates(parts: dict[str, Rows], unit: Literal["line", "row"] = "row") -> list[DataProblem]:
    """Inputs that stand in several parts, one problem for all that stand in the same parts."""
    hashes = _hashes(list(parts.values()))
    again = _in_several(hashes)
    where: dict[str, dict[str, int]] = {}
    for (name, rows), own in zip(parts.items(), hashes, strict=True):
        found = [place for place, value in enumerate(own) if value in again] if again else []
        for place, key in zip(found, inputs_digests(take(rows, found)), strict=True):
            where.setdefault(key, {}).setdefault(name, place)
    shared: dict[tuple[str, ...], list[Rows]] = {}
    for places in where.values():
        if len(places) > 1:
            copies = tuple(parts[name][place] for name, place in places.items())
            shared.setdefault(tuple(places), []).append(copies)
    order = {name: place for place, name in enumerate(parts)}
    return [
        _duplicated(names, sorted(shared[names], key=lambda copies: copies[0].index), unit)
        for names in sorted(shared, key=lambda names: [order[name] for name in names])
    ]


def _in_several(parts: Sequence[Sequence[int]]) -> set[int]:
    """What stands in several of the parts."""
    before: set[int] = set()
    again: set[int] = set()
    for hashes in parts:
        own = set(hashes)
        again |= own & before
        before |= own
    return again


def _hashes(parts: Sequence[Rows]) -> list[Sequence[int]]:
    """A hash of each row's inputs, by part: equal inputs have equal ones, and few others do."""
    each = [[columns_of(rows)[name] for name in rows[0].inputs] if rows else [] for rows in parts]
    if all(each) and all(map(only_texts, chain.from_iterable(each))):
        return [array("q", map(hash, zip(*columns, strict=True))) for columns in each]
    return [array("q", map(hash, inputs_digests(rows))) for rows in parts]


def _duplicated(names: tuple[str, ...], shared: list[Rows], unit: Literal["line", "row"]) -> DataProblem:
    """`shared` has the copies of each input, one of each part in the parts' order; `unit` is what their numbers count."""
    values = tuple(
        f"{quoted(next(iter(copies[0].inputs.values()), None))} ({unit}s {listed([str(_number(one)) for one in copies])})"
        for copies in shared[:SHOWN]
    )
    count = len(shared)
    verb = "appears" if count == 1 else "appear"
    which = listed([f"`{name}`" for name in names], shown=len(names))
    return DataProblem(
        kind="duplicates",
        message=f"{plural(count, 'identical input')} {verb} in {'both ' if len(names) == 2 else ''}{which}: "
        f"{', '.join(values)}{'' if count <= SHOWN else f' and {count - SHOWN:,} more'}",
        help="remove the copies from the file: rows seen in training inflate the score",
        part=names[0],
        others=names[1:],
        count=count,
        unit=unit,
        rows=tuple(_number(copies[0]) for copies in shared[:SHOWN]),
        values=values,
    )


def _number(example: Example) -> int:
    return example.number or example.index + 1
