"""`module` declarations: a signature with a strategy, as a program of one step."""

from __future__ import annotations

from dspec.grammar.tree import (
    Argument,
    Attribute,
    Call,
    Expr,
    InlineSignature,
    ListLiteral,
    Literal,
    Name,
    Node,
    Reference,
)
from dspec.runtime.running.strategies.base import ModuleStrategy
from dspec.runtime.running.strategies.table import STRATEGIES, running
from dspec.runtime.schema.expressions import Member as MemberOf
from dspec.runtime.schema.expressions import Variable
from dspec.runtime.schema.program import LM, CallStep, FieldSpec, Predictor, Program

from ...diagnostics import codes
from ..names.names import find, path_of, resolve
from ..session import Place, Session
from ..shape.attributes import form_of
from ..symbols import Symbol
from ..types.declared import RunnableInfo, lm_closure, reachable
from ..types.kinds import NamedValue
from .externs import check_tool
from .lms import default_lm, known_lms, optimize_lm
from .signatures import SignatureInfo, inline, signature

LM_KEY = "lm"


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
    if record.missing:
        _names_in(session, place, call, record)
        found = _signature_argument(session, place, call.arguments[:1], record.name, quiet=True)
        session.report(codes.syntax.NotYet(place.at(call.callee), f"the strategy `{record.name}`"))
        return RunnableInfo(symbol, found.inputs, found.outputs, None) if found else nothing
    found = _signature_argument(session, place, call.arguments, record.name)
    bound = _options(session, place, call, record.name)
    if found is None:
        return nothing
    return _runnable(session, place, symbol, record, found, bound)


def _strategy(session: Session, place: Place, value: Node) -> tuple[ModuleStrategy, Call] | None:
    """The strategy and its call; reports anything else."""
    if isinstance(value, Call) and isinstance(value.callee, Reference):
        name = value.callee.name
        if name.text in STRATEGIES:
            return STRATEGIES[name.text], value
        other = place.scope.symbols.get(name.text)
        kind = other.kind if other else ""
        session.report(codes.names.UnknownStrategy(place.at(name), tuple(STRATEGIES), tuple(running()), kind))
        return None
    if (
        isinstance(value, Call)
        and isinstance(value.callee, Attribute)
        and value.callee.name is not None
        and value.callee.name.text in STRATEGIES
    ):
        session.report(codes.names.PrefixedStrategy(place.at(value.callee), value.callee.name.text))
        return None
    wrapping = tuple(running()) if isinstance(value, Reference | InlineSignature) else ()
    session.report(codes.names.NoStrategy(place.at(value), wrapping))
    return None


def _signature_argument(
    session: Session, place: Place, arguments: tuple[Argument, ...], strategy: str, *, quiet: bool = False
) -> SignatureInfo | None:
    named_signature = [a for a in arguments if a.name is not None and a.name.text == "signature"]
    given = [a for a in arguments if a.name is None] or named_signature
    if not given:
        if not quiet:
            session.report(
                codes.types.LacksSignature(place.at(place.declaration.value or place.declaration), strategy)
            )
        return None
    for extra in given[1:]:
        session.report(codes.types.OneSignature(place.at(extra), strategy))
    node = given[0].value
    assert place.declaration.name is not None
    if isinstance(node, InlineSignature):
        return inline(session, place, node, place.scope.prefix + place.declaration.name.text)
    if quiet:
        path = path_of(node)
        symbol = find(session, place, node) if path else None
        return signature(session, symbol) if symbol is not None and symbol.kind == "signature" else None
    if isinstance(node, Literal) and isinstance(node.value, str) and "->" in node.value:
        session.report(codes.names.TextForSignature(place.at(node), strategy, node.value))
        return None
    symbol = resolve(session, place, node, ("signature",), f"`{strategy}`")
    return signature(session, symbol) if symbol else None


