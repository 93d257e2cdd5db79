"""Steps and programs by name, where a step names what it starts from, learns from or gathers."""

from __future__ import annotations

from msgspec import Struct, field

from dspec.grammar.tree import Attribute, Call, Expr, Reference
from dspec.runtime.schema.ensemble import Ensemble

from ...diagnostics import codes
from ...project.source import Location
from ..names.names import find, is_open, named
from ..session import Place, Session
from ..symbols import Symbol
from ..types.declared import SavedInfo, TunedInfo, runnable
from .fits import circle
from .saved import is_saved, saved_program
from .step import StepInfo, named_steps

PROGRAMS = ("module", "program", "optimize")
"""What a step can start from, learn from or gather, besides earlier steps and programs out of files."""


class Names(Struct, frozen=True):
    """What a step of the block `itself` may name: programs, and the steps `before` it. `written` has the names of all
    steps, to tell a later step from an unknown name."""

    session: Session
    place: Place
    itself: Symbol
    written: frozenset[str]
    before: list[StepInfo] = field(default_factory=list[StepInfo])
    ensembles: dict[str, Location] = field(default_factory=dict[str, Location])
    """Results of other blocks and programs out of files that are ensembles, by key: where they are made."""

    def step(self, name: str | None) -> StepInfo | None:
        return next((step for step in self.before if step.name == name), None)

    def refer(self, node: Expr, what: str) -> str | None:
        """The earlier step or the program that `node` names; reports anything else."""
        session, place, at = self.session, self.place, self.place.at(node)
        if is_saved(place, node):
            saved = saved_program(session, place, node)
            if saved is None:
                return None
            if isinstance(saved, SavedInfo) and isinstance(saved.content, Ensemble):
                self.ensembles[saved.symbol.key] = saved.symbol.location
            return saved.symbol.key
        session.seek(node, PROGRAMS, named_steps(self.before))
        if isinstance(node, Reference):
            name = node.name.text
            if step := self.step(name):
                session.use(place, node, step.symbol)
                return name
            if name in self.written:
                session.report(codes.optimizers.NotRunYet(at, what))
                return None
        symbol = find(session, place, node)
        if symbol is None:
            if not is_open(place, node):
                steps = [step.name for step in self.before if step.symbol]
                session.report(codes.names.NoStepOrProgram(at, what, (*steps, *named(PROGRAMS, place.scope))))
        elif symbol is self.itself:
            session.report(codes.optimizers.InsideIt(at, what, symbol.name))
        elif symbol.kind in PROGRAMS:
            if runnable(session, symbol) is not None:
                block = session.checked(symbol)
                if isinstance(block, TunedInfo) and block.ensemble:
                    self.ensembles[symbol.key] = symbol.location
                return symbol.key
            session.report(codes.circles.LeadsBack(at, what, symbol.location, circle(session, symbol)))
        else:
            session.report(codes.names.NotAProgram(at, what, symbol.kind, symbol.location))
        return None

    def check(self, call: Call) -> None:
        """Check what is named by an optimizer that cannot run yet."""
        for argument in call.arguments:
            node = argument.value
            if isinstance(node, Call) and isinstance(node.callee, Attribute):
                node = node.callee.target  # joint.candidates.top(5)
            if isinstance(node, Attribute) and node.name is not None and node.name.text == "candidates":
                node = node.target
            wanted = argument.name.text if argument.name else "the first argument"
            if isinstance(node, Reference) and wanted in ("the first argument", "teacher", "student"):
                self.refer(node, f"`{wanted}`")
