"""Tools of an artifact: nothing of theirs runs, or is reached, that the application did not allow."""

from __future__ import annotations

import hashlib
import json
import sys
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from dspec.runtime.application import load, of_program
from dspec.runtime.artifact.artifact import Artifact, parse_artifact, write_artifact
from dspec.runtime.errors import ArtifactError, ConfigurationError, ToolFailed
from dspec.runtime.models.background import background
from dspec.runtime.schema.expressions import Variable
from dspec.runtime.schema.program import FieldSpec, Program, Tool, ToolStep
from dspec.runtime.schema.types import Scalar
from dspec.runtime.tools.base import ToolProblem
from dspec.runtime.tools.files import check_contents
from dspec.runtime.tools.given import folder_of
from dspec.runtime.tools.toolbox import Toolbox
from tests.support.tools import TEXT, TEXTS, module, tool_of, trusting


def program_of(tool: Tool) -> Program:
    return Program(
        name="asks",
        inputs=(FieldSpec(name="query", type=TEXT),),
        outputs=(FieldSpec(name="found", type=tool.output or Scalar(name="any")),),
        predictors={},
        steps=(ToolStep(name="a", tool="search", arguments={"query": Variable(name="query")}),),
        returns={"found": Variable(name="a")},
        tools={"search": tool},
    )


def artifact(folder: Path, tool: Tool) -> Path:
    path = folder / "compiled" / "asks.dspc.json"
    path.parent.mkdir(exist_ok=True)
    write_artifact(path, Artifact(kind="program", name="asks", program=program_of(tool)))
    return path


PYTHON = tool_of("python", function="artifact_tools:search", file="artifact_tools.py")


@pytest.fixture
def importable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    module(
        tmp_path,
        "from os import getcwd\nfrom pathlib import Path\nPath(__file__).with_name('ran').touch()\n"
        "def search(query): return query.upper()\n",
        "artifact_tools",
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "artifact_tools", raising=False)
    return tmp_path


def test_loading_runs_nothing_and_says_both_ways_out(importable: Path) -> None:
    path = artifact(importable, PYTHON)
    with pytest.raises(ConfigurationError) as refused:
        load(path)
    assert "the Python function `artifact_tools:search`" in refused.value.message
    assert "tools={'search': function}" in refused.value.help
    assert "allow=['artifact_tools']" in refused.value.help
    load(path, allow=["artifact_tools"]).close()
    assert not (importable / "ran").exists()
    assert "artifact_tools" not in sys.modules


async def later(query: str) -> str:
    return query.upper()


@pytest.mark.parametrize("function", [str.upper, lambda query: query.upper(), later])
def test_a_function_in_the_tools_place(importable: Path, function: Callable[..., Any]) -> None:
    given = (lambda query: function(query)) if function is str.upper else function
    with load(artifact(importable, PYTHON), tools={"search": given}) as program:
        prediction = program(query="a")
    assert prediction.found == "A"
    (step,) = prediction.trace
    assert (step.tool, step.inputs, step.outputs) == ("search", {"query": "a"}, {"result": "A"})
    assert not (importable / "ran").exists()


def test_an_allowed_module_runs_and_what_it_only_imported_does_not(importable: Path) -> None:
    with load(artifact(importable, PYTHON), allow=["artifact_tools"]) as program:
        assert program(query="a").found == "A"
    for name in ("getcwd", "nothing"):
        tool = tool_of("python", function=f"artifact_tools:{name}")
        with (
            load(artifact(importable, tool), allow=["artifact_tools"]) as program,
            pytest.raises(ConfigurationError),
        ):
            program(query="a")


def test_in_a_process_of_its_own_an_allowed_module_runs_no_more_than_itself(importable: Path) -> None:
    tool = tool_of("python", function="artifact_tools:getcwd", file="artifact_tools.py")
    path = artifact(importable, tool)
    given = {"allow": ["artifact_tools"], "root": importable, "isolate": True}
    with load(path, **given) as program, pytest.raises(ToolFailed, match="no function of the module"):
        program(query="a")
    with load(artifact(importable, PYTHON), **given) as program:
        assert program(query="a").found == "A"


