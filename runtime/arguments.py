"""What an application passes, looked at where it is passed: a wrong kind is said at once, by the argument's name."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import cast

from .errors import ConfigurationError

KeySource = str | Callable[[], str]
"""A key, or what gives it whenever a model is asked."""


def path_of(name: str, value: object) -> Path:
    """Raises ConfigurationError, as all here."""
    if not isinstance(value, str | os.PathLike):
        raise _wrong(name, value, "a path")
    return Path(cast("str", value))


def some_path(name: str, value: object) -> Path | None:
    return None if value is None else path_of(name, value)


def count_of(name: str, value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool):
        raise _wrong(name, value, "a whole number")
    if value < 1:
        raise ConfigurationError(f"`{name}` must be at least 1")
    return value


MOST_THREADS = 1 << 16
"""Calls in flight at most: a machine has no more connections to one address."""


def threads_of(value: object) -> int:
    found = count_of("threads", value)
    if found > MOST_THREADS:
        raise ConfigurationError(f"`threads` must be at most {MOST_THREADS:,}")
    return found


def limit_of(name: str, value: object, *, least: float, whole: bool = False) -> float:
    """A number that is at least so much."""
    if isinstance(value, bool) or not isinstance(value, int if whole else int | float):
        raise _wrong(name, value, "a whole number" if whole else "a number")
    if not least <= value < math.inf:
        raise ConfigurationError(
            f"`{name}` must be at least {least:g}" + ("" if value < least else ", and finite")
        )
    return value


def seconds_of(name: str, value: object) -> float:
    return limit_of(name, value, least=1e-3)


def choice_of(name: str, value: object) -> bool:
    if not isinstance(value, bool):
        raise _wrong(name, value, "True or False")
    return value


def text_of(name: str, value: object) -> str:
    """A text with something in it."""
    if not isinstance(value, str):
        raise _wrong(name, value, "a text")
    if not value.strip():
        raise ConfigurationError(f"`{name}` is empty")
    return value


def texts_of(name: str, value: object) -> tuple[str, ...]:
    """Several texts. One alone is a mistake: it would be taken for its letters."""
    if isinstance(value, str):
        raise ConfigurationError(f"`{name}` is one text, not several", help=f"write {name}=[{value[:200]!r}]")
    if not _is_list(value):
        raise _wrong(name, value, "a list of texts")
    found = tuple(cast("Iterable[object]", value))
    for place, one in enumerate(found):
        if not isinstance(one, str):
            raise _wrong(f"{name}[{place}]", one, "a text")
    return cast("tuple[str, ...]", found)


def _is_list(value: object) -> bool:
    return isinstance(value, Iterable) and not isinstance(value, Mapping)


def per_model(name: str, value: object) -> str | dict[str, str] | None:
    """One text for all models, or texts by the models' names."""
    if value is None or isinstance(value, str):
        return value
    found = _table(name, value, "a text, or a mapping from models' names to texts")
    for key, one in found.items():
        if not isinstance(one, str):
            raise _wrong(f"{name}[{key!r}]", one, "a text")
    return cast("dict[str, str]", found)


def keys_of(name: str, value: object) -> KeySource | dict[str, KeySource]:
    """A key or what gives it, or such by the models' names."""
    if isinstance(value, str) or callable(value):
        return cast("KeySource", value)
    found = _table(name, value, "a text, a function that gives one, or a mapping from models' names to such")
    for key, one in found.items():
        if not isinstance(one, str) and not callable(one):
            raise _wrong(f"{name}[{key!r}]", one, "a text, or a function that gives one")
    return cast("dict[str, KeySource]", found)


def function_of(name: str, value: object) -> object:
    if value is not None and not callable(value):
        raise _wrong(name, value, "a function")
    return value


def functions_of(name: str, value: object) -> dict[str, object]:
    found = {} if value is None else _table(name, value, "a mapping from tools' names to functions")
    for key, one in found.items():
        if not callable(one):
            raise _wrong(f"{name}[{key!r}]", one, "a function")
    return found


def _table(name: str, value: object, wanted: str) -> dict[str, object]:
    if not isinstance(value, Mapping):
        raise _wrong(name, value, wanted)
    found = dict(cast("Mapping[object, object]", value))
    for key in found:
        if not isinstance(key, str):
            raise _wrong(f"a name in {name}", key, "a text")
    return cast("dict[str, object]", found)


def _wrong(name: str, value: object, wanted: str) -> ConfigurationError:
    given = "None" if value is None else f"of type {type(value).__name__}"
    return ConfigurationError(f"`{name}` is {given}, and should be {wanted}")
