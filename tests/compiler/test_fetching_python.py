"""`python(…)` rows: run in a process of their own, within bounds, kept, and never run by a check."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest
from dspc import dspc

from dspec.compiler import ir
from dspec.compiler.check.analysis import analyse, analyse_all
from dspec.compiler.data import DataError, FolderCache, fetch
from dspec.compiler.data.snapshots import find
from dspec.compiler.data.sources.base import Limits

PROGRAM = """dspec 1

dataset rows {
  source = python("rows:load")
  input text: str
  field topic: "a" | "b"
  split { train = 50%; val = 50% }
}
"""
LOAD = """def load():
    print("on the way")
    open("ran", "a").write("x")
    for number in range(20):
        yield {"text": f"message {number}", "topic": "a" if number % 2 else "b"}
"""
SOURCE = ir.DataSource(kind="python", path="rows.py", options={"module": "rows", "function": "load"})


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.delenv("DSPEC_STATE_DIR", raising=False)
    folder = tmp_path / "project"
    folder.mkdir()
    (folder / "dspec.toml").touch()
    (folder / "main.dspec").write_text(PROGRAM)
    (folder / "rows.py").write_text(LOAD)
    return folder


def codes(project: Path, **options: object) -> list[str]:
    return [found.code for found in analyse(project / "main.dspec", **options).diagnostics]  # pyright: ignore[reportArgumentType]


def ran(project: Path) -> int:
    place = project / "ran"
    return len(place.read_text()) if place.exists() else 0


def problem(project: Path, body: str, limits: Limits | None = None) -> str:
    (project / "rows.py").write_text(body)
    with pytest.raises(DataError) as caught:
        fetch(SOURCE, project, when="always", limits=limits or Limits())
    assert "Traceback" not in str(caught.value)
    assert [path for path in (project / ".dspec" / "rows").iterdir() if path.name.startswith("new-")] == []
    return caught.value.problems[0].message


def test_a_check_runs_nothing_and_reads_what_was_kept(project: Path) -> None:
    assert codes(project) == ["DS0416"]
    assert codes(project, deep=True) == ["DS0416"], "only `fetch` fetches"
    assert ran(project) == 0
    assert codes(project, fetch="missing") == []
    assert codes(project, fetch="missing") == codes(project) == []
    assert ran(project) == 1
    assert codes(project, fetch="always") == []
    assert ran(project) == 2
    (project / "rows.py").write_text(LOAD.replace('"b"', '"c"'))
    assert codes(project) == ["DS0416"], "another module has other rows"
    assert codes(project, fetch="missing") == ["DS0403"]
    assert codes(project, cache=FolderCache(project / "cache")) == ["DS0403"]
    assert codes(project, cache=FolderCache(project / "cache")) == ["DS0403"]


def test_the_command_fetches_when_asked_and_notices_what_was_fetched(project: Path) -> None:
    for _ in range(2):
        first = dspc("check", cwd=project)
        assert (first.code, "DS0416" in first.text, "--deep" in first.text) == (0, True, True)
    assert ran(project) == 0
    deep = dspc("check", "--deep", cwd=project)
    assert (deep.code, ran(project)) == (0, 1)
    assert "fetched 20 rows of rows:load" in deep.err
    assert "on the way" not in deep.text
    for _ in range(2):
        assert "no problems" in dspc("check", cwd=project).err
    assert ran(project) == 1
    dspc("check", "--deep", cwd=project)
    assert ran(project) == 2, "asked again, it looks again"
    assert not (project / "__pycache__").exists()


def test_a_command_asks_each_source_once(project: Path) -> None:
    for name in ("one", "two"):
        (project / f"{name}.dspec").write_text(
            PROGRAM + PROGRAM.removeprefix("dspec 1\n").replace("set rows", "set more")
        )
    paths = [project / f"{name}.dspec" for name in ("main", "one", "two")]
    analyses = analyse_all(paths, fetch="always")
    assert (ran(project), [found for one in analyses for found in one.diagnostics]) == (1, [])
    (project / "rows.py").write_text(LOAD + "    raise ValueError\n")
    failed = analyse_all(paths, fetch="always")
    assert (ran(project), [len(one.diagnostics) for one in failed]) == (2, [1, 2, 2])


COMPILED = """
lm m { model = "embedded/icl" }
signature S { "Choose a topic."; input text: str; output topic: "a" | "b" }
module one = Predict(S)
metric right(gold: rows, pred: one) { score = gold.topic == pred.topic }
optimize o {
  program = one; lm = m; metric = right; train = rows.train; val = rows.val; step s = LabeledFewShot(k = 2)
}
eval e { program = o; metric = right; data = rows.val }
"""


def test_a_plan_says_what_to_run_and_a_compile_runs_it_once(project: Path) -> None:
    (project / "main.dspec").write_text(PROGRAM + COMPILED)
    planned = dspc("plan", "main.dspec", cwd=project)
    assert planned.code == 1
    assert "rows of `rows:load` are not known yet" in planned.err
    assert "dspc check --deep" in planned.err
    assert ran(project) == 0
    for _ in range(2):
        done = dspc("compile", "main.dspec", cwd=project)
        assert done.code == 0, done.text
        assert ran(project) == 1
    assert dspc("plan", "main.dspec", cwd=project).code == 0
    shutil.rmtree(project / ".dspec" / "rows")
    assert dspc("eval", "main.dspec", cwd=project).code == 0
    assert ran(project) == 2


ASIDE = """
dataset aside { source = python("aside:load"); input text: str; field topic: "a" | "b" }
dataset held { source = python("held:load"); input text: str; field topic: "a" | "b" }
metric kind(gold: aside, pred: one) { score = gold.topic == pred.topic }
optimize other { program = one; lm = m; metric = right; train = aside; step s = LabeledFewShot(k = 2) }
eval f { program = o; metric = kind; data = held }
eval g { program = o; metric = kind; data = rows.val }
"""


def test_a_command_fetches_what_its_blocks_read_and_no_more(project: Path) -> None:
    """A function that fails tells that it was called."""
    (project / "main.dspec").write_text(PROGRAM + COMPILED + ASIDE)
    (project / "aside.py").write_text("def load():\n    raise ValueError('aside was called')\n")
    (project / "held.py").write_text("def load():\n    yield {'text': 'x', 'topic': 'a'}\n")
    done = dspc("compile", "main.dspec", "o", cwd=project)
    assert (done.code, "fetched 1 row of held:load" in done.err) == (0, True), done.text
    assert ran(project) == 1
    refused = dspc("compile", "main.dspec", cwd=project)
    assert (refused.code, "aside was called" in refused.err) == (1, True)
    shutil.rmtree(project / ".dspec" / "rows")
    done = dspc("eval", "main.dspec", "f", cwd=project)
    assert (done.code, "fetched 1 row of held:load" in done.err) == (0, True), done.text
    assert ran(project) == 1
    done = dspc("eval", "main.dspec", "g", cwd=project)
    assert (done.code, ran(project)) == (0, 2), done.text
    (project / "main.dspec").write_text((PROGRAM + COMPILED + ASIDE).replace("one = Predict(S)", "one = S"))
    shutil.rmtree(project / ".dspec" / "rows")
    assert dspc("compile", "main.dspec", "o", cwd=project).code == 1
    assert ran(project) == 2, "nothing is fetched for a program that cannot run"


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ("def load():\n    yield {}\n    raise ValueError('no luck')\n", "ValueError: no luck (rows.py:3)"),
        ("import nowhere\ndef load(): ...\n", "No module named 'nowhere' (rows.py:1)"),
        ("import secrets_beside\ndef load(): ...\n", "No module named 'secrets_beside' (rows.py:1)"),
        ("def load():\n    return inner()\ndef inner():\n    return int('x')\n", "(rows.py:4)"),
        ("def load():\n    return 3\n", "a value of type int, not rows"),
        ("def load():\n    return {'text': 'a'}\n", "a value of type dict, not rows"),
        ("def load():\n    return [{}, [1]]\n", "row 2 is a value of type list, not a mapping"),
        ("def load():\n    return [{1: 2}]\n", "row 1 has a column whose name is no text"),
        ("def load():\n    return [{'a': {1, 2}}]\n", "row 1 is not JSON"),
        ("def load():\n    return [{'a': float('nan')}]\n", "row 1 is not JSON"),
        ("def load():\n    return [{'a': '\\ud800'}]\n", "row 1 is not JSON"),
        ("def load():\n    a = []\n    a.append(a)\n    return [{'a': a}]\n", "row 1 is not JSON"),
        ("import os\ndef load():\n    yield {}\n    os._exit(0)\n", "ended (exit code 0) before all rows"),
        ("import os\ndef load():\n    os.kill(os.getpid(), 9)\n", "ended (signal 9) before all rows"),
        ("import sys\ndef load():\n    sys.exit(0)\n", "SystemExit: 0 (rows.py:3)"),
        ("raise KeyboardInterrupt\ndef load(): ...\n", "KeyboardInterrupt: no message (rows.py:1)"),
        ("def load():\n    yield from load()\n", "RecursionError"),
        (
            "class E(Exception):\n    def __str__(self): raise OSError\ndef load():\n    raise E\n",
            "E: no message",
        ),
        (
            "import os, sys\ndef load():\n    print('x' * 99, file=sys.stderr)\n    print('bye', flush=True)\n"
            "    os._exit(3)\n",
            "(exit code 3) before all rows were there; the last that it said is: bye",
        ),
    ],
)
def test_what_goes_wrong_in_a_function_is_told_in_words(project: Path, body: str, words: str) -> None:
    (project.parent / "secrets_beside.py").write_text("def load(): return []\n")
    said = problem(project, body)
    assert words in said
    assert "`rows:load`" in said


@pytest.mark.parametrize(
    "body",
    [
        "def load():\n    while True: pass\n",
        "import subprocess, sys\n"
        "def load():\n    subprocess.run([sys.executable, '-c', 'import time; time.sleep(60)'])\n",
        "import signal, time\n"
        "def load():\n    signal.signal(signal.SIGTERM, signal.SIG_IGN)\n    time.sleep(60)\n",
        "def load():\n    while True: print('x' * 100000)\n",
    ],
)
def test_a_function_without_an_end_is_stopped(project: Path, body: str) -> None:
    began = time.monotonic()
    assert "was stopped after 1.5 s" in problem(project, body, Limits(seconds=1.5))
    assert time.monotonic() - began < 20


@pytest.mark.parametrize(
    ("body", "limits", "words"),
    [
        ("def load():\n    while True: yield {'a': 1}\n", Limits(rows=1000), "more than 1,000 rows"),
        ("def load():\n    while True: yield {'a': 1}\n", Limits(rows=1), "gives more than 1 row"),
        ("def load():\n    while True: yield {'a': 'x' * 9999}\n", Limits(bytes=1 << 20), "more than 1 MiB"),
        (
            "import os\ndef load():\n    for fd in range(3, 20):\n        try:\n            while True: "
            "os.write(fd, b'x' * 99999)\n        except OSError: pass\n    return []\n",
            Limits(bytes=1 << 20),
            "more than 1 MiB",
        ),
    ],
)
def test_rows_without_an_end_are_cut_off(project: Path, body: str, limits: Limits, words: str) -> None:
    assert problem(project, body, limits).endswith(words)


def test_a_function_that_leaves_threads_and_processes_behind_is_done(project: Path) -> None:
    (project / "rows.py").write_text(
        "import subprocess, sys, threading, time\ndef load():\n"
        "    threading.Thread(target=time.sleep, args=(60,)).start()\n"
        "    away = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)'], start_new_session=True)\n"
        "    open('away', 'w').write(str(away.pid))\n"
        "    return [{'text': 'one'}]\n"
    )
    began = time.monotonic()
    kept = fetch(SOURCE, project, when="always")
    assert kept is not None
    assert kept.rows == 1
    assert time.monotonic() - began < 20
    if sys.platform == "linux":
        away = int((project / "away").read_text())
        with pytest.raises(ProcessLookupError):
            os.kill(away, 0)


@pytest.mark.parametrize("place", ["pack/inner.py", "src/far.py", "pack/__init__.py"])
def test_modules_of_packages(project: Path, place: str) -> None:
    (project / place).parent.mkdir(exist_ok=True)
    (project / "pack").mkdir(exist_ok=True)
    (project / "pack" / "near.py").write_text("SIZE = 3\n")
    text = "from .near import SIZE\n" if place.startswith("pack") else "SIZE = 3\n"
    (project / place).write_text(f"{text}def load(): return [{{'text': 'm', 'topic': 'a'}}] * SIZE\n")
    module = place.removeprefix("src/").removesuffix(".py").removesuffix("/__init__").replace("/", ".")
    (project / "sub").mkdir()
    (project / "main.dspec").write_text('dspec 1\n\nimport "sub/part.dspec" as part\n')
    (project / "sub" / "part.dspec").write_text(PROGRAM.replace("rows:load", f"{module}:load"))
    assert analyse(project / "main.dspec", fetch="always").fetched == (f"fetched 3 rows of {module}:load",)
    (project / "other").mkdir()
    (project / "other" / "main.dspec").write_text('dspec 1\n\nimport "../sub/part.dspec" as part\n')
    again = analyse(project / "other" / "main.dspec", fetch="missing")
    assert (again.fetched, {found.code for found in again.diagnostics}) == ((), {"DS0205", "DS0406"})


def test_a_module_that_python_takes_from_elsewhere_is_refused(project: Path) -> None:
    (project / "json.py").write_text("def load(): return []\n")
    source = SOURCE.model_copy(update={"path": "json.py", "options": {"module": "json", "function": "load"}})
    with pytest.raises(DataError, match="Python takes `json` from elsewhere"):
        fetch(source, project, when="always")


def test_a_module_that_is_a_link_within_the_project_runs_under_its_own_name(project: Path) -> None:
    (project / "deep").mkdir()
    (project / "rows.py").rename(project / "deep" / "impl.py")
    (project / "rows.py").symlink_to("deep/impl.py")
    assert codes(project, fetch="always") == []


def test_a_module_that_is_a_link_out_of_the_project_is_neither_read_nor_run(project: Path) -> None:
    (project.parent / "out.py").write_text(LOAD)
    (project / "rows.py").unlink()
    (project / "rows.py").symlink_to("../out.py")
    assert codes(project, fetch="always") == ["DS0206"]
    with pytest.raises(DataError, match="outside the project"):
        fetch(SOURCE, project, when="always")
    assert ran(project) == 0


@pytest.mark.parametrize(
    "note",
    [
        "",
        "[]",
        "{" * 100_000,
        '{"file": "../../../etc/passwd"}',
        '{"source": {"kind": "csv", "path": "x"}, "file": "../rows.py", "rows": 3}',
    ],
)
def test_a_damaged_snapshot_is_none(project: Path, note: str) -> None:
    fetch(SOURCE, project, when="always")
    (place,) = (project / ".dspec" / "rows").glob("*.json")
    good = json.loads(place.read_text())
    place.write_text(note)
    assert codes(project) == ["DS0416"]
    place.write_text(json.dumps({**good, "text": True, "rows": 10**9}))
    assert codes(project) == []
    place.unlink()
    os.mkfifo(place)
    assert codes(project) == ["DS0416"]


def test_cells_of_a_tampered_snapshot_are_checked(project: Path) -> None:
    fetch(SOURCE, project, when="always")
    (place,) = (project / ".dspec" / "rows").glob("*.json")
    place.write_text(json.dumps({**json.loads(place.read_text()), "text": True}))
    (project / ".dspec" / "rows" / find(SOURCE, project).file).write_text('{"text": 3, "topic": ["a"]}\n' * 2)
    assert codes(project) == ["DS0401"]


def test_a_state_folder_that_cannot_be_written(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (project / "file").touch()
    monkeypatch.setenv("DSPEC_STATE_DIR", str(project / "file" / "state"))
    assert codes(project) == ["DS0416"]
    assert codes(project, fetch="always") == ["DS0401"]


WATCHED = """
import sys

