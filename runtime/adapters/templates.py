"""The prompt templates of this folder, compiled once.

Templates come only from the package. Values are passed in as data and are never rendered again, so
braces in a row or in an instruction stay what they are.
"""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from jinja2 import Template

TemplateName = Literal["system", "free", "correction"]


def fill(name: TemplateName, **values: str | bool | list[str]) -> str:
    return template("dspec.runtime.adapters", name).render(values).rstrip()


@cache
def template(package: str, name: str) -> Template:
    """The template `name` of a package's folder, compiled. Prompts of every room are made by these settings."""
    # Loading an artifact needs no template, so jinja2 is imported when the first prompt is built.
    from jinja2 import StrictUndefined
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    environment = ImmutableSandboxedEnvironment(
        undefined=StrictUndefined,
        autoescape=False,  # prompts are plain text, not markup
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.from_string(files(package).joinpath(f"{name}.j2").read_text("utf-8"))
