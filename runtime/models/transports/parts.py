"""Messages as they are sent: a text as it is, and content parts of OpenAI's chat format where media are attached.

Both transports send the same parts; LiteLLM translates them for other providers. Bytes are read here, as the request leaves,
and off the event loop.
"""

from __future__ import annotations

import asyncio
import base64

from ...errors import Refused
from ...schema.types import JsonValue
from ...values.media import MAX_REQUEST_BYTES, Medium, content
from ..protocol import Message, Request

_FORMATS = {
    "audio/wav": "wav",
    "audio/mpeg": "mp3",
    "audio/flac": "flac",
    "audio/ogg": "ogg",
    "audio/mp4": "m4a",
}
"""What a part calls the types of audio."""
_NAMES = {"application/pdf": "file.pdf", "text/plain": "file.txt"}
"""A file's name tells its type and nothing else: what it was called is nothing that an answer should depend on."""


async def messages_of(request: Request) -> list[JsonValue]:
    """The request's messages. Raises Refused for more than a request may carry, ConfigurationError where bytes are not
    there any more."""
    media = [one.medium for message in request.messages for one in message.attached]
    size = sum(one.bytes for one in media)
    if size > MAX_REQUEST_BYTES:
        most = MAX_REQUEST_BYTES // 1024**2
        raise Refused(
            f"the prompt carries {size / 1024**2:.1f} MB of media, and {most} MB are the most that is sent",
            help="give smaller files, or show fewer demos",
        )
    if any(one.bytes for one in media):
        return await asyncio.to_thread(_messages, request)
    return _messages(request)


def _messages(request: Request) -> list[JsonValue]:
    return [{"role": message.role, "content": content_of(message)} for message in request.messages]


def content_of(message: Message) -> JsonValue:
    if not message.attached:
        return message.content
    parts: list[JsonValue] = []
    for piece in message.pieces():
        if isinstance(piece, Medium):
            parts.append(_part(piece))
        elif piece.strip():  # some providers refuse parts of blanks
            parts.append({"type": "text", "text": piece})
    return parts


def _part(one: Medium) -> JsonValue:
    match one.kind:
        case "image":
            return {"type": "image_url", "image_url": {"url": one.url or _data_url(one)}}
        case "audio":
            return {
                "type": "input_audio",
                "input_audio": {"data": _base64(one), "format": _FORMATS[one.type]},
            }
        case "file" if one.url:
            return {"type": "file", "file": {"file_id": one.url}}
        case "file":
            return {"type": "file", "file": {"filename": _NAMES[one.type], "file_data": _data_url(one)}}


def _data_url(one: Medium) -> str:
    return f"data:{one.type};base64,{_base64(one)}"


def _base64(one: Medium) -> str:
    return base64.b64encode(content(one)).decode("ascii")
