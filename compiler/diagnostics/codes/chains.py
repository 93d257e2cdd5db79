"""DS06: steps after each other: what each takes, leaves and emits."""

from __future__ import annotations

from typing import Literal

from ...project.source import Location
from ..fixes import ItemRoom, insert_item, replace, suggestions
from ..record import Diagnostic, Label
from ..spelling import closest
from ..wording import did_you_mean, listed
from .base import Code, Finding
from .snippets import METRIC, TICKETS, block, optimize, pipeline

PLAIN = """\
program Echo(text: str) -> (topic: str) { return topic = lower(text) }
"""


OTHER = """\
module careful = ChainOfThought(Route)
"""


LABELLED = """\
module Narrow = Predict(sig(text -> topic: "billing" | "shipping" | "returns"))
module Careful = Predict(sig(text -> topic: "billing" | "shipping" | "returns"), lm = mini)
module Wide = Predict(sig(text -> topic))
metric same(gold: tickets, pred: Narrow) = gold.topic == pred.topic
"""


def labelled(argument: str) -> str:
    lines = optimize(f"step demos = BootstrapFewShot({argument})")
    return lines.replace("program = router; metric = right", "program = Narrow; metric = same")


STATE = """\
{"metadata": {"dependency_versions": {}}, "router": {"traces": [], "train": [], "lm": null,
 "demos": [{"text": "a lost parcel", "topic": "shipping"}],
 "signature": {"instructions": "Name the topic.", "fields": [
  {"prefix": "Text:", "description": "${text}"}, {"prefix": "Topic:", "description": "${topic}"}]}}}
"""


SAVED = (
    METRIC
    + 'eval ship { program = dspy_state("QA", router); metric = right; data = tickets.test; gate score >= 0.5 }\n'
)


DS0610 = Code(
    "DS0610",
    "warning",
    "work thrown away",
    "A step replaces what an earlier one made, so the earlier one was paid for nothing; or it replaces demos that somebody "
    "wrote. Passing the earlier one, or the program with these demos, as the teacher keeps the work, and so does `freeze`.",
    block("step labels = LabeledFewShot(k = 8)", "step demos = BootstrapFewShot()"),
    block("step labels = LabeledFewShot(k = 8)", "step demos = BootstrapFewShot(teacher = labels)"),
    TICKETS,
)


class WorkThrownAway(Finding, frozen=True):
    """A `step` replaces `what` (instructions or demos) the `maker` made, which is a step, a block or a file, or a program whose
    demos are `written`, as `kind` says; `room` is where the step could name the maker as its teacher."""

    code = DS0610
    step: str
    optimizer: str
    what: str
    maker: str
    kind: Literal["step", "block", "file", "written"]
    made: Location
    room: ItemRoom | None

    def told(self) -> Diagnostic:
        maker, what = self.maker, self.what
        learn = f"learn from it with `teacher = {maker}`, or " if self.room else ""
        made = f"step `{maker}` made" if self.kind == "step" else f"`{maker}` brings"
        label = {"file": "", "written": "its signatures have demos"}.get(
            self.kind, f"`{maker}` makes {what} here"
        )
        rest = f"remove the step `{maker}`" if self.kind == "step" else "start from what has none"
        if self.kind == "written":
            rest = "keep them with `freeze`"
        return self.says(
            f"step `{self.step}` throws away the {what} that {made}",
            f"`{self.optimizer}` replaces the {what} of its student",
            secondary=(Label(self.made, label),),
            help=f"{learn}{rest}",
            fixes=insert_item(self.room, f"teacher = {maker}", f"Pass `teacher = {maker}`"),
        )


DS0611 = Code(
    "DS0611",
    "error",
    "teacher that does not match",
    "Demos are made from the teacher's runs and given to the student's predictors, so the teacher has as many, with the same "
    "inputs and outputs. What their modules are called does not matter.",
    METRIC + OTHER + optimize("step demos = BootstrapFewShot(teacher = careful)"),
    METRIC + OTHER + optimize("step demos = BootstrapFewShot(teacher = router)"),
    TICKETS,
)


