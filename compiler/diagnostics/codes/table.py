"""Every diagnostic code: the one table that `check`, `explain`, the editor and the docs read."""

from __future__ import annotations

from . import (
    aggregates,
    data,
    demos,
    media,
    metrics,
    models,
    names,
    optimizers,
    parameters,
    project,
    shapes,
    syntax,
    types,
    values,
)
from .base import Code

CODES: dict[str, Code] = {
    entry.name: entry
    for topic in (
        syntax,
        names,
        types,
        shapes,
        demos,
        aggregates,
        media,
        data,
        metrics,
        optimizers,
        values,
        models,
        parameters,
        project,
    )
    for entry in vars(topic).values()
    if isinstance(entry, Code)
}
