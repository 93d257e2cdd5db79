"""DS02: names, imports and files."""

from __future__ import annotations

from typing import Literal

from ...project.source import Location
from ..fixes import replace, suggestions
from ..record import Diagnostic, Edit, Fix, Label
from ..spelling import closest
from ..wording import article, did_you_mean, listed, noun, nouns, plural, quoted
from . import habits
from .base import Code, Finding
from .snippets import DATA, MODULE, TICKETS, TOOLS

LMS = {"lms.dspec": 'dspec 1\n\nlm judge { model = "openai/gpt-4o" }\n'}

DS0201 = Code(
    "DS0201",
    "error",
    "unknown name",
    "Nothing of the wanted kind has this name, neither in this file nor in an imported one. "
    "Suggestions are of "
    "the kind that would fit.",
    MODULE + "module second = Predict(Rout)\n",
    MODULE + "module second = Predict(Route)\n",
)


class UnknownName(Finding, frozen=True):
    """No declaration of these `kinds` has the name; `known` are the names that would do, and `needing` those of declarations
    that need it themselves."""

    code = DS0201
    kinds: tuple[str, ...]
    known: tuple[str, ...]
    needing: tuple[str, ...] = ()

    def told(self) -> Diagnostic:
        name, wanted = self.where.text, nouns(self.kinds)
        near = closest(name, self.known)
        if self.known:
            there = f"{plural(len(self.known), 'name')} would fit here: {listed(self.known)}"
        elif self.needing:
            there = f"declare it: {listed(self.needing)} need{'s' * (len(self.needing) == 1)} it, too"
        else:
            there = f"this file declares no {wanted}"
        return self.says(
            f"there is no {wanted} named `{name}`{did_you_mean(near)}",
            "not declared",
            help="" if near else there,
            fixes=suggestions(self.where, near, declared=True),
        )


class ForeignType(Finding, frozen=True):
    """What other languages call the type `meant`."""

    code = DS0201
    meant: str

    def told(self) -> Diagnostic:
        return self.says(
            f"there is no type named `{self.where.text}`{did_you_mean((self.meant,))}",
            "not a type",
            fixes=suggestions(self.where, (self.meant,)),
        )


class UnknownAlias(Finding, frozen=True):
    """`aliases` are those that the file's imports have."""

    code = DS0201
    aliases: tuple[str, ...]

    def told(self) -> Diagnostic:
        name = self.where.text
        near = closest(name, self.aliases)
        return self.says(
            f"no import is called `{name}`{did_you_mean(near)}",
            "not imported",
            help="" if near else f'add `import "{name}.dspec" as {name}` if such a file exists',
            fixes=suggestions(self.where, near, declared=True),
        )


class UnknownValue(Finding, frozen=True):
    """`known` are the names in scope, `inside` the paths to a value of that name in a group of values; `label` says that a text
    of this name is one of the values that are wanted here."""

    code = DS0201
    known: tuple[str, ...]
    inside: tuple[str, ...]
    label: bool = False

    def told(self) -> Diagnostic:
        name = self.where.text
        if self.label:
            return self.says(
                f"there is no value named `{name}` here",
                "not in scope",
                help=f'a label is a text: write `"{name}"`',
                fixes=(replace(self.where, f'"{name}"', guess=True),),
            )
        habit = habits.LITERALS.get(name)
        near = (habit,) if habit else closest(name, self.known) or self.inside[:3]
        return self.says(
            f"there is no value named `{name}` here{did_you_mean(near)}",
            "not in scope",
            help="" if near or not self.known else f"in scope: {listed(self.known)}",
            fixes=suggestions(self.where, near, declared=True),
        )


class NoStepOrProgram(Finding, frozen=True):
    """`known` are the earlier steps and the programs; `what` is the option or member that needs one of them."""

    code = DS0201
    what: str
    known: tuple[str, ...]

    def told(self) -> Diagnostic:
        near = closest(self.where.text, self.known)
        return self.says(
            f"there is no earlier step or program named `{self.where.text}`{did_you_mean(near)}",
            "not declared",
            help="" if near or not self.known else f"{self.what} may be {listed(self.known)}",
            fixes=suggestions(self.where, near, declared=True),
        )


