"""Trainings of one compile: each done once, found again where it was begun, and paid for from the budget.

The key of a training is the digest of the model that it starts from, the rows, the settings and the seed. One that is done is
taken as it is; one that was submitted is waited for; and only one that is new, or came to nothing, is begun. Money is taken
from the budget at its most before a training begins, and what was not needed is given back.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from msgspec import Struct

from dspec.runtime.artifact.files import write_whole
from dspec.runtime.errors import ConfigurationError
from dspec.runtime.models.checkpoints import is_local, weights_of
from dspec.runtime.models.endpoints import address
from dspec.runtime.schema.lms import LM
from dspec.runtime.schema.program import digest as digest_of
from dspec.runtime.schema.types import JsonValue

from ... import ir
from ...diagnostics.wording import plural
from ...evaluate.executors.processes import StartProcess, start_here
from . import chats, jobs
from .base import Trained, Trainer, TrainingJob, TrainingTask
from .chats import Chat
from .reinforcing import Reinforcement
from .results import local_result, untuned_name
from .table import TRAINERS, trainer_named

_FORMAT = 1
"""Goes up where the same inputs would be trained otherwise."""
_FINAL = ("done",)
_AGAIN = ("failed", "cancelled")

Tell = Callable[[str], None]


class TrainingPurse(Struct, frozen=True):
    """Who pays: `take` raises BudgetExceeded where the money is not there, `give_back` takes what was not needed. None of it is
    asked for a training that was paid before."""

    take: Callable[[float | None, str], None]
    give_back: Callable[[float], None]


def _free(usd: float | None, model: str) -> None:
    return


FREE = TrainingPurse(_free, lambda _: None)


def task_of(folder: Path, job: TrainingJob, lm: LM) -> tuple[Trainer, TrainingTask]:
    """A training that is on disk, to be asked about or ended."""
    task = TrainingTask(
        lm, ir.TrainSettings(), 0, folder, job, lambda: jobs.write(folder, job), lambda _: None, lambda: False
    )
    return TRAINERS[job.trainer], task


class Training:
    """What trains for a compile: `state` is the project's folder, `settings` say how each model is trained, by name."""

    def __init__(
        self,
        state: Path,
        settings: Mapping[str, ir.TrainSettings],
        *,
        stopped: Callable[[], bool] = lambda: False,
        start: StartProcess = start_here,
    ) -> None:
        """`start` has the processes that train checkpoints, here or elsewhere."""
        self._start = start
        self._state = state
        self._settings = settings
        self._stopped = stopped

    def settings(self, lm: LM) -> ir.TrainSettings:
        """How the model is trained, or the one that it was tuned from."""
        return self._settings.get(untuned_name(lm.name), ir.TrainSettings())

    def ready(self, lm: LM) -> None:
        """Raises ConfigurationError where this model cannot be trained here."""
        settings = self.settings(lm)
        self._trainer(lm, settings).ready(lm, settings)

    async def train(
        self,
        lm: LM,
        rows: Sequence[Chat],
        *,
        seed: int,
        purse: TrainingPurse = FREE,
        tell: Tell = lambda _: None,
    ) -> Trained:
        """The model after training on the rows, which are at least one. What was done before is taken as it is.

        Raises what `Trainer.train` raises, and BudgetExceeded.
        """
        settings = self.settings(lm)
        trainer = self._trainer(lm, settings)
        data = chats.jsonl(rows)
        task = self._task(lm, settings, rows, data, seed, tell)
        job = task.job
        if job.state in _FINAL and (found := self._found(lm, task)) is not None:
            tell(f"{untuned_name(lm.name)} was trained on these {plural(job.rows, 'row')} before")
            return found
        if job.state in (*_FINAL, *_AGAIN):
            job.begin_anew()
        most = self.most_usd(lm, chats.tokens(rows))
        begun = job.state == "new"
        if begun:
            purse.take(most, lm.model)
            write_whole(task.rows, data)
            task.save()
        trained = await trainer.train(task)
        each = trainer.price(lm, settings)
        if job.trained is not None and each is not None:
            job.usd = job.trained * each / 1e6
        elif most is not None:
            job.usd = most
        job.state = "done"
        task.save()
        if most is not None and job.usd is not None:
            # What the compile that began it took is not this one's to have back.
            purse.give_back(most - job.usd if begun else min(0.0, most - job.usd))
        return trained

    def reinforced(self, lm: LM, *, seed: int, learning_rate: float, temperature: float) -> Reinforcement:
        """A checkpoint on this machine that is trained step by step. Raises ConfigurationError for another model."""
        settings = self.settings(lm)
        if trainer_named(lm, settings) != "local":
            raise ConfigurationError(
                f"{lm.model} is not on this machine, so its weights cannot be changed step by step",
                help="take a checkpoint, `local/…`, or BootstrapFinetune",
            )
        return Reinforcement(
            self._state,
            lm,
            settings,
            seed=seed,
            learning_rate=learning_rate,
            temperature=temperature,
            stopped=self._stopped,
            start=self._start,
        )

    def most_usd(self, lm: LM, tokens: int) -> float | None:
        """What a training on rows of so many tokens costs, epochs and all; None where nobody knows the price."""
        settings = self.settings(lm)
        trainer = self._trainer(lm, settings)
        each = trainer.price(lm, settings)
        return None if each is None else each * tokens * trainer.epochs(settings) / 1e6

    def _trainer(self, lm: LM, settings: ir.TrainSettings) -> Trainer:
        name = trainer_named(lm, settings)
        if name is None:
            raise ConfigurationError(
                f"nothing here can train {lm.model}",
                help="a `local/…` checkpoint is trained on this machine, and models of openai, azure and vertex_ai by them",
            )
        return TRAINERS[name]

    def _task(
        self, lm: LM, settings: ir.TrainSettings, rows: Sequence[Chat], data: bytes, seed: int, tell: Tell
    ) -> TrainingTask:
        plain: dict[str, JsonValue] = settings.model_dump(mode="json", exclude={"price"})
        trainer = trainer_named(lm, settings) or ""
        recipe: dict[str, JsonValue] = {
            "format": _FORMAT,
            "base": lm.model if not is_local(lm.model) else "",
            "address": address(lm),
            "data": chats.digest(data),
            "settings": plain,
            "seed": seed,
        }
        key = digest_of(recipe)
        folder = jobs.folder_of(self._state, key)
        known = jobs.read(folder)
        if known is None or known.key != key:
            known = TrainingJob(
                key=key,
                trainer=trainer,
                base=lm.model,
                data=chats.digest(data),
                rows=len(rows),
                tokens=chats.tokens(rows),
                settings=dict(plain),
            )
        job = known
        return TrainingTask(
            lm,
            settings,
            seed,
            folder,
            job,
            lambda: jobs.write(folder, job),
            tell,
            self._stopped,
            self._start,
        )

    def _found(self, lm: LM, task: TrainingTask) -> Trained | None:
        """What a training that is done has left; None where it is no longer there."""
        if not is_local(lm.model):
            return Trained(task.job.model, None, task.job)
        folder = task.folder / "weights"
        try:
            weights = weights_of(folder, lm.model)
        except ConfigurationError:
            return None
        if weights.sha256 != task.job.model:
            return None
        return local_result(folder, lm.model, task.job)
