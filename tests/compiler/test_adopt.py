"""`dspc adopt`: what of DSPy, promptfoo and BAML is read, what is said of the rest, and that nothing of it runs or takes long.

`tests/differential/test_adopted.py` holds adopted programs against DSPy itself.
"""

from __future__ import annotations

import json
import re
import shutil
import textwrap
import time
from pathlib import Path

import published
import pytest
from dspc import dspc

from dspec.compiler.check.analysis import analyse
from dspec.compiler.compile.adopt.adopting import adopted
from dspec.compiler.compile.adopt.drafts import Draft, documented, plain_name, quoted
from dspec.grammar.lexemes import string_value
from dspec.runtime.errors import InputError

PROGRAMS = Path(__file__).parent.parent / "differential" / "adopted"


def read(tmp_path: Path, text: str, name: str | None = None, file: str = "program.py") -> Draft:
    path = tmp_path / file
    path.write_text(textwrap.dedent(text), encoding="utf-8")
    return adopted(path, name)


def errors(tmp_path: Path, draft: Draft) -> list[str]:
    (tmp_path / "pyproject.toml").touch()
    for name, rows in draft.files.items():
        (tmp_path / name).write_text(rows)
    path = tmp_path / "adopted.dspec"
    path.write_text(draft.text(), encoding="utf-8")
    return [f"{one.code}: {one.message}" for one in analyse(path).diagnostics if one.severity == "error"]


SIGNATURE = """
import dspy
from typing import Any, Dict, List, Literal, Optional, Union
from pydantic import BaseModel, Field
from dataclasses import dataclass
from enum import Enum
import datetime

class Colour(Enum):
    RED = "red"
    BLUE = "blue"

class Point(BaseModel):
    x: float = Field(description="across")
    tags: List[str] = []

class Deep(Point):
    z: Optional[float] = None

@dataclass
class Pair:
    left: Point
    right: "Point | None"

KINDS = ["a", "b"]
Kind = Literal["a", "b"]

class S(dspy.Signature):
    one: TYPE = dspy.InputField()
    out: str = dspy.OutputField()

p = dspy.Predict(S)
"""


@pytest.mark.parametrize(
    ("python", "kind"),
    [
        ("str", "str"),
        ("int", "int"),
        ("Any", "any"),
        ("bool", "bool"),
        ("datetime.date", "date"),
        ("datetime.datetime", "datetime"),
        ("list[str]", "list[str]"),
        ("List[Point]", "list[Point]"),
        ("Dict[str, float]", "dict[str, float]"),
        ("dict", "dict[str, any]"),
        ("tuple[int, float]", "tuple[int, float]"),
        ("tuple[int, ...]", "list[int]"),
        ("Optional[int]", "int?"),
        ("int | None", "int?"),
        ("'list[int]'", "list[int]"),
        ("Literal['x', 'y']", '"x" | "y"'),
        ("Literal[1, 2]", "1 | 2"),
        ("Literal[tuple(KINDS)]", '"a" | "b"'),
        ("Optional[Literal['x', 'y']]", "Choice?"),
        ("Kind", "Kind"),
        ("Colour", "Colour"),
        ("Deep", "Deep"),
        ("Pair", "Pair"),
        ("Union[Point, None]", "Point?"),
        ("dspy.Image", "image"),
        ("dspy.History", "history"),
        ("Union[int, str]", "any"),
    ],
)
def test_types(tmp_path: Path, python: str, kind: str) -> None:
    draft = read(tmp_path, SIGNATURE.replace("TYPE", python))
    (signature,) = draft.sections["signature"]
    assert f"  input one: {kind}\n" in signature
    if kind != "history":
        assert errors(tmp_path, draft) == []


def test_records_keep_defaults_descriptions_and_bases(tmp_path: Path) -> None:
    records = read(tmp_path, SIGNATURE.replace("TYPE", "Pair")).sections["record"]
    assert records[0] == 'record Point {\n  field x: float "across"\n  field tags: list[str] = []\n}'
    assert "record Pair {\n  field left: Point\n  field right: Point?\n}" in records


