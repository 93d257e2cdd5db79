"""What a `program` gives back: the outputs that its header promises, and its `return`."""

from __future__ import annotations

from dspec.grammar.tree import Declaration, Reference, Return, Setting
from dspec.runtime.schema.expressions import Expression

from ...diagnostics import codes
from ..expressions.infer import expect, infer, value
from ..expressions.scope import Scope
from ..session import Place, Session
from ..symbols import Symbol
from ..types.kinds import ANY, NamedValue, beyond_text
from .records import parameters


def promised_outputs(
    session: Session, place: Place, declaration: Declaration
) -> dict[str, NamedValue] | None:
    """The outputs of the header; None when it has none."""
    returns = declaration.returns
    if returns is None:
        return None
    if not isinstance(returns, tuple):
        session.report(codes.syntax.NamelessOutput(place.at(returns)))
        return None
    found = parameters(session, place, returns, "output")
    for node in returns:
        if node.default is not None:
            session.report(codes.calls.PromisedDefault(place.at(node.default), node.name.text))
    return found


def returned_values(
    scope: Scope, symbol: Symbol, promised: dict[str, NamedValue] | None
) -> tuple[dict[str, Expression], dict[str, NamedValue]]:
    """The expressions of `return` by output, and the outputs with their types."""
    place, session = scope.place, scope.session
    items = [item for item in place.declaration.items or () if isinstance(item, Return)]
    if not items:
        stray = any(isinstance(item, Setting) for item in place.declaration.items or ())
        if place.declaration.items is not None and not place.block.problems and not stray:
            session.report(codes.programs.ReturnsNothing(symbol.location, tuple(promised or ())))
        return {}, promised or {}
    for extra in items[1:]:
        session.report(codes.attributes.ReturnsTwice(place.at(extra), symbol.name, place.at(items[0])))
    lowered: dict[str, Expression] = {}
    outputs: dict[str, NamedValue] = {}
    order = list(promised or {})
    for position, argument in enumerate(items[0].arguments):
        if argument.name is not None:
            name = argument.name.text
        elif promised is not None and position < len(order):
            name = order[position]
        else:
            name = (
                argument.value.name.text if isinstance(argument.value, Reference) else f"output{position + 1}"
            )
        if name in lowered:
            session.report(codes.attributes.ReturnedTwice(place.at(argument), name))
            continue
        if promised is None:
            kind, code = value(scope, argument.value, f"the output `{name}`")
            if word := beyond_text(kind):
                session.report(codes.media.PassedOut(place.at(argument.value), word, name))
                kind = ANY
            lowered[name] = code
            outputs[name] = NamedValue(name, kind, symbol)
            continue
        member = promised.get(name)
        if member is None:
            lowered[name] = infer(scope, argument.value).code
            at = place.at(argument.name or argument)
            session.report(codes.programs.NotPromised(at, name, symbol.location, tuple(promised)))
            continue
        if argument.name is not None:
            session.use(place, argument.name, member.symbol)
        lowered[name] = expect(scope, argument.value, member.type, f"the output `{name}`", member.symbol)
    if promised and lowered.keys() <= promised.keys() and (absent := promised.keys() - lowered.keys()):
        lacking = [member for name, member in promised.items() if name in absent]
        places = tuple(member.symbol.location for member in lacking if member.symbol)
        names = tuple(member.name for member in lacking)
        session.report(codes.programs.NotReturned(place.at(items[0]), symbol.name, names, places))
    return lowered, promised if promised is not None else outputs
