"""DS03: values and their types."""

from __future__ import annotations

import re
from typing import Literal

from msgspec import Struct, structs

from ...project.source import Location
from ..fixes import replace, suggestions
from ..record import Diagnostic, Edit, Fix, Label, also
from ..spelling import closest
from ..wording import article, did_you_mean_text, listed, plural
from .base import Code, Finding
from .snippets import CALL, GRADED, HEAD, TICKETS, program

SORTED = (
    HEAD
    + 'type Topic = "billing" | "shipping" | "returns"\nmodule sort = Predict(sig(text -> topic: Topic))\n'
    + "program about(text: str) -> (goods: bool) {\n  let one = sort(text = text)\n"
)


class Operand(Struct, frozen=True):
    """One of several values that a finding is about, with its type as messages spell it."""

    where: Location
    type: str

    @property
    def label(self) -> Label:
        return Label(self.where, self.type)


DS0301 = Code(
    "DS0301",
    "error",
    "types do not fit",
    "A value of one type stands where another is declared. Both places are shown. A whole number may "
    "stand for a "
    "number, and a literal of a union for text; nothing else is converted in silence.",
    program(CALL, "return answer = a.sources"),
    program(CALL, 'return answer = join(a.sources, "; ")'),
)


class WrongKey(Finding, frozen=True):
    """The type of a dict's keys."""

    code = DS0301

    def told(self) -> Diagnostic:
        return self.says(
            f"a dict's keys are text or whole numbers, and `{self.where.text}` is neither",
            "cannot be a key",
            help="use `dict[str, …]`",
            fixes=(replace(self.where, "str", guess=True),),
        )


Remedy = Literal[
    "none",
    "optional",
    "decide",
    "declare",
    "declare number",
    "quote",
    "moment",
    "hand on",
    "say",
    "join",
    "str",
]
"""What makes a value of one type fit another."""


class DoesNotFit(Finding, frozen=True):
    """A value of the type `got` for `what`, whose type is `want` as is said at `declared`."""

    code = DS0301
    what: str
    want: str
    got: str
    remedy: Remedy = "none"
    declared: Location | None = None

    def told(self) -> Diagnostic:
        text = self.where.text
        remedy = {
            "none": "",
            "optional": f"write `{self.want}?` for what may be missing",
            "decide": f"it may be none; decide what then: `if {text} == none then … else {text}`",
            "declare": f"text may be anything; declare the value as {self.want} where it comes from",
            "declare number": f"it may be any number; declare the value as {self.want} where it comes from",
            "quote": f'write `"{text}"`',
            "hand on": f"it cannot be written out: a program hands on the {self.want} that it is given",
            "moment": f'it is written as its text: `"{text}"`',
            "say": f'say it in words: `if {text} then "…" else "…"`',
            "join": f'join its items: `join({text}, "; ")`',
            "str": f"write `str({text})`",
        }[self.remedy]
        return self.says(
            f"{self.what} must be {self.want}, and this is {self.got}",
            self.got,
            secondary=also(self.declared, f"declared as {self.want}"),
            help=remedy,
            fixes=(replace(self.where, f'"{text}"', guess=True),) if self.remedy == "moment" else (),
        )


class OtherLength(Finding, frozen=True):
    """A list of `count` values that is written out for `what`, the tuple `want`."""

    code = DS0301
    what: str
    want: str
    count: int
    declared: Location | None = None

    def told(self) -> Diagnostic:
        return self.says(
            f"{self.what} must be {self.want}, and this has {plural(self.count, 'value')}",
            plural(self.count, "value"),
            secondary=also(self.declared, f"declared as {self.want}"),
        )


class NoSuchMoment(Finding, frozen=True):
    """A text for `what`, a date or a date and time by its type `want`, that is in no calendar, or in another form."""

    code = DS0301
    what: str
    want: str
    declared: Location | None = None

    def told(self) -> Diagnostic:
        time = self.want == "datetime"
        example = "2026-12-24T18:30:00" if time else "2026-12-24"
        return self.says(
            f"{self.what} must be a date{' and time' if time else ''}, and there is no {self.where.text}",
            "in no calendar, or in another form",
            secondary=also(self.declared, f"declared as {self.want}"),
            help=f'write it as in "{example}"',
        )


class NoDefaultOf(Finding, frozen=True):
    """A default of the input `name`, whose type is the `medium`."""

    code = DS0301
    name: str
    medium: str

    def told(self) -> Diagnostic:
        return self.says(
            f"`{self.name}` cannot have a default: it is {article(self.medium)}, and a default is written out",
            "no default",
            help=f"write `{self.name}: {self.medium}?` for one that may be missing",
        )


