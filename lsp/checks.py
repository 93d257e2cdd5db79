"""Keeps open documents checked: the one that was edited at once, then those that import it.

All documents share their sources (`Files`): whoever imports a file sees what the editor has of it, else what is on disk.
One task works at a time, and none begins while edits are still coming in. Findings in files that are not open are shown,
too. A list is published only if it is another one than before, or stands for another version of its document.
"""

from __future__ import annotations

import asyncio
import gc
import logging
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager, nullcontext
from functools import partial
from pathlib import Path
from typing import Any

from dspec.compiler.check.analysis import Analysis, analysed, failed
from dspec.compiler.check.checking import ProjectCheck
from dspec.compiler.diagnostics.record import Diagnostic
from dspec.compiler.diagnostics.settings import FILE as SETTINGS
from dspec.compiler.diagnostics.settings import settings_in
from dspec.compiler.project.loading import Files
from dspec.compiler.project.source import Source
from dspec.grammar import forget_parsed

from .data import Readers
from .documents import Document, Documents
from .features.facts import DataFacts
from .progress import BREATH, begin
from .telling import Telling
from .text import Text

logger = logging.getLogger(__name__)

PATIENCE = 0.1
"""Seconds after which it begins all the same."""
PAUSE = 0.3
"""Seconds without an edit before data is read."""
TIDYING = 1.0
"""Seconds after the last document was closed before memory is given back."""

Showing = Callable[[str, Callable[[], None]], AbstractAsyncContextManager[None]]
"""Shows work under a title while it lasts; what is given with it cancels the work."""
Publish = Callable[[Document, list[Diagnostic]], None]


