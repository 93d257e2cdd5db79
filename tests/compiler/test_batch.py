"""`dspc batch`: every row once, in its place, whatever ends it in between."""

from __future__ import annotations

import csv
import json
import os
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars
import published
import pytest
from batching import BatchServer
from dspc import DSPC, Result, dspc
from programs import chat
from server import Call, FakeServer

from dspec.compiler.serving.bulk.answers import answer_columns
from dspec.compiler.serving.bulk.journal import RowAnswer, RowJournal
from dspec.runtime.schema.program import FieldSpec
from dspec.runtime.schema.types import STR

SOURCE = """dspec 1
lm fake {{ model = "openai/fake"; api_base = "{url}"; retry = 0 }}
record Line {{ field item: str; field count: int }}
signature Read {{
  "Read the order."
  input text: str
  output word: str
  output size: int
  output lines: list[Line]
}}
module read = Predict(Read)
"""


COMPILED = """dspec 1
lm fake {{ model = "openai/fake"; api_base = "{url}"; mode = "batch" }}
type Label = "a" | "b"
signature Tell {{ "Tell which."; input text: str; output label: Label }}
module tell = Predict(Tell)
dataset rows {{
  source = csv("rows.csv")
  input text: str
  field label: Label
  split {{ train = 50%; val = 50%; seed = 1 }}
}}
metric right(gold: rows, pred: tell) {{ score = gold.label == pred.label }}
optimize tuned {{
  program = tell
  metric = right
  train = rows.train
  val = rows.val
  step demos = BootstrapFewShot(max_bootstrapped_demos = 2, max_labeled_demos = 2)
}}
"""


def text_in(call: Call) -> str:
    asked: str = call.body["messages"][1]["content"]
    return asked.split("[[ ## text ## ]]\n")[1].split("\n")[0]


def answer(call: Call) -> str:
    """Row by row another one, so that a row in another's place shows."""
    text = text_in(call)
    if text == "unreadable":
        return "I cannot."
    lines = json.dumps([{"item": f'a "{text}"', "count": 2}])
    return chat(word=f"word of {text}", size=str(len(text)), lines=lines)


def project(folder: Path, url: str, texts: list[str]) -> None:
    (folder / "main.dspec").write_text(SOURCE.format(url=url), encoding="utf-8")
    with (folder / "rows.csv").open("w", newline="", encoding="utf-8") as file:
        made = csv.writer(file)
        made.writerow(["id", "text", "word"])
        made.writerows([str(i), text, "label"] for i, text in enumerate(texts))


def batch(folder: Path, *more: str, out: str = "answers.csv", rows: str = "rows.csv") -> Result:
    return dspc("batch", "main.dspec", rows, "--out", out, *more, cwd=folder, OPENAI_API_KEY="none")


