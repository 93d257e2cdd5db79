"""DS03: types, calls and programs."""

from __future__ import annotations

import re
from typing import Literal

from msgspec import Struct, structs

from ...project.source import Location
from ..fixes import ItemRoom, insert_item, replace, suggestions
from ..record import Diagnostic, Edit, Fix, Label, also
from ..spelling import closest
from ..wording import article, did_you_mean, did_you_mean_text, listed, plural, quoted
from .base import Code, Finding
from .snippets import DATA, GRADED, TICKETS, TOOLS

ASK = """\
dspec 1

lm mini { model = "openai/gpt-4o-mini" }
signature Ask { "Answer the question."; input question: str; output answer: str; output sources: list[str] }
module ask = Predict(Ask)
"""


def program(*lines: str, header: str = "program P(question: str) -> (answer: str)") -> str:
    return ASK + header + " {\n" + "".join(f"  {line}\n" for line in lines) + "}\n"


BM25 = 'dspec 1\n\nlm mini { model = "openai/gpt-4o-mini" }\n'
AGENT = "module agent = ReAct(sig(question -> answer), tools = [find], max_iters = 4)\n"

SORTED = (
    BM25
    + 'type Topic = "billing" | "shipping" | "returns"\nmodule sort = Predict(sig(text -> topic: Topic))\n'
    + "program about(text: str) -> (goods: bool) {\n  let one = sort(text = text)\n"
)
CALL = "let a = ask(question = question)"
RETURN = "return answer = a.answer"


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


DS0302 = Code(
    "DS0302",
    "error",
    "missing argument",
    "The call leaves out an input that has no default.",
    program("let a = ask()", RETURN),
    program(CALL, RETURN),
)


class LacksArguments(Finding, frozen=True):
    """A call of `what`, which is written as `shape`, without `lacking`. Of these, `optional` takes `none`, and `handed_on`,
    with its type, is nothing that can be written out."""

    code = DS0302
    what: str
    shape: str
    lacking: tuple[str, ...]
    declared: tuple[Label, ...] = ()
    optional: str = ""
    handed_on: tuple[str, str] | None = None

    def told(self) -> Diagnostic:
        more = f"; write `{self.optional} = none` where there is none" if self.optional else ""
        if self.handed_on:
            name, type_ = self.handed_on
            more += (
                f"; a program hands on what it is given, `program name({name}: {type_}, …)`, "
                f"and `input {name}: {type_}?` takes `none`"
            )
        return self.says(
            f"this call of {self.what} lacks {quoted(self.lacking)}",
            f"lacks {quoted(self.lacking)}",
            secondary=self.declared,
            help=f"it is called as {self.shape}{more}",
        )


class JudgesNothing(Finding, frozen=True):
    code = DS0302
    judge: str

    def told(self) -> Diagnostic:
        return self.says(
            f"this call of `{self.judge}` lacks something to look at",
            "judges nothing",
            help=f"give it values by names of your choice, as in `{self.judge}(…, reply = pred.reply)`",
        )


class LacksGiven(Finding, frozen=True):
    """A test that gives no value for some inputs, which stand at `inputs`."""

    code = DS0302
    absent: tuple[str, ...]
    inputs: tuple[Location, ...]

    def told(self) -> Diagnostic:
        lacks = f"lacks {quoted(self.absent)}"
        return self.says(
            f"test `{self.where.text}` {lacks}",
            lacks,
            secondary=tuple(Label(place, "an input") for place in self.inputs),
            help=f"add `given {self.absent[0]} = …`",
        )


class LacksSignature(Finding, frozen=True):
    """`function` says that a Python function is written before it."""

    code = DS0302
    strategy: str
    function: bool = False

    def told(self) -> Diagnostic:
        before = '"module:function", ' if self.function else ""
        return self.says(
            f"`{self.strategy}` needs a signature",
            "lacks its signature",
            help=f"write `{self.strategy}({before}Name)` or `{self.strategy}({before}sig(question -> answer))`",
        )


class NoPath(Finding, frozen=True):
    """A `source` of rows without the path of its file."""

    code = DS0302
    source: str
    ending: str

    def told(self) -> Diagnostic:
        return self.says(
            f"`{self.source}` needs the path of a file",
            "which file?",
            help=f'for example `{self.source}("data/rows.{self.ending}")`',
        )


class NoServer(Finding, frozen=True):
    code = DS0302

    def told(self) -> Diagnostic:
        return self.says("`mcp` needs the server's `command` or its `url`", "which server?")


DS0303 = Code(
    "DS0303",
    "error",
    "unknown argument",
    "What is called has no input or option of this name, or takes fewer of them.",
    program("let a = ask(qestion = question)", RETURN),
    program(CALL, RETURN),
)


class TooManyArguments(Finding, frozen=True):
    code = DS0303
    what: str
    shape: str
    count: int
    noun: str
    declared: tuple[Label, ...] = ()

    def told(self) -> Diagnostic:
        return self.says(
            f"{self.what} takes {plural(self.count, self.noun)}, and this is one more",
            "one too many",
            secondary=self.declared,
            help=f"it is called as {self.shape}",
        )


