"""Keeps demos within what a prompt can hold: long texts of their inputs are cut, and what is still too much is left out.

An inner step's demo holds what the steps before it gave, retrieved passages among it, and a few of those are more than
a small model takes. All texts that are longer than some length are cut to it, so that short demos stay whole. Outputs
are never cut, since they are what a demo teaches. Only the demos, the predictor and its model decide, so that the
same demos are always cut the same way. Where nobody knows how much a model takes, nothing is cut.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from msgspec import Struct, field

from dspec.runtime.models.prices import context_window
from dspec.runtime.schema.program import LM, Demo, Predictor, Program, canonical, digest
from dspec.runtime.schema.types import JsonValue, Row
from dspec.runtime.values.media import medium

SHARE = 0.8
"""The share of what a model takes that a prompt may fill: tokens are estimated from bytes, and some languages have
more of them."""
SHORTEST = 200
"""Characters that a text keeps at least; where demos with such texts are too long, some are left out."""
ANSWER_TOKENS = 1024
"""Tokens that are kept free for the answer of a model without `max_tokens`."""

_CUT = re.compile(r" \[… (\d+) characters left out …\] ")


class PromptRoom(Struct, frozen=True):
    """Cuts demos to what a predictor's prompt has room for, and remembers how many were left out."""

    left_out: dict[str, int] = field(default_factory=dict[str, int])
    """How many demos were left out, by the key of the predictor and the demos that it was given."""

    def fit(self, program: Program, address: str, demos: Sequence[Demo]) -> tuple[Demo, ...]:
        """The demos as the predictor's prompt can hold them, in their order."""
        demos = tuple(demos)
        predictor = program.predictors[address]
        lm = predictor.asks(program.lms)
        most = None if lm is None else context_window(lm)
        if lm is None or most is None or not demos or _surely_fits(demos, most):
            return demos
        room = _room(program, predictor, lm, demos, most)
        for count in range(len(demos), 0, -1):
            kept = _cut_to_fit(program, predictor, lm, demos[:count], room)
            if kept is not None:
                break
        else:
            kept = ()
        if len(kept) < len(demos):
            self.left_out[_key(address, kept)] = len(demos) - len(kept)
        return kept

    def fit_any(self, program: Program, address: str, demos: Sequence[Demo], count: int) -> tuple[Demo, ...]:
        """The demos of an index, of which a prompt shows `count`: their texts are cut to one length, so that the
        longest ones fit together."""
        predictor = program.predictors[address]
        lm = predictor.asks(program.lms)
        most = None if lm is None else context_window(lm)
        longest = sorted(demos, key=lambda demo: len(canonical(demo)), reverse=True)[:count]
        if lm is None or most is None or not longest or _surely_fits(longest, most):
            return tuple(demos)
        room = _room(program, predictor, lm, longest, most)
        length = _length_that_fits(program, predictor, lm, longest, room)
        return tuple(_shortened(demo, SHORTEST if length is None else length) for demo in demos)

    def notes(self, program: Program) -> tuple[str, ...]:
        """What a reader must know of the program's demos."""
        found: list[str] = []
        rows = () if program.neighbours is None else program.neighbours.rows
        for address, predictor in program.predictors.items():
            kept = (kind.get(address) for row in rows for kind in (row.bootstrapped, row.labelled))
            cut = sum(demo is not None and _is_cut(demo.inputs) for demo in (*predictor.demos, *kept))
            lost = self.left_out.get(_key(address, predictor.demos), 0)
            parts = [f"long texts of {_demos(cut)} are cut"] if cut else []
            parts += [f"{_demos(lost)} left out"] if lost else []
            lm = predictor.asks(program.lms)
            most = None if lm is None else context_window(lm)
            if parts and most is not None:
                found.append(f"a prompt of `{address}` holds {most:,} tokens: {', '.join(parts)}")
        return tuple(found)


def _demos(count: int) -> str:
    return f"{count} demo{'' if count == 1 else 's'}"


def _key(address: str, demos: Sequence[Demo]) -> str:
    return f"{address} {digest([demo.model_dump(mode='json') for demo in demos])}"


def _surely_fits(demos: Sequence[Demo], most: int) -> bool:
    """Whether the demos are so short that nobody need render them: a token is at least a byte."""
    return sum(len(canonical(demo).encode()) + 400 for demo in demos) < most // 4


