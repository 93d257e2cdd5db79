"""Artifacts: compiled programs as plain JSON.

Writing is whole or not at all, and the same artifact always gives the same bytes. An artifact holds no
secret and no address: an LM with a literal `api_base` is marked as a custom endpoint, and the
application that loads it says where that is.

Reading trusts nothing: a regular file, bounded in size and depth, strict JSON without repeated members,
every reference inside it resolved. It runs nothing and fetches nothing.
"""

from __future__ import annotations

import json
import math
import os
import stat
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Literal, NoReturn, cast, get_args

from pydantic import BaseModel, Field, ValidationError

from ..errors import ArtifactError
from ..running.strategies.table import running
from ..schema.ensemble import Ensemble, Runnable, everywhere
from ..schema.program import LM, Program
from ..schema.types import Frozen, JsonValue
from .integrity import faults

FORMAT = 1
MAX_BYTES = 16 * 1024 * 1024
_WIDTH = 100
_writing = threading.Lock()


class Score(Frozen):
    """Mean score of `n` rows, with its 95 % confidence interval."""

    metric: str
    score: float
    low: float
    high: float
    n: int


class StepRecord(Frozen):
    """What one optimizer step did."""

    name: str
    optimizer: str
    options: dict[str, JsonValue] = Field(default_factory=dict)
    score: Score | None = None
    calls: int = 0


class Provenance(Frozen):
    """Where the program comes from. Hashes are SHA-256 in hexadecimal."""

    toolchain: str = ""
    """Name and version of what compiled it."""
    source: str = ""
    """Hash of the resolved program before tuning."""
    data: dict[str, str] = Field(default_factory=dict)
    """Hashes of the rows used, by role (`train`, `val`)."""
    metric: str = ""
    """Hash of the metric's expressions."""
    options: str = ""
    """Hash of the steps with all their options."""
    seeds: dict[str, int] = Field(default_factory=dict)
    models: dict[str, str] = Field(default_factory=dict)
    """Model strings by role or LM name."""
    steps: tuple[StepRecord, ...] = ()
    calls: int = 0
    """Model calls, answers replayed from a ledger counted as if they had been paid."""
    input_tokens: int = 0
    output_tokens: int = 0
    cost_usd: float | None = None
    """None where the price of some model is not known."""
    unanswered: int | None = None
    """Runs that scored 0 because no model answered (`on_error = "score_zero"`); None where there were none."""


Kind = Literal["program", "ensemble"]


class Artifact(Frozen):
    """A compiled program with its scores and where it comes from. `kind` says what `program` is."""

    format: Literal[1] = FORMAT
    kind: Kind = "program"
    name: str
    program: Runnable
    scores: dict[Literal["train", "val"], Score] = Field(default_factory=dict[Literal["train", "val"], Score])
    provenance: Provenance = Provenance()
    notes: tuple[str, ...] = ()


def kind_of(program: Runnable) -> Kind:
    """What an artifact that carries the program is."""
    return "ensemble" if isinstance(program, Ensemble) else "program"


def write_artifact(path: Path, artifact: Artifact) -> None:
    """Write the artifact, whole or not at all. Raises OSError."""
    write_whole(path, artifact_text(artifact).encode())


def artifact_text(artifact: Artifact) -> str:
    """The artifact's one text."""
    program = everywhere(artifact.program, _without_addresses)
    artifact = artifact.model_copy(update={"kind": kind_of(program), "program": program})
    return _pretty(_plain(artifact), 0, 0) + "\n"


def _without_addresses(program: Program) -> Program:
    return program.with_lms({name: _without_address(lm) for name, lm in program.lms.items()})


def _without_address(lm: LM) -> LM:
    return lm if lm.api_base is None else lm.model_copy(update={"api_base": None, "custom_endpoint": True})