class UnknownArgument(Finding, frozen=True):
    """`known` are the names that `what` takes."""

    code = DS0303
    what: str
    known: tuple[str, ...]
    noun: str
    declared: tuple[Label, ...] = ()

    def told(self) -> Diagnostic:
        name = self.where.text
        near = closest(name, self.known)
        return self.says(
            f"{self.what} has no {self.noun} `{name}`{did_you_mean(near)}",
            f"not {article(self.noun)}",
            secondary=self.declared,
            help="" if near else f"it has {listed(self.known)}" if self.known else f"it has no {self.noun}s",
            fixes=suggestions(self.where, near, declared=True),
        )


class Nameless(Finding, frozen=True):
    """A value that a judge is shown without a name. `name` is one that would do: `its_own`, or any."""

    code = DS0303
    judge: str
    name: str
    its_own: bool

    def told(self) -> Diagnostic:
        named = f"{self.name} = "
        before = self.where.near(self.where.start, self.where.start)
        return self.says(
            f"`{self.judge}` is given what it looks at by name",
            "has no name",
            help=f"the name is what the judge sees: `{named}{self.where.text}`",
            fixes=(Fix(f"Insert `{named}`", (Edit(before, named),), "maybe"),) if self.its_own else (),
        )


class UnknownGiven(Finding, frozen=True):
    """A test gives a value to an input that `program` does not have: it has `inputs`."""

    code = DS0303
    program: str
    inputs: tuple[str, ...]

    def told(self) -> Diagnostic:
        name = self.where.text
        near = closest(name, self.inputs)
        return self.says(
            f"`{self.program}` has no input `{name}`{did_you_mean(near)}",
            "not an input",
            help="" if near else f"its inputs are {listed(self.inputs)}",
            fixes=suggestions(self.where, near, declared=True),
        )


class UnknownOption(Finding, frozen=True):
    """`known` are the options that `owner` has."""

    code = DS0303
    owner: str
    known: tuple[str, ...]

    def told(self) -> Diagnostic:
        near = closest(self.where.text, self.known)
        return self.says(
            f"`{self.owner}` has no option `{self.where.text}`{did_you_mean(near)}",
            "unknown option",
            help="" if near else f"it has {listed(self.known)}",
            fixes=suggestions(self.where, near),
        )


class OnePath(Finding, frozen=True):
    """A second text for a `source` of rows, whose options are `known`."""

    code = DS0303
    source: str
    known: tuple[str, ...]

    def told(self) -> Diagnostic:
        return self.says(
            f"`{self.source}` takes one path", "one too many", help=f"it has {listed(self.known)}"
        )


class OneSignature(Finding, frozen=True):
    code = DS0303
    strategy: str

    def told(self) -> Diagnostic:
        return self.says(
            f"`{self.strategy}` takes one signature; its options are given by name",
            "one too many",
            help="for example `lm = mini`",
        )


DS0304 = Code(
    "DS0304",
    "error",
    "unknown field",
    "The value has no field or output of this name.",
    program(CALL, "return answer = a.anwser"),
    program(CALL, RETURN),
)


class UnknownField(Finding, frozen=True):
    """A member that `of` does not have. The `owner` has these `members`, each with the place of its declaration.
    `undeclared` is a column that the dataset's file has, and only the dataset leaves out.
    """

    code = DS0304
    of: str
    owner: str
    noun: str
    members: tuple[tuple[str, Location | None], ...]
    undeclared: bool = False

    def told(self) -> Diagnostic:
        name, places = self.where.text, dict(self.members)
        near = () if self.undeclared else closest(name, places)
        first = next((place for place in places.values() if place), None)
        if near and (place := places[near[0]]):
            secondary = also(place, f"`{near[0]}` is declared here")
        else:
            secondary = also(first, f"the first {self.noun} is declared here")
        return self.says(
            f"`{self.of}` has no {self.noun} `{name}`{did_you_mean(near)}",
            f"not {article(self.noun)} of {self.owner}",
            secondary=secondary,
            help=f"its file has that column: declare it in {self.owner}, as in `field {name}: str`"
            if self.undeclared
            else f"{self.owner} has {listed(places)}"
            if places and not near
            else "",
            fixes=suggestions(self.where, near, declared=True),
        )


class NotAnOutput(Finding, frozen=True):
    """An option that names an output, which is none of the `outputs`."""

    code = DS0304
    option: str
    outputs: tuple[str, ...]

    def told(self) -> Diagnostic:
        near = closest(self.where.text, self.outputs)
        return self.says(
            f"`{self.option}` names an output, and `{self.where.text}` is none{did_you_mean(near)}",
            "no such output",
            help="" if near else f"the outputs are {listed(self.outputs)}",
            fixes=suggestions(self.where, near, declared=True),
        )


class NotOfTheSignature(Finding, frozen=True):
    """A demo that gives a value to a field that the `signature` has not: it has `fields`. `added` says that a strategy adds an
    output of this name, which a signature may declare."""

    code = DS0304
    signature: str
    fields: tuple[str, ...]
    added: bool

    def told(self) -> Diagnostic:
        name = self.where.text
        near = () if self.added else closest(name, self.fields)
        known = f"it has {listed(self.fields)}" if self.fields else ""
        return self.says(
            f"`{self.signature}` has no field `{name}`{did_you_mean(near)}",
            "no such field",
            help=f"declare it to show it: `output {name}: str`" if self.added else "" if near else known,
            fixes=suggestions(self.where, near, declared=True),
        )


