"""DS01: blocks, words and declarations."""

from __future__ import annotations

import re
from typing import Literal

from ...project.source import Location
from ..fixes import insert, replace, suggestions
from ..record import Diagnostic, Label
from ..spelling import closest
from ..wording import (
    article,
    did_you_mean,
    either,
    noun,
    quoted,
)
from . import habits
from .base import Code, Finding
from .snippets import MODULE

DS0101 = Code(
    "DS0101",
    "error",
    "unexpected text",
    "The parser met something that cannot stand there. The message names what could. Other declarations "
    "in the file are checked all the same.",
    'dspec 1\n\nlm mini { model "openai/gpt-4o-mini" }\n',
    'dspec 1\n\nlm mini { model = "openai/gpt-4o-mini" }\n',
)


class ParserStopped(Finding, frozen=True):
    """The parser stopped at what it `found`, which is blank where the line ends. `more` says that the declaration goes on
    after it."""

    found: str
    more: bool

    @property
    def shown(self) -> str:
        if self.found.strip():
            return f"`{_short(self.found)}`"
        return "the end of the line" if self.more else "the end"


class UnexpectedText(ParserStopped, frozen=True):
    """`expected` is what could stand there, `keyword` the declaration's, if it has one."""

    code = DS0101
    previous: str
    expected: tuple[str, ...]
    keyword: str

    def told(self) -> Diagnostic:
        after = f" after `{_short(self.previous)}`" if self.previous.strip() else ""
        if expected := _wanted(self.expected):
            message = f"expected {expected}{after}, found {self.shown}"
        else:
            message = f"{self.shown} cannot stand here{after}"
        said, fixes = habits.unexpected(self.found, self.previous, self.expected, self.keyword, self.where)
        if (
            not said
            and self.found.strip() != ","
            and len(self.expected) == 1
            and not _is_phrase(self.expected[0])
        ):
            fixes = (insert(self.where, self.expected[0].strip("`")),)
        return self.says(message, "unexpected", help=said, fixes=fixes)


class MisspeltWord(Finding, frozen=True):
    """The first word of an item in the block of a `keyword`, which goes on as one that starts with `meant`. Items there start
    with one of `words`."""

    code = DS0101
    meant: str
    keyword: str
    words: tuple[str, ...]

    def told(self) -> Diagnostic:
        fits = not self.words or self.meant in self.words
        near = (self.meant,) if fits else closest(self.where.text, self.words)
        allowed = "" if near else quoted(self.words, "or")
        return self.says(
            f"no item starts with `{self.where.text}`{did_you_mean(near)}",
            "unexpected",
            help=allowed and f"an item of {article(noun(self.keyword))} starts with {allowed}",
            fixes=suggestions(self.where, near),
        )


def _is_phrase(word: str) -> bool:
    return word.startswith(("a ", "an ", "the "))


def _wanted(expected: tuple[str, ...]) -> str:
    shown = [word if _is_phrase(word) else f"`{word.strip('`')}`" for word in expected[:5]]
    if len(expected) > 5:
        return f"{', '.join(shown)} or one of {len(expected) - 5} others"
    return either(shown) if shown else ""


def _short(text: str) -> str:
    line = text.strip().splitlines()[0] if text.strip() else ""
    return line if len(line) <= 24 else line[:23] + "…"


DS0102 = Code(
    "DS0102",
    "error",
    "never closed",
    "A brace, bracket or parenthesis is opened and not closed before its declaration ends. A keyword "
    "at the "
    "start of a line always begins a new declaration, so the damage stays inside one.",
    'dspec 1\n\nlm mini {\n  model = "openai/gpt-4o-mini"\n\ntype Topic = "a" | "b"\n',
    'dspec 1\n\nlm mini {\n  model = "openai/gpt-4o-mini"\n}\n\ntype Topic = "a" | "b"\n',
)


class NeverClosed(Finding, frozen=True):
    """A bracket, at `where`, of the declaration `owner` ("lm `mini`"), which reaches to the end of `block`."""

    code = DS0102
    owner: str
    block: Location

    def told(self) -> Diagnostic:
        opener = self.where.text or "{"
        closer = {"{": "}", "(": ")", "[": "]"}.get(opener, "}")
        separator = "\n" if opener == "{" and "\n" in self.block.text else ""
        end = self.block.near(self.block.end, self.block.end)
        return self.says(
            f"the `{opener}`{f' of {self.owner}' if self.owner else ''} is never closed",
            "opened here",
            secondary=(Label(end, f"`{closer}` is missing by here"),),
            fixes=(insert(end, separator + closer),),
        )


