"""Reads answers that came without their layout: a JSON object, labelled lines, or the bare value of an only output."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache

from msgspec.structs import replace

from ..schema.program import FieldSpec
from ..schema.types import Scalar
from ..values.phrases import unfenced
from .base import SplitAnswer, differing
from .members import members_of


def without_layout(
    text: str, outputs: Sequence[FieldSpec], broken: re.Pattern[str], *, closed: bool
) -> SplitAnswer:
    """What such an answer holds. `broken` finds what shows that it was meant to have the layout: then its text is no output."""
    names = [field.name for field in outputs]
    text = text.strip()
    whole = len(outputs) == 1 and outputs[0].type in (Scalar(name="str"), Scalar(name="any"))
    given = members_of(text, names, "read a JSON object instead of sections")
    # A text may speak of JSON without being an answer in JSON.
    if given is not None and not (whole and (given.unclear or given.broken) and text[:1] not in ("{", "`")):
        return replace(given, closed=given.closed or closed)
    labelled = _labelled(text, tuple(names))
    if labelled:
        unclear = differing(labelled)
        texts = {name: labelled[name][0] for name in names if name in labelled}
        notes = ("read labelled lines instead of sections",)
        return SplitAnswer(texts, notes=notes, unclear=unclear, closed=closed, last=next(reversed(labelled)))
    if (
        len(outputs) == 1
        and text
        and not broken.search(text)
        and not (whole and _named(names[0]).match(text))
    ):
        notes = ("took the whole answer as the only output",)
        return SplitAnswer({names[0]: text}, notes=notes, closed=closed, last=names[0], bare=True)
    # Words that are no answer leave nothing out on purpose.
    left_out = not text or unfenced(text) == "{}"
    return SplitAnswer(closed=closed, unclear={} if left_out else dict.fromkeys(names, "is missing"))


def _labelled(text: str, names: tuple[str, ...]) -> dict[str, list[str]]:
    """`name: value` lines, with or without Markdown around the name; the names in the order of their last lines.

    A heading that is a name counts as its line, if the text begins with such a line: elsewhere a text may have headings.
    """
    if not names:
        return {}
    known = {name.lower(): name for name in reversed(names)}
    found: dict[str, list[list[str]]] = {}
    current: list[str] | None = None
    lines = text.split("\n")
    headed = _heading(names).match(lines[0]) is not None
    for line in lines:
        match = (headed and _heading(names).match(line)) or _label(names).match(line)
        if match:
            current = [match[2]]
            name = known[match[1].lower()]
            sections = found.pop(name, [])
            sections.append(current)
            found[name] = sections
        elif current is not None:
            current.append(line)
    return {name: ["\n".join(lines).strip() for lines in sections] for name, sections in found.items()}


@lru_cache(maxsize=512)
def _label(names: tuple[str, ...]) -> re.Pattern[str]:
    return re.compile(
        rf"[ \t]{{0,8}}[*#_`]{{0,4}} ?({_choice(names)})[*_`]{{0,4}} ?:[*_`]{{0,4}}[ \t]*(.*)", re.IGNORECASE
    )


@lru_cache(maxsize=512)
def _heading(names: tuple[str, ...]) -> re.Pattern[str]:
    """A name as a heading of Markdown, or bold on a line of its own; the second group is empty."""
    return re.compile(
        rf"[ \t]{{0,8}}(?:#{{1,6}}[ \t]{{1,8}}[*_`]{{0,3}}|\*\*)({_choice(names)})[*_`]{{0,3}}[ \t]*()$",
        re.IGNORECASE,
    )


@lru_cache(maxsize=512)
def _named(name: str) -> re.Pattern[str]:
    """How a text begins that has the output's name around it or before it in another way than any layout: `<name>`."""
    own = re.escape(name)
    return re.compile(
        rf"</?\s{{0,8}}{own}\b[^<>\n]{{0,200}}>|&lt;\s{{0,8}}{own}\s{{0,8}}&gt;|＜{own}＞"
        rf"|[\[{{【]{{1,2}}\s{{0,8}}{own}\s{{0,8}}[\]}}】]{{1,2}}|[\"']{own}[\"']\s{{0,8}}:|{own}\s{{0,8}}=(?!=)|<\|",
        re.IGNORECASE,
    )


def _choice(names: tuple[str, ...]) -> str:
    return "|".join(re.escape(name) for name in sorted(names, key=len, reverse=True))
