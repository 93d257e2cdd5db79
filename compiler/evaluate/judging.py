"""Scoring a row with a metric that asks judges, or functions: each is asked when an expression reads its score.

A judge's run is a run like any other: kept in the store and the ledger by its program and its inputs, paid
by the wall, asked again where its answer cannot be read. So what was judged once is never judged again, and a
row with equal outputs shares its judge's answer. An answer that stays unreadable is no low score: the metric
has failed on that row. A function of the project is asked in the same way; one that fails is asked again by the next compile.
"""

from __future__ import annotations

from collections.abc import Iterable

from dspec.runtime.errors import EvaluationError
from dspec.runtime.running.rewards import Opinion, Opinions, Wanted, opinion_of
from dspec.runtime.schema.program import digest
from dspec.runtime.schema.types import Row

from .. import ir
from ..data.rows import Example
from .scoring import MetricError, Verdict, score_row, told
from .store import ProgramKey, RunResult, Store
from .votes import Run


class Judges:
    """A metric's judges, with the keys of their runs computed once."""

    def __init__(self, metric: ir.Metric) -> None:
        self._metric = metric
        self._keys: dict[str, ProgramKey] = {}

    async def verdict(self, example: Example, outputs: Row, run: Run) -> Verdict | RunResult:
        """What the metric says of the outputs; the run of a judge that never answered, where that is a result.

        Raises MetricError, and what `run` raises.
        """
        opinions: dict[str, Opinion] = {}
        while True:  # as often as there are questions, and once more
            try:
                return score_row(self._metric, example.row, outputs, example.index, opinions)
            except Wanted as wanted:
                judge, inputs, key = wanted.judge, wanted.inputs, wanted.key
            result = await run(judge.program, self._key(judge), Example(example.index, inputs, {}))
            if result.unanswered:
                return result
            opinions[key] = self._opinion(judge, result, example.index)

    def known(self, judged: Iterable[tuple[Example, Row]], store: Store) -> int:
        """Calls of judges on rows and their outputs whose answers are in the store."""
        calls: dict[bytes, int] = {}
        for example, outputs in judged:
            calls |= self._kept(example, outputs, store)[0]
        return sum(calls.values())

    def all_known(self, example: Example, outputs: Row, store: Store) -> bool:
        """Whether the store answers whatever judges would be asked of a row and its outputs."""
        return self._kept(example, outputs, store)[1]

    def _kept(self, example: Example, outputs: Row, store: Store) -> tuple[dict[bytes, int], bool]:
        """The runs of judges that are in the store, with their calls, and whether no other would be asked."""
        calls: dict[bytes, int] = {}
        opinions: dict[str, Opinion] = {}
        while (wanted := self._wanted(example, outputs, opinions)) is not None:
            key = self._key(wanted.judge).run(digest(wanted.inputs), sample=0, temperature=None)
            result = store.lookup([key]).get(key)
            if result is None:
                return calls, False
            calls[key] = result.calls
            if result.outputs is None:
                break
            opinions[wanted.key] = self._opinion(wanted.judge, result, example.index)
        return calls, True

    def _wanted(self, example: Example, outputs: Row, opinions: Opinions) -> Wanted | None:
        """The next judge to ask; None where the metric needs no other, or fails."""
        try:
            score_row(self._metric, example.row, outputs, example.index, opinions)
        except Wanted as wanted:
            return wanted
        except MetricError:
            return None
        return None

    def _key(self, judge: ir.Judge) -> ProgramKey:
        found = self._keys.get(judge.name)
        if found is None:
            found = self._keys[judge.name] = ProgramKey(judge.program)
        return found

    def _opinion(self, judge: ir.Judge, result: RunResult, row: int) -> Opinion:
        outputs, who = result.outputs, f"{told(self._metric)} has no score for row {row + 1}"
        if outputs is None:
            reason = result.error[1] if result.error is not None else "no answer"
            if judge.gives != "score":
                raise MetricError(f"{who}: {reason}", help="put right what it calls")
            raise MetricError(
                f"{who}: its judge's answer cannot be used: {reason}",
                help="take a judge that keeps to its layout: another model, or a larger `max_tokens`",
            )
        try:
            return opinion_of(who, judge, outputs)
        except EvaluationError as error:
            raise MetricError(error.message, help=error.help) from error
