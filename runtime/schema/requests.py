"""Tells what a file may add to requests: headers, and parameters that only some providers know.

Files are somebody else's, too. What they add must not say where a request goes or with whose key, must not take the place
of what the request says itself, and must not have more answered than was counted.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from .types import JsonValue

MAX_HEADERS = 20
MAX_HEADER = 1_000
"""Characters of a header's value."""
MAX_EXTRA = 10_000
"""Characters of all further parameters as JSON."""
_DEEPEST = 8

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9-]{0,60}")
_VALUE = re.compile(r"[\x20-\x7e]*")
_PARAMETER = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]{0,60}")
_KEY = re.compile(
    r"(?i)\b(?:sk|pk|rk|gsk|xai|key|hf|ghp|pat)[-_][\w.-]{8,}|^\s*(?:bearer|basic)\s|^eyJ[\w-]{10,}|://[^/\s]*@"
)
_OF_TRANSPORT = frozenset(
    {
        *(
            "host",
            "connection",
            "keep-alive",
            "te",
            "trailer",
            "transfer-encoding",
            "upgrade",
            "expect",
            "via",
            "date",
        ),
        *("content-length", "content-type", "content-encoding", "accept", "accept-encoding", "range"),
    }
)
_OF_KEY = frozenset({"authorization", "api-key", "x-api-key", "x-goog-api-key", "cookie", "set-cookie"})
_PREFIXES = ("proxy-", "sec-", "x-amz-", "x-forwarded")
_ADDRESS = frozenset(
    {
        *(
            "url",
            "uri",
            "host",
            "hostname",
            "endpoint",
            "target",
            "upstream",
            "destination",
            "proxy",
            "forwarded",
        ),
        *("redirect", "backend", "base", "webhook", "callback", "callbacks"),
    }
)
"""Words in the name of what says where a request goes."""
_SECRET = frozenset(
    {
        *(
            "token",
            "secret",
            "password",
            "passwd",
            "credential",
            "credentials",
            "authorization",
            "auth",
            "bearer",
        ),
        *("signature", "cookie", "session", "jwt", "apikey"),
    }
)
_KEYS = re.compile(r"(?:^|-)(?:api|access|secret|private|subscription|auth)-?key(?:-|$)")
_MAY_BE_URL = frozenset({"http-referer", "referer"})
_OWN = frozenset(
    {
        *(
            "model",
            "messages",
            "prompt",
            "input",
            "stream",
            "streamoptions",
            "tools",
            "toolchoice",
            "functions",
        ),
        *(
            "functioncall",
            "responseformat",
            "temperature",
            "seed",
            "topp",
            "topk",
            "stop",
            "frequencypenalty",
        ),
        *(
            "presencepenalty",
            "reasoningeffort",
            "verbosity",
            "headers",
            "extraheaders",
            "extrabody",
            "extraquery",
        ),
        *("apiversion", "timeout", "modellist", "fallbacks", "mockresponse", "customllmprovider", "models"),
    }
)
"""What a request says itself, or a setting of the lm."""
_MORE = frozenset(
    {
        *(
            "n",
            "bestof",
            "candidatecount",
            "numreturnsequences",
            "numbeams",
            "maxtokens",
            "maxcompletiontokens",
        ),
        *("maxoutputtokens", "maxnewtokens", "maxtokenstosample", "numpredict", "maxlength", "maxgenlen"),
    }
)
"""What would have more answered than was counted, wherever it stands."""


def is_header_value(text: str) -> bool:
    """Whether a text can be a header's value: printable ASCII, and not too long."""
    return len(text) <= MAX_HEADER and _VALUE.fullmatch(text) is not None


def header_fault(name: str, value: str | None) -> str:
    """Why a file may not add this header, a clause about it; "" where it may. `value` is None of one whose value is in the
    environment."""
    low = name.lower()
    words = set(low.split("-"))
    if not _NAME.fullmatch(name):
        return "is no header's name: letters, digits and `-`"
    if low in _OF_TRANSPORT or low.startswith(_PREFIXES):
        return "is written by whatever sends the request"
    if low in _OF_KEY:
        return "is where a key stands: `api_key` of the lm names its variable"
    if not words.isdisjoint(_ADDRESS):
        return "seems to say where requests go: that is for `api_base`"
    if value is None:
        return ""
    if not is_header_value(value):
        return f"has a value that no header can have: printable ASCII, at most {MAX_HEADER:,} characters"
    if "//" in value and low not in _MAY_BE_URL:
        return "has an address in it, which may say where requests go"
    return (
        "" if not header_is_secret(name, value) else "holds a key or token, which only its owner should know"
    )


def header_is_secret(name: str, value: str) -> bool:
    """Whether a header seems to hold what only its owner should know."""
    low = name.lower()
    return bool(
        not _SECRET.isdisjoint(low.split("-"))
        or low.endswith("key")
        or _KEYS.search(low)
        or _KEY.search(value)
    )


def extra_faults(extra: Mapping[str, JsonValue]) -> Iterator[tuple[str, str]]:
    """What is wrong with further parameters: the path of each that may not be sent, and why, a clause about it."""
    for name, value in extra.items():
        if _plain(name) in _OWN:
            yield name, "is what a request says by itself, or a setting of the lm"
        else:
            yield from _faults(name, name, value, 1)


def _faults(path: str, name: str, value: JsonValue, depth: int) -> Iterator[tuple[str, str]]:
    words = name.lower().replace("_", "-")
    if not _PARAMETER.fullmatch(name):
        yield path, "is no parameter's name: letters, digits, `_`, `-` and `.`"
    elif _plain(name) in _MORE:
        yield path, "decides how much is answered: `max_tokens` of the lm does, and a strategy how often"
    elif not _ADDRESS.isdisjoint(words.split("-")):
        yield path, "seems to say where requests go: that is for `api_base`"
    elif not _SECRET.isdisjoint(words.split("-")) or _KEYS.search(words):
        yield path, "seems to hold a key: `api_key` of the lm names its variable"
    elif depth > _DEEPEST:
        yield path, f"is nested deeper than {_DEEPEST} levels"
    else:
        yield from _value_faults(path, value, depth)


def _value_faults(path: str, value: JsonValue, depth: int) -> Iterator[tuple[str, str]]:
    if isinstance(value, dict):
        for name, inner in value.items():
            yield from _faults(f"{path}.{name[:60]}", name, inner, depth + 1)
    elif isinstance(value, list):
        for inner in value if depth <= _DEEPEST else ():
            yield from _value_faults(path, inner, depth + 1)
    elif isinstance(value, str) and _KEY.search(value):
        yield path, "holds a key or token, which only its owner should know"


def _plain(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower())
