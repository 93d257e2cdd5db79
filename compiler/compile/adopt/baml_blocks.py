"""The blocks of a BAML file: a reader of what `baml` needs of the language, bounded, which raises NotRead for the rest."""

from __future__ import annotations

import re
import textwrap

from msgspec import Struct, field

from dspec.runtime.schema.types import JsonValue

from .drafts import one_line, quoted
from .python_source import NotRead

MAX_TOKENS = 200_000
MAX_DEPTH = 50

_TOKEN = re.compile(
    r"""
    (?P<space>[ \t\r]+|//[^\n]*|\{\#.*?\#\})
    |(?P<newline>\n)
    |(?P<raw>(?P<marks>\#+)"(?:.*?)"(?P=marks))
    |(?P<string>"(?:[^"\\\n]|\\.)*")
    |(?P<jinja>\{\{.*?\}\})
    |(?P<attribute>@@?[A-Za-z_][\w.]*)
    |(?P<number>-?\d+(?:\.\d+)?(?![\w.]))
    |(?P<name>[A-Za-z_][\w./:-]*)
    |(?P<symbol>->|[{}()\[\],?|<>=:;.])
    """,
    re.VERBOSE | re.DOTALL,
)


class BamlType(Struct, frozen=True):
    """A type: the name of one, or `list`, `map`, `tuple`, `optional`, `union` with its items, or a `literal` with its text."""

    name: str
    items: tuple[BamlType, ...] = ()
    text: str = ""


class BamlField(Struct, frozen=True):
    name: str
    type: BamlType | None
    attributes: dict[str, str]
    line: int


class BamlBlock(Struct):
    """One declaration. `values` are those of its lines `name value`; a class, an enum and a function have `fields`."""

    kind: str
    name: str
    line: int
    fields: list[BamlField] = field(default_factory=list[BamlField])
    values: dict[str, JsonValue] = field(default_factory=dict[str, JsonValue])
    attributes: dict[str, str] = field(default_factory=dict[str, str])
    checks: list[tuple[str, str]] = field(default_factory=list[tuple[str, str]])
    type: BamlType | None = None
    file: str = ""


class _Token(Struct, frozen=True):
    kind: str
    text: str
    line: int


def read_blocks(file: str, text: str) -> list[BamlBlock]:
    """The declarations of a file. Raises NotRead."""
    return _Reader(file, _tokens(file, text)).blocks()


def _tokens(file: str, text: str) -> list[_Token]:
    found: list[_Token] = []
    place, line = 0, 1
    while place < len(text):
        match = _TOKEN.match(text, place)
        if match is None:
            raise NotRead(f"{file}:{line}: {one_line(text[place : place + 20])!r} is not read")
        kind = match.lastgroup or ""
        kind = "raw" if match["raw"] is not None else kind
        if kind not in ("space",):
            found.append(_Token(kind, match[0], line))
        line += match[0].count("\n")
        place = match.end()
        if len(found) > MAX_TOKENS:
            raise NotRead(f"{file} has more than {MAX_TOKENS:,} words")
    return found


