"""Helps people who write as in other languages, and says how it is written here.

This file is imported only once the parser has stopped at a word. The word, and what the parser expected there,
tell which habit it may be.
"""

from __future__ import annotations

import re

from msgspec import Struct

from ...project.source import Location
from ..fixes import insert, replace
from ..record import Edit, Fix
from ..spelling import closest

Habit = tuple[str, tuple[Fix, ...]]
NONE: Habit = ("", ())

COMPARISONS = ("==", "!=", "<", "<=", ">", ">=")
OPERATORS = {"&&": "and", "||": "or", "&": "and", "|": "or", "!": "not"}
TYPES = {"List": "list", "Dict": "dict", "Sequence": "list", "Array": "list", "Map": "dict"}
LITERALS = {"True": "true", "False": "false", "None": "none", "null": "none", "nil": "none"}
"""Values under the names they have elsewhere."""
DECLARATIONS = {
    "model": "lm",
    "llm": "lm",
    "struct": "record",
    "class": "record",
    "enum": "type",
    "function": "extern",
    "def": "program",
    "tool": "extern",
    "data": "dataset",
    "optimizer": "optimize",
    "compile": "optimize",
    "evaluate": "eval",
    "include": "import",
    "use": "import",
}
"""Declarations under the names they have elsewhere."""
_SCORES = re.compile(r"def\s+\w+\s*\(\s*(?:gold|example|row)\b[^)\n]*\bpred")
"""A function of two arguments as other languages score with."""
FIELDS = {
    "signature": "`input` or `output`",
    "dataset": "`input` or `field`",
    "record": "`field`",
}


class Stop(Struct, frozen=True):
    """Where the parser stopped: the word it found, the one before, and what it would have taken.

    `keyword` is that of the declaration; `before` is where the word before stands, if that is known.
    """

    found: str
    previous: str
    wanted: frozenset[str]
    keyword: str
    here: Location
    before: Location | None


def unexpected(found: str, previous: str, expected: tuple[str, ...], keyword: str, here: Location) -> Habit:
    """Help and fixes for a word that cannot stand where it stands; nothing where no habit is known."""
    previous = previous.strip()
    wanted = frozenset(word.strip("`") for word in expected)
    stop = Stop(found.strip(), previous, wanted, keyword, here, _before(here, previous))
    habits = (
        habit(stop)
        for habit in (
            _demos,
            _bases,
            _names,
            _brackets,
            _separators,
            _types,
            _operators,
            _expressions,
            _items,
        )
    )
    return next((known for known in habits if known != NONE), NONE)


def declaration(found: str, here: Location) -> str | None:
    """The declaration that is meant by one that is named as elsewhere."""
    if found == "def" and _SCORES.match(here.source.text[here.start : here.start + 400]):
        return "metric"
    return DECLARATIONS.get(found.lower())


def unknown_character(found: str, here: Location) -> Habit:
    if found in OPERATORS:
        return f"write `{OPERATORS[found]}`", (replace(here, OPERATORS[found], guess=True),)
    if found.startswith("'"):
        line = here.source.text[here.start : here.end + 400].partition("\n")[0]
        closed = re.match(r"'([^'\"\\]*)'", line)
        whole = here.near(here.start, here.start + closed.end()) if closed else None
        fixes = (replace(whole, f'"{closed[1]}"', guess=True),) if whole and closed else ()
        return "text stands in double quotes", fixes
    if found.startswith(("“", "”", "„")):
        line = here.source.text[here.start : here.end + 400].partition("\n")[0]
        closed = re.match(r"[“”„]([^“”„\"\\]*)[“”„\"]", line)
        whole = here.near(here.start, here.start + closed.end()) if closed else None
        fixes = (replace(whole, f'"{closed[1]}"', guess=True),) if whole and closed else ()
        return 'text stands in straight double quotes, `"`', fixes
    return NONE


