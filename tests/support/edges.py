"""One optimizer step at some edge, and what has to hold at every one of them."""

from __future__ import annotations

from collections.abc import Collection, Mapping

import pytest
from scripted import Asked, Reply, classifier, exact, member, rows
from stepping import Stepped, step

from dspec.compiler import ir
from dspec.compiler.data import Rows
from dspec.compiler.optimizers.base import Nested, Options, StepResult
from dspec.compiler.optimizers.table import SPECS
from dspec.runtime.artifact.artifact import Artifact, artifact_text, kind_of, parse_artifact
from dspec.runtime.schema.ensemble import programs
from dspec.runtime.schema.expressions import BinaryOp, Constant
from dspec.runtime.schema.program import Demo, Program, canonical
from dspec.runtime.schema.types import JsonValue

SEARCH = "BootstrapFewShotWithRandomSearch"
QUICK: dict[str, dict[str, JsonValue]] = {
    SEARCH: {"num_candidate_programs": 3},
    "BootstrapFewShotWithOptuna": {"num_candidate_programs": 4},
    "COPRO": {"breadth": 3, "depth": 2},
    "MIPROv2": {"auto": None, "num_candidates": 3, "num_trials": 6},
    "GEPA": {"max_metric_calls": 60},
    "SIMBA": {"max_steps": 2, "num_candidates": 2, "bsize": 4},
    "InferRules": {"num_candidates": 2},
    "BetterTogether": {"strategy": "p -> p"},
}
"""Options that keep a test short; the others run as they come."""
SIX, VAL = rows(6), rows(8, start=100)
BLIND = exact().model_copy(
    update={"score": BinaryOp(operator="==", left=Constant(value="L1"), right=member("pred", "label"))}
)
"""A metric that looks at the answer alone."""


def writes(reply: Reply) -> Reply:
    """The same model, which also writes what optimizers ask for: something new each time."""

    def answer(asked: Asked) -> Mapping[str, object] | str | Exception:
        if "label" in asked.wanted or "gist" in asked.wanted:
            return reply(asked)
        said = f"Mind case {asked.request.sample} of {len(str(asked.question))}."
        return dict.fromkeys(asked.wanted, said)

    return answer


def taught(program: Program) -> Program:
    demo = Demo(inputs={"text": "row 900 of g1"}, outputs={"label": "L1"})
    return program.with_predictor(next(iter(program.predictors)), demos=(demo,))


async def edge(
    monkeypatch: pytest.MonkeyPatch,
    optimizer: str,
    reply: Reply,
    *,
    student: Program | None = None,
    train: Rows = SIX,
    val: Rows | None = VAL,
    metric: ir.Metric | None = None,
    seed: int = 0,
    frozen: Collection[str] = (),
    **options: JsonValue,
) -> Stepped:
    """One step with everything that has to hold at any edge."""
    student = student or classifier()
    before = student.model_copy(deep=True)
    nested: dict[str, Nested] = {}
    if SPECS[optimizer].nests:
        inner = SPECS[SEARCH]
        nested = {"p": Nested(SEARCH, inner, Options(inner, QUICK[SEARCH]))}
    if metric is None and not train[0].labels:
        metric = BLIND
    done = await step(
        monkeypatch,
        optimizer,
        reply,
        student=student,
        train=train,
        val=val,
        val_given=val is not None,
        metric=metric,
        seed=seed,
        frozen=frozen,
        nested=nested,
        members=(student, taught(student)) if SPECS[optimizer].gathers else (),
        **{**QUICK.get(optimizer, {}), **options},
    )
    spent, promised, result = done.spent, done.promised, done.result
    assert student == before
    assert result.cut is None
    assert spent.task.calls <= promised.task.most
    assert spent.teacher.calls <= promised.teacher.most
    assert spent.prompt.calls <= promised.prompt.most
    assert done.script.calls <= spent.calls
    _frozen(result, student, frozen)
    artifact = Artifact(name="edge", kind=kind_of(result.program), program=result.program)
    assert parse_artifact(artifact_text(artifact).encode()) == artifact
    scores = [candidate.score for candidate in result.candidates]
    assert scores == sorted(scores, reverse=True)
    if result.candidates:
        assert result.candidates[0].program == result.program
        compared = len(result.candidates[0].scores)
        assert compared == len(val if val is not None else result.scored_on or train)
        start = next((one for one in result.candidates if one.program == student), None)
        assert start is None or scores[0] >= start.score
    return done


def _frozen(result: StepResult, student: Program, frozen: Collection[str]) -> None:
    """Whatever was tried, these predictors are byte for byte what they were."""
    made = list(programs(result.program)) + [one.program for one in result.candidates]
    for program in made if frozen else ():
        for address in frozen:
            assert canonical(program.predictors[address]) == canonical(student.predictors[address])
