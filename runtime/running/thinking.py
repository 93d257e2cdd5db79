"""Leaves out of a prompt what the model thinks by itself: its own reasoning in the place of one that it would write."""

from __future__ import annotations

from functools import lru_cache

from ..models.prices import reasons
from ..schema.identity import Same
from ..schema.program import LM, Predictor
from ..schema.types import STR
from .strategies.table import STRATEGIES


def thought_in(predictor: Predictor, lm: LM | None) -> str:
    """Name of the output that is the model's own reasoning; "" where the model writes all of them."""
    if lm is None or lm.reasoning is None:
        return ""
    strategy = STRATEGIES.get(predictor.strategy)
    added = {field.name for field in strategy.adds} if strategy is not None else set[str]()
    own = next((one for one in predictor.signature.outputs if one.name in added and one.type == STR), None)
    return own.name if own is not None and len(predictor.signature.outputs) > 1 and reasons(lm) else ""


def as_asked(predictor: Predictor, lm: LM | None) -> Predictor:
    """The predictor as a prompt of this model shows it."""
    own = thought_in(predictor, lm)
    return _without(Same(predictor), own) if own else predictor


@lru_cache(maxsize=256)
def _without(predictor: Same[Predictor], output: str) -> Predictor:
    signature = predictor.value.signature
    left = tuple(one for one in signature.outputs if one.name != output)
    return predictor.value.model_copy(update={"signature": signature.model_copy(update={"outputs": left})})
