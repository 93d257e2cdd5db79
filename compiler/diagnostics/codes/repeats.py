"""DS02: names that are given twice, or taken by the language."""

from __future__ import annotations

from typing import Literal

from ...project.source import Location
from ..record import Diagnostic, Label
from ..wording import article, noun
from .base import Code, Finding
from .snippets import MODULE

DS0203 = Code(
    "DS0203",
    "error",
    "declared twice",
    "All declarations of a file share one set of names, and so do the fields of a block, the values "
    "of a program "
    "and the steps of an optimize block.",
    MODULE + 'lm mini { model = "openai/gpt-4o" }\n',
    MODULE
    + 'lm large { model = "openai/gpt-4o" }\nmodule second = Predict(Route, lm = large)\n'.replace(
        "lm large {", "lm large { default = true;"
    ),
)


class DeclaredTwice(Finding, frozen=True):
    """Two declarations of a name, of these kinds."""

    code = DS0203
    kind: str
    first: Location
    first_kind: str

    def told(self) -> Diagnostic:
        kinds = (
            f", as {noun(self.first_kind)} and as {noun(self.kind)}" if self.first_kind != self.kind else ""
        )
        return self.says(
            f"`{self.where.text}` is declared twice{kinds}",
            "again here",
            secondary=(Label(self.first, "first declared here"),),
            help="names are shared by all kinds of declarations: give one of them another name",
        )


class ItemTwice(Finding, frozen=True):
    """Two inputs, fields, … of a name in one declaration; `role` is what they are."""

    code = DS0203
    role: str
    first: Location

    def told(self) -> Diagnostic:
        return self.says(
            f"{self.role} `{self.where.text}` is declared twice",
            "again here",
            secondary=(Label(self.first, "first declared here"),),
            help="give one of them another name",
        )


class InUnionTwice(Finding, frozen=True):
    code = DS0203
    value: str
    first: Location

    def told(self) -> Diagnostic:
        return self.says(
            f"{self.value} stands twice in this union",
            "again",
            secondary=(Label(self.first, "first here"),),
        )


class TwoRoles(Finding, frozen=True):
    """A name of `owner` that is an input, at `first`, and has this `role`, too."""

    code = DS0203
    owner: str
    role: Literal["field", "output"]
    first: Location

    def told(self) -> Diagnostic:
        name = self.where.text
        column = self.role == "field"
        return self.says(
            f"the column `{name}` of `{self.owner}` is both an input and a field"
            if column
            else f"`{name}` is both an input and an output of `{self.owner}`",
            f"again as {article(self.role)}",
            secondary=(Label(self.first, "an input here"),),
            help="" if column else "give the output another name",
        )


class ParametersAlike(Finding, frozen=True):
    """Both parameters of a metric have one name."""

    code = DS0203
    first: Location

    def told(self) -> Diagnostic:
        return self.says(
            f"both parameters are called `{self.where.text}`",
            "again here",
            secondary=(Label(self.first, "first here"),),
        )


class ValueTwice(Finding, frozen=True):
    """A `let` gives a name that the program, or the metric, has."""

    code = DS0203
    first: Location
    of: Literal["program", "metric"] = "program"

    def told(self) -> Diagnostic:
        return self.says(
            f"`{self.where.text}` is declared twice in this {self.of}",
            "again here",
            secondary=(Label(self.first, "first declared here"),),
            help="every `let` gives a new name; values never change",
        )


class SaidByMetric(Finding, frozen=True):
    """A `let` of a metric with the name of what the metric itself says."""

    code = DS0203

    def told(self) -> Diagnostic:
        return self.says(
            f"`{self.where.text}` is what the metric says, and no `let` can have that name",
            "taken",
            help="give the value another name",
        )


class LoopNameTwice(Finding, frozen=True):
    code = DS0203
    first: Location

    def told(self) -> Diagnostic:
        return self.says(
            f"a loop through a dict has two names, and both are `{self.where.text}`",
            "again here",
            secondary=(Label(self.first, "the key's name"),),
        )


class StepTwice(Finding, frozen=True):
    code = DS0203
    first: Location

    def told(self) -> Diagnostic:
        return self.says(
            f"two steps are called `{self.where.text}`",
            "again here",
            secondary=(Label(self.first, "first here"),),
        )


DS0209 = Code(
    "DS0209",
    "error",
    "built-in name",
    "The names of built-in types cannot be declared again, since they would change what every other "
    "line means.",
    'dspec 1\n\ntype date = "today" | "tomorrow"\n',
    'dspec 1\n\ntype Day = "today" | "tomorrow"\n',
)


class BuiltInName(Finding, frozen=True):
    code = DS0209

    def told(self) -> Diagnostic:
        return self.says(f"`{self.where.text}` is a built-in type and cannot be declared again", "built in")
