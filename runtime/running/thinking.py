"""Leaves out of a prompt what the model thinks by itself: its own reasoning in the place of one that it would write."""

from __future__ import annotations

from functools import lru_cache

from ..models.prices import reasons
from ..schema.identity import Same
from ..schema.lms import LM, REASONING
from ..schema.program import Predictor
from ..schema.types import STR


def thought_in(predictor: Predictor, lm: LM | None) -> str:
    """Name of the output that is the model's own reasoning; "" where the model writes all of them."""
    if lm is None or lm.reasoning is None:
        return ""
    first, *others = predictor.signature.outputs
    return first.name if others and first.name == REASONING and first.type == STR and reasons(lm) else ""


def as_asked(predictor: Predictor, lm: LM | None) -> Predictor:
    """The predictor as a prompt of this model shows it."""
    own = thought_in(predictor, lm)
    return _without(Same(predictor), own) if own else predictor


@lru_cache(maxsize=256)
def _without(predictor: Same[Predictor], output: str) -> Predictor:
    signature = predictor.value.signature
    left = tuple(one for one in signature.outputs if one.name != output)
    return predictor.value.model_copy(update={"signature": signature.model_copy(update={"outputs": left})})
