"""`recorded(…)`: calls of an application as rows; and `dspc watch-drift`, which holds them against what a program was compiled on."""

from __future__ import annotations

import json
import math
import random
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import published
import pytest
from dspc import dspc
from programs import fields, module, predictor

from dspec import Application, RecordSettings, load
from dspec.compiler import ir
from dspec.compiler.check.analysis import analyse
from dspec.compiler.data import DataError, Rows, check, load_rows, probe
from dspec.compiler.data.probing import count_rows
from dspec.compiler.evaluate import twosample
from dspec.compiler.evaluate.twosample import holm, labels_differ, means_differ, numbers_differ, shares_differ
from dspec.lsp.features.completion import complete
from dspec.runtime.artifact.artifact import Artifact, write_artifact
from dspec.runtime.models.background import shutdown
from dspec.runtime.schema.lms import LM
from dspec.runtime.schema.program import FieldSpec
from dspec.runtime.schema.types import FLOAT, STR, OneOf, OptionalOf

TEAM = OneOf(values=("billing", "delivery"))
TEXT = """\
dspec 1

lm small { model = "embedded/icl" }

module route = Predict(sig(text -> team: "billing" | "delivery"))

dataset prod {
  source = recorded("recorded.sqlite")
  input text: str
  field team: "billing" | "delivery"
  split { train = 50%; val = 50% }
}

metric right(gold: prod, pred: route) = gold.team == pred.team

optimize better {
  program = route; metric = right; train = prod.train; val = prod.val
  step labels = LabeledFewShot(k = 2)
}
"""


@pytest.fixture(autouse=True)
def _stopped() -> Iterator[None]:  # pyright: ignore[reportUnusedFunction]
    yield
    shutdown()


def opened(folder: Path, name: str = "better", **said: Any) -> Application:
    path = folder / f"{name}.dspc.json"
    asked = predictor(fields(text=STR), fields(team=TEAM))
    lms = {"mini": LM(name="mini", model="embedded/icl")}
    write_artifact(path, Artifact(name=name, program=module(asked, lms=lms)))
    return load(path, record=RecordSettings(folder / "recorded.sqlite", **said))


def declared(**options: str | float) -> ir.Dataset:
    return ir.Dataset(
        name="prod",
        source=ir.DataSource(kind="recorded", path="recorded.sqlite", options=dict(options)),
        inputs=(FieldSpec(name="text", type=STR),),
        fields=(
            FieldSpec(name="team", type=TEAM),
            FieldSpec(name="quality", type=OptionalOf(item=FLOAT)),
            FieldSpec(name="said", type=OptionalOf(item=STR)),
        ),
        columns={"quality": "@score", "said": "@comment"},
    )


def read(folder: Path, **options: str | float) -> Rows:
    found = load_rows(declared(**options), folder, root=folder)
    assert len(found) == count_rows(declared(**options).source, folder, folder)
    return found


def texts(rows: Rows) -> list[object]:
    return [row.inputs["text"] for row in rows]


def refused(folder: Path, **options: str | float) -> str:
    with pytest.raises(DataError) as caught:
        read(folder, **options)
    (problem,) = check(declared(**options), folder, root=folder).problems
    assert problem.message == caught.value.message
    return problem.message


# The source --------------------------------------------------------------------------------------------


def test_which_calls_are_rows_and_what_is_gold(tmp_path: Path) -> None:
    p = opened(tmp_path)
    for text, said in {
        "right": {"score": 1},
        "half": {"score": 0.5},
        "wrong": {"score": 0, "comment": "no"},
        "mended": {"score": 0, "outputs": {"team": "delivery"}},
        "silent": {},
        "told": {"comment": "hm"},
    }.items():
        result = p(text=text)
        if said:
            p.feedback(result, **said)
    p.close()
    assert texts(read(tmp_path)) == ["right", "mended"]
    assert texts(read(tmp_path, min_score=0.5)) == ["right", "half", "mended"]
    assert texts(read(tmp_path, only="feedback")) == ["right", "half", "wrong", "mended", "told"]
    assert texts(read(tmp_path, only="feedback", min_score=0.5)) == ["right", "half", "mended", "told"]
    assert texts(read(tmp_path, only="all")) == ["right", "half", "wrong", "mended", "silent", "told"]
    rows = {row.inputs["text"]: row.labels for row in read(tmp_path, only="all")}
    assert rows["mended"] == {"team": "delivery", "quality": 0.0, "said": None}
    assert rows["wrong"]["said"] == "no"
    assert rows["silent"]["quality"] is None
    assert probe(declared().source, tmp_path, root=tmp_path).columns["team"].type == STR


