"""The plan: model calls of a compile, before a cent is spent.

Every number comes from the optimizers' one cost formula (`Spec.calls`) and from the rows that would
be used; no model is called. The real compile stays within `most`, for answers that parse and checks
that hold at once; what a bad answer can add stands in the notes.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction

from msgspec import Struct, to_builtins

from dspec.runtime.running.bounds import call_bounds, calls_per_run, counted
from dspec.runtime.running.strategies.base import Times
from dspec.runtime.schema.ensemble import Runnable
from dspec.runtime.schema.program import Program, canonical, walked

from .. import ir
from ..evaluate.counts import Calls, Range
from ..optimizers.base import Facts, Options
from ..optimizers.compat.table import calls_of, scores_val
from ..optimizers.demos import has_demos
from ..optimizers.ensemble import gather
from ..optimizers.frozen import thaw, tunable
from ..optimizers.texts import describes, tunable_tools
from .chain import finalists_of, members_of, nested_of, reducer_of, spec_of, student_of, teacher_of
from .estimate import PROMPT_TOKENS, Estimate, Share, estimated, judged
from .prepared import Prepared, Resolved

NO_CALLS = Range()


class StepPlan(Struct, frozen=True):
    """One step: calls of the program (`task`), its teacher, the model that writes instructions (`prompt`)
    and the metric's judges, with the rows they run on."""

    name: str
    optimizer: str
    task: Range
    teacher: Range
    train: int
    val: int
    prompt: Range = NO_CALLS
    judge: Range = NO_CALLS

    @property
    def calls(self) -> Calls:
        return Calls(self.task, self.teacher, self.prompt, self.judge)


class EvalPlan(Struct, frozen=True):
    """An `eval` block that scores this compile's result: calls of program and baseline together."""

    name: str
    rows: int
    calls: Range
    judge: Range = NO_CALLS


class Plan(Struct, frozen=True):
    """What `dspc plan` prints. `baseline` and `final` are the scorings before and after the steps."""

    optimize: str
    scoring: ir.Scoring
    """"none": no calls of `baseline`, `final` and `judge`."""
    baseline: Range
    steps: tuple[StepPlan, ...]
    final: Range
    least: int
    most: int
    estimate: Estimate
    again: int = 0
    """Further calls at most, for answers that do not parse or break a check; `least` and `most` lack them."""
    evals: tuple[EvalPlan, ...] = ()
    """What `dspc compile` scores after the steps; `least` and `most` hold these calls, too."""
    notes: tuple[str, ...] = ()
    judge: Range = NO_CALLS
    """Calls of the metric's judges when a program is scored on all rows, as before and after the steps."""

    def to_json(self) -> str:
        """Canonical JSON of the plan; a range is `[least, most]`."""
        return canonical(to_builtins(self))


def plan(prepared: Prepared, name: str, *, scored: bool = True) -> Plan:
    """Calls per step of optimize block `name` and, if it is `scored`, of the evals that score it; calls no model."""
    return plan_with_result(prepared, name, scored=scored)[0]


def plan_with_result(prepared: Prepared, name: str, *, scored: bool = True) -> tuple[Plan, Runnable]:
    """The same with what the block gives, as far as it is known before its steps have run."""
    project = prepared.project
    walks: dict[str, _Walked] = {}

    def walked(block: str) -> _Walked:
        if block not in walks:
            walks[block] = _walk(project, prepared.resolved(block))
        return walks[block]

    def calls_of_one(program: str) -> int:
        """Of a program, or at most of an optimize block's result."""
        if program in project.optimizes and program not in project.made:
            return calls_per_run(walked(program).programs[project.optimizes[program].emit])
        return calls_per_run(project.on_lm(program, None))

    evals: list[EvalPlan] = []
    judging: list[Share] = []
    for block in project.evals.values():
        if scored and block.program == name:
            one, shares = _plan_eval(prepared, block, calls_of_one)
            evals.append(one)
            judging += shares
    found = _plan(prepared.resolved(name), walked(name), tuple(evals), judging)
    return found, walked(name).programs[project.optimizes[name].emit]


def plan_resolved(project: ir.Project, resolved: Resolved) -> Plan:
    """The plan of the block alone, without evals."""
    return _plan(resolved, _walk(project, resolved))


def _plan_eval(
    prepared: Prepared, block: ir.Eval, calls_of_one: Callable[[str], int]
) -> tuple[EvalPlan, tuple[Share, ...]]:
    project, rows = prepared.project, prepared.rows(block.data)
    names = [block.program] if block.baseline is None else [block.program, block.baseline]
    calls = len(rows) * sum(calls_of_one(name) for name in names)
    metric = project.metrics[block.metric]
    shares = judged(metric, project.student(block.program), rows, len(rows) * len(names)) if rows else ()
    # Rows that a step has scored already, and a result equal to its baseline, are not asked for again.
    plan = EvalPlan(block.name, len(rows), Range(0, calls), _judge_calls(metric, len(rows) * len(names)))
    return plan, shares


