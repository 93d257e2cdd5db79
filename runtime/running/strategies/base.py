"""What a strategy is: a record of all that check, plan, running, prompts, editor and docs know of it.

A module is a strategy applied to a signature. Its predictor carries the strategy's name; whoever needs to
know more looks the name up in the table.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Literal

from msgspec import Struct

from ...schema.program import FieldSpec, Predictor
from ...schema.types import JsonValue, Row

if TYPE_CHECKING:
    from ..asking import Asked, ProgramRun

Run = Callable[["ProgramRun", Predictor, Row], Awaitable["Asked"]]
"""One run of a predictor on checked inputs; raises as `asking.ask` does.

What it gives ends with the exchange that a failed check between steps can go on with (`asking.ask_again`).
"""


async def ask_once(session: ProgramRun, predictor: Predictor, inputs: Row) -> Asked:
    """The signature is put to the model as it stands."""
    from ..asking import ask  # it brings the adapters, which reading a record does not need

    return await ask(session, predictor, inputs)


class StrategyOption(Struct, frozen=True):
    """One option: `tools` is a list of names, `metric` a name, the others are numbers. None is no default."""

    name: str
    value: Literal["tools", "metric", "integer", "number"]
    doc: str
    default: JsonValue = None


class ModuleStrategy(Struct, frozen=True):
    """The facts of one strategy."""

    name: str
    doc: str
    adds: tuple[FieldSpec, ...] = ()
    """Outputs that the model writes before those of the signature, where that has no field of their name."""
    options: tuple[StrategyOption, ...] = ()
    """Besides `lm`, which every module has."""
    calls: int = 1
    """Model calls of one run when every answer parses and every check holds."""
    run: Run = ask_once
    manner: str = ""
    """What a model that writes instructions is told of such a module, as the end of "which …"."""
    dspy: str = ""
    """The attribute of DSPy's module of this name that is its predictor; "" where the module is one itself."""
    missing: str = ""
    """Why it does not run yet, a clause that completes "not supported yet: …"; "" of one that runs."""
