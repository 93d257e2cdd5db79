"""Demos that are written in a signature: what becomes of them, which modules show them, and what the check says."""

from __future__ import annotations

import io
import json
import re
from pathlib import Path

import pytest
from dspc import dspc
from media import png
from rich.console import Console

from dspec.compiler.check.analysis import Analysis, analyse, analyse_all
from dspec.compiler.check.unchanged import CheckResult, recall, remember
from dspec.compiler.cli.show import draw_runnable
from dspec.compiler.compile.plan import Plan, plan
from dspec.compiler.compile.prepared import Prepared
from dspec.compiler.data.needs import compile_needs
from dspec.compiler.project.caches import FolderCache
from dspec.compiler.project.reads import journal
from dspec.runtime.artifact.artifact import Artifact, read_artifact, write_artifact
from dspec.runtime.artifact.dspy_state import dspy_state
from dspec.runtime.models.engine import Engine
from dspec.runtime.running.execute import run
from dspec.runtime.schema.program import Demo, Program
from dspec.runtime.values.media import medium

HEAD = """\
dspec 1

lm mini { model = "openai/gpt-4o-mini" }
type Intent = "billing" "money that was charged" | "refund" | "other"
record Line { field sku: str; field count: int = 1; assert count > 0 else "a line has something" }
record Card { field kind: "card"; field last4: str }
record Cash { field kind: "cash"; field amount: float }
type Payment = Card | Cash
extern look(query: str) -> list[str] { "Looks it up."; source = mcp(tool = "look", command = "serve") }
"""
ROUTE = """\
signature Route {
  "Decide what the message is about."
  input text: str
  input style: str = "plain"
  output intent: Intent
  output urgency: float
  assert urgency <= 5 else "at most 5"
  DEMOS
}
module router = Predict(Route)
"""
WHOLE = 'demo { text = "Twice on my card"; intent = "billing"; urgency = 2 }'
SHOWN = Demo(
    inputs={"text": "Twice on my card", "style": "plain"}, outputs={"intent": "billing", "urgency": 2.0}
)


def checked(folder: Path, text: str, *, probe: bool = False) -> Analysis:
    found = analyse(folder / "main.dspec", text=HEAD + text, probe=probe)
    assert not found.crashes
    return found


def program(folder: Path, text: str, name: str = "router", *, probe: bool = False) -> Program:
    found = checked(folder, text, probe=probe)
    assert found.project is not None, [one.message for one in found.diagnostics]
    return found.project.programs[name]


def said(folder: Path, text: str) -> list[tuple[str, str]]:
    return [(one.code, one.message) for one in checked(folder, text).diagnostics]


def route(*demos: str) -> str:
    return ROUTE.replace("DEMOS", "\n  ".join(demos))


# What becomes of them ----------------------------------------------------------------------------


def test_a_demo_has_its_values_as_the_fields_have_them(tmp_path: Path) -> None:
    """A whole number of a `float` is a number, and an input that has a default has it in a demo, too."""
    second = 'demo { urgency = 0.5; intent = "refund"; text = "a" + "b"; style = "short" }'
    found = program(tmp_path, route(WHOLE, second))
    assert found.predictors["router"].demos == (
        SHOWN,
        Demo(inputs={"text": "ab", "style": "short"}, outputs={"intent": "refund", "urgency": 0.5}),
    )
    assert list(found.predictors["router"].demos[1].outputs) == ["intent", "urgency"]  # in the fields' order
    assert said(tmp_path, route(WHOLE, second)) == []


