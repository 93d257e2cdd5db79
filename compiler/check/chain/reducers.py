"""Checks a module or program as an ensemble's reducer: is there a value for each input, and does it give the outputs?

module pick = Predict(sig(text, topics: list[Topic] -> topic: Topic))
step vote = Ensemble(search.candidates.top(3), reduce = pick)
"""

from __future__ import annotations

from dspec.grammar.tree import Expr
from dspec.runtime.running.strategies.table import added
from dspec.runtime.schema.ensemble import collected

from ...diagnostics import codes
from ..names.names import find
from ..session import Place, Session
from ..types.declared import RunnableInfo, runnable
from ..types.kinds import NamedValue, spell


def check_reducer(session: Session, place: Place, node: Expr, tuned: RunnableInfo) -> None:
    """Report inputs of the reducer that get no value, and outputs of the program that the reducer lacks."""
    symbol = find(session, place, node)
    reducer = runnable(session, symbol) if symbol is not None else None
    if reducer is None or not reducer.known:
        return
    at, ours, program = place.at(node), reducer.symbol.location, tuned.symbol.location
    inputs, outputs = tuple(tuned.inputs), tuple(tuned.outputs)
    for member in reducer.inputs.values():
        if member.has_default or _is_fed(member, tuned):
            continue
        name, kind = member.name, spell(member.type)
        output = tuned.outputs.get(name) or tuned.outputs.get(name.removesuffix("s"))
        near = output or tuned.inputs.get(name)
        taken = spell(near.type) if near else ""
        session.report(
            codes.ensembles.ReducerUnfed(
                at, ours, name, kind, member.location, program, outputs, inputs, taken, output is not None
            )
        )
        return
    absent = [
        name
        for name, output in tuned.outputs.items()
        if name not in added() and not _has(reducer, name, output)
    ]
    if absent:
        kind, given = spell(tuned.outputs[absent[0]].type), tuple(reducer.outputs)
        session.report(codes.ensembles.ReducerLacks(at, ours, given, program, outputs, tuple(absent), kind))


def _is_fed(member: NamedValue, tuned: RunnableInfo) -> bool:
    own, outputs = tuned.inputs.get(member.name), {name: one.type for name, one in tuned.outputs.items()}
    given = own is not None and own.type == member.type
    return given or collected(member.name, member.type, outputs) is not None


def _has(reducer: RunnableInfo, name: str, output: NamedValue) -> bool:
    given = reducer.outputs.get(name)
    return given is not None and given.type == output.type
