"""Matching the arguments of a call with parameters, by position and by name."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from dspec.grammar.tree import Argument, Call

from ...diagnostics.record import Label
from ...diagnostics.spelling import closest, plural, quoted
from ..names.names import did_you_mean, listed
from ..session import Place, Session, suggestions


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
    unknown: str = "DS0303",
    missing: str = "DS0302",
    declared: tuple[Label, ...] = (),
) -> dict[str, tuple[Argument, ...]]:
    """Arguments by parameter name. With `variadic` the last parameter takes what is left over.

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
                    unknown,
                    f"{what} takes {plural(len(names), noun)}, and this is one more",
                    place.at(argument),
                    "one too many",
                    secondary=declared,
                    help=f"it is called as {shape}",
                )
                continue
        else:
            name = argument.name.text
            if name not in names:
                wrong = True
                near = closest(name, names)
                session.report(
                    unknown,
                    f"{what} has no {noun} `{name}`{did_you_mean(near)}",
                    place.at(argument.name),
                    f"not an {noun}",
                    secondary=declared,
                    help="" if near else f"it has {listed(names)}" if names else f"it has no {noun}s",
                    fixes=suggestions(place.at(argument.name), near),
                )
                continue
        if name in given:
            session.report(
                "DS0106",
                f"`{name}` is given twice to {what}",
                place.at(argument),
                "again here",
                secondary=(Label(place.at(given[name][0]), "first here"),),
            )
            continue
        given[name] = (argument,)
    absent = [name for name in names if name in required and name not in given]
    if absent and not wrong:
        session.report(
            missing,
            f"this call of {what} lacks {quoted(absent)}",
            place.at(node.callee),
            f"lacks {quoted(absent)}",
            secondary=declared,
            help=f"it is called as {shape}",
        )
    return given
