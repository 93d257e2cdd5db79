"""Training of checkpoints in a process of its own: its memory, its threads and its crashes stay there. It is on this machine, or
on one of a cluster that has the same folders (`evaluate/executors/processes`).

The process (`worker`) is told what to do on its standard input, and says how far it is on its standard output, one JSON
object a line. It ends when that pipe closes, so none is left behind by a compile that was killed; what it had by then, whole
epochs, is on disk, and the next compile goes on from there. Weights are written beside their place and renamed into it.
"""

from __future__ import annotations

import asyncio
import contextlib
import importlib.util
import json
import os
import platform
import shutil
import signal
from pathlib import Path
from typing import Any, cast

from dspec.runtime.errors import ConfigurationError, Stopped
from dspec.runtime.models.checkpoints import digest_of, place_of, verified
from dspec.runtime.schema.lms import LM

from ... import ir
from ...diagnostics.wording import plural
from ...evaluate.executors.processes import LineProcess, ProcessOrder, StartProcess, start_here
from .base import State, Trained, TrainingFailed, TrainingTask
from .results import local_result

PACKAGES = ("torch", "transformers", "trl", "peft", "accelerate")
EPOCHS = 3
WORKER = "dspec.compiler.optimizers.training.worker"
_MACHINES = 4
"""How many may be lost in one training."""
_CANCEL = "cancel"
"""The file in a job's folder that ends one on another machine."""


class LocalTrainer:
    """Whole weights or LoRA, by transformers, TRL and PEFT."""

    def ready(self, lm: LM, settings: ir.TrainSettings) -> None:
        missing = [name for name in PACKAGES if importlib.util.find_spec(name) is None]
        if missing:
            raise ConfigurationError(
                f"training {lm.model} on this machine needs {', '.join(missing)}, not installed here",
                help='install what trains: pip install "dspc[finetune]"',
            )
        digest_of(place_of(lm))

    def price(self, lm: LM, settings: ir.TrainSettings) -> float | None:
        return settings.price or 0.0

    def epochs(self, settings: ir.TrainSettings) -> int:
        return settings.epochs or EPOCHS

    async def train(self, task: TrainingTask) -> Trained:
        folder, _ = await asyncio.to_thread(verified, task.lm)
        made = task.folder / "weights"
        work = task.folder / "work"
        shutil.rmtree(made, ignore_errors=True)
        order: dict[str, object] = {
            "do": "tune",
            "base": str(folder),
            "rows": str(task.rows),
            "out": str(made),
            "work": str(work),
            "seed": task.seed % 2**31,
            "settings": task.settings.model_dump(mode="json"),
        }
        (task.folder / _CANCEL).unlink(missing_ok=True)
        task.job.state = "running"
        done = await self._tuned(task, order, folder)
        found = await asyncio.to_thread(local_result, made, task.lm.model, task.job)
        assert found.weights is not None
        task.job.model, task.job.pid, task.job.host = found.weights.sha256, 0, ""
        tokens = done.get("tokens")
        task.job.trained = tokens if isinstance(tokens, int) else None
        shutil.rmtree(work, ignore_errors=True)
        if left_out := done.get("left_out"):
            task.tell(
                f"{plural(left_out, 'row was', 'rows were')} longer than the checkpoint takes, and left out"
            )
        return found

    async def _tuned(self, task: TrainingTask, order: dict[str, object], base: Path) -> dict[str, Any]:
        """What the process says at its end, the last of several where machines are lost."""
        left = _MACHINES
        while True:
            left -= 1
            async with TrainingProcess(task.folder, task.start, base=base) as worker:
                task.job.pid, task.job.host = worker.pid, worker.where
                task.save()
                if worker.where:
                    task.tell(f"{task.lm.name}: trained on {worker.where}")
                await worker.send(order)
                said = await self._followed(task, worker, again=left > 0)
            if said["say"] == "done":
                return said
            task.tell(f"{task.lm.name}: {said.get('text')}; another goes on from the last whole epoch")

    async def _followed(self, task: TrainingTask, worker: TrainingProcess, *, again: bool) -> dict[str, Any]:
        """What the process says at its end; what it says before is told. With `again` it may be lost, which it says then."""
        cancelled = task.folder / _CANCEL
        while True:
            said = await worker.heard(lambda: task.stopped() or cancelled.exists())
            if said is None and cancelled.exists():
                said = {"say": "failed", "text": "it was cancelled"}
            if said is None:
                raise Stopped(
                    f"stopped while {task.lm.name} is trained: whole epochs are kept, and the same command goes on from there"
                )
            match said.get("say"):
                case "at":
                    task.tell(f"{task.lm.name}: {said.get('text')}")
                case "done":
                    return said
                case "lost" if again:
                    return said
                case _:
                    task.job.state, task.job.error = "failed", str(said.get("text"))[:300]
                    task.job.pid, task.job.host = 0, ""
                    task.save()
                    raise TrainingFailed(
                        f"the training of {task.lm.name} failed: {said.get('text')}",
                        help=f"what the process wrote is in {worker.log}; the same command begins it anew",
                    )

    async def status(self, task: TrainingTask) -> State:
        state, pid = task.job.state, task.job.pid
        if state != "running" or not pid:
            return state
        try:
            os.kill(pid, 0)
        except (ProcessLookupError, PermissionError):
            return "submitted"  # it was killed: the next compile goes on
        return "running"

    async def cancel(self, task: TrainingTask) -> None:
        running = await self.status(task) == "running"
        if running and task.job.host:
            (task.folder / _CANCEL).touch()  # for the command that keeps it alive
            task.job.state = "cancelled"
            task.save()
            return
        if running and is_worker(task.job.pid):
            with contextlib.suppress(ProcessLookupError):
                os.kill(task.job.pid, signal.SIGTERM)
        task.job.state, task.job.pid = "cancelled", 0
        task.save()
        shutil.rmtree(task.folder / "work", ignore_errors=True)


