"""Says how often a compile calls each tool at most, and what a call may take."""

from __future__ import annotations

from collections.abc import Sequence

from dspec.runtime.running.bounds import counted
from dspec.runtime.schema.program import Program, Tool
from dspec.runtime.tools.table import SOURCES
from dspec.runtime.tools.toolbox import PARALLEL

from .. import ir
from ..diagnostics.wording import plural


def tool_notes(program: Program, runs: int, described: Sequence[str]) -> list[str]:
    """A line for each tool that a run may call, one for those that a compile which goes on calls again, and one for
    those that a step describes anew."""
    counts = counted(program)
    called = {key: tool for key, tool in program.tools.items() if key in counts}
    functions = {module.function.tool for module in program.modules.values() if module.function is not None}
    notes = [
        _note(tool, "the function of the module" if key in functions else "tool", counts[key].most, runs)
        for key, tool in called.items()
    ]
    again = [
        tool.name
        for key, tool in called.items()
        if key not in functions and not tool.pure and not SOURCES[tool.source].steady
    ]
    if functions:
        notes.append(
            "a run that a stop cuts off runs its functions again when the compile goes on; what they asked is kept"
        )
    if again:
        names = ", ".join(f"`{name}`" for name in sorted(again))
        verb = "is" if len(again) == 1 else "are"
        notes.append(
            f"{names} {verb} not declared pure: a run that a stop cuts off calls "
            f"{'it' if len(again) == 1 else 'them'} again when the compile goes on"
        )
    if described:
        names = ", ".join(f"`{name}`" for name in described)
        what = "description" if len(described) == 1 else "descriptions"
        notes.append(
            f"the {what} of {names} {'is' if len(described) == 1 else 'are'} tuned as instructions are; "
            f"`freeze = [{', '.join(described)}]` keeps {'it' if len(described) == 1 else 'them'}"
        )
    return notes


def function_notes(metric: ir.Metric, runs: int) -> list[str]:
    """A line for each extern that the metric calls where so many runs are scored, and for the function that it is."""
    most: dict[str, int] = {}
    tools: dict[str, Tool] = {}
    for judge in metric.judges:
        for key, tool in judge.program.tools.items():
            tools[key] = tool
            most[key] = most.get(key, 0) + judge.most
    return [_note(tool, "the metric's function", most[key], runs) for key, tool in tools.items()]


def _note(tool: Tool, what: str, most: int, runs: int) -> str:
    tries = f", {tool.retry + 1} times" if tool.retry else ""
    at_once = tool.max_parallel or PARALLEL
    return (
        f"{what} `{tool.name}`: at most {plural(most, 'call')} a run and {most * runs:,} in all, {at_once} at once, "
        f"each for {tool.timeout:g} s at most{tries}"
    )
