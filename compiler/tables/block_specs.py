"""What a block, a section and an attribute are: the columns of the table in `blocks`."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

from dspec.runtime.schema.types import JsonValue

DeclarationKind = Literal[
    "extern",
    "type",
    "record",
    "lm",
    "signature",
    "module",
    "program",
    "dataset",
    "metric",
    "optimize",
    "eval",
    "test",
    "import",
]
"""What a block declares, by the word that starts it."""

SymbolKind = (
    DeclarationKind
    | Literal["input", "output", "field", "column", "let", "step", "parameter", "variable", "part"]
)
"""What a name stands for: a declaration, or a thing inside one."""

ItemKind = Literal[
    "doc",
    "input",
    "output",
    "field",
    "assert",
    "suggest",
    "let",
    "until",
    "return",
    "step",
    "given",
    "expect",
    "gate",
]
"""Items other than `name = value` and `name { … }`, by the word that starts them."""

ValueKind = Literal[
    "text",  # a string
    "texts",  # a string or a list of strings
    "integer",
    "number",
    "flag",  # true or false
    "choice",  # one of `choices`, as a string
    "secret",  # env("NAME") and nothing else
    "address",  # a string or env("NAME")
    "reference",  # the name of a declaration of one of the kinds in `refers`
    "references",  # a list of such names
    "rows",  # a dataset or one of its parts
    "expression",  # checked by the block's own rules
    "amount",  # rows or percent
    "header",  # a string or env("NAME")
    "json",  # a literal, or a list of such
    "shown",  # a literal of the type that the signature's field of the name has
]

Presence = Literal["never", "optional", "required"]
Body = Literal["block", "value", "either"]


class AttributeSpec(Struct, frozen=True):
    """`name = value`. `default` None means unset; bounds are inclusive."""

    name: str
    value: ValueKind
    doc: str
    required: bool = False
    default: JsonValue = None
    choices: tuple[str, ...] = ()
    refers: tuple[DeclarationKind, ...] = ()
    addressed: bool = False
    """Whether it may be set for one predictor, as in `feedback for agent.react = …`."""
    minimum: float | None = None
    maximum: float | None = None
    placeholder: str = ""
    """What a fix or a completion writes after `=`."""
    of_module: bool = False
    """Whether a module may say it, too, as an option: of an `lm`."""


class SectionSpec(Struct, frozen=True):
    """`name { … }`. With `free`, any further name is allowed and has that kind of value."""

    name: str
    doc: str
    attributes: tuple[AttributeSpec, ...]
    free: ValueKind | None = None
    nested: bool = False
    """Whether blocks may stand in it, whose names are free, too."""
    several: bool = False
    """Whether a block may have more than one."""

    def attribute(self, name: str) -> AttributeSpec | None:
        return next((attribute for attribute in self.attributes if attribute.name == name), None)


class BlockSpec(Struct, frozen=True):
    """One declaration kind. `form` shows its shape, for messages and hover."""

    keyword: str
    doc: str
    form: str
    body: Body
    named: bool = True
    parameters: Presence = "never"
    returns: Presence = "never"
    items: tuple[ItemKind, ...] = ()
    attributes: tuple[AttributeSpec, ...] = ()
    sections: tuple[SectionSpec, ...] = ()

    def attribute(self, name: str) -> AttributeSpec | None:
        return next((attribute for attribute in self.attributes if attribute.name == name), None)

    def section(self, name: str) -> SectionSpec | None:
        return next((section for section in self.sections if section.name == name), None)

    @property
    def allowed(self) -> tuple[str, ...]:
        """What may stand in the body, as a message lists it: items, then attributes and sections."""
        words = ["a doc string" if item == "doc" else item for item in self.items]
        words += [attribute.name for attribute in self.attributes]
        return (*words, *(section.name for section in self.sections))
