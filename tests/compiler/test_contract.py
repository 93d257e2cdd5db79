"""What of a changed contract breaks callers, and what does not (`reports/contract`)."""

from __future__ import annotations

import pytest

from dspec.compiler.compile.reports.contract import contract_changes
from dspec.runtime.schema.program import FieldSpec, Program, Record
from dspec.runtime.schema.types import (
    ANY,
    BOOL,
    FLOAT,
    INT,
    STR,
    DictOf,
    ListOf,
    OneOf,
    OneOfNumbers,
    OneOfRecords,
    OptionalOf,
    RecordRef,
    TupleOf,
    Type,
)

AB, ABC = OneOf(values=("a", "b")), OneOf(values=("c", "b", "a"))
P = RecordRef(name="P")


def field(name: str, kind: Type = STR, *, default: bool = False) -> FieldSpec:
    return FieldSpec(name=name, type=kind, has_default=default)


def program(
    inputs: tuple[FieldSpec, ...] = (field("text"),),
    outputs: tuple[FieldSpec, ...] = (field("label"),),
    *records: Record,
) -> Program:
    return Program(
        name="p",
        inputs=inputs,
        outputs=outputs,
        steps=(),
        returns={},
        predictors={},
        records={one.name: one for one in records},
    )


def record(*fields: FieldSpec, name: str = "P") -> Record:
    return Record(name=name, fields=fields)


def told(before: Program, after: Program) -> list[tuple[str, str, str, bool]]:
    return [(one.side, one.field, one.what, one.breaking) for one in contract_changes(before, after)]


WIDER = [
    (AB, ABC),
    (AB, STR),
    (STR, OptionalOf(item=STR)),
    (AB, OptionalOf(item=ABC)),
    (INT, FLOAT),
    (OneOfNumbers(values=(1, 2)), INT),
    (OneOfNumbers(values=(1, 2)), OneOfNumbers(values=(3, 2, 1))),
    (OneOfNumbers(values=(0.5, 1.0)), FLOAT),
    (ListOf(item=AB), ListOf(item=STR)),
    (TupleOf(items=(AB, AB)), ListOf(item=ABC)),
    (DictOf(key=STR, value=INT), DictOf(key=STR, value=FLOAT)),
    (STR, ANY),
    (OneOfRecords(tag="kind", records=("P",)), OneOfRecords(tag="kind", records=("P", "Q"))),
    (P, OneOfRecords(tag="kind", records=("P", "Q"))),
]
APART = [
    (STR, INT),
    (INT, BOOL),
    (BOOL, FLOAT),
    (AB, OneOf(values=("b", "c"))),
    (ListOf(item=STR), STR),
    (TupleOf(items=(STR, STR)), TupleOf(items=(STR,))),
    (OneOfRecords(tag="kind", records=("P",)), OneOfRecords(tag="sort", records=("P",))),
]
RECORDS = (record(field("x"), name="P"), record(field("y"), name="Q"))


@pytest.mark.parametrize(("narrow", "wide"), WIDER)
def test_inputs_may_take_more_and_outputs_may_give_less(narrow: Type, wide: Type) -> None:
    def taking(kind: Type) -> Program:
        return program((field("x", kind),), (field("label"),), *RECORDS)

    def giving(kind: Type) -> Program:
        return program((field("text"),), (field("y", kind),), *RECORDS)

    assert told(taking(narrow), taking(wide)) == [("input", "x", "retyped", False)]
    assert told(taking(wide), taking(narrow)) == [("input", "x", "retyped", True)]
    assert told(giving(wide), giving(narrow)) == [("output", "y", "retyped", False)]
    assert told(giving(narrow), giving(wide)) == [("output", "y", "retyped", True)]


@pytest.mark.parametrize(("one", "other"), APART)
def test_types_that_share_little_break_either_way(one: Type, other: Type) -> None:
    for before, after in ((one, other), (other, one)):
        for side, old, new in (
            ("input", program((field("x", before),)), program((field("x", after),))),
            ("output", program(outputs=(field("x", before),)), program(outputs=(field("x", after),))),
        ):
            assert told(old, new) == [(side, "x", "retyped", True)]


def test_fields_that_come_and_go() -> None:
    base = program((field("text"), field("tone", default=True)), (field("label"), field("why")))
    assert told(base, base) == []
    assert told(base, program((field("text"), field("tone", default=True)), (field("label"),))) == [
        ("output", "why", "removed", True)
    ]
    more = program(
        (field("text"), field("tone", default=True), field("who", default=True)),
        (field("label"), field("why"), field("score", FLOAT)),
    )
    assert told(base, more) == [("input", "who", "added", False), ("output", "score", "added", False)]
    required = program((field("text"), field("tone", default=True), field("who")), base.outputs)
    assert told(base, required) == [("input", "who", "added", True)]
    assert told(base, program((field("text"),), base.outputs)) == [("input", "tone", "removed", True)]
    assert told(base, program((field("text"), field("tone")), base.outputs)) == [
        ("input", "tone", "defaulted", True)
    ]
    assert told(program((field("text"), field("tone")), base.outputs), base) == [
        ("input", "tone", "defaulted", False)
    ]


def test_a_field_of_the_same_type_in_place_of_another_is_renamed() -> None:
    (change,) = contract_changes(
        program(outputs=(field("label", AB), field("why"))),
        program(outputs=(field("intent", AB), field("why"))),
    )
    assert (change.what, change.breaking, change.text) == (
        "renamed",
        True,
        "output `label` is now called `intent`",
    )
    assert told(program(outputs=(field("label", AB),)), program(outputs=(field("intent", INT),))) == [
        ("output", "label", "removed", True),
        ("output", "intent", "added", False),
    ]


def test_the_order_of_labels_and_fields_is_no_change() -> None:
    turned = OneOf(values=("b", "a"))
    assert (
        told(program(outputs=(field("x", AB), field("y"))), program(outputs=(field("y"), field("x", turned))))
        == []
    )


def test_records_are_compared_by_their_fields() -> None:
    small, large = record(field("a")), record(field("a"), field("b"))
    eased = record(field("a"), field("b", default=True))

    def taking(shape: Record) -> Program:
        return program((field("x", P),), (field("label"),), shape)

    def giving(shape: Record) -> Program:
        return program((field("text"),), (field("x", ListOf(item=P)),), shape)

    assert told(taking(small), taking(large)) == [("input", "x", "retyped", True)]
    assert told(taking(large), taking(small)) == [("input", "x", "retyped", True)]
    assert told(taking(small), taking(eased)) == [("input", "x", "retyped", False)]
    assert told(giving(small), giving(large)) == [("output", "x", "retyped", False)]
    assert told(giving(large), giving(small)) == [("output", "x", "retyped", True)]


def test_records_within_themselves_come_to_an_end() -> None:
    tree = record(field("value", AB), field("under", ListOf(item=P)))
    wider = record(field("value", ABC), field("under", ListOf(item=P)))
    assert (
        told(
            program((field("x", P),), (field("y", P),), tree),
            program((field("x", P),), (field("y", P),), tree),
        )
        == []
    )
    assert told(
        program((field("text"),), (field("y", P),), tree), program((field("text"),), (field("y", P),), wider)
    ) == [("output", "y", "retyped", True)]