def _before(here: Location, word: str) -> Location | None:
    """Where the word stands after which the parser stopped."""
    end = len(here.source.text[max(0, here.start - 400) : here.start].rstrip())
    end += max(0, here.start - 400)
    start = end - len(word)
    return here.near(start, end) if word and here.source.text[start:end] == word else None


def _demos(stop: Stop) -> Habit:
    """A demo of a signature, as other languages write a call, an object or a list of such."""
    found, here, word = stop.found, stop.here, stop.before
    head = here.source.text[max(0, here.start - 4000) : here.start]
    if stop.keyword != "signature":
        return NONE
    if re.search(r"\bdemos? *$", head) or (found == "{" and re.search(r"\bdemos? *= *\[?\s*$", head)):
        return "a demo is written `demo { name = value; … }`", ()
    if found == ":" and re.search(r"\bdemo *\{[^{}]*$", head):
        if stop.previous.startswith('"') and word is not None:
            name = stop.previous.strip('"')
            whole = here.near(word.start, here.end)
            fixes = (replace(whole, f"{name} =", guess=True),) if name.isidentifier() else ()
            return "the name of a field stands without quotes, and its value behind `=`", fixes
        return "values are given with `=`", (replace(here, " =", guess=True),)
    return NONE


def _bases(stop: Stop) -> Habit:
    """A declaration that has the fields of another, as other languages say it, or of several."""
    if stop.keyword not in ("record", "signature"):
        return NONE
    head = stop.here.source.text[max(0, stop.here.start - 200) : stop.here.start]
    if stop.found == "," and re.search(r"\bextends\s+[\w.]+\s*$", head):
        return f"a {stop.keyword} extends one other, which may extend a further one", ()
    known = re.search(rf"\b{stop.keyword}\s+(\w+)\s*$", head)
    line = stop.here.source.text[stop.here.start :].partition("\n")[0]
    base = re.match(r"(?::|<|[Ee]xten\w*|inherits|is|from)\s*([A-Z][\w.]*)", line)
    if known is not None and base is not None:
        whole = stop.here.near(stop.here.start, stop.here.start + base.end())
        meant = f"extends {base[1]}"
        help_ = (
            f"the fields of another {stop.keyword} are had with `{stop.keyword} {known[1]} {meant} {{ … }}`"
        )
        return help_, (replace(whole, meant, guess=True),)
    return NONE


def _brackets(stop: Stop) -> Habit:
    """Values and types in parentheses, and an index behind a dot."""
    found, previous, wanted, here, word = stop.found, stop.previous, stop.wanted, stop.here, stop.before
    text = here.source.text
    if found == "," and wanted == frozenset((")",)):
        open_ = re.search(r"(?<![\w\])])\(([^()\[\]\n]*)$", text[max(0, here.start - 200) : here.start])
        inner = re.match(r"[^()\[\]\n]*\)", text[here.start : here.start + 400])
        if open_ is not None:
            fixes: tuple[Fix, ...] = ()
            if inner is not None:
                whole = here.near(here.start - len(open_[0]), here.start + inner.end())
                fixes = (replace(whole, f"[{whole.text[1:-1]}]", guess=True),)
            return "a list or a tuple stands in square brackets: `[0, 16]`", fixes
    if found == "(" and "a type" in wanted:
        whole = re.match(r"\([\w\s,?.\[\]]*\)", text[here.start : here.start + 400])
        fixes = ()
        if whole is not None and "," in whole[0]:
            at = here.near(here.start, here.start + whole.end())
            fixes = (replace(at, f"tuple[{whole[0][1:-1].strip().rstrip(',')}]", guess=True),)
        return "a tuple is of the type `tuple[int, str]`", fixes
    if previous == "." and re.fullmatch(r"\d+", found) and "a name" in wanted and word is not None:
        at = here.near(word.start, here.end)
        return f"an index stands in brackets: `[{found}]`", (replace(at, f"[{found}]", guess=True),)
    if found == "." and stop.keyword == "type" and re.fullmatch(r"-?\d+", previous):
        return "the values are written out: `1 | 2 | 3`", ()
    return NONE