def answers(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


async def in_thread(work: Callable[[], Result]) -> Result:
    """The server answers on this loop meanwhile."""
    import asyncio

    return await asyncio.to_thread(work)


async def test_the_answers_stand_beside_the_rows_in_every_format(tmp_path: Path) -> None:
    async with FakeServer(answer) as server:
        texts = [f"text {i}, with a comma" for i in range(40)]
        project(tmp_path, server.url, texts)
        for kind in ("csv", "jsonl", "parquet"):
            out = f"answers.{kind}"
            done = await in_thread(lambda out=out: batch(tmp_path, "--json", out=out))
            assert done.code == 0, done.text
            assert published.read("batch", done.out)["answered"] == 40
            assert "the column `word` of rows.csv is `word_given` in the answers" in done.err
            assert not (tmp_path / f"{out}.part").exists()
    rows = answers(tmp_path / "answers.csv")
    assert [list(row) for row in rows[:1]] == [["id", "text", "word_given", "word", "size", "lines", "error"]]
    assert [row["word"] for row in rows] == [f"word of {text}" for text in texts]
    assert json.loads(rows[3]["lines"]) == [{"item": f'a "{texts[3]}"', "count": 2}]
    lines = [json.loads(line) for line in (tmp_path / "answers.jsonl").read_text().splitlines()]
    assert [line["size"] for line in lines] == [len(text) for text in texts]
    assert lines[0]["error"] is None
    assert lines[0]["lines"][0]["count"] == 2
    frame = polars.read_parquet(tmp_path / "answers.parquet")
    assert frame["size"].dtype == polars.Int64
    assert frame["word"].to_list() == [f"word of {text}" for text in texts]


async def test_columns_of_parquet_keep_their_types(tmp_path: Path) -> None:
    async with FakeServer(answer) as server:
        project(tmp_path, server.url, ["x"])
        frame = polars.DataFrame({"id": [1, None, 3], "body": ["a", "b", "c"], "rate": [0.5, 1.0, None]})
        frame.write_parquet(tmp_path / "rows.parquet")
        done = await in_thread(
            lambda: batch(tmp_path, "--column", "text=body", out="a.parquet", rows="rows.parquet")
        )
    assert done.code == 0, done.text
    found = polars.read_parquet(tmp_path / "a.parquet")
    assert found.select("id", "body", "rate").equals(frame)
    assert found["word"].to_list() == ["word of a", "word of b", "word of c"]


async def test_a_row_that_fails_says_why_and_is_asked_again_alone(tmp_path: Path) -> None:
    refused = {"t3"}

    def fault(call: Call) -> str | None:
        return "says:not this one" if text_in(call) in refused else None

    async with FakeServer(answer, faults=fault) as server:
        project(tmp_path, server.url, [f"t{i}" for i in range(8)] + ["unreadable"])
        done = await in_thread(lambda: batch(tmp_path))
        assert done.code == 1, done.text
        assert "7 of 9 rows answered, 2 failed" in done.err
        rows = answers(tmp_path / "answers.csv")
        assert [row["id"] for row in rows] == [str(i) for i in range(9)]
        assert "not this one" in rows[3]["error"]
        assert rows[3]["word"] == ""
        assert rows[8]["error"]
        assert not any(row["error"] for place, row in enumerate(rows) if place not in (3, 8))
        assert (tmp_path / "answers.csv.part").is_dir()

        refused.clear()
        before = len(server.calls)
        done = await in_thread(lambda: batch(tmp_path))
        assert done.code == 1, done.text
        assert {text_in(call) for call in server.calls[before:]} == {"t3", "unreadable"}
        assert [row["error"] for row in answers(tmp_path / "answers.csv")[:8]] == [""] * 8


async def test_what_is_there_is_kept(tmp_path: Path) -> None:
    async with FakeServer(answer) as server:
        project(tmp_path, server.url, ["a", "b"])
        (tmp_path / "answers.csv").write_text("mine")
        done = await in_thread(lambda: batch(tmp_path))
        assert done.code == 4
        assert "is there already" in done.err
        assert (tmp_path / "answers.csv").read_text() == "mine"
        assert not server.calls
        assert (await in_thread(lambda: batch(tmp_path, "--overwrite"))).code == 0
        assert len(answers(tmp_path / "answers.csv")) == 2
        # One with fewer answers does not take its place.
        server.faults = lambda call: "says:no" if text_in(call) == "b" else None
        (tmp_path / "rows.csv").write_text("id,text\n1,c\n2,b\n")
        done = await in_thread(lambda: batch(tmp_path, "--overwrite"))
        assert done.code == 4
        assert "is kept: 0 of its rows have no answer, and 1 of the new ones" in done.err
        assert [row["word"] for row in answers(tmp_path / "answers.csv")] == ["word of a", "word of b"]


async def test_rows_of_one_file_are_never_joined_with_answers_to_another(tmp_path: Path) -> None:
    async with FakeServer(answer, faults=["says:no"]) as server:
        project(tmp_path, server.url, ["a", "b"])
        assert (await in_thread(lambda: batch(tmp_path, "-j", "1"))).code == 1
        project(tmp_path, server.url, ["b", "a"])
        done = await in_thread(lambda: batch(tmp_path))
        assert done.code == 4
        assert "was begun for other answers: the rows changed since" in done.err
        done = await in_thread(lambda: batch(tmp_path, "--column", "text=word"))
        assert "the rows and the columns changed" in done.err


async def test_a_wall_ends_it_and_the_next_run_goes_on(tmp_path: Path) -> None:
    async with FakeServer(answer) as server:
        project(tmp_path, server.url, [f"t{i}" for i in range(20)])
        done = await in_thread(lambda: batch(tmp_path, "--budget", "calls=12", "-j", "4"))
        assert done.code == 3, done.text
        assert len(server.calls) == 12
        assert "12 of 20 rows answered" in done.err
        assert not (tmp_path / "answers.csv").exists()
        assert (await in_thread(lambda: batch(tmp_path))).code == 0
        assert len(server.calls) == 20
    assert [row["word"] for row in answers(tmp_path / "answers.csv")] == [f"word of t{i}" for i in range(20)]


async def test_fewer_rows_than_before_lose_nothing_of_the_others(tmp_path: Path) -> None:
    async with FakeServer(answer) as server:
        project(tmp_path, server.url, [f"t{i}" for i in range(20)])
        assert (await in_thread(lambda: batch(tmp_path, "--budget", "calls=12", "-j", "4"))).code == 3
        assert (await in_thread(lambda: batch(tmp_path, "--limit", "5"))).code == 0
        assert len(answers(tmp_path / "answers.csv")) == 5
        assert (await in_thread(lambda: batch(tmp_path))).code == 0
        assert len(server.calls) == 20
    assert [row["word"] for row in answers(tmp_path / "answers.csv")] == [f"word of t{i}" for i in range(20)]
    assert not (tmp_path / "answers.csv.part").exists()


async def test_a_model_that_answers_nobody_ends_it(tmp_path: Path) -> None:
    async with FakeServer(answer, faults=lambda call: "503" if call.number > 10 else None) as server:
        project(tmp_path, server.url, [f"t{i}" for i in range(400)])
        done = await in_thread(lambda: batch(tmp_path, "-j", "4"))
        assert done.code == 4, done.text
        assert "rows, one after the other, had no answer" in done.err
        assert len(server.calls) < 60
        server.faults = ()
        assert (await in_thread(lambda: batch(tmp_path))).code == 0
        answered = [digest for digest, times in server.answered.items() if times > 1]
        assert not answered
    assert [row["word"] for row in answers(tmp_path / "answers.csv")] == [f"word of t{i}" for i in range(400)]


def test_killed_at_any_moment_every_row_is_there_once(tmp_path: Path) -> None:
    """SIGKILL, by its pid, at four moments."""
    import asyncio
    import threading

    server = FakeServer(answer, latency=0.01)
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    try:
        asyncio.run_coroutine_threadsafe(server.start(0), loop).result()
        texts = [f"t{i}" for i in range(600)]
        project(tmp_path, server.url, texts)
        command = [str(DSPC), "batch", "main.dspec", "rows.csv", "--out", "answers.csv", "-j", "16", "-q"]
        environment = {**os.environ, "OPENAI_API_KEY": "none"}
        for share in (1, 200, 201, 560):
            process = subprocess.Popen(command, cwd=tmp_path, env=environment)
            while len(server.calls) < share and process.poll() is None:
                time.sleep(0.005)
            os.kill(process.pid, signal.SIGKILL)
            process.wait()
            assert not (tmp_path / "answers.csv").exists()
        # What a kill in the middle of a line leaves.
        with (tmp_path / "answers.csv.part" / "rows.jsonl").open("ab") as file:
            file.write(b'[7,["half a li')
        assert subprocess.run(command, cwd=tmp_path, env=environment, check=False).returncode == 0
        asyncio.run_coroutine_threadsafe(server.stop(), loop).result()
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()
    assert [row["word"] for row in answers(tmp_path / "answers.csv")] == [f"word of {text}" for text in texts]
    assert len(server.calls) - len(texts) <= 4 * 16
    assert not (tmp_path / "answers.csv.part").exists()


def test_a_stop_waits_for_what_is_on_its_way(tmp_path: Path) -> None:
    import asyncio
    import threading

    server = FakeServer(answer, latency=0.15)
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    try:
        asyncio.run_coroutine_threadsafe(server.start(0), loop).result()
        project(tmp_path, server.url, [f"t{i}" for i in range(60)])
        command = [str(DSPC), "batch", "main.dspec", "rows.csv", "--out", "answers.csv", "-j", "8", "-q"]
        environment = {**os.environ, "OPENAI_API_KEY": "none"}
        process = subprocess.Popen(command, cwd=tmp_path, env=environment, stderr=subprocess.PIPE)
        while len(server.calls) < 20:
            time.sleep(0.01)
        process.terminate()
        _, said = process.communicate()
        assert process.returncode == 130
        assert b"run the same command again to go on" in said
        assert server.hung_up == 0
        assert subprocess.run(command, cwd=tmp_path, env=environment, check=False).returncode == 0
        asyncio.run_coroutine_threadsafe(server.stop(), loop).result()
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()
    assert len(server.calls) == 60


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (["--column", "body=text"], "has no input `body`"),
        (["--column", "text=txt"], "has no column `txt`"),
        (["--column", "text"], "names no column"),
        (["--keep", "other"], "has no column `other` to keep"),
        (["--budget", "5"], "`5` is no budget"),
        (["--budget", "usd=-1"], "is no budget"),
        (["--budget", "usd=inf"], "is no budget"),
        (["--out", "answers.txt"], "answers are written to files that end with"),
        (["--out", "rows.csv"], "would be overwritten"),
        (["--out", "nowhere/answers.csv"], "there is no folder nowhere"),
    ],
)
def test_mistakes_are_told_before_anything_is_asked(tmp_path: Path, more: list[str], said: str) -> None:
    project(tmp_path, "http://127.0.0.1:9/v1", ["a"])
    done = batch(tmp_path, *more)
    assert done.code in (1, 2), done.text
    assert said in done.err


