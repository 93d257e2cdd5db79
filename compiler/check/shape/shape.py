"""Syntax that parsed but does not fit: the shape of a declaration, its items, its attributes.

The grammar has one body for every block, so that a misplaced item gets a message about the item.
This file compares what was parsed with the table in `blocks`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from dspec.grammar.tree import (
    Call,
    CheckItem,
    Declaration,
    Doc,
    Expect,
    FieldItem,
    Gate,
    Given,
    Item,
    Let,
    ListLiteral,
    Parameter,
    Reference,
    Repeat,
    Return,
    Section,
    Setting,
    SettingOf,
    Span,
    Step,
    Until,
)

from ...diagnostics import codes
from ...diagnostics.spelling import closest
from ...project.source import Location
from ...tables.block_specs import AttributeSpec, BlockSpec, Body, ItemKind, SectionSpec
from ...tables.blocks import BLOCKS, ROUND, holders
from ...tables.lm_block import LM
from ..session import Place, Session

TREE_ITEMS: dict[type, ItemKind] = {
    Doc: "doc",
    Let: "let",
    Repeat: "let",
    Until: "until",
    Return: "return",
    Step: "step",
    Given: "given",
    Expect: "expect",
    Gate: "gate",
}


BODIES: dict[Body, codes.syntax.Shape] = {"block": "no block", "value": "no value", "either": "no body"}
"""By the body that a declaration should have: what is wrong when it has none."""


def item_kind(item: Item) -> ItemKind | None:
    """Which item it is; None for `name = value` and `name { … }`."""
    match item:
        case FieldItem(role=role):
            return role
        case CheckItem(kind=kind):
            return kind
        case _:
            return TREE_ITEMS.get(type(item))


def check_shape(session: Session, place: Place) -> bool:
    """Report what the declaration's kind does not allow. False when its body cannot be used at all."""
    declaration = place.declaration
    spec = BLOCKS[declaration.keyword.text]
    usable = _header(session, place, declaration, spec)
    if usable:
        _items(session, place, spec)
    return usable


EXTENDING = ("signature", "record")
"""Kinds of declarations that may extend one of their own kind."""


def _header(session: Session, place: Place, declaration: Declaration, spec: BlockSpec) -> bool:
    if spec.named and declaration.name is None:
        return False  # the parser has said so
    if not spec.named:
        return True
    if declaration.base is not None and spec.keyword not in EXTENDING:
        session.report(codes.shapes.ExtendsNothing(place.at(declaration.base), spec.keyword))
    wrong = _wrong_shape(declaration, spec, broken=bool(place.block.problems))
    if wrong is not None:
        node = declaration.name or declaration.keyword
        base = None
        if wrong == "parameters" and spec.keyword in EXTENDING and declaration.base is None:
            match declaration.parameters:
                case (Parameter(type=None, default=None) as only,):
                    base = place.at(only)
                case _:
                    pass
        session.report(
            codes.syntax.OtherShape(place.at(node), spec.keyword, _called(place), wrong, spec.form, base)
        )
        return False
    return declaration.value is not None or declaration.items is not None


def _wrong_shape(declaration: Declaration, spec: BlockSpec, *, broken: bool) -> codes.syntax.Shape | None:
    """How a declaration differs from its kind. A part that a `broken` one lacks may stand in the text that was not read."""
    if declaration.parameters is not None and spec.parameters == "never" and not broken:
        return "parameters"
    if declaration.parameters is None and spec.parameters == "required" and not broken:
        return "no parameters"
    if declaration.returns is not None and spec.returns == "never":
        return "returns"
    if declaration.returns is None and spec.returns == "required" and not broken:
        return "no returns"
    if declaration.items is not None and spec.body == "value":
        return "block"
    if declaration.value is not None and spec.body == "block":
        return "value"
    if declaration.value is None and declaration.items is None and not broken:
        return BODIES[spec.body]
    return None


def _items(session: Session, place: Place, spec: BlockSpec) -> None:
    items = place.declaration.items or ()
    seen: dict[str, Setting | Section] = {}
    docs = [item for item in items if isinstance(item, Doc)]
    for item in items:
        kind = item_kind(item)
        if kind is not None and kind not in spec.items:
            _misplaced(session, place, item, kind, spec, _called(place))
        elif isinstance(item, Repeat):
            _round(session, place, item)
        elif isinstance(item, Setting):
            _setting(session, place, item, spec, seen)
        elif isinstance(item, Section):
            _section(session, place, item, spec, seen)
        elif isinstance(item, SettingOf):
            _setting_of(session, place, item, spec)
    # Behind what could not be read, a text may be a part of that.
    for extra in docs[1:] if "doc" in spec.items and not place.block.problems else ():
        session.report(
            codes.attributes.TwoDocStrings(place.at(extra), place.at(docs[0]), spec.keyword, _called(place))
        )
    if place.declaration.items is not None and not place.block.problems and not has_misplaced(place):
        meant = _misspelt(place.declaration.items, spec)
        for attribute in spec.attributes:
            if attribute.required and attribute.name not in seen and attribute.name not in meant:
                _missing(session, place, attribute, spec)