VALUES: dict[str, tuple[str, str, object]] = {
    "record": ("Line", 'Line(sku = "B1")', {"sku": "B1", "count": 1}),
    "record by position": ("Line", 'Line("B1", 2)', {"sku": "B1", "count": 2}),
    "list of records": ("list[Line]", '[Line("B1")]', [{"sku": "B1", "count": 1}]),
    "empty list": ("list[Line]", "[]", []),
    "one of records": ("Payment", 'Cash(amount = 3, kind = "cash")', {"kind": "cash", "amount": 3.0}),
    "dict": ("dict[str, int]", "dict(a = 1)", {"a": 1}),
    "tuple": ("tuple[str, int]", '["a", 1]', ["a", 1]),
    "date": ("date", '"2026-01-02"', "2026-01-02"),
    "number": ("1 | 2 | -1", "-1", -1),
    "flag": ("bool", "false", False),
    "none": ("str?", "none", None),
    "optional": ("Intent?", '"other"', "other"),
    "any": ("any", "[1, 2]", [1, 2]),
    "text on lines": ("str", '"""\n    one\n    two\n    """', "one\ntwo"),
}


@pytest.mark.parametrize("side", ["input", "output"])
@pytest.mark.parametrize("name", VALUES)
def test_values_of_every_type(name: str, side: str, tmp_path: Path) -> None:
    kind, text, value = VALUES[name]
    other = "output" if side == "input" else "input"
    source = (
        f'signature S {{ {side} x: {kind}; {other} y: str\n  demo {{ x = {text}; y = "y" }} }}\n'
        "module router = Predict(S)\n"
    )
    assert said(tmp_path, source) == []
    (demo,) = program(tmp_path, source).predictors["router"].demos
    assert {**demo.inputs, **demo.outputs} == {"x": value, "y": "y"}


@pytest.mark.parametrize("name", ["demo", "input", "output", "step", "given", "list", "as", "gate"])
def test_a_field_may_be_called_like_a_word_of_the_language(name: str, tmp_path: Path) -> None:
    source = (
        f'signature S {{ input {name}: str; output y: str; demo {{ {name} = "a"; y = "b" }} }}\n'
        "module router = Predict(S)\n"
    )
    assert said(tmp_path, source) == []
    assert program(tmp_path, source).predictors["router"].demos == (
        Demo(inputs={name: "a"}, outputs={"y": "b"}),
    )


def test_a_history_in_a_demo_has_turns_of_its_signature(tmp_path: Path) -> None:
    def source(turn: str) -> str:
        return (
            "signature S { input past: history; input question: str; output n: int\n"
            f'  demo {{ past = [{turn}]; question = "q"; n = 3 }} }}\nmodule router = Predict(S)\n'
        )

    (demo,) = program(tmp_path, source('dict(question = "Two?", n = 2)')).predictors["router"].demos
    assert demo.inputs["past"] == [{"question": "Two?", "n": 2}]
    for turn, why in {
        'dict(question = "Two?", m = 2)': 'turn 1: there is no field "m"; a turn has `question`, `n`',
        'dict(question = "Two?")': "turn 1: it says nothing of what was answered",
        'dict(question = "Two?", n = "two")': 'turn 1.n: expected a whole number, got "two"',
    }.items():
        (found,) = said(tmp_path, source(turn))
        assert found == ("DS0364", f"`past` of a demo cannot be this: {why}")


PHOTOS = """\
signature See {
  input photo: image
  input more: list[image]?
  output caption: str
  demo { photo = "photos/cat.png"; more = ["photos/dog.png", "https://example.com/a.png"]; caption = "a cat" }
}
module router = Predict(See)
"""


def photos(folder: Path) -> None:
    (folder / "dspec.toml").touch()
    (folder / "photos").mkdir()
    for number, name in enumerate(("cat", "dog")):
        (folder / "photos" / f"{name}.png").write_bytes(png(16 + number, 12, number))


def test_media_are_files_beside_the_source(tmp_path: Path) -> None:
    photos(tmp_path)
    assert said(tmp_path, PHOTOS) == []
    (demo,) = program(tmp_path, PHOTOS, probe=True).predictors["router"].demos
    more = demo.inputs["more"]
    assert isinstance(more, list)
    signs = [medium(one) for one in (demo.inputs["photo"], *more) if isinstance(one, str)]
    assert [one and (one.kind, one.url) for one in signs] == [
        ("image", ""),
        ("image", ""),
        ("image", "https://example.com/a.png"),
    ]
    before = demo.inputs["photo"]
    (tmp_path / "photos" / "cat.png").write_bytes(png(20, 20, 5))
    (demo,) = program(tmp_path, PHOTOS, probe=True).predictors["router"].demos
    assert demo.inputs["photo"] != before  # by what the file holds


