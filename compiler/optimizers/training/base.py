"""What a trainer is: one that makes a model of another one and rows, and can be asked how far it is."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Literal, Protocol

from msgspec import Struct

from dspec.runtime.errors import DspecError
from dspec.runtime.schema.lms import LM, TunedWeights

from ... import ir
from ...evaluate.executors.processes import StartProcess, start_here

State = Literal["new", "submitted", "running", "done", "failed", "cancelled"]
"""`submitted`: whoever trains knows of it, or may. What is `failed` or `cancelled` is begun anew by the next compile."""


class TrainingFailed(DspecError):
    """A training came to nothing, and the message says why. Running the same command again begins it anew."""


class TrainingJob(Struct):
    """One training as it is kept on disk (`jobs`): all that another process needs to find it again."""

    key: str
    trainer: str
    base: str
    data: str
    rows: int
    tokens: int
    """Of the rows, once, by estimate."""
    settings: dict[str, object]
    state: State = "new"
    file: str = ""
    """What the provider calls the rows once they are uploaded."""
    id: str = ""
    """What the provider calls the job."""
    pid: int = 0
    """Of the process that trains, or of the one that keeps it alive on another machine."""
    host: str = ""
    """The machine that trains, where it is another one."""
    model: str = ""
    """What came of it: a model string, or the name of a folder of weights."""
    trained: int | None = None
    """Tokens, all epochs together, as whoever trained counted them."""
    usd: float | None = None
    error: str = ""

    def begin_anew(self) -> None:
        """Forget what became of it."""
        self.state = "new"
        self.file = self.id = self.model = self.error = self.host = ""
        self.pid = 0
        self.trained = self.usd = None


class Trained(Struct, frozen=True):
    """What came of a training. `weights` are those of a model that is on this machine."""

    model: str
    weights: TunedWeights | None
    job: TrainingJob


class TrainingTask(Struct, frozen=True):
    """What a trainer is given: the model as it is asked, how it is to be trained, and the folder of its job, which holds the
    rows. `save` writes the job down; `tell` shows how far it is; `stopped` says that a person wants it to end."""

    lm: LM
    settings: ir.TrainSettings
    seed: int
    folder: Path
    job: TrainingJob
    save: Callable[[], None]
    tell: Callable[[str], None]
    stopped: Callable[[], bool]
    start: StartProcess = start_here
    """Starts what trains on machines."""

    @property
    def rows(self) -> Path:
        return self.folder / "rows.jsonl"


class Trainer(Protocol):
    """One way to train. Its methods may be called again with what is on disk after the process was killed anywhere."""

    def ready(self, lm: LM, settings: ir.TrainSettings) -> None:
        """Raises ConfigurationError where this model could not be trained here: before anything is paid."""
        ...

    def price(self, lm: LM, settings: ir.TrainSettings) -> float | None:
        """USD per million tokens that are trained on; None where nobody knows."""
        ...

    def epochs(self, settings: ir.TrainSettings) -> int:
        """How often the rows are gone through, at most where whoever trains decides that."""
        ...

    async def train(self, task: TrainingTask) -> Trained:
        """Train, or go on with what was begun. Raises TrainingFailed, ProviderError, ConfigurationError; Stopped, where what
        was begun can be gone on with."""
        ...

    async def status(self, task: TrainingTask) -> State:
        """How far the job is, as whoever trains says it now."""
        ...

    async def cancel(self, task: TrainingTask) -> None:
        """End the job. One that is over stays as it is."""
        ...