class _Reader:
    def __init__(self, file: str, tokens: list[_Token]) -> None:
        self.file = file
        self.tokens = tokens
        self.place = 0
        self.deep = 0

    def blocks(self) -> list[BamlBlock]:
        found: list[BamlBlock] = []
        while True:
            self._lines()
            if self.place >= len(self.tokens):
                return found
            block = self._block()
            block.file = self.file
            found.append(block)

    # Words ----------------------------------------------------------------------------------------

    def _peek(self, *texts: str) -> bool:
        return self.place < len(self.tokens) and self.tokens[self.place].text in texts

    def _kind(self) -> str:
        return self.tokens[self.place].kind if self.place < len(self.tokens) else "end"

    def _line(self) -> int:
        return self.tokens[min(self.place, len(self.tokens) - 1)].line if self.tokens else 1

    def _next(self) -> _Token:
        if self.place >= len(self.tokens):
            raise NotRead(f"{self.file}:{self._line()}: the file ends here, and a block does not")
        self.place += 1
        return self.tokens[self.place - 1]

    def _expect(self, text: str) -> None:
        token = self._next()
        if token.text != text:
            raise NotRead(
                f"{self.file}:{token.line}: `{text}` is expected, and {one_line(token.text, 30)!r} stands there"
            )

    def _word(self) -> str:
        token = self._next()
        if token.kind != "name":
            raise NotRead(
                f"{self.file}:{token.line}: a name is expected, and {one_line(token.text, 30)!r} stands there"
            )
        return token.text

    def _lines(self) -> None:
        while self._kind() == "newline" or self._peek(",", ";"):
            self.place += 1

    # Blocks ---------------------------------------------------------------------------------------

    def _block(self) -> BamlBlock:
        line = self._line()
        kind = self._word()
        if kind == "type":
            name = self._word()
            self._expect("=")
            return BamlBlock(kind, name, line, type=self._type())
        if self._peek("<"):
            self._next()
            self._word()
            self._expect(">")
        block = BamlBlock(kind, self._word(), line)
        if self._peek("("):
            block.fields = self._arguments()
            if self._peek("->"):
                self._next()
                block.type = self._type()
        if kind == "template_string" and self._kind() in ("raw", "string"):
            block.values["prompt"] = _text(self._next())
            return block
        self._lines()
        self._expect("{")
        match kind:
            case "class":
                self._fields(block, typed=True)
            case "enum":
                self._fields(block, typed=False)
            case _:
                self._settings(block)
        return block

    def _arguments(self) -> list[BamlField]:
        self._expect("(")
        found: list[BamlField] = []
        self._lines()
        while not self._peek(")"):
            line = self._line()
            name = self._word()
            if name.endswith(":"):  # `text:string` is one word
                name = name[:-1]
            elif ":" in name:
                name, _, rest = name.partition(":")
                self.place -= 1
                self.tokens[self.place] = _Token("name", rest, line)
            elif self._peek(":"):
                self._next()
            found.append(BamlField(name, self._type(), {}, line))
            self._lines()
        self._expect(")")
        return found

    def _fields(self, block: BamlBlock, *, typed: bool) -> None:
        while True:
            self._lines()
            if self._peek("}"):
                self._next()
                return
            if self._kind() == "attribute":
                name, text = self._attribute()
                block.attributes[name] = text
                continue
            line = self._line()
            name = self._word()
            kind = self._type() if typed else None
            block.fields.append(
                BamlField(name.rstrip(":") if typed else name, kind, self._attributes(), line)
            )

    def _attributes(self) -> dict[str, str]:
        found: dict[str, str] = {}
        while True:
            place = self.place
            while self._kind() == "newline":
                self.place += 1
            if self._kind() != "attribute" or self.tokens[self.place].text.startswith("@@"):
                self.place = place
                return found
            name, text = self._attribute()
            found[name] = text

    def _attribute(self) -> tuple[str, str]:
        """An attribute's name and what stands in its brackets: the last text or expression."""
        name = self._next().text.lstrip("@")
        text, deep = "", 0
        if not self._peek("("):
            return name, text
        while True:
            token = self._next()
            deep += token.text == "("
            deep -= token.text == ")"
            if token.kind in ("string", "raw"):
                text = _text(token)
            elif token.kind == "jinja":
                text = token.text[2:-2].strip()
            if deep == 0:
                return name, text

    def _settings(self, block: BamlBlock) -> None:
        while True:
            self._lines()
            if self._peek("}"):
                self._next()
                return
            if self._kind() == "attribute":
                name, text = self._attribute()
                block.checks.append((name, text))
                continue
            key = self._word()
            if key == "type_builder":
                raise NotRead(
                    f"{self.file}:{self._line()}: a `type_builder` makes types while the program runs"
                )
            block.values[key.rstrip(":")] = self._value()

    def _value(self) -> JsonValue:
        self.deep += 1
        if self.deep > MAX_DEPTH:
            raise NotRead(f"{self.file}:{self._line()}: it nests deeper than {MAX_DEPTH} levels")
        try:
            return self._one()
        finally:
            self.deep -= 1

    def _one(self) -> JsonValue:
        if self._peek("["):
            self._next()
            listed: list[JsonValue] = []
            self._lines()
            while not self._peek("]"):
                listed.append(self._value())
                self._lines()
            self._next()
            return listed
        if self._peek("{"):
            self._next()
            found: dict[str, JsonValue] = {}
            self._lines()
            while not self._peek("}"):
                token = self._next()
                key = _text(token) if token.kind in ("string", "raw") else token.text.rstrip(":")
                if self._peek(":"):
                    self._next()
                found[key] = self._value()
                self._lines()
            self._next()
            return found
        token = self._next()
        match token.kind:
            case "string" | "raw":
                return _text(token)
            case "number":
                return float(token.text) if "." in token.text else int(token.text[:30])
            case "name":
                return token.text == "true" if token.text in ("true", "false") else token.text
            case _:
                raise NotRead(
                    f"{self.file}:{token.line}: a value is expected, and {one_line(token.text, 30)!r} stands there"
                )

    # Types ----------------------------------------------------------------------------------------

    def _type(self) -> BamlType:
        self.deep += 1
        if self.deep > MAX_DEPTH:
            raise NotRead(f"{self.file}:{self._line()}: it nests deeper than {MAX_DEPTH} levels")
        try:
            members = [self._postfix()]
            while True:
                place = self.place
                while self._kind() == "newline":
                    self.place += 1
                if not self._peek("|"):
                    self.place = place
                    break
                self._next()
                while self._kind() == "newline":
                    self.place += 1
                members.append(self._postfix())
            return members[0] if len(members) == 1 else BamlType("union", tuple(members))
        finally:
            self.deep -= 1

    def _postfix(self) -> BamlType:
        made = self._simple()
        while True:
            if self._peek("["):
                self._next()
                self._expect("]")
                made = BamlType("list", (made,))
            elif self._peek("?"):
                self._next()
                made = BamlType("optional", (made,))
            else:
                return made

    def _simple(self) -> BamlType:
        token = self._next()
        if token.text == "(":
            items = [self._type()]
            while self._peek(","):
                self._next()
                items.append(self._type())
            self._expect(")")
            return items[0] if len(items) == 1 else BamlType("tuple", tuple(items))
        if token.kind == "string":
            return BamlType("literal", text=quoted(_text(token)))
        if token.kind == "number":
            return BamlType("literal", text=token.text)
        if token.kind != "name":
            raise NotRead(
                f"{self.file}:{token.line}: a type is expected, and {one_line(token.text, 30)!r} stands there"
            )
        if token.text == "map" and self._peek("<"):
            self._next()
            key = self._type()
            self._expect(",")
            value = self._type()
            self._expect(">")
            return BamlType("map", (key, value))
        return BamlType(token.text)


def _text(token: _Token) -> str:
    """The value of a text."""
    if token.kind == "raw":
        marks = len(token.text) - len(token.text.lstrip("#"))
        return textwrap.dedent(token.text[marks + 1 : -marks - 1]).strip("\n")
    inner = token.text[1:-1]
    return re.sub(r"\\(.)", lambda found: {"n": "\n", "t": "\t"}.get(found[1], found[1]), inner)
