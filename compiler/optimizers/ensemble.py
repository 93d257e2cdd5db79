"""Ensemble: several programs answer, and a rule makes one answer of theirs.

Algorithm: `Ensemble` of DSPy, with two differences: `size` members are drawn by the input and a seed and
not at random on every call, so that an ensemble gives the same answer twice, and there is always a
rule, because what is compiled has the outputs that the program declares.
"""

from __future__ import annotations

from pydantic import TypeAdapter

from dspec.runtime.ensemble import Ensemble, First, Majority, Mean, Reducer, has_mean, lacking
from dspec.runtime.program import Program

from .base import Calls, Context, Facts, OptimizerError, Option, Options, Spec, StepResult

_REDUCER: TypeAdapter[Reducer] = TypeAdapter(Reducer)

REDUCERS = {"majority": True, "mean": True, "first": False}
"""What `reduce` may be, and whether it takes an output's name."""


def _calls(options: Options, facts: Facts) -> Calls:
    return Calls()


SPEC = Spec(
    name="Ensemble",
    doc="Puts several programs into one that asks all of them, or `size` of them, at the same time and "
    "makes one answer of theirs. Makes no model calls itself.",
    source="DSPy, Ensemble",
    options=(
        Option(
            "reduce",
            "reducer",
            None,
            "How the answers become one: `majority(output)`, `mean(output)` or `first`; the majority of the "
            "last output when not set.",
            optional=True,
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
        "reduce_fn": "write `reduce = majority(output)`",
        "deterministic": "an ensemble always gives the same answer for the same input",
    },
)


def gather(like: Program, members: tuple[Program, ...], options: Options, *, seed: int = 0) -> Ensemble:
    """The members as one program with the inputs and outputs of `like`.

    Raises OptimizerError for a member that takes other inputs or lacks an output.
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
    return Ensemble(
        name=like.name,
        inputs=like.inputs,
        outputs=like.outputs,
        members=members,
        reduce=_reducer(options, like),
        size=size if isinstance(size, int) and size < len(members) else None,
        seed=seed,
    )


def _reducer(options: Options, like: Program) -> Reducer:
    given = options["reduce"]
    if given is None:
        return Majority(field=like.outputs[-1].name)
    reduce = _REDUCER.validate_python(given)
    if isinstance(reduce, First):
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
    made = gather(student, context.members, options, seed=seed)
    notes: tuple[str, ...] = ()
    if len(made.members) == 1:
        notes = ("the ensemble has one member, which answers alone",)
    elif draws and made.size is None:
        notes = (f"all {len(made.members)} members answer: there are no more than `size`",)
    return StepResult(made, notes=notes)
