"""`huggingface(…)` rows: from a hub on loopback, kept, and read without it from then on."""

from __future__ import annotations

import io
import json
import socket
from collections.abc import Iterator
from pathlib import Path

import polars
import pytest
from datasets import field
from hub import COMMIT, Hub, serving

from dspec.compiler import ir
from dspec.compiler.check.analysis import analyse
from dspec.compiler.data import DataError, fetch, load_rows
from dspec.compiler.data.snapshots import find
from dspec.compiler.data.sources.base import Limits
from dspec.compiler.data.sources.huggingface_download import chosen
from dspec.runtime.schema.types import INT


def lines(*texts: str) -> bytes:
    return "".join(json.dumps({"text": text, "size": n}) + "\n" for n, text in enumerate(texts)).encode()


def table(*texts: str) -> bytes:
    stream = io.BytesIO()
    polars.DataFrame({"text": list(texts), "size": list(range(len(texts)))}).write_parquet(stream)
    return stream.getvalue()


REPOS = {
    "acme/notes": {
        "README.md": b"# notes",
        "data/train-00000-of-00002.parquet": table("a", "b"),
        "data/train-00001-of-00002.parquet": table("c"),
        "data/test-00000-of-00001.parquet": table("d"),
    },
    "acme/lines": {"train.jsonl": lines("a", "b"), "val.jsonl": lines("c")},
    "acme/cells": {"train.csv": b'text,size\na,1\n"b, c",2\n'},
    "acme/langs": {"en/train.jsonl": lines("a"), "de/train.jsonl": lines("ein a")},
    "acme/broken": {"train.jsonl": b'{"text": "a", "size": 1}\nnot json\n'},
    "acme/prose": {"README.md": b"", "script.py": b"raise SystemExit"},
    "acme/secret": {"train.jsonl": lines("s")},
    "acme/gated": {"train.jsonl": lines("g")},
}


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    for name in ("HF_TOKEN", "HF_ENDPOINT", "DSPEC_STATE_DIR"):
        monkeypatch.delenv(name, raising=False)
    with serving(REPOS, "acme/secret", gated="acme/gated") as hub:
        monkeypatch.setenv("HF_ENDPOINT", hub.url)
        yield hub


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "dspec.toml").touch()
    return tmp_path


def source(repo: str, **options: str) -> ir.DataSource:
    return ir.DataSource(
        kind="huggingface", path=repo, options={"split": "train", "revision": "main", **options}
    )


def texts(repo: str, project: Path, **options: str) -> list[object]:
    rows = ir.Dataset(
        name="rows", source=source(repo, **options), inputs=(field("text"),), fields=(field("size", INT),)
    )
    return [row.inputs["text"] for row in load_rows(rows, project)]


def problem(repo: str, project: Path, **options: str) -> str:
    with pytest.raises(DataError) as caught:
        fetch(source(repo, **options), project, when="always")
    (found,) = caught.value.problems
    assert found.kind == "unreadable"
    return f"{found.message}; {found.help}"


@pytest.mark.parametrize(
    ("repo", "options", "expected"),
    [
        ("acme/notes", {}, ["a", "b", "c"]),
        ("acme/notes", {"split": "test", "revision": COMMIT}, ["d"]),
        ("acme/lines", {"split": "validation"}, ["c"]),
        ("acme/cells", {}, ["a", "b, c"]),
        ("acme/langs", {"config": "de"}, ["ein a"]),
    ],
)
def test_rows_of_a_split(
    hub: Hub, project: Path, repo: str, options: dict[str, str], expected: list[str]
) -> None:
    kept = fetch(source(repo, **options), project, when="missing")
    assert kept is not None
    assert (kept.rows, kept.commit) == (len(expected), COMMIT)
    asked = len(hub.asked)
    assert all(one.partition(" ")[2].startswith(("/api/datasets/", "/datasets/")) for one in hub.asked)
    assert texts(repo, project, **options) == expected
    assert fetch(source(repo, **options), project, when="missing") is None
    assert len(hub.asked) == asked, "what is kept is read without the hub"
    assert sorted(path.suffix for path in (project / ".dspec" / "rows").iterdir()) == [".json", ".jsonl"]


def test_asked_again_only_what_is_newer_is_downloaded(hub: Hub, project: Path) -> None:
    first = fetch(source("acme/lines"), project, when="always")
    hub.asked.clear()
    assert fetch(source("acme/lines"), project, when="always") == first
    assert [one for one in hub.asked if "/resolve/" in one] == []
    hub.commit = "b" * 40
    hub.repos["acme/lines"]["train.jsonl"] = lines("new")
    second = fetch(source("acme/lines"), project, when="always")
    assert second is not None
    assert second.commit == hub.commit
    assert texts("acme/lines", project) == ["new"]
    assert len(list((project / ".dspec" / "rows").glob("*.jsonl"))) == 1


def test_rows_that_were_damaged_are_downloaded_again(hub: Hub, project: Path) -> None:
    kept = fetch(source("acme/lines"), project, when="always")
    assert kept is not None
    (project / ".dspec" / "rows" / kept.file).write_text("{}\n")
    fetch(source("acme/lines"), project, when="always")
    assert texts("acme/lines", project) == ["a", "b"]


