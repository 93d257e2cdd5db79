"""Completion and check agree: on generated programs, what is offered is what the check takes, and all of it.

A name is taken out of a program. Every name that completion offers there, and every name that the program
declares, is then written in its place and checked. The check refuses a name when it reports, of that very
word, that it names nothing or nothing that may stand there. A wrong type is no refusal of a name, since the
expression may go on; nor is "not supported yet".
"""

from __future__ import annotations

import os
import random
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import Struct
from program_writer import LIBRARY, write_program

from dspec.compiler.check.analysis import Analysis, analyse
from dspec.grammar import Token, tokenize
from dspec.lsp.features.completion import Offer, complete

DEEP = bool(os.environ.get("DSPEC_DEEP"))
PLACES = 10 if DEEP else 4
"""How many names are taken out of each program."""

REFUSED = frozenset(
    f"DS0{number}"
    for number in (
        *(101, 102, 103, 104, 105, 106, 201, 202, 203, 208, 209, 210, 211, 212, 303, 304, 305, 318, 319, 412),
        *(407, 501, 502, 512, 601, 602, 603, 618, 622, 623, 624, 627, 630, 709, 806),
    )
)
"""Codes that say of a word that it is no name, or not one that may stand here."""
WRONG_VALUES = frozenset(("DS0110", "DS0306", "DS0617"))
"""And of a literal that it is none of the values."""
TWICE = frozenset(("DS0106", "DS0203"))
"""Said of the second one of that name, wherever that is."""
CIRCLE = "DS0210"
"""Said where the circle ends, wherever that is."""
LATER = "DS0120"
NONSENSE = "no_such_name"
COMPARED = re.compile(r" *(==|!=|<=|>=|<|>|in|not in)(?!\w)")
PARENTHESES = re.compile(r"\)+[.\[]")
"""Behind a name: what stands in parentheses is of another type than what they become by a member or an item."""
FLAGS = {"true", "false"}
ENDINGS = {"(": ")", "[": "str]", '("': 'X")', "= ": "0", "= [": "]"}
"""What completes an insertion that ends so."""
WHOLE = {"sig(": "sig(a -> b)", "dict[": "dict[str, str]"}


class Place(Struct, frozen=True):
    """The stretch of a text where a name stands, with what hangs on it: members, items, arguments.

    Or without its arguments, where they are to stay (`called`).
    """

    text: str
    start: int
    end: int
    labels: bool
    """True where `=` follows: the name of an argument or an attribute."""
    called: bool = False

    @property
    def goes_on(self) -> bool:
        """Whether a member, an item or a call follows the word, so that more fits than in its place alone."""
        return re.match(r"\w+[(.[]", self.text[self.start :]) is not None

    @property
    def bare(self) -> bool:
        """Whether only a name fits, without what opens behind it."""
        return self.labels or self.called

    def having(self, written: str) -> str:
        return f"{self.text[: self.start]}{written}{self.text[self.end :]}"


