"""Checking again what has not changed: the same words, from memory, and never a stale one."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

import pytest
from corpus import BESIDE, CORPUS, case

from dspec.compiler.check.analysis import analyse_all
from dspec.compiler.check.unchanged import CheckResult, recall, remember
from dspec.compiler.cli.quick import quickly
from dspec.compiler.diagnostics.formats.json_report import to_json
from dspec.compiler.diagnostics.record import in_order
from dspec.compiler.project.caches import FolderCache
from dspec.compiler.project.reads import journal, stamp
from dspec.grammar import format_text

MAIN = """dspec 1

import "shared.dspec" as shared

extern search(query: str) -> list[str] = python("tools:search")

module route = Predict(sig(text -> topic: shared.Topic))

dataset rows {
  source = csv("rows.csv")
  input text: str
  field topic: shared.Topic
}
"""
SHARED = """dspec 1

lm learner { model = "embedded/icl" }
type Topic = "billing" | "shipping"
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "dspec.toml").touch()
    (tmp_path / "main.dspec").write_text(MAIN)
    (tmp_path / "shared.dspec").write_text(SHARED)
    (tmp_path / "tools.py").write_text("def search(query: str) -> list[str]: ...\n")
    (tmp_path / "rows.csv").write_text("text,topic\n" + "hello,billing\nhi,shipping\n" * 20)
    return tmp_path


def look(folder: Path, *names: str) -> CheckResult:
    """Checks and remembers, as the command does."""
    paths = [folder / name for name in names or ("main.dspec",)]
    with journal() as reads:
        analyses = analyse_all(paths)
    diagnostics = tuple(in_order([one for analysis in analyses for one in analysis.diagnostics]))
    found = CheckResult(diagnostics, tuple(name for analysis in analyses for name in analysis.sampled))
    remember(cache(folder), paths, found, reads, deep=False)
    return found


def again(folder: Path, *names: str) -> CheckResult | None:
    return recall(cache(folder), [folder / name for name in names or ("main.dspec",)], deep=False)


def cache(folder: Path) -> FolderCache:
    return FolderCache(folder / ".dspec" / "checks")


def entry(folder: Path) -> Path:
    (path,) = (folder / ".dspec" / "checks").glob("check-*.json")
    return path


def rewrite(name: str, text: str) -> Callable[[Path], object]:
    return lambda folder: ((folder / name).write_text(text) and None) or None


def swap(before: str, after: str, name: str = "main.dspec") -> Callable[[Path], object]:
    def change(folder: Path) -> None:
        text = (folder / name).read_text()
        assert before in text
        (folder / name).write_text(text.replace(before, after))

    return change


def test_what_is_recalled_is_what_was_found(project: Path) -> None:
    swap('"billing" | "shipping"', '"billing" | "shiping"', "shared.dspec")(project)
    found = look(project)
    assert found.diagnostics
    recalled = again(project)
    assert recalled == found
    assert to_json(recalled.diagnostics) == to_json(found.diagnostics)


@pytest.mark.parametrize("path", sorted(CORPUS.glob("*.dspec"))[::4], ids=lambda path: path.stem)
def test_every_kind_of_finding_survives(path: Path, tmp_path: Path) -> None:
    for name, text in BESIDE.items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    (tmp_path / "data").mkdir()
    (tmp_path / "main.dspec").write_bytes(case(path.read_bytes().decode()).program.encode())
    found = look(tmp_path)
    assert again(tmp_path) == found


CHANGES: dict[str, Callable[[Path], object]] = {
    "the file": swap("route", "router"),
    "a comment in it": lambda folder: ((folder / "main.dspec").write_text(MAIN + "# x\n") and None) or None,
    "what it imports": swap("shipping", "other", "shared.dspec"),
    "the Python file": rewrite("tools.py", "def find(query: str) -> list[str]: ...\n"),
    "no Python file": lambda folder: (folder / "tools.py").unlink(),
    "the data": rewrite("rows.csv", "text,topic\nhello,billing\n"),
    "no data": lambda folder: (folder / "rows.csv").unlink(),
    "the settings": rewrite("dspec.toml", '[severity]\nDS0205 = "error"\n'),
    "a link in the data's place": lambda folder: (folder / "tools.py").replace(folder / "rows.csv"),
}


@pytest.mark.parametrize("what", CHANGES)
def test_any_change_counts(project: Path, what: str) -> None:
    look(project)
    assert again(project) is not None
    CHANGES[what](project)
    assert again(project) is None


