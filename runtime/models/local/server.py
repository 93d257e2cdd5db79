"""Serves one checkpoint over HTTP as OpenAI's chat completions, for whoever is to ask it from another process.

It is as small as a server may be: one answer at a time, on loopback, without keys. vLLM, SGLang and Ollama serve many at once.
What is asked is bounded, and a request that cannot be read is refused with its reason.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

from aiohttp import web

from ...errors import ConfigurationError, DspecError, PromptTooLong, Refused
from ...schema.lms import LM
from ..checkpoints import PREFIX, digest_of, know
from ..protocol import Answer, Message, Request
from .transport import LocalTransport

MAX_BODY = 4 << 20
MAX_MESSAGES = 1_000
MAX_TOKENS = 1 << 20
_ROLES = ("system", "user", "assistant")


class _BadRequest(Exception):
    """What of a request cannot be read, as a sentence."""


def served(folder: Path, name: str) -> web.Application:
    """The application that serves the checkpoint in `folder` as the model `name`. Raises ConfigurationError where it is none."""
    digest = digest_of(folder)
    model = f"{PREFIX}served-{digest[:16]}"
    know(model, folder)
    transport = LocalTransport()

    async def completions(asked: web.Request) -> web.StreamResponse:
        try:
            body = _object(await asked.read())
            request = _request(body, model)
        except _BadRequest as problem:
            return _error(400, str(problem), "invalid_request_error")
        try:
            answer = await transport.complete(request)
        except PromptTooLong as error:
            return _error(400, error.message, "context_length_exceeded")
        except Refused as error:
            return _error(400, error.message, "invalid_request_error")
        except ConfigurationError as error:
            return _error(500, error.message, "server_error")
        except DspecError as error:
            return _error(503, error.message, "server_error")
        if body.get("stream") is True:
            return await _streamed(asked, answer, name, body)
        return web.json_response(_completion(answer, name))

    async def models(_: web.Request) -> web.Response:
        return web.json_response(
            {"object": "list", "data": [{"id": name, "object": "model", "created": 0, "owned_by": "dspec"}]}
        )

    async def health(_: web.Request) -> web.Response:
        return web.json_response({"status": "ok", "model": name, "sha256": digest})

    application = web.Application(client_max_size=MAX_BODY)
    application.add_routes(
        [
            web.post("/v1/chat/completions", completions),
            web.get("/v1/models", models),
            web.get("/health", health),
        ]
    )
    return application


def _object(data: bytes) -> dict[str, Any]:
    try:
        body: object = json.loads(data)
    except (ValueError, RecursionError):
        raise _BadRequest("the body is not JSON") from None
    if not isinstance(body, dict):
        raise _BadRequest("the body is not a JSON object")
    return cast("dict[str, Any]", body)


def _request(body: Mapping[str, Any], model: str) -> Request:
    given: object = body.get("messages")
    if not isinstance(given, list) or not given:
        raise _BadRequest("`messages` is not a list of messages")
    listed = cast("list[object]", given)
    if len(listed) > MAX_MESSAGES:
        raise _BadRequest(f"`messages` has more than {MAX_MESSAGES:,}")
    if body.get("n") not in (None, 1):
        raise _BadRequest("`n` is more than 1, and one answer is given")
    stop: object = body.get("stop")
    stops = [stop] if isinstance(stop, str) else stop
    if stops is not None and not (
        isinstance(stops, list) and all(isinstance(one, str) and one for one in cast("list[object]", stops))
    ):
        raise _BadRequest("`stop` is neither a text nor a list of texts")
    named = body.get("max_completion_tokens") is not None
    most = _number(body, "max_completion_tokens" if named else "max_tokens", 1, MAX_TOKENS, whole=True)
    seed = _number(body, "seed", -(2**63), 2**63, whole=True)
    top_k = _number(body, "top_k", 1, 1_000_000, whole=True)
    lm = LM(
        name="served",
        retry_said=False,
        model=model,
        max_tokens=None if most is None else int(most),
        temperature=_number(body, "temperature", 0, 100),
        top_p=_number(body, "top_p", 0, 1),
        top_k=None if top_k is None else int(top_k),
        seed=None if seed is None else int(seed),
        stop=tuple(cast("list[str]", stops)) if stops else None,
    )
    return Request(lm, tuple(_message(place, one) for place, one in enumerate(listed)))


def _message(place: int, given: object) -> Message:
    if not isinstance(given, dict):
        raise _BadRequest(f"`messages[{place}]` is no object")
    found = cast("dict[str, object]", given)
    role, content = found.get("role"), found.get("content")
    if role == "developer":
        role = "system"
    if role not in _ROLES:
        raise _BadRequest(f"`messages[{place}].role` is none of {', '.join(_ROLES)}")
    if isinstance(content, list):
        parts = [
            cast("dict[str, object]", one) for one in cast("list[object]", content) if isinstance(one, dict)
        ]
        texts = [
            one["text"] for one in parts if one.get("type") == "text" and isinstance(one.get("text"), str)
        ]
        if len(texts) != len(cast("list[object]", content)):
            raise _BadRequest(f"`messages[{place}].content` has parts that are no text")
        content = "".join(cast("list[str]", texts))
    if not isinstance(content, str):
        raise _BadRequest(f"`messages[{place}].content` is no text")
    return Message(role, content)


def _number(
    body: Mapping[str, Any], name: str, low: float, high: float, *, whole: bool = False
) -> float | None:
    value: object = body.get(name)
    if value is None:
        return None
    if isinstance(value, int | float) and not isinstance(value, bool):
        number = float(value)
        if math.isfinite(number) and low <= number <= high and (not whole or number == int(number)):
            return value
    raise _BadRequest(f"`{name}` must be a {'whole ' if whole else ''}number in {low:g}..{high:g}")


def _usage(answer: Answer) -> dict[str, int]:
    read, written = answer.usage.input_tokens, answer.usage.output_tokens
    return {"prompt_tokens": read, "completion_tokens": written, "total_tokens": read + written}


def _completion(answer: Answer, name: str) -> dict[str, Any]:
    message = {"role": "assistant", "content": answer.text}
    choice = {"index": 0, "message": message, "finish_reason": answer.finish_reason}
    return {
        "id": "chatcmpl-local",
        "object": "chat.completion",
        "created": int(time.time()),
        "model": name,
        "choices": [choice],
        "usage": _usage(answer),
    }


async def _streamed(
    asked: web.Request, answer: Answer, name: str, body: Mapping[str, Any]
) -> web.StreamResponse:
    """The answer as a stream of one piece: whoever reads streams reads it."""
    response = web.StreamResponse(headers={"content-type": "text/event-stream", "cache-control": "no-cache"})
    await response.prepare(asked)
    head = {
        "id": "chatcmpl-local",
        "object": "chat.completion.chunk",
        "created": int(time.time()),
        "model": name,
    }
    delta = {"role": "assistant", "content": answer.text}
    chunks: list[dict[str, Any]] = [
        {**head, "choices": [{"index": 0, "delta": delta, "finish_reason": None}]},
        {**head, "choices": [{"index": 0, "delta": {}, "finish_reason": answer.finish_reason}]},
    ]
    options: object = body.get("stream_options")
    if isinstance(options, dict) and cast("dict[str, object]", options).get("include_usage"):
        chunks.append({**head, "choices": [], "usage": _usage(answer)})
    for chunk in chunks:
        await response.write(f"data: {json.dumps(chunk)}\n\n".encode())
    await response.write(b"data: [DONE]\n\n")
    await response.write_eof()
    return response


def _error(status: int, message: str, kind: str) -> web.Response:
    return web.json_response({"error": {"message": message, "type": kind, "code": kind}}, status=status)
