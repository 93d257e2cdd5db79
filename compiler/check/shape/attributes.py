"""Attribute values: does `temperature = "hot"` fit what the table in `blocks` says?

Only attributes that the shape check let through are read. A value that does not fit is reported here
and reads as unset.
"""

from __future__ import annotations

from collections.abc import Mapping

from msgspec import Struct

from dspec.grammar.tree import (
    Argument,
    Attribute,
    Call,
    Expr,
    Item,
    ListLiteral,
    Literal,
    Name,
    Reference,
    Section,
    Setting,
    Unary,
)

from ...diagnostics import codes
from ...diagnostics.wording import Form
from ...tables.block_specs import AttributeSpec, BlockSpec, SectionSpec
from ...tables.blocks import BLOCKS
from ..names.names import resolve
from ..session import Place, Session
from ..symbols import Symbol
from .secrets import holds_secret

LEAST, MOST = -(2**63), 2**63 - 1
"""The bounds of a whole number whose attribute sets no narrower ones."""


class FromEnvironment(Struct, frozen=True):
    """`env("NAME")`."""

    name: str


def settings(items: tuple[Item, ...] | None) -> dict[str, Setting]:
    """The first setting of each name: it counts, and a repetition does not."""
    found: dict[str, Setting] = {}
    for item in items or ():
        if isinstance(item, Setting):
            found.setdefault(item.name.text, item)
    return found


def section(items: tuple[Item, ...] | None, name: str) -> Section | None:
    return next((item for item in items or () if isinstance(item, Section) and item.name.text == name), None)


class Reader:
    """Reads the attributes of one block or section by the table."""

    def __init__(
        self,
        session: Session,
        place: Place,
        items: tuple[Item, ...] | None,
        spec: SectionSpec | BlockSpec | None = None,
    ) -> None:
        self.session = session
        self.place = place
        self.spec = spec or BLOCKS[place.declaration.keyword.text]
        self.found: Mapping[str, Setting | Argument] = settings(items)

    @classmethod
    def of_arguments(
        cls, session: Session, place: Place, given: Mapping[str, Argument], spec: BlockSpec
    ) -> Reader:
        """Reads the arguments of a call by the table of a block that has attributes of their names."""
        read = cls(session, place, None, spec)
        read.found = given
        return read

    def value(self, name: str) -> Expr | None:
        setting = self.found.get(name)
        return setting.value if setting else None

    def _attribute(self, name: str) -> AttributeSpec:
        attribute = self.spec.attribute(name)
        assert attribute is not None, name
        return attribute

    def text(self, name: str) -> str | None:
        node = self.value(name)
        if node is None:
            return None
        if isinstance(node, Literal) and isinstance(node.value, str):
            return node.value
        self._wrong(name, node, "text")
        return None

    def texts(self, name: str) -> tuple[str, ...]:
        node = self.value(name)
        if node is None:
            return ()
        nodes = node.items if isinstance(node, ListLiteral) else (node,)
        values: list[str] = []
        for item in nodes:
            if isinstance(item, Literal) and isinstance(item.value, str):
                values.append(item.value)
            else:
                self._wrong(name, item, "texts")
        return tuple(values)

    def flag(self, name: str) -> bool | None:
        node = self.value(name)
        if node is None or (isinstance(node, Literal) and isinstance(node.value, bool)):
            return node.value if isinstance(node, Literal) and isinstance(node.value, bool) else None
        self._wrong(name, node, "flag")
        return None

    def integer(self, name: str) -> int | None:
        node = self.value(name)
        if node is None:
            return None
        number = number_of(node)
        if number is None or number != int(number) or isinstance(number, float):
            self._wrong(name, node, "integer")
            return None
        return int(number) if self._in_bounds(name, node, number) else None

    def number(self, name: str) -> float | None:
        node = self.value(name)
        if node is None:
            return None
        number = number_of(node)
        if number is None:
            self._wrong(name, node, "number")
            return None
        return float(number) if self._in_bounds(name, node, number) else None

    def choice(self, name: str) -> str | None:
        node = self.value(name)
        if node is None:
            return None
        attribute = self._attribute(name)
        choices = attribute.choices
        if isinstance(node, Literal) and isinstance(node.value, str):
            if node.value in choices:
                return node.value
            self.session.report(codes.attributes.NotAChoice(self.place.at(node), name, node.value, choices))
            return None
        self._wrong(name, node, "choice")
        return None

    def environment(self, name: str) -> FromEnvironment | str | None:
        """`env("NAME")`; for an address also a plain string."""
        node = self.value(name)
        if node is None:
            return None
        found = environment(node)
        if found is not None:
            return found
        if isinstance(node, Literal) and isinstance(node.value, str):
            ending = "API_KEY"
            if self._attribute(name).value == "address":
                if not holds_secret(node.value):
                    return node.value
                ending = "API_BASE"
            variable = (
                f"{(self.place.declaration.name or self.place.declaration.keyword).text.upper()}_{ending}"
            )
            self.session.report(codes.models.SecretInSource(self.place.at(node), name, variable))
            return None
        self._wrong(name, node, "secret" if self._attribute(name).value == "secret" else "address")
        return None

    def reference(self, name: str) -> Symbol | None:
        node = self.value(name)
        if node is None:
            return None
        return resolve(self.session, self.place, node, self._attribute(name).refers, f"`{name}`")

    def references(self, name: str) -> tuple[tuple[Expr, Symbol], ...]:
        node = self.value(name)
        if node is None:
            return ()
        kinds = self._attribute(name).refers
        if not isinstance(node, ListLiteral):
            self._wrong(name, node, "references")
            return ()
        found = [(item, resolve(self.session, self.place, item, kinds, f"`{name}`")) for item in node.items]
        return tuple((item, symbol) for item, symbol in found if symbol is not None)

    def _in_bounds(self, name: str, node: Expr, number: float) -> bool:
        attribute = self._attribute(name)
        low, high = attribute.minimum, attribute.maximum
        if attribute.value == "integer" and number < LEAST:
            low = LEAST
        if attribute.value == "integer" and number > MOST and high is None:
            high = MOST
        if (low is None or number >= low) and (high is None or number <= high):
            return True
        self.session.report(codes.syntax.OutOfRange(self.place.at(node), name, low, high))
        return False

    def _wrong(self, name: str, node: Expr, wanted: codes.attributes.Wanted) -> None:
        attribute = self._attribute(name)
        self.session.report(
            codes.attributes.WrongValue(
                self.place.at(node), name, wanted, form_of(node), attribute.choices, attribute.placeholder
            )
        )


def number_of(node: Expr) -> int | float | None:
    """A literal number, with its sign."""
    match node:
        case Literal(value=bool()):
            return None
        case Literal(value=int() | float() as value):
            return value
        case Unary(operator="-", operand=operand):
            inner = number_of(operand)
            return None if inner is None else -inner
        case _:
            return None


def environment(node: Expr) -> FromEnvironment | None:
    match node:
        case Call(
            callee=Reference(name=Name(text="env")),
            arguments=(Argument(name=None, value=Literal(value=str() as variable)),),
        ):
            return FromEnvironment(variable)
        case _:
            return None


def form_of(node: Expr) -> Form:
    """How a value is written, for a finding about one that does not fit."""
    match node:
        case Literal(value=None):
            return "none"
        case Literal(value=bool()):
            return "flag"
        case Literal(value=str()):
            return "text"
        case Literal(value=int() | float()) | Unary(operator="-", operand=Literal(value=int() | float())):
            return "number"
        case ListLiteral():
            return "list"
        case Reference():
            return "name"
        case Attribute():
            return "path"
        case _:
            return "expression"