def _plain(value: object) -> JsonValue:
    """As JSON, without members that are empty and that loading fills in again."""
    if isinstance(value, BaseModel):
        members: dict[str, JsonValue] = {}
        for name, info in type(value).model_fields.items():
            member: object = getattr(value, name)
            default = info.get_default(call_default_factory=True, validated_data={})
            empty = member is None or member is False or member in ("", (), {})
            if not (empty and not info.is_required() and member == default):
                members[name] = _plain(member)
        return members
    if isinstance(value, dict):
        return {name: _plain(member) for name, member in cast("dict[str, object]", value).items()}
    if isinstance(value, list | tuple):
        return [_plain(member) for member in cast("list[object]", value)]
    return cast("JsonValue", value)


def _pretty(value: JsonValue, indent: int, taken: int) -> str:
    """Two spaces per level; a list or object that fits on its line stays on it.

    `taken` counts the characters before the value on its line.
    """
    if not isinstance(value, list | dict) or not value:
        return _line(value)
    if indent and (short := _short(value, _WIDTH - taken)) is not None:
        return short
    pad = "  " * (indent + 1)
    if isinstance(value, dict):
        parts = [
            f"{pad}{_line(name)}: {_pretty(member, indent + 1, len(pad) + len(name) + 4)}"
            for name, member in value.items()
        ]
    else:
        parts = [pad + _pretty(member, indent + 1, len(pad)) for member in value]
    opening, closing = "{}" if isinstance(value, dict) else "[]"
    body = ",\n".join(parts)
    return f"{opening}\n{body}\n{'  ' * indent}{closing}"


def _short(value: JsonValue, room: int) -> str | None:
    """The value on one line, or None where it takes more room."""
    if isinstance(value, list | dict) and len(value) * 2 > room:
        return None
    line = _line(value)
    return line if len(line) <= room else None


def _line(value: JsonValue) -> str:
    return json.dumps(value, ensure_ascii=False, allow_nan=False)


