"""`--events` and `--otel`: who else listens while a command runs."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from ..evaluate.eventlog import Observer

EventsOption = Annotated[
    Path | None,
    typer.Option("--events", help="Append everything that happens to this file, a JSON object a line."),
]
SpansOption = Annotated[
    bool,
    typer.Option("--otel", help="OpenTelemetry spans of steps, model calls and tool calls (GenAI names)."),
]


@contextmanager
def observing(events: Path | None, otel: bool) -> Generator[list[Observer]]:
    """The observers asked for. Raises ConfigurationError when one of them cannot be had."""
    with ExitStack() as stack:
        observers: list[Observer] = []
        if events is not None:
            from ..evaluate.eventlog import event_log

            observers.append(stack.enter_context(event_log(events, say=_warn)))
        if otel:
            from ..evaluate.spans import spans

            observers.append(stack.enter_context(spans()))
        yield observers


def _warn(what: str) -> None:
    from .console import stderr

    stderr().print(what, markup=False)
