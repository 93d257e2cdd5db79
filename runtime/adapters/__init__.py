"""Adapters: a signature, demos and inputs become messages; an answer's text becomes typed outputs.

An adapter is a layout for both directions. It never calls a model and never changes a value: what a
prompt shows can be read back (`markers` escapes what would break the layout). Text from users, rows
and models is data; no template is ever built from it.
"""

from __future__ import annotations

from ..schema.lms import LM, AdapterName
from .base import Adapter, Reading, UnreadOutput
from .chat import ChatAdapter
from .json_object import JsonAdapter
from .turns import LEFT_OUT
from .two_step import TwoStepAdapter, extraction
from .xml import XmlAdapter

__all__ = ["LEFT_OUT", "Adapter", "Reading", "UnreadOutput", "adapter", "adapter_of", "extraction"]

_ADAPTERS: dict[AdapterName, Adapter] = {
    "chat": ChatAdapter(),
    "json": JsonAdapter(),
    "xml": XmlAdapter(),
    "two_step": TwoStepAdapter(),
}


def adapter(name: AdapterName) -> Adapter:
    """The adapter that an LM's `adapter` setting names."""
    return _ADAPTERS[name]


def adapter_of(lm: LM, *, extracting: bool = False) -> Adapter:
    """The adapter of a model's prompts. The second of two steps has a layout, whoever makes it (`extracting`)."""
    plain = lm.adapter == "two_step" and (extracting or not lm.two_step)
    return adapter("chat" if plain else lm.adapter)
