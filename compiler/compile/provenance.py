"""Where a compiled program comes from: what its artifact says of inputs, seed, models, steps and cost."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from typing import Literal, TypedDict

from dspec.runtime.artifact.artifact import (
    ExploredRecord,
    FlawName,
    MadeFrom,
    Provenance,
    StepRecord,
    TrainingRecord,
)
from dspec.runtime.running.inspecting import prompt_digests
from dspec.runtime.schema.ensemble import Runnable
from dspec.runtime.schema.program import digest
from dspec.runtime.schema.types import JsonValue
from dspec.runtime.schema.usage import Flaws

from .. import ir
from ..data import Rows, rows_digest
from ..evaluate.digests import metric_digest, program_digest
from ..evaluate.meter import Account
from ..evaluate.outcomes import Candidate, Evaluation, RowResult
from ..optimizers.base import Explored, Options, StepResult, TrainingDone
from .chain import spec_of
from .evals import scored
from .prepared import Resolved
from .selection import LastWord


def provenance(
    project: ir.Project,
    resolved: Resolved,
    emitted: Runnable,
    outcomes: Sequence[tuple[str, StepResult, Account, LastWord | None]],
    *,
    spent: Account,
    unanswered: int,
    files: tuple[MadeFrom, ...] = (),
) -> Provenance:
    """Of `emitted`, which the block's steps led to from these `files`: each of those that ran by name, its result, what it
    took, and what that is against what it was given."""
    steps = {step.name: step for step in resolved.optimize.steps}
    return Provenance(
        toolchain=toolchain(),
        models=models_of(project, resolved, emitted),
        training=tuple(_training(name, one) for name, result, _, _ in outcomes for one in result.trained),
        steps=tuple(
            _record(resolved, steps[name], result, took, verdict) for name, result, took, verdict in outcomes
        ),
        calls=spent.calls,
        input_tokens=spent.total.input_tokens,
        output_tokens=spent.total.output_tokens,
        cost_usd=spent.total.known_usd,
        unanswered=unanswered or None,
        answers=_answers(spent.flaws),
        files=files,
        prompts=prompt_digests(emitted),
        **recipe(resolved),
    )


def _training(step: str, done: TrainingDone) -> TrainingRecord:
    job = done.job
    return TrainingRecord(
        step=step,
        model=done.lm,
        base=job.base,
        rows=job.rows,
        data=job.data,
        tokens=job.trained,
        cost_usd=job.usd,
    )


def imported_from(source: Runnable, program: Runnable) -> Provenance:
    """Of a program whose instructions and demos come from another tool's file: what it was before, and its models."""
    models = {name: lm.model for name, lm in program.lms.items()}
    return Provenance(toolchain=toolchain(), source=program_digest(source), models=models)


class Recipe(TypedDict):
    """What is known of a compile before it has run, by the members of `Provenance`: hashes of what it starts from, and
    the seed."""

    source: str
    data: dict[str, str]
    metric: str
    options: str
    seeds: dict[str, int]
    scoring: Literal["none"] | None


def recipe(resolved: Resolved) -> Recipe:
    return Recipe(
        source=program_digest(resolved.student),
        data={"train": rows_digest(resolved.train), "val": rows_digest(resolved.val)},
        metric=metric_digest(resolved.metric),
        options=digest(
            [*(_resolved_step(step) for step in resolved.optimize.steps), *_wanted(resolved.optimize)]
        ),
        seeds={"optimize": resolved.optimize.seed},
        scoring="none" if resolved.optimize.scoring == "none" else None,
    )


def _wanted(optimize: ir.Optimize) -> list[JsonValue]:
    """What a block says of its result and of what is kept beside it, if anything."""
    said = optimize.model_dump(
        mode="json", include={"lms", "minimize", "gate", "keep"}, exclude_defaults=True
    )
    return [said] if said else []


def _answers(flaws: Flaws) -> dict[FlawName, int]:
    """The counts that are not 0."""
    counts: dict[FlawName, int] = {
        "cut": flaws.cut,
        "repaired": flaws.repaired,
        "unreadable": flaws.unreadable,
    }
    return {name: count for name, count in counts.items() if count}


def as_evaluation(candidate: Candidate, rows: Rows) -> Evaluation:
    """A candidate's scores as an evaluation, for its interval; outputs are not kept."""
    return Evaluation(
        tuple(RowResult(row.index, score, None) for row, score in zip(rows, candidate.scores, strict=True))
    )


def models_of(project: ir.Project, resolved: Resolved, emitted: Runnable) -> dict[str, str]:
    """Model strings by the name of their `lm`, and by role of what a compile asks besides."""
    optimize = resolved.optimize
    models = {
        name: lm.model for name, lm in sorted({**project.with_fallbacks(optimize.lms), **emitted.lms}.items())
    }
    roles = {"teacher": optimize.teacher_lm, "prompt": optimize.prompt_lm}
    asked = {role: project.lms[name].model for role, name in roles.items() if name is not None}
    judges = {
        judge.program.lms[one.lm].model
        for judge in resolved.metric.judges
        for one in judge.program.predictors.values()
    }
    return models | asked | ({"judge": ", ".join(sorted(judges))} if judges else {})


def _record(
    resolved: Resolved, step: ir.StepSpec, result: StepResult, spent: Account, verdict: LastWord | None
) -> StepRecord:
    score = None
    if result.candidates:
        rows = resolved.raced if result.scored_on is None else result.scored_on
        score = scored(resolved.metric.name, as_evaluation(result.candidates[0], rows))
    return step_record(step).model_copy(
        update={
            "score": score,
            "calls": spent.calls,
            "cost_usd": spent.total.known_usd,
            "gain": None if verdict is None else verdict.comparison.difference,
            "luck": None if verdict is None else verdict.chance,
            "explored": tuple(map(_explored, result.explored)),
            "stopped": result.stopped or None,
        }
    )


def _explored(one: Explored) -> ExploredRecord:
    return ExploredRecord(
        family=one.family,
        optimizers=one.optimizers,
        programs=one.programs,
        rows=one.rows,
        gain=one.gain,
        low=one.low,
        high=one.high,
        calls=one.calls,
        cost_usd=one.cost_usd,
        kept=one.kept,
    )


def step_record(step: ir.StepSpec) -> StepRecord:
    """The step with all its options, defaults included."""
    spec = spec_of(step)
    options = Options(spec, step.options).as_dict()
    if step.compat is not None:
        options["compat"] = step.compat
    if step.frozen:
        options["freeze"] = list(step.frozen)
    for name, inner in step.nested.items():
        options[name] = step_record(inner).model_dump(mode="json", include={"optimizer", "options"})
    return StepRecord(name=step.name, optimizer=spec.name, options=options)


def _resolved_step(step: ir.StepSpec) -> JsonValue:
    """The step as the options' hash sees it: with every default, its student and its teacher."""
    plain: dict[str, JsonValue] = step_record(step).model_dump(mode="json")
    more = step.model_dump(mode="json", include={"members", "nested"}, exclude_defaults=True)
    return {**plain, "student": step.student, "teacher": step.teacher, **more}


@cache
def toolchain() -> str:
    """Name and version of what compiles here."""
    try:
        return f"dspc {version('dspc')}"
    except PackageNotFoundError:
        return "dspc unknown"
