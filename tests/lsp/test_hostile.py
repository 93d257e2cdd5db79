"""Whatever a workspace holds: opening it runs nothing of it, connects nowhere, writes nothing, tells nothing from outside, and ends."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from hostile import OUTSIDE, SECRET, write_workspace
from rpc import Client

WORKSPACES = 40 * int(os.environ.get("DSPEC_DEEP") or 1)
"""`DSPEC_DEEP=13` opens 520 of them."""
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


def written(folder: Path, first: int) -> dict[str, str]:
    """Workspaces below a folder: their places, each with what is hostile in it."""
    kinds: dict[str, str] = {}
    for seed in range(first, first + TOGETHER):
        beside = folder / str(seed)
        beside.mkdir()
        made = write_workspace(beside / "project", seed)
        kinds[str(made.folder.resolve())] = f"{seed}: {', '.join(made.kinds)}"
    return kinds


def environment(folder: Path) -> dict[str, str]:
    return {**os.environ, "PYTHONDONTWRITEBYTECODE": "1", "HOME": str(folder), "WORKSPACE_SECRET": SECRET}


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="makes pipes")
@pytest.mark.parametrize("first", range(0, WORKSPACES, TOGETHER))
def test_opening_hostile_workspaces_has_no_effects(tmp_path: Path, first: int) -> None:
    kinds = written(tmp_path, first)
    before = sorted(found_in(tmp_path))
    done = subprocess.run(
        [sys.executable, "-P", "-c", WATCHED, str(tmp_path), *kinds],
        capture_output=True,
        env=environment(tmp_path),
        check=False,
        timeout=2 * TOGETHER * SECONDS,
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


# The same in a real server, with the processes that read data for it, as the system sees it. -----------------------------------

CALLS = re.compile(r"(?:\d+ +)?(\w+)\((.*)")
OWN = re.compile(
    r'"-P", "-c", "from dspec\.(compiler\.data\.looking|lsp\.telling) import serve; serve\(\d+\)"\]'
)
"""How the server starts processes of its own."""
CONNECTS = {"socket", "connect", "bind", "listen", "accept", "accept4", "sendmsg", "sendmmsg"}
"""A `socketpair`, with which a loop wakes itself, reaches nobody, and needs none of these."""
CHANGES = re.compile(
    r"(unlink|rename|mkdir|rmdir|symlink|link|chmod|f?chown|lchown|truncate|utime|mknod|creat|mount|pivot_root|chroot)"
)
WRITES = re.compile(r"O_(WRONLY|RDWR|CREAT|TRUNC|APPEND)")
AWAY = re.compile(r'outside\.|"(/etc/passwd|/dev/z|/proc/self/environ)')
READING = 20.0
"""Seconds that data may be read before its document is closed."""
MEMORY = 400
"""MiB that a server may take at most."""


def effects(log: str) -> Iterator[str]:
    """The calls of a trace that reach out of the process and are not the server's own."""
    started = 0
    for line in log.splitlines():
        found = CALLS.match(line)
        if found is None:
            continue
        name, arguments = found.groups()
        if name in ("execve", "execveat"):
            started += 1
            if started > 1 and not OWN.search(arguments):  # the first one is the server
                yield line
        elif name in CONNECTS or CHANGES.match(name) or (name == "sendto" and ", NULL, 0" not in arguments):
            yield line
        elif name in ("open", "openat", "openat2") and '"/dev/null"' not in arguments:
            read_away = AWAY.search(arguments) and " = -1 " not in arguments
            if read_away or WRITES.search(arguments):
                yield line


