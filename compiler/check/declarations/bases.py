"""`extends`: the fields that a signature or a record has from its base, and which of them it may say anew."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Literal

from msgspec.structs import replace

from dspec.grammar.tree import FieldItem

from ...diagnostics import codes
from ..names.names import resolve
from ..session import Place, Session
from ..symbols import Symbol
from ..types.kinds import NamedValue, assignable, spell


def base_of(session: Session, place: Place, kind: Literal["signature", "record"]) -> Symbol | None:
    """The declaration that this one extends; None where it extends nothing, or a mistake that is reported."""
    base = place.declaration.base
    return None if base is None else resolve(session, place, base, (kind,), "`extends`")


def report_circle(session: Session, place: Place) -> None:
    """Reports that the base leads back to the declaration, whose check is at work."""
    base, name = place.declaration.base, place.declaration.name
    assert base is not None
    session.report(codes.shapes.ExtendsItself(place.at(base), name.text if name else ""))


def is_whole(place: Place, role: Collection[str], *, based: bool) -> bool:
    """Whether all fields of a signature or a record are known: its header and its items could be read, every field has one of
    these roles, and the base that it names, if any, is there and whole (`based`). Where not, what is missed of it is a
    consequence."""
    items = place.declaration.items
    misplaced = any(isinstance(item, FieldItem) and item.role not in role for item in items or ())
    header = place.declaration.parameters is None and items is not None
    return header and not place.block.problems and not misplaced and (based or place.declaration.base is None)


def in_circle(session: Session) -> bool:
    """Whether a declaration that this one needs extends itself: what the others of the circle lack is a consequence."""
    return any(isinstance(found, codes.shapes.ExtendsItself) for found in session.found_so_far())


def with_base(
    session: Session,
    base: Symbol | None,
    inherited: Mapping[str, NamedValue],
    own: Mapping[str, NamedValue],
    typeless: frozenset[str],
) -> dict[str, NamedValue]:
    """The base's fields and then the own ones. One that both have keeps its place and says more than the base's: its
    type, where it has one and is not among the `typeless`, holds no more values, and the description is its own or the base's."""
    found = dict(inherited)
    for name, member in own.items():
        before = inherited.get(name)
        if before is not None and base is not None:
            kind = before.type if name in typeless else member.type
            if not assignable(kind, before.type) and member.symbol and before.symbol:
                session.report(
                    codes.shapes.NoRefinement(
                        member.symbol.location,
                        base.name,
                        before.symbol.location,
                        "",
                        spell(kind),
                        spell(before.type),
                    )
                )
                continue
            member = replace(member, type=kind, description=member.description or before.description)
        found[name] = member
    return found


def without_other_role(
    session: Session,
    base: Symbol | None,
    own: Mapping[str, NamedValue],
    others: Mapping[str, NamedValue],
    role: Literal["an input", "an output"],
) -> dict[str, NamedValue]:
    """The own fields but for those that the base has as another `role`, which are reported."""
    found = dict(own)
    for name, member in own.items():
        before = others.get(name)
        if before is not None and base is not None and member.symbol and before.symbol:
            session.report(
                codes.shapes.NoRefinement(
                    member.symbol.location, base.name, before.symbol.location, role, "", ""
                )
            )
            del found[name]
    return found
