"""Artifacts: compiled programs as plain JSON.

Writing is whole or not at all, and the same artifact always gives the same bytes. An artifact holds no
secret and no address: an LM with a literal `api_base` is marked as a custom endpoint, and the
application that loads it says where that is.

Reading trusts nothing: a regular file, bounded in size and depth, strict JSON without repeated members,
every reference inside it resolved. It runs nothing and fetches nothing.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Literal, cast, get_args

from pydantic import BaseModel, Field, ValidationError

from ..errors import ArtifactError
from ..running.strategies.table import of_one_call, of_several_calls
from ..schema.ensemble import Ensemble, Runnable, everywhere, parts
from ..schema.program import LM, Neighbour, Neighbours, Program, digest
from ..schema.types import Frozen, JsonValue
from .attached import MediaFile, read_media, shows_media, write_media
from .beside import RowsFile, read_rows, remove_others, write_rows
from .files import read_regular, write_whole
from .integrity import faults
from .strict import MAX_VALUES, REMEDY, VALUE_MARKS, strict_json
from .tuned import WeightsFolder, find_weights, remove_other_weights, write_weights

FORMAT = 1
NEWER = "upgrade dspec to the version that wrote it, or compile it again with this one"
MAX_BYTES = 16 * 1024 * 1024
MAX_INDEX = 12_000_000
"""The rows of indexes stand in the artifact itself up to so many characters in all; more go to files beside it."""
_WIDTH = 100


FlawName = Literal["cut", "repaired", "unreadable"]


class Score(Frozen):
    """The score of `n` rows, with its 95 % confidence interval."""

    metric: str
    score: float
    low: float
    high: float
    n: int
    aggregates: tuple[str, ...] = Field((), exclude_if=lambda aggregates: not aggregates)
    """What the score is made of, once for all rows (`macro_f1`); none where it is the mean of the rows' scores."""
    corrected: float | None = Field(default=None, exclude_if=lambda corrected: corrected is None)
    """The score without the luck of the program's having been chosen by it, on these rows; None where there is none."""

    @property
    def over_rows(self) -> str:
        """The aggregates, to be said behind a name; nothing where there are none."""
        return f" ({', '.join(self.aggregates)})" if self.aggregates else ""


class ExploredRecord(Frozen):
    """One round of a step that tried several optimizers."""

    family: str
    """What kind of thing was tried."""
    optimizers: tuple[str, ...]
    programs: int
    """Programs that were compared with the one that the round started from."""
    rows: int
    """Rows on which its winner was."""
    gain: float
    """What the winner gained, without the luck of having been chosen where it was kept; 0.0 where nothing was better."""
    low: float
    high: float
    """The gain's interval at 95 %."""
    calls: int
    cost_usd: float | None = None
    """None where a price is not known."""
    kept: bool
    """Whether the rounds after it started from its winner."""


class StepRecord(Frozen):
    """What one optimizer step did."""

    name: str
    optimizer: str
    options: dict[str, JsonValue] = Field(default_factory=dict)
    score: Score | None = None
    calls: int = 0
    cost_usd: float | None = None
    """None where a price is not known."""
    gain: float | None = None
    """What it scored above the program that it was given, on the same rows; None where it did not score both."""
    luck: float | None = None
    """How much of the gain the best of as many equal programs shows."""
    explored: tuple[ExploredRecord, ...] = Field(default=(), exclude_if=lambda explored: not explored)
    """The rounds of a step that tried several optimizers, in order."""
    stopped: str | None = Field(default=None, exclude_if=lambda stopped: stopped is None)
    """Why such a step went no further."""


class TrainingRecord(Frozen):
    """One training of a model's weights."""

    step: str
    model: str
    """What came of it."""
    base: str
    """What it started from."""
    rows: int
    data: str
    """Hash of the rows as JSONL."""
    tokens: int | None = None
    """That were trained on, all epochs together; None where nobody counted them."""
    cost_usd: float | None = None
    """None where no price is known; 0 on a machine of one's own."""


FileRole = Literal["source", "data", "fetched", "python", "artifact"]
"""What a file was to a compile: text of the program, rows of it, rows that were fetched and kept, a module of Python, a
program out of another file."""


