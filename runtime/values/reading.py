"""Typed values from the text of a model.

Lenient reading accepts the spellings models use where they have one meaning: `Yes.` for true, `12 kg`
for 12, bullets for a list, `Card lost` for `card_lost`. What has two meanings is an error with a
message fit to go back to the model: a choice is never guessed in silence, and nothing is read that does not stand in the
text. Each repair that was needed has a name, and `Read` lists them. Strict reading takes exact JSON and
exact literals only. Reading takes time linear in the text, whose length is capped.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

from msgspec import Struct

from ..schema.program import Record
from ..schema.types import (
    FLOAT,
    INT,
    DictOf,
    JsonValue,
    ListOf,
    OneOf,
    OneOfNumbers,
    OneOfRecords,
    OptionalOf,
    RecordRef,
    Scalar,
    TupleOf,
    Type,
)
from .finding import REMARKED, FoundJson, Search, search
from .listing import and_so_on, may_hold_several, parts
from .phrases import (
    after_lead,
    bare,
    fold,
    label_explained,
    label_said,
    number_said,
    says_nothing,
    spelled,
    uncommented,
    unfenced,
    unmarked,
)
from .repair import MAX_TEXT, NotJson, Spelled, exact_json, mend, strict_json
from .values import MAX_DEPTH, at, coerce, inside, meant_record, mismatch, short, tags_of

_NOTHING = {"", "null", "none", "nil", "n/a", "na", "not available", "not applicable"}
_EMPTY = {"nothing", "empty", "(none)", "(empty)"}
_TRUE = frozenset(("true", "yes", "y", "1"))
_FALSE = frozenset(("false", "no", "n", "0"))
_TRUTH_WORDS = ("true", "yes", "false", "no")
_WRAPPERS = frozenset(
    ["answer", "answers", "result", "results", "output", "outputs", "value", "values", "response", "data"]
)
_WRAPPERS_OF_LISTS = _WRAPPERS | {"items", "list"}
_WRAPPERS_OF_LABELS = _WRAPPERS | {"label", "category", "class", "classification", "intent", "sentiment"}
_INTEGER = re.compile(r"-?[1-9]\d{0,17}", re.ASCII)
_DECIMAL = re.compile(r"-?(?:0|[1-9]\d{0,17})(?:\.\d{1,17})?", re.ASCII)
_DECIMAL_COMMA = re.compile(r"\s*[+-]?\d+,\d+\s*")
_ZONED = re.compile(r"[Zz+-]")
_MIDNIGHT = re.compile(r"00(?::?00){0,2}(?:[.,]0+)?(?![\d:.,])")
_QUOTES = "\"'“”"


class Read(Struct, frozen=True):
    """A value, and the names of the repairs that were needed to read it.

    `guessed` is True where something else may have been meant: the value may be used, but not learned from.
    """

    value: JsonValue
    repairs: tuple[str, ...] = ()
    guessed: bool = False


def read(
    text: str, kind: Type, records: Mapping[str, Record], *, strict: bool = False, name: str = ""
) -> Read:
    """The value that the text spells; `name` is the output's, which an answer may repeat.

    Raises ValueError with what was expected and what was found.
    """
    if len(text) > MAX_TEXT:
        raise ValueError(f"is longer than {MAX_TEXT} characters")
    if strict:
        return Read(_strict(text, kind, records))
    simple = _as_it_stands(text, kind) if isinstance(kind, Scalar | OneOf) else None
    if simple is not None:
        return Read(simple)
    reader = _Reader(records, name)
    return reader.read(reader.text(text, kind, "", 0))


def adapt(
    value: JsonValue, kind: Type, records: Mapping[str, Record], *, strict: bool = False, name: str = ""
) -> Read:
    """As `read`, for a value that came as JSON rather than as text."""
    if strict:
        return Read(coerce(plain(value), kind, records))
    reader = _Reader(records, name)
    return reader.read(reader.value(value, kind, "", 0))


def plain(value: JsonValue) -> JsonValue:
    """The value with plain floats in place of `Spelled` ones."""
    if isinstance(value, Spelled):
        return float(value)
    if isinstance(value, list):
        return [plain(element) for element in value]
    if isinstance(value, dict):
        return {name: plain(element) for name, element in value.items()}
    return value


def _strict(text: str, kind: Type, records: Mapping[str, Record]) -> JsonValue:
    match kind:
        case Scalar(name="str" | "image" | "audio" | "file" | "date" | "datetime") | OneOf():
            return coerce(text, kind, records)
        case OptionalOf(item=item):
            return None if text == "null" else _strict(text, item, records)
        case _:
            try:
                value = strict_json(text)
            except ValueError:
                raise ValueError(mismatch(kind, text)) from None
            return coerce(value, kind, records)


class _Reader:
    """Reads one value, and collects the repairs that this needs."""

    def __init__(self, records: Mapping[str, Record], name: str) -> None:
        self._records = records
        self._name = name
        self._repairs: dict[str, None] = {}
        self._guessed = False

    def read(self, value: JsonValue) -> Read:
        return Read(value, tuple(self._repairs), self._guessed)

    def _repaired(self, repair: str, *, guessed: bool = False) -> None:
        self._repairs[repair] = None
        self._guessed = self._guessed or guessed

    def text(self, text: str, kind: Type, where: str, depth: int) -> JsonValue:
        """The value that a text spells."""
        if depth > MAX_DEPTH:
            raise ValueError(at(where, f"nested deeper than {MAX_DEPTH} levels"))
        match kind:
            case Scalar(name="str"):
                return text
            case Scalar(name="any"):
                try:
                    return coerce(strict_json(text), kind, self._records)
                except ValueError:
                    return text
            case OptionalOf(item=item):
                return self._optional(text, item, where, depth)
            case ListOf(item=item):
                return self._list(text, kind, item, where, depth)
            case TupleOf():
                return self._tuple(text, kind, where, depth)
            case DictOf() | RecordRef() | OneOfRecords():
                return self._object(text, kind, where, depth)
            case Scalar() | OneOf() | OneOfNumbers():
                return self._single(text, kind, where, depth)

    def value(self, value: JsonValue, kind: Type, where: str, depth: int) -> JsonValue:
        """A JSON value as the type has it, with the same leniency inside it."""
        if depth > MAX_DEPTH:
            raise ValueError(at(where, f"nested deeper than {MAX_DEPTH} levels"))
        match kind, value:
            case OptionalOf(item=item), _:
                return None if value is None else self.value(value, item, where, depth + 1)
            case Scalar(name="str"), Spelled():
                return value.text
            case Scalar(name="str"), bool() | int() | float():
                return str(value).lower() if isinstance(value, bool) else str(value)
            case Scalar(name="bool"), int() if value in (0, 1):
                return bool(value)
            case Scalar(name="any"), _:
                return coerce(plain(value), kind, self._records)
            case _, str():
                return self.text(value, kind, where, depth + 1)
            case ListOf(item=item), list():
                return [
                    self.value(element, item, f"{where}[{index}]", depth + 1)
                    for index, element in enumerate(value)
                ]
            case TupleOf(items=items), list() if len(value) == len(items):
                return [
                    self.value(element, item, f"{where}[{index}]", depth + 1)
                    for index, (element, item) in enumerate(zip(value, items, strict=True))
                ]
            case ListOf(item=RecordRef() | OneOfRecords() as item), dict():
                self._repaired("took the one object as a list of one")
                return [self.value(value, item, where, depth + 1)]
            case DictOf(value=item), dict():
                members = {
                    name: self.value(element, item, inside(where, name), depth + 1)
                    for name, element in value.items()
                }
                return self._located(members, kind, where)
            case RecordRef(name=name), dict() if name in self._records:
                return self._record(value, self._records[name], kind, where, depth)
            case OneOfRecords(), dict():
                name = self._meant(value, kind, where, depth)
                return self._record(value, self._records[name], RecordRef(name=name), where, depth)
            case _:
                return self._located(plain(value), kind, where)

    def _record(
        self, value: dict[str, JsonValue], record: Record, kind: RecordRef, where: str, depth: int
    ) -> JsonValue:
        """Members that the record does not have are dropped; their names may differ in case and separators."""
        members: dict[str, JsonValue] = {}
        own = {field.name for field in record.fields}
        by_fold: dict[str, list[str]] = {}
        for name in value:
            by_fold.setdefault(fold(name), []).append(name)
        for field in record.fields:
            spellings = [
                spelling
                for spelling in by_fold.get(fold(field.name), [])
                if spelling == field.name or spelling not in own
            ]
            if any(value[spelling] != value[spellings[0]] for spelling in spellings[1:]):
                raise ValueError(at(where, f"{record.name} has {field.name} twice"))
            for spelling in spellings[:1]:
                members[field.name] = self.value(
                    value[spelling], field.type, inside(where, field.name), depth + 1
                )
        if value and not members and record.fields:
            raise ValueError(at(where, f"{short(plain(value))} has none of the fields of {record.name}"))
        return self._located(members, kind, where)

    def _meant(self, value: dict[str, JsonValue], kind: OneOfRecords, where: str, depth: int) -> str:
        """The record that an object says it is. One that has what only another record has is none of them for certain."""
        said = [(name, one) for name, one in value.items() if fold(name) == fold(kind.tag)]
        if any(one != said[0][1] for _, one in said[1:]):
            raise ValueError(at(where, f"has {kind.tag} twice"))
        tags = tuple(tag for name in kind.records for tag in tags_of(name, kind.tag, self._records))
        place = inside(where, kind.tag)
        tag = self.value(said[0][1], OneOf(values=tags), place, depth + 1) if said else None
        found = meant_record(tag, kind, self._records, where, given=bool(said))
        own = {fold(field.name) for field in self._records[found].fields}
        for name in kind.records:
            others = {fold(field.name) for field in self._records[name].fields} - own
            for member, one in value.items():
                if one is not None and fold(member) in others:
                    raise ValueError(
                        at(
                            where,
                            f"says that its {kind.tag} is {short(tag)}, and has {member[:60]} of {name}",
                        )
                    )
        return found

    def _located(self, value: JsonValue, kind: Type, where: str) -> JsonValue:
        try:
            return coerce(value, kind, self._records)
        except ValueError as error:
            raise ValueError(at(where, str(error))) from None

    # Single values ---------------------------------------------------------------------------------

    def _optional(self, text: str, item: Type, where: str, depth: int) -> JsonValue:
        return None if self._nothing(text, item) else self.text(text, item, where, depth + 1)

    def _nothing(self, text: str, item: Type) -> bool:
        """Whether the text says that there is none; a label of that spelling is a value."""
        said = bare(text)
        own = isinstance(item, OneOf) and spelled(said, item.values) is not None
        return said.lower() in _NOTHING and not own and not _only_dots(text)

    def _single(self, text: str, kind: Scalar | OneOf | OneOfNumbers, where: str, depth: int) -> JsonValue:
        """A number, a truth, a date or a label: as it stands, behind a lead-in, or as the one member of an object."""
        simple = _as_it_stands(text, kind)
        if simple is not None:
            return simple
        stripped = unfenced(text)
        if isinstance(kind, OneOf):
            stripped = unmarked(stripped)
        if stripped[:1] == "{":
            wrappers = _WRAPPERS_OF_LABELS if isinstance(kind, OneOf) else _WRAPPERS
            held = self._held(search(stripped), wrappers)
            if held is not None and not isinstance(held, dict | list):
                return self.value(held, kind, where, depth + 1)
            raise ValueError(at(where, mismatch(kind, text)))
        found = self._spelled(stripped, kind)
        if found is None:
            rest = after_lead(stripped, self._name)
            found = self._spelled(rest, kind) if rest != stripped else None
        if found is not None:
            return found
        if isinstance(kind, OneOf):
            return self._label(stripped, kind, where)
        if isinstance(kind, Scalar) and kind.name == "bool":
            word = label_said(bare(stripped), _TRUTH_WORDS, self._name)
            if word is not None:
                return word in _TRUE
        raise ValueError(at(where, mismatch(kind, text)))

    def _spelled(self, text: str, kind: Scalar | OneOf | OneOfNumbers) -> JsonValue:
        """What the whole text spells; None where it is nothing of that type."""
        if isinstance(kind, OneOf):
            if text in kind.values:
                return text
            return spelled(bare(text).rstrip("!…"), kind.values)
        text, comment = uncommented(text)
        value = self._without_comment(text, kind)
        if value is not None and not says_nothing(comment):
            self._repaired("left out a comment behind the value", guessed=True)
        return value

    def _without_comment(self, text: str, kind: Scalar | OneOfNumbers) -> JsonValue:
        if isinstance(kind, OneOfNumbers):
            number = _number(text, INT if kind.whole else FLOAT, self._name)
            return number if number in kind.values else None
        if kind.name == "bool":
            word = bare(text).lower()
            return word in _TRUE if word in _TRUE | _FALSE else None
        if kind.name in ("int", "float"):
            return _number(text, kind, self._name)
        try:
            return coerce(self._moment(bare(text), kind), kind, self._records)
        except ValueError:
            return None

    def _moment(self, text: str, kind: Scalar) -> str:
        """The text of a date, without the time that may follow it; or that of a time, where a date alone means the
        beginning of the day, which is a guess. Raises ValueError for a time of another zone: there the day may differ."""
        if kind.name == "date" and len(text) > 10 and text[10] in "T ":
            coerce(text, Scalar(name="datetime"), self._records)
            if _ZONED.search(text, 11) and not _MIDNIGHT.match(text, 11):
                raise ValueError(mismatch(kind, text))
            return text[:10]
        if kind.name == "datetime" and "T" not in text and ":" not in text:
            coerce(text, Scalar(name="date"), self._records)
            self._repaired("took the beginning of the day, since no time was given", guessed=True)
        return text

    def _label(self, text: str, kind: OneOf, where: str) -> JsonValue:
        said = label_said(bare(text), kind.values, self._name)
        if said is not None:
            return said
        explained = label_explained(after_lead(text, self._name), kind.values)
        if explained is not None:
            self._repaired("took the label that an explanation follows", guessed=True)
            return explained
        raise ValueError(at(where, mismatch(kind, text)))

    # Lists and objects -----------------------------------------------------------------------------

    def _held(self, found: Search, wrappers: frozenset[str]) -> JsonValue:
        """What the only member of the only object holds, if its name says that it is all there is; else None."""
        if found.lost or len(found.found) != 1 or not found.found[0].stands:
            return None
        return self._unwrapped(self._alone(found.found[0]), wrappers)

    def _unwrapped(self, value: JsonValue, wrappers: frozenset[str], own: str = "") -> JsonValue:
        if not isinstance(value, dict) or len(value) != 1:
            return None
        name, held = next(iter(value.items()))
        if fold(name) not in wrappers | ({fold(self._name), fold(own)} - {""}):
            return None
        self._repaired(f"took what the only member `{name[:40]}` holds")
        return held

    def _mended(self, one: FoundJson) -> JsonValue:
        for repair in one.mended.repairs:
            self._repaired(f"{repair} in the JSON", guessed=one.mended.guessed)
        return one.mended.value

    def _alone(self, one: FoundJson) -> JsonValue:
        """As `_mended`, of a value that nothing is listed with."""
        if one.remarked:
            self._repaired(REMARKED, guessed=True)
        return self._mended(one)

    def _tuple(self, text: str, kind: TupleOf, where: str, depth: int) -> JsonValue:
        """A tuple is JSON: what words list may be any number of things."""
        stripped = self._unheaded(unfenced(text))
        whole = _whole(stripped, "[")
        if isinstance(whole, list):
            return self.value(whole, kind, where, depth)
        found = search(stripped)
        if found.lost or not found.found:
            why = f": {found.lost}" if found.lost else ""
            raise ValueError(at(where, mismatch(kind, text) + why))

        def as_tuple(value: JsonValue) -> JsonValue:
            held = self._unwrapped(value, _WRAPPERS_OF_LISTS)
            return self.value(held if isinstance(held, list) else value, kind, where, depth)

        return self._only(list(found.found), as_tuple, kind, found.text, where)

    def _object(
        self, text: str, kind: DictOf | RecordRef | OneOfRecords, where: str, depth: int
    ) -> JsonValue:
        whole = _whole(text.strip(), "{")
        if isinstance(whole, dict):
            return self._as_object(whole, kind, where, depth)
        found = search(text)
        if found.lost:
            raise ValueError(at(where, f"{mismatch(kind, text)}: {found.lost}"))
        objects = [one for one in found.found if _holds_objects(one.mended.value)]
        return self._only(
            objects, lambda value: self._as_object(value, kind, where, depth), kind, text, where
        )

    def _as_object(
        self, value: JsonValue, kind: DictOf | RecordRef | OneOfRecords, where: str, depth: int
    ) -> JsonValue:
        if isinstance(value, list):
            if len(value) != 1:
                raise ValueError(at(where, mismatch(kind, plain(value))))
            self._repaired("took the only element of a list")
            value = value[0]
        try:
            return self.value(value, kind, where, depth)
        except ValueError:
            record = kind.name if isinstance(kind, RecordRef) else ""
            held = None if isinstance(kind, DictOf) else self._unwrapped(value, _WRAPPERS, record)
            if not isinstance(held, dict):
                raise
            return self.value(held, kind, where, depth + 1)

    def _list(self, text: str, kind: ListOf, item: Type, where: str, depth: int) -> JsonValue:
        stripped = self._unheaded(unfenced(text))
        whole = _whole(stripped, "[")
        if isinstance(whole, list):
            return self.value(whole, kind, where, depth)
        found = search(stripped)
        prose = isinstance(item, Scalar) and item.name in ("str", "any")
        # In a list of texts a bracket counts only where an answer would stand: elsewhere it is part of a text.
        if (found.found or found.lost) and (not prose or found.led or any(one.led for one in found.found)):
            if found.lost:
                raise ValueError(at(where, f"{mismatch(kind, text)}: {found.lost}"))
            return self._json_list(found, kind, item, where, depth)
        if bare(stripped).lower() in _NOTHING | _EMPTY and not _only_dots(stripped):
            return []
        taken = self._apart(stripped, item, prose=prose)
        if taken is None:
            raise ValueError(at(where, mismatch(kind, text)))
        if len(taken) == 1 and taken[0] and (self._nothing(taken[0], item) or taken[0].lower() in _EMPTY):
            return []
        if prose and may_hold_several(stripped, taken):
            self._repaired("took each line as one item", guessed=True)
        return [self.text(part, item, f"{where}[{index}]", depth + 1) for index, part in enumerate(taken)]

    def _unheaded(self, text: str) -> str:
        """The text without the output's own name above it, which may sound as if it excluded what follows."""
        heading, colon, rest = text.partition(":")
        heading = heading.strip("*_#` ")
        named = bool(colon and heading[:1].isalpha() and self._name) and fold(heading) == fold(self._name)
        rest = rest.lstrip("*_` ").strip("\n")
        return rest if named and rest else text

    def _apart(self, text: str, item: Type, *, prose: bool) -> list[str] | None:
        """The texts of a list without brackets; None where they cannot be told apart."""
        if "\n" not in text and len(text) > 1 and text[0] in _QUOTES and text[-1] in _QUOTES:
            try:
                mended = mend(f"[{text}]")
            except NotJson:
                return None
            found = mended.value if mended.end == len(text) + 2 else None
            return [str(value) for value in found] if isinstance(found, list) else None
        nested = isinstance(item, ListOf | TupleOf)
        if isinstance(item, Scalar) and item.name == "float" and _DECIMAL_COMMA.fullmatch(text):
            return None
        if prose and "\n" not in text:
            text = bare(after_lead(text, self._name))
        return parts(text, prose=prose, nested=nested)

    def _json_list(self, found: Search, kind: ListOf, item: Type, where: str, depth: int) -> JsonValue:
        def as_list(value: JsonValue) -> JsonValue:
            held = self._unwrapped(value, _WRAPPERS_OF_LISTS)
            return self.value(held if isinstance(held, list) else value, kind, where, depth)

        values = [one.mended.value for one in found.found]
        if any(one.mended.repairs and _leaves_out(one.mended.value) for one in found.found):
            raise ValueError(at(where, f"{mismatch(kind, found.text)}, which leaves some out"))
        if any(one.mended.repairs and _holds_nothing(one.mended.value) for one in found.found):
            raise ValueError(at(where, f"{mismatch(kind, found.text)}, which may mean that there is none"))
        if (
            len(values) > 1
            and isinstance(item, RecordRef | OneOfRecords)
            and found.listed
            and all(map(_is_object, values))
        ):
            self._repaired("took objects in a row as a list")
            return [
                self.value(self._mended(one), item, f"{where}[{index}]", depth + 1)
                for index, one in enumerate(found.found)
            ]
        if (
            isinstance(item, ListOf | TupleOf | DictOf)
            and found.listed
            and all(one.before.strip() for one in found.found)
            and not any(self._fits(value, as_list) for value in values)
        ):
            # Each has a bullet of its own: one is an item, and not the list.
            self._repaired("took values behind bullets as a list")
            return [
                self.value(self._mended(one), item, f"{where}[{index}]", depth + 1)
                for index, one in enumerate(found.found)
            ]
        return self._only(list(found.found), as_list, kind, found.text, where)

    def _fits(self, value: JsonValue, as_kind: Callable[[JsonValue], JsonValue]) -> bool:
        """Whether a value can be read so; what would be repaired is not noted."""
        before = (dict(self._repairs), self._guessed)
        try:
            as_kind(value)
        except ValueError:
            return False
        finally:
            self._repairs, self._guessed = before
        return True

    def _only(
        self,
        found: list[FoundJson],
        as_kind: Callable[[JsonValue], JsonValue],
        kind: Type,
        text: str,
        where: str,
    ) -> JsonValue:
        """The one value that fits, if no other one fits and nothing around it may give it another meaning."""
        kept: tuple[JsonValue, dict[str, None], bool, bool] | None = None
        failure: ValueError | None = None
        before = (dict(self._repairs), self._guessed)
        for one in found:
            self._repairs, self._guessed = dict(before[0]), before[1]
            try:
                value = as_kind(self._alone(one))
            except ValueError as error:
                failure = failure or error
                continue
            if kept is not None and value != kept[0]:
                raise ValueError(at(where, f"{mismatch(kind, text)}, which holds more than one"))
            stands = one.stands or (kept is not None and kept[3])
            kept = (value, self._repairs, self._guessed, stands)
        if kept is None:
            raise failure or ValueError(at(where, mismatch(kind, text)))
        value, self._repairs, self._guessed, stands = kept
        if not stands:
            raise ValueError(at(where, f"{mismatch(kind, text)}, with words around it"))
        if failure is not None:
            self._repaired("took the only one of several JSON values that fits", guessed=True)
        return value