class HasNoFields(Finding, frozen=True):
    """A dot behind a value, `of`, of a type whose values have no fields; `items` says that they have items, `extern` that a
    call of one gave it."""

    code = DS0304
    of: str
    got: str
    items: bool
    extern: bool = False

    def told(self) -> Diagnostic:
        hint = "take an item of the list first, as in `xs[0]`" if self.items else ""
        if self.extern:
            hint = f"the call of an extern gives its value itself: write `{self.of}`"
        return self.says(
            f"`{self.of}` is {self.got} and has no fields, so `.{self.where.text}` names nothing",
            "no such field",
            help=hint,
        )


DS0305 = Code(
    "DS0305",
    "error",
    "header and return differ",
    "A program's header promises its outputs, and `return` must give exactly those.",
    program(CALL, "return reply = a.answer"),
    program(CALL, RETURN),
)


class ReturnsNothing(Finding, frozen=True):
    """A program without `return`; `promised` are the outputs of its header."""

    code = DS0305
    promised: tuple[str, ...]

    def told(self) -> Diagnostic:
        wanted = ", ".join(f"{name} = …" for name in self.promised or ("answer",))
        return self.says(
            f"program `{self.where.text}` returns nothing",
            "no `return`",
            help=f"end it with `return {wanted}`",
        )


class NotPromised(Finding, frozen=True):
    """An output of that `name` is returned, and the header of `program` promises others."""

    code = DS0305
    name: str
    program: Location
    promised: tuple[str, ...]

    def told(self) -> Diagnostic:
        promises = f"promises {listed(self.promised)}"
        return self.says(
            f"program `{self.program.text}` returns `{self.name}`, and its header {promises}",
            "not promised",
            secondary=(Label(self.program, promises),),
        )


