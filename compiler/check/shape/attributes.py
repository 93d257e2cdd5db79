"""Attribute values: does `temperature = "hot"` fit what the table in `blocks` says?

Only attributes that the shape check let through are read. A value that does not fit is reported here
and reads as unset.
"""

from __future__ import annotations

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

from ...diagnostics.record import Fix, Label
from ...diagnostics.spelling import closest
from ...tables.block_specs import AttributeSpec, SectionSpec
from ...tables.blocks import BLOCKS
from ..names.names import did_you_mean_text, resolve
from ..session import Place, Session, replace, suggestions
from ..symbols import Symbol

KEY_HELP = 'write `env("NAME")` and keep the key in the environment; a file with a key in it leaks it'


class FromEnvironment(Struct, frozen=True):
    """`env("NAME")`."""

    name: str


def settings(items: tuple[Item, ...] | None) -> dict[str, Setting]:
    """The first setting of each name: what the block means, whatever is repeated."""
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
        self, session: Session, place: Place, items: tuple[Item, ...] | None, spec: SectionSpec | None = None
    ) -> None:
        self.session = session
        self.place = place
        self.spec = spec or BLOCKS[place.declaration.keyword.text]
        self.found = settings(items)

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
        self._wrong(name, node, "text in quotes")
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
                self._wrong(name, item, "text in quotes, or a list of such texts")
        return tuple(values)

    def flag(self, name: str) -> bool | None:
        node = self.value(name)
        if node is None or (isinstance(node, Literal) and isinstance(node.value, bool)):
            return node.value if isinstance(node, Literal) and isinstance(node.value, bool) else None
        self._wrong(name, node, "`true` or `false`")
        return None

    def integer(self, name: str) -> int | None:
        node = self.value(name)
        if node is None:
            return None
        number = number_of(node)
        if number is None or number != int(number) or isinstance(number, float):
            self._wrong(name, node, "a whole number")
            return None
        return int(number) if self._in_bounds(name, node, number) else None

    def number(self, name: str) -> float | None:
        node = self.value(name)
        if node is None:
            return None
        number = number_of(node)
        if number is None:
            self._wrong(name, node, "a number")
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
            near = closest(node.value, choices)
            self.session.report(
                "DS0110",
                f'`{name}` cannot be "{node.value}"{did_you_mean_text(near)}',
                self.place.at(node),
                "not a choice",
                help=f"it is {' or '.join(chr(34) + choice + chr(34) for choice in choices)}",
                fixes=suggestions(self.place.at(node), tuple(f'"{choice}"' for choice in near)),
            )
            return None
        word = node.name.text if isinstance(node, Reference) else ""
        fixes = (replace(self.place.at(node), f'"{word}"'),) if word in choices else ()
        self._wrong(name, node, " or ".join(f'"{choice}"' for choice in choices), fixes=fixes)
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
            if self._attribute(name).value == "address":
                return node.value
            variable = (
                f"{(self.place.declaration.name or self.place.declaration.keyword).text.upper()}_API_KEY"
            )
            self.session.report(
                "DS0705",
                f"`{name}` holds a secret in the source",
                self.place.at(node),
                "a literal key",
                help=KEY_HELP,
                fixes=(
                    replace(self.place.at(node), f'env("{variable}")', f'Read it from `env("{variable}")`'),
                ),
            )
            return None
        wanted = (
            '`env("NAME")`' if self._attribute(name).value == "secret" else 'text in quotes or `env("NAME")`'
        )
        self._wrong(name, node, wanted)
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
            path = isinstance(node, Reference | Attribute)
            fix = (replace(self.place.at(node), f"[{self.place.text(node)}]"),) if path else ()
            self._wrong(
                name,
                node,
                f"a list of names, as in `[{self.place.text(node) if path else 'a, b'}]`",
                fixes=fix,
            )
            return ()
        found = [(item, resolve(self.session, self.place, item, kinds, f"`{name}`")) for item in node.items]
        return tuple((item, symbol) for item, symbol in found if symbol is not None)

    def _in_bounds(self, name: str, node: Expr, number: float) -> bool:
        attribute = self._attribute(name)
        low, high = attribute.minimum, attribute.maximum
        if (low is None or number >= low) and (high is None or number <= high):
            return True
        out_of_range(self.session, self.place, node, f"`{name}`", low, high)
        return False

    def _wrong(self, name: str, node: Expr, wanted: str, *, fixes: tuple[Fix, ...] = ()) -> None:
        attribute = self._attribute(name)
        self.session.report(
            "DS0110",
            f"`{name}` takes {wanted}, and this is {described(self.place, node)}",
            self.place.at(node),
            described(self.place, node),
            help=f"for example `{name} = {attribute.placeholder}`" if attribute.placeholder else "",
            fixes=fixes,
        )


def out_of_range(
    session: Session, place: Place, node: Expr, what: str, low: float | None, high: float | None
) -> None:
    if low is not None and high is not None:
        bounds = f"lie between {low:g} and {high:g}"
    else:
        bounds = f"be at least {low:g}" if low is not None else f"be at most {high:g}"
    session.report(
        "DS0115",
        f"{what} must {bounds}, and this is {place.text(node)}",
        place.at(node),
        "out of range",
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


def described(place: Place, node: Expr) -> str:
    """What an expression is, in a message about a value that does not fit."""
    match node:
        case Literal(value=None):
            return "`none`"
        case Literal(value=bool() as flag):
            return "`true`" if flag else "`false`"
        case Literal(value=str()):
            return "text"
        case Literal(value=int() | float()) | Unary(operator="-", operand=Literal(value=int() | float())):
            return f"the number {place.text(node)}"
        case ListLiteral():
            return "a list"
        case Reference(name=name):
            return f"the name `{name.text}`"
        case _:
            return f"the expression `{_short(place.text(node))}`"


def _short(text: str) -> str:
    one_line = " ".join(text.split())
    return one_line if len(one_line) <= 40 else one_line[:39] + "…"


def same_twice(session: Session, place: Place, what: str, again: Name, first: Symbol) -> None:
    session.report(
        "DS0203",
        f"{what} `{again.text}` is declared twice",
        place.at(again),
        "again here",
        secondary=(Label(first.location, "first declared here"),),
        help="give one of them another name",
    )
