"""DS06: ensembles: their members, reducers and strategies."""

from __future__ import annotations

from typing import Literal

from ...project.source import Location
from ..fixes import suggestions
from ..record import Diagnostic, Label, also
from ..spelling import closest
from ..wording import did_you_mean, listed, quoted
from .base import Code, Finding
from .snippets import METRIC, TICKETS, block, optimize

DS0623 = Code(
    "DS0623",
    "error",
    "an ensemble cannot be tuned",
    "An ensemble holds whole programs, and optimizers tune one program. Tune the members before they are "
    "put together; an ensemble can still teach.",
    block(
        "step search = BootstrapRS()",
        "step vote = Ensemble(search.candidates.top(3))",
        "step demos = BootstrapFewShot()",
    ),
    block(
        "step search = BootstrapRS()",
        "step vote = Ensemble(search.candidates.top(3))",
        "step demos = BootstrapFewShot(student = router, teacher = vote)",
    ),
    TICKETS,
)


class TunesEnsemble(Finding, frozen=True):
    """A `step` whose student is an ensemble, made at `made`; `teachable` if it could learn from it instead."""

    code = DS0623
    step: str
    ensemble: str
    made: Location
    teachable: bool

    def told(self) -> Diagnostic:
        teach = (
            f", or pass it as `teacher = {self.ensemble}` with another `student`" if self.teachable else ""
        )
        return self.says(
            f"step `{self.step}` would tune `{self.ensemble}`, and an ensemble cannot be tuned",
            "starts from an ensemble",
            secondary=(Label(self.made, "an ensemble"),),
            help=f"tune its members before{teach}",
        )


class TunesResult(Finding, frozen=True):
    """A block whose program is an ensemble: the result of the block that is declared at `made`, or out of a file."""

    code = DS0623
    ensemble: str
    made: Location | None

    def told(self) -> Diagnostic:
        emit = "let it `emit` a step before the ensemble, or take" if self.made else "take"
        return self.says(
            f"`{self.ensemble}` is an ensemble, and an ensemble cannot be tuned",
            "starts from an ensemble",
            secondary=(Label(self.made, "gives an ensemble"),) if self.made else (),
            help=f"{emit} it as the `teacher` of a step that tunes another program",
        )


class EnsembleAsMember(Finding, frozen=True):
    code = DS0623
    made: Location

    def told(self) -> Diagnostic:
        return self.says(
            f"`{self.where.text}` is an ensemble already, and an ensemble's members are programs",
            "an ensemble",
            secondary=(Label(self.made, "made here"),),
            help="list its members instead",
        )


DS0624 = Code(
    "DS0624",
    "error",
    "no candidates",
    "Only optimizers that search have candidates: programs that they scored on all of val, best first.",
    block(
        "step demos = BootstrapFewShot()",
        "step vote = Ensemble(demos.candidates.top(3))",
    ),
    block("step search = BootstrapRS()", "step vote = Ensemble(search.candidates.top(3))"),
    TICKETS,
)


class NoCandidates(Finding, frozen=True):
    """A program or step `name` that no search made. A step has its `optimizer` and is `made` at a place; `searches` are
    the steps that did search."""

    code = DS0624
    name: str
    optimizer: str
    made: Location | None
    searches: tuple[str, ...]

    def told(self) -> Diagnostic:
        have = self.searches
        why = f"`{self.optimizer}` makes one program" if self.optimizer else "it is no step of this block"
        return self.says(
            f"`{self.name}` has no candidates: {why}",
            "no candidates",
            secondary=also(self.made, "declared here"),
            help=f"{listed(have)} {'has' if len(have) == 1 else 'have'} some"
            if have
            else "a search has some",
        )


DS0625 = Code(
    "DS0625",
    "warning",
    "an ensemble of one program",
    "An ensemble of one program costs what that program costs and answers as it does.",
    block("step demos = BootstrapFewShot()", "step vote = Ensemble(demos)"),
    block("step demos = BootstrapFewShot()", "step vote = Ensemble([demos, router])"),
    TICKETS,
)


