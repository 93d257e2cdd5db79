"""Checks the names in a program that was read: they are plain, and lead somewhere; and its settings lie in their ranges.

Names are shown and reach prompts. The name of a model says who is asked, and that of a variable which key is sent.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable, Iterator, Sequence

from ..models.endpoints import PROVIDERS, split_model
from ..schema.expressions import Expression
from ..schema.modelnames import is_model_name, may_hold_key
from ..schema.program import (
    LM,
    BranchStep,
    CallStep,
    CheckStep,
    EachStep,
    Graph,
    Program,
    RepeatStep,
    RunStep,
    Step,
    ToolStep,
    ValueStep,
    walked,
)
from ..values.interpret import names

MAX_WRITTEN = 2_000
"""Steps of one graph, those inside others counted."""

_PLAIN = re.compile(
    r"[^\x00-\x1f\x7f-\x9f\u200b\u200e\u200f\u2028-\u202e\u2060-\u2069\ufeff\ud800-\udfff]{1,500}"
)
_KEYS = frozenset(name for provider in PROVIDERS.values() for name in provider.key_env)
_RANGES = (
    ("temperature", 0, 100),
    ("max_tokens", 1, 100_000_000),
    ("seed", -(2**63), 2**64),
    ("timeout", 0.001, 86_400),
    ("retry", 0, 1_000),
    ("rpm", 1, 10**12),
    ("tpm", 1, 10**12),
    ("max_parallel", 1, 1_000_000),
    ("price_input", 0, 10**9),
    ("price_output", 0, 10**9),
)


def plain_names(program: Program, where: str) -> Iterator[str]:
    """Names are shown, and reach prompts: they hold nothing that a terminal or a reader takes for something else."""
    tables: tuple[Iterable[str], ...] = (
        program.predictors,
        program.modules,
        program.tools,
        program.graphs,
        program.records,
        program.lms,
    )
    for name in (program.name, *itertools.chain(*tables)):
        if not _PLAIN.fullmatch(name):
            yield f"{where}: {name[:80]!r} is not a name"
    for kind in (*program.predictors.values(),):
        if not _PLAIN.fullmatch(kind.signature.name):
            yield f"{where}: {kind.signature.name[:80]!r} is not a name"


def settings(lm: LM, where: str, program: Program) -> Iterator[str]:
    if lm.api_base is not None:
        yield f"{where}.api_base: an artifact holds no address; the application gives it"
    if not is_model_name(lm.model):
        yield f"{where}.model: {lm.model[:80]!r} is not the name of a model"
    for name in (lm.name, lm.api_base_env or "NONE"):
        if not _PLAIN.fullmatch(name):
            yield f"{where}: {name[:80]!r} is not a name"
    if lm.api_key_env is not None:
        provider, _ = split_model(lm.model)
        known = PROVIDERS.get(provider)
        usual = known.key_env if known else ()
        if not may_hold_key(lm.api_key_env, provider, usual, _KEYS.difference(usual)):
            yield f"{where}.api_key_env: {lm.api_key_env[:80]!r} is not where a key of this model is kept"
    for member, low, high in _RANGES:
        value = getattr(lm, member)
        if value is not None and not low <= value <= high:
            yield f"{where}.{member}: must lie in {low:,}..{high:,}"
    for other in lm.fallback:
        if other not in program.lms:
            yield f"{where}: there is no lm `{other[:80]}` to fall back to"


def reads(graph: Graph, where: str) -> Iterator[str]:
    """Faults of names that are read and that nothing before them gives."""
    if sum(1 for _ in walked(graph.steps)) > MAX_WRITTEN:
        yield f"{where}.steps: more than {MAX_WRITTEN:,}"
        return
    known = {field.name for field in graph.inputs}
    yield from _scoped(graph.steps, tuple(graph.returns.values()), known, f"{where}.steps")


def _scoped(
    steps: Sequence[Step], values: Sequence[Expression], known: set[str], where: str
) -> Iterator[str]:
    """Adds to `known` the name that each step gives, for the steps after it. `values` are read at the end."""

    def unknown(expressions: Iterable[Expression], at: str, more: Iterable[str] = ()) -> Iterator[str]:
        for expression in expressions:
            for name in sorted(names(expression) - known - {*more}):
                yield f"{at}: there is nothing called `{name[:80]}`"

    for index, step in enumerate(steps):
        at = f"{where}[{index}]"
        match step:
            case CallStep() | RunStep() | ToolStep():
                yield from unknown(step.arguments.values(), at)
            case ValueStep():
                yield from unknown((step.value,), at)
            case CheckStep():
                yield from unknown((step.check.condition, step.check.message), at)
                if step.blames is not None and step.blames not in known:
                    yield f"{at}.blames: there is no step `{step.blames[:80]}`"
                continue
            case BranchStep():
                yield from unknown((step.condition,), at)
                for block in (step.consequence, step.alternative):
                    yield from _scoped(block.steps, (block.value,), {*known}, at)
            case EachStep():
                yield from unknown((step.iterable,), at)
                yield from _scoped(step.body.steps, (step.body.value,), {*known, step.variable}, at)
            case RepeatStep():
                yield from unknown(step.start.values(), at)
                inner = {*known, *step.start}
                given = {one.name for one in (*step.steps, *step.then) if not isinstance(one, CheckStep)}
                until = () if step.until is None else (step.until,)
                yield from _scoped(step.steps, until, {*inner}, at)
                yield from _scoped(step.then, (), {*inner, *given}, at)
                value = () if step.value is None else (step.value,)
                yield from unknown(
                    (*step.again.values(), *step.last.values(), *value), at, {*step.start, *given}
                )
        known.add(step.name)
        if not _PLAIN.fullmatch(step.name):
            yield f"{at}: {step.name[:80]!r} is not a name"
    yield from unknown(values, where)