DS0202 = Code(
    "DS0202",
    "error",
    "name of the wrong kind",
    "The name exists and stands for something else than what is needed here.",
    MODULE + "module second = Predict(mini)\n",
    MODULE + "module second = Predict(Route)\n",
)


class NotAName(Finding, frozen=True):
    """An expression where the name of one of `kinds` is needed by `wanted_by`."""

    code = DS0202
    kinds: tuple[str, ...]
    wanted_by: str

    def told(self) -> Diagnostic:
        wanted = article(nouns(self.kinds))
        return self.says(
            f"{self.wanted_by} needs the name of {wanted}, not an expression", f"expected {wanted}"
        )


class WrongKind(Finding, frozen=True):
    """A name of a `kind`, declared at `declared`, where one of `kinds` is needed by `wanted_by`.

    `known` are the names that would do.
    """

    code = DS0202
    kind: str
    declared: Location
    kinds: tuple[str, ...]
    wanted_by: str
    known: tuple[str, ...]

    def told(self) -> Diagnostic:
        name, it_is = self.where.text, article(noun(self.kind))
        return self.says(
            f"`{name}` is {it_is}, but {self.wanted_by} needs {article(nouns(self.kinds))}",
            it_is,
            secondary=(Label(self.declared, f"`{name}` is declared here"),),
            help=f"{nouns(self.kinds)} in scope: {listed(self.known)}" if self.known else "",
            fixes=suggestions(self.where, self.known, guess=True) if len(self.known) == 1 else (),
        )


class NotAnImport(Finding, frozen=True):
    """What stands before the dot of `….member` is of another kind."""

    code = DS0202
    member: str
    kind: str
    declared: Location

    def told(self) -> Diagnostic:
        name, it_is = self.where.text, article(noun(self.kind))
        return self.says(
            f"`{name}` is {it_is}, not an imported file, so `{name}.{self.member}` names nothing here",
            it_is,
            secondary=(Label(self.declared, "declared here"),),
        )


class NotAValue(Finding, frozen=True):
    """A declaration where a value is needed; `callable` says that a call of it would be one."""

    code = DS0202
    kind: str
    declared: Location
    purpose: str
    callable: bool = False

    def told(self) -> Diagnostic:
        return self.says(
            f"`{self.where.text}` is {article(self.kind)}, not a value in {self.purpose}",
            "not a value",
            secondary=(Label(self.declared, "declared here"),),
            help=f"call it: `{self.where.text}(…)`" if self.callable else "",
        )


class NotCallable(Finding, frozen=True):
    code = DS0202
    kind: str
    declared: Location

    def told(self) -> Diagnostic:
        return self.says(
            f"`{self.declared.text}` is {article(self.kind)} and cannot be called",
            "not a module, program or extern",
            secondary=(Label(self.declared, "declared here"),),
        )


class NotADeclaration(Finding, frozen=True):
    """A metric's parameter, `name`, of a type that is no name of a declaration of this `kind`."""

    code = DS0202
    name: str
    kind: str

    def told(self) -> Diagnostic:
        return self.says(f"`{self.name}` needs the name of {article(self.kind)}, not a type")


class TextForSignature(Finding, frozen=True):
    """A signature in quotes, as elsewhere: `text` holds the arrow."""

    code = DS0202
    strategy: str
    text: str

    def told(self) -> Diagnostic:
        better = f"sig({self.text})"
        return self.says(
            f"`{self.strategy}` takes a signature, not text",
            "a text",
            help=f"write `{better}`",
            fixes=(replace(self.where, better, guess=True),),
        )