def test_what_is_none_by_default_may_be_missing(tmp_path: Path) -> None:
    draft = read(
        tmp_path,
        """
        import dspy
        from typing import Literal
        from pydantic import BaseModel

        class Order(BaseModel):
            note: str = None

        class Chat(dspy.Signature):
            '''Answer.'''
            history: dspy.History = dspy.InputField(default=None)
            tone: Literal["kind", "dry"] = dspy.InputField(default=None)
            question: str = dspy.InputField()
            answer: Order = dspy.OutputField(default=None)

        def look(text: str, most: int = None) -> str:
            "Looks."

        class Bot(dspy.Module):
            def __init__(self):
                self.reply = dspy.Predict(Chat)
                self.act = dspy.ReAct("question -> answer", tools=[look])

            def forward(self, question, history: dspy.History = None, tone: Literal["kind", "dry"] = None):
                return self.reply(question=question, history=history, tone=tone)
        """,
    )
    text = draft.text()
    for line in (
        "field note: str? = none",
        "input history: history? = none",
        "input tone: Choice? = none",
        "output answer: Order\n",
        "extern look(text: str, most: int? = none) -> str {",
        "program Bot(question: str, history: history? = none, tone: Choice? = none) -> (answer: Order) {",
    ):
        assert line in text
    assert errors(tmp_path, draft) == []


def test_bounds_of_outputs_are_asserts(tmp_path: Path) -> None:
    draft = read(
        tmp_path,
        """
        import dspy
        class S(dspy.Signature):
            "Rate it."
            text = dspy.InputField(prefix="Text:")
            mark: int = dspy.OutputField(desc="of ten", ge=0, le=10)
            why: str = dspy.OutputField(max_length=80)
        rate = dspy.ChainOfThought(S, temperature=0.5)
        """,
    )
    assert (
        "  assert mark >= 0\n  assert mark <= 10\n  assert len(why) <= 80" in draft.sections["signature"][0]
    )
    assert draft.sections["module"] == ["module rate = ChainOfThought(S, temperature = 0.5)"]
    assert errors(tmp_path, draft) == []


FORWARD = """
import dspy
from enum import Enum, auto

def search(query: str) -> list[str]:
    return []

class Colour(Enum):
    RED = "red"
    BLUE = auto()

class Paint(dspy.Signature):
    question: str = dspy.InputField()
    colour: Colour = dspy.OutputField()

class P(dspy.Module):
    def __init__(self, k=2, style="short"):
        self.k = k
        self.style = style
        self.ask = dspy.Predict("question -> answer, sure: bool, items: list[str]")
        self.check = dspy.Predict("question, answer -> good: bool, note")
        self.paint = dspy.Predict(Paint)

    def shout(self, text, mark="!"):
        return text.upper() + mark

    def forward(self, question: str):
BODY
"""


