"""Whatever a workspace holds: opening it runs nothing of it, connects nowhere, writes nothing, tells nothing from outside, and ends."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from hostile import OUTSIDE, SECRET, write_workspace

WORKSPACES = 40
TOGETHER = 8
"""Workspaces that one process opens, one after the other."""
SECONDS = 60
"""Of CPU for one workspace, on a slow machine."""
SUPPORT = Path(__file__).parents[1] / "support"

# Everything that Python does is seen by an audit hook, which nothing can take off again.
WATCHED = f"""
import json, os, resource, sys, time
from pathlib import Path

sys.path.append({str(SUPPORT)!r})
from editor import Editor
from dspec.compiler.check.analysis import analyse
from dspec.lsp.child import command
from dspec.lsp.features.facts import facts_of
from dspec.lsp.requests.table import FEATURES
from pygls.exceptions import JsonRpcException
import dspec.lsp.telling

try:
    import polars  # loads a library when the first Parquet file is read
except ImportError:
    pass

OURS = [command(module) for module in ("dspec.compiler.data.looking", "dspec.lsp.telling")]
EFFECTS = (
    "socket.connect", "socket.bind", "socket.sendto", "socket.getaddrinfo", "subprocess.", "os.system", "os.exec",
    "os.posix_spawn", "os.fork", "pty.", "urllib.", "ctypes.dlopen", "shutil.", "os.remove", "os.rename", "os.mkdir",
    "os.symlink", "os.link", "os.chmod", "os.truncate", "os.utime",
)
BASE, folder = os.path.realpath(sys.argv[1]) + os.sep, ""

def note(*what):
    print("AUDIT", *what, file=sys.stderr, flush=True)

def watch(event, arguments):
    if event == "subprocess.Popen" and list(arguments[1]) in [list(one) for one in OURS]:
        return
    if event.startswith(EFFECTS):
        note(event, arguments)
    elif event == "exec" and str(arguments[0].co_filename).startswith(BASE):
        note(event, arguments[0].co_filename)
    elif event == "open" and isinstance(arguments[0], str):
        path, _, flags = arguments
        real = os.path.realpath(path)
        writes = flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC)
        away = real.startswith(BASE) and not (real + os.sep).startswith(folder + os.sep)
        if (writes and path != "/dev/null") or away or real == "/etc/passwd" or real.startswith(("/dev/z", "/proc/")):
            note(event, arguments, real)

PLACES = [name for name in FEATURES if name.startswith("textDocument/")]
sys.addaudithook(watch)
for folder in sys.argv[2:]:
    folder = os.path.realpath(folder)
    os.chdir(folder)
    began, told = time.process_time(), []
    editor = Editor({{"textDocument": {{"codeAction": {{"codeActionLiteralSupport": {{"codeActionKind": {{"valueSet": []}}}}}}}}}})
    main = Path(folder, "main.dspec")
    text = main.read_text(encoding="utf-8", errors="replace")
    editor.open(main.as_uri(), text)
    lines = text.splitlines()
    for number, method in enumerate(PLACES):
        line = number * 7 % max(1, len(lines))
        place = {{"line": line, "character": min(len(lines[line]), number * 5 % 80)}}
        whole = {{"start": {{"line": 0, "character": 0}}, "end": {{"line": len(lines), "character": 0}}}}
        asked = {{
            "textDocument": {{"uri": main.as_uri()}}, "position": place, "positions": [place], "range": whole, "newName": "z",
            "context": {{"diagnostics": [], "includeDeclaration": True, "triggerKind": 1, "isRetrigger": False}}, "options": {{"tabSize": 2, "insertSpaces": True}},
            "previousResultId": "", "ch": "}}",
        }}
        if method in editor.server.protocol.fm.features:
            try:
                told.append(editor.ask(method, asked))
            except JsonRpcException as refused:
                told.append(str(refused))
    told.append(editor.ask("workspace/symbol", {{"query": ""}}))
    told.append(editor.published)
    # What the processes of the server do, which the hook of this one does not see.
    analysis = analyse(main, text=text)
    told += [repr(analysis.diagnostics), repr(facts_of(analysis))]
    crashes = [crash.traceback for crash in analysis.crashes]
    editor.close()
    loaded = [str(one.__file__) for one in list(sys.modules.values()) if str(getattr(one, "__file__", "")).startswith(BASE)]
    print(json.dumps([folder, time.process_time() - began, loaded, crashes, json.dumps(told)]), flush=True)
"""


def found_in(folder: Path) -> Iterator[str]:
    """What lies in a folder, with links as links."""
    for place, folders, names in os.walk(folder):
        for name in (*folders, *names):
            status = os.lstat(Path(place, name))
            yield f"{Path(place, name)!r} {status.st_mode} {status.st_size} {status.st_mtime_ns}"


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="makes pipes")
@pytest.mark.parametrize("first", range(0, WORKSPACES, TOGETHER))
def test_opening_hostile_workspaces_has_no_effects(tmp_path: Path, first: int) -> None:
    kinds: dict[str, str] = {}
    for seed in range(first, first + TOGETHER):
        beside = tmp_path / str(seed)
        beside.mkdir()
        made = write_workspace(beside / "project", seed)
        kinds[str(made.folder.resolve())] = f"{seed}: {', '.join(made.kinds)}"
    before = sorted(found_in(tmp_path))
    done = subprocess.run(
        [sys.executable, "-P", "-c", WATCHED, str(tmp_path), *kinds],
        capture_output=True,
        env={
            **os.environ,
            "PYTHONDONTWRITEBYTECODE": "1",
            "HOME": str(tmp_path),
            "WORKSPACE_SECRET": SECRET,
        },
        check=False,
        timeout=TOGETHER * SECONDS,
    )
    errors = done.stderr.decode(errors="replace")
    assert done.returncode == 0, errors[-3_000:]
    assert [line for line in errors.splitlines() if line.startswith("AUDIT")] == []
    opened = [json.loads(line) for line in done.stdout.splitlines()]
    assert [folder for folder, *_ in opened] == list(kinds)
    for folder, seconds, loaded, crashes, told in opened:
        assert (loaded, crashes) == ([], []), kinds[folder]
        assert OUTSIDE not in told, kinds[folder]
        assert SECRET not in told, kinds[folder]
        assert seconds < SECONDS, kinds[folder]
    assert sorted(found_in(tmp_path)) == before
