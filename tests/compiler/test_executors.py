"""Runs that are made elsewhere are those of one process, whatever becomes of the workers.

The workers are in this process, behind links that carry JSON and can be cut; with `DSPEC_EXECUTOR=ray` real ones of
Ray take their place for the cases that both must pass (`tests/cluster`).
"""

from __future__ import annotations

import asyncio
import os
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from conformance import CASES, Bench, outcome, said
from dspc import dspc
from executing import Wires, workers
from faulting import project
from scripted import classifier, rows
from server import FakeServer
from tools import call, tool_of, trusting

from dspec.compiler import ir
from dspec.compiler.evaluate.budget import Wall
from dspec.compiler.evaluate.executors import driver, worker
from dspec.compiler.evaluate.executors.code import code_digest
from dspec.compiler.evaluate.executors.driver import LinkLost, Workers
from dspec.runtime.errors import ConfigurationError
from dspec.runtime.models.ledger import Ledger
from dspec.runtime.schema.program import Program

RAY = os.environ.get("DSPEC_EXECUTOR") == "ray"
here = pytest.mark.skipif(RAY, reason="workers of this process alone can be cut")


@here
@pytest.mark.parametrize("name", list(CASES))
async def test_a_worker_does_as_one_process_does(name: str, tmp_path: Path) -> None:
    expected = await outcome(CASES[name], tmp_path / "here", None)
    async with workers(2) as pool:
        assert await outcome(CASES[name], tmp_path / "there", pool) == expected


@pytest.mark.skipif(not RAY, reason="`tests/cluster` runs it where Ray is")
async def test_rays_workers_do_as_one_process_does(tmp_path: Path) -> None:
    from dspec.compiler.evaluate.executors.on_ray import on_ray

    async with on_ray("", 2) as pool:
        for name, case in CASES.items():
            expected = await outcome(case, tmp_path / "here" / name, None)
            assert await outcome(case, tmp_path / "there" / name, pool) == expected, name


