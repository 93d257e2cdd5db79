"""Teachers: a program whose runs become a student's demos, with its predictors under the student's addresses.

A demo belongs to a predictor by what that is asked: the names of its inputs and outputs, in order. So a teacher may call other
modules than the student, as long as for each predictor of one there is one of the other.
"""

from __future__ import annotations

from collections.abc import Mapping

from dspec.runtime.schema.ensemble import Runnable, each
from dspec.runtime.schema.program import (
    BranchStep,
    CallStep,
    Demo,
    EachStep,
    ModuleSpec,
    Neighbours,
    NestedSteps,
    Predictor,
    Program,
    RepeatStep,
    Step,
)

from .base import OptimizerError

Shape = tuple[tuple[str, ...], tuple[str, ...]]


def matched(student: Program, teacher: Runnable) -> Runnable:
    """The teacher with its predictors under the student's addresses. Raises OptimizerError where they are not the student's."""
    return each(teacher, lambda one: _matched(student, one))


def _matched(student: Program, teacher: Program) -> Program:
    names = addresses(student, teacher)
    if all(theirs == ours for theirs, ours in names.items()):
        return teacher
    return _renamed(teacher, names)


def addresses(student: Program, teacher: Program) -> dict[str, str]:
    """The student's address for each of the teacher's.

    Predictors of one address and the same fields belong together; of the rest those with the same fields do, in their order.
    Raises OptimizerError where one is left over.
    """
    ours, theirs = (
        {address: _shape(predictor) for address, predictor in program.predictors.items()}
        for program in (student, teacher)
    )
    found = {address: address for address, shape in theirs.items() if ours.get(address) == shape}
    waiting = [address for address in ours if address not in found]
    for address, shape in theirs.items():
        if address not in found:
            other = next((one for one in waiting if ours[one] == shape), None)
            if other is None:
                raise _no_match(student, teacher, address)
            waiting.remove(other)
            found[address] = other
    if waiting:
        raise _no_match(student, teacher, waiting[0])
    taken = {*teacher.modules, *teacher.graphs, *teacher.tools}
    for address, other in found.items():
        if other != address and other in taken:
            raise _no_match(student, teacher, address)
    return found


def _no_match(student: Program, teacher: Program, address: str) -> OptimizerError:
    has, lacks = (teacher, student) if address in teacher.predictors else (student, teacher)
    which = "student" if lacks is student else "teacher"
    shape = _shape(has.predictors[address])
    many, few = (sum(_shape(one) == shape for one in program.predictors.values()) for program in (has, lacks))
    fields = f"({', '.join(shape[0])} -> {', '.join(shape[1])})"
    why = f"the {which} has no predictor like `{address}` {fields}"
    if few:
        other = "teacher" if which == "student" else "student"
        why = f"of predictors like `{address}` {fields} the {other} has {many}, and the {which} {few}"
    return OptimizerError(
        f"teacher `{teacher.name}` does not match student `{student.name}`: {why}",
        help="a teacher needs the student's predictors: as many, with the same inputs and outputs",
    )


def _shape(predictor: Predictor) -> Shape:
    signature = predictor.signature
    return tuple(field.name for field in signature.inputs), tuple(field.name for field in signature.outputs)


def _renamed(program: Program, names: Mapping[str, str]) -> Program:
    """The program with other addresses for its predictors."""
    changes: dict[str, object] = {
        "predictors": {names[address]: predictor for address, predictor in program.predictors.items()},
        "steps": _steps(program.steps, names),
        "modules": {key: _module(module, names) for key, module in program.modules.items()},
        "graphs": {
            key: graph.model_copy(update={"steps": _steps(graph.steps, names)})
            for key, graph in program.graphs.items()
        },
    }
    if program.neighbours is not None:
        changes["neighbours"] = _index(program.neighbours, names)
    return program.model_copy(update=changes)


def _steps(steps: tuple[Step, ...], names: Mapping[str, str]) -> tuple[Step, ...]:
    return tuple(_step(step, names) for step in steps)


def _step(step: Step, names: Mapping[str, str]) -> Step:
    match step:
        case CallStep():
            return step.model_copy(update={"predictor": names[step.predictor]})
        case BranchStep():
            sides = {"consequence": step.consequence, "alternative": step.alternative}
            return step.model_copy(update={side: _nested(block, names) for side, block in sides.items()})
        case EachStep():
            return step.model_copy(update={"body": _nested(step.body, names)})
        case RepeatStep():
            return step.model_copy(
                update={"steps": _steps(step.steps, names), "then": _steps(step.then, names)}
            )
        case _:
            return step


def _nested(block: NestedSteps, names: Mapping[str, str]) -> NestedSteps:
    return block.model_copy(update={"steps": _steps(block.steps, names)})


def _module(module: ModuleSpec, names: Mapping[str, str]) -> ModuleSpec:
    return module.model_copy(
        update={
            "predictors": {role: names[address] for role, address in module.predictors.items()},
            "tools": tuple(names.get(key, key) for key in module.tools),
            "runs": names.get(module.runs, module.runs) if module.runs else module.runs,
        }
    )


def _index(index: Neighbours, names: Mapping[str, str]) -> Neighbours:
    def moved(demos: Mapping[str, Demo]) -> dict[str, Demo]:
        return {names.get(address, address): demo for address, demo in demos.items()}

    rows = tuple(
        row.model_copy(update={"bootstrapped": moved(row.bootstrapped), "labelled": moved(row.labelled)})
        for row in index.rows
    )
    return index.model_copy(update={"rows": rows})
