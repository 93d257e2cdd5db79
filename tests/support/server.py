"""A provider on loopback: OpenAI-compatible chat completions whose answers, latency and faults are chosen.

In a test, it runs in the same loop and shows what it was asked:

    async with FakeServer(lambda call: "yes", faults=["429:0.1", "500"]) as server:
        LM(name="fake", model="openai/fake", api_base=server.url)
        ...
    assert server.asked[digest] == 1

It does little besides, so that a benchmark measures who asks.

A test that waits for a command has it in a thread, `beside(...)`; `GET /stats` tells what it was asked. Where it must survive
another's death, or must not take from the processor time of who asks, it runs by itself and prints its URL; `spawned(...)` does
that for a test:

    python tests/support/server.py --port 0 --answer embedded --latency 0.05 --fault 500=0.05
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import hashlib
import json
import re
import socket
import struct
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

from aiohttp import web

FAULTS = (
    "429",  # "429:0.5" with Retry-After in seconds
    "quota",  # 429 that means: no money left
    "500",  # any other status likewise
    "reset",  # the connection is reset before the answer
    "cut",  # half of the body, then the end
    "malformed",  # status 200 and not JSON
    "html",
    "empty",  # an answer of no text
    "null",  # an answer whose content is null
    "choices",  # no choices
    "filter",  # withheld by the content filter
    "length",  # stopped by max_tokens
    "no_usage",
    "zero_usage",
    "hang",  # never answers
    "drip",  # answers, one byte at a time
    "huge",  # five megabytes
    "deep",  # JSON of a hundred thousand brackets
    "redirect",
    "unsupported",  # "unsupported:temperature": that parameter is not taken
    "says",  # "says:what is wrong": that, as a request that is refused; "says404:…" with another status
    "leak",  # an error that repeats the key it was given
    # of streams alone, which `cut`, `reset`, `malformed`, `no_usage` and `hang` befall in the middle:
    "whole",  # asked for a stream, the server answers whole
    "held",  # the stream says that it is over, and the message goes on
    "error",  # a part of the stream tells of an error
)


@dataclass(frozen=True)
class Call:
    """One request as the server saw it."""

    body: dict[str, Any]
    headers: Mapping[str, str]
    number: int
    """From 1, over the server's life."""
    port: int = 0
    """The asker's: equal for requests over one connection."""

    @property
    def prompt(self) -> str:
        if "input" in self.body:
            return str(self.body["input"][0])
        return str(self.body["messages"][-1]["content"])

    @cached_property
    def digest(self) -> str:
        return hashlib.sha256(json.dumps(self.body, sort_keys=True).encode()).hexdigest()[:16]


Reporting = Callable[["Call", str], tuple[tuple[int, int], dict[str, Any] | None]]
Answering = Callable[[Call], "str | dict[str, Any]"] | Callable[[Call], Awaitable[str]]
"""What is answered: a text, or a message with calls of tools."""


def echo(call: Call) -> str:
    return f"You said: {call.prompt}"


