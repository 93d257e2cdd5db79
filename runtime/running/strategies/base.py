"""What a strategy is: a record of all that check, plan, running, prompts, editor and docs know of it.

A module is a strategy applied to a signature. The predictor of a strategy of one call carries the strategy's
name. A strategy of several calls has a predictor for each of its roles, and a `ModuleSpec` carries its name.
Whoever needs to know more looks the name up in the table.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Iterator, Mapping
from functools import cache
from types import MappingProxyType
from typing import TYPE_CHECKING, Literal, Protocol

from msgspec import Struct, field

from ...schema.program import FieldSpec, ModuleSpec, Predictor, Program, Signature
from ...schema.types import JsonValue, Row

if TYPE_CHECKING:
    from ...models.protocol import Answering
    from ...schema.trace import TraceStep
    from ...tools.sandbox import CodeRan, Sandbox
    from ..asking import Asked
    from ..session import NativeCalls, ProgramRun

Run = Callable[["ProgramRun", Predictor, Row], Awaitable["Asked"]]
"""One run of a predictor on checked inputs; raises as `asking.ask` does.

Its result ends with the exchange that a failed check between steps can continue (`asking.ask_again`).
"""


def ask_once(session: ProgramRun, predictor: Predictor, inputs: Row) -> Awaitable[Asked]:
    """The signature is put to the model as it stands."""
    return _ask()(session, predictor, inputs)


@cache
def _ask() -> Run:
    from ..asking import ask  # it brings the adapters, which reading a record does not need

    return ask


class Scored(Struct, frozen=True):
    """What a module's reward says of some outputs."""

    score: float
    feedback: str = ""


class Conductor(Protocol):
    """What a strategy of several calls is given to work with.

    Calls may run at the same time; begin them in the order in which the trace shall show them. `take` tells calls
    apart that may ask the same and need answers of their own. Errors of models, tools and checks are raised.
    """

    program: Program
    module: ModuleSpec
    name: str
    """The module's address."""

    async def ask(
        self,
        role: str,
        inputs: Row,
        *,
        predictor: Predictor | None = None,
        take: int = 0,
        temperature: float | None = None,
        calling: NativeCalls | None = None,
        together: bool = False,
    ) -> Row:
        """The outputs of one of the module's predictors, or of `predictor` in its place. With `calling`, its model may
        call tools by itself. `together` says that the outputs mean something only together."""
        ...

    def fits(self, role: str, inputs: Row, *, predictor: Predictor | None = None) -> bool:
        """Whether the role's model takes the whole prompt, as far as anybody knows its limit."""
        ...

    async def attempt(
        self,
        inputs: Row,
        *,
        take: int = 0,
        temperature: float | None = None,
        hints: Mapping[str, str] = MappingProxyType({}),
    ) -> Row:
        """The outputs of one run of what the module tries (`ModuleSpec.runs`). A predictor that is among the `hints`,
        by its address, sees the text as one more input."""
        ...

    def calls_of(self, take: int) -> tuple[TraceStep, ...]:
        """The trace of an attempt."""
        ...

    def choose(self, take: int) -> None:
        """Says which attempt the outputs come from: nothing is learned from the others."""
        ...

    async def call(self, key: str, arguments: Row, *, take: int = 0) -> JsonValue:
        """What one of the module's tools gives. Raises AnswerError when it fails."""
        ...

    async def function(self, inputs: Row, answer: Answering | None) -> Row:
        """What the module's function gives for the inputs; `answer` is for what it calls meanwhile. Raises
        FunctionFailed, or ToolFailed when it is late."""
        ...

    async def run_code(self, code: str, sandbox: Sandbox) -> CodeRan:
        """What becomes of code that a model wrote."""
        ...

    async def score(self, inputs: Row, outputs: Row, *, take: int = 0) -> Scored:
        """What the module's reward says of an attempt's outputs."""
        ...

    def note(self, text: str) -> None:
        """Adds a note to the run."""
        ...


Conduct = Callable[[Conductor, Row], Awaitable[Row]]
"""One run of a module of several calls on checked inputs: its outputs."""


class Times(Struct, frozen=True):
    """How often something is done in one run, at least and at most."""

    least: int
    most: int

    def __add__(self, other: Times) -> Times:
        return Times(self.least + other.least, self.most + other.most)

    def __mul__(self, other: Times) -> Times:
        return Times(self.least * other.least, self.most * other.most)


HINT = "hint"
"""Name of the input that gives a predictor advice; underscores follow it where a field has that name."""

COMPAT = ("compat", "dspy")
"""Option of a module on another framework's schedule, and its value: what an artifact holds of `compat = "dspy"`."""

RUNS, TOOLS, REWARD, FUNCTION = "(runs)", "(tools)", "(reward)", "(function)"
"""What a module does besides asking its predictors: an attempt, a call of any of its tools, a question to its reward, a
call of its function. The running of code that a model wrote is `trace.CODE`."""
MAX_CALLS = "max_calls"
"""Option of a function that uses others, without which it has nothing to call."""


