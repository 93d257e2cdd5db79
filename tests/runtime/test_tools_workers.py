"""The project's functions in processes of their own: whatever one does, a call ends, and the next one works."""

from __future__ import annotations

import asyncio
import gc
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Iterable
from pathlib import Path
from typing import Any

import pytest

from dspec.runtime.models.ledger import Ledger
from dspec.runtime.schema.types import ANY, JsonValue, Row
from dspec.runtime.tools.toolbox import Toolbox
from tests.support.tools import call, module, tool_of, trusting

HABITS = """
import asyncio, ctypes, dataclasses, datetime, os, sys, threading, time
count = 0

def echo(query): return query
def slow(query):
    time.sleep(0.2)
    return query
async def later(query):
    await asyncio.sleep(0)
    return query + "!"
def hang(query):
    if query == "hang": time.sleep(600)
    return query
def hang_deaf(query):
    import signal
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    while True:
        try: time.sleep(600)
        except BaseException: pass
def leave(query):
    if query == "leave": os._exit(3)
    return query
def fault(query):
    if query == "fault": ctypes.string_at(0)
    return query
def large(query): return "x" * 10_000_000
def changing(query):
    global count
    count += 1
    return f"{query} {count}"
def interrupt(query): raise KeyboardInterrupt("now")
def exit(query): raise SystemExit("no more")
def fork(query):
    if os.fork() == 0: return "the child's"
    return "the parent's"
def fork_hang(query):
    if os.fork() == 0: time.sleep(600)
    return "the parent's"
def prints(query):
    print('{"value": "printed"}', flush=True)
    os.write(1, b'{"value": "written"}\\n')
    sys.__stdout__.write("x"); print("y", file=sys.stderr)
    return input() if query == "input" else query
def leaks(query): raise ValueError("the key is " + os.environ["SEARCH_API_KEY"])
def odd(query): return {1, 2}
def nan(query): return float("nan")
def surrogate(query): raise ValueError("\\ud800")
class Silent(Exception):
    def __str__(self): raise RuntimeError
def silent(query): raise Silent
def forked_thread(query):
    threading.Thread(target=time.sleep, args=(600,)).start()
    return query
@dataclasses.dataclass
class Found:
    text: str
    day: datetime.date
def rich(query): return [Found(query, datetime.date(2026, 1, 2))]
def asks(query, call):
    first = call("route", text=query)
    try: call("nothing")
    except RuntimeError as error: return f"{first['intent']}, {error}"
async def asks_later(query, call):
    return " ".join(await asyncio.gather(*(call("route", text=f"{query}{n}") for n in range(3))))
"""


@pytest.fixture
async def toolbox(tmp_path: Path) -> AsyncIterator[Toolbox]:
    module(tmp_path, HABITS)
    async with trusting(tmp_path, isolated=True) as made:
        yield made


def habit(name: str, **settings: Any):
    return tool_of("python", function=f"tools:{name}", file="tools.py", **settings)


@pytest.mark.parametrize("name", ["echo", "hang", "leave", "fault", "prints", "forked_thread"])
async def test_a_result_comes_back(toolbox: Toolbox, name: str) -> None:
    answer = await call(toolbox, habit(name), query="grüße \u2028 𝄞")
    assert (answer.value, answer.error) == ("grüße \u2028 𝄞", "")


async def test_an_async_function_and_rich_values(toolbox: Toolbox) -> None:
    assert (await call(toolbox, habit("later"), query="a")).value == "a!"
    assert (await call(toolbox, habit("rich", output=ANY), query="a")).value == [
        {"text": "a", "day": "2026-01-02"}
    ]


