"""Which datasets a command reads the rows of, so that no others are fetched for it.

A metric names a dataset for its columns alone: that is no need.
"""

from __future__ import annotations

from collections.abc import Iterable

from .. import ir


def compile_needs(project: ir.Project, names: Iterable[str]) -> tuple[ir.DataSource, ...]:
    """The sources for compiling these optimize blocks, with the evals that score them. Unknown names need nothing."""
    refs: list[ir.RowsRef] = []
    for name in names:
        refs += _tuned_on(project, name)
        for block in project.evals.values():
            if block.program == name:
                refs.append(block.data)
                # The plan counts a run of the baseline, too, and where that is tuned it depends on the rows.
                refs += _tuned_on(project, block.baseline)
    return _sources(project, refs)


def eval_needs(project: ir.Project, names: Iterable[str]) -> tuple[ir.DataSource, ...]:
    """The same for scoring these eval blocks on what was compiled before."""
    return _sources(project, [project.evals[name].data for name in names if name in project.evals])


def _tuned_on(project: ir.Project, name: str | None) -> list[ir.RowsRef]:
    block = project.optimizes.get(name) if name is not None else None
    return [ref for ref in (block.train, block.val) if ref is not None] if block else []


def _sources(project: ir.Project, refs: Iterable[ir.RowsRef]) -> tuple[ir.DataSource, ...]:
    names = dict.fromkeys(ref.dataset for ref in refs)
    return tuple(project.datasets[name].source for name in names)
