"""The front door: what `analyse` gives for whole projects, and what it survives."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dspec.compiler import ir
from dspec.compiler.check.analysis import Analysis, analyse
from dspec.runtime.schema.expressions import Constant, Member, Variable
from dspec.runtime.schema.program import CallStep, CheckStep, ValueStep

TOPICS = ("card_lost", "cash_withdrawal", "top_up", "other")
ROWS = "text,intent\n" + "".join(f"message {n} on {TOPICS[n % 4]},{TOPICS[n % 4]}\n" for n in range(300))

ROUTER = """\
dspec 1

lm mini  { model = "openai/gpt-4o-mini"; temperature = 0.0; max_tokens = 400 }

type Intent = "card_lost" | "cash_withdrawal" | "top_up" | "other"

signature Route {
  "Decide which banking intent the customer message expresses."
  fixed = "Never invent an intent that is not listed."      # no optimizer may rewrite this part
  input  text: str
  output intent: Intent
  output confidence: float  "0 to 1"
  assert 0.0 <= confidence and confidence <= 1.0 else "confidence must lie in 0..1"
}

module router = ChainOfThought(Route)

dataset tickets {
  source = csv("data/tickets.csv")
  input text: str
  field intent: Intent
  split { train = 20%; val = 60%; test = 20%; seed = 7; stratify = intent }
}

metric right(gold: tickets, pred: router) {
  score    = gold.intent == pred.intent
  feedback = if score then "correct" else "expected " + gold.intent
}

optimize router_v1 {
  program = router; metric = right; train = tickets.train; val = tickets.val; seed = 9
  budget { usd = 2.00 }
  step labels = LabeledFewShot(k = 8)
  step demos = BootstrapFewShot(teacher = labels, max_bootstrapped_demos = 4, max_labeled_demos = 8)
  emit = demos
}

eval ship {
  program = router_v1; baseline = router; metric = right; data = tickets.test
  gate score >= baseline.score + 0.02
}
"""

MINI = 'dspec 1\n\nlm mini { model = "openai/gpt-4o-mini" }\n'


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "dspec.toml").touch()
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "tickets.csv").write_text(ROWS, encoding="utf-8")
    return tmp_path


def check(folder: Path, text: str, name: str = "main.dspec") -> Analysis:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return analyse(path)


def project(folder: Path, text: str) -> ir.Project:
    found = check(folder, text)
    assert [diagnostic.message for diagnostic in found.diagnostics] == []
    assert found.project is not None
    return found.project


def codes(found: Analysis) -> list[str]:
    return [diagnostic.code for diagnostic in found.diagnostics]


def test_the_languages_first_example_lowers(folder: Path) -> None:
    found = project(folder, ROUTER)
    program = found.programs["router"]
    assert [field.name for field in program.inputs] == ["text"]
    assert [field.name for field in program.outputs] == ["reasoning", "intent", "confidence"]
    (step,) = program.steps
    assert isinstance(step, CallStep)
    assert (step.name, step.predictor) == ("router", "router")
    predictor = program.predictors["router"]
    assert predictor.strategy == "ChainOfThought"
    assert predictor.lm == "mini"
    assert predictor.signature.instruction == "Decide which banking intent the customer message expresses."
    assert predictor.signature.fixed == ("Never invent an intent that is not listed.",)
    assert predictor.signature.checks[0].message == Constant(value="confidence must lie in 0..1")
    assert program.lms["mini"].temperature == 0.0

    block = found.optimizes["router_v1"]
    assert block.train == ir.RowsRef(dataset="tickets", part="train")
    assert [step.optimizer for step in block.steps] == ["LabeledFewShot", "BootstrapFewShot"]
    assert block.steps[1].options == {"max_bootstrapped_demos": 4, "max_labeled_demos": 8}
    assert (block.steps[1].teacher, block.emit, block.budget.usd, block.seed) == ("labels", "demos", 2.0, 9)
    assert found.evals["ship"].gates[0].text == "score >= baseline.score + 0.02"
    assert found.datasets["tickets"].split == ir.Split(
        parts={
            name: ir.Amount(value=value, unit="percent")
            for name, value in (("train", 20), ("val", 60), ("test", 20))
        },
        seed=7,
        stratify="intent",
    )


def test_ir_survives_json(folder: Path) -> None:
    found = project(folder, ROUTER)
    assert ir.Project.model_validate_json(found.model_dump_json()) == found


PIPELINE = """\
dspec 1

