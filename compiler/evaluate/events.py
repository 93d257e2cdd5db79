"""What a compile tells while it runs: typed events, passed to one callback.

Events are for eyes and logs. They carry no clock and nothing is decided by them; their order among
concurrent candidates is that of the answers and may differ between runs.
"""

from __future__ import annotations

from collections.abc import Callable

from msgspec import Struct

from .counts import Calls


class StepStarted(Struct, frozen=True):
    """`index` counts from 1; `planned` are the step's calls as `plan` gives them."""

    step: str
    optimizer: str
    index: int
    steps: int
    planned: Calls


class StepFinished(Struct, frozen=True):
    step: str
    calls: int
    """Calls the step needed, those included that the ledger or the store answered."""
    notes: tuple[str, ...] = ()
    halt: str = ""
    """What ended it before it was done, if the budget or the user did."""
    result: str = ""
    """The candidate that its result is, where it scored that."""
    score: float | None = None
    """What that one scored."""


class ScoringStarted(Struct, frozen=True):
    """A program is about to be scored on `rows` rows; `label` says which ("baseline", "final")."""

    label: str
    rows: int


class RowScored(Struct, frozen=True):
    """One more row: `score` is the mean over the `done` rows so far, in 0..1."""

    label: str
    done: int
    rows: int
    score: float


class CandidateScored(Struct, frozen=True):
    """A step's candidate is fully scored; `score` is None when the step scores none."""

    step: str
    candidate: str
    score: float | None
    best: float | None


Event = StepStarted | StepFinished | ScoringStarted | RowScored | CandidateScored
Report = Callable[[Event], None]


def silent(event: Event) -> None:
    """The report of whoever does not want one."""


class Held:
    """A report that keeps what it is told until it is released, of work that began before its turn."""

    def __init__(self, report: Report) -> None:
        self._report = report
        self._kept: list[Event] | None = []

    def __call__(self, event: Event) -> None:
        if self._kept is None:
            self._report(event)
        else:
            self._kept.append(event)

    def release(self) -> None:
        kept, self._kept = self._kept or [], None
        for event in kept:
            self._report(event)
