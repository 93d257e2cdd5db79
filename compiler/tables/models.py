"""What is known of models before one is asked: whether there is such a provider, and what they do not take.

The names stand in `known_models.py`, which is generated and imported when a file needs it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from dspec.runtime.models.endpoints import PROVIDERS, split_model
from dspec.runtime.schema.lms import LM, SENT

_DATED = r"[-@](?:\d{4}-\d\d-\d\d|\d{8}|latest|default)$|-v\d(?::\d)?$"
_MAKER = r"^(?:[a-z-]+\.)?(?:anthropic|openai)\."
EMBEDDED = "embedded"
ALL = "*"
"""Stands for every model of a provider, new ones among them."""


def plain_name(name: str) -> str:
    """A model's name without region, maker, version and date: `us.anthropic.claude-opus-4-8` is `claude-opus-4-8`."""
    name = re.sub(_MAKER, "", name.rpartition("/")[2])
    while (shorter := re.sub(_DATED, "", name)) != name:
        name = shorter
    return name


def family(name: str) -> str:
    """What a model's name begins with, and what divides it from the rest: `gemini-` of `gemini-pro`, `qwen.` of `qwen.qwen3`."""
    found = re.match(r"[^-.:@]*[-.:@]", name)
    return found[0] if found else name


def unknown_provider(model: str) -> str | None:
    """What stands where a provider is named, if no provider is called that; empty where no provider is named and one is needed.

    Which models a provider has changes by the week, so a known provider may have any.
    """
    provider, _ = split_model(model)
    if provider in PROVIDERS or provider == EMBEDDED:
        return None
    from .known_models import FAMILIES, NAMES
    from .known_models import PROVIDERS as OF_LITELLM

    if provider:
        return None if provider in OF_LITELLM.split() else provider
    return None if family(model) in FAMILIES.split() or model in NAMES.split() else ""


def provider_names() -> tuple[str, ...]:
    from .known_models import PROVIDERS as OF_LITELLM

    return tuple(sorted({*PROVIDERS, *OF_LITELLM.split()}))


def models_of(provider: str) -> tuple[str, ...]:
    """Models of a provider that are known by name, without it. There may be others: they change by the week."""
    from .known_models import NOT_TAKEN, ONE_TEMPERATURE

    listed = [ONE_TEMPERATURE.get(provider, ""), *NOT_TAKEN.get(provider, {}).values()]
    return tuple(sorted({name for names in listed for name in names.split()} - {ALL}))


def usual_key(model: str) -> str:
    """The variable in which a key for the model is usually kept."""
    provider, _ = split_model(model)
    if provider in PROVIDERS and PROVIDERS[provider].key_env:
        return PROVIDERS[provider].key_env[0]
    return "MODEL_API_KEY"


def takes_one_temperature(lm: LM) -> bool:
    """Whether the model is known to take the temperature 1 and no other. Nothing is known of a server of one's own."""
    from .known_models import ONE_TEMPERATURE

    provider, name = split_model(lm.model)
    if (lm.api_base or lm.api_base_env) and not provider.startswith("azure"):
        return False
    return plain_name(name) in ONE_TEMPERATURE.get(provider, "").split()


_NO_TOP_K = frozenset({"openai", "azure", "groq", "mistral", "deepseek", "xai"})
"""Providers whose protocol has no `top_k`, which is none of OpenAI's names and so in no list of LiteLLM's."""
_THINK_WHEN_TOLD = frozenset({"anthropic", "azure_ai", "bedrock", "gemini", "vertex_ai"})
"""Providers whose models tell what they thought only where a request says how much they are to think."""


def not_taken(lm: LM, names: Iterable[str]) -> list[str]:
    """Those of the parameters that the model is known not to take. Nothing is known of a server of one's own."""
    provider, name = split_model(lm.model)
    asked = [one for one in names if one in SENT or one == "seed"]
    if not asked or ((lm.api_base or lm.api_base_env) and not provider.startswith("azure")):
        return []
    if provider == EMBEDDED:
        return [one for one in asked if one != "seed"]
    from .known_models import NOT_TAKEN

    refused = {"top_k"} if provider in _NO_TOP_K else set[str]()
    for parameters, models in NOT_TAKEN.get(provider, {}).items():
        if models == ALL or plain_name(name) in models.split():
            refused |= {*parameters.split()}
    return [one for one in asked if one in refused]


def thinks_when_told(lm: LM) -> bool:
    """Whether a model of this provider tells what it thinks only where `reasoning_effort` is said."""
    return split_model(lm.model)[0] in _THINK_WHEN_TOLD


def thinking_budget(lm: LM) -> tuple[str, int] | None:
    """The setting by which the model may think for so many tokens of its `max_tokens`, and these; None where none does."""
    thinking = lm.extra.get("thinking")
    if isinstance(thinking, dict):
        given = thinking.get("budget_tokens")
        return ("budget_tokens", given) if isinstance(given, int) else None
    if lm.reasoning_effort is None or lm.api_base or lm.api_base_env:
        return None
    from .known_models import EFFORTS, THINK_WITHIN

    provider, name = split_model(lm.model)
    within = plain_name(name) in THINK_WITHIN.get(provider, "").split()
    budget = EFFORTS.get(lm.reasoning_effort) if within else None
    return None if budget is None else ("reasoning_effort", budget)
