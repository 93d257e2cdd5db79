"""DS01: what stands in a block: which attributes, how often, and values of which kind."""

from __future__ import annotations

from typing import Literal

from ...project.source import Location
from ..fixes import ItemRoom, insert, insert_item, replace, suggestions
from ..record import Diagnostic, Edit, Fix, Label
from ..spelling import closest
from ..wording import (
    Form,
    article,
    described,
    did_you_mean,
    did_you_mean_text,
    listed,
    noun,
    quoted,
)
from .base import Code, Finding
from .snippets import METRIC, TICKETS

DS0104 = Code(
    "DS0104",
    "error",
    "not allowed here",
    "Every block is written in the same way, but each kind of declaration takes its own items: a `step` "
    "belongs in an optimize block, an `output` in a signature. The message lists what may stand here.",
    "dspec 1\n\nrecord Line { output sku: str }\n",
    "dspec 1\n\nrecord Line { field sku: str }\n",
)


class Misplaced(Finding, frozen=True):
    """An item of a kind (`doc`, `field`, …) in the block of a `keyword`, which takes `items`.

    `allowed` is all that may be written in the block, `homes` are the blocks that take such an item.
    """

    code = DS0104
    kind: str
    keyword: str
    name: str
    items: tuple[str, ...]
    allowed: tuple[str, ...]
    homes: tuple[str, ...]

    def told(self) -> Diagnostic:
        word = "a doc string" if self.kind == "doc" else f"`{self.kind}`"
        roles = tuple(item for item in self.items if item in ("input", "output", "field"))
        meant: tuple[str, ...] = ()
        hint = ""
        if self.kind in ("input", "output", "field"):
            meant = ("field",) if self.kind == "output" and "field" in roles else roles
            if self.keyword in ("dataset", "record"):
                hint = f"; in {article(self.keyword)}, use {quoted(roles, 'or')}"
        meaning = {
            ("return", "metric"): "`score = …` says what a metric gives; ",
            ("assert", "test"): "a test says `expect …`; ",
        }
        meaning |= {("input", "test"): "a test says `given name = …`; "}
        instead = meaning.get((self.kind, self.keyword), "")
        allowed = ", ".join(each if " " in each else f"`{each}`" for each in self.allowed) or "nothing"
        return self.says(
            f"{word} is not allowed in {article(noun(self.keyword))}{hint}",
            f"not allowed in `{self.keyword} {self.name}`",
            help=f"{instead}allowed here: {allowed}; {word} stands in {quoted(self.homes, 'or')}",
            fixes=suggestions(self.where, meant),
        )


class SectionAndAttribute(Finding, frozen=True):
    """A section written as an attribute, or the other way round; `section` says which it is. `written` is the
    item, at `item`, as sections, where its value says what stands in them; else empty.
    """

    code = DS0104
    section: bool
    item: Location | None = None
    written: str = ""

    def told(self) -> Diagnostic:
        name = self.where.text
        if self.section:
            return self.says(
                f"`{name}` is a section: write `{name} {{ … }}` without `=`",
                "a section takes braces",
                fixes=_in_braces(name, self.item, self.written),
            )
        return self.says(
            f"`{name}` is an attribute: write `{name} = …` without braces", "an attribute takes `=`"
        )


def _in_braces(name: str, item: Location | None, written: str) -> tuple[Fix, ...]:
    return (Fix(f"Write `{name} {{ … }}`", (Edit(item, written),), "maybe"),) if item and written else ()


class NoSetting(Finding, frozen=True):
    """Something else than `name = value` in a section. `role` is the word before `name = value`; empty for other items."""

    code = DS0104
    section: str
    role: str = ""
    name: str = ""

    def told(self) -> Diagnostic:
        gap = self.where.text[len(self.role) :].partition(self.name)[0] if self.role else ""
        end = self.where.start + len(self.role + gap)
        word = self.where.near(self.where.start, end)
        return self.says(
            f"only `name = value` is allowed in `{self.section}`",
            f"not allowed in `{self.section}`",
            help=f"write `{self.name} = …`, without `{self.role}`" if self.role else "",
            fixes=(Fix(f"Delete `{self.role}`", (Edit(word, ""),), "maybe"),) if self.role else (),
        )


