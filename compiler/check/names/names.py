"""Looking names up: in a name's own file, then behind an import's alias.

A name that is not found gives one finding, which has the names of the wanted kinds.
"""

from __future__ import annotations

from collections.abc import Collection

from dspec.grammar.tree import Attribute, Expr, Name, NamedType, Node, Reference
from dspec.grammar.walk import children

from ...diagnostics import codes
from ...diagnostics.spelling import MAX_KNOWN, closest
from ..session import Place, Session
from ..symbols import FileScope, Symbol


def named(kinds: Collection[str], scope: FileScope) -> list[str]:
    """Every name of these kinds that can be written in a file, those behind imports with their alias.

    Empty where there are far too many to suggest one.
    """
    if len(scope.symbols) > MAX_KNOWN:
        return []
    names = scope.symbols.called(kinds)
    for alias, imported in scope.imports.items():
        if imported is not None:
            names += [f"{alias}.{name}" for name in imported.symbols.called(kinds)]
    return names


def path_of(expression: Expr | NamedType) -> tuple[Name | None, Name] | None:
    """`name` as (None, name), `alias.name` as (alias, name); None for any other expression."""
    match expression:
        case Reference(name=name):
            return None, name
        case NamedType(name=name, qualifier=qualifier):
            return qualifier, name
        case Attribute(target=Reference(name=alias), name=Name() as name):
            return alias, name
        case _:
            return None


def find(session: Session, place: Place, expression: Expr | NamedType) -> Symbol | None:
    """The declaration that `name` or `alias.name` stands for. Records its use, and reports nothing."""
    path = path_of(expression)
    if path is None:
        return None
    qualifier, name = path
    if qualifier is None:
        symbol = place.scope.symbols.get(name.text)
        if symbol is not None:
            session.use(place, name, symbol)
        return symbol
    alias = place.scope.symbols.get(qualifier.text)
    if alias is None or alias.kind != "import":
        return None
    session.use(place, qualifier, alias)
    imported = place.scope.imports.get(qualifier.text)
    symbol = imported.symbols.get(name.text) if imported else None
    if symbol is not None:
        session.use(place, name, symbol)
    return symbol


def is_open(place: Place, expression: Expr | NamedType) -> bool:
    """True when the name may well exist: its import or its declaration could not be read."""
    path = path_of(expression)
    if path is None:
        return False
    if path[0] is None:
        return path[1].text in place.scope.unreadable
    alias = path[0].text
    return alias in place.scope.imports and place.scope.imports[alias] is None


def resolve(
    session: Session, place: Place, expression: Expr | NamedType, kinds: Collection[str], wanted_by: str
) -> Symbol | None:
    """The declaration of one of `kinds` that `expression` names; reports and gives None otherwise.

    `wanted_by` is what needs it, as in "`metric`" or "`ChainOfThought`".
    """
    session.seek(expression, kinds)
    path = path_of(expression)
    if path is None:
        session.report(codes.names.NotAName(place.at(expression), tuple(kinds), wanted_by))
        return None
    symbol = find(session, place, expression)
    if symbol is None:
        if not is_open(place, expression):
            unknown(session, place, expression, path, kinds)
        return None
    if symbol.kind not in kinds:
        wrong_kind(session, place, path[1], symbol, kinds, wanted_by)
        return None
    return symbol


def wrong_kind(
    session: Session, place: Place, node: Node, symbol: Symbol, kinds: Collection[str], wanted_by: str
) -> None:
    itself = place.declaration.name.text if place.declaration.name else ""
    known = tuple(name for name in named(kinds, place.scope) if name != itself)
    session.report(
        codes.names.WrongKind(place.at(node), symbol.kind, symbol.location, tuple(kinds), wanted_by, known)
    )


def unknown(
    session: Session,
    place: Place,
    whole: Expr | NamedType,
    path: tuple[Name | None, Name],
    kinds: Collection[str],
    extra: Collection[str] = (),
) -> None:
    """Report that there is no declaration of that name. `extra` are further names that would do."""
    qualifier, name = path
    if qualifier is not None:
        alias = place.scope.symbols.get(qualifier.text)
        imported = place.scope.imports.get(qualifier.text)
        if alias is None or alias.kind != "import" or imported is None:
            _unknown_alias(session, place, qualifier, name)
            return
        have = tuple(imported.symbols.called(kinds))
        session.report(
            codes.imports.NotInFile(place.at(name), imported.source.name, alias.location, tuple(kinds), have)
        )
        return
    known = (*named(kinds, place.scope), *extra)
    needing = _needing(place, name.text, known)
    known = tuple(one for one in known if one not in needing)
    if place.scope.nameless.isdisjoint(kinds) or closest(name.text, known):
        session.report(codes.names.UnknownName(place.at(whole), tuple(kinds), known, needing))


def _needing(place: Place, text: str, known: Collection[str]) -> tuple[str, ...]:
    """The declarations of a name like `text` that need what has that name themselves: none of them is what was meant."""
    found: list[str] = []
    while near := closest(text, (one for one in known if one not in found)):
        symbols = [(one, place.scope.symbols.get(one)) for one in near]
        more = [
            one
            for one, symbol in symbols
            # A record may well hold itself.
            if symbol is not None
            and symbol.kind not in ("record", "type")
            and _says(symbol.declaration, text)
        ]
        if not more:
            break
        found += more
    return tuple(found)


def _says(declaration: Node, text: str) -> bool:
    """Whether a name below is this one."""
    left = [declaration]
    while left:
        node = left.pop()
        if isinstance(node, Name) and node.text == text:
            return True
        left += children(node)
    return False


def _unknown_alias(session: Session, place: Place, qualifier: Name, name: Name) -> None:
    other = place.scope.symbols.get(qualifier.text)
    if other is not None and other.kind != "import":
        session.report(codes.names.NotAnImport(place.at(qualifier), name.text, other.kind, other.location))
        return
    aliases = tuple(place.scope.symbols.called(("import",)))
    session.report(codes.names.UnknownAlias(place.at(qualifier), aliases))