@pytest.mark.parametrize(
    ("body", "lines"),
    [
        ("return self.ask(question=question)", ["let out = ask(question = question)", "answer = out.answer"]),
        (
            'a = self.ask(question=f"{self.style}: {question}")\nreturn dspy.Prediction(answer=a.answer.strip())',
            ['ask(question = "short" + ": " + question)', "return answer = strip(a.answer)"],
        ),
        (
            "a = self.ask(question=self.shout(question))\nreturn {'answer': self.shout(a.answer, '?')}",
            ['ask(question = upper(question) + "!")', 'answer = upper(a.answer) + "?"'],
        ),
        (
            "a = self.ask(question=question)\nif not a.sure:\n    a = self.ask(question=question + '?')\nreturn a",
            ['if not a.sure then ask(question = question + "?") else a', "answer = a_2.answer"],
        ),
        (
            "a = self.ask(question=question)\nif a.items:\n    return dspy.Prediction(x=a.items[0])\nreturn dspy.Prediction(x='')",
            ['x = if len(a.items) > 0 then a.items[0] else ""'],
        ),
        (
            "found = []\nfor one in self.ask(question=question).items:\n    found.append(self.ask(question=one).answer)\n"
            "return dspy.Prediction(found=found)",
            ["[ask(question = one).answer for one in first(ask(question = question).items, 20)]"],
        ),
        (
            "texts = [self.ask(question=q).answer for q in ['a', 'b']]\nreturn dspy.Prediction(text=' '.join(texts))",
            ['[ask(question = q).answer for q in ["a", "b"]]', 'text = join(texts, " ")'],
        ),
        (
            "facts = []\nfor _ in range(self.k):\n    facts += search(question)\nreturn dspy.Prediction(facts=facts)",
            [
                "let facts_2 = facts + search(query = question)",
                "let facts_3 = facts_2 + search(query = question)",
            ],
        ),
        (
            "answer = ''\nfor _ in range(4):\n    made = self.check(question=question, answer=answer)\n    if made.good:\n        break\n"
            "    answer = made.note\nreturn dspy.Prediction(answer=answer)",
            ["repeat 4 from answer {", "until made.good", "let answer = made.note"],
        ),
        (
            "a = self.ask(question=question)\ndspy.Suggest(len(a.answer) < 50, 'shorter')\nreturn a",
            ['suggest len(a.answer) < 50 else "shorter"'],
        ),
        (
            "for place in range(2):\n    a = self.ask(question=f'{place}: {question}')\n    if a.sure:\n"
            "        return dspy.Prediction(x=a.answer, y=1)\nreturn dspy.Prediction(x='', y=0)",
            [
                'let a = ask(question = str(0) + ": " + question)',
                "then P_then(a_answer = a.answer)",
                'x = if a.sure then a.answer else ""',
            ],
        ),
        (
            "a = self.ask(question=question)\nif a.sure:\n    b = self.check(question=question, answer=a.answer)\n"
            "    question = b.note + b.note\nreturn self.ask(question=question)",
            ["then P_then(question = question, a_answer = a.answer).question"],
        ),
        (
            "a = self.ask(question=question)\nif a.sure:\n    b = self.check(question=question, answer=a.answer)\n"
            "    return dspy.Prediction(x=b.note, y=b.note)\nreturn dspy.Prediction(x=a.answer, y='')",
            None,
        ),
        (
            "a, b = question, 'x'\na, b = b, a\nreturn dspy.Prediction(a=a, b=b)",
            ['let b = "x"', "return a = b, b = question"],
        ),
        (
            "a, b = [self.ask(question=q).answer for q in (question, 'x')]\nreturn dspy.Prediction(a=a, b=b)",
            ["let a = ask(question = question).answer", 'let b = ask(question = "x").answer'],
        ),
        (
            "c = self.paint(question=question)\nif c.colour == Colour.RED:\n    return dspy.Prediction(x=c.colour.value)\n"
            "return dspy.Prediction(x=Colour.BLUE.value)",
            ['if c.colour == "red" then c.colour else "blue"'],
        ),
    ],
)
def test_forward(tmp_path: Path, body: str, lines: list[str] | None) -> None:
    draft = read(tmp_path, FORWARD.replace("BODY", textwrap.indent(body, " " * 8)))
    assert lines is None or errors(tmp_path, draft) == []
    text = draft.text()
    for line in lines or []:
        assert line in text, text


@pytest.mark.parametrize(
    ("body", "why"),
    [
        ("while True:\n    pass", "`while` is not read"),
        ("return [self.ask(question=q) for q in question if q]", "no filter"),
        ("return self.ask(question=eval(question))", "a call of `eval`"),
        ("x = lambda: 1\nreturn x", "no form"),
        ("return self.ask(question=question[2:5])", "a slice"),
        ("return self.ask(question='%d' % 3)", "no form"),
        ("for x in range(3):\n    if x:\n        continue\nreturn x", "`continue`"),
        ("return self.ask(question=question).trajectory", "has no output `trajectory`"),
    ],
)
def test_what_is_not_read_is_said_at_its_line(tmp_path: Path, body: str, why: str) -> None:
    draft = read(tmp_path, FORWARD.replace("BODY", textwrap.indent(body, " " * 8)))
    lost = [one for one in draft.remarks if one.lost]
    assert any(why in one.text for one in lost), draft.remarks
    assert all(28 <= one.line <= 32 for one in lost)
    assert f"# program.py:{lost[0].line}: `P` is not read" in draft.text()