class NotAProgram(Finding, frozen=True):
    """A declaration of a `kind` where a step or a program is needed as `what`."""

    code = DS0202
    what: str
    kind: str
    declared: Location

    def told(self) -> Diagnostic:
        it_is = article(self.kind)
        return self.says(
            f"`{self.declared.text}` is {it_is}, but {self.what} needs an earlier step or a program",
            it_is,
            secondary=(Label(self.declared, "declared here"),),
        )


DS0203 = Code(
    "DS0203",
    "error",
    "declared twice",
    "All declarations of a file share one set of names, and so do the fields of a block, the values "
    "of a program "
    "and the steps of an optimize block.",
    MODULE + 'lm mini { model = "openai/gpt-4o" }\n',
    MODULE
    + 'lm large { model = "openai/gpt-4o" }\nmodule second = Predict(Route, lm = large)\n'.replace(
        "lm large {", "lm large { default = true;"
    ),
)


class DeclaredTwice(Finding, frozen=True):
    """Two declarations of a name, of these kinds."""

    code = DS0203
    kind: str
    first: Location
    first_kind: str

    def told(self) -> Diagnostic:
        kinds = (
            f", as {noun(self.first_kind)} and as {noun(self.kind)}" if self.first_kind != self.kind else ""
        )
        return self.says(
            f"`{self.where.text}` is declared twice{kinds}",
            "again here",
            secondary=(Label(self.first, "first declared here"),),
            help="names are shared by all kinds of declarations: give one of them another name",
        )


class ItemTwice(Finding, frozen=True):
    """Two inputs, fields, … of a name in one declaration; `role` is what they are."""

    code = DS0203
    role: str
    first: Location

    def told(self) -> Diagnostic:
        return self.says(
            f"{self.role} `{self.where.text}` is declared twice",
            "again here",
            secondary=(Label(self.first, "first declared here"),),
            help="give one of them another name",
        )


class InUnionTwice(Finding, frozen=True):
    code = DS0203
    value: str
    first: Location

    def told(self) -> Diagnostic:
        return self.says(
            f"{self.value} stands twice in this union",
            "again",
            secondary=(Label(self.first, "first here"),),
        )


class TwoRoles(Finding, frozen=True):
    """A name of `owner` that is an input, at `first`, and has this `role`, too."""

    code = DS0203
    owner: str
    role: Literal["field", "output"]
    first: Location

    def told(self) -> Diagnostic:
        name = self.where.text
        column = self.role == "field"
        return self.says(
            f"the column `{name}` of `{self.owner}` is both an input and a field"
            if column
            else f"`{name}` is both an input and an output of `{self.owner}`",
            f"again as {article(self.role)}",
            secondary=(Label(self.first, "an input here"),),
            help="" if column else "give the output another name",
        )


class ParametersAlike(Finding, frozen=True):
    """Both parameters of a metric have one name."""

    code = DS0203
    first: Location

    def told(self) -> Diagnostic:
        return self.says(
            f"both parameters are called `{self.where.text}`",
            "again here",
            secondary=(Label(self.first, "first here"),),
        )


class ValueTwice(Finding, frozen=True):
    """A `let` gives a name that the program, or the metric, has."""

    code = DS0203
    first: Location
    of: Literal["program", "metric"] = "program"

    def told(self) -> Diagnostic:
        return self.says(
            f"`{self.where.text}` is declared twice in this {self.of}",
            "again here",
            secondary=(Label(self.first, "first declared here"),),
            help="every `let` gives a new name; values never change",
        )


class SaidByMetric(Finding, frozen=True):
    """A `let` of a metric with the name of what the metric itself says."""

    code = DS0203

    def told(self) -> Diagnostic:
        return self.says(
            f"`{self.where.text}` is what the metric says, and no `let` can have that name",
            "taken",
            help="give the value another name",
        )


class LoopNameTwice(Finding, frozen=True):
    code = DS0203
    first: Location

    def told(self) -> Diagnostic:
        return self.says(
            f"a loop through a dict has two names, and both are `{self.where.text}`",
            "again here",
            secondary=(Label(self.first, "the key's name"),),
        )


