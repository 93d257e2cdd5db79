"""Puts an application's settings onto its program: other models, where they are, with whose key, and how they are asked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import cast

from ..arguments import KeySource
from ..errors import ConfigurationError
from ..models.endpoints import split_model
from ..schema.ensemble import Runnable, parts
from ..schema.lms import LM
from ..schema.program import asked_besides, embedders

PerModel = str | Mapping[str, str] | None
"""One value for every model of the program, or values by the models' names in it."""
Limit = float | Mapping[str, float]

LIMITS = {
    "retry": "retry",
    "rpm": "rpm",
    "tpm": "tpm",
    "max_parallel": "max_parallel",
    "attempt_timeout": "timeout",
}
"""How models are asked, by the names that an application has for it, and those that an `LM` has."""


@dataclass(frozen=True)
class Overrides:
    """What an application says of its program's models."""

    lm: PerModel = None
    api_base: PerModel = None
    api_key_env: PerModel = None
    limits: Mapping[str, Limit] = field(default_factory=dict[str, "Limit"])
    """By the names in `LIMITS`."""


def configured(program: Runnable, said: Overrides) -> Runnable:
    """The program on the application's models. Raises ConfigurationError."""
    used = used_by(program)
    models, addresses, keys = (
        _by_name(value, what, names, program)
        for value, what, names in (
            # One model for all is one that answers, not one that compares.
            (said.lm, "lm", [name for name in used if name not in _embedders(program)]),
            (said.api_base, "api_base", used),
            (said.api_key_env, "api_key_env", used),
        )
    )
    for what, given in said.limits.items():
        if isinstance(given, Mapping):
            _known(given, what, used, program)
    lms: dict[str, LM] = {}
    for name in used:
        changed = program.lms[name]
        if name in models:
            changed = _with_model(changed, models[name])
        embedded = split_model(changed.model)[0] == "embedded"
        if name in addresses and not (embedded and isinstance(said.api_base, str)):
            changed = changed.model_copy(
                update={"api_base": addresses[name], "api_base_env": None, "custom_endpoint": False}
            )
        if name in keys:
            changed = changed.model_copy(update={"api_key_env": keys[name]})
        if changed.custom_endpoint:
            raise ConfigurationError(
                f"the model `{name}` ({changed.model}) was compiled against its own endpoint, "
                "and artifacts never carry an address",
                help=f'say where it is served: load(…, api_base={{"{name}": "http://…/v1"}}), `dspc run --api-base`; '
                f'or use another model: load(…, lm={{"{name}": "…"}}), `dspc run --lm`',
            )
        if changed.mode is not None:
            # Who calls a program waits for it. Batches are for compiles, and for many rows, which say so themselves.
            changed = changed.model_copy(update={"mode": None})
        lms[name] = _limited(changed, said.limits)
    return program.with_lms(lms)


def used_by(program: Runnable) -> list[str]:
    """The models that a run can ask, those that they lead to included, in the program's order."""
    wanted = {predictor.lm for part in parts(program) for predictor in part.predictors.values()}
    wanted |= {name for part in parts(program) for name in asked_besides(part)}
    wanted |= {extract for name in wanted if (extract := program.lms[name].extract) is not None}
    wanted |= {other for name in wanted for other in program.lms[name].fallback}
    return [name for name in program.lms if name in wanted]


class Keys:
    """Keys that an application gives itself. Each is for one model where it is served: another model or address in that
    one's place is never shown it."""

    def __init__(self, program: Runnable, given: KeySource | dict[str, KeySource]) -> None:
        used = [name for name in used_by(program) if split_model(program.lms[name].model)[0] != "embedded"]
        named = cast("dict[str, KeySource]", given) if isinstance(given, dict) else None
        by_name = dict.fromkeys(used, cast("KeySource", given)) if named is None else named
        _known(by_name, "api_key", used, program)
        self._sources = {_served(program.lms[name]): source for name, source in by_name.items()}
        if named is None and len({place[1:] for place in self._sources}) > 1:
            each = ", ".join(f'"{name}": …' for name in used)
            raise ConfigurationError(
                "one `api_key` for models that are served at several places would be shown at each of them",
                help=f"give one for each model: api_key={{{each}}}",
            )

    def of(self, lm: LM) -> str | None:
        """The key for a model; None where the application gives none. Raises ConfigurationError."""
        source = self._sources.get(_served(lm))
        if source is None:
            return None
        try:
            key = cast("object", source if isinstance(source, str) else source())
        except Exception as error:
            raise ConfigurationError(
                f"lm {lm.name}: the function that gives its key raised {type(error).__name__}"
            ) from error
        if not isinstance(key, str) or not key.strip():
            raise ConfigurationError(f"lm {lm.name}: the key that the application gives is no text, or empty")
        return key.strip()


def _served(lm: LM) -> tuple[str | None, ...]:
    return (lm.name, split_model(lm.model)[0], lm.api_base, lm.api_base_env)


def _embedders(program: Runnable) -> set[str]:
    """The models that compare texts."""
    return {name for part in parts(program) for name in embedders(part)}


def _by_name(value: PerModel, what: str, used: Sequence[str], program: Runnable) -> dict[str, str]:
    if value is None:
        return {}
    if isinstance(value, str):
        return dict.fromkeys(used, value)
    _known(value, what, used, program)
    return dict(value)


def _known(names: Mapping[str, object], what: str, used: Sequence[str], program: Runnable) -> None:
    for name in names:
        if name not in program.lms:
            raise ConfigurationError(
                f"`{what}` names the model `{name}`, which the program does not have",
                help=f"its models are {', '.join(f'`{other}`' for other in used)}",
            )


def _limited(lm: LM, limits: Mapping[str, Limit]) -> LM:
    changes: dict[str, object] = {}
    for what, given in limits.items():
        value = given.get(lm.name) if isinstance(given, Mapping) else given
        if value is not None:
            changes[LIMITS[what]] = value
            if what == "retry":
                changes["retry_said"] = True
    return lm.model_copy(update=changes) if changes else lm


def _with_model(lm: LM, model: str) -> LM:
    """Another model in an LM's place; what belonged to the old one's provider does not come along."""
    changes: dict[str, object] = {"model": model, "weights": None, "price_input": None, "price_output": None}
    if split_model(model)[0] != split_model(lm.model)[0]:
        changes |= {"api_base": None, "api_base_env": None, "api_key_env": None, "custom_endpoint": False}
        changes |= {"api_version": None, "headers": {}, "headers_env": {}, "extra": {}}
    return lm.model_copy(update=changes if model != lm.model else {})
