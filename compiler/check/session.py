"""What the checks of a project share: results by declaration, and the tables of names.

Every declaration is checked once, on first need, so the order in a file does not matter: a module
asks for its signature and the signature is checked then. A declaration that needs itself gets None
from `once`, and whoever owns that kind of cycle reports it.

A result has all that its check gave: the value, findings, symbols and uses of names. It also has what the check
looked up and which other results it needed. So whoever knows what has changed can `drop` the results that follow
from it, and the rest stays right.
"""

from __future__ import annotations

import traceback
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any, TypeVar, cast

from msgspec import Struct, field

from dspec.grammar.tree import Block, Declaration, Node, Span

from ..data import DataLooks, DataSeen, Fetcher, Question
from ..data.looking import files_of
from ..diagnostics import codes, fixes
from ..diagnostics.codes.base import Finding
from ..diagnostics.record import Diagnostic
from ..project.reads import journal, looked_at, looked_at_before
from ..project.source import Location, Source
from ..tables.block_specs import SymbolKind
from .journal import Journal
from .symbols import FileScope, NameTable, Read, Reads, Symbol, Use

S = TypeVar("S")
T = TypeVar("T")


class Place(Struct, frozen=True):
    """One declaration in its file: turns nodes, which count from the declaration, into locations."""

    scope: FileScope
    block: Block
    declaration: Declaration

    @property
    def source(self) -> Source:
        return self.scope.source

    def at(self, node: Node | Span) -> Location:
        span = node.span if isinstance(node, Node) else node
        return Location(self.source, span.start, span.end, self.block)

    def text(self, node: Node) -> str:
        """What the user wrote for `node`."""
        return self.block.text[node.span.start : node.span.end]

    @property
    def room(self) -> fixes.ItemRoom | None:
        """Where the declaration takes one more item; None if it has no closed block."""
        declaration = self.declaration
        body = self.block.text[: declaration.span.end]
        if declaration.items is None or not body.endswith("}"):
            return None
        head = body[:-1]
        before = head.rstrip()
        if "\n" in head[len(before) :]:
            separator = "\n  "
        else:
            separator = " " if before.endswith(("{", ";")) else "; "
        end = len(before)
        return fixes.ItemRoom(self.at(Span(end, end)), separator, " " if end == len(head) else "")


_RUNNING = object()
NO_NAMES: Mapping[str, Symbol | None] = MappingProxyType({})


class Crash(Struct, frozen=True):
    """A mistake of the toolchain's own: what is said of it, and what its maintainers need."""

    finding: codes.project.Crashed
    traceback: str


Check = Callable[["Session", Symbol], object]


class DeclarationResult(Struct, eq=False):
    """What one check gave, and what it looked at."""

    compute: object
    subject: object
    """What was checked: a symbol, a block, a file. A result holds it, so that its `id` stays its own."""
    value: object = _RUNNING
    wanted: bool = False
    """Whether it is made for its own sake, not only for checks that need it."""
    steady: bool = True
    """False where the value depends on what was checked before: the declaration stands in a circle, say."""
    findings: list[Finding] = field(default_factory=list[Finding])
    declared: Sequence[Symbol] = field(default_factory=list[Symbol])
    uses: Sequence[Use] = field(default_factory=list[Use])
    sampled: tuple[str, ...] = ()
    """Data files of which only the first rows were looked at."""
    needed: Collection[DeclarationResult] = field(default_factory=dict["DeclarationResult", None])
    """Results that it was made from."""
    needed_by: list[DeclarationResult] = field(default_factory=list["DeclarationResult"])
    reads: tuple[Read, ...] = ()
    unseen: tuple[str, ...] = ()
    """Questions about data that are not answered yet."""
    files: Mapping[str, str] | None = None
    """Files that were looked at, each with its stamp (`project.reads`)."""
    told: list[Diagnostic | None] | None = None
    """The findings in words, as far as these are known for good."""


MAX_STEPS = 3_000_000
"""Of one round of checks: results that are asked for, names that are looked up or made. A file of 10,000 lines takes some
60,000."""


class OutOfSteps(Exception):
    """The checks of a round have done all that they may."""