@here
async def test_a_function_is_called_where_the_folder_is_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A worker that has another file leaves the call to the command; one that dies with a call is followed by another."""
    wires, called, cut = Wires(), list[object](), list[bool]()
    real = worker.Worker._tool

    async def noted(self: Any, root: str, digest: str, *rest: Any) -> Any:
        if cut:
            cut.pop()
            next(one for one in wires.opened if one.worker is self).cut()
            await asyncio.sleep(60)
        found = await real(self, root, digest, *rest)
        called.append(found)
        return found

    monkeypatch.setattr(worker.Worker, "_tool", noted)
    path = tmp_path / "own.py"
    path.write_text("def find(query): return f'{query} is there'\n")
    tool = tool_of(function="own:find", file="own.py")
    async with workers(2, wires) as pool:
        async with trusting(tmp_path, isolated=True, elsewhere=pool.moved) as toolbox:
            assert (await call(toolbox, tool)).value == "x is there"
            assert called.pop() == {"value": "x is there"}
            cut.append(True)
            assert (await call(toolbox, tool)).value == "x is there"
            assert called.pop() == {"value": "x is there"}
        monkeypatch.setattr(worker, "code_digest", lambda *_: "another")
        async with trusting(tmp_path, isolated=True, elsewhere=pool.moved) as toolbox:
            renamed = tool_of(function="own:find", file="own.py", name="other")
            path.write_text("def find(query): return 'here'\n")
            assert (await call(toolbox, renamed)).value == "here"
            assert called == [None]


@here
def test_code_is_the_same_where_all_that_it_imports_of_the_project_is(tmp_path: Path) -> None:
    files = {
        "src/own.py": "import json, helper\nfrom pack.part import value\nfrom pack import other\n"
        "def find(query):\n    import late\n    return query\n",
        "helper.py": "import own\nimport nowhere_to_be_found\n",
        "src/late.py": "",
        "src/pack/__init__.py": "from . import inner\n",
        "src/pack/part.py": "from .inner.deep import *\nvalue = 1\n",
        "src/pack/other.py": "from ..own import find\n",
        "src/pack/inner/__init__.py": "",
        "src/pack/inner/deep.py": "broken = (",
    }
    besides = {"unused.py": "1", "src/pack/unused.py": "1", "../outside.py": "1"}
    machines = [tmp_path / name / "root" for name in ("one", "other")]
    for root in machines:
        for name, text in {**files, **besides}.items():
            path = root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
    one, other = machines
    tool = tool_of(function="own:find", file="src/own.py")
    digest = code_digest(one, tool)
    assert digest == code_digest(other, tool)
    for name in besides:
        (other / name).write_text("2")
        assert code_digest(other, tool) == digest, name
    for name, text in files.items():
        (other / name).write_text(f"{text}\n# another")
        assert code_digest(other, tool) != digest, name
        (other / name).unlink()
        if name != "src/own.py":
            assert code_digest(other, tool) != digest, name
        (other / name).write_text(text)
    assert code_digest(other, tool) == digest
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(tmp_path / "one")
        (tmp_path / "one" / "nowhere_to_be_found.py").touch()
        assert code_digest(one, tool) != digest, "a package that only one of them has"


async def evaluated(pool: Workers, folder: Path, server: FakeServer, count: int = 300) -> object:
    folder.mkdir(exist_ok=True)
    with Ledger(folder / "ledger.sqlite") as ledger:
        bench = Bench(server, folder, pool, ledger)
        return await bench.found(bench.on(classifier()), rows(count), on_error="score_zero")


@here
@pytest.mark.parametrize("cuts", [1, 3])
async def test_a_worker_that_is_lost_costs_what_was_in_flight_and_changes_nothing(
    cuts: int, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with FakeServer(said) as plain:
        with Ledger(tmp_path / "plain.sqlite") as ledger:
            bench = Bench(plain, tmp_path, None, ledger)
            expected = await bench.found(bench.on(classifier()), rows(300), on_error="score_zero")
        wires = Wires()
        async with FakeServer(said, latency=0.005) as server, workers(2, wires) as pool:

            async def cut() -> None:
                for number in range(cuts):
                    while len(server.calls) < 60 * (number + 1):
                        await asyncio.sleep(0.001)
                    wires.opened[-1].cut()

            cutting = asyncio.create_task(cut())
            found = await evaluated(pool, tmp_path / "cut", server)
            await cutting
        assert len(wires.opened) == 2 + cuts
        assert found == expected
        repeats = sum(times - 1 for times in server.asked.values())
        assert repeats <= 16 * cuts
        assert len(server.calls) == len(plain.calls) + repeats
    assert caplog.text.count("a worker is gone") == cuts


@here
async def test_a_budget_counts_what_a_lost_worker_may_have_spent(tmp_path: Path) -> None:
    """What was on its way is taken to be paid for, so that the wall holds though nobody knows."""
    wires, wall = Wires(), Wall(ir.Budget(calls=80))
    async with FakeServer(said, latency=0.01) as server, workers(2, wires) as pool:

        async def cut() -> None:
            while len(server.calls) < 40:
                await asyncio.sleep(0.001)
            wires.opened[0].cut()

        cutting = asyncio.create_task(cut())
        with Ledger(tmp_path / "ledger.sqlite") as ledger:
            bench = Bench(server, tmp_path, pool, ledger)
            ended, _ = await bench.found(bench.on(classifier()), rows(200), on_error="score_zero", wall=wall)
        await cutting
    assert ended.startswith("BudgetExceeded")
    assert len(server.calls) <= 80
    assert wall.spent.calls == 80


@here
async def test_a_run_that_takes_its_workers_along_ends_the_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wires = Wires()
    monkeypatch.setattr(driver, "_PAUSE", 0.0)
    real = worker.Worker._run

    async def deadly(self: Any, number: int, key: str, hidden: Any, inputs: Any, *rest: Any) -> Any:
        if "row 5 " in inputs["text"]:
            next(one for one in wires.opened if one.worker is self).cut()
            await asyncio.sleep(60)
        return await real(self, number, key, hidden, inputs, *rest)

    monkeypatch.setattr(worker.Worker, "_run", deadly)
    async with FakeServer(said) as server, workers(2, wires) as pool:
        ended, _ = await evaluated(pool, tmp_path, server, 20)  # type: ignore[misc]
    assert ended.startswith("ConfigurationError: a run of `router` lost its worker 4 times")


@here
async def test_workers_that_never_come_are_said_so(monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(number: int) -> None:
        raise LinkLost("no room")

    monkeypatch.setattr(driver, "_PAUSE", 0.0)
    with pytest.raises(ConfigurationError, match=r"workers in a row .* no room"):
        async with workers(2, Wires(before=refused)):
            pass
    monkeypatch.setattr(driver, "STARTING", 0.05)
    monkeypatch.setattr(driver, "_PAUSE", 60.0)
    with pytest.raises(ConfigurationError, match="no worker was there"):
        async with workers(2, Wires(before=refused)):
            pass


@here
async def test_the_wait_for_another_worker_is_no_part_of_an_attempts_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One worker, and a model that is given less time than it takes until there is another one."""

    def slow(number: int) -> float:
        return 0.0 if number == 0 else 3.0

    wires = Wires(delay=slow)
    async with FakeServer(said, latency=0.01) as server, workers(1, wires) as pool:

        async def cut() -> None:
            while len(server.calls) < 40:
                await asyncio.sleep(0.001)
            wires.opened[0].cut()

        cutting = asyncio.create_task(cut())
        with Ledger(tmp_path / "ledger.sqlite") as ledger:
            bench = Bench(server, tmp_path, pool, ledger)
            program = bench.on(classifier(), timeout=2.0, retry=0)
            ended, _ = await bench.found(program, rows(100), on_error="score_zero")
        await cutting
    assert ended.startswith("Evaluation")
    assert "no whole answer" not in ended
    assert "unanswered=True" not in ended


