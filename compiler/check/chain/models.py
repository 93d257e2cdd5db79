"""Checks the models that an optimize block's searches choose among: `lms`."""

from __future__ import annotations

from collections.abc import Sequence

from dspec.grammar.tree import ListLiteral
from dspec.runtime.schema.lms import LM

from ...diagnostics import codes
from ...optimizers.table import SPECS
from ..declarations.lms import lm
from ..session import Session
from ..shape.attributes import Reader
from ..symbols import Symbol
from ..types.declared import RunnableInfo
from .step import StepInfo


def chosen_among(
    session: Session, read: Reader, tuned: RunnableInfo | None, chain: Sequence[StepInfo]
) -> tuple[Symbol, ...]:
    """The models that the block names, the one that it starts on first. Reports what leaves nothing to choose."""
    place, node = read.place, read.value("lms")
    if node is None:
        return ()
    refuse, at = codes.chains.NoChoiceOfModels, place.at(node)
    found: dict[str, Symbol] = {}
    named = read.references("lms")
    for item, symbol in named:
        if symbol.key in found:
            session.report(
                refuse(
                    place.at(item),
                    f"`{symbol.name}` is named twice",
                    "a search chooses among different models",
                    "name each model once",
                )
            )
        found[symbol.key] = symbol
    if isinstance(node, ListLiteral) and len(node.items) < 2 and len(named) == len(node.items):
        instead = f"write `lm = {named[0][1].name}`, or name several" if named else "name two models or more"
        session.report(refuse(at, "fewer than two models leave nothing to choose", "no choice", instead))
    if "lm" in read.found:
        session.report(
            refuse(
                place.at(read.found["lm"].value),
                "`lms` says already what the modules start on: its first model",
                "said twice",
                "leave out `lm`, and put the model to start on first in `lms`",
                at,
            )
        )
    _report_mixed(session, read, tuple(found.values()))
    if tuned is not None and tuned.program is not None and tuned.known:
        bound = [one for one in tuned.program.predictors if one not in tuned.unbound]
        if bound and len(bound) == len(tuned.program.predictors):
            session.report(
                refuse(
                    at,
                    f"every module of `{tuned.symbol.name}` names its own `lm`, which no search changes",
                    "nothing to choose for",
                    "leave out `lm` in the modules that may ask any of these models",
                    tuned.symbol.location,
                )
            )
    steps = [one for step in chain for one in (step, *step.nested.values())]
    known = [step.spec for step in steps if step.spec is not None]
    if known and not any(
        step.spec is not None and step.spec.chooses_lms and step.compat is None for step in steps
    ):
        choosing = [name for name, spec in SPECS.items() if spec.chooses_lms]
        session.report(
            refuse(
                at,
                "no step of this block chooses among models",
                "nothing chooses",
                f"take a step that does ({', '.join(choosing)}), not on DSPy's schedule; or write `lm = …`",
            )
        )
    return tuple(found.values())


def _report_mixed(session: Session, read: Reader, named: Sequence[Symbol]) -> None:
    """Reports models of which some answer in two calls and some in one: a plan could not say how many calls a run makes."""
    settings = [(one, lm(session, one)) for one in named]
    kinds = {known.two_step: one for one, known in settings if isinstance(known, LM)}
    node = read.value("lms")
    if node is not None and len(kinds) == 2:
        session.report(
            codes.chains.NoChoiceOfModels(
                read.place.at(node),
                f"`{kinds[True].name}` answers in two steps and `{kinds[False].name}` in one",
                "calls of a run could not be counted",
                "give all of them the same `adapter`, or none",
                kinds[True].location,
            )
        )
