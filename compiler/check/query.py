"""Answers about a place in a text: what stands there, what type it has, what may be written there.

An editor asks while somebody types. So the declaration around the place is checked again, with a word put in at
the cursor, next to everything else that the analysis found. That check keeps a journal, and the answers come from
it. If the declaration is unchanged and the analysis kept a journal of it, there is no second check. Nothing here
infers a type, knows a protocol or raises.
"""

from __future__ import annotations

import bisect
from collections.abc import Collection, Iterator, Mapping
from functools import partial

from msgspec import Struct

from dspec.grammar.tree import (
    Argument,
    Attribute,
    Binary,
    Block,
    Call,
    ListLiteral,
    Name,
    Node,
    Reference,
    Return,
    Setting,
)
from dspec.grammar.walk import block_at, way_to
from dspec.runtime.schema.program import LM
from dspec.runtime.schema.types import DictOf, ListOf, OneOf, OneOfRecords, OptionalOf, RecordRef, Type
from dspec.runtime.values.functions import FUNCTIONS, Function

from ..tables.aggregates import AGGREGATES, AggregateFunction
from ..tables.judges import JUDGES, JudgeFunction
from .analysis import Analysis
from .declarations.callees import reaches
from .declarations.datasets import DatasetInfo
from .declarations.externs import ExternInfo
from .declarations.records import records_lookup
from .declarations.signatures import SignatureInfo
from .expressions.scope import Binding, Scope
from .journal import Journal, Sought
from .names.files import KINDS, symbol_for
from .names.names import find
from .session import Place, Session
from .shape.attributes import settings
from .symbols import FileScope, NameTable, Symbol
from .types.declared import RunnableInfo, TunedInfo, runnable
from .types.kinds import Group, Kind, NamedValue, shared_fields


class View(Struct, frozen=True):
    """A declaration as it was checked. `way` leads from it to the innermost node at the place."""

    session: Session
    symbol: Symbol
    place: Place
    journal: Journal[Scope, Kind]
    way: tuple[Node, ...]


class Calling(Struct, frozen=True):
    """The call that has the place in one of its arguments.

    `inputs` are those of the callee where that is a declaration; `given` are the names of parameters that the
    call's other arguments are for.
    """

    callee: Symbol | Function | JudgeFunction | AggregateFunction
    inputs: Mapping[str, NamedValue]
    given: frozenset[str]
    argument: Argument


# Looking ------------------------------------------------------------------------------------------


def view_at(analysis: Analysis, offset: int) -> View | None:
    """The declaration around an offset of the file, as it stands there."""
    block = block_at(analysis.tree, offset)
    return view(analysis, block, offset - block.start) if block is not None else None


def view(analysis: Analysis, block: Block, offset: int) -> View | None:
    """The declaration in `block`, checked as if `block` replaced the block of the file that has the same start.
    `offset` counts from that start. None where `block` declares nothing."""
    declaration = block.declaration
    kind = KINDS.get(declaration.keyword.text) if declaration else None
    if declaration is None or declaration.name is None or kind is None or kind == "import":
        return None
    old = analysis.session
    file = analysis.symbols.scope
    symbols = file.symbols.copy()
    blocks = analysis.tree.blocks
    at = bisect.bisect_left(blocks, block.start, key=lambda one: one.start)
    before = blocks[at].declaration if at < len(blocks) and blocks[at].start == block.start else None
    known = symbols.get(before.name.text) if before and before.name else None
    if known is not None and known.block is blocks[at]:
        if known.block is block and known is old.asked:
            return View(_beside(old, file), known, old.place(known), old.kept, way_to(declaration, offset))
        if known.name != declaration.name.text:
            del symbols[known.name]
    else:
        known = None
    scope = FileScope(file.source, file.prefix, symbols, aliases=file.aliases, gaps=file.gaps)
    place = Place(scope, block, declaration)
    symbol = symbol_for(place, kind, declaration.name)
    if known is not None and known.name == symbol.name:
        symbols[symbol.name] = symbol  # in the same place, so that names are offered in the same order
    symbols.setdefault(symbol.name, symbol)
    journal = Journal[Scope, Kind]()
    session = Session(
        old.root,
        old.folder,
        scope,
        probe=False,
        checks=old.checks,
        records=_having(old.records, symbol) if kind == "record" else old.records,
        lms=_having(old.lms, symbol) if kind == "lm" else old.lms,
        results=old.results.copy(),
        journal=journal,
    )
    session.guarded(symbol.location, partial(session.checked, symbol))
    return View(session, symbol, place, journal, way_to(declaration, offset))


