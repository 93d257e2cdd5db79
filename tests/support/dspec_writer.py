"""Random `.dspec` text that parses: every construct, laid out in every way that the language allows.

A writer makes words first and then puts random blanks, line ends and comments wherever they may
stand. It knows nothing of the formatter or the parser.
"""

from __future__ import annotations

import random
from itertools import count

from hypothesis import strategies as st

NAMES = (
    "a", "b2", "text", "größe", "_x", "input", "output", "field", "step", "type", "metric", "let", "gate",
    "program", "test", "list", "dict", "tuple", "extends", "as", "repeat", "from", "until", "train", "a_rather_long_name_for_a_value", "score",
)  # fmt: skip
STRINGS = (
    '""', '"x"', '"a # b"', '"{"', '"\\n \\"q\\" \\\\ \\u00e9"', '"""one"""',
    '"""\n    two\n      lines\n    """',
    '"a longer sentence, such as people write into the instructions of their signatures"', '"lm x {"',
)  # fmt: skip
NUMBERS = ("0", "1", "1_", "42", "0.5", "1_000", "2e3", "1.5e-3")
LEADING = {
    "|", ".", ",", "=", ":", "->", "?", "+", "-", "*", "/", "==", "!=", "<", "<=", ">", ">=", "{",
    "and", "or", "in", "then", "else", "for", "not",
}  # fmt: skip
LOOSE = set("()[]{},:;")
END = "\n"
"""The word that ends an item."""