def test_a_picture_of_a_demo_goes_with_the_artifact(tmp_path: Path) -> None:
    photos(tmp_path)
    made = program(tmp_path, PHOTOS, probe=True)
    place = tmp_path / "out" / "see.dspc.json"
    place.parent.mkdir()
    write_artifact(place, Artifact(name="see", program=made))
    (tmp_path / "photos" / "cat.png").unlink()
    read = read_artifact(place).program
    assert isinstance(read, Program)
    assert read.predictors["router"].demos == made.predictors["router"].demos
    assert len(list(place.parent.glob("see.media-*.png"))) == 2


@pytest.mark.parametrize(
    ("written", "code"),
    [
        ('"photos/none.png"', "DS0661"),
        ('"../cat.png"', "DS0413"),
        ("3", "DS0661"),
        ("none", "DS0661"),
        ('["photos/cat.png"]', "DS0661"),
        ('"photos"', "DS0661"),
    ],
)
def test_what_is_no_medium_is_refused(written: str, code: str, tmp_path: Path) -> None:
    photos(tmp_path)
    text = PHOTOS.replace('photo = "photos/cat.png"', f"photo = {written}")
    assert {one.code for one in checked(tmp_path, text, probe=True).diagnostics} == {code}


def test_an_imported_signature_has_its_files_beside_itself(tmp_path: Path) -> None:
    photos(tmp_path)
    (tmp_path / "shared").mkdir()
    (tmp_path / "photos").rename(tmp_path / "shared" / "photos")
    (tmp_path / "shared" / "see.dspec").write_text(HEAD + PHOTOS, encoding="utf-8")
    text = 'import "shared/see.dspec" as lib\nmodule mine = Predict(lib.See, lm = mini)\n'
    assert program(tmp_path, text, "mine", probe=True).predictors["mine"].demos


# Which prompts show them -------------------------------------------------------------------------

SHOWING: dict[str, tuple[str, ...]] = {
    "Predict(Route)": ("m",),
    "ChainOfThought(Route)": ("m",),
    "ReAct(Route, tools = [look])": ("m.extract",),
    "CodeAct(Route, tools = [look])": ("m.extract",),
    "ProgramOfThought(Route)": ("m.answer",),
    "MultiChainComparison(Route)": ("m.chain", "m.compare"),
    "Majority(Route)": ("m.predict",),
    "BestOfN(Route, n = 2, reward = short, threshold = 1.0)": ("m.predict",),
    "Refine(Route, n = 2, reward = short, threshold = 1.0)": ("m.predict",),
    "Majority(router)": ("router",),
    "RLM(Route)": (),
    'python("own:answer", Route)': (),
}


@pytest.mark.parametrize("value", SHOWING)
def test_the_prompts_that_answer_with_the_outputs_show_them(value: str, tmp_path: Path) -> None:
    """Those that a labelled row would be shown in, as far as they are there for the answer."""
    (tmp_path / "own.py").write_text("def answer(text: str, style: str) -> dict: ...\n")
    text = route(WHOLE) + f"metric short(pred: router) = 1.0 - pred.urgency / 5.0\nmodule m = {value}\n"
    found = checked(tmp_path, text)
    assert found.project is not None, [one.message for one in found.diagnostics]
    predictors = found.project.programs["m"].predictors
    assert tuple(name for name, one in predictors.items() if one.demos) == SHOWING[value]
    assert all(one.demos == (SHOWN,) for name, one in predictors.items() if name in SHOWING[value])
    warned = [one.message for one in found.diagnostics if one.code == "DS0367"]
    assert warned == ([] if SHOWING[value] else ["no prompt of `m` shows the demos of `Route`"])


