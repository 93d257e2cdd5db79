"""What an application says of its recording: where, which calls, what of them, and how much at most."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias, cast

from msgspec import Struct
from msgspec.structs import replace

from ...arguments import choice_of, count_of, limit_of, path_of, text_of, texts_of
from ...errors import ConfigurationError
from ...schema.types import JsonValue

Redact: TypeAlias = Callable[[dict[str, Any]], Mapping[str, Any] | None]
"""Is given a record as plain JSON, and gives what of it is written; None for nothing."""


class RecordSettings(Struct, frozen=True):
    """How calls are recorded: `load(…, record=RecordSettings("recorded.sqlite", sample=0.1))`.

    `path` is an SQLite file, made if it is missing; programs and processes may share one. Calls are recorded under the `name`,
    which stays while one compiled program takes the place of another; unless said it is the artifact's.

    `redact` names inputs and outputs that are never written. Since prompts, answers and messages of errors may hold them as
    well, none of those are written then. Or it is a function: it is given each record as plain JSON before it is written, on
    the writer's thread, and gives what is written in its place, or None for nothing. Of a call (`kind` is "call") it may change
    `inputs`, `outputs`, `error` and `trace`, of a feedback ("feedback") `comment` and `outputs`. Where it raises, nothing is
    written.

    `sample` is the share of calls that are recorded, 0 to 1. A call's id decides, in every process alike. `trace` says
    whether prompts and answers are kept.

    A record of more than `max_record_bytes` loses prompts and answers, and where that is not enough inputs and outputs. The
    oldest calls leave when there are more than `max_rows`, or the file holds more than `max_bytes`.
    """

    path: str | Path
    name: str | None = None
    redact: Sequence[str] | Redact = ()
    sample: float = 1.0
    trace: bool = True
    max_record_bytes: int = 1 << 18
    max_bytes: int = 1 << 28
    max_rows: int | None = None

    @property
    def file(self) -> Path:
        return Path(self.path)

    @property
    def names(self) -> frozenset[str]:
        """Inputs and outputs that are not written."""
        return frozenset[str]() if callable(self.redact) else frozenset(self.redact)

    @property
    def function(self) -> Redact | None:
        return self.redact if callable(self.redact) else None

    def takes(self, call_id: str) -> bool:
        """Whether a call is among those that are recorded. Its id is random, and so decides like a draw."""
        return self.sample >= 1.0 or int(call_id[:8], 16) < self.sample * 16**8


_LEAST_FILE = 1 << 16


def settings_of(value: object, fields: Collection[str]) -> RecordSettings:
    """What `record` says of a program that has these inputs and outputs, looked at. Raises ConfigurationError."""
    given = value if isinstance(value, RecordSettings) else RecordSettings(path_of("record", value))
    redact = given.redact
    if not callable(redact):
        redact = texts_of("redact", redact)
        unknown = [name for name in redact if name not in fields]
        if unknown:  # a name that is misspelt would let through what it is there to keep back
            raise ConfigurationError(
                f"`redact` names `{unknown[0]}`, which is no input or output of the program",
                help=f"there are {', '.join(fields)}",
            )
    found = replace(
        given,
        path=Path(os.path.abspath(path_of("path", given.path))),  # noqa: PTH100 - links stay what they are
        name=None if given.name is None else text_of("name", given.name),
        redact=redact,
        sample=limit_of("sample", given.sample, least=0),
        trace=choice_of("trace", given.trace),
        max_record_bytes=count_of("max_record_bytes", given.max_record_bytes),
        max_bytes=count_of("max_bytes", given.max_bytes),
        max_rows=None if given.max_rows is None else count_of("max_rows", given.max_rows),
    )
    if found.sample > 1:
        raise ConfigurationError(f"`sample` is {found.sample:g}, and is a share: at most 1")
    if found.max_bytes < max(_LEAST_FILE, 2 * found.max_record_bytes):
        raise ConfigurationError(
            f"`max_bytes` is {found.max_bytes:,}, and must be at least {_LEAST_FILE:,} and twice `max_record_bytes`"
        )
    return found


def redacted(
    function: Redact, record: dict[str, JsonValue], may: Collection[str]
) -> dict[str, JsonValue] | None:
    """What a function leaves of a record: it changes what it `may`, and nothing else. Raises whatever it raises, and TypeError
    for anything but a mapping or None."""
    left = function(dict(record))
    if left is None:
        return None
    if not isinstance(left, Mapping):  # pyright: ignore[reportUnnecessaryIsInstance] - it is anybody's function
        raise TypeError(f"`redact` gave {type(left).__name__}, and should give a mapping or None")
    return {**record, **{name: cast("JsonValue", left.get(name)) for name in may}}
