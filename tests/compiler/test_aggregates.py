"""Metrics that are made of all rows: what they are, how sure they are, and what looks at single rows."""

from __future__ import annotations

import os
import random
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from judging import HEAD, metric

from dspec.compiler import ir
from dspec.compiler.evaluate.resampling import Swaps
from dspec.compiler.evaluate.scoring import MetricError, score_row
from dspec.compiler.evaluate.shares import (
    Share,
    at_best,
    leaves_something,
    nothing,
    overall,
    perfect,
    shares_of,
)
from dspec.compiler.evaluate.statistics import interval, luck, paired
from dspec.compiler.tables.aggregates import AGGREGATES

LABELS = ["macro_f1", "weighted_f1", "balanced_accuracy", "worst_label"]
OVER_LABELS = {name: metric(f"= {name}(gold.label, pred.label)") for name in LABELS}
LOW = metric("= percentile(f1(gold.label, pred.label), 10)")
MIXED = metric("= 0.5 * macro_f1(gold.label, pred.label) + 0.5 * percentile(f1(gold.label, pred.label), 10)")
EVERY = {**OVER_LABELS, "percentile": LOW, "mixed": MIXED}

SIMS = 200 if os.environ.get("DSPEC_DEEP") else 30
FEWEST_HELD = 0.9 if os.environ.get("DSPEC_DEEP") else 0.83
"""Of intervals that are to hold the truth in 95 of 100."""

Pairs = Sequence[tuple[str, str | None]]


def scores(made: ir.Metric, pairs: Pairs) -> list[float]:
    """Rows of these labels, and what the program answered; None where it gave no answer."""
    return [
        nothing(made, {"label": gold})
        if pred is None
        else score_row(made, {"label": gold}, {"label": pred}, 0).score
        for gold, pred in pairs
    ]


def by_definition(name: str, pairs: Pairs) -> float:
    """The textbook's sums, one label after the other."""
    golds = sorted({gold for gold, _ in pairs})

    def recall(label: str) -> float:
        own = [pred for gold, pred in pairs if gold == label]
        return own.count(label) / len(own) if own else 0.0

    def precision(label: str) -> float:
        given_to = [gold for gold, pred in pairs if pred == label]
        return given_to.count(label) / len(given_to) if given_to else 0.0

    def f1(label: str) -> float:
        p, r = precision(label), recall(label)
        return 2 * p * r / (p + r) if p + r else 0.0

    match name:
        case "macro_f1":
            return sum(f1(label) for label in golds) / len(golds)
        case "weighted_f1":
            return sum(f1(label) for gold, _ in pairs for label in [gold]) / len(pairs)
        case "balanced_accuracy":
            return sum(recall(label) for label in golds) / len(golds)
        case _:
            return min(recall(label) for label in golds)


labels = st.sampled_from("pqrs")
rows_of = st.lists(st.tuples(labels, st.one_of(labels, st.just("t"), st.none())), min_size=1, max_size=40)


@given(rows_of, st.randoms(use_true_random=False))
@settings(max_examples=60, deadline=None)
def test_an_aggregate_is_its_definition_whatever_the_order(
    pairs: list[tuple[str, str | None]], draws: random.Random
) -> None:
    shuffled = draws.sample(pairs, len(pairs))
    for name, made in OVER_LABELS.items():
        found = overall(scores(made, pairs))
        assert found == pytest.approx(by_definition(name, pairs), abs=1e-12)
        assert overall(scores(made, shuffled)) == found
        assert 0.0 <= found <= 1.0


# What scikit-learn gives for these rows, with `labels` those that they have: f1_score(average="macro"),
# f1_score(average="weighted"), balanced_accuracy_score. By hand: F1 is 2 · right / (rows + answers).
TABLE: Pairs = [*[("p", "p")] * 6, ("p", "q"), ("p", "r"), ("q", "q"), ("q", "p"), ("r", "r"), ("r", "s")]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("macro_f1", (12 / 15 + 1 / 2 + 2 / 4) / 3),
        ("weighted_f1", (8 * 12 / 15 + 2 / 2 + 2 * 2 / 4) / 12),
        ("balanced_accuracy", (6 / 8 + 1 / 2 + 1 / 2) / 3),
        ("worst_label", 1 / 2),
    ],
)
def test_a_small_table(name: str, value: float) -> None:
    assert overall(scores(OVER_LABELS[name], TABLE)) == pytest.approx(value)


def test_a_percentile_is_a_value_of_a_row() -> None:
    values = [(k + 1) / 10 for k in range(10)]
    for percent, value in ((0, 0.1), (10, 0.1), (11, 0.2), (50, 0.5), (100, 1.0)):
        assert AGGREGATES["percentile"].compute(values, [1] * 10, percent) == value
    # A row that counts for three is three rows.
    assert AGGREGATES["percentile"].compute([0.2, 0.7], [3, 1], 75) == 0.2
    assert AGGREGATES["percentile"].compute([0.2, 0.7], [3, 1], 76) == 0.7


