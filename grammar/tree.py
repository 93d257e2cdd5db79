"""The syntax tree: what was typed, and where.

One declaration is parsed at a time, so spans count code points from the first character of the
*declaration*, not of the file. An edit above a declaration therefore never touches its tree, and a
tree can be cached by its text. `Block.start` places a declaration in its file.

Nothing here knows what a name means: that is the compiler's business.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal as OneOf
from typing import NamedTuple


class Span(NamedTuple):
    """Half-open range of code points, relative to the start of the declaration."""

    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Node:
    span: Span


@dataclass(frozen=True, slots=True)
class Name(Node):
    text: str


# Types ------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class NamedType(Node):
    """`str`, `Intent`, or `shapes.Invoice` (then `qualifier` is `shapes`)."""

    name: Name
    qualifier: Name | None = None


@dataclass(frozen=True, slots=True)
class ListType(Node):
    item: TypeNode


@dataclass(frozen=True, slots=True)
class DictType(Node):
    key: TypeNode
    value: TypeNode


@dataclass(frozen=True, slots=True)
class OptionalType(Node):
    item: TypeNode


@dataclass(frozen=True, slots=True)
class UnionType(Node):
    """Alternatives joined by `|`; the checker allows string literals only and says so."""

    members: tuple[TypeNode, ...]


@dataclass(frozen=True, slots=True)
class LiteralType(Node):
    """One string literal in type position."""

    value: str


TypeNode = NamedType | ListType | DictType | OptionalType | UnionType | LiteralType


# Expressions ------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Literal(Node):
    value: str | int | float | bool | None


@dataclass(frozen=True, slots=True)
class Percent(Node):
    """`20%`; `value` is 20.0."""

    value: float


@dataclass(frozen=True, slots=True)
class Reference(Node):
    name: Name


@dataclass(frozen=True, slots=True)
class Attribute(Node):
    """`target.name`; `name` is None while the user is still typing after the dot."""

    target: Expr
    name: Name | None


@dataclass(frozen=True, slots=True)
class Index(Node):
    target: Expr
    index: Expr


@dataclass(frozen=True, slots=True)
class Argument(Node):
    """`value` or `name = value`."""

    name: Name | None
    value: Expr


@dataclass(frozen=True, slots=True)
class Call(Node):
    callee: Expr
    arguments: tuple[Argument, ...]


@dataclass(frozen=True, slots=True)
class Unary(Node):
    operator: OneOf["not", "-"]
    operand: Expr


BinaryOperator = OneOf["or", "and", "==", "!=", "<", "<=", ">", ">=", "in", "not in", "+", "-", "*", "/"]


@dataclass(frozen=True, slots=True)
class Binary(Node):
    operator: BinaryOperator
    left: Expr
    right: Expr


@dataclass(frozen=True, slots=True)
class Conditional(Node):
    """`if condition then consequence else alternative`."""

    condition: Expr
    consequence: Expr
    alternative: Expr


@dataclass(frozen=True, slots=True)
class ListLiteral(Node):
    items: tuple[Expr, ...]


@dataclass(frozen=True, slots=True)
class Comprehension(Node):
    """`[element for variable in iterable]`."""

    element: Expr
    variable: Name
    iterable: Expr


@dataclass(frozen=True, slots=True)
class Parameter(Node):
    """`name: type = default` in a header or inside `sig(...)`; no type means `str`."""

    name: Name
    type: TypeNode | None = None
    default: Expr | None = None


@dataclass(frozen=True, slots=True)
class InlineSignature(Node):
    """`sig(question, facts: list[str] -> answer)`."""

    inputs: tuple[Parameter, ...]
    outputs: tuple[Parameter, ...]


Expr = (
    Literal
    | Percent
    | Reference
    | Attribute
    | Index
    | Call
    | Unary
    | Binary
    | Conditional
    | ListLiteral
    | Comprehension
    | InlineSignature
)


# Items ------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Doc(Node):
    text: str


@dataclass(frozen=True, slots=True)
class Setting(Node):
    """`name = value`."""

    name: Name
    value: Expr


@dataclass(frozen=True, slots=True)
class Section(Node):
    """`name { items }`."""

    name: Name
    items: tuple[Item, ...]


@dataclass(frozen=True, slots=True)
class FieldItem(Node):
    """`input|output|field name: type [= default] ["description"]`."""

    role: OneOf["input", "output", "field"]
    name: Name
    type: TypeNode | None = None
    default: Expr | None = None
    description: str | None = None


@dataclass(frozen=True, slots=True)
class CheckItem(Node):
    """`assert|suggest condition [else message]`."""

    kind: OneOf["assert", "suggest"]
    condition: Expr
    message: Expr | None = None


@dataclass(frozen=True, slots=True)
class Let(Node):
    name: Name
    value: Expr


@dataclass(frozen=True, slots=True)
class Return(Node):
    arguments: tuple[Argument, ...]


@dataclass(frozen=True, slots=True)
class Step(Node):
    """`step [name =] value`."""

    name: Name | None
    value: Expr


@dataclass(frozen=True, slots=True)
class Given(Node):
    name: Name
    value: Expr


@dataclass(frozen=True, slots=True)
class Expect(Node):
    condition: Expr


@dataclass(frozen=True, slots=True)
class Gate(Node):
    condition: Expr


Item = Doc | Setting | Section | FieldItem | CheckItem | Let | Return | Step | Given | Expect | Gate


# Declarations -----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Declaration(Node):
    """One declaration, in the language's one uniform shape.

    `KEYWORD name [(parameters)] [-> returns] ( { items } | = value )`. Which parts a keyword may
    have is checked by the compiler, so that the message can name the part. `keyword.text` is one of
    `KEYWORDS`. For `dspec 1`, `value` is the version literal; for `import "p" as n`, `value` is the
    path literal and `name` the alias; for `type`, `value` is a type.
    """

    keyword: Name
    name: Name | None = None
    parameters: tuple[Parameter, ...] | None = None
    returns: TypeNode | tuple[Parameter, ...] | None = None
    value: Expr | TypeNode | None = None
    items: tuple[Item, ...] | None = None


KEYWORDS = (
    "dspec",
    "import",
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
)


# What a parse returns ---------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Comment(Node):
    """A `#` comment with its marker, without the newline."""

    text: str


ProblemKind = OneOf[
    "unexpected",  # `found` cannot stand here; `expected` lists what can
    "unclosed",  # `opener` is never closed
    "unknown_keyword",  # a line at column 0 starts with a word that declares nothing
    "bad_string",  # a string that never ends, or an unknown escape
    "bad_character",  # a character that the language does not use
    "too_deep",  # nesting, or length, beyond the parser's limits
]


@dataclass(frozen=True, slots=True)
class Problem(Node):
    """A syntax error as data; the compiler turns it into a diagnostic.

    `found` is source text ("" at the end of the declaration). `expected` and `previous` are in the
    user's terms (`"}"`, `a name`, `=`), never terminal names. A line end that cannot stand there has
    `found` "\\n" and an empty span behind `previous`; of long source, `found` is the beginning.
    """

    kind: ProblemKind
    found: str = ""
    expected: tuple[str, ...] = ()
    previous: str = ""
    opener: Span | None = None


@dataclass(frozen=True, slots=True)
class Block:
    """One declaration's stretch of text, from its keyword to the next declaration.

    `start` is the offset of its first character in the file. `declaration` is None when not even
    the keyword and name could be read; otherwise it holds every item that parsed, also when
    `problems` is not empty.
    """

    start: int
    text: str
    declaration: Declaration | None
    problems: tuple[Problem, ...] = ()
    comments: tuple[Comment, ...] = ()

    def absolute(self, span: Span) -> Span:
        """The span counted from the start of the file."""
        return Span(self.start + span.start, self.start + span.end)


@dataclass(frozen=True, slots=True)
class SourceTree:
    """A parsed file: the text before the first declaration, then blocks that tile the rest."""

    text: str
    blocks: tuple[Block, ...] = field(default=())
