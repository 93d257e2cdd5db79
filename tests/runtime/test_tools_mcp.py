"""Tools of MCP servers, over standard input and over HTTP: what a server does wrong is an answer."""

from __future__ import annotations

import asyncio
import logging
import os
import shlex
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from dspec.runtime.schema.program import FieldSpec, Tool
from dspec.runtime.schema.types import JsonValue, ListOf, Scalar
from tests.support.tools import TEXT, TEXTS, call, tool_of, trusting

pytest.importorskip("mcp")

SERVER = Path(__file__).parents[1] / "support" / "mcp_server.py"
COMMAND = f"{shlex.quote(sys.executable)} {shlex.quote(str(SERVER))}"


def stdio(name: str, **settings: object) -> Tool:
    return tool_of("mcp", command=COMMAND, tool=name, **settings)


@pytest.mark.slow
async def test_a_tool_of_a_server_that_a_command_starts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SEARCH_KEY", "hunter2hunter2")
    monkeypatch.setenv("OTHER_KEY", "hunter3")
    async with trusting(tmp_path) as tools:
        assert (await call(tools, stdio("echo"), query="grüße\n\u2028")).value == "grüße\n\u2028"
        assert (await call(tools, stdio("titles", output=TEXTS), query="a")).value == ["a 1", "a 2"]
        letters = stdio("count", output=None, outputs=(FieldSpec(name="letters", type=Scalar(name="int")),))
        assert (await call(tools, letters, query="abc")).value == {"letters": 3}
        failed = await call(tools, stdio("fails"), query="abc")
        assert (failed.value, failed.error) == (None, "Error executing tool fails")
        unknown = await call(tools, stdio("nothing"), query="abc")
        assert unknown.error.startswith("the MCP server has no tool `nothing`; it has `")
        assert "`echo`" in unknown.error
        large = await call(tools, stdio("large"), query="abc")
        assert large.error == "its result has 1,000,002 characters, and 100,000 are the most"
        other = await call(tools, stdio("environment"), query="OTHER_KEY")
        assert other.value == "(not set)", "a server gets nothing of the environment that it was not given"
    async with trusting(tmp_path) as tools:
        tool = stdio("environment", api_key_env="SEARCH_KEY")
        assert (await call(tools, tool, query="SEARCH_KEY")).value == "hunter2hunter2"


async def test_calls_of_one_server_run_at_the_same_time_and_a_late_one_ends_alone(tmp_path: Path) -> None:
    async with trusting(tmp_path) as tools:
        assert (await call(tools, stdio("echo"), query="a")).value == "a"
        late, fine = await asyncio.gather(
            call(tools, stdio("hangs", timeout=0.5), query="a"), call(tools, stdio("echo"), query="b")
        )
        assert (late.error, fine.value) == ("no result within 0.5 s", "b")
        assert (await call(tools, stdio("echo"), query="c")).value == "c"


@pytest.mark.slow
async def test_a_server_that_dies_in_a_call_is_started_again(tmp_path: Path) -> None:
    mark = str(tmp_path / "mark")
    async with trusting(tmp_path) as tools:
        answer = await call(tools, stdio("dies"), query=mark)
        assert answer.error == "the MCP server is gone"
        assert (await call(tools, stdio("dies"), query=mark)).value == "alive"
    Path(mark).unlink()
    async with trusting(tmp_path) as tools:
        answer = await call(tools, stdio("dies", retry=1), query=mark)
        assert answer.value == "alive"
        assert len(answer.notes) == 1


async def test_lines_that_are_no_messages_are_noted(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "noise.py").write_text("print('hello')\nprint('{')\n")
    (tmp_path / "noisy.py").write_text(
        "import runpy\nprint('starting \\x1b[2J up')\nprint('{', flush=True)\n"
        f"runpy.run_path({str(SERVER)!r}, run_name='__main__')\n"
    )
    wrote = "lines that are no messages of the protocol on its standard output, the first"
    async with trusting(tmp_path) as tools:
        noisy = tool_of("mcp", command=f"{shlex.quote(sys.executable)} noisy.py", tool="echo")
        answer = await call(tools, noisy, query="a")
        assert answer.value == "a"
        assert answer.notes == (f"the MCP server wrote 2 {wrote} 'starting \\x1b[2J up'",)
        assert (await call(tools, noisy, query="b")).notes == ()
        noise = tool_of("mcp", command=f"{shlex.quote(sys.executable)} noise.py", tool="echo")
        refused = await call(tools, noise)
        assert refused.error == (
            f"the MCP server cannot be reached: Connection closed; it wrote 2 {wrote} 'hello'"
        )
    assert capfd.readouterr().err == ""
    assert logging.getLogger("mcp").hasHandlers()


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere they get away, as docs/tools.md says")
async def test_what_a_server_started_ends_with_it(tmp_path: Path) -> None:
    async with trusting(tmp_path) as tools:
        answer = await call(tools, stdio("away"))
        assert isinstance(answer.value, str)
        os.kill(int(answer.value), 0)
    with pytest.raises(ProcessLookupError):
        os.kill(int(answer.value), 0)


