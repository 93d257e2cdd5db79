"""What a running compile shows: bars on a terminal, lines elsewhere, nothing where quiet was asked for."""

from __future__ import annotations

import io

from rich.console import Console

from dspec.compiler.cli.progress import reporting
from dspec.compiler.cli.results import Origins, origins, spent_line
from dspec.compiler.evaluate.counts import Calls, Range
from dspec.compiler.evaluate.events import (
    CandidateScored,
    Event,
    RowScored,
    ScoringStarted,
    StepFinished,
    StepStarted,
)
from dspec.runtime.models.engine import Tally
from dspec.runtime.schema.usage import Spent

EVENTS: tuple[Event, ...] = (
    ScoringStarted("baseline", 2),
    RowScored("baseline", 1, 2, 1.0),
    RowScored("baseline", 2, 2, 0.5),
    StepStarted("search", "BootstrapFewShotWithRandomSearch", 1, 3, Calls(Range(4, 9), Range(0, 3))),
    CandidateScored("search", "random 1", 0.75, 0.75),
    CandidateScored("search", "random 2", 0.25, 0.75),
    StepFinished("search", 7, ("a note",), result="random 1", score=0.75),
    StepStarted("again", "BootstrapFewShotWithRandomSearch", 2, 3, Calls(Range(4, 9), Range(0, 3))),
    CandidateScored("again", "random 2", 0.75, 0.75),
    CandidateScored("again", "random 1", 0.75, 0.75),
    StepFinished("again", 7, result="random 1", score=0.75),
    StepStarted("demos", "LabeledFewShot", 3, 3, Calls()),
    StepFinished("demos", 0, halt="the budget is spent"),
)


def shown(*, terminal: bool, quiet: bool = False) -> str:
    text = io.StringIO()
    console = Console(file=text, force_terminal=terminal, width=100, color_system=None)
    tally = Tally(Spent(5, cost=3 * 10**11), replayed=2)
    with reporting(lambda: tally, quiet=quiet, console=console) as report:
        for event in EVENTS:
            report(event)
    return text.getvalue()


def test_lines_say_what_came_out() -> None:
    assert shown(terminal=False).splitlines() == [
        "baseline: 50.0 on 2 rows",
        "step 1/3 search: BootstrapFewShotWithRandomSearch, 4 to 12 calls planned",
        "  random 1: 75.0  best so far",
        "  random 2: 25.0",
        "step search: done, 7 calls",
        "  a note",
        "step 2/3 again: BootstrapFewShotWithRandomSearch, 4 to 12 calls planned",
        "  random 2: 75.0  best so far",
        "  random 1: 75.0",
        "step again: done, 7 calls",
        "  its result is random 1: 75.0",
        "step 3/3 demos: LabeledFewShot, 0 to 0 calls planned",
        "step demos: cut short, 0 calls",
    ]


def test_a_terminal_gets_bars_besides_with_what_was_spent() -> None:
    text = shown(terminal=True)
    assert "baseline: 50.0 on 2 rows" in text
    assert "step search, calls at most" in text
    assert "5 calls, 2 free, $0.3000" in text


def test_quiet_is_quiet() -> None:
    assert shown(terminal=True, quiet=True) == shown(terminal=False, quiet=True) == ""


def test_what_was_spent_names_what_was_paid_for_nothing() -> None:
    tally = Tally(Spent(1, 900, 100, unpriced=1), replayed=4, shared=2, spoiled=3)
    assert str(spent_line(tally, needed=7)) == (
        "1 model call · 6 not paid again · 3 without an answer that may be billed · "
        "1,000 tokens · an unknown price"
    )


def test_what_was_spent_says_what_the_budget_counts_besides() -> None:
    tally = Tally(Spent(2, 900, 100, 10**9), spoiled=1, estimated=1, reserved=Spent(1, 500, 200, 2 * 10**10))
    assert str(spent_line(tally, needed=2)) == (
        "2 model calls · 1 without an answer that may be billed · 1 without a count of tokens, which are "
        "estimated · 1,000 tokens · $0.0010 · "
        "the budget counts up to 700 tokens and $0.0200 more"
    )


def test_what_was_asked_twice_at_once_is_told_as_what_was_asked_once() -> None:
    """A row twice in the same rows: one after the other its run is known, at once its call is shared."""
    apart = origins(Tally(Spent(10), replayed=3), needed=12)
    at_once = origins(Tally(Spent(10), replayed=3, shared=46), needed=12)
    assert apart == at_once == Origins(replayed=2, remembered=0, besides=0)
    assert origins(Tally(Spent(10)), needed=8) == Origins(0, 0, 2)
    assert origins(Tally(Spent(1), replayed=4), needed=9) == Origins(4, 4, 0)
