"""The HTTP server: one request, one run of a program; bounded in size, time and number; stopped without losing any.

On aiohttp, which is there as a dependency. It lives on the loop that applications share, where their engines are, so that a run
costs no hop between threads. Untrusted is whoever sends: a body is read within its size and time, a connection that sends nothing
whole is closed, JSON is wanted by its content type (so that no page in a browser can send it unasked), a server on loopback
answers to loopback's names alone, and what is logged holds neither inputs nor outputs nor keys.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import hmac
import json
import logging
import secrets
import time
import traceback
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from importlib.metadata import version
from typing import Any, cast

from aiohttp import web
from msgspec import Struct

from dspec.runtime.application import Application
from dspec.runtime.errors import ConfigurationError, DspecError, InputError
from dspec.runtime.models.compact import compact
from dspec.runtime.running.prediction import CallUsage, Prediction, id_of
from dspec.runtime.running.streaming import FieldValue, StreamEvent, TextPiece
from dspec.runtime.schema.types import JsonValue, Row

from ...data.tables import json_kind, parse_json
from ...diagnostics.wording import plural
from .metrics import CONTENT_TYPE, ServerMetrics
from .openapi import openapi
from .page import page, policy
from .problems import WebProblem, problem_of, unfit_inputs
from .turnstile import TurnedAway, Turnstile

LOOPBACK = ("127.0.0.1", "localhost", "::1")
_HEAD_SECONDS = 20.0
"""So long may a connection be without a whole request."""
_SWEEP_SECONDS = 5.0
_BEAT_SECONDS = 15.0
"""A stream that tells nothing for so long says that it is alive."""
FEEDBACK = {"id": "call", "score": "score", "comment": "comment", "label": "label", "outputs": "outputs"}
"""What a feedback may say, and what `feedback` of an application calls it."""
_OPEN = frozenset({"/health", "/ready"})
"""Answered without a key."""

_QUIET = logging.getLogger("dspec.serve.http")
"""What aiohttp would say of requests that are no HTTP, with a traceback each."""
_QUIET.addHandler(logging.NullHandler())
_QUIET.propagate = False

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class ServerSettings(Struct, frozen=True):
    host: str = "127.0.0.1"
    port: int = 8000
    """0 takes a free one."""
    concurrency: int = 64
    """Runs at once."""
    queue: int = 256
    """Requests that may wait for one of these places."""
    patience: float = 30.0
    """Seconds for which one waits at most."""
    max_body: int = 1 << 20
    """Bytes."""
    body_seconds: float = 30.0
    """In which a body has to come."""
    drain_seconds: float = 120.0
    """For which a stop waits for those that are being answered."""
    keys: tuple[str, ...] = ()


class _Refusal(Exception):
    def __init__(self, problem: WebProblem) -> None:
        super().__init__(problem.message)
        self.problem = problem


class ProgramServer:
    """Serves loaded programs by their names. `log` is given a line of JSON for each request to a program. Its methods are called
    on the loop that applications share."""

    def __init__(
        self,
        programs: Mapping[str, Application],
        settings: ServerSettings,
        log: Callable[[str], None] = lambda _: None,
    ) -> None:
        self._programs = dict(programs)
        self._settings = settings
        self._log = log
        self._gate = Turnstile(settings.concurrency, settings.queue, settings.patience)
        self._metrics = ServerMetrics(self._gate)
        self._reading = 0
        """Requests whose bodies are coming."""
        self._runner: web.AppRunner | None = None
        self._since: dict[object, float] = {}
        """When a connection was first seen, or its last request was over."""
        self._busy: Counter[object] = Counter()
        """Requests under way, by connection."""
        self._sweeper: asyncio.Task[None] | None = None
        self._keys = [key.encode() for key in settings.keys]
        runnables = {name: one.program for name, one in self._programs.items()}
        recorded = frozenset(name for name, one in self._programs.items() if one.is_recorded)
        document = openapi(runnables, keyed=bool(self._keys), version=version("dspc"), recorded=recorded)
        self._document = json.dumps(document, ensure_ascii=False).encode()
        self._runnables = runnables
        self.port = 0

    async def start(self) -> None:
        """Returns once it listens. Raises OSError."""

        @web.middleware
        async def around(request: web.Request, handler: Handler) -> web.StreamResponse:
            return await self._around(request, handler)

        app = web.Application(client_max_size=self._settings.max_body, middlewares=[around])
        routes: list[tuple[str, str, Handler]] = [
            ("GET", "/health", self._health),
            ("GET", "/ready", self._ready),
            ("GET", "/metrics", self._told_metrics),
            ("GET", "/openapi.json", self._told_document),
            ("GET", "/docs", self._page),
            ("POST", "/run", self._run),
            ("POST", "/run/{name}", self._run),
        ]
        if any(one.is_recorded for one in self._programs.values()):
            routes += [("POST", "/feedback", self._feedback), ("POST", "/feedback/{name}", self._feedback)]
        for method, path, handler in routes:
            if method == "GET":
                app.router.add_get(path, handler)
            else:
                app.router.add_post(path, handler)
        self._runner = web.AppRunner(
            app,
            access_log=None,
            logger=_QUIET,
            handler_cancellation=True,
            keepalive_timeout=_HEAD_SECONDS - 1,
            auto_decompress=False,
            shutdown_timeout=5.0,
        )
        await self._runner.setup()
        site = web.TCPSite(self._runner, self._settings.host, self._settings.port, backlog=1024)
        try:
            await site.start()
        except BaseException:
            await self._runner.cleanup()
            raise
        self.port = int(self._runner.addresses[0][1])
        self._sweeper = asyncio.get_running_loop().create_task(self._sweep())

    async def stop(self) -> bool:
        """Takes nothing new, answers what it has, and closes. Whether all were answered in time."""
        whole = await self._gate.drained(self._settings.drain_seconds)
        await self.close()
        return whole

    async def close(self) -> None:
        """Closes all connections."""
        if self._sweeper is not None:
            self._sweeper.cancel()
        if self._runner is not None:
            await self._runner.cleanup()

    # Around every request -------------------------------------------------------------------------------

    async def _around(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        protocol = request.protocol
        self._busy[protocol] += 1
        try:
            self._check_caller(request)
            response = await handler(request)
        except _Refusal as refusal:
            response = _refused(refusal.problem)
        except web.HTTPException as refusal:
            response = _refused(WebProblem(refusal.status, "request", refusal.reason))
            if "Allow" in refusal.headers:
                response.headers["Allow"] = refusal.headers["Allow"]
        except Exception as error:  # noqa: BLE001 - the boundary: a bug must not become a traceback, nor end the server
            self._log(
                json.dumps({"bug": f"{type(error).__name__}: {error}", "where": traceback.format_exc()})
            )
            response = _refused(WebProblem(500, "server", "the server failed: its log says why"))
        finally:
            self._busy[protocol] -= 1
            self._since[protocol] = time.monotonic()
        if self._gate.draining and not response.prepared:
            response.force_close()
        return response

    def _check_caller(self, request: web.Request) -> None:
        """Raises _Refusal where the caller is none of those that the server is for."""
        if self._settings.host in LOOPBACK and _host(request) not in LOOPBACK:
            # A page whose name was made to lead here is refused like that.
            raise _Refusal(WebProblem(421, "request", "this server answers to its own address alone"))
        if not self._keys or request.path in _OPEN:
            return
        given = _key_in(request.headers.get("Authorization", ""))
        found = False
        for key in self._keys:  # all of them, so that time tells nothing
            found |= hmac.compare_digest(given, key)
        if not found:
            raise _Refusal(WebProblem(401, "key", "a key is needed: Authorization: Bearer …"))

    async def _sweep(self) -> None:
        """Closes connections that have not sent a whole request for long, whatever they send meanwhile."""
        while True:
            await asyncio.sleep(_SWEEP_SECONDS)
            server = self._runner and self._runner.server
            there = cast("Sequence[Any]", server.connections if server else ())
            now = time.monotonic()
            self._since = {one: self._since.get(one, now) for one in there}
            self._busy = Counter({one: count for one, count in self._busy.items() if count > 0})
            for connection, since in self._since.items():
                if not self._busy[connection] and now - since > _HEAD_SECONDS:
                    cast("Any", connection).force_close()

    # What is asked for ----------------------------------------------------------------------------------

    async def _health(self, _: web.Request) -> web.StreamResponse:
        return _json(200, {"status": "alive"})

    async def _ready(self, _: web.Request) -> web.StreamResponse:
        if self._gate.draining:
            return _refused(WebProblem(503, "stopping", "the server is stopping", after=5))
        return _json(200, {"status": "ready", "programs": list(self._programs)})

    async def _told_metrics(self, _: web.Request) -> web.StreamResponse:
        return web.Response(body=self._metrics.text().encode(), headers={"Content-Type": CONTENT_TYPE})

    async def _told_document(self, _: web.Request) -> web.StreamResponse:
        return web.Response(body=self._document, content_type="application/json")

    async def _page(self, request: web.Request) -> web.StreamResponse:
        nonce = secrets.token_urlsafe(16)
        headers = {"Content-Security-Policy": policy(nonce), "X-Content-Type-Options": "nosniff"}
        text = page(self._runnables, nonce, str(request.url.origin()))
        return web.Response(text=text, content_type="text/html", headers=headers)

    async def _run(self, request: web.Request) -> web.StreamResponse:
        name, application = self._asked_for(request)
        said = _Said(name, time.monotonic(), secrets.token_hex(16))
        response: web.StreamResponse | None = None
        try:
            row = await self._read(request)
            if (problem := unfit_inputs(application.program, row)) is not None:
                raise _Refusal(problem)
            async with self._gate.place():
                said.waited = time.monotonic() - said.began
                if "text/event-stream" in request.headers.get("Accept", ""):
                    response = await self._streamed(request, application, row, said)
                else:
                    prediction = await application.run_here(row)
                    said.took(prediction)
                    response = _json(200, _answer(prediction, said.id))
            said.status = said.status or response.status
        except TurnedAway as away:
            said.failed(WebProblem(away.status, "busy", away.message, after=away.after))
        except DspecError as error:
            said.failed(problem_of(error), error)
        except _Refusal as refusal:
            said.failed(refusal.problem)
        except web.HTTPRequestEntityTooLarge:
            said.failed(self._too_large())
        except (ConnectionResetError, asyncio.CancelledError):
            said.status = 499  # nobody is there any more
            raise
        finally:
            seconds = time.monotonic() - said.began
            self._metrics.answered(name, said.status or 500, seconds, said.usage)
            self._log(said.line(seconds))
        if said.problem is not None and response is None:
            return _refused(said.problem)
        assert response is not None
        return response

    def _asked_for(self, request: web.Request) -> tuple[str, Application]:
        """The program that a request is about. Raises _Refusal."""
        name = request.match_info.get("name") or (
            next(iter(self._programs)) if len(self._programs) == 1 else ""
        )
        application = self._programs.get(name)
        if application is None:
            names = ", ".join(self._programs)
            raise _Refusal(WebProblem(404, "request", f"there is no such program: there is {names}"))
        return name, application

    async def _feedback(self, request: web.Request) -> web.StreamResponse:
        """Keeps what a caller says of a run."""
        _, application = self._asked_for(request)
        try:
            said = await self._read(request)
        except TurnedAway as away:
            raise _Refusal(WebProblem(away.status, "busy", away.message, after=away.after)) from None
        except web.HTTPRequestEntityTooLarge:
            raise _Refusal(self._too_large()) from None
        unknown = [name for name in said if name not in FEEDBACK]
        if unknown:
            message = f"`{unknown[0][:60]}` is not known; a feedback has {', '.join(FEEDBACK)}"
            raise _Refusal(WebProblem(422, "inputs", message))
        try:
            # what is of another kind is told by what it does not fit
            given: dict[str, Any] = {FEEDBACK[name]: value for name, value in said.items()}
            application.feedback(given.pop("call", ""), **given)
        except InputError as error:
            raise _Refusal(WebProblem(422, "inputs", error.message)) from None
        except ConfigurationError:
            raise _Refusal(WebProblem(404, "request", "calls of this program are not recorded")) from None
        return _json(202, {"id": said["id"]})

    def _too_large(self) -> WebProblem:
        return WebProblem(413, "request", f"the body is larger than {self._settings.max_body:,} bytes")

    async def _read(self, request: web.Request) -> Row:
        """The object in a body, where no more bodies come at the same time than may be run and wait."""
        most = self._settings.concurrency + self._settings.queue
        if self._reading >= most:
            raise TurnedAway(
                429, f"{plural(self._reading, 'request is', 'requests are')} being read already", 1
            )
        self._reading += 1
        try:
            return await self._object(request)
        finally:
            self._reading -= 1

    async def _object(self, request: web.Request) -> Row:
        """The object in a request's body. Raises _Refusal, and what aiohttp raises where it is too large."""
        kind = request.headers.get("Content-Type", "").partition(";")[0].strip().lower()
        if kind != "application/json":
            raise _Refusal(
                WebProblem(415, "request", "the body is to be JSON: Content-Type: application/json")
            )
        if request.headers.get("Content-Encoding", "identity").lower() != "identity":
            raise _Refusal(WebProblem(415, "request", "the body is not to be packed"))
        if (request.content_length or 0) > self._settings.max_body:
            raise web.HTTPRequestEntityTooLarge(self._settings.max_body, request.content_length or 0)
        try:
            async with asyncio.timeout(self._settings.body_seconds):
                body = await request.read()
        except TimeoutError:
            seconds = self._settings.body_seconds
            raise _Refusal(
                WebProblem(408, "request", f"the body did not come within {seconds:g} s")
            ) from None
        try:
            value = parse_json(body.decode())
        except UnicodeDecodeError:
            raise _Refusal(WebProblem(400, "request", "the body is not UTF-8")) from None
        except ValueError as error:
            raise _Refusal(WebProblem(400, "request", f"the body is not JSON: {error}")) from None
        if not isinstance(value, dict):
            message = f"the body is {json_kind(value)}, and should be an object of the inputs"
            raise _Refusal(WebProblem(400 if value is None else 422, "request", message))
        return value

    async def _streamed(
        self, request: web.Request, application: Application, row: Row, said: _Said
    ) -> web.StreamResponse:
        response = web.StreamResponse(
            headers={
                "Content-Type": "text/event-stream",
                "Cache-Control": "no-store",
                "X-Accel-Buffering": "no",
            }
        )
        await response.prepare(request)
        async with application.astream_of(row) as stream:
            try:
                while True:
                    try:
                        async with asyncio.timeout(_BEAT_SECONDS):
                            event = await anext(stream)
                    except TimeoutError:
                        await response.write(b": still at it\n\n")
                        continue
                    except StopAsyncIteration:
                        break
                    await response.write(_event(*_told(event)))
                prediction = await stream.result()
                said.took(prediction)
                await response.write(_event("result", _answer(prediction, said.id)))
            except DspecError as error:
                problem = problem_of(error)
                said.failed(problem, error)
                await response.write(_event("error", {"status": problem.status, **problem.told()}))
        await response.write_eof()
        return response


