"""What an OpenAI-compatible server says, read with suspicion: answers, and why there is none.

Both network transports use these readings, so that they give the same answer and the same error for
the same server. Nothing here trusts a type, a length or a depth.
"""

from __future__ import annotations

import json
import math
import re
import ssl
import time
from collections.abc import Collection, Iterable, Mapping
from datetime import datetime
from email.utils import parsedate_to_datetime
from typing import cast

from msgspec.structs import replace

from ...errors import (
    NoAnswer,
    PromptTooLong,
    ProviderError,
    RateLimited,
    Refused,
    Unauthorized,
    Unavailable,
    Untrusted,
)
from ...schema.lms import SENT
from ...schema.types import JsonValue
from ...schema.usage import Usage
from ...values.values import characters
from ..endpoints import Endpoint
from ..pacing import Quota, Quotas
from ..protocol import Answer, Message, Request, ToolCall

MAX_ANSWER_BYTES = 4 * 1024 * 1024
MAX_CALLS = 100
"""Tools that one answer may call."""

_THOUGHT = re.compile(r"\s*<think(?:ing)?>.*?</think(?:ing)?>", re.DOTALL)
_TAGS = re.compile(r"\s*</?think(?:ing)?>")
_BILLING = re.compile(
    r"insufficient[ _](?:quota|balance|credit|fund)|billing|exceeded your current quota", re.IGNORECASE
)
_UNSUPPORTED = re.compile(
    r"unsupported|not (?:be )?supported|n[o']t support|unrecogni[sz]ed|unknown|unexpected|not (?:allowed|permitted)|"
    r"deprecated|only the default",
    re.IGNORECASE,
)
_NO_FAILURE = re.compile(
    r"unsupported|not (?:be )?supported|n[o']t support|unknown|not implemented", re.IGNORECASE
)
"""What a server that failed by its status says of a parameter that it does not take."""
_FORM = re.compile(
    r"response[ _]?(?:format|schema)|json[ _](?:schema|object|mode)|output[ _]?format|structured[ _]outputs?|guided[ _]",
    re.IGNORECASE,
)
"""What providers call the form of an answer, where they refuse one."""
_SAYS_NOTHING = re.compile(
    r"[\W\d_]*(?:(?:bad|invalid|malformed|unprocessable|unsupported|request|entity|content|media|error|message|detail|code|type|null|an|html|page)"
    r"[\W\d_]*)*",
    re.IGNORECASE,
)
"""An error that tells no more than its status."""
_DEEPEST = 10
"""Errors that are looked at underneath one."""
_LONGEST_TOKEN = 8
"""Characters, on average over a prompt, at the most."""
_MOST_TOKENS = 10**9
"""Who reports more than that for one request reports nothing."""
_DURATION = re.compile(
    r"(?:(\d{1,6})h)?(?:(\d{1,6})m(?!s))?(?:(\d{1,6}(?:\.\d{1,9})?)s)?(?:(\d{1,9}(?:\.\d{1,9})?)ms)?"
)
_TOO_LONG = re.compile(
    r"context[ _](?:length|window|limit|size)|maximum context|(?:prompt|input|request) is too long|"
    r"too many (?:input |prompt )?tokens|reduce the length of|input token count .{0,80}exceeds|"
    r"exceeds the (?:available|maximum) context",
    re.IGNORECASE,
)
STREAMED = ("stream", "stream_options")
"""Parameters of a request whose answer comes in pieces: that it does, and that it ends with what it took."""
_NEEDED = frozenset({"max_tokens", "max_completion_tokens", "model", "messages", "tools"})
OF_LM = frozenset({"temperature", "seed", *SENT})
"""Parameters that stand in an LM under their own names."""
_RETRYABLE_4XX = (408, 409, 425)


def read_answer(body: bytes | str, request: Request, quotas: Quotas | None = None) -> Answer:
    """The answer in a chat completion's body, with what came beside it.

    Raises Unavailable when the body is cut, malformed, too large or empty, Refused when the provider's
    filter withheld the answer: billable, with the usage if the body says it. `cost` is left to the engine.
    """
    try:
        data = _object(body)
    except ProviderError as error:
        raise billable(error) from None
    return answer_in(data, request, quotas)


def answer_in(data: dict[str, JsonValue], request: Request, quotas: Quotas | None = None) -> Answer:
    """As `read_answer`, of a chat completion that was read already."""
    usage = usage_of(data.get("usage"), request)
    try:
        answer = _chat(data, usage, request)
    except ProviderError as error:
        raise billable(error, usage) from None
    return answer if quotas is None else replace(answer, quotas=quotas)


