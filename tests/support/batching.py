"""A provider's batch API on loopback: uploads, batches that take their time, output and error files.

    async with BatchServer(lambda body: "yes") as server:
        LM(name="fake", model="openai/fake", api_base=server.url, mode="batch")

What may go wrong is chosen: single lines that fail or are left out, batches that expire or are refused, requests that the
server refuses or cuts off.
"""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import Callable
from typing import Any

from aiohttp import web

Line = str | int | None
"""What becomes of one request: its answer's text, the status that it fails with, None for no line at all."""


class BatchServer:
    """`answer` is given the body of each request of a batch, and says what becomes of it. A batch is done once it was looked at
    `looks` times. `ends` says how each batch ends, by its number from 1: `completed` unless said."""

    def __init__(
        self, answer: Callable[[dict[str, Any]], Line], *, looks: int = 1, ends: dict[int, str] | None = None
    ) -> None:
        self.answer = answer
        self.looks = looks
        self.ends = ends or {}
        self.url = ""
        self.files: dict[str, bytes] = {}
        self.batches: dict[str, dict[str, Any]] = {}
        self.asked: Counter[str] = Counter()
        """Requests in all batches, by what they ask."""
        self.sizes: list[int] = []
        self.requests: list[str] = []
        """Methods and paths, in their order."""
        self.fault: Callable[[str], str | None] = lambda request: None
        """For a method and path: a status that it is refused with, `cut` where it is carried out and not answered."""
        self._looked: Counter[str] = Counter()
        self._runner: web.AppRunner | None = None

    async def __aenter__(self) -> BatchServer:
        app = web.Application(client_max_size=256 * 1024 * 1024)
        app.router.add_post("/v1/files", self._upload)
        app.router.add_get("/v1/files/{file}/content", self._content)
        app.router.add_post("/v1/batches", self._create)
        app.router.add_get("/v1/batches", self._list)
        app.router.add_get("/v1/batches/{batch}", self._retrieve)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        self.url = f"http://127.0.0.1:{self._runner.addresses[0][1]}/v1"
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._runner is not None:
            await self._runner.cleanup()

    def _faulted(self, request: web.Request) -> web.Response | None:
        told = f"{request.method} {request.path.removeprefix('/v1')}"
        self.requests.append(told)
        fault = self.fault(told)
        if fault is None or fault == "cut":
            return None
        return web.json_response({"error": {"message": f"told to say {fault}"}}, status=int(fault))

    def _given(self, request: web.Request, value: dict[str, Any]) -> web.Response:
        if self.fault(f"{request.method} {request.path.removeprefix('/v1')}") == "cut":
            assert request.transport is not None
            request.transport.abort()
        return web.json_response(value)

    async def _upload(self, request: web.Request) -> web.Response:
        form = await request.post()
        if (fault := self._faulted(request)) is not None:
            return fault
        assert form["purpose"] == "batch"
        name = f"file-{len(self.files) + 1}"
        self.files[name] = form["file"].file.read()  # type: ignore[union-attr]
        told = {"id": name, "object": "file", "bytes": len(self.files[name]), "created_at": 1}
        return self._given(
            request, {**told, "filename": "batch.jsonl", "purpose": "batch", "status": "processed"}
        )

    async def _create(self, request: web.Request) -> web.Response:
        asked = await request.json()
        if (fault := self._faulted(request)) is not None:
            return fault
        name = f"batch_{len(self.batches) + 1}"
        lines = [json.loads(line) for line in self.files[asked["input_file_id"]].splitlines()]
        assert len({line["custom_id"] for line in lines}) == len(lines)
        assert len({line["body"]["model"] for line in lines}) == 1
        assert {line["url"] for line in lines} == {asked["endpoint"]}
        self.sizes.append(len(lines))
        self.asked.update(json.dumps(line["body"], sort_keys=True) for line in lines)
        self.batches[name] = {
            "id": name,
            "object": "batch",
            "endpoint": asked["endpoint"],
            "input_file_id": asked["input_file_id"],
            "completion_window": asked["completion_window"],
            "status": "validating",
            "created_at": 1,
            "metadata": asked.get("metadata"),
        }
        return self._given(request, self.batches[name])

    async def _list(self, request: web.Request) -> web.Response:
        if (fault := self._faulted(request)) is not None:
            return fault
        data = list(self.batches.values())
        return self._given(request, {"object": "list", "data": data, "has_more": False})

    async def _retrieve(self, request: web.Request) -> web.Response:
        if (fault := self._faulted(request)) is not None:
            return fault
        name = request.match_info["batch"]
        batch = self.batches.get(name)
        if batch is None:
            return web.json_response({"error": {"message": "no such batch"}}, status=404)
        self._looked[name] += 1
        if "output_file_id" not in batch and batch["status"] != "failed":
            batch["status"] = "in_progress"
            if self._looked[name] >= self.looks:
                self._finish(name, batch)
        return self._given(request, batch)

    def _finish(self, name: str, batch: dict[str, Any]) -> None:
        batch["status"] = self.ends.get(int(name.partition("_")[2]), "completed")
        if batch["status"] == "failed":
            error = {"code": "invalid", "message": "the file is not taken", "line": 1}
            batch["errors"] = {"object": "list", "data": [error]}
            return
        good, bad = [], []
        lines = [json.loads(line) for line in self.files[batch["input_file_id"]].splitlines()]
        for place, line in enumerate(lines):
            if batch["status"] == "expired" and place % 2:
                error = {"code": "batch_expired", "message": "it could not be executed in time"}
                bad.append({"custom_id": line["custom_id"], "response": None, "error": error})
                continue
            told = "" if "input" in line["body"] else self.answer(line["body"])
            if isinstance(told, str):
                body = _completion(line["body"], told)
                response = {"status_code": 200, "request_id": "r", "body": body}
                good.append({"id": "x", "custom_id": line["custom_id"], "response": response, "error": None})
            elif told is not None:
                body = {"error": {"message": f"told to say {told}"}}
                response = {"status_code": told, "request_id": "r", "body": body}
                bad.append({"id": "x", "custom_id": line["custom_id"], "response": response, "error": None})
        good.reverse()  # in whatever order
        for kind, found in (("output", good), ("error", bad)):
            if found:
                made = f"file-{kind}-{name}"
                self.files[made] = b"".join(json.dumps(one).encode() + b"\n" for one in found)
                batch[f"{kind}_file_id"] = made
        batch.setdefault("output_file_id", None)

    async def _content(self, request: web.Request) -> web.Response:
        if (fault := self._faulted(request)) is not None:
            return fault
        await asyncio.sleep(0)
        return web.Response(body=self.files[request.match_info["file"]])


def _completion(body: dict[str, Any], text: str) -> dict[str, Any]:
    if "input" in body:
        data = [{"object": "embedding", "index": 0, "embedding": [1.0, 2.0]}]
        return {
            "object": "list",
            "data": data,
            "model": "x",
            "usage": {"prompt_tokens": 5, "total_tokens": 5},
        }
    message = {"role": "assistant", "content": text}
    return {
        "id": "c",
        "object": "chat.completion",
        "created": 1,
        "model": body["model"],
        "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 100, "completion_tokens": 10, "total_tokens": 110},
    }