def test_an_agent_shows_its_reasoning_only_where_it_answers(tmp_path: Path) -> None:
    """Code that a demo does not have is not shown with the reasoning that it has."""
    text = (
        "signature S { input text: str; output reasoning: str; output n: int\n"
        '  demo { text = "a"; reasoning = "because"; n = 1 } }\nmodule m = ProgramOfThought(S)\n'
        "module think = ChainOfThought(S)\n"
    )
    found = program(tmp_path, text, "m")
    assert [name for name, one in found.predictors.items() if one.demos] == ["m.answer"]
    (demo,) = program(tmp_path, text, "think").predictors["think"].demos
    assert demo.outputs == {"reasoning": "because", "n": 1}


def test_programs_carry_the_demos_of_what_they_call(tmp_path: Path) -> None:
    text = route(WHOLE) + (
        "module think = ChainOfThought(Route)\n"
        "program P(text: str) -> (x: Intent) { let a = router(text = text); let b = think(text = text); "
        "return x = if a.urgency > 1 then a.intent else b.intent }\n"
    )
    predictors = program(tmp_path, text, "P").predictors
    assert {name: one.demos for name, one in predictors.items()} == {"router": (SHOWN,), "think": (SHOWN,)}


# `extends` ---------------------------------------------------------------------------------------


def extended(body: str) -> str:
    return route(WHOLE) + f"signature More extends Route {{ {body} }}\nmodule more = Predict(More)\n"


def test_a_signature_has_the_demos_of_its_base(tmp_path: Path) -> None:
    assert program(tmp_path, extended('"Anew."'), "more").predictors["more"].demos == (SHOWN,)
    assert said(tmp_path, extended('"Anew."')) == []


def test_own_demos_take_the_place_of_the_bases(tmp_path: Path) -> None:
    own = 'demo { text = "b"; intent = "other"; urgency = 0 }'
    (demo,) = program(tmp_path, extended(own), "more").predictors["more"].demos
    assert demo.inputs["text"] == "b"


def test_a_field_of_its_own_is_left_out_of_the_bases_demos(tmp_path: Path) -> None:
    text = extended('input lang: str = "en"; output why: str')
    (demo,) = program(tmp_path, text, "more").predictors["more"].demos
    assert demo == Demo(inputs={**SHOWN.inputs, "lang": "en"}, outputs=SHOWN.outputs)
    assert said(tmp_path, text) == [("DS0365", "the demos that `More` has from `Route` leave out `why`")]


@pytest.mark.parametrize(
    ("body", "why"),
    [
        ('output intent: "refund" | "other"', '`intent`: expected one of "refund", "other", got "billing"'),
        ('assert urgency <= 1 else "at most 1"', "at most 1"),
    ],
)
def test_a_demo_of_the_base_that_does_not_fit_is_not_taken_over(body: str, why: str, tmp_path: Path) -> None:
    text = extended(body)
    assert program(tmp_path, text, "more").predictors["more"].demos == ()
    assert said(tmp_path, text) == [("DS0367", f"`More` does not take over 1 demo of `Route`: {why}")]


def test_media_of_the_bases_demos_are_there_in_the_editor_too(tmp_path: Path) -> None:
    """Where no file may be read, a path stands for what it leads to."""
    photos(tmp_path)
    text = PHOTOS + 'signature More extends See { "Anew." }\nmodule more = Predict(More)\n'
    for probe in (True, False):
        assert [one.code for one in checked(tmp_path, text, probe=probe).diagnostics] == []
        assert program(tmp_path, text, "more", probe=probe).predictors["more"].demos


# What is refused ---------------------------------------------------------------------------------

