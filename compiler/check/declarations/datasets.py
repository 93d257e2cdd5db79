"""`dataset` declarations: columns, source, split; and what the file itself holds, when it may be read."""

from __future__ import annotations

from collections.abc import Mapping

from msgspec import Struct
from msgspec.structs import replace

from dspec.grammar.tree import (
    Argument,
    Call,
    Expr,
    FieldItem,
    Literal,
    Percent,
    Reference,
    Section,
    Setting,
    Span,
)
from dspec.runtime.schema.program import FieldSpec
from dspec.runtime.schema.types import JsonValue

from ... import ir
from ...data import Findings, Places, RowsQuestion, diagnose
from ...data.sources.base import FetchedSource, SourceParameter
from ...data.sources.table import SOURCES, is_fetched, kind_by_ending, title
from ...diagnostics import codes
from ...diagnostics.spelling import distance
from ...project.source import Location
from ...tables.blocks import SPLIT
from ..session import Place, Session
from ..shape.attributes import Reader, form_of, number_of, section, settings
from ..sources.data_files import data_file
from ..sources.fetched_sources import fetched, fetched_source
from ..symbols import Symbol
from ..types.declared import reachable
from ..types.kinds import ANY, Group, NamedValue
from .records import column_call, field_specs, fields, fields_beside

TEST_PARTS = ("test", "holdout", "heldout", "held_out")
"""Names of parts that say: not for tuning."""


class DatasetInfo(Struct, frozen=True):
    """`rows` and `sizes` (rows by part) are None and empty where the file was not or cannot be read."""

    symbol: Symbol
    inputs: Mapping[str, NamedValue]
    columns: Group
    parts: Mapping[str, Symbol]
    dataset: ir.Dataset | None
    rows: int | None = None
    sizes: Mapping[str, int] | None = None
    whole: bool = True
    """False when the file lacks a declared column: then the columns say little."""


def dataset(session: Session, symbol: Symbol) -> DatasetInfo | None:
    return session.once(_check_dataset, symbol)


def _check_dataset(session: Session, symbol: Symbol) -> DatasetInfo:
    place = session.place(symbol)
    items = place.declaration.items
    inputs = fields(session, place, "input")
    labels = fields_beside(session, symbol, "field", inputs)
    if not inputs and items is not None and not place.block.problems:
        session.report(codes.data.NoInputColumn(symbol.location, place.room, *_first_column(place)))
    columns = Group(f"the columns of `{symbol.name}`", {**inputs, **labels}, "column", "gold")
    split, parts = _split(session, place, columns)
    source = _source(session, place)
    input_specs = field_specs(session, place, inputs.values())
    label_specs = field_specs(session, place, labels.values())
    found = None
    if source is not None and inputs:
        found = ir.Dataset(
            name=symbol.key,
            source=source,
            inputs=input_specs,
            fields=label_specs,
            split=split,
            records=reachable(session, [member.type for member in columns.members.values()]),
            columns=_named(session, place),
        )
    findings = _look(session, place, found) if found else None
    if findings is None:
        return DatasetInfo(symbol, inputs, columns, parts, found)
    columns = replace(columns, elsewhere=frozenset(findings.undeclared))
    whole = not any(problem.kind == "column_missing" for problem in findings.problems)
    return DatasetInfo(symbol, inputs, columns, parts, found, findings.rows, findings.sizes, whole)


def _named(session: Session, place: Place) -> dict[str, str]:
    """The source's names of columns that the dataset renames, by the dataset's name: `… = column("Customer Message")`."""
    names: dict[str, str] = {}
    for item in place.declaration.items or ():
        call = column_call(item.default) if isinstance(item, FieldItem) else None
        if call is None or not isinstance(item, FieldItem):
            continue
        match [(one.name, one.value) for one in call.arguments]:
            case [(None, Literal(value=str() as name))] if name:
                names.setdefault(item.name.text, name)
            case _:
                session.report(codes.data.ColumnUnnamed(place.at(call), item.name.text))
    return names


def _first_column(place: Place) -> tuple[str, Location | None]:
    """The name of the first column that is a `field`, and where that word stands, if there is one."""
    for item in place.declaration.items or ():
        if isinstance(item, FieldItem) and item.role == "field":
            return item.name.text, place.at(Span(item.span.start, item.span.start + len(item.role)))
    return "", None


