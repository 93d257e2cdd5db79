"""A program as DSPy's saved state: the JSON that `Module.save("….json")` of DSPy 3.4 writes and `load` reads.

The format has no names and no types of fields, and no steps: it fits a DSPy module whose predictors have the
same fields in the same order, inputs before outputs. It is written for such a module; nothing of DSPy is
needed here, and nothing is ever read from it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from ..errors import ArtifactError
from ..running.strategies.table import strategy_of
from ..schema.ensemble import Ensemble, Runnable
from ..schema.program import Demo, FieldSpec, Predictor
from ..schema.types import JsonValue

ITSELF = "self"
"""Name of the only predictor of a DSPy module that is a bare `dspy.Predict`: its state has no name."""

_METADATA: JsonValue = {"dependency_versions": {}}


def dspy_state(program: Runnable, names: Mapping[str, str] | None = None) -> dict[str, JsonValue]:
    """The state of a DSPy module with this program's instructions and demos.

    `names` gives a predictor's name in DSPy by its address; without one it is the address, and for a chain of
    thought the `predict` inside. Raises ArtifactError for an address that is not there, for names that clash,
    and for what the format cannot hold: an ensemble, and demos that are chosen per input.
    """
    if isinstance(program, Ensemble):
        raise ArtifactError(
            "DSPy's format holds one program, and this is an ensemble of several",
            help="compile with `emit` on a step before the ensemble, and export that",
        )
    if program.neighbours is not None:
        raise ArtifactError(
            "DSPy's format holds the demos of a prompt, and this program chooses its demos per input",
            help="export a program whose demos are fixed, as BootstrapFewShot makes it",
        )
    given = dict(names or {})
    unknown = [address for address in given if address not in program.predictors]
    if unknown:
        raise ArtifactError(
            f"there is no predictor `{unknown[0]}`", help=f"there is {', '.join(program.predictors)}"
        )
    named = {
        address: given.get(address, _usual_name(address, predictor))
        for address, predictor in program.predictors.items()
    }
    if ITSELF in named.values():
        if len(named) > 1:
            raise ArtifactError(
                f"`{ITSELF}` is the name of a module's only predictor, and this program has {len(named)}"
            )
        address = next(iter(named))
        return {**_predictor(program.predictors[address]), "metadata": _METADATA}
    states: dict[str, JsonValue] = {}
    for address, name in named.items():
        if name in states or name == "metadata":
            raise ArtifactError(
                f"`{address}` cannot be named `{name}` in DSPy's file: that name is taken",
                help="give each predictor a name of its own",
            )
        states[name] = _predictor(program.predictors[address])
    return {**states, "metadata": _METADATA}


def _usual_name(address: str, predictor: Predictor) -> str:
    inner = strategy_of(predictor).dspy
    return f"{address}.{inner}" if inner else address


def _predictor(predictor: Predictor) -> dict[str, JsonValue]:
    signature = predictor.signature
    return {
        "traces": [],
        "train": [],
        "demos": [_demo(demo) for demo in predictor.demos],
        "signature": {
            # DSPy knows no text that is kept from optimizers: it becomes part of the instruction.
            "instructions": "\n".join(text for text in (signature.instruction, *signature.fixed) if text),
            "fields": [_field(field) for field in (*signature.inputs, *signature.outputs)],
        },
        "lm": None,
    }


def _demo(demo: Demo) -> dict[str, JsonValue]:
    mark: dict[str, JsonValue] = {"augmented": True} if demo.augmented else {}
    return {**mark, **demo.inputs, **demo.outputs}


def _field(field: FieldSpec) -> dict[str, JsonValue]:
    description = field.description or f"${{{field.name}}}"
    return {"prefix": f"{title(field.name)}:", "description": description}


def title(name: str) -> str:
    """A field's name in words, as DSPy heads it: `snake_case2` is `Snake Case 2`."""
    spaced = re.sub(r"(.)([A-Z][a-z]+)", r"\1_\2", name)
    spaced = re.sub(r"([a-z0-9])([A-Z])", r"\1_\2", spaced)
    spaced = re.sub(r"([a-zA-Z])(\d)", r"\1_\2", spaced)
    spaced = re.sub(r"(\d)([a-zA-Z])", r"\1_\2", spaced)
    words = [word if word.isupper() else word.capitalize() for word in spaced.split("_")]
    return " ".join(words)
