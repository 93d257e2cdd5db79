"""DS02: names that nothing has, that something else has, or that nothing reads."""

from __future__ import annotations

from typing import Literal

from ...project.source import Location
from ..fixes import replace, suggestions
from ..record import Diagnostic, Edit, Fix, Label
from ..spelling import closest
from ..wording import article, did_you_mean, listed, noun, nouns, plural, quoted
from . import habits
from .base import Code, Finding
from .snippets import LMS, MODULE

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
