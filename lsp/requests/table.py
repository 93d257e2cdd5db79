"""The list of requests that the server answers. The server asks here and nowhere else."""

from __future__ import annotations

from importlib import import_module

from .base import Feature

_FILES = (
    "completion",
    "hover",
    "navigation",
    "rename",
    "symbols",
    "semantic_tokens",
    "formatting",
    "ranges",
    "code_action",
    "code_lens",
    "inlay_hint",
    "signature_help",
    "call_hierarchy",
    "diagnostic",
)


def _records(file: str) -> tuple[Feature, ...]:
    return import_module(f".{file}", __package__).FEATURES


FEATURES: dict[str, Feature] = {feature.method: feature for file in _FILES for feature in _records(file)}
"""By the protocol's name of the request."""