REFUSED: dict[str, list[tuple[str, str]]] = {
    'demo { txt = "a"; intent = "billing"; urgency = 1 }': [
        ("DS0304", "`Route` has no field `txt`; did you mean `text`?")
    ],
    'demo { text = "a"; reasoning = "r"; intent = "billing"; urgency = 1 }': [
        ("DS0304", "`Route` has no field `reasoning`")
    ],
    'demo { text = "a"; text = "b"; intent = "billing"; urgency = 1 }': [("DS0106", "`text` is set twice")],
    'demo { text = 1; intent = "biling"; urgency = 1 }': [
        ("DS0301", "`text` must be str, and this is int"),
        ("DS0306", '"biling" is not one of the values of `intent`; did you mean "billing"?'),
    ],
    'demo { text = intent; intent = "billing"; urgency = 1 }': [
        ("DS0201", "there is no value named `intent` here")
    ],
    'demo { text = str(1 / 0); intent = "billing"; urgency = 1 }': [
        ("DS0513", "`1 / 0` divides by zero, whatever the row")
    ],
    'demo { text = "a"; intent = "billing"; urgency = 9 }': [
        ("DS0364", "this demo breaks an `assert`: at most 5")
    ],
    'demo { text = "a" }': [("DS0363", "this demo gives no output")],
    "demo { }": [("DS0363", "this demo gives no output")],
    'demo { text = "a"; intent = "billing" }': [("DS0365", "this demo leaves out `urgency`")],
    'demo { intent = "billing"; urgency = 1 }': [("DS0365", "this demo leaves out `text`")],
    'demo { input text = "a"; intent = "billing"; urgency = 1 }': [
        ("DS0104", "only `name = value` is allowed in `demo`")
    ],
    'demo { "why"; text = "a"; intent = "billing"; urgency = 1 }': [
        ("DS0104", "only `name = value` is allowed in `demo`")
    ],
    'dmeo { text = "a"; intent = "billing"; urgency = 1 }': [
        ("DS0105", "a signature has no attribute `dmeo`; did you mean `demo`?")
    ],
    'demo = "a"': [("DS0104", "`demo` is a section: write `demo { … }` without `=`")],
}


@pytest.mark.parametrize("demo", REFUSED)
def test_one_mistake_is_one_message(demo: str, tmp_path: Path) -> None:
    assert said(tmp_path, route(demo)) == REFUSED[demo]


def test_records_in_a_demo_hold_what_they_assert(tmp_path: Path) -> None:
    text = (
        'signature S { input x: str; output lines: list[Line]; demo { x = "a"; lines = [Line("B", 0)] } }\n'
    )
    assert said(tmp_path, text + "module m = Predict(S)\n") == [
        ("DS0364", "this demo breaks an `assert`: lines[0]: a line has something")
    ]


def test_an_assert_of_what_is_left_out_is_not_looked_at(tmp_path: Path) -> None:
    found = program(tmp_path, route('demo { text = "a"; intent = "billing" }'))
    assert found.predictors["router"].demos[0].outputs == {"intent": "billing"}


def test_what_is_left_out_on_purpose_is_allowed_by_a_comment(tmp_path: Path) -> None:
    demo = '# dspc: allow DS0365 -- the model is to judge that\n  demo { text = "a"; intent = "billing" }'
    assert said(tmp_path, route(demo)) == []


def test_demos_of_the_same_inputs(tmp_path: Path) -> None:
    assert said(tmp_path, route(WHOLE, WHOLE)) == [("DS0366", "this demo is there twice")]
    other = WHOLE.replace("billing", "refund")
    assert said(tmp_path, route(WHOLE, other)) == [
        ("DS0366", "this demo has the inputs of another one, and answers otherwise")
    ]


@pytest.mark.parametrize(
    "kind",
    ["module m = Predict(sig(a -> b)) { demo { a = 1 } }", "record R { field a: str; demo { a = 1 } }"],
)
def test_only_a_signature_has_demos(kind: str, tmp_path: Path) -> None:
    assert [one.code for one in checked(tmp_path, kind).diagnostics if one.severity == "error"]


BROKEN = [
    'demo { text = "a"; intent = "billing"; urgency = 1',
    'demo { text = "a", intent = "billing"; urgency = 1 }',
    'demo { text: "a"; intent = "billing"; urgency = 1 }',
    'demo first { text = "a"; intent = "billing"; urgency = 1 }',
    'demo(text = "a", intent = "billing", urgency = 1)',
    'demo = { text = "a"; intent = "billing"; urgency = 1 }',
    'demo { "text": "a" }',
]


