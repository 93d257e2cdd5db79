"""`dspc report` and `dspc eval --rows`: what is on the page, what must not be, and what is said where nothing is known."""

from __future__ import annotations

import base64
import csv
import hashlib
import io
import json
import re
import shutil
from html.parser import HTMLParser
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from dspc import Result, dspc
from reported import ENVIRONMENT, HOSTILE, PLANTED, on_provider


class Page(HTMLParser):
    """A page as a browser's parser sees it: elements with their attributes, and the text of each script and style."""

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.inside: dict[str, list[str]] = {"script": [], "style": []}
        self.text: list[str] = []
        self._open = ""
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        self._open = tag
        if tag in self.inside:
            self.inside[tag].append("")

    def handle_endtag(self, tag: str) -> None:
        self._open = ""

    def handle_data(self, data: str) -> None:
        if self._open in self.inside:
            self.inside[self._open][-1] += data
        else:
            self.text.append(data)

    @property
    def words(self) -> str:
        return " ".join(" ".join(self.text).split())

    @property
    def data(self) -> dict[str, Any]:
        return json.loads(self.inside["script"][0])


class Compiled(NamedTuple):
    """The project, and what its commands said while the provider was there; unreadable answers are asked for again later."""

    folder: Path
    compiled: dict[str, Any]
    scored: dict[str, Any]


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Compiled:
    folder = tmp_path_factory.mktemp("reported")
    results = on_provider(
        folder,
        ("compile", "main.dspec", "--no-evals", "--json"),
        *(
            ("eval", "main.dspec", "--json", "--rows", name)
            for name in ("first.jsonl", "rows.csv", "rows.parquet", "rows.html")
        ),
    )
    assert [one.code for one in results] == [0] * 5, [one.text for one in results]
    (compiled,) = json.loads(results[0].out)["compiled"]
    (scored,) = json.loads(results[1].out)["evals"]
    return Compiled(folder, compiled, scored)


@pytest.fixture(scope="module")
def project(done: Compiled) -> Path:
    return done.folder


def reported(project: Path, *arguments: str, out: str = "report.html", **more: str) -> tuple[Page, Result]:
    """The page, made without anybody to ask."""
    done = dspc("report", *(arguments or ("main.dspec",)), "-o", out, cwd=project, **{**ENVIRONMENT, **more})
    assert done.code == 0, done.text
    return Page((project / out).read_text(encoding="utf-8")), done


@pytest.fixture(scope="module")
def page(project: Path) -> Page:
    return reported(project)[0]


def test_the_first_screen_has_the_numbers_of_the_eval(done: Compiled, page: Page) -> None:
    one = done.scored
    pair = one["comparison"]
    assert f"What got better {100 * pair['difference']:+.1f} points" in page.words
    assert (
        f"{100 * one['baseline']['score']:.1f} → {100 * one['score']:.1f} on 18 rows of texts.test"
        in page.words
    )
    assert f"What got worse {pair['worse']} of 18 rows" in page.words
    assert "What it cost $" in page.words
    assert "the same artifact, byte for byte" in page.words


def test_every_row_is_there_as_the_eval_has_it(done: Compiled, page: Page) -> None:
    one = done.scored
    ship, val = page.data["tables"]
    assert (ship["title"], ship["before"], ship["after"]) == ("eval ship", "labeller", "tuned")
    assert [len(ship["rows"]), len(val["rows"])] == [18, 12]
    shown = [(row[0] - 1, row[4][0], row[4][1] and row[4][1][0]) for row in ship["rows"]]
    assert shown == [(row["index"], row["score"], (row["outputs"] or {}).get("label")) for row in one["rows"]]
    assert any(row[4][1] is None for row in ship["rows"]), "one that could not be read"


def test_trials_and_steps_are_those_of_the_compile(done: Compiled, page: Page) -> None:
    (step,) = done.compiled["steps"]
    trials = page.data["trials"]
    assert {one["label"]: one["score"] for one in trials} == {
        one["label"]: one["score"] for one in step["candidates"]
    }
    spent = [one["spent"]["calls"] for one in trials]
    assert spent == sorted(spent)
    assert sum(one["taken"] for one in trials) == 1
    assert trials[-1]["best"] == max(one["score"] for one in trials)


def test_a_step_s_gain_is_that_over_what_it_was_given(done: Compiled, project: Path, page: Page) -> None:
    (step,) = done.compiled["steps"]
    (path,) = project.rglob("tuned.dspc.json")
    (record,) = json.loads(path.read_text(encoding="utf-8"))["provenance"]["steps"]
    gain = f"{100 * record['gain']:+.1f}"
    assert step["verdict"]["real"] is (record["gain"] > record["luck"])
    left = f"{100 * step['verdict']['gained']:+.1f} without luck" if step["verdict"]["luck"] else ""
    told = left if step["verdict"]["real"] else "no more than luck"
    assert " ".join(filter(None, (gain, told))) in page.words


