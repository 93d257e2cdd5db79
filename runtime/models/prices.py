"""What a call costs, and how much a model takes.

The prices in an LM's own settings come first. Then LiteLLM's price map, which ships inside that
package as one JSON file; importing the package takes seconds, so the file is searched as text for
the one entry that is asked for.
"""

from __future__ import annotations

import functools
import importlib.util
import json
from pathlib import Path
from typing import NamedTuple, cast

from ..schema.program import LM
from ..schema.types import JsonValue
from ..schema.usage import Usage
from .endpoints import PROVIDERS, split_model

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
    listed = Price(0.0, 0.0) if known is not None and known.free else _listed(provider, name)
    each = [
        given / _MILLION if given is not None else listed[i] if listed is not None else None
        for i, given in enumerate((lm.price_input, lm.price_output))
    ]
    return None if each[0] is None or each[1] is None else Price(each[0], each[1])


def context_window(lm: LM) -> int | None:
    """Tokens that a prompt of `lm` may have, or None where nobody says so."""
    for entry in _entries(*split_model(lm.model)):
        for name in ("max_input_tokens", "max_tokens"):
            most = entry.get(name)
            if isinstance(most, int) and not isinstance(most, bool) and most > 0:
                return most
    return None


def _listed(provider: str, name: str) -> Price | None:
    for entry in _entries(provider, name):
        costs = (entry.get("input_cost_per_token"), entry.get("output_cost_per_token"))
        if all(isinstance(cost, int | float) for cost in costs):
            return Price(*cast("tuple[float, float]", costs))
    return None


@functools.lru_cache(maxsize=256)
def _entries(provider: str, name: str) -> tuple[dict[str, JsonValue], ...]:
    """What LiteLLM's map says of the model, nearest first; nothing of the embedded one."""
    found: list[dict[str, JsonValue]] = []
    text = "" if provider == "embedded" else _map_text()
    for key in (f"{provider}/{name}", name) if provider else (name,):
        start = text.find(f"\n    {json.dumps(key)}: {{")
        if start < 0:
            continue
        entry = cast("dict[str, JsonValue]", json.JSONDecoder().raw_decode(text, text.index("{", start))[0])
        if provider and key == name and entry.get("litellm_provider") != provider:
            continue
        found.append(entry)
    return tuple(found)


def _map_text() -> str:
    """LiteLLM's price map as text (megabytes: not kept); empty when the package is not installed."""
    found = importlib.util.find_spec("litellm")
    for folder in (found.submodule_search_locations or ()) if found else ():
        path = Path(folder) / _FILE
        if path.is_file():
            return path.read_text(encoding="utf-8")
    return ""
