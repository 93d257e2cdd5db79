"""Plain lines of a running compile, one per result, for logs and CI."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..diagnostics.wording import plural
from ..evaluate.events import CandidateScored, Event, RowScored, ScoringStarted, StepFinished, StepStarted
from .console import stderr

if TYPE_CHECKING:
    from rich.console import Console


def percent(score: float) -> str:
    return f"{100 * score:.1f}"


class Lines:
    """Plain lines: steps, candidates and the scorings before and after, for logs and CI."""

    def __init__(self, console: Console | None = None) -> None:
        self._console = console
        self._in_step = False
        """Within a step, a candidate's score comes as one event of its own."""
        self._best: tuple[str, float] | None = None
        """The last of the step's candidates that was told as the best so far. Which of equals is the result, the step says at
        its end."""

    def report(self, event: Event) -> None:
        match event:
            case StepStarted(step=step, optimizer=optimizer, index=index, steps=steps, planned=planned):
                self._in_step, self._best = True, None
                calls = f"{planned.least} to {plural(planned.most, 'call')} planned"
                self._say(f"step {index}/{steps} {step}: {optimizer}, {calls}")
            case CandidateScored(candidate=candidate, score=float(score)):
                mark = ""
                if self._best is None or score > self._best[1]:
                    self._best, mark = (candidate, score), "  best so far"
                self._say(f"  {candidate}: {percent(score)}{mark}")
            case CandidateScored(candidate=candidate):
                self._say(f"  {candidate}")
            case StepFinished(step=step, calls=calls, notes=notes, halt=halt, result=result, score=score):
                self._in_step = False
                self._say(f"step {step}: {'cut short' if halt else 'done'}, {plural(calls, 'call')}")
                if self._best is not None and result != self._best[0] and score is not None:
                    self._say(f"  its result is {result}: {percent(score)}")
                for note in notes:
                    self._say(f"  {note}")
            case RowScored(label=label, done=done, rows=rows, score=score) if (
                done == rows and not self._in_step
            ):
                self._say(f"{label}: {percent(score)} on {plural(rows, 'row')}")
            case RowScored() | ScoringStarted():
                pass

    def _say(self, line: str) -> None:
        if self._console is None:
            self._console = stderr()
        self._console.print(line, markup=False)
