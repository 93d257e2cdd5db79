"""Forecasts what runs of programs take that no step is planned for: those of evals, and of rows in bulk.

What the evaluation store knows is not counted. Of bounds and guesses the same holds as for a plan (`estimate`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import islice
from pathlib import Path

from msgspec import Struct

from dspec.runtime.running.bounds import calls_per_run
from dspec.runtime.schema.ensemble import Runnable, programs
from dspec.runtime.schema.types import Row

from .. import ir
from ..data.rows import Example, inputs_digests
from ..evaluate.counts import Range
from ..evaluate.judging import Judges
from ..evaluate.store import ProgramKey, RunResult, Store
from .bills import Bill, expected
from .estimate import Reckoning, grown, histories
from .prepared import Prepared
from .sizes import sized
from .walks import askings, readers

_AT_ONCE = 4_096


class Forecast(Struct, frozen=True):
    """What is expected by rule, and what it takes at most of models that keep to `max_tokens`."""

    expected: Bill = Bill()
    most: Bill = Bill()


def forecast_rows(program: Runnable, inputs: Iterable[Row], folder: Path) -> Forecast:
    """The program on each of these inputs; tools have their files below `folder`. No more than some thousand are held."""
    reckoning = Reckoning(ir.Project(lms=dict(program.lms)), (), (), None, folder)
    each, calls, growth = calls_per_run(program), 0, grown(program)
    left = iter(inputs)
    while some := [Example(0, row, {}) for row in islice(left, _AT_ONCE)]:
        reckoning.all_rows(program, growth, sized(some), Range(0, len(some) * each), likely=1.0)
        calls += len(some) * each
    return _told(reckoning, calls, _askings([program]))


def forecast_evals(
    prepared: Prepared, names: Sequence[str], compiled: Mapping[str, Runnable], store: Store
) -> dict[str, list[Forecast]]:
    """These eval blocks of a checked project, each with its programs; `compiled` are the optimize blocks' results."""
    begun: set[bytes] = set()
    found: dict[str, list[Forecast]] = {}
    for name in names:
        block = prepared.project.evals[name]
        called = dict.fromkeys(filter(None, (block.program, block.baseline)))
        runnables = [compiled.get(one) or prepared.program(one) for one in called]
        # One that is not compiled is told of by the eval itself.
        found[name] = [_of_eval(prepared, block, one, store, begun) for one in runnables if one is not None]
    return found


def _of_eval(
    prepared: Prepared, block: ir.Eval, program: Runnable, store: Store, begun: set[bytes]
) -> Forecast:
    """One program on the rows of an eval, without the runs that are known or `begun` for another eval."""
    project, rows = prepared.project, prepared.rows(block.data)
    metric = project.metrics[block.metric]
    open_rows, unjudged = list(rows), list(rows)
    members = programs(program)
    if len(members) == 1 and program is members[0]:
        keyed = ProgramKey(members[0])
        keys = [keyed.run(one, sample=0, temperature=None) for one in inputs_digests(rows)]
        known = store.lookup(keys)
        pairs = list(zip(rows, keys, strict=True))
        open_rows = [row for row, key in pairs if key not in known and key not in begun]
        begun.update(keys)
        judges = Judges(metric)
        unjudged = [
            row for row, key in pairs if key not in known or not _is_judged(judges, row, known[key], store)
        ]
    if not open_rows and not (metric.judges and unjudged):
        return Forecast()
    reckoning = Reckoning(project, (), rows, None, prepared.root)
    growth = prepared.growths.get(block.program) or grown(program)
    calls = len(open_rows) * calls_per_run(program)
    turns = histories(project)
    if open_rows:
        reckoning.all_rows(program, growth, sized(open_rows, histories=turns), Range(0, calls), likely=1.0)
    if metric.judges and unjudged:
        reckoning.judges(metric, program, growth, sized(unjudged, histories=turns), len(unjudged))
        calls += len(unjudged) * sum(one.most * calls_per_run(one.program) for one in metric.judges)
    asked = [program, *(one.program for one in metric.judges)]
    return _told(reckoning, calls, _askings(asked))


def _is_judged(judges: Judges, row: Example, run: RunResult, store: Store) -> bool:
    """Whether a run that is known leaves nothing to ask of judges."""
    return run.outputs is None or judges.all_known(row, run.outputs, store)


def _askings(asked: Iterable[Runnable]) -> int:
    """How often a call is made at most, until its answer can be read and its checks hold."""
    return max((askings(one) * readers(one) for runnable in asked for one in programs(runnable)), default=1)


def _told(reckoning: Reckoning, calls: int, askings: int) -> Forecast:
    most = reckoning.maximum(calls * askings)
    return Forecast(expected(reckoning.guess(), {}, most), most)