def _source(session: Session, place: Place) -> ir.DataSource | None:
    setting = settings(place.declaration.items).get("source")
    if setting is None:
        return None
    node = setting.value
    if not (isinstance(node, Call) and isinstance(node.callee, Reference)):
        session.report(codes.attributes.RowsNotCalled(place.at(node), form_of(node), _kind_by_ending(node)))
        return None
    name = node.callee.name
    found = SOURCES.get(name.text)
    if isinstance(found, FetchedSource):
        return fetched_source(session, place, node, name, found)
    if found is None:
        session.report(codes.names.UnknownSource(place.at(name), tuple(SOURCES), rows=True))
        return None
    path: str | None = None
    options: dict[str, JsonValue] = {}
    given: dict[str, Argument] = {}
    for position, argument in enumerate(node.arguments):
        option = argument.name.text if argument.name else ("path" if position == 0 else "")
        known = tuple(parameter.name for parameter in found.parameters)
        first = given.setdefault(option, argument) if option in known else argument
        if first is not argument:
            at = place.at(argument)
            session.report(codes.attributes.GivenTwice(at, option, place.at(first), f"`{name.text}`"))
            return None
        if option not in known:
            if argument.name:
                session.report(codes.calls.UnknownOption(place.at(argument.name), name.text, known))
            else:
                session.report(codes.calls.OnePath(place.at(argument.value), name.text, known))
        elif (
            option == "path" and isinstance(argument.value, Literal) and isinstance(argument.value.value, str)
        ):
            path = argument.value.value
        else:
            parameter = found.parameters[known.index(option)]
            value = _option(session, place, name.text, parameter, argument.value)
            if value is None:
                return None
            options[option] = value
    if path is None:
        session.report(codes.calls.NoPath(place.at(node), name.text, found.ending))
        return None
    # From here on the path counts from the root file's folder.
    relative = data_file(session, place, path, given["path"].value)
    return None if relative is None else ir.DataSource(kind=found.name, path=relative, options=options)


def _option(
    session: Session, place: Place, source: str, parameter: SourceParameter, node: Expr
) -> str | float | None:
    """What an option is given; reports what does not fit, and is None then."""
    text = node.value if isinstance(node, Literal) and isinstance(node.value, str) else None
    number = number_of(node)
    if parameter.value == "share":
        if number is not None and 0 <= number <= 1:
            return float(number)
        wrong = codes.attributes.WrongValue(place.at(node), parameter.name, "share", form_of(node), of=source)
    elif text is None:
        wrong = codes.attributes.WrongValue(place.at(node), parameter.name, "text", form_of(node), of=source)
    elif parameter.value == "choice" and text not in parameter.choices:
        wrong = codes.attributes.NotAChoice(place.at(node), parameter.name, text, parameter.choices)
    else:
        return text
    session.report(wrong)
    return None


def _kind_by_ending(node: Expr) -> str:
    if not (isinstance(node, Literal) and isinstance(node.value, str)):
        return ""
    return kind_by_ending(node.value.rpartition(".")[2])


def _split(session: Session, place: Place, columns: Group) -> tuple[ir.Split | None, dict[str, Symbol]]:
    found = section(place.declaration.items, "split")
    if found is None:
        return None, {}
    reserved = {attribute.name for attribute in SPLIT.attributes}
    parts: dict[str, Symbol] = {}
    amounts: dict[str, ir.Amount] = {}
    for item in found.items:
        if not isinstance(item, Setting) or item.name.text in reserved or item.name.text in parts:
            continue
        amount = _amount(session, place, item)
        parts[item.name.text] = session.declare(
            place, "part", item.name.text, item.name, detail=place.text(item.value)
        )
        if amount:
            amounts[item.name.text] = amount
    if len({amount.unit for amount in amounts.values()}) > 1:
        _misspelt(session, place, found, amounts)
    if not parts and not place.block.problems:
        session.report(codes.data.NoParts(place.at(found.name)))
    read = Reader(session, place, found.items, SPLIT)
    seed = read.integer("seed")
    stratify = _stratify(session, place, read, columns)
    if len(amounts) < len(parts) or not parts:
        return None, parts
    return ir.Split(parts=amounts, seed=seed or 0, stratify=stratify), parts


