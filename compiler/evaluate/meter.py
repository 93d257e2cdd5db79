"""What runs take: counted for each, added up for a compile, whoever answered."""

from __future__ import annotations

from msgspec import Struct

from dspec.runtime.errors import AnswerError, EvaluationError
from dspec.runtime.models.engine import Completion, Engine
from dspec.runtime.models.protocol import Request
from dspec.runtime.running.execute import TraceStep, run
from dspec.runtime.running.strategies.table import calls_per_run
from dspec.runtime.schema.program import Program
from dspec.runtime.schema.types import Row

from .budget import Wall
from .store import RunResult


class Spent(Struct):
    """What the runs of a compile needed, each distinct run counted once.

    Runs that the store or the ledger answered count as if they had been paid, so that these numbers
    are the same however often the compile is repeated. `cost` is in 1e-12 USD.
    """

    task_calls: int = 0
    teacher_calls: int = 0
    prompt_calls: int = 0
    """Calls of the model that writes instructions."""
    judge_calls: int = 0
    """Calls of the metric's judges."""
    input_tokens: int = 0
    output_tokens: int = 0
    cost: int = 0
    unpriced: int = 0
    """Answers whose price nobody knows: `cost` lacks them."""

    @property
    def usd(self) -> float | None:
        """The cost in USD, or None where some price is not known."""
        return None if self.unpriced else self.cost / 1e12

    @property
    def calls(self) -> int:
        return self.task_calls + self.teacher_calls + self.prompt_calls + self.judge_calls

    def __add__(self, other: Spent) -> Spent:
        return Spent(
            self.task_calls + other.task_calls,
            self.teacher_calls + other.teacher_calls,
            self.prompt_calls + other.prompt_calls,
            self.judge_calls + other.judge_calls,
            self.input_tokens + other.input_tokens,
            self.output_tokens + other.output_tokens,
            self.cost + other.cost,
            self.unpriced + other.unpriced,
        )


class Meter:
    """An engine as one run sees it: the wall pays, and every answer is counted."""

    def __init__(self, engine: Engine, wall: Wall | None, *, urgent: bool = False) -> None:
        self._engine = engine
        self._wall = wall
        self._urgent = urgent
        self.calls = 0
        self.input_tokens = 0
        self.output_tokens = 0
        self.cost = 0
        self.unpriced = 0

    async def complete(self, request: Request) -> Completion:
        completion = await self._engine.complete(request, purse=self._wall, urgent=self._urgent)
        answer = completion.answer
        self.calls += 1
        self.input_tokens += answer.usage.input_tokens
        self.output_tokens += answer.usage.output_tokens
        self.cost += round((answer.cost or 0.0) * 1e12)
        self.unpriced += answer.cost is None
        return completion

    async def run(
        self, program: Program, inputs: Row, *, sample: int, temperature: float | None
    ) -> RunResult:
        """One run of the program. Raises ProviderError, and halts; answers that cannot be used are a result.

        When one of several calls fails, what the others have done by then is a matter of time, which
        must not enter any result: such a run counts its nominal calls, and no tokens.
        """
        try:
            outcome = await run(program, inputs, self, sample=sample, temperature=temperature)
        except (AnswerError, EvaluationError) as failure:
            error = (type(failure).__name__, failure.message)
            nominal = calls_per_run(program)
            if nominal > 1:
                return RunResult(None, (), error, nominal, 0, 0, 0, 0)
            return self.result(None, error=error)
        return self.result(outcome.outputs, outcome.trace)

    def result(
        self,
        outputs: Row | None,
        trace: tuple[TraceStep, ...] = (),
        error: tuple[str, str] | None = None,
    ) -> RunResult:
        return RunResult(
            outputs, trace, error, self.calls, self.input_tokens, self.output_tokens, self.cost, self.unpriced
        )
