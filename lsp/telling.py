"""Works out what data tells of a document (`features.facts`), in processes that end, are killed and are bounded.

What is told takes a whole check with the data, and plans of the file's blocks. It is asked for when the typing pauses, and
again only when a text of the project or a file of its data is another one.
"""

from __future__ import annotations

import asyncio
import logging
import os
import sys
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import msgspec
from msgspec import Struct

from .child import Child
from .features.facts import NOTHING, DataFacts

logger = logging.getLogger(__name__)

NICENESS = 10
"""How far what is told comes after what somebody waits for."""


class ProjectTexts(Struct, frozen=True):
    """A document's file, and the texts that stand in for what files hold, by path. `disk` counts the looks at what is on
    disk."""

    path: str
    texts: dict[str, str]
    disk: int = 0


class Telling:
    """What is told of each document, and the processes at work."""

    def __init__(self, told: Callable[[], None]) -> None:
        """`told` is called when more is known of a document."""
        self._told = told
        self._facts: dict[str, DataFacts] = {}
        self._asked: dict[str, tuple[ProjectTexts, Child]] = {}
        self._running: set[Child] = set()
        self._pool = ThreadPoolExecutor(1, "facts")

    @property
    def at_work(self) -> int:
        """For how many documents something is worked out."""
        return len(self._running)

    def facts(self, uri: str) -> DataFacts:
        """What was told last of a document."""
        return self._facts.get(uri, NOTHING)

    def ask(self, uri: str, path: Path, texts: Mapping[Path, str], disk: int) -> None:
        asked = ProjectTexts(str(path), {str(place): text for place, text in texts.items()}, disk)
        known = self._asked.get(uri)
        if known is not None:
            if known[0] == asked:
                return
            known[1].kill()
        child = Child(__name__)
        self._asked[uri] = asked, child

        def run() -> bytes:
            return child.run(msgspec.json.encode(asked), path.parent)

        future = asyncio.get_running_loop().run_in_executor(self._pool, run)
        self._running.add(child)
        future.add_done_callback(lambda done: self._done(uri, child, done))

    def drop(self, uri: str) -> None:
        """Forget a document that was closed."""
        self._facts.pop(uri, None)
        if (known := self._asked.pop(uri, None)) is not None:
            known[1].kill()

    def close(self) -> None:
        for uri in list(self._asked):
            self.drop(uri)
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _done(self, uri: str, child: Child, done: asyncio.Future[bytes]) -> None:
        self._running.discard(child)
        known = self._asked.get(uri)
        if known is None or known[1] is not child or done.cancelled():
            return
        try:
            self._facts[uri] = msgspec.json.decode(done.result(), type=DataFacts)
        except (OSError, msgspec.DecodeError) as error:  # it was killed, or ended in the middle
            logger.info("nothing is told of %s: %s", uri, error)
            return
        self._told()


def serve(parent: int = 0) -> None:
    """Tell of the document that standard input names, within bounds of memory and time, and no longer than the process
    `parent` lives."""
    from dspec.compiler.check.analysis import analyse  # the server itself needs none of these here
    from dspec.compiler.data.looking import bound

    from .features.facts import facts_of

    if hasattr(os, "nice"):
        os.nice(NICENESS)
    bound(parent)
    asked = msgspec.json.decode(sys.stdin.buffer.read(), type=ProjectTexts)
    analysis = analyse(Path(asked.path), texts={Path(path): text for path, text in asked.texts.items()})
    sys.stdout.buffer.write(msgspec.json.encode(facts_of(analysis)))
