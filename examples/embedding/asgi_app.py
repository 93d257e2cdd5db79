"""A web service on the bare ASGI protocol: any server runs it (`uvicorn asgi_app:app`), and any framework has its shape.

`POST /desk` answers with JSON, `POST /desk/stream` with server-sent events while the model writes.
"""

import json
from collections.abc import Awaitable, Callable, MutableMapping
from pathlib import Path
from typing import Any

from desk import Desk

from dspec import FieldValue, StreamEvent, TextPiece, errors, load

Message = MutableMapping[str, Any]
ARTIFACT = Path(__file__).parent / "compiled" / "desk_v1.dspc.json"
desk = load(ARTIFACT, Desk)
"""Loaded once, for all requests. Connections are opened by the first call: in each worker of a server that forks."""


async def app(
    scope: Message, receive: Callable[[], Awaitable[Message]], send: Callable[[Message], Awaitable[None]]
) -> None:
    if scope["type"] != "http":
        return
    text = str(json.loads(await _body(receive))["message"])
    try:
        if scope["path"] == "/desk/stream":
            await _begin(send, 200, "text/event-stream")
            async with desk.astream(message=text, timeout=60) as stream:
                async for event in stream:
                    await send({"type": "http.response.body", "body": _sse(event), "more_body": True})
            await send({"type": "http.response.body", "body": b""})
            return
        result = await desk.acall(message=text, timeout=60)
        status, said = 200, {"team": result.team, "urgent": result.urgent, "call": result.call_id}
    except errors.DspecError as error:
        status, said = 422 if isinstance(error, errors.InputError) else 503, {"error": error.message}
    await _begin(send, status, "application/json")
    await send({"type": "http.response.body", "body": json.dumps(said).encode()})


async def _body(receive: Callable[[], Awaitable[Message]]) -> bytes:
    body, more = b"", True
    while more:
        message = await receive()
        body += message.get("body", b"")
        more = message.get("more_body", False)
    return body


async def _begin(send: Callable[[Message], Awaitable[None]], status: int, kind: str) -> None:
    headers = [(b"content-type", kind.encode())]
    await send({"type": "http.response.start", "status": status, "headers": headers})


def _sse(event: StreamEvent) -> bytes:
    """A page adds up the pieces of a field, and forgets it where it is withdrawn."""
    match event:
        case TextPiece(text=text):
            told = {"field": event.field, "text": text}
        case FieldValue(value=value):
            told = {"field": event.field, "value": value}
        case _:
            told = {"field": event.field, "withdrawn": True}
    return b"data: " + json.dumps(told).encode() + b"\n\n"
