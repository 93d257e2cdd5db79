"""Completion in a `step`: the optimizer, its options and their values, an ensemble's members and reducer."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from dspec.compiler.check.chain.frozen import CHOICES
from dspec.compiler.optimizers.base import Option, Spec
from dspec.compiler.optimizers.compat.table import COMPAT
from dspec.compiler.optimizers.ensemble import REDUCERS
from dspec.compiler.optimizers.table import find as find_optimizer

from . import offers
from .cursor import Spot, find, named, terminal, word
from .offers import Suggestion
from .places import PROGRAMS, Place, literals_at, names_at, path_before
from .shapes import Fields, predictors
from .variables import target

MEMBERS = ("module", "program")
"""What an ensemble may be made of, besides steps."""
RULES = {
    "majority": "The answer whose output has the most frequent value.",
    "mean": "The mean of a number.",
    "first": "The answer of the first member that has one.",
}
"""The rules of `REDUCERS`, each with a line of doc."""


def step(place: Place, spot: Spot) -> Iterable[Suggestion]:
    """`step name = Optimizer(options)`; the name may be missing."""
    at = find(spot.element, "ASSIGN")
    first = at + 1 if 0 < at <= spot.index else 1
    if place.cursor.inner is spot:
        return offers.optimizers() if spot.index == first and not place.cursor.in_string else ()
    if terminal(spot.element, spot.index) != "(":
        return ()
    spec = find_optimizer(word(spot.element, first))
    return () if spec is None else _call(place, spot, place.cursor.spots[2:], spec, nested=False)


def _call(
    place: Place, step: Spot, spots: Sequence[Spot], spec: Spec, *, nested: bool
) -> Iterable[Suggestion]:
    """Between an optimizer's parentheses: `spots[0]` is the argument, the others lie within it."""
    call, *deeper = spots
    given = call.index >= 2 and terminal(call.element, 1) == "ASSIGN"
    name = word(call.element, 0) if given else ""
    gathers = spec.gathers and call.number == 0 and not name
    if deeper:
        return _within(place, step, call, deeper, spec, name, gathers=gathers)
    if gathers:
        found = _member(place, step, call)
        options = _names(call, spec, nested=nested) if call.index == 0 and not place.cursor.in_string else ()
        return [*found, *options]
    if call.index == 0:
        return () if place.cursor.in_string else _names(call, spec, nested=nested)
    return _value(place, step, call, spec, name) if name else ()


def _names(call: Spot, spec: Spec, *, nested: bool) -> Iterator[Suggestion]:
    """The options that are not given yet."""
    present = named(call.others)
    if spec.takes_teacher and "teacher" not in present:
        teacher = "Whose successful runs become demos; the student unless said."
        yield Suggestion("teacher", "option", "step or program", teacher, "teacher = ", 2)
    for option in spec.options:
        if option.name not in present:
            yield offers.option(option)
    if nested:
        return
    if "student" not in present and not spec.gathers:
        student = "The program that is tuned; the previous step's unless said."
        yield Suggestion("student", "option", "step or program", student, "student = ", 4)
    if "compat" not in present:
        yield Suggestion("compat", "option", '"dspy" or none', COMPAT.doc, 'compat = "dspy"', 4)
    if not spec.gathers and not present & CHOICES.keys():
        for name, doc in CHOICES.items():
            yield Suggestion(name, "option", "list of predictors", doc, f"{name} = [", 4)


def _value(place: Place, step: Spot, call: Spot, spec: Spec, name: str) -> Iterable[Suggestion]:
    if name in ("teacher", "student"):
        chosen = names_at(place, call, PROGRAMS, after=1)
        return [*(steps(step, before=True) if call.index == 2 else ()), *chosen]
    option = COMPAT if name == COMPAT.name else spec.option(name)
    if option is None:
        nests = spec.nests and call.index == 2 and not place.cursor.in_string
        return (one for one in offers.optimizers() if _nestable(one.label)) if nests else ()
    found = names_at(place, call, option.refers, after=1) if option.refers else ()
    return [*found, *(_plain(place, option) if call.index == 2 else ())]


def _nestable(optimizer: str) -> bool:
    spec = find_optimizer(optimizer)
    return spec is not None and not spec.gathers and not spec.nests


