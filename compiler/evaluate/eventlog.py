"""Everything a command does, as one line of JSON per event, appended to a file.

The progress bar, this log and the spans all read the same two kinds of events: what a compile tells
(`events`) and what became of each call of a model or a tool (`EngineEvent`). They hold numbers and names; prompts,
answers, what a tool is given and keys are in none of them. A log that cannot be written is given up, which is said,
and never stops a compile.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from msgspec import Struct
from msgspec.structs import asdict

from dspec.runtime.errors import ConfigurationError
from dspec.runtime.models.engine import CallEvent, EngineEvent, ToolEvent

from .events import Event, Report

Observer = Callable[[Event | EngineEvent], None]

_WORD = re.compile(r"(?<=[a-z])(?=[A-Z])")


@contextmanager
def event_log(
    path: Path, now: Callable[[], float] = time.time, *, say: Callable[[str], None] = lambda _: None
) -> Generator[Observer]:
    """An observer that writes to `path`, and tells `say` when it has to give up. Raises ConfigurationError when it
    cannot be opened."""
    try:
        file = path.open("a", encoding="utf-8", errors="backslashreplace", buffering=1)
    except OSError as error:
        raise ConfigurationError(
            f"the event log {path} cannot be written: {error.strerror or error}",
            help="choose another file for --events",
        ) from error
    broken = False

    def give_up(error: OSError) -> None:
        nonlocal broken
        if not broken:
            broken = True
            say(f"the event log {path} takes no more: {error.strerror or error}; the rest is done without it")

    def write(event: Event | EngineEvent) -> None:
        if broken:
            return
        moment = datetime.fromtimestamp(now(), UTC).isoformat(timespec="milliseconds")
        try:
            file.write(json.dumps({"time": moment, **record(event)}, ensure_ascii=False) + "\n")
        except OSError as error:
            give_up(error)

    try:
        yield write
    finally:
        try:
            file.close()
        except OSError as error:
            give_up(error)


def record(event: Event | EngineEvent) -> dict[str, object]:
    """The event's fields, under `event: "row_scored"`, `event: "call_answered"` or `event: "tool_called"`."""
    if isinstance(event, CallEvent):
        plain = _plain(event)
        return {"event": f"call_{plain.pop('kind')}", **plain}
    if isinstance(event, ToolEvent):
        return {"event": "tool_called", **_plain(event)}
    return {"event": _WORD.sub("_", type(event).__name__).lower(), **_plain(event)}


def both(report: Report, observers: list[Observer]) -> Report:
    """A report that observers see, too."""
    if not observers:
        return report

    def tell(event: Event) -> None:
        report(event)
        for observer in observers:
            observer(event)

    return tell


def calls(observers: list[Observer]) -> Callable[[EngineEvent], None] | None:
    """What an engine tells its observers; None spares it the telling where nobody listens."""
    if not observers:
        return None

    def tell(event: EngineEvent) -> None:
        for observer in observers:
            observer(event)

    return tell


def _plain(event: Struct) -> dict[str, object]:
    return {
        name: _plain(value) if isinstance(value, Struct) else value for name, value in asdict(event).items()
    }