def _names(stop: Stop) -> Habit:
    """Names with hyphens or in quotes, as headers have them, and values in braces."""
    found, previous, wanted, keyword, here, word = (
        stop.found,
        stop.previous,
        stop.wanted,
        stop.keyword,
        stop.here,
        stop.before,
    )
    line = here.source.text[here.start : here.start + 200].partition("\n")[0]
    if found == "-" and wanted == frozenset(("=", "{")) and word is not None:
        rest = re.match(r"(?:-\w+)+(?=\s*=)", line)
        if rest is not None:
            return _hyphened(here.near(word.start, here.start + rest.end()))
    if found == "=" and previous[:1] == '"' and keyword == "lm" and word is not None:
        return _hyphened(word)
    if found == "{" and previous == "=" and "an expression" in wanted:
        owner = re.search(r"(\w+)\s*=\s*\Z", here.source.text[max(0, here.start - 80) : here.start])
        if keyword == "lm" and owner is not None and word is not None:
            fixes = (Fix("Remove `=`", (Edit(word, ""),), "maybe"),)
            return f"a section takes braces without `=`: `{owner[1]} {{ … }}`", fixes
        return "a dict is written `dict(name = value)`, and a record `Order(name = value)`", ()
    return NONE


def _hyphened(where: Location) -> Habit:
    """What a name is that has `-` elsewhere."""
    name = re.sub(r"\W+", "_", where.text.strip('"'))
    return (
        f"names have no quotes and no `-`: write `{name} = …`; a header is sent with `-` for `_`",
        (replace(where, name, guess=True),),
    )


def _separators(stop: Stop) -> Habit:
    found, previous, wanted, keyword, here, word = (
        stop.found,
        stop.previous,
        stop.wanted,
        stop.keyword,
        stop.here,
        stop.before,
    )
    if found == ":" and {"{", "("} <= wanted:
        return "what belongs to a declaration stands in braces: `{ … }`", ()
    if (
        found == ","
        and "else" in wanted
        and re.match(r",\s*\"", here.source.text[here.start : here.start + 80])
    ):
        return "what is said when it does not hold comes behind `else`", (replace(here, " else", guess=True),)
    if found == ":" and "=" in wanted:
        # In a dataset that stands on one line it may be the size of a part.
        if keyword in FIELDS and (_starts_a_line(word) or (keyword != "dataset" and _starts_an_item(word))):
            role = "field" if keyword == "record" else "input"
            return f"a field starts with {FIELDS[keyword]}, as in `{role} {previous}: …`", ()
        return "values are given with `=`", (replace(here, " =", guess=True),)
    if found == "," and "a new line" in wanted:
        if said := _more_types(stop):
            return said
        return "items are divided by a new line or `;`", (replace(here, ";", guess=True),)
    if previous in ("field", "input", "output") and {")", ":"} <= wanted:
        return "what belongs to a declaration stands in braces: `{ … }`", ()
    if ":" in wanted and re.fullmatch(r"[^\W\d]\w*", found) and not found.isupper():
        gap = here.near(word.end, here.start) if word else None
        return "a type comes after a colon", (Fix("Insert `:`", (Edit(gap, ": "),), "maybe"),) if gap else ()
    return NONE


_MEMBER = r'(?:"(?:[^"\\\n]|\\.)*"|-?\d+|[A-Z]\w*)'
"""What a union may list."""
_ONE_MORE = re.compile(rf"[:=|]\s*{_MEMBER}\s*\Z")
_ONE_MEANT = re.compile(rf"[:=|]\s*{_MEMBER}\s+{_MEMBER}\s*\Z")


