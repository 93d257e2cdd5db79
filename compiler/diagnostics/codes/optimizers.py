"""DS06: optimizers, their options, and what they cannot work on."""

from __future__ import annotations

from typing import Literal

from ...project.source import Location
from ..fixes import replace, suggestions
from ..record import Diagnostic, Label
from ..spelling import closest
from ..wording import Form, article, described, did_you_mean, listed, nouns, quoted
from .attributes import DS0110, NotAChoice
from .base import Code, Finding
from .snippets import METRIC, MODULE, TICKETS, block, optimize

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
