"""Runs a program on kept answers alone, in the caller's thread.

An answer that is kept takes a fraction of what it costs to hand a call to the engine's thread and to be woken by it. So
a call that needs nothing else is answered where it is made. Where anything is missing, nothing has happened yet, and
the call goes its usual way.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from types import MappingProxyType

from ..errors import DspecError
from ..models.calls import Completion
from ..models.ledger import Ledger
from ..models.prices import at_price
from ..models.protocol import Answering, Request, ToolAnswer, key_of
from ..schema.ensemble import Runnable
from ..schema.lms import LM
from ..schema.program import CallStep, Program, Record, Tool
from ..schema.types import Row
from .execute import Outcome, run


class NotKept(BaseException):
    """The run needs more than kept answers. No handler of errors takes it for one."""


class ReplayOnly:
    """Answers from a ledger, as the engine would (`metered.Asks`). Raises NotKept for all else."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    async def complete(self, request: Request) -> Completion:
        answer = self._ledger.get_beside(key_of(request))
        if answer is None:
            raise NotKept
        return Completion(at_price(answer, request.lm), "ledger")

    def unusable(self, request: Request) -> None:
        raise NotKept

    async def call(
        self,
        tool: Tool,
        arguments: Row,
        *,
        lms: Mapping[str, LM] = MappingProxyType({}),
        records: Mapping[str, Record] = MappingProxyType({}),
        answer: Answering | None = None,
    ) -> ToolAnswer:
        raise NotKept


def is_straight(program: Runnable) -> bool:
    """Whether a run does one thing after the other, and so needs no event loop: one call of one predictor."""
    return (
        isinstance(program, Program)
        and len(program.steps) == 1
        and isinstance(program.steps[0], CallStep)
        and program.steps[0].predictor in program.predictors
        and program.neighbours is None
        and not program.tools
    )


def replayed(program: Runnable, inputs: Row, ledger: Ledger, temperature: float | None) -> Outcome | None:
    """The recorded run, as `execute.run` gives it, of a program that `is_straight`; None where it takes more than what is
    kept, or fails: it is to be run as usual then."""
    work = run(program, inputs, ReplayOnly(ledger), temperature=temperature, record=True)
    try:
        work.send(None)
    except StopIteration as done:
        return done.value
    except (NotKept, DspecError, sqlite3.Error):
        return None
    work.close()  # it waits for something
    return None
