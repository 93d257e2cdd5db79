"""Training at a provider, through LiteLLM's fine-tuning calls: upload, job, waiting.

What was sent is written down before the next thing is done: the file's name before the job is asked for, the job's before it is
waited for. Where a process was killed between asking for a job and hearing of it, the provider's list of jobs has one with
our file. So nothing is trained twice. Nor are rows sent twice where the provider lists a file of our name after an upload
whose answer was lost. A provider that does not answer while it trains is asked again, ever later; after `patience` in a row
the compile ends, and the next one finds the job. One that answers what says nothing is sent rows, or asked for a job, `_TRIES`
times.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any, cast

from dspec.runtime.errors import ProviderError, Refused, Stopped, Unavailable
from dspec.runtime.models.endpoints import Endpoint, resolve, split_model
from dspec.runtime.models.transports.litellm import load_litellm, provider_failure
from dspec.runtime.schema.lms import LM
from dspec.runtime.schema.modelnames import is_model_name

from ... import ir
from .base import State, Trained, TrainingFailed, TrainingTask

EPOCHS = 3
"""Reckoned with where the provider decides."""
_FAILED = {"failed", "error", "expired"}
_OVER = {"succeeded", "completed"}
_ENDED = {"cancelled", "canceled"}
_NOT_FOUND = 404
_TRIES = 3
"""How often something is sent whose answers cannot be read: each may leave something at the provider."""


class HostedTrainer:
    """`every` is how many seconds lie between two looks at a job, `patience` how long a provider may fail to answer."""

    def __init__(self, *, every: float = 20.0, patience: float = 900.0) -> None:
        self.every = every
        self.patience = patience

    def ready(self, lm: LM, settings: ir.TrainSettings) -> None:
        resolve(lm)  # says which key or address is missing

    def price(self, lm: LM, settings: ir.TrainSettings) -> float | None:
        return settings.price

    def epochs(self, settings: ir.TrainSettings) -> int:
        return settings.epochs or EPOCHS

    async def train(self, task: TrainingTask) -> Trained:
        calls, job = _Calls(task.lm), task.job
        if not job.file:
            job.file = await self._uploaded(task, calls)
            task.save()
        if not job.id:
            job.id = await self._submitted(task, calls)
            task.save()
            task.tell(f"{task.lm.model}: job {job.id} is with the provider")
        found = await self._waited(task, calls)
        model = found.get("fine_tuned_model")
        if not isinstance(model, str) or not model:
            raise _failed(task, "the provider says that it succeeded, and names no model")
        provider, _ = split_model(task.lm.model)
        tuned = model if model.startswith(f"{provider}/") else f"{provider}/{model}"
        if not is_model_name(tuned):
            raise _failed(
                task, f"the provider says that it succeeded, and {tuned[:80]!r} is not the name of a model"
            )
        trained = found.get("trained_tokens")
        job.trained = trained if isinstance(trained, int) and trained >= 0 else None
        job.model = tuned
        return Trained(job.model, None, job)

    async def _uploaded(self, task: TrainingTask, calls: _Calls) -> str:
        """The file's name. One that may have arrived already is looked for before the rows are sent again."""
        began, wait, unread = time.monotonic(), min(1.0, self.every), 0
        while True:
            try:
                return await calls.upload(task)
            except Refused as error:
                raise _failed(task, error.message) from error
            except ProviderError as error:
                unread += isinstance(error, _Unread)
                if not error.retryable or unread == _TRIES or time.monotonic() - began > self.patience:
                    left = f"; the provider may have files `{calls.file_name(task)}` that nothing uses"
                    _add_help(error, f"the training goes on from here{left if unread else ''}")
                    raise
            await self._pause(task, wait, "nobody takes the rows")
            wait = min(2 * wait, 60.0)
            with suppress(ProviderError):  # some providers list no files
                if found := await calls.find_files(task):
                    for one in found[1:]:
                        await calls.remove(one)
                    return found[0]

    async def _submitted(self, task: TrainingTask, calls: _Calls) -> str:
        """The job's name. One that may have been taken already is looked for before another one is asked for."""
        job, began, unread = task.job, time.monotonic(), 0
        while True:
            if job.state == "submitted":
                found = await self._patiently(task, lambda: calls.find(job.file), "lists its jobs")
                if found:
                    return str(found)
            job.state = "submitted"
            task.save()
            try:
                return await calls.create(task)
            except Refused as error:
                raise _failed(task, error.message) from error
            except ProviderError as error:
                unread += isinstance(error, _Unread)
                if not error.retryable or unread == _TRIES or time.monotonic() - began > self.patience:
                    left = f"; the provider may have jobs of the file `{job.file}`"
                    _add_help(error, f"the training goes on from here{left if unread else ''}")
                    raise
            await self._pause(task, self.every)

    async def _waited(self, task: TrainingTask, calls: _Calls) -> dict[str, Any]:
        """The job once it has succeeded."""
        said, job = "", task.job
        while True:
            found = await self._patiently(task, lambda: calls.look(job.id), f"tells of job {job.id}")
            status = str(found.get("status") or "")
            if status in _OVER:
                return found
            if status in _FAILED:
                raise _failed(task, _why(found))
            if status in _ENDED:
                job.state = "cancelled"
                task.save()
                raise TrainingFailed(
                    f"the training of {task.lm.model} (job {job.id}) was cancelled",
                    help="run the same command again to begin it anew",
                )
            job.state = "running"
            if status != said:
                said = status
                task.save()
                task.tell(f"{task.lm.model}: job {job.id} is {status.replace('_', ' ') or 'under way'}")
            await self._pause(task, self.every)

    async def _pause(self, task: TrainingTask, seconds: float, why: str = "") -> None:
        """Waits, and looks meanwhile whether somebody wants the compile to end."""
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0:
            if task.stopped():
                known = (
                    f"job {task.job.id} goes on at the provider, and"
                    if task.job.id
                    else why and f"{why}, and"
                )
                raise Stopped(
                    f"stopped while {task.lm.model} is trained: {known} the same command finds it again"
                )
            await asyncio.sleep(min(left, 0.2))

    async def _patiently(self, task: TrainingTask, ask: Callable[[], Awaitable[Any]], what: str) -> Any:
        """What the provider answers. Asking this again begins nothing."""
        began, wait = time.monotonic(), min(1.0, self.every)
        while True:
            try:
                return await ask()
            except Refused as error:
                if not task.job.id:
                    raise _failed(task, error.message) from error
                gives_up = f"`dspc training FILE {task.job.key[:12]} --cancel`"
                _add_help(
                    error, f"where the provider knows job {task.job.id} no more, {gives_up} gives it up"
                )
                raise
            except ProviderError as error:
                if not error.retryable or time.monotonic() - began > self.patience:
                    known = f"job {task.job.id} is found again, and nothing is trained twice"
                    _add_help(error, known if task.job.id else "the training goes on from here")
                    raise
            await self._pause(task, wait, f"nobody {what}")
            wait = min(2 * wait, 60.0)

    async def status(self, task: TrainingTask) -> State:
        if not task.job.id:
            return task.job.state
        found = await _Calls(task.lm).look(task.job.id)
        status = str(found.get("status") or "")
        if status in _OVER:
            return "done"
        return "failed" if status in _FAILED else "cancelled" if status in _ENDED else "running"

    async def cancel(self, task: TrainingTask) -> None:
        if task.job.id:
            with suppress(_Gone):
                await _Calls(task.lm).cancel(task.job.id)
        task.job.state = "cancelled"
        task.save()