async def test_a_row_that_cannot_be_read_is_a_failure_of_its_own(tmp_path: Path) -> None:
    async with FakeServer(answer) as server:
        project(tmp_path, server.url, [])
        (tmp_path / "rows.jsonl").write_text(
            '{"text": "a"}\nnot json\n{"text": 5}\n{"other": 1, "text": "b"}\n'
        )
        done = await in_thread(lambda: batch(tmp_path, "--keep", "", rows="rows.jsonl", out="a.jsonl"))
    assert done.code == 1
    found = [json.loads(line) for line in (tmp_path / "a.jsonl").read_text().splitlines()]
    assert [bool(row["error"]) for row in found] == [False, True, True, False]
    assert "line 2 is not JSON" in found[1]["error"]
    assert "expected text" in found[2]["error"]
    assert list(found[0]) == ["word", "size", "lines", "error"]


@pytest.mark.parametrize(
    ("name", "header", "row"), [("rows.jsonl", b"", b'{"text": "%b"}\n'), ("rows.csv", b"text\n", b'"%b"\n')]
)
async def test_a_row_in_another_encoding_is_a_failure_of_its_own(
    tmp_path: Path, name: str, header: bytes, row: bytes
) -> None:
    async with FakeServer(answer) as server:
        project(tmp_path, server.url, [])
        texts = (b"a", b"caf\xe9", "é \N{REPLACEMENT CHARACTER}".encode(), b"\xff\xfe", b"z")
        (tmp_path / name).write_bytes(header + b"".join(row % text for text in texts))
        done = await in_thread(lambda: batch(tmp_path, rows=name))
    assert done.code == 1, done.text
    found = answers(tmp_path / "answers.csv")
    assert [bool(one["word"]) for one in found] == [True, False, True, False, True]
    assert found[1]["error"].endswith("is not UTF-8: byte 14 is 0xe9" if header == b"" else "byte 5 is 0xe9")
    assert found[2]["text"] == "é \N{REPLACEMENT CHARACTER}"


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("utf16.csv", "text\na\n".encode("utf-16"), "is UTF-16, not UTF-8"),
        ("header.csv", b"text,caf\xe9\na,b\n", "the header of header.csv is not UTF-8: byte 9 is 0xe9"),
        ("semi.csv", b"id;text\n1;a\n", "write --delimiter ';'"),
        ("tab.csv", b"id\ttext\n1\ta\n", "write --delimiter $'\\t'"),
    ],
)
def test_a_file_that_cannot_be_read_says_how_it_can(
    tmp_path: Path, name: str, content: bytes, said: str
) -> None:
    project(tmp_path, "http://127.0.0.1:9/v1", [])
    (tmp_path / name).write_bytes(content)
    done = batch(tmp_path, rows=name)
    assert done.code == 1, done.text
    assert said in done.err
    assert not (tmp_path / "answers.csv.part").exists()