def _room(program: Program, predictor: Predictor, lm: LM, demos: Sequence[Demo], most: int) -> int:
    """Tokens that demos may take: what the answer, the instruction and the inputs leave of the prompt. Inputs count as
    long as the longest among the demos, but take no more than half of what is left for both."""
    free = int(SHARE * (most - min(lm.max_tokens or ANSWER_TOKENS, most // 2)))
    bare = predictor.model_copy(update={"demos": ()})
    blank: Row = {one.name: None for one in predictor.signature.inputs}
    frame = _tokens(program, bare, lm, blank)
    longest = max(_tokens(program, bare, lm, {**blank, **demo.inputs}) for demo in demos) - frame
    return free - frame - min(longest, max(0, free - frame) // 2)


def _cut_to_fit(
    program: Program, predictor: Predictor, lm: LM, demos: Sequence[Demo], room: int
) -> tuple[Demo, ...] | None:
    """The demos with their texts cut as little as will do; None where they do not fit at all."""
    length = _length_that_fits(program, predictor, lm, demos, room)
    return None if length is None else tuple(_shortened(demo, length) for demo in demos)


def _length_that_fits(
    program: Program, predictor: Predictor, lm: LM, demos: Sequence[Demo], room: int
) -> int | None:
    """The most characters that the texts of the demos may have, if the demos are to fit; None where `SHORTEST` is too many."""
    blank: Row = {one.name: None for one in predictor.signature.inputs}
    frame = _tokens(program, predictor.model_copy(update={"demos": ()}), lm, blank)

    def fits(shown: Sequence[Demo]) -> bool:
        with_demos = predictor.model_copy(update={"demos": tuple(shown)})
        return _tokens(program, with_demos, lm, blank) - frame <= room

    low, high = SHORTEST, max((_longest(demo.inputs) for demo in demos), default=0)
    if fits(demos):
        return max(low, high)
    if high <= low or not fits([_shortened(demo, low) for demo in demos]):
        return None
    while high - low > 1:
        middle = (low + high) // 2
        if fits([_shortened(demo, middle) for demo in demos]):
            low = middle
        else:
            high = middle
    return low


def _tokens(program: Program, predictor: Predictor, lm: LM, inputs: Row) -> int:
    from dspec.runtime.adapters import (
        adapter_of,  # a check reads the table of optimizers, and renders nothing
    )
    from dspec.runtime.models.transports.answers import estimate_tokens
    from dspec.runtime.running.thinking import as_asked

    return estimate_tokens(adapter_of(lm).render(as_asked(predictor, lm), inputs, program.records), lm.model)


def _shortened(demo: Demo, most: int) -> Demo:
    return demo.model_copy(
        update={"inputs": {name: _cut(value, most) for name, value in demo.inputs.items()}}
    )


def _cut(value: JsonValue, most: int) -> JsonValue:
    """The value with no text longer than that: the beginning, and half as much of the end."""
    match value:
        case str() if len(value) > most and medium(value) is None:
            end = most // 3
            return f"{value[: most - end]} [… {len(value) - most} characters left out …] {value[len(value) - end :]}"
        case list():
            return [_cut(item, most) for item in value]
        case dict():
            return {name: _cut(item, most) for name, item in value.items()}
        case _:
            return value


def _longest(value: JsonValue) -> int:
    match value:
        case str():
            return 0 if medium(value) else len(value)
        case list():
            return max((_longest(item) for item in value), default=0)
        case dict():
            return max((_longest(item) for item in value.values()), default=0)
        case _:
            return 0


def _is_cut(value: JsonValue) -> bool:
    match value:
        case str():
            return _CUT.search(value) is not None
        case list():
            return any(_is_cut(item) for item in value)
        case dict():
            return any(_is_cut(item) for item in value.values())
        case _:
            return False


def same_value(shown: JsonValue, value: JsonValue) -> bool:
    """Whether a demo shows this value, cut or whole."""
    if shown == value:
        return True
    match shown, value:
        case str(), str():
            return any(_is_cut_of(shown, value, mark) for mark in _CUT.finditer(shown))
        case list(), list():
            return len(shown) == len(value) and all(map(same_value, shown, value))
        case dict(), dict():
            return shown.keys() == value.keys() and all(
                same_value(shown[name], value[name]) for name in shown
            )
        case _:
            return False


def _is_cut_of(shown: str, whole: str, mark: re.Match[str]) -> bool:
    start, end = shown[: mark.start()], shown[mark.end() :]
    missing = len(whole) - len(start) - len(end)
    return mark[1] == str(missing) and whole.startswith(start) and whole.endswith(end)
