"""Adapters: a signature, demos and inputs become messages; an answer's text becomes typed outputs.

An adapter is a layout for both directions. It never calls a model and never changes a value: what a
prompt shows can be read back (`markers` escapes what would break the layout). Text from users, rows
and models is data; no template is ever built from it.
"""

from __future__ import annotations

from ..schema.lms import LM, AdapterName
from ..schema.program import Predictor
from .base import Adapter, Reading, Records, UnreadOutput
from .chat import ChatAdapter
from .json_object import JsonAdapter
from .partial import Part, PartialAnswer, PartialObject, PartialSections, PartialTags
from .turns import LEFT_OUT
from .two_step import TwoStepAdapter, extraction
from .xml import XmlAdapter

__all__ = [
    "LEFT_OUT",
    "Adapter",
    "Part",
    "PartialAnswer",
    "Reading",
    "UnreadOutput",
    "adapter",
    "adapter_of",
    "extraction",
    "partial_answer",
]

_ADAPTERS: dict[AdapterName, Adapter] = {
    "chat": ChatAdapter(),
    "json": JsonAdapter(),
    "xml": XmlAdapter(),
    "two_step": TwoStepAdapter(),
}


def adapter(name: AdapterName) -> Adapter:
    """The adapter that an LM's `adapter` setting names."""
    return _ADAPTERS[name]


_PARTIAL: dict[AdapterName, type[PartialAnswer]] = {
    "chat": PartialSections,
    "json": PartialObject,
    "xml": PartialTags,
}


def partial_answer(lm: LM, predictor: Predictor, records: Records) -> PartialAnswer | None:
    """What reads an answer of this model while it comes; None where its layout has no outputs in it."""
    name: AdapterName = "chat" if lm.adapter == "two_step" and not lm.two_step else lm.adapter
    reads = _PARTIAL.get(name)
    return None if reads is None else reads(predictor, records, strict=lm.parse == "strict")


def adapter_of(lm: LM, *, extracting: bool = False) -> Adapter:
    """The adapter of a model's prompts. The second of two steps has a layout, whoever makes it (`extracting`)."""
    plain = lm.adapter == "two_step" and (extracting or not lm.two_step)
    return adapter("chat" if plain else lm.adapter)
