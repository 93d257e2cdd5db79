"""`test` blocks: the inputs that a program is given, and the conditions that its outputs must meet."""

from __future__ import annotations

from collections.abc import Mapping

from msgspec import Struct

from dspec.grammar.tree import (
    Attribute,
    Call,
    Expect,
    Expr,
    Given,
    Index,
    Reference,
)
from dspec.runtime.schema.expressions import Expression
from dspec.runtime.values.media import is_history

from ... import ir
from ...data import HistoryQuestion
from ...data.histories import paths_in, unfit_history
from ...data.media import MediaFiles
from ...diagnostics import codes
from ...project.source import Location
from ..declarations.records import records_lookup
from ..expressions.given import given
from ..expressions.infer import infer, truth
from ..expressions.scope import Measure, Scope, bindings
from ..session import Place, Session
from ..shape.attributes import Reader
from ..shape.literals import constant
from ..shape.shape import has_misplaced
from ..symbols import Symbol
from ..types.declared import RunnableInfo
from ..types.kinds import NamedValue
from .fits import referred_program


class TestInfo(Struct, frozen=True):
    """A test, without the lines where it and its conditions stand: those are their places."""

    test: ir.Test
    where: Location
    conditions: tuple[Location, ...]

    @property
    def placed(self) -> ir.Test:
        """The test with the lines."""
        expectations = tuple(
            one.model_copy(update={"where": place.told})
            for one, place in zip(self.test.expectations, self.conditions, strict=True)
        )
        return self.test.model_copy(update={"where": self.where.told, "expectations": expectations})


def test(session: Session, symbol: Symbol) -> TestInfo | None:
    return session.once(_check_test, symbol)


def _check_test(session: Session, symbol: Symbol) -> TestInfo | None:
    place = session.place(symbol)
    declaration = place.declaration
    read = Reader(session, place, declaration.items)
    found = referred_program(session, place, read, "program")
    tested = found if found is not None and found.known else None
    written: dict[str, Given] = {}
    values: dict[str, Expression] = {}
    for item in declaration.items or ():
        if isinstance(item, Given):
            first = written.setdefault(item.name.text, item)
            if first is not item:
                session.report(
                    codes.attributes.GivenTwice(place.at(item.name), item.name.text, place.at(first.name))
                )
                continue
            values[item.name.text] = _given(session, place, item, tested)
    if tested is None:
        return None
    expected = [item for item in declaration.items or () if isinstance(item, Expect)]
    expectations = tuple(_expectation(session, place, item, tested) for item in expected)
    if not place.block.problems and not has_misplaced(place):
        _complete(session, place, symbol, tested.inputs, written)
    made = ir.Test(
        name=symbol.key, program=tested.symbol.key, given=values, expectations=expectations, where=""
    )
    at = place.at(declaration.name or declaration.keyword)
    return TestInfo(made, at, tuple(place.at(item.condition) for item in expected))


def _complete(
    session: Session,
    place: Place,
    symbol: Symbol,
    inputs: Mapping[str, NamedValue],
    written: Mapping[str, Given],
) -> None:
    """A test gives every input that has no default, and expects something."""
    absent = tuple(name for name, member in inputs.items() if name not in written and not member.has_default)
    if absent and all(name in inputs for name in written):
        places = tuple(at for name in absent if (at := inputs[name].location))
        session.report(codes.calls.LacksGiven(symbol.location, absent, places))
    if not any(isinstance(item, Expect) for item in place.declaration.items or ()):
        session.report(codes.attributes.ExpectsNothing(symbol.location))


def _given(session: Session, place: Place, item: Given, tested: RunnableInfo | None) -> Expression:
    scope = Scope(session, place, {}, "a test", records=records_lookup(session))
    node: Expr = item.value
    if tested is None:
        return infer(scope, node).code
    member = tested.inputs.get(item.name.text)
    if member is None:
        session.report(
            codes.calls.UnknownGiven(place.at(item.name), tested.symbol.name, tuple(tested.inputs))
        )
        return infer(scope, node).code
    session.use(place, item.name, member.symbol)
    code = given(scope, node, member)
    if is_history(member.type):
        _turns(session, place, node, member, code, tested)
    return code


def _turns(
    session: Session, place: Place, node: Expr, member: NamedValue, code: Expression, tested: RunnableInfo
) -> None:
    """Report turns that are none of the modules that take them."""
    known, value = constant(code)
    if not known or value is None or tested.program is None:
        return
    asked = HistoryQuestion(program=tested.program, name=member.name, type=member.type, turns=value)
    if not any(paths_in(asked)):
        why = unfit_history(asked, MediaFiles(session.folder, session.root, glancing=True))
    else:
        seen = session.see(asked) if session.probe else None
        why = seen.fault if seen is not None else ""
    if why:
        session.report(codes.media.GivenTurns(place.at(node), member.name, why))


def _expectation(session: Session, place: Place, item: Expect, tested: RunnableInfo) -> ir.Expectation:
    measure = Measure()
    parts: list[tuple[Expr, Expression]] = []
    scope = Scope(
        session,
        place,
        bindings(tested.outputs.values()),
        "a test",
        records=records_lookup(session),
        measure=measure,
        parts=parts,
    )
    condition = truth(scope, item.condition, "what `expect` asks for")
    return ir.Expectation(
        text=" ".join(place.text(item.condition).split()),
        condition=condition,
        parts=_shown(place, item.condition, parts),
        judges=tuple(measure.judges),
        where="",
    )


def _shown(place: Place, whole: Expr, parts: list[tuple[Expr, Expression]]) -> tuple[ir.ConditionPart, ...]:
    """What is looked up or called in a condition: not the condition itself, and of `x.y` not also `x`."""
    within = {id(node.target) for node, _ in parts if isinstance(node, Attribute | Index)}
    shown: dict[str, Expression] = {}
    for node, code in parts:
        if (
            isinstance(node, Reference | Attribute | Index | Call)
            and id(node) not in within
            and node is not whole
        ):
            shown.setdefault(" ".join(place.text(node).split()), code)
    return tuple(ir.ConditionPart(text=text, value=code) for text, code in shown.items())
