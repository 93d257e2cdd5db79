"""DS06: optimizers and the chain they form."""

from __future__ import annotations

from typing import Literal

from ...project.source import Location
from ..fixes import ItemRoom, insert_item, replace, suggestions
from ..record import Diagnostic, Label, also
from ..spelling import closest
from ..wording import Form, article, described, did_you_mean, listed, nouns, plural, quoted
from .base import Code, Finding
from .snippets import DATA, METRIC, MODULE, TICKETS, optimize
from .syntax import DS0110, NotAChoice

PLAIN = """\
program Echo(text: str) -> (topic: str) { return topic = lower(text) }
"""

OTHER = """\
module careful = ChainOfThought(Route)
"""

PIPELINE = (
    DATA
    + """\
module condense = Predict(sig(text -> gist))
module decide = Predict(sig(gist -> topic))
program Answer(text: str) -> (topic: str) {
  let short = condense(text = text)
  let last = decide(gist = short.gist)
  return topic = last.topic
}
metric right(gold: tickets, pred: Answer) = gold.topic == pred.topic
"""
)

FEW = {"tickets.csv": "text,topic\n" + "".join(f"message {n},billing\n" for n in range(40))}


LABELLED = """\
module Narrow = Predict(sig(text -> topic: "billing" | "shipping" | "returns"))
module Careful = Predict(sig(text -> topic: "billing" | "shipping" | "returns"), lm = mini)
module Wide = Predict(sig(text -> topic))
metric same(gold: tickets, pred: Narrow) = gold.topic == pred.topic
"""


def labelled(argument: str) -> str:
    lines = optimize(f"step demos = BootstrapFewShot({argument})")
    return lines.replace("program = router; metric = right", "program = Narrow; metric = same")


def block(*lines: str) -> str:
    return METRIC + optimize(*lines)


def pipeline(*lines: str) -> str:
    return PIPELINE + optimize(*lines).replace("program = router", "program = Answer")


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


DS0601 = Code(
    "DS0601",
    "error",
    "unknown optimizer",
    "A step is a call of an optimizer by its name in DSPy, with options by name.",
    block("step demos = BootstrapFewshots()"),
    block("step demos = BootstrapFewShot()"),
    TICKETS,
)


class NotCalled(Finding, frozen=True):
    """A step that is no call of an optimizer; `known` where it is the name of one."""

    code = DS0601
    form: Form
    known: bool
    example: str

    def told(self) -> Diagnostic:
        written = self.where.text
        return self.says(
            "a step is an optimizer with its options in parentheses",
            described(self.form, written),
            help=f"write `{written}()`" if self.known else f"for example `{self.example}`",
            fixes=(replace(self.where, f"{written}()"),) if self.known else (),
        )


class UnknownOptimizer(Finding, frozen=True):
    """`running` are the optimizers that can run; `more` are further names that may have been meant; `instead` is what to
    take in place of one that DSPy has."""

    code = DS0601
    running: tuple[str, ...]
    more: tuple[str, ...]
    instead: str = ""

    def told(self) -> Diagnostic:
        near = () if self.instead else closest(self.where.text, (*self.running, *self.more))
        return self.says(
            f"there is no optimizer named `{self.where.text}`{did_you_mean(near)}",
            "unknown optimizer",
            help=self.instead or ("" if near else f"those that run are {listed(self.running)}"),
            fixes=suggestions(self.where, near),
        )


DS0602 = Code(
    "DS0602",
    "error",
    "unknown option",
    "The optimizer has no option of this name. Options have the names that DSPy gives them.",
    block("step demos = BootstrapFewShot(max_bootstraped_demos = 4)"),
    block("step demos = BootstrapFewShot(max_bootstrapped_demos = 4)"),
    TICKETS,
)


class OptionByPlace(Finding, frozen=True):
    """An option without its name."""

    code = DS0602
    optimizer: str
    known: tuple[str, ...]

    def told(self) -> Diagnostic:
        return self.says(
            f"options of `{self.optimizer}` are given by name",
            "which option?",
            help=f"its options are {listed(self.known)}",
        )


