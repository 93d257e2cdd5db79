"""Typed values from the text of a model.

Lenient reading accepts the spellings models use where they have one meaning: `Yes.` for true, `12 kg`
for 12, bullets for a list, `Card lost` for `card_lost`. What has two meanings is an error with a
message fit to go back to the model: a choice is never guessed. Strict reading takes exact JSON and
exact literals only. Bounded: linear in the text, which is capped.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache

from ..schema.program import Record
from ..schema.types import DictOf, JsonValue, ListOf, OneOf, OptionalOf, RecordRef, Scalar, Type
from .repair import MAX_TEXT, json_value, strict_json, whole_json
from .values import MAX_DEPTH, at, coerce, inside, mismatch, short

_NOTHING = {"", "null", "none", "nil", "n/a", "na", "not available", "not applicable"}
_TRUE = {"true", "yes", "y", "1"}
_FALSE = {"false", "no", "n", "0"}
_NUMBER = re.compile(
    r"""
    (?P<currency>[$€£¥]\s?)?
    (?P<sign>[+-]?)\s?
    (?P<currency2>[$€£¥]\s?)?
    (?P<digits>\d{1,3}(?:,\d{3})+|\d{1,3}(?:_\d{3})+|\d{1,300})
    (?P<fraction>\.\d{1,300})?
    (?P<exponent>[eE][+-]?\d{1,3})?
    \s?(?P<unit>[A-Za-zµ°€²³]{1,12}(?:/[A-Za-z]{1,6})?)?
    """,
    re.VERBOSE,
)
# Suffixes that scale the number rather than name its unit.
_SCALES = {
    "k",
    "m",
    "b",
    "t",
    "mm",
    "bn",
    "mn",
    "mio",
    "mrd",
    "hundred",
    "thousand",
    "million",
    "billion",
    "trillion",
    "dozen",
    "e",
}
_LIST_START = re.compile(r"\[\s*+[\"'“{]|```\w*+\s*+\[")
_BULLET = re.compile(r"\s{0,12}(?:[-*•–]|\d{1,4}[.)])\s+(.*)")
_NEGATION = re.compile(r"\b(?:not|no|neither|nor|never|or|isn't|aren't)\b", re.IGNORECASE)
_PHRASE = 80
"""Characters; a literal is looked for inside a line no longer than this."""


def read(text: str, kind: Type, records: Mapping[str, Record], *, strict: bool = False) -> JsonValue:
    """The value that the text spells. Raises ValueError with what was expected and what was found."""
    if len(text) > MAX_TEXT:
        raise ValueError(f"is longer than {MAX_TEXT} characters")
    if strict:
        return _strict(text, kind, records)
    return _text(text, kind, records, "", 0)


def adapt(value: JsonValue, kind: Type, records: Mapping[str, Record], *, strict: bool = False) -> JsonValue:
    """As `read`, for a value that came as JSON rather than as text."""
    return coerce(value, kind, records) if strict else _value(value, kind, records, "", 0)


def _strict(text: str, kind: Type, records: Mapping[str, Record]) -> JsonValue:
    match kind:
        case Scalar(name="str" | "image" | "date" | "datetime") | OneOf():
            return coerce(text, kind, records)
        case OptionalOf(item=item):
            return None if text == "null" else _strict(text, item, records)
        case _:
            try:
                value = strict_json(text)
            except ValueError:
                raise ValueError(mismatch(kind, text)) from None
            return coerce(value, kind, records)


def _text(text: str, kind: Type, records: Mapping[str, Record], where: str, depth: int) -> JsonValue:
    if depth > MAX_DEPTH:
        raise ValueError(at(where, f"nested deeper than {MAX_DEPTH} levels"))
    match kind:
        case Scalar(name="str"):
            return text
        case Scalar(name="any"):
            try:
                return coerce(strict_json(text), kind, records)
            except ValueError:
                return text
        case Scalar(name="bool"):
            word = _bare(text).lower()
            if word in _TRUE or word in _FALSE:
                return word in _TRUE
        case Scalar(name="int" | "float"):
            number = _number(text, kind)
            if number is not None:
                return number
        case Scalar():
            try:
                return coerce(_moment(_bare(text), kind), kind, records)
            except ValueError:
                pass
        case OneOf():
            return _literal(text, kind, where)
        case OptionalOf(item=item):
            return None if _bare(text).lower() in _NOTHING else _text(text, item, records, where, depth + 1)
        case ListOf(item=item):
            return _list(text, kind, item, records, where, depth)
        case DictOf() | RecordRef():
            try:
                found = json_value(text, "{")
            except ValueError:
                found = None
            if isinstance(found, dict):
                return _value(found, kind, records, where, depth)
    raise ValueError(at(where, mismatch(kind, text)))


def _value(value: JsonValue, kind: Type, records: Mapping[str, Record], where: str, depth: int) -> JsonValue:
    """A JSON value as the type has it, with the same leniency inside it."""
    if depth > MAX_DEPTH:
        raise ValueError(at(where, f"nested deeper than {MAX_DEPTH} levels"))
    match kind, value:
        case OptionalOf(item=item), _:
            return None if value is None else _value(value, item, records, where, depth + 1)
        case Scalar(name="str"), bool() | int() | float():
            return str(value).lower() if isinstance(value, bool) else str(value)
        case Scalar(name="bool"), int() if value in (0, 1):
            return bool(value)
        case Scalar(name="any"), _:
            return coerce(value, kind, records)
        case _, str():
            return _text(value, kind, records, where, depth + 1)
        case ListOf(item=item), list():
            return [
                _value(element, item, records, f"{where}[{index}]", depth + 1)
                for index, element in enumerate(value)
            ]
        case DictOf(value=item), dict():
            out = {
                name: _value(element, item, records, inside(where, name), depth + 1)
                for name, element in value.items()
            }
            return _located(out, kind, records, where)
        case RecordRef(name=name), dict() if name in records:
            return _record(value, records[name], kind, records, where, depth)
        case _:
            return _located(value, kind, records, where)


def _record(
    value: dict[str, JsonValue],
    record: Record,
    kind: RecordRef,
    records: Mapping[str, Record],
    where: str,
    depth: int,
) -> JsonValue:
    """Members that the record does not have are dropped; their names may differ in case."""
    given = {name.strip().lower(): element for name, element in value.items()} | value
    members: dict[str, JsonValue] = {}
    for field in record.fields:
        key = field.name if field.name in given else field.name.lower()
        if key in given:
            members[field.name] = _value(
                given[key], field.type, records, inside(where, field.name), depth + 1
            )
    return _located(members, kind, records, where)


def _located(value: JsonValue, kind: Type, records: Mapping[str, Record], where: str) -> JsonValue:
    try:
        return coerce(value, kind, records)
    except ValueError as error:
        raise ValueError(at(where, str(error))) from None


def _bare(text: str) -> str:
    """Without the quotes, emphasis and full stop that models put around a value."""
    return text.strip().strip("*_`").rstrip(".").strip().strip("\"'`*“”").strip()


def _number(text: str, kind: Scalar) -> JsonValue:
    """None where the text is not plainly one number."""
    match = _NUMBER.fullmatch(_bare(text))
    if match is None or (match["unit"] or "").lower() in _SCALES:
        return None
    digits = f"{match['sign']}{re.sub('[,_]', '', match['digits'])}"
    if not match["fraction"] and not match["exponent"] and kind.name == "int":
        return int(digits)
    try:
        return coerce(float(f"{digits}{match['fraction'] or ''}{match['exponent'] or ''}"), kind, {})
    except ValueError:
        return None


def _moment(text: str, kind: Scalar) -> str:
    """A date written with its time is still that date."""
    if kind.name == "date" and len(text) > 10 and text[10] in "T ":
        return text[:10]
    return text


def _list(
    text: str, kind: ListOf, item: Type, records: Mapping[str, Record], where: str, depth: int
) -> JsonValue:
    stripped = text.strip()
    found = _json_list(stripped)
    if found is not None:
        return _value(found, kind, records, where, depth)
    if _bare(stripped).lower() in _NOTHING:
        return []
    parts = _parts(stripped, item)
    if parts is None:
        raise ValueError(at(where, mismatch(kind, text)))
    return [_text(part, item, records, f"{where}[{index}]", depth + 1) for index, part in enumerate(parts)]


def _json_list(text: str) -> list[JsonValue] | None:
    """A JSON list that is the whole text, or one of texts or objects with words around it.

    `[1]` inside words is a reference, not a list.
    """
    try:
        found = whole_json(text)
    except ValueError:
        start = _LIST_START.search(text)
        if start is None:
            return None
        try:
            found = json_value(text[start.start() :], "[")
        except ValueError:
            return None
    return found if isinstance(found, list) else None


def _parts(text: str, item: Type) -> list[str] | None:
    """Bullets, lines, or what commas part where an item cannot hold a comma."""
    lines = [line for line in text.split("\n") if line.strip()]
    bullets = [_BULLET.match(line) for line in lines]
    if any(bullets):
        # A lead-in such as "The items are:" may stand before the first bullet, and only there.
        first = next(index for index, bullet in enumerate(bullets) if bullet)
        if first > 1 or (first == 1 and not lines[0].rstrip().endswith(":")):
            return None
        parts: list[str] = []
        for line, bullet in zip(lines[first:], bullets[first:], strict=True):
            if bullet:
                parts.append(bullet[1].strip())
            else:
                parts[-1] += "\n" + line.strip()
        return parts
    if len(lines) > 1:
        return [line.strip() for line in lines]
    if isinstance(item, Scalar) and item.name in ("str", "any"):
        return None if "," in text else [_bare(text)]
    return [part.strip() for part in text.split(",")]


def _literal(text: str, kind: OneOf, where: str) -> JsonValue:
    if text in kind.values:
        return text
    exact, folded = _spellings(kind.values)
    bare = _bare(text)
    if bare in exact:
        return bare
    found = folded.get(_fold(bare), ())
    if len(found) == 1:
        return found[0]
    lines = bare.split("\n")
    named = _named(bare, kind.values) if len(lines) == 1 and len(bare) <= _PHRASE else []
    if len(named) == 1:
        return named[0]
    if len(named) > 1:
        between = " or ".join(short(value) for value in named[:3])
        raise ValueError(
            at(where, f"expected one of the allowed values, got {short(text)}, which may be {between}")
        )
    raise ValueError(at(where, mismatch(kind, text)))


@lru_cache(maxsize=256)
def _spellings(values: tuple[str, ...]) -> tuple[frozenset[str], dict[str, tuple[str, ...]]]:
    folded: dict[str, tuple[str, ...]] = {}
    for value in dict.fromkeys(values):
        folded[_fold(value)] = (*folded.get(_fold(value), ()), value)
    return frozenset(values), folded


def _fold(text: str) -> str:
    """Case and word separators aside; what has no letters or digits folds to itself."""
    return re.sub(r"[\W_]+", " ", text.casefold()).strip() or text


def _named(phrase: str, values: tuple[str, ...]) -> list[str]:
    """The values that a short phrase names as whole words, a value inside a longer found one aside."""
    if _NEGATION.search(phrase):
        return []
    folded = f" {_fold(phrase)} "
    found = [value for value in dict.fromkeys(values) if f" {_fold(value)} " in folded]
    return [
        value
        for value in found
        if not any(other != value and f" {_fold(value)} " in f" {_fold(other)} " for other in found)
    ]
