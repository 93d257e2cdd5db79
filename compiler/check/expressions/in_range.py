"""Reports a score, or a branch of one, that cannot lie in 0..1 or is known to leave it."""

from __future__ import annotations

import math

from dspec.grammar.tree import Conditional, Expr
from dspec.runtime.schema.expressions import Expression, If

from ...diagnostics import codes
from .ranges import SHARE, Bounds
from .scope import Scope


def check_in_range(scope: Scope, node: Expr, code: Expression) -> None:
    """Report each branch of a condition by itself, and the value of a `let` where it stands.

    Behind a condition the value of a `let` may have been asked for, as in `if n > 1 then 1.0 else n`: there it is a
    mistake only if it never lies in 0..1.
    """
    waiting = [(node, code, False)]
    while waiting:
        node, code, asked = waiting.pop()
        named = None if asked or scope.measure is None else scope.measure.named(code)
        if named is not None:
            waiting.append((*named, False))  # a `let` reads only those before it, so this ends
        elif isinstance(node, Conditional) and isinstance(code, If):
            waiting.append((node.alternative, code.alternative, True))
            waiting.append((node.consequence, code.consequence, True))
        else:
            found = scope.range_of(code)
            if not _leaves(found):
                with_lets = scope.range_of(code, lets=True)
                if not (with_lets.beside(SHARE) if asked else _leaves(with_lets)):
                    continue
                found = with_lets
            scope.session.report(codes.metrics.ScoreOutOfRange(scope.place.at(node), found.low, found.high))


def _leaves(found: Bounds) -> bool:
    """Whether a value lies outside of 0..1, or some row's does."""
    outside = (
        found.beside(SHARE) or (found.high > 1 and found.low >= 1) or (found.low < 0 and found.high <= 0)
    )
    reached = found.free < 2 and not math.isinf(found.high) and not math.isinf(found.low)
    return outside or (reached and not (found.low >= 0 and found.high <= 1))