class OtherPredictors(Finding, frozen=True):
    """A teacher with a predictor that the student has not, or without one that it has: `why` says which."""

    code = DS0611
    tuned: Location
    why: str

    def told(self) -> Diagnostic:
        return self.says(
            self.why,
            "has other predictors",
            secondary=(Label(self.tuned, "the student"),),
            help="a teacher has as many predictors, with the same inputs and outputs in the same order; it may use another "
            "`teacher_lm`, other instructions or demos",
        )


DS0641 = Code(
    "DS0641",
    "warning",
    "teacher whose answers may not fit",
    "A run of the teacher becomes a demo only where its answers are of the types of the student's outputs: a prompt shows "
    "nothing that may not be answered. With a teacher whose outputs have wider or other types, runs are paid for in vain.",
    METRIC + LABELLED + labelled("teacher = Wide"),
    METRIC + LABELLED + labelled("teacher = Careful"),
    TICKETS,
)


class WiderTeacher(Finding, frozen=True):
    """An output of the teacher's predictor that the student's has in a type that does not hold all its values."""

    code = DS0641
    tuned: Location
    teacher: str
    output: str
    theirs: str
    ours: str

    def told(self) -> Diagnostic:
        return self.says(
            f"teacher `{self.teacher}` answers `{self.output}` as `{self.theirs}`, and the student as `{self.ours}`: runs "
            "whose answers do not fit become no demos",
            f"`{self.output}` is `{self.theirs}`",
            secondary=(Label(self.tuned, f"here it is `{self.ours}`"),),
            help=f"give the teacher's `{self.output}` the type `{self.ours}`",
        )


DS0615 = Code(
    "DS0615",
    "error",
    "nothing to tune",
    "The program calls no model, or the step may change none of its predictors, so there is no instruction "
    "and there are no demos to tune.",
    METRIC
    + PLAIN
    + optimize("step demos = BootstrapFewShot()").replace("program = router", "program = Echo"),
    METRIC + PLAIN + optimize("step demos = BootstrapFewShot()"),
    TICKETS,
)


class CallsNoModel(Finding, frozen=True):
    code = DS0615
    program: Location

    def told(self) -> Diagnostic:
        return self.says(
            f"`{self.program.text}` calls no model, so there is nothing to tune",
            "nothing to tune",
            secondary=(Label(self.program, "calls no module"),),
        )


class NothingLeft(Finding, frozen=True):
    """`tune` or `freeze` leaves a step nothing that it could change, of what it could (`all`).

    `tools` were asked for, and the step's `optimizer` writes no descriptions.
    """

    code = DS0615
    step: str
    at: Location
    program: str
    all: tuple[str, ...]
    optimizer: str
    tools: tuple[str, ...]

    def told(self) -> Diagnostic:
        help_text = f"there is {listed(self.all)}"
        if self.tools:
            whose = "that tool" if len(self.tools) == 1 else "those tools"
            help_text = (
                f"`{self.optimizer}` does not write the description of {whose}; it changes {listed(self.all)}"
            )
        return self.says(
            f"step `{self.step}` may change no predictor of `{self.program}`, so there is nothing to tune",
            "leaves nothing to tune",
            secondary=(Label(self.at, "would tune nothing"),),
            help=help_text,
        )


DS0619 = Code(
    "DS0619",
    "error",
    "no step",
    "An optimize block without a step would write the program as it is.",
    block(),
    block("step demos = BootstrapFewShot()"),
    TICKETS,
)


class NoStep(Finding, frozen=True):
    code = DS0619
    example: str
    room: ItemRoom | None

    def told(self) -> Diagnostic:
        return self.says(
            f"optimize block `{self.where.text}` has no step, so there is nothing to do",
            "no step",
            help=f"for example `{self.example}`",
            fixes=insert_item(self.room, self.example, "Insert a step"),
        )


DS0621 = Code(
    "DS0621",
    "warning",
    "step never used",
    "No later step starts from this one, and it is not the one that is written.",
    block("step a = LabeledFewShot()", "step b = BootstrapFewShot(student = router)"),
    block("step a = LabeledFewShot()", "step b = BootstrapFewShot(student = router, teacher = a)"),
    TICKETS,
)


