"""The record of a run: every predictor's answer and every tool's result, in the program's order."""

from __future__ import annotations

from dataclasses import dataclass

from ..schema.types import Row


@dataclass(frozen=True, slots=True)
class TraceStep:
    """One predictor's part in a run, or one call of a tool. `attempts` counts its model calls."""

    step: str
    """Where in the program: a step's name, those around it before it, as in `drafts[1].critic`."""
    predictor: str
    """Its address; "" of a tool's call."""
    inputs: Row
    outputs: Row
    attempts: int
    notes: tuple[str, ...] = ()
    tool: str = ""
    """Key of the tool that was called; its one value is the output `result`, a failure the output `error`."""