@given(rows_of)
@settings(max_examples=40, deadline=None)
def test_a_row_that_does_better_never_lowers_the_number(pairs: list[tuple[str, str | None]]) -> None:
    """On it rests the bound of a search. A row without an answer is no better than a right one."""
    for made in EVERY.values():
        now = scores(made, pairs)
        for place, (gold, _) in enumerate(pairs):
            better, worse = [*now], [*now]
            better[place] = at_best(now[place])
            worse[place] = nothing(made, {"label": gold})
            assert overall(now) <= overall(better) + 1e-12
            assert overall(worse) <= overall(better) + 1e-12
        assert overall([at_best(score) for score in now]) == 1.0


@given(rows_of)
@settings(max_examples=30, deadline=None)
def test_one_row_has_a_score_of_its_own(pairs: list[tuple[str, str | None]]) -> None:
    for made in EVERY.values():
        for (gold, pred), score in zip(pairs, scores(made, pairs), strict=True):
            assert score == overall([score]) == float(gold == pred)


def test_what_one_row_tells_of_all() -> None:
    right, wrong = scores(OVER_LABELS["macro_f1"], [("p", "p"), ("p", "q")])
    assert not leaves_something(right)
    assert leaves_something(wrong)
    assert not leaves_something(scores(LOW, [("p", "q")])[0])  # the lowest tenth need not be that row
    assert perfect(scores(LOW, [("p", "q"), *[("p", "p")] * 9])) is False
    assert perfect(
        scores(metric("= percentile(f1(gold.label, pred.label), 50)"), [("p", "q"), ("p", "p"), ("p", "p")])
    )


def test_accept_and_feedback_see_what_the_row_scores_by_itself() -> None:
    made = metric(
        "{ score = macro_f1(gold.label, pred.label); accept = score == 1.0; feedback = str(score) + gold.label }"
    )
    verdict = score_row(made, {"label": "p"}, {"label": "q"}, 0)
    assert (verdict.score, verdict.accept, verdict.feedback) == (0.0, False, "0.0p")
    plain = score_row(OVER_LABELS["macro_f1"], {"label": "p"}, {"label": "p"}, 0)
    assert plain.passes()
    assert not score_row(OVER_LABELS["macro_f1"], {"label": "p"}, {"label": "q"}, 0).passes()


def test_a_value_that_is_none_is_the_metrics_failure() -> None:
    head = HEAD.replace("field label: str", "field label: str; field weight: float")
    with pytest.raises(MetricError, match=r"row 3: `mean` was given 7"):
        score_row(metric("= mean(gold.weight * len(pred.label))", head), {"weight": 7}, {"label": "p"}, 2)
    labelled = HEAD.replace("field label: str", "field label: any")
    with pytest.raises(MetricError, match="compares labels"):
        score_row(metric("= macro_f1(gold.label, pred.label)", labelled), {"label": ["p"]}, {"label": "p"}, 0)


# How sure ------------------------------------------------------------------------------------------------


def simulated(draws: random.Random, rows: int, right: Sequence[float]) -> list[tuple[str, str]]:
    """Rows of imbalanced labels, of which a program gets such shares right."""
    golds = draws.choices("pqr", [70, 20, 10], k=rows)
    chance = dict(zip("pqr", right, strict=True))
    return [
        (gold, gold if draws.random() < chance[gold] else draws.choice([o for o in "pqr" if o != gold]))
        for gold in golds
    ]


