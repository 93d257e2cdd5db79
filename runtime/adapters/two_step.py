"""The `two_step` adapter: the model answers in its own words, and a second call takes the outputs from what it said.

A model thinks best when no layout is asked of it. So the first prompt has the task, the inputs and what is wanted, and
nothing of a layout; the demos show answers as plain text. The second prompt has the answer alone and the outputs, in the
layout of the model that reads it (`chat` where that is the one which answered). It sees no inputs, so that it can only say
what the answer says.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

from ..schema.identity import Same
from ..schema.program import Demo, FieldSpec, Predictor, Signature
from ..schema.types import STR, Type
from .base import Records
from .chat import ChatAdapter
from .turns import sections
from .words import in_plain_words

_EXTRACT = (
    "Give every output field as `{answer}` has it, in the type that is asked for. Take nothing from elsewhere and add "
    "nothing; where it leaves open a field that may be null, give null."
)


class TwoStepAdapter(ChatAdapter):
    """The first of the two prompts. The second is that of `extraction`, in another adapter's layout."""

    template = "free"
    plain = True

    def layout(self, outputs: Sequence[FieldSpec]) -> str:
        return ""

    def names(self, outputs: Sequence[FieldSpec]) -> str:
        return ", ".join(f"`{field.name}`" for field in outputs)

    def words(self, kind: Type, records: Records, seen: set[str]) -> str:
        return in_plain_words(kind, records, seen)

    def answer(self, demo: Demo, outputs: Sequence[FieldSpec]) -> str:
        return sections([one for one in outputs if one.name in demo.outputs], demo.outputs, plain=True)


def extraction(predictor: Predictor, lm: str) -> Predictor:
    """The predictor that takes the outputs of `predictor` from its answer, the only input. `lm` is the model that does."""
    return _extraction(Same(predictor), lm)


@lru_cache(maxsize=512)
def _extraction(same: Same[Predictor], lm: str) -> Predictor:
    signature = same.value.signature
    name = "answer"
    while any(field.name == name for field in signature.outputs):
        name += "_"
    reads = Signature(
        name=signature.name,
        instruction=_EXTRACT.format(answer=name),
        inputs=(FieldSpec(name=name, type=STR, description="what somebody said"),),
        outputs=signature.outputs,
        checks=signature.checks,
    )
    return Predictor(strategy=same.value.strategy, signature=reads, lm=lm)
