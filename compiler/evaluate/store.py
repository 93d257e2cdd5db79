"""The evaluation store: what a program did on a row, so that no run is made twice.

It remembers runs, not scores: scores are computed again from the outputs, so a metric can change
without a call. A run is keyed by everything that determines it, the runtime's own code and what a token costs included, and
by nothing else: names that no model sees and settings such as timeouts stay out.

A run with an answer that could not be read, its only one or one of several, is no memory of what the program does: the server
may have been mended since.

It is a memory and never a source of truth. Whatever cannot be read, is damaged or does not fit the
format is a miss; whatever cannot be written is forgotten. The ledger is what keeps paid answers.
"""

from __future__ import annotations

import functools
import hashlib
import json
import sqlite3
from collections.abc import Iterable, Sequence
from contextlib import closing, suppress
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path
from types import TracebackType

from msgspec import DecodeError, Struct, convert, to_builtins
from msgspec.json import Decoder, Encoder

from dspec.runtime.errors import ConfigurationError
from dspec.runtime.models.compact import compact
from dspec.runtime.models.endpoints import address
from dspec.runtime.models.prices import price
from dspec.runtime.models.upgrades import (
    UNREADABLE,
    ForeignFile,
    NewerSchema,
    Step,
    tables,
    upgrade,
    write_ahead,
)
from dspec.runtime.schema.program import Program, digest, reached
from dspec.runtime.schema.trace import Row, TraceStep
from dspec.runtime.schema.types import JsonValue
from dspec.runtime.schema.usage import Flaws, Spent

from .digests import LM_PACE, program_digest

_BATCH = 500
"""Keys in one SELECT: below SQLite's smallest limit on variables, 999."""
_PENDING = 1_024
"""Runs held back before they are written in one transaction."""
_BUSY_SECONDS = 5.0
"""Others that hold the file are waited for so long."""

UNREAD = "ParseError"
"""The error of runs whose model's answer could not be read."""
UNANSWERED = "ProviderError"
"""In place of an answer's error, in the results of runs that no model answered."""


class RunResult(Struct, frozen=True):
    """One run of a program on one row's inputs.

    `outputs` is None when the answer was unusable; then `error` says how, as (class, message), and the trace has nothing but
    the call of a tool that ended it.
    The numbers are a `Spent` and a `Flaws`, flat as the store keeps them.
    """

    outputs: Row | None
    trace: tuple[TraceStep, ...]
    error: tuple[str, str] | None
    calls: int
    input_tokens: int
    output_tokens: int
    cost: int
    unpriced: int
    cut: int = 0
    repaired: int = 0
    unreadable: int = 0
    set_aside: bool = False
    """Whether nobody could read one of its answers, though it was asked for again. Such a run is remembered as long as the
    store is open: whether the model is asked once more is for the ledger to say (`Ledger.set_aside`)."""

    @classmethod
    def of(
        cls,
        outputs: Row | None,
        trace: tuple[TraceStep, ...] = (),
        error: tuple[str, str] | None = None,
        spent: Spent = Spent(),  # noqa: B008  # a frozen value
        flaws: Flaws = Flaws(),  # noqa: B008
        *,
        set_aside: bool = False,
    ) -> RunResult:
        return cls(
            outputs,
            trace,
            error,
            spent.calls,
            spent.input_tokens,
            spent.output_tokens,
            spent.cost,
            spent.unpriced,
            flaws.cut,
            flaws.repaired,
            flaws.unreadable,
            set_aside,
        )

    @property
    def spent(self) -> Spent:
        return Spent(self.calls, self.input_tokens, self.output_tokens, self.cost, self.unpriced)

    @property
    def flaws(self) -> Flaws:
        return Flaws(self.cut, self.repaired, self.unreadable)

    @property
    def unread(self) -> bool:
        """True when there are no outputs because the model's answer could not be read."""
        return self.error is not None and self.error[0] == UNREAD

    @property
    def unanswered(self) -> bool:
        """True when no model answered, which is a result only where `on_error` says so."""
        return self.error is not None and self.error[0] == UNANSWERED


_encoder = Encoder()
_decoder = Decoder(RunResult)


def read_run(plain: JsonValue) -> RunResult:
    """A run from what its JSON says. Raises msgspec's ValidationError where that is no run."""
    return convert(plain, RunResult)


def lm_digest(program: Program) -> str:
    """Hash of the models behind a program's predictors: what of their settings changes an answer.

    Raises ConfigurationError when the variable that names a model's address is not set.
    """
    called = reached(program)
    models = {
        address: _lm_identity(program, predictor.lm, ())
        for address, predictor in program.predictors.items()
        if address in called
    }
    for key, tool in program.tools.items():
        if tool.lm is not None and key in called:
            models[f"({key})"] = _lm_identity(program, tool.lm, ())
    for name, module in program.modules.items():
        for judge in module.reward.judges if module.reward is not None and name in called else ():
            models |= {
                f"({name}: {judge.name})/{address}": _lm_identity(program, asked.lm, ())
                for address, asked in judge.program.predictors.items()
            }
    if program.neighbours is not None and program.neighbours.lm is not None:
        models["(neighbours)"] = _lm_identity(program, program.neighbours.lm, ())
    return digest(models)


