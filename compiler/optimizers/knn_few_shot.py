"""KNNFewShot: demos chosen for each input anew, from the training rows nearest to it.

Algorithm: `KNNFewShot` of DSPy, which bootstraps the neighbours of an input while the application waits,
for every request again. Here each row is bootstrapped once, at compile time, and the index with the
demos is part of the program: a request costs what it cost before. The teacher of a row sees the
labels of the row's own neighbours, as it would have at the time of a request.

With a model as `vectorizer`, the rows' embeddings are part of the index too, and a request costs one more:
its own.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Literal

from dspec.runtime.artifact.artifact import index_size
from dspec.runtime.artifact.beside import MAX_BYTES
from dspec.runtime.index.limits import MAX_ROWS
from dspec.runtime.running.neighbours import row_text
from dspec.runtime.running.vectors import pack
from dspec.runtime.schema.ensemble import Runnable, each
from dspec.runtime.schema.program import LM, Demo, Neighbour, Neighbours, Program

from ..diagnostics.wording import plural
from ..evaluate.counts import Calls, Range
from .advising import SOME, Idea, Situation
from .base import Context, Facts, OptimizerError, Option, Options, Spec, StepResult
from .bootstrap_few_shot import DEMO_OPTIONS, bootstrap, demos_shown
from .demos import has_demos, labelled, without_demos
from .frozen import tunable
from .teachers import matched

if TYPE_CHECKING:
    from ..data.rows import Example


def _calls(options: Options, facts: Facts) -> Calls:
    embedded = facts.train if options.named("vectorizer", "lm") else 0
    if options.integer("max_bootstrapped_demos") == 0:
        return Calls(teacher=Range(embedded, embedded))
    runs = facts.train * facts.teacher_calls
    # A teacher that has no demos is shown those of the row's neighbours, which takes the row's embedding.
    shown = embedded if options.integer("max_labeled_demos") else 0
    most = (runs + shown) * options.integer("max_rounds")
    return Calls(teacher=Range(embedded + runs, embedded + most))


def _shape(student: Program, options: Options) -> Program:
    """The result without its rows: where a model compares them, every run asks that model once."""
    name = options.named("vectorizer", "lm")
    if name is None:
        return without_demos(student)
    return student.model_copy(update={"neighbours": _index((), options)})


def _advise(s: Situation) -> Iterator[Idea]:
    if not s.no_demos and s.train >= SOME and s.predictors == 1:
        why = f"shows every input the 4 of {s.train} rows that are most like it"
        yield Idea("special", "near", why, {"k": 4})


SPEC = Spec(
    name="KNNFewShot",
    doc="Shows each input the training rows most like it: bootstrapped where the teacher solves them, "
    "labelled otherwise. The rows become part of the program.",
    suits="inputs so different that no fixed demos suit all",
    about="When inputs differ so much that no fixed demos suit all. Each input is shown the rows most like it "
    "([how](#rows-near-an-input)). The rows travel in the artifact. DSPy bootstraps them anew for every "
    "request, which takes up to `k` teacher runs and the metric; here it is done once, in the compile. It replaces the "
    'demos. With `compat = "dspy"` demos are DSPy\'s for the same vectors where labels alone are shown '
    "(`max_bootstrapped_demos = 0`) and where the teacher is shown none (`max_labeled_demos = 0`). By default it is "
    "shown some: in DSPy those of the request's other neighbours, here those of the row's own. So its reasoning may be worded "
    "otherwise, and another row may pass. Rows with equal inputs are one row here, and of equally near ones the earlier is "
    "first.",
    costs="one teacher run for every row of `train`, `max_rounds` at most.",
    source="DSPy, KNNFewShot",
    options=(
        Option("k", "int", 3, "Rows that show their demos to an input.", minimum=1, counts="train"),
        Option(
            "vectorizer",
            "str",
            "ngrams",
            'How inputs are compared: "ngrams" by words, word pairs and character n-grams, without a model; '
            "the name of an `lm` by its embeddings.",
            choices=("ngrams",),
            refers=("lm",),
        ),
        *DEMO_OPTIONS,
    ),
    sets=frozenset({"demos"}),
    calls=_calls,
    shows=demos_shown,
    shape=_shape,
    takes_teacher=True,
    bootstraps=True,
    per_input=True,
    advised_train=20,
    advise=_advise,
)


async def run(student: Program, options: Options, context: Context) -> StepResult:
    return await indexed(student, options, context)


async def indexed(
    student: Program, options: Options, context: Context, *, fill: Literal["dspy"] | None = None
) -> StepResult:
    """The student with its index, whose labelled demos `fill` up as it says: as DSPy draws them also from rows that show
    nothing, which then take places of neighbours."""
    bare = without_demos(student)
    if bare.neighbours is not None:
        held = next(address for address in bare.predictors if address not in tunable(bare))
        raise OptimizerError(
            f"`{held}` is frozen and shows demos chosen per input, and a program has one index of them",
            help="tune it too, or leave this step out",
        )
    embedder = _embedder(options, context)
    if embedder is not None:
        bare = bare.with_lms({embedder.name: embedder})
    rows = {row_text(bare, row.inputs): row for row in reversed(context.train)}
    train = tuple(row for row in context.train if rows[row_text(bare, row.inputs)] is row)
    if len(train) > MAX_ROWS:
        raise OptimizerError(
            f"an index has at most {MAX_ROWS:,} rows, and `train` has {len(train):,}",
            help="use a part of them",
        )
    vectors = await _vectors(embedder, [row_text(bare, row.inputs) for row in train], context)
    labels = tuple(
        Neighbour(text=row_text(bare, row.inputs), vector=vector, labelled=_labels(bare, row))
        for row, vector in zip(train, vectors, strict=True)
    )
    teacher = _teacher(student, labels, embedder, options, context)
    wanted = len(train) if options.integer("max_bootstrapped_demos") else 0
    accepted, halt = await bootstrap(student, teacher, train, wanted, options, context)
    if halt is not None and not accepted:
        raise halt
    solved = {row_text(bare, one.example.inputs): _held(bare, one.demos) for one in accepted}
    spare = options.integer("k") > options.integer("max_bootstrapped_demos")
    found = [_row(label, solved.get(label.text), spare=spare) for label in labels]
    if fill is None:
        found = _within_prompts(bare, found, _index((), options).shown, context)
    shows = tuple(row for row in found if row.bootstrapped or row.labelled)
    index = _index(tuple(found) if fill and shows else shows, options).model_copy(update={"fill": fill})
    notes = (f"the metric accepted {len(accepted)} of {plural(len(train), 'row')}",) if wanted else ()
    if not index.rows:
        return StepResult(bare, notes=(*notes, "no row has anything to show: there are no demos"), cut=halt)
    if index_size(index) > MAX_BYTES:
        raise OptimizerError(
            f"the index of {len(index.rows):,} rows is too large for an artifact",
            help="use fewer rows of train, or rows with shorter texts",
        )
    return StepResult(bare.model_copy(update={"neighbours": index}), notes=notes, cut=halt)


def _embedder(options: Options, context: Context) -> LM | None:
    name = options.named("vectorizer", "lm")
    return None if name is None else context.lms[name]


async def _vectors(embedder: LM | None, texts: list[str], context: Context) -> list[str]:
    """The rows' embeddings, packed; empty texts where no model compares them. Raises halts."""
    if embedder is None:
        return [""] * len(texts)
    vectors: list[list[float]] = []
    for found in await context.evaluator.embed(embedder, texts):
        if not isinstance(found, list):
            raise found
        vectors.append(found)
    if len({len(vector) for vector in vectors}) > 1:
        raise OptimizerError(f"`{embedder.name}` gave embeddings of different lengths")
    return [pack(vector) for vector in vectors]


