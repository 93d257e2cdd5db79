"""The plan: model calls of a compile, before a cent is spent.

Every number comes from the optimizers' one cost formula (`Spec.calls`) and from the rows that would
be used; no model is called. The real compile stays within `most`, for answers that parse and checks
that hold at once; and in any case within `maximum` and `failing`, where models keep to `max_tokens` (`estimate`).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from fractions import Fraction
from pathlib import Path
from types import MappingProxyType

from msgspec import Struct, to_builtins

from dspec.runtime.running.bounds import call_bounds, calls_per_run, counted
from dspec.runtime.running.strategies.base import Times
from dspec.runtime.schema.ensemble import Runnable
from dspec.runtime.schema.ensemble import programs as each_program
from dspec.runtime.schema.program import Program, canonical

from .. import ir
from ..data import Rows
from ..diagnostics.wording import plural
from ..evaluate.counts import Calls, Range
from ..evaluate.meter import Purpose
from ..optimizers.base import Facts, Options
from ..optimizers.compat.table import calls_of, scores_val
from ..optimizers.demos import has_demos, has_labels
from ..optimizers.ensemble import gather
from ..optimizers.frozen import thaw, tunable
from ..optimizers.prompt_room import PromptRoom
from ..optimizers.texts import describes, tunable_tools
from ..optimizers.training.results import tuned_shape
from ..project.state import project_root
from .bills import Bill, Guess, Seen, TrainingPlan, expected
from .chain import (
    finalists_of,
    members_of,
    model_choice,
    nested_of,
    on_teacher_lm,
    reducer_of,
    spec_of,
    student_of,
    teacher_of,
    teachers_of,
)
from .enough import affordable
from .estimate import Growth, Reckoning, grown, histories, larger
from .prepared import Prepared, Resolved, check_turns
from .sizes import sized
from .walks import askings, readers

NO_CALLS = Range()


class Estimate(Struct, frozen=True):
    """Tokens of one run of the program as it stands, on a row of middle size, by rule."""

    input_tokens: int
    output_tokens: int


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
    training: TrainingPlan | None = None
    """Of one that tunes weights."""

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
    maximum: Bill
    """What the compile takes at most, of models that keep to `max_tokens`: of calls, `most` and `again`."""
    failing: Bill
    """The same if every request fails as often as it is tried, and is billed each time."""
    again: int = 0
    """Further calls at most, for answers that do not parse or break a check; `least` and `most` lack them."""
    evals: tuple[EvalPlan, ...] = ()
    """What `dspc compile` scores after the steps; `least` and `most` hold these calls, too."""
    notes: tuple[str, ...] = ()
    judge: Range = NO_CALLS
    """Calls of the metric's judges when a program is scored on all rows, as before and after the steps."""
    further: int = 0
    """Rows of val at most, besides those of the steps, on which the result is compared with the start; twice as many runs are
    part of `final`."""
    guess: Mapping[Purpose, Guess] = {}
    """What is expected by rule, of each purpose that has calls; the last compile says how to correct it."""

    def expected(self, known: Mapping[Purpose, Seen] = MappingProxyType({})) -> Bill:
        """What a compile of which nothing is known yet is expected to take; `known` is what the last one taught."""
        found = expected(self.guess, known, self.maximum)
        trained = [step.training.usd for step in self.steps if step.training is not None]
        return sum((Bill(usd=usd) for usd in trained), found) if trained else found

    def to_json(self) -> str:
        """Canonical JSON of the plan; a range is `[least, most]`."""
        plain = to_builtins(self)
        for step in plain["steps"]:
            if step["training"] is None:
                del step["training"]
        del plain["guess"]  # what is expected says the same in fewer numbers
        return canonical(plain)


def plan(prepared: Prepared, name: str, *, scored: bool = True) -> Plan:
    """Calls per step of optimize block `name` and, if it is `scored`, of the evals that score it; calls no model."""
    return plan_with_result(prepared, name, scored=scored)[0]


