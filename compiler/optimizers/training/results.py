"""What came of a training, as a program asks it: names, and the checkpoint that it left."""

from __future__ import annotations

from pathlib import Path

from dspec.runtime.models.checkpoints import is_local, know, weights_of
from dspec.runtime.models.endpoints import split_model
from dspec.runtime.schema.lms import LM
from dspec.runtime.schema.program import Program

from .base import Trained, TrainingJob


def local_result(folder: Path, base: str, job: TrainingJob) -> Trained:
    """The checkpoint that a training left in a folder, which is known from now on."""
    weights = weights_of(folder, base)
    know(weights.sha256, folder)
    return Trained(f"local/tuned-{weights.sha256[:16]}", weights, job)


TUNED = "+tuned"
"""Follows a model's name in that of what was trained from it. Nothing in a file can be called so."""


def tuned_name(name: str, address: str | None) -> str:
    """What a program calls a model that was trained, for one predictor or for all that ask it."""
    return f"{untuned_name(name)}{TUNED}" + ("" if address is None else f":{address}")


def untuned_name(name: str) -> str:
    """The name of the declared model that this one was trained from, or its own."""
    return name.partition(TUNED)[0]


def tuned_lm(lm: LM, name: str, found: Trained, *, in_text: bool) -> LM:
    """The model as the program asks it from now on; `in_text` where agents name their tools in words, as it learned to."""
    changes: dict[str, object] = {"name": name, "model": found.model, "weights": found.weights}
    if lm.api_base is None and lm.api_base_env is None:
        changes |= {"price_input": None, "price_output": None}
    if in_text:
        changes["tool_calls"] = "text"
    return lm.model_copy(update=changes)


def tuned_shape(program: Program) -> Program:
    """The program as a plan reckons with it after its models were trained: at the prices of tuned ones."""
    asked = {predictor.lm for predictor in program.predictors.values()}
    tuned = {name: _priced_as_tuned(program.lms[name]) for name in asked if name in program.lms}
    predictors = {
        address: predictor.model_copy(update={"lm": tuned[predictor.lm].name})
        if predictor.lm in tuned
        else predictor
        for address, predictor in program.predictors.items()
    }
    lms = {**program.lms, **{lm.name: lm for lm in tuned.values()}}
    return program.model_copy(update={"predictors": predictors, "lms": lms})


def _priced_as_tuned(lm: LM) -> LM:
    provider, name = split_model(lm.model)
    model = lm.model if is_local(lm.model) or name.startswith("ft:") else f"{provider}/ft:{name}"
    found = Trained(model, lm.weights, TrainingJob("", "", "", "", 0, 0, {}))
    return tuned_lm(lm, tuned_name(lm.name, None), found, in_text=False)
