"""The promise in docs/compatibility.md: each test that it names is there, and what no other test holds."""

import json
import re
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

import dspec
from dspec.compiler.check.analysis import analyse
from dspec.compiler.cli.app import COMMANDS
from dspec.compiler.cli.console import Exit
from dspec.runtime.artifact.artifact import parse_artifact
from dspec.runtime.errors import ArtifactError

ROOT = Path(__file__).resolve().parent.parent
OLD = ROOT / "tests" / "old"
PUBLIC = {
    "AnswerStream",
    "Application",
    "AsyncAnswerStream",
    "CallRecord",
    "FieldValue",
    "Given",
    "GivenMedium",
    "LoadedProgram",
    "PerModel",
    "Prediction",
    "Prompt",
    "StreamEvent",
    "TextPiece",
    "TypedPrediction",
    "Withdrawn",
    "__version__",
    "errors",
    "load",
}
NAMED = {
    "init",
    "check",
    "fmt",
    "advise",
    "plan",
    "compile",
    "run",
    "batch",
    "serve",
    "eval",
    "report",
    "diff",
    "test",
    "show",
    "verify",
    "adopt",
    "import",
    "export",
    "stubs",
    "explain",
    "training",
    "serve-model",
    "lsp",
    "cache",
}
EXITS = {
    "OK": 0,
    "FINDINGS": 1,
    "USAGE": 2,
    "BUDGET": 3,
    "ENVIRONMENT": 4,
    "BREAKING": 5,
    "BUG": 70,
    "INTERRUPTED": 130,
}


def test_every_test_that_the_promise_names_is_there() -> None:
    text = (ROOT / "docs" / "compatibility.md").read_text("utf-8")
    named = set(re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", text))
    assert len(named) >= 6
    for file, name in named:
        assert re.search(rf"^(async )?def {name}\(", (ROOT / file).read_text("utf-8"), re.MULTILINE), (
            file,
            name,
        )


def test_no_public_name_goes_away() -> None:
    assert set(dspec.__all__) >= PUBLIC


def test_no_command_and_no_exit_code_goes_away() -> None:
    assert set(COMMANDS) >= NAMED
    assert {one.name: one.value for one in Exit if one.name in EXITS} == EXITS


def test_there_is_an_old_file_of_every_format() -> None:
    formats = {json.loads(path.read_bytes())["format"] for path in (OLD / "artifacts").glob("*.dspc.json")}
    assert formats == {1}
    for folder in ("ledgers", "stores"):
        versions = set[int]()
        for path in (OLD / folder).glob("*.sqlite"):
            with closing(sqlite3.connect(f"file:{path}?mode=ro&immutable=1", uri=True)) as database:
                versions.add(database.execute("PRAGMA user_version").fetchone()[0])
        assert versions, folder


def test_what_is_newer_is_refused_by_name(tmp_path: Path) -> None:
    plain = json.loads((OLD / "artifacts" / "locked.dspc.json").read_bytes())
    plain["provenance"]["sorcery"] = 1
    plain["provenance"]["toolchain"] = "dspc 9.1"
    with pytest.raises(ArtifactError) as refused:
        parse_artifact(json.dumps(plain).encode())
    assert refused.value.message == (
        "provenance.sorcery: this version of dspec knows no such member; the file says that dspc 9.1 wrote it"
    )
    assert "upgrade dspec" in refused.value.help
    plain["provenance"]["toolchain"] = "\x1b[2J"
    with pytest.raises(ArtifactError) as refused:
        parse_artifact(json.dumps(plain).encode())
    assert refused.value.message == "provenance.sorcery: this version of dspec knows no such member"
    plain["format"] = 2
    with pytest.raises(ArtifactError, match="has format 2, and this version of dspec reads format 1"):
        parse_artifact(json.dumps(plain).encode())
    (tmp_path / "main.dspec").write_text("dspec 2\n")
    (found,) = [one for one in analyse(tmp_path / "main.dspec").diagnostics if one.severity == "error"]
    assert "2" in found.message
