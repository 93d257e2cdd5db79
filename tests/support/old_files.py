"""Old files: what `tests/old` holds, and what each of its files shows when today's code reads it.

Run as a program, it adds what a new file shows as its expectation, and its line to the manifest; it leaves alone what
is there already:

    python tests/support/old_files.py
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import shutil
import sqlite3
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, NoReturn
from unittest.mock import patch

from dspec.compiler.check.analysis import analyse
from dspec.compiler.compile.changes import recall
from dspec.compiler.data import load_rows
from dspec.compiler.evaluate.store import Store
from dspec.compiler.project.state import state_folder
from dspec.runtime.application import load
from dspec.runtime.artifact.artifact import read_artifact
from dspec.runtime.artifact.dspy_state import dspy_state
from dspec.runtime.errors import AnswerError, ArtifactError
from dspec.runtime.models import pool
from dspec.runtime.models.embedded import EmbeddedTransport
from dspec.runtime.models.engine import Engine
from dspec.runtime.models.ledger import Ledger
from dspec.runtime.models.ledger_upkeep import add
from dspec.runtime.models.protocol import Answer, Message, Request
from dspec.runtime.schema.ensemble import Ensemble, Runnable
from dspec.runtime.schema.program import LM
from dspec.runtime.schema.types import JsonValue, Row

OLD = Path(__file__).parent.parent / "old"
MANIFEST = OLD / "manifest.txt"
BESIDE = ".expected.json"
"""An expectation has the name of its file and this behind it."""

LATER = "DS0120"
"""`not supported yet`: it goes when what it speaks of comes."""
WHERE = {"OLD_FILES_URL": "http://127.0.0.1:8765/v1", "OLD_FILES_KEY": "k", "MY_KEY": "k"}
"""What the environment said when the files were written. Nobody answers there."""
TEXTS = ("Where is the parcel and the courier, order 7?", "my invoice is wrong, and I want a refund")
ORDER: JsonValue = {"id": "o7", "lines": [{"sku": "s1", "quantity": 2.0}, {"sku": "s2", "quantity": 1.0}]}


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def old_files() -> dict[Path, Callable[[Path, Any], Any]]:
    """The files that have an expectation, and what shows what they hold; what else is there is their data."""
    return {path: show for pattern, show in KINDS.items() for path in sorted(OLD.glob(pattern))}


def listed() -> dict[str, str]:
    """The manifest: SHA-256 by name."""
    lines = MANIFEST.read_text(encoding="utf-8").splitlines() if MANIFEST.exists() else []
    return {name: digest for digest, _, name in (line.partition("  ") for line in lines)}


def present() -> list[str]:
    """Names of all files that are never rewritten: those in the folders."""
    folders = {pattern.partition("/")[0] for pattern in KINDS}
    return sorted(
        path.relative_to(OLD).as_posix()
        for folder in folders
        for path in (OLD / folder).rglob("*")
        if path.is_file()
    )


@contextmanager
def beside(path: Path) -> Iterator[Path]:
    """A copy of the file's folder to read it in, since reading a database or a project may leave files there."""
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / "project"
        if path.suffix == ".dspec":
            shutil.copytree(path.parent, copy)
        else:
            copy.mkdir()
            shutil.copy(path, copy)
        (copy / "dspec.toml").touch()
        with patch.dict(os.environ, WHERE | {"DSPEC_STATE_DIR": str(Path(folder) / "state")}):
            yield copy / path.name


# What a file shows. Each is given what was recorded, where there is a record, for what to ask of the file. ------------


def of_source(path: Path, _: object) -> dict[str, Any]:
    """Findings by place and code, and the IR. Wording is no part of it."""
    with beside(path) as copy:
        analysis = analyse(copy)
    found: list[str] = []
    for diagnostic in analysis.diagnostics:
        place = diagnostic.primary.location
        at = place.source.position(place.start)
        found.append(f"{place.source.name}:{at.line}:{at.column} {diagnostic.severity} {diagnostic.code}")
    project = analysis.project
    return {"found": found, "ir": project and project.model_dump(mode="json")}


