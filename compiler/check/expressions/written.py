"""The value of a record, written out: `Order(sku = "A7", count = 2)`."""

from __future__ import annotations

from collections.abc import Mapping

from dspec.grammar.tree import Call
from dspec.runtime.schema.expressions import Constant
from dspec.runtime.schema.program import Record
from dspec.runtime.schema.types import JsonValue, OptionalOf, RecordRef

from ..shape.arguments import match_arguments
from ..symbols import Symbol
from ..types.kinds import ANY, NamedValue
from .infer import expect, written_out
from .scope import Scope, Typed


def record_value(scope: Scope, node: Call, symbol: Symbol) -> Typed:
    """The value of a record, from its fields by name or in their order."""
    group = scope.records(symbol.key)
    members: Mapping[str, NamedValue] = group.members if group else {}
    if group is not None and group.open:  # whether the others are fields, and of which types, is not known
        for argument in node.arguments:
            member = members.get(argument.name.text) if argument.name is not None else None
            if member is not None:
                expect(scope, argument.value, member.type, f"`{member.name}`", member.symbol)
        return Typed(ANY)
    absent = [one.name for one in members.values() if one.has_default or isinstance(one.type, OptionalOf)]
    given = match_arguments(
        scope.session,
        scope.place,
        node,
        f"`{symbol.name}`",
        [*members],
        [name for name in members if name not in absent],
        f"`{symbol.name}({', '.join(f'{name} = …' for name in members)})`",
        noun="field",
    )
    values: dict[str, JsonValue] = {}
    for name, (argument, *_) in given.items():
        if argument.name is not None:
            scope.session.use(scope.place, argument.name, members[name].symbol)
        code = expect(scope, argument.value, members[name].type, f"`{name}`", members[name].symbol)
        values[name] = written_out(scope, argument.value, code, name)
    record = scope.session.checked(symbol)
    for field in record.fields if isinstance(record, Record) else ():
        values.setdefault(field.name, field.default)
    return Typed(RecordRef(name=symbol.key), Constant(value=values))
