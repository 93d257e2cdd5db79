"""The edges of every optimizer in the table: little data, useless data, useless metrics, extreme options.

Whatever the edge, a step ends with a program that can be saved, or says in one sentence why it cannot run;
it never passes the calls it promised, never changes its student, and never returns something worse than what
it started from on the rows it compared on.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

import pytest
from edges import QUICK, SEARCH, VAL, edge, writes
from scripted import Asked, Reply, classifier, exact, learner, oracle, pipeline, rows, wrong

from dspec.compiler.data import Example
from dspec.compiler.evaluate.scoring import MetricError
from dspec.compiler.evaluate.store import program_digest
from dspec.compiler.optimizers.base import OptimizerError, StepResult
from dspec.compiler.optimizers.table import SPECS
from dspec.runtime.schema.ensemble import programs
from dspec.runtime.schema.program import Program
from dspec.runtime.schema.types import JsonValue

UNLABELLED = tuple(Example(i, {"text": f"row {i} of g{i % 3}"}, {}) for i in range(12))
SAME = tuple(Example(i, {"text": "row 0 of g0"}, {"label": "L0"}) for i in range(6))

SCORES_NOTHING = {"LabeledFewShot", "Ensemble"}

PROMPTED = [name for name in SPECS if SPECS[name].sets != {"weights"}]
every = pytest.mark.parametrize("optimizer", PROMPTED)


def having(option: str) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("optimizer", [name for name in PROMPTED if SPECS[name].option(option)])


def repeats(asked: Asked) -> Mapping[str, object]:
    """Writes the same thing whatever it is asked."""
    if "label" in asked.wanted or "gist" in asked.wanted:
        return learner(asked)
    return dict.fromkeys(asked.wanted, "Mind the case.")


@every
@pytest.mark.parametrize("n", [1, 3])
@pytest.mark.parametrize("given", [True, False], ids=["val", "no val"])
@pytest.mark.parametrize("student", [classifier(), pipeline()], ids=["one", "two"])
async def test_tiny_sets(
    monkeypatch: pytest.MonkeyPatch, optimizer: str, n: int, given: bool, student: Program
) -> None:
    await edge(
        monkeypatch, optimizer, writes(learner), student=student, train=rows(n), val=VAL if given else None
    )


@every
async def test_no_labels(monkeypatch: pytest.MonkeyPatch, optimizer: str) -> None:
    """A metric that needs none works; what labels would have filled stays empty."""
    unlabelled = tuple(Example(row.index, row.inputs, {}) for row in VAL)
    done = await edge(monkeypatch, optimizer, writes(learner), train=UNLABELLED, val=unlabelled)
    for one in programs(done.result.program):
        shown = [demo for predictor in one.predictors.values() for demo in predictor.demos]
        assert all(demo.augmented for demo in shown if demo.inputs["text"] != "row 900 of g1")


@every
async def test_no_labels_where_the_metric_needs_them(monkeypatch: pytest.MonkeyPatch, optimizer: str) -> None:
    """Said as the metric's failure; an optimizer that scores nothing has nothing to say."""
    given = {"train": UNLABELLED, "val": UNLABELLED, "metric": exact()}
    if optimizer in SCORES_NOTHING:
        await edge(monkeypatch, optimizer, writes(learner), **given)  # type: ignore[arg-type]
        return
    with pytest.raises((MetricError, OptimizerError), match="label"):
        await edge(monkeypatch, optimizer, writes(learner), **given)  # type: ignore[arg-type]


@every
@pytest.mark.parametrize("reply", [oracle, wrong], ids=["passing", "failing"])
@pytest.mark.parametrize("student", [classifier(), pipeline()], ids=["one", "two"])
async def test_a_metric_that_tells_nothing_apart(
    monkeypatch: pytest.MonkeyPatch, optimizer: str, reply: Reply, student: Program
) -> None:
    """Where nothing is better, the winner is what it started from, and no failed run becomes a demo."""
    done = await edge(monkeypatch, optimizer, writes(reply), student=student)
    if done.result.candidates:
        assert done.result.program == student
        assert {one.score for one in done.result.candidates} == {1.0 if reply is oracle else 0.0}
    if reply is wrong:
        for one in programs(done.result.program):
            for predictor in one.predictors.values():
                assert not any(demo.augmented for demo in predictor.demos)


