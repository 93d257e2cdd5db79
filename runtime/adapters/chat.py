"""The `chat` adapter: each field is a section under a header line, closed by a `completed` header.

Reading is by line. Only the signature's own names open a section, so a header of another name is part
of the text it stands in; the first section of a name counts. In lenient mode an answer without any
header may also be a JSON object, labelled lines, or the bare value of an only output.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from functools import lru_cache

from ..schema.program import LM, Demo, FieldSpec, Predictor, Signature
from ..schema.types import JsonValue, Scalar
from ..values.markers import unescape
from ..values.repair import json_object
from .base import Adapter, Records, SplitAnswer, header, sections

COMPLETED = "completed"
_HEADER = re.compile(r"[ \t]*\[\[[ \t]*##[ \t]*(\w{1,200})[ \t]*##[ \t]*\]\][ \t]*(.*)")


class ChatAdapter(Adapter):
    def layout(self, outputs: Sequence[FieldSpec]) -> str:
        body = "\n".join(f"{header(field.name)}\n..." for field in outputs)
        return f"Layout of an answer:\n{body}\n{header(COMPLETED)}"

    def names(self, outputs: Sequence[FieldSpec]) -> str:
        return f"{', '.join(header(field.name) for field in outputs)}, then {header(COMPLETED)}"

    def answer(self, demo: Demo, outputs: Sequence[FieldSpec]) -> str:
        return f"{sections(outputs, demo.outputs)}\n\n{header(COMPLETED)}"

    def response_format(self, predictor: Predictor, records: Records, lm: LM) -> dict[str, JsonValue] | None:
        return None

    def split(
        self, text: str, outputs: Sequence[FieldSpec], signature: Signature, *, strict: bool
    ) -> SplitAnswer:
        known = {field.name for field in (*signature.inputs, *signature.outputs)}
        before, found = _sections(text, known)
        if not found and not strict:
            return _without_headers(text, outputs)
        first = outputs[0] if outputs else None
        if (
            not strict
            and first is not None
            and first.name not in found
            and first.type == Scalar(name="str")
            and before
        ):
            # Models sometimes start with the text of the first section, having read its header as given.
            note = f"took the text before the first header as {first.name}"
            return SplitAnswer({first.name: before, **found}, notes=(note,))
        return SplitAnswer(found)


def _sections(text: str, known: Collection[str]) -> tuple[str, dict[str, str]]:
    """The text before the first header, and the text of each known section."""
    before: list[str] = []
    found: dict[str, list[str]] = {}
    current = before
    for line in text.split("\n"):
        match = _HEADER.match(line) if "[[" in line else None
        name = match[1] if match else ""
        if match is None or (name not in known and name != COMPLETED):
            current.append(line)
            continue
        if name == COMPLETED and name not in known:
            break
        current = [match[2]]
        found.setdefault(name, current)
    return "\n".join(before).strip(), {
        name: unescape("\n".join(lines).strip()) for name, lines in found.items()
    }


def _without_headers(text: str, outputs: Sequence[FieldSpec]) -> SplitAnswer:
    names = [field.name for field in outputs]
    given = json_object(text, names)
    if given:
        return SplitAnswer(values=given, notes=("read a JSON object instead of sections",))
    labelled = _labelled(text, tuple(names))
    if labelled:
        return SplitAnswer(labelled, notes=("read labelled lines instead of sections",))
    if len(outputs) == 1 and text.strip():
        return SplitAnswer({names[0]: text.strip()}, notes=("took the whole answer as the only output",))
    return SplitAnswer()


def _labelled(text: str, names: tuple[str, ...]) -> dict[str, str]:
    """`name: value` lines, with or without Markdown around the name."""
    if not names:
        return {}
    found: dict[str, list[str]] = {}
    current: list[str] | None = None
    for line in text.split("\n"):
        match = _label(names).match(line)
        if match:
            current = [match[2]]
            found.setdefault(match[1].lower(), current)
        elif current is not None:
            current.append(line)
    return {name: "\n".join(found[name.lower()]).strip() for name in names if name.lower() in found}


@lru_cache(maxsize=512)
def _label(names: tuple[str, ...]) -> re.Pattern[str]:
    choice = "|".join(re.escape(name) for name in sorted(names, key=len, reverse=True))
    return re.compile(
        rf"[ \t]{{0,8}}[*#_`]{{0,4}} ?({choice})[*_`]{{0,4}} ?:[*_`]{{0,4}}[ \t]*(.*)", re.IGNORECASE
    )
