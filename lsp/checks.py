"""Checking open documents: at once without the data files, and with them once the typing pauses.

Reading data takes as long as the files are large, so it happens in one worker thread, and its result
counts only while the document is still the one that was checked. Until the next such pass, what it
found is carried along with the declarations that have not changed.
"""

from __future__ import annotations

import asyncio
import bisect
import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractAsyncContextManager, nullcontext
from functools import partial

from msgspec import Struct
from msgspec.structs import replace

from dspec.compiler.check.analysis import Analysis, analyse
from dspec.compiler.data import MemoryCache
from dspec.compiler.diagnostics.record import Diagnostic, Edit, Label, in_order
from dspec.compiler.diagnostics.settings import FILE as SETTINGS
from dspec.compiler.diagnostics.settings import settings_in
from dspec.compiler.project.source import Location, Source

from .documents import Document, Documents
from .features.facts import NOTHING as NO_FACTS
from .features.facts import DataFacts, facts_of
from .text import Text

logger = logging.getLogger(__name__)

BREATH = 0.002
"""Seconds that a task waits for newer edits before it works."""
PAUSE = 0.3
"""Seconds without an edit before data files are read."""

Showing = Callable[[str, Callable[[], None]], AbstractAsyncContextManager[None]]
"""Shows work under a title while it lasts; what is given with it cancels the work."""
Publish = Callable[[Document, list[Diagnostic]], None]


class PlacedDiagnostic(Struct, frozen=True):
    """A diagnostic within a declaration of this text, which stood at that offset."""

    text: str
    start: int
    diagnostic: Diagnostic

    @property
    def key(self) -> tuple[str, int, str, str]:
        """Two diagnostics have the same key when they say the same of the same place in the same declaration."""
        diagnostic = self.diagnostic
        return (
            self.text,
            diagnostic.primary.location.start - self.start,
            diagnostic.code,
            diagnostic.message,
        )


class DataLook(Struct, frozen=True):
    """What reading the data changed: the diagnostics it added, and the keys of those that only followed from these."""

    added: tuple[PlacedDiagnostic, ...] = ()
    gone: frozenset[tuple[str, int, str, str]] = frozenset()


NOTHING = DataLook()


class Checks:
    """The latest analysis of every open document, and one running check for each."""

    def __init__(
        self,
        documents: Documents,
        publish: Publish,
        clear: Callable[[str], None],
        told: Callable[[], None] = lambda: None,
        showing: Showing = lambda title, cancel: nullcontext(),
    ) -> None:
        """`told` is called when more is known of a document than its text says; `showing` tells of work that takes long."""
        self._told = told
        self._showing = showing
        self._documents = documents
        self._publish = publish
        self._clear = clear
        self._analyses: dict[str, tuple[Document, Analysis]] = {}
        self._looks: dict[str, DataLook] = {}
        self._facts: dict[str, DataFacts] = {}
        self._settings: dict[str, tuple[Diagnostic, ...]] = {}
        """What is shown in settings files that are not open, by URI."""
        self._running: dict[str, asyncio.Task[None]] = {}
        self._worker = ThreadPoolExecutor(1, "data")
        self._cache = MemoryCache()

    def schedule(self, uri: str) -> None:
        """Check a document's newest version soon; a check of an older one is dropped."""
        self._cancel(uri)
        task = self._running[uri] = asyncio.ensure_future(self._check(uri))
        task.add_done_callback(_log_failure)

    def schedule_all(self) -> None:
        """Check everything again: a file that was imported or read may have changed."""
        self._analyses.clear()
        for document in self._documents.all():
            self.schedule(document.uri)

    def drop(self, uri: str) -> None:
        """Forget a document that was closed."""
        self._cancel(uri)
        self._looks.pop(uri, None)
        self._facts.pop(uri, None)
        self._analyses.pop(uri, None)
        self._settings.pop(uri, None)
        self._clear(uri)
        if uri.endswith(f"/{SETTINGS}"):
            self.schedule_all()  # from here on it counts as it is on disk

    def close(self) -> None:
        for uri in list(self._running):
            self._cancel(uri)
        self._worker.shutdown(wait=False, cancel_futures=True)

    def analysis(self, document: Document) -> Analysis:
        """The analysis of one version of a document, made once, without the data."""
        known = self._analyses.get(document.uri)
        if known is None or known[0] is not document:
            content, edited = document.text.content, document.edited
            known = (document, analyse(document.path, text=content, probe=False, asked=edited))
            _log_crashes(known[1])
            self._analyses[document.uri] = known
        return known[1]

    def facts(self, document: Document) -> DataFacts:
        """What the last look at the data told."""
        return self._facts.get(document.uri, NO_FACTS)

    def found(self, document: Document) -> list[Diagnostic]:
        """What there is to say of one version of a document, with what the last look at the data told."""
        return merged(self.analysis(document), self._looks.get(document.uri, NOTHING))

    def _cancel(self, uri: str) -> None:
        if running := self._running.pop(uri, None):
            running.cancel()

    async def _check(self, uri: str) -> None:
        await asyncio.sleep(BREATH)
        document = self._documents.get(uri)
        if document is None:
            return
        if document.has_settings:
            found = settings_in(Source(document.path, SETTINGS, document.text.content)).problems
            self._publish(document, [problem.told() for problem in found])
            return
        quick = self.analysis(document)
        self._publish_settings(quick)
        self._publish(document, merged(quick, self._looks.get(uri, NOTHING)))
        await asyncio.sleep(PAUSE)
        if not any(symbol.kind == "dataset" for symbol in quick.symbols.scope.symbols.values()):
            self._looks.pop(uri, None)
            return
        work = partial(analyse, document.path, text=document.text.content, cache=self._cache)
        async with self._showing(f"Reading the data of {document.path.name}", partial(self._cancel, uri)):
            full, facts = await asyncio.get_running_loop().run_in_executor(self._worker, _with_facts, work)
        if not quick.crashes:
            _log_crashes(full)
        if self._documents.get(uri) is document:
            self._looks[uri] = compared(quick, full)
            self._facts[uri] = facts
            self._publish(document, own(full))
            self._told()

    def _publish_settings(self, analysis: Analysis) -> None:
        """Show what is wrong with the project's settings in that file, which may not be open."""
        path = analysis.session.root / SETTINGS
        uri = path.as_uri()
        if any(document.path == path for document in self._documents.all()):
            return
        found = tuple(one for one in analysis.diagnostics if one.primary.location.source.path == path)
        if found != self._settings.get(uri, ()):
            self._settings[uri] = found
            text = found[0].primary.location.source.text if found else ""
            document = Document(uri, path, None, Text(text, self._documents.encoding))
            self._publish(document, list(found))


