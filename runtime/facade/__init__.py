"""dspec: run optimized language-model programs. `from dspec import load` is all an application needs.

    p = load("compiled/router_v1.dspc.json")
    p(text="Someone took my card.").intent

Nothing is imported before it is asked for.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dspec.runtime import errors
    from dspec.runtime.application import Application, load
    from dspec.runtime.running.prediction import Prediction

    __version__: str

__all__ = ["Application", "Prediction", "__version__", "errors", "load"]

_HOMES = {
    "Application": "dspec.runtime.application",
    "Prediction": "dspec.runtime.running.prediction",
    "load": "dspec.runtime.application",
}


def __getattr__(name: str) -> object:
    if name == "__version__":
        from importlib.metadata import version

        return version("dspc")
    if name == "errors":
        return import_module("dspec.runtime.errors")
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module 'dspec' has no attribute {name!r}")
    value = globals()[name] = getattr(import_module(home), name)
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
