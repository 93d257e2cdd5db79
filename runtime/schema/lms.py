"""Models, and how they are asked: what an `lm` declares, and what a module says otherwise of its own calls."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache
from typing import Literal

from pydantic import Field

from .identity import Same
from .types import Frozen, JsonValue

AdapterName = Literal["chat", "json", "xml", "two_step"]
Effort = Literal["none", "minimal", "low", "medium", "high", "xhigh"]
Verbosity = Literal["low", "medium", "high"]

REASONING = "reasoning"
"""The output, before all others, that a model's own reasoning may stand for: what a chain of thought adds is called so."""

RETRY = 4
"""Further attempts where nobody says how many."""


def _empty(value: object) -> bool:
    return not value


def _unset(value: object) -> bool:
    return value is None


class RequestParameters(Frozen):
    """What a request says besides its messages and came later than `temperature`: left out of every text where it is not set,
    so that keys and hashes of programs without it stay what they were."""

    top_p: float | None = Field(default=None, exclude_if=_unset)
    top_k: int | None = Field(default=None, exclude_if=_unset)
    stop: tuple[str, ...] | None = Field(default=None, exclude_if=_unset)
    frequency_penalty: float | None = Field(default=None, exclude_if=_unset)
    presence_penalty: float | None = Field(default=None, exclude_if=_unset)
    reasoning_effort: Effort | None = Field(default=None, exclude_if=_unset)
    verbosity: Verbosity | None = Field(default=None, exclude_if=_unset)


SENT = (
    "top_p",
    "top_k",
    "stop",
    "frequency_penalty",
    "presence_penalty",
    "reasoning_effort",
    "verbosity",
)
"""Those of `RequestParameters` that are sent, by the names that providers have for them."""


USUAL = {"reasoning": "written", "tool_calls": "auto", "mode": "direct"}
"""What a file may write of some settings that says as much as nothing: an `LM` has None there."""


class OwnSettings(RequestParameters):
    """How one module asks its model otherwise than the `lm` says; None where the `lm` counts."""

    temperature: float | None = Field(default=None, exclude_if=_unset)
    max_tokens: int | None = Field(default=None, exclude_if=_unset)
    seed: int | None = Field(default=None, exclude_if=_unset)
    parse: Literal["lenient", "strict"] | None = Field(default=None, exclude_if=_unset)
    adapter: AdapterName | None = Field(default=None, exclude_if=_unset)
    tool_calls: Literal["auto", "native", "text"] | None = Field(default=None, exclude_if=_unset)
    reasoning: Literal["native", "written"] | None = Field(default=None, exclude_if=_unset)

    @property
    def said(self) -> dict[str, object]:
        """What is set, by name, as an `LM` has it."""
        every = {name: getattr(self, name) for name in type(self).model_fields}
        return {
            name: None if USUAL.get(name) == value else value
            for name, value in every.items()
            if value is not None
        }


class TunedWeights(Frozen, defer_build=True):
    """TunedWeights that were tuned: a checkpoint's files, in a folder beside the artifact that the model's name tells."""

    sha256: str
    """Of all files (`models/checkpoints`)."""
    files: dict[str, int]
    """Bytes of each, by name."""
    base: str
    """The model that they were tuned from."""


