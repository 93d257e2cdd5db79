"""Syntax that parsed but does not fit: the shape of a declaration, its items, its attributes.

The grammar has one body for every block, so that a misplaced item gets a message about the item.
This file compares what was parsed with the table in `blocks`.
"""

from __future__ import annotations

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
    Node,
    Return,
    Section,
    Setting,
    Span,
    Step,
)

from ...diagnostics.record import Edit, Fix, Label
from ...diagnostics.spelling import closest, quoted
from ...tables.block_specs import AttributeSpec, BlockSpec, ItemKind, SectionSpec
from ...tables.blocks import BLOCKS, holders
from ..names.names import NOUNS, article, did_you_mean, listed
from ..session import Place, Session, insert_item, suggestions

TREE_ITEMS: dict[type, ItemKind] = {
    Doc: "doc",
    Let: "let",
    Return: "return",
    Step: "step",
    Given: "given",
    Expect: "expect",
    Gate: "gate",
}


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


def _header(session: Session, place: Place, declaration: Declaration, spec: BlockSpec) -> bool:
    if spec.named and declaration.name is None:
        return False  # the parser has said so
    if not spec.named:
        return True
    called = declaration.name.text if declaration.name else spec.keyword
    keyword = spec.keyword
    broken = bool(place.block.problems)
    if declaration.parameters is not None and spec.parameters == "never" and not broken:
        _misshapen(session, place, f"{article(keyword)} takes no parameters", spec)
        return False
    if declaration.parameters is None and spec.parameters == "required" and not broken:
        _misshapen(session, place, f"{keyword} `{called}` needs parameters in parentheses", spec)
        return False
    if declaration.returns is not None and spec.returns == "never":
        _misshapen(session, place, f"{article(keyword)} has no `->`", spec)
        return False
    if declaration.returns is None and spec.returns == "required" and not broken:
        _misshapen(session, place, f"{keyword} `{called}` needs `-> type` after its parameters", spec)
        return False
    if declaration.items is not None and spec.body == "value":
        _misshapen(session, place, f"{article(keyword)} is written with `=`, not with a block", spec)
        return False
    if declaration.value is not None and spec.body == "block":
        _misshapen(session, place, f"{article(keyword)} is written as a block in braces, not with `=`", spec)
        return False
    if declaration.value is None and declaration.items is None:
        if not broken:
            body = {"block": "a block in braces", "value": "a value after `=`", "either": "`=` or a block"}[
                spec.body
            ]
            _misshapen(session, place, f"{keyword} `{called}` needs {body}", spec)
        return False
    return True


def _misshapen(session: Session, place: Place, message: str, spec: BlockSpec) -> None:
    declaration = place.declaration
    node = declaration.name or declaration.keyword
    session.report("DS0111", message, place.at(node), help=f"it looks like this: `{spec.form}`")


def _items(session: Session, place: Place, spec: BlockSpec) -> None:
    items = place.declaration.items or ()
    seen: dict[str, Setting | Section] = {}
    docs = [item for item in items if isinstance(item, Doc)]
    for item in items:
        kind = item_kind(item)
        if kind is not None and kind not in spec.items:
            _misplaced(session, place, item, kind, spec)
        elif isinstance(item, Setting):
            _setting(session, place, item, spec, seen)
        elif isinstance(item, Section):
            _section(session, place, item, spec, seen)
    for extra in docs[1:] if "doc" in spec.items else ():
        session.report(
            "DS0106",
            f"{spec.keyword} `{_called(place)}` has two doc strings",
            place.at(extra),
            "second one",
            secondary=(Label(place.at(docs[0]), "first here"),),
            help="join them into one; a string in three quotes may span lines",
        )
    misplaced = any((kind := item_kind(item)) is not None and kind not in spec.items for item in items)
    if place.declaration.items is not None and not place.block.problems and not misplaced:
        for attribute in spec.attributes:
            if attribute.required and attribute.name not in seen:
                _missing(session, place, attribute, spec)


def _called(place: Place) -> str:
    return place.declaration.name.text if place.declaration.name else place.declaration.keyword.text


def _misplaced(session: Session, place: Place, item: Item, kind: ItemKind, spec: BlockSpec) -> None:
    word = "a doc string" if kind == "doc" else f"`{kind}`"
    homes = holders(kind)
    hint = ""
    if spec.keyword in ("dataset", "record") and kind in ("input", "output", "field"):
        fields = [other for other in spec.items if other in ("input", "field")]
        hint = f"; in {article(spec.keyword)}, use {quoted(fields, 'or')}"
    head = Span(item.span.start, item.span.start + (len(kind) if kind != "doc" else len(place.text(item))))
    session.report(
        "DS0104",
        f"{word} is not allowed in {_noun(spec)}{hint}",
        place.at(head),
        f"not allowed in `{spec.keyword} {_called(place)}`",
        help=f"allowed here: {_listing(spec.allowed)}; {word} stands in {quoted(homes, 'or')}",
        fixes=suggestions(place.at(head), _meant(kind, spec)),
    )


def _meant(kind: ItemKind, spec: BlockSpec) -> tuple[str, ...]:
    """The roles that a field of another role may stand for here."""
    if kind not in ("input", "output", "field"):
        return ()
    roles = tuple(item for item in spec.items if item in ("input", "output", "field"))
    return ("field",) if kind == "output" and "field" in roles else roles


def _noun(spec: BlockSpec) -> str:
    return article(NOUNS.get(spec.keyword, spec.keyword))


def _listing(words: tuple[str, ...]) -> str:
    return ", ".join(word if " " in word else f"`{word}`" for word in words) if words else "nothing"


