"""`dspc check`: find mistakes before a cent is spent."""

from __future__ import annotations

import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from .console import Exit, fail, stderr
from .quick import check_cache
from .telling import Format, tell

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ..check.unchanged import CheckResult
    from ..diagnostics.record import Diagnostic


SEVERITIES = ("error", "warning", "hint")
MAX_FINDINGS = 1_000


def check(
    paths: Annotated[
        list[Path] | None,
        typer.Argument(metavar="PATH", help="Files or folders; the current folder if none."),
    ] = None,
    style: Annotated[Format, typer.Option("--format", help="How findings are printed.")] = Format.human,
    strict: Annotated[bool, typer.Option("--strict", help="Warnings fail, too.")] = False,
    fix: Annotated[bool, typer.Option("--fix", help="Apply the fixes that are safe unseen.")] = False,
    deep: Annotated[
        bool,
        typer.Option(
            "--deep",
            help="Read all rows of large data files, and fetch those that are elsewhere: runs `python` sources.",
        ),
    ] = False,
    watch: Annotated[bool, typer.Option("--watch", help="Check again at each save, until Ctrl-C.")] = False,
) -> None:
    """Find mistakes in .dspec files and in their data. Calls no model."""
    from .sources import find_sources

    sources = find_sources(paths or [Path()])
    if watch:
        if fix or deep:
            fail("--watch only looks", help="leave out --fix and --deep", code=Exit.USAGE)
        _watch(sources, style, strict=strict)
        return
    found = findings(sources, deep=deep)
    if fix:
        found = _repaired(sources, found, deep=deep)
    if code := tell(sources, found, style, strict=strict):
        raise typer.Exit(code)


def _watch(sources: list[Path], style: Format, *, strict: bool) -> None:
    """Tells what is found whenever that is something else than before. A file that another one imports is a part of that."""
    from ..check.unchanged import CheckResult
    from ..check.watching import POLL, Watched
    from ..compile.affording import check_budgets
    from ..diagnostics.record import in_order
    from .crash import with_reports

    watched = [Watched(path, cache=check_cache(path), besides=check_budgets) for path in sources]
    told: CheckResult | None = None
    with suppress(KeyboardInterrupt):
        while True:
            analyses = [one.look() for one in watched]
            imported = {source.path for analysis in analyses for source in analysis.sources[1:]}
            said: dict[Diagnostic, None] = {}
            for analysis in analyses:
                if analysis.source.path not in imported:
                    said.update(dict.fromkeys(with_reports(analysis)))
            shown = sorted(said, key=lambda one: SEVERITIES.index(one.severity))[:MAX_FINDINGS]
            found = CheckResult(tuple(in_order(shown)), (), len(said) - len(shown))
            if found != told:
                told = found
                tell(sources, found, style, strict=strict)
                sys.stdout.flush()
            while not any(one.changed() for one in watched):
                time.sleep(POLL)


def _repaired(sources: list[Path], found: CheckResult, *, deep: bool) -> CheckResult:
    """Apply the safe fixes, and check what came of it. One that would bring worse is left for a person to look at."""
    from msgspec.structs import replace

    from ..check.analysis import analyse_all
    from ..diagnostics.fixes import repair, safe_fix

    if not any(map(safe_fix, found.diagnostics)):
        return found

    def check(texts: Mapping[Path, str]) -> list[Diagnostic]:
        analyses = analyse_all(sources, deep=deep, cache=check_cache, texts=texts)
        return list(dict.fromkeys(one for analysis in analyses for one in analysis.diagnostics))

    repaired = repair(check)
    if repaired.count:
        repaired.write()
        stderr().print(f"applied {repaired.count} fix{'es' if repaired.count > 1 else ''}")
        found = findings(sources, deep=deep)
    left = [one for one in found.diagnostics if safe_fix(one)]
    if left:
        what = "a fix was" if len(left) == 1 else f"{len(left)} fixes were"
        stderr().print(f"{what} not applied: something else would be wrong then")
    seen = (
        replace(one, fixes=tuple(replace(fix, applicability="maybe") for fix in one.fixes))
        for one in found.diagnostics
    )
    return replace(found, diagnostics=tuple(seen))


def findings(sources: list[Path], *, deep: bool) -> CheckResult:
    """What there is to say of the files, from memory where nothing has changed since it was said."""
    from ..check.unchanged import CheckResult, recall, remember

    known = recall(check_cache(sources[0]), sources, deep=deep)
    if known is not None:
        return known

    from ..check.analysis import analyse_all
    from ..compile.affording import check_budgets
    from ..diagnostics.record import in_order
    from ..project.reads import journal
    from .crash import with_reports

    with journal() as reads:
        fetch = "always" if deep else "never"
        analyses = analyse_all(sources, deep=deep, cache=check_cache, fetch=fetch, besides=check_budgets)
    fetched = dict.fromkeys(what for analysis in analyses for what in analysis.fetched)
    for what in fetched:
        stderr().print(what, markup=False)
    said: dict[Diagnostic, None] = {}
    for analysis in analyses:
        said.update(dict.fromkeys(with_reports(analysis)))
    sampled = dict.fromkeys(name for analysis in analyses for name in analysis.sampled)
    # The worst first where there are too many: each takes kilobytes to draw, and nobody reads a thousand.
    shown = sorted(said, key=lambda one: SEVERITIES.index(one.severity))[:MAX_FINDINGS]
    found = CheckResult(tuple(in_order(shown)), tuple(sampled), len(said) - len(shown))
    # What is elsewhere may be another one the next time it is asked for.
    if not fetched and not any(analysis.crashes for analysis in analyses):
        remember(check_cache(sources[0]), sources, found, reads, deep=deep)
    return found
