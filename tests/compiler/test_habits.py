"""What people write who come from Python, DSPy or JSON: one message each, which says how it is written here."""

from __future__ import annotations

from pathlib import Path

import pytest
from corpus import BESIDE
from snapshot import check_snapshot

from dspec.compiler.check.analysis import analyse

HERE = Path(__file__).parent
PROGRAM = """dspec 1

lm learner { model = "embedded/icl" }

type Topic = "billing" | "shipping" | "returns"

record Note {
  field words: list[str]
  field by: str?
}

signature Sort {
  "Say what a message is about."
  input text: str
  output topic: Topic
  output sure: float "0 to 1"
  assert 0 <= sure and sure <= 1 else "sure lies in 0..1"
}

module sort = Predict(Sort)
module reply = Predict(sig(text, topic: Topic -> answer, note: Note))

program Desk(text: str, tone: str? = none) -> (topic: Topic, answer: str) {
  let sorted = sort(text = text)
  let whole = (if tone == none then text else text + tone)
  let said = reply(text = whole, topic = sorted.topic)
  assert len(said.answer) > 0 else "say something"
  return topic = sorted.topic, answer = said.answer
}

dataset tickets {
  source = csv("tickets.csv")
  input text: str
  field topic: Topic
  split { train = 35%; val = 35%; test = 30% }
}

metric right(gold: tickets, pred: Desk) {
  score = gold.topic == pred.topic
  feedback = "expected " + gold.topic
}

optimize best {
  program = Desk
  metric = right
  train = tickets.train
  val = tickets.val
  step demos = BootstrapFewShotWithRandomSearch(num_candidate_programs = 4)
}

eval final {
  program = best; baseline = Desk; metric = right; data = tickets.test
  gate score >= 0.6 and score > baseline.score
}
"""
HABITS = (
    ("gold.topic == pred.topic", "gold.topic = pred.topic"),
    ("0 <= sure and sure <= 1", "0 <= sure <= 1"),
    ("0 <= sure and sure <= 1", "0 <= sure && sure <= 1"),
    ("len(said.answer) > 0", "!said.answer"),
    ('model = "embedded/icl"', "model = 'embedded/icl'"),
    ('"Say what a message is about."', "“Say what a message is about.”"),
    ('model = "embedded/icl"', 'model: "embedded/icl"'),
    ('{ model = "embedded/icl" }', '{ model = "embedded/icl", temperature = 0.5 }'),
    ("\ntype Topic", "\n// what it is about\ntype Topic"),
    ('"Say what a message is about."', "Say what a message is about."),
    ("field words: list[str]", "words: list[str]"),
    ("field words: list[str]", "field words list[str]"),
    ("field words: list[str]", "field words: List[str]"),
    ("field words: list[str]", "field words: list<str>"),
    ("field words: list[str]", "field words: str[]"),
    ("field by: str?", "field by: str | none"),
    ("field by: str?", "field by: Optional[str]"),
    ("field by: str?", "field by: Optional[list[int]]"),
    ("field by: str?", "field by: Union[str, None]"),
    ("field by: str?", "field by: Union[str, int]"),
    ("field by: str?", "field by: Tuple[str, int]"),
    ("field by: str?", "field by: Union[Card, Cash]"),
    ("field by: str?", "field by: Literal[1, 2]"),
    ("field by: str?", "field by: Tuple[str, ...]"),
    ("field by: str?", "field by: set[str]"),
    ("field by: str?", "field by: Dict[str, int]"),
    ("field by: str?", 'field by: Literal["a", "b"]'),
    ("field by: str?", "field by: Box[str]"),
    ("field by: str?", "field by: str | int"),
    ("output topic: Topic\n", 'output topic: Literal["a", "b"]\n'),
    ("output topic: Topic\n", "output topic: Optional[Topic]\n"),
    ("text, topic: Topic -> answer", "text: Optional[str], topic: Topic -> answer"),
    ("Predict(Sort)", "dspy.Predict(Sort)"),
    ("Predict(Sort)", 'Predict("text -> topic")'),
    ("Predict(sig(text, topic: Topic -> answer, note: Note))", "Predict(text, topic -> answer)"),
    ("sig(text, topic: Topic -> answer, note: Note)", "sig(text, topic: Topic)"),
    ("tone: str? = none", "tone: str = none"),
    ("let sorted = sort", "sorted = sort"),
    ("let said = ", "for word in text\n  let said = "),
    ("let said = ", "if tone == none then let said = "),
    ("return topic = sorted.topic, answer = said.answer", "topic = sorted.topic"),
    ("(if tone == none then text else text + tone)", "(text if tone == none else text + tone)"),
    ("tone == none then", "tone == None then"),
    ('else "say something"', '"say something"'),
    ("-> (topic: Topic, answer: str)", "-> Topic"),
    ('csv("tickets.csv")', 'csv("ticket.csv")'),
    ('csv("tickets.csv")', 'jsonl("tickets.csv")'),
    ("train = 35%; val = 35%; test = 30%", "train: 35%, val: 35%, test: 30%"),
    ("train = 35%", "train = 0.35"),
    ('"expected " + gold.topic', 'f"expected {gold.topic}"'),
    ("score = gold.topic == pred.topic", "score = (1 if gold.topic == pred.topic else 0)"),
    ("score = gold.topic == pred.topic", "score = sum([1 for word in pred.answer if word == text])"),
    ("score = gold.topic == pred.topic", "score = True"),
    ("optimize best {", "optimize best:"),
    ("step demos = Boot", "demos = Boot"),
    ("step demos = Boot", "step demos: Boot"),
    ("num_candidate_programs", "num_candidates"),
    ("val = tickets.val\n", "val = tickets.test\n"),
    ("gate score >= 0.6", "gate score >= 60"),
    ("gate score >= 0.6", "require score >= 0.6"),
    ("record Note {", "record Note ("),
    ("assert 0 <=", 'demo(text = "a", topic = "billing", sure = 1)\n  assert 0 <='),
    ("assert 0 <=", 'demo = { text = "a"; topic = "billing"; sure = 1 }\n  assert 0 <='),
    ("assert 0 <=", 'demo { text: "a", topic: "billing", sure: 1 }\n  assert 0 <='),
    ("assert 0 <=", 'demo {\n    text: "a"\n    topic = "billing"\n    sure = 1\n  }\n  assert 0 <='),
    ("assert 0 <=", 'demo { "text": "a", "topic": "billing", "sure": 1 }\n  assert 0 <='),
    ("assert 0 <=", 'demo urgent { text = "a"; topic = "billing"; sure = 1 }\n  assert 0 <='),
    ("assert 0 <=", 'demo: { text = "a"; topic = "billing"; sure = 1 }\n  assert 0 <='),
    ("assert 0 <=", 'demos = [dict(text = "a", topic = "billing", sure = 1)]\n  assert 0 <='),
    ("assert 0 <=", 'demo { input text = "a"; topic = "billing"; sure = 1 }\n  assert 0 <='),
    ("assert 0 <=", 'demo { text = "a"; topic = "billing"; sure = 1 } -> none\n  assert 0 <='),
    ("assert 0 <=", 'demo { text = "a"; topic = billing; sure = 1 }\n  assert 0 <='),
    ('model = "embedded/icl"', 'model = "embedded/icl"; headers { "X-Title" = "a" }'),
    ('model = "embedded/icl"', 'model = "embedded/icl"; headers { X-Title = "a" }'),
    ('model = "embedded/icl"', 'model = "embedded/icl"; headers = { X_Title = "a" }'),
    ('model = "embedded/icl"', 'model = "embedded/icl"; extra = { think = true }'),
    ("\nrecord Note", "\ntest one { program = sort; given text = {a: 1}; expect sure > 0 }\nrecord Note"),
    ("\nrecord Note", '\ntest one { program = sort; given { text = "a" }; expect sure > 0 }\nrecord Note'),
    ("\nrecord Note", '\ntest one { program = sort; input text = "a"; expect sure > 0 }\nrecord Note'),
    ("\nrecord Note", '\ntest one { program = sort; given text = "a"; assert sure > 0 }\nrecord Note'),
    ("\nrecord Note", "\ntype Sure = true | false\nrecord Note"),
    ("\nrecord Note", '\ntype Level = 1 "low" | 2 "high"\nrecord Note'),
    ("field by: str?", "field by: tuple[str, ...]"),
    ('"billing" | "shipping" |', '"billing", "shipping" |'),
    ("\nrecord Note", '\ntype Level = "low" "can wait", "high"\nrecord Note'),
    ("field by: str?", "field by: Card, Cash"),
    ("field by: str?", 'field by: "a" | "b", "c"'),
    ("field by: str?", "field by: str, int"),
    ("field by: str?\n", "field by: str?, field at: str\n"),
    ("and sure <= 1 else", "and sure <= 1, "),
    ("\nmodule sort", "\nsignature Other { text: str -> topic: Topic }\nmodule sort"),
    ("\nmodule sort", "\nsignature Other(Sort) { output more: str }\nmodule sort"),
    ("\nmodule sort", "\nrecord More(Note) { field at: str }\nmodule sort"),
    ("field by: str?", "field by: date = 2026-01-02"),
    ("field by: str?", "field by: tuple[int, int] = [1, 2, 3]"),
    ("input text: str\n", "input text: str\n  input past: history\n"),
    ("input text: str\n", "input text: str\n  input past: history?\n"),
    ("input text: str\n", 'input text: str\n  input photo: image = "a.png"\n'),
    ("metric right(gold: tickets, pred: Desk)", "metric right(gold, pred, trace=None)"),
    ("metric right(gold: tickets, pred: Desk)", "metric right(gold, pred)"),
    (
        "metric right(gold: tickets, pred: Desk) {\n  score =",
        "metric right(gold: tickets, pred: Desk) {\n  return",
    ),
    ("metric right(gold: tickets, pred: Desk)", "def right(gold, pred)"),
)


