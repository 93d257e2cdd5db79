"""The program model: what a compile tunes, an artifact carries and `execute` runs.

A program is a value. Tuning one gives another; nothing is changed in place, so candidates can be
compared, hashed and run side by side.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Annotated, Literal

from pydantic import BaseModel, Field, PrivateAttr

from .expressions import Expression
from .lms import LM, OwnSettings, asked_as, with_fallbacks
from .types import Frozen, JsonValue, Row, Type


def _empty(value: object) -> bool:
    return not value


class FieldSpec(Frozen):
    """One input or output. `default` is used when `has_default`; None can be a default."""

    name: str
    type: Type
    description: str = ""
    has_default: bool = False
    default: JsonValue = None


class Check(Frozen):
    """`assert` (hard) or `suggest` (soft) on a signature's, record's or program's values."""

    kind: Literal["assert", "suggest"]
    condition: Expression
    message: Expression
    """Evaluates to the text that goes back to the model."""
    told: str = Field(default="", exclude_if=_empty)
    """What the prompt says of it before the model answers; "" where it says nothing."""


class Record(Frozen, defer_build=True):
    name: str
    description: str = ""
    fields: tuple[FieldSpec, ...]
    checks: tuple[Check, ...] = ()


class Signature(Frozen):
    """What a predictor is asked: `instruction` may be rewritten by optimizers, `fixed` never."""

    name: str
    instruction: str
    fixed: tuple[str, ...] = ()
    inputs: tuple[FieldSpec, ...]
    outputs: tuple[FieldSpec, ...]
    checks: tuple[Check, ...] = ()
    max_retries: int = 2
    """How often a failed check goes back to the model before the call gives up (or goes on)."""
    submits: bool = Field(default=False, exclude_if=_empty)
    """Whether its code is told what must hold of what it submits; not so in artifacts from before there was this."""


class Demo(Frozen, defer_build=True):
    """A worked example in the prompt. A labelled row may lack outputs of inner steps."""

    inputs: Row
    outputs: Row
    augmented: bool = False
    """True when the outputs were produced by a teacher run rather than given as labels."""


class Predictor(Frozen):
    """One model call with its learnable state, addressed by its module's name.

    `signature.outputs` already includes what the strategy adds (`reasoning` for ChainOfThought).
    """

    strategy: str
    """A name of the table in `running/strategies`; an artifact with another one is refused."""
    signature: Signature
    lm: str
    """Key into the program's `lms`."""
    demos: tuple[Demo, ...] = ()
    settings: OwnSettings | None = Field(default=None, exclude_if=_empty)
    """How its module asks the model otherwise than the LM says."""

    def asks(self, lms: Mapping[str, LM], name: str | None = None) -> LM | None:
        """Its model as it is asked, or another one in that one's place; None where there is none of the name."""
        lm = lms.get(self.lm if name is None else name)
        return None if lm is None else asked_as(lm, self.settings)


class CallStep(Frozen):
    """`let name = module(field = expr, …)`: one run of a predictor. The value is its outputs."""

    kind: Literal["call"] = "call"
    name: str
    predictor: str
    arguments: dict[str, Expression]


class RunStep(Frozen, defer_build=True):
    """`let name = module(…)` of a module of several calls, or `program(…)`. The value is its outputs."""

    kind: Literal["run"] = "run"
    name: str
    runs: str
    """Key into the program's `modules` or `graphs`."""
    arguments: dict[str, Expression]


class ToolStep(Frozen, defer_build=True):
    """`let name = extern(…)`. The value is what the tool gives."""

    kind: Literal["tool"] = "tool"
    name: str
    tool: str
    """Key into the program's `tools`."""
    arguments: dict[str, Expression]


class ValueStep(Frozen, defer_build=True):
    """`let name = expr` without a model call."""

    kind: Literal["value"] = "value"
    name: str
    value: Expression


