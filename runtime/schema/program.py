"""The program model: what a compile tunes, an artifact carries and `execute` runs.

A program is a value. Tuning one gives another; nothing is changed in place, so candidates can be
compared, hashed and run side by side.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Sequence
from typing import Annotated, Literal

from pydantic import BaseModel, Field, PrivateAttr

from .expressions import Expression
from .types import Frozen, JsonValue, Row, Type


class FieldSpec(Frozen):
    """One input or output. `default` is used when `has_default`; None can be a default."""

    name: str
    type: Type
    description: str = ""
    has_default: bool = False
    default: JsonValue = None


class Check(Frozen):
    """`assert` (hard) or `suggest` (soft) on a signature's, record's or program's values."""

    kind: Literal["assert", "suggest"]
    condition: Expression
    message: Expression
    """Evaluates to the text that goes back to the model."""


class Record(Frozen):
    name: str
    description: str = ""
    fields: tuple[FieldSpec, ...]
    checks: tuple[Check, ...] = ()


class Signature(Frozen):
    """What a predictor is asked: `instruction` may be rewritten by optimizers, `fixed` never."""

    name: str
    instruction: str
    fixed: tuple[str, ...] = ()
    inputs: tuple[FieldSpec, ...]
    outputs: tuple[FieldSpec, ...]
    checks: tuple[Check, ...] = ()
    max_retries: int = 2
    """How often a failed check goes back to the model before the call gives up (or goes on)."""


class Demo(Frozen):
    """A worked example in the prompt. A labelled row may lack outputs of inner steps."""

    inputs: Row
    outputs: Row
    augmented: bool = False
    """True when the outputs were produced by a teacher run rather than given as labels."""


class Predictor(Frozen):
    """One model call with its learnable state, addressed by its module's name.

    `signature.outputs` already includes what the strategy adds (`reasoning` for ChainOfThought).
    """

    strategy: str
    """A name of the table in `running/strategies`; an artifact with another one is refused."""
    signature: Signature
    lm: str
    """Key into the program's `lms`."""
    demos: tuple[Demo, ...] = ()


class LM(Frozen):
    """Settings of one model. Secrets are names of environment variables, never values."""

    name: str
    model: str
    """Any LiteLLM model string, or `embedded/…`."""
    api_base: str | None = None
    api_base_env: str | None = None
    api_key_env: str | None = None
    temperature: float | None = None
    max_tokens: int | None = None
    seed: int | None = None
    timeout: float = 120.0
    """Seconds for one attempt, connection and whole answer included."""
    retry: int = 4
    """Further attempts after a retryable failure."""
    fallback: tuple[str, ...] = ()
    rpm: int | None = None
    tpm: int | None = None
    max_parallel: int | None = None
    hedge: bool = False
    """Ask a second time when an answer takes longer than any of late, and take the first of the two."""
    price_input: float | None = None
    """USD per million tokens."""
    price_output: float | None = None
    custom_endpoint: bool = False
    """True in an artifact whose LM had a literal `api_base`: the application must say where it is now."""
    parse: Literal["lenient", "strict"] = "lenient"
    adapter: Literal["chat", "json"] = "chat"


def with_fallbacks(names: Iterable[str], fallback: Callable[[str], Sequence[str]]) -> list[str]:
    """The names of models and of all that these may fall back to, each once, nearest first.

    `fallback` gives those that a model names itself. A check asks before there are any `LM`s.
    """
    found: dict[str, None] = {}
    waiting = list(names)
    while waiting:
        name = waiting.pop(0)
        if name not in found:
            found[name] = None
            waiting += fallback(name)
    return list(found)


class CallStep(Frozen):
    """`let name = module(field = expr, …)`: one run of a predictor. The value is its outputs."""

    kind: Literal["call"] = "call"
    name: str
    predictor: str
    arguments: dict[str, Expression]


class ValueStep(Frozen):
    """`let name = expr` without a model call."""

    kind: Literal["value"] = "value"
    name: str
    value: Expression


class CheckStep(Frozen):
    """`assert` or `suggest` between steps: on failure `blames` is asked again with the message."""

    kind: Literal["check"] = "check"
    check: Check
    blames: str | None
    """Name of the nearest preceding CallStep that the condition reads, or None."""


