"""Checks the address of a server, and the other texts that its tool carries."""

from __future__ import annotations

import re

from dspec.grammar.tree import Reference
from dspec.runtime.tools.table import SOURCES

from ....diagnostics import codes
from ...session import Place, Session
from .base import ExternCall, SourceFound

_ADDRESS = re.compile(r"https?://[^\s\x00-\x1f/@?#]{1,253}(?:[/?#][^\s\x00-\x1f]{0,2000})?")


def check_web(session: Session, place: Place, written: ExternCall) -> SourceFound:
    """Reports a text that is no address, or one with a password in it, and other texts of a wrong shape."""
    url = written.texts.get("url")
    if url is not None and not _ADDRESS.fullmatch(url[0]):
        session.report(codes.attributes.NotAnAddress(place.at(url[1]), url[0]))
        return SourceFound(None)
    name = written.call.callee.name.text if isinstance(written.call.callee, Reference) else ""
    for option in SOURCES[name].options:
        text = written.texts.get(option.name)
        if text is not None and option.pattern and not re.fullmatch(option.pattern, text[0]):
            session.report(codes.attributes.NotForSource(place.at(text[1]), option.name, name))
            return SourceFound(None)
    return SourceFound(written.options)
