"""The page about batches and servers: its commands, its curl and its Python, as a newcomer follows them."""

from __future__ import annotations

import asyncio
import contextlib
import csv
import io
import json
import re
import shlex
import shutil
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from dspc import DSPC, EXAMPLES, dspc

PAGE = (EXAMPLES.parent / "docs" / "serving.md").read_text(encoding="utf-8")
CONSOLE = [
    line for block in re.findall(r"^```console\n(.*?)^```$", PAGE, re.M | re.S) for line in block.splitlines()
]
PYTHON = re.findall(r"^```python\n(.*?)^```$", PAGE, re.M | re.S)
JSON = re.findall(r"^```json\n(.*?)^```$", PAGE, re.M | re.S)


@pytest.fixture(scope="module")
def example(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The example, compiled, with rows to answer."""
    folder = tmp_path_factory.mktemp("serving") / "embedding"
    shutil.copytree(
        EXAMPLES / "embedding", folder, ignore=shutil.ignore_patterns("compiled", ".dspec", "__pycache__")
    )
    assert dspc("compile", "desk.dspec", cwd=folder).code == 0
    shutil.copy(folder / "data" / "messages.csv", folder / "rows.csv")
    return folder


@pytest.fixture(scope="module")
def served(example: Path) -> Iterator[str]:
    """The server that the page starts, on a free port; it is stopped as the page says."""
    (command,) = (line for line in CONSOLE if line.startswith("dspc serve"))
    process = subprocess.Popen(
        [str(DSPC), *shlex.split(command)[1:], "--port", "0"], cwd=example, stderr=subprocess.PIPE, text=True
    )
    try:
        assert process.stderr is not None
        found = re.search(r"http://\S+:\d+", process.stderr.readline())
        assert found
        yield found[0]
        process.send_signal(signal.SIGTERM)
        lines = process.stderr.read().splitlines()
        assert process.wait(20) == 0
        assert all(json.loads(line)["status"] == 200 for line in lines if line.startswith("{"))
    finally:
        process.kill()
        process.communicate()


def test_the_batch(example: Path) -> None:
    (command,) = (line for line in CONSOLE if line.startswith("dspc batch"))
    done = dspc(*shlex.split(command)[1:], cwd=example)
    assert done.code == 0, done.text
    with (example / "answers.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0])[-3:] == ["team", "urgent", "error"]
    assert "team_given" in rows[0]
    assert all(row["team"] in ("billing", "delivery", "account") and not row["error"] for row in rows)
    assert not (example / "answers.csv.part").exists()


@pytest.mark.skipif(shutil.which("curl") is None, reason="there is no curl")
def test_the_curls(served: str) -> None:
    commands = [line.replace("http://127.0.0.1:8000", served) for line in CONSOLE if line.startswith("curl")]
    plain, streamed = (
        subprocess.run(
            ["curl", "-sS", *shlex.split(command)[1:]], capture_output=True, text=True, check=True
        ).stdout
        for command in commands
    )
    assert json.loads(plain)["outputs"]["team"] == "delivery"
    assert list(json.loads(plain)) == list(json.loads(JSON[0]))
    assert "event: result\n" in streamed


def test_the_python(served: str) -> None:
    (snippet,) = PYTHON
    said = io.StringIO()
    with contextlib.redirect_stdout(said):
        exec(snippet.replace("http://127.0.0.1:8000", served), {})
    assert said.getvalue() == "billing\n"


async def test_the_tool(example: Path) -> None:
    from mcp import Client, StdioServerParameters, stdio_client

    given = json.loads(JSON[1])["mcpServers"]["desk"]
    arguments = [one.replace("/path/to", str(example)) for one in given["args"]]
    assert given["command"] == "dspc"
    server = StdioServerParameters(command=str(DSPC), args=arguments)
    with (example / "errors").open("w") as errors:
        async with asyncio.timeout(60), Client(stdio_client(server, errlog=errors)) as client:
            result = await client.call_tool("desk_v1", {"message": "I was charged twice."})
    assert result.structured_content is not None
    assert result.structured_content["team"] == "billing"
