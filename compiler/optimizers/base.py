"""What an optimizer is: a declared `Spec` (options, needs, effects, cost) and an async `run`.

The spec is the only place where an optimizer's facts stand. Check, plan, advice, completion, hover, the docs
and the engine read it; `run` receives options already validated against it.

Rules of `run`:
- the student is a value; the result is a new program, and the student itself where nothing beat it;
- every random draw comes from a stream named within the step (`context.rng(name)`), so that results
  do not depend on the order in which answers arrive;
- model calls go only through `context.evaluator`, never around it;
- `BudgetExceeded` and `Stopped` end the step: one that has scored candidates by then returns the best of them
  with `cut` set, one that has nothing yet lets the exception pass.
"""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Literal

from msgspec import Struct, field

from dspec.runtime.errors import BudgetExceeded, DspecError, Stopped
from dspec.runtime.schema.ensemble import Runnable
from dspec.runtime.schema.program import LM, Program
from dspec.runtime.schema.types import JsonValue

from ..diagnostics.wording import plural
from .choosing import ModelChoice, most_moved, ways
from .prompt_room import PromptRoom

if TYPE_CHECKING:
    import asyncio

    from ..data.rows import Rows
    from ..evaluate.counts import Calls
    from ..evaluate.evaluation import Evaluator
    from ..evaluate.outcomes import Candidate, Seen
    from ..tables.block_specs import DeclarationKind
    from .advising import Idea, Situation
    from .training.base import TrainingJob
    from .training.service import Training

OptionType = Literal["int", "float", "bool", "str", "int_list", "reducer"]
Tuned = Literal["instructions", "demos", "descriptions", "weights"]


class OptimizerError(DspecError):
    """A step cannot run on this student, teacher or metric; the message says which and why."""


MOST = 100_000
"""The most that an option may count where it sets no smaller bound: a larger number is a slip of the keyboard."""


LEAST_COMPARED, FEWEST_COMPARED = 50, 30
"""Rows of val on which a compile compares that looks at enough of them: at least, where its steps do not say that they make more
of fewer; and in any case."""


class Option(Struct, frozen=True):
    """One option: `default` None means unset; bounds are inclusive, and hold for each item of a list."""

    name: str
    type: OptionType
    default: JsonValue
    doc: str
    minimum: float | None = None
    maximum: float | None = None
    optional: bool = False
    """True when `none` may be written."""
    choices: tuple[str, ...] = ()
    """What a text option may be; empty where any text will do."""
    refers: tuple[DeclarationKind, ...] = ()
    """Kinds of declarations that may be named instead; the value is then `{"<kind>": "<name>"}`."""
    counts: Literal["train", "val"] | None = None
    """Whose rows a number counts, so that asking for more than there are is reported."""
    pays_for: Literal["val"] | None = None
    """Whose rows the number pays for. If it is less than twice their count, the step scores its start but no candidate."""
    asks_at: bool = False
    """Whether this is the temperature at which the model that writes is asked."""

    @property
    def most(self) -> float | None:
        """The largest number that it may be."""
        if self.maximum is not None or self.type not in ("int", "int_list"):
            return self.maximum
        return MOST


class Facts(Struct, frozen=True):
    """What a cost formula may depend on, all known before the first call."""

    train: int
    """Rows in train."""
    val: int
    """Rows that candidates are scored on: val's, or train's where there is no val."""
    predictors: int
    """Those that the step may change."""
    calls_per_run: int
    """Model calls of one run of the student."""
    teacher_calls_per_run: int | None = None
    """Model calls of one run of the teacher, of several teachers one run of each; None: the student's."""
    val_whole: int | None = None
    """Rows that val has, where these are a part of it."""
    student_scored: bool = False
    """The student has been scored on these val rows before: as the baseline, or by a search."""
    student_bare: bool = False
    """The student is known to have no demos, so that it is its own zero-shot candidate."""
    val_given: bool = True
    """False when `val` counts train's rows because the block names none."""
    labelled: bool = True
    """Some row of train has a label that a demo can show (`demos.has_labels`)."""
    finalists: int = 1
    """Candidates that a later step takes (`.candidates.top(k)`), so that a race must complete as many."""

    nested: Mapping[str, Nested] = field(default_factory=dict[str, "Nested"])
    """The optimizers that this one runs, by the names that the step gives them."""
    tools: int = 0
    """Tools whose descriptions the step may change."""
    teachers: int = 0
    """How many the step names."""
    lms: int = 1
    """Models that the search chooses among."""
    choosing: int = 0
    """Predictors for which it chooses one."""

    @property
    def ways(self) -> int:
        """In how many ways models may be given to predictors; 1 where the search chooses none."""
        return ways(self.lms, self.choosing)

    @property
    def moved(self) -> int:
        """Programs at most that a search makes of its best one by asking other models (`choosing`)."""
        return most_moved(self.ways)

    @property
    def texts(self) -> int:
        """What an optimizer of instructions and descriptions may write anew."""
        return self.predictors + self.tools

    @property
    def teacher_calls(self) -> int:
        return self.calls_per_run if self.teacher_calls_per_run is None else self.teacher_calls_per_run