class MadeFrom(Frozen):
    """A file that a compile read."""

    role: FileRole
    path: str
    """From the folder of the source, with `/`; of fetched rows what the source says of them."""
    sha256: str


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
    scoring: Literal["none"] | None = None
    """"none" where the compile was asked to score nothing for its report; None where it scored start and result."""
    models: dict[str, str] = Field(default_factory=dict)
    """Model strings by role or LM name."""
    steps: tuple[StepRecord, ...] = ()
    calls: int = 0
    """Model calls, answers replayed from a ledger counted as if they had been paid."""
    input_tokens: int = 0
    output_tokens: int = 0
    cost_usd: float | None = None
    """None where the price of some model is not known."""
    training: tuple[TrainingRecord, ...] = ()
    """The models that were tuned, in order."""
    unanswered: int | None = None
    """Runs that scored 0 because no model answered (`on_error = "score_zero"`); None where there were none."""
    answers: dict[FlawName, int] = Field(default_factory=dict[FlawName, int])
    """Answers that were cut off, that had to be guessed at (`repaired`) and that could not be read; no 0 among them."""
    files: tuple[MadeFrom, ...] = ()
    """The files that it was made from. `dspc verify` reads them again."""
    prompts: dict[str, str] = Field(default_factory=dict[str, str])
    """Hashes of the predictors' messages, with the names of inputs in the place of values, by address."""


class KeptCandidate(Frozen):
    """A program that was scored as the artifact's own was, kept for an application to choose."""

    label: str
    step: str
    """The step that scored it; "" of the program that the compile started from."""
    score: Score
    usd: float | None = None
    """What an answer costs on the average; None where a price is not known."""
    tokens: float
    """What an answer takes on the average, prompts and answers together."""
    calls: float
    program: Runnable


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
    candidates: tuple[KeptCandidate, ...] = Field(default=(), exclude_if=lambda candidates: not candidates)
    """Of all that were scored, those that no other beats in both score and cost, the best first; as many as `keep` says."""
    beside: tuple[RowsFile, ...] = ()
    """Files with the rows of indexes that are too large for this one. Reading puts the rows back into the program."""
    media: tuple[MediaFile, ...] = ()
    """Files with the images, audio and files that demos show. Writing says which; reading makes them known."""
    weights: tuple[WeightsFolder, ...] = ()
    """Folders with the weights of models that were tuned. Writing says which; reading makes them known."""
    sha256: str = ""
    """Hash of all else in the file, layout aside. Writing says it; reading takes it off without looking: a file may be edited."""


def keepable(program: Runnable) -> bool:
    """Whether an artifact can keep the program as a candidate: nothing of it stands in files beside the artifact."""
    lms = (lm for one in parts(program) for lm in one.lms.values())
    indexed = any(one.neighbours is not None for one in parts(program))
    return not (indexed or shows_media(program) or any(lm.weights is not None for lm in lms))


def kind_of(program: Runnable) -> Kind:
    """The kind of an artifact that carries the program."""
    return "ensemble" if isinstance(program, Ensemble) else "program"


def write_artifact(path: Path, artifact: Artifact) -> None:
    """Write the artifact, whole or not at all. A large index, media and tuned weights go first, beside it. Raises OSError,
    and ConfigurationError where media or weights are no longer what they were."""
    beside = {
        "media": write_media(path, artifact.program),
        "weights": write_weights(path, artifact.program),
    }
    artifact = _rows_beside(path, artifact.model_copy(update=beside))
    write_whole(path, artifact_text(artifact).encode())
    remove_others(path, {one.file for one in (*artifact.beside, *artifact.media)})
    remove_other_weights(path, {one.folder for one in artifact.weights})


def remove_artifact(path: Path) -> None:
    """Remove an artifact that is no longer wanted, and the rows beside it. One that cannot be removed stays."""
    if not path.is_file():
        return
    with suppress(OSError):
        path.unlink()
        remove_others(path, ())
        remove_other_weights(path, ())


