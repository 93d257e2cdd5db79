"""Requests that go to a provider together, by its batch API: half the price for most, and answers within a day.

What the engine has out at the same time becomes one batch: requests are collected until none has come for a moment, written
into a file, uploaded, and made into a job that is looked at until it ends; then each request is handed its line. LiteLLM speaks
to the provider.

Nothing is asked for twice. A record of each job lies beside the ledger: it is written, with the digests of the requests, before
anything is uploaded, and has the job's id before it is looked at for the first time. A process that finds the record of an
earlier one hands out that job's answers to whoever asks the same. Between the two, the job may have been made and its id not
been written: then it is looked for among the provider's batches by the name that it was given (`metadata`). The records of a job
go when all of its answers were handed out and the engine closes, or when the provider keeps them no longer.
"""

from __future__ import annotations

import asyncio
import copy
import json
import secrets
import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, cast

import msgspec
from msgspec import Struct

from ...errors import ConfigurationError, ProviderError, RateLimited, Refused, Unauthorized, Unavailable
from ...schema.types import JsonValue
from ..compact import compact
from ..endpoints import Endpoint, split_model
from ..protocol import Answer, Request, key_of
from .answers import answer_in, failure, may_be_left_out, read_embedding
from .litellm import load_litellm, provider_failure
from .parts import messages_of

SETTLED = 1.0
"""Seconds without a further request after which those that came are sent."""
MOST_REQUESTS = 50_000
MOST_BYTES = 100 << 20
"""Of one batch: what providers take is twice that."""
_LOOKED_AT = (0.5, 60.0)
"""Seconds between two looks at a job, at least and at most; in between a tenth of its age."""
_GIVEN_UP = 26 * 3600.0
"""Seconds after which a job that has not ended is one that was lost: providers promise a day."""
_PATIENCE = 1800.0
"""Seconds for which a job is looked at again though the provider does not say how it is."""
_FORGOTTEN = 30 * 24 * 3600.0
"""Seconds for which providers keep the answers."""
_CALL_SECONDS = 600.0
_LISTED = 100
_ENDED = frozenset({"completed", "failed", "expired", "cancelled"})
_NAME = "dspec"
"""What a job's own name stands under among its metadata."""
_MAX_OUTPUT = 1 << 30


class BatchRecord(Struct):
    """One job, as it lies on disk."""

    name: str
    address: str
    """The endpoint's."""
    model: str
    kind: str
    keys: list[str]
    made: float
    """Seconds since 1970."""
    job: str = ""
    """The provider's id; empty until it is known."""


class _Line(Struct, eq=False):
    """A request that waits for its line. Of several askers each has a future."""

    request: Request
    body: bytes
    waiting: list[asyncio.Future[Answer]]


