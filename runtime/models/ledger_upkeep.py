"""Looking after a ledger: what is in it, dropping some of it, carrying it to another machine.

An exported file is one JSON object per line: key, model, time and answer, never a prompt, an address or
a key. A file that is imported is untrusted: a line that is not an answer is counted and left out.
"""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Generator, Iterable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import cast

from msgspec import Struct

from ..schema.types import JsonValue
from ..schema.usage import Usage
from .ledger import Ledger, dump, open_database, seal, unusable
from .protocol import Answer, ToolCall
from .upgrades import UNREADABLE, trouble

_LONGEST_LINE = 8 * 1024 * 1024
_BATCH = 500
_DAY = 86_400


class Contents(Struct, frozen=True):
    """`models` gives the number of answers of each; times are seconds since 1970, None where it is empty."""

    answers: int
    bytes: int
    oldest: int | None
    newest: int | None
    models: dict[str, int]


class KeptAnswer(Struct, frozen=True):
    """An answer as it came, before anything was read out of it."""

    key: str
    model: str
    written: int
    answer: Answer


class Imported(Struct, frozen=True):
    added: int
    known: int
    refused: int
    """Lines that hold no answer."""


class Pruned(Struct, frozen=True):
    """How many answers were dropped. The file is `smaller` by them, unless there was no room to write it anew."""

    answers: int
    smaller: bool = True


@contextmanager
def _opened(path: Path) -> Generator[sqlite3.Connection]:
    """The ledger's database. Raises ConfigurationError where it cannot be used, whatever is done with it."""
    try:
        with Ledger(path), closing(open_database(path)) as database:
            # What is damaged may be no text; it is shown, and never compared with anything.
            database.text_factory = _text
            yield database
    except UNREADABLE as error:
        raise unusable(path, error) from error


def _text(data: bytes) -> str:
    return bytes(data).decode(errors="replace")


def _shown(model: object) -> str:
    return model if isinstance(model, str) else repr(model)[:80]


def contents(path: Path) -> Contents:
    """What the ledger at `path` holds. Raises ConfigurationError when it cannot be read."""
    with _opened(path) as database:
        answers, oldest, newest = database.execute(
            "SELECT count(*), min(written), max(written) FROM answers WHERE typeof(written) = 'integer'"
        ).fetchone()
        models = {
            _shown(model): count
            for model, count in database.execute(
                "SELECT model, count(*) FROM answers GROUP BY model ORDER BY count(*) DESC, model"
            )
        }
    size = sum(file.stat().st_size for file in (path, Path(f"{path}-wal")) if file.exists())
    return Contents(answers, size, oldest, newest, models)


def prune(path: Path, *, older_than_days: float | None = None, model: str | None = None) -> Pruned:
    """Drops the answers that are both as old and of the model as given, all where neither is.

    Raises ConfigurationError when the file cannot be written: then nothing is dropped.
    """
    before = None if older_than_days is None else int(time.time() - older_than_days * _DAY)
    with _opened(path) as database:
        if before is None and model is None:
            # What goes as a whole is not overwritten first, page by page, for which a full disk has no room: it is cut off.
            database.execute("PRAGMA secure_delete = OFF")
            dropped = database.execute("DELETE FROM answers").rowcount
        else:
            dropped = database.execute(
                "DELETE FROM answers WHERE (:before IS NULL OR written < :before) "
                "AND (:model IS NULL OR model = :model)",
                {"before": before, "model": model},
            ).rowcount
        if before is None:  # and what it was found not to take
            database.execute("DELETE FROM refused WHERE :model IS NULL OR model = :model", {"model": model})
        try:
            database.execute("VACUUM")
        except sqlite3.OperationalError as error:
            if trouble(str(error)) != "full":
                raise
            return Pruned(dropped, smaller=False)
    return Pruned(dropped)