def test_failed_cut_and_redacted_calls(tmp_path: Path) -> None:
    p = opened(tmp_path, max_record_bytes=1_500)
    with pytest.raises(Exception, match="does not fit"):
        p(text=5)
    p.feedback(p.history()[-1], outputs={"team": "billing"})
    p(text="x" * 5_000)
    p.feedback(p(text="good"), score=1)
    p.close()
    with pytest.raises(DataError, match="`text` \\(row 1: 5\\)"):  # what was corrected is no text
        read(tmp_path)
    with closing(sqlite3.connect(tmp_path / "recorded.sqlite")) as database, database:
        database.execute("DELETE FROM feedback WHERE seq = 1")
    assert texts(read(tmp_path, only="all")) == ["good"]
    (tmp_path / "recorded.sqlite").unlink()
    p = opened(tmp_path, redact=["text"])
    p.feedback(p(text="a"), score=1)
    p.close()
    assert "column `text` is not in `recorded.sqlite`; its columns: `@id`, `@score`, `@comment`, `team`" in (
        refused(tmp_path)
    )


def test_programs_of_one_file_are_told_apart(tmp_path: Path) -> None:
    for name in ("one", "two"):
        p = opened(tmp_path, name)
        p.feedback(p(text=f"of {name}"), score=1)
        p.close()
    assert texts(read(tmp_path, program="two")) == ["of two"]
    assert refused(tmp_path) == "`recorded.sqlite` has calls of several programs: `one` (1) and `two` (1)"
    assert refused(tmp_path, program="three") == (
        "`recorded.sqlite` has no calls of `three`; it has those of `one` and `two`"
    )


def test_files_that_are_none_are_told_of(tmp_path: Path) -> None:
    assert "there is no such file" in refused(tmp_path)
    path = tmp_path / "recorded.sqlite"
    path.write_text("text,team\na,billing\n")
    assert refused(tmp_path) == "`recorded.sqlite` is no SQLite file"
    path.unlink()
    with closing(sqlite3.connect(path)) as database:
        database.execute("CREATE TABLE places (url)")
    assert refused(tmp_path) == "`recorded.sqlite` is an SQLite file, but none of recorded calls"
    path.unlink()
    p = opened(tmp_path)
    p.feedback(p(text="a"), score=1)
    p.close()
    with closing(sqlite3.connect(path)) as database, database:
        database.execute("UPDATE calls SET inputs = '[1'")
    assert "1 row of `recorded.sqlite` cannot be read: row 1 is no recorded call" in refused(tmp_path)
    with closing(sqlite3.connect(path)) as database, database:
        database.execute("DELETE FROM calls")
    assert refused(tmp_path) == "`recorded.sqlite` has no rows"
    outside = tmp_path / "project"
    outside.mkdir()
    (outside / "recorded.sqlite").symlink_to(path)
    assert "lies outside the project" in refused(outside)


def test_what_is_written_later_is_seen_by_the_next_check(tmp_path: Path) -> None:
    """Though the file itself is the same until its writer lets go of it."""
    (tmp_path / "main.dspec").write_text(TEXT, encoding="utf-8")
    p = opened(tmp_path)
    for number in range(2):
        for _ in range(4):
            p.feedback(p(text=f"a {number} {random.random()}"), score=1)
        while p.recorded.waiting:
            pass
        each = 2 * (number + 1)
        told = dspc("plan", "main.dspec", cwd=tmp_path)
        assert f"LabeledFewShot             {each} + {each}" in told.out, told.text


def test_it_is_written_like_other_sources(tmp_path: Path) -> None:
    def told(options: str) -> list[str]:
        text = TEXT.replace('"recorded.sqlite"', options)
        found = analyse(tmp_path / "main.dspec", text=text, probe=False)
        return [f"{one.code} {one.message}" for one in found.diagnostics if one.severity == "error"]

    assert told('"r.sqlite", program = "a", only = "all", min_score = 0.5') == []
    assert told('"r.sqlite", min_score = 1') == []
    assert told('"r.sqlite", only = "al"') == ['DS0110 `only` cannot be "al"; did you mean "all"?']
    assert told('"r.sqlite", only = 5')[0].startswith("DS0110 `only` of `recorded` takes text in quotes")
    assert told('"r.sqlite", min_score = 1.5') == [
        "DS0110 `min_score` of `recorded` takes a number from 0 to 1, and this is the number 1.5"
    ]
    assert told('"r.sqlite", min_score = "1"')[0].startswith(
        "DS0110 `min_score` of `recorded` takes a number"
    )
    assert told('"r.sqlite", mim_score = 1')[0].startswith("DS03")
    assert told('"../r.sqlite"')[0].startswith("DS0413")
    text = TEXT.replace('recorded("recorded.sqlite")', '"recorded.sqlite"')
    found = analyse(tmp_path / "main.dspec", text=text, probe=False)
    assert any('recorded("recorded.sqlite")' in repr(one.fixes) for one in found.diagnostics)
    (missing,) = told("")
    assert missing == "DS0302 `recorded` needs the path of a file"
    (tmp_path / "some.sqlite").touch()

    def offered(written: str) -> list[str]:
        text = TEXT.replace('"recorded.sqlite"', written)
        analysis = analyse(tmp_path / "main.dspec", text=text.replace("$0", ""), probe=False)
        return [one.label for one in complete(analysis, text.index("$0")).suggestions]

    assert offered('"r.sqlite", $0') == ["program", "only", "min_score"]
    assert offered('"r.sqlite", only = "$0"') == ["right", "feedback", "all"]
    assert offered('"$0"') == ["some.sqlite"]


