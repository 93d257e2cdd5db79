"""DS05: metrics."""

from __future__ import annotations

from typing import Literal

from ...project.source import Location
from ..fixes import ItemRoom, insert_item, replace, suggestions
from ..record import Diagnostic, Label
from ..spelling import closest
from ..wording import did_you_mean, listed, quoted
from .base import Code, Finding
from .calls import UnknownField
from .data import DataFault
from .snippets import DATA, GRADED, METRIC, TICKETS, optimize
from .types import Operand


def metric(body: str) -> str:
    return DATA + f"metric right(gold: tickets, pred: router) {body}\n"


REFLECT = optimize('step r = GEPA(auto = "light")')

OTHER = """\
signature Sum { "Summarise the message."; input text: str; output summary: str }
module summarize = Predict(Sum)
"""

POLITE = """\
signature Reply {{
  "Answer the message."
  input text: str
  output topic: str
{check}}}
module reply = Predict(Reply)
"""

DS0501 = Code(
    "DS0501",
    "error",
    "not a column",
    "The metric, or the split, reads a column that the dataset does not declare. At run time it would "
    "be missing on every "
    "row, and every comparison with it would fail.",
    metric("= gold.topci == pred.topic"),
    metric("= gold.topic == pred.topic"),
    TICKETS,
)


class UnknownColumn(UnknownField, frozen=True):
    code = DS0501


class NotAColumn(Finding, frozen=True):
    """What `stratify` names is none of the `columns` of the `owner`."""

    code = DS0501
    owner: str
    columns: tuple[str, ...]

    def told(self) -> Diagnostic:
        near = closest(self.where.text, self.columns)
        return self.says(
            f"`stratify` names `{self.where.text}`, which is not a column{did_you_mean(near)}",
            "not a column",
            help=f"{self.owner} has {listed(self.columns)}" if self.columns and not near else "",
            fixes=suggestions(self.where, near, declared=True),
        )


class NoColumnToStratify(DataFault, frozen=True):
    code = DS0501


DS0502 = Code(
    "DS0502",
    "error",
    "not an output",
    "The metric reads an output that the program does not have.",
    metric("= gold.topic == pred.label"),
    metric("= gold.topic == pred.topic"),
    TICKETS,
)


class UnknownOutput(UnknownField, frozen=True):
    code = DS0502


DS0504 = Code(
    "DS0504",
    "error",
    "comparison that never changes",
    "The two sides have types whose values can never be equal, so the comparison says the same for "
    "every row.",
    metric("= gold.topic == len(pred.topic)"),
    metric("= len(gold.topic) == len(pred.topic)"),
    TICKETS,
)


class AlwaysTheSame(Finding, frozen=True):
    """A comparison of two values that can never be equal, or never differ.

    `unions` says that both are unions; `holds` is the operator that asks whether the right one holds the left.
    """

    code = DS0504
    outcome: Literal["true", "false"]
    left: Operand
    right: Operand
    unions: bool
    holds: str

    def told(self) -> Diagnostic:
        left, right = self.left.where.text, self.right.where.text
        remedy = ""
        if self.unions:
            remedy = "the two unions share no value"
        elif self.holds:
            remedy = f"to ask whether the list holds it, write `{left} {self.holds} {right}`"
        return self.says(
            f"this comparison is always {self.outcome}: `{left}` is {self.left.type}, "
            f"`{right}` is {self.right.type}",
            f"always {self.outcome}",
            secondary=(self.left.label, self.right.label),
            help=remedy,
        )


class GateNeverChanges(Finding, frozen=True):
    """A score that is compared with something that no score reaches. That stands at `number`; if it is a constant,
    `value` is what it is."""

    code = DS0504
    score: Location
    number: Location
    value: float | None
    gate: bool

    def told(self) -> Diagnostic:
        meant = f"{self.value / 100:g}" if self.value is not None and 1 < self.value <= 100 else ""
        return self.says(
            f"`{self.score.text}` lies between 0 and 1, so this {'gate' if self.gate else 'comparison'} never changes",
            "the same whatever the score",
            help=f"write `{meant}` for {self.value:g} %" if meant else "",
            fixes=(replace(self.number, meant, guess=True),) if meant else (),
        )


