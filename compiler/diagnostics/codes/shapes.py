"""DS022 and DS036: unions of records, tuples, and fields that a base has."""

from __future__ import annotations

from ...project.source import Location
from ..record import Diagnostic, Label, also
from ..wording import article, quoted
from .base import Code, Finding

_CARD = """\
dspec 1

lm mini { model = "openai/gpt-4o-mini" }
record Card { field kind: "card"; field last4: str }
"""
_CASH = 'record Cash { field kind: "cash"; field amount: float }\n'
_PAID = _CARD + _CASH + "type Payment = Card | Cash\n"
_ASK = "module ask = Predict(Ask)\n"


def _last(expression: str) -> str:
    return (
        _PAID
        + "signature Ask { input text: str; output payment: Payment }\n"
        + _ASK
        + "program P(text: str) -> (last4: str) {\n  let a = ask(text = text)\n"
        + f"  return last4 = {expression}\n}}\n"
    )


DS0360 = Code(
    "DS0360",
    "error",
    "records that nothing tells apart",
    "A value of a union of records says itself which of them it is: by one field that all of them have, whose type is one "
    "literal, or a union of literals, and no two records share one. It is written in the record itself, as in "
    '`field kind: "card"`.',
    _CARD + "record Cash { field amount: float }\ntype Payment = Card | Cash\n",
    _PAID,
)


class NothingTellsApart(Finding, frozen=True):
    """A union of these `records`. Those at `without` lack the literal field `tag`, or two of them share its `value`."""

    code = DS0360
    records: tuple[str, ...]
    tag: str
    value: str
    without: tuple[tuple[str, Location], ...]

    def told(self) -> Diagnostic:
        literal = self.records[0].lower()
        shared = f'`{self.tag}` may be "{self.value}" in {quoted(name for name, _ in self.without)}'
        return self.says(
            f"nothing tells {quoted(self.records[:4])} apart",
            shared if self.value else "a union of records",
            secondary=tuple(
                Label(place, "the same literal" if self.value else f"no literal field `{self.tag}`")
                for _, place in self.without[:4]
            ),
            help="give each record another literal"
            if self.value
            else f'give each record the same field with a literal of its own: `field {self.tag}: "{literal}"`',
        )


class TooManyParts(Finding, frozen=True):
    """A union or a tuple of more parts than it may have."""

    code = DS0360
    what: str
    number: int
    most: int

    def told(self) -> Diagnostic:
        return self.says(
            f"{self.what} has at most {self.most} parts, and this one has {self.number:,}", "too many"
        )


DS0361 = Code(
    "DS0361",
    "error",
    "index of a tuple",
    "Each value of a tuple has its own type, so its index is a number that is written out and that the tuple has: "
    "`pair[0]`, or `pair[-1]` for the last.",
    _CARD
    + "signature Ask { input text: str; output pair: tuple[str, int] }\n"
    + _ASK
    + "program P(text: str) -> (name: str) {\n  let a = ask(text = text)\n  return name = a.pair[2]\n}\n",
    _CARD
    + "signature Ask { input text: str; output pair: tuple[str, int] }\n"
    + _ASK
    + "program P(text: str) -> (name: str) {\n  let a = ask(text = text)\n  return name = a.pair[0]\n}\n",
)


class NotInTuple(Finding, frozen=True):
    """An index of a tuple of so many values; `literal` says that it is a number that is written out."""

    code = DS0361
    number: int
    literal: bool

    def told(self) -> Diagnostic:
        last = f"its indexes are 0 to {self.number - 1}" if self.number > 1 else "its only index is 0"
        return self.says(
            f"the tuple has no value {self.where.text}"
            if self.literal
            else "the index of a tuple is a number that is written out",
            "not in the tuple" if self.literal else "no literal",
            help=last,
        )


