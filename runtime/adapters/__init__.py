"""Adapters: a signature, demos and inputs become messages; an answer's text becomes typed outputs.

An adapter is a layout for both directions. It never calls a model and never changes a value: what a
prompt shows can be read back (`markers` escapes what would break the layout). Text from users, rows
and models is data; no template is ever built from it.
"""

from __future__ import annotations

from ..schema.program import AdapterName
from .base import Adapter, Reading, UnreadOutput
from .chat import ChatAdapter
from .json_object import JsonAdapter
from .turns import LEFT_OUT
from .xml import XmlAdapter

__all__ = ["LEFT_OUT", "Adapter", "Reading", "UnreadOutput", "adapter"]

_ADAPTERS: dict[str, Adapter] = {"chat": ChatAdapter(), "json": JsonAdapter(), "xml": XmlAdapter()}


def adapter(name: AdapterName) -> Adapter:
    """The adapter that an LM's `adapter` setting names."""
    return _ADAPTERS[name]
