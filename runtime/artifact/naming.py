"""Checks the names in a program that was read: they are plain; and its settings lie in their ranges.

Names are shown and reach prompts. The name of a model says who is asked, and that of a variable which key is sent.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable, Iterator

from ..models.endpoints import may_keep_key
from ..schema.lms import LM, OwnSettings
from ..schema.modelnames import is_model_name, may_hold_address
from ..schema.program import CheckStep, Program, canonical, walked
from ..schema.requests import MAX_EXTRA, MAX_HEADERS, extra_faults, header_fault

_PLAIN = re.compile(
    r"[^\x00-\x1f\x7f-\x9f\u200b\u200e\u200f\u2028-\u202e\u2060-\u2069\ufeff\ud800-\udfff]{1,500}"
)
_MOST_STOPS = 64
_LONGEST_STOP = 1_000
_RANGES = (
    ("temperature", 0, 100),
    ("max_tokens", 1, 100_000_000),
    ("seed", -(2**63), 2**64),
    ("top_p", 0, 1),
    ("top_k", 1, 1_000_000),
    ("frequency_penalty", -100, 100),
    ("presence_penalty", -100, 100),
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
    for graph in (program, *program.graphs.values()):
        for step in walked(graph.steps):
            if not isinstance(step, CheckStep) and not _PLAIN.fullmatch(step.name):
                yield f"{where}: {step.name[:80]!r} is not a name"
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
    if lm.api_base_env is not None and not may_hold_address(lm.api_base_env):
        yield f"{where}.api_base_env: {lm.api_base_env[:80]!r} is not where the address of a model is kept"
    if lm.api_key_env is not None and not may_keep_key(lm.api_key_env, lm.model):
        yield f"{where}.api_key_env: {lm.api_key_env[:80]!r} is not where a key of this model is kept"
    yield from in_ranges(lm, where)
    yield from _requests(lm, where)
    if lm.on_unreadable is not None and not lm.fallback:
        yield f"{where}.on_unreadable: there is no lm to fall back to"
    for other in lm.fallback:
        if other not in program.lms:
            yield f"{where}: there is no lm `{other[:80]}` to fall back to"
    if lm.extract is not None:
        reader = program.lms.get(lm.extract)
        if reader is None:
            yield f"{where}.extract: there is no lm `{lm.extract[:80]}`"
        elif lm.adapter != "two_step" or reader.adapter == "two_step":
            yield f"{where}.extract: a model that answers in a layout takes the outputs from one that answers in two steps"


def in_ranges(lm: LM | OwnSettings, where: str) -> Iterator[str]:
    """OwnSettings of a model, or of a predictor that asks it, beyond what they may be."""
    for member, low, high in _RANGES:
        value = getattr(lm, member, None)
        if value is not None and not low <= value <= high:
            yield f"{where}.{member}: must lie in {low:,}..{high:,}"
    stops = lm.stop or ()
    if len(stops) > _MOST_STOPS or any(not 0 < len(text) <= _LONGEST_STOP for text in stops):
        yield f"{where}.stop: at most {_MOST_STOPS} texts of 1 to {_LONGEST_STOP:,} characters"


def _requests(lm: LM, where: str) -> Iterator[str]:
    """What the requests of an LM add, and must not."""
    if lm.api_version is not None and not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9.-]{0,40}", lm.api_version):
        yield f"{where}.api_version: {lm.api_version[:40]!r} is not a version"
    named = [*lm.headers.items(), *((name, None) for name in lm.headers_env)]
    if len(named) > MAX_HEADERS or len({name.lower() for name, _ in named}) < len(named):
        yield f"{where}.headers: at most {MAX_HEADERS}, and none twice"
    for name, value in named:
        if why := header_fault(name, value):
            yield f"{where}.headers: {name[:80]!r} {why}"
    for variable in lm.headers_env.values():
        if not may_keep_key(variable, lm.model) and not may_hold_address(variable):
            yield f"{where}.headers_env: {variable[:80]!r} is not a variable whose value may be sent to this model"
    for path, why in extra_faults(lm.extra):
        yield f"{where}.extra: {path[:80]!r} {why}"
    if len(canonical(lm.extra)) > MAX_EXTRA:
        yield f"{where}.extra: longer than {MAX_EXTRA:,} characters"
