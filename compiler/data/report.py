"""Data problems as findings: which of the declaration's places each one concerns."""

from __future__ import annotations

from collections.abc import Mapping

from msgspec import Struct, field

from ..diagnostics import codes
from ..diagnostics.codes.base import Finding
from ..project.source import Location
from .problem import DataProblem


class Places(Struct, frozen=True):
    """Where the parts of a dataset declaration stand: `source` the `csv(…)`, `columns` and `parts`
    the names by name, `types` the columns' types, `split` and `stratify` the items, if written."""

    source: Location
    columns: Mapping[str, Location] = field(default_factory=dict[str, Location])
    types: Mapping[str, Location] = field(default_factory=dict[str, Location])
    parts: Mapping[str, Location] = field(default_factory=dict[str, Location])
    split: Location | None = None
    stratify: Location | None = None


def diagnose(problem: DataProblem, places: Places) -> Finding:
    """The finding of one problem, at the place that it concerns."""
    said, advice, source = problem.message, problem.help, places.source
    column, part, split = problem.column or "", problem.part or "", places.split or source
    match problem.kind:
        case "column_missing":
            at = places.columns.get(column)
            renamed = tuple(name for name in problem.suggestions if name.isidentifier())
            return codes.data.ColumnMissing(
                at or source, said, advice, source if at else None, renamed if at else ()
            )
        case "type_broken":
            at = places.types.get(column) or places.columns.get(column)
            return codes.data.TypeBroken(at or source, said, advice, source if at else None)
        case "split":
            return codes.data.SplitFault(places.parts.get(part) or split, said, advice)
        case "stratify_column":
            return codes.metrics.NoColumnToStratify(places.stratify or split, said, advice)
        case "stratify_small":
            return codes.data.TooRare(places.stratify or split, said, advice)
        case "duplicates":
            shared = [places.parts[name] for name in (part, *problem.others) if name in places.parts]
            if len(shared) > 1:
                return codes.data.Duplicates(shared[-1], said, advice, problem.count, tuple(shared[:-1]))
            return codes.data.Duplicates(split, said, advice, problem.count, ())
        case "long_values":
            return codes.data.LongValues(places.columns.get(column) or source, said, advice)
        case "outside":
            return codes.data.DataOutside(source, said, advice)
        case "unfetched":
            return codes.data.NotFetched(source, said, advice)
        case "unreadable" | "malformed" | "empty":
            return codes.data.DataUnreadable(source, said, advice)
