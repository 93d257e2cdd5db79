"""What a call of a loaded program gives back."""

from __future__ import annotations

import inspect
import json
from collections.abc import Iterator, Mapping
from functools import cache, partial
from typing import TYPE_CHECKING, Any, TypeVar, get_type_hints

from msgspec import Struct

from ..errors import InputError, ParseError
from ..schema.trace import TraceStep
from ..schema.types import JsonValue, Row
from .execute import Outcome

if TYPE_CHECKING:
    from pydantic import TypeAdapter

Kind = TypeVar("Kind")


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


class Fields(dict[str, JsonValue]):
    """An object among the outputs, whose members are attributes, too: `p.order.lines[0].total`."""

    def __getattr__(self, name: str) -> Any:
        try:
            return _opened(self[name])
        except KeyError:
            raise AttributeError(f"no member `{name}`: there are {', '.join(self)}") from None


def _opened(value: JsonValue) -> Any:
    """A value as it is seen through an attribute."""
    if isinstance(value, dict):
        return Fields(value)
    if isinstance(value, list) and any(isinstance(one, dict | list) for one in value):
        return [_opened(one) for one in value]
    return value


OWN = frozenset({"outputs", "usage", "trace", "notes"})
"""Names of a prediction's own: an output of such a name is reached as an item."""


class TypedPrediction(Mapping[str, JsonValue]):
    """The outputs, as attributes and as items: `p.intent`, `p["intent"]`, `dict(p)`. Items are plain JSON; through an
    attribute, an object's members are attributes, too.

    `outputs`, `usage`, `trace` and `notes` are the prediction's own, and so are a mapping's methods; an output of such a
    name is reached as an item. `call_id` and `into` are there where no output is called so. A subclass whose annotations
    name outputs has their values in the annotated types.
    """

    __slots__ = ("_id", "notes", "outputs", "trace", "usage")

    outputs: Row
    usage: CallUsage
    trace: tuple[TraceStep, ...]
    notes: tuple[str, ...]

    def __init__(self, outcome: Outcome, call_id: str = "") -> None:
        self.outputs = outcome.outputs
        self.usage = CallUsage.of(outcome)
        self.trace = outcome.trace
        self.notes = outcome.notes
        self._id = call_id

    if TYPE_CHECKING:

        @property
        def call_id(self) -> str:
            """What tells this call from others, as in its `CallRecord`."""
            return self._id

        def into(self, kind: type[Kind]) -> Kind:
            """The outputs as a Pydantic model, a dataclass or a TypedDict. Raises ParseError where they do not fit, InputError
            for what is no such class."""
            return _into(self.outputs, kind)

    else:

        def __getattr__(self, name: str) -> Any:
            # Reached only for what is not an attribute; copying asks for names before `outputs` is set.
            if name.startswith("__") or name in TypedPrediction.__slots__:
                raise AttributeError(name)
            if name in self.outputs:
                return _attribute(self, name)
            if name == "call_id":
                return self._id
            if name == "into":
                return partial(_into, self.outputs)
            raise AttributeError(f"no output `{name}`: the outputs are {', '.join(self.outputs)}")

    def __getitem__(self, name: str) -> JsonValue:
        return self.outputs[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.outputs)

    def __len__(self) -> int:
        return len(self.outputs)

    def __dir__(self) -> list[str]:
        return [*super().__dir__(), *self.outputs]

    def __repr__(self) -> str:
        inside = ", ".join(f"{name}={value!r}" for name, value in self.outputs.items())
        return f"{type(self).__name__}({inside})"

    def _repr_html_(self) -> str:
        """A table of the outputs, for notebooks."""
        from html import escape  # a table of all names of characters, which few processes need

        rows = "".join(
            f"<tr><th style='text-align:left'>{escape(name)}</th>"
            f"<td style='text-align:left;white-space:pre-wrap'>{escape(_shown(value))}</td></tr>"
            for name, value in self.outputs.items()
        )
        cost = "" if self.usage.cost is None else f" · ${self.usage.cost:.4f}"
        calls = f"{self.usage.calls} model {'call' if self.usage.calls == 1 else 'calls'}"
        told = f"{calls} · {self.usage.tokens:,} tokens{cost}"
        return f"<table>{rows}</table><small>{escape(told)}</small>"


def id_of(prediction: TypedPrediction) -> str:
    """The id of the call that gave it, also where an output is called `call_id`."""
    return prediction._id  # pyright: ignore[reportPrivateUsage]


class Prediction(TypedPrediction):
    """One whose outputs are known when it is made: any name may be one."""

    __slots__ = ()

    if TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any: ...


def _attribute(prediction: TypedPrediction, name: str) -> Any:
    """An output's value in the type that the class says it has."""
    kind = type(prediction)
    if kind is Prediction:
        return _opened(prediction.outputs[name])
    reads = _typed_outputs(kind).get(name)
    value = prediction.outputs[name]
    made = _opened(value) if reads is None else _read(reads, value, name, f"`{kind.__name__}`")
    prediction.__dict__[name] = made  # a subclass has one
    return made


def _shown(value: JsonValue) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, indent=2)


def _into(outputs: Row, kind: type[Kind]) -> Kind:
    from pydantic import TypeAdapter
    from pydantic.errors import PydanticUserError

    name = f"`{getattr(kind, '__name__', kind)}`"
    try:
        reads = TypeAdapter(kind)
    except PydanticUserError as error:
        why = str(error).partition("\n")[0]
        raise InputError(
            f"outputs cannot be read into {name}: {why}",
            help="pass a Pydantic model, a dataclass or a TypedDict (below Python 3.12 that of typing_extensions)",
        ) from error
    return _read(reads, outputs, "", name)


def _read(reads: TypeAdapter[Kind], value: object, place: str, wanted: str) -> Kind:
    """A value in the type that the application wants it in. Raises ParseError where it does not fit."""
    from pydantic import ValidationError

    try:
        return reads.validate_python(value)
    except ValidationError as error:
        first, *others = error.errors(include_url=False, include_context=False)
        where = place
        for step in first["loc"]:
            where += f"[{step}]" if isinstance(step, int) else f".{step}" if where else step
        got = "" if first["type"] == "missing" else f", got {first['input']!r:.80}"
        more = f" (and {len(others)} more)" if others else ""
        raise ParseError(
            f"an answer is no {wanted}: {f'`{where}`: ' if where else ''}{_lowered(first['msg'])}{got}{more}",
            help=f"declare in the signature what {wanted} asks for, or let {wanted} take what the signature declares",
        ) from error


def _lowered(sentence: str) -> str:
    return sentence[:1].lower() + sentence[1:]


def seen(kind: type[TypedPrediction], name: str, value: JsonValue) -> object:
    """A value as a partial answer shows it: in the type that the class says it has, plain JSON where it says nothing."""
    reads = None if kind is Prediction else _typed_outputs(kind).get(name)
    return value if reads is None else _read(reads, value, name, f"`{kind.__name__}`")


@cache
def _typed_outputs(kind: type[TypedPrediction]) -> Mapping[str, TypeAdapter[Any]]:
    """What reads the outputs that a class of predictions annotates."""
    from pydantic import TypeAdapter

    own = {
        name for one in kind.__mro__ if one not in Prediction.__mro__ for name in inspect.get_annotations(one)
    }
    hints = get_type_hints(kind)
    return {name: TypeAdapter(hints[name]) for name in own}