class Trains(Struct, frozen=True):
    """How much a step trains weights on at most, in runs of the program: each gives a row for every call of a model."""

    runs: int = 0


class Shows(Struct, frozen=True):
    """How many demos a predictor shows at most of those that a step gives it."""

    most: int = 0
    made: int = 0
    """Among them: how many come from runs, and so hold what models wrote."""
    taught: int = 0
    """Labelled demos that a teacher without demos of its own is given."""
    repeats: bool = False
    """The same row may be shown more than once."""


class Writes(Struct, frozen=True):
    """What a step that asks for instructions makes of the answers. Their number bounds how long prompts become, since an
    answer is bounded by `max_tokens`."""

    kept: int = 1
    """Answers that an instruction holds at most, besides what it was."""
    shown: int = 1
    """Answers that a question shows at most: instructions that were tried, what was observed."""
    runs: int = 0
    """Runs of the program that a question shows at most. Rows of train it shows in any case (`proposing.showing`)."""


class Conflict(Struct, frozen=True):
    """Options that may not go together: `names` are the options it is about, the one to change first."""

    names: tuple[str, ...]
    found: Callable[[Options], str | None]
    """What is wrong, as a clause that names every option of `names` in backticks; None where nothing is."""
    help: str = ""


SAID_ELSEWHERE = {
    "metric": "the metric is the block's `metric`",
    "trainset": "the rows are the block's `train`",
    "valset": "the rows to score on are the block's `val`",
    "seed": "the seed is the block's `seed`",
    "prompt_model": "the model that writes is the block's `prompt_lm`",
    "task_model": "the model that answers is the `lm` of the module",
    "teacher_settings": "the teacher's model is the block's `teacher_lm`",
    "num_threads": "how many calls are in flight is said with `dspc compile --threads`",
}
"""What DSPy's optimizers, or their `compile`, are given, and a step here is not: what to write instead, as a sentence's end."""


class Spec(Struct, frozen=True):
    """The facts of one optimizer.

    `sets` says what of the student is replaced (the rest survives); `candidates` whether the step
    offers `.candidates`; `calls` is the cost formula.
    """

    name: str
    doc: str
    """What it does, in a sentence or two, for an editor."""
    suits: str
    """What somebody has who should begin with this optimizer, without a verb: `about 10 rows`."""
    about: str
    """When to take it, and what it does that one would not expect, as Markdown: its section on the page of optimizers."""
    costs: str
    """`calls` in words, as Markdown."""
    source: str
    """Where the algorithm comes from."""
    options: tuple[Option, ...]
    sets: frozenset[Tuned]
    calls: Callable[[Options, Facts], Calls]
    shows: Callable[[Options, Facts], Shows] = field(default=lambda options, facts: Shows())
    """Of one that sets demos."""
    writes: Callable[[Options, Facts], Writes] = field(default=lambda options, facts: Writes(0, 0))
    """Of one that `prompts`."""
    trains: Callable[[Options, Facts], Trains] | None = None
    """Of one that sets weights."""
    trains_here: bool = False
    """Whether it tunes only checkpoints on this machine."""
    needs_metric: bool = True
    needs_val: bool = False
    """Without `val` the step would pick its winner on training rows (a warning, not an error)."""
    takes_teacher: bool = False
    takes_teachers: bool = False
    """Whether `teacher` may be a list of programs."""
    bootstraps: bool = False
    """True when the metric's `accept` decides which traces become demos."""
    candidates: bool = False
    advised_train: int = 1
    """Training rows from which the step is worth its calls (a hint, not an error)."""
    enough_from: int = 1
    """So many rows are enough for it, where rows are few (`table.FOR_FEW`)."""
    advise: Callable[[Situation], Iterable[Idea]] = field(default=lambda situation: ())
    """What it proposes in a situation, if anything: only steps that would pass the check there."""
    compares_on_more: bool = True
    """True where an optimizer that prompts and needs val learns from few rows and compares on many. False where it learns
    from many and compares on few."""
    compares_on: Callable[[Options, int, int], int] = field(
        default=lambda options, train, val: LEAST_COMPARED
    )
    """With options, rows of train and rows of val: how many of the latter its comparisons can make use of, where a block looks
    at enough rows (`compile.enough`)."""
    conflicts: tuple[Conflict, ...] = ()
    """Options that do not go together; the first conflict found is reported."""
    starts_from: frozenset[Tuned] = frozenset()
    """What of `sets` is improved upon rather than thrown away: the student's own is among the candidates
    and leads to the others."""
    prompts: bool = False
    """True when the step asks the block's `prompt_lm` to write instructions."""
    holds_out: bool = False
    """True when the step sets rows of train aside to compare on where the block names no val
    (`StepResult.scored_on`)."""
    gathers: bool = False
    """True when the step makes one ensemble of several programs, named by its first argument, instead of
    tuning a student."""
    nests: bool = False
    """True when options of any other name give the step optimizers to run (`p = MIPROv2()`)."""
    refused: Mapping[str, str] = field(default_factory=dict[str, str])
    """Further options that the optimizer has in DSPy and not here: what to write instead, as in `SAID_ELSEWHERE`."""
    shape: Callable[[Program, Options], Runnable] = field(default=lambda student, options: student)
    """The result as far as a plan can know it: all that decides how many calls a run makes."""
    per_input: bool = False
    """True when the demos are chosen for each input, from an index, of which a program has one."""
    chooses_lms: bool = False
    """True when its search also chooses which of the block's `lms` each predictor asks (`choosing`)."""
    saves: bool = False
    """True when the step makes a program cheaper and not better: its result is kept unless it is clearly worse."""
    reflective: bool = False
    """True when the step learns from the metric's `feedback`, and only from scores where there is none."""

    def refusal(self, name: str) -> str | None:
        """What to write instead of an option that DSPy has and this optimizer has not."""
        return self.refused.get(name) or (None if self.option(name) else SAID_ELSEWHERE.get(name))

    def option(self, name: str) -> Option | None:
        return next((option for option in self.options if option.name == name), None)


