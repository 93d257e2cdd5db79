"""What a command works on is read once, and what it says it worked on is what it read."""

from __future__ import annotations

import gc
import json
from collections import Counter
from collections.abc import Callable, Generator
from pathlib import Path
from typing import Any

import pytest
import typer
from building import prepared
from hub import serving
from scripted import Asked, Script, learner

from dspec.compiler import ir
from dspec.compiler.check.analysis import analyse
from dspec.compiler.cli.advise import advise
from dspec.compiler.cli.compile import compile_command
from dspec.compiler.cli.evaluate import evaluate
from dspec.compiler.cli.plan import plan
from dspec.compiler.compile import plan as planning
from dspec.compiler.compile import prepared as preparing
from dspec.compiler.compile.prepared import Prepared
from dspec.compiler.data import DataError, rows_digest
from dspec.compiler.data import collecting as reading
from dspec.runtime.models import pool

SOURCE = """dspec 1

lm fake { model = "embedded/icl" }

signature Sort {
  "Give label."
  input text: str
  output label: str
}
module sorter = Predict(Sort)

dataset tickets {
  source = jsonl("tickets.jsonl")
  input text: str
  field label: str
  split { train = 10; val = 10; test = 10; seed = 3 }
}
dataset held {
  source = jsonl("held.jsonl")
  input text: str
  field label: str
}
dataset unused {
  source = jsonl("unused.jsonl")
  input text: str
  field label: str
}

metric right(gold: tickets, pred: sorter) { score = gold.label == pred.label }

optimize first {
  program = sorter
  metric = right
  train = tickets.train
  val = tickets.val
  seed = 9
  step labels = LabeledFewShot(k = 2)
}
optimize second {
  program = sorter
  metric = right
  train = tickets.train
  val = held
  step labels = LabeledFewShot(k = 3)
  step search = BootstrapFewShotWithRandomSearch(teacher = labels, num_candidate_programs = 2)
}
optimize alone {
  program = sorter
  metric = right
  train = tickets.val
  step labels = LabeledFewShot(k = 1)
}

eval ship { program = first; baseline = sorter; metric = right; data = held }
eval other { program = second; baseline = first; metric = right; data = tickets.test }
eval again { program = second; baseline = first; metric = right; data = held }
"""


def write_rows(place: Path, count: int, *, what: str = "row") -> None:
    rows = [
        {"text": f"{what} {number} of g{number % 5}", "label": f"L{number % 5}"} for number in range(count)
    ]
    place.write_text("".join(json.dumps(row) + "\n" for row in rows))


@pytest.fixture
def main(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Generator[Path]:
    monkeypatch.delenv("DSPEC_STATE_DIR", raising=False)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "dspec.toml").touch()
    for name, count in (("tickets", 30), ("held", 8), ("unused", 4)):
        write_rows(tmp_path / f"{name}.jsonl", count)
    path = tmp_path / "main.dspec"
    path.write_text(SOURCE)
    thresholds = gc.get_threshold()
    yield path
    # A session leaves garbage alone for the sake of a process that is about to end.
    gc.set_threshold(*thresholds)
    gc.unfreeze()


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch) -> Script:
    """What answers all commands of a test."""
    script = Script(learner)
    monkeypatch.setattr(pool, "open_transport", lambda *_: script)
    return script


# Once ------------------------------------------------------------------------------------------------

BOTH = {"first": 1, "second": 1}
COMMANDS: dict[str, tuple[Callable[[Path], object], dict[str, int], dict[str, int], dict[str, int]]] = {
    "compile": (
        compile_command,
        {"tickets.jsonl": 1, "held.jsonl": 1},
        {**BOTH, "alone": 1},
        {**BOTH, "alone": 1},
    ),
    "compile one": (
        lambda path: compile_command(path, ["alone"]),
        {"tickets.jsonl": 1},
        {"alone": 1},
        {"alone": 1},
    ),
    "compile a plan": (
        lambda path: compile_command(path, ["second"], planned=path.parent / "second.json"),
        {"tickets.jsonl": 1, "held.jsonl": 1},
        {"second": 1},
        {"second": 1},
    ),
    "plan": (
        lambda path: plan(path, "second", why=True),
        {"tickets.jsonl": 1, "held.jsonl": 1},
        BOTH,
        BOTH,
    ),
    "eval": (evaluate, {"tickets.jsonl": 1, "held.jsonl": 1}, {}, {}),
    "eval two": (lambda path: evaluate(path, ["ship", "again"]), {"held.jsonl": 1}, {}, {}),
}