def content(said: JsonValue) -> str:
    """A message's text: a string, or the text parts of a list."""
    if isinstance(said, str):
        return said
    if isinstance(said, list):
        texts = (part.get("text") for part in said if isinstance(part, dict))
        return "".join(text for text in texts if isinstance(text, str))
    return ""


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
    text = content(message.get("content")) or content(message.get("refusal"))
    calls = read_calls(message.get("tool_calls"), request)
    return checked(
        text, finish if isinstance(finish, str) else "stop", usage, request, calls, thought(message)
    )


_THOUGHTS = ("reasoning_content", "reasoning", "reasoning_details", "thinking_blocks", "content")
"""Where servers put what their model thought, the plainest first."""


def thought(message: Mapping[str, JsonValue]) -> str:
    """What a message says that its model thought: a text, or the parts of a list that are thoughts."""
    for name in _THOUGHTS:
        said = message.get(name)
        if isinstance(said, str) and said and name != "content":
            return said
        if isinstance(said, list) and (text := "".join(map(_thought_in, said))):
            return text
    return ""


def _thought_in(part: JsonValue) -> str:
    if not isinstance(part, dict) or part.get("type") not in ("thinking", "reasoning", "reasoning.text"):
        return ""
    said = part.get("thinking") or part.get("text")
    return said if isinstance(said, str) else content(said)


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
    usage: Usage | None = None
    try:
        data = _object(body)
        usage = usage_of(data.get("usage"), request)
        entries = data.get("data")
        entry = entries[0] if isinstance(entries, list) and entries else None
        vector = entry.get("embedding") if isinstance(entry, dict) else None
        return checked_embedding(vector, usage, request)
    except ProviderError as error:
        raise billable(error, usage) from None


def checked_embedding(vector: JsonValue, usage: Usage | None, request: Request) -> Answer:
    """An answer of finite numbers, usage estimated where it is missing."""
    if not isinstance(vector, list) or not vector:
        raise Unavailable("the answer has no embedding")
    numbers = [float(x) for x in vector if isinstance(x, int | float) and math.isfinite(x)]
    if len(numbers) != len(vector):
        raise Unavailable("the embedding is not a list of numbers")
    return Answer(json.dumps(numbers), usage or Usage(estimate_tokens(request.messages), 0, estimated=True))


def checked(
    text: str,
    finish_reason: str,
    usage: Usage | None,
    request: Request,
    calls: tuple[ToolCall, ...] = (),
    reasoning: str = "",
) -> Answer:
    """An answer from its parts, thinking aloud left out, usage estimated where it is missing.

    `reasoning` is what the model thought, where the provider gives it apart from the text: it is billed as well.
    """
    if len(text) > MAX_ANSWER_BYTES:
        raise too_large()
    text = characters(text)
    aloud = _THOUGHT.match(text)
    said = text[aloud.end() :] if aloud else text
    if not said.strip() and finish_reason == "content_filter":
        raise Refused("the provider's content filter withheld the answer")
    if not said.strip() and not calls and finish_reason != "length":
        raise NoAnswer("the answer is empty")
    if usage is None or (usage.estimated and not usage.output_tokens):
        written = "".join((text, reasoning, *(call.arguments for call in calls)))
        inputs = estimate_request(request) if usage is None else usage.input_tokens
        usage = Usage(inputs, estimate_text(written), estimated=True)
    if not request.reasoning:
        return Answer(said, usage, None, finish_reason, calls)
    own = reasoning or (_TAGS.sub("", aloud[0]) if aloud else "")
    return Answer(said, usage, None, finish_reason, calls, characters(own[:MAX_ANSWER_BYTES]).strip())


def may_be_left_out(parameters: Collection[str]) -> list[str]:
    """Those parameters without which the prompt asks for the same: one that a model refuses is left out from then on.

    Tools are none of them: a model that is not told of them by its provider's means must be told in the prompt.
    """
    return [name for name in parameters if name not in _NEEDED]