class ItemInBraces(Finding, frozen=True):
    """An item of a `keyword`'s block, written as a section."""

    code = DS0104
    keyword: str

    def told(self) -> Diagnostic:
        name = self.where.text
        example = {
            "given": "given question = …",
            "expect": 'expect answer != ""',
            "gate": "gate score >= 0.8",
            "let": "let answer = …",
            "return": "return answer = …",
            "step": "step demos = BootstrapFewShot()",
            "assert": 'assert len(answer) > 0 else "…"',
            "suggest": 'suggest len(answer) < 80 else "…"',
        }.get(name, f"{name} text: str")
        return self.says(
            f"`{name}` takes no braces in {article(noun(self.keyword))}",
            "one item each",
            help=f"write one item for each, as in `{example}`",
        )


DS0105 = Code(
    "DS0105",
    "error",
    "unknown attribute",
    "The block has no attribute or section of this name. A misspelt one would otherwise be ignored, "
    "and the "
    "setting would silently keep its default.",
    'dspec 1\n\nlm mini { model = "openai/gpt-4o-mini"; temprature = 0.0 }\n',
    'dspec 1\n\nlm mini { model = "openai/gpt-4o-mini"; temperature = 0.0 }\n',
)


class UnknownAttribute(Finding, frozen=True):
    """`owner` is a section's name or, if it is a `block`, its keyword; `elsewhere` is a keyword whose blocks have the
    attribute. `lacking` is the keyword that the item, at `item`, seems to lack; empty where nothing suggests one.
    `unlike` are names that are known in the other form: sections where an attribute is written, or the other way round.
    `written` is the item as sections of the nearest name, where its value says what stands in them; else empty.
    """

    code = DS0105
    owner: str
    known: tuple[str, ...]
    block: bool = False
    elsewhere: str = ""
    lacking: str = ""
    item: Location | None = None
    unlike: tuple[str, ...] = ()
    section: bool = False
    """Whether it is written as a section."""
    written: str = ""

    def told(self) -> Diagnostic:
        name = self.where.text
        owner = article(noun(self.owner)) if self.block else f"`{self.owner}`"
        near = closest(name, (*self.known, *self.unlike))
        if near and near[0] in self.unlike:
            meant = f"{near[0]} = …" if self.section else f"{near[0]} {{ … }}"
            form = "an attribute takes `=`" if self.section else "a section takes braces"
            return self.says(
                f"{owner} has no attribute `{name}`{did_you_mean((meant,))}",
                "unknown attribute",
                help=f"{form}: write `{meant}`",
                fixes=_in_braces(near[0], self.item, self.written),
            )
        near = tuple(each for each in near if each in self.known)
        if self.lacking and self.item and not near:
            return self.says(
                f"{owner} has no attribute `{name}`",
                f"not a `{self.lacking}`",
                help=f"write `{self.lacking} {name} = …`",
                fixes=(insert(self.item, f"{self.lacking} "),),
            )
        extra = f"; `{name}` belongs in {article(self.elsewhere)}" if self.elsewhere else ""
        if self.block and self.owner == "lm" and not self.elsewhere:
            extra = "; what only some providers know stands in `extra { … }`"
        everything = (*self.unlike, *self.known) if self.section else (*self.known, *self.unlike)
        known = f"it has {listed(everything)}" if everything else "it has no attributes"
        return self.says(
            f"{owner} has no attribute `{name}`{did_you_mean(near)}",
            "unknown attribute",
            help="" if near else known + extra,
            fixes=suggestions(self.where, near),
        )


DS0106 = Code(
    "DS0106",
    "error",
    "given twice",
    "One value is given in two places, and nothing says which one counts.",
    'dspec 1\n\nlm mini { model = "openai/gpt-4o-mini"; temperature = 0.0; temperature = 1.0 }\n',
    'dspec 1\n\nlm mini { model = "openai/gpt-4o-mini"; temperature = 0.0 }\n',
)