def index_size(index: Neighbours) -> int:
    """Characters of an index as JSON; a larger number where it has so many values that the artifact could not be read."""
    texts = [row.model_dump_json(exclude_defaults=True) for row in index.rows]
    values = sum(text.count(mark) for text in texts for mark in VALUE_MARKS)
    return max(sum(map(len, texts)), MAX_INDEX * values // (MAX_VALUES * 3 // 4))


def _rows_beside(path: Path, artifact: Artifact) -> Artifact:
    indexes = [one.neighbours for one in parts(artifact.program)]
    if sum(index_size(index) for index in indexes if index is not None) <= MAX_INDEX:
        return artifact
    files = {
        part: write_rows(path, part, index.rows)
        for part, index in enumerate(indexes)
        if index is not None and index.rows
    }
    program = _with_indexes(artifact.program, dict.fromkeys(files, ()))
    return artifact.model_copy(update={"program": program, "beside": tuple(files.values())})


def _with_indexes(program: Runnable, rows: Mapping[int, tuple[Neighbour, ...]]) -> Runnable:
    """The program with other rows in the indexes of some of its parts."""
    places = itertools.count()

    def changed(one: Program) -> Program:
        part = next(places)
        if one.neighbours is None or part not in rows:
            return one
        index = one.neighbours.model_copy(update={"rows": rows[part]})
        return one.model_copy(update={"neighbours": index})

    return everywhere(program, changed)


def artifact_text(artifact: Artifact) -> str:
    """The text of the artifact's file, which is the same for equal artifacts."""
    program = everywhere(artifact.program, _without_addresses)
    candidates = tuple(
        one.model_copy(update={"program": everywhere(one.program, _without_addresses)})
        for one in artifact.candidates
    )
    artifact = artifact.model_copy(
        update={"kind": kind_of(program), "program": program, "candidates": candidates, "sha256": ""}
    )
    plain = _plain(artifact)
    assert isinstance(plain, dict)
    return _pretty({**plain, "sha256": digest(plain)}, 0, 0) + "\n"


def own_digest(plain: JsonValue) -> tuple[str | None, str]:
    """The hash that an artifact's JSON says it has, None where it says none, and the one that it has."""
    if not isinstance(plain, dict):
        return None, digest(plain)
    said = plain.get("sha256")
    return said if isinstance(said, str) else None, digest({n: v for n, v in plain.items() if n != "sha256"})


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


def read_artifact(path: Path, *, keys_given: Callable[[str], bool] = lambda _: False) -> Artifact:
    """The artifact in a file; `keys_given` says of a model's name that the reader names the variable with its key, so
    that the file's own is dropped. Raises ArtifactError that says what is wrong, and where in the file."""
    if path.suffix == ".dspec":
        raise ArtifactError(
            f"{path} is a source, and what is loaded is an artifact",
            help=f"`dspc compile {path}` writes one; of a program as it stands, `dspc export {path} --to artifact`",
        )
    try:
        return parse_artifact(read_regular(path, MAX_BYTES), path.parent, keys_given=keys_given)
    except ArtifactError as error:
        raise ArtifactError(f"{path}: {error.message}", help=error.help) from None


def read_json(path: Path) -> JsonValue:
    """What a file of JSON holds, under the rules for artifacts. Raises ArtifactError."""
    try:
        return strict_json(read_regular(path, MAX_BYTES))
    except ArtifactError as error:
        raise ArtifactError(f"{path}: {error.message}", help=error.help) from None


def parse_artifact(
    data: bytes, folder: Path | None = None, *, keys_given: Callable[[str], bool] = lambda _: False
) -> Artifact:
    """The artifact in a file's bytes; `folder` has the files that may lie beside it. Raises ArtifactError."""
    plain = strict_json(data)
    if not isinstance(plain, dict) or "format" not in plain:
        raise ArtifactError("is not a dspec artifact: it has no `format`", help=REMEDY)
    if plain["format"] != FORMAT or isinstance(plain["format"], bool):
        number = _line(plain["format"])[:40]
        raise ArtifactError(
            f"has format {number}, and this version of dspec reads format {FORMAT}",
            help=NEWER,
        )
    if plain.get("kind", "program") not in get_args(Kind):
        raise ArtifactError(
            f"is of kind {_line(plain['kind'])[:40]}, which this version of dspec cannot run",
            help="upgrade dspec to the version that wrote it",
        )
    del plain  # it takes as much memory as the artifact will
    try:
        artifact = Artifact.model_validate_json(data, strict=True)
    except ValidationError as error:
        first, *others = error.errors(include_url=False, include_input=False, include_context=False)
        more = f" (and {len(others)} more)" if others else ""
        plain = strict_json(data)
        where = _path(first["loc"], plain)
        if first["type"] == "extra_forbidden":
            raise ArtifactError(
                f"{where}: this version of dspec knows no such member{more}{_said_writer(plain)}", help=NEWER
            ) from None
        raise ArtifactError(f"{where}: {first['msg'].lower()}{more}", help=REMEDY) from None
    if artifact.kind != kind_of(artifact.program):
        raise ArtifactError(f"kind: is {artifact.kind!r}, and `program` is not", help=REMEDY)
    _plain_names(artifact)
    artifact = _whole(artifact, folder)
    find_weights(folder, artifact.weights, artifact.program)
    artifact = artifact.model_copy(update={"weights": (), "sha256": ""})
    artifact = artifact.model_copy(update={"program": _without_keys(artifact.program, keys_given)})
    for fault in faults(artifact.program):
        raise ArtifactError(fault, help=REMEDY)
    candidates = [_checked(artifact, place, keys_given) for place in range(len(artifact.candidates))]
    return artifact.model_copy(update={"candidates": tuple(candidates)}) if candidates else artifact


def _said_writer(plain: JsonValue) -> str:
    """What a file says of who wrote it."""
    origin = plain.get("provenance") if isinstance(plain, dict) else None
    writer = origin.get("toolchain") if isinstance(origin, dict) else None
    if not isinstance(writer, str) or not writer or not writer.isprintable():
        return ""
    return f"; the file says that {writer[:40]} wrote it"


def _checked(artifact: Artifact, place: int, keys_given: Callable[[str], bool]) -> KeptCandidate:
    """A candidate as it may be used. Raises ArtifactError where it may not, or is no program of the artifact's kind."""
    one, whole = artifact.candidates[place], artifact.program
    for fault in faults(one.program):
        raise ArtifactError(f"candidates[{place}]: {fault}", help=REMEDY)
    if not keepable(one.program):
        raise ArtifactError(f"candidates[{place}]: needs files beside the artifact", help=REMEDY)
    if (one.program.inputs, one.program.outputs) != (whole.inputs, whole.outputs):
        raise ArtifactError(f"candidates[{place}]: has other inputs or outputs than the program", help=REMEDY)
    return one.model_copy(update={"program": _without_keys(one.program, keys_given)})


def _plain_names(artifact: Artifact) -> None:
    """Raises ArtifactError for a name outside of the program that a terminal would take for something else. People are
    shown these names."""
    origin = artifact.provenance
    shown = [artifact.name, origin.toolchain, *origin.models, *origin.models.values(), *origin.seeds]
    shown += [text for step in origin.steps for text in (step.name, step.optimizer)]
    shown += [text for one in artifact.candidates for text in (one.label, one.step)]
    scores = [one.score for one in artifact.candidates]
    scores += [*artifact.scores.values(), *(step.score for step in origin.steps if step.score is not None)]
    shown += [text for score in scores for text in (score.metric, *score.aggregates)]
    for text in shown:
        if not text.isprintable():
            raise ArtifactError(f"{text[:80]!r} is not a name", help=REMEDY)


def _without_keys(program: Runnable, given: Callable[[str], bool]) -> Runnable:
    """The program without the variables of keys that somebody else names."""

    def changed(one: Program) -> Program:
        named = [name for name, lm in one.lms.items() if lm.api_key_env is not None and given(name)]
        if not named:
            return one
        own = {name: one.lms[name].model_copy(update={"api_key_env": None}) for name in named}
        return one.model_copy(update={"lms": {**one.lms, **own}})

    return everywhere(program, changed)


def _whole(artifact: Artifact, folder: Path | None) -> Artifact:
    """The artifact with the rows that lie beside it, and with its media made known."""
    if not artifact.beside and not artifact.media:
        return artifact
    if folder is None:
        raise ArtifactError("has rows or media in files beside it, and there is no folder to look in")
    read_media(folder, artifact.media)
    artifact = artifact.model_copy(update={"media": ()})
    indexes = [one.neighbours for one in parts(artifact.program)]
    wanted = [one.part for one in artifact.beside]
    for place, part in enumerate(wanted):
        index = indexes[part] if 0 <= part < len(indexes) else None
        if index is None or index.rows or part in wanted[:place]:
            raise ArtifactError(f"beside[{place}].part: there is no program that lacks its rows", help=REMEDY)
    rows = {one.part: read_rows(folder, one) for one in artifact.beside}
    return artifact.model_copy(update={"program": _with_indexes(artifact.program, rows), "beside": ()})


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
    members["strategy"] = {"enum": list(of_one_call()), **members["strategy"]}
    modules = schema["$defs"]["ModuleSpec"]["properties"]
    modules["strategy"] = {"enum": list(of_several_calls()), **modules["strategy"]}
    head: dict[str, JsonValue] = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "dspec artifact, format 1",
    }
    return _pretty(head | {name: part for name, part in schema.items() if name != "title"}, 0, 0) + "\n"