class StepTwice(Finding, frozen=True):
    code = DS0203
    first: Location

    def told(self) -> Diagnostic:
        return self.says(
            f"two steps are called `{self.where.text}`",
            "again here",
            secondary=(Label(self.first, "first here"),),
        )


DS0204 = Code(
    "DS0204",
    "error",
    "import not found",
    "The path in an import is relative to the file that imports, and must lead to a readable text file.",
    'dspec 1\n\nimport "lm.dspec" as lms\nmodule ask = Predict(sig(question -> answer), lm = lms.judge)\n',
    'dspec 1\n\nimport "lms.dspec" as lms\nmodule ask = Predict(sig(question -> answer), lm = lms.judge)\n',
    LMS,
)


class CannotImport(Finding, frozen=True):
    """`near` are sources with similar paths; they are looked for where there is no such file."""

    code = DS0204
    path: str
    reason: str
    near: tuple[str, ...] = ()
    missing: bool = False

    def told(self) -> Diagnostic:
        return self.says(
            f'cannot import "{self.path}": {self.reason}{did_you_mean(self.near)}',
            "not found" if self.missing else "cannot be imported",
            fixes=suggestions(self.where, tuple(f'"{name}"' for name in self.near)),
        )


DS0205 = Code(
    "DS0205",
    "warning",
    "never used",
    "A name is declared and nothing reads it: left over, or a misspelling elsewhere.",
    MODULE + 'import "lms.dspec" as lms\n',
    MODULE + 'import "lms.dspec" as lms\nmodule second = Predict(Route, lm = lms.judge)\n',
    LMS,
)


class UnusedImport(Finding, frozen=True):
    """`declaration` is where the whole import stands."""

    code = DS0205
    declaration: Location

    def told(self) -> Diagnostic:
        return self.says(
            f"the import `{self.where.text}` is never used",
            "not used",
            fixes=(Fix("Remove it", (Edit(self.declaration, ""),), "maybe"),),
        )


class UnusedValue(Finding, frozen=True):
    """A program's `input`, or another `value` of it or of a metric."""

    code = DS0205
    what: Literal["input", "value"]

    def told(self) -> Diagnostic:
        return self.says(f"the {self.what} `{self.where.text}` is never used", "not used")


DS0206 = Code(
    "DS0206",
    "error",
    "Python function not found",
    '`python("module:function")` names a function in a file of the project: the module is looked for '
    "beside the source, in the project's root and in its `src`, and read without being imported.",
    'dspec 1\n\nextern find(query: str) -> list[str] = python("tools:serch")\n',
    'dspec 1\n\nextern find(query: str) -> list[str] = python("tools:search")\n',
    TOOLS,
)


class NotAReference(Finding, frozen=True):
    """`written` is not `module:function`; `better` is what it most likely stands for."""

    code = DS0206
    written: str
    better: str

    def told(self) -> Diagnostic:
        return self.says(
            f'"{self.written}" names no Python function: it is a module, a colon and a function',
            "not `module:function`",
            help='for example `python("tools.search:find")`',
            fixes=(replace(self.where, f'"{self.better}"', guess=True),) if self.better else (),
        )


class NoPythonModule(Finding, frozen=True):
    """Why the `module` of a `function` cannot be read, and which modules are `there` instead."""

    code = DS0206
    module: str
    function: str
    reason: str
    there: tuple[str, ...]

    def told(self) -> Diagnostic:
        near = closest(self.module, self.there)
        there = f"there is {listed(self.there)}; " if self.there else ""
        return self.says(
            f"{self.reason}{did_you_mean(near)}",
            "not found",
            help=""
            if near
            else f"{there}modules are looked for beside this file, in the project's root and in its `src`",
            fixes=suggestions(self.where, tuple(f'"{name}:{self.function}"' for name in near)),
        )