class StrategyOption(Struct, frozen=True):
    """One option: `tools` is a list of names, `metric`, `output` and `lm` are names, `function` is a text, the others are
    numbers.

    Where the default is None, a module must give the option, unless it is `optional`.
    """

    name: str
    value: Literal["tools", "metric", "output", "lm", "function", "integer", "number"]
    doc: str
    default: JsonValue = None
    low: float | None = None
    high: float | None = None
    optional: bool = False
    of_function: bool = False
    """Whether the tool that is the module's function carries it, and not the module."""

    @property
    def required(self) -> bool:
        return self.default is None and not self.optional


class ModuleParts(Struct, frozen=True):
    """What a module of several calls is made of, as its predictors' signatures are made from it."""

    name: str
    """The module's address."""
    signature: Signature
    options: Mapping[str, JsonValue]
    tools: tuple[str, ...]
    """Keys of the tools."""


class Role(Struct, frozen=True):
    """One of the predictors of a strategy of several calls. Its address is `module.role`."""

    strategy: str
    """How it answers: a strategy of one call, whose outputs are added to the signature's."""
    signature: Callable[[ModuleParts], Signature]
    lm: str = ""
    """Option that names its model, which is the module's where that is not given."""
    shown: Callable[[ModuleSpec], int] | None = None
    """Bytes, at most, of what stands for the module's inputs in its prompt; None where it sees them whole."""
    alone: bool = False
    """Whether it sees nothing of what was made in the module before."""
    dspy: str = ""
    """Path of this predictor in DSPy's module; "" where DSPy has no such predictor."""
    told: Callable[[Program, ModuleSpec], Predictor] | None = None
    """The predictor as it is asked, where that says more than its signature; None where it does not."""
    from_state: Callable[[Program, ModuleSpec, Row], tuple[Program, Row]] | None = None
    """The other way: takes out of a predictor's saved state what `told` adds, and gives the program that it tells of."""
    dspy_inputs: Callable[[Row], Row] | None = None
    """Turns a demo's inputs into those of DSPy's predictor; None where the two are the same."""
    from_dspy: Callable[[Row], Row] | None = None
    """Turns a demo of DSPy's into one of ours; None where the two are the same."""


class CodeBytes(Struct, frozen=True):
    """Bytes, at most: what one running of code adds to later prompts, and what the code gives to one of its calls."""

    shown: int
    given: int = 0


def _no_faults(program: Program, module: ModuleSpec) -> Iterator[str]:
    return iter(())


class ModuleStrategy(Struct, frozen=True):
    """The facts of one strategy."""

    name: str
    doc: str
    adds: tuple[FieldSpec, ...] = ()
    """Outputs that the model writes before those of the signature, where that has no field of their name."""
    options: tuple[StrategyOption, ...] = ()
    """Besides `lm`, which every module has but one that is a function."""
    calls: int = 1
    """Model calls of one run when every answer parses and every check holds."""
    run: Run = ask_once
    """How a predictor of this strategy answers."""
    conduct: Conduct | None = None
    """How a module answers, in a strategy of several calls; None in a strategy of one call."""
    times: Callable[[ModuleSpec], Mapping[str, Times]] | None = None
    """How often a run asks each role, and does what belongs to no role (`RUNS` and so on), in a strategy of several calls."""
    roles: Mapping[str, Role] = field(default_factory=dict[str, Role])
    """The predictors of a strategy of several calls."""
    faults: Callable[[Program, ModuleSpec], Iterator[str]] = _no_faults
    """Finds what is wrong with the predictors of an artifact's module, in a strategy of several calls."""
    tries: bool = False
    """Whether it runs something else several times: a module, a program, or a signature as `Predict` asks it."""
    function: str = ""
    """The source of tools that its modules' functions come from; "" of a strategy whose modules are none. Their function is
    written before the signature, by position or as the option of that kind."""
    tells_tools: bool = False
    """Whether a model reads the descriptions of the module's tools: they are tuned as instructions are."""
    code: Callable[[ModuleSpec], CodeBytes] | None = None
    """What goes in and out where code is run, in a strategy whose models write code; None in any other."""
    manner: str = ""
    """What a model that writes instructions is told of such a module, as the end of "which …"."""
    dspy: str = ""
    """The attribute of DSPy's module of this name that is its predictor; "" where the module is one itself."""


def faithful(module: ModuleSpec) -> bool:
    """Whether the module does as DSPy does where the two differ."""
    name, value = COMPAT
    return module.options.get(name) == value


def free_name(wanted: str, taken: Collection[str]) -> str:
    """The name, with as many underscores after it as it takes to differ from those that are taken."""
    while wanted in taken:
        wanted += "_"
    return wanted