class StepUnused(Finding, frozen=True):
    """`last` is the step whose result is written."""

    code = DS0621
    step: str
    last: str

    def told(self) -> Diagnostic:
        return self.says(
            f"the result of step `{self.step}` is never used",
            "paid for, not used",
            help=f"no later step starts from it, and `{self.last}` is what is written",
        )


class NotInStrategy(Finding, frozen=True):
    code = DS0621

    def told(self) -> Diagnostic:
        return self.says(
            f"the strategy never runs `{self.where.text}`",
            "not in the strategy",
            help="add it to `strategy`, or remove it",
        )


DS0622 = Code(
    "DS0622",
    "error",
    "`emit` names no step",
    "`emit` says which step's program is written; without it, the last one's is.",
    block("step demos = BootstrapFewShot()", "emit = demo"),
    block("step demos = BootstrapFewShot()", "emit = demos"),
    TICKETS,
)


class EmitsNoStep(Finding, frozen=True):
    code = DS0622
    steps: tuple[str, ...]

    def told(self) -> Diagnostic:
        bare = self.where.text.strip('"')
        if bare != self.where.text and bare in self.steps:
            return self.says(
                f"`emit` names a step, and {self.where.text} is a text",
                "not a step",
                help=f"a step's name has no quotes: `emit = {bare}`",
                fixes=(replace(self.where, bare),),
            )
        near = closest(bare, self.steps)
        there = (
            f"its steps are {listed(self.steps)}" if self.steps else "give a step a name: `step demos = …`"
        )
        return self.says(
            f"`emit` names `{self.where.text}`, which is no step of this block{did_you_mean(near)}",
            "not a step",
            help="" if near else there,
            fixes=suggestions(self.where, near, declared=True),
        )


DS0632 = Code(
    "DS0632",
    "error",
    "two indexes in one program",
    "Demos that are chosen for each input come from an index, and a program has one. A step that makes an index "
    "cannot leave demos of an earlier one where they are.",
    pipeline("step near = KNNFewShot()", "step again = KNNFewShot(teacher = near, freeze = [decide])"),
    pipeline("step near = KNNFewShot()", "step again = KNNFewShot(teacher = near)"),
    TICKETS,
)


class SecondIndex(Finding, frozen=True):
    """A step that makes an index and leaves a predictor its demos, which come from the index of `maker`."""

    code = DS0632
    optimizer: str
    address: str
    maker: str
    first: Location

    def told(self) -> Diagnostic:
        return self.says(
            f"`{self.optimizer}` leaves `{self.address}` as it is, whose demos `{self.maker}` chose for each "
            "input, and a program has one index of such demos",
            "would make a second index",
            secondary=(Label(self.first, "makes the first one"),),
            help=f"let it tune `{self.address}`, too, or leave one of the two steps out",
        )


DS0630 = Code(
    "DS0630",
    "error",
    "no such predictor",
    "`tune` and `freeze` name predictors by their address, as `dspc show` prints them: a module's own "
    "name, and in a program the names of the modules that it calls; and the tools that an agent is told of.",
    block("step demos = BootstrapFewShot(tune = [rooter])"),
    block("step demos = BootstrapFewShot(tune = [router])"),
    TICKETS,
)


class NoPredictor(Finding, frozen=True):
    """`calls` is the predictor that the program's step of this name calls, if there is such a step; `untold` says that
    it is a tool, of which no agent is told."""

    code = DS0630
    program: str
    known: tuple[str, ...]
    calls: str
    untold: bool

    def told(self) -> Diagnostic:
        name = self.where.text
        if self.untold:
            return self.says(
                f"`{name}` is called by steps of `{self.program}` alone, so no model reads its description",
                "nothing to tune",
                help="name a predictor, or a tool of an agent",
            )
        near = (self.calls,) if self.calls else closest(name, self.known)
        there = f"there is {listed(self.known)}" if self.known else "it calls no model"
        return self.says(
            f"`{self.program}` has no predictor `{name}`"
            + (f": that is a step, which calls `{self.calls}`" if self.calls else did_you_mean(near)),
            "no such predictor",
            help="" if near else there,
            fixes=suggestions(self.where, near, declared=True),
        )


