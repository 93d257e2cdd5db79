"""`dspc test`: recorded answers, the embedded model, tools, judges, compiled programs, and what is told of a failure."""

from __future__ import annotations

import http.server
import shutil
import threading
from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree

import published
import pytest
from dspc import Result, dspc
from server import beside

SOURCE = """\
dspec 1

lm learner { model = "embedded/icl" }
lm real { model = "openai/real"; api_base = env("TEST_URL"); api_key = env("TEST_KEY"); price { input = 1.0; output = 2.0 } }

type Topic = "billing" | "shipping"

module near = Predict(sig(text -> topic: Topic), lm = learner)
module far = Predict(sig(text -> topic: Topic), lm = real)
"""
ANSWER = "[[ ## topic ## ]]\nshipping\n\n[[ ## completed ## ]]"


def case_of(name: str, program: str, *expected: str, text: str = "My parcel is gone") -> str:
    conditions = "".join(f"  expect {one}\n" for one in expected)
    return f'test {name} {{\n  program = {program}\n  given text = "{text}"\n{conditions}}}\n'


def project(folder: Path, *tests: str) -> Path:
    (folder / "dspec.toml").touch()
    path = folder / "main.dspec"
    path.write_text(SOURCE + "".join(tests), encoding="utf-8")
    return path


def told(result: Result) -> list[dict[str, object]]:
    return published.read("tests", result.out)["tests"]


def test_the_embedded_model_needs_no_recording(tmp_path: Path) -> None:
    project(tmp_path, case_of("one", "near", 'topic == "billing" or topic == "shipping"'))
    done = dspc("test", cwd=tmp_path)
    assert done.code == 0, done.text
    assert "ok      one" in done.out
    assert "1 test: 1 passed" in done.out
    assert not (tmp_path / ".dspec" / "ledger.sqlite").exists()


def test_a_failure_shows_each_condition_its_place_and_what_it_came_of(tmp_path: Path) -> None:
    conditions = ('contains(text_of_it, "x")', "len(topic) > 100", "len(topic) > 0", 'upper(topic) == "NO"')
    project(tmp_path, case_of("one", "near", *conditions).replace("text_of_it", "topic"))
    done = dspc("test", "main.dspec", cwd=tmp_path)
    assert done.code == 1
    lines = [line.strip() for line in done.out.splitlines()]
    start = lines.index('main.dspec:13: expect contains(topic, "x")')
    topic = lines[start + 1].removeprefix("topic = ")
    assert topic in ('"billing"', '"shipping"')
    assert lines[start + 2 : start + 8] == [
        "main.dspec:14: expect len(topic) > 100",
        f"topic = {topic}",
        f"len(topic) = {len(topic) - 2}",
        'main.dspec:16: expect upper(topic) == "NO"',
        f"topic = {topic}",
        f"upper(topic) = {topic.upper()}",
    ]


def test_nothing_is_asked_but_for_a_recording(tmp_path: Path) -> None:
    project(tmp_path, case_of("one", "far", 'topic == "shipping"'))
    missing = dspc("test", cwd=tmp_path)
    assert missing.code == 1
    assert "there is no answer in main.answers.jsonl of lm real" in missing.out
    assert "dspc test --record" in missing.out
    with beside("--answer", ANSWER) as url:
        recorded = dspc("test", "--record", "--json", cwd=tmp_path, TEST_URL=url, TEST_KEY="k")
        assert recorded.code == 0, recorded.text
        assert "at most 1 call," in recorded.err
        (one,) = told(recorded)
        assert one["asked_now"] == 1
        assert isinstance(one["paid_usd"], float)
        assert one["paid_usd"] > 0
        again = dspc("test", "--record", "--json", cwd=tmp_path, TEST_URL=url, TEST_KEY="k")
        assert told(again)[0]["asked_now"] == 0
    # Neither the address nor a key is needed any more, and what an answer is worth is still known.
    replayed = dspc("test", "--json", cwd=tmp_path)
    assert replayed.code == 0, replayed.text
    (same,) = told(replayed)
    assert (same["asked_now"], same["calls"], same["cost_usd"]) == (0, 1, one["cost_usd"])
    assert same["outputs"] == {"topic": "shipping"}


