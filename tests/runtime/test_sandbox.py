"""The sandbox for code that a model wrote: what is kept in, what is stopped, and what is left over."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from contextlib import suppress

import pytest

from dspec.runtime.errors import ConfigurationError, ToolFailed
from dspec.runtime.schema.types import JsonValue, Row
from dspec.runtime.tools import sandbox
from dspec.runtime.tools.sandbox import CodeError, CodeRan, Finished, HostFunction, Sandbox, SandboxLimits

LIMITS = SandboxLimits(0.5, 32_000_000, 2_000)
PATIENT = SandboxLimits(60.0, 32_000_000, 2_000)
"""For a machine with much to do."""


async def add(given: Row) -> JsonValue:
    a, b = given.get("a"), given.get("b")
    if not isinstance(a, int) or not isinstance(b, int):
        raise CodeError("ValueError", "two whole numbers")
    return a + b


async def end(given: Row) -> JsonValue:
    raise Finished


FUNCTIONS = {"add": HostFunction(("a", "b"), add), "end": HostFunction(("x",), end)}


async def ran(
    *codes: str,
    variables: Row | None = None,
    functions: Mapping[str, HostFunction] = FUNCTIONS,
    limits: SandboxLimits = PATIENT,
) -> list[CodeRan]:
    async with Sandbox(limits, variables or {}, functions) as box:
        return [await box.run(code) for code in codes]


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    with suppress(OSError), open(f"/proc/{pid}/stat") as status:  # noqa: PTH123
        return status.read().rpartition(")")[2].split()[0] != "Z"
    return True


async def test_values_go_in_and_come_out() -> None:
    found = await ran(
        "print(rows[0]['n'], text)\nadd(rows[0]['n'], b=2)",
        "kept = [one['n'] for one in rows]",
        "kept",
        variables={"rows": [{"n": 1}], "text": "é"},
    )
    assert found == [CodeRan("1 é\n", 3), CodeRan(), CodeRan(value=[1])]


async def test_what_a_call_fails_with_is_an_exception_in_the_code() -> None:
    caught = "try:\n    add(1, 'x')\nexcept ValueError as error:\n    print(error)"
    codes = (caught, "add(1)", "add(1, 2, 3)", "add(1, a=2)", "add({1}, 2)", "nothing()")
    first, *others = await ran(*codes)
    assert first == CodeRan("two whole numbers\n")
    assert [one.error.splitlines()[-1] for one in others] == [
        "ValueError: two whole numbers",
        "TypeError: add() takes a, b; 3 were given",
        "TypeError: add() was given an argument twice",
        "TypeError: add(): a set has no order: make it a list with `sorted(…)`",
        "NameError: name 'nothing' is not defined",
    ]


async def test_a_call_may_end_the_code() -> None:
    assert await ran("print('a')\nend(1)\nprint('b')", "2") == [
        CodeRan("a\n", finished=True),
        CodeRan(value=2),
    ]


STOPPED = "the code was stopped: it "
LATE = STOPPED + "did not come to its end in 0.5 s"
LARGE = STOPPED + "needs more than the 32 MB of memory"


@pytest.mark.parametrize(
    ("code", "error"),
    [
        ("while True: pass", LATE),
        ("while True:\n    try:\n        while True: pass\n    except BaseException: pass", LATE),
        ("7 ** (10 ** 7) % 3", LATE),
        ("for n in range(10 ** 9): print('x' * 100)", LATE),
        ("x = []\nwhile True: x.append('a' * 1000)", LARGE),
        ("'a' * 10 ** 9", LARGE),
        ("print('a' * 10 ** 8)", LARGE),
        ("[0] * 10 ** 8", LARGE),
        ("class A: pass\nx = [A() for _ in range(10 ** 6)]", LARGE),
        ("add([0] * 2 * 10 ** 6, 1)", LARGE),
        (
            "while True:\n    try: nothing\n    except NameError: pass",
            STOPPED + "asked for something outside",
        ),
        ("def f(): return f()\nf()", "RecursionError"),
        ("[" * 10_000, "nested"),
        ("-" * 10_000 + "1", "nested"),
        ("open('/etc/passwd')", "PermissionError"),
        ("open('/tmp/x', 'w')", "PermissionError"),
        ("import pathlib\npathlib.Path('/etc/passwd').read_text()", "PermissionError"),
        ("import os\nos.listdir('/')", "PermissionError"),
        ("import os\nos.environ", "not supported"),
        ("import os\nos.fork()", "AttributeError"),
        ("import os\nos.system('id')", "AttributeError"),
        ("import os\nos.kill(1, 9)", "AttributeError"),
        ("import subprocess", "ModuleNotFoundError"),
        ("import socket", "ModuleNotFoundError"),
        ("import ctypes", "ModuleNotFoundError"),
        ("import urllib.request", "ModuleNotFoundError"),
        ("__import__('os')", "NameError"),
        ("().__class__.__bases__", "AttributeError"),
        ("add.__globals__", "AttributeError"),
        ("input()", "NameError"),
        ("exit()", "NameError"),
        ("raise SystemExit(" + "'done'" + ")", "SystemExit"),
        ("x =", "SyntaxError"),
    ],
)
async def test_code_that_does_harm_is_stopped_and_told_so(code: str, error: str) -> None:
    limits = LIMITS if error is LATE else PATIENT
    first, second = await ran(code, "text", variables={"text": "still here"}, limits=limits)
    assert error in first.error
    assert len(first.error) < 3_000
    assert len(first.output) < 2_100
    assert second == CodeRan(value="still here")


async def test_what_is_shown_has_an_end() -> None:
    limits = SandboxLimits(20.0, 64_000_000, 100)
    codes = (
        "print('a' * 1000)",
        "'b' * 1000",
        "2 ** 5000",
        "{1}",
        "float('nan')",
        "x = []\nx.append(x)\nx",
        "add",
    )
    printed, text, *odd = await ran(*codes, limits=limits)
    assert printed == CodeRan("a" * 100 + "\n… (901 characters more)")
    assert text == CodeRan(value="b" * 100 + "\n… (900 characters more)")
    assert all(len(str(one.value)) < 120 for one in odd)
    assert (
        odd[0].value
        == "(the value of the last line is not shown: an integer has more than a thousand digits)"
    )


async def test_a_sandbox_is_the_same_world_every_time() -> None:
    world = "import random\n[random.random(), hash('a'), str({'a', 'b', 'c', 'dd'}), str(object), id(random)]"
    found = [(await ran(world))[0] for _ in range(3)]
    assert not found[0].error
    assert found[1:] == found[:1] * 2


CLOCKS = (
    "datetime.datetime.now()",
    "datetime.datetime.now(datetime.timezone.utc)",
    "datetime.date.today()",
    "time.time()",
    "time.time_ns()",
    "time.localtime()",
    "time.strftime('%Y')",
    "time.monotonic()",
    "time.perf_counter()",
    "time.sleep(1000)",
    "await asyncio.sleep(1000)",
)


async def test_who_asks_for_the_time_is_told_that_there_is_none() -> None:
    head = "import asyncio, datetime, time\n"
    for asked, found in zip(CLOCKS, await ran(*(head + asked for asked in CLOCKS)), strict=True):
        assert "RuntimeError: there is no clock here" in found.error, asked
        assert found.value is None
    (caught,) = await ran(f"{head}try:\n    time.time()\nexcept RuntimeError as error:\n    'none'\n")
    assert not caught.error
    (reckoned,) = await ran(f"{head}str(datetime.date(2026, 2, 27) + datetime.timedelta(days=2))")
    assert reckoned.value == "2026-03-01"


async def test_the_process_says_nothing_on_our_standard_error(capfd: pytest.CaptureFixture[str]) -> None:
    (found,) = await ran("'a'.center(50_000_000)")
    assert "memory" in found.error
    assert os.get_inheritable(2)
    assert capfd.readouterr().err == ""


async def test_a_cancelled_run_leaves_no_process() -> None:
    box = Sandbox(SandboxLimits(600.0, 32_000_000, 100), {}, {})

    async def work() -> None:
        async with box:
            await box.run("1")
            await box.run("while True: pass")

    task = asyncio.create_task(work())
    while not box.running:
        await asyncio.sleep(0.01)
    pid = box.pid
    assert pid is not None
    assert alive(pid)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert not alive(pid)


async def test_inputs_that_have_no_room_are_told_so() -> None:
    with pytest.raises(ToolFailed, match="do not fit into the 32 MB"):
        await ran("1", variables={"text": "a" * 40_000_000})


async def test_no_process_is_left_over() -> None:
    async with Sandbox(LIMITS, {}, {}) as box:
        await box.run("while True: pass")
        await box.run("1")
        pid = box.pid
        assert pid is not None
        assert alive(pid)
    assert not alive(pid)


PARENT = """
import asyncio
from dspec.runtime.tools.sandbox import Sandbox, SandboxLimits