class NotOneValue(Finding, frozen=True):
    """A group of values, such as `gold`, for `what`, which needs one of its `members`."""

    code = DS0301
    what: str
    group: str
    noun: str
    members: tuple[str, ...]
    items: tuple[str, ...] = ()
    """Members of a list's items, where it is a list of groups."""

    def told(self) -> Diagnostic:
        text = self.where.text
        if self.items:
            paths = [f"[one.{name} for one in {text}]" for name in self.items]
        else:
            paths = [f"{text}.{name}" for name in self.members]
        return self.says(
            f"{self.what} needs one value, and `{text}` stands for {self.group}",
            self.group,
            help=f"pick one {self.noun}: {listed(paths)}" if paths else "",
            fixes=(replace(self.where, paths[0], guess=True),) if len(paths) == 1 else (),
        )


class GroupsCompared(Finding, frozen=True):
    """`gold == pred`: groups of values on both sides; `shared` are the names that both have."""

    code = DS0301
    operator: str
    left: Operand
    right: Operand
    shared: tuple[str, ...]

    def told(self) -> Diagnostic:
        left, right = self.left.where.text, self.right.where.text
        offers = tuple(f"{left}.{name} {self.operator} {right}.{name}" for name in self.shared[:3])
        return self.says(
            f"`{self.operator}` needs one value on each side; `{left}` stands for {self.left.type}, "
            f"`{right}` for {self.right.type}",
            "groups of values",
            help=f"write `{offers[0]}`" if offers else "",
            fixes=suggestions(self.where, offers, guess=True),
        )


class BranchesDiffer(Finding, frozen=True):
    """The types of what stands after `then` and after `else`."""

    code = DS0301
    then: Operand
    other: str
    picks: tuple[str, ...] = ()
    """The values of a side that is a group: one of them may have been meant."""

    def told(self) -> Diagnostic:
        return self.says(
            f"the branches of `if` differ: {self.then.type} after `then`, {self.other} after `else`",
            self.other,
            secondary=(self.then.label,),
            help=f"pick one value on each side: {listed(self.picks)}" if self.picks else "",
        )


class ItemDiffers(Finding, frozen=True):
    """An item of another type than those `before` it."""

    code = DS0301
    got: str
    before: str

    def told(self) -> Diagnostic:
        return self.says(
            f"a list holds one type: this item is {self.got}, those before are {self.before}", self.got
        )


DS0306 = Code(
    "DS0306",
    "error",
    "literal outside its union",
    "The text is compared with, or given to, a union of literals that does not hold it. In a metric "
    "such a "
    "comparison would score every row as wrong.",
    'dspec 1\n\nsignature Rate { input text: str; output mood: "good" | "bad"; suggest mood != "god" }\n',
    'dspec 1\n\nsignature Rate { input text: str; output mood: "good" | "bad"; suggest mood != "good" }\n',
)


class NotInUnion(Finding, frozen=True):
    """A text, or a number, given to, or compared with, `what`, which is one of `values`."""

    code = DS0306
    text: str
    values: tuple[str, ...]
    what: str
    declared: Location | None = None
    numbers: bool = False

    def told(self) -> Diagnostic:
        near = () if self.numbers else closest(self.text, self.values)
        quote = "" if self.numbers else '"'
        shown = ", ".join(f"{quote}{choice}{quote}" for choice in self.values[:8])
        more = f" and {len(self.values) - 8} more" if len(self.values) > 8 else ""
        of = self.what.removeprefix("the default of ")
        return self.says(
            f"{quote}{self.text}{quote} is not one of the values of {of}{did_you_mean_text(near)}",
            "not in the union",
            secondary=(Label(self.declared, f"`{self.declared.text}` is declared here"),)
            if self.declared
            else (),
            help=f"the values are {shown}{more}" if len(self.values) > 1 else f"the only value is {shown}",
            fixes=suggestions(self.where, tuple(f'"{choice}"' for choice in near), declared=True),
        )


DS0307 = Code(
    "DS0307",
    "error",
    "record contains itself",
    "Every value of the record would need another one inside it, without end. A field that may be "
    "missing, or a "
    "list, ends it.",
    "dspec 1\n\nrecord Part { field name: str; field inner: Part }\n",
    "dspec 1\n\nrecord Part { field name: str; field inner: Part? }\n",
)


class ContainsItself(Finding, frozen=True):
    """A record's field of the type `type`, written at `annotation`, holds another `record`.

    `way` are the records that lead from it back to the first.
    """

    code = DS0307
    record: Location
    way: tuple[str, ...]
    type: str
    annotation: Location | None

    def told(self) -> Diagnostic:
        name = self.record.text
        through = f" by way of {', '.join(f'`{one}`' for one in self.way)}" if self.way else ""
        fixes: tuple[Fix, ...] = ()
        if self.annotation:
            end = self.annotation.near(self.annotation.end, self.annotation.end)
            fixes = (Fix("Make it optional", (Edit(end, "?"),), "maybe"),)
        return self.says(
            f"record `{name}` contains itself{through}: a value of it could never end",
            f"needs another `{name}`",
            secondary=(Label(self.record, "declared here"),),
            help=f"make it optional (`{self.where.text}: {self.type}?`) or a list",
            fixes=fixes,
        )