class CheckStep(Frozen, defer_build=True):
    """`assert` or `suggest` between steps: on failure `blames` is asked again with the message."""

    kind: Literal["check"] = "check"
    check: Check
    blames: str | None
    """Name of the nearest preceding step with a model call that the condition reads, or None."""


class NestedSteps(Frozen, defer_build=True):
    """Steps in a scope of their own inside another step, and the value that they lead to."""

    steps: tuple[Step, ...] = ()
    value: Expression


class BranchStep(Frozen, defer_build=True):
    """`if condition then … else …` with calls inside: only the block that is chosen runs."""

    kind: Literal["branch"] = "branch"
    name: str
    condition: Expression
    consequence: NestedSteps
    alternative: NestedSteps


class EachStep(Frozen, defer_build=True):
    """`[… for variable in iterable]` with calls inside: the items' blocks run at the same time, and the value
    is the list of theirs in the items' order."""

    kind: Literal["each"] = "each"
    name: str
    variable: str
    iterable: Expression
    least: int = 0
    most: int
    """Bounds of the list's length; another one is an error, so that what runs is known before it runs."""
    body: NestedSteps


class RepeatStep(Frozen, defer_build=True):
    """`repeat times from state { … until condition … }`: rounds one after the other, until the condition holds.

    A round does `steps`, asks `until`, does `then` and gives each variable of the state its next value. The
    value is read in the scope around it, with the state as it is then.
    """

    kind: Literal["repeat"] = "repeat"
    name: str
    times: int
    start: dict[str, Expression]
    """The state before the first round, by variable."""
    steps: tuple[Step, ...] = ()
    until: Expression | None = None
    then: tuple[Step, ...] = ()
    again: dict[str, Expression]
    """The state after a round, in the round's scope; a variable that is not there keeps its value."""
    last: dict[str, Expression] = Field(default_factory=dict[str, Expression])
    """The state where the condition held, after `steps` alone."""
    value: Expression | None = None
    """None where it is the state itself, by variable."""


Step = Annotated[
    CallStep | RunStep | ToolStep | ValueStep | CheckStep | BranchStep | EachStep | RepeatStep,
    Field(discriminator="kind"),
]


class Tool(Frozen, defer_build=True):
    """A function that a program or an agent calls: declared by an `extern`, found by its `source`."""

    name: str
    description: str = ""
    """What an agent is told of it; text that optimizers may rewrite."""
    inputs: tuple[FieldSpec, ...]
    output: Type | None = None
    """The type of its one value; None when it gives named `outputs`."""
    outputs: tuple[FieldSpec, ...] = ()
    source: str
    """A name of the table in `runtime/tools`."""
    options: dict[str, JsonValue] = Field(default_factory=dict)
    """What the source needs: the function's name, a file, an address."""
    lm: str | None = None
    """Key into the program's `lms`: the model whose vectors a search by meaning compares."""
    pure: bool = False
    """True when equal arguments always give an equal result, which is then kept."""
    timeout: float = 30.0
    """Seconds for one try."""
    retry: int = 0
    """Further tries after one that failed."""
    max_result: int = 100_000
    """Characters of the result as JSON; a longer one is an error."""
    max_parallel: int | None = None


class Neighbour(Frozen, defer_build=True):
    """A training row of an index: the text it is found by, and the demos it shows, by predictor.

    `labelled` demos stand in where there is no bootstrapped one, or where those are enough already.
    """

    text: str
    vector: str = ""
    """The text's embedding, packed (`vectors`), where a model compares the rows."""
    bootstrapped: dict[str, Demo] = Field(default_factory=dict[str, Demo])
    labelled: dict[str, Demo] = Field(default_factory=dict[str, Demo])


