"""Covers what nobody is to see in a page or a table that is handed on: keys, tokens, and values of the environment.

Rows, answers and reasons are text from elsewhere, and a provider's message may quote a key. So it is covered by its value where
the environment has it under a secret's name, or a model of the program is asked with it, and by its shape everywhere.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable

from dspec.runtime.schema.lms import LM
from dspec.runtime.schema.requests import header_is_secret
from dspec.runtime.schema.types import JsonValue

COVER = "[covered]"
_NAMES = re.compile(r"KEY|TOKEN|SECRET|PASS|CREDENTIAL|AUTH|COOKIE|SESSION|PRIVATE|DSN", re.IGNORECASE)
_SHAPES = re.compile(
    r"\b(?:sk|pk|rk|gsk|xai|key)-[\w*.-]{16,}"
    r"|\b(?:ghp|gho|ghs|github_pat|glpat|xox[abprs]|hf)[_-][A-Za-z0-9_-]{16,}"
    r"|\bAKIA[0-9A-Z]{16}\b|\bAIza[\w-]{30,}"
    r"|(?i:\b(?:bearer|basic)\s+)[A-Za-z0-9._~+/=-]{16,}"
    r"|\beyJ[\w-]{10,}\.[\w-]{10,}\.[\w-]{5,}"
)
_SHORTEST = 8
"""Characters of a value of the environment that is a secret by its name; a shorter one may be any word."""


class Covering:
    """Knows what to cover: secrets of the environment, and those that these models are asked with."""

    def __init__(self, lms: Iterable[LM] = ()) -> None:
        models = list(lms)
        named = {lm.api_key_env for lm in models} | {lm.api_base_env for lm in models}
        named |= {name for lm in models for name in lm.headers_env.values()}
        found = {
            value
            for name, value in os.environ.items()
            if name in named or (len(value) >= _SHORTEST and _NAMES.search(name))
        }
        for lm in models:
            found |= {value for name, value in lm.headers.items() if header_is_secret(name, value)}
            found |= {lm.api_base} if lm.api_base else set[str]()
        self._secrets = sorted((one for one in found if len(one) >= 4), key=lambda one: (-len(one), one))

    def text(self, text: str) -> str:
        for secret in self._secrets:
            if secret in text:
                text = text.replace(secret, COVER)
        return _SHAPES.sub(COVER, text)

    def value(self, value: JsonValue) -> JsonValue:
        """The value with that done in all texts of it, names included."""
        match value:
            case str():
                return self.text(value)
            case list():
                return [self.value(one) for one in value]
            case dict():
                return {self.text(name): self.value(one) for name, one in value.items()}
            case _:
                return value
