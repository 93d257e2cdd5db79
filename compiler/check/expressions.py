"""Expressions: typed and lowered in one walk.

`infer` finds an expression's kind, `expect` checks it against a wanted type (so that a literal can
be compared with a union's members and an empty list gets its type). Both return the runtime
expression too; after a mistake it is a placeholder, since a file with errors is never lowered.

Module calls are not expressions at run time. A scope with `calls` turns them into steps; any other
scope refuses them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

from dspec.grammar.tree import (
    Attribute,
    Binary,
    Call,
    Comprehension,
    Conditional,
    Expr,
    Index,
    InlineSignature,
    ListLiteral,
    Literal,
    Name,
    Percent,
    Reference,
    Unary,
)
from dspec.runtime.expressions import (
    Constant,
    Expression,
    ForEach,
    If,
    Item,
    ListOfItems,
    UnaryOp,
    Variable,
)
from dspec.runtime.expressions import (
    Member as MemberOf,
)
from dspec.runtime.functions import FUNCTIONS
from dspec.runtime.types import DictOf, JsonValue, ListOf, OneOf, OptionalOf, RecordRef, Type

from ..diagnostics import Label
from ..spelling import closest
from ..symbols import Symbol
from . import operators
from .kinds import (
    ANY,
    BOOL,
    FLOAT,
    INT,
    NONE,
    STR,
    Group,
    Kind,
    assignable,
    is_number,
    is_unknown,
    iterated,
    join,
    spell,
)
from .names import did_you_mean, find, is_open, listed
from .session import Place, Session, suggestions
from .session import replace as replacement

NOTHING = Constant(value=None)


@dataclass(frozen=True, slots=True)
class Binding:
    """A name in scope: what it is, the expression it stands for, where it was introduced."""

    kind: Kind
    code: Expression
    symbol: Symbol | None = None


@dataclass(frozen=True, slots=True)
class Typed:
    kind: Kind
    code: Expression = NOTHING


CallHandler = Callable[["Scope", Call, Symbol], Typed]


@dataclass(frozen=True)
class Scope:
    """Where an expression stands. `purpose` names it in messages, as in "a metric".

    `reads` collects the names that were read. `calls` turns a call of a declared module into a step.
    `sheltered` says that the expression may not be evaluated at all (a branch, a comprehension).
    """

    session: Session
    place: Place
    names: Mapping[str, Binding]
    purpose: str
    calls: CallHandler | None = None
    reads: set[str] = field(default_factory=set[str])
    records: Callable[[str], Group | None] = lambda key: None
    sheltered: str = ""

    def having(self, name: str, binding: Binding) -> Scope:
        return replace(self, names={**self.names, name: binding})

    def inside(self, what: str) -> Scope:
        return replace(self, sheltered=self.sheltered or what)


def infer(scope: Scope, node: Expr) -> Typed:
    """The kind of `node` and its runtime form; reports what is wrong in it."""
    match node:
        case Literal(value=value):
            return Typed(_literal_kind(value), Constant(value=value))
        case Percent():
            scope.session.report(
                "DS0313",
                f"`{scope.place.text(node)}` is a share of a dataset's rows and has no value in "
                f"{scope.purpose}",
                scope.place.at(node),
                "only in a `split`",
                help=f"write {node.value / 100:g}",
                fixes=(replacement(scope.place.at(node), f"{node.value / 100:g}"),),
            )
            return Typed(FLOAT)
        case Reference(name=name):
            return _reference(scope, node, name)
        case Attribute(target=target, name=name):
            return _attribute(scope, node, target, name)
        case Index(target=target, index=index):
            return _index(scope, target, index)
        case Call():
            return _call(scope, node)
        case Unary():
            return _unary(scope, node)
        case Binary():
            return operators.binary(scope, node)
        case Conditional(condition=condition, consequence=consequence, alternative=alternative):
            return _conditional(scope, condition, consequence, alternative, None)
        case ListLiteral(items=items):
            return _list(scope, items, None)
        case Comprehension():
            return _comprehension(scope, node)
        case InlineSignature():
            scope.session.report(
                "DS0313",
                f"`sig(...)` is a signature and has no value in {scope.purpose}",
                scope.place.at(node),
                "not a value",
                help="a module takes it: `module ask = Predict(sig(question -> answer))`",
            )
            return Typed(ANY)


def expect(scope: Scope, node: Expr, want: Type, what: str, declared: Symbol | None = None) -> Expression:
    """Check `node` against `want`. `what` is whose value it is; `declared` is where its type stands."""
    inner = want.item if isinstance(want, OptionalOf) else want
    match node:
        case Literal(value=str() as value) if isinstance(inner, OneOf):
            if value not in inner.values:
                not_a_member(scope, node, value, inner, what, declared)
            return Constant(value=value)
        case ListLiteral(items=items) if isinstance(inner, ListOf):
            return ListOfItems(
                items=tuple(expect(scope, item, inner.item, f"an item of {what}", declared) for item in items)
            )
        case Conditional(condition=condition, consequence=consequence, alternative=alternative):
            test = truth(scope, condition, "the condition of `if`")
            branches = scope.inside("`if`")
            return If(
                condition=test,
                consequence=expect(branches, consequence, want, what, declared),
                alternative=expect(branches, alternative, want, what, declared),
            )
        case _:
            typed = infer(scope, node)
            if not assignable(typed.kind, want):
                mismatch(scope, node, typed.kind, want, what, declared)
            return typed.code


def value(scope: Scope, node: Expr, what: str) -> tuple[Type, Expression]:
    """The type of `node`, which must be one value and no group of values."""
    typed = infer(scope, node)
    if isinstance(typed.kind, Group):
        not_a_value(scope, node, typed.kind, what)
        return ANY, typed.code
    return typed.kind, typed.code


def truth(scope: Scope, node: Expr, what: str) -> Expression:
    """Check that `node` is true or false."""
    typed = infer(scope, node)
    if isinstance(typed.kind, Group):
        not_a_value(scope, node, typed.kind, what)
    elif not assignable(typed.kind, BOOL):
        hint = ""
        if is_number(typed.kind):
            hint = f"compare it: `{scope.place.text(node)} > 0`"
        elif isinstance(typed.kind, OptionalOf):
            hint = f"ask whether it is there: `{scope.place.text(node)} != none`"
        scope.session.report(
            "DS0315",
            f"{what} must be true or false, and this is {_a(spell(typed.kind))}",
            scope.place.at(node),
            spell(typed.kind),
            help=hint,
        )
    return typed.code


def not_a_value(scope: Scope, node: Expr, group: Group, what: str) -> None:
    names = list(group.members)
    text = scope.place.text(node)
    scope.session.report(
        "DS0301",
        f"{what} needs one value, and `{text}` is {group.title}",
        scope.place.at(node),
        group.title,
        help=f"pick one {group.noun}: {listed(f'{text}.{name}' for name in names)}" if names else "",
        fixes=(replacement(scope.place.at(node), f"{text}.{names[0]}"),) if len(names) == 1 else (),
    )


def not_a_member(
    scope: Scope, node: Expr, text: str, union: OneOf, what: str, declared: Symbol | None
) -> None:
    near = closest(text, union.values)
    secondary = (Label(declared.location, f"`{declared.name}` is declared here"),) if declared else ()
    shown = ", ".join(f'"{choice}"' for choice in union.values[:8])
    more = f" and {len(union.values) - 8} more" if len(union.values) > 8 else ""
    scope.session.report(
        "DS0306",
        f'"{text}" is not one of the values of {what}'
        + (f"; did you mean {' or '.join(chr(34) + choice + chr(34) for choice in near)}?" if near else ""),
        scope.place.at(node),
        "not in the union",
        secondary=secondary,
        help=f"the values are {shown}{more}",
        fixes=suggestions(scope.place.at(node), tuple(f'"{choice}"' for choice in near)),
    )


def mismatch(scope: Scope, node: Expr, got: Kind, want: Type, what: str, declared: Symbol | None) -> None:
    if isinstance(got, Group):
        not_a_value(scope, node, got, what)
        return
    secondary = (Label(declared.location, f"declared as {spell(want)}"),) if declared else ()
    hint = ""
    if isinstance(got, OptionalOf) and assignable(got.item, want):
        text = scope.place.text(node)
        hint = f"it may be none; decide what then: `if {text} == none then … else {text}`"
    elif got == STR and isinstance(want, OneOf):
        hint = f"text may be anything; declare the value as {spell(want)} where it comes from"
    elif want == STR and not isinstance(got, OptionalOf):
        hint = f"write `str({scope.place.text(node)})`" if _has_function(scope, "str") else ""
    scope.session.report(
        "DS0301",
        f"{what} is {spell(want)}, and this is {spell(got)}",
        scope.place.at(node),
        spell(got),
        secondary=secondary,
        help=hint,
    )


def _has_function(scope: Scope, name: str) -> bool:
    return name in FUNCTIONS and name not in scope.names


def _a(text: str) -> str:
    return f"an {text}" if text[:1] in "aeiou" else f"a {text}"


def _literal_kind(value: JsonValue) -> Kind:
    match value:
        case bool():
            return BOOL
        case int():
            return INT
        case float():
            return FLOAT
        case str():
            return STR
        case _:
            return NONE


def _reference(scope: Scope, node: Reference, name: Name) -> Typed:
    binding = scope.names.get(name.text)
    if binding is not None:
        scope.session.use(scope.place, name, binding.symbol)
        scope.reads.add(name.text)
        return Typed(binding.kind, binding.code)
    symbol = find(scope.session, scope.place, node)
    if symbol is None:
        _unknown_value(scope, node, name)
    else:
        scope.session.report(
            "DS0202",
            f"`{name.text}` is a {symbol.kind}, not a value in {scope.purpose}",
            scope.place.at(node),
            "not a value",
            secondary=(Label(symbol.location, "declared here"),),
            help=f"call it: `{name.text}(…)`"
            if symbol.kind in ("module", "program", "extern") and scope.calls
            else "",
        )
    return Typed(ANY)


def _unknown_value(scope: Scope, node: Expr, name: Name) -> None:
    known = list(scope.names)
    near = closest(name.text, known)
    inside = [
        f"{group_name}.{name.text}"
        for group_name, binding in scope.names.items()
        if isinstance(binding.kind, Group) and name.text in binding.kind.members
    ]
    offers = near or tuple(inside[:3])
    scope.session.report(
        "DS0201",
        f"there is no value named `{name.text}` here{did_you_mean(offers)}",
        scope.place.at(node),
        "not in scope",
        help="" if offers or not known else f"in scope: {listed(known)}",
        fixes=suggestions(scope.place.at(node), offers),
    )


def _attribute(scope: Scope, node: Attribute, target: Expr, name: Name | None) -> Typed:
    if (
        isinstance(target, Reference)
        and target.name.text not in scope.names
        and target.name.text in scope.place.scope.imports
    ):
        symbol = find(scope.session, scope.place, node)
        if symbol is None and not is_open(scope.place, node) and name is not None:
            from .names import unknown

            unknown(scope.session, scope.place, node, (target.name, name), ("module", "program", "extern"))
        elif symbol is not None:
            _not_value(scope, node, symbol)
        return Typed(ANY)
    typed = infer(scope, target)
    if name is None:
        return Typed(ANY)  # still being typed; the parser has said so
    group = members_of(scope, typed.kind)
    code = MemberOf(target=typed.code, name=name.text)
    if group is None:
        if not is_unknown(typed.kind):
            _no_members(scope, target, name, typed.kind)
        return Typed(ANY, code)
    member = group.members.get(name.text)
    if member is None:
        if not group.open:
            no_member(scope.session, scope.place, name, group, scope.place.text(target))
        return Typed(ANY, code)
    scope.session.use(scope.place, name, member.symbol)
    optional = isinstance(typed.kind, OptionalOf) and not isinstance(member.type, OptionalOf)
    return Typed(OptionalOf(item=member.type) if optional else member.type, code)


def _not_value(scope: Scope, node: Expr, symbol: Symbol) -> None:
    scope.session.report(
        "DS0202",
        f"`{scope.place.text(node)}` is a {symbol.kind}, not a value in {scope.purpose}",
        scope.place.at(node),
        "not a value",
        secondary=(Label(symbol.location, "declared here"),),
    )


def members_of(scope: Scope, kind: Kind) -> Group | None:
    """What can stand after the dot: a group's members or a record's fields."""
    if isinstance(kind, Group):
        return kind
    inner = kind.item if isinstance(kind, OptionalOf) else kind
    return scope.records(inner.name) if isinstance(inner, RecordRef) else None


def no_member(session: Session, place: Place, name: Name, group: Group, target: str) -> None:
    """Report a member that a group does not have."""
    near = closest(name.text, group.members)
    first = next((member.symbol for member in group.members.values() if member.symbol), None)
    secondary = ()
    if near and (symbol := group.members[near[0]].symbol):
        secondary = (Label(symbol.location, f"`{near[0]}` is declared here"),)
    elif first:
        secondary = (Label(first.location, f"the first {group.noun} is declared here"),)
    session.report(
        group.code,
        f"`{target}` has no {group.noun} `{name.text}`{did_you_mean(near)}",
        place.at(name),
        f"not a {group.noun} of {group.title}",
        secondary=secondary,
        help="" if near else f"{group.title} are {listed(group.members)}" if group.members else "",
        fixes=suggestions(place.at(name), near),
    )


def _no_members(scope: Scope, target: Expr, name: Name, kind: Kind) -> None:
    scope.session.report(
        "DS0304",
        f"`{scope.place.text(target)}` is {spell(kind)} and has no fields, so `.{name.text}` names nothing",
        scope.place.at(name),
        "no such field",
        help="take an item of the list first, as in `xs[0]`" if isinstance(kind, ListOf) else "",
    )


def _index(scope: Scope, target: Expr, index: Expr) -> Typed:
    typed = infer(scope, target)
    kind = typed.kind
    if isinstance(kind, Group):
        not_a_value(scope, target, kind, "an index")
        kind = ANY
    if isinstance(kind, OptionalOf):
        kind = kind.item
    match kind:
        case ListOf(item=item):
            return Typed(item, Item(target=typed.code, index=expect(scope, index, INT, "a list's index")))
        case DictOf(key=key, value=found):
            return Typed(found, Item(target=typed.code, index=expect(scope, index, key, "a dict's key")))
        case _:
            inner = infer(scope, index)
            if not is_unknown(kind):
                scope.session.report(
                    "DS0313",
                    f"`{scope.place.text(target)}` is {spell(kind)}; only lists and dicts have items",
                    scope.place.at(target),
                    spell(kind),
                )
            return Typed(ANY, Item(target=typed.code, index=inner.code))


def _call(scope: Scope, node: Call) -> Typed:
    from .functions import call_function

    callee = node.callee
    if isinstance(callee, Reference) and callee.name.text in scope.names:
        scope.session.report(
            "DS0318",
            f"`{callee.name.text}` is a value and cannot be called",
            scope.place.at(callee),
            "not a module or function",
        )
        return _arguments_only(scope, node)
    symbol = find(scope.session, scope.place, callee)
    if symbol is None:
        if is_open(scope.place, callee):
            return _arguments_only(scope, node)
        if isinstance(callee, Reference):
            return call_function(scope, node, callee.name)
        return _cannot_call(scope, node)
    if symbol.kind not in ("module", "program", "extern"):
        scope.session.report(
            "DS0202",
            f"`{symbol.name}` is a {symbol.kind} and cannot be called",
            scope.place.at(callee),
            "not a module, program or extern",
            secondary=(Label(symbol.location, "declared here"),),
        )
        return _arguments_only(scope, node)
    if scope.calls is None:
        scope.session.report(
            "DS0319",
            f"{scope.purpose} cannot call the {symbol.kind} `{symbol.name}`: model calls stand in programs",
            scope.place.at(callee),
            "a model call" if symbol.kind != "extern" else "an outside call",
        )
        return _arguments_only(scope, node)
    if scope.sheltered:
        scope.session.report(
            "DS0120",
            f"not supported yet: a call of `{symbol.name}` inside {scope.sheltered}",
            scope.place.at(callee),
            "would run only sometimes, or several times",
            help=f"call it before: `let found = {symbol.name}(…)`",
        )
        return _arguments_only(scope, node)
    return scope.calls(scope, node, symbol)


def _cannot_call(scope: Scope, node: Call) -> Typed:
    callee = node.callee
    if isinstance(callee, Attribute) and callee.name is not None:
        path = scope.place.scope.imports
        if isinstance(callee.target, Reference) and callee.target.name.text in path:
            from .names import unknown

            unknown(
                scope.session,
                scope.place,
                callee,
                (callee.target.name, callee.name),
                ("module", "program", "extern"),
            )
            return _arguments_only(scope, node)
        text = scope.place.text(callee.target)
        scope.session.report(
            "DS0318",
            f"values have no methods: `.{callee.name.text}(…)` cannot be called",
            scope.place.at(callee.name),
            "not a method",
            help=f"functions are called by name, as in `{callee.name.text}({text})`",
        )
        infer(scope, callee.target)
    else:
        scope.session.report(
            "DS0318",
            f"`{scope.place.text(callee)}` cannot be called",
            scope.place.at(callee),
            "not a function",
        )
    return _arguments_only(scope, node)


def _arguments_only(scope: Scope, node: Call) -> Typed:
    """After a mistake in the callee: check what stands in the arguments, and give no more messages."""
    for argument in node.arguments:
        infer(scope, argument.value)
    return Typed(ANY)


def _unary(scope: Scope, node: Unary) -> Typed:
    if node.operator == "not":
        return Typed(
            BOOL, UnaryOp(operator="not", operand=truth(scope, node.operand, "the operand of `not`"))
        )
    typed = infer(scope, node.operand)
    if isinstance(node.operand, Literal) and isinstance(node.operand.value, int | float):
        return Typed(typed.kind, Constant(value=-node.operand.value))
    if not (is_number(typed.kind) or is_unknown(typed.kind)):
        scope.session.report(
            "DS0313",
            f"`-` needs a number, and `{scope.place.text(node.operand)}` is {spell(typed.kind)}",
            scope.place.at(node.operand),
            spell(typed.kind),
        )
        return Typed(ANY)
    return Typed(typed.kind, UnaryOp(operator="-", operand=typed.code))


def _conditional(
    scope: Scope, condition: Expr, consequence: Expr, alternative: Expr, want: Type | None
) -> Typed:
    test = truth(scope, condition, "the condition of `if`")
    branches = scope.inside("`if`")
    then, other = infer(branches, consequence), infer(branches, alternative)
    kind = join(then.kind, other.kind)
    if kind is None:
        scope.session.report(
            "DS0301",
            f"the branches of `if` differ: {spell(then.kind)} after `then`, {spell(other.kind)} after `else`",
            scope.place.at(alternative),
            spell(other.kind),
            secondary=(Label(scope.place.at(consequence), spell(then.kind)),),
        )
    return Typed(
        ANY if kind is None else kind, If(condition=test, consequence=then.code, alternative=other.code)
    )


def _list(scope: Scope, items: tuple[Expr, ...], want: Type | None) -> Typed:
    kind: Kind = ANY
    codes: list[Expression] = []
    for item in items:
        typed = infer(scope, item)
        codes.append(typed.code)
        if isinstance(typed.kind, Group):
            not_a_value(scope, item, typed.kind, "an item of a list")
            continue
        joined = join(kind, typed.kind)
        if joined is None:
            scope.session.report(
                "DS0301",
                f"a list holds one type: this item is {spell(typed.kind)}, those before are {spell(kind)}",
                scope.place.at(item),
                spell(typed.kind),
            )
        else:
            kind = joined
    assert not isinstance(kind, Group)
    return Typed(ListOf(item=kind), ListOfItems(items=tuple(codes)))


def _comprehension(scope: Scope, node: Comprehension) -> Typed:
    source = infer(scope, node.iterable)
    item = iterated(source.kind)
    if item is None:
        scope.session.report(
            "DS0313",
            f"`for` walks through a list, and `{scope.place.text(node.iterable)}` is {spell(source.kind)}",
            scope.place.at(node.iterable),
            spell(source.kind),
        )
        item = ANY
    variable = scope.session.declare(
        scope.place, "variable", node.variable.text, node.variable, detail=spell(item)
    )
    binding = Binding(item, Variable(name=node.variable.text), variable)
    inner = scope.inside("a list comprehension").having(node.variable.text, binding)
    kind, code = value(inner, node.element, "an item of a list")
    return Typed(
        ListOf(item=kind),
        ForEach(element=code, variable=node.variable.text, iterable=source.code),
    )
