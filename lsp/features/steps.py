"""Completion in a `step`: the optimizer, its options and their values, an ensemble's members and reducer."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from dspec.compiler.check import query
from dspec.compiler.check.chain.frozen import CHOICES
from dspec.compiler.optimizers.base import Option, Spec
from dspec.compiler.optimizers.compat.table import COMPAT
from dspec.compiler.optimizers.ensemble import REDUCERS
from dspec.compiler.optimizers.table import find as find_optimizer
from dspec.runtime.schema.ensemble import has_mean

from . import offers
from .cursor import Spot, find, named, terminal, word
from .here import Here, literals_here, names
from .offers import Offer

RULES = {
    "majority": "The answer whose output has the most frequent value.",
    "mean": "The mean of a number.",
    "first": "The answer of the first member that has one.",
}
"""The rules of `REDUCERS`, each with a line of doc."""


def step(here: Here, spot: Spot) -> Iterable[Offer]:
    """`step name = Optimizer(options)`; the name may be missing."""
    at = find(spot.element, "ASSIGN")
    first = at + 1 if 0 < at <= spot.index else 1
    if here.cursor.inner is spot:
        return offers.optimizers() if spot.index == first and not here.cursor.in_string else ()
    if terminal(spot.element, spot.index) != "(":
        return ()
    spec = find_optimizer(word(spot.element, first))
    return () if spec is None else _call(here, spot, here.cursor.spots[2:], spec, nested=False)


def _call(here: Here, step: Spot, spots: Sequence[Spot], spec: Spec, *, nested: bool) -> Iterable[Offer]:
    """Between an optimizer's parentheses: `spots[0]` is the argument, the others lie within it."""
    call, *deeper = spots
    given = call.index >= 2 and terminal(call.element, 1) == "ASSIGN"
    name = word(call.element, 0) if given else ""
    gathers = spec.gathers and call.number == 0 and not name
    if deeper:
        return _within(here, step, call, deeper, spec, name, gathers=gathers)
    if gathers:
        found = _member(here, step, call)
        options = (
            _option_names(here, call, spec, nested=nested)
            if call.index == 0 and not here.cursor.in_string
            else ()
        )
        return [*found, *options]
    if call.index == 0:
        return () if here.cursor.in_string else _option_names(here, call, spec, nested=nested)
    return _value(here, call, spec, name) if name else ()


def _option_names(here: Here, call: Spot, spec: Spec, *, nested: bool) -> Iterator[Offer]:
    """The options that are not given yet."""
    present = named(call.others)
    bare = here.is_label

    def offer(name: str, kind: str, doc: str, rank: int, opening: str = "") -> Offer:
        return Offer(name, "option", kind, doc, name if bare else f"{name} = {opening}", rank)

    if spec.takes_teacher and "teacher" not in present:
        teacher = "Whose successful runs become demos; the student unless said."
        yield offer("teacher", "step or program", teacher, 2)
    for option in spec.options:
        if option.name not in present:
            yield offers.option(option, bare=bare)
    if nested:
        return
    if "student" not in present and not spec.gathers:
        student = "The program that is tuned; the previous step's unless said."
        yield offer("student", "step or program", student, 4)
    if "compat" not in present:
        yield offer("compat", '"dspy" or none', COMPAT.doc, 4)
    if not spec.gathers and not present & CHOICES.keys():
        for name, doc in CHOICES.items():
            yield offer(name, "list of predictors", doc, 4, "[")


def _value(here: Here, call: Spot, spec: Spec, name: str) -> Iterable[Offer]:
    if name in ("teacher", "student"):
        return names(here)
    option = COMPAT if name == COMPAT.name else spec.option(name)
    if option is None:
        nests = spec.nests and call.index == 2 and not here.cursor.in_string
        return (one for one in offers.optimizers() if _nestable(one.label)) if nests else ()
    found = names(here) if option.refers else ()
    return [*found, *(_plain(here, option) if call.index == 2 else ())]


def _nestable(optimizer: str) -> bool:
    spec = find_optimizer(optimizer)
    return spec is not None and not spec.gathers and not spec.nests


def _plain(here: Here, option: Option) -> Iterator[Offer]:
    """Values that are no names: texts, flags, rules. What is called already can only be a rule."""
    called = here.following == "("
    if not called:
        yield from literals_here(here, option.choices)
    if here.cursor.in_string:
        return
    if option.type == "reducer":
        yield from _rules(here, called=called)
    if called:
        return
    words = (*(("true", "false") if option.type == "bool" else ()), *(("none",) if option.optional else ()))
    yield from offers.constants(*words)


def _rules(here: Here, *, called: bool) -> Iterator[Offer]:
    tuned = query.subject(here.view) if here.view else None
    numbers = tuned is not None and any(has_mean(output.type) for output in tuned.outputs.values())
    for rule, takes_output in REDUCERS.items():
        if (rule != "mean" or numbers) and (takes_output or not called):
            insert = f"{rule}(" if takes_output else rule
            detail = f"{rule}(output)" if takes_output else ""
            yield Offer(rule, "function", detail, RULES[rule], insert, rank=1)


def _within(
    here: Here,
    step: Spot,
    call: Spot,
    deeper: Sequence[Spot],
    spec: Spec,
    name: str,
    *,
    gathers: bool,
) -> Iterable[Offer]:
    """In brackets within an argument."""
    inner = deeper[0]
    callee = word(call.element, call.index - 1)
    if inner.group.opener == "(" and spec.nests and name and call.index == 3:
        optimizer = find_optimizer(callee)
        return () if optimizer is None else _call(here, step, deeper, optimizer, nested=True)
    if len(deeper) > 1 or here.cursor.in_string:
        return ()
    if inner.group.opener == "[":
        if name in CHOICES and call.index == 2:
            return addresses(here, inner)
        return _member(here, step, inner) if gathers and call.index == 0 else ()
    of_rule = name == "reduce" and REDUCERS.get(callee) and inner.index == 0 and inner.number == 0
    return names(here) if of_rule else ()


def _member(here: Here, step: Spot, spot: Spot) -> Iterable[Offer]:
    """A member of an ensemble: a step before this one, its candidates, a module or a program."""
    dotted = [terminal(spot.before, index) for index in range(spot.index)]
    path = [word(spot.before, index) for index in range(0, spot.index, 2)]
    if here.cursor.in_string or dotted != ["NAME", "DOT"] * len(path):
        return ()
    spec = find_optimizer(_made(step).get(path[0], "")) if path else None
    match path[1:]:
        case [] if spec is not None and spec.candidates:
            doc = "The programs that the step scored on all of val, best first."
            return (Offer("candidates", "field", "list of programs", doc, rank=1),)
        case ["candidates"] if spec is not None and spec.candidates:
            return (Offer("top", "function", "top(k)", "The k best of them.", "top(", rank=1),)
        case [] if spec is None:
            return names(here)
        case _:
            return ()


def _made(spot: Spot) -> dict[str, str]:
    """Names of the steps before the cursor's, with their optimizers'."""
    return {
        word(element, 1): word(element, 3)
        for element in spot.group.elements[: spot.number]
        if word(element, 0) == "step" and terminal(element, 2) == "ASSIGN"
    }


def addresses(here: Here, spot: Spot) -> Iterable[Offer]:
    """Predictors of the block's program, by address; those that the list has are left out."""
    present = {word(element, 0) for element in spot.others}
    return (one for one in names(here) if one.label not in present) if not spot.index else ()
