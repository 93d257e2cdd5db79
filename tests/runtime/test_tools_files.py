"""Searches through data files: rows found, files that are not what they were, paths that lead elsewhere."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Sequence
from pathlib import Path

import pytest

from dspec.runtime.errors import ConfigurationError
from dspec.runtime.models.protocol import ToolUse
from dspec.runtime.schema.program import LM, FieldSpec, Record, Tool
from dspec.runtime.schema.types import JsonValue, ListOf, OptionalOf, RecordRef, Scalar
from dspec.runtime.tools.toolbox import Toolbox
from dspec.runtime.values.values import coerce
from tests.support.tools import TEXT, TEXTS, call, no_vectors, tool_of, trusting

PASSAGES = ("The cat sat on the mat.", "A dog barked at the moon.", "Cats and dogs.", "Nothing here.")


@pytest.fixture(autouse=True)
def _indexes(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DSPEC_INDEX_DIR", str(tmp_path_factory.mktemp("indexes")))


def passages(folder: Path, ending: str = "jsonl") -> Path:
    path = folder / f"passages.{ending}"
    rows: list[dict[str, JsonValue]] = [{"id": n, "text": text} for n, text in enumerate(PASSAGES)]
    if ending == "jsonl":
        path.write_text("\ufeff" + "\n\n".join(map(json.dumps, rows)) + "\n", encoding="utf-8")
    elif ending == "json":
        path.write_text(json.dumps(rows), encoding="utf-8")
    elif ending == "csv":
        path.write_text(
            "id,text\n" + "".join(f'{row["id"]},"{row["text"]}"\n' for row in rows), encoding="utf-8"
        )
    else:
        polars = pytest.importorskip("polars")
        polars.DataFrame(rows).write_parquet(path)
    return path


def search(path: Path, source: str = "bm25", **settings: object) -> Tool:
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    return tool_of(source, **{"file": path.name, "sha256": digest, "output": TEXTS, **settings})


@pytest.mark.parametrize("ending", ["jsonl", "json", "csv", "parquet"])
@pytest.mark.parametrize("source", ["bm25", "embeddings"])
async def test_a_search_finds_rows(tmp_path: Path, source: str, ending: str) -> None:
    tool = search(passages(tmp_path, ending), source)
    async with Toolbox(tmp_path) as tools:
        assert (await call(tools, tool, query="dog barked", k=1)).value == [PASSAGES[1]]
        several = await call(tools, tool, query="cat on a mat")
        assert isinstance(several.value, list)
        assert several.value[0] == PASSAGES[0]
        assert len(several.value) <= 3
        rows = tool.model_copy(update={"output": ListOf(item=Scalar(name="any"))})
        found = await call(tools, rows, query="dog barked", k=1)
        number: JsonValue = "1" if ending == "csv" else 1
        assert found.value == [{"id": number, "text": PASSAGES[1]}]
        for k in (0, -1, 100_000):
            assert (await call(tools, tool, query="dog", k=k)).error == "`k` must lie in 1..1,000"


async def test_a_search_by_a_models_vectors_asks_for_each_row_once(tmp_path: Path) -> None:
    asked: list[str] = []

    async def embed(texts: Sequence[str]) -> list[list[float]]:
        asked.extend(texts)
        return [[float("cat" in text.lower()), float("dog" in text.lower()), 0.1] for text in texts]

    lm = LM(name="vectors", model="openai/embedder")
    tool = search(passages(tmp_path), "embeddings", lm="vectors", k=1)
    for _ in range(2):
        async with Toolbox(tmp_path) as tools:
            answer = await tools.call(tool, {"query": "a dog"}, ToolUse(lm, embed, {}))
            assert answer.value == [PASSAGES[1]]
    assert asked == [*PASSAGES, "a dog", "a dog"]


async def test_a_file_that_was_changed_is_not_searched(tmp_path: Path) -> None:
    path = passages(tmp_path)
    tool = search(path)
    path.write_text(json.dumps({"text": "other"}), encoding="utf-8")
    async with Toolbox(tmp_path) as tools:
        answer = await call(tools, tool)
    assert answer.error == "`passages.jsonl` is not the file that the program was compiled with"


@pytest.mark.parametrize(
    "name", ["../secret.jsonl", "/etc/passwd", "link.jsonl", "folder", "", "a\0b", "C:\\x", "pipe.jsonl"]
)
async def test_a_path_that_leads_elsewhere_is_not_read(tmp_path: Path, name: str) -> None:
    root = tmp_path / "root"
    (root / "folder").mkdir(parents=True)
    secret = tmp_path / "secret.jsonl"
    secret.write_text('{"text": "secret"}\n', encoding="utf-8")
    (root / "link.jsonl").symlink_to(secret)
    os.mkfifo(root / "pipe.jsonl")
    with pytest.raises(ConfigurationError):
        Toolbox(root).check([search(secret, file=name)])
    async with trusting(root) as tools:
        answer = await call(tools, search(secret, file=name))
    assert (answer.value, "secret" in answer.error.replace("secret.jsonl", "")) == (None, False)
    assert answer.error


@pytest.mark.parametrize(
    ("name", "text", "error"),
    [
        ("a.jsonl", '{"text": "x"}\nnot json\n', "`a.jsonl` cannot be read as jsonl"),
        ("a.jsonl", '{"text": "x"}\n[1]\n', "`a.jsonl` cannot be read as jsonl: a row is no object"),
        ("a.jsonl", '{"text": 3}\n', "row 1 of its file has no text `text`"),
        ("a.jsonl", '{"other": "x"}\n', "row 1 of its file has no text `text`"),
        ("a.jsonl", "[" * 100_000, "`a.jsonl` cannot be read as jsonl"),
        ("a.json", '{"text": "x"}', "`a.json` cannot be read as json: it is no list of rows"),
        ("a.txt", "x", "`a.txt` is no csv, json, jsonl, parquet file"),
        ("a.parquet", "x", "`a.parquet` cannot be read as parquet"),
        ("a.csv", 'text\n"x', "`a.csv` cannot be read as csv"),
    ],
)
async def test_a_file_that_cannot_be_searched_is_an_answer(
    tmp_path: Path, name: str, text: str, error: str
) -> None:
    path = tmp_path / name
    path.write_text(text, encoding="utf-8")
    async with Toolbox(tmp_path) as tools:
        assert (await call(tools, search(path))).error.startswith(error)


async def test_an_empty_file_has_nothing_to_find(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text("", encoding="utf-8")
    for source in ("bm25", "embeddings"):
        async with Toolbox(tmp_path) as tools:
            assert (await call(tools, search(path, source))).value == []


@pytest.mark.parametrize("ending", ["jsonl", "csv", "parquet"])
async def test_rows_are_the_records_fields(tmp_path: Path, ending: str) -> None:
    row = Record(
        name="Row",
        fields=(
            FieldSpec(name="id", type=Scalar(name="int")),
            FieldSpec(name="note", type=OptionalOf(item=TEXT)),
        ),
    )
    tool = search(passages(tmp_path, ending), output=ListOf(item=RecordRef(name="Row")), k=1)
    async with Toolbox(tmp_path) as tools:
        answer = await tools.call(tool, {"query": "dog barked"}, ToolUse(None, no_vectors, {"Row": row}))
    assert answer.value == [{"id": 1}]
    assert coerce(answer.value, ListOf(item=RecordRef(name="Row")), {"Row": row}) == [{"id": 1, "note": None}]
