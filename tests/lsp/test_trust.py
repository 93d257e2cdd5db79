"""Opening a hostile file runs nothing, connects nowhere and writes nothing."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from rpc import SERVE, Client

from dspec.compiler import ir
from dspec.compiler.data import IndexQuestion, MediumQuestion, RowsQuestion

HOSTILE = """\
dspec 1
import "../outside.dspec" as up
import "/etc/passwd" as etc
import "evil.py" as evil
extern run(a: str) -> str = python("evil:run")
extern shell(a: str) -> str = mcp(command = "touch ran", tool = "x")
lm m { model = "openai/x"; api_base = "http://127.0.0.1:9/"; api_key = env("HOME") }
signature S { "{{ ''.__class__ }}"; input a: str; output b: str }
module one = Predict(S)
module two = python("evil:module")
dataset bad { source = python("evil:rows"); input a: str; field b: str }
dataset far { source = huggingface("evil/set"); input a: str; field b: str }
dataset out { source = csv("../../../../../../etc/passwd"); input a: str; field b: str }
dataset abs { source = csv("/etc/passwd"); input a: str; field b: str }
dataset dev { source = csv("pipe"); input a: str; field b: str }
dataset own { source = csv("rows.csv"); input a: str; field b: str; split { train = 50%; val = 50% } }
metric right(gold: own, pred: one) = matches(gold.b, "(a+)+$")
optimize o { program = one; metric = right; train = own.train; val = own.val; step s = BootstrapFewShot() }
"""

# Everything that Python does is seen by an audit hook, which nothing can take off again.
WATCHED = f"""
import os, sys

EFFECTS = (
    "socket.connect", "socket.bind", "socket.sendto", "socket.getaddrinfo", "subprocess.", "os.system",
    "os.exec", "os.posix_spawn", "os.fork", "pty.", "urllib.", "ctypes.dlopen", "shutil.", "os.remove",
    "os.rename", "os.mkdir", "os.symlink", "os.link", "os.chmod",
)

def watch(event, arguments):
    if event == "subprocess.Popen" and tuple(arguments[1]) in OURS:
        return
    if event.startswith(EFFECTS):
        print("AUDIT", event, arguments, file=sys.stderr, flush=True)
    if event == "open" and isinstance(arguments[0], str):
        path, _, flags = arguments
        writes = flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC)
        real = os.path.realpath(path)
        if (writes and path != "/dev/null") or real == "/etc/passwd" or real.endswith("outside.dspec"):
            print("AUDIT", event, arguments, file=sys.stderr, flush=True)
    if event == "import" and arguments[0].split(".")[0] in ("evil", "litellm", "optuna", "datasets", "huggingface_hub"):
        print("AUDIT", event, arguments[0], file=sys.stderr, flush=True)

import dspec.lsp.server
import dspec.compiler.data.looking
import dspec.lsp.telling
from dspec.lsp.child import command