class OneMember(Finding, frozen=True):
    code = DS0625

    def told(self) -> Diagnostic:
        return self.says(
            "an ensemble of one program answers as that program does",
            "one program",
            help="name several, as in `[demos, router]`, or a step's best: `search.candidates.top(5)`",
        )


DS0626 = Code(
    "DS0626",
    "error",
    "strategy that cannot run",
    "A strategy is names with `->` between them; the step is given an optimizer under each of them.",
    block('step both = BetterTogether(d = LabeledFewShot(), strategy = "d -> m")'),
    block('step both = BetterTogether(d = LabeledFewShot(), strategy = "d -> p")'),
    TICKETS,
)


class RunsNotInside(Finding, frozen=True):
    code = DS0626
    optimizer: str
    outer: str

    def told(self) -> Diagnostic:
        return self.says(
            f"`{self.optimizer}` cannot run inside `{self.outer}`",
            "not inside another optimizer",
            help="make it a step of its own",
        )


class StudentInside(Finding, frozen=True):
    code = DS0626
    outer: str

    def told(self) -> Diagnostic:
        return self.says(
            f"an optimizer inside `{self.outer}` starts from the one before it, so it takes no `student`",
            "said by the strategy",
            help=f"give `student` to `{self.outer}`",
        )


class NotAStrategy(Finding, frozen=True):
    code = DS0626

    def told(self) -> Diagnostic:
        return self.says(
            "a strategy is names of optimizers with `->` between them",
            "not a strategy",
            help='for example `strategy = "p -> d"`',
        )


class StrategyRunsNone(Finding, frozen=True):
    """A `name` in the strategy that no optimizer has."""

    code = DS0626
    name: str
    known: tuple[str, ...]

    def told(self) -> Diagnostic:
        near = closest(self.name, self.known)
        return self.says(
            f"the strategy runs `{self.name}`, and no optimizer is given by that name{did_you_mean(near)}",
            f"which optimizer is `{self.name}`?",
            help="" if near else f"the names are {listed(self.known)}; add `{self.name} = …`",
        )


DS0627 = Code(
    "DS0627",
    "error",
    "no output to reduce",
    "An ensemble makes one answer by one output of its members: any for `majority`, a float for `mean`.",
    block("step s = BootstrapRS()", "step vote = Ensemble(s.candidates.top(3), reduce = mean(topic))"),
    block("step s = BootstrapRS()", "step vote = Ensemble(s.candidates.top(3), reduce = majority(topic))"),
    TICKETS,
)


class NoSuchOutput(Finding, frozen=True):
    code = DS0627
    program: Location
    outputs: tuple[str, ...]

    def told(self) -> Diagnostic:
        near = closest(self.where.text, self.outputs)
        return self.says(
            f"`{self.program.text}` has no output `{self.where.text}`{did_you_mean(near)}",
            "no such output",
            secondary=(Label(self.program, "declared here"),),
            help="" if near else f"its outputs are {listed(self.outputs)}",
            fixes=suggestions(self.where, near, declared=True),
        )


class NoMean(Finding, frozen=True):
    """The `rule` asks for the mean of an output of a type that has none."""

    code = DS0627
    type: str
    declared: Location | None
    rule: Location

    def told(self) -> Diagnostic:
        instead = f"majority({self.where.text})"
        return self.says(
            f"`mean` is for a float, and `{self.where.text}` is {self.type}",
            self.type,
            secondary=also(self.declared, "declared here"),
            help=f"write `{instead}`",
            fixes=suggestions(self.rule, (instead,)),
        )


DS0631 = Code(
    "DS0631",
    "error",
    "reducer that does not fit",
    "A module or program that reduces an ensemble takes lists of the members' outputs under the outputs' "
    "names or their plurals, and the program's own inputs under theirs. Its outputs are the ensemble's, so it has all that "
    "the program has.",
    METRIC
    + "module pick = Predict(sig(text, topics: str -> topic))\n"
    + optimize("step s = BootstrapRS()", "step vote = Ensemble(s.candidates.top(3), reduce = pick)"),
    METRIC
    + "module pick = Predict(sig(text, topics: list[str] -> topic))\n"
    + optimize("step s = BootstrapRS()", "step vote = Ensemble(s.candidates.top(3), reduce = pick)"),
    TICKETS,
)


