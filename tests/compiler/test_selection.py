"""What a compile makes of its result: better, perhaps better, or lucky."""

from __future__ import annotations

import random
import re
import statistics
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import pytest
from building import DEMOS, SEARCH, compiled, project
from dspc import dspc
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace
from scripted import Asked, classifier, learner, oracle, wrong
from sorting import sorting

from dspec.compiler.compile.selection import last_word
from dspec.compiler.evaluate.outcomes import Candidate, Seen
from dspec.compiler.evaluate.statistics import luck
from dspec.compiler.optimizers.base import StepResult
from dspec.compiler.optimizers.ranking import chosen_from
from dspec.runtime.artifact.artifact import read_artifact
from dspec.runtime.schema.program import Program

START = classifier()


def searched(looks: Sequence[int], rows: int) -> list[Seen]:
    """What a step chose from, on how many rows each was seen."""
    return [(0.5,) * look + (None,) * (rows - look) for look in looks]


def flips(better: int, worse: int, same: int) -> tuple[list[float], list[float]]:
    """Scores before and after, with so many rows that went up, down, or stayed."""
    return [0.0] * better + [1.0] * (worse + same), [1.0] * better + [0.0] * worse + [1.0] * same


def test_luck_is_what_the_best_of_equal_programs_shows() -> None:
    draws, rows = random.Random(3), 100
    for tried in (2, 5, 20):
        gains: list[float] = []
        expected: list[float] = []
        for _ in range(600):
            before, *programs = [[float(draws.random() < 0.5) for _ in range(rows)] for _ in range(1 + tried)]
            # The start is one of those that are chosen from: where it is the best, nothing is gained.
            best = max((before, *programs), key=sum)
            gains.append((sum(best) - sum(before)) / rows)
            expected.append(0.0 if best is before else luck(before, best, [rows] * tried))
        error = statistics.stdev(gains) / len(gains) ** 0.5
        assert statistics.fmean(gains) == pytest.approx(statistics.fmean(expected), abs=3 * error)


def raced(draws: random.Random, rounds: Sequence[tuple[int, int]], rows: int) -> list[float]:
    """The winner of a race among equals: so many go on until each has seen so many rows."""
    programs = [[draws.gauss(0.5, 0.2) for _ in range(rows)] for _ in range(rounds[0][0])]
    for (_, seen), (left, _) in pairwise(rounds):
        programs = sorted(programs, key=lambda scores: -sum(scores[:seen]))[:left]
    return max(programs, key=sum)


@pytest.mark.parametrize(
    "rounds",
    [
        ((10, 3), (3, 5), (1, 100)),
        ((12, 25), (6, 50), (3, 100)),
        ((20, 10), (2, 100)),
    ],
)
def test_the_luck_of_a_race_is_that_of_its_rows(rounds: Sequence[tuple[int, int]]) -> None:
    """What was looked at on few rows is lucky on those alone."""
    draws, rows = random.Random(5), 100
    ends = [*rounds[1:], (0, 0)]
    looks = [seen for (arms, seen), (left, _) in zip(rounds, ends, strict=True) for _ in range(arms - left)]
    gains: list[float] = []
    expected: list[float] = []
    for _ in range(600):
        before = [draws.gauss(0.5, 0.2) for _ in range(rows)]
        best = raced(draws, rounds, rows)
        gains.append(max(0.0, sum(best) - sum(before)) / rows)
        expected.append(luck(before, best, looks) if sum(best) > sum(before) else 0.0)
    error = statistics.stdev(gains) / len(gains) ** 0.5
    assert statistics.fmean(gains) == pytest.approx(statistics.fmean(expected), abs=2.5 * error)
    assert luck(before, best, looks) < 0.95 * luck(before, best, [rows] * len(looks))


def test_luck_that_a_step_has_measured_is_not_told_from_what_it_chose_from() -> None:
    before, after = flips(20, 5, 60)
    draws = random.Random(1)
    rivals = [[tuple(after), *(tuple(draws.sample(after, len(after))) for _ in range(6))]]
    told = last_word(before, after, rivals).worth
    measured = last_word(before, after, rivals, measured=[0.01]).worth
    assert told.luck > measured.luck == 0.01
    assert measured.gained == pytest.approx(15 / 85 - 0.01)
    assert last_word(before, after, rivals, measured=[None]).worth == told