def _whole(text: str, opening: str) -> JsonValue:
    """The text as JSON, if it begins with that bracket and is exact JSON; else None."""
    if text[:1] != opening:
        return None
    try:
        return exact_json(text)
    except ValueError:
        return None


def _leaves_out(value: JsonValue) -> bool:
    """Whether a list that is no exact JSON ends in `etc.` or the like."""
    return isinstance(value, list) and bool(value) and isinstance(value[-1], str) and and_so_on(value[-1])


def _holds_nothing(value: JsonValue) -> bool:
    """Whether a list that is no exact JSON holds nothing but `none` or the like."""
    if not isinstance(value, list) or len(value) != 1 or not isinstance(value[0], str):
        return False
    return value[0].lower() in _NOTHING | _EMPTY


def _only_dots(text: str) -> bool:
    """Whether dots stand for something that was left out."""
    return "." in text and not text.strip(". ")


def _is_object(value: JsonValue) -> bool:
    return isinstance(value, dict)


def _holds_objects(value: JsonValue) -> bool:
    """An object, or a list of them."""
    return isinstance(value, dict) or (
        isinstance(value, list) and all(map(_is_object, value)) and value != []
    )


def _as_it_stands(text: str, kind: Scalar | OneOf | OneOfNumbers) -> JsonValue:
    """The value of a text, or of a label or number that is spelled as it should be; None for anything else."""
    if isinstance(kind, OneOf):
        return text if text in kind.values else None
    if isinstance(kind, OneOfNumbers):
        return next((value for value in kind.values if str(value) == text), None)
    if kind.name == "str":
        return text
    if kind.name == "int":
        return int(text) if _INTEGER.fullmatch(text) else None
    if kind.name == "float":
        return float(text) if _DECIMAL.fullmatch(text) else None
    return None


def _number(text: str, kind: Scalar, name: str) -> JsonValue:
    """The number; None where the text is not plainly one."""
    digits = number_said(text, name, whole=kind.name == "int")
    if digits is None:
        return None
    if kind.name == "int" and digits.lstrip("+-").isdigit():
        return int(digits)
    try:
        return coerce(float(digits), kind, {})
    except ValueError:
        return None
