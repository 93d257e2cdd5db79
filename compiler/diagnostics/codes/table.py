"""Every diagnostic code: the one table that `check`, `explain`, the editor and the docs read."""

from __future__ import annotations

from importlib import import_module

from . import __all__ as topics
from .base import Code

_FOUND = {
    entry.name: entry
    for topic in topics
    for entry in vars(import_module(f".{topic}", __package__)).values()
    if isinstance(entry, Code)
}
CODES: dict[str, Code] = dict(sorted(_FOUND.items()))
