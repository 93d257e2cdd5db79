"""Polars, which reads and writes Parquet: imported where it is needed, since few installations have it."""

from __future__ import annotations

import importlib
from typing import Any

from dspec.runtime.errors import ConfigurationError


def polars_for(what: str, *, otherwise: str = "") -> Any:
    """The package. Raises ConfigurationError where it is not installed: `what` needs it, and what may be done `otherwise`."""
    try:
        return importlib.import_module("polars")
    except ImportError:
        install = 'pip install "dspc[parquet]"'
        raise ConfigurationError(
            f"{what} needs polars, which is not installed",
            help=f"{install}, or {otherwise}" if otherwise else install,
        ) from None