class NoPythonFunction(Finding, frozen=True):
    """The `module` in `file` has no `function` of that name; `known` are those that it has, with their places."""

    code = DS0206
    file: str
    module: str
    function: str
    known: tuple[tuple[str, Location], ...]

    def told(self) -> Diagnostic:
        places = dict(self.known)
        near = closest(self.function, places)
        return self.says(
            f"`{self.file}` has no function `{self.function}`{did_you_mean(near)}",
            "not found there",
            secondary=tuple(Label(places[name], f"`{name}` is defined here") for name in near[:1]),
            help="" if near else f"it has {listed(places)}" if places else "it defines no function at all",
            fixes=suggestions(self.where, tuple(f'"{self.module}:{name}"' for name in near)),
        )


class NamesAClass(Finding, frozen=True):
    """The name of a class in `file`, where a function is wanted."""

    code = DS0206
    file: str
    name: str

    def told(self) -> Diagnostic:
        return self.says(
            f"`{self.name}` of `{self.file}` is a class: a call of it makes an object, and what a function gives is JSON",
            "a class",
            help="name a function, which may call the class and give what it answers",
        )


DS0207 = Code(
    "DS0207",
    "error",
    "import from outside the project",
    "Checking a project reads nothing outside its root, the nearest folder above the file with a "
    "`dspec.toml`, "
    "a `pyproject.toml` or a `.git`.",
    'dspec 1\n\nimport "../other/lms.dspec" as lms\nmodule ask = Predict(sig(question -> answer), lm '
    "= lms.judge)\n",
    'dspec 1\n\nimport "lms.dspec" as lms\nmodule ask = Predict(sig(question -> answer), lm = lms.judge)\n',
    LMS,
)


class OutsideProject(CannotImport, frozen=True):
    code = DS0207


DS0208 = Code(
    "DS0208",
    "error",
    "not in the imported file",
    "The imported file can be read, and it declares nothing of this kind by this name.",
    'dspec 1\n\nimport "lms.dspec" as lms\nmodule ask = Predict(sig(question -> answer), lm = lms.jugde)\n',
    'dspec 1\n\nimport "lms.dspec" as lms\nmodule ask = Predict(sig(question -> answer), lm = lms.judge)\n',
    LMS,
)


class NotInFile(Finding, frozen=True):
    """An imported `file` declares nothing of these `kinds` by that name; `known` are those that it declares."""

    code = DS0208
    file: str
    alias: Location
    kinds: tuple[str, ...]
    known: tuple[str, ...]

    def told(self) -> Diagnostic:
        name, wanted = self.where.text, nouns(self.kinds)
        near = closest(name, self.known)
        there = f"it declares {listed(self.known)}" if self.known else f"it declares no {wanted} at all"
        return self.says(
            f"`{self.file}` declares no {wanted} named `{name}`{did_you_mean(near)}",
            "not declared there",
            secondary=(Label(self.alias, f"`{self.alias.text}` is imported here"),),
            help="" if near else there,
            fixes=suggestions(self.where, near, declared=True),
        )


DS0209 = Code(
    "DS0209",
    "error",
    "built-in name",
    "The names of built-in types cannot be declared again, since they would change what every other "
    "line means.",
    'dspec 1\n\ntype date = "today" | "tomorrow"\n',
    'dspec 1\n\ntype Day = "today" | "tomorrow"\n',
)


class BuiltInName(Finding, frozen=True):
    code = DS0209

    def told(self) -> Diagnostic:
        return self.says(f"`{self.where.text}` is a built-in type and cannot be declared again", "built in")


DS0210 = Code(
    "DS0210",
    "error",
    "defined by way of itself",
    "Following the definitions leads back to where they started. Types may refer to themselves only "
    "through a "
    "record, and programs have no recursion.",
    "dspec 1\n\ntype Node = list[Node]\n",
    "dspec 1\n\nrecord Node { field children: list[Node] }\n",
)


