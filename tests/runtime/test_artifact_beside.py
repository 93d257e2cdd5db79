"""Rows of a large index in a file beside the artifact, and searching them off the event loop."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from programs import module, question

from dspec.runtime.artifact import artifact as artifacts
from dspec.runtime.artifact.artifact import (
    Artifact,
    artifact_text,
    parse_artifact,
    read_artifact,
    write_artifact,
)
from dspec.runtime.errors import ArtifactError
from dspec.runtime.index.ngrams import NgramIndex
from dspec.runtime.index.vectors import VectorIndex
from dspec.runtime.running import neighbours
from dspec.runtime.running.neighbours import nearest, nearest_by_vector, with_nearest_demos
from dspec.runtime.running.vectors import pack
from dspec.runtime.schema.ensemble import Ensemble, Majority
from dspec.runtime.schema.program import LM, Demo, Neighbour, Neighbours, Program
from dspec.runtime.schema.types import JsonValue


def program(rows: int = 30, *, vectors: bool = False) -> Program:
    texts = [f"question: order {place} about topic {place % 7} — “é”" for place in range(rows)]
    found = tuple(
        Neighbour(
            text=text,
            vector=pack([1.0, place % 5, place % 3]) if vectors else "",
            labelled={"module": Demo(inputs={"question": text}, outputs={"answer": str(place)})},
        )
        for place, text in enumerate(texts)
    )
    bare = module(question())
    index = Neighbours(k=3, max_bootstrapped_demos=1, max_labeled_demos=3, rows=found)
    if vectors:
        name = next(iter(bare.lms))
        index = index.model_copy(update={"vectorizer": "lm", "lm": name})
    return bare.model_copy(update={"neighbours": index})


@pytest.fixture
def beside(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(artifacts, "MAX_INDEX", 500)


def written(folder: Path, made: Artifact) -> tuple[Path, list[Path]]:
    path = folder / "near_v1.dspc.json"
    write_artifact(path, made)
    return path, sorted(entry for entry in folder.iterdir() if entry != path)


def test_a_small_index_stands_in_the_artifact_as_ever(tmp_path: Path) -> None:
    made = Artifact(name="near", program=program())
    path, others = written(tmp_path, made)
    assert others == []
    assert path.read_text("utf-8") == artifact_text(made)


@pytest.mark.usefixtures("beside")
def test_a_large_index_lies_beside_and_is_read_back_whole(tmp_path: Path) -> None:
    made = Artifact(name="near", program=program())
    path, (rows,) = written(tmp_path, made)
    plain = json.loads(path.read_text("utf-8"))
    assert plain["program"]["neighbours"]["rows"] == []
    assert plain["beside"][0]["file"] == rows.name
    assert len(rows.read_text("utf-8").splitlines()) == plain["beside"][0]["rows"] == 30
    assert read_artifact(path) == made
    before = path.read_bytes(), rows.read_bytes()
    write_artifact(path, read_artifact(path))
    assert (path.read_bytes(), rows.read_bytes()) == before


@pytest.mark.usefixtures("beside")
def test_members_of_an_ensemble_keep_their_own_rows(tmp_path: Path) -> None:
    members = (program(20), module(question()), program(25))
    ensemble = Ensemble(
        name="vote",
        inputs=members[0].inputs,
        outputs=members[0].outputs,
        members=members,
        reduce=Majority(field="answer"),
    )
    made = Artifact(name="vote", kind="ensemble", program=ensemble)
    path, others = written(tmp_path, made)
    assert len(others) == 2
    assert read_artifact(path) == made


@pytest.mark.usefixtures("beside")
def test_rows_of_an_earlier_artifact_go_and_those_of_others_stay(tmp_path: Path) -> None:
    for name in ("notes.jsonl", "near_v2.rows-0123456789abcdef.jsonl", "near_v1.rows-mine.jsonl"):
        (tmp_path / name).write_text("")
    _, before = written(tmp_path, Artifact(name="near", program=program(30)))
    path, after = written(tmp_path, Artifact(name="near", program=program(31)))
    assert len(before) == len(after) == 4
    assert len(set(before) & set(after)) == 3
    assert len(read_artifact(path).program.neighbours.rows) == 31  # type: ignore[union-attr]


def changed(path: Path, change: Callable[[dict[str, JsonValue]], object]) -> None:
    plain = json.loads(path.read_text("utf-8"))
    change(plain["beside"][0])
    path.write_text(json.dumps(plain), "utf-8")


@pytest.mark.usefixtures("beside")
@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda one: one.update(file="../near.rows-0123456789abcdef.jsonl"), "is not the name of a file"),
        (lambda one: one.update(file="/etc/passwd"), "is not the name of a file"),
        (lambda one: one.update(file="C:near.rows-0123456789abcdef.jsonl"), "is not the name of a file"),
        (lambda one: one.update(file="near.rows-0123456789abcdef.jsonl"), "there is no such file"),
        (lambda one: one.update(sha256="0" * 64), "is not as it was written"),
        (lambda one: one.update(rows=29), "is not as it was written"),
        (lambda one: one.update(rows=31), "is not as it was written"),
        (lambda one: one.update(rows=10**9), "an index has at most 1,000,000"),
        (lambda one: one.update(part=1), "there is no program that lacks its rows"),
        (lambda one: one.update(part=-1), "there is no program that lacks its rows"),
    ],
)
def test_what_an_artifact_says_of_its_rows_is_not_believed(
    tmp_path: Path, change: Callable[[dict[str, JsonValue]], object], message: str
) -> None:
    path, _ = written(tmp_path, Artifact(name="near", program=program()))
    changed(path, change)
    with pytest.raises(ArtifactError) as caught:
        read_artifact(path)
    assert message in caught.value.message
    assert str(path) in caught.value.message


@pytest.mark.usefixtures("beside")
@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda data: data[:-5], "line 30: "),
        (lambda data: data.replace(b"order 3 ", b"order 4 "), "is not as it was written"),
        (lambda data: data.replace(b'{"text"', b'{"text":"","text"', 1), "line 1: the member"),
        (lambda data: data.replace(b'{"text"', b'{"run":1,"text"', 1), "line 1: extra inputs"),
        (lambda data: data + b"{}\n", "is not as it was written"),
        (lambda data: b"\xff" + data, "line 1: is not UTF-8"),
        (lambda data: b"[" * 100_000, "line 1: "),
    ],
)
def test_spoiled_rows_are_refused(tmp_path: Path, spoil: Callable[[bytes], bytes], message: str) -> None:
    path, (rows,) = written(tmp_path, Artifact(name="near", program=program()))
    rows.write_bytes(spoil(rows.read_bytes()))
    with pytest.raises(ArtifactError) as caught:
        read_artifact(path)
    assert message in caught.value.message
    assert rows.name in caught.value.message


@pytest.mark.usefixtures("beside")
def test_rows_that_are_no_file_are_refused(tmp_path: Path) -> None:
    path, (rows,) = written(tmp_path, Artifact(name="near", program=program()))
    rows.unlink()
    os.mkfifo(rows)
    with pytest.raises(ArtifactError, match="not a regular file"):
        read_artifact(path)
    with pytest.raises(ArtifactError, match="no folder to look in"):
        parse_artifact(path.read_bytes())


@pytest.mark.parametrize("vectors", [False, True])
async def test_many_rows_choose_the_same_demos_off_the_loop(
    vectors: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = program(60, vectors=vectors)
    index = made.neighbours
    assert index is not None
    vector = [0.5, 3.0, 1.0]

    async def embed(_: LM, text: str) -> list[float]:
        return vector

    def found() -> tuple[int, ...]:
        return nearest_by_vector(index, vector) if vectors else nearest(index, "question: topic 3")

    few = found()
    shown = await with_nearest_demos(made, {"question": "topic 3"}, embed)
    monkeypatch.setattr(neighbours, "_FEW_CHARACTERS", 0)
    monkeypatch.setattr(neighbours, "_MANY_CHARACTERS", 0)
    monkeypatch.setattr(neighbours, "_latest", {})
    neighbours._of_texts.cache_clear()
    kind = VectorIndex if vectors else NgramIndex
    search, threads = kind.search, set[int]()

    def seen(*arguments: object) -> object:
        threads.add(threading.get_ident())
        return search(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(kind, "search", seen)
    assert await with_nearest_demos(made, {"question": "topic 3"}, embed) == shown
    assert threads
    assert threading.get_ident() not in threads
    assert found() == few
    hidden = index.hiding(index.rows[few[0]].text)
    again = nearest_by_vector(hidden, vector) if vectors else nearest(hidden, "question: topic 3")
    assert few[0] not in again
    runs = [with_nearest_demos(made, {"question": f"topic {place}"}, embed) for place in range(8)]
    assert len(await asyncio.gather(*runs)) == 8
    neighbours._of_texts.cache_clear()


def test_a_small_index_works_where_there_is_no_numpy(tmp_path: Path) -> None:
    path, _ = written(tmp_path, Artifact(name="near", program=program()))
    code = (
        "import sys\n"
        "sys.modules['numpy'] = sys.modules['bm25s'] = None\n"
        "from pathlib import Path\n"
        "from dspec.runtime.artifact.artifact import read_artifact\n"
        "from dspec.runtime.running.neighbours import nearest\n"
        f"made = read_artifact(Path({str(path)!r}))\n"
        "print(nearest(made.program.neighbours, 'question: order 5 about topic 5'))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("(5,")