class Writer:
    """Writes words into `words`; `size` bounds how deep it goes."""

    def __init__(self, seed: int, size: int) -> None:
        self.random = random.Random(seed)
        self.size = size
        self.words: list[str] = []
        self.serial = count()

    def add(self, *words: str) -> None:
        self.words += words

    def chance(self, share: float) -> bool:
        return self.random.random() < share

    def name(self) -> None:
        self.add(self.random.choice(NAMES))

    def many(self, write: object, low: int, high: int, *, trailing: bool = True) -> None:
        """Elements between commas."""
        assert callable(write)
        number = self.random.randint(low, high)
        for index in range(number):
            if index:
                self.add(",")
            write()
        if number and trailing and self.chance(0.2):
            self.add(",")

    # Declarations --------------------------------------------------------------------------------

    def declaration(self) -> None:
        kind = self.random.choice(("items", "items", "items", "value", "type", "version", "import"))
        if kind == "version":
            self.add("dspec", "1")
        elif kind == "import":
            self.add("import", '"lms.dspec"', "as")
            self.name()
        elif kind == "type":
            self.add("type")
            self.name()
            self.add("=")
            self.labels() if self.chance(0.3) else self.type(3)
        else:
            self.add(
                self.random.choice(
                    ("lm", "signature", "module", "program", "metric", "optimize", "eval", "extern")
                )
            )
            self.name()
            self.header()
            if kind == "items":
                if self.chance(0.2):
                    self.add("extends")
                    self.name()
                    if self.chance(0.3):
                        self.add(".")
                        self.name()
                self.body(2)
            else:
                self.add("=")
                self.expression(4)

    def header(self) -> None:
        if self.chance(0.4):
            self.add("(")
            self.many(lambda: self.parameter(1), 0, 3)
            self.add(")")
        if self.chance(0.3):
            self.add("->")
            if self.chance(0.5):
                self.type(2)
            else:
                self.add("(")
                self.many(lambda: self.parameter(1), 1, 3)
                self.add(")")

    def parameter(self, depth: int) -> None:
        self.name()
        if self.chance(0.6):
            self.add(":")
            self.type(2)
        if self.chance(0.3):
            self.add("=")
            self.expression(depth)

    def body(self, depth: int) -> None:
        self.add("{")
        items = self.random.randint(0, self.size)
        for index in range(items):
            if index:
                self.add(END)
            self.item(depth)
        self.add("}")

    def item(self, depth: int) -> None:
        kind = self.random.choice(
            (
                "doc",
                "setting",
                "setting of",
                "section",
                "field",
                "check",
                "let",
                "repeat",
                "until",
                "return",
                "step",
                "given",
                "expect",
                "gate",
            )
        )
        if kind == "doc":
            self.string()
        elif kind == "section" and depth:
            self.name()
            self.body(depth - 1)
        elif kind == "repeat" and depth:
            self.add("let")
            self.name()
            self.add("=", "repeat", self.random.choice(("1", "3", "0.5")), "from")
            self.many(self.name, 1, 3, trailing=False)
            self.body(depth - 1)
        elif kind in ("setting", "setting of", "section", "repeat"):
            self.name()
            if kind == "setting of":
                self.add("for")
                self.name()
                if self.chance(0.5):
                    self.add(".")
                    self.name()
            self.add("=")
            self.expression(3)
        elif kind == "field":
            self.add(self.random.choice(("input", "output", "field")))
            self.name()
            if self.chance(0.8):
                self.add(":")
                self.type(2)
            if self.chance(0.3):
                self.add("=")
                self.expression(1)
            if self.chance(0.4):
                self.string()
        elif kind == "check":
            self.add(self.random.choice(("assert", "suggest")))
            self.expression(3)
            if self.chance(0.5):
                self.add("else")
                self.expression(2)
        elif kind == "return":
            self.add("return")
            self.many(lambda: self.argument(2), 1, 3, trailing=False)
        else:
            self.add(kind)
            if kind in ("let", "given") or (kind == "step" and self.chance(0.5)):
                self.name()
                self.add("=")
            self.expression(3)

    # Types and expressions -----------------------------------------------------------------------

    def string(self) -> None:
        self.add(self.random.choice(STRINGS))

    def type(self, depth: int) -> None:
        kind = self.random.randint(0, 8 if depth else 1)
        if kind <= 1:
            self.add(self.random.choice(("str", "int", "Line", "date", '"a"', '"b c"')))
        elif kind == 2:
            self.add("lms", ".", "Invoice")
        elif kind == 3:
            self.add("list", "[")
            self.type(depth - 1)
            self.add("]")
        elif kind == 4:
            self.add("dict", "[")
            self.type(depth - 1)
            self.add(",")
            self.type(depth - 1)
            self.add("]")
        elif kind == 5:
            self.type(0)
            self.add("?")
        elif kind == 6:
            self.add("tuple", "[")
            self.many(lambda: self.type(depth - 1), 1, 3)
            self.add("]")
        elif kind == 7:
            self.number()
            for _ in range(self.random.randint(0, 4)):
                self.add("|")
                self.number()
        else:
            self.add('"first"')
            for _ in range(self.random.randint(1, 6)):
                self.add("|", self.random.choice(('"second"', '"a third one"', "str")))

    def number(self) -> None:
        if self.chance(0.3):
            self.add("-")
        self.add(self.random.choice(NUMBERS))

    def labels(self) -> None:
        """What only a `type` may say: labels with what they mean."""
        for index in range(self.random.randint(1, 4)):
            if index:
                self.add("|")
            self.string()
            if self.chance(0.7):
                self.string()

    def argument(self, depth: int) -> None:
        if self.chance(0.6):
            self.name()
            self.add("=")
        self.expression(depth)

    def expression(self, depth: int) -> None:
        if depth and self.chance(0.12):
            self.add("if")
            self.expression(depth - 1)
            self.add("then")
            self.expression(depth - 1)
            self.add("else")
            self.expression(depth - 1)
        else:
            self.operation(depth)

    def operation(self, depth: int) -> None:
        kind = self.random.randint(0, 9) if depth else 9
        if kind == 0:
            self.sum(depth)
            operator = self.random.choice(("==", "!=", "<", "<=", ">", ">=", "in", "not"))
            self.add(*(("not", "in") if operator == "not" else (operator,)))
            self.sum(depth)
        elif kind == 1:
            self.add("not")
            self.operation(depth - 1)
        elif kind <= 3:
            self.sum(depth)
            for _ in range(self.random.randint(1, 4)):
                self.add(self.random.choice(("and", "or")))
                self.sum(depth - 1)
        else:
            self.sum(depth)

    def sum(self, depth: int) -> None:
        for index in range(self.random.randint(1, 3) if depth else 1):
            if index:
                self.add(self.random.choice("+-*/"))
            if self.chance(0.1):
                self.add("-")
            self.postfix(depth)

    def postfix(self, depth: int) -> None:
        self.atom(depth)
        while self.chance(0.3):
            kind = self.random.randint(0, 2 if depth else 0)
            if kind == 0:
                self.add(".")
                self.name()
            elif kind == 1:
                self.add("[")
                self.expression(depth - 1)
                self.add("]")
            else:
                self.add("(")
                self.many(lambda: self.argument(depth - 1), 0, 4)
                self.add(")")

    def atom(self, depth: int) -> None:
        kind = self.random.randint(0, 10 if depth else 6)
        if kind <= 2:
            self.name()
        elif kind == 3:
            self.add(self.random.choice(NUMBERS))
        elif kind == 4:
            self.add("20%")
        elif kind == 5:
            self.string()
        elif kind == 6:
            self.add(self.random.choice(("true", "false", "none")))
        elif kind == 7:
            self.add("(")
            self.expression(depth - 1)
            self.add(")")
        elif kind == 8:
            self.add("[")
            self.many(lambda: self.expression(depth - 1), 0, 4)
            self.add("]")
        elif kind == 9:
            self.add("[")
            self.expression(depth - 1)
            self.add("for")
            self.name()
            if self.chance(0.3):
                self.add(",")
                self.name()
            self.add("in")
            self.expression(depth - 1)
            self.add("]")
        else:
            self.add("sig", "(")
            self.many(lambda: self.parameter(depth - 1), 0, 2)
            self.add("->")
            self.many(lambda: self.parameter(depth - 1), 1, 2)
            self.add(")")

    # Layout --------------------------------------------------------------------------------------

    def comment(self) -> str:
        return f"# note {next(self.serial)}" + self.random.choice(("", " {", ' "', ' """', "  "))

    def free(self) -> str:
        """Trivia with line ends, as brackets allow."""
        return "".join(
            self.random.choice(
                (" ", "  ", "\n", "\n  ", "\n\n\n ", f" {self.comment()}\n", f"\n  {self.comment()}\n")
            )
            for _ in range(self.random.randint(1, 2))
        )

    def gap(self, before: str, word: str, nesting: list[str]) -> str:
        loose = before in LOOSE or word in LOOSE
        if "." in (before, word) and not before[0].isdigit():
            loose = True
        may_break = (nesting and nesting[-1] != "{") or word in LEADING or before == ","
        if may_break and self.chance(0.15):
            return self.free()
        return self.random.choice(("", " ", "   ")) if loose else self.random.choice((" ", " ", "  "))

    def laid_out(self) -> str:
        """The words as text, starting at column 0."""
        text: list[str] = []
        nesting: list[str] = []
        one_line: list[bool] = []
        previous = ""
        for word in self.words:
            if word == END:
                text.append(self.separator(one_line[-1]))
            elif word == "}" or previous == "{":
                text.append(" " if one_line[-1] or self.chance(0.1) else self.separator(False))
            elif previous and previous != END:
                text.append(self.gap(previous, word, nesting))
            if word == END:
                previous = word
                continue
            text.append(word)
            if word in "([{":
                nesting.append(word)
                if word == "{":
                    one_line.append(self.chance(0.4) or (bool(one_line) and one_line[-1]))
            elif word in ")]}":
                nesting.pop()
                if word == "}":
                    one_line.pop()
            previous = word
        return "".join(text)

    def separator(self, one_line: bool) -> str:
        if one_line:
            return self.random.choice((";", "; ", " ;  "))
        return self.random.choice(
            ("\n", "\n  ", f"  {self.comment()}\n", ";\n", "\n\n\n\t", f"\n{self.comment()}\n  ")
        )


