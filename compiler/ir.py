"""The checked IR: what a file means once every name and type is known.

Built only from files without errors, so nothing in it is optional because it "may be filled in
later". Executable parts are the runtime's own models; what only a compile needs stands here.
`dspc show --ir` prints it as JSON.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from typing import Literal, Protocol

from pydantic import Field

from dspec.runtime.schema.ensemble import Runnable, everywhere
from dspec.runtime.schema.expressions import Expression
from dspec.runtime.schema.lms import with_fallbacks
from dspec.runtime.schema.program import (
    LM,
    FieldSpec,
    Judge,
    MetricValue,
    Program,
    Record,
    Tool,
)
from dspec.runtime.schema.types import Frozen, JsonValue

IR_VERSION = 1

Scoring = Literal["none", "enough", "all"]
"""What is scored besides what a step needs for itself: nothing, or start and result on all rows of val."""

OnError = Literal["stop", "score_zero"]
"""What a row is worth whose model never answers: the run pauses, or the row scores 0."""


class Amount(Frozen):
    """A split's size: rows, or percent of all rows."""

    value: float
    unit: Literal["rows", "percent"]


class Split(Frozen):
    """`parts` in the order they were written; rows left over belong to no part."""

    parts: dict[str, Amount]
    seed: int = 0
    stratify: str | None = None


class DataSource(Frozen):
    """Where rows come from: `kind` is a name of the table of sources (`data/sources`), which says what the rest means.

    The `path` of a file is relative to the folder of the project's root file. Of `python` it is the module's file,
    with the options `module` and `function`. Of `huggingface` it is the dataset's name on the hub, with `split`,
    `revision` and, where one is written, `config`.
    """

    kind: str
    path: str
    options: dict[str, JsonValue] = Field(default_factory=dict)


class Dataset(Frozen):
    name: str
    source: DataSource
    inputs: tuple[FieldSpec, ...]
    fields: tuple[FieldSpec, ...]
    split: Split | None = None
    records: dict[str, Record] = Field(default_factory=dict)
    """Records that the columns' types name, with those they name in turn."""
    columns: dict[str, str] = Field(default_factory=dict, exclude_if=lambda columns: not columns)
    """What the source calls a column, where that is another name."""


class RowsRef(Frozen):
    """`tickets` or `tickets.val`."""

    dataset: str
    part: str | None = None


class Aggregate(Frozen):
    """A number over all rows that a metric's `score` reads, as the variable `name`: a `function` of the table of aggregates,
    and the `inputs` that it reads of each row."""

    name: str
    function: str
    inputs: tuple[Expression, ...]
    percent: float = 0.0


class Metric(Frozen):
    """`score` is a bool or a number in 0..1; `accept` decides which traces become demos. With `aggregates` it is made of
    them, once for all rows, and otherwise the mean of what it is for each."""

    name: str
    gold: str
    """Name the metric gives the dataset's row."""
    pred: str
    """Name it gives the program's outputs."""
    dataset: str
    program: str
    score: Expression
    accept: Expression | None = None
    feedback: Expression | None = None
    feedbacks: dict[str, Expression] = Field(
        default_factory=dict[str, Expression], exclude_if=lambda feedbacks: not feedbacks
    )
    """For single predictors and tools, by address."""
    lets: tuple[MetricValue, ...] = Field((), exclude_if=lambda lets: not lets)
    """Computed when an expression first reads them."""
    judges: tuple[Judge, ...] = ()
    """Asked when an expression reads their variable, and not before."""
    aggregates: tuple[Aggregate, ...] = Field((), exclude_if=lambda aggregates: not aggregates)
    where: str = Field("", exclude_if=lambda where: not where)
    """File and line of its score, for messages. It is no part of what the metric is: hashes and records lack it."""


class TrainSettings(Frozen):
    """How the weights of a model are tuned: `train { … }` of an `lm`. What is None, whoever trains decides."""

    provider: str | None = None
    method: Literal["lora", "full"] = "lora"
    epochs: int | None = None
    learning_rate: float | None = None
    batch_size: int | None = None
    rank: int = 16
    """Of the low-rank matrices that LoRA trains."""
    max_tokens: int | None = None
    """Tokens of a row, prompt and answer; longer ones are left out."""
    price: float | None = None
    """USD per million tokens that are trained on."""


class Budget(Frozen):
    usd: float | None = None
    calls: int | None = None
    tokens: int | None = None
    minutes: float | None = None


class MemberRef(Frozen, defer_build=True):
    """Programs for an ensemble: what an earlier step made, or a module or program.

    With `candidates`, the programs that the step scored, best first; the first `top` where it is given.
    """

    program: str
    candidates: bool = False
    top: int | None = None