# The statistics, against values of R's ks.test, chisq.test and fisher.test, and against what chance does -----


def test_tests_give_what_textbooks_say() -> None:
    # 4 of 5 and 1 of 5; Fisher's tea: 3 of 4 and 1 of 4
    assert shares_differ(3, 4, 1, 4).p_value == pytest.approx(0.4857143, abs=1e-6)
    assert shares_differ(1, 10, 9, 10).p_value == pytest.approx(0.001093, abs=1e-5)
    assert shares_differ(0, 10, 0, 10).p_value == 1.0
    found = labels_differ({"a": 20, "b": 30, "c": 50}, {"a": 30, "b": 30, "c": 40})
    assert found.p_value == pytest.approx(
        0.2110721, rel=1e-4
    )  # a statistic of 3.1111 with 2 degrees: exp(-1.5556)
    assert found.effect == pytest.approx(0.1)
    for degrees, at in (
        (1, 3.841459),
        (2, 5.991465),
        (3, 7.814728),
        (4, 9.487729),
        (7, 14.06714),
        (10, 18.30704),
    ):
        assert twosample._chi_squared(at, degrees) == pytest.approx(0.05, abs=1e-6)
    assert twosample._chi_squared(5_000.0, 3) == 0.0
    same = numbers_differ(range(100), range(100))
    assert (same.effect, same.p_value) == (0.0, 1.0)
    apart = numbers_differ(range(50), range(25, 75))
    assert apart.effect == 0.5
    assert 1e-6 < apart.p_value < 1e-5
    assert numbers_differ([1.0], [2.0]).p_value > 0.1
    assert means_differ(0.9, 0.85, 0.95, [1.0] * 50 + [0.0] * 50).p_value < 1e-6
    assert means_differ(0.5, 0.4, 0.6, [1.0, 0.0] * 50).p_value == 1.0
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert holm([]) == []


def test_large_tables_are_tested_as_small_ones_are(monkeypatch: pytest.MonkeyPatch) -> None:
    exact = shares_differ(60, 1_000, 90, 1_000).p_value
    monkeypatch.setattr(twosample, "_EXACT", 1)
    assert shares_differ(60, 1_000, 90, 1_000).p_value == pytest.approx(exact, rel=0.05)
    assert shares_differ(0, 5, 0, 5).p_value == 1.0


def test_samples_of_the_same_seldom_differ() -> None:
    """At 5 %, of 400 pairs of samples: within what chance allows, and never more than the level by much."""
    draws = random.Random(7)
    hits = {"size": 0, "labels": 0, "missing": 0}
    for _ in range(400):
        one, two = ([round(draws.gauss(40, 9)) for _ in range(60)] for _ in range(2))
        hits["size"] += numbers_differ(one, two).p_value < 0.05
        words = [dict.fromkeys("abcd", 0), dict.fromkeys("abcd", 0)]
        for side in words:
            for _ in range(60):
                side[draws.choice("aaabbcd")] += 1
        hits["labels"] += labels_differ(*words).p_value < 0.05
        hits["missing"] += (
            shares_differ(
                *(x for _ in "ab" for x in (sum(draws.random() < 0.2 for _ in range(60)), 60))
            ).p_value
            < 0.05
        )
    bound = 0.05 * 400 + 3 * math.sqrt(0.05 * 0.95 * 400)
    assert all(count <= bound for count in hits.values()), hits
    assert hits["labels"] > 5


# The command -------------------------------------------------------------------------------------------

WATCHED = """\
dspec 1

lm small { model = "embedded/icl" }

signature Route {
  input text: str
  input channel: "web" | "mail" | "phone"
  input note: str?
  output team: "billing" | "delivery"
}

module route = Predict(Route)

dataset tickets {
  source = jsonl("tickets.jsonl")
  input text: str
  input channel: "web" | "mail" | "phone"
  input note: str?
  field team: "billing" | "delivery"
  split { train = 60; val = 60 }
}

metric right(gold: tickets, pred: route) = gold.team == pred.team

optimize route_v1 {
  program = route; metric = right; train = tickets.train; val = tickets.val
  step labels = LabeledFewShot(k = 4)
}
"""


