"""Races over tables of simulated scores, with the board and the strategies that optimizers use. No model is asked."""

from __future__ import annotations

import asyncio
import math
import random
import statistics
from collections.abc import Callable, Coroutine, Sequence
from typing import Any, cast

from msgspec import Struct
from scripted import classifier

from dspec.compiler.data.rows import Rows
from dspec.compiler.evaluate.evaluation import Evaluator
from dspec.compiler.evaluate.outcomes import Evaluation, RowResult, Seen
from dspec.compiler.search import Arm, Board, Listed, Strategy
from dspec.runtime.schema.program import Program

KINDS = 200
"""Kinds of rows that there are; rows are drawn from them."""
SHAPES = ("equal", "different", "some worse", "one far worse", "all better")
"""How candidates differ in truth, from each other and from the start."""


class Table(Struct, frozen=True):
    """Scores of programs on rows, the start's first, and what each program would score on all rows there could be."""

    scores: tuple[tuple[float, ...], ...]
    truths: tuple[float, ...]


def table(number: int, shape: str, candidates: int, rows: int) -> Table:
    """A task by its number. Programs differ in skill, on the scale of log odds, and in which kinds of rows suit them."""
    draws = random.Random(f"task {number} {shape} {candidates} {rows}")
    hard = [draws.gauss(0.0, 1.2) for _ in range(KINDS)]
    start = draws.uniform(-1.0, 1.0)
    apart = {
        "equal": lambda place: 0.0,
        "different": lambda place: draws.gauss(0.0, 0.5),
        "some worse": lambda place: draws.gauss(0.0, 0.1) + (1.0 if place % 3 else -1.0),
        "one far worse": lambda place: draws.gauss(0.0, 0.05) if place else -3.0,
        "all better": lambda place: draws.gauss(0.8, 0.1),
    }[shape]
    skills = [start, *(start + apart(place) for place in range(candidates))]
    suits = 0.0 if shape == "equal" else 0.8
    chances = [
        [1 / (1 + math.exp(-skill - one - draws.gauss(0.0, suits))) for one in hard] for skill in skills
    ]
    kinds = [draws.randrange(KINDS) for _ in range(rows)]
    return Table(
        tuple(tuple(float(draws.random() < one[kind]) for kind in kinds) for one in chances),
        tuple(map(statistics.fmean, chances)),
    )


class Scores:
    """What a board scores with: the table, in the place of a model."""

    def __init__(self, made: Table) -> None:
        self._made = made
        self._places = {id(one): place for place, one in enumerate(programs(len(made.scores)))}
        self.evaluator = cast("Evaluator", self)
        self.val = cast("Rows", tuple(range(len(made.scores[0]))))
        self.progress: Callable[[str, float | None], None] = lambda label, score: None
        self.start_scored: asyncio.Event | None = None
        self.start_doubted = asyncio.Event()
        self.settles = True

    def doubts(self, place: int, score: float) -> None:
        """Nobody waits for the start."""

    async def evaluate(self, program: Program, rows: Sequence[int], **_: object) -> Evaluation:
        scores = self._made.scores[self._places[id(program)]]
        return Evaluation(tuple(RowResult(row, scores[row], None) for row in rows))


_PROGRAMS: list[Program] = []


def programs(count: int) -> list[Program]:
    """So many that differ by their instructions, always the same ones."""
    start = classifier()
    address = next(iter(start.predictors))
    _PROGRAMS.extend(
        start.with_predictor(address, instruction=f"Do as program {place} does.")
        for place in range(len(_PROGRAMS), count)
    )
    return _PROGRAMS[:count]


def raced(made: Table, strategy: Strategy) -> tuple[int, Sequence[Seen]]:
    """Which program wins, by its place in the table, and what each was scored on each row."""
    start, *others = [Arm(str(place), one) for place, one in enumerate(programs(len(made.scores)))]
    board = Board(Scores(made), start, made.scores[0], random.Random(len(made.scores)))
    finished(strategy.run(board, Listed(others), len(others)))
    best = max(board.candidates(), key=lambda one: one.score)
    return int(best.label), board.rivals


def finished(running: Coroutine[Any, Any, object]) -> None:
    """Runs to its end on a loop of its own."""
    with asyncio.Runner() as runner:
        runner.run(running)
