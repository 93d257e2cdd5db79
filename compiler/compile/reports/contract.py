"""What changed of a program for those who call it: inputs that they give, outputs that they read.

A change breaks where a call that worked may fail, or an output may be what nobody was ready for. Inputs may take more than
before, and outputs may give less: so an input's type must hold every value of the old one, and an output's old type every value
of the new one. A field of records within an input counts as one that is given, within an output as one that is read.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Literal

from msgspec import Struct

from dspec.runtime.schema.ensemble import Runnable
from dspec.runtime.schema.program import FieldSpec, Record
from dspec.runtime.schema.types import (
    ANY,
    FLOAT,
    INT,
    STR,
    DictOf,
    ListOf,
    OneOf,
    OneOfNumbers,
    OneOfRecords,
    OptionalOf,
    RecordRef,
    TupleOf,
    Type,
    spell,
)

Side = Literal["input", "output"]
Records = Mapping[str, Record]


class ContractChange(Struct, frozen=True):
    """One change of a field. `what` is "added", "removed", "renamed", "retyped" or "defaulted"."""

    side: Side
    field: str
    what: str
    breaking: bool
    text: str


def contract_changes(before: Runnable, after: Runnable) -> tuple[ContractChange, ...]:
    """What of the inputs and outputs differs, those that break first."""
    found = [*_inputs(before, after), *_outputs(before, after)]
    return tuple(sorted(found, key=lambda change: not change.breaking))


def _inputs(before: Runnable, after: Runnable) -> Iterator[ContractChange]:
    old, new = _by_name(before.inputs), _by_name(after.inputs)
    renamed = _renamed(before.inputs, after.inputs)
    for name, field in old.items():
        if name in renamed:
            yield _change("input", name, "renamed", f"is now called `{renamed[name]}`")
        elif name not in new:
            yield _change("input", name, "removed", "is not taken any more")
        else:
            yield from _input(field, new[name], before.records, after.records)
    for name, field in new.items():
        if name not in old and name not in renamed.values():
            if field.has_default:
                yield _change("input", name, "added", "is new, with a default", breaks=False)
            else:
                yield _change("input", name, "added", f"is new, and must be given: {spell(field.type)}")


def _input(old: FieldSpec, new: FieldSpec, before: Records, after: Records) -> Iterator[ContractChange]:
    was, now = (before, after)
    wider = holds(new.type, old.type, now, was, given=True)
    narrower = holds(old.type, new.type, was, now, given=True)
    if old.type != new.type or not (wider and narrower):
        if wider and not narrower:
            yield _change("input", old.name, "retyped", f"takes more: {_both(old, new)}", breaks=False)
        elif not wider:
            how = "takes less" if narrower else "takes something else"
            yield _change("input", old.name, "retyped", f"{how}: {_both(old, new)}")
    if old.has_default and not new.has_default:
        yield _change("input", old.name, "defaulted", "has no default any more, and must be given")
    elif new.has_default and (not old.has_default or old.default != new.default):
        yield _change("input", old.name, "defaulted", "has another default", breaks=False)


def _outputs(before: Runnable, after: Runnable) -> Iterator[ContractChange]:
    old, new = _by_name(before.outputs), _by_name(after.outputs)
    renamed = _renamed(before.outputs, after.outputs)
    for name, field in old.items():
        if name in renamed:
            yield _change("output", name, "renamed", f"is now called `{renamed[name]}`")
            continue
        if name not in new:
            yield _change("output", name, "removed", "is not given any more")
            continue
        other = new[name]
        narrower = holds(field.type, other.type, before.records, after.records, given=False)
        wider = holds(other.type, field.type, after.records, before.records, given=False)
        if narrower and wider and field.type == other.type:
            continue
        if not narrower:
            how = "gives more than before" if wider else "gives something else"
            yield _change("output", name, "retyped", f"{how}: {_both(field, other)}")
        elif not wider:
            yield _change(
                "output", name, "retyped", f"gives less than before: {_both(field, other)}", breaks=False
            )
    for name in new:
        if name not in old and name not in renamed.values():
            yield _change("output", name, "added", "is new", breaks=False)


def _change(side: Side, field: str, what: str, text: str, *, breaks: bool = True) -> ContractChange:
    return ContractChange(side, field, what, breaks, f"{side} `{field}` {text}")


def _both(old: FieldSpec, new: FieldSpec) -> str:
    if old.type == new.type:
        return f"the fields of {spell(new.type)} changed"
    return f"{spell(old.type)} became {spell(new.type)}"


def _by_name(fields: Sequence[FieldSpec]) -> dict[str, FieldSpec]:
    return {field.name: field for field in fields}


def _renamed(before: Sequence[FieldSpec], after: Sequence[FieldSpec]) -> dict[str, str]:
    """Old names to new ones: where as many fields went as came, each at the same place among them and of the same type."""
    old, new = _by_name(before), _by_name(after)
    gone = [field for field in before if field.name not in new]
    come = [field for field in after if field.name not in old]
    if len(gone) != len(come):
        return {}
    return {one.name: other.name for one, other in zip(gone, come, strict=True) if one.type == other.type}


def holds(
    wide: Type,
    narrow: Type,
    wide_records: Records,
    narrow_records: Records,
    *,
    given: bool,
    within: frozenset[tuple[str, str]] = frozenset(),
) -> bool:
    """Whether every value of `narrow` is one of `wide`. Where it is `given` by a caller, a record may have no field that the
    other does not know."""

    def inner(one: Type, other: Type) -> bool:
        return holds(one, other, wide_records, narrow_records, given=given, within=within)

    match wide, narrow:
        case _ if wide == ANY:
            return True
        case OptionalOf(item=item), OptionalOf(item=other):
            return inner(item, other)
        case OptionalOf(item=item), _:
            return inner(item, narrow)
        case ListOf(item=item), ListOf(item=other):
            return inner(item, other)
        case ListOf(item=item), TupleOf(items=items):
            return all(inner(item, one) for one in items)
        case TupleOf(items=items), TupleOf(items=others):
            return len(items) == len(others) and all(map(inner, items, others))
        case DictOf(key=key, value=value), DictOf(key=other_key, value=other):
            return inner(key, other_key) and inner(value, other)
        case OneOf(values=values), OneOf(values=others):
            return set(others) <= set(values)
        case OneOfNumbers(values=values), OneOfNumbers(values=others):
            return set(others) <= set(values)
        case _, OneOf():
            return wide == STR
        case _, OneOfNumbers(whole=whole):
            return wide == FLOAT or (wide == INT and whole)
        case RecordRef(name=name), RecordRef(name=other):
            if (name, other) in within:
                return True
            return _record_holds(
                wide_records.get(name),
                narrow_records.get(other),
                wide_records,
                narrow_records,
                given=given,
                within=within | {(name, other)},
            )
        case OneOfRecords(records=records), RecordRef(name=name):
            return name in records and inner(RecordRef(name=name), narrow)
        case OneOfRecords(tag=tag, records=records), OneOfRecords(tag=other_tag, records=others):
            return tag == other_tag and all(
                name in records and inner(RecordRef(name=name), RecordRef(name=name)) for name in others
            )
        case _:
            return wide == narrow or (wide == FLOAT and narrow == INT)


def _record_holds(
    wide: Record | None,
    narrow: Record | None,
    wide_records: Records,
    narrow_records: Records,
    *,
    given: bool,
    within: frozenset[tuple[str, str]],
) -> bool:
    if wide is None or narrow is None:
        return False
    own, other = _by_name(wide.fields), _by_name(narrow.fields)
    if given and any(name not in own for name in other):
        return False
    return all(
        holds(field.type, other[name].type, wide_records, narrow_records, given=given, within=within)
        if name in other
        else given and field.has_default
        for name, field in own.items()
    )