@pytest.mark.parametrize(
    ("name", "query", "error"),
    [
        ("leave", "leave", "its process ended (exit code 3) before there was a result"),
        ("fault", "fault", "its process ended (signal 11) before there was a result"),
        ("large", "x", "its result has 10,000,002 characters, and 100,000 are the most"),
        ("interrupt", "x", "KeyboardInterrupt: now"),
        ("exit", "x", "SystemExit: no more"),
        ("prints", "input", "EOFError: EOF when reading a line"),
        ("leaks", "x", "ValueError: the key is <SEARCH_API_KEY>"),
        ("odd", "x", "its result is not JSON: a value of type set"),
        ("nan", "x", "its result is not JSON: Out of range float values are not JSON compliant"),
        ("surrogate", "x", "ValueError: ?"),
        ("silent", "x", "Silent: no message"),
        ("absent", "x", "AttributeError: module 'tools' has no attribute 'absent'"),
    ],
)
async def test_what_goes_wrong_is_an_answer_and_the_next_call_works(
    toolbox: Toolbox, name: str, query: str, error: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SEARCH_API_KEY", "hunter2hunter2")
    answer = await call(toolbox, habit(name), query=query)
    assert (answer.value, answer.error) == (None, error)
    assert "hunter2" not in " ".join(answer.notes)
    if name in ("leave", "fault"):
        assert (await call(toolbox, habit(name), query="fine")).value == "fine"


@pytest.mark.parametrize("name", ["hang", "hang_deaf"])
async def test_a_hang_is_killed_and_the_next_call_works(toolbox: Toolbox, name: str) -> None:
    answer = await call(toolbox, habit(name, timeout=0.3), query="hang")
    assert answer.error == "no result within 0.3 s"
    assert answer.notes == ("try 1 of 1: no result within 0.3 s; its process was killed",)
    assert (await call(toolbox, habit("hang"), query="fine")).value == "fine"


async def test_a_fork_answers_once(toolbox: Toolbox) -> None:
    for _ in range(3):
        assert (await call(toolbox, habit("fork"))).value == "the parent's"


async def test_children_end_with_the_toolbox(tmp_path: Path) -> None:
    module(
        tmp_path,
        "import os, time\ndef pid(query):\n    child = os.fork()\n    if not child: time.sleep(600)\n    return [os.getpid(), child]\n",
    )
    async with trusting(tmp_path, isolated=True) as toolbox:
        answer = await call(toolbox, tool_of("python", output=ANY, function="tools:pid", file="tools.py"))
    assert isinstance(answer.value, list)
    for pid in answer.value:
        assert isinstance(pid, int)
        for _ in range(100):
            if not _runs(pid):
                break
            await asyncio.sleep(0.02)
        assert not _runs(pid)


AWAY = """
import os, sys, time
def away(query):
    \"\"\"Leaves three processes that try to get away: in a session, without a parent, and a child of that one.\"\"\"
    gone, told = os.pipe()
    if not os.fork():
        os.setsid()
        if os.fork():
            os._exit(0)
        os.fork()
        if not os.fork():
            os.setsid()
        os.write(told, f"{os.getpid()} ".encode())
        time.sleep(600)
    found = b""
    while found.count(b" ") < 4:
        found += os.read(gone, 100)
    with open("pids", "w") as file:
        file.write(found.decode())
    if query == "hang": time.sleep(600)
    if query == "leave": os._exit(3)
    if query == "kill": os.kill(os.getpid(), 9)
    return query
"""
LINUX = pytest.mark.skipif(sys.platform != "linux", reason="elsewhere they get away, as docs/tools.md says")


async def _ended(pids: Iterable[int]) -> bool:
    for pid in pids:
        for _ in range(100):
            if not _runs(pid):
                break
            await asyncio.sleep(0.02)
        else:
            return False
    return True


@LINUX
@pytest.mark.parametrize(
    ("query", "error"),
    [
        ("hang", "no result within 1.5 s"),
        ("leave", "its process ended (exit code 3) before there was a result"),
        ("kill", "its process ended (signal 9) before there was a result"),
    ],
)
async def test_what_a_process_started_ends_with_it_in_whatever_session(
    tmp_path: Path, query: str, error: str
) -> None:
    module(tmp_path, AWAY)
    tool = tool_of("python", function="tools:away", file="tools.py", timeout=1.5)
    beside = subprocess.Popen(["sleep", "600"], start_new_session=True)
    try:
        async with trusting(tmp_path, isolated=True) as toolbox:
            assert (await call(toolbox, tool, query=query)).error == error
            pids = [int(pid) for pid in (tmp_path / "pids").read_text().split()]
            assert len(pids) == 4
            assert await _ended(pids)
        assert beside.poll() is None
    finally:
        beside.kill()
        beside.wait()


@LINUX
async def test_nothing_outlives_a_program_that_was_killed(tmp_path: Path) -> None:
    module(tmp_path, AWAY)
    script = f"""
import asyncio, pathlib
from tests.support.tools import call, tool_of, trusting
async def main():
    async with trusting(pathlib.Path({str(tmp_path)!r}), isolated=True) as toolbox:
        tool = tool_of("python", function="tools:away", file="tools.py", timeout=600)
        await call(toolbox, tool, query="hang")
asyncio.run(main())
"""
    process = subprocess.Popen([sys.executable, "-c", script], cwd=Path(__file__).parents[2])
    try:
        for _ in range(500):
            if (tmp_path / "pids").exists() and (text := (tmp_path / "pids").read_text()).count(" ") == 4:
                break
            await asyncio.sleep(0.02)
        else:
            pytest.fail("it did not start")
    finally:
        process.kill()
        process.wait()
    assert await _ended(map(int, text.split()))


def _runs(pid: int) -> bool:
    status = Path(f"/proc/{pid}/stat")
    try:
        os.kill(pid, 0)
        # It may end between any two of these.
        return not (status.exists() and status.read_text().rpartition(")")[2].split()[0] == "Z")
    except (ProcessLookupError, FileNotFoundError):
        return False


async def test_tries_are_counted_and_said(tmp_path: Path) -> None:
    module(
        tmp_path,
        "n = 0\ndef third(query):\n    global n\n    n += 1\n    if n < 3: raise ValueError(n)\n    return query\n",
    )
    tool = tool_of("python", function="tools:third", file="tools.py", retry=2)
    async with trusting(tmp_path, isolated=True) as toolbox:
        answer = await call(toolbox, tool, query="q")
    assert answer.value == "q"
    assert answer.notes == (
        "try 1 of 3: ValueError: 1; raised at tools.py:5",
        "try 2 of 3: ValueError: 2; raised at tools.py:5",
    )


async def test_no_more_processes_than_calls_at_once(tmp_path: Path) -> None:
    module(tmp_path, "import os, time\ndef pid(query):\n    time.sleep(0.02)\n    return os.getpid()\n")
    tool = tool_of("python", function="tools:pid", file="tools.py", max_parallel=2)
    async with trusting(tmp_path, isolated=True) as toolbox:
        answers = await asyncio.gather(*(call(toolbox, tool) for _ in range(12)))
    assert len({answer.value for answer in answers}) <= 2


async def test_a_caller_that_leaves_ends_the_process(toolbox: Toolbox) -> None:
    running = asyncio.ensure_future(call(toolbox, habit("hang"), query="hang"))
    await asyncio.sleep(0.5)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert (await call(toolbox, habit("hang"), query="fine")).value == "fine"


async def test_a_caller_that_leaves_while_processes_are_ended(tmp_path: Path) -> None:
    """What nobody waits for is closed as well: pytest makes an error of a warning that it was not."""
    module(tmp_path, HABITS)
    other = trusting(tmp_path, isolated=True)
    await asyncio.gather(*(call(other, habit("slow", max_parallel=3), query=str(n)) for n in range(3)))
    leaving = asyncio.ensure_future(other.aclose())
    await asyncio.sleep(0.003)
    assert not leaving.done()
    leaving.cancel()
    await asyncio.gather(leaving, return_exceptions=True)
    await asyncio.sleep(0.5)
    del other, leaving
    gc.collect()


async def test_a_function_may_ask_back(toolbox: Toolbox) -> None:
    async def answer(key: str, inputs: Row) -> JsonValue:
        if key != "route":
            raise ValueError(f"there is no {key}")
        return {"intent": str(inputs["text"]).upper()} if inputs["text"] == "a" else f"<{inputs['text']}>"

    found = await call(toolbox, habit("asks"), answer, query="a")
    assert found.value == "A, ValueError: there is no nothing"
    assert (await call(toolbox, habit("asks_later"), answer, query="b")).value == "<b0> <b1> <b2>"


async def test_a_module_in_a_folder_and_one_elsewhere(tmp_path: Path) -> None:
    (tmp_path / "pack").mkdir()
    module(tmp_path / "pack", "from . import other\ndef f(query): return other.VALUE\n", "inner")
    module(tmp_path / "pack", "", "__init__")
    module(tmp_path / "pack", "VALUE = 'here'\n", "other")
    async with trusting(tmp_path, isolated=True) as toolbox:
        inner = tool_of("python", function="pack.inner:f", file="pack/inner.py")
        assert (await call(toolbox, inner)).value == "here"
        other = await call(toolbox, tool_of("python", function="json:dumps", file="pack/other.py"))
        assert other.error.startswith("ImportError: Python takes `json` from elsewhere")
        outside = await call(toolbox, tool_of("python", function="os:getcwd", file="../x.py"))
        assert outside.error == "there is no file `../x.py`"


async def test_of_a_pure_tool_that_changes_its_answer_the_first_one_stands(tmp_path: Path) -> None:
    module(tmp_path, HABITS)
    seen: set[JsonValue] = set()
    for _ in range(2):
        with Ledger(tmp_path / "ledger.sqlite") as ledger:
            async with trusting(tmp_path, isolated=True, ledger=ledger) as toolbox:
                answers = await asyncio.gather(
                    *(call(toolbox, habit("changing", pure=True)) for _ in range(6))
                )
                seen |= {answer.value for answer in answers if isinstance(answer.value, str)}
                await call(
                    toolbox, habit("changing", pure=True, sha256="0" * 64)
                )  # another file is another tool
                assert ledger.count() == 2
    assert len(seen) == 1