class TypeInCircle(Finding, frozen=True):
    code = DS0210
    name: str
    declared: Location

    def told(self) -> Diagnostic:
        return self.says(
            f"the type `{self.name}` is defined by way of itself",
            "comes back to itself",
            secondary=(Label(self.declared, "declared here"),),
            help="use a record: its fields may refer to it through `?` or `list[…]`",
        )


class CallsItself(Finding, frozen=True):
    code = DS0210
    declared: Location
    kind: str = "program"

    def told(self) -> Diagnostic:
        return self.says(
            f"{self.kind} `{self.declared.text}` calls itself, and a {self.kind} has no recursion",
            "calls itself",
            secondary=(Label(self.declared, "declared here"),),
        )


class CallsInCircle(Finding, frozen=True):
    """A circle of calls. `names` begins and ends with the same program, module or metric; `of` says what they are."""

    code = DS0210
    names: tuple[str, ...]
    of: Literal["program", "module", "both", "metric"] = "program"

    def told(self) -> Diagnostic:
        what = "modules and programs" if self.of == "both" else f"{self.of}s"
        one = "neither has" if self.of == "both" else f"a {self.of} has no"
        names = self.names
        shown = names if len(names) <= 8 else (*names[:4], "…", *names[-3:])
        return self.says(
            f"these {what} call each other in a circle, and {one} recursion: {' → '.join(shown)}",
            "closes the circle",
            help="to do something several times, write `repeat`"
            if self.of == "program"
            else "let one of them do its part without the one after it",
        )


class LeadsBack(Finding, frozen=True):
    """A program that leads back to the block which names it as `what`; `circle` are the blocks on the way."""

    code = DS0210
    what: str
    declared: Location
    circle: tuple[str, ...]

    def told(self) -> Diagnostic:
        around = " -> ".join(f"`{name}`" for name in (*self.circle, *self.circle[:1]))
        return self.says(
            f"{self.what} leads back to this block by way of `{self.declared.text}`",
            "a circle",
            secondary=(Label(self.declared, "declared here"),),
            notes=(f"each of these starts from the next: {around}",) if len(self.circle) > 1 else (),
        )


DS0211 = Code(
    "DS0211",
    "error",
    "unknown strategy or source",
    "A module names the strategy that answers its signature, a dataset names the format of its file, "
    "an extern "
    "names where its function lives. This word is none of those known.",
    MODULE + "module second = ChainOfThougt(Route)\n",
    MODULE + "module second = ChainOfThought(Route)\n",
)


class UnknownStrategy(Finding, frozen=True):
    """`kind` is what has this name instead, if anything has."""

    code = DS0211
    known: tuple[str, ...]
    kind: str

    def told(self) -> Diagnostic:
        near = closest(self.where.text, self.known)
        return self.says(
            f"there is no strategy named `{self.where.text}`{did_you_mean(near)}",
            f"a {self.kind}, not a strategy" if self.kind else "not a strategy",
            help="" if near else f"a module is {quoted(self.known, 'or')} of a signature",
            fixes=suggestions(self.where, near),
        )


class PrefixedStrategy(Finding, frozen=True):
    """A strategy's `name` behind a dot, as in `dspy.Predict`."""

    code = DS0211
    name: str

    def told(self) -> Diagnostic:
        return self.says(
            f"there is no strategy named `{self.where.text}`{did_you_mean((self.name,))}",
            "strategies have no prefix",
            fixes=suggestions(self.where, (self.name,)),
        )


class NoStrategy(Finding, frozen=True):
    """A module that is something else than a strategy's call; `wrapping` are those that it could be given to."""

    code = DS0211
    wrapping: tuple[str, ...]

    def told(self) -> Diagnostic:
        wrapped = tuple(f"{name}({self.where.text})" for name in self.wrapping)
        return self.says(
            "a module says how its signature is answered, as in `ChainOfThought(Route)`",
            "no strategy",
            help=f"write {quoted(wrapped, 'or')}" if wrapped else "",
            fixes=suggestions(self.where, wrapped),
        )


