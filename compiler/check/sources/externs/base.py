"""What a source of externs is: a record with its arguments and its check, which imports, starts and calls nothing."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from msgspec import Struct

from dspec.grammar.tree import Call, Expr
from dspec.runtime.schema.types import JsonValue, Type

from ....data.sources.base import SourceParameter
from ...session import Place, Session
from ...symbols import Symbol
from ...types.kinds import Group, NamedValue


class ExternCall(Struct, frozen=True):
    """An extern with the call that is its source: `given` are the parameters that were given, `texts` those that
    are texts, and `options` what a tool carries of them; `inputs` and `result` are what is declared. `calls` says that a
    function is given `call` besides."""

    symbol: Symbol
    call: Call
    given: frozenset[str]
    texts: Mapping[str, tuple[str, Expr]]
    options: Mapping[str, JsonValue]
    inputs: Mapping[str, NamedValue]
    result: Type | Group
    calls: bool = False


class SourceFound(Struct, frozen=True):
    """What a source's own check makes of an extern: what its tool carries, None where that cannot run, and the
    description that it brings."""

    options: Mapping[str, JsonValue] | None
    description: str = ""
    mistaken: bool = False
    """After this mistake a missing description is not reported."""


def as_written(session: Session, place: Place, written: ExternCall) -> SourceFound:
    """The check of a source of which no more can be known without running it."""
    return SourceFound(written.options)


class ExternSource(Struct, frozen=True):
    """The facts of one source. The first of `parameters` may be given without its name."""

    name: str
    doc: str
    parameters: tuple[SourceParameter, ...]
    check: Callable[[Session, Place, ExternCall], SourceFound] = as_written
    """Reports what is wrong with it."""
    measures: bool = False
    """Whether it can be a metric by itself: what it names gets the row and the run, and gives a score."""


DATA_FILE = (
    SourceParameter("file", "path", required=True, doc="A data file, relative to the source."),
    SourceParameter("text", "column", default="text", doc="The column that is searched."),
)
FOUND = SourceParameter(
    "k", "integer", default="3", doc="Rows that it finds; an input `k` of the extern says so for each call."
)
ADDRESS = SourceParameter("url", "address", required=True, doc="Where the server is.")
KEY = (
    SourceParameter("api_key", "secret", doc="The environment variable that holds the key."),
    SourceParameter(
        "header", "text", doc="The header that holds the key; without it, it is sent as a bearer token."
    ),
)
