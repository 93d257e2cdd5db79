"""Answers that an editor may ask about again, by names of their own."""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from typing import Generic, TypeVar

Answer = TypeVar("Answer")


class KeptAnswers(Generic[Answer]):
    """The last `most` answers; who asks about an older one has to do without."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._answers: OrderedDict[str, Answer] = OrderedDict()

    def keep(self, answer: Answer, content: bytes) -> str:
        """The answer's name: the same for the same `content`."""
        name = hashlib.sha256(content).hexdigest()[:16]
        self._answers[name] = answer
        self._answers.move_to_end(name)
        while len(self._answers) > self._most:
            self._answers.popitem(last=False)
        return name

    def get(self, name: str) -> Answer | None:
        return self._answers.get(name)