async def main():
    async with Sandbox(SandboxLimits(2.0, 32_000_000, 100), {}, {}) as box:
        await box.run("1")
        print(box.pid, flush=True)
        await box.run("while True: pass")

asyncio.run(main())
"""


@pytest.mark.skipif(os.name != "posix", reason="sends a signal")
def test_the_death_of_the_parent_ends_the_code() -> None:
    with subprocess.Popen([sys.executable, "-c", PARENT], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())
        time.sleep(0.2)
        parent.send_signal(signal.SIGKILL)
    until = time.monotonic() + 60
    while alive(pid) and time.monotonic() < until:
        time.sleep(0.05)
    assert not alive(pid)


HUNGRY = """
import asyncio, resource
from dspec.runtime.tools.sandbox import Sandbox, SandboxLimits

CODES = (
    "for n in range(10 ** 9): print('x' * 1000)",
    "[[] for _ in range(10 ** 6)]",
    "x = []\\n[x] * 10 ** 6",
    "'a' * 15_000_000",
    "{n: n for n in range(10 ** 5)}",
    "2 ** 10_000_000",
)

async def main():
    async with Sandbox(SandboxLimits(2.0, 32_000_000, 100), {}, {}) as box:
        await box.run("1")
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        for code in CODES:
            await box.run(code)
        print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)

asyncio.run(main())
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="counts in kilobytes")
def test_the_parent_stays_small() -> None:
    grown = subprocess.run([sys.executable, "-c", HUNGRY], check=True, capture_output=True, text=True).stdout
    assert int(grown) < 200_000


def test_many_threads_have_a_sandbox_each() -> None:
    found: dict[int, list[CodeRan]] = {}

    def one(number: int) -> None:
        found[number] = asyncio.run(
            ran(f"n = add({number}, 1)", "print(n)\nn * 2", limits=SandboxLimits(30.0, 32_000_000, 100))
        )

    threads = [threading.Thread(target=one, args=(number,)) for number in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == {n: [CodeRan(), CodeRan(f"{n + 1}\n", 2 * n + 2)] for n in range(16)}


async def test_a_missing_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sandbox.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ConfigurationError, match="`sums` runs code") as error:
        sandbox.check_installed("sums")
    assert error.value.help == "pip install 'dspc[sandbox]'"


async def test_a_program_that_is_not_there_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MONTY_BIN", "/nowhere/monty")
    with pytest.raises(ConfigurationError, match="the sandbox for code cannot be started"):
        await ran("1")
