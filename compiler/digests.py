"""What makes two programs the same program.

A module of its own because optimizers ask for it, and whoever reads the table of optimizers (a check,
the editor) must not wait for the engine and the store behind it.
"""

from __future__ import annotations

from dspec.runtime.ensemble import Ensemble, Runnable
from dspec.runtime.program import digest
from dspec.runtime.types import JsonValue


def program_digest(program: Runnable) -> str:
    """Hash of what of a program determines its answers, the models aside.

    The program's own name, predictors that no step calls, and the order of declarations are not part
    of it: they reach no prompt and no output.
    """
    if isinstance(program, Ensemble):
        own: dict[str, JsonValue] = program.model_dump(mode="json", include={"outputs", "size", "seed"})
        reducer = program.reducer
        own["reduce"] = program.reduce.model_dump(mode="json") if reducer is None else program_digest(reducer)
        return digest({**own, "members": [program_digest(member) for member in program.members]})
    called = {step.predictor for step in program.steps if step.kind == "call"}
    plain: dict[str, JsonValue] = program.model_dump(
        mode="json",
        exclude={"name": True, "lms": True, "predictors": {"__all__": {"lm"}}},
    )
    predictors = plain["predictors"]
    assert isinstance(predictors, dict)
    plain["predictors"] = {name: predictors[name] for name in predictors if name in called}
    if plain["neighbours"] is None:
        del plain["neighbours"]
    return digest(plain)