lm mini { model = "openai/gpt-4o-mini"; default = true; fallback = [large] }
lm large { model = "openai/gpt-4o"; api_key = env("LARGE_KEY"); price { input = 2.5; output = 10 } }

record Line { "An order line."; field sku: str; field qty: float; assert qty > 0 else "must be positive" }
record Order { field lines: list[Line]; field note: str? }

signature Read { input text: str; output order: Order }
signature Sum {
  input order: Order
  input style: "short" | "long" = "short"
  output summary: str
  suggest len(summary) < 500
}
module reader = Predict(Read)
module summarize = ChainOfThought(Sum, lm = large)

program Orders(text: str, limit: int = 3) -> (summary: str, skus: list[str]) {
  let read = reader(text = text)
  assert len(read.order.lines) <= limit else "at most " + str(limit) + " lines"
  let skus = [line.sku for line in read.order.lines]
  suggest skus != []
  let told = summarize(order = read.order)
  return summary = lower(told.summary), skus = skus
}
"""


def test_a_program_lowers_to_its_graph(folder: Path) -> None:
    found = project(folder, PIPELINE)
    program = found.programs["Orders"]
    assert [type(step) for step in program.steps] == [CallStep, CheckStep, ValueStep, CheckStep, CallStep]
    hard, soft = (step for step in program.steps if isinstance(step, CheckStep))
    assert hard.blames == "read"
    assert soft.blames == "read", "through the value it was computed from"
    assert soft.check.message == Constant(value="this must hold: skus != []")
    told = program.steps[-1]
    assert isinstance(told, CallStep)
    assert told.arguments["order"] == Member(target=Variable(name="read"), name="order")
    assert told.arguments["style"] == Constant(value="short"), "a default is part of the call"
    assert set(program.predictors) == {"reader", "summarize"}
    assert set(program.records) == {"Line", "Order"}
    assert set(program.lms) == {"mini", "large"}
    assert program.inputs[1].default == 3
    assert found.unbound["Orders"] == ("reader",)
    assert found.lms["large"].price_output == 10.0
    assert found.lms["large"].api_key_env == "LARGE_KEY"


def test_a_call_inside_an_expression_becomes_a_step(folder: Path) -> None:
    text = """\
dspec 1

lm mini { model = "openai/gpt-4o-mini" }
module ask = Predict(sig(question -> answer))
program P(question: str) -> (answer: str) {
  return answer = ask(question = ask(question = question).answer).answer
}
"""
    program = project(folder, text).programs["P"]
    first, second = program.steps
    assert isinstance(first, CallStep)
    assert isinstance(second, CallStep)
    assert (first.name, second.name) == ("ask#1", "ask#2")
    assert second.arguments["question"] == Member(target=Variable(name="ask#1"), name="answer")


def test_instruction_when_a_signature_has_no_doc_string(folder: Path) -> None:
    text = MINI + "module ask = Predict(sig(question, hint -> answer))\n"
    program = project(folder, text).programs["ask"]
    assert program.predictors["ask"].signature.instruction == "From `question` and `hint`, produce `answer`."


def test_module_named_like_its_input(folder: Path) -> None:
    text = MINI + "module text = Predict(sig(text -> answer))\n"
    (step,) = project(folder, text).programs["text"].steps
    assert step.name != "text", "a step that shares its name with an input would seem to read itself"  # type: ignore[union-attr]


LMS = """\
dspec 1

