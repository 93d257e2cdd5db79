"""ChainOfThought: the model writes its reasoning first, as one more output."""

from __future__ import annotations

from ...schema.lms import REASONING
from ...schema.program import FieldSpec
from ...schema.types import STR
from .base import ModuleStrategy

STRATEGY = ModuleStrategy(
    name="ChainOfThought",
    doc="One call that writes its reasoning before the outputs.",
    adds=(
        FieldSpec(
            name=REASONING, type=STR, description="the thinking that leads to the answer, step by step"
        ),
    ),
    manner="writes down its reasoning before it answers",
    dspy="predict",
)