DS0103 = Code(
    "DS0103",
    "error",
    "unknown declaration",
    "A line that starts at the left margin begins a declaration, and its first word says which kind. "
    "This "
    "word is none of them.",
    "dspec 1\n\nsignatur Route { input text: str; output topic: str }\n",
    "dspec 1\n\nsignature Route { input text: str; output topic: str }\n",
)


class UnknownDeclaration(ParserStopped, frozen=True):
    code = DS0103
    keywords: tuple[str, ...]

    def told(self) -> Diagnostic:
        habit = habits.declaration(self.found, self.where)
        near = (habit,) if habit else closest(self.found, self.keywords)
        return self.says(
            f"{self.shown} is not a kind of declaration{did_you_mean(near)}",
            "unknown declaration",
            help="" if near else f"a declaration starts with one of {', '.join(self.keywords[1:])}",
            fixes=suggestions(self.where, near),
        )


DS0108 = Code(
    "DS0108",
    "warning",
    "no language version",
    "A file says which version of the language it is written in, so that later compilers read it in "
    "the same "
    "way. `dspec 1` belongs on the first line.",
    'lm mini { model = "openai/gpt-4o-mini" }\n',
    'dspec 1\n\nlm mini { model = "openai/gpt-4o-mini" }\n',
)


class NoVersion(Finding, frozen=True):
    code = DS0108
    newest: int

    def told(self) -> Diagnostic:
        line = f"dspec {self.newest}"
        return self.says(
            "this file does not say which version of the language it is written in",
            help=f"start it with `{line}`",
            fixes=(insert(self.where, f"{line}\n\n", safe=True),),
        )


DS0109 = Code(
    "DS0109",
    "error",
    "broken text in quotes",
    "Text in double quotes ends on the line where it starts; text in three double quotes may span "
    "lines. After "
    "a backslash only the known escapes may stand.",
    'dspec 1\n\nlm mini { model = "openai/gpt-4o-mini }\n',
    'dspec 1\n\nlm mini { model = "openai/gpt-4o-mini" }\n',
)


class UnknownEscape(ParserStopped, frozen=True):
    code = DS0109
    escapes: tuple[str, ...]

    def told(self) -> Diagnostic:
        return self.says(
            f"{self.shown} is no escape; those known are {', '.join(self.escapes)}",
            "unknown escape",
            help="write two backslashes for one",
            fixes=(replace(self.where, "\\" + self.found),),
        )


class EndlessText(Finding, frozen=True):
    code = DS0109

    def told(self) -> Diagnostic:
        return self.says("this text in quotes never ends", "no closing quote")


DS0111 = Code(
    "DS0111",
    "error",
    "declaration of another shape",
    "Each kind of declaration is written in one way: with a block in braces, with `=`, with or "
    "without parameters. "
    "The help shows an example of this kind.",
    MODULE + "module second { signature = Route }\n",
    MODULE + "module second = ChainOfThought(Route)\n",
)


Shape = Literal[
    "parameters",
    "no parameters",
    "returns",
    "no returns",
    "block",
    "value",
    "no block",
    "no value",
    "no body",
]
"""How a declaration differs from others of its kind: what it has or lacks."""


class OtherShape(Finding, frozen=True):
    """What is wrong with how a declaration is written. `form` is an example of its kind; `base` is the one name in its
    parentheses, where it may extend a declaration of that name."""

    code = DS0111
    keyword: str
    name: str
    wrong: Shape
    form: str
    base: Location | None = None

    def told(self) -> Diagnostic:
        a, named = article(self.keyword), f"{self.keyword} `{self.name}`"
        message = {
            "parameters": f"{a} takes no parameters",
            "no parameters": f"{named} needs parameters in parentheses",
            "returns": f"{a} has no `->`",
            "no returns": f"{named} needs `-> type` after its parameters",
            "block": f"{a} is written with `=`, not with a block",
            "value": f"{a} is written as a block in braces, not with `=`",
            "no block": f"{named} needs a block in braces",
            "no value": f"{named} needs a value after `=`",
            "no body": f"{named} needs `=` or a block",
        }[self.wrong]
        if self.base is not None:
            meant, fixes = f"extends {self.base.text}", ()
            around = self.where.near(self.where.end, self.base.end + 1)
            if re.fullmatch(r"\s*\(\w+\)", around.text):
                fixes = (replace(around, f" {meant}", f"Write `{meant}`", guess=True),)
            help_ = f"the fields of another {self.keyword} are had with `{self.keyword} {self.name} {meant} {{ … }}`"
            return self.says(message, help=help_, fixes=fixes)
        return self.says(message, help=f"it looks like this: `{self.form}`")


