"""The list of requests that the server answers about a document. The server asks here and nowhere else."""

from __future__ import annotations

from importlib import import_module

from .base import EditorFeature

_FILES = ("completion",)


def _record(file: str) -> EditorFeature:
    return import_module(f".{file}", __package__).FEATURE


FEATURES: dict[str, EditorFeature] = {feature.method: feature for feature in map(_record, _FILES)}
"""By the protocol's name of the request."""
