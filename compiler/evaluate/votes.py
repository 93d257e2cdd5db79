"""An ensemble's runs in a compile: its members' runs, each remembered by itself, made into one.

So is the run of a program that reduces: its inputs are the members' answers.

A member that was scored before has its runs in the store, so an ensemble of candidates costs
next to nothing. An ensemble's own result is never stored: it follows from its members'.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeAlias

from dspec.runtime.running.election import ballot, drawn, elect, reduced
from dspec.runtime.running.fitting import check_inputs
from dspec.runtime.schema.ensemble import Ensemble
from dspec.runtime.schema.program import Program

from ..data.rows import Example
from .store import ProgramKey, RunResult
from .tasks import together

Run: TypeAlias = Callable[[Program, ProgramKey, Example], Awaitable[RunResult]]


class Votes:
    """One ensemble, with the keys of its members' runs computed once."""

    def __init__(self, ensemble: Ensemble) -> None:
        self._ensemble = ensemble
        self._keys = [ProgramKey(member) for member in ensemble.members]
        self._reducer = None if ensemble.reducer is None else (ensemble.reducer, ProgramKey(ensemble.reducer))

    async def result(self, example: Example, run: Run) -> RunResult:
        """The members' runs on a row, all at the same time, as one; what they cost is counted with them.

        At the budget's wall the members under way are finished and kept, and the halt is raised.
        """

        async def member(place: int) -> RunResult:
            return await run(self._ensemble.members[place], self._keys[place], example)

        inputs = check_inputs(self._ensemble, example.inputs)
        places = drawn(self._ensemble, inputs)
        found = await together([member(place) for place in places])
        results: list[RunResult] = []
        for one in found:
            if not isinstance(one, RunResult):
                raise one
            results.append(one)
        answers = [one.outputs for one in results]
        if self._reducer is None:
            election = elect(self._ensemble, answers)
        else:
            program, key = self._reducer
            given = ballot(self._ensemble, inputs, answers)
            made = None if given is None else await run(program, key, Example(example.index, given, {}))
            if made is not None and made.outputs is None:
                return RunResult.of(None, (), made.error)
            outputs = None if made is None else made.outputs
            election = None if outputs is None else reduced(self._ensemble, outputs, answers)
        if election is None:
            return RunResult.of(None, (), results[0].error)
        trace = () if election.elected is None else results[election.elected].trace
        return RunResult.of(election.outputs, trace)