DS0362 = Code(
    "DS0362",
    "error",
    "field of some records of a union",
    "Of a union of records, the fields that all of them have can be read. A field of some of them can be read where a "
    'condition has asked which record it is, by the field that tells them apart: `if p.kind == "card" then p.last4 else ""`, '
    'or `p.kind == "card" and p.last4 == "1234"`.',
    _last("a.payment.last4"),
    _last('if a.payment.kind == "card" then a.payment.last4 else "none"'),
)


class OfSomeRecords(Finding, frozen=True):
    """A field that only `owners` of a union have. `tag` tells them apart, and is `value` in the first of them; `type` is
    the field's. `differs` says that all have it, with types that do not agree."""

    code = DS0362
    of: str
    owners: tuple[tuple[str, Location | None], ...]
    tag: str
    value: str
    differs: bool

    def told(self) -> Diagnostic:
        name = self.where.text
        first = next((place for _, place in self.owners if place), None)
        only = quoted(owner for owner, _ in self.owners)
        have = "has" if len(self.owners) == 1 else "have"
        return self.says(
            f"`{name}` of `{self.of}` has another type in each record"
            if self.differs
            else f"only {only} {have} the field `{name}`, and `{self.of}` may be another record",
            "not the same in all" if self.differs else "not in all",
            secondary=also(first, f"`{name}` is declared here"),
            help=f'ask first: `if {self.of}.{self.tag} == "{self.value}" then {self.of}.{name} else …`',
        )


DS0220 = Code(
    "DS0220",
    "error",
    "nothing to extend",
    "A signature can extend a signature, and a record a record: it has the base's fields before its own.",
    'dspec 1\n\nlm mini extends base { model = "openai/gpt-4o-mini" }\nlm base { model = "openai/gpt-4o" }\n',
    'dspec 1\n\nlm mini { model = "openai/gpt-4o-mini" }\nsignature Base { input text: str; output topic: str }\n'
    "signature Full extends Base { output reply: str }\n",
)


class ExtendsNothing(Finding, frozen=True):
    """A declaration of a `kind` that extends something; `where` is the base's name."""

    code = DS0220
    kind: str

    def told(self) -> Diagnostic:
        return self.says(
            f"{article(self.kind)} cannot extend anything",
            "cannot stand here",
            help="signatures and records can: they have a base's fields before their own",
        )


DS0221 = Code(
    "DS0221",
    "error",
    "extends itself",
    "A declaration that extends itself, directly or through its base, would have no first field.",
    "dspec 1\n\nrecord A extends B { field a: str }\nrecord B extends A { field b: str }\n",
    "dspec 1\n\nrecord A { field a: str }\nrecord B extends A { field b: str }\n",
)


class ExtendsItself(Finding, frozen=True):
    code = DS0221
    name: str

    def told(self) -> Diagnostic:
        return self.says(
            f"`{self.name}` extends itself", "leads back here", help="let one of them stand alone"
        )


DS0222 = Code(
    "DS0222",
    "error",
    "field of the base in other words",
    "A field that the base has may be declared again to say more of it: with a description, a default, or a type all of whose "
    "values are values of the base's, such as a union of literals for a `str`. It keeps its place and whether it is an input or "
    "an output.",
    'dspec 1\n\nrecord Base { field kind: "a" | "b" }\nrecord Full extends Base { field kind: str }\n',
    'dspec 1\n\nrecord Base { field kind: str }\nrecord Full extends Base { field kind: "a" | "b" }\n',
)


class NoRefinement(Finding, frozen=True):
    """A field of the `base` that is declared again: as another role, or with a type `got` that does not fit `want`."""

    code = DS0222
    base: str
    first: Location
    role: str
    got: str
    want: str

    def told(self) -> Diagnostic:
        name = self.where.text
        return self.says(
            f"`{name}` is {self.role} of `{self.base}`, and stays one"
            if self.role
            else f"`{name}` of `{self.base}` is {self.want}, and {self.got} does not fit that",
            "another role" if self.role else self.got,
            secondary=(Label(self.first, "the base's field"),),
            help="give it another name, or a type that the base's holds",
        )
