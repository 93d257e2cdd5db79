"""Rows from a Python function of the project, run in an interpreter of its own.

The other process is the border: it takes a bounded time, its rows a bounded size, and nothing that it
does (printing, raising, leaving early) reaches ours but as words. It is no sandbox: whoever asks for
the rows runs the project's code.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import IO, BinaryIO, cast

from dspec.runtime.tools.guard import end_guarded, guarded

from ...diagnostics.wording import plural
from .. import opening
from ..problem import DataError, unreadable
from .base import Fetch, Limits

_WORKER = Path(__file__).with_name("python_worker.py")
_TAIL = 64 << 10
_ENDING_SECONDS = 3.0
_HELP = "put it right, then run `dspc check --deep` again"


def call(order: Fetch) -> int:
    """Write what the function gives to the order's file, as jsonl; how many rows they are. Raises DataError."""
    source, limits = order.source, order.limits
    real = opening.resolve_inside(source.path, order.folder, order.root)
    module = str(source.options["module"])
    written = Path(os.path.abspath(order.folder / source.path))  # noqa: PTH100 - a link is imported by its own name
    beside = written.parent if written.name != "__init__.py" else written.parent.parent
    for _ in range(module.count(".")):
        beside = beside.parent
    border = order.root.resolve()
    job = {
        "module": module,
        "function": str(source.options["function"]),
        "file": str(real),
        "root": str(border),
        "path": list(dict.fromkeys(map(str, (beside, border, border / "src")))),
        "rows": limits.rows,
        "bytes": limits.bytes,
    }
    command = guarded([sys.executable, "-I", "-B", "-X", "utf8", str(_WORKER), json.dumps(job)])
    with order.rows.open("w+b") as out:
        last, code = _run(command, border, out, limits, order.title)
        return _ending(out, last, code, order.title)


def _run(command: list[str], folder: Path, out: BinaryIO, limits: Limits, title: str) -> tuple[str, int]:
    """The last line on standard error, and the exit code."""
    process = subprocess.Popen(  # noqa: S603 - our own script; running the user's function is the point
        command,
        stdin=subprocess.PIPE,  # by its end the process knows that nobody waits any more
        stdout=out,
        stderr=subprocess.PIPE,
        cwd=folder,
        start_new_session=os.name == "posix",
    )
    said = bytearray()
    assert process.stderr is not None
    assert process.stdin is not None
    listening = threading.Thread(target=_listen, args=(process.stderr, said), daemon=True)
    listening.start()
    end = time.monotonic() + limits.seconds
    try:
        while process.poll() is None:
            if time.monotonic() > end:
                raise unreadable(f"`{title}` was stopped after {limits.seconds:g} s without an end", _HELP)
            if os.fstat(out.fileno()).st_size > limits.bytes + _TAIL:
                raise unreadable(
                    f"`{title}` was stopped: it wrote more than {limits.bytes >> 20:,} MiB", _HELP
                )
            with suppress(subprocess.TimeoutExpired):
                process.wait(0.05)
    finally:
        _end(process)
        process.stdin.close()
        listening.join(1)
        if not listening.is_alive():
            process.stderr.close()
    lines = bytes(said).decode(errors="replace").split("\n")
    return next((line.strip()[:300] for line in reversed(lines) if line.strip()), ""), process.returncode


def _end(process: subprocess.Popen[bytes]) -> None:
    """End the process with everything that it started, and wait for it."""
    with suppress(OSError):
        end_guarded(process.pid, running=process.poll() is None)
    with suppress(subprocess.TimeoutExpired):
        process.wait(_ENDING_SECONDS)
    process.kill()
    process.wait()


def _listen(stream: IO[bytes], said: bytearray) -> None:
    """Keep the end of what is said, however much it is."""
    while chunk := cast("BinaryIO", stream).read(8192):
        said += chunk
        del said[:-_TAIL]


def _ending(out: BinaryIO, last: str, code: int, title: str) -> int:
    """How the function ended, which the last line says; that line is taken off."""
    size = out.seek(0, os.SEEK_END)
    start = out.seek(max(0, size - _TAIL))
    tail = out.read()
    mark = tail.rfind(b"\0")
    said: dict[str, object] = {}
    with suppress(ValueError):
        ending: object = json.loads(tail[mark + 1 :]) if mark >= 0 else None
        if isinstance(ending, dict):
            said = cast("dict[str, object]", ending)
    if isinstance(most := said.get("beyond"), int):
        said["error"] = f"it gives more than {plural(most, 'row')}"
    if "error" in said:
        at = f" ({said['at']})" if "at" in said else ""
        raise unreadable(f"`{title}` gives no rows: {said['error']}{at}", _HELP)
    if not isinstance(count := said.get("rows"), int):
        raise _cut_short(title, last, code)
    out.truncate(start + mark)
    return count


def _cut_short(title: str, last: str, code: int) -> DataError:
    how = f"exit code {code}" if code >= 0 else f"signal {-code}"
    heard = f"; the last that it said is: {last}" if last else ""
    return unreadable(f"`{title}` ended ({how}) before all rows were there{heard}", _HELP)