@here
async def test_a_cluster_that_is_gone_ends_the_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wires = Wires(delay=lambda number: 0.0 if number == 0 else 1000.0)
    monkeypatch.setattr(driver, "STARTING", 0.2)
    async with FakeServer(said, latency=0.01) as server, workers(1, wires) as pool:

        async def cut() -> None:
            while len(server.calls) < 40:
                await asyncio.sleep(0.001)
            wires.opened[0].cut()

        cutting = asyncio.create_task(cut())
        ended, _ = await evaluated(pool, tmp_path, server)  # type: ignore[misc]
        await cutting
    assert ended.startswith("ConfigurationError: no worker was there for")


@here
async def test_workers_of_another_version_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker, "runtime_fingerprint", lambda: "another")
    with pytest.raises(ConfigurationError, match="another version of dspec"):
        async with workers(1):
            pass


@here
async def test_a_program_crosses_once_and_the_unused_are_forgotten(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(driver, "KEPT", 3)
    wires, told = Wires(), list[str]()
    real = worker.Worker._program

    def noted(self: Any, key: str, text: str) -> None:
        told.append(key)
        real(self, key, text)

    monkeypatch.setattr(worker.Worker, "_program", noted)
    async with FakeServer(said) as server, workers(1, wires) as pool:
        with Ledger(tmp_path / "ledger.sqlite") as ledger:
            bench = Bench(server, tmp_path, pool, ledger)
            made: list[Program] = [
                bench.on(classifier()).with_predictor("ask", instruction=f"Label it {n}.") for n in range(8)
            ]
            async with bench.evaluator(on_error="score_zero") as evaluator:
                for program in made:
                    await evaluator.evaluate(program, rows(12))
        assert len(told) == len(set(told)) == 8
        assert len(wires.opened[0].worker._programs) <= 4


@here
def test_an_engine_that_is_not_there_is_said(tmp_path: Path) -> None:
    made = project(tmp_path, rows=12)
    unknown = dspc("compile", made.source, "--engine", "dask", cwd=tmp_path)
    assert (unknown.code, "ray://ADDRESS" in unknown.err) == (2, True)
    if find_spec("ray") is None:
        missing = dspc(
            "compile", made.source, "--engine", "ray", cwd=tmp_path, FAULTING_URL="", FAULTING_KEY="x"
        )
        assert missing.code == 4
        assert "pip install 'dspc[ray]'" in missing.err
