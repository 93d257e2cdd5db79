"""Data problems as diagnostics: which code, and which of the declaration's places to underline."""

from __future__ import annotations

from collections.abc import Mapping

from msgspec import Struct, field

from ..diagnostics.codes import report
from ..diagnostics.record import Diagnostic, Edit, Fix, Label
from ..project.source import Location
from .problem import DataProblem, Kind, listed

CODES_BY_KIND: dict[Kind, str] = {
    "unreadable": "DS0401",
    "outside": "DS0413",
    "unfetched": "DS0416",
    "malformed": "DS0401",
    "empty": "DS0401",
    "column_missing": "DS0402",
    "type_broken": "DS0403",
    "split": "DS0405",
    "stratify_column": "DS0501",
    "stratify_small": "DS0410",
    "duplicates": "DS0406",
}


class Places(Struct, frozen=True):
    """Where the parts of a dataset declaration stand: `source` the `csv(…)`, `columns` and `parts`
    the names by name, `types` the columns' types, `split` and `stratify` the items, if written."""

    source: Location
    columns: Mapping[str, Location] = field(default_factory=dict[str, Location])
    types: Mapping[str, Location] = field(default_factory=dict[str, Location])
    parts: Mapping[str, Location] = field(default_factory=dict[str, Location])
    split: Location | None = None
    stratify: Location | None = None


def diagnose(problem: DataProblem, places: Places) -> Diagnostic:
    """The diagnostic for one problem. Raises KeyError when the table of codes lacks its code."""
    place, label, secondary = _place(problem, places)
    return report(
        CODES_BY_KIND[problem.kind],
        problem.message,
        place,
        label,
        secondary=secondary,
        help=problem.help,
        fixes=_fixes(problem, places),
    )


def _place(problem: DataProblem, places: Places) -> tuple[Location, str, tuple[Label, ...]]:
    file = (Label(places.source, "read from here"),)
    column, part = problem.column or "", problem.part or ""
    shared = tuple(places.parts[name] for name in (part, *problem.others) if name in places.parts)
    match problem.kind:
        case "column_missing" if column in places.columns:
            return places.columns[column], "no such column", file
        case "type_broken" if column in places.types or column in places.columns:
            at = places.types.get(column) or places.columns[column]
            return at, "not in every row", file
        case "stratify_column" | "stratify_small":
            return places.stratify or places.split or places.source, "", ()
        case "split":
            at = places.parts.get(part) or places.split or places.source
            return at, "", ()
        case "duplicates" if len(shared) > 1:
            first = listed([f"`{name}`" for name in (part, *problem.others[:-1])], shown=len(shared))
            label = f"shares {problem.count:,} with {first}"
            return shared[-1], label, tuple(Label(place) for place in shared[:-1])
        case "duplicates":
            return places.split or places.source, "", ()
        case _:
            return places.source, "", ()


def _fixes(problem: DataProblem, places: Places) -> tuple[Fix, ...]:
    """Renaming a column may break what reads it, so the fix is offered, never applied unseen."""
    at = places.columns.get(problem.column or "")
    if problem.kind != "column_missing" or at is None:
        return ()
    return tuple(
        Fix(f"rename to `{name}`", (Edit(at, name),), "maybe")
        for name in problem.suggestions
        if name.isidentifier()
    )
