"""What a source of externs is: a record of its arguments and of what can be seen of it.

Nothing is imported, started or called.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from msgspec import Struct

from dspec.grammar.tree import Call, Expr
from dspec.runtime.schema.types import Type

from ....data.sources.base import SourceParameter
from ...session import Place, Session
from ...symbols import Symbol
from ...types.kinds import Group, NamedValue


class ExternCall(Struct, frozen=True):
    """An extern with the call that is its source: `given` are the parameters that were given, `texts` those that
    are texts; `inputs` and `result` are what is declared."""

    symbol: Symbol
    call: Call
    given: frozenset[str]
    texts: Mapping[str, tuple[str, Expr]]
    inputs: Mapping[str, NamedValue]
    result: Type | Group


def nothing_to_see(session: Session, place: Place, written: ExternCall) -> bool:
    """Nothing can be told of what stands behind it."""
    return False


class ExternSource(Struct, frozen=True):
    """The facts of one source. The first of `parameters` may be given without its name."""

    name: str
    doc: str
    parameters: tuple[SourceParameter, ...]
    check: Callable[[Session, Place, ExternCall], bool] = nothing_to_see
    """Reports what is wrong with it. True when it brings a description of its own."""
