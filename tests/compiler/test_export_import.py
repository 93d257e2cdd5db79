"""`dspc export` and `dspc import`: programs for DSPy, prompts as messages, rows as chats, and states that DSPy saved.

`tests/differential/test_adopted.py` shows DSPy loading what is written here.
"""

from __future__ import annotations

import ast
import json
from pathlib import Path
from typing import Any

import pytest
from dspc import dspc
from hypothesis import given
from hypothesis import strategies as st
from programs import call, const, fields, module, predictor, var

from dspec.compiler.check.analysis import analyse
from dspec.runtime.artifact.artifact import read_artifact
from dspec.runtime.artifact.dspy_layouts import in_todays_layout
from dspec.runtime.artifact.dspy_program import dspy_program
from dspec.runtime.artifact.dspy_state import dspy_state, with_dspy_state
from dspec.runtime.artifact.python_text import PythonText, python_literal
from dspec.runtime.errors import ArtifactError
from dspec.runtime.schema.types import STR

SOURCE = """dspec 1

lm mini { model = "openai/gpt-4o-mini"; temperature = 0.0; max_tokens = 300; default = true }
lm large { model = "openai/gpt-4o"; rpm = 5 }

type Intent = "billing" "money" | "other"
record Line { "A line."; field sku: str "as printed"; field count: int = 1 }

extern search(query: str, k: int = 2) -> list[str] { "Finds."; source = python("tools:search") }
extern texts(query: str) -> list[str] { "Texts."; source = bm25("texts.jsonl") }

signature Route {
  "Decide what it is."
  fixed = "Be brief."
  input text: str
  output intent: Intent
  output lines: list[Line]
  output sure: float
  assert 0.0 <= sure and sure <= 1.0
  assert len(lines) < 5 else "too many"
  demo { text = "hey"; intent = "other"; lines = [Line(sku = "A")]; sure = 0.5 }
}
signature Plain { "Answer."; input question: str; output answer: str }

module router = ChainOfThought(Route)
module plain = Predict(Plain, lm = large, temperature = 0.7)
module agent = ReAct(Plain, tools = [search, texts], max_iters = 3)
module best = BestOfN(Plain, n = 2, reward = short, threshold = 1.0)
metric short(pred: Plain) { score = if matches(pred.answer, "^a") then 1.0 else f1(pred.question, pred.answer) }

program simple(text: str) -> (answer: str) {
  let found = search(query = text)
  let a = if len(found) > 0 then plain(question = join(found, "; ")) else plain(question = text)
  let b = repeat 2 from a {
    until a.answer == "x"
    let a = plain(question = a.answer)
  }
  return answer = upper(b.answer)
}
program checked(text: str) -> (answer: str) {
  let r = router(text = text)
  assert r.sure > 0.5 else "be sure"
  let a = [plain(question = t) for t in [text, r.intent]]
  return answer = a[0].answer + str(r.sure)
}
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "pyproject.toml").touch()
    (tmp_path / "main.dspec").write_text(SOURCE)
    (tmp_path / "tools.py").write_text("def search(query, k=2):\n    return []\n")
    (tmp_path / "texts.jsonl").write_text('{"text": "a"}\n')
    return tmp_path


def exported(folder: Path, name: str) -> tuple[str, list[str], int]:
    done = dspc("export", "main.dspec", name, "--to", "dspy", "-o", "out.py", cwd=folder)
    text = (folder / "out.py").read_text()
    ast.parse(text)
    lost = [
        line.removeprefix("not exported: ")
        for line in done.err.splitlines()
        if line.startswith("not exported: ")
    ]
    return text, lost, done.code


def test_a_program_as_it_stands_is_loaded_by_applications(project: Path) -> None:
    place = project / "compiled" / "plain.dspc.json"
    write = ("export", "main.dspec", "plain", "--to", "artifact")
    done = dspc(*write, cwd=project)
    assert (done.code, done.out.strip()) == (0, f"wrote {place}")
    analysis = analyse(project / "main.dspec")
    assert analysis.project is not None
    artifact = read_artifact(place)
    assert artifact.program == analysis.project.programs["plain"]
    assert artifact.scores == {}
    assert artifact.notes == ("written from main.dspec as it stands: nothing was tuned, and nothing scored",)

    before = place.read_bytes()
    again = dspc(*write, cwd=project)
    assert (again.code, "is there already, and may have been compiled" in again.err) == (2, True)
    assert place.read_bytes() == before
    other = project / "other.dspc.json"
    assert dspc(*write, "-o", other, cwd=project).code == 0
    assert other.read_bytes() == before
    of_artifact = dspc("export", other, "--to", "artifact", cwd=project)
    assert (of_artifact.code, "is an artifact already" in of_artifact.err) == (2, True)
    with pytest.raises(ArtifactError, match=r"main\.dspec is a source") as told:
        read_artifact(project / "main.dspec")
    assert "--to artifact" in (told.value.help or "")


def test_a_program_for_dspy(project: Path) -> None:
    text, lost, code = exported(project, "simple")
    assert "from tools import search\n" in text
    assert (
        '    """Answer."""\n\n    question: str = dspy.InputField()\n    answer: str = dspy.OutputField()'
        in text
    )
    assert "self.plain = dspy.Predict(Plain, temperature=0.7)" in text
    body = text[text.index("    def forward(") : text.index("STATE")]
    assert body.rstrip() == (
        "    def forward(self, text: str) -> dspy.Prediction:\n"
        "        found = search(query=text)\n"
        "        if len(found) > 0:\n"
        '            plain_1 = self.plain(question="; ".join(found))\n'
        "            a = plain_1\n"
        "        else:\n"
        "            plain_2 = self.plain(question=text)\n"
        "            a = plain_2\n"
        "        a_ = a\n"
        "        for _ in range(2):\n"
        '            if a_.answer == "x":\n'
        "                break\n"
        "            a_1 = self.plain(question=a_.answer)\n"
        "            a_ = a_1\n"
        "        b = a_\n"
        "        return dspy.Prediction(answer=b.answer.upper())"
    )
    assert (code, lost) == (1, ["lm `large`: `rpm`, which `dspy.LM` has no setting for"])
    state = json.loads((project / "out.json").read_text())
    assert list(state) == ["plain", "metadata"]


def test_what_dspy_has_no_word_for_is_said(project: Path) -> None:
    text, lost, code = exported(project, "checked")
    assert code == 1
    assert "sure: float = dspy.OutputField()" not in text
    assert lost == [
        "router: what the labels of `intent` mean: say it in the field's `desc`",
        "lm `large`: `rpm`, which `dspy.LM` has no setting for",
        "Route: `assert len(lines) < 5`: DSPy has no checks",
        "the program's `assert r.sure > 0.5`: DSPy has no checks",
    ]
    assert "# Not exported: assert r.sure > 0.5" in text
    assert "sure: float = dspy.OutputField(ge=0.0, le=1.0)" in text
    assert '    """Decide what it is.\n    Be brief."""' in text
    assert (
        'class Line(BaseModel):\n    """A line."""\n\n    sku: str = Field(description="as printed")\n    count: int = 1'
        in text
    )
    assert (
        'models = {\n        "mini": dspy.LM("openai/gpt-4o-mini", temperature=0.0, max_tokens=300),' in text
    )


def test_agents_and_attempts(project: Path) -> None:
    text, lost, _ = exported(project, "agent")
    assert "self.agent = dspy.ReAct(AgentSignature, tools=[search, texts], max_iters=3)" in text
    assert lost == ["the tool `texts`: a `bm25` source: write the function `texts`"]
    text, lost, _ = exported(project, "best")
    assert "self.best = dspy.BestOfN(module=dspy.Predict(Plain), N=2, reward_fn=short, threshold=1.0)" in text
    assert '(re.search("^a", pred.answer) is not None)' in text
    assert "the function `f1`, which Python has none for: write `dspec_f1`" in lost
    assert "def dspec_f1(value_0: Any, value_1: Any) -> Any:\n    raise NotImplementedError" in text


def test_a_name_that_python_cannot_have_is_refused() -> None:
    asked = predictor(fields(**{"class": STR}), fields(answer=STR))
    with pytest.raises(ArtifactError, match="`class` cannot be called so in Python"):
        dspy_program(module(asked), "p", "p.json")


def test_expressions_as_python() -> None:
    writer = PythonText()
    shown = writer.of(call("join", call("split", var("text")), const("; ")))
    assert shown == '"; ".join(text.split())'
    assert writer.of(call("str", var("a", "b"))) == "as_text(a.b)"
    assert writer.of(call("ndcg", var("a"), var("b"))) == "dspec_ndcg(a, b)"
    assert writer.missing == {"ndcg": 2}


@given(
    st.recursive(
        st.none()
        | st.booleans()
        | st.integers()
        | st.floats(allow_nan=False, allow_infinity=False)
        | st.text(),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
        max_leaves=8,
    )
)
def test_literals_are_what_they_were(value: Any) -> None:
    assert ast.literal_eval(python_literal(value)) == value


# Messages and chats ---------------------------------------------------------------------------------------


def test_messages_are_what_the_runtime_sends(project: Path) -> None:
    from dspec.runtime.application import of_program

    done = dspc("export", "main.dspec", "router", "--to", "messages", "-i", "text=é«", cwd=project)
    assert done.code == 0, done.text
    found = analyse(project / "main.dspec").project
    assert found is not None
    with of_program(found.programs["router"]) as application:
        (prompt,) = application.inspect(text="é«")
    assert [(one["role"], one["content"]) for one in json.loads(done.out)] == list(prompt.messages)
    missing = dspc("export", "main.dspec", "router", "--to", "messages", cwd=project)
    assert (missing.code, "`text` is missing" in missing.err) == (1, True)
    later = dspc(
        "export",
        "main.dspec",
        "checked",
        "--to",
        "messages",
        "-i",
        "text=a",
        "--predictor",
        "plain",
        cwd=project,
    )
    assert (later.code, "asks nothing before another call" in later.err) == (1, True)


def test_a_prompt_needs_no_address(tmp_path: Path) -> None:
    (tmp_path / "own.dspec").write_text(
        'dspec 1\nlm own { model = "openai/m"; api_base = "http://127.0.0.1:1/v1" }\n'
        'signature Plain { "Answer."; input question: str; output answer: str }\nmodule plain = Predict(Plain)\n'
    )
    assert dspc("export", "own.dspec", "plain", "--to", "artifact", cwd=tmp_path).code == 0
    asked = ("--to", "messages", "-i", "question=Who?")
    of_source = dspc("export", "own.dspec", "plain", *asked, cwd=tmp_path)
    of_artifact = dspc("export", "compiled/plain.dspc.json", *asked, cwd=tmp_path)
    assert (of_artifact.code, of_artifact.out) == (0, of_source.out), of_artifact.err


def test_a_chat_for_each_row(project: Path) -> None:
    (project / "rows.csv").write_text('question,answer\nWho?,Ada\n"A, b",\n')
    done = dspc(
        "export",
        "main.dspec",
        "plain",
        "--to",
        "openai-jsonl",
        "--rows",
        "rows.csv",
        "-o",
        "chats.jsonl",
        cwd=project,
    )
    assert done.code == 0, done.text
    over = ("export", "main.dspec", "plain", "--to", "openai-jsonl", "--rows", "rows.csv", "-o", "./rows.csv")
    assert "would be overwritten" in dspc(*over, cwd=project).err
    first, second = (
        json.loads(line)["messages"] for line in (project / "chats.jsonl").read_text().splitlines()
    )
    assert [one["role"] for one in first] == ["system", "user", "assistant"]
    assert first[-1]["content"] == "[[ ## answer ## ]]\nAda\n\n[[ ## completed ## ]]"
    assert [one["role"] for one in second] == ["system", "user"]
    assert "note: `answer` is in 1 of 2 rows" in done.err
    none = dspc("export", "main.dspec", "plain", "--to", "openai-jsonl", cwd=project)
    assert (none.code, "--rows" in none.err) == (2, True)
    bad = dspc("export", "main.dspec", "plain", "--to", "openai-jsonl", "--rows", "tools.py", cwd=project)
    assert (bad.code, "is no file of rows" in bad.err) == (1, True)


# States -----------------------------------------------------------------------------------------------------

STATE = {
    "traces": [{"x": 1}],
    "train": [],
    "demos": [{"augmented": True, "question": "q", "answer": "a"}],
    "signature": {
        "instructions": "Answer it well.",
        "fields": [
            {"prefix": "Question:", "description": "what is asked"},
            {"prefix": "Answer:", "description": "${answer}"},
        ],
    },
    "lm": {"model": "openai/x", "api_base": "http://evil"},
}


def imported(folder: Path, state: Any, *more: str) -> Any:
    (folder / "state.json").write_text(json.dumps(state))
    return dspc("import", "state.json", "--into", "main.dspec:plain", *more, cwd=folder)


def test_a_state_becomes_an_artifact(project: Path) -> None:
    done = imported(project, {"plain": STATE, "metadata": {"dependency_versions": {"dspy": "3.4.1"}}})
    assert done.code == 0, done.text
    artifact = read_artifact(project / "compiled" / "plain.dspc.json")
    (one,) = artifact.program.predictors.values()  # type: ignore[union-attr]
    assert one.signature.instruction == "Answer it well."
    assert one.signature.inputs[0].description == "what is asked"
    assert [demo.outputs for demo in one.demos] == [{"answer": "a"}]
    assert "evil" not in (project / "compiled" / "plain.dspc.json").read_text()
    assert imported(project, STATE).code == 2
    assert imported(project, STATE, "--force").code == 0


@pytest.mark.parametrize(
    ("state", "said"),
    [
        (
            {
                "plan": {
                    **STATE,
                    "signature": {"instructions": "x", "fields": [{"prefix": "A:", "description": ""}]},
                }
            },
            "no predictor in it is `plain`: it has `plan`",
        ),
        ({"plain": STATE, "other": STATE}, "`other` is none of `plain`"),
        ({"plain": {**STATE, "demos": [{"question": "q", "answer": 3}]}}, None),
        ({"plain": {**STATE, "demos": [{"question": "q", "reply": "x"}]}}, "`reply`, which is no field"),
        ([1], "is no state"),
        ({"plain": {"demos": []}}, "`plain` has no signature"),
    ],
)
def test_what_does_not_fit_is_said(project: Path, state: Any, said: str | None) -> None:
    done = imported(project, state)
    assert done.code == 1
    assert "state.json" in done.err
    assert said is None or said in done.err
    assert not (project / "compiled").exists()


@pytest.mark.parametrize("name", ["program.pkl", "folder"])
def test_a_pickle_is_never_opened(project: Path, name: str) -> None:
    (project / "folder").mkdir()
    (project / "program.pkl").write_bytes(b"cos\nsystem\n(S'touch ran'\ntR.")
    done = dspc("import", name, "--into", "main.dspec:plain", cwd=project)
    assert (done.code, "runs code when it is opened" in done.err) == (2, True)
    assert not (project / "ran").exists()


OLD_24 = {
    "router": {
        "lm": None,
        "traces": [],
        "train": [],
        "demos": [{"augmented": True, "text": "a", "rationale": "so", "answer": "b"}],
        "signature_instructions": "Do.",
        "signature_prefix": "Answer:",
        "extended_signature_instructions": "Do it well.",
        "extended_signature_prefix": "Answer:",
    }
}
OLD_25 = {
    "router": {
        "lm": None,
        "demos": [{"text": "a", "reasoning": "so", "answer": "b"}],
        "signature": {
            "instructions": "Do.",
            "fields": [
                {"prefix": "Text:", "description": "${text}"},
                {"prefix": "Answer:", "description": "${answer}"},
            ],
        },
        "extended_signature": {
            "instructions": "Do it well.",
            "fields": [
                {"prefix": "Text:", "description": "the text"},
                {"prefix": "Reasoning: Let's think step by step in order to", "description": "${reasoning}"},
                {"prefix": "Answer:", "description": "${answer}"},
            ],
        },
    }
}


@pytest.mark.parametrize(("state", "description"), [(OLD_24, ""), (OLD_25, "the text")])
def test_older_layouts(state: Any, description: str) -> None:
    asked = predictor(fields(text=STR), fields(reasoning=STR, answer=STR)).model_copy(
        update={"strategy": "ChainOfThought"}
    )
    program = module(asked)
    renamed = {"module": state["router"]}
    assert in_todays_layout(renamed)[1]
    (found,) = with_dspy_state(program, renamed).predictors.values()
    assert found.signature.instruction == "Do it well."
    assert found.signature.inputs[0].description == description
    assert [(demo.inputs, demo.outputs) for demo in found.demos] == [
        ({"text": "a"}, {"reasoning": "so", "answer": "b"})
    ]
    today = dspy_state(program)
    assert in_todays_layout(today) == (today, False)


def test_a_path_of_dspys_is_found_by_its_end() -> None:
    asked = predictor(fields(text=STR), fields(answer=STR))
    program = module(asked)
    state = dspy_state(program)
    inner = state.pop("module")
    assert with_dspy_state(program, {"outer.parts.module": inner, **state}) == program
