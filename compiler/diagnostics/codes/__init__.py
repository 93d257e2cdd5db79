"""Every diagnostic code: the one table that `check`, `explain`, the editor and the docs read.

Codes are `DSxxyy` and never reused: 01 syntax, 02 names, 03 types, 04 data, 05 metric, 06 optimizer
and chain, 07 LM and budget, 08 project and gates. One file per hundred.
"""

from __future__ import annotations

from .base import Code, Severity
from .data import DATASETS
from .metrics import METRICS
from .models import MODELS
from .names import NAMES
from .optimizers import OPTIMIZERS
from .project import PROJECT
from .syntax import SYNTAX
from .types import TYPES

CODES: dict[str, Code] = {
    **SYNTAX,
    **NAMES,
    **TYPES,
    **DATASETS,
    **METRICS,
    **OPTIMIZERS,
    **MODELS,
    **PROJECT,
}

__all__ = ["CODES", "Code", "Severity"]