def test_an_answer_counts_for_what_was_asked_and_nothing_else(tmp_path: Path) -> None:
    project(tmp_path, case_of("one", "far", 'topic == "shipping"'))
    with beside("--answer", ANSWER) as url:
        assert dspc("test", "--record", cwd=tmp_path, TEST_URL=url, TEST_KEY="k").code == 0
        project(tmp_path, case_of("one", "far", 'topic == "shipping"', text="Another text"))
        assert "has no answer of lm real" in dspc("test", cwd=tmp_path).out
        recorded = dspc("test", "--record", cwd=tmp_path, TEST_URL=url, TEST_KEY="k")
    assert "took 1 answer out" in recorded.err
    assert len((tmp_path / "main.answers.jsonl").read_text(encoding="utf-8").splitlines()) == 1


def test_recordings_are_the_same_bytes_at_any_parallelism(tmp_path: Path) -> None:
    tests = [case_of(f"t{n}", "far", 'topic == "shipping"', text=f"parcel {n % 7}") for n in range(12)]
    files: list[bytes] = []
    outputs: list[str] = []
    with beside("--answer", ANSWER) as url:
        for threads in ("1", "16"):
            folder = tmp_path / threads
            folder.mkdir()
            project(folder, *tests)
            done = dspc("test", "--record", "--json", "-j", threads, cwd=folder, TEST_URL=url, TEST_KEY="k")
            assert done.code == 0, done.text
            files.append((folder / "main.answers.jsonl").read_bytes())
            outputs.append(dspc("test", "--json", "-j", threads, cwd=folder).out)
    assert files[0] == files[1]
    assert files[0].count(b"\n") == 7
    assert outputs[0] == outputs[1]


def test_who_does_not_answer_leaves_a_test_unfinished(tmp_path: Path) -> None:
    project(tmp_path, case_of("one", "far", 'topic == "shipping"'), case_of("two", "near", "len(topic) > 0"))
    with beside("--fault", "400=1.0") as url:
        done = dspc("test", "--record", "--junit", "out.xml", cwd=tmp_path, TEST_URL=url, TEST_KEY="k")
    assert done.code == 4
    assert "2 tests: 1 passed, 1 unfinished" in done.out
    suite = ElementTree.parse(tmp_path / "out.xml").getroot()[0]
    assert (suite.get("tests"), suite.get("failures"), suite.get("errors")) == ("2", "0", "1")
    assert not (tmp_path / "main.answers.jsonl").exists()


def test_junit_names_what_failed(tmp_path: Path) -> None:
    project(
        tmp_path,
        case_of("one", "near", 'str(topic) == "<b>&\\u0007"'),
        case_of("two", "near", "len(topic) > 0"),
    )
    done = dspc("test", "--junit", "out.xml", cwd=tmp_path)
    assert done.code == 1
    suite = ElementTree.parse(tmp_path / "out.xml").getroot()[0]
    first, second = suite
    assert (first.get("name"), first[0].tag, second.get("name"), len(second)) == ("one", "failure", "two", 0)
    assert "str(topic) = " in str(first[0].text)


def test_the_files_of_a_folder_and_named_tests(tmp_path: Path) -> None:
    (tmp_path / "below").mkdir()
    project(tmp_path, case_of("one", "near", "len(topic) > 0"))
    project(
        tmp_path / "below",
        case_of("two", "near", "len(topic) > 0"),
        case_of("three", "near", "len(topic) > 0"),
    )
    assert [one["name"] for one in told(dspc("test", "--json", cwd=tmp_path))] == ["two", "three", "one"]
    named = dspc("test", ".", "three", "one", "--json", cwd=tmp_path)
    assert [one["name"] for one in told(named)] == ["three", "one"]
    unknown = dspc("test", ".", "four", cwd=tmp_path)
    assert unknown.code == 2
    assert "declares no test `four`" in unknown.err