class GivenTwice(Finding, frozen=True):
    """An argument that was given before, at `first`; `to` is what is called, if that is plain."""

    code = DS0106
    name: str
    first: Location
    to: str = ""

    def told(self) -> Diagnostic:
        return self.says(
            f"`{self.name}` is given twice{f' to {self.to}' if self.to else ''}",
            "again here",
            secondary=(Label(self.first, "first here"),),
        )


class SetTwice(Finding, frozen=True):
    """An attribute or a section; `item` is the whole second one, with what divides it from the one before."""

    code = DS0106
    first: Location
    item: Location

    def told(self) -> Diagnostic:
        return self.says(
            f"`{self.where.text}` is set twice",
            "again here",
            secondary=(Label(self.first, "first set here"),),
            fixes=(Fix("Delete the second one", (Edit(self.item, ""),), "maybe"),),
        )


class TwoDocStrings(Finding, frozen=True):
    code = DS0106
    first: Location
    keyword: str
    name: str

    def told(self) -> Diagnostic:
        return self.says(
            f"{self.keyword} `{self.name}` has two doc strings",
            "second one",
            secondary=(Label(self.first, "first here"),),
            help="join them into one; a string in three quotes may span lines",
        )


class VersionTwice(Finding, frozen=True):
    code = DS0106
    first: Location

    def told(self) -> Diagnostic:
        return self.says(
            "the language version is given twice",
            "again here",
            secondary=(Label(self.first, "first here"),),
        )


class ReturnsTwice(Finding, frozen=True):
    code = DS0106
    program: str
    first: Location

    def told(self) -> Diagnostic:
        return self.says(
            f"program `{self.program}` returns twice",
            "again here",
            secondary=(Label(self.first, "first here"),),
            help="choose what to return with `if … then … else …`",
        )


class UntilTwice(Finding, frozen=True):
    code = DS0106
    first: Location

    def told(self) -> Diagnostic:
        return self.says(
            "the repetition has two `until`",
            "again here",
            secondary=(Label(self.first, "first here"),),
            help="join the conditions with `or`",
        )


class ReturnedTwice(Finding, frozen=True):
    code = DS0106
    name: str

    def told(self) -> Diagnostic:
        return self.says(f"`{self.name}` is returned twice", "again here")


class TwoServers(Finding, frozen=True):
    code = DS0106

    def told(self) -> Diagnostic:
        return self.says("`mcp` takes the server's `command` or its `url`, not both", "which server?")


DS0107 = Code(
    "DS0107",
    "error",
    "missing attribute",
    "The block cannot mean anything without this attribute.",
    "dspec 1\n\nlm mini { temperature = 0.0 }\n",
    'dspec 1\n\nlm mini { model = "openai/gpt-4o-mini"; temperature = 0.0 }\n',
)


class MissingAttribute(Finding, frozen=True):
    """What `owner`, a section or the declaration of a `keyword`, cannot do without."""

    code = DS0107
    owner: str
    attribute: str
    doc: str
    placeholder: str
    keyword: str = ""
    room: ItemRoom | None = None

    def told(self) -> Diagnostic:
        line = f"{self.attribute} = {self.placeholder}"
        return self.says(
            f"{self.keyword} `{self.owner}` is missing `{self.attribute}`".lstrip(),
            help=f"{self.doc} For example `{line}`",
            fixes=insert_item(self.room, line),
        )


class NoSource(Finding, frozen=True):
    """An extern that does not say where its function comes from."""

    code = DS0107
    room: ItemRoom | None

    def told(self) -> Diagnostic:
        line = 'source = python("module:function")'
        return self.says(
            f"extern `{self.where.text}` is missing `source`",
            help=f"where does the function come from? For example `{line}`",
            fixes=insert_item(self.room, line, "Insert `source`"),
        )


class ExpectsNothing(Finding, frozen=True):
    code = DS0107

    def told(self) -> Diagnostic:
        return self.says(
            f"test `{self.where.text}` expects nothing, so it could not fail",
            "no `expect`",
            help='say what must hold of the outputs, for example `expect answer != ""`',
        )


DS0110 = Code(
    "DS0110",
    "error",
    "wrong kind of value",
    "The attribute takes another kind of value: a number, text in quotes, `true` or `false`, one of a "
    "few words.",
    'dspec 1\n\nlm mini { model = "openai/gpt-4o-mini"; temperature = "low" }\n',
    'dspec 1\n\nlm mini { model = "openai/gpt-4o-mini"; temperature = 0.2 }\n',
)