class LM(RequestParameters):
    """OwnSettings of one model. Secrets are names of environment variables, never values."""

    name: str
    model: str
    """Any LiteLLM model string, or `embedded/…`."""
    api_base: str | None = None
    api_base_env: str | None = None
    api_key_env: str | None = None
    temperature: float | None = None
    max_tokens: int | None = None
    seed: int | None = None
    timeout: float = 120.0
    """Seconds for one attempt, connection and whole answer included."""
    retry: int = RETRY
    """Further attempts after a retryable failure."""
    retry_said: bool = Field(default=False, exclude_if=_empty)
    """True where somebody wrote what is the default: then it is exactly that."""
    fallback: tuple[str, ...] = ()
    rpm: int | None = None
    tpm: int | None = None
    max_parallel: int | None = None
    hedge: bool = False
    """Ask a second time when an answer takes longer than any of late, and take the first of the two."""
    price_input: float | None = None
    """USD per million tokens."""
    price_output: float | None = None
    custom_endpoint: bool = False
    """True in an artifact whose LM had a literal `api_base`: the application must say where it is now."""
    parse: Literal["lenient", "strict"] = "lenient"
    adapter: AdapterName = "chat"
    extract: str | None = Field(default=None, exclude_if=_empty)
    """Key of the model that takes the outputs from an answer in two steps; None where it is the model itself."""
    tool_calls: Literal["native", "text"] | None = Field(default=None, exclude_if=_empty)
    """How an agent's model names its tools: by the provider's own calls, or in its text; None goes by the model."""
    reasoning: Literal["native"] | None = Field(default=None, exclude_if=_unset)
    """Whether a chain of thought is the model's own reasoning, where it gives one, or written as an output (None)."""
    on_unreadable: Literal["fallback"] | None = Field(default=None, exclude_if=_unset)
    """What follows an answer that stays unreadable after it was asked for again: an error (None), or the fallbacks."""
    mode: Literal["batch"] | None = Field(default=None, exclude_if=_unset)
    """Whether it is asked by its provider's batch API, which answers within a day, or at once (None)."""
    api_version: str | None = Field(default=None, exclude_if=_unset)
    """Of the provider's protocol, where it has several."""
    headers: dict[str, str] = Field(default_factory=dict, exclude_if=_empty)
    headers_env: dict[str, str] = Field(default_factory=dict, exclude_if=_empty)
    """Headers whose values are in environment variables, whose names these are."""
    extra: dict[str, JsonValue] = Field(default_factory=dict, exclude_if=_empty)
    """RequestParameters that only some providers know, sent as they are."""
    weights: TunedWeights | None = Field(default=None, exclude_if=_unset)
    """Of a `local/…` model that a compile tuned: what its files must be. None of any other."""

    def __hash__(self) -> int:
        return hash((self.name, self.model, self.temperature, self.max_tokens))

    @property
    def insists(self) -> bool:
        """Whether a request may be sent more often than `retry` says, since nobody said how often."""
        return self.retry == RETRY and not self.retry_said

    @property
    def batched(self) -> bool:
        """Whether it is asked by its provider's batch API. The built-in learner has none, and answers at once."""
        return self.mode == "batch" and not self.model.startswith("embedded/")

    @property
    def two_step(self) -> bool:
        """Whether it answers in its own words, from which a second call takes the outputs. The built-in learner, which has
        no words of its own, never does."""
        return self.adapter == "two_step" and not self.model.startswith("embedded/")

    @property
    def leads_to(self) -> tuple[str, ...]:
        """Keys of the models that may be asked besides it: its fallbacks, and the one that takes outputs from its answers."""
        return self.fallback if self.extract is None else (*self.fallback, self.extract)


def asked_as(lm: LM, settings: OwnSettings | None) -> LM:
    """A model as a module with these settings asks it."""
    return lm if settings is None else _asked_as(Same(lm), Same(settings))


@lru_cache(maxsize=256)
def _asked_as(lm: Same[LM], settings: Same[OwnSettings]) -> LM:
    return lm.value.model_copy(update=settings.value.said)


def with_fallbacks(names: Iterable[str], fallback: Callable[[str], Sequence[str]]) -> list[str]:
    """The names of models and of all that these may lead to, each once, nearest first.

    `fallback` gives the models that a model names itself, its `fallback` alone or all that it `leads_to`; it is a
    function, since a check asks before any `LM` exists.
    """
    found: dict[str, None] = {}
    waiting = list(names)
    while waiting:
        name = waiting.pop(0)
        if name not in found:
            found[name] = None
            waiting += fallback(name)
    return list(found)
