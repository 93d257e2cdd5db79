"""The `.dspec` file while it is written: its declarations by kind, the names that are taken, and what could not be read."""

from __future__ import annotations

import re
from collections.abc import Iterable

from msgspec import Struct, field

from dspec.grammar.lexemes import RESERVED, string_value
from dspec.runtime.schema.types import JsonValue
from dspec.runtime.values.functions import FUNCTIONS

from ...tables.judges import JUDGES

SECTIONS = (
    "lm",
    "type",
    "record",
    "extern",
    "signature",
    "module",
    "program",
    "dataset",
    "metric",
    "optimize",
    "eval",
    "test",
)
"""Kinds of declarations, in the order in which the file has them."""
BUILT_IN = frozenset(
    [
        "str",
        "int",
        "float",
        "bool",
        "date",
        "datetime",
        "any",
        "image",
        "audio",
        "file",
        "history",
        "list",
        "dict",
        "tuple",
    ]
)
SETTINGS = (
    "temperature",
    "max_tokens",
    "top_p",
    "seed",
    "stop",
    "frequency_penalty",
    "presence_penalty",
    "reasoning_effort",
)
"""Settings of a model that other tools have under the names that the language has."""
MAX_NOTES = 200


class AdoptionNote(Struct, frozen=True):
    """What was not taken over as it stands: where in the source, and why."""

    line: int
    text: str
    lost: bool = False
    """Whether a part of the source is missing in the file, and not only said otherwise."""
    file: str = ""
    """Of several files, the one that it is in."""

    def __str__(self) -> str:
        return f"line {self.line}: {self.text}" if self.line else self.text


class Unread(Exception):
    """A place in the source that cannot be said, or is not understood."""

    def __init__(self, why: str, line: int = 0) -> None:
        super().__init__(why)
        self.why = why
        self.line = line


class Draft(Struct):
    """What is written so far. `files` are files of rows beside it, by name."""

    source: str
    """Name of the file that is read."""
    sections: dict[str, list[str]] = field(default_factory=lambda: {name: [] for name in SECTIONS})
    taken: set[str] = field(default_factory=lambda: {*BUILT_IN, *FUNCTIONS, *JUDGES})
    remarks: list[AdoptionNote] = field(default_factory=list[AdoptionNote])
    where: str = ""
    """Of several files, the one that is being read."""
    files: dict[str, str] = field(default_factory=dict[str, str])
    unions: dict[str, str] = field(default_factory=dict[str, str])
    """Names of unions that were declared since one of them may be missing, by what they are."""

    def say(self, line: int, text: str, *, lost: bool = False) -> None:
        """Notes what is not taken over. The same is said once."""
        remark = AdoptionNote(line, text, lost, self.where)
        if remark not in self.remarks and len(self.remarks) < MAX_NOTES:
            self.remarks.append(remark)

    def name(self, wanted: str) -> str:
        """A name that no declaration has, as near to the wanted one as can be; it is taken from then on."""
        free = plain_name(wanted)
        number = 2
        while free in self.taken:
            free, number = f"{plain_name(wanted)}_{number}", number + 1
        self.taken.add(free)
        return free

    def add(self, kind: str, text: str) -> None:
        self.sections[kind].append(text)

    def optional(self, kind: str) -> str:
        """The type whose value may be missing. A union gets a name for that."""
        if kind.endswith("?") or kind == "any":
            return kind
        if " | " in kind:
            if kind not in self.unions:
                self.unions[kind] = self.name("Choice")
                self.add("type", f"type {self.unions[kind]} = {kind}")
            kind = self.unions[kind]
        return f"{kind}?"

    def widen(self, signature: str, field: str, kind: str) -> None:
        """Gives an input of a declared signature another type."""
        texts = self.sections["signature"]
        for place, text in enumerate(texts):
            if text.startswith(f"signature {signature} {{"):
                texts[place] = re.sub(
                    rf"(\n  input {re.escape(field)}: )str\b", lambda found: found[1] + kind, text
                )

    def comment(self, kind: str, line: int, text: str, shown: Iterable[str] = ()) -> None:
        """Says what is lost, in the report and as a comment among the declarations of a kind, with the source's lines."""
        self.say(line, text, lost=True)
        self.add(
            kind,
            "\n".join(
                [
                    f"# {self.where or self.source}:{line}: {one_line(text)}",
                    *(f"#   {one_line(one, 300)}" for one in shown),
                ]
            ),
        )

    def text(self) -> str:
        """The file, in the one style."""
        from dspec.grammar.format import format_text

        head = f"dspec 1\n\n# Adopted from {one_line(self.source)} by `dspc adopt`.\n"
        body = "\n\n".join("\n\n".join(texts) for texts in self.sections.values() if texts)
        return format_text(f"{head}\n{body}\n")


def plain_name(wanted: str) -> str:
    """A name of the language out of any text."""
    name = re.sub(r"[^A-Za-z0-9_]+", "_", wanted).strip("_")[:60] or "it"
    if name[0].isdigit():
        name = f"n{name}"
    return f"{name}_" if name in RESERVED else name


def camel(name: str) -> str:
    """`generate_query` → `GenerateQuery`."""
    return "".join(part[:1].upper() + part[1:] for part in plain_name(name).split("_")) or "It"


def one_line(text: str, most: int = 400) -> str:
    """A text as a comment may hold it."""
    plain = "".join(one if one.isprintable() or one == " " else " " for one in text.replace("\t", "    "))
    return plain if len(plain) <= most else f"{plain[: most - 1]}…"


def quoted(text: str) -> str:
    """A text as the language writes it, on one line."""
    shown = "".join(
        one
        if one.isprintable() or one in "\n\t" or ord(one) > 0xFFFF or 0xD800 <= ord(one) <= 0xDFFF
        else f"\\u{ord(one):04x}"
        for one in text.replace("\\", "\\\\")
    )
    return '"' + shown.replace('"', '\\"').replace("\n", "\\n").replace("\t", "\\t") + '"'


def documented(text: str) -> str:
    """A text of one or several lines, as it stands in a block."""
    if "\n" not in text:
        return quoted(text)
    escaped = text.replace("\\", "\\\\").replace('"""', '\\"\\"\\"')
    lines = [f"  {line}" if line else "" for line in escaped.split("\n")]
    written = "\n".join(['"""', *lines, '  """'])
    plain = all(one.isprintable() or one == "\n" for one in text)
    return written if plain and string_value(written) == text else quoted(text)


def literal(value: JsonValue) -> str:
    """A constant as the language writes it. Raises Unread for what has no literal."""
    match value:
        case None:
            return "none"
        case bool():
            return "true" if value else "false"
        case int():
            return str(value)
        case float() if value == value and abs(value) != float("inf"):
            return _decimal(value)
        case str():
            return quoted(value)
        case list():
            return "[" + ", ".join(literal(one) for one in value) + "]"
        case _:
            raise Unread(f"`{one_line(str(value), 40)}` has no literal")


def _decimal(value: float) -> str:
    from decimal import Decimal

    text = format(Decimal(repr(value)), "f")
    return text if "." in text else f"{text}.0"
