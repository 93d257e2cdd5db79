"""What is said about an expression that does not fit where it stands."""

from __future__ import annotations

import re

from dspec.grammar.tree import Expr, Literal, Name
from dspec.runtime.schema.types import ListOf, OneOf, OptionalOf, Type
from dspec.runtime.values.functions import FUNCTIONS

from ...diagnostics.codes.habits import LITERALS
from ...diagnostics.fixes import replace as replacement
from ...diagnostics.fixes import suggestions
from ...diagnostics.record import Label
from ...diagnostics.spelling import closest
from ...diagnostics.wording import article, did_you_mean, did_you_mean_text, listed
from ..session import Place, Session
from ..symbols import Symbol
from ..types.kinds import BOOL, STR, Group, Kind, assignable, spell
from .scope import Scope


def not_a_value(scope: Scope, node: Expr, group: Group, what: str) -> None:
    names = list(group.members)
    text = scope.place.text(node)
    scope.session.report(
        "DS0301",
        f"{what} needs one value, and `{text}` stands for {group.title}",
        scope.place.at(node),
        group.title,
        help=f"pick one {group.noun}: {listed(f'{text}.{name}' for name in names)}" if names else "",
        fixes=(replacement(scope.place.at(node), f"{text}.{names[0]}"),) if len(names) == 1 else (),
    )


def not_a_member(
    scope: Scope, node: Expr, text: str, union: OneOf, what: str, declared: Symbol | None
) -> None:
    near = closest(text, union.values)
    what = what.removeprefix("the default of ")
    secondary = (Label(declared.location, f"`{declared.name}` is declared here"),) if declared else ()
    shown = ", ".join(f'"{choice}"' for choice in union.values[:8])
    more = f" and {len(union.values) - 8} more" if len(union.values) > 8 else ""
    scope.session.report(
        "DS0306",
        f'"{text}" is not one of the values of {what}' + did_you_mean_text(near),
        scope.place.at(node),
        "not in the union",
        secondary=secondary,
        help=f"the values are {shown}{more}",
        fixes=suggestions(scope.place.at(node), tuple(f'"{choice}"' for choice in near)),
    )


def mismatch(scope: Scope, node: Expr, got: Kind, want: Type, what: str, declared: Symbol | None) -> None:
    if isinstance(got, Group):
        not_a_value(scope, node, got, what)
        return
    secondary = (Label(declared.location, f"declared as {spell(want)}"),) if declared else ()
    hint = ""
    if isinstance(node, Literal) and node.value is None:
        hint = f"write `{spell(want)}?` for what may be missing"
    elif isinstance(got, OptionalOf) and assignable(got.item, want):
        text = scope.place.text(node)
        hint = f"it may be none; decide what then: `if {text} == none then … else {text}`"
    elif got == STR and isinstance(want, OneOf):
        hint = f"text may be anything; declare the value as {spell(want)} where it comes from"
    elif want == STR and not isinstance(got, OptionalOf):
        hint = _as_text(scope, node, got)
    scope.session.report(
        "DS0301",
        f"{what} must be {spell(want)}, and this is {spell(got)}",
        scope.place.at(node),
        spell(got),
        secondary=secondary,
        help=hint,
    )


def _as_text(scope: Scope, node: Expr, got: Kind) -> str:
    """How a value of another type becomes text, if that is plain."""
    text = scope.place.text(node)
    if isinstance(node, Literal):
        return f'write `"{text}"`' if isinstance(node.value, int | float) else ""
    if got == BOOL:
        return f'say it in words: `if {text} then "…" else "…"`'
    if isinstance(got, ListOf):
        return f'join its items: `join({text}, "; ")`' if _has_function(scope, "join") else ""
    return f"write `str({text})`" if _has_function(scope, "str") else ""


def _has_function(scope: Scope, name: str) -> bool:
    return name in FUNCTIONS and name not in scope.names


def with_article(text: str) -> str:
    if text.startswith('"'):
        return text
    return f"an {text}" if text[:1] in "aeiou" else f"a {text}"


def unknown_value(scope: Scope, node: Expr, name: Name) -> None:
    block = scope.place.block
    if block.problems and re.search(rf"\b{re.escape(name.text)}\s*=(?!=)", block.text):
        return  # it is made by an item that could not be read
    known = list(scope.names)
    near = (LITERALS[name.text],) if name.text in LITERALS else closest(name.text, known)
    inside = [
        f"{group_name}.{name.text}"
        for group_name, binding in scope.names.items()
        if isinstance(binding.kind, Group) and name.text in binding.kind.members
    ]
    offers = near or tuple(inside[:3])
    scope.session.report(
        "DS0201",
        f"there is no value named `{name.text}` here{did_you_mean(offers)}",
        scope.place.at(node),
        "not in scope",
        help="" if offers or not known else f"in scope: {listed(known)}",
        fixes=suggestions(scope.place.at(node), offers),
    )


def not_value(scope: Scope, node: Expr, symbol: Symbol) -> None:
    scope.session.report(
        "DS0202",
        f"`{scope.place.text(node)}` is {article(symbol.kind)}, not a value in {scope.purpose}",
        scope.place.at(node),
        "not a value",
        secondary=(Label(symbol.location, "declared here"),),
    )


def no_member(session: Session, place: Place, name: Name, group: Group, target: str) -> None:
    """Report a member that a group does not have."""
    near = closest(name.text, group.members)
    first = next((member.symbol for member in group.members.values() if member.symbol), None)
    secondary = ()
    if near and (symbol := group.members[near[0]].symbol):
        secondary = (Label(symbol.location, f"`{near[0]}` is declared here"),)
    elif first:
        secondary = (Label(first.location, f"the first {group.noun} is declared here"),)
    session.report(
        group.code,
        f"`{target}` has no {group.noun} `{name.text}`{did_you_mean(near)}",
        place.at(name),
        f"not {article(group.noun)} of {group.owner}",
        secondary=secondary,
        help="" if near else f"{group.owner} has {listed(group.members)}" if group.members else "",
        fixes=suggestions(place.at(name), near),
    )


def no_members(scope: Scope, target: Expr, name: Name, kind: Kind) -> None:
    scope.session.report(
        "DS0304",
        f"`{scope.place.text(target)}` is {spell(kind)} and has no fields, so `.{name.text}` names nothing",
        scope.place.at(name),
        "no such field",
        help="take an item of the list first, as in `xs[0]`" if isinstance(kind, ListOf) else "",
    )