class NoSuchOption(Finding, frozen=True):
    """`known` are the optimizer's own options, `more` those of every step; `elsewhere` are optimizers that have it."""

    code = DS0602
    optimizer: str
    known: tuple[str, ...]
    more: tuple[str, ...]
    elsewhere: tuple[str, ...]

    def told(self) -> Diagnostic:
        name = self.where.text
        near = closest(name, (*self.known, *self.more))
        hint = f"its options are {listed(self.known)}"
        if self.elsewhere:
            hint += f"; `{name}` is an option of {quoted(self.elsewhere)}"
        return self.says(
            f"`{self.optimizer}` has no option `{name}`{did_you_mean(near)}",
            "unknown option",
            help="" if near else hint,
            fixes=suggestions(self.where, near),
        )


class RefusedOption(Finding, frozen=True):
    """An option that the optimizer has in DSPy alone; `instead` says what to write, as the table has it."""

    code = DS0602
    optimizer: str
    instead: str

    def told(self) -> Diagnostic:
        return self.says(
            f"`{self.optimizer}` has no option `{self.where.text}` here: {self.instead}", "not an option here"
        )


class TakesNoStudent(Finding, frozen=True):
    code = DS0602
    optimizer: str

    def told(self) -> Diagnostic:
        return self.says(
            f"`{self.optimizer}` tunes nothing, so it takes no `student`",
            "has no use for one",
            help="name its members first: `Ensemble([demos, router])`",
        )


class TunesNothing(Finding, frozen=True):
    """`tune` or `freeze`, of an optimizer that gathers programs."""

    code = DS0602
    optimizer: str
    option: str

    def told(self) -> Diagnostic:
        return self.says(
            f"`{self.optimizer}` tunes nothing, so it has no option `{self.option}`",
            "nothing to leave out",
            help="write it in the steps that make the members",
        )


DS0603 = Code(
    "DS0603",
    "error",
    "options that contradict each other",
    "Each option is fine by itself; together they leave nothing to do, or say two different things.",
    block("step s = BootstrapFewShotWithRandomSearch(num_candidate_programs = 2, restrict = [7])"),
    block("step s = BootstrapFewShotWithRandomSearch(num_candidate_programs = 8, restrict = [7])"),
    TICKETS,
)


class Contradiction(Finding, frozen=True):
    """`why` and `advice` are the optimizer table's; `others` are the further options that it is about."""

    code = DS0603
    optimizer: str
    why: str
    others: tuple[Location, ...]
    advice: str

    def told(self) -> Diagnostic:
        return self.says(
            f"these options of `{self.optimizer}` do not go together: {self.why}",
            secondary=tuple(Label(other) for other in self.others),
            help=self.advice,
        )


class NotOnSchedule(Finding, frozen=True):
    """An option that DSPy's schedule knows nothing of."""

    code = DS0603
    optimizer: str
    option: str

    def told(self) -> Diagnostic:
        return self.says(
            f"these options of `{self.optimizer}` do not go together: `{self.option}` and "
            '`compat = "dspy"`, whose schedule leaves it no choice',
            help="leave one of the two out",
        )


class WithoutSchedule(Finding, frozen=True):
    """`compat = "dspy"` for an optimizer that has no schedule of DSPy's here."""

    code = DS0603
    optimizer: str

    def told(self) -> Diagnostic:
        return self.says(
            f'these options of `{self.optimizer}` do not go together: it has no schedule of DSPy\'s, as `compat = "dspy"` asks',
            help="`compat = none` runs the step as it is here",
        )


class SaidOfWhole(Finding, frozen=True):
    """An option of steps, given to an optimizer inside one."""

    code = DS0603
    option: str

    def told(self) -> Diagnostic:
        return self.says(
            f"`{self.option}` is said of a whole step, not of an optimizer inside it",
            "not here",
            help="write it after the step's other options, or in the optimize block",
        )


class TunesAndFreezes(Finding, frozen=True):
    code = DS0603
    tuned: Location

    def told(self) -> Diagnostic:
        return self.says(
            "`tune` and `freeze` say the same from two sides, so only one of them can be given",
            "what is not tuned is frozen",
            secondary=(Label(self.tuned, "and this is what is tuned"),),
            help="leave one of the two out",
        )