def plan_with_result(prepared: Prepared, name: str, *, scored: bool = True) -> tuple[Plan, Runnable, Growth]:
    """The same with what the block gives, as far as it is known before its steps have run."""
    project = prepared.project
    walks: dict[str, _Walked] = {}

    def walked(block: str) -> _Walked:
        if block not in walks:
            walks[block] = _walk(project, prepared.resolved(block), prepared.folder, prepared.growths)
        return walks[block]

    def one(program: str) -> tuple[Runnable, Growth]:
        """A program, or what an optimize block's result is at most."""
        if program in project.optimizes and program not in project.made:
            other, emit = walked(program), project.optimizes[program].emit
            return other.programs[emit], other.growths[emit]
        found = project.on_lm(program, None)
        return found, prepared.growths.get(program) or grown(found)

    own = walked(name)
    evals = tuple(
        _plan_eval(prepared, block, own, one)
        for block in project.evals.values()
        if scored and block.program == name
    )
    emit = project.optimizes[name].emit
    return _plan(prepared.resolved(name), own, evals), own.programs[emit], own.growths[emit]


def plan_resolved(project: ir.Project, resolved: Resolved, folder: Path) -> Plan:
    """The plan of the block alone, without evals."""
    return _plan(resolved, _walk(project, resolved, folder, {}))


def _plan_eval(
    prepared: Prepared,
    block: ir.Eval,
    walked: _Walked,
    one: Callable[[str], tuple[Runnable, Growth]],
) -> EvalPlan:
    project, rows = prepared.project, prepared.rows(block.data)
    names = [block.program] if block.baseline is None else [block.program, block.baseline]
    metric = project.metrics[block.metric]
    sizes, most = sized(rows, histories=histories(project)), 0
    reckoning = walked.reckoning
    for program, growth in map(one, names):
        walked.met.append(program)
        check_turns(project.datasets[block.data.dataset], rows, program)
        calls = len(rows) * calls_per_run(program)
        reckoning.all_rows(program, growth, sizes, Range(0, calls), likely=1.0)
        reckoning.judges(metric, program, growth, sizes, len(rows))
        most += calls
    # Rows that a step has scored already, and a result equal to its baseline, are not asked for again.
    return EvalPlan(block.name, len(rows), Range(0, most), _judge_calls(metric, len(rows) * len(names)))


def _judge_calls(metric: ir.Metric, runs: int) -> Range:
    """Of so many runs that are scored: every judge is asked so often at most, and a branch may spare it."""
    return Range(0, runs * sum(judge.most * calls_per_run(judge.program) for judge in metric.judges))


def _share_at_least(program: Runnable) -> Fraction:
    """How much of its calls a run makes in any case: a formula counts runs, and each at its most."""
    bounds = call_bounds(program)
    return Fraction(bounds.least, bounds.most) if bounds.most else Fraction(1)


def _lowered(calls: Range, share: Fraction) -> Range:
    return Range(math.floor(calls.least * share), calls.most)


def scored_results(optimize: ir.Optimize) -> frozenset[str]:
    """Steps whose result is scored when they end; "" is what the block starts from, the baseline."""
    found = {""} if optimize.scoring != "none" else set[str]()
    for step in optimize.steps:
        spec = spec_of(step)
        searches = spec.candidates and not spec.gathers and scores_val(spec, step.compat)
        if searches and (optimize.val is not None or not spec.holds_out):
            found.add(step.name)
    return frozenset(found)


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
    growths: Mapping[str, Growth]
    """What the steps may have added to their programs."""
    scored: frozenset[str]
    scorings: int
    described: tuple[str, ...]
    met: list[Runnable]
    """Programs that the steps run, judges among them, whatever they add to them."""
    reckoning: Reckoning


