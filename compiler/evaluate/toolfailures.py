"""Counts how often tools failed, and says so: a program whose tool never works scores 0, which looks like a bad program."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping

from msgspec import Struct

from dspec.runtime.schema.trace import CODE, TraceStep
from dspec.runtime.values.values import short

from ..diagnostics.wording import plural


class ToolFailure(Struct, frozen=True):
    """A tool that failed in `failed` of its `calls`; `place` is where the project declares it, as far as that is known."""

    tool: str
    place: str
    calls: int
    failed: int
    reason: str
    """The commonest, which may hold what a row holds."""

    @property
    def always(self) -> bool:
        """Whether it never worked."""
        return self.failed == self.calls

    @property
    def said(self) -> str:
        """A line about it, for reports. Artifacts are no place for the reason."""
        where = f" ({self.place})" if self.place else ""
        if not self.always:
            often = f"in {self.failed:,} of {plural(self.calls, 'call')}"
        else:
            often = "in its only call" if self.calls == 1 else f"in all {self.calls:,} calls"
        return f"`{self.tool}`{where} failed {often}; for example: {self.reason}"


class ToolFailures:
    """Calls of tools in runs that were counted, in any order: what is told is the same."""

    def __init__(self) -> None:
        self._calls: Counter[str] = Counter()
        self._reasons: dict[str, Counter[str]] = {}
        self.ended = 0
        """Runs that a failed tool ended."""

    def add(self, trace: Iterable[TraceStep], *, ended: bool) -> None:
        """Counts the calls of one run; `ended` says that a failed tool ended it."""
        self.ended += ended
        for step in trace:
            if not step.tool or step.tool == CODE:
                continue
            self._calls[step.tool] += 1
            error = step.outputs.get("error")
            if isinstance(error, str) and len(step.outputs) == 1:
                self._reasons.setdefault(step.tool, Counter())[error[:200]] += 1

    def found(self, places: Mapping[str, str]) -> tuple[ToolFailure, ...]:
        """Each tool that failed; `places` are where tools are declared."""
        return tuple(
            ToolFailure(tool, places.get(tool, ""), self._calls[tool], reasons.total(), short(_most(reasons)))
            for tool, reasons in sorted(self._reasons.items())
        )


def _most(reasons: Counter[str]) -> str:
    return min(reasons, key=lambda one: (-reasons[one], one))