DS0605 = Code(
    "DS0605",
    "warning",
    "fewer rows than asked for",
    "An option counts rows of train or of val, and there are not as many. The step uses all there are, "
    "which is less than the option says.",
    block("step demos = LabeledFewShot(k = 500)"),
    block("step demos = LabeledFewShot(k = 16)"),
    TICKETS,
)


class FewerRows(Finding, frozen=True):
    """An option that asks for `wanted` of the rows, of which there are `count`."""

    code = DS0605
    option: str
    optimizer: str
    wanted: int
    rows: Location
    count: int

    def told(self) -> Diagnostic:
        return self.says(
            f"`{self.option}` of `{self.optimizer}` asks for {plural(self.wanted, 'row')}, and "
            f"`{self.rows.text}` has {self.count:,}",
            f"more than {plural(self.count, 'row')}",
            secondary=(Label(self.rows, plural(self.count, "row")),),
            help="with fewer rows it uses all there are",
            fixes=(replace(self.where, str(self.count), f"Lower it to {self.count}", guess=True),),
        )


DS0606 = Code(
    "DS0606",
    "warning",
    "no rows to choose by",
    "The step compares candidates. On the rows that their demos were made from, the candidate that "
    "remembers best "
    "wins, not the one that generalises best.",
    METRIC
    + "optimize v1 {\n  program = router; metric = right; train = tickets.train\n"
    + "  step s = BootstrapFewShotWithRandomSearch()\n}\n",
    block("step s = BootstrapFewShotWithRandomSearch()"),
    TICKETS,
)


class NoVal(Finding, frozen=True):
    """A step that compares candidates in a block without `val`; `parts` are those that the dataset has besides."""

    code = DS0606
    optimizer: str
    train: Location
    parts: tuple[str, ...]

    def told(self) -> Diagnostic:
        return self.says(
            f"`{self.optimizer}` compares candidates, and without `val` it does so on the rows it trains on",
            "would pick the winner on training rows",
            secondary=(Label(self.train, "the only rows"),),
            help=self.other_rows(),
        )

    def other_rows(self) -> str:
        return (
            f"`{self.parts[0].partition('.')[0]}` has other parts: {listed(self.parts)}"
            if self.parts
            else "split some rows off: `split { train = 20%; val = 60%; test = 20% }`"
        )


REFLECTED = METRIC.replace(
    "= gold.topic == pred.topic", "{ score = gold.topic == pred.topic; feedback = gold.topic }"
)


def on_schedule(size: int) -> str:
    """A step on DSPy's schedule, with few rows as examples have them."""
    step = f"step m = MIPROv2(auto = none, num_candidates = 3, num_trials = 6, minibatch_size = {size})"
    return METRIC + optimize('compat = "dspy"', f"{step}  # dspc: allow DS0607 -- a short example")


DS0636 = Code(
    "DS0636",
    "error",
    "rows that DSPy's schedule cannot run with",
    'On `compat = "dspy"` a step refuses what DSPy refuses, such as minibatches with more rows than val has. It would be '
    "refused when it runs, after the program it starts from was scored.",
    on_schedule(40),
    on_schedule(20),
    TICKETS,
)


class ScheduleRefuses(Finding, frozen=True):
    """`why` and `advice` are the schedule's own; `rows` are those that it would compare on."""

    code = DS0636
    why: str
    advice: str
    rows: Location

    def told(self) -> Diagnostic:
        return self.says(
            f"DSPy's schedule cannot run: {self.why}",
            "refused when it runs",
            secondary=(Label(self.rows, "these rows"),),
            help=self.advice,
        )


DS0635 = Code(
    "DS0635",
    "warning",
    "a budget that no candidate fits in",
    "The step may score fewer rows than its start and one candidate take on all rows that they are compared on. So it can "
    "change nothing, and costs what it may spend.",
    REFLECTED + optimize("step r = GEPA(max_metric_calls = 8)"),
    REFLECTED + optimize("step r = GEPA(max_metric_calls = 400)"),
    TICKETS,
)