def test_one_program_that_nobody_chose_needs_no_luck() -> None:
    before, after = flips(2, 1, 10)
    assert luck(before, after, [len(before)]) == 0.0
    assert last_word(before, after, [[]]).real
    assert not last_word(*flips(1, 1, 10), [[]]).real
    assert not last_word(*flips(0, 0, 3), [[]]).real


@pytest.mark.parametrize(
    ("better", "worse", "same", "tried", "real", "sure"),
    [
        (30, 2, 68, 19, True, True),
        (5, 3, 92, 1, True, False),
        (8, 5, 87, 19, False, False),
        (2, 1, 17, 29, False, False),
        (5, 0, 0, 29, True, True),
        (0, 9, 50, 4, False, False),
    ],
)
def test_the_more_programs_were_tried_the_more_a_gain_has_to_be(
    better: int, worse: int, same: int, tried: int, real: bool, sure: bool
) -> None:
    before, after = flips(better, worse, same)
    verdict = last_word(before, after, [searched([len(before)] * tried, len(before))])
    assert (verdict.real, verdict.sure) == (real, sure)
    assert verdict.tried == tried


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 30), st.integers(0, 30), st.integers(1, 30), st.integers(1, 200), st.integers(1, 200))
def test_trying_more_never_makes_a_gain_more_real(better: int, worse: int, same: int, a: int, b: int) -> None:
    before, after = flips(better, worse, same)
    fewer, more = sorted((a, b))
    rows = len(before)
    assert luck(before, after, [rows] * fewer) <= luck(before, after, [rows] * more)
    if last_word(before, after, [searched([rows] * more, rows)]).real:
        assert last_word(before, after, [searched([rows] * fewer, rows)]).real


def test_tries_of_all_steps_count() -> None:
    before, after = flips(8, 2, 20)
    steps = [searched([3, 9, 30, 30], 30), [], searched([30] * 3, 30)]
    assert last_word(before, after, steps).tried == 4 + 3


def test_what_a_step_chose_from_is_all_but_the_start() -> None:
    start, other = (0.0, 1.0), (1.0, 1.0)
    ranked = StepResult(START, (Candidate("new", START, other), Candidate("as it came", START, start)))
    assert chosen_from(ranked, start) == (other,)
    assert chosen_from(replace(ranked, rivals=(other, (0.0, None))), start) == (other, (0.0, None))
    assert chosen_from(StepResult(START), start) == ()


def one_of(after: Sequence[float], others: Sequence[int]) -> list[Seen]:
    """A choice among the winner and others that are right on so many rows, from the last on."""
    rows = len(after)
    return [tuple(after), *((0.0,) * (rows - one) + (1.0,) * one for one in others)]


def test_what_is_said() -> None:
    before, after = flips(40, 2, 58)
    assert last_word(before, after, [[]]).notes(kept=False) == ()
    assert last_word(before, after, [searched([100] * 19, 100)]).notes(kept=False) == ()
    assert last_word(before, after, [one_of(after, range(60, 96, 2))]).notes(kept=False) == (
        "winner's curse: the best of 19 looks better than it is, here by about 0.6; +37.4 of the gain of +38.0 is left, and an eval on "
        "other rows tells for sure",
    )
    assert last_word(*flips(5, 3, 92), [[]]).notes(kept=False) == (
        "no sure improvement on the rows it was chosen on: 5 rows better, 3 worse",
    )
    assert last_word(*flips(1, 0, 99), [[]]).notes(kept=False) == (
        "no sure improvement on the rows it was chosen on: 1 row better, 0 worse",
    )
    assert last_word(*flips(8, 5, 87), [searched([100] * 19, 100)]).notes(kept=True) == (
        "no real improvement: +3.0 (8 rows better, 5 worse) is no more than 5.0, what the best of 19 "
        "equal programs shows by luck; the program it started from is kept",
    )