def _more_types(stop: Stop) -> Habit | None:
    """What a comma behind a type means, where another one follows it."""
    here, fields = stop.here, stop.keyword in FIELDS
    if not fields and stop.keyword != "type":
        return None
    before, after = (
        here.source.text[max(0, here.start - 400) : here.start],
        here.source.text[here.end : here.end + 400],
    )
    member = re.match(rf"\s*{_MEMBER}(?![ \t]*[=:\w])", after)
    if member and (_ONE_MORE.search(before) or (not fields and _ONE_MEANT.search(before))):
        return 'one of several values is written `"a" | "b"`', (replace(here, " |", guess=True),)
    if (
        fields
        and re.search(r":\s*[a-z]\w*\??\s*\Z", before)
        and re.match(r"\s*[a-z]\w*\??\s*(?:[};\n]|\Z)", after)
    ):
        return (
            "a value has one type; for one that may be missing write `T?`, and for values of several shapes a record each",
            (),
        )
    return None


def _types(stop: Stop) -> Habit:
    found, previous, wanted, word = stop.found, stop.previous, stop.wanted, stop.before
    meant = (TYPES[previous],) if previous in TYPES else closest(previous, ("list", "dict"))[:1]
    if meant and previous not in meant and found in ("[", "<") and word:
        return f"it is written `{meant[0]}[…]`", (replace(word, meant[0], guess=True),)
    if previous in ("list", "dict") and found == "<":
        return f"what it holds stands in square brackets: `{previous}[…]`", ()
    if found in ("true", "false") and "a type" in wanted:
        return "true or false is the type `bool`", ()
    if found == "." and stop.wanted >= {"a type", "]"}:
        return "as many values as there are of one type are `list[…]`; a tuple has as many as are written", ()
    if found[:1] == '"' and re.fullmatch(r"-?[\d.]+", previous) and wanted == frozenset(("a new line",)):
        return (
            'only texts take meanings, as in `"low" "can wait"`: say what the numbers mean behind the type',
            (),
        )
    if found == "none" and "a type" in wanted:
        return "for a value that may be missing, put `?` behind its type: `str?`", ()
    if found == "[" and word is not None and ({"a new line", "=", "]", "->"} & wanted):
        return _generic(previous, stop.here, word)
    return NONE


def _generic(name: str, here: Location, word: Location) -> Habit:
    """What a type in brackets behind a name is here, `Optional[int]`, as far as a line holds it."""
    inner, end = _bracketed(here)
    whole = None if end is None else here.near(word.start, end)

    def meant(written: str) -> tuple[Fix, ...]:
        return (replace(whole, written, guess=True),) if whole else ()

    parts = [part.strip() for part in re.split(r",(?![^\[]*\])", inner)] if inner else []
    rest = [part for part in parts if part not in ("None", "none", "null")]
    if name in ("Optional", "Maybe") or (name == "Union" and len(rest) == 1 < len(parts)):
        type_ = rest[0] if len(rest) == 1 else "str"
        return f"a value that may be missing has the type `{type_}?`", meant(f"{type_}?") if rest else ()
    if name in ("Literal", "Enum"):
        texts = all(re.fullmatch(r'"[^"\\]*"|-?\d+', part) for part in parts)
        written = " | ".join(parts) if parts and texts else '"a" | "b"'
        return f"one of several values is written `{written}`", meant(written) if parts and texts else ()
    if name == "Union":
        written = " | ".join(rest)
        if rest != parts or not all(re.fullmatch(r"[A-Z]\w*", part) for part in parts):
            return (
                'one of several texts is written `"a" | "b"`, a value that may be missing `str?`, and one of several records, '
                "each with a literal field that tells it from the others, `A | B`",
                (),
            )
        return f"one of several records is written `{written}`", meant(written)
    if name in ("Tuple", "NamedTuple"):
        if len(rest) == 2 and rest[1] == "...":
            return f"as many values as there are of one type are `list[{rest[0]}]`", meant(f"list[{rest[0]}]")
        return f"it is written `tuple[{inner or 'str, int'}]`", meant(f"tuple[{inner}]") if inner else ()
    if name in ("set", "Set", "frozenset", "FrozenSet"):
        return f"there are no sets: a list is `list[{inner or 'str'}]`", meant(
            f"list[{inner}]"
        ) if inner else ()
    if end is not None and not inner:
        return f"a list of them is `list[{name}]`", meant(f"list[{name}]")
    return f"only `list[…]`, `dict[…]` and `tuple[…]` hold other types, and `{name}` is none of them", ()