class PaysForNothing(Finding, frozen=True):
    """An option that lets a step score `paid` rows, where start and one candidate take twice the `count` of `rows`."""

    code = DS0635
    option: str
    optimizer: str
    paid: int
    rows: Location
    count: int

    def told(self) -> Diagnostic:
        return self.says(
            f"`{self.option}` lets `{self.optimizer}` score {plural(self.paid, 'row')}, and its start and one candidate take "
            f"{2 * self.count:,} on the {plural(self.count, 'row')} of `{self.rows.text}`: it can change nothing",
            f"less than twice {self.count:,}",
            secondary=(Label(self.rows, plural(self.count, "row")),),
            help=f"give it several times that, `{self.option} = {10 * self.count}`, or compare on fewer rows",
        )


DS0634 = Code(
    "DS0634",
    "hint",
    "scored on the rows it shows",
    "Without `val` a compile scores the program it starts from and the result on the rows of `train`, which the result has "
    "seen. A row that an index holds is asked about without its own demos; one that a prompt shows is not, and is as good as "
    "given away.",
    METRIC
    + "optimize v1 {\n  program = router; metric = right; train = tickets.train\n  step s = LabeledFewShot(k = 2)\n}\n",
    block("step s = LabeledFewShot(k = 2)"),
    TICKETS,
)


class ScoredOnShown(Finding, frozen=True):
    """A step that makes demos of `train` in a block without `val`; `per_input` says that they are an index."""

    code = DS0634
    optimizer: str
    train: Location
    per_input: bool

    def told(self) -> Diagnostic:
        made = "an index" if self.per_input else "demos"
        return self.says(
            f"`{self.optimizer}` makes {made} of `{self.train.text}`, and without `val` the result is scored on the same rows",
            "a score on training rows says little",
            secondary=(Label(self.train, "both learned from and scored on"),),
            help="name rows to score on: `val = …`, or an `eval` on other rows",
        )


class ValIsTrain(NoVal, frozen=True):
    """A step that compares candidates on rows of train, which `val` names."""

    def told(self) -> Diagnostic:
        return self.says(
            f"`val` and `train` are the same rows, so `{self.optimizer}` picks its winner on training rows",
            "also in `train`",
            secondary=(Label(self.train, "the same rows"),),
            help=self.other_rows(),
        )


DS0607 = Code(
    "DS0607",
    "hint",
    "small for this optimizer",
    "The optimizer pays off from more rows than there are; a simpler one gives about as much for "
    "fewer calls.",
    block("step s = BootstrapFewShotWithRandomSearch()"),
    block("step s = BootstrapFewShot()"),
    FEW,
)


class SmallForOptimizer(Finding, frozen=True):
    """`count` rows in `train`, and in `val` if those count, too; `better` is the simpler optimizer, if there is one."""

    code = DS0607
    optimizer: str
    advised: int
    count: int
    train: Location
    trained: int
    val: Location | None
    better: str

    def told(self) -> Diagnostic:
        train = self.train.text
        named = f"`{train}` and `{self.val.text}` have" if self.val else f"`{train}` has"
        return self.says(
            f"`{self.optimizer}` pays off from about {plural(self.advised, 'row')}, and {named} {self.count:,}",
            f"with {plural(self.count, 'row')}",
            secondary=(Label(self.train, plural(self.trained, "row")),),
            help=f"for so few rows, `{self.better}` gives about as much for fewer calls"
            if self.better
            else "",
        )


DS0608 = Code(
    "DS0608",
    "hint",
    "rows shared out the wrong way round",
    "Optimizers that write instructions learn from few rows and need many to tell candidates apart: "
    "about 20 % train and 80 % val. GEPA is the other way round: it reflects on rows of train.",
    block("step s = COPRO(breadth = 3)").replace("val = 30%; test = 20%", "val = 20%; test = 30%"),
    block("step s = COPRO(breadth = 3)").replace("train = 50%; val = 30%", "train = 20%; val = 60%"),
    TICKETS,
)