def test_an_artifact_has_no_say_in_the_folder_where_something_runs(tmp_path: Path) -> None:
    inner = tmp_path / "inner" / "compiled"
    inner.mkdir(parents=True)
    (tmp_path / "elsewhere.jsonl").write_text("{}")
    searching = tool_of("bm25", file="elsewhere.jsonl", text="text", sha256="0" * 64)
    path = inner / "x.dspc.json"
    assert folder_of([searching], path) == tmp_path
    assert folder_of([searching, PYTHON], path) == tmp_path / "inner"
    assert folder_of([PYTHON], inner.parent / "x.dspc.json") == tmp_path / "inner"


def test_allowing_one_thing_allows_no_other(importable: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "hunter2hunter2")
    for tool, allow in (
        (PYTHON, ["artifact"]),
        (PYTHON, ["search", "python", "artifact_tools.py", "*"]),
        (tool_of("python", function="os:system"), ["artifact_tools"]),
        (tool_of("http", url="http://127.0.0.1:9/x"), ["http://127.0.0.1", "http://127.0.0.1:99"]),
        (tool_of("http", url="http://good.example@127.0.0.1:9/x"), ["http://good.example"]),
        (tool_of("http", url="http://good.example.evil.example/x"), ["http://good.example"]),
        (tool_of("mcp", command="rm -rf x", tool="a"), ["rm"]),
        (tool_of("mcp", url="http://127.0.0.1:9/mcp", tool="a"), []),
        (tool_of("colbert", url="http://127.0.0.1:9/mcp"), []),
        (tool_of("http", url="http://127.0.0.1:9/x", api_key_env="OPENAI_API_KEY"), ["http://127.0.0.1:9"]),
        (tool_of("mcp", command="serve", tool="a", api_key_env="OPENAI_API_KEY"), ["serve"]),
        (tool_of("http", url_env="OPENAI_API_KEY"), []),
    ):
        with pytest.raises(ConfigurationError) as refused:
            load(artifact(importable, tool), allow=allow)
        assert "hunter2" not in f"{refused.value} {refused.value.help}"


def test_a_name_that_no_tool_has(importable: Path) -> None:
    with pytest.raises(ConfigurationError, match="`tools` names `sarch`"):
        load(artifact(importable, PYTHON), tools={"sarch": str.upper})


def test_an_allowed_origin_is_reached_and_a_redirect_leads_nowhere(tmp_path: Path) -> None:
    async def echo(request: web.Request) -> web.Response:
        return web.json_response((await request.json())["query"])

    async def away(request: web.Request) -> web.Response:
        raise web.HTTPFound("/echo")

    async def start() -> tuple[web.AppRunner, str]:
        app = web.Application()
        app.router.add_post("/echo", echo)
        app.router.add_post("/away", away)
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        return runner, f"http://127.0.0.1:{runner.addresses[0][1]}"

    runner, origin = background().submit(start()).result(10)
    try:
        with load(artifact(tmp_path, tool_of("http", url=f"{origin}/echo")), allow=[origin]) as program:
            assert program(query="a").found == "a"
        with (
            load(artifact(tmp_path, tool_of("http", url=f"{origin}/away")), allow=[origin]) as program,
            pytest.raises(ToolFailed, match="the server answered 302"),
        ):
            program(query="a")
    finally:
        background().submit(runner.cleanup()).result(10)