@pytest.fixture
def project(tmp_path: Path) -> Path:
    for name, content in BESIDE.items():
        (tmp_path / name).write_text(content, encoding="utf-8")
    return tmp_path / "main.dspec"


def said(path: Path, text: str) -> list[str]:
    lines: list[str] = []
    for found in analyse(path, text=text).diagnostics:
        place = found.primary.location
        start = place.source.position(place.start)
        marked = place.source.text[place.start : place.end]
        lines.append(f"{found.severity} {found.code} {start.line}:{start.column} `{marked}`: {found.message}")
        lines += [f"  note: {note}" for note in found.notes]
        lines += [f"  help: {found.help}"] if found.help else []
        lines += [f"  fix: {fix.title}" for fix in found.fixes]
    return lines


def test_the_program_is_right(project: Path) -> None:
    assert said(project, PROGRAM) == []


def test_habits_get_one_message_that_helps(project: Path) -> None:
    shown: list[str] = []
    for before, after in HABITS:
        assert before in PROGRAM
        lines = said(project, PROGRAM.replace(before, after, 1))
        shown += [f"{before.strip()} → {after.strip()}", *(f"  {line}" for line in lines), ""]
    check_snapshot(HERE / "snapshots" / "habits.txt", "\n".join(shown))


@pytest.mark.parametrize(("before", "after"), HABITS)
def test_a_fix_of_a_habit_takes_its_message_away(before: str, after: str, project: Path) -> None:
    text = PROGRAM.replace(before, after, 1)
    found = [one for one in analyse(project, text=text).diagnostics if one.severity == "error"]
    assert len(found) == 1, "one mistake, one message"
    for fix in found[0].fixes[:1]:
        repaired = text
        for edit in sorted(fix.edits, key=lambda edit: edit.location.start, reverse=True):
            repaired = repaired[: edit.location.start] + edit.replacement + repaired[edit.location.end :]
        left = {(one.code, one.message) for one in analyse(project, text=repaired).diagnostics}
        assert (found[0].code, found[0].message) not in left


