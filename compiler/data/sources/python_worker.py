"""Runs a user's function for its rows: a script for an interpreter of its own, never imported by ours.

It imports nothing of dspec. Rows leave through what was standard output when it started, one JSON line
each; whatever the function prints goes to standard error. The last line starts with a NUL, which no
row can, and says how it ended: without it the process was cut short, whatever its exit code.
"""

from __future__ import annotations

import importlib
import json
import os
import sys
import traceback
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import BinaryIO, TypedDict, cast


class WorkerJob(TypedDict):
    """`file` is where `module` must come from, with `path` before Python's own; `rows` and `bytes` bound."""

    module: str
    function: str
    file: str
    root: str
    path: list[str]
    rows: int
    bytes: int


def main() -> None:
    job = cast("WorkerJob", json.loads(sys.argv[1]))
    with os.fdopen(os.dup(1), "wb") as out, open(os.devnull, "rb") as nothing:  # noqa: PTH123
        os.dup2(nothing.fileno(), 0)
        os.dup2(2, 1)
        sys.stdout = sys.stderr
        try:
            ending = give(job, out)
        except BaseException as error:  # noqa: BLE001 - whatever a user's code raises is told in words
            ending = told(error, job["root"])
        out.write(b"\0" + json.dumps(ending).encode() + b"\n")
    # Threads that the function started, and what it registered for the exit, are not waited for.
    os._exit(0)


def give(job: WorkerJob, out: BinaryIO) -> dict[str, int | str]:
    """Writes the rows: how many, that they go `beyond` the most that are taken, or why there are none."""
    sys.path[:0] = job["path"]
    module = importlib.import_module(job["module"])
    found = Path(getattr(module, "__file__", None) or "nowhere").resolve()
    if str(found) != job["file"]:
        return {"error": f"Python takes `{job['module']}` from elsewhere: {found.name}"}
    items: object = getattr(module, job["function"])()
    if isinstance(items, str | bytes | Mapping) or not isinstance(items, Iterable):
        return {"error": f"it returned a value of type {type(cast('object', items)).__name__}, not rows"}
    count = size = 0
    for item in cast("Iterable[object]", items):
        count += 1
        if count > job["rows"]:
            return {"beyond": job["rows"]}
        if not isinstance(item, Mapping):
            return {"error": f"row {count} is a value of type {type(item).__name__}, not a mapping"}
        row = dict(cast("Mapping[object, object]", item))
        if not all(isinstance(name, str) for name in row):
            return {"error": f"row {count} has a column whose name is no text"}
        try:
            line = json.dumps(row, ensure_ascii=False, allow_nan=False).encode() + b"\n"
        except (TypeError, ValueError, RecursionError) as error:
            return {"error": f"row {count} is not JSON: {first(error)}"}
        size += len(line)
        if size > job["bytes"]:
            return {"error": f"its rows take more than {job['bytes'] >> 20:,} MiB"}
        out.write(line)
    return {"rows": count}


def told(error: BaseException, root: str) -> dict[str, int | str]:
    """The exception's first line, and the line of the project that it came from."""
    said = f"{type(error).__name__}: {first(error)}"
    for frame in reversed(traceback.extract_tb(error.__traceback__)):
        if frame.filename.startswith(root + os.sep):
            return {
                "error": said,
                "at": f"{Path(frame.filename).relative_to(root).as_posix()}:{frame.lineno}",
            }
    return {"error": said}


def first(error: BaseException) -> str:
    try:
        return (str(error).strip().splitlines() or ["no message"])[0][:300]
    except Exception:  # noqa: BLE001 - `__str__` is the user's, too
        return "no message"


main()
