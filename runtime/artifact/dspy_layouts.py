"""States that older versions of DSPy saved, in the layout of DSPy 3.

| version | a predictor's state has |
| --- | --- |
| 2.0 to 2.4 | `signature_instructions`, `signature_prefix`; of a chain of thought `extended_signature_…` besides |
| 2.5 | `signature` and, of a chain of thought, `extended_signature`, each with `instructions` and `fields` |
| 2.6 and 3 | `signature` with `instructions` and `fields` |

Before 2.6 a chain of thought was a predictor itself, and its reasoning was called `rationale` until 2.5.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast

from ..schema.types import JsonValue, Row

_FLAT = ("signature_instructions", "extended_signature_instructions")
_EXTENDED = "extended_signature"
OLD_REASONING = "rationale"


def in_todays_layout(state: JsonValue) -> tuple[JsonValue, bool]:
    """The state, and whether it was of an older layout. What is no state at all is left as it is."""
    if not isinstance(state, dict):
        return state, False
    if _is_old(state):
        return _predictor(state), True
    if not any(isinstance(one, dict) and _is_old(one) for one in state.values()):
        return state, False
    made: dict[str, JsonValue] = {}
    for name, one in state.items():
        old = isinstance(one, dict) and _is_old(one)
        made[_todays_name(name, cast("Row", one)) if old else name] = (
            _predictor(cast("Row", one)) if old else one
        )
    return made, True


def _is_old(state: Mapping[str, JsonValue]) -> bool:
    return any(isinstance(state.get(name), str) for name in _FLAT) or isinstance(state.get(_EXTENDED), dict)


def _is_chain(state: Mapping[str, JsonValue]) -> bool:
    return isinstance(state.get(_FLAT[1]), str) or isinstance(state.get(_EXTENDED), dict)


def _todays_name(name: str, state: Mapping[str, JsonValue]) -> str:
    return f"{name}.predict" if _is_chain(state) else name


def _predictor(state: Mapping[str, JsonValue]) -> Row:
    signature = state.get(_EXTENDED) or state.get("signature")
    if not isinstance(signature, dict):
        said = state.get(_FLAT[1]) if _is_chain(state) else state.get(_FLAT[0])
        signature = {"instructions": said, "fields": None}
    demos = state.get("demos", [])
    return {
        "demos": [_demo(one) for one in demos] if isinstance(demos, list) else demos,
        "signature": signature,
    }


def _demo(demo: JsonValue) -> JsonValue:
    if not isinstance(demo, dict) or OLD_REASONING not in demo or "reasoning" in demo:
        return demo
    return {"reasoning" if name == OLD_REASONING else name: value for name, value in demo.items()}