def _lm_identity(program: Program, name: str, above: tuple[str, ...]) -> JsonValue:
    lm = program.lms.get(name)
    if lm is None or name in above:
        return name
    settings: dict[str, JsonValue] = lm.model_dump(
        mode="json",
        exclude={
            *(
                "name",
                "api_base",
                "api_base_env",
                "api_key_env",
                "custom_endpoint",
                "price_input",
                "price_output",
            ),
            *LM_PACE,
        },
    )
    settings["endpoint"] = address(lm)
    # A run is kept with what it cost: at another price it is made again, of the ledger's answers.
    each = price(lm)
    settings["price"] = None if each is None else [each.input, each.output]
    settings["fallback"] = [_lm_identity(program, other, (*above, name)) for other in lm.fallback]
    if lm.extract is not None:
        settings["extract"] = _lm_identity(program, lm.extract, (*above, name))
    return settings


class ProgramKey:
    """Keys of one program's runs; its digests are computed once."""

    def __init__(self, program: Program) -> None:
        self.digest = program_digest(program)
        self._prefix = f"{runtime_fingerprint()}|{self.digest}|{lm_digest(program)}"

    def run(
        self, inputs_digest: str, *, sample: int, temperature: float | None, left_out: bool = False
    ) -> bytes:
        """Of a run on these inputs; `left_out` says that the program's index lacks the row of these very inputs."""
        recipe = f"{self._prefix}|{inputs_digest}|{sample}|{temperature!r}" + (
            "|left out" if left_out else ""
        )
        return hashlib.sha256(recipe.encode()).digest()


@functools.cache
def runtime_fingerprint() -> str:
    """Hash of the runtime's code and templates: a stored run stands for this code's behaviour."""
    total = hashlib.sha256()
    for name, content in sorted(_files(resources.files("dspec.runtime"), "")):
        total.update(f"{name}:{len(content)}:".encode())
        total.update(content)
    return total.hexdigest()


def _files(folder: Traversable, prefix: str) -> Iterable[tuple[str, bytes]]:
    for entry in folder.iterdir():
        if entry.is_dir() and entry.name != "__pycache__":
            yield from _files(entry, f"{prefix}{entry.name}/")
        elif entry.name.endswith((".py", ".jinja", ".j2", ".json")):
            yield prefix + entry.name, entry.read_bytes()


class Store:
    """Runs by key, in memory and, when a path is given, in an SQLite file.

    Life cycle: opened once per command on the thread that uses it, closed at the end; also a context
    manager. `problem` says in one sentence why the file is not used, or is None.
    """

    def __init__(self, path: Path | None = None) -> None:
        self.problem: str | None = None
        self._memory: dict[bytes, RunResult] = {}
        self._pending: dict[bytes, RunResult] = {}
        self._database: sqlite3.Connection | None = None
        if path is not None:
            self._open(path)

    def lookup(self, keys: Sequence[bytes]) -> dict[bytes, RunResult]:
        """The known ones among many keys, in few queries."""
        found: dict[bytes, RunResult] = {}
        missing: list[bytes] = []
        for key in keys:
            run = self._memory.get(key) or self._pending.get(key)
            if run is None:
                missing.append(key)
            else:
                found[key] = run
        if self._database is not None:
            for start in range(0, len(missing), _BATCH):
                found.update(self._read(missing[start : start + _BATCH]))
        return found

    def is_empty(self) -> bool:
        """Whether nothing is known at all."""
        if self._memory or self._pending:
            return False
        if self._database is None:
            return True
        try:
            return self._database.execute("SELECT 1 FROM runs LIMIT 1").fetchone() is None
        except UNREADABLE as error:
            self._give_up(error)
            return True

    def put(self, key: bytes, run: RunResult) -> None:
        if self._database is None or run.set_aside:
            self._memory[key] = run
            return
        self._pending[key] = run
        if len(self._pending) >= _PENDING:
            self.flush()

    def flush(self) -> None:
        """Write what is pending in one transaction; on failure forget it and note the problem."""
        if self._database is None or not self._pending:
            return
        rows = [
            (key, *sealed) for key, run in self._pending.items() if (sealed := _seal(key, run)) is not None
        ]
        try:
            with self._database:
                self._database.executemany(
                    "INSERT OR REPLACE INTO runs (key, body, seal) VALUES (?, ?, ?)",
                    rows,
                )
        except UNREADABLE as error:
            self._give_up(error)
        else:
            self._pending.clear()

    def close(self) -> None:
        self.flush()
        if self._database is not None:
            self._database.close()
            self._database = None

    def __enter__(self) -> Store:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def _open(self, path: Path) -> None:
        try:
            self._database = _connect(path)
        except NewerSchema:
            self.problem = f"{path} was written by a newer version; runs are remembered in memory only"
        except (sqlite3.OperationalError, OSError) as error:
            # Locked, not writable, no space: the file may be sound, so it is left alone.
            self.problem = f"{path} cannot be used ({error}); runs are remembered in memory only"
        except (sqlite3.DatabaseError, UnicodeDecodeError) as error:
            self.problem = f"{path} was damaged ({error}) and has been set aside; it starts empty"
            with suppress(OSError):
                for suffix in ("-wal", "-shm"):
                    Path(f"{path}{suffix}").unlink(missing_ok=True)
                path.replace(f"{path}.damaged")
            with suppress(*UNREADABLE, OSError):
                self._database = _connect(path)

    def _give_up(self, error: Exception) -> None:
        """Go on in memory: a store that fails must not fail a compile."""
        self.problem = f"the evaluation store failed ({error}); runs are remembered in memory only"
        self._memory.update(self._pending)
        self._pending.clear()
        if self._database is not None:
            with suppress(sqlite3.Error):
                self._database.close()
            self._database = None

    def _read(self, keys: Sequence[bytes]) -> dict[bytes, RunResult]:
        if self._database is None:
            return {}
        marks = ",".join("?" * len(keys))
        query = f"SELECT key, body, seal FROM runs WHERE key IN ({marks})"  # noqa: S608
        try:
            rows: list[tuple[object, object, object]] = self._database.execute(query, keys).fetchall()
        except UNREADABLE as error:
            self._give_up(error)
            return {}
        found: dict[bytes, RunResult] = {}
        for key, body, seal in rows:
            if isinstance(key, bytes) and isinstance(body, bytes):
                run = _unseal(key, body, seal)
                if run is not None and not run.set_aside:
                    found[key] = run
        return found


