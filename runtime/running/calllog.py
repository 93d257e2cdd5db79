"""Keeps what an application's calls were: the last ones whole, and what all of them took. Tells of each, and has it recorded."""

from __future__ import annotations

import logging
import os
import threading
from collections import deque

from ..schema.usage import Spent
from .prediction import CallUsage
from .recording.recorder import CallRecorder
from .records import CallRecord, OnCall

_LOG = logging.getLogger("dspec")

_NOTHING = Spent()
_lock = threading.Lock()
"""Held while a call is noted."""


def _renew() -> None:
    """In a forked child nobody is left who would let go of it."""
    global _lock
    _lock = threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_renew)


class CallLog:
    """The calls of one program. Used on the engine's loop and, where nobody is told of them, in callers' threads; read from
    anywhere."""

    def __init__(self, kept: int, on_call: OnCall | None, recorder: CallRecorder | None = None) -> None:
        self.recorder = recorder
        self._last: deque[CallRecord] = deque(maxlen=kept)
        self._on_call = on_call
        self._warned = False
        self._calls = self._replayed = 0
        self._paid = Spent()

    @property
    def told(self) -> bool:
        """Whether somebody is told of the calls."""
        return self._on_call is not None

    def add(self, record: CallRecord, paid: Spent) -> None:
        """Notes a call, and what it `paid`. A hook that fails is reported once and changes nothing."""
        with _lock:
            self._last.append(record)
            if paid != _NOTHING:
                self._paid += paid
            if record.prediction is not None:
                self._calls += record.prediction.usage.calls
                self._replayed += record.prediction.usage.replayed
        if self.recorder is not None:
            self.recorder.add(record, paid)
        if self._on_call is None:
            return
        try:
            self._on_call(record)
        except Exception:  # noqa: BLE001  # whatever a hook does
            if not self._warned:
                self._warned = True
                _LOG.exception("the function that is told of calls (`on_call`) failed; it is called on")

    def last(self, n: int) -> list[CallRecord]:
        """The last calls, the latest at the end."""
        return list(self._last)[-n:] if n > 0 else []

    @property
    def usage(self) -> CallUsage:
        """What all calls took that gave a prediction."""
        paid = self._paid
        return CallUsage(self._calls, self._replayed, paid.input_tokens, paid.output_tokens, paid.known_usd)