class NamelessOutput(Finding, frozen=True):
    """A program's header that gives a type where its outputs should stand."""

    code = DS0111

    def told(self) -> Diagnostic:
        named = f"(answer: {self.where.text})"
        return self.says(
            "a program's outputs have names",
            "which name?",
            help=f"write `-> {named}`",
            fixes=(replace(self.where, named, f"Write `{named}`", guess=True),),
        )


DS0112 = Code(
    "DS0112",
    "error",
    "unknown language version",
    "The file asks for a version of the language that this compiler does not know, usually because "
    "the compiler "
    "is older than the file.",
    'dspec 7\n\nlm mini { model = "openai/gpt-4o-mini" }\n',
    'dspec 1\n\nlm mini { model = "openai/gpt-4o-mini" }\n',
)


class UnknownVersion(Finding, frozen=True):
    """`newer` is the version that the file asks for, if it is a later one than `newest`."""

    code = DS0112
    newest: int
    newer: int | None = None

    def told(self) -> Diagnostic:
        if self.newer is None:
            return self.says(f"there is no language version {self.where.text}", f"known: {self.newest}")
        return self.says(
            f"this file is written in version {self.newer} of the language, and this compiler knows version "
            f"{self.newest}",
            "newer than this compiler",
            help="upgrade with `pip install --upgrade dspc`",
        )


DS0113 = Code(
    "DS0113",
    "error",
    "nested too deeply",
    "Brackets or blocks stand inside each other beyond the depth that the parser follows. No program "
    "needs it; "
    "the limit keeps a hostile file from using up memory.",
    "dspec 1\n\nsignature S { input a: str; output b: int; assert b == "
    + "(" * 400
    + "1"
    + ")" * 400
    + " }\n",
    'dspec 1\n\nlm mini { model = "openai/gpt-4o-mini" }\n',
)


class TooDeep(Finding, frozen=True):
    code = DS0113

    def told(self) -> Diagnostic:
        return self.says("this is nested too deeply to be read", help="give an inner part a name of its own")


DS0114 = Code(
    "DS0114",
    "error",
    "unknown character",
    "The language does not use this character outside text in quotes and comments.",
    'dspec 1\n\nlm mini { model = "openai/gpt-4o-mini"; @ }\n',
    'dspec 1\n\nlm mini { model = "openai/gpt-4o-mini" }\n',
)


class UnknownCharacter(ParserStopped, frozen=True):
    code = DS0114

    def told(self) -> Diagnostic:
        said, fixes = habits.unknown_character(self.found.strip(), self.where)
        return self.says(
            f"{self.shown} means nothing in this language",
            "" if said else "remove it, or put it in quotes",
            help=said,
            fixes=fixes,
        )


DS0115 = Code(
    "DS0115",
    "error",
    "number out of range",
    "The attribute or option takes numbers within bounds, both included.",
    'dspec 1\n\nlm mini { model = "openai/gpt-4o-mini"; temperature = 7 }\n',
    'dspec 1\n\nlm mini { model = "openai/gpt-4o-mini"; temperature = 0.7 }\n',
)


class OutOfRange(Finding, frozen=True):
    """A number that `name` cannot be: one of `low` and `high` at least is known."""

    code = DS0115
    name: str
    low: float | None
    high: float | None
    about: str = ""
    """What the number is for, where `none` may stand in its place."""

    def told(self) -> Diagnostic:
        if self.low is not None and self.high is not None:
            bounds = f"lie between {self.low:g} and {self.high:g}"
        else:
            bounds = f"be at least {self.low:g}" if self.low is not None else f"be at most {self.high:g}"
        return self.says(
            f"`{self.name}` must {bounds}, and this is {self.where.text}",
            "out of range",
            help=f"`none` may stand there, too: {self.about}" if self.about else "",
        )