def _settle_in_one_table(database: sqlite3.Connection) -> None:
    """Before there were versions, a format was part of its table's name; rows of the first cannot be read."""
    database.execute("DROP TABLE IF EXISTS runs_1")
    if "runs_2" in tables(database):
        database.execute("ALTER TABLE runs_2 RENAME TO runs")
        return
    # With row numbers, so that bodies are appended: kept in their keys' order they would go all over a
    # file that has grown, and a row would cost the more the more of them there are.
    database.execute("CREATE TABLE runs (key BLOB PRIMARY KEY, body BLOB NOT NULL, seal BLOB NOT NULL)")


STEPS: tuple[Step, ...] = (_settle_in_one_table,)
"""What led to the schema as it is now (`dspec.runtime.models.upgrades`)."""


def forget(path: Path) -> None:
    """Drops every run in the store at `path`, if there is one: they follow from answers that are gone."""
    if not path.exists():
        return
    with suppress(*UNREADABLE, OSError, NewerSchema, ForeignFile), closing(_connect(path)) as database:
        # What goes as a whole is cut off (`ledger_upkeep.prune`).
        database.execute("PRAGMA secure_delete = OFF")
        database.execute("DELETE FROM runs")
        database.commit()
        database.execute("VACUUM")


def _connect(path: Path) -> sqlite3.Connection:
    if not path.parent.is_dir():
        raise ConfigurationError(
            f"the folder {path.parent} does not exist", help="create it, or choose another state folder"
        )
    database = sqlite3.connect(path, timeout=_BUSY_SECONDS)
    try:
        write_ahead(database, _BUSY_SECONDS)
        # The store may lose its last moments in a power cut, never its consistency.
        database.execute("PRAGMA synchronous=NORMAL")
        upgrade(database, STEPS)
    except BaseException:
        database.close()
        raise
    return database


def _seal(key: bytes, run: RunResult) -> tuple[bytes, bytes] | None:
    """A run's JSON, and a checksum that binds it to its key; None for what JSON cannot say.

    Members keep their order: demos made from a stored trace are written to the artifact as they come.
    """
    try:
        body = _written(run)
    except (ValueError, RecursionError):
        return None
    return body, hashlib.sha256(key + body).digest()


def _written(run: RunResult) -> bytes:
    """A run as JSON, in a tenth of the time that `compact` takes where it can be had. Raises ValueError."""
    try:
        body = _encoder.encode(run)
    except UnicodeEncodeError:
        body = b""  # half of a surrogate pair
    # The encoder writes a NaN as null: with one null too many, somebody has to look.
    nulls = (run.outputs is None) + (run.error is None) + sum(step.reward is None for step in run.trace)
    if body and body.count(b"null") == nulls:
        return body
    return compact(to_builtins(run))


def _unseal(key: bytes, body: bytes, seal: object) -> RunResult | None:
    if seal != hashlib.sha256(key + body).digest():
        return None
    try:
        try:
            return _decoder.decode(body)
        except (DecodeError, UnicodeError):
            return read_run(json.loads(body))  # which takes half of a surrogate pair
    except (DecodeError, ValueError, RecursionError):
        return None