class Neighbours(Frozen, defer_build=True):
    """Demos chosen for each input anew: the `k` rows nearest to it show theirs, the nearest first.

    At most `max_bootstrapped_demos` of those rows show bootstrapped demos; a predictor's demos are then
    filled up to `max_labeled_demos` in all with labelled ones.
    """

    k: int
    vectorizer: Literal["ngrams", "lm"] = "ngrams"
    """How texts are compared: words, word pairs and character n-grams, without a model; or embeddings."""
    lm: str | None = None
    """Key into the program's `lms`: the model that makes the embeddings, asked once for each input."""
    max_bootstrapped_demos: int
    max_labeled_demos: int
    fill: Literal["dspy"] | None = None
    """How labelled demos fill up: the nearest first, or "dspy": drawn as DSPy 3.4.1 draws them."""
    rows: tuple[Neighbour, ...]
    _hidden: str | None = PrivateAttr(None)

    @property
    def shown(self) -> int:
        """How many rows' demos a prompt holds at most."""
        return min(self.k, max(self.max_bootstrapped_demos, self.max_labeled_demos))

    @property
    def hidden(self) -> str | None:
        """The text of a row that is not shown. A compile hides the row that it asks about; no artifact hides one."""
        return self._hidden

    def hiding(self, text: str) -> Neighbours:
        """The index for a run on a row that is in it. It has the same object as its rows, so that caches that know these
        rows by identity still do."""
        copied = self.model_copy()
        copied._hidden = text
        return copied

    def without(self, address: str) -> Neighbours | None:
        """The index without one predictor's demos; None when no other has any."""
        rows = tuple(
            row.model_copy(
                update={
                    "bootstrapped": {
                        name: demo for name, demo in row.bootstrapped.items() if name != address
                    },
                    "labelled": {name: demo for name, demo in row.labelled.items() if name != address},
                }
            )
            for row in self.rows
        )
        used = any(row.bootstrapped or row.labelled for row in rows)
        return self.model_copy(update={"rows": rows}) if used else None


class Graph(Frozen, defer_build=True):
    """A data-flow graph: steps run as soon as what they read is there."""

    name: str
    inputs: tuple[FieldSpec, ...]
    outputs: tuple[FieldSpec, ...]
    steps: tuple[Step, ...]
    returns: dict[str, Expression]


class MetricValue(Frozen, defer_build=True):
    """A value of a metric or a reward, computed when an expression first reads it, and once.

    The values of a metric that another one calls are `metric.name`, and its score is `metric()`: names that nothing
    in a file can have.
    """

    name: str
    value: Expression
    """It reads what the expressions read, and of such values those before it."""
    score: bool = Field(default=False, exclude_if=_empty)
    """Whether it is another metric's score, which becomes a number in 0..1."""


Gives = Literal["score", "value", "verdict"]
"""What comes of a judge: a model's `score` and `reason`; the `value` that an extern gives; or such a value that says a score
and perhaps why, of a function that is the metric."""


class Judge(Frozen, defer_build=True):
    """A question that a metric or a reward asks a model, or a function. Equal calls of a judge share one.

    Expressions read its score as the variable `name`. That name has parentheses, so nothing in a file can be
    called the same.
    """

    name: str
    program: Program
    """Gives `score`, a number in 0..1, and `reason`; of an extern a `value`, whatever that is."""
    inputs: dict[str, Expression]
    """They read what the expressions read, scores of other judges included."""
    times: int | None = Field(default=None, exclude_if=lambda times: times is None)
    """How often it is asked at most, by a list comprehension, whose names its inputs read; None: once."""
    gives: Gives = Field(default="score", exclude_if=lambda gives: gives == "score")

    @property
    def most(self) -> int:
        """How often it is asked at most for one score."""
        return 1 if self.times is None else self.times


class Reward(Frozen, defer_build=True):
    """A metric without gold labels, which a program asks of its own answers while it runs."""

    name: str
    pred: str
    """Name the expressions give the inputs and outputs of what is tried."""
    score: Expression
    feedback: Expression | None = None
    lets: tuple[MetricValue, ...] = Field((), exclude_if=_empty)
    judges: tuple[Judge, ...] = ()
    """Their programs have no `lms` of their own: they ask the models of the program that the module is in."""


