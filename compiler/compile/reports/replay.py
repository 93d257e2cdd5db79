"""Runs a compile again on the answers that are kept: which candidates it tried, in which order, and what that took.

Nothing is asked, and nothing is written. The replay counts as an account of the artifact only where it leads to the same program
with the same scores; otherwise `Replay.doubt` says why not.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from msgspec import Struct

from dspec.runtime.artifact.artifact import Artifact, Provenance, artifact_text
from dspec.runtime.errors import DspecError
from dspec.runtime.schema.usage import Spent

from ...evaluate.events import CandidateScored, Event
from ...evaluate.outcomes import Candidate
from ..build import run_steps
from ..built import Built
from ..plan import plan
from ..prepared import Prepared
from ..provenance import recipe
from .kept import Archive

_PARTS = {
    "source": "the program or its models",
    "data": "the rows",
    "metric": "the metric",
    "options": "the steps",
    "seeds": "the seed",
    "scoring": "`scoring`",
}


class ReplayedTrial(Struct, frozen=True):
    """One candidate that was scored. `spent` is what the compile had taken by then, answers that were kept counted as paid.

    `candidate` is None where the step kept no program of that label.
    """

    step: str
    label: str
    score: float
    spent: Spent
    candidate: Candidate | None


class Replay(Struct, frozen=True):
    """`built` is None where the compile cannot be run again. `same` says that it gave the artifact's very bytes."""

    built: Built | None
    trials: tuple[ReplayedTrial, ...] = ()
    doubt: str = ""
    same: bool = False


def drift(prepared: Prepared, name: str, artifact: Artifact) -> list[str]:
    """What of the block is no more what the artifact says it was compiled from, in words."""
    now: Mapping[str, object] = {**recipe(prepared.resolved(name))}
    then = artifact.provenance
    return [words for member, words in _PARTS.items() if now[member] != getattr(then, member)]


async def replay(prepared: Prepared, name: str, artifact: Artifact, archive: Archive) -> Replay:
    """The compile of block `name` that led to the artifact."""
    if changed := drift(prepared, name, artifact):
        return Replay(None, doubt=f"changed since the compile: {', '.join(changed)}")
    heard: list[tuple[CandidateScored, Spent]] = []

    def report(event: Event) -> None:
        if isinstance(event, CandidateScored) and event.score is not None:
            heard.append((event, archive.taken))

    try:
        # The clock stands still, since time that a budget gives is no matter here.
        ran = await run_steps(
            prepared,
            plan(prepared, name),
            engine=archive.engine,
            store=archive.store,
            clock=lambda: 0.0,
            report=report,
            front=True,
        )
        built = ran.select()
    except DspecError as error:
        return Replay(None, doubt=error.message)
    if _result(built.artifact) != _result(artifact):
        why = (
            "some of its answers are not kept here"
            if built.status == "stopped"
            else "the answers that are kept lead to another result"
        )
        return Replay(None, doubt=why)
    same = artifact_text(built.artifact) == artifact_text(artifact)
    return Replay(built, _trials(heard, built), same=same)


def _result(artifact: Artifact) -> str:
    """Program and scores as a file has them, without addresses; older files say nothing of luck."""
    scores = {role: score.model_copy(update={"corrected": None}) for role, score in artifact.scores.items()}
    return artifact_text(
        artifact.model_copy(update={"provenance": Provenance(), "notes": (), "scores": scores})
    )


def _trials(heard: Sequence[tuple[CandidateScored, Spent]], built: Built) -> tuple[ReplayedTrial, ...]:
    kept = {
        (step.name, candidate.label): candidate
        for step in built.steps
        for candidate in step.result.candidates
    }
    return tuple(
        ReplayedTrial(
            event.step, event.candidate, event.score or 0.0, spent, kept.get((event.step, event.candidate))
        )
        for event, spent in heard
    )
