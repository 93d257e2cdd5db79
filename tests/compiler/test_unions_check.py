"""Unions of records and numbers, tuples and `extends`: what the check knows of them, and what it says."""

from __future__ import annotations

from pathlib import Path

import pytest

from dspec.compiler.check.analysis import Analysis, analyse
from dspec.runtime.schema.program import Program
from dspec.runtime.schema.types import OneOf, OneOfNumbers, OneOfRecords, TupleOf, spell

HEAD = """\
dspec 1

lm mini { model = "embedded/icl" }
type Stars = 1 | 2 | 3 | 4 | 5
type Tone = -1 | 0 | 1
type Share = 0.5 | 1
type Intent = "billing" "money that was charged" | "refund"
record Card { field kind: "card" | "debit"; field amount: float; field last4: str }
record Cash { field kind: "cash"; field amount: float; field till: int }
record Gift { field kind: "gift"; field amount: float; field code: str }
type Payment = Card | Cash | Gift
signature Ask {
  input text: str
  output payment: Payment
  output other: Payment?
  output stars: Stars
  output pair: tuple[str, int]
}
module ask = Predict(Ask)
"""


def checked(folder: Path, text: str) -> Analysis:
    return analyse(folder / "main.dspec", text=HEAD + text, probe=False)


def errors(folder: Path, text: str) -> list[tuple[str, str]]:
    return [(one.code, one.message) for one in checked(folder, text).diagnostics if one.severity == "error"]


def returned(folder: Path, expression: str, kind: str) -> list[str]:
    text = (
        f"program P(text: str) -> (x: {kind}) {{\n  let a = ask(text = text)\n  return x = {expression}\n}}\n"
    )
    return [code for code, _ in errors(folder, text)]


def made(folder: Path, text: str) -> Program:
    found = checked(folder, text)
    assert not [one.message for one in found.diagnostics if one.severity == "error"]
    assert found.project is not None
    return found.project.programs["P"]


@pytest.mark.parametrize(
    ("expression", "kind"),
    [
        ("a.payment.amount", "float"),
        ("a.payment.kind", "str"),
        ('if a.payment.kind == "cash" then a.payment.till else 0', "int"),
        ('if a.payment.kind != "cash" then 0 else a.payment.till', "int"),
        ('if a.payment.kind == "debit" then a.payment.last4 else ""', "str"),
        ('a.payment.kind == "cash" and a.payment.till > 0', "bool"),
        ('if a.payment.kind == "cash" or a.payment.kind == "gift" then "" else a.payment.last4', "str"),
        ('if a.other.kind == "cash" then a.other.till else 0', "int"),
        ("a.stars", "int"),
        ("a.stars + 1", "int"),
        ("a.stars > 3", "bool"),
        ("-a.stars", "int"),
        ("a.stars", "float"),
        ("a.pair[0]", "str"),
        ("a.pair[-1]", "int"),
        ("a.pair", "list[any]"),
        ("a.pair", "tuple[str, float]"),
        ("a.payment", "any"),
    ],
)
def test_what_may_be_read(expression: str, kind: str, tmp_path: Path) -> None:
    assert returned(tmp_path, expression, kind) == []


@pytest.mark.parametrize(
    ("expression", "kind", "code"),
    [
        ("a.payment.till", "int", "DS0362"),
        ('if a.payment.kind != "cash" then a.payment.till else 0', "int", "DS0304"),
        ('if a.payment.kind != "card" then "" else a.payment.code', "str", "DS0304"),
        ('if a.payment.kind == "cash" then 0 else a.payment.till', "int", "DS0304"),
        ('if a.other.kind != "cash" then a.other.last4 else ""', "str", "DS0362"),
        ('if a.other.kind != "cash" then a.other.amount else 0.0', "float", "DS0301"),
        ("a.payment.nothing", "str", "DS0304"),
        ('a.payment.kind == "cheque"', "bool", "DS0306"),
        ("a.stars == 6", "bool", "DS0306"),
        ("a.stars", "str", "DS0301"),
        ("2 + 1", "1 | 2", "DS0301"),
        ("7", "Stars", "DS0306"),
        ("a.pair[2]", "str", "DS0361"),
        ("a.pair[a.stars]", "str", "DS0361"),
        ("a.pair[0]", "int", "DS0301"),
        ("a.pair", "tuple[int, str]", "DS0301"),
        ("a.pair == a.payment", "bool", "DS0504"),
    ],
)
def test_what_is_refused(expression: str, kind: str, code: str, tmp_path: Path) -> None:
    assert code in returned(tmp_path, expression, kind)


def test_what_types_become(tmp_path: Path) -> None:
    program = made(
        tmp_path,
        "program P(stars: Stars, tone: Tone, share: Share, intent: Intent, p: Payment, t: tuple[str, Stars?]) -> "
        "(x: int) {\n  let a = ask(text = str(tone) + str(share) + intent + str(t) + str(p))\n  return x = stars\n}\n",
    )
    kinds = {field.name: field.type for field in program.inputs}
    assert kinds["stars"] == OneOfNumbers(values=(1, 2, 3, 4, 5))
    assert kinds["tone"] == OneOfNumbers(values=(-1, 0, 1))
    assert spell(kinds["share"]) == "0.5 | 1.0"
    assert kinds["intent"] == OneOf(values=("billing", "refund"), notes=("money that was charged", ""))
    assert kinds["p"] == OneOfRecords(tag="kind", records=("Card", "Cash", "Gift"))
    assert spell(kinds["t"]) == "tuple[str, (1 | 2 | 3 | 4 | 5)?]"
    assert isinstance(kinds["t"], TupleOf)
    assert {*program.records} >= {"Card", "Cash", "Gift"}


