"""Whether the models that a step is to tune can be tuned, and on what."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from dspec.runtime.schema.lms import LM
from dspec.runtime.schema.program import Program
from dspec.runtime.values.media import medium_kind

from ... import ir
from ...diagnostics import codes
from ...optimizers.table import SPECS
from ...optimizers.training.table import HOSTED, trainer_named
from ..declarations.lms import training
from ..session import Session
from ..symbols import Symbol
from ..types.declared import RunnableInfo
from .step import StepInfo
from .strategy import defaults_of
from .students import Students


def check_weights(
    session: Session,
    chain: Sequence[StepInfo],
    programs: Students,
    tuned: RunnableInfo,
    lms: Mapping[str, Symbol | None],
) -> None:
    """Report models that a step is to tune and that nothing tunes, and prompts that no trainer takes."""
    for step in chain:
        program = programs.get(step.name)
        optimizer = next(_tuning(step), None)
        if program is None or optimizer is None or step.call is None:
            continue
        at = step.place.at(step.call.callee)
        for address, predictor in program.predictors.items():
            if address in step.frozen:
                continue
            unbound = lms["lm"] is not None and address in tuned.unbound
            model = lms["lm"] if unbound else session.lms.get(predictor.lm)
            settings = None if model is None else session.checked(model)
            if model is None or not isinstance(settings, LM):
                continue
            how = training(session, model) or ir.TrainSettings()
            name = trainer_named(settings, how)
            if name is None or (SPECS[optimizer].trains_here and name != "local"):
                session.report(
                    codes.optimizers.CannotBeTuned(at, optimizer, settings.model, model.location, HOSTED)
                )
                return
            why = _unlearnable(program, address, settings)
            if why:
                session.report(codes.optimizers.CannotBeLearned(at, optimizer, address, why, model.location))
                return


def _tuning(step: StepInfo) -> Iterator[str]:
    """The optimizers of the step that tune weights, by name."""
    if step.spec is None:
        return
    if not step.spec.nests:
        if "weights" in step.spec.sets:
            yield step.spec.name
        return
    inside = [one.spec.name for one in step.nested.values() if one.spec is not None]
    yield from (name for name in (*inside, *defaults_of(step)) if "weights" in SPECS[name].sets)


def _unlearnable(program: Program, address: str, lm: LM) -> str:
    """Why a predictor's prompts cannot be learned, as a clause; "" where they can."""
    if lm.two_step:
        return "its model answers in two steps, so what it is to say is not known"
    fields = program.predictors[address].signature.inputs
    shown = next((one.name for one in fields if medium_kind(one.type)), None)
    return "" if shown is None else f"it is shown `{shown}`, and weights are tuned on text alone"
