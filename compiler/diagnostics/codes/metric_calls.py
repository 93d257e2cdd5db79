"""DS034: metrics that call metrics, and feedback for one predictor."""

from __future__ import annotations

from ...project.source import Location
from ..fixes import replace, suggestions
from ..record import Diagnostic, Label
from ..spelling import closest
from ..wording import did_you_mean, listed, quoted
from .base import Code, Finding
from .snippets import DATA, TICKETS

EXACT = "metric exact(gold: tickets, pred: router) = gold.topic == pred.topic\n"


DS0340 = Code(
    "DS0340",
    "error",
    "a metric is called with something else than a row and a run",
    "Within a metric, another one scores the same row and the same run: `exact(gold, pred)` hands both on as they are. "
    "What is to be computed from single values is a function, or an extern.",
    DATA + EXACT + "metric half(gold: tickets, pred: router) { score = 0.5 * exact(gold.topic, pred) }\n",
    DATA + EXACT + "metric half(gold: tickets, pred: router) { score = 0.5 * exact(gold, pred) }\n",
    TICKETS,
)


class NotHandedOn(Finding, frozen=True):
    """An argument of a metric's call that is no row (`rows`), or no run. `own` are the names of those that there are."""

    code = DS0340
    metric: str
    declared: Location
    rows: bool
    own: tuple[str, ...]

    def told(self) -> Diagnostic:
        what = "row" if self.rows else "program's outputs"
        return self.says(
            f"`{self.metric}` scores a {'row' if self.rows else 'run'}, and `{self.where.text}` is not one",
            f"not the {what}",
            secondary=(Label(self.declared, "declared here"),),
            help=f"hand the {what} on as it is: {quoted(self.own, 'or')}" if self.own else "",
            fixes=tuple(replace(self.where, name, guess=True) for name in self.own[:1]),
        )


DS0341 = Code(
    "DS0341",
    "error",
    "a metric that is called reads something else",
    "A metric may score other rows, or the outputs of another program, than it was written for, if these have every column "
    "and output that it reads, of the same type.",
    DATA
    + EXACT
    + 'dataset others { source = csv("tickets.csv"); input text: str }\n'
    + "metric half(gold: others, pred: router) { score = 0.5 * exact(gold, pred) }\n",
    DATA
    + EXACT
    + 'dataset others { source = csv("tickets.csv"); input text: str; field topic: str }\n'
    + "metric half(gold: others, pred: router) { score = 0.5 * exact(gold, pred) }\n",
    TICKETS,
)


class MetricLacks(Finding, frozen=True):
    """What is handed to a metric lacks a `member` that it reads, or `got` is its type there instead of `wanted`."""

    code = DS0341
    metric: str
    member: str
    wanted: str
    got: str
    declared: Location

    def told(self) -> Diagnostic:
        lacks = (
            f"there `{self.member}` is {self.got}"
            if self.got
            else f"`{self.where.text}` has no `{self.member}`"
        )
        return self.says(
            f"`{self.metric}` reads `{self.member}`, {self.wanted}, and {lacks}",
            f"`{self.member}` is {self.got}" if self.got else f"no `{self.member}`",
            secondary=(Label(self.declared, "written for this"),),
        )


FEEDBACK = """\
metric right(gold: tickets, pred: router) {{
  score = gold.topic == pred.topic
  {} = "the topic is " + gold.topic
}}
"""


DS0343 = Code(
    "DS0343",
    "error",
    "nothing is said for one predictor here",
    "`feedback for address` is what one predictor learns from a run; steps that reflect read it in place of the metric's "
    "`feedback`. No other attribute has such a form, and a reward speaks to the run as a whole.",
    DATA + FEEDBACK.format("score for router"),
    DATA + FEEDBACK.format("feedback for router"),
    TICKETS,
)


class NotForOne(Finding, frozen=True):
    """An `attribute` that is set for one predictor; of a `reward` it is the feedback."""

    code = DS0343
    attribute: str
    reward: bool = False

    def told(self) -> Diagnostic:
        what = (
            "a reward says one `feedback` for the whole run"
            if self.reward
            else f"`{self.attribute}` is one for all predictors"
        )
        return self.says(what, "for one predictor", help=f"write `{self.attribute} = …`")


DS0344 = Code(
    "DS0344",
    "error",
    "feedback for something that the program lacks",
    "Feedback goes to a predictor by its address, the name that `dspc show` prints it under, or to a tool that an agent is told "
    "of.",
    DATA + FEEDBACK.format("feedback for routr"),
    DATA + FEEDBACK.format("feedback for router"),
    TICKETS,
)


class NoSuchAddress(Finding, frozen=True):
    """An address that is none of the `known` ones of the program `of`."""

    code = DS0344
    of: str
    known: tuple[str, ...]

    def told(self) -> Diagnostic:
        near = closest(self.where.text, self.known)
        return self.says(
            f"`{self.of}` has no predictor `{self.where.text}`{did_you_mean(near)}",
            "no predictor",
            help=f"it has {listed(self.known)}" if self.known and not near else "",
            fixes=suggestions(self.where, near, declared=True),
        )