def of_fetched(path: Path, _: object) -> dict[str, Any]:
    """What a source shows, and the rows of its datasets, which lie in `rows` as they were fetched."""
    with beside(path) as copy:
        shutil.copytree(copy.parent / "rows", state_folder(copy.parent) / "rows")
        project = analyse(copy).project
        assert project is not None
        rows = {
            name: [row.inputs | row.labels for row in load_rows(dataset, copy.parent)]
            for name, dataset in project.datasets.items()
        }
    return {"rows": rows}


def of_artifact(path: Path, recorded: dict[str, Any] | None) -> dict[str, Any]:
    """Whether all that the file says is there once it is loaded, the requests that runs send, what the runs give, and
    DSPy's file of the program.

    Models answer as they did when that was recorded; where nothing is recorded yet, the embedded model answers.
    """
    artifact = read_artifact(path)
    plain = json.loads(path.read_bytes())
    del plain["format"]
    plain.pop("sha256", None)  # reading takes it off
    try:
        state: object = dspy_state(artifact.program)
    except ArtifactError:
        state = None
    runs = recorded["runs"] if recorded else [{"inputs": inputs} for inputs in _inputs(artifact.program)]
    return {
        "lost": lost(plain, artifact.model_dump(mode="json")),
        "runs": [_run(path, run["inputs"], run.get("asked")) for run in runs],
        "dspy": state,
    }


def _inputs(program: Runnable) -> list[Row]:
    """A text, and an order where one is asked for; a second text for a program that looks at which it is."""
    looks = isinstance(program, Ensemble) or program.neighbours is not None
    return [
        {
            field.name: ORDER if field.type.kind == "record" else text
            for field in program.inputs
            if not field.has_default
        }
        for text in TEXTS[: 1 + looks]
    ]


class Recorded:
    """Answers requests as they were answered when they were recorded, or by the embedded model and records them."""

    def __init__(self, asked: list[dict[str, Any]] | None) -> None:
        self.known = None if asked is None else {_key(one): one["answer"] for one in asked}
        self.asked: list[dict[str, Any]] = []

    async def complete(self, request: Request) -> Answer:
        one: dict[str, Any] = {
            "model": request.lm.model,
            "messages": [[message.role, message.content] for message in request.messages],
            "parameters": request.parameters(),
            "kind": request.kind,
        }
        if self.known is None:
            answer = await _embedded(request)
        else:
            assert _key(one) in self.known, (
                f"was not asked before: {json.dumps(one, indent=1, ensure_ascii=False)}"
            )
            answer = self.known[_key(one)]
        if one | {"answer": answer} not in self.asked:
            self.asked.append(one | {"answer": answer})
        return Answer(answer)

    async def aclose(self) -> None:
        return None


def _key(one: dict[str, Any]) -> str:
    return json.dumps([one[name] for name in ("model", "messages", "parameters", "kind")], sort_keys=True)


async def _embedded(request: Request) -> str:
    if request.kind == "embedding":
        digest = hashlib.sha256(request.messages[0].content.encode()).digest()
        return json.dumps([byte / 256 for byte in digest[:4]])
    lm = request.lm.model_copy(update={"model": "embedded/icl"})
    return (await EmbeddedTransport().complete(Request(lm, request.messages))).text


def _run(path: Path, inputs: Row, asked: list[dict[str, Any]] | None) -> dict[str, Any]:
    """One call of the loaded program."""
    transport = Recorded(asked)
    with (
        patch.dict(os.environ, WHERE),
        patch.object(pool, "open_transport", lambda *_: transport),
        load(path, api_base=WHERE["OLD_FILES_URL"]) as application,
    ):
        try:
            gives: Row = dict(application(**inputs))
        except AnswerError as error:
            gives = {"error": type(error).__name__}
    return {"inputs": inputs, "asked": sorted(transport.asked, key=_key), "gives": gives}


def of_ledger(path: Path, _: object) -> dict[str, Any]:
    """The answers to the requests in the file `….asked.jsonl` of the same name: none of them is asked again."""
    with beside(path) as copy:
        with Ledger(copy) as ledger:
            return {"answers": _answers(path, ledger)}


def of_export(path: Path, _: object) -> dict[str, Any]:
    """The same, once the file is taken into a new ledger."""
    with beside(path) as copy:
        taken = add(copy.with_suffix(".sqlite"), path.read_text(encoding="utf-8").split("\n"))
        with Ledger(copy.with_suffix(".sqlite")) as ledger:
            return {"answers": _answers(path, ledger), "added": taken.added, "refused": taken.refused}


