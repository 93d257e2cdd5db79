"""What the steps of an optimize block start from: students, teachers, members and nested optimizers.

Plan and build ask the same questions; the plan with programs that have the right shape, the build with
those that the steps made.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from dspec.runtime.schema.ensemble import Ensemble, Runnable, everywhere
from dspec.runtime.schema.program import LM, Program

from .. import ir
from ..optimizers.base import Nested, OptimizerError, Options, Spec
from ..optimizers.better_together import DEFAULTS
from ..optimizers.choosing import ModelChoice
from ..optimizers.frozen import freeze, tunable
from ..optimizers.table import find


def spec_of(step: ir.StepSpec) -> Spec:
    """The step's optimizer. Raises OptimizerError where there is none of its name."""
    spec = find(step.optimizer)
    if spec is None:
        raise OptimizerError(f"step `{step.name}`: there is no optimizer `{step.optimizer}`")
    return spec


def named_program(project: ir.Project, steps: Mapping[str, Runnable], name: str, lm: str | None) -> Runnable:
    """A program by what a step calls it: an earlier step's, or a module or program on the block's `lm`.

    Another block's result stays on the models that it was made for. Raises OptimizerError where it is not there.
    """
    if name in steps:
        return steps[name]
    if name in project.optimizes and name not in project.made:
        raise OptimizerError(
            f"`{name}` is an optimize block whose result is not there", help="compile that first"
        )
    return project.on_lm(name, None if name in project.optimizes else lm)


def student_of(
    project: ir.Project,
    step: ir.StepSpec,
    origin: str,
    steps: Mapping[str, Runnable],
    base: Program,
    lm: str | None,
) -> Program:
    """What the step starts from, frozen where it is to stay as it is; `origin` is what `ir.origins` says of it.

    A step that gathers starts from the block's own program, `base`. Raises OptimizerError for an ensemble,
    whose members are tuned before.
    """
    if spec_of(step).gathers:
        return base
    found = base if not origin else steps[origin] if origin in steps else project.on_lm(origin, lm)
    if isinstance(found, Ensemble):
        raise OptimizerError(
            f"step `{step.name}`: an ensemble cannot be tuned",
            help="tune its members first, or use it as a `teacher`",
        )
    return freeze(found, step.frozen)


def teacher_of(
    project: ir.Project, step: ir.StepSpec, steps: Mapping[str, Runnable], lm: str | None
) -> Runnable | None:
    """The program that the step names as its teacher; None where it names none."""
    return None if step.teacher is None else named_program(project, steps, step.teacher, lm)


def teachers_of(
    project: ir.Project, step: ir.StepSpec, steps: Mapping[str, Runnable], lm: str | None
) -> tuple[Runnable, ...]:
    """The programs that the step names besides its first teacher."""
    return tuple(named_program(project, steps, name, lm) for name in step.teachers)


def on_teacher_lm(project: ir.Project, program: Runnable, lm: LM | None) -> Runnable:
    """The program with every predictor on the teacher's model, and the models that falls back to; as it is without one."""
    if lm is None:
        return program
    lms = project.with_fallbacks([lm.name])

    def moved(one: Program) -> Program:
        # Of what a plan reckons with, an index's model is not among its own: only the step that makes the index adds it.
        return one.asking(dict.fromkeys(one.predictors, lm.name), {**project.lms, **one.lms, **lms})

    return everywhere(program, moved)


def members_of(
    project: ir.Project,
    step: ir.StepSpec,
    steps: Mapping[str, Runnable],
    candidates: Callable[[str], Sequence[Program]],
    lm: str | None,
) -> tuple[Program, ...]:
    """The programs that an ensemble step gathers; `candidates` gives a step's, best first.

    Raises OptimizerError for another ensemble among them.
    """
    members: list[Program] = []
    for ref in step.members:
        if ref.candidates:
            members += candidates(ref.program)[: ref.top]
            continue
        found = named_program(project, steps, ref.program, lm)
        if isinstance(found, Ensemble):
            raise OptimizerError(
                f"step `{step.name}`: `{ref.program}` is an ensemble already",
                help="list its members instead",
            )
        members.append(found)
    return tuple(members)


def reducer_of(project: ir.Project, step: ir.StepSpec, lm: str | None) -> Program | None:
    """The program that makes one answer of the members', on the block's `lm`; None for a rule."""
    rule = step.options.get("reduce")
    named = [rule[kind] for kind in ("module", "program") if kind in rule] if isinstance(rule, dict) else []
    if not named:
        return None
    found = project.on_lm(str(named[0]), lm)
    assert isinstance(found, Program)  # a module or a program that is declared
    return found


def model_choice(
    project: ir.Project,
    optimize: ir.Optimize,
    step: ir.StepSpec,
    student: Program,
    nested: Mapping[str, Nested],
) -> ModelChoice:
    """The models that the step chooses among for predictors of its student: of those that it may change, the ones that name no
    model themselves. None where it does not choose, or has DSPy's schedule."""
    specs = [spec_of(step), *(one.spec for one in nested.values())]
    if not optimize.lms or step.compat is not None or not any(one.chooses_lms for one in specs):
        return ModelChoice()
    made_from = dict(zip((one.name for one in optimize.steps), ir.origins(optimize.steps), strict=True))
    origin = step.name
    while origin in made_from:
        origin = made_from[origin]
    named = project.open_in(origin or optimize.program)
    addresses = tuple(address for address in tunable(student) if address in named)
    return ModelChoice(optimize.lms, addresses, project.lms) if addresses else ModelChoice()


FOR_A_GATE = 4
"""Candidates that a race scores on all rows where the cheapest one is wanted that reaches a gate."""


def finalists_of(optimize: ir.Optimize, name: str) -> int:
    """How many candidates of step `name` are wanted: the steps after it take some with `.candidates.top(k)`, and the cheapest
    good one is chosen from several; at least 1."""
    refs = [ref for step in optimize.steps for ref in step.members if ref.program == name and ref.candidates]
    least = 1 if optimize.minimize is None else FOR_A_GATE
    return max([least, *(ref.top for ref in refs if ref.top is not None)])


def nested_of(
    project: ir.Project,
    step: ir.StepSpec,
    steps: Mapping[str, Runnable],
    lm: str | None,
    teacher: Callable[[Runnable], Runnable] = lambda program: program,
) -> dict[str, Nested]:
    """The optimizers that a step runs, by name, DSPy's defaults among them; `teacher` readies a teacher."""
    if not spec_of(step).nests:
        return {}
    found: dict[str, Nested] = {}
    defaults = {name: ir.StepSpec(name=name, optimizer=optimizer) for name, optimizer in DEFAULTS.items()}
    for name, inner in (defaults | step.nested).items():
        spec = spec_of(inner)
        named = teacher_of(project, inner, steps, lm)
        found[name] = Nested(
            spec.name,
            spec,
            Options(spec, inner.options),
            None if named is None else teacher(named),
            tuple(map(teacher, teachers_of(project, inner, steps, lm))),
        )
    return found
