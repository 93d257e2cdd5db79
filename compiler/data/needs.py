"""Says which rows the blocks of a command need, so that no others are fetched or read for it.

A metric names a dataset for its columns alone: that is no need.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from .. import ir

Needs = dict[str, tuple[ir.RowsRef, ...]]
"""The rows that a command reads, by the block that it reads them for."""


def compile_needs(project: ir.Project, names: Iterable[str]) -> Needs:
    """For compiling these optimize blocks and those whose results they need, with the evals that score them. Unknown
    names need nothing."""
    needs: Needs = {}
    for name in project.in_order(name for name in names if name in project.optimizes):
        refs = _tuned_on(project, name)
        for block in project.evals.values():
            if block.program == name:
                refs.append(block.data)
                # The plan counts a run of the baseline, too, and where that is tuned it depends on the rows.
                refs += _tuned_on(project, block.baseline)
        needs[name] = tuple(refs)
    return needs


def advice_needs(project: ir.Project, names: Iterable[str]) -> Needs:
    """For advice on these optimize blocks."""
    return {name: tuple(_tuned_on(project, name)) for name in names}


def eval_needs(project: ir.Project, names: Iterable[str]) -> Needs:
    """For scoring these eval blocks on what was compiled before."""
    return {name: (project.evals[name].data,) for name in names if name in project.evals}


def sources(project: ir.Project, needs: Mapping[str, Iterable[ir.RowsRef]]) -> tuple[ir.DataSource, ...]:
    """The sources that hold these rows."""
    names = dict.fromkeys(ref.dataset for refs in needs.values() for ref in refs)
    return tuple(project.datasets[name].source for name in names)


def _tuned_on(project: ir.Project, name: str | None) -> list[ir.RowsRef]:
    block = project.optimizes.get(name) if name is not None else None
    return [ref for ref in (block.train, block.val) if ref is not None] if block else []
