"""What can go wrong at run time. Each class answers: may the same call succeed if tried again?

DspecError
├── ArtifactError        the file is not an artifact this version can load
├── InputError           the application passed inputs the program does not take
├── ConfigurationError   a key, endpoint, model or state directory is missing or unusable
│   └── NotSet               a model's key or address is in a variable that is not set
├── BudgetExceeded       the next call could pass the budget's wall
├── Stopped              the engine was told to stop before this call was made
├── AnswerError          the model answered, and the answer is unusable: a wrong answer
│   ├── ParseError       no value of the declared type could be read from it
│   ├── CheckFailed      an `assert` did not hold after every retry
│   ├── ToolFailed       a tool could not do what it was asked to
│   │   └── FunctionFailed   a module's own function raised, or gave what it is not declared to give
│   └── EvaluationError  an expression met values that it cannot compute with
└── ProviderError        the model did not answer: never a score
    ├── RateLimited      retryable, honours `retry_after`
    ├── Unavailable      retryable: connection, 5xx, cut or malformed body
    │   ├── TimedOut         no whole answer in the time one attempt is given
    │   ├── WorkerLost       the process that was asking is gone: no failure of the endpoint's
    │   └── NoAnswer         the endpoint is well, and what it answered has no text
    ├── Refused          final for this request: 400, content filter
    │   └── PromptTooLong    longer than the model's context window
    └── Unauthorized     final for the run: authentication or billing
        └── Untrusted        the server did not prove who it is
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from .schema.trace import TraceStep
    from .schema.usage import Flaws, Spent, Usage


class DspecError(Exception):
    """Base of everything this package raises on purpose. `help` says what to do, if known."""

    trace: tuple[TraceStep, ...] = ()
    """Of an error that ended a run: what was asked until then, the call that failed last."""
    row: int | None = None
    """Of an error in a batch: which of its rows failed, from 0."""

    def __init__(self, message: str, *, help: str = "") -> None:  # noqa: A002
        super().__init__(message)
        self.message = message
        self.help = help
        if help:
            self.add_note(f"help: {help}")  # so that a traceback in an application shows it too

    def within(self, where: str) -> Self:
        """The error, its message led by where it happened."""
        self.message = f"{where}: {self.message}"
        self.args = (self.message,)
        return self


class ArtifactError(DspecError):
    pass


class InputError(DspecError):
    pass


class ConfigurationError(DspecError):
    pass


class NotSet(ConfigurationError):
    pass


class BudgetExceeded(DspecError):
    pass


class Stopped(DspecError):
    pass


class AnswerError(DspecError):
    """`raw` is the model's last text, for traces; it is data and is never shown as markup."""

    flaws: Flaws | None = None
    """What was wrong with the answers that led to it, where that is known."""

    def __init__(self, message: str, *, raw: str = "", help: str = "") -> None:  # noqa: A002
        super().__init__(message, help=help)
        self.raw = raw


class ParseError(AnswerError):
    pass


class CheckFailed(AnswerError):
    pass


class ToolFailed(AnswerError):
    pass


class FunctionFailed(ToolFailed):
    pass


class EvaluationError(AnswerError):
    pass


class ProviderError(DspecError):
    retryable = False
    billable = False
    """Whether the request reached the model, or may have: then the provider may bill the attempt."""
    usage: Usage | None = None
    """What the provider says the attempt took, where it says so though there is no answer."""
    spent: Spent | None = None
    """What the answers took that a run had by then, where somebody counts them."""
    retry_after: float | None = None
    """Seconds the provider asked to wait, if it said so."""


class RateLimited(ProviderError):
    retryable = True

    def __init__(self, message: str, *, retry_after: float | None = None, help: str = "") -> None:  # noqa: A002
        super().__init__(message, help=help)
        self.retry_after = retry_after


class Unavailable(ProviderError):
    retryable = True


class TimedOut(Unavailable):
    billable = True


class WorkerLost(Unavailable):
    billable = True


class NoAnswer(Unavailable):
    pass


class Refused(ProviderError):
    parameter = ""
    """The parameter of the request that the model does not take, where that is why it was refused."""
    unexplained = False
    """Whether the provider gives no reason at all."""


class PromptTooLong(Refused):
    pass


class Unauthorized(ProviderError):
    pass


class Untrusted(Unauthorized):
    pass