def test_what_reaches_out_is_seen_in_a_trace() -> None:
    started = '7 execve("/bin/python", ["/bin/python", "-P", "-c", "from dspec.lsp.server import serve; serve()"], 0x7 /* 3 vars */) = 0'
    own = '8 execve("/bin/python", ["/bin/python", "-P", "-c", "from dspec.lsp.telling import serve; serve(7)"], 0x7 /* 3 vars */) = 0'
    fine = (
        '7 sendto(5, "\\0", 1, 0, NULL, 0)    = 1',
        '7 openat(AT_FDCWD, "/dev/null", O_RDWR|O_CLOEXEC <unfinished ...>',
        '7 openat(AT_FDCWD, "/tmp/0/project/main.dspec", O_RDONLY|O_CLOEXEC) = 6',
        '7 openat(AT_FDCWD, "/tmp/0/outside.csv", O_RDONLY|O_NONBLOCK) = -1 ELOOP (too many links)',
        "7 +++ exited with 0 +++",
    )
    bad = (
        started,
        '7 execve("/bin/touch", ["touch", "ran"], 0x7 /* 3 vars */) = -1 ENOENT (no such file)',
        "7 socket(AF_INET, SOCK_STREAM|SOCK_CLOEXEC, IPPROTO_IP) = 6",
        '7 sendto(5, "x", 1, 0, {sa_family=AF_INET, sin_port=htons(9)}, 16) = 1',
        '7 openat(AT_FDCWD, "ran", O_WRONLY|O_CREAT|O_TRUNC|O_CLOEXEC, 0666) = 6',
        '7 openat(AT_FDCWD, "/tmp/0/outside.csv", O_RDONLY) = 6',
        '7 mkdir("kept", 0777) = 0',
        '7 renameat2(AT_FDCWD, "a", AT_FDCWD, "b", 0) = 0',
    )
    assert list(effects("\n".join((started, own, *fine, *bad)))) == list(bad)


def peak(pid: int) -> float:
    """MiB that a process took at most so far."""
    status = Path(f"/proc/{pid}/status").read_text(encoding="utf-8")
    return int(next(line.split()[1] for line in status.splitlines() if line.startswith("VmHWM:"))) / 1024


def visit(client: Client, folder: str) -> str:
    """Open a workspace's main source, ask about it, and close it when its data is read, or takes too long. All that was told."""
    main = Path(folder, "main.dspec")
    text, uri = main.read_text(encoding="utf-8", errors="replace"), main.as_uri()
    client.open(uri, text)
    told: list[object] = [client.diagnostics(uri, 1)]

    def ask(method: str, **more: object) -> None:
        params = {"textDocument": {"uri": uri}, **more}
        told.append(client.answer(client.request(f"textDocument/{method}", params)))

    for line in range(0, text.count("\n"), max(1, text.count("\n") // 4)):
        for method in (
            "hover",
            "completion",
            "definition",
            "references",
            "signatureHelp",
            "documentHighlight",
        ):
            ask(method, position={"line": line, "character": 12}, context={"includeDeclaration": True})
    for method in ("codeLens", "documentLink", "documentSymbol", "foldingRange", "semanticTokens/full"):
        ask(method)
    began = time.monotonic()
    while time.monotonic() - began < READING:
        time.sleep(0.4)  # the server waits for a pause before it reads data
        if client.ask("workspace/executeCommand", {"command": "dspc.status"})["reading"] == 0:
            break
    told.append(client.notifications)
    client.notify("textDocument/didClose", {"textDocument": {"uri": uri}})
    return json.dumps(told)


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("strace") is None, reason="strace is not installed")
@pytest.mark.parametrize("first", range(0, WORKSPACES, TOGETHER))
def test_the_system_sees_no_effects_of_hostile_workspaces(
    tmp_path: Path, tmp_path_factory: pytest.TempPathFactory, first: int
) -> None:
    kinds = written(tmp_path, first)
    before = sorted(found_in(tmp_path))
    log = tmp_path_factory.mktemp("trace") / "calls"
    trace = (
        "strace",
        "-f",
        "-qq",
        "-s",
        "400",
        "-e",
        "trace=network,process,file",
        "-e",
        "signal=none",
        "-o",
        str(log),
    )
    with Client(under=trace, cwd=tmp_path, env=environment(tmp_path)) as client:
        client.initialize()
        server = client.ask("workspace/executeCommand", {"command": "dspc.status"})["process"]
        for folder, kind in kinds.items():
            told = visit(client, folder)
            assert OUTSIDE not in told, kind
            assert SECRET not in told, kind
        most = peak(server)
        client.ask("shutdown", None)
        client.notify("exit", None)
        assert client.process.wait(60) == 0
    assert list(effects(log.read_text(encoding="utf-8", errors="replace"))) == []
    assert most < MEMORY
    assert sorted(found_in(tmp_path)) == before
