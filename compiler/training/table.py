"""The list of trainers, and which one trains a model."""

from __future__ import annotations

from collections.abc import Mapping

from dspec.runtime.models.endpoints import split_model
from dspec.runtime.running.filetable import FileTable
from dspec.runtime.schema.lms import LM

from .. import ir
from .base import Trainer

_FILES: dict[str, str] = {"local": "local", "hosted": "hosted"}

TRAINERS: Mapping[str, Trainer] = FileTable[Trainer](__package__, _FILES, "TRAINER")
"""By name. A file is imported when its trainer is asked for."""

HOSTED = ("openai", "azure", "vertex_ai")
"""Providers whose models LiteLLM's fine-tuning calls train."""


def trainer_named(lm: LM, settings: ir.Training) -> str | None:
    """The name of what trains the model; None where nothing does."""
    provider, _ = split_model(lm.model)
    wanted = settings.provider or provider
    if provider == "local":
        return "local" if wanted == "local" else None
    return "hosted" if provider in HOSTED and wanted == provider else None
