"""Ensemble: several programs answer, and a rule makes one answer of theirs.

Algorithm: `Ensemble` of DSPy, with two differences: `size` members are drawn by the input and a seed and
not at random on every call, so that an ensemble gives the same answer twice, and there is always a
rule, because what is compiled has the outputs that the program declares. What DSPy does with a function
over the answers, a module or program does here: its calls are planned, counted and kept like all others.
"""

from __future__ import annotations

import functools

from pydantic import TypeAdapter

from dspec.runtime.running.strategies.table import added
from dspec.runtime.schema.ensemble import (
    ByProgram,
    Ensemble,
    First,
    Majority,
    Mean,
    Reducer,
    has_mean,
    lacking,
    unfed,
)
from dspec.runtime.schema.program import Program

from ..evaluate.counts import Calls
from .base import Context, Facts, OptimizerError, Option, Options, Spec, StepResult

REDUCERS = {"majority": True, "mean": True, "first": False}
"""Rules that `reduce` may be, and whether each takes an output's name."""


def _calls(options: Options, facts: Facts) -> Calls:
    return Calls()


SPEC = Spec(
    name="Ensemble",
    doc="Puts several programs into one that asks all of them, or `size` of them, at the same time and "
    "makes one answer of theirs. Makes no model calls itself.",
    suits="money for several runs of each input",
    about="When one more point is worth several times the calls. Its first argument names the members: "
    "`search.candidates.top(5)`, or a list of steps, modules and programs. Members run at the same time; "
    "`reduce` makes one answer of theirs, by a rule or by [a program of your own](#a-reducer-of-your-own). It "
    "changes nothing in its members.",
    costs="none; every run of the result costs the runs of all members, and of the reducer.",
    source="DSPy, Ensemble",
    options=(
        Option(
            "reduce",
            "reducer",
            None,
            "How the answers become one: `majority(output)`, `mean(output)`, `first`, or the name of a module "
            "or program that is given lists of the members' outputs (`topics: list[Topic]` for `topic`); the "
            "majority of the last output when not set.",
            optional=True,
            refers=("module", "program"),
        ),
        Option(
            "size",
            "int",
            None,
            "Members that answer each input, drawn by the input; all of them when not set.",
            minimum=1,
            optional=True,
        ),
    ),
    sets=frozenset(),
    calls=_calls,
    needs_metric=False,
    gathers=True,
    refused={
        "reduce_fn": "write `reduce = majority(output)`, or name a module or program",
        "deterministic": "an ensemble always gives the same answer for the same input",
    },
)


def gather(
    like: Program,
    members: tuple[Program, ...],
    options: Options,
    *,
    reducer: Program | None = None,
    seed: int = 0,
) -> Ensemble:
    """The members as one program with the inputs and outputs of `like`, or the outputs of the `reducer`.

    Raises OptimizerError for a member that takes other inputs or lacks an output, and for a reducer that
    cannot be fed or lacks one.
    """
    if not members:
        raise OptimizerError("the ensemble has no members", help="give it a step that has candidates")
    for member in members:
        others = {*lacking(like.inputs, member.inputs), *lacking(member.inputs, like.inputs)}
        for role, names in (("inputs", others), ("outputs", lacking(like.outputs, member.outputs))):
            if names:
                raise OptimizerError(
                    f"`{member.name}` cannot be a member: its {role} differ from those of `{like.name}` in "
                    + ", ".join(f"`{name}`" for name in sorted(names)),
                    help="the members of an ensemble answer the same question",
                )
    size = options["size"]
    if reducer is not None:
        _fits(reducer, like, members)
    return Ensemble(
        name=like.name,
        inputs=like.inputs,
        outputs=like.outputs if reducer is None else reducer.outputs,
        members=members,
        reduce=_rule(options, like) if reducer is None else ByProgram(program=reducer),
        size=size if isinstance(size, int) and size < len(members) else None,
        seed=seed,
    )


def _fits(reducer: Program, like: Program, members: tuple[Program, ...]) -> None:
    hungry = unfed(reducer, like.inputs, members)
    if hungry:
        raise OptimizerError(
            f"`{reducer.name}` cannot reduce the answers: nothing is given for "
            + ", ".join(f"`{name}`" for name in hungry),
            help="its inputs are lists of the members' outputs, or the program's own inputs",
        )
    absent = missing(reducer, like)
    if absent:
        raise OptimizerError(
            f"`{reducer.name}` cannot reduce the answers: it lacks the output "
            + ", ".join(f"`{name}`" for name in absent),
            help=f"what `{like.name}` gives, the ensemble gives too",
        )


def missing(reducer: Program, like: Program) -> list[str]:
    """Outputs that the reducer lacks, though the program that is tuned has them."""
    return [name for name in lacking(like.outputs, reducer.outputs) if name not in added()]


@functools.cache
def _reducer() -> TypeAdapter[Reducer]:
    """The reader of rules. It is made when it is needed: each check of a project with optimizers imports this file."""
    return TypeAdapter(Reducer)


def _rule(options: Options, like: Program) -> Reducer:
    given = options["reduce"]
    if given is None:
        return Majority(field=like.outputs[-1].name)
    reduce = _reducer().validate_python(given)
    if isinstance(reduce, First | ByProgram):
        return reduce
    output = next((field for field in like.outputs if field.name == reduce.field), None)
    if output is None:
        raise OptimizerError(f"the ensemble has no output `{reduce.field}`")
    if isinstance(reduce, Mean) and not has_mean(output.type):
        raise OptimizerError(f"`{output.name}` is not a float, so the ensemble cannot give its mean")
    return reduce


async def run(student: Program, options: Options, context: Context) -> StepResult:
    draws = options["size"] is not None
    seed = context.rng("draw").getrandbits(32) if draws else 0
    made = gather(student, context.members, options, reducer=context.reducer, seed=seed)
    notes: tuple[str, ...] = ()
    if len(made.members) == 1:
        notes = ("the ensemble has one member, which answers alone",)
    elif draws and made.size is None:
        notes = (f"all {len(made.members)} members answer: there are no more than `size`",)
    return StepResult(made, notes=notes)