def lines(path: Path) -> Iterator[str]:
    """Every sound answer as a line of JSON, by key. Damaged ones are left out, and those that nobody could read: they are no
    truth elsewhere either."""
    with _opened(path) as database:
        rows = database.execute(
            "SELECT key, body, seal, model, written FROM answers WHERE unusable IS NULL ORDER BY key"
        )
        for key, body, sealed, model, written in rows:
            if isinstance(key, bytes) and isinstance(body, str) and sealed == seal(key, body):
                model, written = _shown(model), written if isinstance(written, int) else 0
                entry = {"key": key.hex(), "model": model, "written": written, "answer": json.loads(body)}
                yield json.dumps(entry) + "\n"


def newest(path: Path, *, model: str | None = None, text: str = "", most: int = 20) -> list[KeptAnswer]:
    """The answers that came last, the latest first: of a model, with a piece of text in them. Damaged ones are left out.

    Raises ConfigurationError when the ledger cannot be read.
    """
    found: list[KeptAnswer] = []
    with _opened(path) as database:
        rows = database.execute(
            "SELECT key, body, seal, model, written FROM answers WHERE :model IS NULL OR model = :model "
            "ORDER BY written DESC, rowid DESC",
            {"model": model},
        )
        for key, body, sealed, named, written in rows:
            if not (isinstance(key, bytes) and isinstance(body, str) and sealed == seal(key, body)):
                continue
            answer = _answer(cast("JsonValue", json.loads(body)))
            if answer is not None and text in answer.text:
                found.append(
                    KeptAnswer(key.hex(), _shown(named), written if isinstance(written, int) else 0, answer)
                )
                if len(found) == most:
                    break
    return found


def add(path: Path, given: Iterable[str]) -> Imported:
    """Stores the answers of an exported file; those that are there already stay as they are."""
    added = known = refused = 0
    with _opened(path) as database:
        database.execute("BEGIN IMMEDIATE")
        for number, line in enumerate(given, 1):
            row = _row(line)
            if row is None:
                refused += bool(line.strip())
                continue
            new = database.execute(
                "INSERT INTO answers (key, body, seal, model, written) VALUES (?,?,?,?,?) "
                "ON CONFLICT DO NOTHING",
                row,
            ).rowcount
            added += new
            known += 1 - new
            if number % _BATCH == 0:
                database.execute("COMMIT")
                database.execute("BEGIN IMMEDIATE")
        database.execute("COMMIT")
    return Imported(added, known, refused)


def _row(line: str) -> tuple[bytes, str, bytes, str, int] | None:
    if len(line) > _LONGEST_LINE:
        return None
    try:
        entry = cast("JsonValue", json.loads(line))
        if not isinstance(entry, dict):
            return None
        key = bytes.fromhex(str(entry.get("key")))
    except (ValueError, RecursionError):
        return None
    model, written, answer = entry.get("model"), entry.get("written"), _answer(entry.get("answer"))
    if len(key) != 32 or answer is None or not isinstance(model, str):
        return None
    if not isinstance(written, int) or not 0 <= written < 2**40:
        return None
    body = dump(answer)
    return key, body, seal(key, body), model, written


def _answer(parts: JsonValue) -> Answer | None:
    if not isinstance(parts, list) or not 6 <= len(parts) <= 8:
        return None
    text, asked, answered, estimated, cost, finish, *more = parts
    called = _calls(more[0]) if more else ()
    thought = more[1] if len(more) > 1 else ""
    if called is None or not isinstance(thought, str):
        return None
    counted = [
        n for n in (asked, answered) if isinstance(n, int) and not isinstance(n, bool) and 0 <= n < 2**40
    ]
    if len(counted) != 2 or not isinstance(text, str) or not isinstance(finish, str):
        return None
    if not isinstance(estimated, bool) or not (
        cost is None or (isinstance(cost, int | float) and 0 <= cost < 1e9)
    ):
        return None
    return Answer(text, Usage(counted[0], counted[1], estimated), cost, finish, called, thought)


def _calls(parts: JsonValue) -> tuple[ToolCall, ...] | None:
    found: list[ToolCall] = []
    for part in parts if isinstance(parts, list) else [None]:
        name, arguments = part if isinstance(part, list) and len(part) == 2 else (None, None)
        if not isinstance(name, str) or not isinstance(arguments, str):
            return None
        found.append(ToolCall(name, arguments))
    return tuple(found)
