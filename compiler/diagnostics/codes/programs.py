"""DS03: programs: what they promise to return, and the calls that their runs make."""

from __future__ import annotations

from ...project.source import Location
from ..fixes import replace
from ..record import Diagnostic, Label
from ..wording import listed, plural, quoted
from .base import Code, Finding
from .snippets import CALL, DATA, RETURN, TICKETS, program

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