def test_on_few_rows_a_gain_that_may_be_luck_is_taken_and_said_to_be_unsure() -> None:
    """Three rows of ten flip, twice as many for the better: on 30 rows that may be luck, on 300 it is none."""
    few, many = (
        last_word(*flips(6 * times, 3 * times, 21 * times), [searched([30 * times] * 14, 30 * times)])
        for times in (1, 10)
    )
    assert (few.real, few.likely, many.real, many.likely) == (False, True, True, True)
    assert few.notes(kept=False) == (
        "no sure improvement: +10.0 (6 rows better, 3 worse) is no more than 13.2, what the best of 14 equal programs shows by "
        "luck; the result is kept, since +3.2 is still to be expected, as so few rows say little against what searches gain",
    )
    lucky = last_word(*flips(25, 20, 75), [searched([120] * 14, 120)])
    assert (lucky.real, lucky.likely) == (False, False)
    none = last_word(*flips(2, 2, 6), [searched([10] * 14, 10)])
    assert (none.real, none.likely) == (False, False)


async def test_the_start_is_kept_where_the_gain_is_noise(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def once(asked: Asked) -> dict[str, str]:
        """With demos right on one row of val more than without."""
        text = asked.question["text"]
        return oracle(asked) if asked.demos and text == "row 7 of g2" else wrong(asked)

    made = project(tmp_path, SEARCH)
    built, script, _ = await compiled(monkeypatch, tmp_path, made, once)
    assert built.comparison is not None
    assert built.final is not None
    assert built.artifact.program == classifier()
    assert built.final == built.baseline
    assert built.artifact.scores["val"].score == built.final.score
    assert script.calls == built.spent.calls
    assert any(note.startswith("no real improvement") for note in built.notes)


async def test_a_real_gain_is_kept_and_its_luck_is_told(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    built, _, _ = await compiled(monkeypatch, tmp_path, project(tmp_path, SEARCH), learner)
    assert built.artifact.program == built.steps[-1].result.program != classifier()
    assert [note for note in built.notes if note.startswith("winner's curse: ")]
    made, _, _ = await compiled(monkeypatch, tmp_path, project(tmp_path, DEMOS), learner)
    assert not any("winner's curse" in note for note in made.notes)


async def test_dspys_choice_stands_where_it_was_asked_for(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    faithful = DEMOS.model_copy(update={"compat": "dspy"})
    built, _, _ = await compiled(monkeypatch, tmp_path, project(tmp_path, faithful), oracle)
    assert built.artifact.program == built.steps[-1].result.program != classifier()
    assert built.notes == ("no real improvement: 0 rows better, 0 worse; the result may as well be lucky",)


FLAT = sorting(
    'scoring = "all"', "step search = BootstrapFewShotWithRandomSearch(num_candidate_programs = 10)"
)
"""Labels by the toss of a coin: no program can be better than another."""


def test_a_flat_task_is_called_one_and_the_simpler_program_is_kept(tmp_path: Path) -> None:
    draws = random.Random(4)
    words = [
        "lamp",
        "chair",
        "blue",
        "green",
        "river",
        "stone",
        "cloud",
        "glass",
        "paper",
        "iron",
        "wood",
        "salt",
        "wind",
        "fire",
        "rain",
        "snow",
    ]
    rows = [f"{' '.join(draws.sample(words, 5))},{draws.choice('ab')}" for _ in range(240)]
    (tmp_path / "rows.csv").write_text("\n".join(["text,label", *rows]) + "\n")
    (tmp_path / "flat.dspec").write_text(FLAT)
    done = dspc("compile", "flat.dspec", cwd=tmp_path)
    assert done.code == 0, done.err
    told = " ".join(done.text.split())
    # Something scored higher on val, and which rows flipped, how much of that is luck, and what is kept is said.
    said = re.search(
        r"no real improvement: \+(\S+) \((\d+) rows better, (\d+) worse\) is no more than (\S+), "
        r"what the best of (\d+) equal programs shows by luck; the program it started from is kept",
        told,
    )
    assert said, told
    assert float(said[1]) <= float(said[4])
    assert float(said[1]) == pytest.approx(100 * (int(said[2]) - int(said[3])) / 120, abs=0.05)
    assert int(said[5]) > 5
    artifact = read_artifact(tmp_path / "compiled" / "sorted.dspc.json")
    assert isinstance(artifact.program, Program)
    assert all(not predictor.demos for predictor in artifact.program.predictors.values())
