"""A checkpoint that is trained step by step on this machine, each step on runs of the policy that the one before it left.

A step's key is the digest of the policy that it starts from and of what it learns, so a compile that is run again takes the
steps that were made as they are, and begins where the first one is missing: with the optimizer's state that the last one left.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType

from msgspec import Struct

from dspec.runtime.errors import ConfigurationError, Stopped
from dspec.runtime.models.checkpoints import verified
from dspec.runtime.models.endpoints import address
from dspec.runtime.schema.lms import LM
from dspec.runtime.schema.program import digest
from dspec.runtime.schema.types import JsonValue

from ... import ir
from ...evaluate.executors.processes import StartProcess, start_here
from . import jobs
from .base import Trained, TrainingFailed, TrainingJob
from .chats import Chat
from .local import TrainingProcess
from .results import local_result

_FORMAT = 1
_STATE = "optimizer.safetensors"


class Sample(Struct, frozen=True):
    """A call of the policy, and how much better its run was than the others of its group, in standard deviations."""

    chat: Chat
    advantage: float


class Reinforcement:
    """To be entered; leaving it ends its process. `now` is what the last step left, None before the first."""

    def __init__(
        self,
        state: Path,
        lm: LM,
        settings: ir.TrainSettings,
        *,
        seed: int,
        learning_rate: float,
        temperature: float,
        stopped: Callable[[], bool],
        start: StartProcess = start_here,
    ) -> None:
        self.now: Trained | None = None
        self._state = state
        self._lm = lm
        self._settings = settings
        self._seed = seed
        self._rate = learning_rate
        self._temperature = temperature
        self._stopped = stopped
        self._start = start
        plain: dict[str, JsonValue] = settings.model_dump(mode="json", include={"method", "rank"})
        recipe: dict[str, JsonValue] = {
            "format": _FORMAT,
            "reinforced": address(lm),
            "settings": plain,
            "seed": seed,
            "learning_rate": learning_rate,
            "temperature": temperature,
        }
        self._key = digest(recipe)
        self._plain = plain
        self._worker: TrainingProcess | None = None
        self._at = ""
        """The key of the policy that the process holds."""

    async def __aenter__(self) -> Reinforcement:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._worker is not None:
            await self._worker.__aexit__(kind, error, trace)

    async def step(self, samples: Sequence[Sample]) -> Trained:
        """The policy after one update. Raises TrainingFailed, and Stopped, after which the steps that were made are kept."""
        learned: list[JsonValue] = [
            {
                "messages": [{"role": one.role, "content": one.content} for one in sample.chat],
                "advantage": sample.advantage,
            }
            for sample in samples
        ]
        key = digest({"from": self._key, "samples": learned})
        folder = jobs.folder_of(self._state, key)
        found = self._made(folder, key)
        if found is None:
            found = await self._make(folder, key, learned)
        self._key, self.now = key, found
        return found

    def _made(self, folder: Path, key: str) -> Trained | None:
        job = jobs.read(folder)
        if job is None or job.key != key or job.state != "done" or not (folder / _STATE).is_file():
            return None
        try:
            found = local_result(folder / "weights", self._lm.model, job)
        except ConfigurationError:
            return None
        return found if found.weights is not None and found.weights.sha256 == job.model else None

    async def _make(self, folder: Path, key: str, samples: list[JsonValue]) -> Trained:
        if self._worker is None or self._at != self._key:
            await self._begin(folder)
        worker = self._worker
        assert worker is not None
        made = folder / "weights"
        await worker.send(
            {"do": "step", "samples": samples, "temperature": self._temperature, "out": str(made)}
        )
        said = await self._answer(worker)
        tokens = said.get("tokens")
        job = TrainingJob(
            key=key,
            trainer="local",
            base=self._lm.model,
            data=digest(samples),
            rows=len(samples),
            tokens=tokens if isinstance(tokens, int) else 0,
            settings=dict(self._plain),
            state="done",
            trained=tokens if isinstance(tokens, int) else None,
            usd=0.0,
        )
        found = await asyncio.to_thread(local_result, made, self._lm.model, job)
        assert found.weights is not None
        job.model = found.weights.sha256
        jobs.write(folder, job)
        self._at = key
        return found

    async def _begin(self, folder: Path) -> None:
        """A process that holds the policy as it is now."""
        if self._worker is not None:
            await self._worker.__aexit__(None, None, None)
        base, _ = await asyncio.to_thread(verified, self._lm)
        self._worker = await TrainingProcess(folder, self._start, base=base).__aenter__()
        await self._worker.send(
            {
                "do": "begin",
                "base": str(base),
                "settings": self._settings.model_dump(mode="json"),
                "seed": self._seed % 2**31,
                "learning_rate": self._rate,
                "state": None if self.now is None else str(jobs.folder_of(self._state, self._key) / _STATE),
            }
        )
        await self._answer(self._worker)

    async def _answer(self, worker: TrainingProcess) -> dict[str, object]:
        said = await worker.heard(self._stopped)
        if said is None:
            raise Stopped(
                f"stopped while {self._lm.name} is trained: the steps so far are kept, and the same command goes on from there"
            )
        if said.get("say") != "done":
            raise TrainingFailed(
                f"the training of {self._lm.name} failed: {said.get('text')}",
                help=f"what the process wrote is in {worker.log}; the same command goes on from the last step",
            )
        return said