class StepSpec(Frozen):
    """One `step`. `options` are the options as written, checked and defaulted by the optimizer's table.

    `student` and `teacher` name an earlier step, a program or an optimize block; None means the
    previous step's program and no separate teacher.
    """

    name: str
    optimizer: str
    options: dict[str, JsonValue] = Field(default_factory=dict)
    student: str | None = None
    teacher: str | None = None
    teachers: tuple[str, ...] = Field(default=(), exclude_if=lambda teachers: not teachers)
    """Further ones, of a step that takes several."""
    members: tuple[MemberRef, ...] = ()
    """Of a step that makes an ensemble."""
    nested: dict[str, StepSpec] = Field(default_factory=dict["str", "StepSpec"])
    """Of a step that runs other optimizers: those, by the names that its strategy uses."""
    compat: Literal["dspy"] | None = None
    """Whose schedule and random draws the step has, nested optimizers included; None: its own."""
    frozen: tuple[str, ...] = ()
    """Addresses of the student's predictors that the step leaves as they are."""


class Chained(Protocol):
    """A step as far as its place in the chain goes: checked (`StepSpec`) or still being so."""

    @property
    def name(self) -> str: ...
    @property
    def student(self) -> str | None: ...


def origins(steps: Sequence[Chained]) -> list[str]:
    """What each step starts from, by name: the student it names, else the step before it, else "", the
    block's own program."""
    before = ["", *(step.name for step in steps)]
    return [step.student or previous for step, previous in zip(steps, before, strict=False)]


Minimized = Literal["usd", "tokens"]
"""What an answer of a block's result takes as little of as it may."""


class Optimize(Frozen):
    name: str
    program: str
    """A module, a program, another optimize block or a program out of a file (`Project.made`)."""
    metric: str
    train: RowsRef
    val: RowsRef | None = None
    lm: str | None = None
    lms: tuple[str, ...] = Field(default=(), exclude_if=lambda found: not found)
    """Models among which the steps choose for each predictor that names none; `lm` is the first of them."""
    prompt_lm: str | None = None
    teacher_lm: str | None = None
    seed: int = 0
    on_error: OnError = "stop"
    scoring: Scoring = "enough"
    budget: Budget = Budget()
    steps: tuple[StepSpec, ...]
    emit: str
    """Name of the step whose program is written."""
    drops: bool = False
    """Whether steps at the end that gained no more than luck are left out, as where the block does not say which to emit."""
    minimize: Minimized | None = None
    """The result is the cheapest program that is certain to reach `gate`; None where it is the best."""
    gate: float | None = None
    """The score that the result must be certain to reach; only with `minimize`."""
    keep: int = 0
    """Candidates that the artifact holds besides the result, at most."""


class Eval(Frozen):
    """`program` and `baseline` name a module, a program, an optimize block or a program out of a file."""

    name: str
    program: str
    baseline: str | None = None
    metric: str
    data: RowsRef
    on_error: OnError = "stop"
    budget: Budget | None = None
    """None: the budget of the optimize block that is scored, if it is one."""
    gates: tuple[EvalGate, ...] = ()
    scored_on_error: OnError | None = None
    """Of the optimize block that is scored, where the eval itself says nothing."""

    @property
    def when_unanswered(self) -> OnError:
        """What becomes of a row that no model answers."""
        return self.scored_on_error or self.on_error


class EvalGate(Frozen):
    """`text` is the gate as written, for messages."""

    text: str
    condition: Expression


class ConditionPart(Frozen):
    """A part of a condition that has a value of its own: `text` as written."""

    text: str
    value: Expression


class Expectation(Frozen):
    """A condition that a test's outputs must meet; `text` as written."""

    text: str
    condition: Expression
    parts: tuple[ConditionPart, ...] = ()
    """What a failure shows besides, since the condition came of it."""
    judges: tuple[Judge, ...] = ()
    """Asked when the condition reads their variable, and not before."""
    where: str
    """File and line."""


class Test(Frozen):
    """`program` names a module, a program, an optimize block or a program out of a file."""

    name: str
    program: str
    given: dict[str, Expression]
    """The inputs. They read no names."""
    expectations: tuple[Expectation, ...]
    where: str
    """File and line."""


