"""Disks that are full or read-only, files that were torn, clocks that go backwards."""

from __future__ import annotations

import asyncio
import errno
import os
import random
import shlex
import shutil
import subprocess
import time
from collections.abc import Generator
from contextlib import suppress
from pathlib import Path

import pytest
from dspc import DSPC, dspc
from faulting import built, project, requests
from server import FakeServer, hashed, spawned

from dspec.compiler.cli import crash, quick
from dspec.compiler.cli.main import main
from dspec.runtime.errors import ConfigurationError
from dspec.runtime.models import ledger as ledger_module
from dspec.runtime.models.ledger import Ledger
from dspec.runtime.models.protocol import Answer


class Disk:
    """A tiny file system of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def options(self, options: str) -> None:
        subprocess.run(["mount", "-o", f"remount,{options}", str(self.folder)], check=True)


@pytest.fixture
def disk(tmp_path: Path) -> Generator[Disk]:
    folder = tmp_path / "disk"
    folder.mkdir()
    made = (
        subprocess.run(
            ["mount", "-t", "tmpfs", "-o", "size=200k", "tmpfs", str(folder)],
            capture_output=True,
            text=True,
            check=False,
        )
        if shutil.which("mount")
        else None
    )
    if made is None or made.returncode:
        pytest.skip(
            f"no file system can be mounted here: {made.stderr.strip() if made else 'no mount command'}"
        )
    try:
        yield Disk(folder)
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


def test_a_full_disk_stops_the_run_and_more_room_finishes_it(disk: Disk, tmp_path: Path) -> None:
    clean, made = project(tmp_path / "clean"), project(tmp_path / "full")
    with spawned("--answer", "hashed") as url:
        assert clean.compile(url).code == 0
        calls = requests(url)
        full = made.compile(url, DSPEC_STATE_DIR=str(disk.folder))
        assert full.code == 4, full.text
        assert "make room on the disk" in full.err
        assert not made.artifact.exists()
        asked = requests(url) - calls
        with Ledger(disk.folder / "ledger.sqlite") as ledger:
            kept = ledger.count()
        assert 0 < kept <= asked <= kept + 8  # what was in flight could not be kept
        disk.options("size=50m")
        again = made.compile(url, DSPEC_STATE_DIR=str(disk.folder))
        assert again.code == 0, again.text
        assert requests(url) - calls - asked == calls - kept
    assert made.artifact.read_bytes() == clean.artifact.read_bytes()


def test_every_command_says_that_a_disk_is_full(disk: Disk, tmp_path: Path) -> None:
    """A batch breaks off, and what is begun on a disk that is full already says so; more room finishes it."""
    disk.options("size=600k")
    made = dspc("init", "it", cwd=tmp_path)
    assert made.code == 0, made.text
    compiled = dspc("compile", "main.dspec", "--out", disk.folder, cwd=tmp_path / "it")
    assert compiled.code == 0, compiled.text
    rows = "".join(f"Where is parcel {number}?\n" for number in range(3_000))
    (disk.folder / "rows.csv").write_text(f"text\n{rows}", encoding="utf-8")
    batch = ("batch", "sorter_v1.dspc.json", "rows.csv", "-o", "out.csv")
    full = dspc(*batch, cwd=disk.folder)
    assert full.code == 4, full.text
    assert "make room" in full.err
    with (disk.folder / "rest").open("wb", buffering=0) as file, suppress(OSError):
        while file.write(b"x"):
            pass
    for command in (batch, ("stubs", "sorter_v1.dspc.json", "-o", "s.py"), ("init", "new")):
        refused = dspc(*command, cwd=disk.folder)
        assert refused.code in (2, 4), refused.text
        assert "No space left on device" in refused.err or "make room" in refused.err, refused.text
    assert not (disk.folder / "new").exists()
    compiling = dspc(
        "compile",
        "main.dspec",
        "--out",
        tmp_path,
        cwd=tmp_path / "it",
        DSPEC_STATE_DIR=str(disk.folder / "state"),
    )
    assert compiling.code == 4, compiling.text
    disk.options("size=50m")
    assert dspc(*batch, cwd=disk.folder).code == 0
    assert len((disk.folder / "out.csv").read_text(encoding="utf-8").splitlines()) == 3_001


async def test_answers_are_dropped_where_there_is_little_room(disk: Disk) -> None:
    """All of them where hardly anything is free; some where there is room to write what stays; else none."""
    disk.options("size=4m")
    (disk.folder / "dspec.toml").touch()
    path, rest = disk.folder / "ledger.sqlite", disk.folder / "rest"

    async def left(free: int, *which: str) -> tuple[str, int]:
        """What the command says with so many KiB free, and how many answers are left."""
        rest.unlink(missing_ok=True)
        path.unlink(missing_ok=True)
        with Ledger(path) as ledger:
            answers = (ledger.put(i.to_bytes(32), "ab"[i % 2], Answer("word " * 90)) for i in range(1_500))
            await asyncio.gather(*answers)
        with suppress(OSError), rest.open("wb", buffering=0) as file:
            while file.write(bytes(4096)):
                pass
        os.truncate(rest, rest.stat().st_size - 1024 * free)
        done = dspc("cache", "prune", *which, cwd=disk.folder, DSPEC_STATE_DIR=str(disk.folder))
        rest.unlink()
        with Ledger(path) as ledger:
            return done.text, ledger.count()

    said, answers = await left(0, "--all")
    assert "No space left on device" in said
    assert "make room on the disk" in said
    assert answers == 1_500
    (disk.folder / ".gitignore").touch()
    said, answers = await left(400, "--model", "a")
    assert "make room on the disk" in said
    assert answers == 1_500
    said, answers = await left(400, "--all")
    assert "dropped 1,500 answers\n" in said
    assert answers == 0
    assert path.stat().st_size < 100_000
    said, answers = await left(1_050, "--model", "a")
    assert "dropped 750 answers\n" in said
    assert f"{path} keeps its size" in " ".join(said.split())
    assert answers == 750


@pytest.mark.skipif(os.name == "nt", reason="limits of a process's files")
def test_a_limit_on_files_is_told_of_as_one(tmp_path: Path) -> None:
    made = dspc("init", cwd=tmp_path)
    assert made.code == 0, made.text
    limited = f"ulimit -f 60; exec {shlex.join([str(DSPC), 'compile', 'main.dspec'])}"
    done = subprocess.run(["sh", "-c", limited], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 4, done.stderr
    assert "make room on the disk, within quotas and limits" in done.stderr
    assert dspc("compile", "main.dspec", cwd=tmp_path).code == 0


def test_what_else_finds_a_disk_full_is_no_bug(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    full = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "there.json")

    def fail(error: BaseException) -> None:
        raise error

    for error, code, said in (
        (full, 4, "there.json cannot be written: no space left on device"),
        (ExceptionGroup("several", [ValueError(), ExceptionGroup("more", [full])]), 4, "make room"),
        (ValueError("what"), 70, "a report of it cannot be written: No space left on device"),
    ):
        monkeypatch.setattr(quick, "quickly", lambda *_, error=error: fail(error))
        monkeypatch.setattr(crash, "report_crash", lambda _: fail(full))
        with pytest.raises(SystemExit) as left:
            main()
        assert left.value.code == code
        assert said in capsys.readouterr().err


def test_a_read_only_state_folder_is_said_before_a_call_is_made(disk: Disk, tmp_path: Path) -> None:
    made = project(tmp_path / "project")
    disk.options("ro")
    with spawned("--answer", "hashed") as url:
        refused = made.compile(url, DSPEC_STATE_DIR=str(disk.folder))
        assert requests(url) == 0
    assert refused.code == 4, refused.text
    assert str(disk.folder) in refused.err
    assert "DSPEC_STATE_DIR" in refused.err


async def filled(path: Path, answers: int) -> Ledger:
    ledger = Ledger(path)
    for i in range(answers):
        await ledger.put(i.to_bytes(32), "m", Answer(f"answer {i}"))
    return ledger


@pytest.mark.parametrize("seed", range(6))
async def test_a_torn_log_loses_its_end_and_nothing_else(seed: int, tmp_path: Path) -> None:
    """What a machine leaves that dies while the last page is being written."""
    ledger = await filled(tmp_path / "ledger.sqlite", 60)
    torn = tmp_path / "torn"
    torn.mkdir()
    for suffix in ("", "-wal"):
        shutil.copy(tmp_path / f"ledger.sqlite{suffix}", torn / f"ledger.sqlite{suffix}")
    ledger.close()
    log = torn / "ledger.sqlite-wal"
    cut = random.Random(seed).randint(0, log.stat().st_size)
    os.truncate(log, cut)
    with Ledger(torn / "ledger.sqlite") as survivor:
        kept = [survivor.get(i.to_bytes(32)) for i in range(60)]
        found = [answer for answer in kept if answer is not None]
        assert kept[: len(found)] == found  # the oldest, without a gap
        assert [answer.text for answer in found] == [f"answer {i}" for i in range(len(found))]
        assert survivor.damaged == 0
        assert (await survivor.put(b"k" * 32, "m", Answer("new"))).text == "new"


async def test_a_torn_file_is_named_with_what_to_do(tmp_path: Path) -> None:
    path = tmp_path / "ledger.sqlite"
    (await filled(path, 200)).close()
    os.truncate(path, path.stat().st_size - 5000)

    async def used() -> None:
        with Ledger(path) as ledger:
            for i in range(200):
                ledger.get(i.to_bytes(32))
            await ledger.put(b"k" * 32, "m", Answer("new"))

    with pytest.raises(ConfigurationError, match=r"cannot use the ledger .*malformed") as caught:
        await used()
    assert "move ledger.sqlite" in caught.value.help


async def test_a_clock_that_goes_backwards_changes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with FakeServer(hashed) as server:
        clean = await built(project(tmp_path / "clean", rows=12, candidates=4), server)
        asked = len(server.calls)
    moments = iter(range(2_000_000_000, 0, -3600))
    monkeypatch.setattr(ledger_module.time, "time", lambda: float(next(moments)))
    began = time.monotonic()
    async with FakeServer(hashed) as server:
        made = project(tmp_path / "back", rows=12, candidates=4, budget="minutes = 30")
        back = await built(made, server, clock=lambda: began - time.monotonic())
        assert len(server.calls) == asked
    assert back.built.status == "complete"
    assert back.artifact == clean.artifact
