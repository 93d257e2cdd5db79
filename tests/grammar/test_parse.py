"""Every construct of the language becomes the node that `tree` promises."""

from __future__ import annotations

from pathlib import Path

import pytest
from dspec_writer import dspec_texts
from grammar_profile import thorough
from hypothesis import given
from syntax import nodes, outline

from dspec.grammar import parse
from dspec.grammar.tree import KEYWORDS, Declaration, Literal, Name, Setting, Span
from dspec.grammar.walk import children

SAMPLE = (Path(__file__).parent / "sample.dspec").read_text(encoding="utf-8")


def declaration(text: str) -> Declaration:
    (block,) = parse(text).blocks
    assert block.problems == ()
    assert block.declaration is not None
    return block.declaration


def value(expression: str) -> str:
    (item,) = declaration(f"lm x {{ a = {expression} }}").items or ()
    assert isinstance(item, Setting)
    return outline(item.value)


def test_the_sample_has_every_kind_of_declaration_and_no_problem() -> None:
    blocks = parse(SAMPLE).blocks
    assert not [block.problems for block in blocks if block.problems]
    assert {block.declaration.keyword.text for block in blocks if block.declaration} == set(KEYWORDS)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("dspec 1", "Declaration(keyword:dspec value:Literal(value:1))"),
        ('import "a.dspec" as a', "Declaration(keyword:import name:a value:Literal(value:'a.dspec'))"),
        ("lm x {}", "Declaration(keyword:lm name:x items:[])"),
        ("lm x\n{\n}\n", "Declaration(keyword:lm name:x items:[])"),
        (
            "module m = Predict(S)",
            (
                "Declaration(keyword:module name:m "
                "value:Call(callee:Reference(name:Predict) arguments:[Argument(value:Reference(name:S))]))"
            ),
        ),
        (
            "program P(q: str, k: int = 3) -> (a: str, b) {}",
            (
                "Declaration(keyword:program name:P parameters:[Parameter(name:q type:NamedType(name:str)) "
                "Parameter(name:k type:NamedType(name:int) default:Literal(value:3))] "
                "returns:[Parameter(name:a type:NamedType(name:str)) Parameter(name:b)] items:[])"
            ),
        ),
        (
            "extern f() -> list[str]? = x",
            (
                "Declaration(keyword:extern name:f parameters:[] "
                "returns:OptionalType(item:ListType(item:NamedType(name:str))) value:Reference(name:x))"
            ),
        ),
        ('type T = "a"', "Declaration(keyword:type name:T value:LiteralType(value:'a'))"),
        (
            'type T = "a"\n  | "b"  # why\n  | str',
            (
                "Declaration(keyword:type name:T "
                "value:UnionType("
                "members:[LiteralType(value:'a') LiteralType(value:'b') NamedType(name:str)]))"
            ),
        ),
        (
            "type T = dict[str, lms.Invoice]",
            (
                "Declaration(keyword:type name:T value:DictType("
                "key:NamedType(name:str) value:NamedType(name:Invoice qualifier:lms)))"
            ),
        ),
    ],
)
def test_declarations(text: str, expected: str) -> None:
    assert outline(declaration(text)) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('"doc"', "Doc(text:'doc')"),
        ("a = 1", "Setting(name:a value:Literal(value:1))"),
        ("a for b = 1", "SettingOf(name:a address:Reference(name:b) value:Literal(value:1))"),
        ("step for b.list\n = 1", "SettingOf(name:step address:Attribute(target:Reference(name:b) name:list) "
         "value:Literal(value:1))"),
        ("price { input = 0.15 }",
         "Section(name:price items:[Setting(name:input value:Literal(value:0.15))])"),
        ("input text", "FieldItem(role:'input' name:text)"),
        (
            'output c: float = 0.5 "0 to 1"',
            ("FieldItem(role:'output' name:c type:NamedType(name:float) default:Literal(value:0.5) "
            "description:'0 to 1')"),
        ),
        ('field t: "a" | "b" "d"', ("FieldItem(role:'field' name:t type:UnionType(members:"
         "[LiteralType(value:'a') LiteralType(value:'b')]) description:'d')")),
        ("assert a", "CheckItem(kind:'assert' condition:Reference(name:a))"),
        (
            'suggest a else "b"',
            "CheckItem(kind:'suggest' condition:Reference(name:a) message:Literal(value:'b'))",
        ),
        ("let a = b", "Let(name:a value:Reference(name:b))"),
        (
            "let a = repeat 3 from b, repeat { until c; let b = d }",
            ("Repeat(name:a times:Literal(value:3) state:[b repeat] "
            "items:[Until(condition:Reference(name:c)) Let(name:b value:Reference(name:d))])"),
        ),
        ("until a", "Until(condition:Reference(name:a))"),
        (
            "return a = b, c",
            "Return(arguments:[Argument(name:a value:Reference(name:b)) Argument(value:Reference(name:c))])",
        ),
        ("step B()", "Step(value:Call(callee:Reference(name:B) arguments:[]))"),
        ("step a = B", "Step(name:a value:Reference(name:B))"),
        ("step a", "Step(value:Reference(name:a))"),
        ("given a = 1", "Given(name:a value:Literal(value:1))"),
        ("expect a", "Expect(condition:Reference(name:a))"),
        ("gate a", "Gate(condition:Reference(name:a))"),
        # The words that open items are names wherever a name may stand.
        ("step = 1", "Setting(name:step value:Literal(value:1))"),
        ("input = 1", "Setting(name:input value:Literal(value:1))"),
        ("type = 1", "Setting(name:type value:Literal(value:1))"),
        ("until = 1", "Setting(name:until value:Literal(value:1))"),
        ("from { }", "Section(name:from items:[])"),
        ("let repeat = from + until", "Let(name:repeat value:Binary(operator:'+' left:Reference(name:from) "
         "right:Reference(name:until)))"),
        ("let a = repeat(3)", "Let(name:a value:Call(callee:Reference(name:repeat) "
         "arguments:[Argument(value:Literal(value:3))]))"),
        ("let a = repeat.from", "Let(name:a value:Attribute(target:Reference(name:repeat) name:from))"),
        ("gate { }", "Section(name:gate items:[])"),
        ("input input: str", "FieldItem(role:'input' name:input type:NamedType(name:str))"),
        ("let step = metric", "Let(name:step value:Reference(name:metric))"),
        ("field list: list[list]",
         "FieldItem(role:'field' name:list type:ListType(item:NamedType(name:list)))"),
        ("expect (a)", "Expect(condition:Reference(name:a))"),
        ("return (a)", "Return(arguments:[Argument(value:Reference(name:a))])"),
    ],
)  # fmt: skip
def test_items(text: str, expected: str) -> None:
    (item,) = declaration(f"lm x {{ {text} }}").items or ()
    assert outline(item) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1", "Literal(value:1)"),
        ("1_000", "Literal(value:1000)"),
        ("0.5", "Literal(value:0.5)"),
        ("2e3", "Literal(value:2000.0)"),
        ("20%", "Percent(value:20.0)"),
        ("true", "Literal(value:True)"),
        ("false", "Literal(value:False)"),
        ("none", "Literal()"),
        ("a.b.c", "Attribute(target:Attribute(target:Reference(name:a) name:b) name:c)"),
        ("a.input", "Attribute(target:Reference(name:a) name:input)"),
        ("a[0]", "Index(target:Reference(name:a) index:Literal(value:0))"),
        ("f()", "Call(callee:Reference(name:f) arguments:[])"),
        ("f(1, a = 2,)", ("Call(callee:Reference(name:f) arguments:[Argument(value:Literal(value:1)) "
         "Argument(name:a value:Literal(value:2))])")),
        ("[]", "ListLiteral(items:[])"),
        ("[1, 2,]", "ListLiteral(items:[Literal(value:1) Literal(value:2)])"),
        ("[e for x in xs]",
         "Comprehension(element:Reference(name:e) variable:x iterable:Reference(name:xs))"),
        ("[e for k, list in\n d]",
         "Comprehension(element:Reference(name:e) variable:k of:list iterable:Reference(name:d))"),
        ("-1", "Unary(operator:'-' operand:Literal(value:1))"),
        ("not a == b", ("Unary(operator:'not' operand:Binary(operator:'==' left:Reference(name:a) "
         "right:Reference(name:b)))")),
        ("a not in b", "Binary(operator:'not in' left:Reference(name:a) right:Reference(name:b))"),
        ("a or b and c", ("Binary(operator:'or' left:Reference(name:a) right:"
         "Binary(operator:'and' left:Reference(name:b) right:Reference(name:c)))")),
        ("a - b - c", ("Binary(operator:'-' left:Binary(operator:'-' left:Reference(name:a) "
         "right:Reference(name:b)) right:Reference(name:c))")),
        ("a + b * -c", ("Binary(operator:'+' left:Reference(name:a) right:Binary(operator:'*' "
         "left:Reference(name:b) right:Unary(operator:'-' operand:Reference(name:c))))")),
        ("(a + b) * c", ("Binary(operator:'*' left:Binary(operator:'+' left:Reference(name:a) "
         "right:Reference(name:b)) right:Reference(name:c))")),
        ("if a then b else if c then d else e", ("Conditional(condition:Reference(name:a) "
         "consequence:Reference(name:b) alternative:Conditional(condition:Reference(name:c) "
         "consequence:Reference(name:d) alternative:Reference(name:e)))")),
        ("sig(a, b: list[str] -> c)", ("InlineSignature(inputs:[Parameter(name:a) "
         "Parameter(name:b type:ListType(item:NamedType(name:str)))] outputs:[Parameter(name:c)])")),
        ("sig(-> c)", "InlineSignature(inputs:[] outputs:[Parameter(name:c)])"),
        # Line ends that end nothing.
        ("a\n or b", "Binary(operator:'or' left:Reference(name:a) right:Reference(name:b))"),
        ("a # why\n\n .b", "Attribute(target:Reference(name:a) name:b)"),
        ("a\n not in b", "Binary(operator:'not in' left:Reference(name:a) right:Reference(name:b))"),
        ("[\n a # one\n ,\n b\n]", "ListLiteral(items:[Reference(name:a) Reference(name:b)])"),
        ("f(\n  input\n  = 1\n)",
         "Call(callee:Reference(name:f) arguments:[Argument(name:input value:Literal(value:1))])"),
    ],
)  # fmt: skip
def test_expressions(text: str, expected: str) -> None:
    assert value(text) == expected


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        (r'"a\nb\t\"\\"', 'a\nb\t"\\'),
        (r'"\u00e9"', "é"),
        ('"""one"""', "one"),
        ('"""a "quoted" b"""', 'a "quoted" b'),
        ('"""\n    two\n      lines\n\n    here\n    """', "two\n  lines\n\nhere"),
        ('"""\r\n  two\r\n  lines\r\n"""', "two\nlines"),
        ('""""""', ""),
        ('"# {"', "# {"),
    ],
)
def test_strings(source: str, expected: str) -> None:
    (item,) = declaration(f"lm x {{ a = {source} }}").items or ()
    assert isinstance(item, Setting)
    assert isinstance(item.value, Literal)
    assert item.value.value == expected


