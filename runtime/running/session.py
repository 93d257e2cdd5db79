"""What the calls of one program run have in common, and what is kept of them where somebody wants to see it."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from msgspec import Struct
from msgspec.structs import replace

from ..models.protocol import Answer, Message, ToolCall, ToolShape
from ..schema.lms import LM
from ..schema.program import Program
from ..schema.trace import ModelCall
from ..schema.types import Row
from .metered import Asks
from .streaming import StepVoice, Voice

if TYPE_CHECKING:
    from ..models.calls import Source


class Recording(Struct):
    """What one run of a predictor says and hears. `origin` is the clock's time when the program's run began."""

    origin: float
    calls: list[ModelCall]
    said: tuple[Message, ...] = ()
    """The messages of its last request."""

    def keep(self, lm: LM, answer: Answer, source: Source, began: float, error: str = "") -> None:
        """One call, at its end."""
        self.calls.append(
            ModelCall(
                lm.name,
                lm.model,
                source,
                _as_it_came(answer),
                answer.usage.input_tokens,
                answer.usage.output_tokens,
                answer.cost,
                began - self.origin,
                time.perf_counter() - began,
                answer.finish_reason,
                error,
            )
        )


class NativeCalls(Struct):
    """The tools that a predictor's model may call by itself, and how such a call becomes the predictor's outputs."""

    tools: tuple[ToolShape, ...]
    outputs: Callable[[Row, ToolCall], Row]
    """Makes the outputs of what the answer's text says, and of the call."""
    refused: bool = False
    """True once the model has refused tools: from then on it names them in its text."""


class ProgramRun(Struct, frozen=True):
    """What the calls of one program run have in common."""

    program: Program
    engine: Asks
    sample: int = 0
    temperature: float | None = None
    recording: Recording | None = None
    """Collects prompts, answers, costs and times of one predictor's run, where the trace is to keep them."""
    calling: NativeCalls | None = None
    together: bool = False
    """Whether a predictor's outputs mean something only together, as a tool and its arguments do: then no answer that
    is asked for again is put together from what two answers say of different things."""
    extracting: bool = False
    """Whether this is the second of two steps, which takes the outputs from an answer."""
    voice: Voice | None = None
    """Tells somebody what is answered while it is."""
    speaking: StepVoice | None = None
    """The same, of the predictor that is asked."""

    @property
    def quiet(self) -> ProgramRun:
        """The same, for a call that nobody hears."""
        return self if self.speaking is None else replace(self, speaking=None)


def _as_it_came(answer: Answer) -> str:
    """An answer's text, and the tools that it calls."""
    calls = [f"{call.name}({call.arguments})" for call in answer.calls]
    return "\n".join([answer.text, *calls] if answer.text else calls)