class Checker:
    """Checks variations of a program in one folder, each once."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "main.dspec"
        (folder / "lib.dspec").write_text(LIBRARY, encoding="utf-8")

    def analyse(self, text: str, *, asked: int | None = None) -> Analysis:
        found = analyse(self.path, text=text, probe=False, asked=asked)
        assert not found.crashes
        return found

    def offered(self, text: str, offset: int) -> tuple[Offer, ...]:
        """As an editor has it: where the check kept a journal, and the same where it kept none."""
        found = complete(self.analyse(text, asked=offset), offset).suggestions
        assert found == complete(self.analyse(text), offset).suggestions
        return found

    def said(self, place: Place, written: str) -> set[str]:
        """The codes of what is reported of the word."""
        found = self.analyse(place.having(written))
        end = place.start + len(written)
        word = re.match(r"\w+", written)
        return {
            one.code
            for one in found.diagnostics
            if one.code == CIRCLE
            or (one.code in TWICE and word and re.match(rf"{word[0]}\b", one.primary.location.text))
            or (
                one.primary.location.source is found.source
                and one.primary.location.start < end
                and place.start < one.primary.location.end
            )
        }

    def verdict(self, place: Place, name: str, refused: frozenset[str] = REFUSED) -> bool | None:
        """Whether the name may stand there, alone or called; None where that is not supported yet."""
        later = False
        for way in (name, f"{name}()") if not place.bare and name[-1].isalnum() else (name,):
            said = self.said(place, way)
            if not said & refused and LATER not in said:
                return True
            later = later or not said & refused
        return None if later else False


def names_in(analysis: Analysis) -> Iterator[Place]:
    """The names of a program that declare nothing."""
    text = analysis.source.text
    declaring = {
        (symbol.location.start, symbol.location.end)
        for symbol in analysis.symbols.declared
        if symbol.location.source is analysis.source
    }
    tokens = [token for token in tokenize(text) if token.kind not in ("space", "newline", "comment")]
    for number, token in enumerate(tokens[:-1]):
        after = tokens[number + 1]
        if token.kind != "name":
            continue
        end = token.start + len(token.text)
        if (token.start, end) in declaring or _is_word(tokens, number):
            continue
        yield Place(text, token.start, _end(tokens, number), after.text == "=")
        if after.text == "(":
            yield Place(text, token.start, end, labels=False, called=True)


WORDS = frozenset(
    [
        "dspec",
        "import",
        "as",
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
        "input",
        "output",
        "field",
        "assert",
        "suggest",
        "let",
        "until",
        "repeat",
        "from",
        "return",
        "step",
        "given",
        "expect",
        "gate",
        "and",
        "or",
        "not",
        "in",
        "if",
        "then",
        "else",
        "for",
        "sig",
        "true",
        "false",
        "none",
    ]
)


def _is_word(tokens: list[Token], number: int) -> bool:
    """True for a word of the language where it is no name."""
    return tokens[number].text in WORDS and tokens[number - 1].text != "."


def _end(tokens: list[Token], number: int) -> int:
    """Where the chain of members, items and arguments ends that begins with a name."""
    depth = 0
    while depth or tokens[number + 1].text in ("(", "[", "."):
        number += 1
        depth += (tokens[number].text in "([") - (tokens[number].text in ")]")
        if tokens[number].text == ".":
            number += 1
    return tokens[number].start + len(tokens[number].text)


def written(suggestion: Offer, *, bare: bool) -> str:
    """What stands there once the suggestion is taken and what it opens is closed."""
    text = suggestion.insert or suggestion.label
    if bare:
        return suggestion.label
    if text in WHOLE:
        return WHOLE[text]
    for ending in sorted(ENDINGS, key=len, reverse=True):
        if text.endswith(ending):
            return text + ENDINGS[ending]
    return text


def universe(analysis: Analysis) -> set[str]:
    """Every name that the program declares, in whatever place, as the file could write it; an import's alone
    stands for nothing."""
    found = {symbol.name for symbol in analysis.symbols.declared if symbol.kind != "import"}
    for alias, imported in analysis.symbols.scope.imports.items():
        found |= {f"{alias}.{name}" for name in (imported.symbols if imported else ())}
    return found


def places(analysis: Analysis, seed: int) -> list[Place]:
    found = list(names_in(analysis))
    return random.Random(seed).sample(found, min(PLACES, len(found)))


@pytest.fixture(scope="module")
def checker(tmp_path_factory: pytest.TempPathFactory) -> Checker:
    return Checker(tmp_path_factory.mktemp("agreement"))


programs = st.builds(write_program, st.integers(0, 2**48), st.integers(1, 3))
deep = settings(max_examples=60 if DEEP else 3)


def shown(place: Place) -> str:
    """The place with the lines around it, for a failure."""
    start = place.text.rfind("\n\n", 0, place.start)
    end = place.text.find("\n\n", place.end)
    return f"{place.text[start : place.start]}$0{place.text[place.end : end]}"


def names(suggestions: Iterable[Offer]) -> list[Offer]:
    return [one for one in suggestions if one.kind != "keyword"]


@deep
@given(programs, st.integers(0, 2**32))
def test_nothing_is_offered_that_the_check_refuses(checker: Checker, text: str, seed: int) -> None:
    for place in places(checker.analyse(text), seed):
        for one in names(checker.offered(place.having(""), place.start)):
            refused = REFUSED | WRONG_VALUES if one.kind == "value" else REFUSED
            allowed = checker.verdict(place, written(one, bare=place.bare), refused)
            assert allowed is not False, (one, shown(place))


@deep
@given(programs, st.integers(0, 2**32))
def test_every_name_that_the_check_takes_is_offered(checker: Checker, text: str, seed: int) -> None:
    analysis = checker.analyse(text)
    known = sorted(universe(analysis))
    for place in places(analysis, seed):
        if checker.verdict(place, NONSENSE) is not False:
            continue  # any name may stand here
        offered = {one.label for one in checker.offered(place.having(""), place.start)}
        dotted = place.labels or text[place.start - 1] == "."
        fitting = [name for name in known if not (dotted and "." in name)]
        refused = REFUSED | WRONG_VALUES
        missing = [name for name in fitting if name not in offered and checker.verdict(place, name, refused)]
        assert not missing, (missing, shown(place))


@deep
@given(programs, st.integers(0, 2**32))
def test_what_is_offered_depends_neither_on_the_word_nor_on_the_rest_of_the_line(
    checker: Checker, text: str, seed: int
) -> None:
    """The names are the same where the line ends at the cursor, as it does while somebody types, and where the
    word is there already."""
    for place in places(checker.analyse(text), seed):
        if place.bare:
            continue
        whole = names(checker.offered(place.having(""), place.start))
        end = text.index("\n", place.start)
        others = [(False, checker.offered(text, place.start + 1))] if not place.goes_on else []
        if " for " not in text[place.end : end] and not PARENTHESES.match(text, place.end):
            others.append((True, checker.offered(f"{text[: place.start]}{text[end:]}", place.start)))
        for cut, other in ((cut, names(found)) for cut, found in others):
            # A label is not offered twice, and arguments that follow are given; literals are wanted of whole
            # values.
            behind = {one.label for one in (*whole, *other) if one.kind in ("option", "attribute")}
            here, there = (
                {one.label for one in each if one.label not in behind} - FLAGS for each in (whole, other)
            )
            literal = {one for one in here | there if one[0] == '"'}
            # What a value is compared with says of which type it is.
            gone = there - here if cut and COMPARED.match(text, place.end) else set[str]()
            assert here - literal == there - literal - gone, shown(place)