def write_whole(path: Path, data: bytes) -> None:
    """Replace a file: written beside it, synced, renamed over it. Raises OSError, the old file intact.

    What an earlier process left behind when it was killed is cleared away.
    """
    path = path.resolve()
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    with _writing:
        for stray in path.parent.glob(f".{_literal(path.name)}.*.tmp"):
            if not _alive(stray):
                stray.unlink(missing_ok=True)
        try:
            with beside.open("wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            beside.replace(path)
        except BaseException:
            beside.unlink(missing_ok=True)
            raise
    _sync_folder(path.parent)


def _literal(name: str) -> str:
    return "".join(f"[{character}]" if character in "*?[" else character for character in name)


def _alive(stray: Path) -> bool:
    """Whether the process that a left-over is named for may still be writing it."""
    owner = stray.name.removesuffix(".tmp").rpartition(".")[2]
    if not owner.isdecimal() or int(owner) == os.getpid():
        return not owner.isdecimal()
    try:
        os.kill(int(owner), 0)
    except ProcessLookupError:
        return False
    except (OSError, OverflowError):
        return True
    return True


def _sync_folder(folder: Path) -> None:
    """Makes the rename itself durable, where folders can be synced."""
    try:
        handle = os.open(folder, os.O_RDONLY)
    except OSError:
        return
    try:
        os.fsync(handle)
    except OSError:
        pass
    finally:
        os.close(handle)


def read_artifact(path: Path) -> Artifact:
    """The artifact in a file. Raises ArtifactError that says what is wrong, and where in the file."""
    try:
        return parse_artifact(_read(path))
    except ArtifactError as error:
        raise ArtifactError(f"{path}: {error.message}", help=error.help) from None


def read_json(path: Path) -> JsonValue:
    """What a file of JSON holds, under the rules for artifacts. Raises ArtifactError."""
    try:
        return _strict_json(_read(path))
    except ArtifactError as error:
        raise ArtifactError(f"{path}: {error.message}", help=error.help) from None


def _read(path: Path) -> bytes:
    try:
        # A named pipe must not block before it is found out.
        handle = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    except FileNotFoundError:
        raise ArtifactError("there is no such file", help="`dspc compile` writes it") from None
    except (OSError, ValueError) as error:
        raise ArtifactError(f"cannot be read: {getattr(error, 'strerror', None) or error}") from None
    try:
        about = os.fstat(handle)
        if not stat.S_ISREG(about.st_mode):
            raise ArtifactError("is not a regular file")
        if about.st_size <= MAX_BYTES:
            with os.fdopen(handle, "rb", closefd=False) as file:
                data = file.read(MAX_BYTES + 1)
            if len(data) <= MAX_BYTES:
                return data
    finally:
        os.close(handle)
    raise ArtifactError(f"is larger than {MAX_BYTES // 1024**2} MB, which no artifact is")


def parse_artifact(data: bytes) -> Artifact:
    """The artifact in a file's bytes. Raises ArtifactError."""
    plain = _strict_json(data)
    if not isinstance(plain, dict) or "format" not in plain:
        raise ArtifactError("is not a dspec artifact: it has no `format`", help=_REMEDY)
    if plain["format"] != FORMAT or isinstance(plain["format"], bool):
        number = _line(plain["format"])[:40]
        raise ArtifactError(
            f"has format {number}, and this version of dspec reads format {FORMAT}",
            help="upgrade dspec to the version that wrote it, or compile it again with this one",
        )
    if plain.get("kind", "program") not in get_args(Kind):
        raise ArtifactError(
            f"is of kind {_line(plain['kind'])[:40]}, which this version of dspec cannot run",
            help="upgrade dspec to the version that wrote it",
        )
    try:
        artifact = Artifact.model_validate_json(data, strict=True)
    except ValidationError as error:
        first, *others = error.errors(include_url=False, include_input=False, include_context=False)
        more = f" (and {len(others)} more)" if others else ""
        where = _path(first["loc"], plain)
        raise ArtifactError(f"{where}: {first['msg'].lower()}{more}", help=_REMEDY) from None
    if artifact.kind != kind_of(artifact.program):
        raise ArtifactError(f"kind: is {artifact.kind!r}, and `program` is not", help=_REMEDY)
    for fault in faults(artifact.program):
        raise ArtifactError(fault, help=_REMEDY)
    return artifact


_REMEDY = "compile it again, or restore the file as it was written"


def _strict_json(data: bytes) -> JsonValue:
    try:
        return json.loads(
            data.decode(), object_pairs_hook=_members, parse_constant=_refused, parse_float=_finite
        )
    except UnicodeDecodeError:
        raise ArtifactError("is not UTF-8 text", help=_REMEDY) from None
    except json.JSONDecodeError as error:
        raise ArtifactError(f"line {error.lineno}: not JSON: {error.msg}", help=_REMEDY) from None
    except RecursionError:
        raise ArtifactError("is nested too deep", help=_REMEDY) from None
    except ValueError as error:
        raise ArtifactError(str(error)[:200], help=_REMEDY) from None


def _members(pairs: list[tuple[str, JsonValue]]) -> dict[str, JsonValue]:
    members = dict(pairs)
    if len(members) < len(pairs):
        seen: set[str] = set()
        for name, _ in pairs:
            if name in seen:
                raise ValueError(f"the member {_line(name)[:80]} is given twice")
            seen.add(name)
    return members


def _refused(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is not a JSON value")


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"the number {text[:40]} is out of range")
    return number


def _path(location: tuple[int | str, ...], plain: JsonValue) -> str:
    """The place in the file; the validator's own steps between alternatives are left out."""
    parts = list(_present(location, plain))
    return "".join(parts).removeprefix(".") or "the file"


def _present(location: tuple[int | str, ...], plain: JsonValue) -> Iterator[str]:
    for place, step in enumerate(location):
        if isinstance(plain, dict) and step in plain:
            plain = plain[str(step)]
            yield f".{step}"
        elif isinstance(plain, list) and isinstance(step, int) and step < len(plain):
            plain = plain[step]
            yield f"[{step}]"
        elif place == len(location) - 1 and isinstance(plain, dict):
            yield f".{step}"  # a member that is missing


def schema_text() -> str:
    """The published JSON Schema, as `artifact.schema.json` has it."""
    schema = Artifact.model_json_schema()
    members = schema["$defs"]["Predictor"]["properties"]
    members["strategy"] = {"enum": list(running()), **members["strategy"]}
    head: dict[str, JsonValue] = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "dspec artifact, format 1",
    }
    return _pretty(head | {name: part for name, part in schema.items() if name != "title"}, 0, 0) + "\n"
