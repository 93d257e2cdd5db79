"""Every diagnostic code: the one table that `check`, `explain`, the editor and the docs read.

Codes are `DSxxyy` and never reused: 01 syntax, 02 names, 03 types, 04 data, 05 metric, 06 optimizer
and chain, 07 LM and budget, 08 project and gates. One file per hundred. Below the entry of a code stand
the findings that are reported under it, each with its words.
"""

from __future__ import annotations

from ..record import Severity
from . import data, metrics, models, names, optimizers, project, syntax, types
from .base import Code, Finding

CODES: dict[str, Code] = {
    entry.name: entry
    for topic in (syntax, names, types, data, metrics, optimizers, models, project)
    for entry in vars(topic).values()
    if isinstance(entry, Code)
}


__all__ = ["CODES", "Code", "Finding", "Severity"]