def test_items_end_at_line_ends_and_semicolons() -> None:
    items = declaration("lm x { a = 1; ; b = 2\n\n# c\n; c = 3 # d\n d = 4 ; }").items or ()
    assert [outline(item) for item in items] == [
        f"Setting(name:{name} value:Literal(value:{number}))"
        for name, number in zip("abcd", range(1, 5), strict=True)
    ]


def test_comments_are_kept_with_their_places() -> None:
    (block,) = parse("# before\nlm x { # one\n} # two\n# three\n").blocks
    assert [comment.text for comment in block.comments] == ["# one", "# two", "# three"]
    assert [block.text[slice(*comment.span)] for comment in block.comments] == ["# one", "# two", "# three"]


@pytest.mark.parametrize(
    "construct",
    [
        'import "shapes.dspec" as shapes',
        '"card_lost" | "cash_withdrawal" | "top_up" | "other"',
        "k: int = 3",
        "list[str]",
        'bm25("data/abstracts.jsonl", text = "text")',
        "str?",
        "dict[str, float]",
        'assert qty > 0 else "quantity must be positive"',
        'output confidence: float = 0.5 "0 to 1"',
        "0.0 <= confidence and confidence <= 1.0",
        "sig(question, facts: list[str] -> answer)",
        "[line for line in found]",
        "return answer = out.answer, facts = found",
        "split { train = 20%; val = 60%; test = 20%; seed = 7; stratify = intent }",
        "20%",
        'if score then "correct" else "expected " + gold.intent',
        "joint.candidates.top(5)",
        "gate score >= baseline.score + 0.02",
        'given text = "I lost my card"',
        "price { input = 0.15; output = 0.6 }",
        'demo { text = "I lost my card"; intent = "card_lost"; confidence = 1.0 }',
    ],
)
def test_spans_are_exact(construct: str) -> None:
    blocks = [block for block in parse(SAMPLE).blocks if construct in block.text]
    assert blocks
    for block in blocks:
        assert block.declaration is not None
        assert construct in [block.text[slice(*node.span)] for node in nodes(block.declaration)]


def test_parentheses_belong_to_what_they_hold() -> None:
    (item,) = declaration("lm x { a = ((b + c)).d }").items or ()
    assert isinstance(item, Setting)
    assert item.value.span == Span(11, 22)


@thorough
@given(dspec_texts)
def test_generated_files_parse_and_spans_nest(text: str) -> None:
    for block in parse(text).blocks:
        assert block.problems == ()
        assert block.declaration is not None
        assert block.declaration.span.start == 0
        for node in nodes(block.declaration):
            if isinstance(node, Name):
                assert block.text[slice(*node.span)] == node.text
            end = node.span.start
            for child in sorted(children(node), key=lambda child: child.span):
                assert end <= child.span.start <= child.span.end <= node.span.end
                end = child.span.end


@thorough
@given(dspec_texts)
def test_a_tree_depends_on_its_own_text_only(text: str) -> None:
    moved = parse("# a line above\n\n" + text)
    assert [(block.text, block.declaration) for block in moved.blocks] == [
        (block.text, block.declaration) for block in parse(text).blocks
    ]
    for block in moved.blocks:
        assert moved.text[slice(*block.absolute(Span(0, len(block.text))))] == block.text
