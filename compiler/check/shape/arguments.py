"""Matching the arguments of a call with parameters, by position and by name."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from types import MappingProxyType

from dspec.grammar.tree import Argument, Call

from ...diagnostics import codes
from ...diagnostics.record import Label
from ..session import Place, Session


def match_arguments(
    session: Session,
    place: Place,
    node: Call,
    what: str,
    names: Sequence[str],
    required: Collection[str],
    shape: str,
    *,
    variadic: bool = False,
    noun: str = "argument",
    declared: tuple[Label, ...] = (),
    optional: Collection[str] = (),
    handed_on: Mapping[str, str] = MappingProxyType({}),
) -> dict[str, tuple[Argument, ...]]:
    """Arguments by parameter name. With `variadic` the last parameter takes what is left over.

    Required parameters that take `none` are `optional`, and those whose values a program can only hand on, such as images, are
    `handed_on`, with the type of each.

    Reports arguments that no parameter takes, parameters given twice, and required ones not given.
    """
    given: dict[str, tuple[Argument, ...]] = {}
    position = 0
    wrong = False
    for argument in node.arguments:
        if argument.name is None:
            if position < len(names):
                name = names[position]
                position += 1
            elif variadic and names:
                given[names[-1]] = (*given.get(names[-1], ()), argument)
                continue
            else:
                wrong = True
                session.report(
                    codes.calls.TooManyArguments(place.at(argument), what, shape, len(names), noun, declared)
                )
                continue
        else:
            name = argument.name.text
            if name not in names:
                wrong = True
                session.report(
                    codes.calls.UnknownArgument(place.at(argument.name), what, tuple(names), noun, declared)
                )
                continue
        if name in given:
            session.report(
                codes.attributes.GivenTwice(place.at(argument), name, place.at(given[name][0]), what)
            )
            continue
        given[name] = (argument,)
    absent = tuple(name for name in names if name in required and name not in given)
    if absent and not wrong:
        session.report(
            codes.calls.LacksArguments(
                place.at(node.callee),
                what,
                shape,
                absent,
                declared,
                next((name for name in absent if name in optional), ""),
                next(((name, handed_on[name]) for name in absent if name in handed_on), None),
            )
        )
    return given