def _walk(project: ir.Project, resolved: Resolved, folder: Path, awaited: Mapping[str, Growth]) -> _Walked:
    """`awaited` are the growths of other blocks' results that are not there yet."""
    optimize, student = resolved.optimize, resolved.student
    programs: dict[str, Runnable] = {}
    growths: dict[str, Growth] = {"": awaited.get(optimize.program) or grown(student)}

    def growth_of(name: str | None, program: Runnable) -> Growth:
        return growths.get(name or "") or awaited.get(name or "") or grown(program)

    def taught_by(program: Runnable) -> Runnable:
        return on_teacher_lm(project, program, resolved.teacher_lm)

    met: list[Runnable] = [student, *(judge.program for judge in resolved.metric.judges)]
    root = project_root(folder / "_")
    reckoning = Reckoning(project, resolved.train, resolved.raced, resolved.prompt_lm, root)
    candidates: dict[str, tuple[Program, ...]] = {}
    scored = scored_results(optimize)
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
            growths[step.name] = larger(
                [growth_of(ref.program, programs[step.name]) for ref in step.members] or [Growth()]
            )
            steps.append(
                StepPlan(step.name, spec.name, NO_CALLS, NO_CALLS, len(resolved.train), len(resolved.raced))
            )
            continue
        teacher = teacher_of(project, step, programs, optimize.lm) or starts
        more = teachers_of(project, step, programs, optimize.lm)
        nested = nested_of(project, step, programs, optimize.lm, taught_by)
        models = model_choice(project, optimize, step, starts, nested)
        facts = Facts(
            train=len(resolved.train),
            val=len(resolved.raced),
            val_whole=len(resolved.val) if len(resolved.raced) < len(resolved.val) else None,
            predictors=len(tunable(starts)),
            calls_per_run=calls_per_run(starts),
            teacher_calls_per_run=sum(map(calls_per_run, (teacher, *more))),
            student_scored=origin in scored,
            student_bare=origin not in programs
            and (origin or optimize.program) not in resolved.awaited
            and not has_demos(starts),
            val_given=optimize.val is not None,
            labelled=has_labels(starts, resolved.train),
            finalists=finalists_of(optimize, step.name),
            nested=nested,
            tools=len(tunable_tools(starts)),
            teachers=0 if step.teacher is None else 1 + len(step.teachers),
            lms=max(1, len(models.names)),
            choosing=len(models.addresses),
        )
        options = Options(spec, step.options)
        calls = calls_of(spec, step.compat)(options, facts)
        if step.compat is None and describes((spec, *(one.spec for one in facts.nested.values()))):
            described |= dict.fromkeys(tunable_tools(starts))
        settles = spec.candidates and step.compat is None and facts.finalists == 1 and not spec.saves
        # What is expected is reckoned without: a program is seldom perfect.
        sure = _settled(calls, facts) if settles else calls
        inside = [one.teacher for one in nested.values() if one.teacher is not None]
        inside += [each for one in nested.values() for each in one.teachers]
        fewer = min(map(_share_at_least, (starts, teacher, *more, *inside)))
        taught = [calls_per_run(one) for one in (*more, *inside)]
        fewest = min(facts.calls_per_run, facts.teacher_calls, *taught)
        runs = _scored(calls, facts.calls_per_run, fewest)
        scorings += runs
        made = spec.shape(thaw(starts), options)
        trains = spec.trains(options, facts) if spec.trains is not None else None
        if trains is not None and trains.runs:
            assert isinstance(made, Program)  # what trains weights makes no ensemble
            made = tuned_shape(made)
        else:
            trains = None
        shows, writes = spec.shows(options, facts), spec.writes(options, facts)
        before = growth_of(origin, starts)
        after = reckoning.stepped(starts, before, shows, writes, models, adds="demos" in spec.starts_from)
        tried = [(starts, after), (made, after)]
        teachers = [
            (taught_by(one), reckoning.taught(one, growth, shows))
            for one, growth in (
                (teacher, before if step.teacher is None else growth_of(step.teacher, teacher)),
                *((one, growth_of(name, one)) for name, one in zip(step.teachers, more, strict=True)),
                *((one, grown(one)) for one in inside),
            )
        ]
        met += [starts, *(one for one, _ in teachers)]
        met += [models.moved(starts, asked, PromptRoom()) for asked in models.others(starts)]
        reckoning.runs("task", tried, calls.task, facts.calls_per_run)
        reckoning.runs("teacher", [*teachers, *tried], calls.teacher, fewest)
        reckoning.questions(starts, after, writes, calls.prompt)
        reckoning.judges(resolved.metric, made, after, reckoning.val, runs)
        growths[step.name] = after
        steps.append(
            StepPlan(
                step.name,
                spec.name,
                _lowered(sure.task, fewer),
                _lowered(sure.teacher, fewer),
                len(resolved.train),
                len(resolved.raced),
                sure.prompt,
                _judge_calls(resolved.metric, runs),
                None if trains is None else reckoning.training(starts, before, trains.runs, project.training),
            )
        )
        programs[step.name] = made
        if spec.candidates:
            # What is scored on all rows costs as many calls, but for what is known before.
            most = 2 + calls.task.most // max(1, facts.val * facts.calls_per_run)
            candidates[step.name] = (made if isinstance(made, Program) else thaw(starts),) * most
    return _Walked(tuple(steps), programs, growths, scored, scorings, tuple(described), met, reckoning)


