"""Twice: a draft, and an answer after a second look. It would stand in `runtime/running/strategies/`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...schema.program import FieldSpec, Predictor
from ...schema.types import STR, Row
from .base import ModuleStrategy

if TYPE_CHECKING:
    from ..asking import Asked
    from ..session import ProgramRun


async def _run(session: ProgramRun, predictor: Predictor, inputs: Row) -> Asked:
    from ..asking import ask, ask_again

    return await ask_again(session, predictor, await ask(session, predictor, inputs), ["look again"])


STRATEGY = ModuleStrategy(
    name="Twice",
    doc="Two calls: the second one looks at what the first one said.",
    adds=(FieldSpec(name="draft", type=STR, description="the first thought"),),
    calls=2,
    run=_run,
    manner="looks at its answer once more",
)
