"""Prices from settings, then from LiteLLM's map."""

from __future__ import annotations

import subprocess
import sys

import pytest

from dspec.runtime.models.prices import Price, price
from dspec.runtime.schema.program import LM
from dspec.runtime.schema.usage import Usage


def lm(model: str, **settings: float) -> LM:
    return LM.model_validate({"name": "m", "model": model, **settings})


def test_settings_are_per_million_and_come_first() -> None:
    found = price(lm("openai/gpt-4o-mini", price_input=1.0, price_output=2.0))
    assert found == Price(1e-6, 2e-6)
    assert found.of(Usage(1_000_000, 500_000)) == pytest.approx(2.0)


@pytest.mark.parametrize("model", ["openai/gpt-4o-mini", "gpt-4o-mini"])
def test_listed_prices(model: str) -> None:
    assert price(lm(model)) == Price(1.5e-07, 6e-07)
    assert price(lm(model, price_input=1.0)) == Price(1e-6, 6e-07)


def test_free_and_unknown() -> None:
    assert price(lm("embedded/icl")) == Price(0.0, 0.0)
    assert price(lm("ollama_chat/whatever")) == Price(0.0, 0.0)
    assert price(lm("openai/a-model-nobody-lists")) is None
    assert price(lm("openai/a-model-nobody-lists", price_input=1.0)) is None
    assert price(lm("hosted_vllm/gpt-4o-mini")) is None


def test_the_map_is_read_without_importing_litellm() -> None:
    code = (
        "import sys; from dspec.runtime.models.prices import price; from dspec.runtime.schema.program import LM;"
        "assert price(LM(name='m', model='openai/gpt-4o-mini')); assert 'litellm' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