def test_answers_that_could_not_be_read_are_shown_as_they_came(page: Page) -> None:
    troubles = page.data["troubles"]
    assert troubles
    said = [exchange for one in troubles for exchange in one["exchanges"]]
    assert any(
        "I would rather not say. <b>[covered]</b>" in answer for one in said for answer in one["answers"]
    )
    assert "I would rather not say" in page.words


def test_nothing_of_a_row_or_an_answer_becomes_markup(page: Page) -> None:
    names = {tag for tag, _ in page.elements}
    assert not names & {"img", "svg", "b", "iframe", "object", "embed", "link", "base", "form"} - {"form"}
    assert [tag for tag, _ in page.elements].count("script") == 2
    for tag, attributes in page.elements:
        assert not [name for name in attributes if name.startswith("on") or name in ("src", "style")], tag
        assert (attributes.get("href") or "#").startswith("#")
    rows = page.data["tables"][0]["rows"] + page.data["tables"][1]["rows"]
    texts = [row[1][0] for row in rows]
    met = [one for one in HOSTILE if any(text.startswith(one) for text in texts)]
    assert any("</script>" in one or "<img" in one for one in met), "rows as they are, where they were drawn"


def test_the_policy_lets_its_own_blocks_run_and_nothing_else(page: Page) -> None:
    policy = next(
        attributes["content"] or ""
        for tag, attributes in page.elements
        if tag == "meta" and attributes.get("http-equiv") == "Content-Security-Policy"
    )
    rules = dict(rule.strip().split(" ", 1) for rule in policy.split(";"))
    assert rules.keys() == {"default-src", "style-src", "script-src", "base-uri", "form-action"}
    assert rules["default-src"] == rules["base-uri"] == rules["form-action"] == "'none'"
    for rule, text in (("script-src", page.inside["script"][1]), ("style-src", page.inside["style"][0])):
        digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
        assert rules[rule] == f"'sha256-{digest}'"
    assert "</" not in page.inside["script"][0]


def test_a_page_holds_no_secret(project: Path, page: Page) -> None:
    text = (project / "report.html").read_text(encoding="utf-8")
    assert not [one for one in PLANTED if one in text]
    assert "[covered]" in text
    # A key's shape is enough where the environment is another.
    reported(project, out="elsewhere.html", TEST_KEY="other-key-1", PLANTED_TOKEN="")
    assert "sk-planted" not in (project / "elsewhere.html").read_text(encoding="utf-8")


def test_equal_inputs_give_equal_bytes_and_change_nothing(project: Path, page: Page) -> None:
    kept = {path: path.read_bytes() for path in (project / ".dspec").rglob("*.sqlite")}
    reported(project, out="again.html", PYTHONHASHSEED="7")
    assert (project / "again.html").read_bytes() == (project / "report.html").read_bytes()
    assert {path: path.read_bytes() for path in (project / ".dspec").rglob("*.sqlite")} == kept


def test_an_artifact_finds_its_source_and_alone_tells_what_it_can(
    project: Path, page: Page, tmp_path: Path
) -> None:
    artifact = "compiled/tuned.dspc.json"
    reported(project, artifact, out="by-artifact.html")
    assert (project / "by-artifact.html").read_bytes() == (project / "report.html").read_bytes()
    shutil.copy(project / artifact, tmp_path / "tuned.dspc.json")
    found, done = reported(tmp_path, "tuned.dspc.json")
    assert "No .dspec file beside this artifact declares `optimize tuned`" in found.words
    assert "`--source`" in done.out
    assert found.data["tables"] == found.data["trials"] == []
    assert "Give the text a label." in found.words
    (step,) = json.loads((tmp_path / "tuned.dspc.json").read_text(encoding="utf-8"))["provenance"]["steps"]
    assert f" {100 * step['gain']:+.1f} {step['calls']} " in found.words, "the gain of a step, with its calls"
    copied = str(tmp_path / "tuned.dspc.json")
    told, _ = reported(project, copied, "--source", "main.dspec", out="told.html")
    assert len(told.data["tables"]) == 2


def copy_of(project: Path, to: Path) -> Path:
    shutil.copytree(project, to, ignore=shutil.ignore_patterns("*.html"))
    return to


def test_what_is_not_kept_is_said_and_not_guessed(project: Path, tmp_path: Path) -> None:
    bare = copy_of(project, tmp_path / "bare")
    shutil.rmtree(bare / ".dspec")
    found, done = reported(bare)
    assert "18 rows of 18 under `tuned` have no run that is kept here" in found.words
    assert "the compile cannot be replayed: some of its answers are not kept here" in done.out
    assert all(row[3] is row[4] is None for table in found.data["tables"] for row in table["rows"])
    assert "What got better –" in found.words
    assert not list((bare / ".dspec").glob("*.sqlite")), "looking makes no ledger and no store"