class Options:
    """Option values by name, defaults filled in from the spec.

    A value that arrives as a float where an int is meant (`4.0`) is the checker's business; the
    readers below assert what the checker has established.
    """

    def __init__(self, spec: Spec, given: Mapping[str, JsonValue]) -> None:
        self._values: dict[str, JsonValue] = {option.name: option.default for option in spec.options}
        self._values.update(given)

    def __getitem__(self, name: str) -> JsonValue:
        return self._values[name]

    def as_dict(self) -> dict[str, JsonValue]:
        """All values, defaults included: what the artifact's provenance hashes."""
        return dict(self._values)

    def integer(self, name: str) -> int:
        value = self._values[name]
        assert isinstance(value, int), name
        return value

    def number(self, name: str) -> float | None:
        value = self._values[name]
        assert value is None or isinstance(value, int | float), name
        return value

    def text(self, name: str) -> str | None:
        value = self._values[name]
        assert value is None or isinstance(value, str), name
        return value

    def named(self, name: str, kind: str) -> str | None:
        """The declaration of that kind that was named, if one was."""
        value = self._values[name]
        found = value.get(kind) if isinstance(value, dict) else None
        return found if isinstance(found, str) else None

    def flag(self, name: str) -> bool:
        return bool(self._values[name])

    def integers(self, name: str) -> tuple[int, ...] | None:
        value = self._values[name]
        if value is None:
            return None
        assert isinstance(value, list), name
        return tuple(item for item in value if isinstance(item, int))


class Nested(Struct, frozen=True):
    """An optimizer that another one runs."""

    optimizer: str
    spec: Spec
    options: Options
    teacher: Runnable | None = None
    teachers: tuple[Runnable, ...] = ()


class TrainingDone(Struct, frozen=True):
    """A training of a step: the model's name in the program, and the job with what came of it."""

    lm: str
    job: TrainingJob


class Explored(Struct, frozen=True):
    """A round of a step that tries several optimizers: what it ran, how its winner did, and what that took."""

    family: str
    """What kind of thing was tried."""
    optimizers: tuple[str, ...]
    programs: int
    """Programs that were compared with the one that the round started from."""
    rows: int
    """Rows on which its winner was."""
    gain: float
    """What the winner gained on these rows, in 0..1, where it was kept without the luck of having been chosen; 0.0 where nothing
    was better."""
    low: float
    high: float
    """The gain's interval at 95 %."""
    calls: int
    cost_usd: float | None
    """None where a price is not known."""
    kept: bool
    """Whether the winner is what the rounds after it started from."""
    winner: str = ""
    """Its label; empty where nothing was better."""
    cut: bool = False
    """Whether the budget or the user ended the round before its end."""

    def said(self) -> str:
        """The round in a line."""
        took = plural(self.calls, "call") + (f", ${self.cost_usd:,.4f}" if self.cost_usd else "")
        tried = f"{self.family}: {plural(self.programs, 'program')}, {took}"
        if not self.winner:
            return f"{tried}; {'cut short before one was better' if self.cut else 'none was better'}"
        interval = f"({100 * self.low:+.1f} to {100 * self.high:+.1f})"
        gain = f"{100 * self.gain:+.1f} on {plural(self.rows, 'row')} {interval}"
        end = "kept: what is left without luck" if self.kept else "not kept"
        return f"{tried}; `{self.winner}` {gain}, {'cut short, ' if self.cut else ''}{end}"