class BatchTransport:
    """Batches of one endpoint. `folder` is where the records of its jobs are kept, with those of others.

    Life cycle as any transport's. Raises ConfigurationError where the folder cannot be used.
    """

    def __init__(self, endpoint: Endpoint, folder: Path) -> None:
        self._endpoint = endpoint
        self._folder = folder
        self._litellm = load_litellm()
        self._collected: dict[str, _Line] = {}
        self._last = 0.0
        """When the last request came, by the loop's clock."""
        self._collecting: asyncio.Task[None] | None = None
        self._jobs: dict[str, _Job] = {}
        """By key: the job that the request is in."""
        self._all: list[_Job] = []
        self._tasks: set[asyncio.Task[None]] = set()
        try:
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            for record in _records(folder, endpoint.address):
                self._remember(_Job(self, record))
        except OSError as error:
            raise self._unusable(error) from error

    async def complete(self, request: Request) -> Answer:
        key = name_of(request)
        loop = asyncio.get_running_loop()
        answered: asyncio.Future[Answer] = loop.create_future()
        job = self._jobs.get(key)
        if job is not None:
            job.asked(key, request, answered)
        else:
            line = self._collected.get(key)
            if line is None:
                body = await self._body(request)
                line = self._collected.setdefault(key, _Line(request, body, []))
            line.waiting.append(answered)
            self._last = loop.time()
            if self._collecting is None:
                self._collecting = loop.create_task(self._collect())
        answer = await answered
        for made in self._all:
            made.taken(key)
        return answer

    async def aclose(self) -> None:
        tasks = [*self._tasks, *([self._collecting] if self._collecting is not None else [])]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for job in self._all:
            job.let_go()

    def start(self, work: Any) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def path(self, name: str) -> Path:
        return self._folder / f"{name}.json"

    def keep(self, record: BatchRecord) -> None:
        """Writes a record, whole. Raises ConfigurationError."""
        path = self.path(record.name)
        beside = path.with_suffix(".tmp")
        try:
            beside.write_bytes(msgspec.json.encode(record))
            beside.replace(path)
        except OSError as error:
            raise self._unusable(error) from error

    def forget(self, job: _Job) -> None:
        """Of a job that gives no more answers: who asks the same from now on asks anew."""
        for key in job.record.keys:
            self.drop(key, job)
        self.path(job.record.name).unlink(missing_ok=True)

    def drop(self, key: str, job: _Job) -> None:
        """Of a request that the job is done with."""
        if self._jobs.get(key) is job:
            del self._jobs[key]

    async def ask(self, name: str, **options: Any) -> Any:
        """One of LiteLLM's calls. Raises ProviderError."""
        endpoint = self._endpoint
        given: dict[str, Any] = {
            "custom_llm_provider": endpoint.provider,
            "api_key": endpoint.key or "none",
            "timeout": _CALL_SECONDS,
            "max_retries": 0,
            **options,
        }
        if endpoint.url is not None:
            given["api_base"] = endpoint.url
        if endpoint.headers:
            given["extra_headers"] = dict(endpoint.headers)
        try:
            # Not the asynchronous ones: of those LiteLLM leaves the connections open.
            return await asyncio.to_thread(getattr(self._litellm, name), **given)
        except Exception as error:  # noqa: BLE001  LiteLLM lets through what its providers' libraries raise
            raise provider_failure(error, endpoint) from None

    @property
    def endpoint(self) -> Endpoint:
        return self._endpoint

    def _remember(self, job: _Job) -> None:
        self._all.append(job)
        for key in job.record.keys:
            self._jobs[key] = job

    async def _body(self, request: Request) -> bytes:
        _, model = split_model(request.lm.model)
        named = request.lm.model if self._endpoint.provider == "litellm_proxy" else model
        if request.kind == "embedding":
            return compact({"model": named, "input": [request.messages[0].content]})
        return compact({"model": named, "messages": await messages_of(request), **request.parameters()})

    async def _collect(self) -> None:
        """Waits until nobody asks any more for a moment, and sends what was asked."""
        loop = asyncio.get_running_loop()
        # Whoever asks moves the moment.
        while (left := self._last + SETTLED - loop.time()) > 0 and len(self._collected) < MOST_REQUESTS:  # noqa: ASYNC110
            await asyncio.sleep(left)
        self._collecting = None
        lines, self._collected = self._collected, {}
        for group in _grouped(lines):
            first = next(iter(group.values())).request
            record = BatchRecord(
                f"{int(time.time())}-{secrets.token_hex(8)}",
                self._endpoint.address,
                first.lm.model,
                first.kind,
                list(group),
                time.time(),
            )
            job = _Job(self, record)
            self._remember(job)
            for key, line in group.items():
                for answered in line.waiting:
                    job.asked(key, line.request, answered, fresh=True)
            self.start(job.sent([(key, line.body) for key, line in group.items()]))

    def _unusable(self, error: OSError) -> ConfigurationError:
        return ConfigurationError(
            f"the batches in {self._folder} cannot be kept: {error.strerror or error}",
            help="make it writable and make room: without the id of a job its answers would be paid again",
        )


