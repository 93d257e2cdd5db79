"""Expressions: meaning, errors, bounds."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from programs import binary, call, const, var

from dspec.runtime.errors import AnswerError, EvaluationError
from dspec.runtime.schema.expressions import (
    BinaryOperator,
    Expression,
    ForEach,
    If,
    Item,
    ListOfItems,
    UnaryOp,
)
from dspec.runtime.schema.types import JsonValue
from dspec.runtime.values.interpret import evaluate, names

SCOPE: dict[str, JsonValue] = {"gold": {"x": 1, "tags": ["a", "b"]}, "n": 3, "nothing": None}


def item(target: Expression, index: JsonValue) -> Item:
    return Item(target=target, index=const(index))


def negative(operand: Expression) -> UnaryOp:
    return UnaryOp(operator="not", operand=operand)


@pytest.mark.parametrize(
    ("left", "operator", "right", "expected"),
    [
        (1, "==", 1.0, True),
        (1, "==", True, False),
        ("1", "==", 1, False),
        ([1, [True]], "==", [1, [1]], False),
        ({"a": [1]}, "==", {"a": [1.0]}, True),
        (None, "==", None, True),
        (None, "!=", "a", True),
        (1, "<", 1.5, True),
        ("a", "<=", "b", True),
        ("b", ">", "a", True),
        (2, ">=", 3, False),
        ("b", "in", "abc", True),
        (1, "in", [True], False),
        ("a", "in", {"a": 1}, True),
        ("z", "not in", ["a"], True),
        (1, "+", 2, 3),
        (1, "/", 2, 0.5),
        (4, "/", 2, 2.0),
        (2, "*", 1.5, 3.0),
        (2, "-", 5, -3),
        ("a", "+", "b", "ab"),
        ([1], "+", [2], [1, 2]),
        (False, "and", False, False),
        (True, "or", False, True),
    ],
)
def test_operators(left: JsonValue, operator: BinaryOperator, right: JsonValue, expected: JsonValue) -> None:
    got = evaluate(binary(const(left), operator, const(right)), {})
    assert got == expected
    assert type(got) is type(expected)


@pytest.mark.parametrize(
    ("expression", "message"),
    [
        (binary(const(1), "+", const(None)), "cannot add 1 and null"),
        (binary(const("a"), "+", const(1)), 'cannot add "a" and 1; `str(…)` turns a value into text'),
        (binary(const(True), "*", const(2)), "cannot multiply true and 2; write `if … then 1 else 0`"),
        (binary(const("a"), "*", const(3)), 'cannot multiply "a" and 3'),
        (binary(const(1), "/", const(0)), "cannot divide 1 by zero"),
        (binary(const(1), "<", const("a")), '`<` cannot order 1 and "a"'),
        (binary(const(None), ">", const(1)), "`>` cannot order null and 1"),
        (binary(const(True), "<", const(2)), "`<` cannot order true and 2"),
        (binary(const([1]), "<", const([2])), "`<` cannot order [1] and [2]"),
        (binary(const(1), "in", const("abc")), '`in` cannot look for 1 in "abc"'),
        (binary(const("a"), "in", const(None)), '`in` cannot look for "a" in null'),
        (binary(const(1), "and", const(True)), "`and` needs true or false, got 1"),
        (binary(const(False), "or", const("a")), '`or` needs true or false, got "a"'),
        (negative(const(None)), "`not` needs true or false, got null"),
        (UnaryOp(operator="-", operand=const(True)), "`-` needs a number, got true"),
        (If(condition=const(1), consequence=const(1), alternative=const(2)), "`if` needs true or false"),
        (var("gone"), "there is no value named `gone` here"),
        (var("gold", "y"), "there is no `y` among x, tags"),
        (var("nothing", "y"), "`.y` needs a value with fields, got null"),
        (item(var("nothing"), 0), "`[…]` needs a list, a dict or text, got null"),
        (item(var("gold", "tags"), "a"), '`[…]` needs a whole number, got "a"'),
        (ForEach(element=var("e"), variable="e", iterable=var("n")), "`for e in` needs a list, got 3"),
    ],
)
def test_errors_say_what_met_what(expression: Expression, message: str) -> None:
    with pytest.raises(EvaluationError) as caught:
        evaluate(expression, SCOPE)
    assert caught.value.message.startswith(message)


def test_an_evaluation_error_counts_as_an_unusable_answer() -> None:
    assert issubclass(EvaluationError, AnswerError)


def test_items_out_of_range_are_none() -> None:
    tags = var("gold", "tags")
    assert evaluate(item(tags, 1), SCOPE) == "b"
    assert evaluate(item(tags, -1), SCOPE) == "b"
    assert evaluate(item(tags, 2), SCOPE) is None
    assert evaluate(item(var("gold"), "y"), SCOPE) is None
    assert evaluate(item(const("ab"), 0), SCOPE) == "a"


def test_branches_not_taken_are_not_computed() -> None:
    broken = var("gone")
    assert evaluate(binary(const(False), "and", broken), {}) is False
    assert evaluate(binary(const(True), "or", broken), {}) is True
    assert evaluate(If(condition=const(True), consequence=const(1), alternative=broken), {}) == 1


def test_comprehensions_have_their_own_scope() -> None:
    doubled = ForEach(
        element=binary(var("n"), "*", const(2)),
        variable="n",
        iterable=ListOfItems(items=(const(5), var("n"))),
    )
    assert evaluate(doubled, SCOPE) == [10, 6]
    assert SCOPE["n"] == 3


def test_names_are_those_read_from_outside() -> None:
    expression = If(
        condition=call("contains", var("a"), part=var("b")),
        consequence=ForEach(element=binary(var("x"), "+", var("c")), variable="x", iterable=var("x")),
        alternative=ListOfItems(items=(item(var("d"), 0), negative(var("e", "f")), const(1))),
    )
    assert names(expression) == {"a", "b", "c", "d", "e", "x"}


def grown(expression: Expression, operator: BinaryOperator, times: int) -> Expression:
    """`x op x`, again and again: doubles every time."""
    for _ in range(times):
        expression = binary(expression, operator, expression)
    return expression


def test_results_are_bounded() -> None:
    ten = const(10.0)
    for expression, message in (
        (binary(const(10**300), "*", const(10)), "the result is too large"),
        (binary(const(1e308), "*", ten), "the result is too large"),
        (binary(const("x" * 3_000_000), "+", const("x" * 3_000_000)), "the result is too large"),
        (binary(const([0] * 150_000), "+", const([0] * 150_000)), "the result is too large"),
        (binary(const(10**299), "/", const(1e-300)), "the result is too large"),
        (binary(const(10**400), "+", ten), "the result of `+` is too large"),
    ):
        with pytest.raises(EvaluationError) as caught:
            evaluate(expression, {})
        assert caught.value.message == message


def test_steps_and_depth_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dspec.runtime.values.interpret.MAX_STEPS", 10_000)
    with pytest.raises(EvaluationError, match="takes more than 10000 steps"):
        evaluate(grown(const(0), "+", 40), {})
    items: JsonValue = [0] * 1000
    nested: Expression = const(1)
    for name in ("a", "b", "c"):
        nested = ForEach(element=nested, variable=name, iterable=const(items))
    with pytest.raises(EvaluationError, match="steps"):
        evaluate(nested, {})
    deep: Expression = const(True)
    for _ in range(300):
        deep = negative(deep)
    with pytest.raises(EvaluationError, match="nests deeper than 150 levels"):
        evaluate(deep, {})


VALUES = (
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3) | st.lists(st.integers())
)
OPERATORS = st.sampled_from(
    ["==", "!=", "<", "<=", ">", ">=", "in", "not in", "+", "-", "*", "/", "and", "or"]
)


@settings(max_examples=300, deadline=None)
@given(VALUES, OPERATORS, VALUES)
def test_any_operator_on_any_values_gives_a_value_or_an_evaluation_error(
    left: JsonValue, operator: BinaryOperator, right: JsonValue
) -> None:
    with contextlib.suppress(EvaluationError):
        assert evaluate(binary(const(left), operator, const(right)), {}) is not None