DS0505 = Code(
    "DS0505",
    "warning",
    "number without `accept`",
    "Bootstrapping keeps the runs that the metric accepts. A metric that gives a number must say "
    "where good "
    "begins, or a run that scores 0.01 becomes an example to follow.",
    GRADED + optimize("step demos = BootstrapFewShot()").replace("= right", "= near"),
    GRADED.replace("pred.topic) }", "pred.topic); accept = score >= 0.8 }")
    + optimize("step demos = BootstrapFewShot()").replace("= right", "= near"),
    TICKETS,
)


class NoAccept(Finding, frozen=True):
    """A `metric` that gives a number, for an optimizer that bootstraps; `room` is the metric's."""

    code = DS0505
    optimizer: str
    metric: Location
    room: ItemRoom | None

    def told(self) -> Diagnostic:
        accept = "accept = score >= 0.5"
        return self.says(
            f"metric `{self.metric.text}` gives a number and no `accept`, so `{self.optimizer}` would make "
            "a demo of every run that does not score 0",
            "decides which runs become demos",
            secondary=(Label(self.metric, "a numeric score, no `accept`"),),
            help=f"say which runs are good enough: `{accept}`",
            fixes=insert_item(self.room, accept),
        )


DS0506 = Code(
    "DS0506",
    "warning",
    "score ignores the program",
    "The score does not read what the program answered, so it is the same for every program.",
    metric("= gold.topic == gold.text"),
    metric("= gold.topic == pred.topic"),
    TICKETS,
)


class IgnoresProgram(Finding, frozen=True):
    """A score that does not read `pred`, the metric's second parameter."""

    code = DS0506
    name: str
    parameter: Location

    def told(self) -> Diagnostic:
        return self.says(
            f"the score never reads `{self.name}`, so every program scores the same",
            f"does not depend on `{self.name}`",
            secondary=(Label(self.parameter, f"`{self.name}` is what the program answered"),),
        )


DS0507 = Code(
    "DS0507",
    "warning",
    "nothing to reflect on",
    "The optimizer shows a model what went wrong and asks for better instructions. Without `feedback` it "
    "has only scores to show.",
    METRIC + REFLECT,
    METRIC.replace(
        "= gold.topic == pred.topic", "{ score = gold.topic == pred.topic; feedback = gold.topic }"
    )
    + REFLECT,
    TICKETS,
)


class NoFeedback(Finding, frozen=True):
    """A `metric` without `feedback`, for an optimizer that reflects. `by` says what a line of feedback could tell."""

    code = DS0507
    optimizer: str
    metric: Location
    by: Literal["judge", "accept", "number", "score"]
    room: ItemRoom | None

    def told(self) -> Diagnostic:
        judged = self.by == "judge"
        line = {
            "judge": "feedback = reason",
            "accept": 'feedback = if accept then "correct" else "wrong"',
            "number": 'feedback = if score >= 0.5 then "correct" else "wrong"',
            "score": 'feedback = if score then "correct" else "wrong"',
        }[self.by]
        expected = line.replace('"wrong"', '"expected …"')
        return self.says(
            f"`{self.optimizer}` learns from what the metric says about each answer, and `{self.metric.text}` "
            "gives no `feedback`",
            "sees only the score",
            secondary=(Label(self.metric, "no `feedback`"),),
            help=f"what its judge said is there: `{line}`" if judged else f"say what was wrong: `{expected}`",
            fixes=insert_item(self.room, line, "" if judged else "Insert a `feedback` to fill in"),
        )


DS0508 = Code(
    "DS0508",
    "error",
    "metric needs a row and outputs",
    "A metric has two parameters: the first is a row of a dataset, the second the outputs of a "
    "program. Naming "
    "both lets every field be checked.",
    DATA + "metric right(gold: tickets) = gold.topic == gold.text\n",
    metric("= gold.topic == pred.topic"),
    TICKETS,
)


class NotTwoParameters(Finding, frozen=True):
    code = DS0508
    count: int

    def told(self) -> Diagnostic:
        name = self.where.text
        return self.says(
            f"metric `{name}` needs two parameters: the dataset's row and the program's outputs",
            f"has {self.count}",
            help=f"for example `metric {name}(gold: tickets, pred: router)`",
        )


class NoSuchParameters(Finding, frozen=True):
    """Parameters of a metric beyond its two, `names`, none of which says of what it is."""

    code = DS0508
    metric: str
    names: tuple[str, ...]

    def told(self) -> Diagnostic:
        return self.says(
            f"a metric has no {quoted(self.names, 'or')}: it takes the dataset's row and the program's outputs",
            "leave it out",
            help=f"for example `metric {self.metric}(gold: tickets, pred: router)`",
        )


