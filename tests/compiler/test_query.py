"""What the analysis answers about a place in a text: `$0` is the place."""

from pathlib import Path

import pytest

from dspec.compiler.check import query
from dspec.compiler.check.analysis import Analysis, analyse
from dspec.compiler.check.types.kinds import spell
from dspec.grammar.tree import Attribute, Name

FILE = """\
dspec 1
lm mini { model = "embedded/icl"; default = true }
type Intent = "refund" | "other"
record Line { field sku: str "stock number"; field note: str? }
signature Route { input text: str; input hint: str = ""; output intent: Intent; output lines: list[Line] }
module router = Predict(Route)
dataset rows {
  source = csv("rows.csv")
  input text: str
  field intent: Intent
  split { train = 50%; val = 50% }
}
"""


def analysed(text: str) -> tuple[Analysis, int]:
    text = FILE + text
    offset = text.index("$0")
    return analyse(Path("/nowhere/main.dspec"), text=text.replace("$0", ""), probe=False), offset


def looked(text: str) -> query.View:
    view = query.view_at(*analysed(text))
    assert view is not None
    return view


TYPES = {
    "metric m(gold: rows, pred: router) = gold.$0intent == pred.intent": '"refund" | "other"',
    "metric m(gold: rows, pred: router) = len(pred.$0lines) > 0": "list[Line]",
    "metric m(gold: rows, pred: router) = $0gold.intent == pred.intent": "the columns of `rows`",
    "metric m(gold: rows, pred: router) { score = pred.lines[0].$0note == gold.wrong }": "str?",
    "metric m(gold: rows, pred: router) = all([$0each.sku == gold.text for each in pred.lines])": "Line",
    "program P(q: str) { let z = (router(text = q)); return a = $0z.intent }": "the outputs of `router`",
    "program P(q: str) { let z = router(text = q).$0lines; let z = 3 }": "list[Line]",
    "program P(q: str) { let n = len(q) + 1; return a = $0n }": "int",
}


@pytest.mark.parametrize("text", TYPES)
def test_an_expression_has_the_type_that_the_check_gives_it(text: str) -> None:
    """In declarations with mistakes, too."""
    view = looked(text)
    node = next(node for node in reversed(view.way) if not isinstance(node, Name))
    kind = query.type_of(view, node)
    assert kind is not None
    assert spell(kind) == TYPES[text]


def test_what_a_name_stands_for_is_known_where_it_is_declared_and_where_it_is_used() -> None:
    for text in ("module other = Predict(R$0oute)", "module ot$0her = Predict(Route)"):
        symbol = query.symbol_at(*analysed(text))
        assert symbol is not None
        assert (symbol.kind, symbol.name) in (("signature", "Route"), ("module", "other"))
    assert query.symbol_at(*analysed("module other = $0 Predict(Route)")) is None


def test_members_follow_a_group_a_record_and_one_that_may_be_missing() -> None:
    view = looked("metric m(gold: rows, pred: router) = pred.lines[0].$0sku == gold.text")
    dotted = query.behind_dot(view)
    assert isinstance(dotted, Attribute)
    assert list(query.members(view, query.type_of(view, dotted.target))) == ["sku", "note"]
    assert not query.members(view, query.type_of(view, dotted))
    assert not query.members(view, None)


def test_a_value_can_be_read_only_below_what_declares_it() -> None:
    view = looked("program P(q: str) { let a = q; let b = $0a; let c = a; return d = c }")
    assert list(query.values(view)) == ["q", "a"]
    view = looked("metric m(gold: rows, pred: router) { score = 1.0; feedback = $0gold.text }")
    assert list(query.values(view)) == ["gold", "pred", "score"]


def test_a_call_says_what_it_takes_and_what_is_given() -> None:
    view = looked("program P(q: str) { let a = router(q, $0hint = q); return b = a.intent }")
    calling = query.calling(view)
    assert calling is not None
    assert list(calling.inputs) == ["text", "hint"]
    assert calling.given == {"text"}
    assert query.begins_argument(view)
    view = looked("metric m(gold: rows, pred: router) = f1(gold.text, $0gold.text) > 0.5")
    calling = query.calling(view)
    assert calling is not None
    assert calling.callee.name == "f1"


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("module m = Predict($0Rote)", ["Route"]),
        ("optimize o { program = $0x }", ["router"]),
        ("optimize o { train = rows.$0x }", ["train", "val"]),
        (
            "optimize o { step a = LabeledFewShot(); step b = BootstrapFewShot(teacher = $0x) }",
            ["a", "router"],
        ),
        ("optimize o { program = router; freeze = [$0x] }", ["router"]),
        ("optimize o { step a = LabeledFewShot(); emit = $0x }", ["a"]),
        ("record R { field a: $0X }", ["Intent", "Line", "R"]),
        ("type T = $0X", ["Intent", "Line"]),
        ("lm x { fallback = [$0y] }", ["mini"]),
    ],
)
def test_what_the_check_looks_for_is_what_may_be_written(text: str, names: list[str]) -> None:
    view = looked(text)
    sought = query.sought(view)
    assert sought is not None
    assert [*sought.names, *(name for name, _ in query.declared(view, sought.kinds))] == names


def test_looking_changes_nothing_and_a_check_keeps_no_journal() -> None:
    analysis, offset = analysed("metric m(gold: rows, pred: router) = $0gold.intent == pred.intent")
    session = analysis.session
    before = (
        len(session.results),
        len(session.declared),
        len(session.uses),
        dict(analysis.symbols.scope.symbols),
    )
    assert query.view_at(analysis, offset) is not None
    assert before == (
        len(session.results),
        len(session.declared),
        len(session.uses),
        dict(analysis.symbols.scope.symbols),
    )
    assert session.journal is None


def test_nothing_is_known_outside_declarations() -> None:
    for text in ("$0", "dspec $01", "lm $0{"):
        view = query.view_at(*analysed(text))
        assert view is None or not query.values(view)