def test_a_source_that_changed_since_is_said(project: Path, tmp_path: Path) -> None:
    changed = copy_of(project, tmp_path / "changed")
    source = changed / "main.dspec"
    source.write_text(source.read_text(encoding="utf-8").replace("seed = 9", "seed = 10"), encoding="utf-8")
    found, _ = reported(changed)
    assert "is not what this artifact was compiled from: the seed changed since" in found.words
    assert found.data["trials"] == []
    assert all(row[4] is not None for row in found.data["tables"][0]["rows"]), (
        "its rows are known all the same"
    )


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("nothing.dspec",), "there is no file nothing.dspec"),
        (("main.dspec", "tuner"), "main.dspec declares no optimize `tuner`"),
        (("texts.jsonl",), "texts.jsonl"),
        (("main.dspec", "--compiled", "elsewhere"), "`tuned` has not been compiled"),
    ],
)
def test_what_cannot_be_reported_is_a_message(arguments: tuple[str, ...], said: str, project: Path) -> None:
    done = dspc("report", *arguments, "-o", "never.html", cwd=project, **ENVIRONMENT)
    assert done.code in (1, 2)
    assert said in done.err
    assert not (project / "never.html").exists()


def json_lines(project: Path) -> list[dict[str, Any]]:
    return [
        json.loads(line) for line in (project / "first.jsonl").read_text(encoding="utf-8").split("\n")[:-1]
    ]


def test_rows_as_json_lines_say_what_the_eval_says(done: Compiled) -> None:
    one, lines = done.scored, json_lines(done.folder)
    assert [(line["row"] - 1, line["score"], line["outputs"]) for line in lines] == [
        (row["index"], row["score"], row["outputs"]) for row in one["rows"]
    ]
    assert not any(line["cached"] for line in lines), "nothing was asked before"
    assert all(line["cost_usd"] > 0 and line["calls"] >= 1 for line in lines)
    assert all(line["baseline"]["score"] in (0.0, 1.0) for line in lines)
    failed = [line for line in lines if line["failed"]]
    assert failed
    assert all(line["outputs"] is None and line["reason"] for line in failed)


def test_rows_as_csv_are_no_formulas(project: Path) -> None:
    rows = list(csv.DictReader(io.StringIO((project / "rows.csv").read_text(encoding="utf-8"), newline="")))
    first = json_lines(project)
    assert [row["id"] for row in rows] == [line["id"] for line in first]
    for row, line in zip(rows, first, strict=True):
        text = line["inputs"]["text"]
        assert row["input.text"] == (f"'{text}" if text.startswith("=") else text)
        assert row["gold.label"] == line["gold"]["label"]
        assert row["cached"] == ("false" if line["failed"] else "true"), (
            "what nobody could read is asked for again"
        )
        assert float(row["score"]) == line["score"]
    assert not [cell for row in rows for cell in row.values() if re.match(r"[=+@\t\r]", cell)]


def test_rows_as_parquet_and_as_a_page(project: Path) -> None:
    polars = pytest.importorskip("polars")
    frame = polars.read_parquet(project / "rows.parquet")
    assert frame.height == 18
    assert frame["input.text"].dtype == polars.String
    assert frame["score"].dtype == polars.Float64
    found = Page((project / "rows.html").read_text(encoding="utf-8"))
    assert len(found.data["tables"][0]["rows"]) == 18
    assert not [one for one in PLANTED if one in (project / "rows.html").read_text(encoding="utf-8")]


@pytest.mark.parametrize(
    "name", ["rows.pdf", "rows", "nowhere/rows.csv", "texts.jsonl", "../{folder}/texts.jsonl"]
)
def test_a_file_that_cannot_hold_rows_is_refused_before_anybody_is_asked(name: str, project: Path) -> None:
    data = (project / "texts.jsonl").read_bytes()
    done = dspc("eval", "main.dspec", "--rows", name.format(folder=project.name), cwd=project, **ENVIRONMENT)
    assert done.code == 2
    assert "eval ship" not in done.text
    assert (project / "texts.jsonl").read_bytes() == data


@pytest.mark.parametrize(
    "command", [("report", "main.dspec"), ("diff", "compiled/tuned.dspc.json", "--rev", "HEAD")]
)
def test_a_page_takes_no_source_s_place(command: tuple[str, ...], project: Path) -> None:
    source = (project / "main.dspec").read_bytes()
    done = dspc(*command, "-o", "main.dspec", cwd=project, **ENVIRONMENT)
    assert (done.code, "is no name for a page" in done.err) == (2, True)
    assert (project / "main.dspec").read_bytes() == source