def _having(names: NameTable, symbol: Symbol) -> NameTable:
    found = names.copy()
    found[symbol.key] = symbol
    return found


def _beside(old: Session, file: FileScope) -> Session:
    """A session that shares the analysis's results but not its findings, so that a question adds none to them."""
    return Session(
        old.root,
        old.folder,
        file,
        probe=False,
        checks=old.checks,
        records=old.records,
        lms=old.lms,
        results=old.results,
    )


# What stands there --------------------------------------------------------------------------------


def symbol_at(analysis: Analysis, offset: int) -> Symbol | None:
    """What the name at an offset of the file declares or stands for."""
    return analysis.symbols.at(analysis.source, offset)


def type_of(view: View, node: Node) -> Kind | None:
    """The type of an expression, or the group of values it stands for; None where the check met none."""
    return view.journal.kinds.get(id(node))


def members(view: View, kind: Kind | None) -> Mapping[str, NamedValue]:
    """What a dot behind a value of this kind reaches."""
    inner = kind.item if isinstance(kind, OptionalOf) else kind
    if isinstance(inner, OneOfRecords):
        inner = shared_fields(inner, records_lookup(view.session))
    if isinstance(inner, RecordRef):
        inner = records_lookup(view.session)(inner.name)
    return inner.members if isinstance(inner, Group) else {}


# What may be written there ------------------------------------------------------------------------


def scope_at(view: View) -> Scope | None:
    """The scope of the innermost expression at the place."""
    scopes = view.journal.scopes
    return next((scopes[id(node)] for node in reversed(view.way) if id(node) in scopes), None)


def values(view: View) -> Mapping[str, Binding]:
    """The names that an expression at the place can read."""
    scope = scope_at(view)
    return {name: binding for name, binding in scope.names.items() if binding.sure} if scope else {}


def behind_dot(view: View) -> Attribute | None:
    """The expression whose member the place names."""
    dotted = next((node for node in reversed(view.way) if not isinstance(node, Name)), None)
    named = isinstance(dotted, Attribute) and (view.way[-1] is dotted or view.way[-1] is dotted.name)
    return dotted if named and isinstance(dotted, Attribute) else None


def sought(view: View) -> Sought | None:
    """What the check looked for by the name at the place; None where it looked for nothing in particular."""
    found = view.journal.sought
    name, *above = reversed(view.way)
    node = next((node for node in (name, *above[:1]) if id(node) in found), None)
    if node is None:
        return None
    # `a.b` can only name a declaration of an import: the declaration's own names have no dot.
    whole = isinstance(node, Attribute)
    return Sought(found[id(node)].kinds, {}) if whole else found[id(node)]


def declared(view: View, kinds: Collection[str], qualifier: str = "") -> Iterator[tuple[str, Symbol]]:
    """Declarations of some kinds by the names that the file writes, its own first; with a qualifier, those of that
    import alone. Declarations that lead back to the one around the place are left out, and so are ensembles where
    the place names a program to tune."""
    imports = view.place.scope.imports
    if not qualifier:
        for symbol in view.place.scope.symbols.values():
            if symbol.kind in kinds and not _comes_back(view, symbol) and not _untunable(view, symbol):
                yield symbol.name, symbol
    for alias, imported in imports.items():
        for symbol in imported.symbols.values() if imported and qualifier in ("", alias) else ():
            if symbol.kind in kinds:
                yield symbol.name if qualifier else f"{alias}.{symbol.name}", symbol


def parts(view: View, symbol: Symbol) -> Mapping[str, Symbol]:
    """The parts of a dataset's split."""
    found = view.session.checked(symbol)
    return found.parts if isinstance(found, DatasetInfo) else {}