def write(seed: int, size: int) -> str:
    """A whole file."""
    writer = Writer(seed, size)
    parts: list[str] = [writer.random.choice(("", "\n", "# top\n", "\n\n# top\n\n"))]
    for _ in range(writer.random.randint(0, size)):
        writer.words = []
        writer.declaration()
        parts.append(writer.laid_out())
        parts.append(
            writer.random.choice(
                ("\n", "\n\n", "\n\n\n\n", f"  {writer.comment()}\n", f"\n\n{writer.comment()}\n")
            )
        )
    return "".join(parts)


dspec_texts = st.builds(write, st.integers(0, 2**48), st.integers(1, 7))
"""Files that parse without a problem."""

_SCRAPS = (
    '"', '"""', "{", "}", "(", ")", "[", "]", "\n", ";", "#", " ", "=", ",", ".", "->", "|", "?", "lm x {",
    "\nmetric m(", "x", "step ", "\\", "\ufeff", "\r\n", "@", "%", "not ", "-", "if ", '"a', "\x00", "\u2028",
    '\nimport "', "\ndspec 1", "type T = ", "9", "else", "\r", "\ud800",
)  # fmt: skip


def damage(text: str, seed: int, edits: int) -> str:
    """The text after some random insertions, deletions and cuts."""
    rng = random.Random(seed)
    for _ in range(edits):
        start = rng.randint(0, len(text))
        end = min(len(text), start + rng.choice((0, 0, 1, 3, 20)))
        text = text[:start] + (rng.choice(_SCRAPS) if rng.random() < 0.8 else "") + text[end:]
    return text[: rng.randint(0, len(text))] if rng.random() < 0.1 else text


broken_texts = st.builds(damage, dspec_texts, st.integers(0, 2**48), st.integers(1, 4))
"""Files with a few faults."""
hostile_texts = st.text(max_size=80) | st.lists(st.sampled_from(_SCRAPS), max_size=60).map("".join)
"""Anything at all."""