def _judge_calls(metric: ir.Metric, runs: int) -> Range:
    """Of so many runs that are scored: every judge is asked once at most, and a branch may spare it."""
    return Range(0, runs * sum(calls_per_run(judge.program) for judge in metric.judges))


def _share_at_least(program: Runnable) -> Fraction:
    """How much of its calls a run makes in any case: a formula counts runs, and each at its most."""
    bounds = call_bounds(program)
    return Fraction(bounds.least, bounds.most) if bounds.most else Fraction(1)


def _lowered(calls: Range, share: Fraction) -> Range:
    return Range(math.floor(calls.least * share), calls.most)


def _scored(calls: Calls, task: int, teacher: int) -> int:
    """Runs that a step scores at most: as many as its calls allow, when a run takes no fewer than that."""
    return math.ceil(calls.task.most / max(1, task)) + math.ceil(calls.teacher.most / max(1, teacher))


def _settled(calls: Calls, facts: Facts) -> Calls:
    """A search's calls, where it may find that nothing can be better than what it starts from."""
    scoring = Range(min(calls.task.least, facts.val * facts.calls_per_run), calls.task.most)
    return calls._replace(
        task=scoring, teacher=Range(0, calls.teacher.most), prompt=Range(0, calls.prompt.most)
    )


class _Walked(Struct, frozen=True):
    """The steps in order, each step's program as far as its shape is known, the steps scored, how many runs
    they score at most, and the tools that some step describes anew."""

    steps: tuple[StepPlan, ...]
    programs: Mapping[str, Runnable]
    scored: frozenset[str]
    scorings: int
    described: tuple[str, ...]


def _walk(project: ir.Project, resolved: Resolved) -> _Walked:
    optimize, student = resolved.optimize, resolved.student
    programs: dict[str, Runnable] = {}
    candidates: dict[str, tuple[Program, ...]] = {}
    # Steps whose result is scored when they end; "" is what the block starts from, the baseline.
    scored = {""} if optimize.scoring == "all" else set[str]()
    scorings = 0
    described: dict[str, None] = {}
    steps: list[StepPlan] = []
    for step, origin in zip(optimize.steps, ir.origins(optimize.steps), strict=True):
        spec = spec_of(step)
        starts = student_of(project, step, origin, programs, student, optimize.lm)
        if spec.gathers:
            members = members_of(project, step, programs, candidates.__getitem__, optimize.lm)
            reducer = reducer_of(project, step, optimize.lm)
            programs[step.name] = gather(starts, members, Options(spec, step.options), reducer=reducer)
            steps.append(
                StepPlan(step.name, spec.name, NO_CALLS, NO_CALLS, len(resolved.train), len(resolved.val))
            )
            continue
        teacher = teacher_of(project, step, programs, optimize.lm) or starts
        facts = Facts(
            train=len(resolved.train),
            val=len(resolved.val),
            predictors=len(tunable(starts)),
            calls_per_run=calls_per_run(starts),
            teacher_calls_per_run=calls_per_run(teacher),
            student_scored=origin in scored,
            student_bare=origin not in programs
            and (origin or optimize.program) not in resolved.awaited
            and not has_demos(starts),
            val_given=optimize.val is not None,
            finalists=finalists_of(optimize.steps, step.name),
            nested=nested_of(project, step, programs, optimize.lm),
            tools=len(tunable_tools(starts)),
        )
        calls = calls_of(spec, step.compat)(Options(spec, step.options), facts)
        if step.compat is None and describes((spec, *(one.spec for one in facts.nested.values()))):
            described |= dict.fromkeys(tunable_tools(starts))
        if spec.candidates and step.compat is None and facts.finalists == 1:
            calls = _settled(calls, facts)
        nested = [one.teacher for one in facts.nested.values() if one.teacher is not None]
        fewer = min(map(_share_at_least, (starts, teacher, *nested)))
        taught = [calls_per_run(one) for one in nested]
        fewest = min(facts.calls_per_run, facts.teacher_calls, *taught)
        runs = _scored(calls, facts.calls_per_run, fewest)
        scorings += runs
        steps.append(
            StepPlan(
                step.name,
                spec.name,
                _lowered(calls.task, fewer),
                _lowered(calls.teacher, fewer),
                len(resolved.train),
                len(resolved.val),
                calls.prompt,
                _judge_calls(resolved.metric, runs),
            )
        )
        starts = programs[step.name] = spec.shape(thaw(starts), Options(spec, step.options))
        if spec.candidates:
            if scores_val(spec, step.compat) and (optimize.val is not None or not spec.holds_out):
                scored.add(step.name)
            # What is scored on all rows costs as many calls, but for what is known before.
            most = 2 + calls.task.most // max(1, facts.val * facts.calls_per_run)
            candidates[step.name] = (starts,) * most
    return _Walked(tuple(steps), programs, frozenset(scored), scorings, tuple(described))