def _untunable(view: View, symbol: Symbol) -> bool:
    """Whether `symbol` is a block that gives an ensemble, and the place names what a block or step starts from."""
    starts = any(
        (isinstance(node, Setting) and node.name.text == "program")
        or (isinstance(node, Argument) and node.name is not None and node.name.text == "student")
        for node in view.way
    )
    if not starts or view.symbol.kind != "optimize" or symbol.kind != "optimize":
        return False
    found = view.session.checked(symbol)
    return isinstance(found, TunedInfo) and found.ensemble


def _comes_back(view: View, symbol: Symbol) -> bool:
    """Whether the declaration would lead back to itself by naming `symbol`: through calls, through fallbacks of
    a model, or where the outputs of its answers are taken in two steps again. A record may name itself."""
    if _extending(view):
        return _extends(view, symbol, view.symbol)
    if symbol is view.symbol:
        return symbol.kind != "record"
    runs = ("module", "program")
    if (symbol.kind in runs and view.symbol.kind in runs) or symbol.kind == view.symbol.kind == "metric":
        return reaches(view.session, symbol, view.symbol.key)
    if symbol.kind != "lm" or view.symbol.kind != "lm":
        return False
    if any(isinstance(node, Setting) and node.name.text == "extract" for node in view.way):
        settings = view.session.checked(symbol)
        return isinstance(settings, LM) and settings.adapter == "two_step"
    waiting, seen = [symbol.key], set[str]()
    while waiting:
        key = waiting.pop()
        model = view.session.lms.get(key)
        settings = view.session.checked(model) if model and key not in seen else None
        seen.add(key)
        waiting += settings.leads_to if isinstance(settings, LM) else ()
    return view.symbol.key in seen


def _extending(view: View) -> bool:
    """Whether the place is in what the declaration extends."""
    base = view.place.declaration.base
    return base is not None and any(node is base for node in view.way)


def _extends(view: View, symbol: Symbol, goal: Symbol) -> bool:
    """Whether a declaration is `goal`, or extends it at last."""
    seen: set[str] = set()
    below: Symbol | None = symbol
    while below is not None and below.key not in seen:
        if below.key == goal.key:
            return True
        seen.add(below.key)
        place = view.session.place(below)
        base = place.declaration.base
        below = find(view.session, place, base) if base is not None else None
    return False


def callable_kinds(view: View) -> tuple[str, ...]:
    """The kinds of declarations that an expression at the place may call: of a record, it is its value written out."""
    scope = scope_at(view)
    return (*scope.callable, "record") if scope is not None else ()


def functions(view: View) -> Iterator[Function]:
    """The functions that an expression at the place may call: those whose names no declaration has taken."""
    scope = scope_at(view)
    for name, function in FUNCTIONS.items() if scope else ():
        if scope and name not in scope.names and name not in view.place.scope.symbols:
            yield function


def judges(view: View) -> Iterator[JudgeFunction]:
    """The judges that an expression at the place may ask."""
    scope = scope_at(view)
    for name, judge in JUDGES.items() if scope and scope.measure is not None else ():
        if scope and name not in scope.names and name not in view.place.scope.symbols:
            yield judge


def aggregates(view: View) -> Iterator[AggregateFunction]:
    """The aggregates over all rows that an expression at the place may have, those left out that have a function's name."""
    scope = scope_at(view)
    for name, aggregate in AGGREGATES.items() if scope and scope.aggregates is not None else ():
        taken = name in FUNCTIONS or (scope and name in scope.names)
        if not taken and name not in view.place.scope.symbols:
            yield aggregate


def wanted(view: View) -> Type | None:
    """The type that a value at the place should have: the declared one, or that of what it is compared with."""
    way = [node for node in view.way if not isinstance(node, Name)]
    if not way:
        return None
    node, above = way[-1], way[-2] if len(way) > 1 else None
    found = view.journal.wanted.get(id(node))
    if found is not None or above is None:
        return found
    if isinstance(above, ListLiteral) and len(way) > 2:
        asked = way[-3]
        inside = isinstance(asked, Binary) and asked.operator in ("in", "not in") and asked.right is above
        return _plain(type_of(view, asked.left)) if inside and isinstance(asked, Binary) else None
    if not isinstance(above, Binary):
        return None
    if above.operator in ("==", "!="):
        return _plain(type_of(view, above.left if above.right is node else above.right))
    if above.operator in ("in", "not in") and above.left is node:
        looked = _plain(type_of(view, above.right))
        return (
            looked.item if isinstance(looked, ListOf) else looked.key if isinstance(looked, DictOf) else None
        )
    return None


