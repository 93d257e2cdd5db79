"""The project's own `.env`, read by the command line and by nothing else.

It fills in what the environment lacks and never overrides it. It may set only what the program's
models and tools ask for: keys, and addresses of those that also name their key. An address slipped into a borrowed
project would otherwise be sent the user's own key.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, MutableMapping
from pathlib import Path

from dspec.runtime.models.endpoints import PROVIDERS, split_model
from dspec.runtime.schema.program import LM, Tool

_MAX_CHARACTERS = 64 * 1024
_LINE = re.compile(r"(?:export\s+)?([A-Za-z_][A-Za-z0-9_]*)\s*=\s*(.*)")


def fill_environment(
    root: Path,
    lms: Iterable[LM],
    environ: MutableMapping[str, str] = os.environ,
    *,
    tools: Iterable[Tool] = (),
) -> tuple[str, ...]:
    """Sets what `lms` and `tools` need and `environ` lacks from `root/.env`; the names that were set."""
    path = root / ".env"
    wanted = names(lms) | _of_tools(tools)
    try:
        with path.open(encoding="utf-8") as file:
            text = file.read(_MAX_CHARACTERS)
    except (OSError, UnicodeDecodeError):
        return ()
    found = {name: value for name, value in parse(text).items() if name in wanted and name not in environ}
    environ.update(found)
    return tuple(found)


def names(lms: Iterable[LM]) -> set[str]:
    """The variables that models read and a `.env` may set."""
    wanted: set[str] = set()
    for lm in lms:
        provider, _ = split_model(lm.model)
        if provider in PROVIDERS:
            wanted.update(PROVIDERS[provider].key_env)
        if lm.api_key_env is not None:
            wanted.add(lm.api_key_env)
            if lm.api_base_env is not None:
                wanted.add(lm.api_base_env)
    return wanted


def _of_tools(tools: Iterable[Tool]) -> set[str]:
    """The variables that tools name: their keys, and the addresses of those that name a key."""
    wanted: set[str] = set()
    for tool in tools:
        key, address = tool.options.get("api_key_env"), tool.options.get("url_env")
        if isinstance(key, str):
            wanted.add(key)
            if isinstance(address, str):
                wanted.add(address)
    return wanted


def parse(text: str) -> dict[str, str]:
    """`NAME=value` lines; quotes around a value and comments are taken off, nothing is expanded."""
    values: dict[str, str] = {}
    for line in text.splitlines():
        match = _LINE.fullmatch(line.strip())
        if match is None:
            continue
        name, value = match[1], match[2].strip()
        if value[:1] in ("'", '"'):
            value = value[1:].partition(value[0])[0]
        else:
            value = re.split(r"\s+#", value, maxsplit=1)[0].strip()
        if "\0" not in value:
            values[name] = value
    return values