Wanted = Literal[
    "text",
    "texts",
    "flag",
    "integer",
    "number",
    "choice",
    "secret",
    "address",
    "references",
    "column",
    "count",
    "share",
]


class WrongValue(Finding, frozen=True):
    """A value in another form than the one that `name` takes; `example` is a right one, if there is any.

    `of` is the source that has this argument, where it is no attribute.
    """

    code = DS0110
    name: str
    wanted: Wanted
    form: Form
    choices: tuple[str, ...] = ()
    example: str = ""
    of: str = ""

    def told(self) -> Diagnostic:
        written = self.where.text
        given = described(self.form, written)
        path = self.form in ("name", "path")
        fixes: tuple[Fix, ...] = ()
        if self.form == "name" and written in self.choices:
            fixes = (replace(self.where, f'"{written}"'),)
        elif self.wanted == "references" and path:
            fixes = (replace(self.where, f"[{written}]"),)
        wanted = {
            "text": "text in quotes",
            "texts": "text in quotes, or a list of such texts",
            "flag": "`true` or `false`",
            "integer": "a whole number",
            "number": "a number",
            "choice": " or ".join(f'"{choice}"' for choice in self.choices),
            "secret": '`env("NAME")`',
            "address": 'text in quotes or `env("NAME")`',
            "column": "the name of a column",
            "count": "a whole number from 1 up",
            "share": "a number from 0 to 1",
            "references": f"a list of names, as in `[{written if path else 'a, b'}]`",
        }[self.wanted]
        return self.says(
            f"`{self.name}`{f' of `{self.of}`' if self.of else ''} takes {wanted}, and this is {given}",
            given,
            help=f"for example `{self.name} = {self.example}`" if self.example else "",
            fixes=fixes,
        )


class NotAChoice(Finding, frozen=True):
    code = DS0110
    name: str
    value: str
    choices: tuple[str, ...]

    def told(self) -> Diagnostic:
        near = closest(self.value, self.choices)
        return self.says(
            f'`{self.name}` cannot be "{self.value}"{did_you_mean_text(near)}',
            "not a choice",
            help="it is " + " or ".join(f'"{choice}"' for choice in self.choices),
            fixes=suggestions(self.where, tuple(f'"{choice}"' for choice in near)),
        )


class NoCriteria(Finding, frozen=True):
    """What a judge is told to look for is empty, or not `name = "…"`."""

    code = DS0110
    name: str
    form: Form

    def told(self) -> Diagnostic:
        given = described(self.form, self.where.text)
        empty = self.form == "text"
        return self.says(
            f"`{self.name}` is empty"
            if empty
            else f"`{self.name}` takes text in quotes, and this is {given}",
            "says nothing" if empty else given,
            help=f'for example `{self.name} = "The reply answers every question and promises nothing."`; what '
            "differs from row to row is a value of its own",
        )


class NamesNoModel(Finding, frozen=True):
    """An empty `model`."""

    code = DS0110

    def told(self) -> Diagnostic:
        return self.says("`model` is empty", "names no model")


class NoModelName(Finding, frozen=True):
    """A `model` that holds an address."""

    code = DS0110

    def told(self) -> Diagnostic:
        return self.says(
            "`model` holds an address",
            "an address",
            help='where a model is served stands in `api_base = env("…")`, and in `model` what it is called there',
        )


class SourceNotCalled(Finding, frozen=True):
    """An extern's source that is no call; `sources` are those that it may have."""

    code = DS0110
    text: bool
    sources: tuple[str, ...]

    def told(self) -> Diagnostic:
        example = self.where.text if self.text else '"module:function"'
        return self.says(
            f"an extern's source is a call such as `python({example})`",
            "not a source",
            help=f"it comes from {quoted(self.sources, 'or')}",
        )


