"""What a running compile shows: live bars on a terminal, one line per result anywhere else.

Both read the same events; neither decides anything. Time appears here and nowhere in results.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
)
from rich.text import Text

from dspec.runtime.engine import Tally

from ..events import CandidateScored, Event, Report, RowScored, ScoringStarted, StepFinished, StepStarted

REFRESH_PER_SECOND = 8


@contextmanager
def reporting(console: Console, tally: Callable[[], Tally], *, quiet: bool = False) -> Generator[Report]:
    """A `Report` that draws on `console` while the context is open."""
    if quiet:
        yield lambda event: None
    elif console.is_terminal:
        with Bars(console, tally) as bars:
            yield bars.report
    else:
        yield Lines(console).report


def percent(score: float) -> str:
    return f"{100 * score:.1f}"


class Lines:
    """Plain lines: steps, candidates and the scorings before and after, for logs and CI."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._in_step = False
        """Within a step, a candidate's score comes as one event of its own."""

    def report(self, event: Event) -> None:
        match event:
            case StepStarted(step=step, optimizer=optimizer, index=index, steps=steps, planned=planned):
                self._in_step = True
                calls = f"{planned.least} to {planned.most} calls planned"
                self._say(f"step {index}/{steps} {step}: {optimizer}, {calls}")
            case CandidateScored(candidate=candidate, score=float(score), best=best):
                mark = "  best so far" if best == score else ""
                self._say(f"  {candidate}: {percent(score)}{mark}")
            case CandidateScored(candidate=candidate):
                self._say(f"  {candidate}")
            case StepFinished(step=step, calls=calls, notes=notes, halt=halt):
                self._in_step = False
                self._say(f"step {step}: {'cut short' if halt else 'done'}, {calls} calls")
                for note in notes:
                    self._say(f"  {note}")
            case RowScored(label=label, done=done, rows=rows, score=score) if (
                done == rows and not self._in_step
            ):
                self._say(f"{label}: {percent(score)} on {rows} rows")
            case RowScored() | ScoringStarted():
                pass

    def _say(self, line: str) -> None:
        self._console.print(line, markup=False)


class Bars:
    """Live bars: one for the steps, one for whatever is being scored."""

    def __init__(self, console: Console, tally: Callable[[], Tally]) -> None:
        self._tally = tally
        self._lines = Lines(console)
        self._progress = Progress(
            SpinnerColumn(),
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            TextColumn("{task.fields[score]}"),
            TimeRemainingColumn(compact=True),
            TextColumn("{task.fields[spent]}", style="dim"),
            console=console,
            transient=True,
            refresh_per_second=REFRESH_PER_SECOND,
        )
        self._scoring: dict[str, TaskID] = {}
        self._step: TaskID | None = None
        self._before_step = 0

    def __enter__(self) -> Bars:
        self._progress.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._progress.stop()

    def report(self, event: Event) -> None:
        match event:
            case StepStarted(step=step, planned=planned):
                self._before_step = self._answers()
                self._step = self._bar(f"step {step}, calls at most", max(1, planned.most))
            case StepFinished() if self._step is not None:
                self._progress.remove_task(self._step)
                self._step = None
            case ScoringStarted(label=label, rows=rows):
                self._scoring[label] = self._bar(label, rows)
            case RowScored(label=label, done=done, rows=rows, score=score) if label in self._scoring:
                task = self._scoring[label]
                self._progress.update(task, completed=done, score=percent(score), spent=self._spent())
                if done == rows:
                    self._progress.remove_task(self._scoring.pop(label))
            case _:
                pass
        if self._step is not None:
            answered = self._answers() - self._before_step
            self._progress.update(self._step, completed=answered, spent=self._spent())
        self._lines.report(event)

    def _bar(self, name: str, total: int) -> TaskID:
        return self._progress.add_task(name, total=total, score="", spent=self._spent())

    def _answers(self) -> int:
        tally = self._tally()
        return tally.calls + tally.replayed + tally.shared

    def _spent(self) -> str:
        tally = self._tally()
        return f"{tally.calls} calls, {tally.replayed + tally.shared} free, ${tally.cost:.4f}"


def spent_line(tally: Tally) -> Text:
    """What a compile cost, in one line."""
    parts = [f"{tally.calls} model call{'' if tally.calls == 1 else 's'}"]
    if tally.replayed:
        parts.append(f"{tally.replayed} answered from the ledger")
    if tally.shared:
        parts.append(f"{tally.shared} shared in flight")
    if tally.spoiled:
        parts.append(f"{tally.spoiled} without an answer that may be billed")
    parts.append(f"{tally.input_tokens + tally.output_tokens:,} tokens")
    parts.append(f"${tally.cost:.4f}" + (f" and {tally.unpriced} unpriced" if tally.unpriced else ""))
    return Text(" · ".join(parts), "dim")
