"""Gathers what a report tells of one compile: its artifact, its rows as they are now, and what is kept of its runs."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence

from dspec.runtime.artifact.artifact import Artifact, StepRecord, artifact_text
from dspec.runtime.schema.ensemble import Runnable, programs
from dspec.runtime.schema.usage import Spent, pico

from ... import ir
from ...diagnostics.wording import plural
from ...evaluate.statistics import paired
from ..built import Built, StepOutcome
from ..evals import scored
from ..prepared import Prepared, Resolved, spell_rows
from ..provenance import as_evaluation
from ..selection import LastWord
from .facts import PricedFacts, ReportFacts, RowTable, SpendLine, StepFacts, TrialPoint, Trouble
from .kept import Archive
from .prompting import prompts_of, told
from .replay import Replay, ReplayedTrial, drift, replay
from .tables import table_of

MAX_TROUBLES = 100
"""Rows whose answers are shown as they came."""


async def gathered(prepared: Prepared, name: str, artifact: Artifact, archive: Archive) -> ReportFacts:
    """The report of block `name` and its artifact.

    Raises DataError for rows that cannot be used, and OptimizerError for a block that cannot run.
    """
    resolved = prepared.resolved(name)
    after = prepared.project.on_declared(artifact.program)
    told_again = await replay(prepared, name, artifact, archive)
    changed = drift(prepared, name, artifact)
    tables = [table async for table in _tables(prepared, resolved, name, after, archive)]
    troubles, untold = await _troubles(prepared, resolved, name, after, tables, archive)
    start = None if told_again.built is None else told_again.built.baseline
    metric = resolved.metric.name
    return ReportFacts(
        name=name,
        title=name,
        subtitle=f"{resolved.optimize.program}, compiled for `{metric}`",
        tables=tuple(tables),
        trials=_trials(told_again, resolved, after),
        start=None if start is None else scored(metric, start),
        steps=_steps(artifact, told_again.built),
        luck=_luck(told_again.built),
        front=_front(told_again.built),
        prompts=prompts_of(resolved.student, after),
        spending=(*_spending(artifact, told_again.built), *_of_tables(tables)),
        troubles=troubles,
        untold=untold,
        notes=tuple(told_again.built.notes) if told_again.built is not None else artifact.notes,
        missing=tuple(_missing(tables, told_again, changed)),
        origin=tuple(_origin(artifact, told_again)),
    )


def of_artifact(artifact: Artifact, why: str) -> ReportFacts:
    """What the artifact alone tells; `why` says why there is no more."""
    return ReportFacts(
        name=artifact.name,
        title=artifact.name,
        subtitle=f"{artifact.program.name}, as its artifact tells",
        steps=_steps(artifact, None),
        prompts=prompts_of(None, artifact.program),
        spending=tuple(_spending(artifact, None)),
        notes=artifact.notes,
        missing=(why,),
        origin=tuple(_origin(artifact, Replay(None))),
    )


def _sides(prepared: Prepared, resolved: Resolved, block: ir.Eval | None) -> tuple[str, Runnable | None]:
    """What a table has before: the baseline of an eval, else what the compile started from."""
    if block is not None and block.baseline is not None:
        return block.baseline, prepared.program(block.baseline)
    return resolved.optimize.program, resolved.student


async def _tables(prepared: Prepared, resolved: Resolved, name: str, after: Runnable, archive: Archive):
    project, optimize = prepared.project, resolved.optimize
    for block in project.evals.values():
        if block.program != name:
            continue
        rows, metric = prepared.rows(block.data), project.metrics[block.metric]
        before_name, before = _sides(prepared, resolved, block)
        yield table_of(
            f"eval {block.name}",
            f"{spell_rows(block.data)}, held out",
            rows,
            project.datasets[block.data.dataset],
            metric,
            (
                before_name,
                before,
                [None] * len(rows) if before is None else await archive.look(before, rows, metric),
            ),
            (name, after, await archive.look(after, rows, metric)),
            unseen=True,
        )
    ref = optimize.val or optimize.train
    why = "by which it was chosen" if optimize.val else "on which it was trained"
    every = (*resolved.raced, *resolved.rest)
    start = await archive.look(resolved.student, every, resolved.metric)
    end = await archive.look(after, every, resolved.metric)
    # Of the other rows of val, those that the two were compared on.
    places = [
        place
        for place in range(len(every))
        if place < len(resolved.raced) or (start[place] is not None and end[place] is not None)
    ]
    yield table_of(
        "val" if optimize.val else "train",
        f"{spell_rows(ref)}, {why}",
        [every[place] for place in places],
        project.datasets[ref.dataset],
        resolved.metric,
        (optimize.program, resolved.student, [start[place] for place in places]),
        (name, after, [end[place] for place in places]),
        unseen=False,
    )


async def _troubles(
    prepared: Prepared,
    resolved: Resolved,
    name: str,
    after: Runnable,
    tables: Sequence[RowTable],
    archive: Archive,
) -> tuple[tuple[Trouble, ...], int]:
    """Rows on which an answer was cut, guessed at or unusable: those of the result first."""
    blocks = [block for block in prepared.project.evals.values() if block.program == name]
    starts = [*(_sides(prepared, resolved, block)[1] for block in blocks), resolved.student]
    found: list[Trouble] = []
    untold = 0
    for side in ("after", "before"):
        for place, table in enumerate(tables):
            program = after if side == "after" else starts[place]
            for number, row in enumerate(table.rows):
                one = row.after if side == "after" else row.before
                if one is None or program is None or not (one.failed or one.flaws.total):
                    continue
                if len(found) == MAX_TROUBLES:
                    untold += 1
                    continue
                said = await archive.exchanges(program, row.example)
                found.append(Trouble(place, number, side, one.flaws, one.reason if one.failed else "", said))
    return tuple(found), untold


def _trials(told_again: Replay, resolved: Resolved, after: Runnable) -> tuple[TrialPoint, ...]:
    built = told_again.built
    if built is None:
        return ()
    start = built.baseline
    best = 0.0 if start is None else start.score
    points: list[TrialPoint] = []
    emitted = programs(built.artifact.program)
    on_val = {step.name for step in built.steps if step.result.scored_on in (None, resolved.raced)}
    for number, trial in enumerate(told_again.trials, 1):
        if trial.step in on_val:
            best = max(best, trial.score)
        points.append(_point(number, trial, best, built, resolved, trial.step in on_val, emitted))
    return tuple(points)


def _point(
    number: int,
    trial: ReplayedTrial,
    best: float,
    built: Built,
    resolved: Resolved,
    on_val: bool,
    emitted: Sequence[Runnable],
) -> TrialPoint:
    candidate = trial.candidate
    if candidate is None or not on_val:
        return TrialPoint(number, trial.step, trial.label, trial.score, best, trial.spent)
    whole = scored(resolved.metric.name, as_evaluation(candidate, resolved.raced))
    start = built.baseline
    own, old = candidate.program.predictors, resolved.student
    olds = {} if not hasattr(old, "predictors") else programs(old)[0].predictors
    return TrialPoint(
        number,
        trial.step,
        trial.label,
        trial.score,
        best,
        trial.spent,
        whole.low,
        whole.high,
        None if start is None else paired(start.scores, candidate.scores),
        sum(len(one.demos) for one in own.values()),
        tuple(
            (address, told(one.signature.instruction))
            for address, one in own.items()
            if address not in olds or olds[address].signature.instruction != one.signature.instruction
        ),
        candidate.program in emitted,
    )


def _steps(artifact: Artifact, built: Built | None) -> tuple[StepFacts, ...]:
    ran = {} if built is None else {step.name: step for step in built.steps}
    return tuple(_step(record, ran.get(record.name)) for record in artifact.provenance.steps)


def _left(verdict: LastWord) -> str:
    if not verdict.real:
        return "no more than luck"
    return f"{100 * verdict.worth.gained:+.1f} without luck" if verdict.lucky else ""


def _step(record: StepRecord, ran: StepOutcome | None) -> StepFacts:
    verdict = None if ran is None else ran.verdict
    return StepFacts(
        record.name,
        record.optimizer,
        tuple((name, told(value)) for name, value in record.options.items()),
        record.score,
        record.gain if verdict is None else verdict.comparison.difference,
        "" if verdict is None else _left(verdict),
        record.calls,
        None if ran is None else ran.spent.total,
        () if ran is None else ran.result.notes,
    )


def _front(built: Built | None) -> tuple[PricedFacts, ...]:
    """What there is to choose between, where a cheaper program scored less."""
    found = () if built is None else built.front
    if len(found) < 2:
        return ()
    return tuple(PricedFacts(one.name, one.score, one.takes.tokens, one.takes.usd) for one in found)


def _luck(built: Built | None) -> str:
    if built is None or built.verdict is None:
        return ""
    verdict = built.verdict
    pair = verdict.comparison
    gain = f"{100 * pair.difference:+.1f} on the rows by which it was chosen"
    if not verdict.real:
        return verdict.within_luck(gain)
    if not verdict.lucky:
        return f"{gain}, and no luck to discount: {plural(verdict.tried, 'program')} to choose from"
    return (
        f"{gain}, about {100 * verdict.worth.luck:.1f} of which is the luck of the best of {verdict.tried}; "
        f"{100 * verdict.worth.gained:+.1f} is left"
        + ("" if built.corrected is None else f", a score of {100 * built.corrected:.1f}")
    )


def _spending(artifact: Artifact, built: Built | None) -> Iterator[SpendLine]:
    origin = artifact.provenance
    cost = origin.cost_usd
    yield SpendLine(
        "compile",
        Spent(
            origin.calls,
            origin.input_tokens,
            origin.output_tokens,
            0 if cost is None else pico(cost),
            int(cost is None and origin.calls > 0),
        ),
    )
    if built is not None:
        spent = built.spent
        for words, part in (
            ("running candidates", spent.task),
            ("finding demos", spent.teacher),
            ("writing instructions", spent.prompt),
            ("the metric's judges", spent.judge),
        ):
            if part.calls:
                yield SpendLine(f"  of it {words}", part)


def _of_tables(tables: Sequence[RowTable]) -> Iterator[SpendLine]:
    for table in tables:
        if table.unseen:
            took = [look.spent for side in ("before", "after") for look in table.known(side)]
            yield SpendLine(table.title, sum(took, Spent()))


def _missing(tables: Sequence[RowTable], told_again: Replay, changed: Sequence[str]) -> Iterator[str]:
    if changed:
        yield (
            f"The source is not what this artifact was compiled from: {', '.join(changed)} changed since. Rows and "
            "prompts before are those of the source as it is now."
        )
    if told_again.built is None:
        yield f"Trials, candidates and luck are not shown, since the compile cannot be replayed: {told_again.doubt}."
    for table in tables:
        for side, name in (("before", table.before_name), ("after", table.after_name)):
            looks = table.known(side)
            if broken := sum(look.metric_failed for look in looks):
                yield (
                    f"{table.title}: the metric failed on {plural(broken, 'row')} under `{name}`, which "
                    f"{'counts' if broken == 1 else 'count'} as 0 here; `dspc eval` stops there unless `on_error` says otherwise."
                )
            lacking = len(table.rows) - len(looks)
            if lacking:
                yield (
                    f"{table.title}: {plural(lacking, 'row')} of {len(table.rows):,} under `{name}` "
                    f"{'has' if lacking == 1 else 'have'} no run that is kept here; nothing stands in for them."
                )


def _origin(artifact: Artifact, told_again: Replay) -> Iterator[tuple[str, str]]:
    origin = artifact.provenance
    yield "compiled by", origin.toolchain or "not said"
    yield "artifact", f"SHA-256 {hashlib.sha256(artifact_text(artifact).encode()).hexdigest()}"
    if told_again.built is not None:
        yield (
            "replayed",
            (
                "from the answers kept here: the same artifact, byte for byte"
                if told_again.same
                else "from the answers kept here: the same program and scores"
            ),
        )
    for role, model in origin.models.items():
        yield f"model `{role}`", model
    for role, seed in origin.seeds.items():
        yield f"seed `{role}`", str(seed)
    for words, value in (("program", origin.source), ("metric", origin.metric), ("steps", origin.options)):
        if value:
            yield f"hash of the {words}", value
    for role, value in origin.data.items():
        yield f"hash of {role}", value
    for role, score in artifact.scores.items():
        yield (
            f"{score.metric}{score.over_rows} on {role}",
            f"{100 * score.score:.1f} ({100 * score.low:.1f} to {100 * score.high:.1f}), {plural(score.n, 'row')}",
        )
