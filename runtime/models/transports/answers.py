"""What an OpenAI-compatible server says, read with suspicion: answers, and why there is none.

Both network transports use these readings, so that they give the same answer and the same error for
the same server. Nothing here trusts a type, a length or a depth.
"""

from __future__ import annotations

import json
import math
import re
import time
from collections.abc import Iterable, Mapping
from email.utils import parsedate_to_datetime
from typing import cast

from ...errors import PromptTooLong, ProviderError, RateLimited, Refused, Unauthorized, Unavailable
from ...schema.types import JsonValue
from ...schema.usage import Usage
from ..endpoints import Endpoint
from ..protocol import Answer, Message, Request, ToolCall

MAX_ANSWER_BYTES = 4 * 1024 * 1024
MAX_CALLS = 100
"""Tools that one answer may call."""

_THOUGHT = re.compile(r"\s*<think(?:ing)?>.*?</think(?:ing)?>", re.DOTALL)
_BILLING = re.compile(
    r"insufficient[ _](?:quota|balance|credit|fund)|billing|exceeded your current quota", re.IGNORECASE
)
_TOO_LONG = re.compile(
    r"context[ _](?:length|window|limit|size)|maximum context|(?:prompt|input|request) is too long|"
    r"too many (?:input |prompt )?tokens|reduce the length of|input token count .{0,80}exceeds|"
    r"exceeds the (?:available|maximum) context",
    re.IGNORECASE,
)
_RETRYABLE_4XX = (408, 409, 425)


def read_answer(body: bytes | str, request: Request) -> Answer:
    """The answer in a chat completion's body.

    Raises Unavailable when the body is cut, malformed, too large or empty, Refused when the provider's
    filter withheld the answer: billable, with the usage if the body says it. `cost` is left to the engine.
    """
    usage: Usage | None = None
    try:
        data = _object(body)
        usage = _usage(data.get("usage"))
        return _chat(data, usage, request)
    except ProviderError as error:
        raise billable(error, usage) from None


def billable(error: ProviderError, usage: Usage | None = None) -> ProviderError:
    """The error, marked as one that came after the model was asked."""
    error.billable = True
    error.usage = usage
    return error


def _object(body: bytes | str) -> dict[str, JsonValue]:
    if len(body) > MAX_ANSWER_BYTES:
        raise too_large()
    try:
        data = cast("JsonValue", json.loads(body))
    except (ValueError, RecursionError):
        raise Unavailable("the body is not JSON, or was cut") from None
    if not isinstance(data, dict):
        raise Unavailable("the body is not an object")
    return data


def _chat(data: dict[str, JsonValue], usage: Usage | None, request: Request) -> Answer:
    choices = data.get("choices")
    if not isinstance(choices, list) or not choices:
        if (error := data.get("error")) is not None:
            raise Unavailable(f"an error with status 200: {json.dumps(error)[:200]}")
        raise Unavailable("the answer has no choices")
    choice = choices[0]
    message = choice.get("message") if isinstance(choice, dict) else None
    if not isinstance(choice, dict) or not isinstance(message, dict):
        raise Unavailable("the answer has no message")
    finish = choice.get("finish_reason")
    text = _content(message.get("content")) or _content(message.get("refusal"))
    calls = read_calls(message.get("tool_calls"), request)
    return checked(text, finish if isinstance(finish, str) else "stop", usage, request, calls)


def read_calls(calls: JsonValue, request: Request) -> tuple[ToolCall, ...]:
    """The tools that a message calls; none where the request has none. What has no name or no text is no call."""
    found: list[ToolCall] = []
    for call in calls if request.tools and isinstance(calls, list) else ():
        function = call.get("function") if isinstance(call, dict) else None
        if not isinstance(function, dict):
            continue
        name, arguments = function.get("name"), function.get("arguments")
        if isinstance(arguments, dict):  # some servers send the value itself
            arguments = json.dumps(arguments)
        if isinstance(name, str) and isinstance(arguments, str | None):
            found.append(ToolCall(name[:200], (arguments or "{}")[:MAX_ANSWER_BYTES]))
    return tuple(found[:MAX_CALLS])


def read_embedding(body: bytes | str, request: Request) -> Answer:
    """The vector in an embedding's body, as the text of an answer. Raises Unavailable, billable, without one."""
    tokens: JsonValue = None
    try:
        data = _object(body)
        usage = data.get("usage")
        tokens = usage.get("prompt_tokens") if isinstance(usage, dict) else None
        entries = data.get("data")
        entry = entries[0] if isinstance(entries, list) and entries else None
        vector = entry.get("embedding") if isinstance(entry, dict) else None
        return checked_embedding(vector, tokens, request)
    except ProviderError as error:
        raise billable(error, usage_of(tokens, 0)) from None


def checked_embedding(vector: JsonValue, tokens: JsonValue, request: Request) -> Answer:
    """An answer of finite numbers, usage estimated where it is missing."""
    if not isinstance(vector, list) or not vector:
        raise Unavailable("the answer has no embedding")
    numbers = [float(x) for x in vector if isinstance(x, int | float) and math.isfinite(x)]
    if len(numbers) != len(vector):
        raise Unavailable("the embedding is not a list of numbers")
    usage = usage_of(tokens, 0) or Usage(estimate_tokens(request.messages), 0, estimated=True)
    return Answer(json.dumps(numbers), usage)