class SharedOut(Finding, frozen=True):
    """More rows to learn from than to compare on. For an optimizer that `reflects` on rows of train it is the reverse:
    more rows to compare on than to learn from."""

    code = DS0608
    optimizer: str
    reflects: bool
    train: Location
    trained: int
    val: Location
    compared: int
    parts: bool
    """The two are parts of one dataset."""

    def told(self) -> Diagnostic:
        share = self.trained * 100 // (self.trained + self.compared)
        usual = "80 % train and 20 % val" if self.reflects else "20 % train and 80 % val"
        reason = (
            "reflects on rows of train and needs only enough of val to rank"
            if self.reflects
            else "learns from few rows and needs many to tell its candidates apart"
        )
        return self.says(
            f"`{self.optimizer}` {reason}; here they are {share} % train and {100 - share} % val",
            f"usually {usual}",
            secondary=(
                Label(self.train, plural(self.trained, "row")),
                Label(self.val, plural(self.compared, "row")),
            ),
            help="swap the two parts" if self.parts else "",
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


DS0617 = Code(
    "DS0617",
    "error",
    "wrong kind of value for an option",
    "The option takes another kind of value.",
    block('step demos = BootstrapFewShot(max_rounds = "two")'),
    block("step demos = BootstrapFewShot(max_rounds = 2)"),
    TICKETS,
)


OptionType = Literal["int", "float", "bool", "str", "int_list", "reducer"]


class WrongOption(Finding, frozen=True):
    """A value in another form than the option takes: a `type`, or the name of one of `refers`.

    `rules` are those of a reducer, as they are written; `doc` is the option's own.
    """

    code = DS0617
    option: str
    optimizer: str
    type: OptionType
    rules: tuple[str, ...]
    refers: tuple[str, ...]
    optional: bool
    form: Form
    doc: str
    unquoted: bool = False
    """Only the quotes are missing."""

    def told(self) -> Diagnostic:
        wanted = {
            "int": "a whole number",
            "float": "a number",
            "bool": "`true` or `false`",
            "str": "text in quotes",
            "int_list": "a list of whole numbers",
            "reducer": " or ".join(f"`{rule}`" for rule in self.rules),
        }[self.type]
        wanted += f" or the name of {article(nouns(self.refers))}" if self.refers else ""
        wanted += " or `none`" if self.optional else ""
        given = described(self.form, self.where.text)
        return self.says(
            f"`{self.option}` of `{self.optimizer}` takes {wanted}, and this is {given}",
            "without quotes, a name" if self.unquoted else given,
            help=self.doc,
            fixes=(replace(self.where, f'"{self.where.text}"'),) if self.unquoted else (),
        )


class OptionNotAChoice(NotAChoice, frozen=True):
    code = DS0617


class RuleInPython(Finding, frozen=True):
    """A rule of an ensemble that is a Python function."""

    code = DS0617
    rules: tuple[str, ...]

    def told(self) -> Diagnostic:
        return self.says(
            "a rule is no Python function",
            "not a rule",
            help=f"name a rule ({listed(self.rules)}), or a module or program that takes the answers: "
            '`module pick = python("votes:pick", …)` may be one',
        )


class MakesNoEmbeddings(Finding, frozen=True):
    """An embedded `model`; `choice` is a text that the `option` takes instead, if any."""

    code = DS0617
    lm: Location
    model: str
    option: str
    choice: str

    def told(self) -> Diagnostic:
        return self.says(
            f"`{self.lm.text}` is an embedded model, which makes no embeddings",
            self.model,
            secondary=(Label(self.lm, "declared here"),),
            help="name a provider's embedding model"
            + (f', or write `{self.option} = "{self.choice}"`' if self.choice else ""),
        )


class HowMany(Finding, frozen=True):
    """`.top(…)` without a count."""

    code = DS0617

    def told(self) -> Diagnostic:
        return self.says(
            "`top` takes how many of the candidates, a whole number from 1",
            "how many?",
            help="for example `.top(5)`",
        )


class NotPredictors(Finding, frozen=True):
    """What a step's `tune` or `freeze` is given; `whole` is a name or a path that lacks only the brackets."""

    code = DS0617
    option: str
    form: Form
    whole: Location | None

    def told(self) -> Diagnostic:
        given = described(self.form, self.where.text)
        listed_ = f"[{self.whole.text}]" if self.whole else "[router]"
        return self.says(
            f"`{self.option}` takes a list of predictors, and this is {given}",
            given,
            help=f"for example `{self.option} = {listed_}`",
            fixes=(replace(self.whole, listed_),) if self.whole else (),
        )


class BlockNotPredictors(NotPredictors, frozen=True):
    """Like `NotPredictors`, for what a block is given."""

    code = DS0110


DS0618 = Code(
    "DS0618",
    "error",
    "not finished yet",
    "Steps run in the order they are written; a step can build on earlier ones only.",
    block("step demos = BootstrapFewShot(teacher = demos)"),
    block("step labels = LabeledFewShot(k = 8)", "step demos = BootstrapFewShot(teacher = labels)"),
    TICKETS,
)


class NotRunYet(Finding, frozen=True):
    """A step that is named by an earlier one, or by itself; `what` is what it is named as."""

    code = DS0618
    what: str

    def told(self) -> Diagnostic:
        return self.says(
            f"{self.what} names the step `{self.where.text}`, which has not run yet",
            "a later step, or this one",
            help="steps run in the order they are written",
        )


class InsideIt(Finding, frozen=True):
    """The block that a step stands in, named by the step."""

    code = DS0618
    what: str
    block: str

    def told(self) -> Diagnostic:
        return self.says(f"{self.what} names `{self.block}`, the block that it stands in", "not finished yet")


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


DS0620 = Code(
    "DS0620",
    "error",
    "takes no teacher",
    "The optimizer makes its demos from labels alone and has no use for a teacher.",
    block("step first = BootstrapFewShot()", "step demos = LabeledFewShot(teacher = first)"),
    block("step first = LabeledFewShot()", "step demos = BootstrapFewShot(teacher = first)"),
    TICKETS,
)


class TakesNoTeacher(Finding, frozen=True):
    """`takers` are the optimizers that take one."""

    code = DS0620
    optimizer: str
    takers: tuple[str, ...]

    def told(self) -> Diagnostic:
        return self.says(
            f"`{self.optimizer}` takes no teacher",
            "has no use for one",
            help=f"those that take one are {quoted(self.takers)}",
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
        near = closest(self.where.text, self.steps)
        there = (
            f"its steps are {listed(self.steps)}" if self.steps else "give a step a name: `step demos = …`"
        )
        return self.says(
            f"`emit` names `{self.where.text}`, which is no step of this block{did_you_mean(near)}",
            "not a step",
            help="" if near else there,
            fixes=suggestions(self.where, near, declared=True),
        )


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


DS0640 = Code(
    "DS0640",
    "error",
    "too many rows for an index",
    "A step that chooses demos for each input makes an index of all rows of train, and an index takes a million. "
    "The step would be refused when it runs.",
    "",
    pipeline("step near = KNNFewShot()"),
    TICKETS,
)


class TooManyRows(Finding, frozen=True):
    """A step that makes an index of `count` rows; an index takes `most`."""

    code = DS0640
    optimizer: str
    rows: Location
    count: int
    most: int

    def told(self) -> Diagnostic:
        return self.says(
            f"`{self.optimizer}` makes an index of {plural(self.count, 'row')}, and an index has at most {self.most:,}",
            f"at most {plural(self.most, 'row')}",
            secondary=(Label(self.rows, plural(self.count, "row")),),
            help="train on a part of them: `split` of the dataset makes one",
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


CODING = MODULE + "module sums = ProgramOfThought(sig(question -> answer: int))\n"

DS0650 = Code(
    "DS0650",
    "error",
    "no sandbox for code",
    "Some strategies have the model write code and run it in a sandbox. The package that is the sandbox is an extra, so that "
    "who needs none does not install it.",
    CODING,
    CODING.replace("ProgramOfThought", "ChainOfThought"),
)


class NoSandbox(Finding, frozen=True):
    """A `strategy` whose code cannot run here; `install` is the command that changes this."""

    code = DS0650
    strategy: str
    install: str

    def told(self) -> Diagnostic:
        return self.says(
            f"`{self.strategy}` runs code that a model writes, and the sandbox for it is not installed",
            "needs the package pydantic-monty",
            help=self.install,
        )


DS0651 = Code(
    "DS0651",
    "error",
    "embedded model that should write code",
    "The embedded models learn answers from examples. They are no language models and write no code, so a strategy that "
    "runs code would have nothing to run.",
    CODING.replace("openai/gpt-4o-mini", "embedded/icl"),
    CODING,
)


class WritesNoCode(Finding, frozen=True):
    """An embedded `model` of a `strategy` that has its model write code."""

    code = DS0651
    strategy: str
    model: str
    lm: Location

    def told(self) -> Diagnostic:
        return self.says(
            f"`{self.strategy}` has its model write code, and `{self.model}` writes none",
            f"asks `{self.lm.text}`",
            secondary=(Label(self.lm, "declared here"),),
            help="name a language model as its `lm`, or take another strategy, as `ChainOfThought`",
        )


DS0652 = Code(
    "DS0652",
    "error",
    "model whose weights cannot be tuned",
    "`BootstrapFinetune` and `GRPO` train a model's weights: those of a checkpoint on this machine (`local/…`), and "
    "`BootstrapFinetune` also those of models that their provider trains, of OpenAI, Azure and Vertex AI. No one lends the "
    "weights of others.",
    METRIC.replace("openai/gpt-4o-mini", "anthropic/claude-haiku-4-5")
    + optimize("step tuned = BootstrapFinetune()"),
    METRIC + optimize("step tuned = BootstrapFinetune()"),
    TICKETS,
)


class CannotBeTuned(Finding, frozen=True):
    """A `model` that the `optimizer` would tune and nothing trains; `hosted` are the providers that train theirs."""

    code = DS0652
    optimizer: str
    model: str
    lm: Location
    hosted: tuple[str, ...]

    def told(self) -> Diagnostic:
        return self.says(
            f"`{self.optimizer}` tunes weights, and those of `{self.model}` nobody here can tune",
            f"tunes `{self.lm.text}`",
            secondary=(Label(self.lm, "declared here"),),
            help=f"name a checkpoint as the program's model, `local/…`, or a model of {listed(self.hosted)}; "
            "the model that knows the answers can be the `teacher_lm`",
        )


class CannotBeLearned(Finding, frozen=True):
    """A predictor at `address` whose prompts cannot be learned; `why` is a clause."""

    code = DS0652
    optimizer: str
    address: str
    why: str
    lm: Location

    def told(self) -> Diagnostic:
        return self.says(
            f"`{self.optimizer}` cannot teach `{self.address}`: {self.why}",
            "tunes its weights",
            secondary=(Label(self.lm, "its model"),),
            help=f"leave it as it is: `freeze = [{self.address}]`",
        )


DS0637 = Code(
    "DS0637",
    "warning",
    "labels that no prompt has a place for",
    "A step that shows rows as they are makes a demo of those that have an output's value: of a `field` with the output's name. "
    "Without such a field it shows nothing, and gives back what it was given.",
    METRIC.replace("field topic: str", 'field subject: str = column("topic")').replace(
        "gold.topic", "gold.subject"
    )
    + optimize("step shown = LabeledFewShot(k = 2)"),
    METRIC + optimize("step shown = LabeledFewShot(k = 2)"),
    TICKETS,
)


class LabelsNowhere(Finding, frozen=True):
    """An `optimizer` that shows rows whose `labels` are none of the `outputs` of any prompt."""

    code = DS0637
    optimizer: str
    rows: Location
    labels: tuple[str, ...]
    outputs: tuple[str, ...]

    def told(self) -> Diagnostic:
        has = f"has the labels {quoted(self.labels)}" if self.labels else "has no labels"
        return self.says(
            f"`{self.optimizer}` has nothing to show: no field of `{self.rows.text}` is named like an output, and the outputs "
            f"are {quoted(self.outputs)}",
            "shows nothing",
            secondary=(Label(self.rows, has),),
            help=f'name the field like the output: `field {self.outputs[0]}: … = column("{self.labels[0]}")`'
            if self.labels
            else f"declare the column that has the answers: `field {self.outputs[0]}: …`",
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