CHEAPEST = """optimize cheapest {
  program = Desk
  metric = right
  train = tickets.train
  val = tickets.val
  minimize = "tokens"
  gate score >= 0.9
  step demos = Auto(max_calls = 900)
  emit = demos
}
"""


@pytest.mark.parametrize(
    ("before", "after", "wrong", "told"),
    [
        ("gate score >= 0.9", "gate score >= 90", "90", "help: write `gate score >= 0.9`"),
        ("gate score >= 0.9", "gate score >= 90%", "90%", "help: write `gate score >= 0.9`"),
        ("gate score >= 0.9", "gate score <= 0.8", "score <= 0.8", "help: write `gate score >= 0.8`"),
        ("gate score >= 0.9", "gate score >= 1", "1", "help: write one gate, as `gate score >= 0.9`"),
        (
            'minimize = "tokens"\n  gate score >= 0.9',
            "require score >= 0.9",
            "score",
            "help: what a result must reach is written `gate score >= 0.9`",
        ),
        ("emit = demos", 'emit = "demos"', '"demos"', "help: a step's name has no quotes: `emit = demos`"),
        (
            "max_calls = 900",
            "max_calls = 0",
            "0",
            "help: `none` may stand there, too: Model calls of the step at most: a round",
        ),
    ],
)
def test_a_result_that_is_to_be_cheap(before: str, after: str, wrong: str, told: str, project: Path) -> None:
    text = f"{PROGRAM}\n{CHEAPEST.replace(before, after, 1)}"
    lines = said(project, text)
    errors = [line for line in lines if line.startswith("error")]
    assert len(errors) == 1, lines
    assert f" `{wrong}`: " in errors[0]
    assert any(told in line for line in lines), lines


