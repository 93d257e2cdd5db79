"""What a call of a loaded program gives back."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from msgspec import Struct

from ..schema.trace import TraceStep
from ..schema.types import JsonValue, Row
from .execute import Outcome


class CallUsage(Struct, frozen=True):
    """What one call took. Tokens and cost count only answers that were paid for by this call."""

    calls: int
    """Model answers used."""
    replayed: int
    """Answers among them that came from the cache, or were shared with the same request in flight."""
    input_tokens: int
    output_tokens: int
    cost: float | None
    """USD; None where the price of an answer is not known."""

    @property
    def tokens(self) -> int:
        return self.input_tokens + self.output_tokens

    @classmethod
    def of(cls, outcome: Outcome) -> CallUsage:
        paid = outcome.paid
        replayed = outcome.calls - paid.calls
        return cls(outcome.calls, replayed, paid.input_tokens, paid.output_tokens, paid.known_usd)


class Prediction(Mapping[str, JsonValue]):
    """The outputs, as attributes and as items: `p.intent`, `p["intent"]`, `dict(p)`.

    `outputs`, `usage`, `trace` and `notes` are the prediction's own; an output of such a name is
    reached as an item.
    """

    __slots__ = ("notes", "outputs", "trace", "usage")

    outputs: Row
    usage: CallUsage
    trace: tuple[TraceStep, ...]
    notes: tuple[str, ...]

    def __init__(self, outcome: Outcome) -> None:
        self.outputs = outcome.outputs
        self.usage = CallUsage.of(outcome)
        self.trace = outcome.trace
        self.notes = outcome.notes

    def __getattr__(self, name: str) -> JsonValue:
        # Reached only for what is not an attribute; copying asks for names before `outputs` is set.
        if name.startswith("__") or name in Prediction.__slots__:
            raise AttributeError(name)
        try:
            return self.outputs[name]
        except KeyError:
            raise AttributeError(f"no output `{name}`: the outputs are {', '.join(self.outputs)}") from None

    def __getitem__(self, name: str) -> JsonValue:
        return self.outputs[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.outputs)

    def __len__(self) -> int:
        return len(self.outputs)

    def __dir__(self) -> list[str]:
        return [*super().__dir__(), *self.outputs]

    def __repr__(self) -> str:
        return f"Prediction({', '.join(f'{name}={value!r}' for name, value in self.outputs.items())})"