def _misspelt(items: Sequence[Item], spec: BlockSpec | SectionSpec) -> set[str]:
    """The attributes that settings of unknown names are likely to be: these are reported with the names they should have."""
    known = [attribute.name for attribute in spec.attributes]
    unknown = (item.name.text for item in items if isinstance(item, Setting))
    return {near for name in unknown if name not in known for near in closest(name, known)[:1]}


def has_misplaced(place: Place) -> bool:
    """Whether an item of the block is one of another block, or in braces: it is reported as that, and what is lacking may be
    what it was meant to be."""
    spec = BLOCKS[place.declaration.keyword.text]
    return any(
        item.name.text in spec.items
        if isinstance(item, Section)
        else (kind := item_kind(item)) is not None and kind not in spec.items
        for item in place.declaration.items or ()
    )


def _called(place: Place) -> str:
    return place.declaration.name.text if place.declaration.name else place.declaration.keyword.text


def _round(session: Session, place: Place, item: Repeat) -> None:
    """The items of a repetition, and of those inside it."""
    for inner in item.items:
        kind = item_kind(inner)
        if kind is not None and kind not in ROUND.items:
            _misplaced(session, place, inner, kind, ROUND, item.name.text)
        elif isinstance(inner, Repeat):
            _round(session, place, inner)
        elif isinstance(inner, Setting | Section | SettingOf):
            _unknown_attribute(session, place, inner, ROUND)


def _misplaced(
    session: Session, place: Place, item: Item, kind: ItemKind, spec: BlockSpec, called: str
) -> None:
    written = place.text(item)
    if kind != "doc" and not re.match(rf"{kind}\b", written):
        return  # a word that is nearly this one: reported as that
    head = Span(item.span.start, item.span.start + len(written if kind == "doc" else kind))
    session.report(
        codes.attributes.Misplaced(
            place.at(head),
            kind,
            spec.keyword,
            called,
            spec.items,
            spec.allowed,
            holders(kind) or (ROUND.keyword,),
        )
    )


def _setting(
    session: Session, place: Place, item: Setting, spec: BlockSpec, seen: dict[str, Setting | Section]
) -> None:
    name = item.name.text
    section = spec.section(name)
    if section:
        session.report(
            codes.attributes.SectionAndAttribute(
                place.at(item.name),
                section=True,
                item=place.at(item),
                written=_in_braces(place, item, section),
            )
        )
        return
    if spec.attribute(name) is None:
        _unknown_attribute(session, place, item, spec)
        return
    _twice(session, place, item, seen)


def _setting_of(session: Session, place: Place, item: SettingOf, spec: BlockSpec) -> None:
    attribute = spec.attribute(item.name.text)
    if attribute is None:
        _unknown_attribute(session, place, item, spec)
    elif not attribute.addressed:
        session.report(codes.metric_calls.NotForOne(place.at(item.address), attribute.name))


def _section(
    session: Session, place: Place, item: Section, spec: BlockSpec, seen: dict[str, Setting | Section]
) -> None:
    name = item.name.text
    section = spec.section(name)
    if section is None:
        if spec.attribute(name):
            seen.setdefault(name, item)
            session.report(codes.attributes.SectionAndAttribute(place.at(item.name), section=False))
        else:
            _unknown_attribute(session, place, item, spec)
        return
    if not section.several:
        _twice(session, place, item, seen)
    _section_items(session, place, item, section)


