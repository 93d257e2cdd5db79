"""`tune = [ask]` and `freeze = [ask]`, of a step or of the whole block: which predictors and tools may a step change?

Predictors go by their address, the name that `dspc show` prints them under, and so do tools that an agent is told of; a
module of several calls by its name means all of its own, tools among it, a program all that it calls. A step's own word
overrides the block's. An optimizer inside another one follows that.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from msgspec import Struct, structs

from dspec.grammar.tree import Attribute, Expr, ListLiteral, Literal
from dspec.runtime.schema.program import CallStep, Program, RunStep, walked

from ...diagnostics import codes
from ...optimizers.texts import described, describes
from ..names.names import find, path_of
from ..session import Place, Session
from ..shape.attributes import Reader, form_of
from ..types.declared import RunnableInfo
from .step import StepInfo
from .students import Students

CHOICES = {
    "tune": "The predictors, and the tools by their descriptions, that may be changed; all of them unless said.",
    "freeze": "Predictors and tools' descriptions that are left as they are.",
}
"""Options of every step that tunes, with their docs."""


class _Choice(Struct, frozen=True):
    """What was written: `tune` or, where `tunes` is False, `freeze`, and the addresses with their nodes."""

    node: Expr
    tunes: bool
    names: tuple[tuple[str, Expr], ...]


def with_frozen(
    session: Session, read: Reader, chain: Sequence[StepInfo], tuned: RunnableInfo | None, programs: Students
) -> list[StepInfo]:
    """The steps, each with the predictors and tools that it leaves alone; reports what cannot be meant."""
    place = read.place
    written = {name: node for name in CHOICES if (node := read.value(name))}
    block = _choice(session, place, written, block=True)
    if block is not None and tuned is not None and tuned.program is not None:
        _known(session, place, block, tuned.program, any(map(_describes, chain)))
    found: list[StepInfo] = []
    for step in chain:
        own = _own(session, step)
        choice, program = own or block, programs.get(step.name)
        frozen: tuple[str, ...] = ()
        if choice is not None and program is not None:
            right = own is None or _known(session, place, choice, program, _describes(step))
            named = {
                address
                for written, _ in choice.names
                for address in _meant(program, place.scope.prefix + written)
            }
            tools = tuple(described(program))
            addresses = (*program.predictors, *(tools if _describes(step) else ()))
            frozen = tuple(address for address in addresses if (address in named) != choice.tunes)
            if right and addresses and len(frozen) == len(addresses):
                at = place.at(choice.node)
                kept = tuple(key for key in tools if key in named) if choice.tunes else ()
                optimizer = step.spec.name if step.spec is not None else ""
                session.report(
                    codes.chains.NothingLeft(
                        at, step.name, step.where, program.name, addresses, optimizer, kept
                    )
                )
        found.append(structs.replace(step, frozen=frozen))
    return found


def _describes(step: StepInfo) -> bool:
    """Whether the step writes descriptions: none on DSPy's schedule does."""
    return step.compat is None and describes((step.spec, *(inner.spec for inner in step.nested.values())))


def _own(session: Session, step: StepInfo) -> _Choice | None:
    given = {name: step.arguments[name] for name in CHOICES if name in step.arguments}
    if given and step.spec is not None and step.spec.gathers:
        for name, argument in given.items():
            session.report(codes.optimizers.TunesNothing(step.place.at(argument), step.spec.name, name))
        return None
    written = {name: argument.value for name, argument in given.items()}
    return _choice(session, step.place, written, block=False)


def _choice(session: Session, place: Place, given: Mapping[str, Expr], *, block: bool) -> _Choice | None:
    """What was written in the block or in a step; reports `tune` beside `freeze`, and what is no list of names."""
    if len(given) == 2:
        session.report(codes.optimizers.TunesAndFreezes(place.at(given["freeze"]), place.at(given["tune"])))
        return None
    for name, node in given.items():
        if name == "freeze" and isinstance(node, Literal) and node.value is None:
            return _Choice(node, tunes=False, names=())
        items = node.items if isinstance(node, ListLiteral) else ()
        others = [item for item in items if path_of(item) is None]
        if others or not isinstance(node, ListLiteral):
            other = others[0] if others else node
            whole = place.at(node) if path_of(node) else None
            wrong = codes.optimizers.BlockNotPredictors if block else codes.optimizers.NotPredictors
            session.report(wrong(place.at(other), name, form_of(other), whole))
            return None
        return _Choice(node, name == "tune", tuple((place.text(item), item) for item in node.items))
    return None


def _known(session: Session, place: Place, choice: _Choice, program: Program, describes: bool) -> bool:
    """Whether every address is a predictor's or a tool's; reports the others. Tools are offered where something
    `describes` them."""
    clean, prefix = True, place.scope.prefix
    called = {step.name: step.predictor for step in walked(program.steps) if isinstance(step, CallStep)}
    tools = described(program)
    tables = (program.predictors, program.modules, program.graphs, tools)
    known = tuple(
        address.removeprefix(prefix) for table in (tables if describes else tables[:3]) for address in table
    )
    for written, node in choice.names:
        session.seek(node, (), {address: place.scope.symbols.get(address) for address in known})
        if any(prefix + written in table for table in tables):
            of = node.target if isinstance(node, Attribute) and not find(session, place, node) else node
            find(session, place, of)  # so that renaming a module renames it here
            continue
        clean = False
        calls = called.get(written, "").removeprefix(prefix)
        untold = prefix + written in program.tools
        session.report(codes.chains.NoPredictor(place.at(node), program.name, known, calls, untold))
    return clean


def _meant(program: Program, name: str) -> frozenset[str]:
    """What a name means: a predictor or a tool; those of a module and of what it tries, or its function uses; all that a
    program calls."""
    if name in program.predictors or name in program.tools:
        return frozenset({name})
    if (module := program.modules.get(name)) is not None:
        told = [key for key, modules in described(program).items() if name in modules]
        below = [
            *([module.runs] if module.runs is not None else ()),
            *(key for key in module.tools if module.function and key not in program.tools),
        ]
        return frozenset([*module.predictors.values(), *told]).union(*(_meant(program, key) for key in below))
    if (graph := program.graphs.get(name)) is not None:
        keys = [
            step.predictor if isinstance(step, CallStep) else step.runs
            for step in walked(graph.steps)
            if isinstance(step, CallStep | RunStep)
        ]
        return frozenset[str]().union(*(_meant(program, key) for key in keys))
    return frozenset()
