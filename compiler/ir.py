"""The checked IR: what a file means once every name and type is known.

Built only from files without errors, so nothing in it is optional because it "may be filled in
later". Executable parts are the runtime's own models; what only a compile needs stands here.
`dspc show --ir` prints it as JSON.
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from dspec.runtime.expressions import Expression
from dspec.runtime.program import LM, FieldSpec, Program
from dspec.runtime.types import Frozen, JsonValue

IR_VERSION = 1


class Amount(Frozen):
    """A split's size: rows, or percent of all rows."""

    value: float
    unit: Literal["rows", "percent"]


class Split(Frozen):
    """`parts` in the order they were written; rows left over belong to no part."""

    parts: dict[str, Amount]
    seed: int = 0
    stratify: str | None = None


class DataSource(Frozen):
    """Where rows come from; `path` is relative to the file that declares the dataset."""

    kind: Literal["csv", "jsonl", "json", "parquet"]
    path: str
    options: dict[str, JsonValue] = Field(default_factory=dict)


class Dataset(Frozen):
    name: str
    source: DataSource
    inputs: tuple[FieldSpec, ...]
    fields: tuple[FieldSpec, ...]
    split: Split | None = None


class RowsRef(Frozen):
    """`tickets` or `tickets.val`."""

    dataset: str
    part: str | None = None


class Metric(Frozen):
    """`score` is a bool or a number in 0..1; `accept` decides which traces become demos."""

    name: str
    gold: str
    """Name the metric gives the dataset's row."""
    pred: str
    """Name it gives the program's outputs."""
    dataset: str
    program: str
    score: Expression
    accept: Expression | None = None
    feedback: Expression | None = None


class Budget(Frozen):
    usd: float | None = None
    calls: int | None = None
    tokens: int | None = None
    minutes: float | None = None


class StepSpec(Frozen):
    """One `step`. `options` are the options as written, checked and defaulted by the optimizer's table.

    `student` and `teacher` name an earlier step, a program or an optimize block; None means the
    previous step's program and no separate teacher.
    """

    name: str
    optimizer: str
    options: dict[str, JsonValue] = Field(default_factory=dict)
    student: str | None = None
    teacher: str | None = None


class Optimize(Frozen):
    name: str
    program: str
    metric: str
    train: RowsRef
    val: RowsRef | None = None
    lm: str | None = None
    prompt_lm: str | None = None
    teacher_lm: str | None = None
    seed: int = 0
    budget: Budget = Budget()
    steps: tuple[StepSpec, ...]
    emit: str
    """Name of the step whose program is written."""


class Eval(Frozen):
    """`program` and `baseline` name a module, a program or an optimize block."""

    name: str
    program: str
    baseline: str | None = None
    metric: str
    data: RowsRef
    gates: tuple[Gate, ...] = ()


class Gate(Frozen):
    """`text` is the gate as written, for messages."""

    text: str
    condition: Expression


class Project(Frozen):
    """Everything one root file declares and imports, by name."""

    version: int = IR_VERSION
    lms: dict[str, LM] = Field(default_factory=dict)
    programs: dict[str, Program] = Field(default_factory=dict)
    """Modules (as one-step programs) and programs."""
    datasets: dict[str, Dataset] = Field(default_factory=dict)
    metrics: dict[str, Metric] = Field(default_factory=dict)
    optimizes: dict[str, Optimize] = Field(default_factory=dict)
    evals: dict[str, Eval] = Field(default_factory=dict)


Eval.model_rebuild()
