"""What the checks of one analysis share: the findings, the symbols, and results by declaration.

Every declaration is checked once, on first need, so the order in a file does not matter: a module
asks for its signature and the signature is checked then. A declaration that needs itself gets None
from `once`, and whoever owns that kind of cycle reports it.
"""

from __future__ import annotations

import traceback
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, TypeVar, cast

from msgspec import Struct, field

from dspec.grammar.tree import Block, Declaration, Node, Span

from ..data import Fetcher
from ..diagnostics import codes, fixes
from ..diagnostics.codes.base import Finding
from ..project.caches import Cache
from ..project.source import Location, Source
from ..tables.block_specs import SymbolKind
from .journal import Journal
from .symbols import FileScope, Symbol, Use

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
        return Location(self.source, self.block.start + span.start, self.block.start + span.end)

    def text(self, node: Node) -> str:
        """What the user wrote for `node`."""
        return self.block.text[node.span.start : node.span.end]

    def told(self, node: Node) -> str:
        """File and line of a node, as messages of a run name it."""
        at = self.at(node)
        return f"{at.source.name}:{at.source.position(at.start).line}"

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


class Session(Struct):
    """The state of one analysis. `folder` holds the root file; `probe` allows reading data files."""

    root: Path
    folder: Path
    main: FileScope
    probe: bool
    deep: bool = False
    """Look at all rows of large data files, not at the first ones."""
    cache: Cache | None = None
    """Remembers what data files hold."""
    fetcher: Fetcher = field(default_factory=Fetcher)
    """Asks for rows of `python` and `huggingface` sources, if it may: then the user's code runs."""
    checks: Mapping[SymbolKind, Check] = MappingProxyType({})
    """The check of each kind of declaration. Each keeps its results with `once`."""
    findings: list[Finding] = field(default_factory=list[Finding])
    declared: list[Symbol] = field(default_factory=list[Symbol])
    uses: list[Use] = field(default_factory=list[Use])
    owners: dict[int, FileScope] = field(default_factory=dict[int, FileScope])
    used: set[int] = field(default_factory=set[int])
    records: dict[str, Symbol] = field(default_factory=dict[str, Symbol])
    """Records of every file, by key."""
    lms: dict[str, Symbol] = field(default_factory=dict[str, Symbol])
    """Models of every file, by key."""
    doubles: list[Symbol] = field(default_factory=list[Symbol])
    """Declarations whose names were taken: checked, but never found by name."""
    default_lms: dict[int, Symbol | None] = field(default_factory=dict[int, Symbol | None])
    """The model of modules that name none, by the `id` of their file's scope."""
    saved: dict[str, object] = field(default_factory=dict[str, object])
    """Programs out of files, by the expression that names them; None for one that cannot be used."""
    running: list[Symbol] = field(default_factory=list[Symbol])
    """Declarations whose check is at work, the outermost first."""
    circles: set[str] = field(default_factory=set[str])
    """Keys of declarations in a circle that was reported, so that each circle is reported once."""
    ending: set[str] = field(default_factory=set[str])
    """Keys of records that were found to have finite values: they need no second look."""
    results: dict[tuple[object, int], object] = field(default_factory=dict[tuple[object, int], object])
    begun: set[int] = field(default_factory=set[int])
    """Declarations whose check has begun."""
    sampled: list[str] = field(default_factory=list[str])
    """Data files of which only the first rows were looked at."""
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

    def once(self, compute: Callable[[Session, Symbol], T], symbol: Symbol) -> T | None:
        """`compute(self, symbol)`, computed the first time only; None while it is still running."""
        key = (compute, id(symbol))
        found = self.results.get(key)
        if found is None:
            self.results[key] = _RUNNING
            self.begun.add(id(symbol))
            self.running.append(symbol)
            outer = self.journal
            if self.asked is not None:
                self.journal = self.kept if symbol is self.asked else None
            try:
                found = self.results[key] = compute(self, symbol)
            except Exception as error:
                del self.results[key]  # or the next who asks would take it for a circle
                if self.failed is None or self.failed[0] is not error:
                    self.failed = error, symbol.location
                raise
            finally:
                self.journal = outer
                self.running.pop()
        return None if found is _RUNNING else cast("T", found)

    def began(self, symbol: Symbol) -> bool:
        """Whether the check of a declaration has begun, or is done."""
        return id(symbol) in self.begun

    def checked(self, symbol: Symbol) -> object:
        """What the check of its kind makes of a declaration; None while that check is still running."""
        check = self.checks.get(symbol.kind)
        return check(self, symbol) if check else None

    def guarded(self, place: Location, work: Callable[[], T]) -> T | None:
        """What `work` gives. An exception becomes a DS0000, and everything else is still checked."""
        try:
            return work()
        except Exception as error:  # noqa: BLE001 - the boundary: a bug must not become a traceback
            if self.failed is not None and self.failed[0] is error:
                place = self.failed[1]
            known = {crash.finding.where for crash in self.crashes}
            if place not in known:  # every check that needs a failed declaration fails there again
                self.crashes.append(crash(error, place))
            return None

    def has_lm_mistake(self, place: Place) -> bool:
        """True when a model may stand in an import or a declaration that could not be read."""
        return any(None in scope.imports.values() or scope.unreadable for scope in (place.scope, self.main))

    def symbol_of(self, place: Place) -> Symbol | None:
        """The symbol that the declaration at `place` declares."""
        name = place.declaration.name
        return place.scope.symbols.get(name.text) if name else None

    def place(self, symbol: Symbol) -> Place:
        return Place(self.owners[id(symbol)], symbol.block, symbol.declaration)

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
            doc,
            detail,
        )
        self.owners[id(symbol)] = place.scope
        self.declared.append(symbol)
        return symbol

    def use(self, place: Place, node: Node, symbol: Symbol | None) -> None:
        """Record that `node` names `symbol`."""
        if symbol is not None:
            self.uses.append(Use(place.at(node), symbol))
            self.used.add(id(symbol))


def crash(error: Exception, place: Location) -> Crash:
    """The record of an exception that the checks did not expect."""
    words = str(error).strip().splitlines()
    finding = codes.project.Crashed(place, type(error).__name__, words[0] if words else "")
    return Crash(finding, "".join(traceback.format_exception(error)))