def failure(
    status: int,
    message: str,
    endpoint: Endpoint,
    retry_after: float | None = None,
    sent: Collection[str] = (),
) -> ProviderError:
    """The error for an answer with an HTTP status that is no success; `sent` are parameters that it may be about."""
    said = endpoint.scrub(message) or "no explanation"
    # Google words its limits per minute as others word an empty account
    per_minute = endpoint.provider in ("gemini", "vertex_ai")
    if status == 402 or (status in (403, 429) and not per_minute and _BILLING.search(message)):
        return Unauthorized(f"no credit left ({status}): {said}", help="check the billing of this key")
    if status in (401, 403):
        return Unauthorized(f"the key was not accepted ({status}): {said}", help=endpoint.key_hint)
    if status == 429:
        return RateLimited(f"too many requests (429): {said}", retry_after=retry_after)
    says = _UNSUPPORTED if status < 500 else _NO_FAILURE if status in (500, 501) else None
    unsupported = _parameter(message, sent) if says is not None and says.search(message[:4096]) else ""
    if status in _RETRYABLE_4XX or (status >= 500 and not unsupported):
        failed = Unavailable(f"the server failed ({status}): {said}")
        failed.retry_after = retry_after
        return failed
    if status in (400, 413, 422) and _TOO_LONG.search(message[:4096]):
        return PromptTooLong(
            f"the prompt is longer than the model takes ({status}): {said}",
            help="show fewer or shorter demos, or choose a model with a longer context",
        )
    advice = "check `model` and `api_base`" if status == 404 or 300 <= status < 400 else ""
    refused = Refused(f"the request was refused ({status}): {said}", help=advice)
    refused.parameter = unsupported
    if not unsupported and "response_format" in sent and _FORM.search(message[:4096]):
        refused.parameter = "response_format"  # of this prompt's schema, perhaps; the prompt says it all
    refused.unexplained = status in (400, 415, 422) and _SAYS_NOTHING.fullmatch(message[:4096]) is not None
    return refused


def _parameter(message: str, sent: Collection[str]) -> str:
    """The parameter among those `sent` that a message names first; empty where it names none."""
    named = {name: re.search(rf"\b{re.escape(name)}\b", message) for name in sent}
    found = [(place.start(), name) for name, place in named.items() if place is not None]
    return min(found, default=(0, ""))[1]


def untrusted(problem: Exception, endpoint: Endpoint) -> Untrusted | None:
    """The error for a connection that the server's certificate ended; None where something else did."""
    cause: BaseException | None = problem
    for _ in range(_DEEPEST):
        if cause is None:
            return None
        if isinstance(cause, ssl.SSLCertVerificationError):
            said = endpoint.scrub(getattr(cause, "verify_message", "") or str(cause))
            return Untrusted(
                f"the server's certificate is not accepted: {said}",
                help="check `api_base` and the clock; SSL_CERT_FILE names the certificates to trust",
            )
        cause = cause.__cause__ or cause.__context__ or getattr(cause, "certificate_error", None)
    return None


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


def usage_in_error(body: bytes, request: Request) -> Usage | None:
    """What an answer with an error status says that it took, beside the error or in it; None where it says nothing."""
    if len(body) > MAX_ANSWER_BYTES or b'"usage"' not in body:
        return None
    try:
        data = cast("JsonValue", json.loads(body))
    except (ValueError, RecursionError):
        return None
    for holder in (data, data.get("error") if isinstance(data, dict) else None):
        if isinstance(holder, dict) and (usage := usage_of(holder.get("usage"), request)) is not None:
            return usage
    return None


def read_retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds to wait by `retry-after-ms` or `retry-after` (seconds or a date); None if unsaid or odd."""
    milliseconds = _seconds(headers.get("retry-after-ms"))
    if milliseconds is not None:
        return milliseconds / 1000
    value = headers.get("retry-after")
    seconds = _seconds(value)
    if seconds is not None:
        return seconds
    if value is None:
        return _until_left(read_quotas(headers))
    try:
        return max(0.0, parsedate_to_datetime(value).timestamp() - time.time())
    except (ValueError, OverflowError):
        return None


def _until_left(quotas: Quotas | None) -> float | None:
    """The wait that a refusal's quotas tell of: until what is used up is whole again."""
    each = () if quotas is None else (quotas.requests, quotas.tokens)
    return max((quota.seconds for quota in each if quota is not None and quota.left < 1), default=None)


def read_quotas(headers: Mapping[str, str]) -> Quotas | None:
    """What is left of the provider's limits, by the headers of OpenAI and the many who follow it, or Anthropic's."""
    if "ratelimit" not in " ".join(headers):
        return None
    requests, tokens = (
        _quota(headers, f"x-ratelimit-{{}}-{what}") or _quota(headers, f"anthropic-ratelimit-{what}-{{}}")
        for what in ("requests", "tokens")
    )
    return Quotas(requests, tokens) if requests or tokens else None


def _quota(headers: Mapping[str, str], name: str) -> Quota | None:
    left = _seconds(headers.get(name.format("remaining")))
    again = headers.get(name.format("reset"))
    if left is None or again is None:
        return None
    seconds = _duration(again)
    return None if seconds is None else Quota(left, seconds, _seconds(headers.get(name.format("limit"))))


