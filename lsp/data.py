"""Reads data for checks in processes of their own, so that a large file holds up nobody.

A document's questions (`compiler.data.looking`) are answered by one process, which ends with the last answer. It is killed
when the document is closed, when it has other questions by then, and after `SECONDS`. What was answered is kept, by the
question and the file's stamp, for every document.
"""

from __future__ import annotations

import asyncio
import json
import logging
import subprocess
import sys
from collections import OrderedDict
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from dspec.compiler.data import DataSeen, Question
from dspec.compiler.data.looking import file_of
from dspec.compiler.project.reads import stamp

logger = logging.getLogger(__name__)

SECONDS = 60.0
"""After which a process is killed: nothing is said of data that takes longer."""
AT_ONCE = 2
"""How many processes run at the same time; others wait."""
KEPT = 2_000
"""How many answers are kept."""
READER = (sys.executable, "-P", "-c", "from dspec.compiler.data.looking import serve; serve()")


class Answers:
    """What was seen in data, by the name of the question. The oldest make room."""

    def __init__(self) -> None:
        self._seen: OrderedDict[str, DataSeen] = OrderedDict()

    def get(self, name: str) -> DataSeen | None:
        return self._seen.get(name)

    def keep(self, name: str, seen: DataSeen) -> None:
        self._seen[name] = seen
        while len(self._seen) > KEPT:
            self._seen.popitem(last=False)


class Later:
    """Answers questions with what is known, else with their names."""

    def __init__(self, answers: Answers, folder: Path, root: Path) -> None:
        self._answers, self._folder, self._root = answers, folder, root

    def see(self, question: Question) -> DataSeen | str:
        file = file_of(question)
        about = [str(self._folder), str(self._root), stamp(str(self._folder / file)) if file else ""]
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

    def ask(self, uri: str, names: Sequence[str]) -> None:
        """Have a document's questions answered; `answered` is called with its URI then."""
        known = self._asked.get(uri)
        if known is not None and known[0] == tuple(names):
            return
        self.stop(uri)
        if not names:
            return
        reader = _Reader(tuple(names))
        self._asked[uri] = reader.names, reader
        future = asyncio.get_running_loop().run_in_executor(self._pool, reader.run)
        future.add_done_callback(lambda done: self._done(uri, reader, done))

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
        self._process: subprocess.Popen[bytes] | None = None
        self._killed = False

    def run(self) -> list[DataSeen]:
        """The answers, those that came in time. Called in a thread."""
        if self._killed:
            return []
        folder, root = json.loads(self.names[0])[:2]
        asked = {"folder": folder, "root": root, "questions": [json.loads(name)[3] for name in self.names]}
        self._process = subprocess.Popen(  # noqa: S603 - our own program
            READER,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            cwd=folder if Path(folder).is_dir() else None,
        )
        if self._killed:
            self.kill()
        try:
            output, _ = self._process.communicate(json.dumps(asked).encode(), timeout=SECONDS)
        except subprocess.TimeoutExpired:
            self.kill()
            output, _ = self._process.communicate()
        lines = output.decode().split("\n")[:-1]
        return [DataSeen.model_validate_json(line) for line in lines]

    def kill(self) -> None:
        self._killed = True
        if self._process is not None:
            self._process.kill()
