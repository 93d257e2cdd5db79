"""The examples and the page about embedding: they run, offline or against loopback, and type checkers know every line."""

import ast
import asyncio
import contextlib
import importlib
import inspect
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from dspc import EXAMPLES, dspc
from server import beside

from dspec.runtime.models.background import shutdown

ROOT = EXAMPLES.parent
PAGE = ROOT / "docs" / "embedding.md"
SNIPPET = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)
SCRIPTS = {
    "plain": r"delivery +The parcel is late",
    "streaming": r"team = delivery\nurgent = True\n",
    "asyncio_app": r"delivery account\n",
    "workers": r"\['delivery', 'billing', 'account'",
    "tracing": r'"program": "desk_v1"',
}
NEEDING = {"fastapi_app": "fastapi", "celery_worker": "celery"}


@pytest.fixture(scope="module")
def example(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The example, compiled."""
    folder = tmp_path_factory.mktemp("embedding") / "embedding"
    shutil.copytree(
        EXAMPLES / "embedding", folder, ignore=shutil.ignore_patterns("compiled", ".dspec", "__pycache__")
    )
    assert dspc("compile", "desk.dspec", cwd=folder).code == 0
    return folder


@pytest.fixture
def imported(example: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Imports a module of the example."""
    monkeypatch.syspath_prepend(str(example))
    names: list[str] = ["desk"]

    def take(name: str) -> ModuleType:
        names.append(name)
        return importlib.import_module(name)

    yield take
    shutdown()
    for name in names:
        sys.modules.pop(name, None)


def test_the_classes_are_what_is_written_today(example: Path) -> None:
    check = ("stubs", "compiled/desk_v1.dspc.json", "--class", "Desk", "-o", "desk.py", "--check")
    assert dspc(*check, cwd=example).code == 0
    assert dspc("stubs", "desk.dspec", "desk", "--class", "Desk", cwd=example).out == (
        (example / "desk.py").read_text().replace("`desk_v1`", "`desk`")
    )
    other = dspc("stubs", "compiled/desk_v1.dspc.json", "-o", "desk.py", "--check", cwd=example)
    assert (other.code, "is not what `dspc stubs` writes" in other.err) == (1, True)
    assert dspc("stubs", "compiled/desk_v1.dspc.json", "--class", "a b", cwd=example).code == 2
    assert dspc("stubs", "compiled/desk_v1.dspc.json", "--check", cwd=example).code == 2


@pytest.mark.parametrize("name", SCRIPTS)
def test_scripts_run(name: str, example: Path) -> None:
    ran = subprocess.run(
        [sys.executable, str(example / f"{name}.py")], capture_output=True, text=True, check=False, cwd="/"
    )
    assert ran.returncode == 0, ran.stderr
    assert re.search(SCRIPTS[name], ran.stdout), ran.stdout


async def _posted(app: Any, path: str, body: bytes) -> tuple[int, str]:
    """What an ASGI server would be given."""
    sent: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    scope = {"type": "http", "method": "POST", "path": path, "headers": []}
    await app(scope, receive, send)
    text = b"".join(message.get("body", b"") for message in sent).decode()
    return sent[0]["status"], text


def test_the_web_service_answers_and_streams(imported: Any) -> None:
    app = imported("asgi_app").app
    body = json.dumps({"message": "the parcel is late, please hurry"}).encode()
    status, said = asyncio.run(_posted(app, "/desk", body))
    assert status == 200
    assert json.loads(said)["team"] == "delivery"
    status, streamed = asyncio.run(_posted(app, "/desk/stream", body))
    assert [json.loads(line[6:])["field"] for line in streamed.split("\n\n") if line] == ["team", "urgent"]


@pytest.mark.parametrize("name", NEEDING)
def test_services_of_frameworks(name: str, example: Path, imported: Any) -> None:
    """Where the framework is not installed, its example is compiled and its calls of ours are looked at."""
    source = (example / f"{name}.py").read_text(encoding="utf-8")
    tree = ast.parse(source)
    used = {
        (node.func.attr, keyword.arg)
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)
        if isinstance(node.func.value, ast.Name) and node.func.value.id == "desk"
        for keyword in node.keywords
    }
    desk = imported("desk").Desk
    for method, argument in used:
        takes = inspect.signature(getattr(desk, method)).parameters
        assert argument == "message" or argument in takes
    pytest.importorskip(NEEDING[name], reason=f"{NEEDING[name]} is not installed: {name}.py was only read")
    module = imported(name)
    if name == "fastapi_app":
        from fastapi.testclient import TestClient  # pyright: ignore[reportMissingImports]

        with TestClient(module.app) as client:
            assert client.post("/desk", json={"message": "the parcel is late"}).json()["team"] == "delivery"
    else:
        assert module.route.run("the parcel is late")["team"] == "delivery"


