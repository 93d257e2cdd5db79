"""DS035: numbers over all rows, in metrics."""

from __future__ import annotations

from ...project.source import Location
from ..fixes import replace
from ..record import Diagnostic, Label
from .base import Code, Finding
from .snippets import DATA, TICKETS
from .types import Operand


def over_rows(body: str) -> str:
    return DATA + f"metric balanced(gold: tickets, pred: router) {body}\n"


DS0350 = Code(
    "DS0350",
    "error",
    "aggregate of one row",
    "An aggregate (`macro_f1`, `balanced_accuracy`, `percentile`, …) is one number over all rows, so it stands in the score of a "
    "metric of rows, and not where one row or one run is looked at: in `accept`, in `feedback`, in what another aggregate "
    "is given, in a reward, in a program, a check or a gate.",
    over_rows(
        "{ score = macro_f1(gold.topic, pred.topic); accept = macro_f1(gold.topic, pred.topic) > 0.5 }"
    ),
    over_rows("{ score = macro_f1(gold.topic, pred.topic); accept = gold.topic == pred.topic }"),
    TICKETS,
)


class AggregateOfOneRow(Finding, frozen=True):
    """`what` the aggregate is called in looks at one row."""

    code = DS0350
    aggregate: str
    what: str

    def told(self) -> Diagnostic:
        return self.says(
            f"`{self.aggregate}` is a number over all rows, and {self.what} looks at no more than one",
            "needs all rows",
            help="it may stand in the `score` of a metric; there `score` is, for `accept` and `feedback`, what the row "
            "scores by itself",
        )


DS0351 = Code(
    "DS0351",
    "error",
    "row beside an aggregate",
    "A score with an aggregate is computed once, for all rows. What it reads of each row stands in the arguments of aggregates; "
    "`mean(…)` makes a number over all rows of what is computed for each.",
    over_rows("= 0.5 * macro_f1(gold.topic, pred.topic) + 0.5 * f1(gold.topic, pred.topic)"),
    over_rows("= 0.5 * macro_f1(gold.topic, pred.topic) + 0.5 * mean(f1(gold.topic, pred.topic))"),
    TICKETS,
)


class RowBesideAggregate(Finding, frozen=True):
    """A score reads a row at `where`, outside of the `aggregate`."""

    code = DS0351
    aggregate: str

    def told(self) -> Diagnostic:
        return self.says(
            f"`{self.where.text}` is one row's, and `{self.aggregate}` beside it is a number over all rows",
            "which row?",
            help="make a number over all rows of it, too: `mean(…)` around what is computed of one row",
        )


DS0352 = Code(
    "DS0352",
    "error",
    "not what an aggregate reads",
    "`macro_f1`, `weighted_f1`, `balanced_accuracy` and `worst_label` compare labels: texts, unions of them, whole numbers, "
    "dates, true or false, the row's and the program's of types that share values. `mean` and `percentile` take true, false "
    "or a number in 0..1.",
    over_rows("= macro_f1(split(gold.topic), pred.topic)"),
    over_rows("= macro_f1(gold.topic, pred.topic)"),
    TICKETS,
)


class NotOfARow(Finding, frozen=True):
    """An aggregate's argument of a `type` that it does not read."""

    code = DS0352
    aggregate: str
    argument: str
    type: str
    labels: bool
    several: bool

    def told(self) -> Diagnostic:
        want = (
            "a label (text, union, whole number, date, true or false)"
            if self.labels
            else "true, false or a number"
        )
        remedy = ""
        if self.several and not self.labels:
            remedy = "make one number of the list, such as its `sum(…)` or a share of it"
        elif self.several:
            remedy = "compare lists row by row, and take the `mean(…)` of that"
        elif self.labels:
            remedy = "`mean(…)` and `percentile(…, 10)` take what is computed for each row"
        return self.says(
            f"`{self.argument}` of `{self.aggregate}` must be {want}, and this is {self.type}",
            self.type,
            help=remedy,
        )


