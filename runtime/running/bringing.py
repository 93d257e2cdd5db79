"""Turns what an application or a command passes into values: images, audio and files, dates, objects of its own classes.

A text is a URL or a `data:` URL and never a path: texts come from anywhere, and none of them opens a file here. A file is
passed as a `Path`, or as its bytes.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from datetime import date
from enum import Enum
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, ClassVar, Protocol, cast

from pydantic import BaseModel

from ..errors import InputError
from ..schema.program import FieldSpec
from ..schema.types import JsonValue, Row, Type, spell
from ..values.media import Blob, MediumKind, is_history, keep, known, medium_kind, of_bytes, of_file, of_text
from ..values.values import MAX_DEPTH, at, inside

if TYPE_CHECKING:
    from typing import TypeAlias

GivenMedium: TypeAlias = str | bytes | bytearray | memoryview | Path
"""An image, audio or a file: its bytes, a `Path`, a URL or a `data:` URL."""


class DataclassLike(Protocol):
    """An instance of a dataclass."""

    __dataclass_fields__: ClassVar[dict[str, dataclasses.Field[Any]]]


_Classes: TypeAlias = "date | Enum | BaseModel | DataclassLike"
Given: TypeAlias = "JsonValue | GivenMedium | _Classes | Sequence[Given] | Mapping[str, Given]"
"""A value as it may be passed: JSON, what a medium is read from, dates and times, a member of an enumeration that stands for
its value, and an instance of a dataclass or a Pydantic model that stands for a record."""
_JSON = (str, int, float, bool)
_BINARY = (bytes, bytearray, memoryview)
_LIKELY: tuple[MediumKind, ...] = ("image", "audio", "file")


class _NoValue(ValueError):
    """Something of a class that stands for no value."""

    def __init__(self, value: object, depth: int) -> None:
        kind = type(value)
        name = kind.__name__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"
        if isinstance(value, type):
            name = f"the class {value.__name__}"
        self.got = f"{name} in it" if depth else name
        self.help = ""
        if isinstance(value, set | frozenset):
            self.help = "a set has no order: pass it as `sorted(…)`"
        elif kind.__module__.partition(".")[0] == "numpy":
            self.help = "pass a number of NumPy's as `x.item()`, an array as `x.tolist()`"
        super().__init__(f"expected a value of JSON, got {self.got}")


def brought(
    fields: Sequence[FieldSpec],
    inputs: Mapping[str, Given],
    turns: Mapping[str, Mapping[str, Type]] = MappingProxyType({}),
) -> tuple[Row, list[Blob]]:
    """The inputs as values, and the blobs that are to be held for as long as the run may need them. `turns` are the fields of
    a history's turns that are media (`turn_media`). Raises InputError."""
    if not isinstance(inputs, Mapping):  # pyright: ignore[reportUnnecessaryIsInstance]  # it is what an application passed
        raise InputError(f"inputs are a mapping of names to values, not `{type(inputs).__name__}`")
    kinds = {field.name: field.type for field in fields}
    held: list[Blob] = []
    row: Row = {}
    for name, value in inputs.items():
        kind = kinds.get(name)
        medium = None if kind is None else medium_kind(kind)
        try:
            if medium is not None:
                row[name] = _medium(value, medium, held)
            elif kind is not None and is_history(kind):
                row[name] = _turns(value, turns.get(name), held)
            else:
                row[name] = _nested(value, held, (), 0)
        except _NoValue as error:
            wanted = "a value of JSON" if kind is None else spell(kind)
            raise InputError(
                f"the input `{name}` does not fit: expected {wanted}, got {error.got}", help=error.help
            ) from None
        except ValueError as error:
            raise InputError(f"the input `{name}` does not fit: {error}") from None
        except OSError as error:
            where = "" if error.filename is None else f"{error.filename}: "
            raise InputError(f"the input `{name}` cannot be read: {where}{error.strerror or error}") from None
    return row, held