class Checks:
    """The latest analysis of every open document, and the task that renews them."""

    def __init__(
        self,
        documents: Documents,
        publish: Publish,
        clear: Callable[[str], None],
        told: Callable[[], None] = lambda: None,
        showing: Showing = lambda title, cancel: nullcontext(),
    ) -> None:
        """`told` is called when more is known of a document than its text says; `showing` tells of work that takes long."""
        self._documents = documents
        self._publish = publish
        self._clear = clear
        self._files = Files()
        self._checkings: dict[str, ProjectCheck] = {}
        self._analyses: dict[str, tuple[Document, int, Analysis]] = {}
        self._unsent: set[str] = set()
        """Documents with edits that `_files` does not have yet."""
        self._waiting: dict[str, None] = {}
        """Documents to be checked, the last one first."""
        self._task: asyncio.Task[None] | None = None
        self._tidying: asyncio.TimerHandle | None = None
        self._showing = showing
        self._readers = Readers(self._seen)
        self._telling = Telling(told)
        self._asking: dict[str, asyncio.TimerHandle] = {}
        self._messages = 0
        self._disk = 0
        """Counts the looks at what is on disk."""
        self._state = 0
        """Counts everything that may change an analysis."""
        self._shown: dict[str, tuple[int | None, tuple[Diagnostic, ...]]] = {}
        self._elsewhere: dict[str, dict[Path, list[Diagnostic]]] = {}
        """By document: what was found in files that it imports, and in the settings."""

    def schedule(self, uri: str) -> None:
        """Check a document's newest version soon, and then whatever imports it."""
        self._messages += 1
        self._state += 1
        self._unsent.add(uri)
        self._queue(uri)

    def refresh(self) -> None:
        """Look again at what is on disk, and check what follows from a change there."""
        self._messages += 1
        self._disk += 1
        self._state += 1
        self._files.refresh()
        self._readers.answers.refresh()
        for checking in self._checkings.values():
            checking.refresh()
        for document in self._documents.all():
            self._queue(document.uri)

    def drop(self, document: Document) -> None:
        """Forget a document that was closed. From here on its file counts as it is on disk."""
        uri, path = document.uri, document.path
        self._waiting.pop(uri, None)
        self._unsent.discard(uri)
        self._state += 1
        self._analyses.pop(uri, None)
        self._checkings.pop(uri, None)
        self._elsewhere.pop(uri, None)
        self._shown.pop(uri, None)
        self._readers.stop(uri)
        self._telling.drop(uri)
        if (asking := self._asking.pop(uri, None)) is not None:
            asking.cancel()
        self._clear(uri)
        if same := self._documents.at(path):
            self._files.edit(path, same[-1].text.content)
        else:
            self._files.release(path)
        for other in self._documents.all():
            if document.has_settings or self._imports(other.uri, path):
                self._queue(other.uri)
        self._forget_settings(document)
        self._show_elsewhere()
        self._tidy_soon()

    def status(self) -> dict[str, object]:
        """What is open and being done, in numbers."""
        return {
            "documents": len(self._documents.all()),
            "files": len({path for one in self._checkings.values() for path in one.loaded.files}),
            "results": sum(len(one.session.results) for one in self._checkings.values()),
            "waiting": len(self._waiting),
            "reading": self._readers.at_work + self._telling.at_work,
        }

    @property
    def busy(self) -> bool:
        """Whether a document is being checked, or waits for it."""
        return self._task is not None and not self._task.done()

    @property
    def at_work(self) -> bool:
        """Whether anything more is going to be found or told before the next edit."""
        return self.busy or bool(self._asking) or self._readers.at_work > 0 or self._telling.at_work > 0

    def close(self) -> None:
        if self._task is not None:
            self._task.cancel()
        for timer in (self._tidying, *self._asking.values()):
            if timer is not None:
                timer.cancel()
        self._readers.close()
        self._telling.close()

    def analysis(self, document: Document) -> Analysis:
        """The analysis of one version of a document, made once."""
        self._send_edits()
        self._choose_texts(document)
        known = self._analyses.get(document.uri)
        if known is None or known[0] is not document or known[1] != self._state:
            known = document, self._state, self._analysed(document)
            for crash in known[2].crashes:  # the editor shows the DS0000; the log has what a maintainer needs
                logger.error("dspc failed while checking %s\n%s", known[2].source.name, crash.traceback)
            self._analyses[document.uri] = known
        known[2].session.reads.steps = 0  # each question about it has the steps of a round
        return known[2]

    def found(self, document: Document) -> list[Diagnostic]:
        """The findings in one version of a document, with what was seen in data so far."""
        analysis = self.analysis(document)
        return [one for one in analysis.diagnostics if one.primary.location.source is analysis.source]

    def facts(self, document: Document) -> DataFacts:
        """What its data told last."""
        return self._telling.facts(document.uri)

    def _analysed(self, document: Document) -> Analysis:
        try:
            checking = self._checkings.get(document.uri)
            if checking is None:
                looks = self._readers.looks
                checking = ProjectCheck(document.path, self._files, probe=True, looks=looks, noting=True)
                self._checkings[document.uri] = checking
            return analysed(checking, asked=document.edited)
        except Exception as error:  # noqa: BLE001 - the boundary: a bug must not become a traceback
            self._checkings.pop(document.uri, None)
            return failed(document.path, document.text.content, error)

    def _send_edits(self) -> None:
        for uri in self._unsent:
            document = self._documents.get(uri)
            if document is not None:
                last = self._documents.at(document.path)[-1]
                self._files.edit(document.path, last.text.content)
                self._forget_settings(document)
        self._unsent.clear()

    def _choose_texts(self, asked: Document) -> None:
        """Where several documents are one file, have it as the one that is asked about; for others, as the one edited
        last."""
        documents = self._documents.all()
        by_path = {one.path: one for one in documents}
        if len(by_path) == len(documents):
            return
        for document in {**by_path, asked.path: asked}.values():
            if self._files.texts.get(document.path) != document.text.content:
                self._files.edit(document.path, document.text.content)
                self._state += 1

    def _forget_settings(self, document: Document) -> None:
        if document.has_settings:
            for checking in self._checkings.values():
                checking.settings = None

    def _imports(self, uri: str, path: Path) -> bool:
        checking = self._checkings.get(uri)
        return checking is not None and checking.looked_at(path)

    # The task -------------------------------------------------------------------------------------

    def _queue(self, uri: str) -> None:
        self._waiting.pop(uri, None)
        self._waiting[uri] = None
        if self._task is None or self._task.done():
            self._task = asyncio.ensure_future(self._work())
            self._task.add_done_callback(_log_failure)

    async def _work(self) -> None:
        while self._waiting:
            await self._quiet()
            if not self._waiting:
                return
            uri, _ = self._waiting.popitem()
            document = self._documents.get(uri)
            if document is not None:
                changed = uri in self._unsent
                self._check(document)
                if changed:
                    self._queue_importers(document)

    async def _quiet(self) -> None:
        """Wait until no more edits are coming in, so that many of them cost one check."""
        until = asyncio.get_running_loop().time() + PATIENCE
        while True:
            seen = self._messages
            await asyncio.sleep(BREATH)
            if seen == self._messages or asyncio.get_running_loop().time() > until:
                return

    def _queue_importers(self, document: Document) -> None:
        for other in self._documents.all():
            if other.uri != document.uri and (
                document.has_settings or self._imports(other.uri, document.path)
            ):
                self._waiting.setdefault(other.uri, None)

    def _check(self, document: Document) -> None:
        if document.has_settings:
            self._send_edits()
            found = settings_in(Source(document.path, SETTINGS, document.text.content)).problems
            self._show(document, [problem.told() for problem in found])
            return
        analysis = self.analysis(document)
        own: list[Diagnostic] = []
        elsewhere: dict[Path, list[Diagnostic]] = {}
        for one in analysis.diagnostics:
            source = one.primary.location.source
            if source is analysis.source:
                own.append(one)
            else:
                elsewhere.setdefault(source.path, []).append(one)
        if elsewhere != self._elsewhere.get(document.uri, {}):
            self._elsewhere[document.uri] = elsewhere
            self._show_elsewhere()
        self._show(document, own)
        self._ask_soon(document.uri)

    # Data -----------------------------------------------------------------------------------------

    def _ask_soon(self, uri: str) -> None:
        """Have questions about data answered once the typing pauses."""
        if (asking := self._asking.pop(uri, None)) is not None:
            asking.cancel()
        checking = self._checkings.get(uri)
        if checking is not None and not checking.questions:
            self._readers.stop(uri)
        self._asking[uri] = asyncio.get_running_loop().call_later(PAUSE, self._ask, uri)

    def _ask(self, uri: str) -> None:
        """Have the data looked at: first what the check asks, then what is told besides."""
        del self._asking[uri]
        checking, document = self._checkings.get(uri), self._documents.get(uri)
        if checking is None or document is None:
            return
        if questions := checking.questions:
            reading = self._readers.ask(uri, questions)
            if reading is not None:
                title = f"Reading the data of {document.path.name}"
                begin(self._show_work(title, reading, partial(self._readers.stop, uri)))
        elif checking.has_data:
            texts = {path: text for path, text in self._files.texts.items() if path in checking.loaded.files}
            self._telling.ask(uri, document.path, texts, self._disk)

    async def _show_work(self, title: str, work: asyncio.Future[Any], cancel: Callable[[], None]) -> None:
        async with self._showing(title, cancel):
            await asyncio.wait([work])

    def _seen(self, uri: str) -> None:
        """Check a document again with what was seen in its data."""
        checking = self._checkings.get(uri)
        if checking is not None:
            self._state += 1
            checking.answered()
            self._queue(uri)

    # Showing --------------------------------------------------------------------------------------

    def _show(self, document: Document, found: list[Diagnostic]) -> None:
        shown = document.version, tuple(found)
        if self._shown.get(document.uri) != shown:
            self._shown[document.uri] = shown
            self._publish(document, found)

    def _show_elsewhere(self) -> None:
        """Show what is known of files that are not open."""
        found: dict[Path, dict[Diagnostic, None]] = {}
        for files in self._elsewhere.values():
            for path, diagnostics in files.items():
                found.setdefault(path, {}).update(dict.fromkeys(diagnostics))
        open_ = {document.path for document in self._documents.all()}
        shown = {path.as_uri(): path for path in found if path not in open_}
        for uri in [uri for uri, (version, _) in self._shown.items() if version is None and uri not in shown]:
            del self._shown[uri]
            if self._documents.get(uri) is None:
                self._clear(uri)
        for uri, path in shown.items():
            diagnostics = list(found[path])
            text = Text(diagnostics[0].primary.location.source.text, self._documents.encoding)
            self._show(Document(uri, path, None, text), diagnostics)

    # Memory ---------------------------------------------------------------------------------------

    def _tidy_soon(self) -> None:
        if self._tidying is not None:
            self._tidying.cancel()
        self._tidying = asyncio.get_running_loop().call_later(TIDYING, self._tidy)

    def _tidy(self) -> None:
        """Forget the sources that no open document needs, and what parsing keeps, theirs among it."""
        self._files.forget_all_but({path for one in self._checkings.values() for path in one.loaded.files})
        forget_parsed()
        gc.collect()


def _log_failure(task: asyncio.Task[None]) -> None:
    if not task.cancelled() and (error := task.exception()) is not None:
        logger.error("a check failed", exc_info=error)