METRIC = """
import dspy
from dspy.evaluate import answer_exact_match, SemanticF1
lm = dspy.LM("openai/gpt-4o-mini")
dspy.configure(lm=lm)
qa = dspy.ChainOfThought("question -> answer, good: bool")

class Assess(dspy.Signature):
    "Is the text polite?"
    text: str = dspy.InputField()
    polite: bool = dspy.OutputField()

METRIC

rows = [dspy.Example(question="a", answer="b", good=True).with_inputs("question")]
tuned = dspy.BootstrapFewShot(metric=metric, max_bootstrapped_demos=1).compile(qa, trainset=rows)
"""


@pytest.mark.parametrize(
    ("python", "lines"),
    [
        ("metric = answer_exact_match", ["score = answer_exact_match(gold.answer, pred.answer)"]),
        (
            "def metric(e, p, trace=None):\n    return e.answer == p.answer",
            ["score = gold.answer == pred.answer"],
        ),
        (
            "def metric(e, p, trace=None):\n    return e.answer.lower() in p.answer.lower()",
            ["score = contains(lower(pred.answer), lower(gold.answer))"],
        ),
        (
            "def metric(e, p, trace=None):\n    s = 0.5 if p.good else 0.0\n    if trace is not None:\n        return s > 0.4\n    return s",
            ["let s = if pred.good then 0.5 else 0.0", "score = s", "accept = s > 0.4"],
        ),
        (
            "def metric(gold, pred, trace=None, pred_name=None, pred_trace=None):\n"
            "    right = gold.answer == pred.answer\n"
            "    return dspy.Prediction(score=1.0 if right else 0.0, feedback=f'expected {gold.answer}')",
            ["score = if right then 1.0 else 0.0", 'feedback = "expected " + gold.answer'],
        ),
        (
            "judge = dspy.Predict(Assess)\ndef metric(e, p, trace=None):\n    return judge(text=p.answer).polite and e.good == p.good",
            [
                'llm_judge("Is the text polite?", judge = lm, text = pred.answer) >= 0.5)',
                "and (gold.good == pred.good)",
            ],
        ),
        (
            "def same(a, b):\n    return a.strip() == b.strip()\ndef metric(e, p, trace=None):\n    return same(e.answer, p.answer)",
            ["score = strip(gold.answer) == strip(pred.answer)"],
        ),
        (
            "def metric(e, p, trace=None):\n    one = dspy.Predict(Assess)(text=p.answer)\n    two = dspy.Predict(Assess)(text=e.answer)\n"
            "    one, two = [m.polite for m in [one, two]]\n    score = (one + two) if one else 0\n    return score / 2.0",
            [
                'let one = (llm_judge("Is the text polite?", judge = lm, text = pred.answer) >= 0.5)',
                "if one then (if one then 1 else 0) + (if two then 1 else 0) else 0",
            ],
        ),
        (
            "def metric(e, p, trace=None):\n    same = e.answer == p.answer\n    return (same + (len(p.answer) < 9)) / 2",
            ["(if same then 1 else 0) + (if len(pred.answer) < 9 then 1 else 0)"],
        ),
    ],
)
def test_metrics(tmp_path: Path, python: str, lines: list[str]) -> None:
    draft = read(tmp_path, METRIC.replace("METRIC", python))
    assert errors(tmp_path, draft) == []
    for line in lines:
        assert line in draft.text(), draft.text()
    assert json.loads(draft.files["program.rows.jsonl"]) == {"question": "a", "answer": "b", "good": True}