@pytest.fixture(scope="module")
def compiled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("watched")
    (folder / "main.dspec").write_text(WATCHED, encoding="utf-8")
    rows = [
        {
            "text": f"{'charged' if number % 2 else 'parcel'} {'so ' * (number % 7)}{number}",
            "channel": "web" if number % 3 else "mail",
            "note": f"n {number}" if number % 5 else None,
            "team": "billing" if number % 2 else "delivery",
        }
        for number in range(120)
    ]
    (folder / "tickets.jsonl").write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    made = dspc("compile", "main.dspec", cwd=folder)
    assert made.code == 0, made.text
    return folder


def recorded(folder: Path, *, changed: bool, calls: int = 100, scores: bool = True) -> None:
    p = load(folder / "compiled/route_v1.dspc.json", record=folder / "recorded.sqlite")
    for number in range(calls):
        result = p(
            text=f"{'charged' if number % 2 else 'parcel'} {'so ' * (number % 7 + 9 * changed)}{number}",
            channel="phone" if changed and number % 2 else "web" if number % 3 else "mail",
            note=None if changed or not number % 5 else f"n {number}",
        )
        if scores:
            p.feedback(result, score=not (changed and number % 2))
    p.close()


def watched(folder: Path, *more: str) -> tuple[int, dict[str, Any]]:
    found = dspc(
        "watch-drift",
        "compiled/route_v1.dspc.json",
        "--recorded",
        "recorded.sqlite",
        "--json",
        *more,
        cwd=folder,
    )
    return found.code, published.read("drift", found.out) if found.code in (0, 6) else {"error": found.err}


def test_the_same_is_no_drift_and_other_inputs_are(compiled: Path, tmp_path: Path) -> None:
    folder = tmp_path / "same"
    shutil.copytree(compiled, folder)
    recorded(folder, changed=False)
    code, told = watched(folder)
    assert (code, told["drifted"], told["rows"], told["calls"], told["notes"]) == (0, False, 120, 100, [])
    assert [(one["field"], one["test"]) for one in told["tests"]] == [
        ("text", "length"),
        ("channel", "labels"),
        ("note", "missing"),
        ("note", "length"),
        ("", "score"),
    ]
    recorded(folder, changed=True, calls=200)
    code, told = watched(folder, "--last", "200")
    tests = {(one["field"], one["test"]): one for one in told["tests"]}
    assert (code, told["drifted"], told["calls"]) == (6, True, 200)
    assert {place for place, one in tests.items() if one["drifted"]} == {
        ("text", "length"),
        ("channel", "labels"),
        ("note", "missing"),
        ("", "score"),
    }
    assert tests["channel", "labels"]["new"] == ["phone"]
    assert tests["note", "missing"]["after"] == "100.0 %"
    assert all(one["p_value"] <= one["corrected"] for one in told["tests"])
    assert watched(folder, "--last", "200", "--alpha", "0")[0] == 0
    shown = dspc(
        "watch-drift",
        "compiled/route_v1.dspc.json",
        "--recorded",
        "recorded.sqlite",
        "--last",
        "200",
        cwd=folder,
    )
    assert shown.code == 6
    assert "drifted: text, channel, note, score" in shown.out
    assert "new: phone" in shown.out


def test_what_cannot_be_compared_is_said(compiled: Path, tmp_path: Path) -> None:
    folder = tmp_path / "parts"
    shutil.copytree(compiled, folder)
    code, told = watched(folder)
    assert (code, "is no file" in told["error"]) == (2, True)
    recorded(folder, changed=True, scores=False)
    (folder / "tickets.jsonl").write_text(
        (folder / "tickets.jsonl").read_text().replace("parcel", "packet"), encoding="utf-8"
    )
    code, told = watched(folder)
    assert code == 6
    assert told["notes"] == [
        "the rows of train are not those that it was compiled on",
        "the rows of val are not those that it was compiled on",
        "no call has a score by feedback, so scores are not compared",
    ]
    (folder / "main.dspec").rename(folder / "main.txt")
    code, told = watched(folder)
    assert (code, told["tests"]) == (0, [])
    assert "no .dspec file by compiled/route_v1.dspc.json declares `optimize route_v1`" in told["notes"][0]
    refused = watched(folder, "--program", "other")[1]["error"]
    assert "has no calls of `other`" in refused
    assert "it has those of `route_v1`" in refused
    (folder / "recorded.sqlite").write_text("no database, though it is long enough" * 9)
    assert "is no SQLite file" in watched(folder)[1]["error"]
