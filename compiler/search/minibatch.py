"""Trials on a minibatch, with a full evaluation of the best one now and then: MIPROv2's schedule.

Algorithm: Opsahl-Ong et al., 2024 (arXiv:2406.11695). All trials see the same minibatch, the first rows
of the board's order, so that two of them differ by their programs alone; a full evaluation adds the others.
"""

from __future__ import annotations

from msgspec import Struct

from ..evaluate.tasks import Halt
from .board import Arm, Board
from .source import ArmSource


class Minibatch(Struct, frozen=True):
    """`size` rows a trial; after every `full_every` trials the best that is not complete is completed."""

    size: int
    full_every: int

    async def run(self, board: Board, source: ArmSource, trials: int) -> Halt | None:
        left, size = trials, min(self.size, board.rows)
        tried: list[Arm] = []
        while left > 0 and (arms := await source.ask(min(left, self.full_every))):
            left -= len(arms)
            halt = await board.extend(arms, size)
            if halt is not None:
                return halt
            tried += arms
            for arm in arms:
                source.tell(arm, board.estimate(arm), board.seen(arm))
            halt = await self._complete_best(board, tried, size)
            if halt is not None or board.settled:
                return halt
        return None

    async def _complete_best(self, board: Board, tried: list[Arm], size: int) -> Halt | None:
        waiting = [arm for arm in tried if board.seen(arm) < board.rows and board.may_win(arm)]
        if not waiting:
            return None
        best = max(waiting, key=lambda arm: board.mean(arm, size))
        return await board.extend([best], board.rows)

    def most(self, trials: int, rows: int) -> int:
        size = min(self.size, rows)
        full = -(-trials // self.full_every)
        return trials * size + full * (rows - size)