def _run(source: str, place: str, names: dict[str, Any]) -> None:
    """Runs Python as a notebook does, where `await` may stand by itself."""
    code = compile(source, place, "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
    ran = eval(code, names)
    if inspect.isawaitable(ran):
        asyncio.run(_awaited(ran))


async def _awaited(work: Any) -> None:
    await work


def test_the_notebook_runs(
    example: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(example)
    notebook = json.loads((example / "notebook.ipynb").read_text(encoding="utf-8"))
    names: dict[str, Any] = {}
    for number, cell in enumerate(notebook["cells"]):
        if cell["cell_type"] == "code":
            _run("".join(cell["source"]), f"cell {number}", names)
    assert "is this how it is asked?" in capsys.readouterr().out
    assert names["results"][0].team == "account"
    assert "<table>" in names["results"][0]._repr_html_()
    shutdown()


def test_every_snippet_of_the_page_runs(
    example: Path, imported: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(example)
    monkeypatch.setenv("OPENAI_API_KEY", "sk-of-the-test")
    imported("desk")
    names: dict[str, Any] = {}
    page = PAGE.read_text(encoding="utf-8")
    with beside("--answer", "embedded") as url:
        monkeypatch.setenv("OPENAI_BASE_URL", url)
        for found in SNIPPET.finditer(page):
            line = page[: found.start()].count("\n") + 2
            _run("\n" * (line - 1) + found[1], str(PAGE), names)
    told = capsys.readouterr().out
    assert "team = delivery" in told
    assert "the input `message` does not fit" in told
    assert names["team"] == "account"
    shutdown()


def test_type_checkers_know_every_line(example: Path, tmp_path: Path) -> None:
    """Pyright, strict, on the examples and on the page."""
    pyright = shutil.which(
        "pyright", path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}"
    )
    if pyright is None:
        pytest.skip("pyright is not installed")
    project = tmp_path / "typed"
    package = project / "types" / "dspec"
    package.mkdir(parents=True)
    for room in ("grammar", "compiler", "runtime", "lsp"):
        (package / room).symlink_to(ROOT / room, target_is_directory=True)
    for path in (ROOT / "runtime" / "facade").iterdir():
        if path.is_file():
            (package / path.name).symlink_to(path)
    for path in example.glob("*.py"):
        with contextlib.suppress(ImportError):
            if path.stem in NEEDING:
                importlib.import_module(NEEDING[path.stem])
            shutil.copy(path, project)
    snippets = [match[1] for match in SNIPPET.finditer(PAGE.read_text(encoding="utf-8"))]
    indented = "\n".join(f"    {line}" if line else "" for line in "\n\n".join(snippets).split("\n"))
    (project / "page.py").write_text(f"async def page() -> None:\n{indented}\n", encoding="utf-8")
    (project / "wrong.py").write_text(
        "from desk import Desk\nfrom dspec import load\n\ndesk = load('x', Desk)\n"
        "desk(message='a').tema\ndesk(massage='a')\ndesk.batch([{'massage': 'a'}])\n"
        "team: str = desk(message='a').team\nurgent: str = desk(message='a').urgent\n",
        encoding="utf-8",
    )
    settings = {
        "typeCheckingMode": "strict",
        "pythonVersion": "3.11",
        "extraPaths": ["types"],
        "exclude": ["types"],
        # a page shows values without using them, and imports a name where it is needed
        "reportUnusedExpression": "none",
        "reportUnusedVariable": "none",
        "reportRedeclaration": "none",
    }
    (project / "pyrightconfig.json").write_text(json.dumps(settings), encoding="utf-8")
    ran = subprocess.run(
        [pyright, "--outputjson", "--pythonpath", sys.executable, "-p", str(project)],
        capture_output=True,
        text=True,
        check=False,
        cwd=project,
    )
    found = json.loads(ran.stdout)["generalDiagnostics"]
    errors = [
        (Path(one["file"]).name, one["range"]["start"]["line"] + 1, one.get("rule"), one["message"])
        for one in found
        if one["severity"] == "error"
    ]
    assert [one for one in errors if one[0] != "wrong.py"] == []
    assert sorted({line for name, line, *_ in errors if name == "wrong.py"}) == [5, 6, 7, 9]