class LabelsApart(Finding, frozen=True):
    """The program's labels are of a type that shares no value with the row's."""

    code = DS0352
    aggregate: str
    gold: Operand
    pred: Operand

    def told(self) -> Diagnostic:
        return self.says(
            f"`{self.aggregate}` would find no label right: {self.gold.type} and {self.pred.type} share no value",
            self.pred.type,
            secondary=(Label(self.gold.where, self.gold.type),),
            help="compare a column and an output of the same labels",
        )


DS0353 = Code(
    "DS0353",
    "error",
    "label that depends on the answer",
    "The first argument of an aggregate over labels is the label that the row has, whatever the program answers: a row "
    "without an answer counts as a wrong one of that label.",
    over_rows("= macro_f1(pred.topic, gold.topic)"),
    over_rows("= macro_f1(gold.topic, pred.topic)"),
    TICKETS,
)


class LabelOfAnswer(Finding, frozen=True):
    """The row's label reads the outputs `pred`; with `swapped` the other argument does not."""

    code = DS0353
    aggregate: str
    pred: str
    swapped: bool

    def told(self) -> Diagnostic:
        return self.says(
            f"`gold` of `{self.aggregate}` reads `{self.pred}`, and a row's label must not depend on the answer",
            "the program's",
            help="the two arguments change places: first the row's label, then the program's"
            if self.swapped
            else "read the row alone",
        )


DS0354 = Code(
    "DS0354",
    "error",
    "score that need not rise",
    "A score may be made of aggregates as long as it rises with each: with `+`, `*`, `min`, `max` and numbers, `-` and `/` "
    "with a number on the right. So no row that becomes right lowers it, and one without an answer is no gain. What is "
    "to be low is turned round for each row: `mean(1 - x)`.",
    over_rows("= 1 - mean(gold.topic != pred.topic)"),
    over_rows("= mean(gold.topic == pred.topic)"),
    TICKETS,
)


class NotRising(Finding, frozen=True):
    """What a score makes of aggregates may fall when one rises."""

    code = DS0354
    aggregate: str

    def told(self) -> Diagnostic:
        return self.says(
            f"this need not rise when `{self.aggregate}` does, and a score must",
            "may fall, or jump",
            help="put aggregates together with `+`, `*`, `min`, `max` and numbers; what is to be low is turned round inside: "
            "`mean(1 - x)`",
        )


DS0355 = Code(
    "DS0355",
    "error",
    "not a percentage",
    "The `p` of `percentile` says which number is computed over all rows, so it is a literal number from 0 to 100: "
    "`percentile(x, 10)` is the value that a tenth of the rows do not pass.",
    over_rows("= percentile(f1(gold.topic, pred.topic), 110)"),
    over_rows("= percentile(f1(gold.topic, pred.topic), 10)"),
    TICKETS,
)


class NoPercentage(Finding, frozen=True):
    """A percentage that is no number from 0 to 100; `written` is the number where it was written with a `%`."""

    code = DS0355
    aggregate: str
    written: float | None = None

    def told(self) -> Diagnostic:
        return self.says(
            f"`p` of `{self.aggregate}` is a number from 0 to 100, written out",
            "not a percentage",
            help="`10` is the value that a tenth of the rows do not pass",
            fixes=() if self.written is None else (replace(self.where, f"{self.written:g}"),),
        )


class CallsOverRows(Finding, frozen=True):
    """A metric calls another one that is made of an `aggregate` over all rows."""

    code = DS0350
    metric: str
    aggregate: str
    declared: Location

    def told(self) -> Diagnostic:
        return self.says(
            f"`{self.metric}` is a number over all rows, and a metric that is called scores one",
            "needs all rows",
            secondary=(Label(self.declared, f"made of `{self.aggregate}`"),),
            help=f"write `{self.aggregate}(…)` in this `score`",
        )
