"""Every arm on every row: the plain way, and the dearest."""

from __future__ import annotations

from msgspec import Struct

from ..evaluate.tasks import Halt
from .board import Board
from .source import ArmSource


class Full(Struct, frozen=True):
    """`wave` arms are proposed at a time; the next ones see how those did. 0: all at once."""

    wave: int = 0

    async def run(self, board: Board, source: ArmSource, trials: int) -> Halt | None:
        left = trials
        while left > 0 and (arms := await source.ask(min(left, self.wave or left))):
            left -= len(arms)
            halt = await board.extend(arms, board.rows)
            if halt is not None:
                return halt
            for arm in arms:
                source.tell(arm, board.estimate(arm), board.rows)
            if board.settled:
                return None
        return None

    def most(self, trials: int, rows: int) -> int:
        return trials * rows