class UnknownSource(Finding, frozen=True):
    """A name of no source, written as the source of `rows`, or else of an extern."""

    code = DS0211
    known: tuple[str, ...]
    rows: bool

    def told(self) -> Diagnostic:
        name, known = self.where.text, quoted(self.known, "or")
        near = closest(name, self.known)
        wrong = f"rows cannot be read from `{name}`" if self.rows else f"an extern cannot come from `{name}`"
        return self.says(
            f"{wrong}{did_you_mean(near)}",
            "unknown source",
            help="" if near else f"they come from {known}" if self.rows else f"it comes from {known}",
            fixes=suggestions(self.where, near),
        )


DS0212 = Code(
    "DS0212",
    "error",
    "unknown function",
    "Expressions may call the built-in functions; programs may call modules besides. There are no "
    "user-defined "
    "functions.",
    DATA + "metric right(gold: tickets, pred: router) = exact_mach(gold.topic, pred.topic)\n",
    DATA + "metric right(gold: tickets, pred: router) = exact_match(gold.topic, pred.topic)\n",
    TICKETS,
)


class UnknownFunction(Finding, frozen=True):
    """`known` are the names that would do, `count` of them built in; with `modules` those may be called, too."""

    code = DS0212
    known: tuple[str, ...]
    count: int
    modules: bool

    @property
    def near(self) -> tuple[str, ...]:
        return closest(self.where.text, self.known)

    def told(self) -> Diagnostic:
        what = "function or module" if self.modules else "function"
        near = self.near
        written = _WRITTEN.get(self.where.text, "")
        return self.says(
            f"there is no {what} named `{self.where.text}`{did_you_mean(near)}",
            "not declared",
            help=""
            if near
            else written
            if written
            else f"there are {plural(self.count, 'function')}, among them `len`, `contains` and `f1`",
            fixes=suggestions(
                self.where, near, declared=bool(near) and near[0] not in self.known[: self.count]
            ),
        )


_WRITTEN = {
    "dict": "`dict(name = value)` stands where a dict is wanted; a record is written `Order(name = value)`",
    "tuple": "a tuple is written as a list: `[0, 16]`",
    "set": "a list is written `[1, 2]`, and `unique(…)` leaves out what it has twice",
    "list": "a list is written `[1, 2]`",
    "date": 'a date is written as its text: `"2026-11-29"`',
    "datetime": 'a time is written as its text: `"2026-11-29T08:30:00"`',
}
"""What is called elsewhere to make a value, and how that value is written here."""


class SourceInMetric(Finding, frozen=True):
    """The source of an extern, called in a metric's expression."""

    code = DS0212

    def told(self) -> Diagnostic:
        name = self.where.text
        return self.says(
            f"`{name}` is no function, but where an extern comes from",
            "not a function",
            help=f"declare it, as in `extern mark(…) -> float = {name}(…)`, and call `mark` here; a function of the project may "
            "also be the whole score",
        )


DS0214 = Code(
    "DS0214",
    "error",
    "imports in a circle",
    "Two files that import each other cannot be understood one after the other. What both need "
    "belongs in a "
    "third file.",
    'dspec 1\n\nimport "main.dspec" as main\nmodule ask = Predict(main.Ask)\n'
    'lm mini { model = "openai/gpt-4o-mini" }\nsignature Ask { input question: str; output answer: '
    "str }\n",
    "dspec 1\n\nmodule ask = Predict(Ask)\n"
    'lm mini { model = "openai/gpt-4o-mini" }\nsignature Ask { input question: str; output answer: '
    "str }\n",
)


class ImportsInCircle(Finding, frozen=True):
    """`files` leads from a file back to it."""

    code = DS0214
    files: tuple[str, ...]

    def told(self) -> Diagnostic:
        if len(self.files) == 2:
            return self.says(
                "this file imports itself",
                "closes the circle",
                help="a file's own names need no alias",
            )
        return self.says(
            f"these files import each other in a circle: {' → '.join(self.files)}",
            "closes the circle",
            help="move what both need into a third file",
        )