def _answers(path: Path, ledger: Ledger) -> list[str]:
    async def ask() -> list[str]:
        answers: list[str] = []
        async with Engine(ledger=ledger) as engine:
            asked = path.with_name(f"{path.name.partition('.')[0]}.asked.jsonl").read_text(encoding="utf-8")
            for line in filter(None, asked.split("\n")):
                one = json.loads(line)
                one["lm"] = LM.model_validate(one["lm"])
                one["messages"] = tuple(Message(role, content) for role, content in one["messages"])
                completion = await engine.complete(Request(**one))
                assert completion.source == "ledger"
                answers.append(completion.answer.text)
        return answers

    with patch.dict(os.environ, WHERE), patch.object(pool, "open_transport", _refuse):
        return asyncio.run(ask())


def _refuse(*_: object) -> NoReturn:
    raise AssertionError("what is in the ledger is asked again")


def of_store(path: Path, _: object) -> dict[str, Any]:
    """How many runs there were, and what is known of the first of them."""
    with closing(sqlite3.connect(f"file:{path}?mode=ro&immutable=1", uri=True)) as database:
        ((table,),) = database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
        keys = [key for (key,) in database.execute(f"SELECT key FROM {table} ORDER BY key")]
    with beside(path) as copy, Store(copy) as store:
        found = store.lookup(keys)
        assert store.problem is None
    runs = [found[key] for key in keys[:3] if key in found]
    return {
        "runs": [{"outputs": run.outputs, "calls": run.calls, "traced": len(run.trace)} for run in runs],
        "there": len(keys),
        "known": len(found),
    }


def of_compile(path: Path, _: object) -> dict[str, Any]:
    """What the state folder remembers of a compile."""
    record = recall(path)
    assert record is not None
    return {"calls": record.calls, "places": len(record.snapshot)}


KINDS: dict[str, Callable[[Path, Any], dict[str, Any]]] = {
    "sources/*/*.dspec": of_source,
    "fetched/*/*.dspec": of_fetched,
    "artifacts/*.dspc.json": of_artifact,
    "ledgers/*.sqlite": of_ledger,
    "ledgers/*.export.jsonl": of_export,
    "stores/*.sqlite": of_store,
    "compiles/*.record.json": of_compile,
}


def mended(shown: Any) -> Any:
    """What is expected of a file, with what was exported wrongly put right: DSPy describes the reasoning that a chain of
    thought adds itself."""
    ours = {"prefix": "Reasoning:", "description": "the thinking that leads to the answer, step by step"}
    if shown == ours:
        return {**ours, "description": "${reasoning}"}
    if isinstance(shown, dict):
        return {name: mended(part) for name, part in shown.items()}
    return [mended(part) for part in shown] if isinstance(shown, list) else shown


def lost(before: Any, now: Any, place: str = "") -> list[str]:
    """Where `now` lacks something of `before` or has another value. Members that have come since are no loss."""
    if isinstance(before, dict) and isinstance(now, dict):
        return [
            found
            for name in before
            for found in (
                lost(before[name], now[name], f"{place}.{name}") if name in now else [f"{place}.{name}"]
            )
        ]
    if isinstance(before, list) and isinstance(now, list) and len(before) == len(now):
        pairs = enumerate(zip(before, now, strict=True))
        return [found for index, (one, other) in pairs for found in lost(one, other, f"{place}[{index}]")]
    return (
        []
        if before == now and isinstance(before, bool) == isinstance(now, bool)
        else [f"{place}: {before} → {now}"]
    )


def main() -> None:
    known = listed()
    for path, show in old_files().items():
        expected = path.with_name(path.name + BESIDE)
        if not expected.exists():
            shown = show(path, None)
            lines = [
                f"{json.dumps(name)}: {json.dumps(part, ensure_ascii=False)}" for name, part in shown.items()
            ]
            expected.write_text("{\n" + ",\n".join(lines) + "\n}\n", encoding="utf-8", newline="\n")
            sys.stdout.write(f"{expected.relative_to(OLD)}\n")
    entries = {name: f"{known.get(name) or sha256(OLD / name)}  {name}\n" for name in {*known, *present()}}
    MANIFEST.write_text("".join(entries[name] for name in sorted(entries)), encoding="utf-8", newline="\n")


if __name__ == "__main__":
    main()
