"""The templates of this folder, compiled once. Values are data: they are never rendered again."""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from jinja2 import Template

TemplateName = Literal[
    "attempts",
    "condense",
    "contrast",
    "grounded",
    "observe",
    "outline",
    "reflect",
    "role",
    "rules",
    "variation",
]


def fill(template: TemplateName, /, **values: object) -> str:
    return _template(template).render(values).strip()


@cache
def _template(name: TemplateName) -> Template:
    from jinja2 import StrictUndefined
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    environment = ImmutableSandboxedEnvironment(
        undefined=StrictUndefined,
        autoescape=False,  # prompts are plain text, not markup
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.from_string(
        files("dspec.compiler.proposing").joinpath(f"{name}.j2").read_text("utf-8")
    )