class _Said(Struct):
    """What the log is told of one request."""

    program: str
    began: float
    id: str
    waited: float = 0.0
    status: int = 0
    usage: CallUsage | None = None
    problem: WebProblem | None = None
    error: DspecError | None = None

    def took(self, prediction: Prediction) -> None:
        self.usage, self.id = prediction.usage, id_of(prediction)

    def failed(self, problem: WebProblem, error: DspecError | None = None) -> None:
        self.status, self.problem, self.error = problem.status, problem, error

    def line(self, seconds: float) -> str:
        told: dict[str, JsonValue] = {
            "time": round(time.time(), 3),
            "id": self.id,
            "program": self.program,
            "status": self.status or 500,
            "seconds": round(seconds, 6),
            "waited": round(self.waited, 6),
        }
        if self.usage is not None:
            told |= {
                "calls": self.usage.calls,
                "replayed": self.usage.replayed,
                "tokens": self.usage.tokens,
                "usd": self.usage.cost,
            }
        if self.problem is not None:
            told["problem"] = self.problem.kind
        if self.error is not None:
            told["error"] = type(self.error).__name__
            if self.problem is not None and self.problem.kind not in ("inputs", "answer"):
                told["message"] = self.error.message  # it speaks of the server's side alone
        return json.dumps(told)