def _with_facts(work: Callable[[], Analysis]) -> tuple[Analysis, DataFacts]:
    full = work()
    return full, facts_of(full)


def _log_crashes(analysis: Analysis) -> None:
    """The editor shows the DS0000; the log has what a maintainer needs."""
    for crash in analysis.crashes:
        logger.error("dspc failed while checking %s\n%s", analysis.source.name, crash.traceback)


def _log_failure(task: asyncio.Task[None]) -> None:
    if not task.cancelled() and (error := task.exception()) is not None:
        logger.error("a check failed", exc_info=error)


def own(analysis: Analysis) -> list[Diagnostic]:
    """The diagnostics of the analysed file itself; those of its imports show in their own documents."""
    return [found for found in analysis.diagnostics if found.primary.location.source is analysis.source]


def compared(quick: Analysis, full: Analysis) -> DataLook:
    """What the data changed in an analysis of the same text."""
    before, after = placed(quick), placed(full)
    known, still = {finding.key for finding in before}, {finding.key for finding in after}
    return DataLook(tuple(finding for finding in after if finding.key not in known), frozenset(known - still))


def merged(quick: Analysis, look: DataLook) -> list[Diagnostic]:
    """Diagnostics without the data, and what the last look at it said of unchanged declarations."""
    if look is NOTHING:
        return own(quick)
    starts = {block.text: block.start for block in quick.tree.blocks}
    gone = {id(finding.diagnostic) for finding in placed(quick) if finding.key in look.gone}
    moved = [
        _moved(finding, quick, starts[finding.text] - finding.start)
        for finding in look.added
        if finding.text in starts
    ]
    return in_order([found for found in own(quick) if id(found) not in gone] + moved)


def placed(analysis: Analysis) -> list[PlacedDiagnostic]:
    """The file's own diagnostics that lie within one declaration, with that."""
    blocks = analysis.tree.blocks
    found: list[PlacedDiagnostic] = []
    for diagnostic in own(analysis):
        place = diagnostic.primary.location
        number = bisect.bisect_right(blocks, place.start, key=lambda block: block.start) - 1
        if number >= 0 and place.end <= blocks[number].start + len(blocks[number].text):
            found.append(PlacedDiagnostic(blocks[number].text, blocks[number].start, diagnostic))
    return found


def _moved(finding: PlacedDiagnostic, analysis: Analysis, distance: int) -> Diagnostic:
    old = finding.diagnostic
    end = finding.start + len(finding.text)

    def move(label: Label) -> Label:
        place = label.location
        return Label(Location(analysis.source, place.start + distance, place.end + distance), label.text)

    near = tuple(
        move(label)
        for label in old.secondary
        if label.location.source is old.primary.location.source
        and finding.start <= label.location.start <= label.location.end <= end
    )
    moved = tuple(
        replace(
            fix,
            edits=tuple(Edit(move(Label(edit.location)).location, edit.replacement) for edit in fix.edits),
        )
        for fix in old.fixes
        if all(
            edit.location.source is old.primary.location.source
            and finding.start <= edit.location.start <= edit.location.end <= end
            for edit in fix.edits
        )
    )
    return replace(old, primary=move(old.primary), secondary=near, fixes=moved)