def _setting(
    session: Session, place: Place, item: Setting, spec: BlockSpec, seen: dict[str, Setting | Section]
) -> None:
    name = item.name.text
    if spec.section(name):
        session.report(
            "DS0104",
            f"`{name}` is a section: write `{name} {{ … }}` without `=`",
            place.at(item.name),
            "a section takes braces",
        )
        return
    if spec.attribute(name) is None:
        _unknown_attribute(session, place, item, spec)
        return
    _twice(session, place, item, seen)


def _section(
    session: Session, place: Place, item: Section, spec: BlockSpec, seen: dict[str, Setting | Section]
) -> None:
    name = item.name.text
    section = spec.section(name)
    if section is None:
        if spec.attribute(name):
            seen.setdefault(name, item)
            session.report(
                "DS0104",
                f"`{name}` is an attribute: write `{name} = …` without braces",
                place.at(item.name),
                "an attribute takes `=`",
            )
        else:
            _unknown_attribute(session, place, item, spec)
        return
    _twice(session, place, item, seen)
    if not section.supported:
        later(session, place, f"`{name} {{ … }}` in {article(spec.keyword)}", item.name)
        return
    _section_items(session, place, item, section)


def _section_items(session: Session, place: Place, item: Section, section: SectionSpec) -> None:
    seen: dict[str, Setting | Section] = {}
    for inner in item.items:
        if not isinstance(inner, Setting):
            session.report(
                "DS0104",
                f"only `name = value` is allowed in `{section.name}`",
                place.at(inner),
                f"not allowed in `{section.name}`",
            )
            continue
        name = inner.name.text
        if section.attribute(name) is None and section.free is None:
            known = [attribute.name for attribute in section.attributes]
            near = closest(name, known)
            session.report(
                "DS0105",
                f"`{section.name}` has no attribute `{name}`{did_you_mean(near)}",
                place.at(inner.name),
                "unknown attribute",
                help="" if near else f"it has {listed(known)}",
                fixes=suggestions(place.at(inner.name), near),
            )
            continue
        _twice(session, place, inner, seen)
    for attribute in section.attributes:
        if attribute.required and attribute.name not in seen and not place.block.problems:
            session.report(
                "DS0107",
                f"`{section.name}` is missing `{attribute.name}`",
                place.at(item.name),
                help=f"{attribute.doc} For example `{attribute.name} = {attribute.placeholder}`",
            )


def _unknown_attribute(session: Session, place: Place, item: Setting | Section, spec: BlockSpec) -> None:
    name = item.name.text
    known = [attribute.name for attribute in spec.attributes] + [section.name for section in spec.sections]
    near = closest(name, known)
    elsewhere = [
        other.keyword
        for other in BLOCKS.values()
        if other is not spec and (other.attribute(name) or other.section(name))
    ]
    extra = "" if near or not elsewhere else f"; `{name}` belongs in {article(elsewhere[0])}"
    if place.block.problems and name in spec.items:
        return  # an item in a form that could not be read
    word = "" if near else _lacking(place, item, spec)
    if word:
        start = place.at(Span(item.span.start, item.span.start))
        session.report(
            "DS0105",
            f"{_noun(spec)} has no attribute `{name}`",
            place.at(item.name),
            f"not a `{word}`",
            help=f"write `{word} {name} = …`",
            fixes=(Fix(f"Insert `{word}`", (Edit(start, f"{word} "),), "maybe"),),
        )
        return
    session.report(
        "DS0105",
        f"{_noun(spec)} has no attribute `{name}`{did_you_mean(near)}",
        place.at(item.name),
        "unknown attribute",
        help="" if near else f"it has {listed(known)}{extra}" if known else f"it has no attributes{extra}",
        fixes=suggestions(place.at(item.name), near),
    )


def _lacking(place: Place, item: Setting | Section, spec: BlockSpec) -> str:
    """The word that makes an item of a name and a value, where nothing else can be meant."""
    if isinstance(item, Setting) and "let" in spec.items:
        promised = place.declaration.returns
        names = [each.name.text for each in promised] if isinstance(promised, tuple) else []
        return "return" if item.name.text in names else "let"
    return (
        "step" if isinstance(item, Setting) and isinstance(item.value, Call) and "step" in spec.items else ""
    )


def _twice(
    session: Session, place: Place, item: Setting | Section, seen: dict[str, Setting | Section]
) -> None:
    name = item.name.text
    first = seen.setdefault(name, item)
    if first is item:
        return
    session.report(
        "DS0106",
        f"`{name}` is set twice",
        place.at(item.name),
        "again here",
        secondary=(Label(place.at(first.name), "first set here"),),
        fixes=(Fix("Delete the second one", (delete_item(place, item),), "maybe"),),
    )


def delete_item(place: Place, item: Item) -> Edit:
    """The edit that removes an item with the separator before it."""
    text = place.block.text
    start, end = item.span
    while start > 0 and text[start - 1] in " \t":
        start -= 1
    if start > 0 and text[start - 1] in ";\n":
        start -= 1
    return Edit(place.at(Span(start, end)), "")


def _missing(session: Session, place: Place, attribute: AttributeSpec, spec: BlockSpec) -> None:
    name = place.declaration.name or place.declaration.keyword
    line = f"{attribute.name} = {attribute.placeholder}"
    session.report(
        "DS0107",
        f"{spec.keyword} `{_called(place)}` is missing `{attribute.name}`",
        place.at(name),
        help=f"{attribute.doc} For example `{line}`",
        fixes=insert_item(place, line, f"Insert `{line}`"),
    )


def later(session: Session, place: Place, what: str, node: Node, notes: tuple[str, ...] = ()) -> None:
    """Report something that the language has and this version cannot run."""
    session.report(
        "DS0120",
        f"not supported yet: {what}",
        place.at(node),
        "cannot run yet",
        notes=("the file is still checked; it cannot be compiled or run while this stands in it", *notes),
    )