Step = Annotated[CallStep | ValueStep | CheckStep, Field(discriminator="kind")]


class Neighbour(Frozen):
    """A training row of an index: the text it is found by, and the demos it shows, by predictor.

    `labelled` demos stand in where there is no bootstrapped one, or where those are enough already.
    """

    text: str
    vector: str = ""
    """The text's embedding, packed (`vectors`), where a model compares the rows."""
    bootstrapped: dict[str, Demo] = Field(default_factory=dict[str, Demo])
    labelled: dict[str, Demo] = Field(default_factory=dict[str, Demo])


class Neighbours(Frozen):
    """Demos chosen for each input anew: the `k` rows nearest to it show theirs, the nearest first.

    At most `max_bootstrapped_demos` of those rows show bootstrapped demos; a predictor's demos are then
    filled up to `max_labeled_demos` in all with labelled ones.
    """

    k: int
    vectorizer: Literal["ngrams", "lm"] = "ngrams"
    """How texts are compared: words, word pairs and character n-grams, without a model; or embeddings."""
    lm: str | None = None
    """Key into the program's `lms`: the model that makes the embeddings, asked once for each input."""
    max_bootstrapped_demos: int
    max_labeled_demos: int
    rows: tuple[Neighbour, ...]
    _hidden: str | None = PrivateAttr(None)

    @property
    def hidden(self) -> str | None:
        """The text of a row that is not shown: a compile's, while it asks about that very row. In no artifact."""
        return self._hidden

    def hiding(self, text: str) -> Neighbours:
        """The index as it is for a run on a row that is in it. The rows are the same object, so that what is known
        of them holds."""
        copied = self.model_copy()
        copied._hidden = text
        return copied

    def without(self, address: str) -> Neighbours | None:
        """The index without one predictor's demos; None when no other has any."""
        rows = tuple(
            row.model_copy(
                update={
                    "bootstrapped": {
                        name: demo for name, demo in row.bootstrapped.items() if name != address
                    },
                    "labelled": {name: demo for name, demo in row.labelled.items() if name != address},
                }
            )
            for row in self.rows
        )
        used = any(row.bootstrapped or row.labelled for row in rows)
        return self.model_copy(update={"rows": rows}) if used else None


class Program(Frozen):
    """A straight-line data-flow graph over predictors.

    A bare module is the program with one CallStep. Steps run as soon as what they read is there.
    """

    name: str
    inputs: tuple[FieldSpec, ...]
    outputs: tuple[FieldSpec, ...]
    steps: tuple[Step, ...]
    returns: dict[str, Expression]
    predictors: dict[str, Predictor]
    records: dict[str, Record] = Field(default_factory=dict)
    lms: dict[str, LM] = Field(default_factory=dict)
    neighbours: Neighbours | None = None
    """Demos that are chosen per input; they come after those that a predictor always shows."""

    def with_predictor(
        self, address: str, *, instruction: str | None = None, demos: tuple[Demo, ...] | None = None
    ) -> Program:
        """The same program with one predictor's instruction or demos replaced.

        New demos replace those that were chosen per input, too.
        """
        predictor = self.predictors[address]
        if instruction is not None:
            signature = predictor.signature.model_copy(update={"instruction": instruction})
            predictor = predictor.model_copy(update={"signature": signature})
        if demos is not None:
            predictor = predictor.model_copy(update={"demos": demos})
        changes: dict[str, object] = {"predictors": {**self.predictors, address: predictor}}
        if demos is not None and self.neighbours is not None:
            changes["neighbours"] = self.neighbours.without(address)
        return self.model_copy(update=changes)

    def with_lms(self, lms: dict[str, LM]) -> Program:
        """The same program on other models; `lms` replaces the entries of the same names."""
        return self.model_copy(update={"lms": {**self.lms, **lms}})


def canonical(value: BaseModel | JsonValue) -> str:
    """The one JSON text of a value: sorted keys, no spaces, non-ASCII kept."""
    plain = value.model_dump(mode="json") if isinstance(value, BaseModel) else value
    return _ENCODE(plain)


_ENCODE = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode


def digest(value: BaseModel | JsonValue) -> str:
    """SHA-256 of `canonical(value)`, in hexadecimal."""
    return hashlib.sha256(canonical(value).encode()).hexdigest()
