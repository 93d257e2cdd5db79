"""DS02 and DS03: functions that are called and are not there, or do not take what they are given."""

from __future__ import annotations

from ...project.source import Location
from ..fixes import replace, suggestions
from ..record import Diagnostic, Label
from ..spelling import closest
from ..wording import did_you_mean, listed, plural
from .base import Code, Finding
from .snippets import CALL, DATA, RETURN, TICKETS, TOOLS, program

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