def test_a_data_file_is_found_above_the_artifact_and_never_outside(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DSPEC_INDEX_DIR", str(tmp_path / "indexes"))
    project = tmp_path / "project"
    (project / "data").mkdir(parents=True)
    rows = project / "data" / "rows.jsonl"
    rows.write_text('{"text": "a cat"}\n{"text": "a dog"}\n', encoding="utf-8")
    digest = hashlib.sha256(rows.read_bytes()).hexdigest()
    tool = tool_of("bm25", file="data/rows.jsonl", sha256=digest, output=TEXTS)
    path = artifact(project, tool)
    with load(path) as program:
        assert program(query="dog").found == ["a dog"]
    moved = tmp_path / "elsewhere.dspc.json"
    moved.write_bytes(path.read_bytes())
    with pytest.raises(ConfigurationError, match="there is no file"):
        load(moved)
    with load(moved, root=project) as program:
        assert program(query="dog").found == ["a dog"]
    for name in ("../secret.jsonl", "/etc/passwd"):
        with pytest.raises(ConfigurationError):
            load(artifact(project, tool_of("bm25", file=name, sha256=digest, output=TEXTS)))
    path = artifact(project, tool)
    with load(path) as program:
        rows.write_text('{"text": "changed"}\n', encoding="utf-8")
        with pytest.raises(ToolFailed, match="is not the file"):
            program(query="dog")
    with pytest.raises(ConfigurationError, match="is not the file that the program was compiled with"):
        load(path)
    with load(path, tools={"search": lambda query: [query]}) as program:
        assert program(query="dog").found == ["dog"]


def test_a_large_data_file_is_checked_in_pieces(tmp_path: Path) -> None:
    large = tmp_path / "large.jsonl"
    with large.open("wb") as stream:
        stream.truncate(64 << 20)
    tracemalloc.start()
    try:
        check_contents(large, hashlib.sha256(bytes(64 << 20)).hexdigest())
        tracemalloc.reset_peak()
        with pytest.raises(ToolProblem, match="is not the file"):
            check_contents(large, "0" * 64)
        assert tracemalloc.get_traced_memory()[1] < 8 << 20
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(
    ("changes", "where"),
    [
        ({"source": "shell"}, "tools.search.source"),
        ({"timeout": 1e9}, "tools.search.timeout"),
        ({"timeout": 0}, "tools.search.timeout"),
        ({"retry": 10_000}, "tools.search.retry"),
        ({"max_result": 1 << 40}, "tools.search.max_result"),
        ({"max_parallel": 0}, "tools.search.max_parallel"),
        ({"output": None}, "tools.search"),
        ({"name": "a b"}, "tools.search.name"),
        ({"lm": "nobody"}, "tools.search.lm"),
        ({"options": {}}, "tools.search.options"),
        ({"options": {"function": "os.system('x')"}}, "tools.search.options"),
        ({"options": {"function": "a:b", "shell": True}}, "tools.search.options"),
        ({"options": {"function": "a:b", "file": "/etc/x.py"}}, "tools.search.options"),
        ({"source": "http", "options": {"url": "file:///etc/passwd"}}, "tools.search.options"),
        ({"source": "http", "options": {"url": "http://a/\r\nX: y"}}, "tools.search.options"),
        ({"source": "http", "options": {"url": "http://a/", "header": "A: b\r\n"}}, "tools.search.options"),
        ({"source": "http", "options": {}}, "tools.search.options"),
        ({"source": "mcp", "options": {"tool": "a"}}, "tools.search.options"),
        (
            {"source": "mcp", "options": {"tool": "a", "command": "x", "url": "http://a/"}},
            "tools.search.options",
        ),
        ({"source": "bm25", "options": {"file": "a.csv"}}, "tools.search.options"),
    ],
)
def test_a_tool_that_no_compile_makes_is_refused(tmp_path: Path, changes: dict[str, Any], where: str) -> None:
    plain = json.loads(artifact(tmp_path, PYTHON).read_text(encoding="utf-8"))
    plain["program"]["tools"]["search"] |= changes
    with pytest.raises(ArtifactError, match=where):
        parse_artifact(json.dumps(plain).encode())


def test_results_of_pure_tools_are_kept_and_others_run_again(importable: Path) -> None:
    seen: list[str] = []

    def search(query: str) -> str:
        seen.append(query)
        return f"{query} {len(seen)}"

    cache = importable / "cache.sqlite"
    for pure, times in ((True, 1), (False, 2)):
        seen.clear()
        path = artifact(importable, PYTHON.model_copy(update={"pure": pure}))
        for _ in range(2):
            with load(path, tools={"search": search}, cache=cache) as program:
                prediction = program(query="a")
        assert len(seen) == times
        assert prediction.found == f"a {times}"
        assert bool(prediction.trace[0].notes) == pure


def test_a_project_runs_its_own_python_in_processes(importable: Path) -> None:
    def toolbox(ledger: Any) -> Toolbox:
        return trusting(importable, isolated=True, ledger=ledger)

    with of_program(program_of(PYTHON), tools=toolbox) as program:
        assert [one.found for one in program.batch([{"query": "a"}, {"query": "b"}])] == ["A", "B"]
    assert (importable / "ran").exists()
    assert "artifact_tools" not in sys.modules


def test_a_command_calls_what_the_source_declares_and_no_other(importable: Path) -> None:
    tools = Toolbox(importable, declared=[PYTHON], isolated=True)
    tools.check([PYTHON.model_copy(update={"description": "told otherwise", "timeout": 1.0})])
    for changes in (
        {"name": "other"},
        {"options": {"function": "os:system"}},
        {"source": "mcp", "options": {"command": "rm -rf x", "tool": "a"}},
    ):
        with pytest.raises(ConfigurationError, match="is not what the source declares"):
            tools.check([PYTHON.model_copy(update=changes)])
