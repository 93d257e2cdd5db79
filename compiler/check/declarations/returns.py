"""What a `program` gives back: the outputs that its header promises, and its `return`."""

from __future__ import annotations

from dspec.grammar.tree import Declaration, Reference, Return, Setting
from dspec.runtime.schema.expressions import Expression

from ...diagnostics.record import Edit, Fix, Label
from ...diagnostics.wording import listed, quoted
from ..expressions.infer import expect, infer, value
from ..expressions.scope import Scope
from ..session import Place, Session
from ..symbols import Symbol
from ..types.kinds import Member
from .signatures import parameters


def promised_outputs(session: Session, place: Place, declaration: Declaration) -> dict[str, Member] | None:
    """The outputs of the header; None when it has none."""
    returns = declaration.returns
    if returns is None:
        return None
    if not isinstance(returns, tuple):
        written = place.text(returns)
        session.report(
            "DS0111",
            "a program's outputs have names",
            place.at(returns),
            "which name?",
            help=f"write `-> (answer: {written})`",
            fixes=(
                Fix(
                    f"Write `(answer: {written})`",
                    (Edit(place.at(returns), f"(answer: {written})"),),
                    "maybe",
                ),
            ),
        )
        return None
    found = parameters(session, place, returns, "output")
    for node in returns:
        if node.default is not None:
            session.report(
                "DS0322",
                f"the output `{node.name.text}` has a default",
                place.at(node.default),
                "no default here",
            )
    return found


def returned_values(
    scope: Scope, symbol: Symbol, promised: dict[str, Member] | None
) -> tuple[dict[str, Expression], dict[str, Member]]:
    """The expressions of `return` by output, and the outputs with their types."""
    place, session = scope.place, scope.session
    items = [item for item in place.declaration.items or () if isinstance(item, Return)]
    if not items:
        stray = any(isinstance(item, Setting) for item in place.declaration.items or ())
        if place.declaration.items is not None and not place.block.problems and not stray:
            wanted = ", ".join(f"{name} = …" for name in promised) if promised else "answer = …"
            session.report(
                "DS0305",
                f"program `{symbol.name}` returns nothing",
                symbol.location,
                "no `return`",
                help=f"end it with `return {wanted}`",
            )
        return {}, promised or {}
    for extra in items[1:]:
        session.report(
            "DS0106",
            f"program `{symbol.name}` returns twice",
            place.at(extra),
            "again here",
            secondary=(Label(place.at(items[0]), "first here"),),
            help="a program has no branches: choose a value with `if … then … else …`",
        )
    codes: dict[str, Expression] = {}
    outputs: dict[str, Member] = {}
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
        if name in codes:
            session.report("DS0106", f"`{name}` is returned twice", place.at(argument), "again here")
            continue
        if promised is None:
            kind, code = value(scope, argument.value, f"the output `{name}`")
            codes[name] = code
            outputs[name] = Member(name, kind, symbol)
            continue
        member = promised.get(name)
        if member is None:
            codes[name] = infer(scope, argument.value).code
            session.report(
                "DS0305",
                f"program `{symbol.name}` returns `{name}`, and its header promises {listed(promised)}",
                place.at(argument.name or argument),
                "not promised",
                secondary=(Label(symbol.location, f"promises {listed(promised)}"),),
            )
            continue
        codes[name] = expect(scope, argument.value, member.type, f"the output `{name}`", member.symbol)
    absent = [name for name in promised or {} if name not in codes]
    stray = [name for name in codes if promised is not None and name not in promised]
    if absent and not stray:
        session.report(
            "DS0305",
            f"program `{symbol.name}` promises {quoted(absent)} and does not return "
            f"{'it' if len(absent) == 1 else 'them'}",
            place.at(items[0]),
            f"lacks {quoted(absent)}",
            secondary=tuple(
                Label(member.symbol.location, "promised here")
                for name, member in (promised or {}).items()
                if name in absent and member.symbol
            ),
        )
    return codes, promised if promised is not None else outputs
