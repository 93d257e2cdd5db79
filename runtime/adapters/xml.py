"""The `xml` adapter: inputs in sections as in `chat`, each output of the answer between tags of its name.

Only the outputs' own tags are layout, so a value may hold any other markup as it is. In lenient mode an answer without
tags is read as one of the `chat` adapter without headers.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache

from ..schema.program import LM, Demo, FieldSpec, Predictor, Signature
from ..schema.types import JsonValue
from ..values.tags import escape, split, unescape
from ..values.values import shown
from .base import Adapter, Records, SplitAnswer, differing
from .members import spoken
from .turns import LEFT_OUT
from .unlaid import without_layout


class XmlAdapter(Adapter):
    def layout(self, outputs: Sequence[FieldSpec]) -> str:
        body = "\n".join(f"<{field.name}>\n...\n</{field.name}>" for field in outputs)
        return f"Layout of an answer:\n{body}"

    def names(self, outputs: Sequence[FieldSpec]) -> str:
        return ", ".join(f"<{field.name}>...</{field.name}>" for field in outputs)

    def answer(self, demo: Demo, outputs: Sequence[FieldSpec]) -> str:
        names = [field.name for field in outputs]
        texts = {
            name: escape(shown(demo.outputs[name]), name) if name in demo.outputs else LEFT_OUT
            for name in names
        }
        return "\n\n".join(f"<{name}>\n{text}\n</{name}>" for name, text in texts.items())

    def response_format(self, predictor: Predictor, records: Records, lm: LM) -> dict[str, JsonValue] | None:
        return None

    def split(
        self, text: str, outputs: Sequence[FieldSpec], signature: Signature, *, strict: bool
    ) -> SplitAnswer:
        if not strict:
            text = spoken(text)
        # Those of all outputs: a correction asks for some of them, and the model may give more.
        names = [field.name for field in signature.outputs]
        found = split(text, names, strict=strict)
        if not found.texts and not found.twisted and not strict:
            return without_layout(text, outputs, _broken(tuple(names)), closed=False)
        sections = {name: texts for name, texts in found.texts.items() if not (strict and name in found.open)}
        unclear = differing(sections) | dict.fromkeys(found.twisted, "stands between tags that do not pair")
        unfinished = found.last if found.last in found.open else ""
        missing = ", ".join(f"</{name}>" for name in sorted(found.open - {unfinished}))
        return SplitAnswer(
            {name: unescape(texts[0], name) for name, texts in sections.items()},
            notes=(f"read on without {missing}",) if missing else (),
            unclear=unclear,
            guessed=frozenset(found.open - {unfinished}),
            closed=not found.open and all(field.name in sections for field in outputs),
            last=unfinished,
        )


@lru_cache(maxsize=512)
def _broken(names: tuple[str, ...]) -> re.Pattern[str]:
    """What shows that an answer meant to have tags, or is thoughts without an end."""
    return re.compile(rf"</?\s{{0,8}}(?:{'|'.join(map(re.escape, names))})\b|\A<think", re.IGNORECASE)