def counted(monkeypatch: pytest.MonkeyPatch) -> tuple[Counter[str], Counter[str], Counter[str]]:
    """Datasets that are read, blocks that are looked up, and blocks whose steps are planned."""
    read, resolved, walked = Counter[str](), Counter[str](), Counter[str]()

    def count(module: Any, name: str, counter: Counter[str], key: Callable[..., str]) -> None:
        whole = getattr(module, name)

        def counting(*arguments: Any) -> Any:
            counter[key(*arguments)] += 1
            return whole(*arguments)

        monkeypatch.setattr(module, name, counting)

    count(reading, "open_table", read, lambda source, *_: source.path)
    count(preparing, "resolve", resolved, lambda _, name, *__: name)
    count(planning, "_walk", walked, lambda _, block, *__: block.optimize.name)
    return read, resolved, walked


@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_reads_and_looks_up_everything_once(
    main: Path, script: Script, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    if name.startswith("compile"):  # which scores what it has just compiled against other programs alone
        main.write_text(SOURCE.replace("baseline = first", "baseline = sorter"))
    if name.startswith("eval"):
        compile_command(main, evals=False)
    if name == "compile a plan":
        capsys.readouterr()
        plan(main, "second", json=True)
        (main.parent / "second.json").write_text(capsys.readouterr().out)
    command, read, resolved, walked = COMMANDS[name]
    counters = counted(monkeypatch)
    command(main)
    assert counters == (read, resolved, walked)


def test_advice_reads_once_for_all_that_it_suggests(
    main: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    read, resolved, walked = counted(monkeypatch)
    advise(main, "second")
    assert read == {"tickets.jsonl": 1, "held.jsonl": 1}
    assert resolved == {"second": 1}
    assert walked["second"] == capsys.readouterr().out.count(" calls with the scoring before and after") > 1


def test_rows_are_let_go_when_no_block_needs_them(main: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    project = analyse(main).project
    assert project is not None
    train, val, whole = (ir.RowsRef(dataset="tickets", part=part) for part in ("train", "val", None))
    held = ir.RowsRef(dataset="held")
    read, _, _ = counted(monkeypatch)
    ready = Prepared(project, main.parent, {"a": [train, held], "b": [train, val]})
    first = ready.rows(train)
    assert ready.rows(val) != first
    assert ready.rows(held) is ready.rows(held)
    assert read == {"tickets.jsonl": 1, "held.jsonl": 1}
    ready.rows(whole)
    assert read["tickets.jsonl"] == 2, "what belongs to no part that is needed is not held"
    ready.finished("a")
    assert ready.rows(train) is first
    ready.rows(held)
    assert read == {"tickets.jsonl": 2, "held.jsonl": 2}
    ready.finished("b")
    assert ready.rows(train) is not first


# What was used -----------------------------------------------------------------------------------------


def on_the_way(script: Script, edit: Callable[[], object]) -> None:
    """Does it before the first answer."""
    waiting = [edit]

    def reply(asked: Asked) -> Any:
        if waiting:
            waiting.pop()()
        return learner(asked)

    script.reply = reply


def digests(main: Path, name: str) -> dict[str, str]:
    """Of the rows as they are now."""
    project = analyse(main).project
    assert project is not None
    block = prepared(project, main.parent).resolved(name)
    return {"train": rows_digest(block.train), "val": rows_digest(block.val)}


def artifact(main: Path, name: str = "first") -> dict[str, Any]:
    return json.loads((main.parent / "compiled" / f"{name}.dspc.json").read_text())


def said(main: Path, capsys: pytest.CaptureFixture[str], name: str = "first") -> str:
    """What has changed since the last compile."""
    capsys.readouterr()
    plan(main, name, why=True)
    return capsys.readouterr().out.partition("changed since the last complete compile")[2]


def test_what_did_not_change_is_said_to_be_the_same(
    main: Path, script: Script, capsys: pytest.CaptureFixture[str]
) -> None:
    before = digests(main, "first")
    compile_command(main, ["first"])
    assert artifact(main)["provenance"]["data"] == before
    capsys.readouterr()
    plan(main, "first", why=True)
    assert "nothing has changed since the last complete compile" in capsys.readouterr().out


def test_a_row_that_is_edited_during_a_compile_is_no_row_of_it(
    main: Path, script: Script, capsys: pytest.CaptureFixture[str]
) -> None:
    before = digests(main, "first")
    on_the_way(script, lambda: write_rows(main.parent / "tickets.jsonl", 30, what="changed"))
    compile_command(main, ["first"])
    assert artifact(main)["provenance"]["data"] == before != digests(main, "first")
    assert not [text for text in script.texts() if "changed" in text]
    changes = said(main, capsys)
    assert 'train: "10 rows' in changes
    assert 'val: "10 rows' in changes


def test_a_row_that_is_edited_before_an_eval_of_the_same_command_is_no_row_of_it(
    main: Path, script: Script, capsys: pytest.CaptureFixture[str]
) -> None:
    on_the_way(script, lambda: write_rows(main.parent / "held.jsonl", 8, what="changed"))
    compile_command(main, ["first"], json=True)
    (scored,) = json.loads(capsys.readouterr().out)["compiled"][0]["evals"]
    assert len(scored["rows"]) == 8
    assert not [text for text in script.texts() if "changed" in text]
    changes = said(main, capsys)
    assert 'evals.ship.data: "8 rows' in changes
    assert "train" not in changes


def test_a_plan_from_before_the_rows_of_evals_were_told_is_still_the_plan(
    main: Path, script: Script, capsys: pytest.CaptureFixture[str]
) -> None:
    place = main.parent / "plan.json"
    capsys.readouterr()
    plan(main, "first", json=True)
    made = json.loads(capsys.readouterr().out)
    place.write_text(json.dumps(made))
    write_rows(main.parent / "held.jsonl", 8, what="changed")
    with pytest.raises(typer.Exit):
        compile_command(main, ["first"], planned=place)
    assert "evals.ship.data" in capsys.readouterr().err
    del made["inputs"]["evals.ship.data"]
    place.write_text(json.dumps(made))
    compile_command(main, ["first"], planned=place)


def test_a_source_that_is_edited_during_a_compile_is_not_what_was_compiled(
    main: Path, script: Script, capsys: pytest.CaptureFixture[str]
) -> None:
    on_the_way(script, lambda: main.write_text(SOURCE.replace("seed = 9", "seed = 10")))
    compile_command(main, ["first"])
    assert artifact(main)["provenance"]["seeds"] == {"optimize": 9}
    assert "seed: 9 → 10" in said(main, capsys)


MADE = """def load():
    return [{"text": f"row {i} of g{i % 5}", "label": f"L{i % 5}"} for i in range(30)]
"""


def fetched(main: Path) -> None:
    assert analyse(main, fetch="always").project is not None


@pytest.mark.parametrize("kept", [True, False], ids=["kept meanwhile", "not yet"])
def test_rows_that_a_function_gives_during_a_compile_are_not_its_rows(
    main: Path, script: Script, capsys: pytest.CaptureFixture[str], kept: bool
) -> None:
    module = main.parent / "made.py"
    module.write_text(MADE)
    main.write_text(SOURCE.replace('jsonl("tickets.jsonl")', 'python("made:load")'))
    fetched(main)
    before = digests(main, "first")

    def edit() -> None:
        module.write_text(MADE.replace("row {i}", "changed {i}"))
        if kept:
            fetched(main)

    on_the_way(script, edit)
    compile_command(main, ["first"])
    assert artifact(main)["provenance"]["data"] == before
    assert not [text for text in script.texts() if "changed" in text]
    if kept:
        assert digests(main, "first") != before
        assert 'train: "10 rows' in said(main, capsys)
    else:
        with pytest.raises(DataError, match="not known yet"):
            said(main, capsys)


def test_rows_that_a_hub_gives_during_a_compile_are_not_its_rows(
    main: Path, script: Script, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    place = main.parent / "tickets.jsonl"
    with serving({"acme/tickets": {"train.jsonl": place.read_bytes()}}) as hub:
        monkeypatch.setenv("HF_ENDPOINT", hub.url)
        main.write_text(SOURCE.replace('jsonl("tickets.jsonl")', 'huggingface("acme/tickets")'))
        fetched(main)
        before = digests(main, "first")

        def edit() -> None:
            write_rows(place, 30, what="changed")
            hub.repos["acme/tickets"]["train.jsonl"] = place.read_bytes()
            hub.commit = "b" * 40
            fetched(main)

        on_the_way(script, edit)
        compile_command(main, ["first"])
        assert artifact(main)["provenance"]["data"] == before != digests(main, "first")
        assert not [text for text in script.texts() if "changed" in text]
        assert 'train: "10 rows' in said(main, capsys)