@pytest.mark.parametrize("demo", BROKEN)
def test_a_broken_demo_spoils_nothing_else(demo: str, tmp_path: Path) -> None:
    """What is said is said of the syntax, with what to do, and the demo behind it is read."""
    found = checked(tmp_path, route(demo, 'demo { text = 5; intent = "refund"; urgency = 1 }'))
    assert {one.code for one in found.diagnostics} <= {"DS0101", "DS0102", "DS0301"}
    assert all(one.help or one.fixes for one in found.diagnostics if one.code != "DS0301")


# Optimizers --------------------------------------------------------------------------------------

TUNED = """\
dataset rows { source = csv("rows.csv"); input text: str; field intent: Intent; split { train = 4; val = 4 } }
metric right(gold: rows, pred: router) = gold.intent == pred.intent
optimize tuned { program = router; metric = right; train = rows.train; val = rows.val; step one = STEP }
"""


@pytest.mark.parametrize(
    ("step", "thrown"),
    [
        ("LabeledFewShot()", True),
        ("BootstrapFewShot()", True),
        ("BootstrapFewShot(teacher = router)", False),
        ("COPRO()", False),
        ('GEPA(auto = "light")', False),
        ('MIPROv2(auto = "light")', False),
    ],
)
def test_a_step_that_replaces_them_is_told_of(step: str, thrown: bool, tmp_path: Path) -> None:
    """As of the demos that another block brings."""
    for demos in ((WHOLE,), ()):
        found = said(tmp_path, route(*demos) + TUNED.replace("STEP", step))
        expected = [("DS0610", "step `one` throws away the demos that `router` brings")]
        assert [one for one in found if one[0] == "DS0610"] == (expected if demos and thrown else [])


PROJECT = """\
dspec 1

lm learner { model = "embedded/icl"; max_tokens = 50 }
type Topic = "billing" | "shipping" | "other"

signature Sort {
  "Sort the message."
  input text: str
  output topic: Topic
  demo { text = "the invoice is wrong"; topic = "billing" }
  demo { text = "my parcel is late"; topic = "shipping" }
}
module sorter = Predict(Sort)
module namer = Predict(sig(text, hint: Topic -> topic: Topic))

program Both(text: str) -> (topic: Topic) {
  let first = sorter(text = text)
  return topic = namer(text = text, hint = first.topic).topic
}

dataset rows {
  source = csv("rows.csv")
  input text: str
  field topic: Topic
  split { train = 8; val = 8 }
}
metric right(gold: rows, pred: Both) = gold.topic == pred.topic

optimize kept {
  program = Both; metric = right; train = rows.train; scoring = "none"
  step one = LabeledFewShot(k = 3, freeze = [sorter])
}
optimize replaced {
  program = Both; metric = right; train = rows.train; val = rows.val
  step one = LabeledFewShot(k = 3)
}
"""


def started(folder: Path, text: str = PROJECT) -> Path:
    (folder / "dspec.toml").touch()
    rows = [("the invoice is wrong", "billing"), ("my parcel is late", "shipping"), ("hello", "other")]
    lines = [f"{text},{topic}" for _ in range(8) for text, topic in rows]
    (folder / "rows.csv").write_text("text,topic\n" + "\n".join(lines) + "\n", encoding="utf-8")
    (folder / "main.dspec").write_text(text, encoding="utf-8")
    return folder / "main.dspec"


def test_frozen_demos_are_not_thrown_away(tmp_path: Path) -> None:
    found = analyse(started(tmp_path)).diagnostics
    assert [(one.code, one.primary.location.text) for one in found if one.code == "DS0610"] == [
        ("DS0610", "one")
    ]
    replaced = PROJECT.index("optimize replaced")
    assert all(one.primary.location.start > replaced for one in found if one.code == "DS0610")


def planned(folder: Path, text: str, name: str) -> Plan:
    found = analyse(started(folder, text))
    assert found.project is not None, [one.message for one in found.diagnostics]
    project = found.project
    needs = compile_needs(project, {name: project.optimizes[name]})
    return plan(Prepared(project, folder, needs), name)


