"""What a strategy is: it decides which arm is scored on how many rows, and keeps to its bound."""

from __future__ import annotations

from typing import Protocol

from ..evaluate.tasks import Halt
from .board import Board
from .source import ArmSource


class Strategy(Protocol):
    """Stateless; one object may serve any number of searches."""

    async def run(self, board: Board, source: ArmSource, trials: int) -> Halt | None:
        """Score up to `trials` arms of the source; the best of them end complete on the board.

        At most `most(trials, board.rows)` rows are scored. A halt while scoring is returned; what the source raises
        goes through.
        """
        ...

    def most(self, trials: int, rows: int) -> int:
        """Rows scored at most over all arms, the incumbent's own not among them."""
        ...
