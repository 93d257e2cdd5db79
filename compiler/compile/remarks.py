"""Remarks what a reader of a result must know beside its score, for notes of reports and artifacts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from dspec.runtime.schema.ensemble import Runnable, programs
from dspec.runtime.schema.program import Program

from .. import ir
from ..diagnostics.wording import plural
from ..evaluate.evaluation import Evaluator
from ..evaluate.shares import said_perfect
from ..optimizers.demos import shown_rows
from .prepared import Resolved

SHOWN_DESCRIPTION = 200
"""Characters of a tool's description that a note shows."""
SETTLED = (
    "before any step: nothing can score more, so no step ran, and the program is the one it started from"
)
"""The end of the note of a compile whose baseline is perfect."""
ZEROED = "scored 0, as `on_error` says"
"""The end of the note of scores that hold zeros for failures."""


def settled(start: Sequence[float]) -> str:
    """Says of a compile whose start is perfect that it ran nothing."""
    return f"{said_perfect(start)} {SETTLED}"


def seen(resolved: Resolved, emitted: Runnable) -> Iterator[str]:
    """Says of a score which of its rows the program has seen."""
    shown = shown_rows(emitted, resolved.raced)
    if resolved.optimize.val is not None:
        if shown:
            yield f"{plural(shown, 'row')} of val {'is' if shown == 1 else 'are'} in the prompt of the result"
        return
    said = f", {shown} of which {'is' if shown == 1 else 'are'} in the prompt of the result" if shown else ""
    if any(one.neighbours is not None for one in programs(emitted)):
        said += ", each asked about without its own demos in the index"
    yield f"no val: these are scores on training rows{said}; they do not tell how it does on new rows"


def described(start: Program, emitted: Runnable) -> Iterator[str]:
    """Says what an agent is told of its tools now, where that is something else than at the start."""
    before = start.tools
    now = [tool for one in programs(emitted) for tool in one.tools.values()]
    for tool in dict.fromkeys((one.name, one.description) for one in now):
        name, description = tool
        if name in before and description != before[name].description:
            yield f"`{name}` is described as {_shown(description)}; it was {_shown(before[name].description)}"


def asking(project: ir.Project, optimize: ir.Optimize, emitted: Runnable) -> Iterator[str]:
    """Says which of the block's models each predictor asks now."""
    if not optimize.lms or not isinstance(emitted, Program):
        return
    named = project.open_in(optimize.program)
    asked = [
        f"`{address}` asks `{one.lm}`" for address, one in emitted.predictors.items() if address in named
    ]
    if asked:
        yield f"of {' and '.join(f'`{name}`' for name in optimize.lms)}: {', '.join(asked)}"


def zeros(evaluator: Evaluator) -> Iterator[tuple[str, str]]:
    """Says which scores hold zeros for failures, each with an example, which is not for artifacts: it names the endpoint, or
    holds what a row holds."""
    unanswered, failed = evaluator.unanswered, evaluator.failed
    if unanswered:
        reasons = (run.error[1] for run in unanswered.values() if run.error is not None)
        yield (
            f"{plural(len(unanswered), 'run')} got no answer and {ZEROED}",
            min(reasons),
        )
    if failed:
        count = plural(len(failed), "row")
        yield f"the metric failed on {count}, which {ZEROED}", failed[min(failed)]


def _shown(description: str) -> str:
    text = " ".join(description.split())
    cut = text if len(text) <= SHOWN_DESCRIPTION else f"{text[:SHOWN_DESCRIPTION]} …"
    return f'"{cut}"' if cut else "nothing"