DS0310 = Code(
    "DS0310",
    "error",
    "nothing in, or nothing out",
    "A signature needs at least one input and one output, a record at least one field.",
    "dspec 1\n\nsignature Ask { input question: str }\n",
    "dspec 1\n\nsignature Ask { input question: str; output answer: str }\n",
)


class Lacks(Finding, frozen=True):
    """A signature or a record without any `input`, `output` or `field`; `keyword` is empty for `sig(...)`."""

    code = DS0310
    role: Literal["input", "output", "field"]
    keyword: str = ""

    def told(self) -> Diagnostic:
        item = {"input": "input text: str", "output": "output answer: str", "field": "field name: str"}
        owner = f"{self.keyword} `{self.where.text}`" if self.keyword else "`sig(...)`"
        return self.says(
            f"{owner} has no {self.role}",
            "empty" if self.role == "field" else f"no {self.role}",
            help=f"add one: `{item[self.role]}`" if self.keyword else "",
        )


DS0316 = Code(
    "DS0316",
    "error",
    "union of types",
    "A union lists string literals, or numbers, or records that a literal field tells apart. A value that may be missing is "
    "written `T?`. Any other mixture would leave open what an answer means: text may spell a number.",
    "dspec 1\n\ntype Value = str | int\n",
    'dspec 1\n\ntype Value = "low" | "high"\n',
)


class TypeInUnion(Finding, frozen=True):
    """A member of a union that is no literal and no record; or, with `beside`, one of another kind than the first is."""

    code = DS0316
    beside: str = ""

    def told(self) -> Diagnostic:
        name = self.where.text
        if self.beside:
            return self.says(
                f"a union has members of one kind, and `{name}` stands among {self.beside}",
                f"not one of {self.beside}",
                help="for values of several shapes, declare a record for each, with a literal field that tells them apart",
            )
        if name.startswith('"'):
            return self.says(
                f"a union lists literals or records, and `{name}` may be missing",
                "`?` of one literal",
                help="give the union a name, `type Name = …`, and write `Name?` where it may be missing",
            )
        behind = self.where.source.text[self.where.end : self.where.end + 40]
        missing = re.match(r"\s*\|\s*(?:none|None|null)\b(?!\s*\|)", behind)
        whole = self.where.near(self.where.start, self.where.end + missing.end()) if missing else None
        return self.says(
            f"a union lists literals or records, and `{name}` is neither",
            "no literal",
            help=f"a value that may be missing has the type `{name}?`"
            if missing
            else "a value has one type; for one that may be missing write `T?`, and for values of several shapes a record each",
            fixes=(replace(whole, f"{name}?", guess=True),) if whole else (),
        )


DS0317 = Code(
    "DS0317",
    "error",
    "list or dict of what",
    "`list`, `dict` and `tuple` need the types of what they hold, since answers are read and checked by it.",
    "dspec 1\n\nsignature Ask { input question: str; output facts: list }\n",
    "dspec 1\n\nsignature Ask { input question: str; output facts: list[str] }\n",
)


class OfWhat(Finding, frozen=True):
    """A `list`, a `dict` or a `tuple` that does not say what it holds."""

    code = DS0317

    def told(self) -> Diagnostic:
        word = self.where.text
        full = {"list": "list[str]", "tuple": "tuple[str, int]"}.get(word, "dict[str, str]")
        return self.says(
            f"`{word}` needs to know what it holds, as in `{full}`",
            "of what?",
            fixes=(replace(self.where, full, guess=True),),
        )


DS0328 = Code(
    "DS0328",
    "warning",
    "value that is never met",
    "A value that stands in a list, or beside a date or a tuple, equals nothing that can come: a label that the union does "
    "not have, a text that is no date, a list of another length. The comparison runs, and is false for that value on every row.",
    SORTED + '  return goods = one.topic in ["shiping", "returns"]\n}\n',
    SORTED + '  return goods = one.topic in ["shipping", "returns"]\n}\n',
)


class NeverMet(Finding, frozen=True):
    """What `mistake` says of a value, in a comparison that runs all the same."""

    code = DS0328
    mistake: Finding

    def told(self) -> Diagnostic:
        return structs.replace(self.mistake.told(), code=self.code.name, severity=self.code.severity)


DS0331 = Code(
    "DS0331",
    "warning",
    "name in braces in a text",
    "Texts have no placeholders: what stands in braces stays as it is written. Texts are joined with `+`, and `str(…)` makes a "
    "text of another value.",
    GRADED.replace("pred.topic) }", 'pred.topic); feedback = "wanted {gold.topic}" }'),
    GRADED.replace("pred.topic) }", 'pred.topic); feedback = "wanted " + gold.topic }'),
    TICKETS,
)


class BracesInText(Finding, frozen=True):
    """A text that has `braces` in it around a `path` that names a value there."""

    code = DS0331
    braces: str
    path: str

    def told(self) -> Diagnostic:
        return self.says(
            f"`{self.braces}` stays in this text as it is: texts have no placeholders",
            "no placeholder",
            help=f'join what is said with `+`: `"…" + {self.path}`, or `+ str({self.path})` for what is no text',
        )