class OwnFunction(Frozen, defer_build=True):
    """The function of the project that a module is: what it calls by which name, and what must hold of its outputs."""

    tool: str
    """Key into the program's `tools`: the function itself."""
    names: tuple[str, ...] = ()
    """What the function calls each of the module's `tools`, in their order."""
    checks: tuple[Check, ...] = ()


class ModuleSpec(Frozen, defer_build=True):
    """A module of several calls: its strategy runs them, and its predictors are tuned one by one."""

    strategy: str
    """A name of the table in `running/strategies`."""
    inputs: tuple[FieldSpec, ...]
    outputs: tuple[FieldSpec, ...]
    options: dict[str, JsonValue] = Field(default_factory=dict)
    predictors: dict[str, str] = Field(default_factory=dict)
    """Addresses of the program's predictors, by role in the strategy."""
    tools: tuple[str, ...] = ()
    """What it may call: keys into the program's `tools`, `predictors`, `modules` or `graphs`."""
    runs: str | None = None
    """What a strategy tries several times: a key into the program's `predictors`, `modules` or `graphs`."""
    reward: Reward | None = None
    function: OwnFunction | None = Field(None, exclude_if=_empty)
    """What runs it, of a strategy whose modules are functions of the project."""


class Program(Graph, defer_build=False):
    """A graph with all that it calls.

    A bare module is the program with one step.
    """

    predictors: dict[str, Predictor]
    records: dict[str, Record] = Field(default_factory=dict)
    lms: dict[str, LM] = Field(default_factory=dict)
    neighbours: Neighbours | None = None
    """Demos that are chosen per input; they come after those that a predictor always shows."""
    modules: dict[str, ModuleSpec] = Field(default_factory=dict[str, ModuleSpec], exclude_if=_empty)
    """Modules of several calls. No key is in two of the tables."""
    tools: dict[str, Tool] = Field(default_factory=dict[str, Tool], exclude_if=_empty)
    graphs: dict[str, Graph] = Field(default_factory=dict[str, Graph], exclude_if=_empty)
    """Other programs that its steps run."""

    def with_predictor(
        self, address: str, *, instruction: str | None = None, demos: tuple[Demo, ...] | None = None
    ) -> Program:
        """The same program with one predictor's instruction or demos replaced.

        New demos replace those that were chosen per input, too.
        """
        predictor = self.predictors[address]
        if instruction is not None:
            signature = predictor.signature.model_copy(update={"instruction": instruction})
            predictor = predictor.model_copy(update={"signature": signature})
        if demos is not None:
            predictor = predictor.model_copy(update={"demos": demos})
        changes: dict[str, object] = {"predictors": {**self.predictors, address: predictor}}
        if demos is not None and self.neighbours is not None:
            changes["neighbours"] = self.neighbours.without(address)
        return self.model_copy(update=changes)

    def with_text(self, address: str, text: str) -> Program:
        """The same program with one text written anew: a predictor's instruction, or a tool's description."""
        tool = self.tools.get(address)
        if tool is None:
            return self.with_predictor(address, instruction=text)
        described = tool.model_copy(update={"description": text})
        return self.model_copy(update={"tools": {**self.tools, address: described}})

    def untold(self) -> Program:
        """The program whose prompts do not say beforehand what its checks demand."""

        def silent(checks: tuple[Check, ...]) -> dict[str, object]:
            return {"checks": tuple(check.model_copy(update={"told": ""}) for check in checks)}

        def telling(checks: tuple[Check, ...]) -> bool:
            return any(check.told for check in checks)

        predictors, records = dict(self.predictors), dict(self.records)
        for address, one in self.predictors.items():
            if telling(one.signature.checks):
                signature = one.signature.model_copy(update=silent(one.signature.checks))
                predictors[address] = one.model_copy(update={"signature": signature})
        for name, record in self.records.items():
            if telling(record.checks):
                records[name] = record.model_copy(update=silent(record.checks))
        if predictors == self.predictors and records == self.records:
            return self
        return self.model_copy(update={"predictors": predictors, "records": records})

    def asking(self, asked: Mapping[str, str], known: Mapping[str, LM]) -> Program:
        """The same program with these predictors on other models, by their names in `known`. Of models it has those that a run
        may ask then, and no others."""
        predictors = {
            address: predictor.model_copy(update={"lm": asked[address]}) if address in asked else predictor
            for address, predictor in self.predictors.items()
        }
        used = {predictor.lm for predictor in predictors.values()} | asked_besides(self)
        named = with_fallbacks(sorted(used), lambda name: known[name].leads_to)
        return self.model_copy(
            update={"predictors": predictors, "lms": {name: known[name] for name in named}}
        )

    def with_lms(self, lms: dict[str, LM]) -> Program:
        """The same program on other models; `lms` replaces the entries of the same names."""
        return self.model_copy(update={"lms": {**self.lms, **lms}})


