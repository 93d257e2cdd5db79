"""Rows of a dataset on the Hugging Face hub: the data files of one split, at one commit.

Files are found by the names that the hub's own viewer goes by: `data/train-00000-of-00002.parquet`,
`train.jsonl`, `en/test.csv`. No code of a dataset runs. The address and the token are the environment's
`HF_ENDPOINT` and `HF_TOKEN`; neither is kept. Only this file knows the library.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath
from typing import Protocol, cast

from msgspec import Struct
from msgspec.structs import replace

from ... import ir
from ...diagnostics.wording import plural, quoted
from .. import opening
from ..problem import DataError, unreadable
from ..tables import BrokenRow
from . import csv_file, json_file, jsonl_file, parquet_file
from .base import Fetch, Snapshot

FORMATS = {file.SOURCE.name: file.SOURCE for file in (jsonl_file, parquet_file, csv_file, json_file)}
"""Of a split that is there in several formats, the first of these is read."""
KINDS = tuple(FORMATS)

_SPLITS = {
    "train": "train",
    "training": "train",
    "test": "test",
    "testing": "test",
    "eval": "test",
} | dict.fromkeys(("validation", "valid", "val", "dev"), "validation")
_SECONDS = 30.0


class _Sibling(Protocol):
    rfilename: str
    size: int | None


class _Info(Protocol):
    sha: str | None
    siblings: Sequence[_Sibling] | None


class _Api(Protocol):
    def dataset_info(self, repo_id: str, *, revision: str, files_metadata: bool, timeout: float) -> _Info: ...

    def hf_hub_download(
        self, repo_id: str, filename: str, *, repo_type: str, revision: str, local_dir: Path
    ) -> str: ...


class DataFile(Struct, frozen=True):
    """A data file of the repository, with what its name says of it: "" is no split, the default config."""

    path: str
    kind: str
    split: str
    config: str
    size: int = 0


def download(order: Fetch) -> Snapshot:
    """Write the split's rows to the order's file; what is known of them if the hub has nothing newer.

    Raises DataError when the dataset, the split or the network is not there.
    """
    source, title, known, work, limits = order.source, order.title, order.known, order.work, order.limits
    hub = _Hub(source, title)
    info = hub.info()
    commit = info.sha or ""
    files = chosen(source, [(one.rfilename, one.size or 0) for one in info.siblings or ()])
    names = tuple(one.path for one in files)
    if known and (known.commit, known.files) == (commit, names) and order.is_intact(known):
        return known
    size = sum(one.size for one in files)
    if size > limits.bytes:
        raise unreadable(
            f"`{title}` has {size >> 20:,} MiB of data; at most {limits.bytes >> 20:,} can be read",
            "take a sample of it as a file of the project",
        )
    count = written = 0
    with order.rows.open("wb") as out:
        for one in files:
            hub.get(one.path, commit, work)
            for row in _rows(title, one, work):
                line = json.dumps(row, ensure_ascii=False).encode() + b"\n"
                count, written = count + 1, written + len(line)
                if count > limits.rows or written > limits.bytes:
                    what = (
                        plural(limits.rows, "row") if count > limits.rows else f"{limits.bytes >> 20:,} MiB"
                    )
                    raise unreadable(
                        f"`{title}` has more than {what}",
                        "take a sample of it as a file of the project",
                    )
                out.write(line)
            (work / one.path).unlink(missing_ok=True)
    text = files[0].kind == csv_file.SOURCE.name
    return Snapshot(source=source, file="", rows=count, text=text, commit=commit, files=names)


def _rows(title: str, one: DataFile, work: Path) -> Iterator[object]:
    try:
        with opening.open_inside(one.path, work, work) as stream:
            table = FORMATS[one.kind].read(stream, ir.DataSource(kind=one.kind, path=one.path))
            for row in table.rows:
                if isinstance(row, BrokenRow):
                    raise unreadable(
                        f"`{one.path}` of `{title}` cannot be read: {table.unit} {row.number} {row.reason}"
                    )
                yield row.values
    except DataError as error:
        if error.problems[0].kind != "outside":
            raise
        raise unreadable(f"`{one.path}` of `{title}` did not arrive") from None


def chosen(source: ir.DataSource, listing: Sequence[tuple[str, int]]) -> list[DataFile]:
    """The files of the source's split, in order. Raises DataError that names what there is instead."""
    files = [file for path, size in sorted(listing) if (file := _data_file(path, size))]
    if not files:
        raise unreadable(
            f"`{source.path}` has no data file that can be read",
            f"its rows must stand in {quoted([f'.{kind}' for kind in KINDS], 'or')} files",
        )
    config = source.options.get("config")
    configs = sorted({file.config for file in files} - {""})
    if config is not None:
        found = [file for file in files if file.config == config]
        if not found:
            there = f"it has {quoted(configs[:12], 'and')}" if configs else "it has none"
            raise unreadable(f"`{source.path}` has no config `{config}`", there)
    else:
        found = [file for file in files if file.config in ("", "default")] or files
        if len({file.config for file in found}) > 1:
            raise unreadable(
                f"`{source.path}` has several configs: {quoted(configs[:12], 'and')}",
                f'name one: `config = "{configs[0]}"`',
            )
    # Where some names tell a split the others are no rows; where none does, all are the one split.
    found = [file for file in found if file.split] or [replace(file, split="train") for file in found]
    wanted = str(source.options["split"])
    splits = sorted({file.split for file in found})
    found = [file for file in found if file.split == _SPLITS.get(wanted, wanted)]
    if not found:
        raise unreadable(f"`{source.path}` has no split `{wanted}`", f"it has {quoted(splits[:12], 'and')}")
    kind = min((file.kind for file in found), key=KINDS.index)
    return [file for file in found if file.kind == kind]


