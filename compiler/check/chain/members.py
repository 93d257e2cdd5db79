"""The first argument of an ensemble step: the programs it gathers, and the rule for their answers.

Ensemble(joint.candidates.top(5), reduce = majority(intent))
Ensemble([demos, joint, router])
"""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct

from dspec.grammar.tree import Attribute, Call, Expr, ListLiteral, Reference
from dspec.runtime.schema.ensemble import has_mean
from dspec.runtime.schema.types import JsonValue

from ... import ir
from ...diagnostics import codes
from ...optimizers.ensemble import REDUCERS
from ..session import Session
from ..shape.attributes import number_of
from ..types.declared import RunnableInfo
from ..types.kinds import NamedValue, spell
from .asked import declared_programs
from .reducers import check_reducer
from .step import StepInfo, named_steps
from .stepnames import PROGRAMS, Names


class Members(Struct, frozen=True):
    """What was named; `clean` is False after a mistake."""

    refs: tuple[ir.MemberRef, ...] = ()
    clean: bool = True


def members(names: Names, node: Expr) -> Members:
    """The programs that `node` names: a list of steps and programs, a step's candidates, or both."""
    at = names.place.at(node)
    items = node.items if isinstance(node, ListLiteral) else (node,)
    found = [_member(names, item) for item in items]
    refs = tuple(ref for ref in found if ref is not None)
    clean = len(refs) == len(found)
    if not found:
        names.session.report(codes.ensembles.NoMembers(at))
        return Members(clean=False)
    several = len(refs) > 1 or any(ref.candidates and ref.top != 1 for ref in refs)
    if clean and not several:
        names.session.report(codes.ensembles.OneMember(at))
    return Members(refs, clean)


def _member(names: Names, node: Expr) -> ir.MemberRef | None:
    session, at = names.session, names.place.at
    top: int | None = None
    inner = node
    if isinstance(inner, Call) and isinstance(inner.callee, Attribute) and _is(inner.callee, "top"):
        number = number_of(inner.arguments[0].value) if len(inner.arguments) == 1 else None
        if not isinstance(number, int) or isinstance(number, bool) or number < 1:
            session.report(codes.optimizers.HowMany(at(inner)))
            return None
        top = number
        inner = inner.callee.target
    if isinstance(inner, Attribute) and _is(inner, "candidates"):
        return _candidates(names, inner.target, top)
    name = names.refer(node, "a member")
    session.seek(node, PROGRAMS, named_steps(step for step in names.before if not _gathers(step)))
    if name is None:
        return None
    step = names.step(name)
    if step is not None and step.symbol and _gathers(step):
        session.report(codes.ensembles.EnsembleAsMember(at(node), step.where))
        return None
    if step is None and (made := names.ensembles.get(name)) is not None:
        session.report(codes.ensembles.EnsembleAsMember(at(node), made))
        return None
    return ir.MemberRef(program=name)


def _gathers(step: StepInfo) -> bool:
    return step.spec is not None and step.spec.gathers


def _is(node: Attribute, name: str) -> bool:
    return node.name is not None and node.name.text == name


def _candidates(names: Names, target: Expr, top: int | None) -> ir.MemberRef | None:
    name = names.refer(target, "the step whose `.candidates` are asked for")
    if name is None:
        return None
    step = names.step(name)
    if step is not None and (step.spec is None or step.spec.candidates):
        return ir.MemberRef(program=name, candidates=True, top=top)
    optimizer = step.spec.name if step is not None and step.spec is not None else ""
    have = tuple(
        other.name for other in names.before if other.symbol and other.spec and other.spec.candidates
    )
    made = step.where if step else None
    names.session.report(codes.ensembles.NoCandidates(names.place.at(target), name, optimizer, made, have))
    return None


# The rule -----------------------------------------------------------------------------------------


def reducer(node: Expr) -> JsonValue:
    """The rule that a node writes as data (`Reducer`); None if it is no rule."""
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


def check_members(session: Session, chain: Sequence[StepInfo], tuned: RunnableInfo) -> None:
    """Report rules for outputs that the program does not have, and members that answer another question."""
    if not tuned.known:
        return
    for step in chain:
        if step.spec is None or not step.spec.gathers or not step.clean:
            continue
        if "reduce" in step.arguments:
            _rule_fits(session, step, tuned)
        own = {other.name for other in chain}
        for ref in step.members:
            if ref.program not in own:
                _same_question(session, step, ref.program, tuned)


def _rule_fits(session: Session, step: StepInfo, tuned: RunnableInfo) -> None:
    rule, node = step.given.get("reduce"), step.arguments["reduce"].value
    if not isinstance(rule, dict):
        return
    if "kind" not in rule:
        check_reducer(session, step.place, node, tuned)
        return
    name = rule.get("field")
    if not isinstance(name, str):
        return
    mean = rule.get("kind") == "mean"
    if isinstance(node, Call) and node.arguments:
        fitting = {one.name: one.symbol for one in tuned.outputs.values() if not mean or has_mean(one.type)}
        session.seek(node.arguments[0].value, (), fitting)
    whole = step.place.at(node)
    at = step.place.at(node.arguments[0].value) if isinstance(node, Call) and node.arguments else whole
    output = tuned.outputs.get(name)
    if output is None:
        session.report(codes.ensembles.NoSuchOutput(at, tuned.symbol.location, tuple(tuned.outputs)))
    elif mean and not has_mean(output.type):
        session.report(codes.ensembles.NoMean(at, spell(output.type), output.location, whole))


def _same_question(session: Session, step: StepInfo, key: str, tuned: RunnableInfo) -> None:
    place = step.place
    other = next(iter(declared_programs(session, place, [key])), None)
    if other is None or not other.known:
        return
    at, member, program = place.at(step.call or step.node), other.symbol.location, tuned.symbol.location
    differing = [
        name
        for name in {**tuned.inputs, **other.inputs}
        if not _alike(tuned.inputs.get(name), other.inputs.get(name))
    ]
    if differing:
        theirs, ours = tuple(other.inputs), tuple(tuned.inputs)
        session.report(
            codes.ensembles.OtherQuestion(at, "inputs", member, theirs, program, ours, tuple(differing))
        )
        return
    differing = [
        name for name, output in tuned.outputs.items() if not _alike(output, other.outputs.get(name))
    ]
    if differing:
        theirs, ours = tuple(other.outputs), tuple(tuned.outputs)
        session.report(
            codes.ensembles.OtherQuestion(at, "outputs", member, theirs, program, ours, tuple(differing))
        )


def _alike(one: NamedValue | None, other: NamedValue | None) -> bool:
    return one is not None and other is not None and one.type == other.type
