"""What is known of a file once its data was read: rows, sizes of parts, columns, and calls of each step.

Worked out where the data is read, so that no answer waits for it. Plain values, which can be sent between processes.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from msgspec import Struct

from dspec.compiler.check.analysis import Analysis
from dspec.compiler.check.declarations.datasets import DatasetInfo
from dspec.compiler.check.symbols import Symbol
from dspec.compiler.data import DataError
from dspec.compiler.data.probing import Probe, glance
from dspec.runtime.errors import DspecError
from dspec.runtime.schema.types import spell

MAX_PLANNED = 20_000
"""Rows of the datasets of a block that is planned for an editor."""


class ColumnFacts(Struct, frozen=True):
    """What a column holds, in the first `rows` of the file."""

    type: str
    samples: tuple[str, ...]
    missing: int
    rows: int
    choices: tuple[str, ...] = ()


class StepCost(Struct, frozen=True):
    """Model calls of one step, at least and at most, all purposes together."""

    least: int
    most: int


class DataFacts(Struct, frozen=True):
    """By the keys of declarations; `texts` are these as they were."""

    texts: Mapping[str, str] = MappingProxyType({})
    rows: Mapping[str, int] = MappingProxyType({})
    parts: Mapping[str, Mapping[str, int]] = MappingProxyType({})
    columns: Mapping[str, Mapping[str, ColumnFacts]] = MappingProxyType({})
    """By the names of the file, which a dataset may rename."""
    steps: Mapping[str, Mapping[str, StepCost]] = MappingProxyType({})
    totals: Mapping[str, StepCost] = MappingProxyType({})
    """Calls of a whole compile."""

    def tells_of(self, symbol: Symbol) -> bool:
        """Whether the facts are about the declaration as it stands."""
        return self.texts.get(symbol.key) == symbol.block.text


NOTHING = DataFacts()


def facts_of(analysis: Analysis) -> DataFacts:
    """The facts of an analysis that has read the data. Reads a little of each file again; raises nothing."""
    texts: dict[str, str] = {}
    rows: dict[str, int] = {}
    parts: dict[str, Mapping[str, int]] = {}
    columns: dict[str, Mapping[str, ColumnFacts]] = {}
    session = analysis.session
    scopes = [analysis.symbols.scope, *(one for one in analysis.symbols.scope.imports.values() if one)]
    for symbol in (one for scope in scopes for one in scope.symbols.values() if one.kind == "dataset"):
        found = session.checked(symbol)
        if not isinstance(found, DatasetInfo) or found.dataset is None:
            continue
        texts[symbol.key] = symbol.block.text
        if found.rows is not None:
            rows[symbol.key] = found.rows
            parts[symbol.key] = dict(found.sizes or {})
        try:
            columns[symbol.key] = _columns(glance(found.dataset.source, session.folder, root=session.root))
        except DataError:
            continue
    steps, totals = _planned(analysis, rows, texts) if analysis.project is not None else ({}, {})
    return DataFacts(texts, rows, parts, columns, steps, totals)


def _columns(found: Probe) -> dict[str, ColumnFacts]:
    return {
        name: ColumnFacts(spell(one.type), one.samples, one.missing, found.rows - found.broken, one.choices)
        for name, one in found.columns.items()
    }


def _planned(
    analysis: Analysis, rows: Mapping[str, int], texts: dict[str, str]
) -> tuple[dict[str, Mapping[str, StepCost]], dict[str, StepCost]]:
    """Calls of each step of the file's blocks that can be planned at once: few rows, and no result of another block."""
    from dspec.compiler.compile.plan import plan  # heavy, and most files are checked without it
    from dspec.compiler.compile.prepared import Prepared
    from dspec.compiler.data.needs import compile_needs

    project = analysis.project
    assert project is not None
    steps: dict[str, Mapping[str, StepCost]] = {}
    totals: dict[str, StepCost] = {}
    for symbol in analysis.symbols.scope.symbols.values():
        if symbol.kind != "optimize" or project.needed(symbol.key):
            continue
        needs = compile_needs(project, [symbol.key])
        used = {ref.dataset for refs in needs.values() for ref in refs}
        if not used <= rows.keys() or sum(rows[name] for name in used) > MAX_PLANNED:
            continue
        try:
            made = plan(Prepared(project, analysis.session.folder, needs), symbol.key)
        except (DspecError, DataError):
            continue
        texts[symbol.key] = symbol.block.text
        calls = {one.name: [one.task, one.teacher, one.prompt, one.judge] for one in made.steps}
        steps[symbol.key] = {
            name: StepCost(sum(each.least for each in found), sum(each.most for each in found))
            for name, found in calls.items()
        }
        totals[symbol.key] = StepCost(made.least, made.most)
    return steps, totals