def test_of_no_rows_all_are_answered(tmp_path: Path) -> None:
    project(tmp_path, "http://127.0.0.1:9/v1", [])
    (tmp_path / "rows.jsonl").write_bytes(b"\n")
    done = batch(tmp_path, rows="rows.jsonl")
    assert done.code == 0, done.text
    assert (tmp_path / "answers.csv").read_text().splitlines() == ["word,size,lines,error"]


async def test_a_file_that_breaks_off_is_mended_and_pays_for_nothing_twice(tmp_path: Path) -> None:
    async with FakeServer(answer) as server:
        project(tmp_path, server.url, [])
        (tmp_path / "rows.csv").write_text('text\na\nb\n"open\n')
        done = await in_thread(lambda: batch(tmp_path))
        assert done.code == 1, done.text
        assert "mend rows.csv, and run it again with --overwrite" in done.err
        (tmp_path / "rows.csv").write_text("text\na\nb\nopen\n")
        assert (await in_thread(lambda: batch(tmp_path, "--overwrite"))).code == 0
    assert len(server.calls) == 3


@pytest.mark.slow
async def test_killed_while_a_provider_has_its_batch(tmp_path: Path) -> None:
    """By the provider's batch API: SIGKILL while it is at work, and nothing is asked for again."""
    import asyncio

    def told(body: dict[str, Any]) -> str | int:
        text = body["messages"][1]["content"].split("[[ ## text ## ]]\n")[1].split("\n")[0]
        return 400 if text == "t7" else chat(word=f"word of {text}", size="1", lines="[]")

    async with BatchServer(told, looks=10_000) as server:
        texts = [f"t{i}" for i in range(200)]
        project(tmp_path, server.url, texts)
        command = [str(DSPC), "batch", "main.dspec", "rows.csv", "-o", "answers.csv", "--mode", "batch", "-q"]
        environment = {**os.environ, "OPENAI_API_KEY": "none"}
        process = await asyncio.create_subprocess_exec(*command, cwd=tmp_path, env=environment)
        folder = tmp_path / "answers.csv.part" / "batches"
        while not any(json.loads(path.read_bytes())["job"] for path in folder.glob("*.json")):
            assert process.returncode is None
            await asyncio.sleep(0.02)
        process.kill()
        await process.wait()
        server.looks = 1
        process = await asyncio.create_subprocess_exec(*command, cwd=tmp_path, env=environment)
        assert await process.wait() == 1
        assert server.sizes == [200]
    rows = answers(tmp_path / "answers.csv")
    assert [row["word"] for row in rows] == ["" if text == "t7" else f"word of {text}" for text in texts]
    assert "told to say 400" in rows[7]["error"]


