"""What the checks of declarations find out, as records that other checks may ask for.

A metric asks what a program gives, a judge which model it is asked with, a program what another one
takes. The session has the check of each kind, so none of them needs to import another.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from msgspec import Struct, field

from dspec.runtime.schema.ensemble import Runnable
from dspec.runtime.schema.lms import with_fallbacks
from dspec.runtime.schema.program import LM, Program, Record
from dspec.runtime.schema.types import DictOf, ListOf, OneOfRecords, OptionalOf, RecordRef, TupleOf, Type

from ...project.source import Location
from ..session import Session
from ..symbols import Symbol
from .kinds import Group, NamedValue


class RunnableInfo(Struct, frozen=True):
    """Something that can be run, scored and tuned.

    `program` is None when its model is unknown or something in it cannot run yet. `unbound` are the
    addresses of predictors that name no model. `known` is False after a mistake: then inputs and
    outputs may be incomplete and nothing is said about them.
    """

    symbol: Symbol
    inputs: Mapping[str, NamedValue]
    outputs: Mapping[str, NamedValue]
    program: Program | None
    unbound: tuple[str, ...] = ()
    known: bool = True

    def results(self) -> Group:
        """What a run gives: `pred`, or the value of a call."""
        return Group(f"the outputs of `{self.symbol.name}`", self.outputs, "output", open=not self.known)


class SavedInfo(RunnableInfo, frozen=True):
    """A program out of a file. `content` is None where no file may be read; `places` are where it is written."""

    content: Runnable | None = None
    places: list[Location] = field(default_factory=list[Location])


class TunedInfo(Struct, frozen=True):
    """An optimize block. Its result can be run like the program that it tunes, and may be an `ensemble` of programs."""

    runnable: RunnableInfo
    ensemble: bool


def runnable(session: Session, symbol: Symbol) -> RunnableInfo | None:
    """The checked module, program or optimize block; None when it needs itself, and for any other kind."""
    if symbol.kind not in ("module", "program", "optimize"):
        return None
    found = session.checked(symbol)
    return (
        found.runnable if isinstance(found, TunedInfo) else found if isinstance(found, RunnableInfo) else None
    )


def saved(session: Session) -> list[SavedInfo]:
    """The programs out of files that were written so far and can be used."""
    session.order_matters()
    return [one for one in session.saved.values() if isinstance(one, SavedInfo)]


def lm_closure(session: Session, model: Symbol) -> dict[str, LM]:
    """The settings of a model and of every model that it may lead to, by key."""
    found = {key: _lm(session, key) for key in models_with_fallbacks(session, [model.key])}
    return {key: settings for key, settings in found.items() if settings is not None}


def models_with_fallbacks(session: Session, keys: Iterable[str]) -> list[str]:
    """The keys of models and of all that these may lead to. One with a mistake in it leads to none."""

    def others(key: str) -> tuple[str, ...]:
        settings = _lm(session, key)
        return settings.leads_to if settings is not None else ()

    return with_fallbacks(keys, others)


def _lm(session: Session, key: str) -> LM | None:
    symbol = session.lms.get(key)
    settings = session.checked(symbol) if symbol else None
    return settings if isinstance(settings, LM) else None


def reachable(session: Session, kinds: list[Type]) -> dict[str, Record]:
    """Every record that values of these types may hold, by key."""
    found: dict[str, Record] = {}
    waiting = list(kinds)
    while waiting:
        kind = waiting.pop()
        match kind:
            case ListOf(item=item) | OptionalOf(item=item):
                waiting.append(item)
            case DictOf(key=key, value=value):
                waiting += [key, value]
            case TupleOf(items=items):
                waiting += items
            case OneOfRecords(records=names):
                waiting += [RecordRef(name=name) for name in names]
            case RecordRef(name=name) if name not in found:
                symbol = session.records.get(name)
                checked = session.checked(symbol) if symbol else None
                if isinstance(checked, Record):
                    found[name] = checked
                    waiting += [field.type for field in checked.fields]
            case _:
                pass
    return dict(sorted(found.items()))
