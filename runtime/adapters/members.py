"""Takes outputs out of an answer's JSON object: all out of one object, and none where it may be something else."""

from __future__ import annotations

import re
from collections.abc import Sequence

from ..schema.types import JsonValue
from ..values.finding import REMARKED, FoundJson, search
from ..values.phrases import fold
from ..values.repair import exact_json
from .base import SEVERAL, SplitAnswer

_THOUGHT = re.compile(r"</think(?:ing)?>")
_END_TOKEN = re.compile(
    r"(?:\s*+(?:<\|(?:im_end|eot_id|eom_id|end|endoftext|end_of_text)\|>|<end_of_turn>|</s>))+\s*\Z"
)
_ANY_HEADER = re.compile(r"^[ \t]*\[\[[ \t]*##", re.MULTILINE)


def spoken(text: str) -> str:
    """The answer without the thoughts before it, even where the endpoint left out the tag that opens them, and without the
    token that ends a model's turn, which some endpoints leave in.

    If a section begins among the thoughts the text stays whole, since nobody knows which of the two is the answer.
    """
    if text.rstrip()[-1:] == ">" and "<s>" not in text:
        text = _END_TOKEN.sub("", text)
    end = 0
    for match in _THOUGHT.finditer(text):
        end = match.end()
    rest = text[end:]
    return rest if end and rest.strip() and not _ANY_HEADER.search(text[:end]) else text


def plain_members(text: str, names: Sequence[str]) -> dict[str, JsonValue] | None:
    """The members of these names, where the text is one JSON object that has each of them once; else None."""
    if text[:1] != "{":
        return None
    try:
        value = exact_json(text)
    except ValueError:
        return None
    if not isinstance(value, dict) or any(name not in value for name in names):
        return None
    known = {fold(name) for name in names}
    if len(value) > len(names) and any(fold(other) in known for other in value if other not in names):
        return None
    return {name: value[name] for name in names}


def members_of(text: str, names: Sequence[str], note: str, *, quiet: bool = False) -> SplitAnswer | None:
    """The members of the answer's object that have these names; None where no object has any.

    `note` says what was done. With `quiet` there is no note if the object is exactly the whole text.
    """
    found = search(text)
    if found.lost:
        if not _mentions(text, names):
            return None
        return SplitAnswer(values={} if found.found else _named(found.whole, names)[0], broken=found.lost)
    objects = [(one, named) for one in found.found if any(named := _of_one(one, names))]
    if not objects:
        return None
    one, (members, twice) = objects[0]
    if any(other != (members, twice) for _, other in objects[1:]):
        return SplitAnswer(unclear=dict.fromkeys(names, "stands in more than one JSON object"))
    if not any(one.stands for one, _ in objects):
        return SplitAnswer(unclear=dict.fromkeys(names, "stands in a JSON object with words around it"))
    remarked = all(one.remarked for one, _ in objects)
    guessed = one.mended.guessed or remarked
    plain = text.strip() == found.text and one.mended.end == len(found.text) and one.start == 0
    repairs = (*one.mended.repairs, *((REMARKED,) if remarked else ()))
    return SplitAnswer(
        values=members,
        notes=()
        if plain and quiet and not repairs
        else (f"{note}: {', '.join(repairs)}" if repairs else note,),
        guessed=frozenset(names if guessed else ()),
        unclear=dict.fromkeys(twice, SEVERAL),
        closed=not one.mended.guessed,
        last=next(reversed(members), ""),
    )


def _of_one(one: FoundJson, names: Sequence[str]) -> tuple[dict[str, JsonValue], set[str]]:
    value = one.mended.value
    if isinstance(value, list) and len(value) == 1:
        value = value[0]
    return _named(value, names) if isinstance(value, dict) else ({}, set())


def _named(members: dict[str, JsonValue], names: Sequence[str]) -> tuple[dict[str, JsonValue], set[str]]:
    """The members by the names that were asked for, and the names that stand there in two spellings with two values."""
    folds = {fold(name): name for name in names}
    named: dict[str, JsonValue] = {}
    twice: set[str] = set()
    for spelling, value in members.items():
        name = spelling if spelling in names else folds.get(fold(spelling))
        if name is None:
            continue
        if name in named and named[name] != value:
            twice.add(name)
        named[name] = value
    return {name: value for name, value in named.items() if name not in twice}, twice


def _mentions(text: str, names: Sequence[str]) -> bool:
    return any(re.search(rf"[\"'“]?{re.escape(name)}[\"'”]?\s*:", text, re.IGNORECASE) for name in names)