Program.model_rebuild()


def embedders(program: Program) -> set[str]:
    """Names of the models that compare texts, for an index or a tool."""
    index = program.neighbours
    named = [None if index is None else index.lm, *(tool.lm for tool in program.tools.values())]
    return {name for name in named if name is not None}


def asked_besides(program: Program) -> set[str]:
    """Names of the models that a run may ask besides those of its predictors: an index's, tools', rewards' judges'."""
    found = embedders(program)
    for module in program.modules.values():
        for judge in module.reward.judges if module.reward is not None else ():
            found |= {asked.lm for asked in judge.program.predictors.values()}
    return found


def walked(steps: Iterable[Step]) -> Iterator[Step]:
    """The steps and all those inside them, in the order in which they are written."""
    for step in steps:
        yield step
        match step:
            case BranchStep():
                yield from walked((*step.consequence.steps, *step.alternative.steps))
            case EachStep():
                yield from walked(step.body.steps)
            case RepeatStep():
                yield from walked((*step.steps, *step.then))
            case _:
                pass


def reached(program: Program) -> frozenset[str]:
    """Keys of the predictors, modules, tools and graphs that a run of the program may call."""
    return reached_from(program, *map(_called, walked(program.steps)))


def reached_from(program: Program, *start: str) -> frozenset[str]:
    """These keys, and all that running what they name may call."""
    found: set[str] = set()
    waiting: list[str] = []

    def meet(keys: Iterable[str]) -> None:
        for key in keys:
            if key not in found:
                found.add(key)
                waiting.append(key)

    meet(start)
    while waiting:
        key = waiting.pop()
        if key in program.graphs:
            meet(map(_called, walked(program.graphs[key].steps)))
        elif key in program.modules:
            module = program.modules[key]
            function = "" if module.function is None else module.function.tool
            judges = module.reward.judges if module.reward is not None else ()
            asked = [
                _called(step)
                for judge in judges
                for step in judge.program.steps
                if isinstance(step, ToolStep)
            ]
            meet((*module.predictors.values(), *module.tools, module.runs or "", function, *asked))
    return frozenset(found - {""})


def _called(step: Step) -> str:
    match step:
        case CallStep():
            return step.predictor
        case RunStep():
            return step.runs
        case ToolStep():
            return step.tool
        case _:
            return ""


def canonical(value: BaseModel | JsonValue) -> str:
    """The one JSON text of a value: sorted keys, no spaces, non-ASCII kept."""
    plain = value.model_dump(mode="json") if isinstance(value, BaseModel) else value
    return _ENCODE(plain)


_ENCODE = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode


def digest(value: BaseModel | JsonValue) -> str:
    """SHA-256 of `canonical(value)`, in hexadecimal. Lone surrogates are taken, since names of files may hold them."""
    return hashlib.sha256(canonical(value).encode(errors="surrogatepass")).hexdigest()
