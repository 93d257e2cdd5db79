"""Where an extern comes from: the arguments of its source, and what the source's own check says."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from msgspec import Struct, field

from dspec.grammar.tree import Call, Expr, Literal, Name
from dspec.runtime.schema.types import JsonValue, Type

from ...data.sources.base import SourceParameter
from ...diagnostics import codes
from ...diagnostics.codes.attributes import Wanted
from ..names.names import resolve
from ..session import Place, Session
from ..shape.arguments import match_arguments
from ..shape.attributes import FromEnvironment, environment, form_of, number_of
from ..shape.secrets import holds_secret
from ..symbols import Symbol
from ..types.kinds import Group, NamedValue


class ExternSourced(Struct, frozen=True):
    """What an extern's source turns out to be. `options` are what its tool carries, None where it cannot run. After
    a mistake that may hide the description (`mistaken`), a missing one is not reported."""

    options: Mapping[str, JsonValue] | None = None
    lm: Symbol | None = None
    description: str = ""
    mistaken: bool = False


def check_source(
    session: Session,
    place: Place,
    symbol: Symbol,
    source: Call,
    name: Name,
    inputs: Mapping[str, NamedValue],
    result: Type | Group,
) -> ExternSourced:
    """What the source is; reports what is wrong with it."""
    from .externs.base import ExternCall  # few projects have externs
    from .externs.table import EXTERN_SOURCES

    found = EXTERN_SOURCES.get(name.text)
    if found is None:
        session.report(codes.names.UnknownSource(place.at(name), tuple(EXTERN_SOURCES), rows=False))
        return ExternSourced(mistaken=True)
    read = source_arguments(session, place, source, name, found.parameters)
    if read is None:
        return ExternSourced(mistaken=True)
    written = ExternCall(symbol, source, read.given, read.texts, read.options, inputs, result)
    made = found.check(session, place, written)
    return ExternSourced(made.options, read.lm, made.description, made.mistaken)


class SourceArguments(Struct):
    """A source's arguments: the parameters that are given, the texts among them with their places, and all as data:
    `env("X")` for `name` is the option `name_env`."""

    given: frozenset[str]
    texts: dict[str, tuple[str, Expr]] = field(default_factory=dict[str, tuple[str, Expr]])
    options: dict[str, JsonValue] = field(default_factory=dict[str, JsonValue])
    lm: Symbol | None = None


def source_arguments(
    session: Session, place: Place, node: Call, name: Name, specs: Sequence[SourceParameter]
) -> SourceArguments | None:
    """What a source is given; None where a mistake was reported."""
    names = [spec.name for spec in specs]
    required = {spec.name for spec in specs if spec.required}
    shape = ", ".join(f"{spec.name} = …" for spec in specs)
    mistakes = len(session.findings)
    what = f"`{name.text}`"
    given = match_arguments(session, place, node, what, names, required, f"`{name.text}({shape})`")
    read = SourceArguments(frozenset(given))
    for spec in specs:
        for argument in given.get(spec.name, ()):
            match _value(session, place, name.text, spec, argument.value):
                case FromEnvironment(name=variable):
                    read.options[f"{spec.name}_env"] = variable
                case Symbol() as model:
                    read.lm = model
                case str() as text:
                    read.texts[spec.name] = (text, argument.value)
                    read.options[spec.name] = text
                case int() as number:
                    read.options[spec.name] = number
                case None:
                    pass
    return None if len(session.findings) > mistakes else read


_WANTED: dict[str, Wanted] = {
    "integer": "count",
    "address": "address",
    "secret": "secret",
    "choice": "choice",
}


def _value(
    session: Session, place: Place, source: str, spec: SourceParameter, node: Expr
) -> FromEnvironment | Symbol | str | int | None:
    """What a parameter is given; reports what does not fit, and is None then."""
    text = node.value if isinstance(node, Literal) and isinstance(node.value, str) else None
    if text is not None and holds_secret(text):
        variable = f"{source.upper()}_URL" if spec.value == "address" else ""
        session.report(codes.models.SecretInSource(place.at(node), spec.name, variable))
        return None
    if spec.value == "lm":
        return resolve(session, place, node, ("lm",), f"`{spec.name}` of `{source}`")
    if spec.value == "integer":
        number = number_of(node)
        if isinstance(number, int) and number >= 1:
            return number
    elif spec.value in ("address", "secret") and (found := environment(node)) is not None:
        return found
    elif spec.value == "secret" and text is not None:
        session.report(codes.models.SecretInSource(place.at(node), spec.name, f"{source.upper()}_API_KEY"))
        return None
    elif spec.value == "choice" and text is not None:
        if text in spec.choices:
            return text
        session.report(codes.attributes.NotAChoice(place.at(node), spec.name, text, spec.choices))
        return None
    elif spec.value != "secret" and text is not None and text.strip():
        return text
    wanted = _WANTED.get(spec.value, "text")
    session.report(
        codes.attributes.WrongValue(
            place.at(node), spec.name, wanted, form_of(node), choices=spec.choices, of=source
        )
    )
    return None
