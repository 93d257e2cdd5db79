"""Checks what an optimize block says of a result that is to be cheap: `minimize`, and the gate that it must reach."""

from __future__ import annotations

from dspec.grammar.tree import Binary, Expr, Gate, Literal, Percent, Reference
from dspec.runtime.models.prices import price

from ... import ir
from ...diagnostics import codes
from ...tables.blocks import BLOCKS
from ..declarations.lms import lm
from ..declarations.metrics import MetricInfo
from ..session import Session
from ..shape.attributes import Reader, number_of
from .asked import ModelsAsked

_ONE_GATE = "write one gate, as `gate score >= 0.9`"


def cheapest(
    session: Session, read: Reader, measure: MetricInfo | None
) -> tuple[ir.Minimized | None, float | None]:
    """What is minimized, and the score that must be reached; None for both where the block's result is the best one."""
    place = read.place
    said, node = read.choice("minimize"), read.value("minimize")
    gates = [item for item in place.declaration.items or () if isinstance(item, Gate)]
    reached = [_least(item) for item in gates]
    refuse = codes.chains.CannotMinimize
    # What is missing may be what could not be read, or stands under a name that nobody knows: either is reported as that.
    whole = not place.block.problems and all(map(BLOCKS["optimize"].attribute, read.found))
    if node is None:
        for item in gates if whole else ():
            session.report(
                refuse(
                    place.at(item.condition),
                    "a gate of an optimize block is what its cheapest result must reach, and nothing is minimized",
                    "the best program is taken, whatever it scores",
                    'write `minimize = "usd"` beside it, or put the gate into an `eval`',
                )
            )
        return None, None
    at = place.at(node)
    if not gates and whole:
        session.report(
            refuse(
                at,
                "the cheapest program is one that does nothing well: `minimize` needs a score to reach",
                "with no gate",
                "say what is good enough: `gate score >= 0.9`",
            )
        )
    for item, least in zip(gates, reached, strict=True):
        if least is None or item is not gates[0]:
            wrong, label, instead = (
                _unfit(item) if least is None else (item.condition, "a second gate", _ONE_GATE)
            )
            session.report(
                refuse(
                    place.at(wrong),
                    f"`{' '.join(place.text(item.condition).split())}` is no gate that a cheapest result can be held to",
                    label,
                    instead,
                    at,
                )
            )
    for name, value in (("scoring", "none"), ("compat", "dspy")):
        other = read.value(name)
        if isinstance(other, Literal) and other.value == value:
            session.report(
                refuse(
                    at,
                    f'with `{name} = "{value}"` no program is certain to reach a gate',
                    "what is minimized",
                    f"leave out `{name}` or `minimize`",
                    place.at(other),
                )
            )
    if "val" not in read.found and whole:
        session.report(
            refuse(
                at,
                "without `val` nothing is certain of a score: steps learn from the rows of `train`",
                "scores on rows that were learned from",
                "name rows to compare on: `val = …`",
            )
        )
    if measure is not None and measure.metric is not None and measure.metric.aggregates:
        session.report(
            refuse(
                at,
                "a metric that is made of all rows has no gate that is certain to be reached",
                "what is minimized",
                "score each row by itself, or leave out `minimize`",
            )
        )
    unit: ir.Minimized | None = "usd" if said == "usd" else "tokens" if said == "tokens" else None
    least = reached[0] if len(reached) == 1 else None
    return (None, None) if unit is None or least is None else (unit, least)


def check_priced(session: Session, read: Reader, asked: ModelsAsked) -> None:
    """Reports a model of unknown price, where money is minimized."""
    node = read.value("minimize")
    if node is None:
        return
    for model in {**asked.answering, **asked.embedding}.values():
        settings = lm(session, model)
        if settings is not None and price(settings) is None:
            session.report(
                codes.chains.CannotMinimize(
                    read.place.at(node),
                    f"nobody knows what an answer of `{settings.model}` costs",
                    "what is minimized",
                    'give its `lm` a `price { … }`, or write `minimize = "tokens"`',
                    model.location,
                )
            )


def _least(item: Gate) -> float | None:
    """The number of `score >= number`, if that is the condition."""
    condition = item.condition
    if (
        isinstance(condition, Binary)
        and condition.operator == ">="
        and _is_score(condition.left)
        and (number := number_of(condition.right)) is not None
        and 0.0 < number < 1.0
    ):
        return float(number)
    return None


def _unfit(item: Gate) -> tuple[Expr, str, str]:
    """The part of a gate that does not fit, what is wrong with it, and what to do."""
    condition = item.condition
    if not (isinstance(condition, Binary) and _is_score(condition.left)):
        return condition, "one gate, a score and a number", _ONE_GATE
    right = condition.right
    number = right.value if isinstance(right, Percent) else number_of(right)
    if number is None:
        return right, "a gate compares the score with a number", _ONE_GATE
    whole = isinstance(right, Percent) or number > 1
    share = number / 100 if whole else number
    instead = f"write `gate score >= {share:g}`" if 0 < share < 1 else _ONE_GATE
    if condition.operator != ">=":
        return condition, f"a gate says the least, with `>=`, and this is `{condition.operator}`", instead
    return right, "a score lies between 0 and 1", instead


def _is_score(node: Expr) -> bool:
    return isinstance(node, Reference) and node.name.text == "score"
