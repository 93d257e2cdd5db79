"""What a report holds, as values: rows before and after, scores, trials, steps, money, and where it all comes from."""

from __future__ import annotations

from msgspec import Struct

from dspec.runtime.artifact.artifact import Score
from dspec.runtime.schema.types import Row
from dspec.runtime.schema.usage import Flaws, Spent

from ...data.rows import Example
from ...evaluate.statistics import Paired
from .kept import Exchange


class RowLook(Struct, frozen=True):
    """A program on one row. `outputs` is None where there was no usable answer; `reason` says why, or what the metric said."""

    score: float
    outputs: Row | None
    reason: str
    spent: Spent
    flaws: Flaws
    failed: bool = False
    """Whether it had no usable answer, or the metric failed on it."""
    metric_failed: bool = False
    """Whether it has no score of its own, and counts as 0, since the metric failed on it."""


class ComparedRow(Struct, frozen=True):
    """A row before and after; None where a run is not kept, or there is no such program."""

    example: Example
    before: RowLook | None
    after: RowLook | None

    @property
    def change(self) -> float:
        """By how much its score rose; 0 where one of them is not known."""
        return 0.0 if self.before is None or self.after is None else self.after.score - self.before.score


class LabelPair(Struct, frozen=True):
    """A column whose type is a union of literals, and the output that the metric holds against it."""

    gold: str
    output: str
    values: tuple[str, ...]


class RowTable(Struct, frozen=True):
    """Rows of one dataset under two programs. Scores are of the rows that are known, `paired` of those known on both sides."""

    title: str
    about: str
    metric: str
    before_name: str
    after_name: str
    inputs: tuple[str, ...]
    golds: tuple[str, ...]
    outputs: tuple[str, ...]
    rows: tuple[ComparedRow, ...]
    before: Score | None
    after: Score | None
    paired: Paired | None
    main: tuple[str, str]
    """The column and the output that are shown where there is room for one; "" where there is none."""
    labels: LabelPair | None
    unseen: bool
    """Whether nothing was chosen by these rows."""

    def known(self, side: str) -> list[RowLook]:
        looks = [row.before if side == "before" else row.after for row in self.rows]
        return [look for look in looks if look is not None]


class TrialPoint(Struct, frozen=True):
    """A candidate that was scored: `number` counts from 1, `best` is the highest score so far, the start's included.

    `spent` is what the compile had taken by then.
    """

    number: int
    step: str
    label: str
    score: float
    best: float
    spent: Spent
    low: float | None = None
    high: float | None = None
    paired: Paired | None = None
    """Against the start, where it was scored on the same rows."""
    demos: int | None = None
    instructions: tuple[tuple[str, str], ...] = ()
    """By predictor, where they are not those of the start."""
    taken: bool = False
    """Whether it is the result."""


class StepFacts(Struct, frozen=True):
    """One optimizer step: its options as written or by default, and what it needed beyond those before it."""

    name: str
    optimizer: str
    options: tuple[tuple[str, str], ...]
    score: Score | None
    gain: float | None
    """What its result scored above what it was given, on the same rows; None where it did not score both."""
    judged: str
    """What is left of the gain without luck; "" where luck has no part in it, or the compile cannot be replayed."""
    calls: int
    spent: Spent | None
    notes: tuple[str, ...] = ()


class TextSpan(Struct, frozen=True):
    """Some words of a text: in both, only in the old one or only in the new one."""

    kind: str
    text: str


class TextChange(Struct, frozen=True):
    """A text before and after, cut into spans; equal texts are one span."""

    name: str
    spans: tuple[TextSpan, ...]

    @property
    def changed(self) -> bool:
        return any(span.kind != "same" for span in self.spans)


class DemoFacts(Struct, frozen=True):
    """A worked example in the prompt. `state` is "new", "gone" or "kept"."""

    state: str
    origin: str
    inputs: tuple[tuple[str, str], ...]
    outputs: tuple[tuple[str, str], ...]


class PromptFacts(Struct, frozen=True):
    """What one predictor sends, before and after: texts, demos, and the whole prompt with blanks for its inputs."""

    address: str
    about: str
    texts: tuple[TextChange, ...]
    demos: tuple[DemoFacts, ...]
    whole: tuple[TextChange, ...]


class Trouble(Struct, frozen=True):
    """A row whose answers had something wrong with them, with what was said. `exchanges` is empty where that is not kept."""

    table: int
    row: int
    side: str
    flaws: Flaws
    reason: str
    exchanges: tuple[Exchange, ...]


class SpendLine(Struct, frozen=True):
    """What something took, answers that were kept counted as if they had been paid."""

    what: str
    spent: Spent


class PricedFacts(Struct, frozen=True):
    """A program that no other beats in both score and cost; `tokens` and `usd` are of one answer, on the average."""

    name: str
    score: float
    tokens: float
    usd: float | None


class ReportFacts(Struct, frozen=True):
    """All that a page tells. `missing` says what is not known, and why; `notes` are the compile's own."""

    name: str
    title: str
    subtitle: str
    tables: tuple[RowTable, ...] = ()
    trials: tuple[TrialPoint, ...] = ()
    start: Score | None = None
    steps: tuple[StepFacts, ...] = ()
    luck: str = ""
    front: tuple[PricedFacts, ...] = ()
    """The cheapest first."""
    prompts: tuple[PromptFacts, ...] = ()
    spending: tuple[SpendLine, ...] = ()
    troubles: tuple[Trouble, ...] = ()
    untold: int = 0
    """Further rows with troubles that are left out of `troubles`."""
    notes: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    origin: tuple[tuple[str, str], ...] = ()
    """Where it comes from: names and values."""