def _options(session: Session, place: Place, call: Call, strategy: str) -> Symbol | None:
    """The `lm = …` of a module; reports other options."""
    bound: Symbol | None = None
    seen: dict[str, Argument] = {}
    for argument in call.arguments:
        if argument.name is None or argument.name.text == "signature":
            continue
        name = argument.name.text
        if name in seen:
            session.report(codes.syntax.GivenTwice(place.at(argument), name, place.at(seen[name])))
            continue
        seen[name] = argument
        if name == LM_KEY:
            bound = resolve(session, place, argument.value, ("lm",), "`lm`")
            continue
        session.report(codes.types.UnknownOption(place.at(argument.name), strategy, (LM_KEY,)))
    return bound


def _runnable(
    session: Session,
    place: Place,
    symbol: Symbol,
    strategy: ModuleStrategy,
    found: SignatureInfo,
    bound: Symbol | None,
) -> RunnableInfo:
    added = _added(strategy, found)
    specs = (*added, *found.signature.outputs)
    first = {field.name: NamedValue(field.name, field.type, description=field.description) for field in added}
    outputs = {**first, **found.outputs}
    model, settings = model_for(session, place, symbol, bound)
    program = None
    if model is not None:
        address = symbol.key
        # A step may not share its name with an input: it would seem to read itself.
        step = address if address not in found.inputs else f"{address}()"
        predictor = Predictor(
            strategy=strategy.name,
            signature=found.signature.model_copy(update={"outputs": specs}),
            lm=model.key,
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
    return RunnableInfo(symbol, found.inputs, outputs, program, unbound)


def _added(strategy: ModuleStrategy, found: SignatureInfo) -> tuple[FieldSpec, ...]:
    """The outputs that the strategy adds to a signature; none of a name that the signature has."""
    taken = {*found.inputs, *found.outputs}
    return tuple(field for field in strategy.adds if field.name not in taken)


def model_for(
    session: Session, place: Place, symbol: Symbol, bound: Symbol | None
) -> tuple[Symbol | None, dict[str, LM]]:
    """The model of a module and its settings with those of its fallbacks; reports when there is none."""
    model = bound or default_lm(session, place.scope) or optimize_lm(session, symbol)
    if model is None:
        if not session.has_lm_mistake(place):
            models = tuple(each.name for each in known_lms(session, place.scope))
            session.report(codes.models.NoModel(symbol.location, models))
        return None, {}
    return model, lm_closure(session, model)


def _names_in(session: Session, place: Place, call: Call, strategy: ModuleStrategy) -> None:
    """Check the options and the names in a strategy that cannot run yet: it is only a matter of time."""
    kinds = {option.name: option.value for option in strategy.options}
    known = (*kinds, LM_KEY)
    seen: dict[str, Argument] = {}
    for position, argument in enumerate(call.arguments):
        name = argument.name.text if isinstance(argument.name, Name) else ""
        node: Expr = argument.value
        if position == 0 and not name:
            if path_of(node):
                resolve(session, place, node, ("signature", "module"), f"`{strategy.name}`")
            continue
        if name in seen:
            session.report(codes.syntax.GivenTwice(place.at(argument), name, place.at(seen[name])))
            continue
        seen[name] = argument
        if name and name != "signature" and name not in known:
            session.report(
                codes.types.UnknownOption(place.at(argument.name or argument), strategy.name, known)
            )
        elif kinds.get(name) == "tools":
            _tools(session, place, name, node)
        elif path_of(node) and (kinds.get(name) == "metric" or name == LM_KEY):
            resolve(session, place, node, ("lm",) if name == LM_KEY else ("metric",), f"`{name}`")


def _tools(session: Session, place: Place, name: str, node: Expr) -> None:
    """What an agent may call: each one declared, and described."""
    if not isinstance(node, ListLiteral):
        is_name = path_of(node) is not None
        session.report(codes.syntax.NotAListOfTools(place.at(node), name, form_of(node), is_name))
    for item in node.items if isinstance(node, ListLiteral) else (node,):
        if isinstance(node, ListLiteral) or path_of(item):
            found = resolve(session, place, item, ("extern", "module", "program"), f"`{name}`")
            if found is not None and found.kind == "extern":
                check_tool(session, found)