def test_a_file_that_no_recording_wrote_is_refused(tmp_path: Path) -> None:
    project(tmp_path, case_of("one", "far", 'topic == "shipping"'))
    answers = tmp_path / "main.answers.jsonl"
    for line in ('{"key": 1}', "[" * 100_000, '{"key": "a", "of": "b", "answer": {"text": 5}}', "\x00", "[]"):
        answers.write_text(f"\n{line}\n", encoding="utf-8")
        done = dspc("test", cwd=tmp_path)
        assert done.code == 1, line
        assert "main.answers.jsonl, line 2, is no recorded answer" in done.err
    answers.unlink()
    answers.mkdir()
    done = dspc("test", cwd=tmp_path)
    assert done.code == 1
    assert "main.answers.jsonl cannot be read" in done.err


def test_a_report_that_cannot_be_written_is_wrong_usage(tmp_path: Path) -> None:
    project(tmp_path, case_of("one", "near", "len(topic) > 0"))
    done = dspc("test", "--junit", "main.dspec/out.xml", cwd=tmp_path)
    assert done.code == 2
    assert "main.dspec/out.xml cannot be written" in done.err


TOOLS = """
extern shout(text: str) -> str = python("tools:shout")
extern rate(text: str) -> float { source = http("URL/rate"); timeout = 5 }
extern count(text: str) -> int = python("tools:count")

program loud(text: str) -> (topic: Topic, loud: str, rate: float, calls: int) {
  let said = shout(text = text)
  return topic = near(text = said).topic, loud = said, rate = rate(text = text), calls = count(text = text)
}
"""


@pytest.fixture
def rates() -> Iterator[tuple[str, list[str]]]:
    asked: list[str] = []

    class Rates(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            asked.append(self.path)
            self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.end_headers()
            self.wfile.write(b"0.5")

        def log_message(self, *_: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Rates)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}", asked
    server.shutdown()
    server.server_close()
    thread.join()


def test_the_projects_python_runs_and_what_is_elsewhere_is_recorded(
    tmp_path: Path, rates: tuple[str, list[str]]
) -> None:
    url, asked = rates
    (tmp_path / "tools.py").write_text(
        "def shout(text: str) -> str:\n    return text.upper()\n\n\n"
        "def count(text: str) -> int:\n    return len(text)\n",
        encoding="utf-8",
    )
    text = case_of("one", "loud", 'loud == "MY PARCEL IS GONE"', "rate == 0.5", "calls == 17")
    project(tmp_path, TOOLS.replace("URL", url), text)
    missing = dspc("test", cwd=tmp_path)
    assert "there is no answer in main.answers.jsonl of the tool `rate`" in missing.out
    assert asked == []
    recorded = dspc("test", "--record", cwd=tmp_path)
    assert recorded.code == 0, recorded.text
    assert len(asked) == 1
    replayed = dspc("test", cwd=tmp_path)
    assert replayed.code == 0, replayed.text
    assert len(asked) == 1


def test_a_judge_is_asked_and_recorded_like_the_program(tmp_path: Path) -> None:
    judged = 'llm_judge("It names a parcel.", judge = real, topic = topic) >= 0.8'
    project(tmp_path, case_of("one", "near", "len(topic) > 0", judged))
    assert "of lm real" in dspc("test", cwd=tmp_path).out
    for score, code in (("0.9", 0), ("0.2", 1)):
        answer = f"[[ ## reasoning ## ]]\nIt does.\n\n[[ ## score ## ]]\n{score}\n\n[[ ## completed ## ]]"
        folder = tmp_path / score
        folder.mkdir()
        project(folder, case_of("one", "near", "len(topic) > 0", judged))
        with beside("--answer", answer) as url:
            recorded = dspc("test", "--record", cwd=folder, TEST_URL=url, TEST_KEY="k")
        assert recorded.code == code, recorded.text
        replayed = dspc("test", cwd=folder)
        assert replayed.code == code, replayed.text
        if code:
            assert f"topic = topic) = {score}" in replayed.out


