"""DS03: calls, what they are given, and what programs give back."""

from __future__ import annotations

from ...project.source import Location
from ..fixes import replace, suggestions
from ..record import Diagnostic, Edit, Fix, Label, also
from ..spelling import closest
from ..wording import article, did_you_mean, listed, plural, quoted
from .base import Code, Finding
from .snippets import CALL, DATA, RETURN, TICKETS, program

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