@pytest.mark.parametrize(
    ("repo", "options", "words"),
    [
        ("acme/nowhere", {}, ["no dataset `acme/nowhere`", "private", "HF_TOKEN"]),
        ("acme/secret", {}, ["no dataset `acme/secret`", "a private one needs HF_TOKEN"]),
        ("acme/gated", {}, ["gated", "terms", "HF_TOKEN"]),
        ("acme/lines", {"revision": "v9"}, ["no revision `v9`"]),
        ("acme/lines", {"split": "dev2"}, ["no split `dev2`", "`train` and `validation`"]),
        ("acme/langs", {}, ["several configs: `de` and `en`", 'config = "de"']),
        ("acme/langs", {"config": "fr"}, ["no config `fr`", "`de` and `en`"]),
        ("acme/prose", {}, ["no data file"]),
        ("acme/broken", {}, ["`train.jsonl`", "line 2 is not JSON"]),
    ],
)
def test_what_is_not_there(
    hub: Hub, project: Path, repo: str, options: dict[str, str], words: list[str]
) -> None:
    said = problem(repo, project, **options)
    assert [word for word in words if word not in said] == [], said
    with pytest.raises(DataError, match="not known yet"):
        find(source(repo, **options), project)
    assert list((project / ".dspec" / "rows").iterdir()) == [], "nothing half done stays"


def test_a_private_dataset_with_a_token_that_is_never_kept(
    hub: Hub, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_TOKEN", "secret")
    assert fetch(source("acme/secret"), project, when="always")
    assert texts("acme/secret", project) == ["s"]
    kept = [path.read_text() for path in project.rglob("*") if path.is_file()]
    assert not any("secret" in text.replace("acme/secret", "") or hub.url in text for text in kept)


def test_a_hub_that_fails_and_one_that_is_not_there(
    hub: Hub, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fetch(source("acme/lines"), project, when="always")
    hub.status = 500
    assert "answered 500" in problem("acme/lines", project)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        monkeypatch.setenv("HF_ENDPOINT", f"http://127.0.0.1:{taken.getsockname()[1]}")
        said = problem("acme/lines", project)
    assert "cannot be fetched" in said
    assert "needs the network" in said
    assert texts("acme/lines", project) == ["a", "b"], "what was kept before is still there"


def test_more_than_can_be_read_is_not_downloaded(hub: Hub, project: Path) -> None:
    with pytest.raises(DataError, match="at most 0 can be read"):
        fetch(source("acme/lines"), project, when="always", limits=Limits(bytes=10))
    assert not any("/resolve/" in one for one in hub.asked)
    with pytest.raises(DataError, match=r"more than 1 row\n"):
        fetch(source("acme/lines"), project, when="always", limits=Limits(rows=1))


def test_paths_of_a_hostile_repository_lead_nowhere() -> None:
    listing = [
        (path, 1) for path in ("../../train.jsonl", "/train.jsonl", "a/../train.jsonl", "..\\train.csv")
    ]
    with pytest.raises(DataError, match="no data file"):
        chosen(source("acme/evil"), listing)


@pytest.mark.parametrize(
    ("files", "split", "expected"),
    [
        (["rows.jsonl", "more.jsonl"], "train", ["more.jsonl", "rows.jsonl"]),
        (["train.jsonl", "metadata.jsonl"], "train", ["train.jsonl"]),
        (["train.csv", "train.jsonl", "test.csv"], "train", ["train.jsonl"]),
        (["my_dataset_test.csv", "my_dataset_train.csv"], "test", ["my_dataset_test.csv"]),
        (["data/valid/1.jsonl", "data/valid/0.jsonl"], "val", ["data/valid/0.jsonl", "data/valid/1.jsonl"]),
        (
            ["default/train-00000-of-00001.parquet", "x/train.jsonl"],
            "train",
            ["default/train-00000-of-00001.parquet"],
        ),
        (["data/extra-00000-of-00001.parquet"], "extra", ["data/extra-00000-of-00001.parquet"]),
        (["data/en/dev.jsonl"], "dev", ["data/en/dev.jsonl"]),
    ],
)
def test_the_files_of_a_split_are_told_by_their_names(
    files: list[str], split: str, expected: list[str]
) -> None:
    assert [
        file.path for file in chosen(source("a/b", split=split), [(file, 1) for file in files])
    ] == expected


def test_a_program_on_rows_of_the_hub(hub: Hub, project: Path) -> None:
    main = project / "main.dspec"
    main.write_text(
        'dspec 1\n\ndataset rows { source = huggingface("acme/lines"); input text: str; field size: bool }\n'
    )
    assert [found.code for found in analyse(main).diagnostics] == ["DS0416"]
    assert hub.asked == []
    assert [found.code for found in analyse(main, fetch="missing").diagnostics] == ["DS0403"]
    hub.asked.clear()
    after = analyse(main, fetch="missing")
    assert [found.code for found in after.diagnostics] == ["DS0403"]
    assert "row" in after.diagnostics[0].message
    assert hub.asked == []
