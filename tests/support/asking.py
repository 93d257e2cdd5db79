"""Asking the embedded model through the real adapters: build a predictor, render, answer, parse."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from dspec.runtime.adapters.base import Adapter
from dspec.runtime.adapters.chat import ChatAdapter
from dspec.runtime.models.embedded import EmbeddedTransport
from dspec.runtime.models.protocol import Message, Request
from dspec.runtime.schema.program import LM, Demo, FieldSpec, Predictor, Record, Signature
from dspec.runtime.schema.types import STR, Row, Type

ICL = LM(name="icl", model="embedded/icl")


def predictor(
    outputs: Mapping[str, Type],
    demos: Iterable[tuple[Row, Row]] = (),
    *,
    inputs: Sequence[str] = ("text",),
    instruction: str = "Answer from the input.",
    notes: Mapping[str, str] | None = None,
) -> Predictor:
    """A predictor with text inputs; `demos` are pairs of inputs and outputs."""
    told = notes or {}
    return Predictor(
        strategy="Predict",
        signature=Signature(
            name="Asked",
            instruction=instruction,
            inputs=tuple(FieldSpec(name=name, type=STR) for name in inputs),
            outputs=tuple(
                FieldSpec(name=name, type=kind, description=told.get(name, ""))
                for name, kind in outputs.items()
            ),
        ),
        lm="icl",
        demos=tuple(Demo(inputs=given, outputs=answered) for given, answered in demos),
    )


async def ask(
    asked: Predictor,
    inputs: Row,
    *,
    transport: EmbeddedTransport | None = None,
    adapter: Adapter | None = None,
    records: Mapping[str, Record] | None = None,
    follow_up: Sequence[Message] = (),
    sample: int = 0,
    temperature: float | None = None,
) -> Row:
    """The typed outputs; an answer that does not parse raises ParseError."""
    chosen = adapter or ChatAdapter()
    known = dict(records or {})
    messages = (*chosen.render(asked, inputs, known), *follow_up)
    request = Request(ICL, messages, sample=sample, temperature=temperature)
    answer = await (transport or EmbeddedTransport()).complete(request)
    return chosen.parse(asked, answer.text, known)
