"""`feedback for agent.react = …`: what one predictor, or one tool that an agent is told of, is to learn from a run."""

from __future__ import annotations

from dspec.grammar.tree import Item, SettingOf
from dspec.runtime.schema.expressions import Expression
from dspec.runtime.schema.program import Program
from dspec.runtime.schema.types import STR

from ...diagnostics import codes
from ...optimizers.texts import described
from ..expressions.infer import expect
from ..expressions.scope import Scope
from ..names.names import find

FEEDBACK = "feedback"


def feedbacks(scope: Scope, items: tuple[Item, ...], program: Program | None) -> dict[str, Expression]:
    """What is said for some of the program's addresses; reports an address that the program lacks."""
    session, place = scope.session, scope.place
    found: dict[str, Expression] = {}
    first: dict[str, SettingOf] = {}
    for item in items:
        if not isinstance(item, SettingOf) or item.name.text != FEEDBACK:
            continue
        written = "".join(place.text(item.address).split())
        said = expect(scope, item.value, STR, f"`{FEEDBACK} for {written}`")
        if program is None:
            continue
        prefix = place.scope.prefix
        known = tuple(one.removeprefix(prefix) for one in (*program.predictors, *described(program)))
        session.seek(item.address, (), {one: place.scope.symbols.get(one) for one in known})
        if written not in known:
            session.report(codes.metric_calls.NoSuchAddress(place.at(item.address), program.name, known))
        elif first.setdefault(written, item) is not item:
            session.report(
                codes.attributes.GivenTwice(place.at(item.address), written, place.at(first[written].address))
            )
        else:
            find(session, place, item.address)  # so that renaming a module renames it here
            found[prefix + written] = said
    return found
