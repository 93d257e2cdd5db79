"""What one diagnostic code is, and what a check reports under it."""

from __future__ import annotations

from typing import ClassVar

from msgspec import Struct, field

from ...project.source import Location
from ..record import Diagnostic, Fix, Label, Severity


class Code(Struct, frozen=True):
    """`explanation` is prose; `wrong` and `right` are complete `.dspec` snippets.

    `files` holds what the snippets read: further sources and data, by path. `about` is the name of the
    file that the snippets stand for: that of the settings, where a code is about these.
    """

    name: str
    severity: Severity
    title: str
    explanation: str
    wrong: str
    right: str
    files: dict[str, str] = field(default_factory=dict[str, str])
    about: str = "main.dspec"


class Finding(Struct, frozen=True):
    """What a check found at a place, as data: places, names and numbers, and no words but the user's.

    One class for each kind of finding, beside the entry of its code. `told` is the only place where it is
    put into words.
    """

    code: ClassVar[Code]

    where: Location

    def told(self) -> Diagnostic:
        """What people are told of it: a message, labels, help and fixes."""
        raise NotImplementedError

    def says(
        self,
        message: str,
        label: str = "",
        *,
        secondary: tuple[Label, ...] = (),
        notes: tuple[str, ...] = (),
        help: str = "",  # noqa: A002
        fixes: tuple[Fix, ...] = (),
    ) -> Diagnostic:
        """The diagnostic at this place, under this code, in these words."""
        return Diagnostic(
            self.code.name,
            self.code.severity,
            message,
            Label(self.where, label),
            secondary,
            notes,
            help,
            fixes,
        )
