"""`tune = [ask]` and `freeze = [ask]`, of a step or of the whole block: which predictors may a step change?

Predictors go by their address, the name that `dspc show` prints them under. A step's own word counts before
the block's. Optimizers inside another one go with it.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from msgspec import Struct, structs

from dspec.grammar.tree import Expr, ListLiteral, Literal
from dspec.runtime.schema.program import CallStep, Program

from ...diagnostics.fixes import replace, suggestions
from ...diagnostics.record import Label
from ...diagnostics.spelling import closest
from ...diagnostics.wording import did_you_mean, listed
from ..names.names import find, path_of
from ..session import Place, Session
from ..shape.attributes import Reader, described
from ..types.declared import Runnable
from .step import StepInfo
from .students import students

CHOICES = {
    "tune": "The predictors that may be changed; all of them unless said.",
    "freeze": "Predictors that are left as they are.",
}
"""Options of every step that tunes, with their docs."""


class _Choice(Struct, frozen=True):
    """What was written: `tunes` tells which of the two, `names` the addresses with their places."""

    node: Expr
    tunes: bool
    names: tuple[tuple[str, Expr], ...]


def with_frozen(
    session: Session, read: Reader, chain: Sequence[StepInfo], tuned: Runnable | None
) -> list[StepInfo]:
    """The steps, each with the predictors that it leaves alone; reports what cannot be meant."""
    place = read.place
    block = _choice(session, place, {name: node for name in CHOICES if (node := read.value(name))}, "DS0110")
    if block is not None and tuned is not None and tuned.program is not None:
        _known(session, place, block, tuned.program)
    programs = {} if tuned is None else students(session, place, chain, tuned)
    found: list[StepInfo] = []
    for step in chain:
        for inner in step.nested.values():
            _inside(session, place, inner)
        own = _own(session, place, step)
        choice, program = own or block, programs.get(step.name)
        frozen: tuple[str, ...] = ()
        if choice is not None and program is not None:
            right = own is None or _known(session, place, choice, program)
            frozen = _frozen(place, choice, program)
            if right and program.predictors and len(frozen) == len(program.predictors):
                _nothing_left(session, place, step, choice, program)
        found.append(structs.replace(step, frozen=frozen))
    return found


def _own(session: Session, place: Place, step: StepInfo) -> _Choice | None:
    given = {name: step.arguments[name] for name in CHOICES if name in step.arguments}
    if given and step.spec is not None and step.spec.gathers:
        for name, argument in given.items():
            session.report(
                "DS0602",
                f"`{step.spec.name}` tunes nothing, so it has no option `{name}`",
                place.at(argument),
                "nothing to leave out",
                help="write it in the steps that make the members",
            )
        return None
    return _choice(session, place, {name: argument.value for name, argument in given.items()}, "DS0617")


def _inside(session: Session, place: Place, inner: StepInfo) -> None:
    for name in CHOICES:
        argument = inner.arguments.get(name)
        if argument is not None:
            session.report(
                "DS0603",
                f"`{name}` is said of a whole step, not of an optimizer inside it",
                place.at(argument),
                "not here",
                help="write it after the step's other options, or in the optimize block",
            )


def _choice(session: Session, place: Place, given: Mapping[str, Expr], code: str) -> _Choice | None:
    """What was written; reports both at once, and under `code` what is no list of names."""
    if len(given) == 2:
        session.report(
            "DS0603",
            "`tune` and `freeze` say the same from two sides, so only one of them can be given",
            place.at(given["freeze"]),
            "what is not tuned is frozen",
            secondary=(Label(place.at(given["tune"]), "and this is what is tuned"),),
            help="leave one of the two out",
        )
        return None
    for name, node in given.items():
        if name == "freeze" and isinstance(node, Literal) and node.value is None:
            return _Choice(node, tunes=False, names=())
        items = node.items if isinstance(node, ListLiteral) else ()
        other = next((item for item in items if path_of(item) is None), None)
        if not isinstance(node, ListLiteral) or other is not None:
            path = path_of(node) is not None
            wrong = other or node
            session.report(
                code,
                f"`{name}` takes a list of predictors, and this is {described(place, wrong)}",
                place.at(wrong),
                described(place, wrong),
                help=f"for example `{name} = [{place.text(node) if path else 'router'}]`",
                fixes=(replace(place.at(node), f"[{place.text(node)}]"),) if path else (),
            )
            return None
        return _Choice(node, name == "tune", tuple((place.text(item), item) for item in node.items))
    return None


def _address(place: Place, written: str) -> str:
    return place.scope.prefix + written


def _known(session: Session, place: Place, choice: _Choice, program: Program) -> bool:
    """Whether every address is a predictor's; reports the others."""
    clean = True
    called = {step.name: step.predictor for step in program.steps if isinstance(step, CallStep)}
    known = [address.removeprefix(place.scope.prefix) for address in program.predictors]
    for written, node in choice.names:
        if _address(place, written) in program.predictors:
            find(session, place, node)  # so that renaming a module renames it here
            continue
        clean = False
        module = called.get(written)
        near = (module.removeprefix(place.scope.prefix),) if module else closest(written, known)
        session.report(
            "DS0630",
            f"`{program.name}` has no predictor `{written}`"
            + (f": that is a step, which calls `{near[0]}`" if module else did_you_mean(near)),
            place.at(node),
            "no such predictor",
            help="" if near else f"its predictors are {listed(known)}" if known else "it calls no model",
            fixes=suggestions(place.at(node), near),
        )
    return clean


def _frozen(place: Place, choice: _Choice, program: Program) -> tuple[str, ...]:
    named: Collection[str] = {_address(place, written) for written, _ in choice.names}
    return tuple(address for address in program.predictors if (address in named) != choice.tunes)


def _nothing_left(session: Session, place: Place, step: StepInfo, choice: _Choice, program: Program) -> None:
    session.report(
        "DS0615",
        f"step `{step.name}` may change no predictor of `{program.name}`, so there is nothing to tune",
        place.at(choice.node),
        "leaves nothing to tune",
        secondary=(Label(place.at(step.node.name or step.node), "would tune nothing"),),
        help=f"its predictors are {listed(program.predictors)}",
    )
