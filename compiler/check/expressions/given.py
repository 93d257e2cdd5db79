"""Values that are given to a field where no row is: in a test, or in a demo."""

from __future__ import annotations

from dspec.grammar.tree import Expr, ListLiteral, Literal
from dspec.runtime.schema.expressions import Constant, Expression, ListOfItems
from dspec.runtime.schema.types import DictOf, JsonValue, ListOf, OptionalOf, Type
from dspec.runtime.values.media import MediumKind, is_history, medium_kind

from ...data import BroughtQuestion, MediumQuestion
from ...data.media import is_path, stand_in
from ...diagnostics import codes
from ..session import Place, Session
from ..sources.data_files import data_file
from ..types.kinds import ANY, STR, NamedValue
from .infer import expect
from .scope import Scope

TURNS = OptionalOf(item=ListOf(item=DictOf(key=STR, value=ANY)))
"""How a history is written out."""


def given(scope: Scope, node: Expr, member: NamedValue) -> Expression:
    """What a field is given, checked against its type. A medium is a path or an address, as in a row: a path counts from the
    root file's folder then."""
    kind = medium_kind(member.type)
    if kind is not None:
        return _medium(scope.session, scope.place, node, member.name, member.type, kind)
    want = TURNS if is_history(member.type) else member.type
    return expect(scope, node, want, f"`{member.name}`", member.symbol)


def _medium(
    session: Session, place: Place, node: Expr, name: str, type_: Type, kind: MediumKind
) -> Expression:
    if isinstance(type_, OptionalOf):
        if isinstance(node, Literal) and node.value is None:
            return Constant(value=None)
        type_ = type_.item
    if isinstance(node, ListLiteral) and isinstance(type_, ListOf):
        inner = type_.item
        return ListOfItems(
            items=tuple(_medium(session, place, item, name, inner, kind) for item in node.items)
        )
    if isinstance(type_, ListOf):
        session.report(codes.values.NoMedium(place.at(node), name, "it is no list of texts", kind))
        return Constant(value=None)
    if not (isinstance(node, Literal) and isinstance(node.value, str)):
        session.report(codes.values.NoMedium(place.at(node), name, "it is no literal text", kind))
        return Constant(value=None)
    text: str | None = node.value
    if is_path(node.value):
        text = data_file(session, place, node.value, node)
    if text is not None and session.probe:
        seen = session.see(MediumQuestion(text=text, kind=kind))
        if seen is not None and seen.fault:
            session.report(codes.values.NoMedium(place.at(node), name, seen.fault, kind))
    return Constant(value=text)


def brought(session: Session, value: JsonValue, kind: MediumKind) -> JsonValue:
    """A medium's path or address, or a list of such, as prompts have it. Where its files are not read yet, another medium
    stands for each. Raises ValueError for what cannot be sent."""
    seen = session.see(BroughtQuestion(value=value, kind=kind))
    if seen is not None and seen.fault:
        raise ValueError(seen.fault)
    if seen is not None and seen.value is not None:
        return seen.value
    if isinstance(value, list):
        return [stand_in(one, kind) if isinstance(one, str) else one for one in value]
    return stand_in(value, kind) if isinstance(value, str) else value