def test_a_cheapest_result_that_is_asked_for_rightly(project: Path) -> None:
    assert not [line for line in said(project, f"{PROGRAM}\n{CHEAPEST}") if line.startswith("error")]


def test_the_part_of_a_gate_that_is_wrong_is_named(project: Path) -> None:
    for after, label in (
        ("score >= 90", "a score lies between 0 and 1"),
        ("score <= 0.9", "a gate says the least, with `>=`, and this is `<=`"),
        ("score >= baseline.score", "a gate compares the score with a number"),
    ):
        text = f"{PROGRAM}\n{CHEAPEST.replace('score >= 0.9', after)}"
        found = [one for one in analyse(project, text=text).diagnostics if one.code == "DS0662"]
        assert [one.primary.text for one in found] == [label]


def test_what_needs_a_missing_name_is_not_offered_in_its_place(project: Path) -> None:
    text = PROGRAM.replace("program Desk(", "program Office(").replace("optimize best", "optimize Desk_v1")
    text = text.replace("program = best", "program = Desk_v1")
    found = [line for line in said(project, text) if "Desk" in line]
    assert len([line for line in found if "named `Desk`" in line]) == 3, found
    assert not [line for line in found if "did you mean" in line or "fix" in line]
    alone = "dspec 1\n\noptimize sort_v1 {\n  program = sort\n}\n"
    assert "  help: declare it: `sort_v1` needs it, too" in said(project, alone)
    misspelt = text.replace("program Office(", "program Deskk(")
    assert "  fix: Replace with `Deskk`" in said(project, misspelt)
    holds_itself = "dspec 1\n\nrecord Node {\n  field next: Nod?\n}\n"
    assert "  fix: Replace with `Node`" in said(project, holds_itself)