def _held(program: Program, demos: dict[str, Demo]) -> dict[str, Demo]:
    """The demos of predictors that the step may change."""
    return {address: demo for address, demo in demos.items() if address in tunable(program)}


def _teacher(
    student: Program, labels: tuple[Neighbour, ...], embedder: LM | None, options: Options, context: Context
) -> Runnable:
    """The teacher, or the student; one without demos is shown the labels of the row's neighbours."""
    teacher: Runnable = student if context.teacher is None else matched(student, context.teacher)
    if options.integer("max_labeled_demos") == 0 or has_demos(teacher):
        return teacher
    index = _index(labels, options)
    more = {} if embedder is None else {embedder.name: embedder}
    return each(teacher, lambda one: one.model_copy(update={"neighbours": index, "lms": {**one.lms, **more}}))


def _index(rows: tuple[Neighbour, ...], options: Options) -> Neighbours:
    name = options.named("vectorizer", "lm")
    return Neighbours(
        k=options.integer("k"),
        vectorizer="ngrams" if name is None else "lm",
        lm=name,
        max_bootstrapped_demos=options.integer("max_bootstrapped_demos"),
        max_labeled_demos=options.integer("max_labeled_demos"),
        rows=rows,
    )


def _labels(program: Program, row: Example) -> dict[str, Demo]:
    demos = {
        address: labelled(predictor, row, program.records) for address, predictor in tunable(program).items()
    }
    return {address: demo for address, demo in demos.items() if demo is not None}


def _within_prompts(program: Program, rows: list[Neighbour], shown: int, context: Context) -> list[Neighbour]:
    """The rows with demos of which any `shown` fit into a prompt together."""
    for address in program.predictors:
        for kind in ("bootstrapped", "labelled"):
            places = [place for place, row in enumerate(rows) if address in getattr(row, kind)]
            demos = [getattr(rows[place], kind)[address] for place in places]
            fitted = context.room.fit_any(program, address, demos, shown)
            for place, before, demo in zip(places, demos, fitted, strict=True):
                if demo != before:
                    kept = {**getattr(rows[place], kind), address: demo}
                    rows[place] = rows[place].model_copy(update={kind: kept})
    return rows


def _row(label: Neighbour, solved: dict[str, Demo] | None, *, spare: bool) -> Neighbour:
    """A row with its bootstrapped demos; its labels are kept only where they may still be shown."""
    if solved is None:
        return label
    return label.model_copy(update={"bootstrapped": solved, "labelled": label.labelled if spare else {}})