TRAINER = HostedTrainer()


def _add_help(error: ProviderError, more: str) -> None:
    """What becomes of the training; the compile says how to go on."""
    error.help = "; ".join([*filter(None, [error.help]), more])


def _failed(task: TrainingTask, why: str) -> TrainingFailed:
    job = task.job
    job.state, job.error = "failed", why[:300]
    task.save()
    named = f" (job {job.id})" if job.id else ""
    return TrainingFailed(
        f"the training of {task.lm.model}{named} failed: {why}",
        help="the same command begins it anew; no answer is paid again",
    )


def _why(found: dict[str, Any]) -> str:
    error: object = found.get("error")
    message = cast("dict[str, object]", error).get("message") if isinstance(error, dict) else None
    return " ".join(str(message or "the provider gives no reason").split())[:300]


class _Gone(Refused):
    """The provider does not know what it was asked about."""


class _Unread(Unavailable):
    """The provider has answered, and nobody can read it: what it was asked for may have been done."""


class _Calls:
    """The provider's calls, each tried once, with its failures as ours."""

    def __init__(self, lm: LM) -> None:
        self._lm = lm
        self._endpoint: Endpoint = resolve(lm)
        self._litellm = load_litellm()

    def _options(self) -> dict[str, Any]:
        provider, _ = split_model(self._lm.model)
        options: dict[str, Any] = {
            "custom_llm_provider": provider,
            "max_retries": 0,
            "timeout": self._lm.timeout,
        }
        if self._endpoint.url is not None:
            options["api_base"] = self._endpoint.url
        if self._endpoint.key is not None or self._endpoint.url is not None:
            options["api_key"] = self._endpoint.key or "none"
        if self._lm.api_version is not None:
            options["api_version"] = self._lm.api_version
        return options

    async def _asked(self, call: Awaitable[Any]) -> dict[str, Any]:
        try:
            answer = await call
        except (
            ValueError,
            TypeError,
            AttributeError,
            LookupError,
        ):  # LiteLLM's own, of an answer that it expects otherwise
            raise _Unread("the provider's answer cannot be read") from None
        except Exception as error:  # noqa: BLE001  LiteLLM lets through what its providers' libraries raise
            failed = provider_failure(error, self._endpoint)
            if isinstance(failed, Refused) and getattr(error, "status_code", None) == _NOT_FOUND:
                failed = _Gone(failed.message, help=failed.help)
            raise failed from None
        plain: object = answer.model_dump() if hasattr(answer, "model_dump") else answer
        if not isinstance(plain, dict):
            raise _Unread("the provider's answer cannot be read")
        return cast("dict[str, Any]", plain)

    async def upload(self, task: TrainingTask) -> str:
        file = (self.file_name(task), task.rows.read_bytes())
        call = self._litellm.acreate_file(file=file, purpose="fine-tune", **self._options())
        return _identifier(await self._asked(call))

    def file_name(self, task: TrainingTask) -> str:
        return f"{task.job.key[:16]}.jsonl"

    async def find_files(self, task: TrainingTask) -> list[str]:
        """The files of the task's rows that the provider lists."""
        listed = await self._listed(self._litellm.afile_list(purpose="fine-tune", **self._options()))
        return [_identifier(one) for one in listed if one.get("filename") == self.file_name(task)]

    async def remove(self, file: str) -> None:
        await self._asked(self._litellm.afile_delete(file_id=file, **self._options()))

    async def _listed(self, call: Awaitable[Any]) -> list[dict[str, Any]]:
        found: object = (await self._asked(call)).get("data")
        if not isinstance(found, list):
            raise _Unread("the provider's answer is no list")
        every = cast("list[object]", found)
        return [cast("dict[str, Any]", one) for one in every if isinstance(one, dict)]

    async def create(self, task: TrainingTask) -> str:
        _, name = split_model(self._lm.model)
        settings = task.settings
        hyper = {
            "n_epochs": settings.epochs,
            "batch_size": settings.batch_size,
            "learning_rate_multiplier": settings.learning_rate,
        }
        call = self._litellm.acreate_fine_tuning_job(
            model=name,
            training_file=task.job.file,
            hyperparameters={key: value for key, value in hyper.items() if value is not None},
            suffix=f"dspec-{task.job.key[:8]}",
            seed=task.seed % 2**31,
            **self._options(),
        )
        return _identifier(await self._asked(call))

    async def find(self, file: str) -> str:
        """The job that has this file, if the provider lists one."""
        listed = await self._listed(self._litellm.alist_fine_tuning_jobs(limit=100, **self._options()))
        found = (one.get("id") for one in listed if one.get("training_file") == file)
        return next((one for one in found if isinstance(one, str)), "")

    async def look(self, job: str) -> dict[str, Any]:
        call = self._litellm.aretrieve_fine_tuning_job(fine_tuning_job_id=job, **self._options())
        return await self._asked(call)

    async def cancel(self, job: str) -> None:
        await self._asked(self._litellm.acancel_fine_tuning_job(fine_tuning_job_id=job, **self._options()))


def _identifier(answer: dict[str, Any]) -> str:
    found = answer.get("id")
    if not isinstance(found, str) or not found or len(found) > 300 or not found.isprintable():
        raise _Unread("the provider's answer has no identifier")
    return found