class Project(Frozen, defer_build=True):
    """Everything one root file declares and imports, by name."""

    version: int = IR_VERSION
    lms: dict[str, LM] = Field(default_factory=dict)
    programs: dict[str, Program] = Field(default_factory=dict)
    """Modules (as one-step programs) and programs, on their own models or the default one."""
    externs: dict[str, Tool] = Field(default_factory=dict[str, Tool], exclude_if=lambda found: not found)
    """The tools that are declared, whether a program calls them or not."""
    places: dict[str, str] = Field(default_factory=dict[str, str], exclude_if=lambda found: not found)
    """File and line of each of them, by the name that programs call it by, for messages. They are no part of what a tool is."""
    training: dict[str, TrainSettings] = Field(
        default_factory=dict[str, TrainSettings], exclude_if=lambda found: not found
    )
    """How models are tuned that say so, by name."""
    unbound: dict[str, tuple[str, ...]] = Field(default_factory=dict)
    """By program: the predictors that name no model, so that an optimize block's `lm` replaces theirs."""
    datasets: dict[str, Dataset] = Field(default_factory=dict)
    metrics: dict[str, Metric] = Field(default_factory=dict)
    optimizes: dict[str, Optimize] = Field(default_factory=dict)
    evals: dict[str, Eval] = Field(default_factory=dict)
    tests: dict[str, Test] = Field(default_factory=dict[str, Test], exclude_if=lambda found: not found)
    made: dict[str, Runnable] = Field(default_factory=dict[str, Runnable])
    """Programs that are there already: those out of files by what names them, `artifact("…")`, and in a command the
    results of optimize blocks by their names."""

    def on_lm(self, program: str, lm: str | None) -> Runnable:
        """A program whose unbound predictors use the model `lm`; as it is when `lm` is None.

        Of an optimize block its result, and what it starts from where that is not there.
        """
        wanted = [lm]
        while program in self.optimizes and program not in self.made:
            block = self.optimizes[program]
            wanted.append(block.lm)
            program = block.program
        found: Runnable = self.made[program] if program in self.made else self.programs[program]
        addresses = self.open_in(program)
        for name in reversed(wanted) if addresses else ():
            if name is not None:
                found = everywhere(found, partial(self._moved, addresses=addresses, lm=name))
        return found

    def open_in(self, program: str) -> tuple[str, ...]:
        """The predictors of a program that name no model themselves; of a block's result, those of what it started from."""
        while program in self.optimizes:
            program = self.optimizes[program].program
        return self.unbound.get(program, ())

    def in_order(self, optimizes: Iterable[str]) -> tuple[str, ...]:
        """These optimize blocks and all whose results they need, each after those that it needs itself."""
        found: dict[str, None] = {}
        opened: set[str] = set()
        waiting = [*reversed([*optimizes])]
        while waiting:
            name = waiting[-1]
            if name not in opened:
                opened.add(name)
                waiting += reversed([other for other in self.needed(name) if other not in opened])
                continue
            found[waiting.pop()] = None
        return tuple(found)

    def _moved(self, found: Program, addresses: Sequence[str], lm: str) -> Program:
        asked = {address: lm for address in addresses if address in found.predictors}
        return found.asking(asked, {**found.lms, **self.lms})

    def on_declared(self, program: Runnable) -> Runnable:
        """A program out of a file on the models and tools as the source has them now: it carries no address, and what
        a tool is, the source says, the file alone what is told of it."""

        def moved(one: Program) -> Program:
            one = one.with_lms(self.with_fallbacks(name for name in one.lms if name in self.lms))
            tools = {
                key: self.externs[tool.name].model_copy(update={"description": tool.description})
                if tool.name in self.externs
                else tool
                for key, tool in one.tools.items()
            }
            return one.model_copy(update={"tools": tools}) if tools else one

        return everywhere(program, moved)

    def needed(self, optimize: str) -> tuple[str, ...]:
        """The other optimize blocks whose results a block's program and steps are made from."""
        names = (self.optimizes[optimize].program, *self.named(optimize))
        return tuple(dict.fromkeys(name for name in names if name in self.optimizes))

    def named(self, optimize: str) -> tuple[str, ...]:
        """What the steps of a block start from, learn from and gather, its own steps left out."""
        steps = self.optimizes[optimize].steps
        own = {step.name for step in steps}
        return tuple(name for step in steps for name in _named(step) if name not in own)

    def with_fallbacks(self, names: Iterable[str]) -> dict[str, LM]:
        """These models and all that they may lead to, by name."""
        return {name: self.lms[name] for name in with_fallbacks(names, lambda name: self.lms[name].leads_to)}

    def student(self, optimize: str) -> Runnable:
        """What an optimize block starts from: its program, on the block's own `lm` if it names one. Where a step has DSPy's
        schedule, its prompts do not tell beforehand what checks demand, as DSPy's do not."""
        block = self.optimizes[optimize]
        found = self.on_lm(block.program, block.lm)
        faithful = any(step.compat is not None for step in block.steps)
        return everywhere(found, Program.untold) if faithful else found


def _named(step: StepSpec) -> Iterator[str]:
    """What a step starts from, learns from and gathers, where it is no step of its block."""
    own = [step.student, step.teacher, *step.teachers, *(ref.program for ref in step.members)]
    yield from (name for name in own if name is not None)
    for inner in step.nested.values():
        yield from _named(inner)


Eval.model_rebuild()