lm small { model = "openai/gpt-4o-mini" }
lm judge { model = "openai/gpt-4o" }
type Mood = "good" | "bad"
record Person { field name: str }
"""


def test_imports_across_files(folder: Path) -> None:
    (folder / "lib").mkdir()
    (folder / "lib" / "lms.dspec").write_text(LMS, encoding="utf-8")
    (folder / "lib" / "parts.dspec").write_text(
        'dspec 1\n\nimport "lms.dspec" as lms\n'
        "signature Rate { input who: lms.Person; output mood: lms.Mood }\n"
        "module rate = Predict(Rate, lm = lms.judge)\n"
        'dataset people { source = jsonl("people.jsonl"); input who: lms.Person; field mood: lms.Mood }\n',
        encoding="utf-8",
    )
    (folder / "lib" / "people.jsonl").write_text('{"who": {"name": "A"}, "mood": "good"}\n', encoding="utf-8")
    found = project(
        folder,
        'dspec 1\n\nimport "lib/parts.dspec" as parts\n'
        "metric same(gold: parts.people, pred: parts.rate) = gold.mood == pred.mood\n"
        "eval e { program = parts.rate; metric = same; data = parts.people }\n",
    )
    assert set(found.lms) == {"parts.lms.small", "parts.lms.judge"}
    program = found.programs["parts.rate"]
    assert program.predictors["parts.rate"].lm == "parts.lms.judge"
    assert set(program.records) == {"parts.lms.Person"}
    assert found.datasets["parts.people"].source.path == "lib/people.jsonl", "told from the root file"
    assert found.evals["e"].program == "parts.rate"


def test_default_model_comes_from_the_importing_file_when_the_library_has_none(folder: Path) -> None:
    (folder / "lib.dspec").write_text(
        "dspec 1\n\nmodule ask = Predict(sig(question -> answer))\n", encoding="utf-8"
    )
    found = project(
        folder,
        'dspec 1\n\nimport "lib.dspec" as lib\nlm mini { model = "openai/gpt-4o-mini" }\n'
        "program P(q: str) -> (answer: str) { let a = lib.ask(question = q)\n return answer = a.answer }\n",
    )
    assert found.programs["P"].predictors["lib.ask"].lm == "mini"


def test_optimize_block_brings_its_own_model(folder: Path) -> None:
    large = '\nlm large { model = "openai/gpt-4o"; max_tokens = 400 }\n'
    two = ROUTER.replace("\ntype Intent", f"{large}\ntype Intent").replace(
        "metric = right; train", "lm = large; metric = right; train"
    )
    found = project(folder, two)
    assert found.programs["router"].predictors["router"].lm == "large", "no default: the block's model"
    marked = project(folder, two.replace("temperature = 0.0;", "temperature = 0.0; default = true;"))
    assert marked.programs["router"].predictors["router"].lm == "mini"
    student = marked.student("router_v1")
    assert student.predictors["router"].lm == "large"
    assert set(student.lms) == {"large"}


def test_text_in_the_editor_stands_in_for_the_file(folder: Path) -> None:
    path = folder / "main.dspec"
    path.write_text(ROUTER, encoding="utf-8")
    found = analyse(path, text=ROUTER.replace("gold.intent ==", "gold.intnet =="))
    assert codes(found) == ["DS0501"]


def test_a_column_of_the_file_that_nobody_declares_is_no_slip_of_the_keyboard(folder: Path) -> None:
    rows = (folder / "data" / "tickets.csv") if (folder / "data").is_dir() else folder / "tickets.csv"
    head, _, rest = rows.read_text(encoding="utf-8").partition("\n")
    lines = [f"{line},x" for line in rest.splitlines()]
    rows.write_text("\n".join([f"{head},intents", *lines]) + "\n", encoding="utf-8")
    path = folder / "main.dspec"
    path.write_text(ROUTER.replace("gold.intent ==", "gold.intents =="), encoding="utf-8")
    (found,) = analyse(path).diagnostics
    assert found.code == "DS0501"
    assert found.help == "its file has that column: declare it in `tickets`, as in `field intents: str`"
    assert not found.fixes


def test_without_probing_no_data_file_is_touched(folder: Path) -> None:
    path = folder / "main.dspec"
    path.write_text(ROUTER.replace("tickets.csv", "gone.csv"), encoding="utf-8")
    assert codes(analyse(path)) == ["DS0401"]
    quick = analyse(path, probe=False)
    assert codes(quick) == []
    assert quick.project is not None


def test_uses_lead_to_declarations(folder: Path) -> None:
    found = check(folder, ROUTER)
    place = ROUTER.index("gold.intent") + len("gold.")
    symbol = found.symbols.at(found.source, place)
    assert symbol is not None
    assert (symbol.kind, symbol.name, symbol.location.start) == (
        "column",
        "intent",
        ROUTER.index("field intent") + len("field "),
    )
    assert sum(use.symbol is symbol for use in found.symbols.uses) == 3, "score, feedback and stratify"
    module = found.symbols.at(found.source, ROUTER.index("program = router;") + len("program = "))
    assert module is found.symbols.scope.symbols["router"]
    assert found.symbols.at(found.source, ROUTER.index("temperature")) is None


def test_a_mistake_in_an_imported_file_is_shown_there(folder: Path) -> None:
    (folder / "lms.dspec").write_text('dspec 1\n\nlm judge { modl = "openai/gpt-4o" }\n', encoding="utf-8")
    found = check(
        folder, 'dspec 1\n\nimport "lms.dspec" as lms\nmodule ask = Predict(sig(a -> b), lm = lms.judge)\n'
    )
    assert {diagnostic.primary.location.source.name for diagnostic in found.diagnostics} == {"lms.dspec"}


def test_circle_of_three_files_is_named_once(folder: Path) -> None:
    for name, other in (("a", "b"), ("b", "c"), ("c", "a")):
        (folder / f"{name}.dspec").write_text(
            f'dspec 1\n\nimport "{other}.dspec" as {other}\nmodule m = Predict(sig(x -> y), lm = '
            f"{other}.none)\n",
            encoding="utf-8",
        )
    messages = [d.message for d in analyse(folder / "a.dspec").diagnostics if d.code == "DS0214"]
    assert messages == ["these files import each other in a circle: a.dspec → b.dspec → c.dspec → a.dspec"]


# Hostile input -----------------------------------------------------------------------------------


def test_unreadable_root_files(folder: Path) -> None:
    missing = analyse(folder / "no.dspec")
    assert codes(missing) == ["DS0810"]
    assert missing.project is None
    (folder / "latin.dspec").write_bytes(b"dspec 1\n\n# caf\xe9\n")
    (found,) = analyse(folder / "latin.dspec").diagnostics
    assert found.message == "`latin.dspec` cannot be read: it is not UTF-8 text (byte 14, in line 3)"
    os.mkfifo(folder / "pipe.dspec")
    assert codes(analyse(folder / "pipe.dspec")) == ["DS0810"]
    (folder / "loop.dspec").symlink_to(folder / "loop.dspec")
    (looped,) = analyse(folder / "loop.dspec").diagnostics
    assert "symbolic link" in looped.message
    with (folder / "huge.dspec").open("wb") as stream:
        stream.truncate(50 << 20)
    (huge,) = analyse(folder / "huge.dspec").diagnostics
    assert huge.message == "`huge.dspec` cannot be read: it has 50 MiB; at most 4 are read"


def test_import_through_a_link_out_of_the_project(
    folder: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    outside = tmp_path_factory.mktemp("outside") / "secret.dspec"
    outside.write_text('dspec 1\n\nlm judge { model = "openai/gpt-4o" }\n', encoding="utf-8")
    (folder / "lms.dspec").symlink_to(outside)
    found = check(
        folder, 'dspec 1\n\nimport "lms.dspec" as lms\nmodule ask = Predict(sig(a -> b), lm = lms.judge)\n'
    )
    assert codes(found) == ["DS0207"]


def test_byte_order_mark_and_windows_line_ends(folder: Path) -> None:
    path = folder / "main.dspec"
    path.write_bytes(b"\xef\xbb\xbf" + ROUTER.replace("\n", "\r\n").encode())
    assert codes(analyse(path)) == []


def test_deep_nesting_is_a_diagnostic(folder: Path) -> None:
    deep = "dspec 1\n\nsignature S { input a: str; output b: str; assert " + "not " * 50_000 + "true }\n"
    assert "DS0113" in codes(check(folder, deep))
    sums = (
        "dspec 1\n\nsignature S { input a: str; output b: int; assert b == "
        + " + ".join("1" * 20_000)
        + " }\n"
    )
    assert set(codes(check(folder, sums))) <= {"DS0113"}


WORDS = sorted({word for word in ROUTER.replace("(", " ( ").replace(".", " . ").split() if word})


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_broken_text_never_raises_and_every_message_has_a_place(folder: Path, data: st.DataObject) -> None:
    text = data.draw(st.sampled_from([ROUTER, PIPELINE]))
    for _ in range(data.draw(st.integers(1, 4))):
        start = data.draw(st.integers(0, len(text)))
        end = min(len(text), start + data.draw(st.integers(0, 30)))
        text = text[:start] + data.draw(st.sampled_from([*WORDS, "", "\n", "}", '"', "é"])) + text[end:]
    found = analyse(folder / "main.dspec", text=text, probe=False)
    for diagnostic in found.diagnostics:
        place = diagnostic.primary.location
        assert 0 <= place.start <= place.end <= len(place.source.text)
        assert diagnostic.message
    assert (found.project is None) == any(d.severity == "error" for d in found.diagnostics)


def test_deleting_a_word_keeps_the_other_declarations(folder: Path) -> None:
    """One mistake stays in its declaration: the dataset is known whatever happens to the signature."""
    for word in ("signature", "input", "text: str", "{", '"Decide'):
        broken = ROUTER.replace(word, "", 1)
        found = analyse(folder / "main.dspec", text=broken, probe=False)
        assert "tickets" in found.symbols.scope.symbols
        assert "router_v1" in found.symbols.scope.symbols