def _plain(place: Place, option: Option) -> Iterator[Suggestion]:
    """Values that are no names: texts, flags, rules."""
    yield from literals_at(place, option.choices)
    if place.cursor.in_string:
        return
    if option.type == "reducer":
        yield from _rules(place)
    words = (*(("true", "false") if option.type == "bool" else ()), *(("none",) if option.optional else ()))
    yield from offers.constants(*words)


def _rules(place: Place) -> Iterator[Suggestion]:
    numbers = any(_is_number(field.detail) for field in _outputs(place))
    for rule, takes_output in REDUCERS.items():
        if rule != "mean" or numbers:
            insert = f"{rule}(" if takes_output else rule
            detail = f"{rule}(output)" if takes_output else ""
            yield Suggestion(rule, "function", detail, RULES[rule], insert, rank=1)


def _is_number(detail: str) -> bool:
    return detail.removesuffix("?") == "float"


def _outputs(place: Place) -> Fields:
    declaration = place.cursor.declaration
    tuned = target(place.cursor, declaration, place.scope) if declaration else None
    return tuned.outputs if tuned else ()


def _within(
    place: Place,
    step: Spot,
    call: Spot,
    deeper: Sequence[Spot],
    spec: Spec,
    name: str,
    *,
    gathers: bool,
) -> Iterable[Suggestion]:
    """In brackets within an argument."""
    inner = deeper[0]
    callee = word(call.element, call.index - 1)
    if inner.group.opener == "(" and spec.nests and name and call.index == 3:
        optimizer = find_optimizer(callee)
        return () if optimizer is None else _call(place, step, deeper, optimizer, nested=True)
    if len(deeper) > 1 or place.cursor.in_string:
        return ()
    if inner.group.opener == "[":
        if name in CHOICES and call.index == 2:
            return addresses(place, inner)
        return _member(place, step, inner) if gathers and call.index == 0 else ()
    if name == "reduce" and REDUCERS.get(callee) and inner.index == 0 and inner.number == 0:
        fields = tuple(one for one in _outputs(place) if callee != "mean" or _is_number(one.detail))
        return offers.fields(fields)
    return ()


def _member(place: Place, step: Spot, spot: Spot) -> Iterable[Suggestion]:
    """A member of an ensemble: a step before this one, its candidates, a module or a program."""
    path = path_before(spot, -1)
    if path is None or place.cursor.in_string:
        return ()
    made = dict(_made(step, before=True))
    spec = find_optimizer(made[path[0]]) if path and path[0] in made else None
    match len(path):
        case 0:
            whole = [one for one in steps(step, before=True) if not _gathers(made[one.label])]
            return [*whole, *names_at(place, spot, MEMBERS, after=-1)]
        case 1 if spec is not None and spec.candidates:
            doc = "The programs that the step scored on all of val, best first."
            return (Suggestion("candidates", "field", "list of programs", doc, rank=1),)
        case 1 if path[0] not in made:
            return names_at(place, spot, MEMBERS, after=-1)
        case 2 if spec is not None and spec.candidates and path[1] == "candidates":
            return (Suggestion("top", "function", "top(k)", "The k best of them.", "top(", rank=1),)
        case _:
            return ()


def _gathers(optimizer: str) -> bool:
    spec = find_optimizer(optimizer)
    return spec is not None and spec.gathers


def steps(spot: Spot, *, before: bool) -> Iterator[Suggestion]:
    """The named steps of the block, or those before the cursor's."""
    for name, optimizer in _made(spot, before=before):
        yield Suggestion(name, "variable", f"step: {optimizer}", rank=1)


def _made(spot: Spot, *, before: bool) -> Iterator[tuple[str, str]]:
    """Names of steps with their optimizers'."""
    for number, element in enumerate(spot.group.elements):
        if before and number >= spot.number:
            return
        if word(element, 0) == "step" and terminal(element, 2) == "ASSIGN":
            yield word(element, 1), word(element, 3)


def addresses(place: Place, spot: Spot) -> Iterator[Suggestion]:
    """Predictors of the block's program, by address; those that the list has are left out."""
    declaration = place.cursor.declaration
    present = {word(element, 0) for element in spot.others}
    if declaration is None or spot.index or place.cursor.in_string:
        return
    for name, symbol in predictors(declaration.items, place.scope):
        if name not in present:
            yield offers.reference(name, symbol)
