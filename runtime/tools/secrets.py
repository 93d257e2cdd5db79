"""Takes values of the environment out of what is said of a tool's failure, which a model and a trace will see."""

from __future__ import annotations

import os
import re

from ..schema.program import Tool

_SECRET = re.compile(r"KEY|TOKEN|SECRET|PASS|CREDENTIAL|AUTH|COOKIE|SESSION", re.IGNORECASE)
_SHORTEST = 6


def without_secrets(text: str, tool: Tool) -> str:
    """The text with the name of the variable in place of each value that is a secret by its name, or that the
    tool's options name."""
    named = {
        value for name, value in tool.options.items() if name.endswith("_env") and isinstance(value, str)
    }
    found = [
        (value, name)
        for name, value in os.environ.items()
        if len(value) >= _SHORTEST and (name in named or _SECRET.search(name)) and value in text
    ]
    for value, name in sorted(found, key=lambda one: -len(one[0])):
        text = text.replace(value, f"<{name}>")
    return text