def hashed(call: Call) -> str:
    """A label `a` to `d` in sections, chosen by the whole request; one in twenty is no label at all."""
    draw = int(call.digest, 16)
    label = "none of these" if hashed_to_no_label(call.digest) else "abcd"[draw // 20 % 4]
    return f"[[ ## label ## ]]\n{label}\n\n[[ ## completed ## ]]"


def hashed_to_no_label(digest: str) -> bool:
    return int(digest, 16) % 20 == 0


class FakeServer:
    """`faults` is what happens to the first requests, in order (None is no fault), the rate of each fault, or what says
    which fault a request meets.

    Rates are drawn from the request's content and how often it came, so a run has the same faults however
    its requests interleave; with `first_only`, what is asked again is answered. `dead_from` makes every
    request from that number on fail with 503.
    """

    def __init__(
        self,
        answer: Answering = echo,
        *,
        faults: Sequence[str | None] | Mapping[str, float] | Callable[[Call], str | None] = (),
        latency: float = 0.0,
        trickle: float = 0.0,
        dead_from: int | None = None,
        seed: int = 0,
        first_only: bool = False,
        key: str | None = None,
        reports: Reporting | None = None,
        status: int = 200,
    ) -> None:
        self.answer = answer
        self.faults = faults
        self.first_only = first_only
        self.status = status
        """Of answers that are none of the faults."""
        self.reports = reports
        """Gives what the server bills, and the `usage` that it reports of it; None reports nothing."""
        self.key = key
        """The only key that is accepted, if there is one."""
        self.latency = latency
        self.trickle = trickle
        """Seconds between the tokens of a stream."""
        self.dead_from = dead_from
        self.seed = seed
        self.url = ""
        self.calls: list[Call] = []
        self.asked: Counter[str] = Counter()
        self.answered: Counter[str] = Counter()
        """Whole, proper answers by request digest."""
        self.billed: list[tuple[int, int]] = []
        """Tokens in and out of every request that a model was at work on, whether its answer arrived or not."""
        self.in_flight = 0
        self.most_in_flight = 0
        self.serving: list[float] = []
        """When the first request came and the last answer left, by the loop's clock."""
        self.busy = 0.0
        """Seconds that requests spent here, added up."""
        self.hung_up = 0
        """Requests whose asker went away before the answer."""
        self._runner: web.AppRunner | None = None

    async def __aenter__(self) -> FakeServer:
        await self.start(0)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    async def start(self, port: int) -> None:
        app = web.Application(client_max_size=64 * 1024 * 1024)
        app.router.add_post("/v1/chat/completions", self._complete)
        app.router.add_post("/v1/embeddings", self._complete)
        app.router.add_get("/stats", self._stats)
        app.router.add_get("/count", self._count)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1, handler_cancellation=True)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", port, backlog=1024)
        await site.start()
        self.url = f"http://127.0.0.1:{self._runner.addresses[0][1]}/v1"

    async def stop(self) -> None:
        if self._runner is not None:
            await self._runner.cleanup()

    async def _count(self, _: web.Request) -> web.Response:
        return web.Response(text=str(len(self.calls)))

    async def _stats(self, _: web.Request) -> web.Response:
        return web.json_response(
            {
                "asked": self.asked,
                "answered": self.answered,
                "most_in_flight": self.most_in_flight,
                "requests": len(self.calls),
                "hung_up": self.hung_up,
                "busy": self.busy,
                "serving": self.serving[1] - self.serving[0] if self.serving else 0.0,
            }
        )

    async def _complete(self, request: web.Request) -> web.StreamResponse:
        body = await request.json()
        peer = request.transport.get_extra_info("peername") if request.transport else None
        call = Call(body, request.headers, len(self.calls) + 1, peer[1] if peer else 0)
        self.calls.append(call)
        self.asked[call.digest] += 1
        self.in_flight += 1
        self.most_in_flight = max(self.most_in_flight, self.in_flight)
        began = asyncio.get_running_loop().time()
        try:
            return await self._respond(request, call)
        except asyncio.CancelledError:
            self.hung_up += 1
            raise
        finally:
            self.in_flight -= 1
            ended = asyncio.get_running_loop().time()
            self.busy += ended - began
            self.serving = [self.serving[0] if self.serving else began, ended]

    async def _respond(self, request: web.Request, call: Call) -> web.StreamResponse:
        if self.latency:
            await asyncio.sleep(self.latency)
        fault = self._fault(call)
        kind, _, detail = (fault or "").partition(":")
        if kind.isdigit() and detail:
            return web.json_response(
                {"error": {"message": "slow down"}}, status=int(kind), headers={"Retry-After": detail}
            )
        if kind == "unsupported":
            error = {"message": f"Unsupported parameter: '{detail}' is not supported with this model."}
            return web.json_response({"error": error}, status=400)
        if kind.startswith("says"):
            return web.json_response({"error": {"message": detail}}, status=int(kind[4:] or 400))
        if kind == "quota":
            error = {"message": "You exceeded your current quota", "code": "insufficient_quota"}
            return web.json_response({"error": error}, status=429)
        if kind == "billed":
            usage = {"prompt_tokens": 40, "completion_tokens": 7}
            self.billed.append((40, 7))
            return web.json_response({"error": {"message": "late", "usage": usage}}, status=int(detail))
        if kind == "leak":
            text = f"bad header {request.headers.get('Authorization')} for {request.url}"
            return web.json_response({"error": {"message": text}}, status=int(detail or 400))
        if kind.isdigit():
            return web.json_response({"error": {"message": f"told to say {kind}"}}, status=int(kind))
        if kind == "redirect":
            return web.Response(status=307, headers={"Location": detail or "http://127.0.0.1:9/"})
        given = self.answer(call)
        message = given if isinstance(given, dict) else {}
        text = "" if isinstance(given, dict) else given if isinstance(given, str) else await given
        completion = _completion(call, text, kind)
        for choice in completion.get("choices", ()) if message else ():
            choice["message"] |= message
            choice["finish_reason"] = "tool_calls"
        counted = completion.get("usage", {})
        billed = (counted.get("prompt_tokens", 0), counted.get("completion_tokens", 0))
        if self.reports is not None:
            billed, completion["usage"] = self.reports(call, text)
        self.billed.append(billed)
        if kind == "hang" and not call.body.get("stream"):
            await asyncio.sleep(3600)
        if kind == "reset" and not call.body.get("stream"):
            return self._reset(request)
        if call.body.get("stream") and kind != "whole":
            if kind in ("", "no_usage", "zero_usage", "length", "held"):
                self.answered[call.digest] += 1
            return await self._stream(request, call, completion, kind)
        body = json.dumps(completion).encode()
        match kind:
            case "malformed":
                body = body[:-1] + b",,"
            case "html":
                body = b"<html><body>Bad gateway</body></html>"
            case "deep":
                body = b"[" * 100_000
            case "huge":
                body = json.dumps(_completion(call, "x" * 5_000_000, "")).encode()
            case _:
                pass
        if kind in ("cut", "drip"):
            return await self._piecemeal(request, body, kind)
        if kind in ("", "no_usage", "zero_usage", "length"):
            self.answered[call.digest] += 1
        return web.Response(body=body, content_type="application/json", status=self.status)

    async def _stream(
        self, request: web.Request, call: Call, completion: dict[str, Any], kind: str
    ) -> web.StreamResponse:
        """The completion in pieces, a token each. What a fault does, it does after half of them."""
        response = web.StreamResponse()
        response.content_type = "text/event-stream"
        await response.prepare(request)
        assert request.transport is not None
        usage = completion.pop("usage", None)
        chunks = list(_chunks(completion))
        for number, chunk in enumerate(chunks):
            if number and self.trickle:
                await asyncio.sleep(self.trickle)
            if number == len(chunks) // 2:
                if kind == "cut":
                    request.transport.close()
                    return response
                if kind == "reset":
                    return self._reset(request)
                if kind == "hang":
                    await asyncio.sleep(3600)
                if kind == "malformed":
                    await response.write(b'data: {"choices": [,]}\n\n')
                if kind == "error":
                    await response.write(b'data: {"error": {"message": "overloaded"}}\n\n')
            await response.write(b"data: " + json.dumps(chunk).encode() + b"\n\n")
        asked = (call.body.get("stream_options") or {}).get("include_usage")
        if usage is not None and asked:
            last = {**completion, "object": "chat.completion.chunk", "choices": [], "usage": usage}
            await response.write(b"data: " + json.dumps(last).encode() + b"\n\n")
        await response.write(b"data: [DONE]\n\n")
        if kind == "held":
            await asyncio.sleep(3600)
        return response

    def _fault(self, call: Call) -> str | None:
        if self.key is not None and call.headers.get("Authorization") != f"Bearer {self.key}":
            return "401"
        if self.dead_from is not None and call.number >= self.dead_from:
            return "503"
        if callable(self.faults):
            return self.faults(call)
        if not isinstance(self.faults, Mapping):
            return self.faults[call.number - 1] if call.number <= len(self.faults) else None
        if not self.faults or (self.first_only and self.asked[call.digest] > 1):
            return None
        source = f"{self.seed} {call.digest} {self.asked[call.digest]}".encode()
        draw = int.from_bytes(hashlib.sha256(source).digest()[:8]) / 2**64
        for fault, rate in self.faults.items():
            if draw < rate:
                return fault
            draw -= rate
        return None

    @staticmethod
    def _reset(request: web.Request) -> web.Response:
        assert request.transport is not None
        connection: socket.socket = request.transport.get_extra_info("socket")
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        request.transport.abort()
        return web.Response()

    @staticmethod
    async def _piecemeal(request: web.Request, body: bytes, kind: str) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Length": str(len(body))})
        response.content_type = "application/json"
        await response.prepare(request)
        if kind == "cut":
            await response.write(body[: len(body) // 2])
            assert request.transport is not None
            request.transport.close()
            return response
        for i in range(len(body)):
            await response.write(body[i : i + 1])
            await asyncio.sleep(0.05)
        return response


def _completion(call: Call, text: str, kind: str) -> dict[str, Any]:
    if "input" in call.body:
        # a vector that follows from the text: its first bytes
        vector = [byte / 256 for byte in hashlib.sha256(call.prompt.encode()).digest()[:4]]
        entry = {"object": "embedding", "index": 0, "embedding": [] if kind == "empty" else vector}
        usage = {"prompt_tokens": len(call.prompt.split()), "total_tokens": len(call.prompt.split())}
        return {"object": "list", "model": call.body["model"], "data": [entry], "usage": usage}
    content: str | None = {"empty": "", "filter": None, "null": None}.get(kind, text)
    finish = {"length": "length", "filter": "content_filter"}.get(kind, "stop")
    counted = sum(_words(str(message["content"])) for message in call.body["messages"])
    usage = {"prompt_tokens": counted, "completion_tokens": len(text.split())}
    if kind == "zero_usage":
        usage = {"prompt_tokens": 0, "completion_tokens": 0}
    message = {"role": "assistant", "content": content}
    choices = [{"index": 0, "message": message, "finish_reason": finish}]
    completion: dict[str, Any] = {
        "id": f"chatcmpl-{call.number}",
        "object": "chat.completion",
        "created": 1,
        "model": call.body["model"],
        "choices": [] if kind == "choices" else choices,
    }
    if kind != "no_usage":
        completion["usage"] = {**usage, "total_tokens": sum(usage.values())}
    return completion


_TOKENS = re.compile(r"\s*\S{1,6}|\s+")


def _chunks(completion: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """A completion in pieces: the role, the tokens of its text or its calls, and why it ends."""
    rest = {**completion, "object": "chat.completion.chunk"}
    for choice in completion["choices"]:
        message = {**choice["message"]}
        text = message.pop("content") or ""
        deltas: list[dict[str, Any]] = [{"role": message.pop("role"), "content": ""}]
        deltas += [{"content": token} for token in _TOKENS.findall(text)]
        calls = message.pop("tool_calls", ())
        deltas += [{"tool_calls": [{**one, "index": place}]} for place, one in enumerate(calls)]
        deltas += [message] if message else []
        for delta in deltas:
            yield {**rest, "choices": [{"index": 0, "delta": delta, "finish_reason": None}]}
        yield {**rest, "choices": [{"index": 0, "delta": {}, "finish_reason": choice["finish_reason"]}]}


@lru_cache(maxsize=4096)
def _words(text: str) -> int:
    return len(text.split())


def embedded() -> Callable[[Call], Awaitable[str]]:
    """Answers by the embedded model, so that programs really score behind the server."""
    from dspec.runtime.models.embedded import EmbeddedTransport
    from dspec.runtime.models.protocol import Message, Request
    from dspec.runtime.schema.program import LM

    transport = EmbeddedTransport()

    async def answer(call: Call) -> str:
        body = call.body
        lm = LM(name="embedded", model="embedded/icl", seed=body.get("seed"))
        messages = tuple(Message(message["role"], _text(message["content"])) for message in body["messages"])
        request = Request(lm, messages, temperature=body.get("temperature"))
        return (await transport.complete(request)).text

    return answer


def _text(content: str | list[dict[str, Any]]) -> str:
    """What the embedded model reads of a message: the text of its parts."""
    return content if isinstance(content, str) else "".join(part.get("text", "") for part in content)


@contextlib.contextmanager
def spawned(*flags: str) -> Iterator[str]:
    """The server as a process of its own; gives its URL and ends it afterwards."""
    command = [sys.executable, str(Path(__file__)), "--port", "0", *flags]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            yield process.stdout.readline().strip()
        finally:
            process.kill()


@contextlib.contextmanager
def beside(*flags: str) -> Iterator[str]:
    """The server in a thread of this process, which starts at once; gives its URL and ends it afterwards."""
    server, port = _told(flags)
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    try:
        asyncio.run_coroutine_threadsafe(server.start(port), loop).result()
        yield server.url
    finally:
        asyncio.run_coroutine_threadsafe(server.stop(), loop).result()
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


def _told(arguments: Sequence[str]) -> tuple[FakeServer, int]:
    """The server that flags tell of, and its port."""
    parser = argparse.ArgumentParser(description="An OpenAI-compatible server on loopback, for tests.")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--answer", default="echo", help="`echo`, `hashed`, `embedded`, or a fixed text")
    parser.add_argument("--latency", type=float, default=0.0, help="seconds before each answer")
    parser.add_argument("--trickle", type=float, default=0.0, help="seconds between the tokens of a stream")
    parser.add_argument("--dead-from", type=int, help="number of the first request that fails with 503")
    parser.add_argument("--key", help="the only key that is accepted")
    parser.add_argument("--seed", type=int, default=0, help="of the faults")
    parser.add_argument(
        "--fault",
        action="append",
        default=[],
        metavar="KIND=RATE",
        help=f"KIND is a status or one of {' '.join(FAULTS)}",
    )
    flags = parser.parse_args(arguments)
    answer: Answering
    if flags.answer == "echo":
        answer = echo
    elif flags.answer == "hashed":
        answer = hashed
    elif flags.answer == "embedded":
        answer = embedded()
    else:
        answer = lambda call: flags.answer  # noqa: E731
    parts = [fault.rpartition("=") for fault in flags.fault]
    rates = {kind: float(rate) for kind, _, rate in parts}
    server = FakeServer(
        answer,
        faults=rates,
        latency=flags.latency,
        trickle=flags.trickle,
        dead_from=flags.dead_from,
        seed=flags.seed,
        key=flags.key,
    )
    return server, flags.port


def main() -> None:
    server, port = _told(sys.argv[1:])

    async def serve() -> None:
        await server.start(port)
        sys.stdout.write(f"{server.url}\n")
        sys.stdout.flush()
        await asyncio.Event().wait()

    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(serve())


if __name__ == "__main__":
    main()
