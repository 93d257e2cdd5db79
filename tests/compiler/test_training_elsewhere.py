"""Trainings on another machine: the process is the same one, its lines are carried, and what is on disk is what counts."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path

import pytest
from executing import workers

from dspec.compiler import ir
from dspec.compiler.evaluate.executors.processes import (
    HostLost,
    LineProcess,
    ProcessHost,
    ProcessOrder,
    start_here,
)
from dspec.compiler.optimizers.training import jobs, local
from dspec.compiler.optimizers.training.base import TrainingFailed, TrainingJob, TrainingTask
from dspec.runtime.schema.program import LM

SMALL = LM(name="small", model="local/checkpoints/none")


class Elsewhere(ProcessHost):
    """A host in this process that says it is on another machine, and can be lost."""

    def __init__(self) -> None:
        super().__init__()
        self.gone = False

    async def start(
        self, module: str, log: str, environment: Mapping[str, str | None], folders: list[str]
    ) -> tuple[int, str] | None:
        found = await super().start(module, log, environment, folders)
        return found and (found[0], "elsewhere")

    async def heard(self) -> bytes:
        if self.gone:
            raise HostLost("cut")
        return await super().heard()

    async def code(self) -> int | None:
        if self.gone:
            raise HostLost("cut")
        return await super().code()


def order(folder: Path, *folders: Path) -> ProcessOrder:
    return ProcessOrder(
        local.WORKER,
        folder / "log.txt",
        {"PYTHONUNBUFFERED": "1", "OMP_NUM_THREADS": None},
        (folder, *folders),
    )


async def said(process: LineProcess) -> list[object]:
    """What a process says of an order that it cannot carry out, and whether it is lost."""
    try:
        await process.send(json.dumps({"do": "tune"}).encode() + b"\n")
        lines = [json.loads(line) async for line in _lines(process)]
        code = await process.code()
        return [*lines, code is None]
    finally:
        await process.aclose()
        await process.aclose()


async def _lines(process: LineProcess) -> AsyncIterator[bytes]:
    while line := await process.heard():
        yield line


async def test_a_process_elsewhere_says_what_one_here_says(tmp_path: Path) -> None:
    hosts: list[Elsewhere] = []

    async def opened() -> Elsewhere:
        hosts.append(Elsewhere())
        return hosts[-1]

    expected = await said(await start_here(order(tmp_path)))
    assert expected[0]["say"] == "failed"  # type: ignore[index]
    assert expected[-1] is False
    async with workers(1, host=opened) as pool:
        there = await pool.process(order(tmp_path))
        assert there.where == "elsewhere"
        assert await said(there) == expected
        here = await pool.process(order(tmp_path, tmp_path / "not there"))
        assert here.where == ""
        assert await said(here) == expected
        lost = await pool.process(order(tmp_path))
        hosts[-1].gone = True
        assert await said(lost) == [True]


class Scripted:
    """A process that says these lines; None is the loss of its machine."""

    def __init__(self, where: str, lines: Sequence[dict[str, object] | None]) -> None:
        self.pid, self.where = 7, where
        self.orders: list[dict[str, object]] = []
        self._lines = list(lines)

    async def send(self, line: bytes) -> None:
        self.orders.append(json.loads(line))

    async def heard(self) -> bytes:
        line = self._lines.pop(0)
        return b"" if line is None else json.dumps(line).encode()

    async def code(self) -> int | None:
        return None

    async def aclose(self) -> None:
        """It is over."""


def task(folder: Path, script: list[Scripted], told: list[str]) -> TrainingTask:
    started = iter(script)

    async def start(_: ProcessOrder) -> LineProcess:
        return next(started)

    job = TrainingJob("k", "local", SMALL.model, "d", 1, 2, {})
    return TrainingTask(
        SMALL,
        ir.TrainSettings(),
        3,
        folder,
        job,
        lambda: jobs.write(folder, job),
        told.append,
        lambda: False,
        start,
    )


async def test_a_machine_that_is_lost_is_followed_by_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(local, "verified", lambda _: (tmp_path, "digest"))
    epoch = {"say": "at", "text": "epoch 1 of 2"}
    script = [Scripted("one", [epoch, None]), Scripted("two", [{"say": "failed", "text": "no room"}])]
    told: list[str] = []
    with pytest.raises(TrainingFailed, match="no room"):
        await local.TRAINER.train(task(tmp_path, script, told))
    assert told == [
        "small: trained on one",
        "small: epoch 1 of 2",
        "small: its machine (one) is gone; another goes on from the last whole epoch",
        "small: trained on two",
    ]
    assert script[0].orders == script[1].orders
    many = [Scripted(f"machine {number}", [None]) for number in range(9)]
    with pytest.raises(TrainingFailed, match="machine 3"):
        await local.TRAINER.train(task(tmp_path, many, told))


async def test_one_elsewhere_is_known_and_cancelled_by_another_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(local, "verified", lambda _: (tmp_path, "digest"))
    working = Scripted("one", [])
    seen: list[object] = []

    async def heard() -> bytes:
        job = jobs.read(tmp_path)
        assert job is not None
        again = task(tmp_path, [], [])
        again = TrainingTask(
            again.lm, again.settings, 0, tmp_path, job, lambda: None, again.tell, again.stopped, again.start
        )
        seen.extend((job.host, await local.TRAINER.status(again)))
        await local.TRAINER.cancel(again)
        while True:
            await asyncio.sleep(0.05)

    monkeypatch.setattr(working, "heard", heard)
    with pytest.raises(TrainingFailed, match="it was cancelled"):
        await local.TRAINER.train(task(tmp_path, [working], []))
    assert seen == ["one", "running"]
    found = jobs.read(tmp_path)
    assert found is not None
    assert found.state == "failed"