class StepResult(Struct, frozen=True):
    """`candidates` are best first; ties keep the order in which they were proposed."""

    program: Runnable
    candidates: tuple[Candidate, ...] = ()
    notes: tuple[str, ...] = ()
    cut: BudgetExceeded | Stopped | None = None
    """What ended the step before it was done, if anything did."""
    scored_on: Rows | None = None
    """The rows that the candidates were scored on; None: the context's `val`."""
    rivals: tuple[Seen, ...] = ()
    """What each program scored on each row among which the result was chosen, the step's start left out; None where a race
    ended before. Empty where these are `candidates`."""
    ended: bool = False
    """Whether the search ended early, since nothing can be better than its best."""
    trained: tuple[TrainingDone, ...] = ()
    """The models whose weights were tuned, in order."""
    explored: tuple[Explored, ...] = ()
    """Of a step that tries several optimizers: its rounds, in order."""
    stopped: str = ""
    """Why such a step went no further, as a clause."""
    luck: float | None = None
    """How much the result's number shows too much, in the scores' unit, where the step has measured that; None: it is told from
    what it chose from."""


class PromptModel(Struct, frozen=True):
    """The model that writes instructions: its name among `lms`, which hold its fallbacks, too."""

    name: str
    lms: dict[str, LM]


def _event() -> asyncio.Event:
    import asyncio  # here, since the table of optimizers is read where nothing runs

    return asyncio.Event()


class Context(Struct, frozen=True):
    """What a step may use. `rng(name)` gives an independent stream named within the step."""

    evaluator: Evaluator
    train: Rows
    val: Rows
    """Never empty: train's rows where there is no val."""
    teacher: Runnable | None
    rng: Callable[[str], random.Random]
    progress: Callable[[str, float | None], None]
    """Told of each candidate that was scored: its label, and its score."""
    prompt_model: PromptModel | None = None
    """None: the model of the student's first predictor."""
    seed: int = 0
    """The block's, for a schedule whose draws are fixed by the number itself (`optimizers.compat`);
    everything else draws from `rng`."""
    val_given: bool = True
    """False when `val` holds train's rows because the block names none."""
    val_whole: int | None = None
    """As in `Facts`."""
    finalists: int = 1
    """As in `Facts`."""
    members: tuple[Program, ...] = ()
    """The programs that a step which gathers was given, in order."""
    reducer: Program | None = None
    """The program that makes one answer of the members', where a step which gathers names one."""
    nested: Mapping[str, Nested] = field(default_factory=dict[str, Nested])
    """The optimizers that a step runs, by name."""
    lms: Mapping[str, LM] = field(default_factory=dict[str, LM])
    """The project's models, for options that name one."""
    student_scored: bool = False
    """As in `Facts`: what the step starts from is scored by somebody else."""
    start_scored: asyncio.Event | None = None
    """Set once the program that the compile starts from is scored. A step may begin before, as long as what it does until
    then does not depend on scores (`search.board.open_board` waits for them). None: a step's own start is scored before
    anything else is asked for, so that there is a program to fall back on at the budget's wall."""
    start_doubted: asyncio.Event = field(default_factory=_event)
    """Set once a row of val is known on which the program that the step starts from scores less than 1."""
    faithful: bool = False
    """Whether the step has DSPy's schedule (`compat`)."""
    room: PromptRoom = field(default_factory=PromptRoom)
    """Keeps demos within what this step's prompts hold, and remembers what was left out."""
    metric_failed: dict[int, str] = field(default_factory=dict[int, str])
    """Rows of train on which the metric failed when they were attempted, each with the reason. The step's notes tell of
    them."""
    training: Training | None = None
    """What trains models' weights. None: nothing here does."""
    teachers: tuple[Runnable, ...] = ()
    """Further teachers, besides `teacher`, of a step that takes several."""
    models: ModelChoice = ModelChoice()
    """Which model each predictor asks, as far as the search is to choose it."""

    @property
    def settles(self) -> bool:
        """Whether the step may end where nothing can be better than what is known: not on DSPy's schedule, nor where a
        later step takes several of its candidates."""
        return not self.faithful and self.finalists == 1

    def doubts(self, place: int, score: float) -> None:
        """Hears of the rows of what the step starts from, as an evaluation tells of them, and sets `start_doubted`."""
        from ..evaluate.shares import leaves_something  # here, since a check reads this file

        if leaves_something(score):
            self.start_doubted.set()


Run = Callable[[Program, Options, Context], Awaitable[StepResult]]