DS0633 = Code(
    "DS0633",
    "error",
    "program that cannot be taken from its file",
    "An artifact or a state that DSPy saved is read as data, inside the project. It must be whole, of a format that this "
    "version knows, and fit what the source declares: a state's predictors have the fields of the module's, records of one "
    "name have the same fields, and a model at an address of its own is declared here.",
    SAVED.replace("QA", "lost.json"),
    SAVED.replace("QA", "saved.json"),
    TICKETS | {"saved.json": STATE},
)


class SavedUnreadable(Finding, frozen=True):
    """A program that is not read from its file at `path`: `why`, and what to do about it."""

    code = DS0633
    path: str
    why: str
    advice: str

    def told(self) -> Diagnostic:
        why = f"it {self.why}" if self.why.startswith(("is ", "has ", "cannot ")) else self.why
        return self.says(f'no program can be taken from "{self.path}": {why}', help=self.advice)


class SavedWithoutAddress(Finding, frozen=True):
    """A program out of a file whose model `lm` had an address of its own."""

    code = DS0633
    path: str
    lm: str
    model: str

    def told(self) -> Diagnostic:
        return self.says(
            f'no program can be taken from "{self.path}": its model `{self.lm}` has an address of its own, which no '
            "artifact carries",
            help=f'declare it here: `lm {self.lm} {{ model = "{self.model}"; api_base = … }}`',
        )


class SavedOtherRecord(Finding, frozen=True):
    """A program out of a file with a record of a name that stands for other fields here."""

    code = DS0633
    path: str
    record: Location

    def told(self) -> Diagnostic:
        return self.says(
            f'no program can be taken from "{self.path}": its record `{self.record.text}` has other fields than the one '
            "declared here",
            secondary=(Label(self.record, "declared here"),),
            help="compile it again, or give one of the two records another name",
        )


CHEAPEST = "step search = BootstrapFewShotWithRandomSearch()"


DS0662 = Code(
    "DS0662",
    "error",
    "cheapest result without a gate to reach",
    "A block with `minimize` gives the cheapest program that is certain to score as much as its `gate` says. So it needs one "
    "gate, `gate score >= 0.9`, rows of `val` that no step has learned from, all of which are scored, and a metric whose number "
    "is the mean of its rows. Without `minimize` the result is the best program there is, and a gate is for an `eval`.",
    block('minimize = "usd"', CHEAPEST),
    block('minimize = "usd"', "gate score >= 0.9", CHEAPEST),
    TICKETS,
)


class CannotMinimize(Finding, frozen=True):
    """A `minimize`, or what stands in its way; `why` is a clause and `instead` says what to do."""

    code = DS0662
    why: str
    label: str
    instead: str
    other: Location | None = None

    def told(self) -> Diagnostic:
        return self.says(
            self.why,
            self.label,
            secondary=() if self.other is None else (Label(self.other, "asked for here"),),
            help=self.instead,
        )


TWO_MODELS = METRIC + 'lm large { model = "openai/gpt-4o" }\n'

DS0663 = Code(
    "DS0663",
    "error",
    "models that nothing chooses among",
    "`lms` names the models among which a block's searches choose, one for each module that names none itself. So it needs two "
    "models or more that are asked in the same way, a module that leaves its model open, and a step that chooses among models. "
    "The first one is what the block starts on, in the place of `lm`.",
    TWO_MODELS + optimize("lms = [mini]", CHEAPEST),
    TWO_MODELS + optimize("lms = [mini, large]", CHEAPEST),
    TICKETS,
)


class NoChoiceOfModels(Finding, frozen=True):
    """An `lms`, or what stands in its way; `why` is a clause and `instead` says what to do."""

    code = DS0663
    why: str
    label: str
    instead: str
    other: Location | None = None

    def told(self) -> Diagnostic:
        return self.says(
            self.why,
            self.label,
            secondary=() if self.other is None else (Label(self.other, "because of this"),),
            help=self.instead,
        )