def _data_file(path: str, size: int) -> DataFile | None:
    """A path as its name tells it; None for what is no data file, or no plain path at all."""
    pure = PurePosixPath(path)
    kind = next((kind for kind in KINDS if pure.suffix == f".{kind}"), None)
    parts = pure.parts
    if kind is None or pure.is_absolute() or "\\" in path or any(part.startswith(".") for part in parts):
        return None
    if kind == json_file.SOURCE.name and pure.stem in (
        "dataset_infos",
        "dataset_info",
        "state",
        "config",
        "package",
    ):
        return None
    folders = [part for part in parts[:-1] if part != "data"]
    name = re.sub(r"-\d+-of-\d+(-[0-9a-f]+)?$", "", pure.stem)
    # Most often the name is the split's; else one of its words, or a folder, may be a usual one.
    words = [name, *re.split(r"[-_. ]", name), *folders]
    split = next((_SPLITS[word] for word in words if word in _SPLITS), None)
    config = "/".join(folder for folder in folders if folder not in _SPLITS)
    sharded = name != pure.stem
    return DataFile(path, kind, split or (name if sharded else ""), config, size)


class _Hub:
    """The library, bound to one dataset; its errors become DataErrors that say what to do."""

    def __init__(self, source: ir.DataSource, title: str) -> None:
        self._source = source
        try:
            import huggingface_hub
            from huggingface_hub import errors
        except ImportError:
            raise unreadable(
                f"fetching `{title}` needs the package huggingface_hub", "pip install huggingface_hub"
            ) from None
        self._errors = errors
        endpoint = os.environ.get("HF_ENDPOINT") or "https://huggingface.co"
        self._where = re.sub(r"//[^/@]*@", "//", endpoint).rstrip("/")
        token = os.environ.get("HF_TOKEN") or False
        self._api = cast("_Api", huggingface_hub.HfApi(endpoint=endpoint.rstrip("/"), token=token))
        self._token = bool(token)
        huggingface_hub.utils.disable_progress_bars()
        # Else it tells the hub what it was started by, and asks there what there is to tell.
        huggingface_hub.constants.HF_HUB_DISABLE_TELEMETRY = True

    def info(self) -> _Info:
        revision = str(self._source.options["revision"])
        try:
            return self._api.dataset_info(
                self._source.path, revision=revision, files_metadata=True, timeout=_SECONDS
            )
        except Exception as error:  # noqa: BLE001 - put in words by `_told`
            raise self._told(error) from None

    def get(self, path: str, commit: str, work: Path) -> None:
        try:
            self._api.hf_hub_download(
                self._source.path,
                path,
                repo_type="dataset",
                revision=commit,
                local_dir=work,
            )
        except Exception as error:  # noqa: BLE001 - as above
            raise self._told(error) from None

    def _told(self, error: Exception) -> DataError:
        errors, name = self._errors, self._source.path
        status = getattr(getattr(error, "response", None), "status_code", None)
        if isinstance(error, errors.GatedRepoError):
            return unreadable(
                f"`{name}` is gated, and you have no access to it yet",
                "accept its terms on its page, and set HF_TOKEN to a token of yours",
            )
        if isinstance(error, errors.RevisionNotFoundError):
            revision = self._source.options["revision"]
            return unreadable(f"`{name}` has no revision `{revision}`", "name a branch, a tag or a commit")
        if isinstance(error, errors.RepositoryNotFoundError) or status in (401, 403):
            secret = "does HF_TOKEN have access to it?" if self._token else "a private one needs HF_TOKEN"
            return unreadable(f"there is no dataset `{name}` on {self._where}, or it is private", secret)
        if status is not None:
            return unreadable(f"{self._where} answered {status} for `{name}`", "try again later")
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0][:200]
        if isinstance(error, errors.HFValidationError):
            return unreadable(f"`{name}` is no name of a dataset: {reason}")
        return unreadable(
            f"`{name}` cannot be fetched from {self._where}: {reason}",
            "it needs the network; rows that were fetched before are kept",
        )
