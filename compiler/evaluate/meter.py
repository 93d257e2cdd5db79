"""What runs take: counted for each, added up for a compile by what it was for, whoever answered."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from types import MappingProxyType
from typing import Literal, Protocol

from msgspec import Struct

from dspec.runtime.errors import AnswerError, EvaluationError, ProviderError, ToolFailed
from dspec.runtime.models.calls import Completion, Purse
from dspec.runtime.models.protocol import Answering, Request, ToolAnswer
from dspec.runtime.running.execute import run
from dspec.runtime.running.metered import Meter, spent_on
from dspec.runtime.running.siblings import DeterminedAnswers, count_answer
from dspec.runtime.schema.program import LM, Program, Record, Tool
from dspec.runtime.schema.types import Row
from dspec.runtime.schema.usage import Flaws, Spent

from .store import RunResult

Purpose = Literal["task", "teacher", "prompt", "judge"]
PURPOSES: tuple[Purpose, ...] = ("task", "teacher", "prompt", "judge")


class Account(Struct):
    """What the runs of a compile needed, each distinct run counted once.

    Runs that the store or the ledger answered count as if they had been paid, so that these numbers
    are the same however often the compile is repeated.
    """

    task: Spent = Spent()
    """Runs of the program."""
    teacher: Spent = Spent()
    """Runs that look for demos."""
    prompt: Spent = Spent()
    """Of the model that writes instructions."""
    judge: Spent = Spent()
    """Of the metric's judges."""
    training: Spent = Spent()
    """Of models whose weights were tuned: money alone, for no call is made."""
    flaws: Flaws = Flaws()
    """What was wrong with all their answers."""

    @property
    def total(self) -> Spent:
        return self.task + self.teacher + self.prompt + self.judge + self.training

    @property
    def calls(self) -> int:
        return self.total.calls

    def add(self, purpose: Purpose, spent: Spent, flaws: Flaws) -> None:
        self.flaws += flaws
        match purpose:
            case "task":
                self.task += spent
            case "teacher":
                self.teacher += spent
            case "prompt":
                self.prompt += spent
            case "judge":
                self.judge += spent

    def __add__(self, other: Account) -> Account:
        return Account(
            self.task + other.task,
            self.teacher + other.teacher,
            self.prompt + other.prompt,
            self.judge + other.judge,
            self.training + other.training,
            self.flaws + other.flaws,
        )


class Paid(Protocol):
    """What asks models and calls tools for a run whose calls somebody pays for: an engine, or who asks one elsewhere."""

    async def complete(
        self, request: Request, *, purse: Purse | None = None, urgent: bool = False
    ) -> Completion: ...

    def unusable(self, request: Request) -> None: ...

    async def call(
        self,
        tool: Tool,
        arguments: Row,
        *,
        lms: Mapping[str, LM] = MappingProxyType({}),
        records: Mapping[str, Record] = MappingProxyType({}),
        answer: Answering | None = None,
        purse: Purse | None = None,
    ) -> ToolAnswer: ...


class PaidMeter(Meter):
    """The meter of one run whose calls somebody pays for."""

    def __init__(self, engine: Paid, purse: Purse | None, *, urgent: bool) -> None:
        super().__init__(engine)
        self._paid_by = partial(engine.complete, purse=purse, urgent=urgent)
        self._called_with = partial(engine.call, purse=purse)

    async def complete(self, request: Request) -> Completion:
        completion = await self._paid_by(request)
        self._answers.append(completion)
        count_answer(completion)
        return completion

    async def call(
        self,
        tool: Tool,
        arguments: Row,
        *,
        lms: Mapping[str, LM] = MappingProxyType({}),
        records: Mapping[str, Record] = MappingProxyType({}),
        answer: Answering | None = None,
    ) -> ToolAnswer:
        return await self._called_with(tool, arguments, lms=lms, records=records, answer=answer)


class Execute(Protocol):
    """Where the runs of a compile are made: `metered` in this process, `executors` elsewhere. The result is the same."""

    async def __call__(
        self, program: Program, inputs: Row, meter: PaidMeter, *, sample: int, temperature: float | None
    ) -> RunResult:
        """One run of the program; the meter asks and pays, whoever runs. Raises what `metered` raises."""
        ...


async def metered(
    program: Program, inputs: Row, meter: PaidMeter, *, sample: int, temperature: float | None
) -> RunResult:
    """One run of the program, on a meter of its own. Raises ProviderError, and halts; answers that cannot be used are a result.

    When one of several calls fails, how far those after it have come is a matter of time, which must not enter any
    result. What is counted is what the failed one asked, and those before it in the program's order.
    """
    with DeterminedAnswers() as answers:
        try:
            outcome = await run(program, inputs, meter, sample=sample, temperature=temperature)
        except (AnswerError, EvaluationError) as failure:
            error = (type(failure).__name__, failure.message)
            flaws = failure.flaws or Flaws()
            # Of a run without outputs nothing is learned, and how far others of its calls came is a matter of time. The one of a
            # tool that ended it comes last.
            ended = failure.trace[-1:] if isinstance(failure, ToolFailed) else ()
            return RunResult.of(None, ended, error, spent_on(answers), flaws, set_aside=meter.set_aside)
        except ProviderError as failure:
            failure.spent = spent_on(answers)
            raise
        flaws = sum((step.flaws for step in outcome.trace), Flaws())
        spent = spent_on(answers)
        return RunResult.of(outcome.outputs, outcome.trace, None, spent, flaws, set_aside=meter.set_aside)
