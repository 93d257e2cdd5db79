"""Reads data for checks in processes of their own, so that a large file holds up nobody.

A document's questions (`compiler.data.looking`) are answered by one process, which ends with the last answer. It is killed
when the document is closed, when it has other questions by then, and after some time (`child`). What was answered is kept, by the
question and the file's stamp, for every document.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections import OrderedDict
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from dspec.compiler.data import DataSeen, Question
from dspec.compiler.data.looking import files_of
from dspec.compiler.project.reads import stamp

from .child import Child

logger = logging.getLogger(__name__)

AT_ONCE = 2
"""How many processes run at the same time; others wait."""
KEPT = 2_000
"""How many answers are kept."""


class Answers:
    """What was seen in data, by the name of the question. The oldest make room."""

    def __init__(self) -> None:
        self._seen: OrderedDict[str, DataSeen] = OrderedDict()

    def get(self, name: str) -> DataSeen | None:
        return self._seen.get(name)

    def refresh(self) -> None:
        """Forget what was seen in files that have changed. A question tells of those that it names."""
        stamps: dict[str, str] = {}
        for name, seen in list(self._seen.items()):
            for file, before in seen.files:
                if file not in stamps:
                    stamps[file] = stamp(file)
                if stamps[file] != before:
                    del self._seen[name]
                    break

    def keep(self, name: str, seen: DataSeen) -> None:
        self._seen[name] = seen
        while len(self._seen) > KEPT:
            self._seen.popitem(last=False)


class Later:
    """Answers questions with what is known, else with their names."""

    def __init__(self, answers: Answers, folder: Path, root: Path) -> None:
        self._answers, self._folder, self._root = answers, folder, root

    def see(self, question: Question) -> DataSeen | str:
        stamps = [stamp(str(self._folder / file)) for file in files_of(question)]
        about = [str(self._folder), str(self._root), stamps]
        name = json.dumps([*about, question.model_dump_json()])
        return self._answers.get(name) or name


class Readers:
    """The processes at work, by document."""

    def __init__(self, answered: Callable[[str], None]) -> None:
        self.answers = Answers()
        self._answered = answered
        self._pool = ThreadPoolExecutor(AT_ONCE, "data")
        self._asked: dict[str, tuple[tuple[str, ...], _Reader]] = {}

    @property
    def at_work(self) -> int:
        """How many documents wait for what is seen in data."""
        return len(self._asked)

    def looks(self, folder: Path, root: Path) -> Later:
        return Later(self.answers, folder, root)

    def ask(self, uri: str, names: Sequence[str]) -> asyncio.Future[list[DataSeen]] | None:
        """Have a document's questions answered; `answered` is called with its URI then. What is at work on them, None where
        something is already."""
        known = self._asked.get(uri)
        if known is not None and known[0] == tuple(names):
            return None
        self.stop(uri)
        reader = _Reader(tuple(names))
        self._asked[uri] = reader.names, reader
        future = asyncio.get_running_loop().run_in_executor(self._pool, reader.run)
        future.add_done_callback(lambda done: self._done(uri, reader, done))
        return future

    def stop(self, uri: str) -> None:
        known = self._asked.pop(uri, None)
        if known is not None:
            known[1].kill()

    def close(self) -> None:
        for uri in list(self._asked):
            self.stop(uri)
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _done(self, uri: str, reader: _Reader, done: asyncio.Future[list[DataSeen]]) -> None:
        known = self._asked.get(uri)
        if known is None or known[1] is not reader or done.cancelled():
            return
        del self._asked[uri]
        error = done.exception()
        if error is not None:
            logger.error("data could not be read: %s", error)
        seen = [] if error is not None else done.result()
        # What was not answered is not asked again until the file changes.
        for place, name in enumerate(reader.names):
            self.answers.keep(name, seen[place] if place < len(seen) else DataSeen())
        self._answered(uri)


class _Reader:
    """One process with its questions."""

    def __init__(self, names: tuple[str, ...]) -> None:
        self.names = names
        self._child = Child("dspec.compiler.data.looking")

    def run(self) -> list[DataSeen]:
        """The answers, those that came in time. Called in a thread."""
        folder, root = json.loads(self.names[0])[:2]
        asked = {"folder": folder, "root": root, "questions": [json.loads(name)[3] for name in self.names]}
        lines = self._child.run(json.dumps(asked).encode(), Path(folder)).decode().split("\n")[:-1]
        return [DataSeen.model_validate_json(line) for line in lines]

    def kill(self) -> None:
        self._child.kill()