def _medium(value: Given, kind: MediumKind, held: list[Blob], depth: int = 0) -> JsonValue:
    if depth > MAX_DEPTH:
        raise ValueError(f"nested deeper than {MAX_DEPTH} levels")
    if isinstance(value, list | tuple):
        return [_medium(one, kind, held, depth + 1) for one in cast("Sequence[Given]", value)]
    if isinstance(value, str) and not known(value, kind):
        if "://" not in value[:20] and not value.startswith("data:"):
            raise ValueError("a text is a URL or a `data:` URL; pass a file as `Path(…)`, or its bytes")
        found, blob = of_text(value, kind)
    elif isinstance(value, _BINARY):
        found, blob = of_bytes(bytes(value), kind)
    elif isinstance(value, Path):
        found, blob = of_file(value.resolve(), kind)
        # Only its place is held, so it may stay: the same call is then answered again without looking.
        keep(blob)
    else:
        return _nested(value, held, (), depth)
    if blob is not None:
        held.append(blob)
    return found.sign


def _turns(value: Given, kinds: Mapping[str, Type] | None, held: list[Blob]) -> JsonValue:
    """A history, with the media of its turns as values: of a text only their types say that it is one. Without `kinds` what
    is no JSON is taken for what it looks like."""
    if kinds is None or not isinstance(value, list | tuple):
        return _nested(value, held, _LIKELY, 0)
    turns: list[JsonValue] = []
    for place, turn in enumerate(cast("Sequence[Given]", value), 1):
        if not isinstance(turn, Mapping):
            turns.append(_nested(turn, held, (), 1))
            continue
        fields: Row = {}
        for name, one in cast("Mapping[str, Given]", turn).items():
            kind = medium_kind(kinds[name]) if name in kinds else None
            try:
                fields[name] = _nested(one, held, (), 2) if kind is None else _medium(one, kind, held)
            except ValueError as error:
                raise ValueError(at(inside(f"turn {place}", name), str(error))) from None
        turns.append(fields)
    return turns


def _nested(value: Given, held: list[Blob], kinds: tuple[MediumKind, ...], depth: int) -> JsonValue:
    """A value with whatever is no JSON made into a medium of the first kind that it is one of."""
    if value is None or type(value) in _JSON:
        return cast("JsonValue", value)
    if depth > MAX_DEPTH:
        raise ValueError(f"nested deeper than {MAX_DEPTH} levels")
    if isinstance(value, Mapping):
        named = cast("Mapping[str, Given]", value)
        odd = [one for one in cast("Iterable[object]", named) if not isinstance(one, str)]
        if odd:
            raise ValueError(f"a member is named by a text, not by {type(odd[0]).__name__}")
        return {name: _nested(one, held, kinds, depth + 1) for name, one in named.items()}
    if isinstance(value, list | tuple):
        return [_nested(one, held, kinds, depth + 1) for one in cast("Sequence[Given]", value)]
    if not isinstance(value, (*_BINARY, Path)):
        return _plain(value, held, kinds, depth)
    if not kinds:
        hint = "; a text is passed as `value.decode()`" if isinstance(value, _BINARY) else ""
        raise ValueError(f"expected a value of JSON, got {type(value).__name__}{hint}")
    for kind in kinds[:-1]:
        with suppress(ValueError):
            return _medium(value, kind, held)
    return _medium(value, kinds[-1], held)


def _plain(value: object, held: list[Blob], kinds: tuple[MediumKind, ...], depth: int) -> JsonValue:
    """What a value of a class stands for; the value itself where that is JSON. Raises _NoValue for anything else."""
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, Enum) and not isinstance(value, str | int | float):
        return _nested(cast("Given", value.value), held, kinds, depth + 1)
    if isinstance(value, Enum):
        return cast("JsonValue", value.value)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        members = {one.name: getattr(value, one.name) for one in dataclasses.fields(value)}
    elif isinstance(value, BaseModel):
        members = {name: getattr(value, name) for name in type(value).model_fields}
    elif isinstance(value, _JSON):
        return value
    else:
        raise _NoValue(value, depth)
    return {name: _nested(cast("Given", one), held, kinds, depth + 1) for name, one in members.items()}