def _misspelt(session: Session, place: Place, split: Section, amounts: Mapping[str, ir.Amount]) -> None:
    """Warn of parts in rows, beside parts in percent, that are called like a setting but for one letter."""
    for name, item in settings(split.items).items():
        if name in amounts and amounts[name].unit == "rows":
            meant = [
                one.name
                for one in SPLIT.attributes
                if one.value == "integer" and distance(name, one.name, 1) == 1
            ]
            if meant:
                session.report(codes.data.PartLikeSetting(place.at(item.name), meant[0]))


def _amount(session: Session, place: Place, item: Setting) -> ir.Amount | None:
    if isinstance(item.value, Percent):
        return ir.Amount(value=item.value.value, unit="percent")
    number = number_of(item.value)
    if isinstance(number, int):
        return ir.Amount(value=float(number), unit="rows")
    share = number if isinstance(number, float) and 0 < number <= 1 else None
    session.report(
        codes.attributes.NotAnAmount(place.at(item.value), item.name.text, form_of(item.value), share)
    )
    return None


def _stratify(session: Session, place: Place, read: Reader, columns: Group) -> str | None:
    node = read.value("stratify")
    if node is None:
        return None
    if not isinstance(node, Reference):
        session.report(codes.attributes.WrongValue(place.at(node), "stratify", "column", form_of(node)))
        return None
    session.seek(node, (), {column.name: column.symbol for column in columns.members.values()})
    member = columns.members.get(node.name.text)
    if member is None:
        session.report(codes.metrics.NotAColumn(place.at(node), columns.owner, tuple(columns.members)))
        return None
    session.use(place, node.name, member.symbol)
    return member.name


def _look(session: Session, place: Place, found: ir.Dataset) -> Findings | None:
    """Look at the rows, and report the problems. None where data may not be read, or was not yet."""
    if not session.probe:
        return None
    findings = fetched(session, found.source)
    if findings is None:
        seen = session.see(RowsQuestion(dataset=_readable(session, found), deep=session.deep))
        findings = None if seen is None else seen.findings
    if findings is None:
        return None
    if not findings.exact:
        session.at_work.sampled += (title(found.source),)
    places = _places(place)
    other = _other_source(place, found) if findings.problems else None
    if other:
        session.report(other)
    else:
        session.findings.extend(diagnose(problem, places) for problem in findings.problems)
    return findings


def _readable(session: Session, found: ir.Dataset) -> ir.Dataset:
    """The dataset with ANY as the type of fields whose record could not be read in full: no row can be at fault there."""
    partial = {key for key in found.records if _is_partial(session.records[key])}
    if not partial:
        return found

    def loose(spec: FieldSpec) -> FieldSpec:
        return (
            spec.model_copy(update={"type": ANY})
            if partial & reachable(session, [spec.type]).keys()
            else spec
        )

    changes = {"inputs": tuple(map(loose, found.inputs)), "fields": tuple(map(loose, found.fields))}
    return found.model_copy(update=changes)


def _is_partial(symbol: Symbol) -> bool:
    return bool(symbol.block.problems) or any(
        isinstance(item, Setting | Section) or (isinstance(item, FieldItem) and item.role != "field")
        for item in symbol.declaration.items or ()
    )


def _other_source(place: Place, found: ir.Dataset) -> codes.data.OtherFormat | None:
    """The one finding that stands for all problems of a file that is read in another format than its own."""
    kind = "" if is_fetched(found.source) else kind_by_ending(found.source.path.rpartition(".")[2])
    node = settings(place.declaration.items)["source"].value
    if not kind or kind == found.source.kind or not isinstance(node, Call):
        return None
    written = place.at(node.arguments[0])
    return codes.data.OtherFormat(place.at(node.callee), found.source.path, found.source.kind, kind, written)


def _places(place: Place) -> Places:
    columns: dict[str, Location] = {}
    types: dict[str, Location] = {}
    for item in place.declaration.items or ():
        if isinstance(item, FieldItem):
            columns.setdefault(item.name.text, place.at(item.name))
            if item.type is not None:
                types.setdefault(item.name.text, place.at(item.type))
    split = section(place.declaration.items, "split")
    inner = settings(split.items) if isinstance(split, Section) else {}
    stratify = inner.get("stratify")
    return Places(
        source=place.at(settings(place.declaration.items)["source"].value),
        columns=columns,
        types=types,
        parts={name: place.at(setting.name) for name, setting in inner.items()},
        split=place.at(split.name) if split else None,
        stratify=place.at(stratify.value) if stratify else None,
    )
