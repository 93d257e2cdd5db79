"""DS03: calls: what they are given, and the fields of what they give."""

from __future__ import annotations

from ...project.source import Location
from ..fixes import suggestions
from ..record import Diagnostic, Edit, Fix, Label, also
from ..spelling import closest
from ..wording import article, did_you_mean, listed, plural, quoted
from .base import Code, Finding
from .snippets import CALL, RETURN, program

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
