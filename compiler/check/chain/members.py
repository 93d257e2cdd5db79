"""The first argument of an ensemble step: the programs it gathers, and the rule for their answers.

Ensemble(joint.candidates.top(5), reduce = majority(intent))
Ensemble([demos, joint, router])
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from msgspec import Struct

from dspec.grammar.tree import Attribute, Call, Expr, ListLiteral, Node, Reference
from dspec.runtime.schema.ensemble import has_mean
from dspec.runtime.schema.types import JsonValue

from ... import ir
from ...diagnostics.fixes import suggestions
from ...diagnostics.record import Label
from ...diagnostics.spelling import closest
from ...diagnostics.wording import did_you_mean, listed, quoted
from ...optimizers.ensemble import REDUCERS
from ..session import Place, Session
from ..shape.attributes import number_of
from ..types.declared import Runnable, runnable
from ..types.kinds import Member, spell
from .reducers import check_reducer
from .step import StepInfo

Refer = Callable[[Expr, str], str | None]
"""Finds an earlier step or a program by an expression, for what a message calls it; reports what is none."""


class Members(Struct, frozen=True):
    """What was named; `clean` is False after a mistake."""

    refs: tuple[ir.MemberRef, ...] = ()
    clean: bool = True


def members(session: Session, place: Place, node: Expr, before: Sequence[StepInfo], refer: Refer) -> Members:
    """The programs that `node` names: a list of steps and programs, a step's candidates, or both."""
    items = node.items if isinstance(node, ListLiteral) else (node,)
    found = [_member(session, place, item, before, refer) for item in items]
    refs = tuple(ref for ref in found if ref is not None)
    clean = len(refs) == len(found)
    if not found:
        no_members(session, place, node)
        return Members(clean=False)
    several = len(refs) > 1 or any(ref.candidates and ref.top != 1 for ref in refs)
    if clean and not several:
        session.report(
            "DS0625",
            "an ensemble of one program answers as that program does",
            place.at(node),
            "one program",
            help="name several, as in `[demos, router]`, or a step's best: `search.candidates.top(5)`",
        )
    return Members(refs, clean)


def no_members(session: Session, place: Place, node: Node) -> None:
    session.report(
        "DS0629",
        "an ensemble needs the programs that it is made of",
        place.at(node),
        "which programs?",
        help="for example `Ensemble(search.candidates.top(5))` or `Ensemble([demos, router])`",
    )


def _member(
    session: Session, place: Place, node: Expr, before: Sequence[StepInfo], refer: Refer
) -> ir.MemberRef | None:
    top: int | None = None
    inner = node
    if isinstance(inner, Call) and isinstance(inner.callee, Attribute) and _is(inner.callee, "top"):
        number = number_of(inner.arguments[0].value) if len(inner.arguments) == 1 else None
        if not isinstance(number, int) or isinstance(number, bool) or number < 1:
            session.report(
                "DS0617",
                "`top` takes how many of the candidates, a whole number from 1",
                place.at(inner),
                "how many?",
                help="for example `.top(5)`",
            )
            return None
        top = number
        inner = inner.callee.target
    if isinstance(inner, Attribute) and _is(inner, "candidates"):
        return _candidates(session, place, inner.target, before, refer, top)
    name = refer(node, "a member")
    if name is None:
        return None
    step = next((step for step in before if step.name == name and step.symbol), None)
    if step is not None and step.spec is not None and step.spec.gathers:
        session.report(
            "DS0623",
            f"`{name}` is an ensemble already, and an ensemble's members are programs",
            place.at(node),
            "an ensemble",
            secondary=(Label(place.at(step.node.name or step.node), "made here"),),
            help="list its members instead",
        )
        return None
    return ir.MemberRef(program=name)


def _is(node: Attribute, name: str) -> bool:
    return node.name is not None and node.name.text == name


def _candidates(
    session: Session,
    place: Place,
    target: Expr,
    before: Sequence[StepInfo],
    refer: Refer,
    top: int | None,
) -> ir.MemberRef | None:
    name = refer(target, "the step whose `.candidates` are asked for")
    if name is None:
        return None
    step = next((step for step in before if step.name == name), None)
    if step is not None and (step.spec is None or step.spec.candidates):
        return ir.MemberRef(program=name, candidates=True, top=top)
    optimizer = step.spec.name if step is not None and step.spec is not None else ""
    have = [other.name for other in before if other.symbol and other.spec and other.spec.candidates]
    session.report(
        "DS0624",
        f"`{name}` has no candidates: "
        + (f"`{optimizer}` makes one program" if optimizer else "it is no step of this block"),
        place.at(target),
        "no candidates",
        secondary=(Label(place.at(step.node.name or step.node), "declared here"),) if step else (),
        help=f"{listed(have)} {'has' if len(have) == 1 else 'have'} some" if have else "a search has some",
    )
    return None