def test_a_plan_counts_what_the_demos_take(tmp_path: Path) -> None:
    text = PROJECT.replace("embedded/icl", "openai/gpt-4o-mini")
    bare = re.sub(r"\n  demo \{.*\}", "", text)
    assert "demo {" not in bare
    one, other = (planned(tmp_path, each, "replaced") for each in (text, bare))
    size = len("the invoice is wrong") + len("my parcel is late")
    for whole, less in ((one.maximum, other.maximum), (one.expected(), other.expected())):
        assert whole.calls == less.calls
        assert whole.input_tokens is not None
        assert less.input_tokens is not None
        assert whole.input_tokens - less.input_tokens > 8 * size / 6  # in the baseline's 8 prompts at least


@pytest.fixture(scope="module")
def compiled(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """A project that was compiled, and what was said of it."""
    folder = tmp_path_factory.mktemp("compiled")
    started(folder)
    done = dspc("compile", "main.dspec", cwd=folder)
    assert done.code == 0, done.text
    return folder, done.text


def test_they_stay_where_they_are_frozen_and_are_replaced_elsewhere(compiled: tuple[Path, str]) -> None:
    folder, _ = compiled
    kept, replaced = (
        read_artifact(folder / "compiled" / f"{name}.dspc.json").program for name in ("kept", "replaced")
    )
    assert isinstance(kept, Program)
    assert isinstance(replaced, Program)
    written = ({"text": "the invoice is wrong"}, {"text": "my parcel is late"})
    assert tuple(one.inputs for one in kept.predictors["sorter"].demos) == written
    assert len(kept.predictors["namer"].demos) == len(replaced.predictors["sorter"].demos) == 3
    state = dspy_state(kept)["sorter"]
    assert isinstance(state, dict)
    assert state["demos"] == [
        {"text": "the invoice is wrong", "topic": "billing"},
        {"text": "my parcel is late", "topic": "shipping"},
    ]


def test_rows_that_a_demo_shows_are_told_of(compiled: tuple[Path, str]) -> None:
    """A score on what stands in the prompt says nothing of what is new."""
    assert "of val are in the prompt of the result" in compiled[1]


async def test_a_program_of_the_source_runs_with_them(tmp_path: Path) -> None:
    """The embedded learner knows nothing but the prompt."""
    project = analyse(started(tmp_path)).project
    assert project is not None
    async with Engine() as engine:
        for text, topic in (("a parcel that is late", "shipping"), ("an invoice", "billing")):
            ran = await run(project.programs["sorter"], {"text": text}, engine)
            assert ran.outputs == {"topic": topic}


def test_they_are_shown(tmp_path: Path) -> None:
    project = analyse(started(tmp_path)).project
    assert project is not None
    page = io.StringIO()
    draw_runnable(Console(file=page, width=200), project.programs["sorter"])
    assert 'demo (given): {"text": "my parcel is late"} -> {"topic": "shipping"}' in page.getvalue()


def test_the_ir_has_them(tmp_path: Path) -> None:
    project = analyse(started(tmp_path)).project
    assert project is not None
    ir = json.loads(project.model_dump_json())
    demos = ir["programs"]["Both"]["predictors"]["sorter"]["demos"]
    assert demos[1] == {
        "inputs": {"text": "my parcel is late"},
        "outputs": {"topic": "shipping"},
        "augmented": False,
    }


def test_an_unchanged_check_looks_at_the_files_of_demos(tmp_path: Path) -> None:
    photos(tmp_path)
    source = tmp_path / "main.dspec"
    source.write_text(HEAD + PHOTOS, encoding="utf-8")
    cache = FolderCache(tmp_path / "state")
    with journal() as reads:
        (found,) = analyse_all([source])
    assert found.diagnostics == ()
    remember(cache, [source], CheckResult(found.diagnostics), reads, deep=False)
    assert recall(cache, [source], deep=False) is not None
    (tmp_path / "photos" / "cat.png").write_text("no picture", encoding="utf-8")
    assert recall(cache, [source], deep=False) is None
    (found,) = analyse_all([source])
    assert [one.code for one in found.diagnostics] == ["DS0661"]
