"""What a call of an application's was, once it is over."""

from __future__ import annotations

from collections.abc import Callable

from msgspec import Struct

from ..errors import DspecError
from ..schema.trace import TraceStep
from ..schema.types import Row
from .prediction import TypedPrediction


class CallRecord(Struct, frozen=True, eq=False):
    """One call of a program that is over. Inputs, answers and errors may be anybody's data."""

    id: str
    """Tells calls apart, across processes too."""
    program: str
    inputs: Row
    began: float
    """Seconds since 1970."""
    seconds: float
    prediction: TypedPrediction | None
    error: DspecError | None
    """Why there is no prediction."""

    @property
    def outputs(self) -> Row:
        """Empty where the call failed."""
        return {} if self.prediction is None else self.prediction.outputs

    @property
    def trace(self) -> tuple[TraceStep, ...]:
        """What was asked, also of a call that failed."""
        if self.prediction is not None:
            return self.prediction.trace
        return () if self.error is None else self.error.trace


OnCall = Callable[[CallRecord], None]
