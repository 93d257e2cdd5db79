"""Counts how often tools failed, and says so: a program whose tool never works scores 0, which looks like a bad program."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator

from dspec.runtime.schema.trace import CODE, TraceStep
from dspec.runtime.values.values import short

from ..diagnostics.wording import plural


class ToolFailures:
    """Calls of tools in runs that were counted, in any order: what is told is the same."""

    def __init__(self) -> None:
        self._calls: Counter[str] = Counter()
        self._reasons: dict[str, Counter[str]] = {}

    def add(self, trace: Iterable[TraceStep]) -> None:
        """Counts the calls of one run."""
        for step in trace:
            if not step.tool or step.tool == CODE:
                continue
            self._calls[step.tool] += 1
            error = step.outputs.get("error")
            if isinstance(error, str) and len(step.outputs) == 1:
                self._reasons.setdefault(step.tool, Counter())[error[:200]] += 1

    def told(self) -> Iterator[tuple[str, str]]:
        """Of each tool that failed, how often, and the commonest reason, which may hold what a row holds."""
        for tool in sorted(self._reasons):
            reasons = self._reasons[tool]
            reason = min(reasons, key=lambda one: (-reasons[one], one))
            yield (
                f"`{tool}` failed in {reasons.total():,} of {plural(self._calls[tool], 'call')}",
                short(reason),
            )
