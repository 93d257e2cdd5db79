"""Training on this machine, in a process of its own: its memory, its threads and its crashes stay there.

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
import shutil
import signal
import sys
from pathlib import Path
from typing import Any, cast

from dspec.runtime.errors import ConfigurationError, Stopped
from dspec.runtime.models.checkpoints import digest_of, place_of, verified
from dspec.runtime.schema.lms import LM

from ... import ir
from .base import State, Trained, TrainingFailed, TrainingTask
from .results import local_result

PACKAGES = ("torch", "transformers", "trl", "peft", "accelerate")
EPOCHS = 3
_LINE = 1 << 20


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
        task.job.state = "running"
        async with TrainingProcess(task.folder) as worker:
            task.job.pid = worker.pid
            task.save()
            await worker.send(order)
            done = await self._followed(task, worker)
        found = await asyncio.to_thread(local_result, made, task.lm.model, task.job)
        assert found.weights is not None
        task.job.model, task.job.pid = found.weights.sha256, 0
        tokens = done.get("tokens")
        task.job.trained = tokens if isinstance(tokens, int) else None
        shutil.rmtree(work, ignore_errors=True)
        if left_out := done.get("left_out"):
            task.tell(f"{left_out} rows were longer than the checkpoint takes, and left out")
        return found

    async def _followed(self, task: TrainingTask, worker: TrainingProcess) -> dict[str, Any]:
        """What the process says at its end; what it says before is told."""
        while True:
            said = await worker.heard(task.stopped)
            if said is None:
                raise Stopped(
                    f"stopped while {task.lm.name} is trained: whole epochs are kept, and the same command goes on from there"
                )
            match said.get("say"):
                case "at":
                    task.tell(f"{task.lm.name}: {said.get('text')}")
                case "done":
                    return said
                case _:
                    task.job.state, task.job.error = "failed", str(said.get("text"))[:300]
                    task.job.pid = 0
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
        if await self.status(task) == "running" and is_worker(task.job.pid):
            with contextlib.suppress(ProcessLookupError):
                os.kill(task.job.pid, signal.SIGTERM)
        task.job.state, task.job.pid = "cancelled", 0
        task.save()
        shutil.rmtree(task.folder / "work", ignore_errors=True)


TRAINER = LocalTrainer()


def is_worker(pid: int) -> bool:
    """Whether a process is one of ours: numbers are given out again. True where nobody can tell."""
    try:
        return b"dspec.compiler.optimizers.training.worker" in Path(f"/proc/{pid}/cmdline").read_bytes()
    except FileNotFoundError:
        return not Path("/proc/self").exists()
    except OSError:
        return False


class TrainingProcess:
    """The process. Leaving it ends it."""

    def __init__(self, folder: Path) -> None:
        self.log = folder / "log.txt"
        self._process: asyncio.subprocess.Process | None = None

    @property
    def pid(self) -> int:
        return 0 if self._process is None else self._process.pid

    async def __aenter__(self) -> TrainingProcess:
        environment = {
            **os.environ,
            "HF_HUB_OFFLINE": "1",
            "TOKENIZERS_PARALLELISM": "false",
            "WANDB_DISABLED": "true",
            "PYTHONUNBUFFERED": "1",
        }
        self.log.parent.mkdir(parents=True, exist_ok=True)
        with self.log.open("wb") as log:
            self._process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-P",
                "-m",
                "dspec.compiler.optimizers.training.worker",
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=log,
                env=environment,
                start_new_session=True,
                limit=_LINE,
            )
        return self

    async def __aexit__(self, *_: object) -> None:
        process = self._process
        if process is None:
            return
        if process.returncode is None:
            if process.stdin is not None:
                process.stdin.close()
            try:
                await asyncio.wait_for(process.wait(), 5)
            except TimeoutError:
                with contextlib.suppress(ProcessLookupError):
                    process.kill()
                await process.wait()

    async def send(self, order: dict[str, object]) -> None:
        assert self._process is not None
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(order).encode() + b"\n")
        with contextlib.suppress(ConnectionError):  # what it says, or that it says nothing, tells
            await self._process.stdin.drain()

    async def heard(self, stopped: Any = lambda: False) -> dict[str, Any] | None:
        """What it says next; None once somebody wants the work to end. One that ended without a word has failed."""
        assert self._process is not None
        assert self._process.stdout is not None
        reading = asyncio.ensure_future(self._process.stdout.readline())
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
            code = await self._process.wait()
            why = f"by signal {signal.Signals(-code).name}" if code < 0 else f"with code {code}"
            return {"say": "failed", "text": f"its process ended {why}"}
        try:
            said: object = json.loads(line)
        except ValueError:
            said = None
        if not isinstance(said, dict):
            return {"say": "failed", "text": "its process said what cannot be read"}
        return cast("dict[str, Any]", said)
