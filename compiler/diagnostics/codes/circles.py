"""DS02: declarations that need themselves."""

from __future__ import annotations

from typing import Literal

from ...project.source import Location
from ..record import Diagnostic, Label
from .base import Code, Finding

DS0210 = Code(
    "DS0210",
    "error",
    "defined by way of itself",
    "Following the definitions leads back to where they started. Types may refer to themselves only "
    "through a "
    "record, and programs have no recursion.",
    "dspec 1\n\ntype Node = list[Node]\n",
    "dspec 1\n\nrecord Node { field children: list[Node] }\n",
)


class TypeInCircle(Finding, frozen=True):
    code = DS0210
    name: str
    declared: Location

    def told(self) -> Diagnostic:
        return self.says(
            f"the type `{self.name}` is defined by way of itself",
            "comes back to itself",
            secondary=(Label(self.declared, "declared here"),),
            help="use a record: its fields may refer to it through `?` or `list[…]`",
        )


class CallsItself(Finding, frozen=True):
    code = DS0210
    declared: Location
    kind: str = "program"

    def told(self) -> Diagnostic:
        return self.says(
            f"{self.kind} `{self.declared.text}` calls itself, and a {self.kind} has no recursion",
            "calls itself",
            secondary=(Label(self.declared, "declared here"),),
        )


class CallsInCircle(Finding, frozen=True):
    """A circle of calls. `names` begins and ends with the same program, module or metric; `of` says what they are."""

    code = DS0210
    names: tuple[str, ...]
    of: Literal["program", "module", "both", "metric"] = "program"

    def told(self) -> Diagnostic:
        what = "modules and programs" if self.of == "both" else f"{self.of}s"
        one = "neither has" if self.of == "both" else f"a {self.of} has no"
        names = self.names
        shown = names if len(names) <= 8 else (*names[:4], "…", *names[-3:])
        return self.says(
            f"these {what} call each other in a circle, and {one} recursion: {' → '.join(shown)}",
            "closes the circle",
            help="to do something several times, write `repeat`"
            if self.of == "program"
            else "let one of them do its part without the one after it",
        )


class LeadsBack(Finding, frozen=True):
    """A program that leads back to the block which names it as `what`; `circle` are the blocks on the way."""

    code = DS0210
    what: str
    declared: Location
    circle: tuple[str, ...]

    def told(self) -> Diagnostic:
        around = " -> ".join(f"`{name}`" for name in (*self.circle, *self.circle[:1]))
        return self.says(
            f"{self.what} leads back to this block by way of `{self.declared.text}`",
            "a circle",
            secondary=(Label(self.declared, "declared here"),),
            notes=(f"each of these starts from the next: {around}",) if len(self.circle) > 1 else (),
        )