def written_like_a_call(view: View) -> bool:
    """Whether a value that is wanted at the place is written so: a record, or a dict."""
    kind = wanted(view)
    inner = kind.item if isinstance(kind, OptionalOf) else kind
    return isinstance(inner, RecordRef | OneOfRecords | DictOf)


def _plain(kind: Kind | None) -> Type | None:
    return None if isinstance(kind, Group) else kind


def literals(kind: Type | None) -> tuple[str, ...]:
    """The values of a union of literals."""
    inner = kind.item if isinstance(kind, OptionalOf) else kind
    return inner.values if isinstance(inner, OneOf) else ()


def calling(view: View) -> Calling | None:
    """The innermost call that has the place in an argument, or in an argument's name."""
    for position in range(len(view.way) - 1, 1, -1):
        argument, call = view.way[position], view.way[position - 1]
        if isinstance(argument, Argument) and isinstance(call, Call):
            return _calling(view, call, argument)
    return None


def begins_argument(view: View) -> bool:
    """Whether the place is where an argument begins, so that it may be the argument's name."""
    argument = next((node for node in reversed(view.way) if isinstance(node, Argument)), None)
    if argument is None:
        return False
    value = argument.value
    name = argument.name or (value.name if isinstance(value, Reference) else None)
    return name is not None and view.way[-1] is name and name.span.start == argument.span.start


def _calling(view: View, call: Call, argument: Argument) -> Calling | None:
    others = [each for each in call.arguments if each is not argument]
    callee = find(view.session, view.place, call.callee)
    inputs: Mapping[str, NamedValue] = {}
    if callee is not None:
        called = callee
        inputs = taken(view, callee)
        names = list(inputs)
    else:
        name = call.callee.name.text if isinstance(call.callee, Reference) else ""
        found = FUNCTIONS.get(name) or JUDGES.get(name) or AGGREGATES.get(name)
        if found is None:
            return None
        called = found
        names = [one.name for one in found.parameters] if isinstance(found, Function) else [*found.arguments]
    placed = sum(each.name is None for each in others)
    given = {*names[:placed], *(each.name.text for each in others if each.name)}
    return Calling(called, inputs, frozenset(given), argument)


def taken(view: View, callee: Symbol) -> Mapping[str, NamedValue]:
    """The inputs of whatever can be called; of a record, whose value is written like a call, its fields."""
    if callee.kind == "record":
        group = records_lookup(view.session)(callee.key)
        return group.members if group is not None else {}
    found = view.session.checked(callee)
    return found.inputs if isinstance(found, RunnableInfo | ExternInfo) else {}


def subject(view: View) -> RunnableInfo | None:
    """The program that the declaration is about: what its `program = …` names."""
    setting = settings(view.place.declaration.items).get("program")
    symbol = find(view.session, view.place, setting.value) if setting else None
    return runnable(view.session, symbol) if symbol else None


def fields(view: View) -> Mapping[str, NamedValue]:
    """The inputs and outputs of the signature around the place."""
    found = view.session.checked(view.symbol)
    return {**found.inputs, **found.outputs} if isinstance(found, SignatureInfo) else {}


def left_to_return(view: View) -> Mapping[str, NamedValue]:
    """The outputs in a program's header that no other argument of its `return` gives."""
    declaration = view.place.declaration
    found = runnable(view.session, view.symbol)
    if found is None or not isinstance(declaration.returns, tuple):
        return {}
    order = list(found.outputs)
    given: set[str] = set()
    for item in declaration.items or ():
        for position, argument in enumerate(item.arguments if isinstance(item, Return) else ()):
            if any(argument is node for node in view.way):
                continue
            if argument.name is not None:
                given.add(argument.name.text)
            elif position < len(order):
                given.add(order[position])
    return {name: member for name, member in found.outputs.items() if name not in given}