class _Job:
    """One job of the provider's, and who waits for its answers."""

    def __init__(self, transport: BatchTransport, record: BatchRecord) -> None:
        self.record = record
        self._transport = transport
        self._waiting: dict[str, list[tuple[Request, asyncio.Future[Answer]]]] = {}
        self._open = set(record.keys)
        """Requests whose answers nobody has taken yet."""
        self._lines: dict[str, JsonValue] | None = None
        """What came of the requests, once the job has ended."""
        self._ended = ""
        self._began = False

    def asked(
        self, key: str, request: Request, answered: asyncio.Future[Answer], *, fresh: bool = False
    ) -> None:
        """Somebody waits for the answer to a request that is in it."""
        self._waiting.setdefault(key, []).append((request, answered))
        if self._lines is not None:
            self._hand_out(key)
        elif not self._began:
            self._began = True
            if not fresh:
                self._transport.start(self._guarded(self._followed()))

    async def sent(self, bodies: Sequence[tuple[str, bytes]]) -> None:
        """Makes the job, and follows it."""
        await self._guarded(self._made_and_followed(bodies))

    def taken(self, key: str) -> None:
        """Whoever asked has the answer, and keeps it before he does anything else."""
        self._open.discard(key)

    def let_go(self) -> None:
        """Removes the record where every answer was taken."""
        if not self._open:
            self._transport.path(self.record.name).unlink(missing_ok=True)

    async def _guarded(self, work: Any) -> None:
        try:
            await work
        except Exception as error:  # noqa: BLE001 - whoever waits must hear of it, whatever it is
            self._fail(error)

    async def _made_and_followed(self, bodies: Sequence[tuple[str, bytes]]) -> None:
        record = self.record
        url = "/v1/embeddings" if record.kind == "embedding" else "/v1/chat/completions"
        line = b'{"custom_id":"%b","method":"POST","url":"%b","body":%b}\n'
        content = b"".join(line % (key.encode(), url.encode(), body) for key, body in bodies)
        self._transport.keep(record)
        try:
            file = await self._transport.ask(
                "create_file", file=(f"{record.name}.jsonl", content), purpose="batch"
            )
        except ProviderError:
            self._transport.forget(self)  # a file alone is no job
            raise
        del content, bodies
        try:
            made = await self._transport.ask(
                "create_batch",
                completion_window="24h",
                endpoint=url,
                input_file_id=_text(file, "id"),
                metadata={_NAME: record.name},
            )
        except ProviderError as error:
            if not isinstance(error, Unavailable):
                self._transport.forget(self)  # it was refused
                raise
            # Nobody knows whether it was made: it is looked for before anything is asked again.
            if not await self._found():
                self._transport.forget(self)
                raise
        else:
            record.job = _text(made, "id")
            self._transport.keep(record)
        await self._followed()

    async def _found(self) -> bool:
        """Looks for a job whose id nobody wrote down by the name that it was given. Raises ProviderError where that cannot be
        told."""
        after: str | None = None
        for _ in range(_LISTED):
            listed = await self._transport.ask("list_batches", after=after, limit=100)
            found: list[Any] = list(getattr(listed, "data", None) or ())
            for one in found:
                told = cast("Mapping[str, object]", getattr(one, "metadata", None) or {})
                if told.get(_NAME) == self.record.name:
                    self.record.job = _text(one, "id")
                    self._transport.keep(self.record)
                    return True
            if not found or not getattr(listed, "has_more", False):
                return False
            after = _text(found[-1], "id")
            if (getattr(found[-1], "created_at", None) or time.time()) < self.record.made - 3600:
                return False  # they come newest first
        return False

    async def _followed(self) -> None:
        """Looks at the job until it ends, and hands out what came of it."""
        if not self.record.job and not await self._found():
            self._transport.forget(self)
            raise Unavailable("the batch of an earlier run was never made")
        silent_since: float | None = None
        while True:
            age = max(0.0, time.time() - self.record.made)
            await asyncio.sleep(min(max(age / 10, _LOOKED_AT[0]), _LOOKED_AT[1]))
            try:
                told = await self._transport.ask("retrieve_batch", batch_id=self.record.job)
            except Unauthorized:
                raise
            except Refused as error:
                self._transport.forget(self)
                raise Unavailable(f"the provider no longer knows the batch: {error.message}") from None
            except ProviderError:
                now = time.monotonic()
                silent_since = silent_since or now
                if now - silent_since > _PATIENCE:
                    raise
                continue
            silent_since = None
            status = str(getattr(told, "status", ""))
            if status in _ENDED:
                break
            if age > _GIVEN_UP:
                self._transport.forget(self)
                raise Unavailable(f"the batch is {status} after {age / 3600:.0f} hours, and was given up")
        await self._read(told, status)

    async def _read(self, told: Any, status: str) -> None:
        lines: dict[str, JsonValue] = {}
        for name in ("output_file_id", "error_file_id"):
            file = getattr(told, name, None)
            if isinstance(file, str) and file:
                content = await self._downloaded(file)
                lines.update(_lines(content, self.record.keys))
        if status == "failed" and not lines:
            self._transport.forget(self)
            raise _failed_whole(told)
        self._lines, self._ended = lines, status
        for key in list(self._waiting):
            self._hand_out(key)
        # What has no answer is asked for anew, by whoever asks again.
        for key in self.record.keys:
            if not _is_answer(lines.get(key)):
                self._open.discard(key)
                self._transport.drop(key, self)

    async def _downloaded(self, file: str) -> bytes:
        for attempt in range(5):
            try:
                content: object = (await self._transport.ask("file_content", file_id=file)).content
            except Unavailable:
                if attempt == 4:
                    raise
                await asyncio.sleep(min(2.0**attempt, 30.0))
                continue
            if isinstance(content, bytes) and len(content) <= _MAX_OUTPUT:
                return content
            break
        raise Unavailable("the batch's answers cannot be read")

    def _hand_out(self, key: str) -> None:
        assert self._lines is not None
        for request, answered in self._waiting.pop(key, ()):
            if answered.done():
                continue
            try:
                answered.set_result(
                    _answered(self._lines.get(key), request, self._transport.endpoint, self._ended)
                )
            except ProviderError as error:
                answered.set_exception(error)
        self._transport.drop(key, self)  # the ledger will have it

    def _fail(self, error: Exception) -> None:
        waiting, self._waiting = self._waiting, {}
        self._began = False
        for askers in waiting.values():
            for _, answered in askers:
                if not answered.done():
                    answered.set_exception(copy.copy(error))