def _plan(resolved: Resolved, walked: _Walked, evals: tuple[EvalPlan, ...] = ()) -> Plan:
    """The plan, with that of the evals, which are reckoned with already."""
    optimize, student = resolved.optimize, resolved.student
    steps = walked.steps
    scored = len(resolved.raced) if optimize.scoring != "none" else 0
    baseline = Range(scored * call_bounds(student).least, scored * calls_per_run(student))
    unscored = scored * calls_per_run(walked.programs[optimize.emit])
    final = Range() if optimize.emit in walked.scored else Range(0, unscored)
    rest = _further(resolved, walked)
    # No step runs where the start is scored and nothing can be better. On DSPy's schedule steps run all the same. Those that
    # run may share all their scorings, and a common teacher's runs; where the start is scored on train, all of them.
    surely = steps if not scored or any(step.compat is not None for step in optimize.steps) else ()
    scoring = baseline.least if scored else max((step.task.least for step in surely), default=0)
    teaching = max((step.teacher.least for step in surely), default=0)
    # Without val, what is scored and what a teacher is asked may be the same runs.
    running = scoring + teaching if optimize.val is not None else max(scoring, teaching)
    # Of several steps that ask for instructions, one may find all its questions asked already.
    prompting = max((step.prompt.least for step in surely), default=0)
    least = running + prompting + sum(one.calls.least for one in evals)
    prompts = sum(step.prompt.most for step in steps)
    teachers = sum(step.teacher.most for step in steps)
    further = len(rest) * (calls_per_run(student) + calls_per_run(walked.programs[optimize.emit]))
    work = baseline.most + final.most + further + sum(step.task.most for step in steps)
    work += sum(one.calls.most for one in evals)
    judge = _judge_calls(resolved.metric, scored)
    runs = (2 if final.most else 1) * scored + 2 * len(rest) + walked.scorings
    judges = _judge_calls(resolved.metric, runs).most + sum(one.judge.most for one in evals)
    most = work + teachers + prompts + judges
    again = most * (max(askings(one) * readers(one) for met in walked.met for one in each_program(met)) - 1)
    reckoning, val = walked.reckoning, walked.reckoning.val
    trained = [Bill(usd=step.training.most_usd) for step in steps if step.training is not None]
    emitted, growth = walked.programs[optimize.emit], walked.growths[optimize.emit]
    reckoning.all_rows(student, walked.growths[""], val, baseline)
    reckoning.judges(resolved.metric, student, walked.growths[""], val, scored)
    if final.most:
        reckoning.all_rows(emitted, growth, val, final)
        reckoning.judges(resolved.metric, emitted, growth, val, scored)
    if rest:
        others = sized(rest, histories=histories(reckoning.project))
        for program, grows in ((student, walked.growths[""]), (emitted, growth)):
            reckoning.all_rows(program, grows, others, Range(0, len(rest) * calls_per_run(program)))
            reckoning.judges(resolved.metric, program, grows, others, len(rest))
    return Plan(
        optimize=optimize.name,
        scoring=optimize.scoring,
        baseline=baseline,
        steps=steps,
        final=Range(final.least, final.most + further),
        least=least,
        most=most,
        again=again,
        estimate=Estimate(*reckoning.one_run(student)),
        maximum=sum(trained, reckoning.maximum(most + again)),
        failing=sum(trained, reckoning.maximum(most + again, failing=True)),
        evals=evals,
        notes=_notes(resolved, walked, again, prompts, judges, runs + 2 * sum(one.rows for one in evals)),
        judge=judge,
        further=len(rest),
        guess=reckoning.guess(),
    )