class ReducerLacks(Finding, frozen=True):
    """Outputs of the program that its reducer does not give; the first of them is of that type."""

    code = DS0631
    reducer: Location
    given: tuple[str, ...]
    program: Location
    outputs: tuple[str, ...]
    absent: tuple[str, ...]
    type: str

    def told(self) -> Diagnostic:
        return self.says(
            f"`{self.reducer.text}` cannot reduce the answers: it does not give {quoted(self.absent)} as "
            f"`{self.program.text}` does",
            f"gives {quoted(self.given)}",
            secondary=(
                Label(self.reducer, "declared here"),
                Label(self.program, f"gives {quoted(self.outputs)}"),
            ),
            help=f"its outputs are the ensemble's: add `output {self.absent[0]}: {self.type}`",
        )


class ReducerUnfed(Finding, frozen=True):
    """An input of a reducer that gets no value: of this `type`, declared at `asked`.

    `taken` is the type of what has its name in the program: of an output, whose values come as a list, if
    `collected`, and else of an input. It is empty where nothing has that name.
    """

    code = DS0631
    reducer: Location
    name: str
    type: str
    asked: Location | None
    program: Location
    outputs: tuple[str, ...]
    inputs: tuple[str, ...]
    taken: str
    collected: bool

    def told(self) -> Diagnostic:
        near = () if self.taken else closest(self.name, (*(f"{one}s" for one in self.outputs), *self.inputs))
        if not self.taken:
            hint = (
                f"lists of {listed(self.outputs)} can be taken, and {listed(self.inputs)} as "
                f"`{self.program.text}` has it"
            )
        elif self.collected:
            hint = f"the members' answers come as a list: `input {self.name}: list[{self.taken}]`"
        else:
            hint = f"the program's input is {self.taken}: `input {self.name}: {self.taken}`"
        return self.says(
            f"`{self.reducer.text}` cannot reduce the answers: nothing is given for its input `{self.name}`"
            + (f" ({self.type})" if self.taken else did_you_mean(near)),
            f"asks for `{self.name}`",
            secondary=(*also(self.asked, "asked for here"), Label(self.program, "the program")),
            help=hint,
        )


DS0629 = Code(
    "DS0629",
    "error",
    "no members",
    "An ensemble is made of programs: earlier steps, modules, programs, or the best of a search.",
    block("step vote = Ensemble(reduce = first)"),
    block("step s = BootstrapRS()", "step vote = Ensemble(s.candidates.top(3), reduce = first)"),
    TICKETS,
)


class NoMembers(Finding, frozen=True):
    code = DS0629

    def told(self) -> Diagnostic:
        return self.says(
            "an ensemble needs the programs that it is made of",
            "which programs?",
            help="for example `Ensemble(search.candidates.top(5))` or `Ensemble([demos, router])`",
        )


DS0628 = Code(
    "DS0628",
    "error",
    "member with other inputs or outputs",
    "Members of an ensemble answer the same question: they take the inputs of the block's program and "
    "have its outputs, if need be among others.",
    METRIC
    + "module short = Predict(sig(text -> summary))\n"
    + optimize("step demos = BootstrapFewShot()", "step vote = Ensemble([demos, short])"),
    METRIC
    + "module short = ChainOfThought(sig(text -> topic))\n"
    + optimize("step demos = BootstrapFewShot()", "step vote = Ensemble([demos, short])"),
    TICKETS,
)


class OtherQuestion(Finding, frozen=True):
    """A member whose inputs or outputs, as `role` says, are `theirs`; the program's are `ours`."""

    code = DS0628
    role: Literal["inputs", "outputs"]
    member: Location
    theirs: tuple[str, ...]
    program: Location
    ours: tuple[str, ...]
    differing: tuple[str, ...]

    def told(self) -> Diagnostic:
        return self.says(
            f"`{self.member.text}` cannot be a member: its {self.role} differ from those of "
            f"`{self.program.text}` in {quoted(self.differing)}",
            f"`{self.member.text}` has {quoted(self.theirs)}",
            secondary=(
                Label(self.member, "declared here"),
                Label(self.program, f"has {quoted(self.ours)}"),
            ),
            help="the members of an ensemble answer the same question",
        )
