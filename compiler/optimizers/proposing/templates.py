"""The templates of this folder, compiled once. Values are data: they are never rendered again."""

from __future__ import annotations

from typing import Literal

TemplateName = Literal[
    "attempts",
    "condense",
    "contrast",
    "describe",
    "grounded",
    "language",
    "observe",
    "outline",
    "reflect",
    "role",
    "rules",
    "tool",
    "variation",
]


def fill(name: TemplateName, /, **values: object) -> str:
    # Here, since a check reads what the optimizers are and none of their prompts.
    from dspec.runtime.adapters.templates import template

    return template("dspec.compiler.optimizers.proposing", name).render(values).strip()