class NotReturned(Finding, frozen=True):
    """Outputs that are `absent` in the `return`, with the places of those whose place is known."""

    code = DS0305
    program: str
    absent: tuple[str, ...]
    promised: tuple[Location, ...]

    def told(self) -> Diagnostic:
        absent = quoted(self.absent)
        return self.says(
            f"program `{self.program}` promises {absent} and does not return "
            f"{'it' if len(self.absent) == 1 else 'them'}",
            f"lacks {absent}",
            secondary=tuple(Label(place, "promised here") for place in self.promised),
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


DS0308 = Code(
    "DS0308",
    "error",
    "extern and its Python differ",
    "An extern declares the inputs and the result of a Python function, and the function's own "
    "annotations say something else. Inputs are given by name, so each must be one of the function's "
    "parameters. The function of a dataset's `python(…)` is called without any.",
    'dspec 1\n\nextern find(query: str) -> str = python("tools:search")\n',
    'dspec 1\n\nextern find(query: str) -> list[str] = python("tools:search")\n',
    TOOLS,
)


def _line(function: Location) -> str:
    """The file and the line of a Python function."""
    return f"{function.source.name}:{function.source.position(function.start).line}"


class NotTaken(Finding, frozen=True):
    """An input of `owner` that the Python `function` does not take: it takes `taken`, and `inputs` are all that are
    declared."""

    code = DS0308
    owner: str
    name: str
    inputs: tuple[str, ...]
    function: Location
    taken: tuple[str, ...]

    @property
    def near(self) -> tuple[str, ...]:
        return closest(self.name, [each for each in self.taken if each not in self.inputs])

    def told(self) -> Diagnostic:
        taken = f"takes {quoted(self.taken)}" if self.taken else "takes nothing by name"
        near = self.near
        return self.says(
            f"{self.owner} has the input `{self.name}`, and its Python function takes no such "
            f"argument{did_you_mean(near)}",
            "not taken by the function",
            secondary=(Label(self.function, taken),),
            fixes=suggestions(self.where, near),
        )


class TakesMore(Finding, frozen=True):
    """The Python `function` of an extern or a module needs what is `absent` in it, or else takes inputs by their `positions`."""

    code = DS0308
    function: Location
    absent: tuple[str, ...]
    positions: tuple[str, ...]

    def told(self) -> Diagnostic:
        name, line = self.where.text, _line(self.function)
        what = quoted(self.absent or self.positions)
        by_position = "" if self.absent else " by position, and inputs are given by name"
        return self.says(
            f"the Python function of `{name}` needs {what}{by_position}",
            f"does not declare {what}" if self.absent else "cannot be called",
            secondary=(Label(self.function, f"needs {what}"),),
            help=f"declare it as an input of `{name}`, or give it a default in {line}"
            if self.absent
            else f"take the `/` out of the parameters in {line}",
        )


class PythonDiffers(Finding, frozen=True):
    """An `input` of `owner`, or else its result, has another type than the Python function says at `python`.

    `written` says that the type stands here and can be replaced.
    """

    code = DS0308
    owner: str
    input: str
    declared: str
    type: str
    python: Location
    function: Location
    written: bool

    def told(self) -> Diagnostic:
        verb = "takes" if self.input else "returns"
        subject = (
            f"`{self.input}` of {self.owner} is declared as"
            if self.input
            else f"{self.owner} is declared to return"
        )
        # Either side may be the wrong one, so the fix is never applied unseen.
        fix = replace(self.where, self.type, f"Declare it as `{self.type}`", guess=True)
        return self.says(
            f"{subject} {self.declared}, and its Python function {verb} {article(self.type)}",
            f"declared as {self.declared}",
            secondary=(Label(self.python, f"{verb} {self.type}"),),
            help=f"change one of them; the function is in {_line(self.function)}",
            fixes=(fix,) if self.written else (),
        )


class TakesNoCall(Finding, frozen=True):
    """The Python `function` of a module that uses others is to be given `call`, which it does not take; `input` says that
    an input of the module has that name."""

    code = DS0308
    function: Location
    input: bool

    def told(self) -> Diagnostic:
        if self.input:
            return self.says(
                "the function of a module gets `call`, by which it calls what the module uses, and this is an input of "
                "that name",
                "the name is taken",
                help="give the input another name",
            )
        return self.says(
            f"the Python function of `{self.where.text}` does not take `call`, by which it calls what the module uses",
            "uses others",
            secondary=(Label(self.function, "takes no `call`"),),
            help=f"add `call` to the parameters in {_line(self.function)}, or take out `uses`",
        )


class NotForRows(Finding, frozen=True):
    """A Python `function` that gives no rows when it is called: it needs arguments, or else to be waited for."""

    code = DS0308
    function: Location
    needed: tuple[str, ...]

    def told(self) -> Diagnostic:
        name, line = self.function.text, _line(self.function)
        if self.needed:
            needs = f"needs {quoted(self.needed)}"
            message = f"`{name}` is called for rows without arguments, and it {needs}"
            label, advice = needs, f"give each a default in {line}"
        else:
            message = f"`{name}` is called for rows and not waited for, and it is `async`"
            label, advice = "is `async`", f"write it as a plain function in {line}"
        return self.says(message, "cannot be called", secondary=(Label(self.function, label),), help=advice)


DS0309 = Code(
    "DS0309",
    "warning",
    "paid for, not used",
    "A model is called and nothing reads its answer, so every run pays for it without effect.",
    program(CALL, "let b = ask(question = question)", RETURN),
    program(CALL, "let b = ask(question = a.answer)", "return answer = b.answer"),
)


class PaidForNothing(Finding, frozen=True):
    """A call whose answer, the value `name`, is never read. A run makes so many `calls`; 0 where that is not certain."""

    code = DS0309
    callee: str
    name: str
    calls: int

    def told(self) -> Diagnostic:
        each = f": 1 of {plural(self.calls, 'paid call')} per run is for nothing" if self.calls else ""
        return self.says(
            f"the result of `{self.callee}` is never used{each}",
            "paid for, not used",
            help=f"use `{self.name}` or remove the call",
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


DS0311 = Code(
    "DS0311",
    "warning",
    "tool without a description",
    "An agent chooses its tools by what they are said to do. Without a doc string here or in Python it "
    "sees a name and guesses.",
    BM25 + 'extern find(query: str) -> list[str] = bm25("notes.jsonl")\n' + AGENT,
    BM25
    + 'extern find(query: str) -> list[str] { "Searches the notes."; source = bm25("notes.jsonl") }\n'
    + AGENT,
    {"notes.jsonl": '{"text": "a note"}\n{"text": "another note"}\n'},
)


class NoDescription(Finding, frozen=True):
    """A tool of which an agent is told nothing but its name.

    `value` is what stands from the `=` on, if there is one, and `source` the call behind it.
    """

    code = DS0311
    room: ItemRoom | None
    value: Location | None = None
    source: Location | None = None

    def told(self) -> Diagnostic:
        words = '"What it does, and when to use it."'
        fixes = insert_item(self.room, words, "Insert a description")
        if self.value and self.source:
            block = f"{{\n  {words}\n  source = {self.source.text}\n}}"
            fixes = (replace(self.value, block, "Write it as a block with a description", guess=True),)
        return self.says(
            f"the tool `{self.where.text}` has no description, so an agent sees only its name and its inputs",
            "what is it for?",
            help="say in a doc string what it does and when to use it; a Python docstring counts, too",
            fixes=fixes,
        )


DS0313 = Code(
    "DS0313",
    "error",
    "operator does not apply",
    "The operator works on other types. Text and numbers are never mixed; `str(…)` makes text of a value.",
    program(CALL, 'return answer = "sources: " + len(a.sources)'),
    program(CALL, 'return answer = "sources: " + str(len(a.sources))'),
)


class NoValue(Finding, frozen=True):
    """Something that has a meaning elsewhere, but is no value in an expression of this `purpose`."""

    code = DS0313
    what: Literal["signature", "setting"]
    purpose: str

    def told(self) -> Diagnostic:
        if self.what == "setting":
            return self.says(
                f'`env("…")` has no value in {self.purpose}: it names a setting of an lm',
                "only in `api_key` and `api_base`",
            )
        return self.says(
            f"`sig(...)` is a signature and has no value in {self.purpose}",
            "not a value",
            help="a module takes it: `module ask = Predict(sig(question -> answer))`",
        )


class ShareOfRows(Finding, frozen=True):
    """A percentage, which is this `share`, in an expression of this `purpose`."""

    code = DS0313
    share: float
    purpose: str

    def told(self) -> Diagnostic:
        share = f"{self.share:g}"
        return self.says(
            f"`{self.where.text}` is a share of a dataset's rows and has no value in {self.purpose}",
            "only in a `split`",
            help=f"write {share}",
            fixes=(replace(self.where, share, guess=True),),
        )


class WrongOperand(Finding, frozen=True):
    """A value of the type `got`, which the `operator` does not take."""

    code = DS0313
    operator: Literal["-", "[]", "in", "not in"]
    got: str

    def told(self) -> Diagnostic:
        it_is = f"`{self.where.text}` is {self.got}"
        message = {
            "-": f"`-` needs a number, and {it_is}",
            "[]": f"{it_is}; only lists and dicts have items",
        }.get(self.operator, f"`{self.operator}` looks into a list, a dict or text, and {it_is}")
        return self.says(message, self.got)


Looped = Literal["list", "dict", ""]
"""What a loop may go through, of what it is given; "" where that is neither."""


class LoopDiffers(Finding, frozen=True):
    """A loop with the `names` of another one: one goes through a list, two go through a dict. `got` is the type of
    what it is given, `first` the first name."""

    code = DS0313
    got: str
    names: Location
    first: str
    shape: Looped

    def told(self) -> Diagnostic:
        two = self.names.text != self.first
        walks = f"`for {self.names.text}` walks through a dict" if two else "`for` walks through a list"
        other = self.first if two else f"{self.first}, value"
        return self.says(
            f"{walks}, and `{self.where.text}` is {self.got}",
            self.got,
            help=f"`for {other} in …` walks through a {self.shape}" if self.shape else "",
            fixes=(replace(self.names, other, guess=True),) if self.shape else (),
        )


class WrongOperands(Finding, frozen=True):
    """Two values that the `operator` does not take.

    `optional` is one that may be none, `number` one that would have to be text.
    """

    code = DS0313
    operator: str
    left: Operand
    right: Operand
    optional: Location | None
    number: Location | None

    def told(self) -> Diagnostic:
        does = {
            **dict.fromkeys(("<", "<=", ">", ">="), "compares two numbers or two texts"),
            "+": "adds two numbers, two texts or two lists",
        }.get(self.operator, "works on two numbers")
        remedy = ""
        if self.optional:
            text = self.optional.text
            remedy = f"`{text}` may be none; decide what then: `if {text} == none then … else {text}`"
        elif self.number:
            remedy = f"make it text first: `str({self.number.text})`"
        return self.says(
            f"`{self.operator}` {does}; these are {self.left.type} and {self.right.type}",
            secondary=(self.left.label, self.right.label),
            help=remedy,
        )


DS0315 = Code(
    "DS0315",
    "error",
    "not true or false",
    "A condition is true or false. Text, numbers and lists do not count as either; compare them with "
    "something.",
    program(CALL, 'assert len(a.sources) else "name a source"', RETURN),
    program(CALL, 'assert len(a.sources) > 0 else "name a source"', RETURN),
)


class NotTrueOrFalse(Finding, frozen=True):
    """`remedy` says what makes a condition of it."""

    code = DS0315
    what: str
    got: str
    remedy: Literal["none", "compare", "ask"]

    def told(self) -> Diagnostic:
        text, got = self.where.text, self.got
        remedy = {
            "none": "",
            "compare": f"compare it: `{text} > 0`",
            "ask": f"ask whether it is there: `{text} != none`",
        }[self.remedy]
        shown = got if got.startswith('"') else article(got)
        return self.says(f"{self.what} must be true or false, and this is {shown}", got, help=remedy)


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


DS0318 = Code(
    "DS0318",
    "error",
    "cannot be called",
    "Modules, programs and built-in functions can be called by name. Values have no methods.",
    program(CALL, "return answer = a.answer.strip()"),
    program(CALL, "return answer = strip(a.answer)"),
)


class NotAFunction(Finding, frozen=True):
    """`value` says that it is the name of a value."""

    code = DS0318
    value: bool

    def told(self) -> Diagnostic:
        if self.value:
            return self.says(
                f"`{self.where.text}` is a value and cannot be called", "not a module or function"
            )
        return self.says(f"`{self.where.text}` cannot be called", "not a function")


class NoMethods(Finding, frozen=True):
    """A call of a value's method, as other languages have them."""

    code = DS0318
    value: Location

    def told(self) -> Diagnostic:
        name = self.where.text
        return self.says(
            f"values have no methods: `.{name}(…)` cannot be called",
            "not a method",
            help=f"functions are called by name, as in `{name}({self.value.text})`",
        )


DS0319 = Code(
    "DS0319",
    "error",
    "model call in the wrong place",
    "Only programs call modules. Metrics, checks and gates are computed, so that scoring a row twice "
    "costs nothing; a metric may ask a judge, as in `llm_judge(…)`.",
    DATA + "metric right(gold: tickets, pred: router) = gold.topic == router(text = gold.text).topic\n",
    DATA + "metric right(gold: tickets, pred: router) = gold.topic == pred.topic\n",
    TICKETS,
)


class CallOutsideProgram(Finding, frozen=True):
    """A call of something of this `kind` in an expression of this `purpose`; `judges` may be asked there."""

    code = DS0319
    kind: str
    name: str
    purpose: str
    judges: bool

    def told(self) -> Diagnostic:
        model = self.kind != "extern"
        return self.says(
            f"{self.purpose} cannot call the {self.kind} `{self.name}`: "
            f"{'model' if model else 'such'} calls stand in programs",
            "a model call" if model else "an outside call",
            help="a metric asks a model with a judge, as in `llm_judge(…)`" if self.judges and model else "",
        )


DS0320 = Code(
    "DS0320",
    "error",
    "not a regular expression",
    "The pattern cannot be read, and every row would fail on it. Patterns are matched in linear time; "
    "look-around "
    "and back-references do not exist.",
    program(CALL, 'assert matches(a.answer, "[a-z") else "lower case"', RETURN),
    program(CALL, 'assert matches(a.answer, "[a-z]+") else "lower case"', RETURN),
)


class NotAPattern(Finding, frozen=True):
    code = DS0320
    function: str
    reason: str

    def told(self) -> Diagnostic:
        reason = self.reason.removeprefix("not a pattern that can be matched: ")
        return self.says(f"`{self.function}` cannot use this pattern: {reason}", "cannot be matched")


DS0327 = Code(
    "DS0327",
    "error",
    "number that a function does not take",
    "Some functions take numbers from a range alone: a rank is counted from 1 on. Another number is refused on every row, so one "
    "that is written out is refused here.",
    program(CALL, 'assert len(range(20000)) > 0 else "some"', RETURN),
    program(CALL, 'assert len(range(2000)) > 0 else "some"', RETURN),
)


class BeyondFunction(Finding, frozen=True):
    """A number below `low` or above `high` for the parameter `name` of a function."""

    code = DS0327
    function: str
    name: str
    low: float | None
    high: float | None

    def told(self) -> Diagnostic:
        low = "" if self.low is None else f"at least {self.low:,g}"
        high = "" if self.high is None else f"at most {self.high:,g}"
        return self.says(
            f"`{self.name}` of `{self.function}` is {' and '.join(filter(None, (low, high)))}, and this is {self.where.text}",
            "fails on every row",
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


DS0321 = Code(
    "DS0321",
    "error",
    "default is computed",
    "A default is part of what is sent and remembered, so it must be known when the file is read: a "
    "literal or a "
    "list of literals.",
    "dspec 1\n\nsignature Ask { input question: str; input limit: int = 2 + 3; output answer: str }\n",
    "dspec 1\n\nsignature Ask { input question: str; input limit: int = 5; output answer: str }\n",
)


class ComputedDefault(Finding, frozen=True):
    code = DS0321
    name: str

    def told(self) -> Diagnostic:
        return self.says(
            f"the default of `{self.name}` must be a literal, and this is computed", "not a literal"
        )


DS0322 = Code(
    "DS0322",
    "error",
    "output with a default",
    "A model always writes every output. One that may be left out is declared with `?`.",
    'dspec 1\n\nsignature Ask { input question: str; output answer: str = "none" }\n',
    "dspec 1\n\nsignature Ask { input question: str; output answer: str? }\n",
)


class OutputDefault(Finding, frozen=True):
    """An output of a signature with a default; `optional` is its type with the `?` that it may have instead."""

    code = DS0322
    optional: str

    def told(self) -> Diagnostic:
        return self.says(
            f"the output `{self.where.text}` has a default, and the model always writes its outputs",
            "has a default",
            help=f"declare it as `{self.optional}` if the model may leave it out",
        )


class PromisedDefault(Finding, frozen=True):
    """An output in a program's header with a default."""

    code = DS0322
    name: str

    def told(self) -> Diagnostic:
        return self.says(f"the output `{self.name}` has a default", "no default here")


DS0323 = Code(
    "DS0323",
    "error",
    "number of calls not known",
    "Everything that a program calls is counted before it runs. A list comprehension with calls in it makes as many "
    "as the list has items, so the list must say how many that is at most: `range(3)`, a list that is written "
    "out, or the `first` few of any other.",
    program(
        "let all = [ask(question = s) for s in split(question)]",
        "return answer = majority([a.answer for a in all])",
    ),
    program(
        "let all = [ask(question = s) for s in first(split(question), 5)]",
        "return answer = majority([a.answer for a in all])",
    ),
)


class CallsNotCounted(Finding, frozen=True):
    """A comprehension calls `callees` for every item of a list whose length nobody knows; of a dict, with `keys`."""

    code = DS0323
    callees: tuple[str, ...]
    keys: bool = False

    def told(self) -> Diagnostic:
        text = self.where.text
        bounded = f"first([k for k, v in {text}], 10)" if self.keys else f"first({text}, 10)"
        return self.says(
            f"nobody knows how often this calls {quoted(self.callees, 'and')}: `{text}` may have any "
            "number of items",
            "how many items?",
            help=f"go through so many keys at most, as in `for k in {bounded}`"
            if self.keys
            else f"say how many it may be at most, as in `{bounded}`",
            fixes=() if self.keys else (replace(self.where, bounded, "Take the first 10", guess=True),),
        )


DS0324 = Code(
    "DS0324",
    "error",
    "too many calls in one run",
    "A run of a program may make 10,000 model calls at most, and programs may nest 50 levels deep.",
    program(
        "let all = [ask(question = question) for i in range(10000)]",
        "let one = ask(question = question)",
        "return answer = all[0].answer + one.answer",
    ),
    program("let all = [ask(question = question) for i in range(5)]", "return answer = all[0].answer"),
)


class TooManyCalls(Finding, frozen=True):
    """`excess` says how much one run may do, and what the most is."""

    code = DS0324
    excess: str

    def told(self) -> Diagnostic:
        return self.says(f"a run of `{self.where.text}` may take {self.excess}", "too much for one run")


class TooDeepPrograms(Finding, frozen=True):
    code = DS0324
    most: int

    def told(self) -> Diagnostic:
        return self.says(
            f"`{self.where.text}` nests deeper than {self.most} levels of programs and blocks", "too deep"
        )


DS0325 = Code(
    "DS0325",
    "error",
    "state of a repetition",
    "`repeat 3 from out { … }` gives `out` anew in every round: a `let out = …` in its block. What `out` is before the "
    "first round and after each must be read alike.",
    program(
        CALL,
        "let b = repeat 2 from a { let c = ask(question = a.answer); until c.answer == a.answer }",
        "return answer = b.answer",
    ),
    program(CALL, "let b = repeat 2 from a { let a = ask(question = a.answer) }", "return answer = b.answer"),
)


class StaysTheSame(Finding, frozen=True):
    """A name of a repetition's state that no round gives anew."""

    code = DS0325

    def told(self) -> Diagnostic:
        name = self.where.text
        return self.says(
            f"no round gives `{name}` anew, so repeating changes nothing of it",
            "stays the same",
            help=f"write `let {name} = …` in the block, or leave `{name}` out behind `from`",
        )


class LostMember(Finding, frozen=True):
    """A member of the state that is there before the first round and not after one; `again` gives the state anew."""

    code = DS0325
    member: str
    state: str
    again: Location

    def told(self) -> Diagnostic:
        return self.says(
            f"`{self.member}` is there in the first round only: what gives `{self.state}` anew has none like it",
            "not there in the next round",
            secondary=(Label(self.again, "given anew here"),),
        )


class StateDiffers(Finding, frozen=True):
    """The state is given anew as something else."""

    code = DS0325
    name: str
    before: str
    got: str

    def told(self) -> Diagnostic:
        return self.says(
            f"`{self.name}` is {self.before} before the first round, and {self.got} after one", self.got
        )


DS0326 = Code(
    "DS0326",
    "warning",
    "an item that may not be there",
    "`xs[0]` of a list without items is `none`, and so is `d[key]` without that key. What needs a value fails on it, "
    "as a row or a run that ends with an error. Nothing is said where the list is known to be long enough or a condition asks.",
    program(CALL, "return answer = a.sources[0]"),
    program(CALL, 'return answer = if len(a.sources) > 0 then a.sources[0] else "none"'),
)


class MayBeMissing(Finding, frozen=True):
    """A value that `what` needs is or may be the `item` of a list or dict, which may not have it.

    `plain` says that the value has a name or path, which a condition can ask of.
    """

    code = DS0326
    item: Location
    what: str
    plain: bool

    def told(self) -> Diagnostic:
        text = self.where.text
        asked = f"{text} == none" if self.plain else f"let one = {text}"
        ask = (
            f"ask first: `if {asked} then … else {text}`"
            if self.plain
            else f"give it a name, `{asked}`, and ask whether that is `none`"
        )
        return self.says(
            f"`{self.item.text}` is `none` where there is no such item, and {self.what} needs a value",
            "may be none",
            secondary=(Label(self.item, "this item"),) if self.item != self.where else (),
            help=ask,
        )


DS0330 = Code(
    "DS0330",
    "error",
    "extern and its source differ",
    "A search (`bm25`, `embeddings`, `colbert`) takes one text, and an input `k: int` for how many rows "
    "are wanted; it gives a list of texts, or a list of records, whose fields are columns of the rows.",
    'dspec 1\n\nextern find(query: str, lang: str) -> list[str] = colbert("http://localhost:8893/search")\n',
    'dspec 1\n\nextern find(query: str, k: int = 3) -> list[str] = colbert("http://localhost:8893/search")\n',
)


class TakesNoText(Finding, frozen=True):
    """A search whose `inputs` are not one text, with or without `k`."""

    code = DS0330
    extern: str
    inputs: tuple[str, ...]

    def told(self) -> Diagnostic:
        return self.says(
            f"`{self.extern}` is a search, which takes one text and, where you like, `k: int`",
            f"takes {quoted(self.inputs)}" if self.inputs else "takes nothing",
            help=f"declare it as `{self.extern}(query: str, k: int = 3) -> list[str]`",
        )


class GivesNoRows(Finding, frozen=True):
    """A search that is declared to give something else than texts or rows."""

    code = DS0330
    extern: str
    type: str

    def told(self) -> Diagnostic:
        return self.says(
            f"`{self.extern}` is a search, which gives a list, and it is declared to give {self.type}",
            f"declared as {self.type}",
            help="declare `list[str]` for the texts that it finds, or `list[R]` with a record `R` for whole rows",
        )


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


EXACT = "metric exact(gold: tickets, pred: router) = gold.topic == pred.topic\n"

DS0340 = Code(
    "DS0340",
    "error",
    "a metric is called with something else than a row and a run",
    "Within a metric, another one scores the same row and the same run: `exact(gold, pred)` hands both on as they are. "
    "What is to be computed from single values is a function, or an extern.",
    DATA + EXACT + "metric half(gold: tickets, pred: router) { score = 0.5 * exact(gold.topic, pred) }\n",
    DATA + EXACT + "metric half(gold: tickets, pred: router) { score = 0.5 * exact(gold, pred) }\n",
    TICKETS,
)


class NotHandedOn(Finding, frozen=True):
    """An argument of a metric's call that is no row (`rows`), or no run. `own` are the names of those that there are."""

    code = DS0340
    metric: str
    declared: Location
    rows: bool
    own: tuple[str, ...]

    def told(self) -> Diagnostic:
        what = "row" if self.rows else "program's outputs"
        return self.says(
            f"`{self.metric}` scores a {'row' if self.rows else 'run'}, and `{self.where.text}` is not one",
            f"not the {what}",
            secondary=(Label(self.declared, "declared here"),),
            help=f"hand the {what} on as it is: {quoted(self.own, 'or')}" if self.own else "",
            fixes=tuple(replace(self.where, name, guess=True) for name in self.own[:1]),
        )


DS0341 = Code(
    "DS0341",
    "error",
    "a metric that is called reads something else",
    "A metric may score other rows, or the outputs of another program, than it was written for, if these have every column "
    "and output that it reads, of the same type.",
    DATA
    + EXACT
    + 'dataset others { source = csv("tickets.csv"); input text: str }\n'
    + "metric half(gold: others, pred: router) { score = 0.5 * exact(gold, pred) }\n",
    DATA
    + EXACT
    + 'dataset others { source = csv("tickets.csv"); input text: str; field topic: str }\n'
    + "metric half(gold: others, pred: router) { score = 0.5 * exact(gold, pred) }\n",
    TICKETS,
)


class MetricLacks(Finding, frozen=True):
    """What is handed to a metric lacks a `member` that it reads, or `got` is its type there instead of `wanted`."""

    code = DS0341
    metric: str
    member: str
    wanted: str
    got: str
    declared: Location

    def told(self) -> Diagnostic:
        lacks = (
            f"there `{self.member}` is {self.got}"
            if self.got
            else f"`{self.where.text}` has no `{self.member}`"
        )
        return self.says(
            f"`{self.metric}` reads `{self.member}`, {self.wanted}, and {lacks}",
            f"`{self.member}` is {self.got}" if self.got else f"no `{self.member}`",
            secondary=(Label(self.declared, "written for this"),),
        )


DS0342 = Code(
    "DS0342",
    "error",
    "a metric's function gives no score",
    "A function that is a metric gets the row and the program's outputs as dicts, by the names of the metric's parameters. It "
    "gives true, false or a number from 0 to 1, or such a `score` with `feedback`, a text, as a dict of these two or as a pair.",
    DATA + 'metric right(gold: tickets, pred: router) = python("marks:told")\n',
    DATA + 'metric right(gold: tickets, pred: router) = python("marks:score")\n',
    TICKETS
    | {
        "marks.py": "def score(gold: dict, pred: dict) -> float:\n    return float(gold['topic'] == pred['topic'])\n\n\n"
        "def told(gold: dict, pred: dict) -> str:\n    return 'right' if score(gold, pred) else 'wrong'\n"
    },
)


class GivesNoScore(Finding, frozen=True):
    """A metric's Python function that is said, at `python`, to give `got`, which is no score."""

    code = DS0342
    got: str
    python: Location
    function: Location

    def told(self) -> Diagnostic:
        return self.says(
            f"a metric's function gives a score, and this one gives {article(self.got)}",
            f"gives {self.got}",
            secondary=(Label(self.python, "says so"),),
            help=f"give a number from 0 to 1, or a dict of `score` and `feedback`; the function is in {_line(self.function)}",
        )


FEEDBACK = """\
metric right(gold: tickets, pred: router) {{
  score = gold.topic == pred.topic
  {} = "the topic is " + gold.topic
}}
"""

DS0343 = Code(
    "DS0343",
    "error",
    "nothing is said for one predictor here",
    "`feedback for address` is what one predictor learns from a run; steps that reflect read it in place of the metric's "
    "`feedback`. No other attribute has such a form, and a reward speaks to the run as a whole.",
    DATA + FEEDBACK.format("score for router"),
    DATA + FEEDBACK.format("feedback for router"),
    TICKETS,
)


class NotForOne(Finding, frozen=True):
    """An `attribute` that is set for one predictor; of a `reward` it is the feedback."""

    code = DS0343
    attribute: str
    reward: bool = False

    def told(self) -> Diagnostic:
        what = (
            "a reward says one `feedback` for the whole run"
            if self.reward
            else f"`{self.attribute}` is one for all predictors"
        )
        return self.says(what, "for one predictor", help=f"write `{self.attribute} = …`")


DS0344 = Code(
    "DS0344",
    "error",
    "feedback for something that the program lacks",
    "Feedback goes to a predictor by its address, the name that `dspc show` prints it under, or to a tool that an agent is told "
    "of.",
    DATA + FEEDBACK.format("feedback for routr"),
    DATA + FEEDBACK.format("feedback for router"),
    TICKETS,
)


class NoSuchAddress(Finding, frozen=True):
    """An address that is none of the `known` ones of the program `of`."""

    code = DS0344
    of: str
    known: tuple[str, ...]

    def told(self) -> Diagnostic:
        near = closest(self.where.text, self.known)
        return self.says(
            f"`{self.of}` has no predictor `{self.where.text}`{did_you_mean(near)}",
            "no predictor",
            help=f"it has {listed(self.known)}" if self.known and not near else "",
            fixes=suggestions(self.where, near, declared=True),
        )