def _further(resolved: Resolved, walked: _Walked) -> Rows:
    """The rows of val on which start and result are compared at most, besides those on which the steps compare."""
    emit = walked.programs[resolved.optimize.emit]
    each = call_bounds(resolved.student).least + call_bounds(emit).least
    taken = sum(step.calls.most for step in walked.steps)
    return resolved.rest[: affordable(len(resolved.rest), taken, each)]


def _calls_of_a_run(program: Program) -> str:
    """What one run calls, of a program with branches, lists, rounds or other programs; "" of a plain one."""
    if all(step.kind in ("call", "value", "check") for step in program.steps):
        return ""
    bounds = call_bounds(program)
    each = ", ".join(f"`{key}` {_times(times)}" for key, times in counted(program).items())
    return f"a run makes {_times(bounds)} model {'call' if bounds.most == 1 else 'calls'}: {each}"


def _times(times: Times) -> str:
    return f"{times.most:,}" if times.least == times.most else f"{times.least:,} to {times.most:,}"


def _said_training(found: TrainingPlan) -> str:
    said = f"weights are tuned on up to {plural(found.rows, 'call')}, about {plural(found.tokens, 'token')} with all epochs"
    if found.here:
        return f"{said}, on this machine: no money, and a time that nobody knows before it was done once"
    if found.usd is None:
        return f"{said}; what that costs nobody knows: `train {{ price = … }}` in the lm says it"
    return f"{said}, for about ${found.usd:,.2f}"


def _notes(
    resolved: Resolved, walked: _Walked, again: int, prompts: int, judges: int, runs: int
) -> tuple[str, ...]:
    optimize = resolved.optimize
    notes = [
        f"an answer that does not parse or breaks a check is asked for again: at most {plural(again, 'further call')}"
    ]
    if any(growth.lms for growth in walked.growths.values()):
        names = " and ".join(f"`{name}`" for name in optimize.lms)
        notes.append(
            f"the steps choose between {names}: at most, each of them takes tokens and money for every call that it may be asked"
        )
    if branching := _calls_of_a_run(resolved.student):
        notes.append(branching)
    if resolved.student.tools:
        from .toolcalls import tool_notes  # few programs have tools

        notes += tool_notes(resolved.student, runs, walked.described)
    if prompts:
        notes.append(
            f"up to {plural(prompts, 'call writes', 'calls write')} instructions: their prompts show rows of train"
        )
    if judges:
        notes.append(
            f"up to {plural(judges, 'call asks', 'calls ask')} the metric's judges: one for each that a row's score reads, and "
            "none for an answer that was judged before"
        )
    if any(judge.program.tools for judge in resolved.metric.judges):
        from .toolcalls import function_notes

        notes += function_notes(resolved.metric, runs)
    if resolved.awaited:
        results = " and ".join(f"`{name}`" for name in sorted(resolved.awaited))
        notes.append(f"counted with the shape that the result of {results} will have")
    if unlimited := walked.reckoning.unlimited:
        names = " and ".join(f"`{name}`" for name in unlimited)
        notes.append(f"{names} may answer at any length: `max_tokens` in the lm makes a maximum of tokens")
    if extras := walked.reckoning.with_extras:
        names = " and ".join(f"`{name}`" for name in extras)
        notes.append(
            f"what the `extra` parameters of {names} cost is not in these numbers, nor in a budget: nobody tells"
        )
    notes += map(_said_training, filter(None, (step.training for step in walked.steps)))
    if optimize.scoring == "none":
        notes.append(
            '`scoring = "none"`: neither the program nor the result is scored; steps score what they need'
        )
    if resolved.rest:
        notes.append(
            f"candidates are compared on {len(resolved.raced):,} of {plural(len(resolved.val), 'row')} of val, and the result on "
            'others until it is certain to be better or worse: `scoring = "all"` takes all of them'
        )
    if optimize.val is None:
        notes.append("no val: candidates are scored on the rows they were made from")
    notes.append("answers that are already in the ledger are not paid again")
    return tuple(notes)
