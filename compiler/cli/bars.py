"""Live bars for a terminal; apart from `progress`, since nobody else needs what draws them."""

from __future__ import annotations

from collections.abc import Callable

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

from dspec.runtime.models.engine import Tally

from ..diagnostics.wording import plural
from ..evaluate.events import Event, RowScored, ScoringStarted, StepFinished, StepStarted
from .lines import Lines, percent

REFRESH_PER_SECOND = 8


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
        return tally.calls + tally.free

    def _spent(self) -> str:
        tally = self._tally()
        return f"{plural(tally.calls, 'call')}, {tally.free} free, ${tally.spent.usd:.4f}"
