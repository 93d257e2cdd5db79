"""Puts an answer together that comes in pieces: the chunks of a streamed chat completion, as the body it would have been.

What a server streams is read with the same suspicion as a body, and makes the same answer and the same errors: a stream
that is cut, holds no JSON or tells of an error is an attempt that failed.
"""

from __future__ import annotations

import json
from typing import cast

from ...errors import ProviderError, Unavailable
from ...schema.types import JsonValue
from ..pacing import Quotas
from ..protocol import Answer, Hearing, Request
from .answers import MAX_ANSWER_BYTES, MAX_CALLS, answer_in, billable, content, too_large, usage_of

EVENT_STREAM = "text/event-stream"
MAX_STREAM_BYTES = 16 * MAX_ANSWER_BYTES
"""Of all that a stream says around its answer: a chunk is a token or so, and some 250 bytes."""
_TEXTS = ("refusal", "reasoning_content", "reasoning")
_LISTS = ("reasoning_details", "thinking_blocks")
_DONE = "[DONE]"


class StreamedAnswer:
    """An answer so far. `heard` is told of its text as it comes."""

    def __init__(self, request: Request, heard: Hearing) -> None:
        self._request = request
        self._heard = heard
        self._rest = b""
        """Of a line whose end has not come."""
        self._data: list[str] = []
        """Lines of an event whose end has not come."""
        self._parts: list[JsonValue] = []
        self._texts: dict[str, list[str]] = {}
        self._lists: dict[str, list[JsonValue]] = {}
        self._calls: dict[int, dict[str, str]] = {}
        self._finish: str | None = None
        self._usage: JsonValue = None
        self._size = 0
        self._whole = False
        self._problem: ProviderError | None = None

    def feed(self, data: bytes) -> bool:
        """Takes bytes of the stream. Returns whether the answer is over, well or not: nothing that follows counts."""
        *lines, self._rest = (self._rest + data).split(b"\n")
        if len(self._rest) > MAX_ANSWER_BYTES:
            self._problem = too_large()
        for line in lines:
            if self._over:
                break
            self._line(line.rstrip(b"\r").decode(errors="replace"))
        return self._over

    def chunk(self, found: JsonValue) -> None:
        """Takes one chunk of the answer."""
        if not isinstance(found, dict):
            self._problem = Unavailable("a part of the stream is not an object")
            return
        if (usage := found.get("usage")) is not None:
            self._usage = usage
        if (error := found.get("error")) is not None:
            self._problem = Unavailable(f"an error in the stream: {json.dumps(error)[:200]}")
            return
        choices = found.get("choices")
        choice = choices[0] if isinstance(choices, list) and choices else None
        if not isinstance(choice, dict) or choice.get("index") not in (0, None):
            return
        if isinstance(finish := choice.get("finish_reason"), str):
            self._finish = finish
        delta = choice.get("delta") or choice.get("message")
        if isinstance(delta, dict):
            self._add(delta)

    @property
    def empty(self) -> bool:
        """Whether nothing of an answer has come."""
        return not (self._parts or self._texts or self._lists or self._calls or self._finish)

    def unreported(self) -> None:
        """What was said of the usage is nothing that the provider said."""
        self._usage = None

    def answer(self, quotas: Quotas | None = None) -> Answer:
        """The whole answer. Raises what `read_answer` raises, and Unavailable, billable, for a stream without its end."""
        if self._rest.strip() and not self._over:
            self._line(self._rest.decode(errors="replace"))
        self._event()
        problem = self._problem
        if problem is None and self._finish is None and not self._whole:
            problem = Unavailable("the stream was cut")
        if problem is not None:
            raise billable(problem, usage_of(self._usage, self._request))
        message: dict[str, JsonValue] = {"content": self._content()}
        message |= {name: "".join(pieces) for name, pieces in self._texts.items()}
        message |= self._lists
        if self._calls:
            message["tool_calls"] = [{"function": dict(call)} for _, call in sorted(self._calls.items())]
        choice: JsonValue = {"message": message, "finish_reason": self._finish}
        return answer_in({"choices": [choice], "usage": self._usage}, self._request, quotas)

    @property
    def _over(self) -> bool:
        return self._whole or self._problem is not None

    def _line(self, line: str) -> None:
        if not line:
            self._event()
        elif line.startswith("data:"):
            self._data.append(line[5:].removeprefix(" "))

    def _event(self) -> None:
        if not self._data or self._over:
            return
        text = "\n".join(self._data)
        self._data.clear()
        if text.strip() == _DONE:
            self._whole = True
            return
        try:
            found = cast("JsonValue", json.loads(text))
        except (ValueError, RecursionError):
            self._problem = Unavailable("a part of the stream is not JSON, or was cut")
            return
        self.chunk(found)

    def _add(self, delta: dict[str, JsonValue]) -> None:
        said = delta.get("content")
        if isinstance(said, str) and said:
            self._parts.append({"type": "text", "text": said})
        elif isinstance(said, list):
            self._parts += said
        for name in _TEXTS:
            if isinstance(more := delta.get(name), str):
                self._texts.setdefault(name, []).append(more)
                self._size += len(more)
        for name in _LISTS:
            if isinstance(more := delta.get(name), list):
                self._lists.setdefault(name, []).extend(more)
        calls = delta.get("tool_calls")
        for call in calls if isinstance(calls, list) else ():
            self._call(call)
        piece = content(said)
        self._size += len(piece)
        if self._size > MAX_ANSWER_BYTES:
            self._problem = too_large()
        elif piece:
            self._heard.said(piece)

    def _call(self, call: JsonValue) -> None:
        """A tool's call comes in pieces, too, each with the number of its call."""
        function = call.get("function") if isinstance(call, dict) else None
        if not isinstance(call, dict) or not isinstance(function, dict):
            return
        number = call.get("index")
        number = number if isinstance(number, int) else len(self._calls)
        if number not in self._calls and len(self._calls) >= MAX_CALLS:
            return
        known = self._calls.setdefault(number, {})
        for name in ("name", "arguments"):
            more = function.get(name)
            if isinstance(more, dict):
                more = json.dumps(more)
            if isinstance(more, str):
                known[name] = known.get(name, "") + more
                self._size += len(more)

    def _content(self) -> JsonValue:
        texts = [
            part.get("text") for part in self._parts if isinstance(part, dict) and part.get("type") == "text"
        ]
        if len(texts) == len(self._parts):
            return "".join(text for text in texts if isinstance(text, str))
        return self._parts
