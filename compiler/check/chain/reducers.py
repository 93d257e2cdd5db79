"""A module or program as an ensemble's reducer: is everything it asks for there, and does it give what is wanted?

module pick = Predict(sig(text, topics: list[Topic] -> topic: Topic))
step vote = Ensemble(search.candidates.top(3), reduce = pick)
"""

from __future__ import annotations

from dspec.grammar.tree import Expr
from dspec.runtime.running.strategies.table import added
from dspec.runtime.schema.ensemble import collected

from ...diagnostics.record import Label
from ...diagnostics.spelling import closest
from ...diagnostics.wording import did_you_mean, listed, quoted
from ..names.names import find
from ..session import Place, Session
from ..types.declared import Runnable, runnable
from ..types.kinds import Member, spell
from .step import StepInfo


def check_reducer(session: Session, place: Place, step: StepInfo, node: Expr, tuned: Runnable) -> None:
    """Report inputs that nothing is for, and outputs of the program that the reducer lacks."""
    symbol = find(session, place, node)
    reducer = runnable(session, symbol) if symbol is not None else None
    if reducer is None or not reducer.known:
        return
    for member in reducer.inputs.values():
        if not member.has_default and not _is_fed(member, tuned):
            _hungry(session, place, node, reducer, member, tuned)
            return
    absent = [
        name
        for name, output in tuned.outputs.items()
        if name not in added() and not _has(reducer, name, output)
    ]
    if absent:
        session.report(
            "DS0631",
            f"`{reducer.symbol.name}` cannot reduce the answers: it does not give {quoted(absent, 'and')} as "
            f"`{tuned.symbol.name}` does",
            place.at(node),
            f"gives {quoted(list(reducer.outputs), 'and')}",
            secondary=(
                Label(reducer.symbol.location, "declared here"),
                Label(tuned.symbol.location, f"gives {quoted(list(tuned.outputs), 'and')}"),
            ),
            help=f"its outputs are the ensemble's: add `output {absent[0]}: {spell(tuned.outputs[absent[0]].type)}`",
        )


def _is_fed(member: Member, tuned: Runnable) -> bool:
    own, outputs = tuned.inputs.get(member.name), {name: one.type for name, one in tuned.outputs.items()}
    given = own is not None and own.type == member.type
    return given or collected(member.name, member.type, outputs) is not None


def _has(reducer: Runnable, name: str, output: Member) -> bool:
    given = reducer.outputs.get(name)
    return given is not None and given.type == output.type


def _hungry(
    session: Session, place: Place, node: Expr, reducer: Runnable, member: Member, tuned: Runnable
) -> None:
    singular = member.name if member.name in tuned.outputs else member.name.removesuffix("s")
    output, own = tuned.outputs.get(singular), tuned.inputs.get(member.name)
    near = (
        closest(member.name, [*(f"{one}s" for one in tuned.outputs), *tuned.inputs])
        if output is None and own is None
        else ()
    )
    if output is not None:
        hint = f"the members' answers come as a list: `input {member.name}: list[{spell(output.type)}]`"
    elif own is not None:
        hint = f"the program's input is {spell(own.type)}: `input {member.name}: {spell(own.type)}`"
    else:
        hint = (
            f"lists of {listed(tuned.outputs)} can be taken, and {listed(tuned.inputs)} as "
            f"`{tuned.symbol.name}` has it"
        )
    session.report(
        "DS0631",
        f"`{reducer.symbol.name}` cannot reduce the answers: nothing is given for its input `{member.name}`"
        + (f" ({spell(member.type)})" if output or own else did_you_mean(near)),
        place.at(node),
        f"asks for `{member.name}`",
        secondary=tuple(
            Label(symbol.location, text)
            for symbol, text in ((member.symbol, "asked for here"), (tuned.symbol, "the program"))
            if symbol is not None
        ),
        help=hint,
    )
