"""How many model calls something takes, as far as that is known before it runs."""

from __future__ import annotations

from typing import NamedTuple


class Range(NamedTuple):
    """A number of model calls that is known only within bounds, both inclusive."""

    least: int = 0
    most: int = 0

    def __add__(self, other: object) -> Range:
        if not isinstance(other, Range):
            return NotImplemented
        return Range(self.least + other.least, self.most + other.most)


class Calls(NamedTuple):
    """Model calls of a step when every answer parses and every check holds at once.

    `task` are runs of the program being tuned, `teacher` runs that look for demos, `prompt` calls of
    the model that writes instructions. `judge` are those of the metric's judges, which no optimizer counts:
    the plan adds them, at most once for each run that is scored. Answers that the ledger or the evaluation store already has
    lower what is paid, never what is counted here.
    """

    task: Range = Range()
    teacher: Range = Range()
    prompt: Range = Range()
    judge: Range = Range()

    @property
    def least(self) -> int:
        return sum(kind.least for kind in self)

    @property
    def most(self) -> int:
        return sum(kind.most for kind in self)
