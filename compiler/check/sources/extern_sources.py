"""Where an extern comes from: the arguments of its source, and what the source's own check says."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from dspec.grammar.tree import Argument, Call, Expr, Literal, Name
from dspec.runtime.schema.types import Type

from ...data.sources.base import SourceParameter
from ...diagnostics import codes
from ..names.names import resolve
from ..session import Place, Session
from ..shape.arguments import match_arguments
from ..shape.attributes import form_of, number_of
from ..symbols import Symbol
from ..types.kinds import Group, NamedValue


def check_source(
    session: Session,
    place: Place,
    symbol: Symbol,
    source: Call,
    name: Name,
    inputs: Mapping[str, NamedValue],
    result: Type | Group,
) -> bool:
    """Report what is wrong with an extern's source. True when it brings a description of its own."""
    from .externs.base import ExternCall  # few projects have externs
    from .externs.table import EXTERN_SOURCES

    found = EXTERN_SOURCES.get(name.text)
    if found is None:
        session.report(codes.names.UnknownSource(place.at(name), tuple(EXTERN_SOURCES), rows=False))
        return True
    read = source_texts(session, place, source, name, found.parameters)
    if read is None:
        return True
    given, texts = read
    return found.check(session, place, ExternCall(symbol, source, frozenset(given), texts, inputs, result))


def source_texts(
    session: Session, place: Place, node: Call, name: Name, specs: Sequence[SourceParameter]
) -> tuple[dict[str, tuple[Argument, ...]], dict[str, tuple[str, Expr]]] | None:
    """A source's arguments by parameter, and those that are texts; None where a mistake was reported."""
    names = [spec.name for spec in specs]
    required = {spec.name for spec in specs if spec.required}
    shape = ", ".join(f"{spec.name} = …" for spec in specs)
    mistakes = len(session.findings)
    what = f"`{name.text}`"
    given = match_arguments(session, place, node, what, names, required, f"`{name.text}({shape})`")
    texts: dict[str, tuple[str, Expr]] = {}
    for spec in specs:
        for argument in given.get(spec.name, ()):
            text = text_argument(session, place, name.text, spec.name, spec.value, argument)
            if text is not None:
                texts[spec.name] = (text, argument.value)
    return None if len(session.findings) > mistakes else (given, texts)


def text_argument(
    session: Session, place: Place, source: str, name: str, kind: str, argument: Argument
) -> str | None:
    """The text that a source is given for its parameter `name`; reports what is none. None for other kinds."""
    node = argument.value
    if kind == "lm":
        resolve(session, place, node, ("lm",), f"`{name}` of `{source}`")
        return None
    if kind == "integer":
        number = number_of(node)
        if isinstance(number, int) and number >= 1:
            return None
    elif isinstance(node, Literal) and isinstance(node.value, str) and node.value.strip():
        return node.value
    wanted = "count" if kind == "integer" else "text"
    session.report(codes.syntax.WrongValue(place.at(node), name, wanted, form_of(node), of=source))
    return None