class OfNothingAtAll(Finding, frozen=True):
    """Both of a metric's parameters, neither of which says of what it is."""

    code = DS0508
    metric: str
    row: str
    run: str

    def told(self) -> Diagnostic:
        return self.says(
            f"`{self.row}` needs its dataset and `{self.run}` its program after a colon",
            "a row and outputs, of what?",
            help=f"for example `metric {self.metric}({self.row}: tickets, {self.run}: router)`",
        )


class OfNothing(Finding, frozen=True):
    """A metric's parameter that does not say whose row, or whose outputs, it is."""

    code = DS0508
    name: str
    row: bool

    def told(self) -> Diagnostic:
        wanted, what, example = (
            ("dataset", "the dataset's row", "tickets")
            if self.row
            else ("program", "the program's outputs", "router")
        )
        return self.says(
            f"`{self.name}` needs its {wanted} after a colon",
            f"{what}, of what?",
            help=f"for example `{self.name}: {example}`",
        )


DS0510 = Code(
    "DS0510",
    "error",
    "not a score",
    "A score is true or false, or a number from 0 to 1, where higher is better.",
    metric("{ score = pred.topic }"),
    metric("{ score = pred.topic == gold.topic }"),
    TICKETS,
)


class NoScore(Finding, frozen=True):
    """A score of another type than the two that it may have."""

    code = DS0510
    got: str

    def told(self) -> Diagnostic:
        return self.says(
            f"`score` must be true or false, or a number from 0 to 1, and this is {self.got}",
            self.got,
            help=f"compare it with something: `{self.where.text} == …`",
        )


class ScoreOutOfRange(Finding, frozen=True):
    """A score, or one branch of it, that lies outside of 0..1, or reaches beyond."""

    code = DS0510
    low: float
    high: float

    def told(self) -> Diagnostic:
        if self.low == self.high:
            found = f"always {self.low:g}"
        elif self.low >= 1:
            found = f"never less than {self.low:g}"
        elif self.high <= 0:
            found = f"never more than {self.high + 0.0:g}"
        else:
            found = f"anything from {self.low:g} to {self.high:g}"
        return self.says(f"`score` must lie between 0 and 1, and this is {found}", "out of range")


DS0513 = Code(
    "DS0513",
    "error",
    "division by zero",
    "The divisor is 0 on every row, so the value can be computed on none.",
    metric("{ score = f1(gold.topic, pred.topic) / 0 }"),
    metric("{ score = f1(gold.topic, pred.topic) / 1 }"),
    TICKETS,
)


class DividesByZero(Finding, frozen=True):
    code = DS0513
    divisor: Location

    def told(self) -> Diagnostic:
        return self.says(
            f"`{self.where.text}` divides by zero, whatever the row",
            "cannot be computed",
            secondary=(Label(self.divisor, "always 0"),),
        )


DS0514 = Code(
    "DS0514",
    "warning",
    "compared with itself",
    "Both sides of the comparison are the same, so it says the same for every row. One of them was meant to be another.",
    metric("= pred.topic == pred.topic"),
    metric("= gold.topic == pred.topic"),
    TICKETS,
)


class SameOnBothSides(Finding, frozen=True):
    code = DS0514
    outcome: Literal["true", "false"]
    left: Location
    right: Location

    def told(self) -> Diagnostic:
        return self.says(
            f"`{self.left.text}` is compared with itself, which is always {self.outcome}",
            f"always {self.outcome}",
        )


DS0511 = Code(
    "DS0511",
    "error",
    "metric for something else",
    "The metric reads columns or outputs that these rows or this program do not have. Gold labels are there "
    "where rows are scored, and nowhere else: a `reward` is a metric of the prediction alone.",
    METRIC + OTHER + "eval e { program = summarize; metric = right; data = tickets.test }\n",
    METRIC + OTHER + "eval e { program = router; metric = right; data = tickets.test }\n",
    TICKETS,
)


