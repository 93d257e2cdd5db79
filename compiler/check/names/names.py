"""Looking names up, and what is said when there is no such name.

A name is looked for in its own file, then behind an import's alias. Nothing found gives one message
with suggestions of the kind that was wanted.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable

from dspec.grammar.tree import Attribute, Expr, Name, NamedType, Node, Reference

from ...diagnostics.record import Label
from ...diagnostics.spelling import MAX_KNOWN, closest, plural, quoted
from ..session import Place, Session, replace, suggestions
from ..symbols import FileScope, Symbol

NOUNS = {
    "extern": "extern",
    "type": "type",
    "record": "record",
    "lm": "lm",
    "signature": "signature",
    "module": "module",
    "program": "program",
    "dataset": "dataset",
    "metric": "metric",
    "optimize": "optimize block",
    "eval": "eval",
    "test": "test",
    "import": "imported file",
}

MAX_LISTED = 8


def article(noun: str) -> str:
    vowel = noun[0] in "aeiou" or noun.split()[0] == "lm"
    return f"an {noun}" if vowel else f"a {noun}"


def either(kinds: Collection[str]) -> str:
    """`module, program or optimize block`: kinds as a message lists them."""
    nouns = [NOUNS[kind] for kind in kinds]
    return nouns[0] if len(nouns) == 1 else f"{', '.join(nouns[:-1])} or {nouns[-1]}"


def listed(names: Iterable[str]) -> str:
    """Names as a message lists them, cut where it gets long."""
    known = list(names)
    if len(known) > MAX_LISTED:
        return f"{', '.join(f'`{name}`' for name in known[:MAX_LISTED])} and {len(known) - MAX_LISTED} more"
    return quoted(known)


def named(kinds: Collection[str], scope: FileScope) -> list[str]:
    """Every name of these kinds that can be written in a file, those behind imports with their alias.

    Empty where there are far too many to suggest one.
    """
    if len(scope.symbols) > MAX_KNOWN:
        return []
    names = [symbol.name for symbol in scope.symbols.values() if symbol.kind in kinds]
    for alias, imported in scope.imports.items():
        if imported is not None:
            names += [
                f"{alias}.{symbol.name}" for symbol in imported.symbols.values() if symbol.kind in kinds
            ]
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
    """The declaration that `name` or `alias.name` stands for, silently; records its use."""
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
    path = path_of(expression)
    if path is None:
        session.report(
            "DS0202",
            f"{wanted_by} needs the name of {article(either(kinds))}, not an expression",
            place.at(expression),
            f"expected {article(either(kinds))}",
        )
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
    known = [name for name in named(kinds, place.scope) if name != itself]
    offers = tuple(known[:3])
    session.report(
        "DS0202",
        f"`{symbol.name}` is {article(NOUNS.get(symbol.kind, symbol.kind))}, but {wanted_by} needs "
        f"{article(either(kinds))}",
        place.at(node),
        f"{article(NOUNS.get(symbol.kind, symbol.kind))}",
        secondary=(Label(symbol.location, f"`{symbol.name}` is declared here"),),
        help=f"{either(kinds)} in scope: {listed(known)}" if offers else "",
        fixes=suggestions(place.at(node), offers, guess=True) if len(offers) == 1 else (),
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
    noun = either(kinds)
    if qualifier is not None:
        alias = place.scope.symbols.get(qualifier.text)
        imported = place.scope.imports.get(qualifier.text)
        if alias is None or alias.kind != "import" or imported is None:
            _unknown_alias(session, place, qualifier, name)
            return
        near = closest(name.text, [s.name for s in imported.symbols.values() if s.kind in kinds])
        have = [s.name for s in imported.symbols.values() if s.kind in kinds]
        session.report(
            "DS0208",
            f"`{imported.source.name}` declares no {noun} named `{name.text}`{did_you_mean(near)}",
            place.at(name),
            "not declared there",
            secondary=(Label(alias.location, f"`{qualifier.text}` is imported here"),),
            help="" if near else (f"it declares {listed(have)}" if have else f"it declares no {noun} at all"),
            fixes=suggestions(place.at(name), near),
        )
        return
    known = named(kinds, place.scope) + list(extra)
    near = closest(name.text, known)
    if not near and not place.scope.nameless.isdisjoint(kinds):
        return
    session.report(
        "DS0201",
        f"there is no {noun} named `{name.text}`{did_you_mean(near)}",
        place.at(whole),
        "not declared",
        help="" if near else _what_there_is(known, noun),
        fixes=suggestions(place.at(whole), near),
    )


def did_you_mean(near: tuple[str, ...]) -> str:
    return f"; did you mean {quoted(near, 'or')}?" if near else ""


def did_you_mean_text(near: tuple[str, ...]) -> str:
    """The same for texts, which are shown as they are written."""
    shown = [f'"{text}"' for text in near]
    either = shown[0] if len(shown) == 1 else f"{', '.join(shown[:-1])} or {shown[-1]}" if shown else ""
    return f"; did you mean {either}?" if near else ""


def _what_there_is(known: list[str], noun: str) -> str:
    if not known:
        return f"this file declares no {noun}"
    return f"{plural(len(known), 'name')} would fit here: {listed(known)}"


def _unknown_alias(session: Session, place: Place, qualifier: Name, name: Name) -> None:
    aliases = [symbol.name for symbol in place.scope.symbols.values() if symbol.kind == "import"]
    other = place.scope.symbols.get(qualifier.text)
    near = closest(qualifier.text, aliases)
    if other is not None and other.kind != "import":
        session.report(
            "DS0202",
            f"`{qualifier.text}` is {article(NOUNS.get(other.kind, other.kind))}, not an imported file, so "
            f"`{qualifier.text}.{name.text}` names nothing here",
            place.at(qualifier),
            f"{article(NOUNS.get(other.kind, other.kind))}",
            secondary=(Label(other.location, "declared here"),),
        )
        return
    session.report(
        "DS0201",
        f"no import is called `{qualifier.text}`{did_you_mean(near)}",
        place.at(qualifier),
        "not imported",
        help=""
        if near
        else f'add `import "{qualifier.text}.dspec" as {qualifier.text}` if such a file exists',
        fixes=tuple(replace(place.at(qualifier), alias) for alias in near),
    )