@every
async def test_identical_rows(monkeypatch: pytest.MonkeyPatch, optimizer: str) -> None:
    """Equal rows share their runs, whatever is compared on them."""
    done = await edge(monkeypatch, optimizer, writes(learner), train=SAME, val=SAME)
    asked = Counter(
        (str(one.request.messages), one.request.sample, one.request.temperature) for one in done.script.asked
    )
    # Two programs may look alike to the model: a demo from a row, and the same one from a teacher.
    assert max(asked.values(), default=0) <= 2


@having("max_bootstrapped_demos")
@pytest.mark.parametrize("labels", [0, 2])
async def test_no_bootstrapped_demos(monkeypatch: pytest.MonkeyPatch, optimizer: str, labels: int) -> None:
    done = await edge(
        monkeypatch, optimizer, writes(learner), max_bootstrapped_demos=0, max_labeled_demos=labels
    )
    for one in programs(done.result.program):
        demos = [demo for predictor in one.predictors.values() for demo in predictor.demos]
        assert len(demos) <= labels
        assert not any(demo.augmented for demo in demos)


MANY: dict[str, dict[str, JsonValue]] = {
    "LabeledFewShot": {"k": 50},
    "BootstrapFewShot": {"max_bootstrapped_demos": 50, "max_labeled_demos": 50, "max_rounds": 3},
    SEARCH: {"num_candidate_programs": 40},
    "BootstrapFewShotWithOptuna": {"num_candidate_programs": 40, "max_demos": 2},
    "COPRO": {"breadth": 30, "depth": 4},
    "MIPROv2": {"auto": None, "num_candidates": 8, "num_trials": 90},
    "GEPA": {"max_metric_calls": 2000},
    "SIMBA": {"num_candidates": 12, "max_steps": 3, "bsize": 32},
    "InferRules": {"num_candidates": 12},
    "KNNFewShot": {"k": 50},
    "Ensemble": {"size": 9},
    "BetterTogether": {"strategy": "p -> p -> p -> p"},
    "Prune": {"rounds": 9},
    "Auto": {"max_calls": 100_000},
}


@every
async def test_more_candidates_than_combinations(monkeypatch: pytest.MonkeyPatch, optimizer: str) -> None:
    """Two rows, and a model that always writes the same: nothing is scored twice, nothing crashes."""
    done = await edge(monkeypatch, optimizer, repeats, train=rows(2), **MANY[optimizer])
    keys = [program_digest(one.program) for one in done.result.candidates]
    assert len(keys) == len(set(keys))


DRAWS_NOTHING = {"KNNFewShot", "Ensemble", "Prune"}
"""Prune draws what to leave out, and a bare program has nothing of that."""


@every
async def test_seed_zero_is_a_seed(monkeypatch: pytest.MonkeyPatch, optimizer: str) -> None:
    """The same twice; and what is drawn with it is not what another seed draws, where there are draws."""
    made: list[StepResult] = []
    asked: list[set[str]] = []
    for seed in (0, 0, 1, 2):
        done = await edge(monkeypatch, optimizer, writes(learner), train=rows(12, groups=5), seed=seed)
        made.append(done.result)
        asked.append({str(one.request.messages) for one in done.script.asked})
    assert made[0] == made[1]
    assert asked[0] == asked[1]
    differs = any((one, said) != (made[0], asked[0]) for one, said in zip(made[2:], asked[2:], strict=True))
    assert differs != (optimizer in DRAWS_NOTHING)


@having("metric_threshold")
async def test_threshold_zero_accepts_everything(monkeypatch: pytest.MonkeyPatch, optimizer: str) -> None:
    """0 is a threshold that every score reaches, and not, as in DSPy, none at all."""
    found: dict[float | None, int] = {}
    for threshold in (0.0, None):
        done = await edge(
            monkeypatch, optimizer, writes(wrong), metric_threshold=threshold, max_labeled_demos=0
        )
        shown = [demo for asked in done.script.asked for demo in asked.demos]
        kept = [
            demo
            for one in programs(done.result.program)
            for predictor in one.predictors.values()
            for demo in predictor.demos
        ]
        indexed = [
            row for one in programs(done.result.program) if one.neighbours for row in one.neighbours.rows
        ]
        found[threshold] = len(shown) + len(kept) + sum(bool(row.bootstrapped) for row in indexed)
    assert found[0.0] > 0
    assert found[None] == 0


def test_every_optimizer_has_its_extreme() -> None:
    assert MANY.keys() == SPECS.keys() - {"BootstrapFinetune", "GRPO"}
    for name, options in {**QUICK, **MANY}.items():
        assert all(SPECS[name].option(option) for option in options)