EFFECTS = ("socket.connect", "socket.getaddrinfo", "subprocess.", "os.system", "os.exec", "os.posix_spawn", "os.fork")

def watch(event, arguments):
    if event.startswith(EFFECTS) or (
        event == "import" and arguments[0].split(".")[0] in ("rows", "huggingface_hub", "httpx")
    ):
        print("AUDIT", event, arguments[0])

sys.addaudithook(watch)
from dspec.compiler.cli.main import main
main()
"""


@pytest.mark.parametrize(
    "command", [["check"], ["check", "--fix"], ["plan", "main.dspec"], ["show", "main.dspec"]]
)
def test_nothing_but_a_deep_check_runs_or_connects(project: Path, command: list[str]) -> None:
    far = 'dataset far { source = huggingface("acme/rows"); input text: str }\n'
    (project / "main.dspec").write_text(PROGRAM + COMPILED + far)
    watched = [sys.executable, "-c", WATCHED]

    def heard(*arguments: str) -> list[str]:
        environment = {**os.environ, "HF_ENDPOINT": "http://127.0.0.1:9", "PYTHONDONTWRITEBYTECODE": "1"}
        done = subprocess.run(
            [*watched, *arguments], cwd=project, capture_output=True, text=True, check=False, env=environment
        )
        return [line for line in done.stdout.splitlines() if line.startswith("AUDIT")]

    assert heard(*command) == []
    assert ran(project) == 0
    if command == ["check"]:
        seen = " ".join(heard("check", "--deep"))
        assert "subprocess.Popen" in seen
        assert "socket.connect" in seen
        assert "import rows" not in seen, "not even then is it imported here"
