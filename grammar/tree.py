"""The syntax tree: what was typed, and where.

One declaration is parsed at a time, so spans count code points from the first character of the
*declaration*, not of the file. An edit above a declaration therefore never touches its tree, and a
tree can be cached by its text. `Block.start` places a declaration in its file.

Nothing here knows what a name means: that is the compiler's business.
"""

from __future__ import annotations

from typing import Literal as OneOf
from typing import NamedTuple

from msgspec import Struct, field


class Span(NamedTuple):
    """Half-open range of code points, relative to the start of the declaration."""

    start: int
    end: int


class Node(Struct, frozen=True):
    span: Span


class Name(Node, frozen=True):
    text: str


# Types ------------------------------------------------------------------------------------------


class NamedType(Node, frozen=True):
    """`str`, `Intent`, or `shapes.Invoice` (then `qualifier` is `shapes`)."""

    name: Name
    qualifier: Name | None = None


class ListType(Node, frozen=True):
    item: TypeNode


class DictType(Node, frozen=True):
    key: TypeNode
    value: TypeNode


class TupleType(Node, frozen=True):
    """`tuple[str, int]`."""

    items: tuple[TypeNode, ...]


class OptionalType(Node, frozen=True):
    item: TypeNode


class UnionType(Node, frozen=True):
    """Alternatives joined by `|`; the checker allows literals of one kind, or records, and says so."""

    members: tuple[TypeNode, ...]


class LiteralType(Node, frozen=True):
    """One literal in type position: a string, or a number. `note` is what a `type` says of a string."""

    value: str | int | float
    note: str | None = None


TypeNode = NamedType | ListType | DictType | TupleType | OptionalType | UnionType | LiteralType


# Expressions ------------------------------------------------------------------------------------


class Literal(Node, frozen=True):
    value: str | int | float | bool | None


class Percent(Node, frozen=True):
    """`20%`; `value` is 20.0."""

    value: float


class Reference(Node, frozen=True):
    name: Name


class Attribute(Node, frozen=True):
    """`target.name`; `name` is None while the user is still typing after the dot."""

    target: Expr
    name: Name | None


class Index(Node, frozen=True):
    target: Expr
    index: Expr


class Argument(Node, frozen=True):
    """`value` or `name = value`."""

    name: Name | None
    value: Expr


class Call(Node, frozen=True):
    callee: Expr
    arguments: tuple[Argument, ...]


class Unary(Node, frozen=True):
    operator: OneOf["not", "-"]
    operand: Expr


BinaryOperator = OneOf["or", "and", "==", "!=", "<", "<=", ">", ">=", "in", "not in", "+", "-", "*", "/"]


class Binary(Node, frozen=True):
    operator: BinaryOperator
    left: Expr
    right: Expr


class Conditional(Node, frozen=True):
    """`if condition then consequence else alternative`."""

    condition: Expr
    consequence: Expr
    alternative: Expr


class ListLiteral(Node, frozen=True):
    items: tuple[Expr, ...]


class Comprehension(Node, frozen=True):
    """`[element for variable in iterable]`; with `of`, `[element for variable, of in iterable]` through a dict."""

    element: Expr
    variable: Name
    of: Name | None
    """What a dict has under the key `variable`."""
    iterable: Expr


class Parameter(Node, frozen=True):
    """`name: type = default` in a header or inside `sig(...)`; no type means `str`."""

    name: Name
    type: TypeNode | None = None
    default: Expr | None = None


class InlineSignature(Node, frozen=True):
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


class Doc(Node, frozen=True):
    text: str


class Setting(Node, frozen=True):
    """`name = value`."""

    name: Name
    value: Expr


class SettingOf(Node, frozen=True):
    """`name for address = value`: what an attribute is for one predictor."""

    name: Name
    address: Expr
    value: Expr


class Section(Node, frozen=True):
    """`name { items }`."""

    name: Name
    items: tuple[Item, ...]


class FieldItem(Node, frozen=True):
    """`input|output|field name: type [= default] ["description"]`."""

    role: OneOf["input", "output", "field"]
    name: Name
    type: TypeNode | None = None
    default: Expr | None = None
    description: str | None = None


class CheckItem(Node, frozen=True):
    """`assert|suggest condition [else message]`."""

    kind: OneOf["assert", "suggest"]
    condition: Expr
    message: Expr | None = None


class Let(Node, frozen=True):
    name: Name
    value: Expr


class Repeat(Node, frozen=True):
    """`let name = repeat times from state, … { items }`."""

    name: Name
    times: Literal
    state: tuple[Name, ...]
    items: tuple[Item, ...]


class Until(Node, frozen=True):
    """`until condition`, in a `repeat`."""

    condition: Expr


class Return(Node, frozen=True):
    arguments: tuple[Argument, ...]


class Step(Node, frozen=True):
    """`step [name =] value`."""

    name: Name | None
    value: Expr


class Given(Node, frozen=True):
    name: Name
    value: Expr


class Expect(Node, frozen=True):
    condition: Expr


class Gate(Node, frozen=True):
    condition: Expr


Item = (
    Doc
    | Setting
    | SettingOf
    | Section
    | FieldItem
    | CheckItem
    | Let
    | Repeat
    | Until
    | Return
    | Step
    | Given
    | Expect
    | Gate
)


# Declarations -----------------------------------------------------------------------------------


class Declaration(Node, frozen=True):
    """One declaration, in the language's one uniform shape.

    `KEYWORD name [(parameters)] [-> returns] [extends base] ( { items } | = value )`. Which parts a keyword may
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
    base: Reference | Attribute | None = None


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


class Comment(Node, frozen=True):
    """A `#` comment with its marker, without the newline."""

    text: str


ProblemKind = OneOf[
    "unexpected",  # `found` cannot stand here; `expected` lists what can
    "misspelt",  # an item starts with `found`, reads on as one that starts with `expected`, and is read as that
    "unclosed",  # `opener` is never closed
    "unknown_keyword",  # a line at column 0 starts with a word that declares nothing
    "bad_string",  # a string that never ends, or an unknown escape
    "bad_character",  # a character that the language does not use
    "too_deep",  # nesting, or length, beyond the parser's limits
]


class Problem(Node, frozen=True):
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


class Block(Struct):
    """One declaration's stretch of text, from its keyword to the next declaration.

    `start` is the offset of its first character in the file. `declaration` is None when not even
    the keyword and name could be read; otherwise it holds every item that parsed, also when
    `problems` is not empty.

    `reparse` moves the blocks that an edit leaves as they are, and is the only one that changes a block.
    """

    start: int
    text: str
    declaration: Declaration | None
    problems: tuple[Problem, ...] = ()
    comments: tuple[Comment, ...] = ()

    @property
    def declared(self) -> str:
        """The text that the declaration was read from, without the blanks and comments behind it. All of the text where
        not everything could be read."""
        if self.declaration is None or self.problems:
            return self.text
        return self.text[: self.declaration.span.end]

    def absolute(self, span: Span) -> Span:
        """The span counted from the start of the file."""
        return Span(self.start + span.start, self.start + span.end)


class SourceTree(Struct, frozen=True):
    """A parsed file: the text before the first declaration, then blocks that tile the rest."""

    text: str
    blocks: tuple[Block, ...] = field(default=())