def test_records_of_a_union_may_hold_the_union(tmp_path: Path) -> None:
    assert not errors(
        tmp_path,
        'record Leaf { field sort: "leaf"; field value: int }\n'
        'record Node { field sort: "node"; field children: list[Tree] }\ntype Tree = Leaf | Node\n'
        "module grow = Predict(sig(text -> tree: Tree))\n",
    )


@pytest.mark.parametrize(
    ("text", "code", "part"),
    [
        ("record X { field a: str }\ntype U = Card | X", "DS0360", "nothing tells `Card` and `X` apart"),
        ('record X { field kind: "card" }\ntype U = Card | X', "DS0360", "nothing tells"),
        ('type U = Card | "x"', "DS0316", "stands among records"),
        ('type U = "x" | Card', "DS0316", "stands among texts"),
        ('type U = 1 | "x"', "DS0316", "stands among numbers"),
        ("type U = int | str", "DS0316", "lists literals or records"),
        ("type U = 1 | 1.0", "DS0203", "stands twice"),
        (f"type U = tuple[{', '.join(['int'] * 65)}]", "DS0360", "at most 64"),
        ("record X { field a: tuple }", "DS0317", "needs to know"),
    ],
)
def test_unions_that_are_none(text: str, code: str, part: str, tmp_path: Path) -> None:
    found = errors(tmp_path, text + "\n")
    assert [one for one, _ in found] == [code]
    assert part in found[0][1]


BASE = """\
signature Base {
  "Read it."
  fixed = "Be brief."
  max_retries = 5
  input text: str "what was written"
  input lang: str = "en"
  output intent: str
  assert intent != "" else "say it"
}
"""


def test_a_signature_has_its_base_and_then_its_own(tmp_path: Path) -> None:
    program = made(
        tmp_path,
        BASE + "signature Full extends Base {\n"
        '  fixed = "Be kind."\n  input text "the message"\n  output intent: Intent\n  output reply: str\n'
        '  assert reply != "" else "reply"\n}\nmodule full = Predict(Full)\n'
        "program P(text: str) -> (x: str) {\n  let a = full(text = text)\n  return x = a.reply\n}\n",
    )
    signature = program.predictors["full"].signature
    assert signature.instruction == "Read it."
    assert signature.fixed == ("Be brief.", "Be kind.")
    assert signature.max_retries == 5
    assert [(one.name, one.description) for one in signature.inputs] == [
        ("text", "the message"),
        ("lang", ""),
    ]
    assert signature.inputs[1].default == "en"
    assert [(one.name, spell(one.type)) for one in signature.outputs] == [
        ("intent", '"billing" | "refund"'),
        ("reply", "str"),
    ]
    assert len(signature.checks) == 2


def test_a_base_in_another_file(tmp_path: Path) -> None:
    (tmp_path / "lib.dspec").write_text("dspec 1\n\n" + BASE + 'record Thing { field kind: "thing" }\n')
    found = analyse(
        tmp_path / "main.dspec",
        text='dspec 1\nimport "lib.dspec" as lib\nlm mini { model = "embedded/icl" }\n'
        "signature Full extends lib.Base { output reply: str }\nrecord Big extends lib.Thing { field size: int }\n"
        "module full = Predict(Full)\nmodule big = Predict(sig(text -> big: Big))\n",
        probe=False,
    )
    assert not [one.message for one in found.diagnostics if one.severity == "error"]
    assert found.project is not None
    outputs = found.project.programs["full"].predictors["full"].signature.outputs
    assert [one.name for one in outputs] == ["intent", "reply"]
    assert [one.name for one in found.project.programs["big"].records["Big"].fields] == ["kind", "size"]


@pytest.mark.parametrize(
    ("text", "codes"),
    [
        (BASE + "signature S extends Base { input intent: str; output x: str }", ["DS0222"]),
        (BASE + "signature S extends Base { output intent: int }", ["DS0222"]),
        (BASE + "signature S extends Base { output lang: str }", ["DS0222"]),
        ("signature S extends Card { input a: str; output b: str }", ["DS0202"]),
        ("signature S extends Crd { input a: str; output b: str }", ["DS0201"]),
        ("record R extends R { field a: str }", ["DS0221"]),
        ("record R extends Q { field a: str }\nrecord Q extends R { field b: str }", ["DS0221"]),
        ("record R extends Card { field amount: str }", ["DS0222"]),
        ('dataset d extends Card { source = csv("x.csv"); input a: str }', ["DS0220"]),
        ("record R extends Card { }\nmodule m = Predict(sig(a -> r: R))", []),
    ],
)
def test_what_cannot_be_extended(text: str, codes: list[str], tmp_path: Path) -> None:
    found = [code for code, _ in errors(tmp_path, text + "\n") if not code.startswith("DS04")]
    assert found == codes