# The rule -----------------------------------------------------------------------------------------

REDUCER_WORDS = " or ".join(
    f"`{name}(output)`" if takes_output else f"`{name}`" for name, takes_output in REDUCERS.items()
)


def reducer(node: Expr) -> JsonValue:
    """A rule as data (`Reducer`), or None for what is none."""
    if isinstance(node, Reference):
        name = node.name.text
        return {"kind": name} if REDUCERS.get(name) is False else None
    if not isinstance(node, Call) or not isinstance(node.callee, Reference):
        return None
    name, arguments = node.callee.name.text, node.arguments
    if name not in REDUCERS or len(arguments) != REDUCERS[name] or any(given.name for given in arguments):
        return None
    if not arguments:
        return {"kind": name}
    output = arguments[0].value
    return {"kind": name, "field": output.name.text} if isinstance(output, Reference) else None


# Against the program that is tuned ----------------------------------------------------------------


def check_members(session: Session, place: Place, chain: Sequence[StepInfo], tuned: Runnable) -> None:
    """Report rules for outputs that the program has not, and members that answer another question."""
    if not tuned.known:
        return
    for step in chain:
        if step.spec is None or not step.spec.gathers or not step.clean:
            continue
        if "reduce" in step.arguments:
            _rule_fits(session, place, step, tuned)
        own = {other.name for other in chain}
        for ref in step.members:
            if ref.program not in own:
                _same_question(session, place, step, ref.program, tuned)


def _rule_fits(session: Session, place: Place, step: StepInfo, tuned: Runnable) -> None:
    rule, node = step.given.get("reduce"), step.arguments["reduce"].value
    if isinstance(rule, dict) and "kind" not in rule:
        check_reducer(session, place, step, node, tuned)
        return
    name = rule.get("field") if isinstance(rule, dict) else None
    if not isinstance(rule, dict) or not isinstance(name, str):
        return
    at = place.at(node.arguments[0].value) if isinstance(node, Call) and node.arguments else place.at(node)
    output = tuned.outputs.get(name)
    if output is None:
        near = closest(name, tuned.outputs)
        session.report(
            "DS0627",
            f"`{tuned.symbol.name}` has no output `{name}`{did_you_mean(near)}",
            at,
            "no such output",
            secondary=(Label(tuned.symbol.location, "declared here"),),
            help="" if near else f"its outputs are {listed(tuned.outputs)}",
            fixes=suggestions(at, near),
        )
    elif rule.get("kind") == "mean" and not has_mean(output.type):
        session.report(
            "DS0627",
            f"`mean` is for a float, and `{name}` is {spell(output.type)}",
            at,
            spell(output.type),
            secondary=(Label(output.symbol.location, "declared here"),) if output.symbol else (),
            help=f"write `majority({name})`",
            fixes=suggestions(place.at(node), (f"majority({name})",)),
        )


def _same_question(session: Session, place: Place, step: StepInfo, key: str, tuned: Runnable) -> None:
    symbol = next((one for one in place.scope.symbols.values() if one.key == key), None)
    other = runnable(session, symbol) if symbol is not None else None
    if other is None or not other.known:
        return
    for role, ours, theirs in (
        ("inputs", tuned.inputs, other.inputs),
        ("outputs", tuned.outputs, other.outputs),
    ):
        names = [*ours, *(name for name in theirs if role == "inputs" and name not in ours)]
        differing = [name for name in names if not _alike(ours.get(name), theirs.get(name))]
        if differing:
            session.report(
                "DS0628",
                f"`{other.symbol.name}` cannot be a member: its {role} differ from those of "
                f"`{tuned.symbol.name}` in {quoted(differing, 'and')}",
                place.at(step.call or step.node),
                f"`{other.symbol.name}` has {quoted(list(theirs), 'and')}",
                secondary=(
                    Label(other.symbol.location, "declared here"),
                    Label(tuned.symbol.location, f"has {quoted(list(ours), 'and')}"),
                ),
                help="the members of an ensemble answer the same question",
            )
            return


def _alike(one: Member | None, other: Member | None) -> bool:
    return one is not None and other is not None and one.type == other.type
