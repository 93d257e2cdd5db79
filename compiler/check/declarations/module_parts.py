"""What modules of one call and of several have in common: their signature, their model, what a strategy adds."""

from __future__ import annotations

from collections.abc import Iterable

from dspec.grammar.tree import Argument, Call, Expr, InlineSignature, Literal
from dspec.runtime.models.endpoints import split_model
from dspec.runtime.running.strategies.base import ModuleStrategy
from dspec.runtime.schema.program import LM, FieldSpec
from dspec.runtime.values.media import MediumKind, medium_kind

from ...diagnostics import codes
from ...tables.models import EMBEDDED
from ..names.names import resolve
from ..session import Place, Session
from ..symbols import Symbol
from ..types.declared import lm_closure
from .lms import default_lm, known_lms, optimize_lm
from .signatures import SignatureInfo, inline, signature

LM_KEY = "lm"
SIGNATURE = "signature"
"""Name by which the one positional argument may be given, too."""
FUNCTION = "function"
"""Name by which the function of a strategy that is one may be given, too."""


def applied_to(session: Session, place: Place, call: Call, strategy: ModuleStrategy) -> Expr | None:
    """What a strategy is applied to; reports nothing there, and more than one."""
    named = [one for one in call.arguments if one.name is not None and one.name.text == SIGNATURE]
    function = function_in(call, strategy)
    given = [one for one in call.arguments if one.name is None and one is not function] or named
    if not given:
        at = place.at(place.declaration.value or place.declaration)
        session.report(codes.calls.LacksSignature(at, strategy.name, bool(strategy.function)))
        return None
    for extra in given[1:]:
        session.report(codes.calls.OneSignature(place.at(extra), strategy.name))
    return given[0].value


def function_in(call: Call, strategy: ModuleStrategy) -> Argument | None:
    """The function of a strategy that is one, where it is written by position, before the signature."""
    first, *others = [one for one in call.arguments if one.name is None] or [None]
    named = {one.name.text for one in call.arguments if one.name is not None}
    if first is None or not strategy.function or FUNCTION in named:
        return None
    text = isinstance(first.value, Literal) and isinstance(first.value.value, str)
    return first if others or text else None


def signature_of(session: Session, place: Place, node: Expr, strategy: str) -> SignatureInfo | None:
    """The signature that a node names or is."""
    assert place.declaration.name is not None
    if isinstance(node, InlineSignature):
        return inline(session, place, node, place.scope.prefix + place.declaration.name.text)
    if is_text(session, place, node, strategy):
        return None
    symbol = resolve(session, place, node, ("signature",), f"`{strategy}`")
    return signature(session, symbol) if symbol else None


def is_text(session: Session, place: Place, node: Expr, strategy: str) -> bool:
    """Whether a node is a signature as DSPy writes it, in quotes; reports that."""
    if isinstance(node, Literal) and isinstance(node.value, str) and "->" in node.value:
        session.report(codes.names.TextForSignature(place.at(node), strategy, node.value))
        return True
    return False


def options_of(session: Session, place: Place, call: Call) -> dict[str, Argument]:
    """The arguments with a name, the signature aside; reports those that are given twice."""
    seen: dict[str, Argument] = {}
    for argument in call.arguments:
        if argument.name is None or argument.name.text == SIGNATURE:
            continue
        name = argument.name.text
        if name in seen:
            session.report(codes.attributes.GivenTwice(place.at(argument), name, place.at(seen[name])))
        else:
            seen[name] = argument
    return seen


def added(strategy: ModuleStrategy, found: SignatureInfo) -> tuple[FieldSpec, ...]:
    """The outputs that the strategy adds to a signature, except those whose names the signature has."""
    taken = {*found.inputs, *found.outputs}
    return tuple(field for field in strategy.adds if field.name not in taken)


def in_order(
    strategy: ModuleStrategy, inputs: Iterable[str], outputs: Iterable[FieldSpec]
) -> tuple[FieldSpec, ...]:
    """A predictor's outputs: first those that the strategy adds, then the others. If the signature has a field of an
    added name, that field comes first in its place, since a model must write its reasoning before its answer."""
    own = {field.name: field for field in outputs}
    taken = set(inputs)
    first = tuple(own.pop(field.name, field) for field in strategy.adds if field.name not in taken)
    return (*first, *own.values())


def sees_inputs(session: Session, symbol: Symbol, found: SignatureInfo, model: Symbol, lm: LM) -> None:
    """Warns of inputs that the module's model is known not to take."""
    media: dict[str, MediumKind] = {
        name: kind for name, one in found.inputs.items() if (kind := medium_kind(one.type))
    }
    if not media:
        return
    if split_model(lm.model)[0] == EMBEDDED:
        session.report(codes.media.EmbeddedReadsText(symbol.location, tuple(media)))
        return
    from dspec.runtime.models.prices import takes  # few files have such inputs

    for name, kind in media.items():
        if takes(lm, kind) is False:
            session.report(codes.media.ModelTakesNone(symbol.location, lm.model, name, kind, model.location))
            return


def model_for(
    session: Session, place: Place, symbol: Symbol, bound: Symbol | None
) -> tuple[Symbol | None, dict[str, LM]]:
    """The model of a module, with the settings of that model and its fallbacks; reports a module that has no model."""
    model = bound or default_lm(session, place.scope) or optimize_lm(session, symbol)
    if model is None:
        if not session.has_lm_mistake(place):
            models = tuple(each.name for each in known_lms(session, place.scope))
            session.report(codes.models.NoModel(symbol.location, models))
        return None, {}
    return model, lm_closure(session, model)
