"""Modules of several calls: their options and what they call, checked by the strategy's record, and lowered."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import cast

from msgspec import Struct, field

from dspec.grammar.tree import Argument, Call, Expr, InlineSignature, ListLiteral, Literal, Reference
from dspec.runtime.running.strategies.base import MAX_CALLS, ModuleParts, ModuleStrategy, StrategyOption
from dspec.runtime.running.strategies.predict import STRATEGY as PREDICT
from dspec.runtime.running.strategies.table import STRATEGIES
from dspec.runtime.running.strategies.table import added as added_by_some
from dspec.runtime.schema.expressions import Expression, Variable
from dspec.runtime.schema.expressions import Member as MemberOf
from dspec.runtime.schema.lms import OwnSettings
from dspec.runtime.schema.program import (
    Demo,
    FieldSpec,
    Graph,
    ModuleSpec,
    OwnFunction,
    Predictor,
    Program,
    Reward,
    RunStep,
    Signature,
    Tool,
)
from dspec.runtime.schema.types import JsonValue

from ...diagnostics import codes
from ...tables.lm_block import OF_MODULE
from ...tables.models import takes_one_temperature
from ..names.names import path_of, resolve
from ..session import Place, Session
from ..shape.attributes import form_of, number_of
from ..symbols import Symbol
from ..types.declared import RunnableInfo, lm_closure, reachable, runnable
from ..types.kinds import Group, NamedValue, assignable, beyond_text
from .called import CalledTables
from .circles import report_circle
from .demos import shown_by
from .externs import check_tool, extern
from .lm_parameters import check_own, own_settings
from .metrics import MetricInfo, metric
from .module_parts import (
    FUNCTION,
    LM_KEY,
    added,
    applied_to,
    function_in,
    in_order,
    is_text,
    model_for,
    options_of,
    sees_inputs,
    signature_of,
)
from .signatures import SignatureInfo, signature

TEMPERATURE = "temperature"
TRIED = "predict"
"""Role of the predictor that a bare signature becomes in a strategy that tries something several times."""


class _Given(Struct):
    """The options as they were written. `whole` is False after a mistake: then there is no program."""

    values: dict[str, JsonValue] = field(default_factory=dict[str, JsonValue])
    tools: list[str] = field(default_factory=list[str])
    named: dict[str, Expr] = field(default_factory=dict[str, Expr])
    """Options that name something, as they were written."""
    bound: Symbol | None = None
    lms: dict[str, Symbol] = field(default_factory=dict[str, Symbol])
    """Options that name a model of some of the roles."""
    settings: OwnSettings | None = None
    marked: MetricInfo | None = None
    names: list[str] = field(default_factory=list[str])
    """What each of the tools is called where they are listed."""
    function: tuple[str, Expr] | None = None
    whole: bool = True


class _Applied(Struct, frozen=True):
    """What the strategy is applied to: a signature, or something that runs."""

    inputs: Mapping[str, NamedValue]
    outputs: Mapping[str, NamedValue]
    signature: SignatureInfo | None = None
    runs: RunnableInfo | None = None


def check_several(
    session: Session, place: Place, symbol: Symbol, strategy: ModuleStrategy, call: Call
) -> RunnableInfo:
    node = applied_to(session, place, call, strategy)
    applied = _applied(session, place, node, strategy) if node is not None else None
    gathered = CalledTables()
    given = _options(session, place, strategy, call, gathered)
    if applied is None:
        return RunnableInfo(symbol, {}, {}, None, known=False)
    more = added(strategy, applied.signature) if applied.signature is not None and not strategy.tries else ()
    first = {one.name: NamedValue(one.name, one.type, description=one.description) for one in more}
    outputs = {**first, **applied.outputs}
    _reward_fits(session, place, applied, given)
    _outputs_named(session, place, strategy, applied, given)
    function = _function(session, place, symbol, strategy, call, applied, given, gathered)
    program = None
    if given.whole:
        program = _program(session, place, symbol, strategy, applied, given, gathered, more, function)
        _temperature_fits(session, place, strategy, call, given, program)
        _settings_fit(session, place, strategy, call, applied, given, program)
        if strategy.code is not None:
            from .coding import check_code_runs  # few files run code

            check_code_runs(session, place, symbol, strategy, call, program)
    whole = applied.signature is None or applied.signature.whole
    return RunnableInfo(symbol, applied.inputs, outputs, program, tuple(gathered.unbound), whole)


def _applied(session: Session, place: Place, node: Expr, strategy: ModuleStrategy) -> _Applied | None:
    if not strategy.tries or isinstance(node, InlineSignature):
        found = signature_of(session, place, node, strategy.name)
        return None if found is None else _Applied(found.inputs, found.outputs, signature=found)
    if is_text(session, place, node, strategy.name):
        return None
    symbol = resolve(session, place, node, ("signature", "module", "program"), f"`{strategy.name}`")
    if symbol is None:
        return None
    if symbol.kind == "signature":
        found = signature(session, symbol)
        return None if found is None else _Applied(found.inputs, found.outputs, signature=found)
    runs = _runs(session, place, node, symbol)
    return None if runs is None or not runs.known else _Applied(runs.inputs, runs.outputs, runs=runs)


def _runs(session: Session, place: Place, node: Expr, symbol: Symbol) -> RunnableInfo | None:
    """What the declaration runs; reports one that leads back here."""
    found = runnable(session, symbol)
    if found is None:
        report_circle(session, place.at(node), symbol)
    return found


def _options(
    session: Session,
    place: Place,
    strategy: ModuleStrategy,
    call: Call,
    gathered: CalledTables,
) -> _Given:
    """The options, each read by its kind; reports options that are unknown, missing, or do not fit."""
    given = _Given()
    known = {option.name: option for option in strategy.options}
    usual = () if strategy.function else (LM_KEY, *(name for name in OF_MODULE if name not in known))
    mistakes = len(session.findings)
    written = options_of(session, place, call)
    if (function := function_in(call, strategy)) is not None:
        written = {FUNCTION: function, **written}
    for name, argument in written.items():
        if name == LM_KEY and usual:
            given.bound = resolve(session, place, argument.value, ("lm",), f"`{name}`")
        elif name in usual:
            continue
        elif name not in known:
            at = place.at(argument.name or argument)
            session.report(codes.calls.UnknownOption(at, strategy.name, (*known, *usual)))
        else:
            _option(session, place, strategy, known[name], argument, given, gathered)
    own = {name: argument for name, argument in written.items() if name in usual}
    given.settings = own_settings(session, place, own)
    lacking = [name for name, option in known.items() if option.required and name not in written]
    if strategy.function and given.names and MAX_CALLS not in written:
        lacking.append(MAX_CALLS)
    if lacking and not any(name not in known and name not in usual for name in written):
        applied = '"module:function", Ask' if strategy.function and FUNCTION not in lacking else "ask"
        at = place.at(call.callee)
        session.report(codes.attributes.RunsNotWithout(at, strategy.name, tuple(lacking), applied))
    for name, option in known.items():
        if option.default is not None:
            given.values.setdefault(name, option.default)
    given.whole = given.whole and len(session.findings) == mistakes
    return given


def _option(
    session: Session,
    place: Place,
    strategy: ModuleStrategy,
    option: StrategyOption,
    argument: Argument,
    given: _Given,
    gathered: CalledTables,
) -> None:
    node = argument.value
    match option.value:
        case "tools":
            _tools(session, place, option.name, node, given, gathered, described=not strategy.function)
        case "metric":
            _reward(session, place, strategy, option.name, node, given)
        case "output":
            given.named[option.name] = node
        case "lm":
            symbol = resolve(session, place, node, ("lm",), f"`{option.name}`")
            if symbol is not None:
                given.lms[option.name] = symbol
        case "function":
            if isinstance(node, Literal) and isinstance(node.value, str):
                given.function = node.value, node
            else:
                at, form = place.at(node), form_of(node)
                session.report(codes.attributes.WrongValue(at, option.name, "text", form, of=strategy.name))
        case _:
            _number(session, place, strategy, option, node, given)


def _reward(
    session: Session, place: Place, strategy: ModuleStrategy, name: str, node: Expr, given: _Given
) -> None:
    """Reads the metric that marks an attempt; reports one that needs gold labels, or that leads back to this module."""
    symbol = resolve(session, place, node, ("metric",), f"`{name}`")
    found = metric(session, symbol) if symbol is not None else None
    if symbol is not None and found is None:
        session.report(codes.circles.LeadsBack(place.at(node), f"`{name}`", symbol.location, ()))
    if found is None:
        return
    if not found.alone:
        session.report(codes.metrics.LabelsInReward(place.at(node), found.symbol.location, strategy.name))
        return
    given.marked = found
    given.whole = given.whole and found.reward is not None
    given.named[name] = node


def _reward_fits(session: Session, place: Place, applied: _Applied, given: _Given) -> None:
    """Reports a reward that is written for something else than what is tried."""
    found = given.marked
    node = given.named.get("reward")
    if found is None or found.written_for is None or not found.written_for.known or node is None:
        return
    here = {**applied.inputs, **applied.outputs}
    wanted = {**found.written_for.inputs, **found.written_for.outputs}
    absent = tuple(
        name
        for name, member in wanted.items()
        if (name not in here and name not in added_by_some())
        or (name in here and not assignable(here[name].type, member.type))
    )
    if absent:
        at, name = place.at(node), found.written_for.symbol.name
        session.report(codes.metrics.RewardForOther(at, found.symbol.location, name, absent))
        given.whole = False


def _temperature_fits(
    session: Session,
    place: Place,
    strategy: ModuleStrategy,
    call: Call,
    given: _Given,
    program: Program | None,
) -> None:
    """Warns of a temperature that a model of the module is known to refuse."""
    degree = given.values.get(TEMPERATURE)
    if program is None or degree == 1 or not isinstance(degree, int | float):
        return
    for key in (one.lm for one in program.predictors.values()):
        model, settings = session.lms.get(key), program.lms.get(key)  # none after a mistake in the lm
        if model is not None and settings is not None and takes_one_temperature(settings):
            argument = options_of(session, place, call).get(TEMPERATURE)
            at = place.at(argument.value if argument else call.callee)
            session.report(
                codes.models.AsksAtAnother(
                    at, settings.model, degree, model.location, strategy.name, TEMPERATURE
                )
            )
            return


def _settings_fit(
    session: Session,
    place: Place,
    strategy: ModuleStrategy,
    call: Call,
    applied: _Applied,
    given: _Given,
    program: Program | None,
) -> None:
    """Reports a model and settings of a module that asks nothing itself, and warns of those that its model does not take."""
    if program is None or strategy.function:
        return
    known = {option.name for option in strategy.options}
    written = {name: one for name, one in options_of(session, place, call).items() if name not in known}
    if strategy.roles or applied.runs is None:
        if given.settings is not None:
            check_own(session, place, written, program)
        return
    for name, argument in written.items():
        if name == LM_KEY or name in OF_MODULE:
            at = place.at(argument.name or argument)
            told = codes.parameters.NoModelToAsk if name == LM_KEY else codes.parameters.NothingToAsk
            session.report(told(at, name, strategy.name))


def _outputs_named(
    session: Session, place: Place, strategy: ModuleStrategy, applied: _Applied, given: _Given
) -> None:
    """The options that name an output of what is tried; reports what names none."""
    for option in strategy.options:
        node = given.named.get(option.name)
        if option.value != "output" or node is None:
            continue
        session.seek(node, (), {name: one.symbol for name, one in applied.outputs.items()})
        name = node.name.text if isinstance(node, Reference) else ""
        if name in applied.outputs:
            given.values[option.name] = name
            symbol = applied.outputs[name].symbol
            if symbol is not None and isinstance(node, Reference):
                session.use(place, node.name, symbol)
        else:
            given.whole = False
            session.report(codes.calls.NotAnOutput(place.at(node), option.name, tuple(applied.outputs)))


def _number(
    session: Session,
    place: Place,
    strategy: ModuleStrategy,
    option: StrategyOption,
    node: Expr,
    given: _Given,
) -> None:
    number = number_of(node)
    whole = option.value == "integer"
    if number is None or (whole and not isinstance(number, int)):
        session.report(
            codes.attributes.NotAnOption(
                place.at(node), option.name, strategy.name, whole, form_of(node), option.doc
            )
        )
        return
    low, high = option.low, option.high
    if (low is not None and number < low) or (high is not None and number > high):
        session.report(
            codes.syntax.OutOfRange(place.at(node), f"{option.name}` of `{strategy.name}", low, high)
        )
        return
    given.values[option.name] = number if whole else float(number)


def _tools(
    session: Session,
    place: Place,
    name: str,
    node: Expr,
    given: _Given,
    gathered: CalledTables,
    *,
    described: bool,
) -> None:
    """Reads what an agent or a function may call; reports a tool that is not declared, comes twice, or has no description
    though a model chooses among them (`described`)."""
    if not isinstance(node, ListLiteral):
        is_name = path_of(node) is not None
        session.report(codes.attributes.NotAListOfTools(place.at(node), name, form_of(node), is_name))
    seen: dict[str, Expr] = {}
    for item in node.items if isinstance(node, ListLiteral) else (node,):
        if not (isinstance(node, ListLiteral) or path_of(item)):
            continue
        given.names.append(place.text(item))
        symbol = resolve(session, place, item, ("extern", "module", "program"), f"`{name}`")
        if symbol is None:
            continue
        if symbol.key in seen:
            session.report(
                codes.attributes.GivenTwice(place.at(item), symbol.name, place.at(seen[symbol.key]))
            )
            continue
        seen[symbol.key] = item
        if described and symbol.kind == "extern":
            check_tool(session, symbol)
        key = _tool(session, place, item, symbol, gathered)
        if described and key is not None:
            unwritable = _not_text(gathered, key)
            if unwritable:
                session.report(codes.media.ToolTakes(place.at(item), symbol.name, unwritable))
        if key is None:
            given.whole = False
        else:
            given.tools.append(key)


def _not_text(gathered: CalledTables, key: str) -> tuple[str, ...]:
    """The inputs of what an agent may call that a model cannot write."""
    tables = (gathered.predictors, gathered.modules, gathered.graphs)
    found = next((table[key] for table in tables if key in table), None)
    inputs = () if found is None else found.signature.inputs if isinstance(found, Predictor) else found.inputs
    return tuple(one.name for one in inputs if beyond_text(one.type))


def _tool(session: Session, place: Place, node: Expr, symbol: Symbol, gathered: CalledTables) -> str | None:
    """The key of a tool, which is gathered with all that it calls; None where it cannot be called."""
    if symbol.kind == "extern":
        found = extern(session, symbol)
        if found is None or found.tool is None:
            return None
        gathered.add_tool(session, symbol.key, found, found.tool)
        return symbol.key
    runs = _runs(session, place, node, symbol)
    return None if runs is None or runs.program is None else gathered.add(runs, runs.program)


def _function(
    session: Session,
    place: Place,
    symbol: Symbol,
    strategy: ModuleStrategy,
    call: Call,
    applied: _Applied,
    given: _Given,
    gathered: CalledTables,
) -> OwnFunction | None:
    """The function of a strategy that is one, whose tool is gathered; reports what does not fit what is declared."""
    if given.function is None or applied.signature is None:
        return None
    from ..sources.externs.base import ExternCall  # as for externs
    from ..sources.externs.table import EXTERN_SOURCES

    text, node = given.function
    result = Group("named outputs", applied.outputs, "output")
    calls = bool(given.names)
    written = ExternCall(
        symbol, call, frozenset({FUNCTION}), {FUNCTION: (text, node)}, {}, applied.inputs, result, calls
    )
    found = EXTERN_SOURCES[strategy.function].check(session, place, written)
    if found.options is None:
        given.whole = False
        return None
    asked = applied.signature.signature
    tool = Tool(
        name=symbol.key,
        description=asked.instruction,
        inputs=asked.inputs,
        outputs=asked.outputs,
        source=strategy.function,
        options=dict(found.options),
    )
    settings = {one.name: given.values.get(one.name) for one in strategy.options if one.of_function}
    del settings[FUNCTION]
    key = f"{symbol.key}.{FUNCTION}"
    gathered.tools[key] = tool.model_copy(update=settings)
    return OwnFunction(tool=key, names=tuple(given.names), checks=asked.checks)


def _program(
    session: Session,
    place: Place,
    symbol: Symbol,
    strategy: ModuleStrategy,
    applied: _Applied,
    given: _Given,
    gathered: CalledTables,
    more: tuple[FieldSpec, ...],
    function: OwnFunction | None,
) -> Program | None:
    """The module as a program of one step; None where something that it calls cannot run."""
    runs: str | None = None
    if applied.runs is not None:
        if applied.runs.program is None:
            return None
        runs = gathered.add(applied.runs, applied.runs.program)
    spec_inputs, spec_outputs = _fields(applied, more)
    asks = bool(strategy.roles) or (applied.runs is None and not strategy.function)
    predictors: dict[str, str] = {}
    if asks:
        model, settings = model_for(session, place, symbol, given.bound)
        if model is None:
            return None
        gathered.lms |= settings
        if applied.signature is not None and model.key in settings:
            sees_inputs(session, symbol, applied.signature, model, settings[model.key])
        asked = applied.signature.signature if applied.signature is not None else None
        base = asked or Signature(name=symbol.key, instruction="", inputs=spec_inputs, outputs=spec_outputs)
        parts = ModuleParts(symbol.key, base, given.values, tuple(given.tools))
        own_way = given.settings
        tried = strategy.tries and runs is None
        demos = applied.signature.demos if applied.signature is not None else ()
        made = {TRIED: _predictor(PREDICT.name, base, model.key, own_way)} if tried else {}
        made |= {
            role: _predictor(one.strategy, one.signature(parts), given.lms.get(one.lm, model).key, own_way)
            for role, one in strategy.roles.items()
        }
        made = {role: _showing(one, base, demos) for role, one in made.items()}
        for other in given.lms.values():
            gathered.lms |= lm_closure(session, other)
        if TRIED in made:
            runs = f"{symbol.key}.{TRIED}"
        predictors = {role: f"{symbol.key}.{role}" for role in made}
        own = {predictors[role]: one for role, one in made.items()}
        gathered.predictors = {**own, **gathered.predictors}  # its own first, then what they call
        if given.bound is None:
            gathered.unbound += [
                address
                for role, address in predictors.items()
                if role not in strategy.roles or strategy.roles[role].lm not in given.lms
            ]
    _demos_shown(
        session, symbol, strategy, applied, [gathered.predictors[one] for one in predictors.values()]
    )
    kinds = [one.type for one in (*applied.inputs.values(), *applied.outputs.values())]
    gathered.records |= reachable(session, kinds)
    gathered.modules[symbol.key] = ModuleSpec(
        strategy=strategy.name,
        inputs=spec_inputs,
        outputs=spec_outputs,
        options={
            option.name: given.values[option.name]
            for option in strategy.options
            if option.name in given.values and not option.of_function
        },
        predictors={role: address for role, address in predictors.items() if role in strategy.roles},
        tools=tuple(given.tools),
        runs=runs,
        reward=_carried(given.marked, gathered),
        function=function,
    )
    step = symbol.key if symbol.key not in applied.inputs else f"{symbol.key}()"
    arguments: dict[str, Expression] = {name: Variable(name=name) for name in applied.inputs}
    return gathered.program(
        Graph(
            name=symbol.key,
            inputs=spec_inputs,
            outputs=spec_outputs,
            steps=(RunStep(name=step, runs=symbol.key, arguments=arguments),),
            returns={one.name: MemberOf(target=Variable(name=step), name=one.name) for one in spec_outputs},
        )
    )


def _showing(asked: Predictor, base: Signature, demos: tuple[Demo, ...]) -> Predictor:
    found = shown_by(asked.signature, base, demos)
    return asked.model_copy(update={"demos": found}) if found else asked


def _demos_shown(
    session: Session,
    symbol: Symbol,
    strategy: ModuleStrategy,
    applied: _Applied,
    predictors: Sequence[Predictor],
) -> None:
    """Warns of a module whose signature has demos that none of its predictors shows."""
    found = applied.signature
    if found is None or not found.demos or any(one.demos for one in predictors):
        return
    name, at = (found.symbol.name, found.symbol.location) if found.symbol else ("", None)
    session.report(codes.demos.NoPromptShows(symbol.location, strategy.name, name, at))


def _carried(marked: MetricInfo | None, gathered: CalledTables) -> Reward | None:
    """The reward as the program carries it: the models and tools of its judges move to the program's tables."""
    reward = marked.reward if marked is not None else None
    if reward is None:
        return None
    for judge in reward.judges:
        gathered.lms |= judge.program.lms
        gathered.tools |= judge.program.tools
    judges = tuple(
        judge.model_copy(update={"program": judge.program.model_copy(update={"lms": {}, "tools": {}})})
        for judge in reward.judges
    )
    return reward.model_copy(update={"judges": judges})


def _fields(
    applied: _Applied, more: tuple[FieldSpec, ...]
) -> tuple[tuple[FieldSpec, ...], tuple[FieldSpec, ...]]:
    """The module's inputs and outputs: those of the signature, with what is added, or of what is tried."""
    if applied.signature is not None:
        found = applied.signature.signature
        return found.inputs, (*more, *found.outputs)
    assert applied.runs is not None
    program = cast("Program", applied.runs.program)
    return program.inputs, program.outputs


def _predictor(strategy: str, asked: Signature, lm: str, settings: OwnSettings | None) -> Predictor:
    """A role's predictor: its signature, with what its strategy adds."""
    outputs = in_order(STRATEGIES[strategy], (one.name for one in asked.inputs), asked.outputs)
    told = asked.model_copy(update={"outputs": outputs})
    return Predictor(strategy=strategy, signature=told, lm=lm, settings=settings)
