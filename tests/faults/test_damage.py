"""One damaged byte, anywhere in what the state folder keeps: a message and a way on, or a smaller memory; never a crash."""

from __future__ import annotations

import random
import shutil
from pathlib import Path

import pytest

from dspec.compiler.evaluate.store import RunResult, Store, forget
from dspec.runtime.errors import ConfigurationError
from dspec.runtime.models.ledger import Ledger
from dspec.runtime.models.ledger_upkeep import add, contents, lines, prune
from dspec.runtime.models.protocol import Answer

ROWS = 40


def key(number: int) -> bytes:
    return number.to_bytes(32)


async def ledger_at(path: Path) -> None:
    with Ledger(path) as ledger:
        for number in range(ROWS):
            await ledger.put(key(number), "openai/möde", Answer(f"answer {number} é" * 9))


def store_at(path: Path) -> None:
    with Store(path) as store:
        for number in range(ROWS):
            store.put(key(number), RunResult.of({"out": f"value {number} é" * 9}))


def spoiled(whole: Path, place: Path, seed: int) -> Path:
    """A copy with some bytes that are not as they were: in the header and the schema's page, or anywhere."""
    data = bytearray(whole.read_bytes())
    chance = random.Random(seed)
    for _ in range(1 + seed % 3):
        spot = chance.randrange(min(len(data), 4096) if seed % 2 else len(data))
        data[spot] = chance.choice([0, 255, data[spot] ^ (1 << chance.randrange(8)), chance.randrange(256)])
    place.write_bytes(data)
    for suffix in ("-wal", "-shm"):
        Path(f"{place}{suffix}").unlink(missing_ok=True)
    return place


async def test_a_damaged_ledger_gives_what_is_sound_or_says_what_to_do(tmp_path: Path) -> None:
    whole, place = tmp_path / "whole.sqlite", tmp_path / "ledger.sqlite"
    await ledger_at(whole)

    async def used() -> None:
        with Ledger(place) as ledger:
            for number in range(ROWS + 5):
                found = ledger.get(key(number))
                assert found is None or found.text == f"answer {number} é" * 9
            assert (await ledger.put(key(99), "m", Answer("new"))).text == "new"
            ledger.count()

    def shown() -> None:
        contents(place)

    def exported() -> None:
        assert add(tmp_path / "other.sqlite", lines(place)).refused == 0

    def pruned() -> None:
        prune(place, model="m")

    said = failed = 0
    for seed in range(150):
        for work in (used, shown, exported, pruned):
            spoiled(whole, place, seed)
            try:
                if (waiting := work()) is not None:
                    await waiting
            except ConfigurationError as error:
                failed += 1
                said += bool(error.help)
    assert said == failed > 0


def test_a_damaged_store_is_a_smaller_memory(tmp_path: Path) -> None:
    whole, place = tmp_path / "whole.sqlite", tmp_path / "evaluations.sqlite"
    store_at(whole)
    missed = 0
    for seed in range(300):
        spoiled(whole, place, seed)
        with Store(place) as store:
            found = store.lookup([key(number) for number in range(ROWS)])
            for number in range(ROWS):
                run = found.get(key(number))
                assert run is None or run.outputs == {"out": f"value {number} é" * 9}
            missed += len(found) < ROWS
            store.put(key(99), RunResult.of({"out": 1}))
            store.flush()
            store.lookup([key(99)])
        forget(place)
    assert missed


@pytest.mark.parametrize("name", ["ledger.sqlite", "evaluations.sqlite"])
def test_a_folder_in_a_databases_place(name: str, tmp_path: Path) -> None:
    (tmp_path / name).mkdir()
    if name == "ledger.sqlite":
        with pytest.raises(ConfigurationError) as caught:
            Ledger(tmp_path / name)
        assert caught.value.help
    else:
        with Store(tmp_path / name) as store:
            assert store.problem
    shutil.rmtree(tmp_path / name)