def _bracketed(here: Location) -> tuple[str, int | None]:
    """What stands between the bracket at `here` and its partner on the line, and where that ends."""
    line = here.source.text[here.start : here.start + 400].partition("\n")[0]
    depth = 0
    for place, letter in enumerate(line):
        depth += (letter == "[") - (letter == "]")
        if depth == 0:
            return line[1:place].strip(), here.start + place + 1
    return "", None


def _operators(stop: Stop) -> Habit:
    found, wanted, here = stop.found, stop.wanted, stop.here
    if found == "=" and not wanted & {"=", "a name"}:
        return "`=` gives a value to a name; to compare two values, write `==`", (
            replace(here, "==", guess=True),
        )
    if found in COMPARISONS and found not in wanted:
        return "comparisons do not chain: join two of them with `and`", ()
    if found == "/" and here.source.text.startswith("//", here.start):
        whole = here.near(here.start, here.start + 2)
        return "a comment starts with `#`", (replace(whole, "#", guess=True),)
    if found == "->":
        return "a signature in place is written `sig(question -> answer)`", ()
    if found == ")" and "->" in wanted:
        return "a signature names its outputs behind `->`", ()
    return NONE


def _expressions(stop: Stop) -> Habit:
    found, previous, wanted, here, word = stop.found, stop.previous, stop.wanted, stop.here, stop.before
    if found == "if" and "]" in wanted:
        return "a list made with `for` takes every item; there is no `if` in it", ()
    if found == "if" and "an item" not in wanted and not _first_on_line(here):
        return "a choice is written `if condition then one else other`", ()
    if found[:1] == '"' and previous in ("f", "r", "b") and word and word.end == here.start:
        return 'text has no prefixes: join texts with `+`, as in `"expected " + gold.answer`', ()
    if found[:1] == '"' and "else" in wanted:
        return "what is said when it does not hold comes behind `else`", (insert(here, "else "),)
    return NONE


def _items(stop: Stop) -> Habit:
    found, wanted, here, word = stop.found, stop.wanted, stop.here, stop.before
    if found in ("if", "for", "while", "match", "try") and _first_on_line(here):
        if found == "for":
            return "a list is made with `[… for x in list]`; there are no other loops over one", ()
        if found == "while":
            return "what is done several times is `let x = repeat 3 from y { … until … }`", ()
        return "there are no statements: a value is chosen with `if … then … else …`", ()
    if stop.previous == "repeat" and "a number" in wanted:
        return (
            "how often is written as a number, as in `repeat 3 from …`: all calls are counted before anything runs",
            (),
        )
    if stop.previous == "require" and stop.keyword in ("optimize", "eval") and word and _first_on_line(word):
        return "what a result must reach is written `gate score >= 0.9`", (replace(word, "gate", guess=True),)
    if wanted == frozenset(("=", "{")) and re.fullmatch(r"[^\W\d]\w*", found) and _starts_a_line(word):
        return "text stands in double quotes, and an attribute is written `name = value`", ()
    return NONE


def _first_on_line(here: Location) -> bool:
    return not here.source.text[here.source.text.rfind("\n", 0, here.start) + 1 : here.start].strip()


def _starts_a_line(word: Location | None) -> bool:
    return word is not None and _first_on_line(word)


def _starts_an_item(word: Location | None) -> bool:
    before = "" if word is None else word.source.text[max(0, word.start - 80) : word.start].rstrip(" \t")
    return before.endswith(("{", ";"))