def checked(
    text: str, finish_reason: str, usage: Usage | None, request: Request, calls: tuple[ToolCall, ...] = ()
) -> Answer:
    """An answer from its parts, thinking aloud left out, usage estimated where it is missing."""
    if len(text) > MAX_ANSWER_BYTES:
        raise too_large()
    thought = _THOUGHT.match(text)
    said = text[thought.end() :] if thought else text
    if not said.strip() and finish_reason == "content_filter":
        raise Refused("the provider's content filter withheld the answer")
    if not said.strip() and not calls and finish_reason != "length":
        raise Unavailable("the answer is empty")
    if usage is None:
        written = "".join((said, *(call.arguments for call in calls)))
        usage = Usage(estimate_request(request), estimate_text(written), estimated=True)
    return Answer(said, usage, None, finish_reason, calls)


def failure(status: int, message: str, endpoint: Endpoint, retry_after: float | None = None) -> ProviderError:
    """The error for an answer with an HTTP status that is not 200."""
    said = endpoint.scrub(message) or "no explanation"
    # Google words its limits per minute as others word an empty account
    per_minute = endpoint.provider in ("gemini", "vertex_ai")
    if status == 402 or (status in (403, 429) and not per_minute and _BILLING.search(message)):
        return Unauthorized(f"no credit left ({status}): {said}", help="check the billing of this key")
    if status in (401, 403):
        return Unauthorized(f"the key was not accepted ({status}): {said}", help=endpoint.key_hint)
    if status == 429:
        return RateLimited(f"too many requests (429): {said}", retry_after=retry_after)
    if status in _RETRYABLE_4XX or status >= 500:
        return Unavailable(f"the server failed ({status}): {said}")
    if status in (400, 413, 422) and _TOO_LONG.search(message[:4096]):
        return PromptTooLong(
            f"the prompt is longer than the model takes ({status}): {said}",
            help="show fewer or shorter demos, or choose a model with a longer context",
        )
    advice = "check `model` and `api_base`" if status == 404 or 300 <= status < 400 else ""
    return Refused(f"the request was refused ({status}): {said}", help=advice)


def too_large() -> Unavailable:
    return Unavailable(f"the answer is larger than {MAX_ANSWER_BYTES // 1024 // 1024} MB")


def error_text(body: bytes) -> str:
    """The provider's words in an error body: `error.message` with its code, or the start of the text."""
    text = body[:4096].decode(errors="replace")
    try:
        data = cast("JsonValue", json.loads(body))
    except (ValueError, RecursionError):
        return "an HTML page" if text.lstrip()[:1] == "<" else text
    error = data.get("error", data) if isinstance(data, dict) else data
    if not isinstance(error, dict):
        return str(error)[:4096]
    parts = [error.get("message") or error.get("detail"), error.get("code") or error.get("type")]
    return " · ".join(str(part)[:2048] for part in parts if part) or text


def read_retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds to wait by `retry-after-ms` or `retry-after` (seconds or a date); None if unsaid or odd."""
    milliseconds = _seconds(headers.get("retry-after-ms"))
    if milliseconds is not None:
        return milliseconds / 1000
    value = headers.get("retry-after")
    seconds = _seconds(value)
    if seconds is not None or value is None:
        return seconds
    try:
        return max(0.0, parsedate_to_datetime(value).timestamp() - time.time())
    except (ValueError, OverflowError):
        return None


def estimate_tokens(messages: Iterable[Message]) -> int:
    """A prompt's tokens where nobody counted: four bytes each, and four for every message's frame."""
    return sum(4 + estimate_text(message.content) for message in messages)


def estimate_request(request: Request) -> int:
    """A request's tokens where nobody counted: its messages, and the tools that it tells of."""
    tools = "".join(json.dumps(tool.as_json(), ensure_ascii=False) for tool in request.tools)
    return estimate_tokens(request.messages) + estimate_text(tools)


def estimate_text(text: str) -> int:
    return math.ceil(len(text.encode(errors="replace")) / 4)


def _content(content: JsonValue) -> str:
    """A message's text: a string, or the text parts of a list."""
    if isinstance(content, str):
        return content
    if isinstance(content, list):
        texts = (part.get("text") for part in content if isinstance(part, dict))
        return "".join(text for text in texts if isinstance(text, str))
    return ""


def _usage(usage: JsonValue) -> Usage | None:
    """Reported counts; None when they are missing, odd or all zero."""
    if not isinstance(usage, dict):
        return None
    return usage_of(usage.get("prompt_tokens"), usage.get("completion_tokens"))


def usage_of(input_tokens: JsonValue, output_tokens: JsonValue) -> Usage | None:
    """Reported counts; None when one is missing or odd, or both are zero."""
    if not isinstance(input_tokens, int) or not isinstance(output_tokens, int):
        return None
    if input_tokens < 0 or output_tokens < 0 or input_tokens + output_tokens == 0:
        return None
    return Usage(int(input_tokens), int(output_tokens))


def _seconds(value: str | None) -> float | None:
    try:
        seconds = float(value or "")
    except ValueError:
        return None
    return seconds if math.isfinite(seconds) and seconds >= 0 else None