def test_a_compiled_program_is_tested_once_it_is_there(tmp_path: Path) -> None:
    more = """
dataset rows { source = csv("rows.csv"); input text: str; field topic: Topic; split { train = 4; val = 4 } }
metric right(gold: rows, pred: near) = gold.topic == pred.topic
optimize near_v1 {
  program = near; metric = right; train = rows.train; val = rows.val
  step demos = LabeledFewShot(k = 4)
}
"""
    rows = "".join(
        f"the {what} number {n},{topic}\n"
        for n in range(4)
        for what, topic in (("parcel", "shipping"), ("invoice", "billing"))
    )
    (tmp_path / "rows.csv").write_text(f"text,topic\n{rows}", encoding="utf-8")
    both = (
        case_of("block", "near_v1", 'topic == "shipping"', text="the parcel number 9"),
        case_of("file", 'artifact("compiled/near_v1.dspc.json")', 'topic == "billing"', text="the invoice 7"),
    )
    project(tmp_path, more, *both)
    before = dspc("test", "--json", cwd=tmp_path)
    assert before.code == 1
    assert [one["status"] for one in told(before)] == ["failed", "failed"]
    assert "has not been compiled" in before.out
    assert dspc("compile", "main.dspec", cwd=tmp_path).code == 0
    after = dspc("test", cwd=tmp_path)
    assert after.code == 0, after.text


def test_values_of_every_type_are_given(tmp_path: Path) -> None:
    values = """
record Line { field sku: str; field count: int = 1; field note: str? }
record Order { field id: int; field lines: list[Line]; field tags: dict[str, list[float]] }
extern see(order: Order, on: date, flags: dict[Topic, bool], rate: float, more: any?) -> list[str] = python("tools:see")
program echo(order: Order, on: date, flags: dict[Topic, bool], rate: float, more: any?) -> (said: list[str]) {
  return said = see(order = order, on = on, flags = flags, rate = rate, more = more)
}
test all {
  program = echo
  given order = Order(id = -3, lines = [Line("a"), Line(sku = "b", count = 2, note = "x")], tags = dict(t = [0.5]))
  given on = "2026-11-29"
  given flags = dict(billing = true, shipping = false)
  given rate = 2
  given more = none
  expect said[0] == "-3 a1b2 x t0.5"
  expect said[1] == "2026-11-29 True False 2"
}
"""
    (tmp_path / "tools.py").write_text(
        "def see(order, on, flags, rate, more):\n"
        "    lines = ''.join(f\"{one['sku']}{one['count']}\" for one in order['lines'])\n"
        "    tags = ''.join(f'{name}{values[0]}' for name, values in order['tags'].items())\n"
        "    first = f\"{order['id']} {lines} {order['lines'][1]['note']} {tags}\"\n"
        "    return [first, f\"{on} {flags['billing']} {flags['shipping']} {rate:g}\"]\n",
        encoding="utf-8",
    )
    project(tmp_path, values)
    done = dspc("test", cwd=tmp_path)
    assert done.code == 0, done.text


def test_a_picture_is_given_by_its_path_and_another_one_is_another_question(tmp_path: Path) -> None:
    pictures = Path(__file__).parents[1] / "kinds" / "bibliography" / "pages"
    shutil.copy(pictures / "page1.png", tmp_path / "shown.png")
    seen = """
module see = Predict(sig(photo: image, past: history, note -> topic: Topic), lm = real)
test one {
  program = see
  given photo = "shown.png"
  given past = [dict(note = "once", topic = "billing")]
  given note = "again"
  expect topic == "shipping"
}
"""
    project(tmp_path, seen)
    with beside("--answer", ANSWER) as url:
        recorded = dspc("test", "--record", cwd=tmp_path, TEST_URL=url, TEST_KEY="k")
    assert recorded.code == 0, recorded.text
    assert dspc("test", cwd=tmp_path).code == 0
    assert len((tmp_path / "main.answers.jsonl").read_bytes()) < 1000
    shutil.copy(pictures / "page2.png", tmp_path / "shown.png")
    other = dspc("test", cwd=tmp_path)
    assert "has no answer of lm real" in other.out
    (tmp_path / "shown.png").unlink()
    lost = dspc("test", cwd=tmp_path)
    assert lost.code == 1
    assert "DS0661" in lost.err