def test_models_name_variables_and_never_hold_keys(tmp_path: Path) -> None:
    draft = read(
        tmp_path,
        """
        import os, dspy
        lm = dspy.LM(model="gpt-4o", api_key="sk-secret", max_tokens=5, num_retries=2)
        other = dspy.LM("anthropic/claude", api_key=os.environ["MY_API_KEY"], api_base=os.getenv("MY_URL"))
        dspy.configure(lm=other, adapter=dspy.JSONAdapter())
        ask = dspy.Predict("a -> b")
        """,
    )
    text = draft.text()
    assert "sk-secret" not in text
    assert (
        'api_key = env("MY_API_KEY")\n  api_base = env("MY_URL")\n  adapter = "json"\n  default = true'
        in text
    )
    assert 'model = "openai/gpt-4o"\n  max_tokens = 5\n  retry = 2\n  adapter = "json"\n}' in text


@pytest.mark.parametrize("path", sorted(PROGRAMS.glob("*.py")), ids=lambda path: path.stem)
def test_programs_in_the_manner_of_public_ones(tmp_path: Path, path: Path) -> None:
    (tmp_path / "pyproject.toml").touch()
    shutil.copy(path, tmp_path)
    done = dspc("adopt", path.name, "--json", cwd=tmp_path)
    report = published.read("adopt", done.out)
    assert report["errors"] == []
    assert (done.code, report["whole"]) == ((1, False) if path.stem == "stubborn" else (0, True))
    again = dspc("adopt", path.name, cwd=tmp_path)
    assert (again.code, "is there already" in again.err) == (2, True)


# Nothing of it runs, and nothing takes long ------------------------------------------------------------

