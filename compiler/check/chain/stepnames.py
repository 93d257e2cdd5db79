"""Steps and programs by name, where a step names what it starts from, learns from or gathers."""

from __future__ import annotations

from collections.abc import Sequence

from dspec.grammar.tree import Attribute, Call, Expr, Reference, Step

from ...diagnostics.fixes import suggestions
from ...diagnostics.record import Label
from ...diagnostics.spelling import closest
from ...diagnostics.wording import article, did_you_mean, listed
from ..names.names import find, is_open, named
from ..session import Place, Session
from ..shape.shape import later
from ..symbols import Symbol
from .step import StepInfo

PROGRAMS = ("module", "program", "optimize")


def program_or_step(
    session: Session,
    place: Place,
    node: Expr,
    before: Sequence[StepInfo],
    nodes: list[Step],
    itself: Symbol,
    what: str,
) -> str | None:
    """An earlier step or a program by name; reports anything else."""
    if isinstance(node, Reference):
        name = node.name.text
        step = next((step for step in before if step.name == name), None)
        if step is not None:
            session.use(place, node, step.symbol)
            return name
        if any(other.name is not None and other.name.text == name for other in nodes):
            session.report(
                "DS0618",
                f"{what} names the step `{name}`, which has not run yet",
                place.at(node),
                "a later step, or this one",
                help="steps run in the order they are written",
            )
            return None
    symbol = find(session, place, node)
    if symbol is itself:
        session.report(
            "DS0618",
            f"{what} names `{itself.name}`, the block that it stands in",
            place.at(node),
            "not finished yet",
        )
        return None
    if symbol is not None and symbol.kind == "optimize":
        later(session, place, f"{what} from another optimize block, `{symbol.name}`", node)
        return None
    if symbol is not None and symbol.kind in PROGRAMS:
        return symbol.key
    if symbol is not None:
        session.report(
            "DS0202",
            f"`{symbol.name}` is {article(symbol.kind)}, but {what} needs an earlier step or a program",
            place.at(node),
            article(symbol.kind),
            secondary=(Label(symbol.location, "declared here"),),
        )
        return None
    if is_open(place, node):
        return None
    known = [step.name for step in before if step.symbol] + named(PROGRAMS, place.scope)
    written = place.text(node)
    near = closest(written, known)
    session.report(
        "DS0201",
        f"there is no earlier step or program named `{written}`{did_you_mean(near)}",
        place.at(node),
        "not declared",
        help="" if near else f"{what} may be {listed(known)}" if known else "",
        fixes=suggestions(place.at(node), near),
    )
    return None


def names_in(
    session: Session,
    place: Place,
    call: Call,
    before: Sequence[StepInfo],
    nodes: list[Step],
    itself: Symbol,
) -> None:
    """Check the steps and programs that an optimizer names which cannot run yet."""
    for argument in call.arguments:
        node = argument.value
        if isinstance(node, Call) and isinstance(node.callee, Attribute):
            node = node.callee.target  # joint.candidates.top(5)
        if isinstance(node, Attribute) and node.name is not None and node.name.text == "candidates":
            node = node.target
        wanted = argument.name.text if argument.name else ""
        if isinstance(node, Reference) and wanted in ("", "teacher", "student"):
            program_or_step(
                session, place, node, before, nodes, itself, f"`{wanted or 'the first argument'}`"
            )
