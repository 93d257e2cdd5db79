"""What a call costs, and what else is listed of a model: its context window, whether it calls tools or takes a schema.

The prices in an LM's own settings come first. Then LiteLLM's model map, which ships inside that
package as one JSON file; importing the package takes seconds, so the file is searched as text for
the one entry that is asked for.
"""

from __future__ import annotations

import functools
import importlib.util
import json
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, cast

from msgspec.structs import replace

from ..schema.identity import Same
from ..schema.program import LM
from ..schema.types import JsonValue
from ..schema.usage import Usage
from ..values.media import MediumKind
from .endpoints import PROVIDERS, split_model

if TYPE_CHECKING:
    from .protocol import Answer

_FILE = "model_prices_and_context_window_backup.json"
_MILLION = 1_000_000


class Price(NamedTuple):
    """USD per token."""

    input: float
    output: float

    def of(self, usage: Usage) -> float:
        return usage.input_tokens * self.input + usage.output_tokens * self.output


def price(lm: LM) -> Price | None:
    """The price of `lm`, or None where nobody knows one. Discounts for cached input are not counted."""
    provider, name = split_model(lm.model)
    if provider == "embedded":
        return Price(0.0, 0.0)
    known = PROVIDERS.get(provider)
    free = known is not None and known.free
    listed = Price(0.0, 0.0) if free else _listed(provider, name, batched=lm.batched)
    each = [
        given / _MILLION if given is not None else listed[i] if listed is not None else None
        for i, given in enumerate((lm.price_input, lm.price_output))
    ]
    return None if each[0] is None or each[1] is None else Price(each[0], each[1])


def costs_nothing(lms: Iterable[LM]) -> bool:
    """Whether calls of all these models are known to be free."""
    return all((each := price(lm)) is not None and not any(each) for lm in lms)


def at_price(answer: Answer, lm: LM) -> Answer:
    """A kept answer with what it would cost today; without a cost where nobody knows the price any more."""
    return at_rate(answer, _price_of(Same(lm)))


def at_rate(answer: Answer, each: Price | None) -> Answer:
    """The same at a price that is known already."""
    cost = None if each is None else each.of(answer.usage)
    return answer if answer.cost == cost else replace(answer, cost=cost)


@functools.lru_cache(maxsize=256)
def _price_of(lm: Same[LM]) -> Price | None:
    return price(lm.value)


def context_window(lm: LM) -> int | None:
    """Tokens that a prompt may have; None where nobody knows: at an address of one's own any model may stand."""
    found = _known(lm).get("max_input_tokens")
    return found if isinstance(found, int) and not isinstance(found, bool) and found > 0 else None


def native(lm: LM) -> bool:
    """Whether an agent's model is to call tools by the provider's own means: as it is set, or as it is listed. One that
    answers in two steps names them in its words."""
    if lm.two_step:
        return False
    if lm.tool_calls is not None:
        return lm.tool_calls == "native" and split_model(lm.model)[0] != "embedded"
    return _known(lm).get("supports_function_calling") is True


def takes(lm: LM, medium: MediumKind) -> bool | None:
    """Whether the model is listed as taking such inputs; None where nobody knows."""
    known = _known(lm)
    listed: dict[MediumKind, str] = {
        "image": "supports_vision",
        "audio": "supports_audio_input",
        "file": "supports_pdf_input",
    }
    return known.get(listed[medium]) is True if known else None


def takes_schema(lm: LM) -> bool:
    """Whether the model is listed to take a JSON schema for its answer."""
    return _known(lm).get("supports_response_schema") is True


_SILENT = ("openai", "azure")
"""Providers whose chat completions never tell what a model thought."""


def reasons(lm: LM) -> bool:
    """Whether the model's own reasoning stands for a written one: as it is set, unless the model is known to give none."""
    provider, _ = split_model(lm.model)
    if lm.reasoning is None or provider == "embedded":
        return False
    if _own_address(lm):
        return True
    known = _known(lm)
    return provider not in _SILENT and (not known or known.get("supports_reasoning") is True)


def _own_address(lm: LM) -> bool:
    return lm.api_base is not None or lm.api_base_env is not None or lm.custom_endpoint


def _known(lm: LM) -> dict[str, JsonValue]:
    provider, name = split_model(lm.model)
    return {} if _own_address(lm) or provider == "embedded" else _entry(provider, name)


def _listed(provider: str, name: str, *, batched: bool) -> Price | None:
    """The price in the map. One of batches counts where it is listed; else they are taken to cost as much as other calls."""
    entry = _entry(provider, name)
    found: list[float] = []
    for what in ("input_cost_per_token", "output_cost_per_token"):
        cost, less = entry.get(what), entry.get(f"{what}_batches")
        if not isinstance(cost, int | float):
            return None
        found.append(less if batched and isinstance(less, int | float) else cost)
    return Price(found[0], found[1])


@functools.lru_cache(maxsize=256)
def _entry(provider: str, name: str) -> dict[str, JsonValue]:
    """What the map says of a model, an entry with prices before one without; empty where it is not listed."""
    if name.startswith("ft:"):
        name = ":".join(name.split(":")[:2])  # whose it is, and what it is called, has no price of its own
    text = _map_text()
    found: dict[str, JsonValue] = {}
    for key in (f"{provider}/{name}", name) if provider else (name,):
        start = text.find(f"\n    {json.dumps(key)}: {{")
        if start < 0:
            continue
        entry = cast("dict[str, JsonValue]", json.JSONDecoder().raw_decode(text, text.index("{", start))[0])
        if provider and key == name and entry.get("litellm_provider") != provider:
            continue
        if isinstance(entry.get("input_cost_per_token"), int | float):
            return entry
        found = found or entry
    return found


def _map_text() -> str:
    """LiteLLM's price map as text (megabytes: not kept); empty when the package is not installed."""
    found = importlib.util.find_spec("litellm")
    for folder in (found.submodule_search_locations or ()) if found else ():
        path = Path(folder) / _FILE
        if path.is_file():
            return path.read_text(encoding="utf-8")
    return ""