def name_of(request: Request) -> str:
    """What a request is called in a batch: a digest of all that determines its answer."""
    return key_of(request).hex()[:48]


def _records(folder: Path, address: str) -> Iterable[BatchRecord]:
    for path in sorted(folder.glob("*.json")):
        try:
            record = msgspec.json.decode(path.read_bytes(), type=BatchRecord)
        except (OSError, msgspec.DecodeError):
            continue  # damaged: its answers are paid again
        if time.time() - record.made > _FORGOTTEN:
            with suppress(OSError):
                path.unlink()
        elif record.address == address and path.stem == record.name:
            yield record


def _grouped(lines: Mapping[str, _Line]) -> Iterable[dict[str, _Line]]:
    """Requests that may stand in one batch: of one model, to one address, and not too many."""
    groups: dict[tuple[str, str], dict[str, _Line]] = {}
    sizes: dict[tuple[str, str], int] = {}
    for key, line in lines.items():
        if all(one.done() for one in line.waiting):
            continue
        kind = (line.request.lm.model, line.request.kind)
        size = len(line.body) + 200
        group = groups.setdefault(kind, {})
        if group and (sizes.get(kind, 0) + size > MOST_BYTES or len(group) >= MOST_REQUESTS):
            yield group
            group = groups[kind] = {}
            sizes[kind] = 0
        group[key] = line
        sizes[kind] = sizes.get(kind, 0) + size
    yield from (group for group in groups.values() if group)


def _lines(content: bytes, keys: Sequence[str]) -> dict[str, JsonValue]:
    """The lines of an output file by their requests; those of others are left out, and of two the first counts."""
    known = set(keys)
    found: dict[str, JsonValue] = {}
    for line in content.splitlines():
        try:
            told: object = json.loads(line)
        except (ValueError, RecursionError):
            continue
        if isinstance(told, dict):
            value = cast("dict[str, JsonValue]", told)
            key = value.get("custom_id")
            if isinstance(key, str) and key in known:
                found.setdefault(key, value)
    return found


def _response(line: JsonValue) -> tuple[int, dict[str, JsonValue]] | None:
    """Status and body of a line; None where it has none."""
    response = line.get("response") if isinstance(line, dict) else None
    if not isinstance(response, dict):
        return None
    status, body = response.get("status_code"), response.get("body")
    if isinstance(status, bool) or not isinstance(status, int) or not isinstance(body, dict):
        return None
    return status, body


def _is_answer(line: JsonValue) -> bool:
    found = _response(line)
    return found is not None and 200 <= found[0] < 300


def _answered(line: JsonValue, request: Request, endpoint: Endpoint, ended: str) -> Answer:
    """The answer in a line. Raises ProviderError as a transport that asks for one alone."""
    found = _response(line)
    if found is None:
        error = line.get("error") if isinstance(line, dict) else None
        said = error.get("message") if isinstance(error, dict) else None
        text = endpoint.scrub(said) if isinstance(said, str) else f"the batch ended as {ended}"
        raise Unavailable(f"the batch has no answer to this request: {text}")
    status, body = found
    if 200 <= status < 300:
        if request.kind == "embedding":
            return read_embedding(json.dumps(body), request)
        return answer_in(body, request)
    error = body.get("error")
    said = error.get("message") if isinstance(error, dict) else None
    raise failure(
        status,
        said if isinstance(said, str) else json.dumps(body)[:300],
        endpoint,
        sent=may_be_left_out(request.parameters()),
    )


def _failed_whole(told: Any) -> ProviderError:
    """Why none of a job's requests was answered."""
    errors = getattr(told, "errors", None)
    first = next(iter(getattr(errors, "data", None) or ()), None)
    said = getattr(first, "message", None)
    text = said[:300] if isinstance(said, str) else "the provider does not say why"
    if "limit" in str(getattr(first, "code", "")):
        return RateLimited(f"the batch was not taken: {text}", retry_after=60.0)
    return Refused(f"the batch was not taken: {text}")


def _text(value: Any, name: str) -> str:
    found = getattr(value, name, None)
    if not isinstance(found, str) or not found:
        raise Unavailable(f"the provider's answer has no `{name}`")
    return found