def _section_items(session: Session, place: Place, item: Section, section: SectionSpec) -> None:
    seen: dict[str, Setting | Section] = {}
    for inner in item.items:
        if isinstance(inner, Section) and section.nested:
            _twice(session, place, inner, seen)
            _section_items(session, place, inner, section)
            continue
        if isinstance(inner, Doc) and place.block.problems:
            continue  # a name in quotes, or what was to be its value: the parser has said so
        if not isinstance(inner, Setting):
            if place.block.problems:
                continue  # it may be what is left of a value that could not be read
            role = named = ""
            if isinstance(inner, FieldItem) and inner.default and not (inner.type or inner.description):
                role, named = inner.role, inner.name.text
            session.report(codes.attributes.NoSetting(place.at(inner), section.name, role, named))
            continue
        name = inner.name.text
        if section.attribute(name) is None and section.free is None:
            known = tuple(attribute.name for attribute in section.attributes)
            session.report(codes.attributes.UnknownAttribute(place.at(inner.name), section.name, known))
            continue
        _twice(session, place, inner, seen)
    meant = _misspelt(item.items, section)
    for attribute in section.attributes:
        lacks = attribute.required and attribute.name not in seen and attribute.name not in meant
        if lacks and not place.block.problems:
            session.report(
                codes.attributes.MissingAttribute(
                    place.at(item.name), section.name, attribute.name, attribute.doc, attribute.placeholder
                )
            )


def _unknown_attribute(
    session: Session, place: Place, item: Setting | Section | SettingOf, spec: BlockSpec
) -> None:
    name = item.name.text
    if place.block.problems and name in spec.items:
        return  # an item in a form that could not be read
    if isinstance(item, Section) and name in spec.items:
        session.report(codes.attributes.ItemInBraces(place.at(item.name), spec.keyword))
        return
    if spec is LM and name == "n":
        session.report(codes.parameters.SeveralAnswers(place.at(item.name)))
        return
    known = tuple(each.name for each in spec.attributes)
    unlike = tuple(each.name for each in spec.sections)
    if isinstance(item, Section):
        known, unlike = unlike, known
    elif isinstance(item, SettingOf):
        known = tuple(each.name for each in spec.attributes if each.addressed) or known
    near = closest(name, unlike)
    meant = spec.section(near[0]) if near else None
    elsewhere = [
        other.keyword
        for other in BLOCKS.values()
        if other is not spec and (other.attribute(name) or other.section(name))
    ]
    session.report(
        codes.attributes.UnknownAttribute(
            place.at(item.name),
            spec.keyword,
            known,
            block=True,
            elsewhere=elsewhere[0] if elsewhere else "",
            lacking=_lacking(place, item, spec),
            item=place.at(item),
            unlike=unlike,
            section=isinstance(item, Section),
            written=_in_braces(place, item, meant) if meant and isinstance(item, Setting) else "",
        )
    )


def _in_braces(place: Place, item: Setting, section: SectionSpec) -> str:
    """The item as sections: of `demo = dict(a = 1)`, or of a list of such where there may be several. Else empty."""
    values = item.value.items if isinstance(item.value, ListLiteral) and section.several else (item.value,)
    blocks: list[str] = []
    for value in values:
        if not (
            isinstance(value, Call)
            and isinstance(value.callee, Reference)
            and value.callee.name.text == "dict"
        ):
            return ""
        if not all(argument.name for argument in value.arguments):
            return ""
        blocks.append(
            f"{section.name} {{ {'; '.join(place.text(argument) for argument in value.arguments)} }}"
        )
    line = place.block.text[: item.span.start].rpartition("\n")[2]
    return ("; " if line.strip() else f"\n{line}").join(blocks)


def _lacking(place: Place, item: Setting | Section | SettingOf, spec: BlockSpec) -> str:
    """The keyword that the item seems to lack: `let`, `return` or `step`; empty where nothing suggests one."""
    if isinstance(item, Setting) and "let" in spec.items:
        promised = place.declaration.returns
        names = [each.name.text for each in promised] if isinstance(promised, tuple) else []
        return "return" if item.name.text in names and "return" in spec.items else "let"
    return (
        "step" if isinstance(item, Setting) and isinstance(item.value, Call) and "step" in spec.items else ""
    )


def _twice(
    session: Session, place: Place, item: Setting | Section, seen: dict[str, Setting | Section]
) -> None:
    name = item.name.text
    first = seen.setdefault(name, item)
    if first is not item:
        session.report(
            codes.attributes.SetTwice(place.at(item.name), place.at(first.name), _with_separator(place, item))
        )


def _with_separator(place: Place, item: Item) -> Location:
    """An item, and what divides it from the one before."""
    text = place.block.text
    start, end = item.span
    while start > 0 and text[start - 1] in " \t":
        start -= 1
    if start > 0 and text[start - 1] in ";\n":
        start -= 1
    return place.at(Span(start, end))


def _missing(session: Session, place: Place, attribute: AttributeSpec, spec: BlockSpec) -> None:
    name = place.declaration.name or place.declaration.keyword
    session.report(
        codes.attributes.MissingAttribute(
            place.at(name),
            _called(place),
            attribute.name,
            attribute.doc,
            attribute.placeholder,
            spec.keyword,
            place.room,
        )
    )