@pytest.mark.slow
async def test_a_compile_asks_its_rows_in_one_batch(tmp_path: Path) -> None:
    """The baseline, and then the candidates; the plan says the price of batches, and that they take their time."""

    def told(body: dict[str, Any]) -> str:
        return chat(label="ab"[len(body["messages"][-1]["content"]) % 2])

    async with BatchServer(told) as server:
        rows = "".join(f"{'x' * i},{'ab'[i % 2]}\n" for i in range(1, 41))
        (tmp_path / "rows.csv").write_text("text,label\n" + rows, encoding="utf-8")
        (tmp_path / "main.dspec").write_text(COMPILED.format(url=server.url), encoding="utf-8")
        planned = await in_thread(lambda: dspc("plan", "main.dspec", cwd=tmp_path, OPENAI_API_KEY="none"))
        assert "fake answers in batches, each within 24 h" in planned.out, planned.text
        done = await in_thread(lambda: dspc("compile", "main.dspec", cwd=tmp_path, OPENAI_API_KEY="none"))
        assert done.code == 0, done.text
        assert max(server.sizes) >= 10
        assert len(server.sizes) <= 12
        before = list(server.sizes)
        done = await in_thread(lambda: dspc("compile", "main.dspec", cwd=tmp_path, OPENAI_API_KEY="none"))
        assert done.code == 0, done.text
        assert server.sizes == before


def test_a_model_without_batches_is_told_beforehand(tmp_path: Path) -> None:
    project(tmp_path, "http://127.0.0.1:9/v1", ["a"])
    done = batch(tmp_path, "--mode", "batch", "--lm", "anthropic/claude-sonnet-4-5")
    assert done.code == 2
    assert "has no batch API that dspec knows" in done.err


def test_a_column_gives_way_to_an_output() -> None:
    outputs = [FieldSpec(name="error", type=STR), FieldSpec(name="word", type=STR)]
    columns = answer_columns(["id", "word", "error", "error_"], outputs)
    assert columns.names == ("id", "word_given", "error_given", "error__given", "error", "word", "error_")


def test_a_journal_forgets_only_what_is_torn(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    with RowJournal(path) as journal:
        journal.add(5, RowAnswer(["five"]))
        journal.add(0, RowAnswer(failure="no"))
        journal.add(0, RowAnswer(["zero"]))
        journal.add(1, RowAnswer(failure="no"))
        assert (journal.answered, journal.failed) == (2, 1)
    whole = path.read_bytes()
    for cut in range(len(whole)):
        path.write_bytes(whole[:cut])
        with RowJournal(path) as journal:
            lines = whole[:cut].count(b"\n")
            assert path.read_bytes() == b"".join(whole.splitlines(keepends=True)[:lines])
            assert journal.is_answered(5) == (lines > 0)
            assert journal.is_answered(0) == (lines > 2)
    path.write_bytes(whole + b'[99999999999,["far away"]]\n')
    with RowJournal(path) as journal, journal.reader() as reader:
        assert reader.of(0) == RowAnswer(["zero"])
        assert reader.of(1) == RowAnswer(failure="no")
        assert reader.of(2) is None
        assert path.read_bytes() == whole
