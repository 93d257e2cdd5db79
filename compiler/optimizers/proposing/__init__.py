"""Writing instructions and tools' descriptions: what a model is told so that it proposes better ones, and how its
answer is taken.

The prompts are templates in this folder. What a proposer answers is untrusted text: it is bounded, cleaned,
and only ever becomes a predictor's instruction or a tool's description; fields, demos and `fixed` text are out of its
reach.
"""

from __future__ import annotations

from .answers import MAX_INSTRUCTION, clean
from .grounded import Grounding, summary_calls, summary_for
from .grounded import propose as propose_grounded
from .proposer import Proposer
from .variations import Attempted, propose_from_attempts, propose_variations

__all__ = [
    "MAX_INSTRUCTION",
    "Attempted",
    "Grounding",
    "Proposer",
    "clean",
    "propose_from_attempts",
    "propose_grounded",
    "propose_variations",
    "summary_calls",
    "summary_for",
]