def _told(event: StreamEvent) -> tuple[str, dict[str, JsonValue]]:
    match event:
        case TextPiece(field=field, text=text):
            return "text", {"field": field, "text": text}
        case FieldValue(field=field, value=value):
            return "value", {"field": field, "value": value}
        case _:
            return "withdrawn", {"field": event.field, "why": event.why}


def _event(name: str, data: Mapping[str, JsonValue]) -> bytes:
    return b"event: %b\ndata: %b\n\n" % (name.encode(), compact(dict(data)))


def _answer(prediction: Prediction, name: str) -> dict[str, JsonValue]:
    usage = prediction.usage
    return {
        "id": name,
        "outputs": prediction.outputs,
        "notes": list(prediction.notes),
        "usage": {
            "calls": usage.calls,
            "replayed": usage.replayed,
            "input_tokens": usage.input_tokens,
            "output_tokens": usage.output_tokens,
            "cost": usage.cost,
        },
    }


def _json(status: int, value: JsonValue) -> web.Response:
    return web.Response(body=compact(value), status=status, content_type="application/json")


def _refused(problem: WebProblem) -> web.Response:
    response = _json(problem.status, problem.told())
    if problem.after is not None:
        response.headers["Retry-After"] = str(problem.after)
    if problem.status == 401:
        response.headers["WWW-Authenticate"] = 'Bearer, Basic realm="dspc serve"'
    if problem.status in (408, 413):
        response.force_close()  # the rest of the body is not read
    return response


def _host(request: web.Request) -> str:
    """The name that the request was sent to, without its port."""
    host = request.headers.get("Host", "").strip().lower()
    if host.startswith("["):
        return host[1:].partition("]")[0]
    return host.partition(":")[0]


def _key_in(header: str) -> bytes:
    """The key in an `Authorization` header: a bearer's, or the password that a browser was told."""
    scheme, _, given = header.partition(" ")
    if scheme.lower() == "bearer":
        return given.strip().encode("utf-8", "surrogateescape")
    if scheme.lower() == "basic":
        with suppress(binascii.Error, ValueError):
            return base64.b64decode(given.strip(), validate=True).partition(b":")[2]
    return b""