def _duration(text: str) -> float | None:
    """Seconds in `90`, `20ms`, `1m30.5s`, or until a date like `2026-01-01T00:00:00Z`."""
    if (number := _seconds(text)) is not None:
        return number
    parts = _DURATION.fullmatch(text.strip())
    if parts is not None and any(parts.groups()):
        hours, minutes, seconds, milliseconds = (float(part or 0) for part in parts.groups())
        return 3600 * hours + 60 * minutes + seconds + milliseconds / 1000
    try:
        return max(0.0, datetime.fromisoformat(text.strip()).timestamp() - time.time())
    except (ValueError, OverflowError):
        return None


FRAME = 20
"""Bytes that a message counts for besides its text, in a bound that takes every byte for a token."""


def estimate_tokens(messages: Iterable[Message], model: str = "") -> int:
    """A prompt's tokens where nobody counted: four bytes each, and four for every message's frame. Of what is attached a
    quarter of the most, as of texts."""
    return sum(4 + estimate_text(message.content) + _attached(message, model) for message in messages)


def _attached(message: Message, model: str) -> int:
    return sum(math.ceil(one.medium.tokens(model) / 4) for one in message.attached)


def estimate_request(request: Request) -> int:
    """A request's tokens where nobody counted: its messages, and the tools that it tells of."""
    tools = "".join(json.dumps(tool.as_json(), ensure_ascii=False) for tool in request.tools)
    return estimate_tokens(request.messages, request.lm.model) + estimate_text(tools)


def estimate_text(text: str) -> int:
    return math.ceil(len(text.encode(errors="replace")) / 4)


def usage_of(reported: JsonValue, request: Request) -> Usage | None:
    """The tokens that are billed by a provider's report; None where it says nothing that can be used.

    What a model thinks is billed as output, and input that was cached is still input, but servers differ in what they
    count these under: where a part is more than what it should be part of, or the total more than both, it comes on top. A
    total alone is taken for output but for the least that the prompt can have been, since output is dearer.
    """
    if not isinstance(reported, dict):
        return None
    inputs = _first(reported, "prompt_tokens", "input_tokens")
    outputs = _first(reported, "completion_tokens", "output_tokens")
    total = _count(reported.get("total_tokens"))
    # Anthropic's own names: what was cached is not among the input
    aside = sum(
        _count(reported.get(name)) or 0 for name in ("cache_read_input_tokens", "cache_creation_input_tokens")
    )
    cached = max(aside, _part(reported, ("prompt_tokens_details", "input_tokens_details"), "cached_tokens"))
    thought = _part(reported, ("completion_tokens_details", "output_tokens_details"), "reasoning_tokens")
    if inputs is not None and (cached > inputs or (aside and "prompt_tokens" not in reported)):
        inputs += cached
    if outputs is not None and thought > outputs:
        outputs += thought
    estimated = False
    if request.kind == "embedding":
        inputs, outputs = total if inputs is None else inputs, 0
    elif total is not None:
        if inputs is None:
            inputs = max(0, total - outputs) if outputs is not None else min(total, _least(request))
        outputs = max(outputs or 0, total - inputs)
    elif outputs is None or inputs is None:
        estimated = True
        inputs = inputs or (estimate_request(request) if outputs is not None else None)
    if inputs is None or not inputs + (outputs or 0):
        return None
    return Usage(inputs, outputs or 0, estimated)


def _least(request: Request) -> int:
    """The least tokens that a request's prompt can have been."""
    return sum(len(message.text) for message in request.messages) // _LONGEST_TOKEN


def _first(reported: Mapping[str, JsonValue], *names: str) -> int | None:
    for name in names:
        if name in reported and (count := _count(reported[name])) is not None:
            return count
    return None


def _part(reported: Mapping[str, JsonValue], names: Iterable[str], part: str) -> int:
    most = 0
    for name in names:
        details = reported.get(name)
        if isinstance(details, dict) and part in details:
            most = max(most, _count(details[part]) or 0)
    return most


def _count(value: JsonValue) -> int | None:
    """A number of tokens; None for whatever is none."""
    if type(value) is int:
        return value if 0 <= value <= _MOST_TOKENS else None
    if not isinstance(value, float) or not 0 <= value <= _MOST_TOKENS:
        return None
    return int(value)


def _seconds(value: str | None) -> float | None:
    try:
        seconds = float(value or "")
    except ValueError:
        return None
    return seconds if math.isfinite(seconds) and seconds >= 0 else None