async def test_a_server_that_ends_at_once_has_said_why(tmp_path: Path) -> None:
    (tmp_path / "ends.py").write_text(
        "import sys\nprint('x' * 300_000, file=sys.stderr)\nprint('starting', file=sys.stderr)\nimport nowhere_at_all\n"
    )
    async with trusting(tmp_path) as tools:
        ends = tool_of("mcp", command=f"{shlex.quote(sys.executable)} ends.py", tool="echo")
        answer = await call(tools, ends)
    assert answer.error == (
        "the MCP server cannot be reached: Connection closed; the last that it wrote on standard error is "
        "\"ModuleNotFoundError: No module named 'nowhere_at_all'\""
    )


async def test_what_is_no_server_is_an_answer(tmp_path: Path) -> None:
    (tmp_path / "noise.py").write_text("print('hello')\nprint('{')\n")
    absent = "; check the first word of its `command`, and that it is installed"
    for command, error, advice in (
        (
            f"{shlex.quote(sys.executable)} noise.py",
            "the MCP server cannot be reached",
            "; try its `command` in a terminal",
        ),
        (
            "no-such-command-here",
            "the MCP server cannot be reached: there is no command `no-such-command-here`",
            absent,
        ),
        ("bin/absent", "the MCP server cannot be reached: there is no command `bin/absent`", absent),
        ("'", "its command cannot be read: No closing quotation", ""),
    ):
        async with trusting(tmp_path) as tools:
            answer = await call(tools, tool_of("mcp", command=command, tool="echo"))
            assert answer.error.startswith(error)
            assert answer.notes[-1].endswith(advice)


@pytest.mark.parametrize("retry", [0, 1])
async def test_a_server_that_never_answers_takes_the_time_of_a_try(tmp_path: Path, retry: int) -> None:
    """All tries wait for the same server, which ends with the tools."""
    (tmp_path / "hangs.py").write_text(
        "import os, time\nopen('pids', 'a').write(f'{os.getpid()}\\n')\ntime.sleep(600)\n"
    )
    hangs = tool_of(
        "mcp", command=f"{shlex.quote(sys.executable)} hangs.py", tool="echo", timeout=1, retry=retry
    )
    async with trusting(tmp_path) as tools:
        began = time.monotonic()
        answer = await call(tools, hangs)
        assert time.monotonic() - began < 20
        assert answer.error == "the MCP server did not answer within 1 s"
        assert len(answer.notes) == retry + 1
    (started,) = (tmp_path / "pids").read_text().split()
    with pytest.raises(ProcessLookupError):
        os.kill(int(started), 0)


async def test_a_further_try_finds_the_server_that_was_slow_to_start(tmp_path: Path) -> None:
    (tmp_path / "slow.py").write_text(
        f"import runpy, time\ntime.sleep(1)\nrunpy.run_path({str(SERVER)!r}, run_name='__main__')\n"
    )
    async with trusting(tmp_path) as tools:
        slow = tool_of(
            "mcp", command=f"{shlex.quote(sys.executable)} slow.py", tool="echo", timeout=0.5, retry=20
        )
        answer = await call(tools, slow, query="a")
        assert answer.value == "a"
        assert answer.notes[0].startswith(
            "try 1 of 21: the MCP server did not answer within 0.5 s; it goes on starting, "
        )


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port = found.getsockname()[1]
    process = subprocess.Popen(
        [sys.executable, str(SERVER), str(port)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        for _ in range(300):
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.05)
        yield f"http://127.0.0.1:{port}/mcp"
    finally:
        process.kill()
        process.wait()


async def test_a_tool_of_a_server_at_an_address(tmp_path: Path, address: str) -> None:
    def at(name: str, **settings: object) -> Tool:
        return tool_of("mcp", url=address, tool=name, **settings)

    async with trusting(tmp_path) as tools:
        assert (await call(tools, at("echo"), query="a")).value == "a"
        values: list[JsonValue] = [
            answer.value
            for answer in await asyncio.gather(
                *(call(tools, at("echo"), query=str(number)) for number in range(8))
            )
        ]
        assert values == [str(number) for number in range(8)]
        assert (await call(tools, at("titles", output=ListOf(item=TEXT)), query="a")).value == ["a 1", "a 2"]
        assert (await call(tools, at("hangs", timeout=0.5))).error == "no result within 0.5 s"
        assert (await call(tools, at("echo"), query="b")).value == "b"


async def test_nobody_at_the_address(tmp_path: Path) -> None:
    async with trusting(tmp_path) as tools:
        answer = await call(tools, tool_of("mcp", url="http://127.0.0.1:9/mcp?key=hunter2", tool="echo"))
    assert answer.error.startswith("the MCP server at http://127.0.0.1:9 cannot be reached: ")
    assert "hunter2" not in answer.error
    assert answer.notes[-1].endswith("; check the `url`, and that the server runs")


async def test_nobody_at_the_address_that_a_variable_has(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SEARCH_URL", "http://127.0.0.1:9/mcp")
    async with trusting(tmp_path) as tools:
        answer = await call(tools, tool_of("mcp", url_env="SEARCH_URL", tool="echo"))
    assert answer.error.startswith("the MCP server at the address in SEARCH_URL cannot be reached: ")
    assert answer.notes[-1].endswith("; check the variable, and that the server runs")
