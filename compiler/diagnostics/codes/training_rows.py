"""DS06: the rows that optimizers are given, and what these are spent on."""

from __future__ import annotations

from ...project.source import Location
from ..fixes import replace
from ..record import Diagnostic, Label
from ..wording import listed, plural, quoted
from .base import Code, Finding
from .snippets import METRIC, TICKETS, block, optimize, pipeline

FEW = {"tickets.csv": "text,topic\n" + "".join(f"message {n},billing\n" for n in range(40))}


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