class NotAListOfTools(Finding, frozen=True):
    """`name` says that what was written is the name of one tool, perhaps after an alias."""

    code = DS0110
    option: str
    form: Form
    name: bool

    def told(self) -> Diagnostic:
        text, given = self.where.text, described(self.form, self.where.text)
        return self.says(
            f"`{self.option}` takes a list of names, and this is {given}",
            given,
            help=f"for example `{self.option} = [{text if self.name else 'search'}]`",
            fixes=(replace(self.where, f"[{text}]"),) if self.name else (),
        )


class NotAnOption(Finding, frozen=True):
    """A value of an option of a strategy that takes a number, `whole` or any; `doc` is the option's own."""

    code = DS0110
    option: str
    strategy: str
    whole: bool
    form: Form
    doc: str

    def told(self) -> Diagnostic:
        given = described(self.form, self.where.text)
        wanted = "a whole number" if self.whole else "a number"
        return self.says(
            f"`{self.option}` of `{self.strategy}` takes {wanted}, and this is {given}", given, help=self.doc
        )


class RowsNotCalled(Finding, frozen=True):
    """A dataset's source that is no call; `source` is the one that reads a file of that name, if there is one."""

    code = DS0110
    form: Form
    source: str

    def told(self) -> Diagnostic:
        given = described(self.form, self.where.text)
        return self.says(
            f'`source` says how rows are read, as in `csv("data/rows.csv")`, and this is {given}',
            given,
            fixes=(replace(self.where, f"{self.source}({self.where.text})"),) if self.source else (),
        )


class NotAnAmount(Finding, frozen=True):
    """Neither a number of rows nor a share of them for a `part`; `share` is the one that is meant, if plain."""

    code = DS0110
    part: str
    form: Form
    share: float | None

    def told(self) -> Diagnostic:
        given = described(self.form, self.where.text)
        return self.says(
            f"the part `{self.part}` takes a number of rows or a percentage, and this is {given}",
            given,
            help="for example `20%` or `200`",
            fixes=() if self.share is None else (replace(self.where, f"{self.share * 100:g}%"),),
        )


class NotADataFile(Finding, frozen=True):
    """`endings` are those of data files."""

    code = DS0110
    path: str
    endings: tuple[str, ...]

    def told(self) -> Diagnostic:
        return self.says(
            f'"{self.path}" does not end like a data file',
            "which format?",
            help=f"a data file ends with {quoted([f'.{ending}' for ending in self.endings], 'or')}",
        )


class NotAnAddress(Finding, frozen=True):
    """A source's `url` that is no address of a server, or has a name and password in it."""

    code = DS0110
    url: str

    def told(self) -> Diagnostic:
        return self.says(
            f'"{self.url[:100]}" is no address of a server',
            "not an address",
            help='it begins with `http://` or `https://`; a key stands in `api_key = env("NAME")`, never in it',
        )


class NotForSource(Finding, frozen=True):
    """A text of another shape than the one that `name` of a `source` has."""

    code = DS0110
    name: str
    source: str

    def told(self) -> Diagnostic:
        return self.says(f"this is no `{self.name}` that `{self.source}` can use", f"not a {self.name}")


class NotOnTheHub(Finding, frozen=True):
    code = DS0110
    repo: str

    def told(self) -> Diagnostic:
        return self.says(
            f'"{self.repo[:80]}" is no name of a dataset on the hub: that is an owner, a slash and a name',
            "not `owner/name`",
            help='for example `huggingface("stanfordnlp/imdb", split = "train")`',
        )


DS0120 = Code(
    "DS0120",
    "error",
    "cannot run as it is written",
    "A strategy lacks an option that it has no default for. The declaration is still checked for names and types; the file "
    "cannot be compiled while it stands so.",
    METRIC.replace("Predict(Route)", "Refine(Route)"),
    METRIC,
    TICKETS,
)


class RunsNotWithout(Finding, frozen=True):
    """A module of a strategy that has options without a default, which it does not give; `applied` is what may stand
    before them."""

    code = DS0120
    strategy: str
    lacking: tuple[str, ...]
    applied: str = "ask"

    def told(self) -> Diagnostic:
        return self.says(
            f"`{self.strategy}` does not run without {quoted(self.lacking)}",
            f"lacks {quoted(self.lacking)}",
            help=f"for example `{self.strategy}({self.applied}, "
            f"{', '.join(f'{name} = …' for name in self.lacking)})`",
        )
