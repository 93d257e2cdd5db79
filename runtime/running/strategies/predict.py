"""Predict: the signature, put to the model as it stands."""

from __future__ import annotations

from .base import ModuleStrategy

STRATEGY = ModuleStrategy(name="Predict", doc="One call that answers the signature directly.")