# The processes that the server starts. Each is watched by itself below.
OURS = [command(module) for module in ("dspec.compiler.data.looking", "dspec.lsp.telling")]
sys.addaudithook(watch)
{SERVE}
"""


AT_A_PLACE = (
    "hover",
    "definition",
    "typeDefinition",
    "documentHighlight",
    "signatureHelp",
    "prepareCallHierarchy",
)
OF_A_FILE = (
    "documentSymbol",
    "semanticTokens/full",
    "foldingRange",
    "documentLink",
    "codeLens",
    "inlayHint",
    "codeAction",
)
WHOLE = {"start": {"line": 0, "character": 0}, "end": {"line": 999, "character": 0}}


@pytest.mark.skipif(sys.platform == "win32", reason="makes a fifo")
def test_opening_a_hostile_file_has_no_effects(tmp_path: Path) -> None:
    folder = tmp_path / "project"
    folder.mkdir()
    (tmp_path / "outside.dspec").write_text("dspec 1\n")
    (folder / "dspec.toml").touch()
    for name in ("evil", "litellm", "optuna", "datasets", "huggingface_hub"):
        (folder / f"{name}.py").write_text(
            "open('ran', 'w').close()\ndef run(a: str) -> str: return a\ndef rows(): return []\n"
        )
    (folder / "rows.csv").write_text("a,b\n" + "x,y\n" * 50)
    os.mkfifo(folder / "pipe")
    main = folder / "main.dspec"
    main.write_text(HOSTILE)
    before = sorted(path.name for path in folder.rglob("*"))
    environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1", "HOME": str(tmp_path)}
    with Client(code=WATCHED, cwd=folder, env=environment) as client:
        client.initialize(
            can={
                "textDocument": {
                    "codeAction": {"codeActionLiteralSupport": {"codeActionKind": {"valueSet": []}}}
                }
            }
        )
        client.open(main.as_uri(), HOSTILE)
        quick = client.diagnostics(main.as_uri(), 1)
        full = client.diagnostics(main.as_uri(), 1)
        assert len(full) > len(quick) > 5, "the second look reads the data"
        assert [found["code"] for found in full].count("DS0416") == 2, "two sources that nobody has asked"
        for line, text in enumerate(HOSTILE.splitlines()):
            for column in range(0, len(text) + 1, 7):
                place = {"line": line, "character": column}
                asked = {"textDocument": {"uri": main.as_uri()}, "position": place}
                client.ask("textDocument/completion", asked)
                client.ask(f"textDocument/{AT_A_PLACE[(line + column // 7) % len(AT_A_PLACE)]}", asked)
        whole = {"textDocument": {"uri": main.as_uri()}, "range": WHOLE, "context": {"diagnostics": []}}
        for method in OF_A_FILE:
            client.ask(f"textDocument/{method}", whole)
        assert client.ask("workspace/symbol", {"query": ""})
        client.ask("shutdown", None)
        client.notify("exit", None)
        assert client.process.wait(10) == 0
    assert [line for line in client.errors.decode().splitlines() if line.startswith("AUDIT")] == []
    assert sorted(path.name for path in folder.rglob("*")) == before


@pytest.mark.skipif(sys.platform == "win32", reason="makes a fifo")
def test_reading_data_has_no_effects(tmp_path: Path) -> None:
    folder = tmp_path / "project"
    folder.mkdir()
    (folder / "dspec.toml").touch()
    (folder / "evil.py").write_text("open('ran', 'w').close()\ndef rows(): return []\n")
    (folder / "rows.csv").write_text("a,b\n" + "x,y\n" * 50)
    (folder / "link.csv").symlink_to("/etc/passwd")
    os.mkfifo(folder / "pipe")
    before = sorted(path.name for path in folder.rglob("*"))
    paths = (
        "../../../../../../etc/passwd",
        "/etc/passwd",
        "link.csv",
        "pipe",
        "rows.csv",
        "missing.csv",
        "evil.py",
    )
    sources = [ir.DataSource(kind="csv", path=path) for path in paths]
    sources += [
        ir.DataSource(kind="python", path="evil.py", options={"module": "evil", "function": "rows"}),
        ir.DataSource(kind="huggingface", path="evil/set"),
    ]
    questions = [
        RowsQuestion(dataset=ir.Dataset(name="d", source=source, inputs=(), fields=())) for source in sources
    ]
    asked = {
        "folder": str(folder),
        "root": str(folder),
        "questions": [
            *(one.model_dump_json() for one in questions),
            *(IndexQuestion(source=source).model_dump_json() for source in sources[:7]),
            *(MediumQuestion(text=path, kind="image").model_dump_json() for path in paths),
        ],
    }
    code = WATCHED.replace(SERVE, "dspec.compiler.data.looking.serve()")
    done = subprocess.run(
        [sys.executable, "-P", "-c", code],
        input=json.dumps(asked).encode(),
        capture_output=True,
        cwd=folder,
        env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1", "HOME": str(tmp_path)},
        check=False,
    )
    assert done.returncode == 0, done.stderr
    answers = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(answers) == len(asked["questions"])
    assert [one["findings"]["rows"] for one in answers[: len(paths)]] == [None, None, None, None, 50, None, 1]
    assert b"AUDIT" not in done.stderr, done.stderr
    assert sorted(path.name for path in folder.rglob("*")) == before


def test_the_watch_itself_sees_what_it_should(tmp_path: Path) -> None:
    code = WATCHED.replace(SERVE, "open('x', 'w').close(); import os; os.system('true')")
    with Client(code=code, cwd=tmp_path) as client:
        assert client.process.wait(20) == 0
    assert b"AUDIT open ('x', 'w'" in client.errors
    assert b"AUDIT os.system" in client.errors
