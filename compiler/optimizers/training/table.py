"""The list of trainers, and which one trains a model."""

from __future__ import annotations

from collections.abc import Mapping

from dspec.runtime.models.endpoints import split_model
from dspec.runtime.running.filetable import FileTable
from dspec.runtime.schema.lms import LM
from dspec.runtime.schema.program import Program

from ... import ir
from .base import Trainer

_FILES: dict[str, str] = {"local": "local", "hosted": "hosted"}

TRAINERS: Mapping[str, Trainer] = FileTable[Trainer](__package__, _FILES, "TRAINER")
"""By name. A file is imported when its trainer is asked for."""

HOSTED = ("openai", "azure", "vertex_ai")
"""Providers whose models LiteLLM's fine-tuning calls train."""


def tunable_models(program: Program, settings: Mapping[str, ir.TrainSettings]) -> bool:
    """Whether something trains every model that the program's predictors ask."""
    asked = {predictor.lm for predictor in program.predictors.values()}
    return bool(asked) and all(
        name in program.lms
        and trainer_named(program.lms[name], settings.get(name, ir.TrainSettings())) is not None
        for name in asked
    )


def trainer_named(lm: LM, settings: ir.TrainSettings) -> str | None:
    """The name of what trains the model; None where nothing does."""
    provider, _ = split_model(lm.model)
    wanted = settings.provider or provider
    if provider == "local":
        return "local" if wanted == "local" else None
    return "hosted" if provider in HOSTED and wanted == provider else None
