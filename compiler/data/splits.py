"""Splits: which rows belong to which part.

The algorithm, so that anyone can reproduce a split:

1. Sizes. A size in rows is taken as it is. Percentages are of all rows: together they get the whole
   rows their sum is worth, dealt out by largest remainder, the earlier part first on a tie.
   The arithmetic is exact (fractions of the decimal numbers as written).
2. Order. Rows are shuffled by Fisher-Yates from the last place down, the partner of place i being
   floor(u · (i + 1)) with u from `random.Random(seed).random()`: the one method of `random` whose
   sequence Python promises to keep.
3. With `stratify`, that order is re-sorted so that every class is spread evenly over it: the k-th row
   of a class with n rows gets the key (k + v) / n, with one v from the same generator per class in
   order of first appearance; ties keep the shuffled order. Any stretch of the order then holds about
   its share of every class, and small classes are not drawn to one part.
4. Parts are consecutive stretches of that order, in the order they were written, so they cannot
   overlap. Rows left over belong to no part. A part keeps this order: its first k rows are a fair
   (with `stratify`, a balanced) sample of it.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Sequence
from fractions import Fraction
from typing import cast

from dspec.runtime.schema.program import canonical

from .. import ir
from ..diagnostics.wording import plural
from .problem import DataError, DataProblem, listed
from .rows import Rows, columns_of, only_texts, take


def part(dataset: ir.Dataset, rows: Rows, name: str | None) -> Rows:
    """The rows of one part; `rows` are all of the dataset's. None means all rows, in file order.

    Raises DataError when the split asks for more than there is or has no such part.
    """
    if name is None:
        return rows
    if dataset.split is None or name not in dataset.split.parts:
        known = [f"`{part}`" for part in dataset.split.parts] if dataset.split else []
        has = f"its parts: {listed(known, shown=8)}" if known else "it has no `split`"
        message = f"dataset `{dataset.name}` has no part `{name}`; {has}"
        raise DataError([DataProblem(kind="split", message=message, part=name)])
    return parts(dataset, rows)[name]


def parts(dataset: ir.Dataset, rows: Rows) -> dict[str, Rows]:
    """Every part of a dataset's split, in the order written. Raises DataError like `part`."""
    if dataset.split is None:
        return {}
    problems = arithmetic(dataset, len(rows)) + stratification(dataset, rows)
    grave = [problem for problem in problems if problem.is_error]
    if grave:
        raise DataError(grave)
    order = _order(dataset.split, rows)
    taken = 0
    result: dict[str, Rows] = {}
    for name, size in part_sizes(dataset.split, len(rows)).items():
        result[name] = take(rows, order[taken : taken + size])
        taken += size
    return result


def part_sizes(split: ir.Split, total: int) -> dict[str, int]:
    """How many rows each part gets out of `total`; exact, but unchecked: see `arithmetic`."""
    sizes = {name: _exact(amount) for name, amount in split.parts.items()}
    percent = {name: sizes[name] * total / 100 for name, a in split.parts.items() if a.unit == "percent"}
    floors = {name: int(quota) for name, quota in percent.items()}
    left = int(sum(percent.values(), Fraction(0))) - sum(floors.values())
    by_remainder = sorted(percent, key=lambda name: floors[name] - percent[name])
    for name in by_remainder[:left]:
        floors[name] += 1
    return {name: floors.get(name, int(size)) for name, size in sizes.items()}


def arithmetic(dataset: ir.Dataset, total: int) -> list[DataProblem]:
    """What is wrong with a split's sizes for `total` rows."""
    split = dataset.split
    if split is None:
        return []
    negative = [name for name, amount in split.parts.items() if _exact(amount) <= 0]
    if negative:
        return [_split(f"part `{negative[0]}` of `{dataset.name}` asks for no rows", negative[0])]
    percent = sum((_exact(a) for a in split.parts.values() if a.unit == "percent"), Fraction(0))
    if percent > 100:
        asked = " + ".join(f"{a.value:g}" for a in split.parts.values() if a.unit == "percent")
        return [_split(f"the split of `{dataset.name}` asks for {asked} = {float(percent):g} % of its rows")]
    sizes = part_sizes(split, total)
    asked = sum(sizes.values())
    if asked > total:
        written = " + ".join(f"{size} {name}" for name, size in sizes.items())
        return [
            _split(
                f"the split of `{dataset.name}` asks for {plural(asked, 'row')} ({written}), "
                f"the dataset has {total:,}",
                help="give smaller sizes, or percentages",
            )
        ]
    empty = [name for name, size in sizes.items() if size == 0]
    return [
        _split(f"part `{name}` ({split.parts[name].value:g} % of {plural(total, 'row')}) has no rows", name)
        for name in empty
    ]


def stratification(dataset: ir.Dataset, rows: Rows) -> list[DataProblem]:
    """A stratify column that does not exist, or classes too small for every part to get a row."""
    split = dataset.split
    if split is None or split.stratify is None:
        return []
    column = split.stratify
    names = [spec.name for spec in dataset.inputs + dataset.fields]
    if column not in names:
        has = listed([f"`{name}`" for name in names], shown=12)
        message = f"`stratify` names `{column}`, which is no column of `{dataset.name}`; it has {has}"
        return [DataProblem(kind="stratify_column", message=message, column=column)]
    counts = Counter(_classes(rows, column))
    needed = len(split.parts)
    small = sorted((count, value) for value, count in counts.items() if count < needed)
    if not small:
        return []
    shown = [f"{value[:40]} has {count}" for count, value in small]
    verb = "has" if len(small) == 1 else "have"
    return [
        DataProblem(
            kind="stratify_small",
            message=f"{plural(len(small), 'value')} of `{column}` "
            f"{verb} fewer than {plural(needed, 'row')}, one for each part: {listed(shown)}",
            help="some parts will lack these values; add rows, or stratify by a column with fewer values",
            column=column,
            count=len(small),
            values=tuple(value[:40] for _, value in small[:3]),
        )
    ]


def _order(split: ir.Split, rows: Rows) -> list[int]:
    """The places of the rows, in the order that parts are cut from."""
    generator = random.Random(split.seed)  # noqa: S311 - a split must be repeatable, not secret
    draw = generator.random
    order = list(range(len(rows)))
    for i in range(len(order) - 1, 0, -1):
        j = int(draw() * (i + 1))
        order[i], order[j] = order[j], order[i]
    if split.stratify is None:
        return order
    of_row = _classes(rows, split.stratify)
    classes = [of_row[place] for place in order]
    sizes = Counter(classes)
    phase: dict[str, float] = {}
    seen = dict.fromkeys(sizes, 0)
    keys: list[float] = []
    for value in classes:
        if value not in phase:
            phase[value] = draw()
        keys.append((seen[value] + phase[value]) / sizes[value])
        seen[value] += 1
    return [order[i] for i in sorted(range(len(order)), key=keys.__getitem__)]


def _classes(rows: Rows, column: str) -> list[str]:
    """The class of each row: the canonical JSON of its value in the column."""
    cells = columns_of(rows)[column] if rows else ()
    if not only_texts(cells):
        return list(map(canonical, cells))
    written = {cell: canonical(cell) for cell in set(cast("Sequence[str]", cells))}
    return list(map(written.__getitem__, cast("Sequence[str]", cells)))


def _exact(amount: ir.Amount) -> Fraction:
    return Fraction(repr(amount.value))


def _split(message: str, part: str | None = None, help: str = "") -> DataProblem:  # noqa: A002
    return DataProblem(kind="split", message=message, part=part, help=help)
