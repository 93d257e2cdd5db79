"""Prune: take demos and sentences of instructions out of prompts as long as nobody can tell the loss.

Each call of a program pays for its whole prompt, whether a demo in it helps or not. In each round several smaller programs race
on val: without one half or one quarter of what is still there, drawn at random (delta debugging: Zeller and Hildebrandt, 2002),
and at first without any demos. Of those that come to the end, the smallest goes on that scores at most `max_loss` less than the
program at the start, which every one of them is held against, so that small losses do not add up. After a round without any,
smaller parts are taken out. What it saves is certain; what it loses is not, beyond what so many rows of val can tell.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from msgspec import Struct
from msgspec.structs import replace

from dspec.runtime.schema.program import Program

from ..diagnostics.wording import plural
from ..evaluate.counts import Calls, Range
from ..evaluate.outcomes import Candidate
from ..search import Arm, Board, Listed, Racing
from ..search.board import open_board
from .base import Context, Facts, Option, Options, Shows, Spec, StepResult
from .frozen import tunable
from .ranking import ranked
from .texts import prompt_tokens

COMPARED_ON = 100
"""Rows of val on which prompts are compared, where it has more."""
FINALISTS = 2
"""Smaller programs that are scored on all rows in a round: the best of them need not be the smallest."""
BUDGET = 1.5
"""What a round's race may cost, in scorings of all rows, besides the second finalist's."""
PARTS = (2, 4, 8)
"""Into how many parts what is left is cut: halves and quarters at first, and quarters and eighths after rounds in vain."""
ROUNDING = 1e-9
"""By so much two ways to add up the same scores may differ."""
ARMS = 7
"""Smaller programs in a round at most."""
_SENTENCE = re.compile(r".+?(?:[.!?。！？]+(?=\s|$)\s*|\n+|$)", re.DOTALL)


class Removable(Struct, frozen=True):
    """A demo of a predictor, or a sentence of its instruction, by its place."""

    address: str
    demo: bool
    place: int


def race(rows: int) -> Racing:
    return Racing.within(BUDGET * rows, ARMS, rows, finalists=FINALISTS)


def _calls(options: Options, facts: Facts) -> Calls:
    start = 0 if facts.student_scored else facts.val
    rows = options.integer("rounds") * race(facts.val).most(ARMS, facts.val)
    return Calls(task=Range(start * facts.calls_per_run, (start + rows) * facts.calls_per_run))


SPEC = Spec(
    name="Prune",
    doc="Takes demos and sentences of instructions out of the prompts as long as the loss on val cannot be told, so that every "
    "later call costs less.",
    suits="a program that is good enough and called often",
    about="The last step of a chain, for a program that will be called often: each call pays for all demos and sentences, "
    "those that help and those that do not. Smaller prompts race on `val`, and the smallest goes on whose score is at most "
    "`max_loss` below that of the program at the start. The step is judged by what it saves: its result is kept unless it is "
    "clearly worse. The more rows `val` has, the smaller a loss can be told.",
    costs="up to two and a half runs for every row of `val` in each of `rounds` rounds.",
    source="delta debugging: Zeller and Hildebrandt, 2002; racing: Maron and Moore, 1994, and Karnin et al., 2013",
    options=(
        Option(
            "max_loss",
            "float",
            0.01,
            "What the smaller program's score on val may be below that of the program at the start.",
            minimum=0.0,
            maximum=1.0,
        ),
        Option("rounds", "int", 4, "How often smaller programs race.", minimum=1, maximum=100),
    ),
    sets=frozenset({"instructions", "demos"}),
    starts_from=frozenset({"instructions", "demos"}),
    calls=_calls,
    shows=lambda options, facts: Shows(),
    needs_val=True,
    candidates=True,
    saves=True,
    compares_on=lambda options, train, val: COMPARED_ON,
)


async def run(student: Program, options: Options, context: Context) -> StepResult:
    # Of equal scores the smaller program is wanted: that one is perfect ends nothing, and that one cannot win does not either.
    context = replace(context, finalists=max(FINALISTS, context.finalists))
    board = await open_board(context, Arm("as it came", student), context.rng("order"))
    enough = board.mean(board.incumbent) - (options.number("max_loss") or 0.0) - ROUNDING
    lean, halt, grain = board.incumbent, None, 0
    for number in range(1, options.integer("rounds") + 1):
        arms = [arm for arm in _smaller(lean.program, number, grain, context) if not board.knows(arm.program)]
        if not arms:
            break
        halt = await race(board.rows).fewer(ARMS, len(arms), board.rows).run(board, Listed(arms), len(arms))
        if halt is not None:
            break
        good = [arm for arm in arms if board.seen(arm) == board.rows and board.mean(arm) >= enough]
        if good:
            lean = min(good, key=lambda arm: prompt_tokens(arm.program))
        elif grain == len(PARTS) - 2:
            break
        else:
            grain += 1
    found = ranked(board.candidates(), cut=halt, rivals=board.rivals)
    own = next(one for one in found.candidates if one.label == lean.label)
    others = tuple(one for one in found.candidates if one is not own)
    return replace(
        found,
        program=own.program,
        candidates=(own, *others),
        notes=(_told(student, own, board), *found.notes),
    )


def parts(program: Program) -> list[Removable]:
    """What may be taken out: every demo; and every sentence but the first, which says what to do."""
    found: list[Removable] = []
    for address, predictor in tunable(program).items():
        found += [Removable(address, True, place) for place in range(len(predictor.demos))]
        count = len(sentences(predictor.signature.instruction))
        found += [Removable(address, False, place) for place in range(1, count)]
    return found


def sentences(text: str) -> list[str]:
    """The sentences and lines of a text, each with the space behind it: joined, they are the text."""
    return _SENTENCE.findall(text)


def without(program: Program, left_out: Sequence[Removable]) -> Program:
    for address, predictor in tunable(program).items():
        gone = {(part.demo, part.place) for part in left_out if part.address == address}
        if not gone:
            continue
        demos = tuple(demo for place, demo in enumerate(predictor.demos) if (True, place) not in gone)
        told = sentences(predictor.signature.instruction)
        text = "".join(one for place, one in enumerate(told) if (False, place) not in gone).strip()
        program = program.with_predictor(
            address,
            instruction=text if len(gone) > len(predictor.demos) - len(demos) else None,
            demos=demos if len(demos) < len(predictor.demos) else None,
        )
    return program


def _smaller(program: Program, number: int, grain: int, context: Context) -> list[Arm]:
    """The programs of a round, the smallest first."""
    every = parts(program)
    context.rng(f"round {number}").shuffle(every)
    groups = [[part for part in every if part.demo]] if number == 1 else []
    for count in PARTS[grain : grain + 2]:
        groups += [every[place::count] for place in range(count)]
    made = [without(program, group) for group in groups if group][:ARMS]
    return [
        Arm(f"round {number}, smaller {place}", one)
        for place, one in enumerate(sorted(made, key=prompt_tokens), 1)
    ]


def _told(student: Program, lean: Candidate, board: Board) -> str:
    before, after = prompt_tokens(student), prompt_tokens(lean.program)
    if after == before:
        return f"nothing could be left out of {before:,} tokens of instructions and demos"
    own, kept = parts(student), parts(lean.program)
    demos = sum(part.demo for part in own) - sum(part.demo for part in kept)
    said = len(own) - len(kept) - demos
    return (
        f"{plural(demos, 'demo')} and {plural(said, 'sentence')} left out: {before:,} tokens of instructions and demos are "
        f"{after:,} now ({100 * (after - before) / before:+.0f} %), by rule; score {100 * lean.score:.1f}, "
        f"{100 * (lean.score - board.mean(board.incumbent)):+.1f}"
    )
