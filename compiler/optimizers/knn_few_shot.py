"""KNNFewShot: demos chosen for each input anew, from the training rows nearest to it.

Algorithm: `KNNFewShot` of DSPy, which bootstraps the neighbours of an input while the application waits,
for every request again. Here each row is bootstrapped once, at compile time, and the index with the
demos is part of the program: a request costs what it cost before. The teacher of a row sees the
labels of the row's own neighbours, as it would have at the time of a request.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from dspec.runtime.ensemble import Runnable, each, programs
from dspec.runtime.neighbours import MAX_ROWS, row_text
from dspec.runtime.program import Demo, Neighbour, Neighbours, Program, canonical

from .base import Calls, Context, Facts, OptimizerError, Option, Options, Range, Spec, StepResult
from .bootstrap_few_shot import DEMO_OPTIONS, bootstrap, require_match
from .demos import has_demos, labelled, without_demos

if TYPE_CHECKING:
    from ..data.rows import Example

MAX_CHARACTERS = 12_000_000
"""Size of an index as JSON: an artifact holds 16 MB in all."""


def _calls(options: Options, facts: Facts) -> Calls:
    if options.integer("max_bootstrapped_demos") == 0:
        return Calls()
    runs = facts.train * facts.teacher_calls
    return Calls(teacher=Range(runs, runs * options.integer("max_rounds")))


SPEC = Spec(
    name="KNNFewShot",
    doc="Shows each input the training rows most like it: bootstrapped where the teacher solves them, "
    "labelled otherwise. The rows become part of the program.",
    source="DSPy, KNNFewShot",
    options=(
        Option("k", "int", 3, "Rows that show their demos to an input.", minimum=1),
        Option(
            "vectorizer",
            "str",
            "ngrams",
            "How inputs are compared: words, word pairs and character n-grams, without a model.",
            choices=("ngrams",),
        ),
        *DEMO_OPTIONS,
    ),
    sets=frozenset({"demos"}),
    calls=_calls,
    takes_teacher=True,
    bootstraps=True,
    advised_train=20,
    refused={"trainset": "the rows are the block's `train`"},
)


async def run(student: Program, options: Options, context: Context) -> StepResult:
    bare = without_demos(student)
    rows = {row_text(bare, row.inputs): row for row in reversed(context.train)}
    train = tuple(row for row in context.train if rows[row_text(bare, row.inputs)] is row)
    if len(train) > MAX_ROWS:
        raise OptimizerError(
            f"an index has at most {MAX_ROWS:,} rows, and `train` has {len(train):,}",
            help="use a part of them",
        )
    labels = tuple(Neighbour(text=row_text(bare, row.inputs), labelled=_labels(bare, row)) for row in train)
    teacher = _teacher(student, labels, options, context)
    wanted = len(train) if options.integer("max_bootstrapped_demos") else 0
    accepted, halt = await bootstrap(teacher, train, wanted, options, context)
    if halt is not None and not accepted:
        raise halt
    solved = {row_text(bare, one.example.inputs): one.demos for one in accepted}
    spare = options.integer("k") > options.integer("max_bootstrapped_demos")
    found = [_row(label, solved.get(label.text), spare=spare) for label in labels]
    index = _index(tuple(row for row in found if row.bootstrapped or row.labelled), options)
    notes = (f"the metric accepted {len(accepted)} of {len(train)} rows",) if wanted else ()
    if not index.rows:
        return StepResult(bare, notes=(*notes, "no row has anything to show: there are no demos"), cut=halt)
    if len(canonical(index)) > MAX_CHARACTERS:
        raise OptimizerError(
            f"the index of {len(index.rows):,} rows is too large for an artifact",
            help="use fewer rows of train, or rows with shorter texts",
        )
    return StepResult(bare.model_copy(update={"neighbours": index}), notes=notes, cut=halt)


def _teacher(student: Program, labels: tuple[Neighbour, ...], options: Options, context: Context) -> Runnable:
    """The teacher, or the student; one without demos is shown the labels of the row's neighbours."""
    teacher: Runnable = student if context.teacher is None else context.teacher
    for one in programs(teacher):
        require_match(student, one)
    if options.integer("max_labeled_demos") == 0 or has_demos(teacher):
        return teacher
    index = _index(labels, options)
    return each(teacher, lambda one: one.model_copy(update={"neighbours": index}))


def _index(rows: tuple[Neighbour, ...], options: Options) -> Neighbours:
    return Neighbours(
        k=options.integer("k"),
        max_bootstrapped_demos=options.integer("max_bootstrapped_demos"),
        max_labeled_demos=options.integer("max_labeled_demos"),
        rows=rows,
    )


def _labels(program: Program, row: Example) -> dict[str, Demo]:
    demos = {address: labelled(predictor, row) for address, predictor in program.predictors.items()}
    return {address: demo for address, demo in demos.items() if demo is not None}


def _row(label: Neighbour, solved: dict[str, Demo] | None, *, spare: bool) -> Neighbour:
    """A row with its bootstrapped demos; its labels are kept only where they may still be shown."""
    if solved is None:
        return label
    return label.model_copy(update={"bootstrapped": solved, "labelled": label.labelled if spare else {}})
