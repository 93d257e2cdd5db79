"""`--events`, `--otel` and `--mlflow`: who else hears of a command."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dspec.runtime.errors import ConfigurationError

from .sources import spared

if TYPE_CHECKING:
    from ..evaluate.eventlog import Observer

EventsOption = Annotated[
    Path | None,
    typer.Option(
        "--events",
        callback=spared,
        help="Append everything that happens to this file, a JSON object a line.",
    ),
]
SpansOption = Annotated[
    bool,
    typer.Option("--otel", help="OpenTelemetry spans of steps, model calls and tool calls (GenAI names)."),
]
TrackedOption = Annotated[
    bool,
    typer.Option("--mlflow", help="Log each compile as a run of MLflow, where MLFLOW_TRACKING_URI says."),
]


@contextmanager
def observing(events: Path | None, otel: bool) -> Generator[list[Observer]]:
    """The observers asked for. Leaves where the file cannot be written; raises ConfigurationError where spans cannot be had."""
    with ExitStack() as stack:
        observers: list[Observer] = []
        if events is not None:
            from ..evaluate.eventlog import event_log
            from .console import Exit, fail

            try:
                observers.append(stack.enter_context(event_log(events, say=warn)))
            except ConfigurationError as error:  # no fault of the machine: another file was to be named
                fail(error.message, help=error.help, code=Exit.USAGE)
        if otel:
            from ..evaluate.spans import spans

            observers.append(stack.enter_context(spans()))
        yield observers


def warn(what: str) -> None:
    """A line on standard error, as text."""
    from .console import stderr

    stderr().print(what, markup=False)
