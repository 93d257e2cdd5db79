"""`module` declarations: a signature with a strategy, as a program of one step."""

from __future__ import annotations

from dspec.grammar.tree import Argument, Attribute, Call, InlineSignature, Node, Reference
from dspec.runtime.running.strategies.base import ModuleStrategy
from dspec.runtime.running.strategies.table import STRATEGIES
from dspec.runtime.schema.expressions import Member as MemberOf
from dspec.runtime.schema.expressions import Variable
from dspec.runtime.schema.lms import OwnSettings
from dspec.runtime.schema.program import CallStep, Predictor, Program

from ...diagnostics import codes
from ...tables.lm_block import OF_MODULE
from ..names.names import resolve
from ..session import Place, Session
from ..symbols import Symbol
from ..types.declared import RunnableInfo, reachable
from ..types.kinds import NamedValue
from .lm_parameters import check_own, own_settings
from .module_parts import (
    LM_KEY,
    added,
    applied_to,
    in_order,
    model_for,
    options_of,
    sees_inputs,
    signature_of,
)
from .signatures import SignatureInfo


def module(session: Session, symbol: Symbol) -> RunnableInfo | None:
    return session.once(_check_module, symbol)


def _check_module(session: Session, symbol: Symbol) -> RunnableInfo:
    place = session.place(symbol)
    nothing = RunnableInfo(symbol, {}, {}, None, known=False)
    value = place.declaration.value
    if value is None or place.declaration.items is not None:
        return nothing
    strategy = _strategy(session, place, value)
    if strategy is None:
        return nothing
    record, call = strategy
    if record.conduct is not None:
        from .several import check_several  # most files have no such module

        return check_several(session, place, symbol, record, call)
    node = applied_to(session, place, call, record)
    found = signature_of(session, place, node, record.name) if node is not None else None
    given = options_of(session, place, call)
    bound = _bound(session, place, given, record.name)
    settings = own_settings(session, place, given)
    if found is None:
        return nothing
    info = _runnable(session, place, symbol, record, found, bound, settings)
    check_own(session, place, given, info.program)
    return info


def _strategy(session: Session, place: Place, value: Node) -> tuple[ModuleStrategy, Call] | None:
    """The strategy and its call; reports anything else."""
    if isinstance(value, Call) and isinstance(value.callee, Reference):
        name = value.callee.name
        if name.text in STRATEGIES:
            return STRATEGIES[name.text], value
        other = place.scope.symbols.get(name.text)
        kind = other.kind if other else ""
        session.report(codes.names.UnknownStrategy(place.at(name), tuple(STRATEGIES), kind))
        return None
    if (
        isinstance(value, Call)
        and isinstance(value.callee, Attribute)
        and value.callee.name is not None
        and value.callee.name.text in STRATEGIES
    ):
        session.report(codes.names.PrefixedStrategy(place.at(value.callee), value.callee.name.text))
        return None
    # Others do not run without options of their own, tools or a reward, which an example would have to make up.
    plain = tuple(
        name for name, record in STRATEGIES.items() if not any(one.required for one in record.options)
    )
    wrapping = plain if isinstance(value, Reference | InlineSignature) else ()
    session.report(codes.names.NoStrategy(place.at(value), wrapping))
    return None


def _bound(session: Session, place: Place, given: dict[str, Argument], strategy: str) -> Symbol | None:
    """The `lm = …` of a module; reports other options."""
    bound: Symbol | None = None
    for name, argument in given.items():
        if name == LM_KEY:
            bound = resolve(session, place, argument.value, ("lm",), "`lm`")
        elif (
            name not in OF_MODULE and not place.block.problems
        ):  # a broken signature in place looks like an option
            at = place.at(argument.name or argument)
            session.report(
                codes.parameters.SeveralAnswers(at)
                if name == "n"
                else codes.calls.UnknownOption(at, strategy, (LM_KEY, *OF_MODULE))
            )
    return bound


def _runnable(
    session: Session,
    place: Place,
    symbol: Symbol,
    strategy: ModuleStrategy,
    found: SignatureInfo,
    bound: Symbol | None,
    own: OwnSettings | None,
) -> RunnableInfo:
    more = added(strategy, found)
    specs = in_order(strategy, found.inputs, found.signature.outputs)
    first = {field.name: NamedValue(field.name, field.type, description=field.description) for field in more}
    outputs = {**first, **found.outputs}
    model, settings = model_for(session, place, symbol, bound)
    program = None
    if model is not None:
        if model.key in settings:
            sees_inputs(session, symbol, found, model, settings[model.key])
        address = symbol.key
        # A step may not share its name with an input: it would seem to read itself.
        step = address if address not in found.inputs else f"{address}()"
        predictor = Predictor(
            strategy=strategy.name,
            signature=found.signature.model_copy(update={"outputs": specs}),
            lm=model.key,
            demos=found.demos,
            settings=own,
        )
        program = Program(
            name=symbol.key,
            inputs=found.signature.inputs,
            outputs=specs,
            steps=(
                CallStep(
                    name=step,
                    predictor=address,
                    arguments={name: Variable(name=name) for name in found.inputs},
                ),
            ),
            returns={spec.name: MemberOf(target=Variable(name=step), name=spec.name) for spec in specs},
            predictors={address: predictor},
            records=reachable(session, [m.type for m in (*found.inputs.values(), *outputs.values())]),
            lms=settings,
        )
    unbound = () if bound else (symbol.key,)
    return RunnableInfo(symbol, found.inputs, outputs, program, unbound, found.whole)