class Session(Struct):
    """The state of the checks of one project. `folder` holds the root file; `probe` allows reading data files."""

    root: Path
    folder: Path
    main: FileScope
    probe: bool
    deep: bool = False
    """Look at all rows of large data files, not at the first ones."""
    looks: DataLooks | None = None
    """Answers questions about data."""
    fetcher: Fetcher = field(default_factory=Fetcher)
    """Asks for rows of `python` and `huggingface` sources, if it may: then the user's code runs."""
    checks: Mapping[SymbolKind, Check] = MappingProxyType({})
    """The check of each kind of declaration. Each keeps its results with `once`."""
    noting: bool = False
    """Note what each check looks at, so that its result can be dropped when that has changed."""
    reads: Reads = field(default_factory=Reads)
    records: NameTable = field(default_factory=NameTable)
    """Records of every file, by key."""
    lms: NameTable = field(default_factory=NameTable)
    """Models of every file, by key."""
    results: dict[tuple[object, int], DeclarationResult] = field(
        default_factory=dict[tuple[object, int], DeclarationResult]
    )
    reporting: dict[DeclarationResult, None] = field(default_factory=dict[DeclarationResult, None])
    """Results with findings."""
    imports_used: Counter[int] = field(default_factory=Counter[int])
    """How often each import is named, by the `id` of its symbol."""
    readers: dict[Read, list[DeclarationResult]] = field(default_factory=dict[Read, list[DeclarationResult]])
    of: dict[int, list[DeclarationResult]] = field(default_factory=dict[int, list[DeclarationResult]])
    """Results by the `id` of their subject."""
    unsteady: set[DeclarationResult] = field(default_factory=set[DeclarationResult])
    filed: set[DeclarationResult] = field(default_factory=set[DeclarationResult])
    """Results for which files were looked at."""
    unneeded: dict[DeclarationResult, None] = field(default_factory=dict[DeclarationResult, None])
    """Results that were needed by what was dropped, and may be by nobody now."""
    unseen: set[DeclarationResult] = field(default_factory=set[DeclarationResult])
    """Results with questions that are not answered yet."""
    read: dict[tuple[str, str], object] = field(default_factory=dict[tuple[str, str], object])
    """What programs out of files hold, by the place and the stamp of the file."""
    work: list[DeclarationResult] = field(default_factory=list[DeclarationResult])
    """What is being checked, the outermost first."""
    apart: DeclarationResult = field(default_factory=lambda: DeclarationResult(None, None))
    """What is found outside of any check that is kept."""
    # From here on: what holds for one round of checks.
    saved: dict[str, object] = field(default_factory=dict[str, object])
    """Programs out of files, by the expression that names them; None for one that cannot be used."""
    circles: set[str] = field(default_factory=set[str])
    """Keys of declarations in a circle that was reported, so that each circle is reported once."""
    ending: dict[str, DeclarationResult] = field(default_factory=dict[str, DeclarationResult])
    """Records that were found to have finite values, by key, each with the check that found it: they need no second look."""
    fetched: list[str] = field(default_factory=list[str])
    """Sources that were asked for their rows, each with the result."""
    crashes: list[Crash] = field(default_factory=list[Crash])
    journal: Journal[Any, Any] | None = None
    """Where the checks record what they meet, if somebody asks about a place in the text."""
    asked: Symbol | None = None
    """The declaration that a query will be about. Only its own check is recorded, in `kept`."""
    kept: Journal[Any, Any] = field(default_factory=Journal[Any, Any])
    failed: tuple[Exception, Location] | None = None
    """The last exception, and the innermost declaration that was being checked."""

    # Results --------------------------------------------------------------------------------------

    def once(self, compute: Callable[[Session, S], T], subject: S) -> T | None:
        """`compute(self, subject)`, computed the first time only; None while it is still running. Raises OutOfSteps."""
        self.reads.steps += 1
        if self.reads.steps > MAX_STEPS:
            raise OutOfSteps
        result = self.results.get((compute, id(subject)))
        if result is None:
            result = self._made(compute, subject)
        if result.value is _RUNNING:
            self.order_matters()
            return None
        self._need(result)
        return cast("T", result.value)

    def _need(self, result: DeclarationResult) -> None:
        """Take note that the check at work is made from a result."""
        if self.work:
            cast("dict[DeclarationResult, None]", self.work[-1].needed)[result] = None
            self.work[-1].steady = self.work[-1].steady and result.steady

    def _made(self, compute: Callable[[Session, S], T], subject: S) -> DeclarationResult:
        key = (compute, id(subject))
        result = self.results[key] = DeclarationResult(compute, subject, wanted=not self.work)
        self.work.append(result)
        outer, noted = self.journal, self.reads.noted
        if self.asked is not None:
            self.journal = self.kept if subject is self.asked else None
        try:
            if self.noting:
                self.reads.noted = set()
                with journal() as files:
                    result.value = compute(self, subject)
                result.files = files or None
                result.reads = tuple(self.reads.noted)
            else:
                result.value = compute(self, subject)
        except Exception as error:
            del self.results[key]  # or the next who asks would take it for a circle
            if (self.failed is None or self.failed[0] is not error) and isinstance(subject, Symbol):
                self.failed = error, subject.location
            self.apart.findings += result.findings
            raise
        finally:
            self.journal, self.reads.noted = outer, noted
            self.work.pop()
        if result.findings:
            self.reporting[result] = None
        for use in result.uses:
            if use.symbol.kind == "import":
                self.imports_used[id(use.symbol)] += 1
        self.of.setdefault(id(subject), []).append(result)
        if self.noting:
            self._register(result)
        return result

    def _register(self, result: DeclarationResult) -> None:
        # There are thousands of results, and most are never looked at again: they take little room.
        result.needed = tuple(result.needed)
        result.uses, result.declared = tuple(result.uses), tuple(result.declared)
        for needed in result.needed:
            needed.needed_by.append(result)
        for read in result.reads:
            self.readers.setdefault(read, []).append(result)
        if not result.steady:
            self.unsteady.add(result)
        if result.files:
            self.filed.add(result)
        if result.unseen:
            self.unseen.add(result)

    def drop(self, results: Iterable[DeclarationResult]) -> list[DeclarationResult]:
        """Forget these results and all that were made from them; all that were forgotten."""
        waiting, gone = list(results), list[DeclarationResult]()
        while waiting:
            result = waiting.pop()
            key = (result.compute, id(result.subject))
            if self.results.get(key) is not result:
                continue
            del self.results[key]
            gone.append(result)
            waiting += result.needed_by
            for needed in result.needed:
                if result in needed.needed_by:
                    needed.needed_by.remove(result)
                if not needed.needed_by:
                    self.unneeded[needed] = None
            for read in result.reads:
                readers = self.readers[read]
                readers.remove(result)
                if not readers:
                    del self.readers[read]
            known = self.of[id(result.subject)]
            known.remove(result)
            if not known:
                del self.of[id(result.subject)]
            self.unsteady.discard(result)
            self.filed.discard(result)
            self.unseen.discard(result)
            self.reporting.pop(result, None)
            for use in result.uses:
                if use.symbol.kind == "import":
                    self.imports_used[id(use.symbol)] -= 1
                    if not self.imports_used[id(use.symbol)]:
                        del self.imports_used[id(use.symbol)]
        return gone

    def sweep(self) -> None:
        """Forget results that no check needs any more: what they found does not count."""
        while self.unneeded:
            result, _ = self.unneeded.popitem()
            if not result.needed_by and not result.wanted:
                self.drop([result])

    def forget_empty(self, compute: Callable[[Session, S], object], subject: S) -> None:
        """Keep no result that says nothing and depends on its subject alone."""
        result = self.results.get((compute, id(subject)))
        if result is not None and not (
            result.findings or result.needed or result.reads or result.files or result.unseen
        ):
            self.drop([result])

    def begin(self) -> None:
        """Begin another round: forget what holds for one round alone."""
        self.apart = DeclarationResult(None, None)
        self.reads.steps = 0
        self.saved, self.circles, self.ending = {}, set(), {}
        self.crashes, self.failed, self.fetched = [], None, []
        self.asked, self.kept = None, Journal[Any, Any]()

    def order_matters(self) -> None:
        """Say that the check at work depends on what was checked before, so that its result holds for one round."""
        if self.work:
            self.work[-1].steady = False

    def in_circle(self, keys: Iterable[str]) -> bool:
        """Whether one of these declarations is in a circle that was reported."""
        found = not self.circles.isdisjoint(keys)
        if found:
            self.order_matters()
        return found

    def circle(self, keys: Iterable[str]) -> None:
        """Take note of a circle that is reported."""
        self.order_matters()
        self.circles |= set(keys)

    def ends(self, key: str) -> bool:
        """Whether an earlier check found that the values of a record are finite."""
        found = self.ending.get(key)
        if found is not None and found is not self.at_work:
            self._need(found)
        return found is not None

    @property
    def running(self) -> list[Symbol]:
        """Declarations whose check is at work, the outermost first."""
        self.order_matters()
        return list(dict.fromkeys(one.subject for one in self.work if isinstance(one.subject, Symbol)))

    def began(self, symbol: Symbol) -> bool:
        """Whether the check of a declaration has begun, or is done."""
        return id(symbol) in self.of or any(one.subject is symbol for one in self.work)

    @property
    def at_work(self) -> DeclarationResult:
        """The check at work, which takes what is found."""
        return self.work[-1] if self.work else self.apart

    @property
    def findings(self) -> list[Finding]:
        """What the check at work found so far."""
        return self.at_work.findings

    @property
    def amiss(self) -> bool:
        """Whether the check at work, or one that it needed so far, found something."""
        return any(True for _ in self.found_so_far())

    def found_so_far(self) -> Iterator[Finding]:
        """What the check at work found so far, and what those found that it needed."""
        waiting, seen = [self.at_work], set[DeclarationResult]()
        while waiting:
            result = waiting.pop()
            yield from result.findings
            for one in result.needed:
                if one not in seen:
                    seen.add(one)
                    waiting.append(one)

    @property
    def uses(self) -> Sequence[Use]:
        """The uses of names in the check at work; outside of any, all that are known."""
        return self.work[-1].uses if self.work else [use for one in self._all() for use in one.uses]

    @property
    def reported(self) -> list[Finding]:
        """All that is found."""
        return [finding for one in (self.apart, *self.reporting) for finding in one.findings]

    @property
    def declared(self) -> list[Symbol]:
        """All symbols inside declarations."""
        return [symbol for one in self._all() for symbol in one.declared]

    @property
    def sampled(self) -> list[str]:
        return [name for one in self._all() for name in one.sampled]

    def _all(self) -> Iterator[DeclarationResult]:
        yield self.apart
        yield from self.results.values()

    def checked(self, symbol: Symbol) -> object:
        """What the check of its kind makes of a declaration; None while that check is still running."""
        check = self.checks.get(symbol.kind)
        return check(self, symbol) if check else None

    def guarded(self, place: Location, work: Callable[[], T]) -> T | None:
        """What `work` gives. An exception becomes a DS0000, and everything else is still checked, as far as the steps go."""
        try:
            return work()
        except OutOfSteps:
            return None
        except Exception as error:  # noqa: BLE001 - the boundary: a bug must not become a traceback
            if self.failed is not None and self.failed[0] is error:
                place = self.failed[1]
            known = {crash.finding.where for crash in self.crashes}
            if place not in known:  # every check that needs a failed declaration fails there again
                self.crashes.append(crash(error, place))
            return None

    # For the checks -------------------------------------------------------------------------------

    def see(self, question: Question) -> DataSeen | None:
        """What is seen in data; None where that is not known yet."""
        if self.looks is None:
            return None
        for path in files_of(question) if self.noting else ():
            looked_at(self.folder / path)
        found = self.looks.see(question)
        if isinstance(found, str):
            self.at_work.unseen += (found,)
            return None
        looked_at_before(dict(found.files))
        return found

    def has_lm_mistake(self, place: Place) -> bool:
        """True when a model may stand in an import or a declaration that could not be read."""
        return any(None in scope.imports.values() or scope.unreadable for scope in (place.scope, self.main))

    def symbol_of(self, place: Place) -> Symbol | None:
        """The symbol that the declaration at `place` declares."""
        name = place.declaration.name
        return place.scope.symbols.get(name.text) if name else None

    def place(self, symbol: Symbol) -> Place:
        return Place(symbol.scope, symbol.block, symbol.declaration)

    def report(self, finding: Finding) -> None:
        self.findings.append(finding)

    def seek(self, node: Node, kinds: Iterable[str], names: Mapping[str, Symbol | None] = NO_NAMES) -> None:
        """Record what is looked for at `node`: declarations of `kinds`, and the declaration's own `names`."""
        if self.journal is not None:
            self.journal.seek(node, kinds, names)

    def declare(
        self, place: Place, kind: SymbolKind, name: str, node: Node | Span, doc: str = "", detail: str = ""
    ) -> Symbol:
        """A new symbol inside a declaration: a field, a `let`, a step."""
        symbol = Symbol(
            kind,
            name,
            place.scope.prefix + name,
            place.at(node),
            place.declaration,
            place.block,
            place.scope,
            doc,
            detail,
        )
        cast("list[Symbol]", self.at_work.declared).append(symbol)
        return symbol

    def use(self, place: Place, node: Node, symbol: Symbol | None) -> None:
        """Record that `node` names `symbol`."""
        if symbol is not None:
            cast("list[Use]", self.at_work.uses).append(Use(place.at(node), symbol))


def crash(error: Exception, place: Location) -> Crash:
    """The record of an exception that the checks did not expect."""
    words = str(error).strip().splitlines()
    finding = codes.project.Crashed(place, type(error).__name__, words[0] if words else "")
    return Crash(finding, "".join(traceback.format_exception(error)))