class ForOtherProgram(Finding, frozen=True):
    """A metric that reads outputs of the program `written_for` that `program` does not have."""

    code = DS0511
    metric: Location
    written_for: str
    program: str
    absent: tuple[str, ...]

    def told(self) -> Diagnostic:
        return self.says(
            f"metric `{self.metric.text}` is written for `{self.written_for}`, and `{self.program}` has no output "
            f"{quoted(self.absent, 'or')}",
            f"reads the outputs of `{self.written_for}`",
            secondary=(Label(self.metric, "declared here"),),
        )


class OtherOutput(Finding, frozen=True):
    """A metric that was written for an output `name` of the type `wanted`; that of `program` is of the type `given`."""

    code = DS0511
    metric: Location
    program: str
    name: str
    wanted: str
    given: str
    output: Location

    def told(self) -> Diagnostic:
        return self.says(
            f"metric `{self.metric.text}` is written for an output `{self.name}` of type {self.wanted}, and that of "
            f"`{self.program}` is {self.given}",
            f"wants {self.wanted}",
            secondary=(Label(self.output, f"is {self.wanted}"),),
        )


class ForOtherRows(Finding, frozen=True):
    """A metric that reads columns of the dataset `read` that `data` does not have."""

    code = DS0511
    metric: Location
    read: str
    data: str
    absent: tuple[str, ...]

    def told(self) -> Diagnostic:
        return self.says(
            f"metric `{self.metric.text}` is written for rows of `{self.read}`, and `{self.data}` has no column "
            f"{quoted(self.absent, 'or')}",
            "other rows",
            secondary=(Label(self.metric, f"reads rows of `{self.read}`"),),
        )


class RewardOnRows(Finding, frozen=True):
    """A metric without gold labels where rows are scored."""

    code = DS0511
    metric: Location

    def told(self) -> Diagnostic:
        name = self.metric.text
        return self.says(
            f"metric `{name}` looks at the prediction alone, and rows are scored by their labels",
            "a reward",
            secondary=(Label(self.metric, "has no parameter for the row"),),
            help=f"give it the dataset's row first: `metric {name}(gold: tickets, …)`",
        )


class LabelsInReward(Finding, frozen=True):
    """A metric that reads gold labels as the reward of the strategy `strategy`."""

    code = DS0511
    metric: Location
    strategy: str

    def told(self) -> Diagnostic:
        name = self.metric.text
        return self.says(
            f"metric `{name}` compares with gold labels, and there are none while `{self.strategy}` runs",
            "needs gold labels",
            secondary=(Label(self.metric, "declared here"),),
            help="a reward is a metric of the prediction alone: `metric brief(pred: ask) { score = … }`",
        )


class RewardForOther(Finding, frozen=True):
    """A reward that is written for the program `written_for`. What is tried lacks the fields `absent` of it, or has them
    with another type."""

    code = DS0511
    metric: Location
    written_for: str
    absent: tuple[str, ...]

    def told(self) -> Diagnostic:
        return self.says(
            f"reward `{self.metric.text}` is written for `{self.written_for}`, and what is tried here has no "
            f"{quoted(self.absent, 'or')} like it",
            f"written for `{self.written_for}`",
            secondary=(Label(self.metric, "declared here"),),
        )


class AcceptsNothing(Finding, frozen=True):
    """`accept` in a metric without gold labels."""

    code = DS0511

    def told(self) -> Diagnostic:
        return self.says(
            "`accept` decides which rows become demos, and this metric scores no rows",
            "never read",
            help="leave it out: a strategy's `threshold` says what is good enough",
        )


DS0512 = Code(
    "DS0512",
    "error",
    "judge outside of a metric",
    "A judge is a model that is asked when a row is scored. Programs, checks and gates compute without "
    "one; in a program, a module can be asked instead.",
    DATA + POLITE.format(check='  assert llm_judge("It is polite.", mini, topic = topic) > 0.5\n'),
    DATA
    + POLITE.format(check="")
    + 'metric polite(gold: tickets, pred: reply) = llm_judge("It is polite.", mini, topic = pred.topic)\n',
    TICKETS,
)


class JudgeOutsideMetric(Finding, frozen=True):
    """`program` says that modules can be called there."""

    code = DS0512
    judge: str
    purpose: str
    program: bool

    def told(self) -> Diagnostic:
        return self.says(
            f"{self.purpose} cannot ask the judge `{self.judge}`: judges stand in metrics",
            "a model call",
            help="a module can judge inside a program; a metric's judge is asked only when a row is scored"
            if self.program
            else "",
        )
