"""DS03: operators, conditions and items that do not apply to the values at hand."""

from __future__ import annotations

from typing import Literal

from ...project.source import Location
from ..fixes import replace
from ..record import Diagnostic, Label
from ..wording import article
from .base import Code, Finding
from .snippets import CALL, RETURN, program
from .types import Operand

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
