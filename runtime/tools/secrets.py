"""Takes values of the environment out of what is said of a tool's failure, which a model and a trace will see."""

from __future__ import annotations

import os
import re

from ..schema.program import Tool
from ..schema.types import JsonValue

_SECRET = re.compile(r"KEY|TOKEN|SECRET|PASS|CREDENTIAL|AUTH|COOKIE|SESSION", re.IGNORECASE)
_SHORTEST = 6


def without_secrets(text: str, tool: Tool) -> str:
    """The text with the name of the variable in place of each value that is a secret by its name, or that the
    tool's options name."""
    return _covered(text, _secrets(tool))


def value_without_secrets(value: JsonValue, tool: Tool) -> JsonValue:
    """The value with that done in all texts of it."""
    found = _secrets(tool)

    def covered(part: JsonValue) -> JsonValue:
        match part:
            case str():
                return _covered(part, found)
            case list():
                return [covered(one) for one in part]
            case dict():
                return {_covered(name, found): covered(one) for name, one in part.items()}
            case _:
                return part

    return covered(value)


def _secrets(tool: Tool) -> list[tuple[str, str]]:
    """Values and the names of their variables, the longest first."""
    named = {
        value for name, value in tool.options.items() if name.endswith("_env") and isinstance(value, str)
    }
    found = [
        (value, name)
        for name, value in os.environ.items()
        if len(value) >= _SHORTEST and (name in named or _SECRET.search(name))
    ]
    return sorted(found, key=lambda one: -len(one[0]))


def _covered(text: str, secrets: list[tuple[str, str]]) -> str:
    for value, name in secrets:
        text = text.replace(value, f"<{name}>")
    return text
