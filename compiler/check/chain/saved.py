"""Programs out of files, where the name of one may stand: `artifact("compiled/x.dspc.json")`, `dspy_state("x.json", qa)`.

They are read as data, inside the project's root and nowhere else: nothing in them is run, and no model is asked. A
state that DSPy saved has no steps and no types, so the call also names the module or program of the state. The
editor's first check touches no file and says nothing of them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TypeVar, cast

from dspec.grammar.tree import Argument, Call, Expr, Reference, Span
from dspec.grammar.tree import Literal as LiteralNode
from dspec.runtime.errors import ArtifactError
from dspec.runtime.schema.ensemble import Runnable, parts
from dspec.runtime.schema.program import FieldSpec, Program, Record
from dspec.runtime.schema.types import ANY, DictOf, ListOf, OneOfRecords, OptionalOf, RecordRef, TupleOf, Type

from ...diagnostics import codes
from ...diagnostics.settings import read_settings
from ...project.reads import looked_at, stamp
from ...project.source import Location
from ..names.names import resolve
from ..session import Place, Session
from ..shape.arguments import match_arguments
from ..shape.attributes import form_of
from ..sources.data_files import data_file
from ..symbols import Symbol
from ..types.declared import RunnableInfo, SavedInfo, runnable, saved
from ..types.kinds import NamedValue

T = TypeVar("T")
_KEPT = 8

FORMS: Mapping[str, tuple[str, ...]] = {"artifact": ("path",), "dspy_state": ("path", "program")}
"""How such a program is written: the name of the call, with the names of its arguments."""


def is_saved(place: Place, node: Expr) -> bool:
    """Whether `node` is written as a program out of a file. A declaration of that name goes first, as everywhere."""
    if not (isinstance(node, Call) and isinstance(node.callee, Reference)):
        return False
    name = node.callee.name.text
    return name in FORMS and name not in place.scope.symbols


def saved_program(session: Session, place: Place, node: Expr) -> RunnableInfo | None:
    """The program that is written here; reports what is wrong with it or with its file."""
    assert isinstance(node, Call)
    form = place.text(node.callee)
    names = FORMS[form]
    shape = f'`{form}("compiled/qa.dspc.json")`' if form == "artifact" else f'`{form}("saved.json", qa)`'
    given = match_arguments(session, place, node, f"`{form}`", names, names, shape)
    path = _path(session, place, form, given.get("path", ()))
    if form == "artifact":
        block = None if path is None else _made_here(session, place, path)
        if block is not None:
            return runnable(session, block)
        return None if path is None else _once(session, place, node, f'artifact("{path}")', path, None)
    if "program" not in given:
        return None
    symbol = resolve(session, place, given["program"][0].value, ("module", "program"), f"`{form}`")
    of = runnable(session, symbol) if symbol is not None else None
    if path is None or of is None:
        return None
    return _once(session, place, node, f'dspy_state("{path}", {of.symbol.key})', path, of)


def found_program(session: Session, place: Place, node: Expr, symbol: Symbol | None) -> RunnableInfo | None:
    """The program that `node` names and that was checked before: one out of a file, or the declaration `symbol`."""
    if not is_saved(place, node):
        return runnable(session, symbol) if symbol is not None else None
    at = place.at(node)
    found = next((one for one in saved(session) if at in one.places), None)
    if found is not None or not (
        isinstance(node, Call) and place.text(node.callee) == "artifact" and node.arguments
    ):
        return found
    value = node.arguments[0].value
    written = value.value if isinstance(value, LiteralNode) else None
    block = _made_here(session, place, written) if isinstance(written, str) else None
    return None if block is None else runnable(session, block)


def _made_here(session: Session, place: Place, path: str) -> Symbol | None:
    """The block of the same file whose artifact belongs at a path where there is none yet: it is compiled first."""
    name = Path(path).name.removesuffix(".dspc.json")
    block = place.scope.symbols.get(name)
    if (
        block is None
        or block.kind != "optimize"
        or place.scope is not session.main
        or block in session.running
    ):
        return None
    own = session.folder / read_settings(session.root).compiled / f"{name}.dspc.json"
    looked_at(own)
    return block if session.probe and session.folder / Path(path) == own and not own.exists() else None


def _path(session: Session, place: Place, form: str, given: tuple[Argument, ...]) -> str | None:
    if not given:
        return None
    node = given[0].value
    if not (isinstance(node, LiteralNode) and isinstance(node.value, str) and node.value.strip()):
        session.report(codes.attributes.WrongValue(place.at(node), "path", "text", form_of(node), of=form))
        return None
    return data_file(session, place, node.value, node)


def _once(
    session: Session, place: Place, node: Call, key: str, path: str, of: RunnableInfo | None
) -> RunnableInfo | None:
    """The program under its key; a file is read and complained of once."""
    at = place.at(node)
    session.order_matters()
    if key in session.saved:
        known = session.saved[key]
        if not isinstance(known, SavedInfo):
            return None
        known.places.append(at)
        return known
    session.saved[key] = None
    symbol = Symbol("program", place.text(node), key, at, place.declaration, place.block, place.scope)
    if not session.probe:
        found = SavedInfo(symbol, {}, {}, None, known=False, places=[at])
    else:
        try:
            content = _read(session, path, of)
        except ArtifactError as error:
            session.report(codes.chains.SavedUnreadable(at, path, error.message, error.help))
            return None
        if of is None and not _fits_models(session, at, path, content):
            return None
        if of is None and not _fits_records(session, at, path, content):
            return None
        known = of.known if of is not None else True
        found = SavedInfo(
            symbol,
            of.inputs if of is not None else _values(session, content.inputs),
            of.outputs if of is not None else _values(session, content.outputs),
            content if isinstance(content, Program) else None,
            of.unbound if of is not None else (),
            known,
            content=content,
            places=[at],
        )
    session.saved[key] = found
    return found


def _read(session: Session, path: str, of: RunnableInfo | None) -> Runnable:
    """What the file holds. Raises ArtifactError."""
    # Imported here, since they bring all that reads an artifact, and most sources name no such file.
    from dspec.runtime.artifact.artifact import read_artifact, read_json
    from dspec.runtime.artifact.dspy_state import with_dspy_state

    place = _inside(session, path)
    if of is not None and of.program is None:
        raise ArtifactError(f"`{of.symbol.name}` cannot run, so no state fits it")
    try:
        if of is None or of.program is None:
            return _kept(session, place, lambda: read_artifact(place).program)
        return with_dspy_state(of.program, _kept(session, place, lambda: read_json(place)))
    except ArtifactError as error:
        raise ArtifactError(error.message.removeprefix(f"{place}: "), help=error.help) from None


def _kept(session: Session, place: Path, read: Callable[[], T]) -> T:
    """What a file holds, read once until it changes. Raises what reading it raises."""
    key = (str(place), stamp(str(place)))
    if key not in session.read:
        session.read[key] = read()
        while len(session.read) > _KEPT:
            del session.read[next(iter(session.read))]
    return cast("T", session.read[key])


def _inside(session: Session, path: str) -> Path:
    """Where the file lies, links followed. Raises ArtifactError for one that is not there or outside the root."""
    looked_at(session.folder / path)
    try:
        real = (session.folder / path).resolve(strict=True)
        border = session.root.resolve()
    except (OSError, RuntimeError):
        raise ArtifactError("there is no such file", help="`dspc compile` writes artifacts") from None
    if not real.is_relative_to(border):
        raise ArtifactError("it lies outside the project")
    return real


def _fits_models(session: Session, at: Location, path: str, content: Runnable) -> bool:
    """Report a model at an address of its own, which no artifact carries and the source does not declare."""
    for program in parts(content):
        for name, lm in program.lms.items():
            if lm.custom_endpoint and name not in session.lms:
                session.report(codes.chains.SavedWithoutAddress(at, path, name, lm.model))
                return False
    return True


def _fits_records(session: Session, at: Location, path: str, content: Runnable) -> bool:
    """Report a record that the file and the source have under one name, with other fields."""
    for name, theirs in content.records.items():
        symbol = session.records.get(name)
        ours = session.checked(symbol) if symbol is not None else None
        if symbol is None or not isinstance(ours, Record):
            continue
        if [(one.name, one.type) for one in ours.fields] != [(one.name, one.type) for one in theirs.fields]:
            session.report(codes.chains.SavedOtherRecord(at, path, symbol.location))
            return False
    return True


def _values(session: Session, fields: tuple[FieldSpec, ...]) -> dict[str, NamedValue]:
    return {
        field.name: NamedValue(
            field.name,
            _known(session, field.type),
            default=_literal(field) if field.has_default else None,
            description=field.description,
        )
        for field in fields
    }


def _literal(field: FieldSpec) -> LiteralNode:
    plain = field.default if isinstance(field.default, str | int | float | bool) else None
    return LiteralNode(Span(0, 0), plain)


def _known(session: Session, kind: Type) -> Type:
    """The type, with ANY for each record that the source does not declare."""
    match kind:
        case RecordRef(name=name):
            return kind if name in session.records else ANY
        case ListOf(item=item):
            return ListOf(item=_known(session, item))
        case OptionalOf(item=item):
            return OptionalOf(item=_known(session, item))
        case TupleOf(items=items):
            return TupleOf(items=tuple(_known(session, item) for item in items))
        case OneOfRecords(records=names):
            return kind if all(name in session.records for name in names) else ANY
        case DictOf(key=key, value=value):
            return DictOf(key=key, value=_known(session, value))
        case _:
            return kind
