"""Names every diagnostic code and what can be found under it, one file per topic.

Codes are `DSxxyy` and never reused: 01 syntax (`syntax`; what stands in a block: `attributes`), 02 names (`names`, `repeats`,
`imports`, `functions`, `circles`), 03 types (`types`, `operators`, `functions`, `calls`, `programs`, `externs`,
`metric_calls`; media, aggregates), 04 data, 05 metric, 06 optimizer and chain (`optimizers`, `training_rows`, `chains`,
`ensembles`; 066: `values` written out), 07 LM and budget, 08 project and gates. `shapes` has what came later of fields and
their types (DS022 and DS036), `demos` what is written in their examples. Below the entry of a code stand the findings that
are reported under it, each with its words. A check names one as `codes.operators.NoValue`: the file of its topic is imported
when the first of them is reported, since most files have no mistake.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from types import ModuleType

    from . import (
        aggregates,
        attributes,
        calls,
        chains,
        circles,
        data,
        demos,
        ensembles,
        externs,
        functions,
        habits,
        imports,
        media,
        metric_calls,
        metrics,
        models,
        names,
        operators,
        optimizers,
        parameters,
        programs,
        project,
        repeats,
        shapes,
        syntax,
        training_rows,
        types,
        values,
    )

__all__ = [
    "aggregates",
    "attributes",
    "calls",
    "chains",
    "circles",
    "data",
    "demos",
    "ensembles",
    "externs",
    "functions",
    "habits",
    "imports",
    "media",
    "metric_calls",
    "metrics",
    "models",
    "names",
    "operators",
    "optimizers",
    "parameters",
    "programs",
    "project",
    "repeats",
    "shapes",
    "syntax",
    "training_rows",
    "types",
    "values",
]

if not TYPE_CHECKING:

    def __getattr__(name: str) -> ModuleType:
        from importlib import import_module

        if name in __all__:
            return import_module(f".{name}", __name__)
        raise AttributeError(name)