TRAINER = LocalTrainer()


def is_worker(pid: int) -> bool:
    """Whether a process is one of ours: numbers are given out again. True where nobody can tell."""
    try:
        return WORKER.encode() in Path(f"/proc/{pid}/cmdline").read_bytes()
    except FileNotFoundError:
        return not Path("/proc/self").exists()
    except OSError:
        return False


class TrainingProcess:
    """The process. Leaving it ends it."""

    def __init__(self, folder: Path, start: StartProcess = start_here, *, base: Path | None = None) -> None:
        """`base` is the checkpoint that it begins with."""
        self.log = folder / "log.txt"
        self._start = start
        self._folders = (folder,) if base is None else (folder, base)
        self._process: LineProcess | None = None

    @property
    def pid(self) -> int:
        """Of the process that keeps it alive: itself, or what ordered it from another machine."""
        process = self._process
        return 0 if process is None else os.getpid() if self.where else process.pid

    @property
    def where(self) -> str:
        """The machine, where it is another one."""
        process = self._process
        return "" if process is None or process.where == platform.node() else process.where

    async def __aenter__(self) -> TrainingProcess:
        self.log.parent.mkdir(parents=True, exist_ok=True)
        environment = {
            "HF_HUB_OFFLINE": "1",
            "TOKENIZERS_PARALLELISM": "false",
            "WANDB_DISABLED": "true",
            "PYTHONUNBUFFERED": "1",
            # Ray has one thread for each of its workers, and sums over threads are others with more of them.
            "OMP_NUM_THREADS": os.environ.get("OMP_NUM_THREADS"),
        }
        self._process = await self._start(ProcessOrder(WORKER, self.log, environment, self._folders))
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._process is not None:
            await self._process.aclose()

    async def send(self, order: dict[str, object]) -> None:
        assert self._process is not None
        await self._process.send(json.dumps(order).encode() + b"\n")

    async def heard(self, stopped: Any = lambda: False) -> dict[str, Any] | None:
        """What it says next; None once somebody wants the work to end. One that ended without a word has failed, and one that
        went with its machine is `lost`."""
        assert self._process is not None
        reading = asyncio.ensure_future(self._process.heard())
        try:
            while not reading.done():
                await asyncio.wait([reading], timeout=0.2)
                if not reading.done() and stopped():
                    return None
        finally:
            if not reading.done():
                reading.cancel()
                await asyncio.gather(reading, return_exceptions=True)
        try:
            line = reading.result()
        except ValueError:
            return {"say": "failed", "text": "its process said too much"}
        if not line:
            code = await self._process.code()
            if code is None:
                return {"say": "lost", "text": f"its machine ({self._process.where}) is gone"}
            why = f"by signal {signal.Signals(-code).name}" if code < 0 else f"with code {code}"
            return {"say": "failed", "text": f"its process ended {why}"}
        try:
            said: object = json.loads(line)
        except ValueError:
            said = None
        if not isinstance(said, dict):
            return {"say": "failed", "text": "its process said what cannot be read"}
        return cast("dict[str, Any]", said)