def test_a_file_that_appears_counts(project: Path) -> None:
    swap('csv("rows.csv")', 'csv("later.csv")')(project)
    swap('python("tools:search")', 'python("more:search")')(project)
    found = look(project)
    assert {diagnostic.code for diagnostic in found.diagnostics} >= {"DS0401"}
    assert again(project) is not None
    (project / "more.py").touch()
    assert again(project) is None
    look(project)
    (project / "later.csv").touch()
    assert again(project) is None


def test_a_new_name_to_suggest_counts(project: Path) -> None:
    swap('"shared.dspec"', '"sharde.dspec"')(project)
    look(project)
    assert again(project) is not None
    (project / "sharde2.dspec").touch()
    assert again(project) is None


def test_another_root_counts(project: Path) -> None:
    inner = project / "inner"
    inner.mkdir()
    (inner / "main.dspec").write_text(SHARED)
    look(project, "inner/main.dspec")
    assert again(project, "inner/main.dspec") is not None
    (inner / "dspec.toml").touch()
    assert again(project, "inner/main.dspec") is None


def test_another_toolchain_counts(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    look(project)
    monkeypatch.setattr("dspec.compiler.check.unchanged.toolchain", lambda: "another")
    assert again(project) is None


@pytest.mark.parametrize(
    "damage",
    [
        lambda text: "",
        lambda text: text[: len(text) // 2],
        lambda text: "[" * 100_000,
        lambda text: "null",
        lambda text: text.replace('"diagnostics": [', '"diagnostics": [7, '),
        lambda text: text.replace('"DS', '"XX'),
        lambda text: text.replace('"severity": "warning"', '"severity": "fine"'),
        lambda text: json.dumps(json.loads(text) | {"diagnostics": [{"code": "DS0101"}]}),
        lambda text: json.dumps(json.loads(text) | {"sources": [{"path": "x", "name": 1, "text": 2}]}),
        lambda text: json.dumps(json.loads(text) | {"sources": []}),
        lambda text: json.dumps(json.loads(text) | {"reads": ["x"]}),
    ],
)
def test_a_damaged_entry_is_none(project: Path, damage: Callable[[str], str]) -> None:
    swap("module route", "module toute = Predict(Missing)\nmodule route")(project)
    swap('import "shared.dspec" as shared', 'import "shared.dspec" as shared\nimport "main.dspec" as me')(
        project
    )
    assert {one.severity for one in look(project).diagnostics} >= {"error", "warning"}
    path = entry(project)
    path.write_text(damage(path.read_text()))
    assert again(project) is None


def test_an_entry_shows_nothing_from_outside_and_no_place_beyond_the_text(project: Path) -> None:
    swap("module route", "module toute = Predict(Missing)\nmodule route")(project)
    look(project)
    path = entry(project)
    plain = json.loads(path.read_text())
    outside = project.parent / "outside.dspec"
    outside.write_text(MAIN)
    for change in (
        lambda one: one["sources"][0].update(path=str(outside)),
        lambda one: one["diagnostics"][0]["labels"][0].__setitem__(2, 1 << 40),
        lambda one: one["diagnostics"][0]["labels"][0].__setitem__(0, 99),
    ):
        changed = json.loads(json.dumps(plain))
        change(changed)
        path.write_text(json.dumps(changed))
        assert again(project) is None


def test_a_stamp_never_waits(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.dspec")
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    found: list[str] = []
    names = ("pipe.dspec", "loop", "absent", "bad\0name")
    asking = threading.Thread(
        target=lambda: found.extend(stamp(f"{tmp_path}/{name}") for name in names), daemon=True
    )
    asking.start()
    asking.join(5)
    assert len(found) == 4
    assert found[2] == "absent"


def test_the_shortest_way_answers_only_what_it_knows(
    project: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(project)
    (project / "main.dspec").write_text(SHARED)
    assert quickly(["check", "main.dspec"]) is None
    look(Path(), "main.dspec")
    assert quickly(["check", "main.dspec"]) == 0
    assert capsys.readouterr().err == "1 file checked: no problems\n"
    assert quickly(["check", "--strict", "main.dspec"]) == 0
    assert quickly(["check", "--format", "json", "main.dspec"]) == 0
    assert json.loads(capsys.readouterr().out)["diagnostics"] == []
    for arguments in (
        ["check", "absent.dspec"],
        ["check", "--deep"],
        ["check", "--fix"],
        ["check", "--format", "xml"],
        ["check", "--format"],
        ["check", "--", "main.dspec"],
        ["fmt", "--chekc"],
        ["fmt", "absent.dspec"],
        ["fmt", "-", "main.dspec"],
        ["compile", "main.dspec"],
        ["--version", "check"],
        [],
    ):
        assert quickly(arguments) is None
    told = capsys.readouterr()
    assert (told.out, told.err) == ("", "")


WRONG = SHARED.replace("dspec 1", "dspec  1") + "\nmodule sorter = Predict(Absent)\n"
PLAIN = [["check"], ["check", "--format=json", "main.dspec"], ["fmt", "--diff", "main.dspec"]]
MORE = [
    ["--version"],
    ["check", "--strict"],
    *(["check", "--format", style] for style in ("human", "short", "sarif", "github")),
    ["fmt", "--check"],
    ["fmt", "-"],
]
SURROUNDINGS = [{"COLUMNS": "50"}, {"FORCE_COLOR": "1"}, {"PYTHONIOENCODING": "ascii"}, {"COLUMNS": "0"}]


@pytest.mark.parametrize(
    ("arguments", "environment"),
    [
        *((each, dict[str, str]()) for each in PLAIN),
        *(pytest.param(each, dict[str, str](), marks=pytest.mark.slow) for each in MORE),
        *(pytest.param(each, one, marks=pytest.mark.slow) for each in PLAIN for one in SURROUNDINGS),
    ],
)
def test_the_shortest_way_says_what_the_long_way_says(
    project: Path, arguments: list[str], environment: dict[str, str]
) -> None:
    (project / "main.dspec").write_text(WRONG)
    code = (
        "import sys; import dspec.compiler.cli.quick as quick; from dspec.compiler.cli.main import main\n"
        "if sys.argv[1] == 'long': quick.quickly = lambda *_: None\n"
        "del sys.argv[1]; main()"
    )

    def told(way: str) -> tuple[int, str, str]:
        done = subprocess.run(
            [sys.executable, "-c", code, way, *arguments],
            cwd=project,
            capture_output=True,
            text=True,
            input="dspec  1\n",
            env={**os.environ, **environment},
        )
        return done.returncode, done.stdout, done.stderr

    if arguments[0] == "check":
        told("long")  # and remembers it
    found = told("short")
    assert found == told("long")
    assert any(found[1:])


def test_unchanged_imports_neither_grammar_nor_libraries(project: Path) -> None:
    (project / "main.dspec").write_text(SHARED)
    look(project, "main.dspec")
    code = (
        "import sys; from dspec.compiler.cli.main import main\n"
        "try: main()\n"
        "except SystemExit as leaving: assert not leaving.code\n"
        "print([n for n in ('typer', 'rich', 'pydantic', 'lark', 'dspec.grammar', 'regex') if n in sys.modules])"
    )

    def told(*arguments: str) -> tuple[str, str]:
        done = subprocess.run(
            [sys.executable, "-c", code, *arguments], cwd=project, capture_output=True, text=True, check=True
        )
        return done.stdout, done.stderr

    assert told("check", "main.dspec") == ("[]\n", "1 file checked: no problems\n")
    assert told("check", "--strict", "main.dspec") == ("[]\n", "1 file checked: no problems\n")
    assert told("check", "main.dspec", "--format=short") == ("[]\n", "")
    assert told("--version") == (f"dspc {version('dspc')}\n[]\n", "")
    (project / "main.dspec").write_text(format_text(SHARED))
    assert told("fmt", "main.dspec") == ("['lark', 'dspec.grammar']\n", "1 checked, 0 changed\n")


def test_every_file_that_a_check_opens_is_in_the_journal(tmp_path: Path) -> None:
    """Whoever reads something new must say so, or a result would be believed that is stale."""
    for name, text in BESIDE.items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    (tmp_path / "data").mkdir()
    for path in CORPUS.glob("*.dspec"):
        (tmp_path / path.name).write_bytes(case(path.read_bytes().decode()).program.encode())
    done = subprocess.run(
        [sys.executable, "-c", WATCH, str(tmp_path)], capture_output=True, text=True, check=True
    )
    opened, missed = json.loads(done.stdout)
    assert opened > 200
    assert missed == []


WATCH = """
import json, os, sys
from pathlib import Path
from dspec.compiler.check.analysis import analyse_all
from dspec.compiler.project.reads import journal
folder = os.path.realpath(sys.argv[1])
analyse_all([Path(folder, "dspec.toml")])
opened = set()
def hook(event, arguments):
    if event in ("open", "os.listdir", "os.scandir") and isinstance(arguments[0], (str, os.PathLike)):
        path = os.path.abspath(arguments[0])
        if path.startswith(folder):
            opened.add(path if event == "open" else path + "/")
paths = sorted(Path(folder).glob("*.dspec"))
sys.addaudithook(hook)
with journal() as reads:
    analyse_all(paths)
watched = set(opened)
real = {os.path.realpath(name) + ("/" if name.endswith("/") else "") for name in reads}
print(json.dumps([len(watched), sorted(watched - real)]))
"""