HEAD = "import dspy\n"
MODULE = HEAD + "class M(dspy.Module):\n  def __init__(self):\n    self.a = dspy.Predict('q -> b')\n"
HOSTILE = {
    "parentheses": "x = " + "(" * 50_000,
    "attributes": "x = a" + ".b" * 50_000,
    "constants": HEAD
    + "".join(f"A{i} = A{i + 1} + A{i + 1}\n" for i in range(60))
    + "A60 = 'x'\np = dspy.Predict(A0)\n",
    "classes": HEAD
    + "".join(
        f"class A{i}(A{i + 1}, B{i + 1}): pass\nclass B{i}(A{i + 1}, B{i + 1}): pass\n" for i in range(60)
    )
    + "class A60(dict): pass\nclass B60(dict): pass\nx = A0()\np = dspy.Predict('a -> b')\n",
    "circle": HEAD + "class A(B): pass\nclass B(A): pass\np = dspy.Predict(A)\n",
    "doubling": MODULE
    + "  def forward(self, q):\n    if q:\n"
    + "      q = q + q\n" * 60
    + "    return self.a(q=q)\n",
    "methods": MODULE
    + "".join(f"  def m{i}(self, x):\n    return self.m{i + 1}(x) + self.m{i + 1}(x)\n" for i in range(40))
    + "  def m40(self, x):\n    return x\n  def forward(self, q):\n    return self.a(q=self.m0(q))\n",
    "rounds": MODULE
    + "  def forward(self, q):\n    for i in range(8):\n     for j in range(8):\n      for k in range(8):\n       q = self.a(q=q).b\n"
    + "    return dspy.Prediction(b=q)\n",
    "branches": MODULE
    + "  def forward(self, q):\n"
    + "".join(f"    if q == '{i}':\n      return self.a(q=q)\n" for i in range(300))
    + "    return self.a(q=q)\n",
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_file_takes_no_long_time(tmp_path: Path, name: str) -> None:
    began = time.process_time()
    try:
        text = read(tmp_path, HOSTILE[name]).text()
    except InputError as refused:
        text = str(refused)
    assert len(text) < 100_000
    assert time.process_time() - began < 20


def test_nothing_runs(tmp_path: Path) -> None:
    mark = tmp_path / "ran"
    source = f"open({str(mark)!r}, 'w')\nimport dspy\nask = dspy.Predict('a -> b')\nask.load(__import__('os').system('x'))\n"
    assert read(tmp_path, source).sections["module"] == ["module ask = Predict(Ask)"]
    assert not mark.exists()


@pytest.mark.parametrize("text", ["x = (", "\0", "import os\nprint('no module')\n"])
def test_what_is_no_program_is_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(InputError, match="cannot be adopted"):
        read(tmp_path, text)


@pytest.mark.parametrize(
    "text",
    ['a "b" c', "a\n  b\n\nc", 'x""" }\nmodule y', "back\\slash\n\\u0041", "é\u2028\x07\n", ' "', "a\n "],
)
def test_texts_come_back_as_they_were(text: str) -> None:
    for written in (quoted(text), documented(text)):
        assert string_value(written) == text


def test_names() -> None:
    assert [plain_name(one) for one in ("a b", "9x", "then", "_x", "é")] == ["a_b", "n9x", "then_", "x", "it"]


# promptfoo ------------------------------------------------------------------------------------------------

FOO = """
prompts:
  - "Translate into {{language}}: {{text}}"
  - file://careful.txt
  - file://prompt.py
providers:
  - id: openai:chat:gpt-4o-mini
    config: {temperature: 0.2, apiKey: sk-secret}
  - exec:python x.py
defaultTest:
  assert:
    - {type: llm-rubric, value: It is polite.}
tests:
  - vars: {language: French, text: Hello}
    assert:
      - {type: icontains, value: Bonjour}
      - {type: not-contains, value: "{{text}}"}
      - {type: javascript, value: "output.length < 100"}
      - {type: javascript, value: "JSON.parse(output).x"}
      - {type: python, value: "len(output)"}
      - {type: is-json}
  - vars: {language: German, text: Bye}
    assert: [{type: equals, value: Tschüss}, {type: regex, value: "^T"}, {type: contains-any, value: [a, b]}]
"""


def test_promptfoo(tmp_path: Path) -> None:
    (tmp_path / "careful.txt").write_text(
        "You are careful.\n{% if x %}\nTranslate {{ text | upper }} to {{ language }}."
    )
    draft = read(tmp_path, FOO, file="promptfooconfig.yaml")
    assert errors(tmp_path, draft) == []
    text = draft.text()
    assert "sk-secret" not in text
    assert (
        '"Translate into `language`: `text`"\n  input language: str\n  input text: str\n  output output: str'
        in text
    )
    assert len(draft.sections["module"]) == 3  # the third is a comment
    for line in (
        'expect contains(lower(output), "bonjour")',
        'expect not (contains(output, "Hello"))',
        "expect len(output) < 100",
        'expect llm_judge("It is polite.", judge = gpt_4o_mini, output = output) >= 0.5',
        'expect output == "Tschüss"',
        'expect matches(output, "^T")',
        'expect contains(output, "a") or contains(output, "b")',
        "# not taken over: `python` is code",
    ):
        assert line in text
    lost = "\n".join(one.text for one in draft.remarks if one.lost)
    for what in (
        "`{% if x %}`",
        "`prompt.py` is code",
        "`exec:python x.py`",
        "`python` is code",
        "`is-json`",
        "JSON.parse",
    ):
        assert what in lost


@pytest.mark.parametrize(
    "text",
    [
        "a: &a [x, x]\nb: &b [*a, *a]\nprompts: " + "[" * 50_000,
        "prompts: !!python/object/apply:os.system ['true']",
        "".join(f"b{i}: &b{i} [{','.join([f'*b{i - 1}' if i else 'x'] * 9)}]\n" for i in range(12))
        + "prompts: [*b11]",
        "[1, 2]",
        "prompts: [file:///etc/passwd]",
        "prompts: [file://../../etc/passwd]",
    ],
)
def test_a_hostile_configuration_is_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(InputError):
        read(tmp_path, text, file="promptfooconfig.yaml")


def test_rows_of_a_file_with_what_is_expected(tmp_path: Path) -> None:
    (tmp_path / "tests.csv").write_text("text,__expected\nhi,contains: yo\nbye,ciao\n")
    draft = read(tmp_path, "prompts: ['Say {{text}}']\ntests: file://tests.csv\n", file="c.yaml")
    assert 'expect contains(output, "yo")' in draft.text()
    assert 'expect output == "ciao"' in draft.text()


# BAML -----------------------------------------------------------------------------------------------------

RESUME = """
// What is read
enum Tone {
  Formal @description("polite words")
  Casual @alias("k1")
}
class School {
  name string @description("as printed")
  year int?
}
class Resume {
  name string
  schools School[]
  tone Tone
  skills map<string, int>
  level "junior" | "senior"
}
client<llm> Fast {
  provider openai
  options {
    model "gpt-4o-mini"
    api_key env.MY_OPENAI_KEY
    temperature 0.5
  }
}
client<llm> Both {
  provider fallback
  options {
    strategy [
      Fast
      "anthropic/claude-sonnet-4-5"
    ]
  }
}
function ReadResume(text: string, photo: image?) -> Resume {
  client Both
  prompt #"
    {{ _.role("system") }}
    Read the resume.

    {{ text }}
    {{ ctx.output_format }}
  "#
}
function Classify(input: string) -> Tone | null {
  client Fast
  prompt #"What is the tone of {{ input }}?"#
}
test Ada {
  functions [ReadResume]
  args {
    text #"Ada, London"#
  }
  @@assert(named, {{ this.name == "Ada" }})
  @@check(some, {{ this.schools|length > 0 }})
}
"""


def test_baml(tmp_path: Path) -> None:
    draft = read(tmp_path, RESUME, file="resume.baml")
    assert errors(tmp_path, draft) == []
    text = draft.text()
    for part in (
        'type Tone = "Formal" "polite words" | "Casual"',
        'record School {\n  field name: str "as printed"\n  field year: int?\n}',
        'field level: "junior" | "senior"',
        'lm Fast {\n  model = "openai/gpt-4o-mini"\n  api_key = env("MY_OPENAI_KEY")\n  temperature = 0.5',
        "fallback = [claude_sonnet_4_5]",
        '"""\n  Read the resume.\n\n  `text`\n  """\n  input text: str\n  input photo: image?\n  output result: Resume',
        "output result: Tone?",
        "module read_resume = Predict(ReadResume, lm = Both)",
        'expect result.name == "Ada"\n  expect len(result.schools) > 0',
    ):
        assert part in text, text
    assert [one.text for one in draft.remarks if one.lost] == [
        "`@alias` of `Tone.Casual` is left out: the model reads its name"
    ]
    assert "module classify" not in read(tmp_path, RESUME, "ReadResume", file="resume.baml").text()


@pytest.mark.parametrize(
    "text",
    [
        "function F(a string) -> string {" + "x {" * 5_000,
        "class A { a " + "(" * 5_000,
        'function F() { #" ',
        "class A {}",
    ],
)
def test_what_is_no_baml_is_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(InputError):
        read(tmp_path, text, file="x.baml")


# The pages --------------------------------------------------------------------------------------------------

DOCS = Path(__file__).parent.parent.parent / "docs"
PAIR = re.compile(
    r"^```(?:python|yaml|baml)\n(?:#|//) (\S+)\n(.*?)^```\n\nbecomes:\n\n```dspec\n(.*?)^```$",
    re.MULTILINE | re.DOTALL,
)


@pytest.mark.parametrize("page", ["from-dspy.md", "from-promptfoo.md", "from-baml.md"])
def test_what_a_page_shows_is_what_is_written(tmp_path: Path, page: str) -> None:
    pairs = PAIR.findall((DOCS / page).read_text(encoding="utf-8"))
    assert pairs
    for file, text, expected in pairs:
        draft = read(tmp_path, text, file=file)
        assert draft.text() == expected
        assert not [one for one in draft.remarks if one.lost]