def _plan(
    resolved: Resolved, walked: _Walked, evals: tuple[EvalPlan, ...] = (), judging: Sequence[Share] = ()
) -> Plan:
    """The plan, with that of the evals; `judging` is what their judges cost."""
    optimize, student = resolved.optimize, resolved.student
    steps = walked.steps
    scored = len(resolved.val) if optimize.scoring == "all" else 0
    baseline = Range(scored * call_bounds(student).least, scored * calls_per_run(student))
    unscored = scored * calls_per_run(walked.programs[optimize.emit])
    final = Range() if optimize.emit in walked.scored else Range(0, unscored)
    # No step runs where the start is scored and nothing can be better. On DSPy's schedule steps run all the same. Those that
    # run may share all their scorings, and a common teacher's runs; where the start is scored on train, all of them.
    surely = steps if not scored or any(step.compat is not None for step in optimize.steps) else ()
    apart = optimize.val is not None or not scored
    teaching = max((step.teacher.least for step in surely), default=0) if apart else 0
    # Of several steps that ask for instructions, one may find all its questions asked already.
    prompting = max((step.prompt.least for step in surely), default=0)
    least = baseline.least + teaching + prompting + sum(one.calls.least for one in evals)
    prompts = sum(step.prompt.most for step in steps)
    teachers = sum(step.teacher.most for step in steps)
    work = baseline.most + final.most + sum(step.task.most for step in steps)
    work += sum(one.calls.most for one in evals)
    judge = _judge_calls(resolved.metric, scored)
    runs = (2 if final.most else 1) * scored + walked.scorings
    judges = _judge_calls(resolved.metric, runs).most + sum(one.judge.most for one in evals)
    most = work + teachers + prompts + judges
    askings = max(_askings(one) for one in (student, *(judge.program for judge in resolved.metric.judges)))
    again = most * (askings - 1)
    return Plan(
        optimize=optimize.name,
        scoring=optimize.scoring,
        baseline=baseline,
        steps=steps,
        final=final,
        least=least,
        most=most,
        again=again,
        estimate=estimated(
            student,
            resolved.val,
            (
                Share(Range(least - teaching - prompting, work)),
                Share(Range(teaching, teachers), resolved.teacher_lm),
                Share(Range(prompting, prompts), resolved.prompt_lm, PROMPT_TOKENS),
                *judged(resolved.metric, student, resolved.val, runs),
                *judging,
            ),
        ),
        evals=evals,
        notes=_notes(resolved, walked, again, prompts, judges, runs + 2 * sum(one.rows for one in evals)),
        judge=judge,
    )


def _askings(program: Program) -> int:
    """How often a call is made at most: once more to mend its answer, and all of that for each failed check."""
    times = 2
    for predictor in program.predictors.values():
        signature = predictor.signature
        if signature.checks or any(record.checks for record in program.records.values()):
            times = max(times, 2 * (1 + signature.max_retries))
    most = max((one.signature.max_retries for one in program.predictors.values()), default=0)
    graphs = (program, *program.graphs.values())
    checks = [step for graph in graphs for step in walked(graph.steps) if step.kind == "check"]
    return times * (1 + most) ** len(checks)


def _calls_of_a_run(program: Program) -> str:
    """What one run calls, of a program with branches, lists, rounds or other programs; "" of a plain one."""
    if all(step.kind in ("call", "value", "check") for step in program.steps):
        return ""
    bounds = call_bounds(program)
    each = ", ".join(f"`{key}` {_times(times)}" for key, times in counted(program).items())
    return f"a run makes {_times(bounds)} model calls: {each}"


def _times(times: Times) -> str:
    return f"{times.most:,}" if times.least == times.most else f"{times.least:,} to {times.most:,}"


def _notes(
    resolved: Resolved, walked: _Walked, again: int, prompts: int, judges: int, runs: int
) -> tuple[str, ...]:
    optimize = resolved.optimize
    notes = [
        f"an answer that does not parse or breaks a check is asked for again: at most {again:,} further calls"
    ]
    if branching := _calls_of_a_run(resolved.student):
        notes.append(branching)
    if resolved.student.tools:
        from .toolcalls import tool_notes  # few programs have tools

        notes += tool_notes(resolved.student, runs, walked.described)
    if prompts:
        notes.append(
            f"up to {prompts} calls write instructions: their prompts show rows of train, and are "
            f"counted with {PROMPT_TOKENS[0]:,} tokens in and {PROMPT_TOKENS[1]:,} out each"
        )
    if judges:
        notes.append(
            f"up to {judges:,} calls ask the metric's judges: one for each that a row's score reads, and none "
            "for an answer that was judged before"
        )
    if resolved.awaited:
        results = " and ".join(f"`{name}`" for name in sorted(resolved.awaited))
        notes.append(
            f"counted with the shape that the result of {results} will have: its demos and words may add tokens"
        )
    if optimize.scoring == "none":
        notes.append(
            '`scoring = "none"`: neither the program nor the result is scored; steps score what they need'
        )
    if optimize.val is None:
        notes.append("no val: candidates are scored on the rows they were made from")
    notes.append("answers that are already in the ledger are not paid again")
    return tuple(notes)
