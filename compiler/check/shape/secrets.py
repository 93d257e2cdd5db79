"""Secrets inside addresses: a name and password before the host, or a key among the query's parameters."""

from __future__ import annotations

import re

_ADDRESS = r"[A-Za-z][A-Za-z0-9+.-]{0,30}://([^\s/?#\"']*)([^\s\"'<>]*)"
_PARAMETER = r"[?&;]([^=&;#]{1,100})=[^&;#]"
_NAMES = frozenset(
    {
        *("key", "apikey", "accesskey", "accesskeyid", "subscriptionkey", "secretkey", "secret"),
        *("token", "auth", "authorization", "bearer", "jwt", "sig", "signature", "credential", "credentials"),
        *("pass", "passwd", "password", "pwd"),
    }
)
_ENDS = ("apikey", "token", "secret", "password")


def holds_secret(text: str) -> bool:
    """Whether the text has an address in it that holds what only its owner should know."""
    return "://" in text and any(
        "@" in host or any(map(_is_secret, re.findall(_PARAMETER, rest)))
        for host, rest in re.findall(_ADDRESS, text)
    )


def _is_secret(parameter: str) -> bool:
    name = re.sub(r"[^a-z0-9]", "", parameter.lower())
    return name in _NAMES or name.endswith(_ENDS)
