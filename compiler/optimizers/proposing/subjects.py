"""What a proposer is asked for: a predictor's instruction, or the description of a tool that an agent is told of.

The two differ in what is told of them, in which rows show what they are for, and in how an answer is read.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from msgspec import Struct

from dspec.runtime.schema.program import Program
from dspec.runtime.schema.types import Row

from ..texts import text_of
from .answers import clean, clean_description
from .outline import role, tool_role
from .showing import rows_for
from .templates import TemplateName, fill

if TYPE_CHECKING:
    from ...data.rows import Rows


class Subject(Struct, frozen=True):
    """The text at an address of a program."""

    program: Program
    address: str

    @property
    def describes(self) -> bool:
        """Whether it is a tool's description."""
        return self.address in self.program.tools

    @property
    def output(self) -> str:
        """What the text is called."""
        return "description" if self.describes else "instruction"

    def about(self) -> dict[str, str]:
        """The input that says whose text is wanted."""
        if self.describes:
            return {"tool": tool_role(self.program, self.address)}
        return {"module": role(self.program, self.address)}

    def current(self) -> dict[str, str]:
        """The input that holds the text as it is."""
        return {f"current_{self.output}": text_of(self.program, self.address)}

    def rows(self, rows: Rows) -> list[Row]:
        """What rows show of it."""
        if self.describes:
            return [row.row for row in rows]
        return rows_for(self.program.predictors[self.address], rows)

    def task(self, template: TemplateName, given: Sequence[str]) -> str:
        """What the proposer is told to do, for an instruction by the `template`."""
        return fill("describe" if self.describes else template, given=list(given))

    def read(self, answer: str | None) -> str:
        """The text in an answer; empty when there is none."""
        return clean_description(answer or "") if self.describes else clean(answer or "")