@pytest.mark.slow
@pytest.mark.parametrize("name", ["macro_f1", "balanced_accuracy", "weighted_f1", "worst_label"])
def test_an_interval_holds_the_truth(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from dspec.compiler.evaluate import resampling

    monkeypatch.setattr(resampling, "DRAWS", 200)
    made, right, sims = OVER_LABELS[name], (0.95, 0.8, 0.6), SIMS
    truth = overall(scores(made, simulated(random.Random(0), 100_000, right)))
    draws, held = random.Random(1), 0
    for _ in range(sims):
        low, high = interval(scores(made, simulated(draws, 150, right)))
        held += low <= truth <= high
    assert FEWEST_HELD <= held / sims <= 1


@pytest.mark.slow
def test_a_gains_interval_holds_the_truth(monkeypatch: pytest.MonkeyPatch) -> None:
    from dspec.compiler.evaluate import resampling

    monkeypatch.setattr(resampling, "DRAWS", 200)
    made, sims, draws = OVER_LABELS["macro_f1"], SIMS, random.Random(2)
    before, after = (0.95, 0.7, 0.5), (0.93, 0.8, 0.7)
    ideal = [overall(scores(made, simulated(random.Random(0), 100_000, one))) for one in (before, after)]
    held = 0
    for _ in range(sims):
        pairs = simulated(draws, 150, before)
        golds = [gold for gold, _ in pairs]
        chance = dict(zip("pqr", after, strict=True))
        other = [
            (g, g if draws.random() < chance[g] else draws.choice([o for o in "pqr" if o != g]))
            for g in golds
        ]
        found = paired(scores(made, pairs), scores(made, other))
        held += found.low <= ideal[1] - ideal[0] <= found.high
    assert FEWEST_HELD <= held / sims <= 1


def test_equal_programs_seldom_differ_by_the_swaps() -> None:
    made, draws, sims = OVER_LABELS["macro_f1"], random.Random(3), SIMS
    small = 0
    for _ in range(sims):
        golds = simulated(draws, 80, (1, 1, 1))
        one, other = (
            scores(made, [(g, g if draws.random() < 0.7 else draws.choice("pqr")) for g, _ in golds])
            for _ in range(2)
        )
        small += Swaps(shares_of(one), shares_of(other)).chance(sides=2, level=0.05) < 0.05
    assert small / sims <= 0.05 + 2.5 * (0.05 * 0.95 / sims) ** 0.5


def test_nothing_is_certain_for_few_rows() -> None:
    for made in EVERY.values():
        low, high = interval(scores(made, [("p", "p")] * 6 + [("q", "q")] * 3))
        assert low < 0.9
        assert high == 1.0
        alike = scores(made, [("p", "p"), ("q", "p")] * 4)
        same = paired(alike, alike)
        assert same.low < 0.0 == same.difference < same.high
        assert same.p_value == 1.0


def test_for_a_mean_it_is_what_is_said_of_means() -> None:
    """The mean as an aggregate, and as what it is otherwise."""
    made, draws = metric("= mean(gold.label == pred.label)"), random.Random(5)
    before, after = (simulated(draws, 120, right) for right in ((0.7, 0.7, 0.7), (0.8, 0.8, 0.8)))
    shares = scores(made, before), scores(made, after)
    plain = [[float(score) for score in one] for one in shares]
    assert overall(shares[0]) == overall(plain[0])
    assert interval(shares[0]) == pytest.approx(interval(plain[0]), abs=0.02)
    one, other = paired(*shares), paired(*plain)
    assert (one.low, one.high) == pytest.approx((other.low, other.high), abs=0.02)
    assert one.p_value == pytest.approx(other.p_value, abs=0.03)
    assert luck(*shares, [120] * 8) == pytest.approx(luck(*plain, [120] * 8), rel=0.2)


def test_the_rows_order_changes_no_interval() -> None:
    pairs = simulated(random.Random(7), 60, (0.9, 0.7, 0.5))
    one, other = (scores(MIXED, order) for order in (pairs, pairs[::-1]))
    assert interval(one) == interval(other)
    before = scores(MIXED, [(gold, "p") for gold, _ in pairs])
    assert paired(before, one) == paired(before[::-1], other)


def test_many_rows_take_bounded_time() -> None:
    made = OVER_LABELS["macro_f1"]
    many = scores(made, simulated(random.Random(8), 12_000, (0.9, 0.8, 0.6)))
    few = many[:600]
    wide, narrow = interval(few), interval(many)
    ratio = (wide[1] - wide[0]) / (narrow[1] - narrow[0])
    assert ratio == pytest.approx((12_000 / 600) ** 0.5, rel=0.35)


def test_a_share_is_a_number_like_any_other() -> None:
    share = scores(MIXED, [("p", "p")])[0]
    assert isinstance(share, Share)
    assert (share, repr(share), hash(share)) == (1.0, "1.0", hash(1.0))


def test_values_and_metrics_of_a_row_stand_in_the_arguments() -> None:
    head = HEAD + "metric exact(gold: tickets, pred: router) = gold.label == pred.label\n"
    made = metric(
        """{
  let label = gold.label + "!"
  let same = exact(gold, pred)
  score = min(macro_f1(label, pred.label + "!"), 0.5 * mean(same) + 0.5 * mean(mean([same, 1.0])))
  accept = same == 1.0
}""",
        head,
    )
    verdict = score_row(made, {"label": "p"}, {"label": "q"}, 0)
    assert (verdict.score, verdict.accept) == (0.0, False)
    assert isinstance(verdict.score, Share)
    assert verdict.score.reads[0] == ("p!", "q!")
    # The value that names the row's label is there without an answer, too.
    absent = nothing(made, {"label": "p"})
    assert isinstance(absent, Share)
    assert absent.reads[0] == ("p!", ("no answer",))
    assert metric("= mean([1.0, 0.5])").aggregates == ()
