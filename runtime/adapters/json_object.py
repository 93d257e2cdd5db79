"""The `json` adapter: inputs in sections as in `chat`, the answer as one JSON object.

Models that can constrain decoding get a schema with the request, all others are asked for an object. The answer is read the
same way whether they honoured it or not, and a request is the same whichever was sent: the ledger knows it by
`response_format`, which no list of models changes. What a model refuses of the form is left out (`models/lanes`).
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from functools import lru_cache

from ..schema.identity import Same
from ..schema.program import LM, Demo, FieldSpec, Predictor, Signature
from ..schema.types import JsonValue, ListOf, OptionalOf, Scalar
from ..values.phrases import unfenced
from ..values.repair import exact_json, strict_json
from .base import Adapter, Records, SplitAnswer
from .members import members_of, plain_members, spoken
from .schema import object_schema
from .turns import LEFT_OUT
from .words import quoted

# Requests to these models are known by their schema; so they were before a list said who else takes one.
_TAKES_SCHEMA = re.compile(r"openai/(gpt-4o|gpt-4\.1|gpt-[5-9]|o[1-9])")


class JsonAdapter(Adapter):
    def layout(self, outputs: Sequence[FieldSpec]) -> str:
        body = ", ".join(f"{quoted(field.name)}: ..." for field in outputs)
        return f"Layout of an answer, one JSON object:\n{{{body}}}"

    def names(self, outputs: Sequence[FieldSpec]) -> str:
        keys = ", ".join(quoted(field.name) for field in outputs)
        return f"one JSON object with {keys}"

    def answer(self, demo: Demo, outputs: Sequence[FieldSpec]) -> str:
        return json.dumps(
            {field.name: demo.outputs.get(field.name, LEFT_OUT) for field in outputs}, ensure_ascii=False
        )

    def response_format(self, predictor: Predictor, records: Records, lm: LM) -> dict[str, JsonValue] | None:
        own_endpoint = lm.api_base is not None or lm.api_base_env is not None
        known = _TAKES_SCHEMA.match(lm.model) and not own_endpoint
        return (self.form(predictor, records) if known else None) or {"type": "json_object"}

    def form(self, predictor: Predictor, records: Records) -> dict[str, JsonValue] | None:
        return _form(Same(predictor), Same(records))

    def split(
        self, text: str, outputs: Sequence[FieldSpec], signature: Signature, *, strict: bool
    ) -> SplitAnswer:
        if strict:
            try:
                exact = strict_json(text)
            except ValueError:
                exact = None
            known = exact if isinstance(exact, dict) else {}
            members = {field.name: known[field.name] for field in outputs if field.name in known}
            return SplitAnswer(values=members, closed=isinstance(exact, dict))
        names = [field.name for field in outputs]
        if (members := plain_members(text, names)) is not None:
            return SplitAnswer(values=members, closed=True)
        text = spoken(text)
        found = members_of(text, names, "repaired the JSON", quiet=True)
        if found is not None:
            return found
        return (_bare(text, outputs[0]) if len(outputs) == 1 else None) or _nothing(text, names)


@lru_cache(maxsize=512)
def _form(same: Same[Predictor], records: Same[Records]) -> dict[str, JsonValue] | None:
    signature = same.value.signature
    schema = object_schema(signature.outputs, records.value)
    if schema is None:
        return None
    name = re.sub(r"\W", "_", signature.name, flags=re.ASCII)[:64] or "answer"
    return {"type": "json_schema", "json_schema": {"name": name, "strict": True, "schema": schema}}


def _nothing(text: str, names: Sequence[str]) -> SplitAnswer:
    """What an answer with none of these outputs holds: in an empty object they are left out, anything else is no answer."""
    try:
        empty = exact_json(unfenced(text)) == {}
    except ValueError:
        empty = False
    return SplitAnswer() if empty else SplitAnswer(unclear=dict.fromkeys(names, "is missing"))


def _bare(text: str, output: FieldSpec) -> SplitAnswer | None:
    """What an answer without an object holds for the only output: words are no value of a text, for that is JSON here, too."""
    text = unfenced(text)
    notes = ("took the whole answer as the only output",)
    kind = output.type.item if isinstance(output.type, OptionalOf) else output.type
    texts = (Scalar(name="str"), Scalar(name="any"))
    try:
        value = exact_json(text)
    except ValueError:
        free = kind in texts or (isinstance(kind, ListOf) and kind.item in texts and text[:1] != "[")
        # A text that is cut may be the beginning of a longer one.
        if free or not text:
            return None
        return SplitAnswer({output.name: text}, notes=notes, last=output.name, bare=True)
    if isinstance(value, dict) and (kind in texts or not value):
        return None
    closed = text[:1] in ('"', "[", "{")
    return SplitAnswer(values={output.name: value}, notes=notes, closed=closed, last=output.name, bare=True)
