"""Demo sets to choose from: the student's own, none, labelled rows, and sets that a teacher solved.

The order is that of DSPy's `create_n_fewshot_demo_sets`, with the student's own demos before all others. All sets
are made at the same time; they ask one teacher, whose runs they share.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct

from dspec.runtime.schema.program import Program

from ..evaluate.tasks import Halt, together
from .base import Context, Options
from .bootstrap_few_shot import SPEC as BOOTSTRAP
from .bootstrap_few_shot import assemble, bootstrap, prepare_teacher
from .demos import Streams, has_demos, with_labels, without_demos

if TYPE_CHECKING:
    from ..data.rows import Rows


class DemoSet(Struct, frozen=True):
    """A way to fill all predictors' demos; `program` is the student with them."""

    label: str
    program: Program


def bootstrap_options(options: Options, *, bootstrapped: int, labeled: int) -> Options:
    """The options of one bootstrap within a search: one attempt a row."""
    given = {name: options[name] for name in ("max_errors", "metric_threshold")}
    return Options(BOOTSTRAP, {**given, "max_bootstrapped_demos": bootstrapped, "max_labeled_demos": labeled})


async def demo_sets(student: Program, count: int, options: Options, context: Context) -> list[DemoSet]:
    """`count` sets, the student's own first. `options` are `bootstrap_options`.

    Raises the first halt that ended the making of one.
    """
    labels, most = options.integer("max_labeled_demos"), options.integer("max_bootstrapped_demos")
    teacher = prepare_teacher(student, options, context)
    sets = [DemoSet("as it came", student)]
    if has_demos(student):
        sets.append(DemoSet("zero-shot", without_demos(student)))
    if labels:
        rng = _streams(context, "labels only")
        sets.append(DemoSet("labels only", with_labels(student, context.train, labels, rng, context.room)))
    sets = sets[:count]
    if most == 0:
        # Without a teacher's demos, the further sets are further draws of labelled rows.
        names = [f"labels {number}" for number in range(count - len(sets))] if labels else []
        drawn = [
            with_labels(student, context.train, labels, _streams(context, name), context.room)
            for name in names
        ]
        return [*sets, *(DemoSet(name, program) for name, program in zip(names, drawn, strict=True))]

    async def make(name: str, rows: Rows, size: int) -> Program:
        accepted, halt = await bootstrap(student, teacher, rows, size, options, context, ahead=True)
        if halt is not None:
            raise halt
        return assemble(student, accepted, rows, size, options, _streams(context, name), context.room)

    plans: list[tuple[str, Rows, int]] = []
    for number in range(count - len(sets)):
        name = f"shuffled {number - 1}" if number else "unshuffled"
        plans.append((name, *_drawn(context, name, most)) if number else (name, context.train, most))
    made: list[Program | Halt] = await together([make(*plan) for plan in plans])
    for (name, _, _), program in zip(plans, made, strict=True):
        if not isinstance(program, Program):
            raise program
        sets.append(DemoSet(name, program))
    return sets


def _drawn(context: Context, name: str, most: int) -> tuple[Rows, int]:
    """A set's own order of the training rows, and how many demos it bootstraps: 1 to `most`."""
    draws = context.rng(f"{name}/order")
    order = list(context.train)
    draws.shuffle(order)
    return tuple(order), draws.randint(1, most)


def _streams(context: Context, name: str) -> Streams:
    return lambda stream: context.rng(f"{name}/{stream}")
