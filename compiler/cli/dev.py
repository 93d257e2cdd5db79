"""`dspc dev`: a file checked at every save, and what changed of its optimize blocks compiled again within a budget.

A round is a check and, where it finds no errors, the blocks whose artifacts are no more what a compile would give. It ends
where a save changes what a compile is about: that is told to stop, its answers on the way are waited for and kept, and the
next round begins. A save that changes nothing of it (a comment, another block) lets it go on.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dspec.runtime.errors import ArtifactError, BudgetExceeded, DspecError, Stopped

from ..diagnostics.wording import plural
from .allowance import Allowance
from .budgets import with_budgets
from .console import Exit, fail, few, print_error, say, stdout
from .options import ThreadsOption, TransportChoice, TransportOption
from .session import stop_signals
from .sources import SourceArgument

if TYPE_CHECKING:
    from dspec.runtime.artifact.artifact import Artifact

    from ..check.analysis import Analysis
    from ..compile.changes import Snapshot
    from ..compile.evals import EvalResult
    from ..compile.pipeline import Compiled, Job
    from ..compile.prepared import Prepared
    from ..ir import Project
    from .session import CommandSession

_PATIENCE = 3600.0
"""Seconds that a save waits for answers on their way: each attempt ends in its model's own `timeout`."""


def dev(
    path: SourceArgument,
    names: Annotated[
        list[str] | None,
        typer.Argument(metavar="NAME", help="The optimize blocks; all of the file's own if left out."),
    ] = None,
    max_calls: Annotated[
        int | None,
        typer.Option(min=0, help="Model calls of the whole session at most.", show_default=False),
    ] = None,
    max_usd: Annotated[
        float | None,
        typer.Option(min=0.0, help="What the whole session may cost at most.", show_default=False),
    ] = None,
    threads: ThreadsOption = 16,
    transport: TransportOption = TransportChoice.auto,
    out: Annotated[
        Path | None, typer.Option(help="Folder of the artifacts; `compiled` beside the file if left out.")
    ] = None,
    evals: Annotated[bool, typer.Option(help="Run the eval blocks that score the results.")] = True,
) -> None:
    """Check a file at every save, compile again what changed, and show what became better or worse. Ctrl-C ends.

    Without --max-calls and --max-usd only models that cost nothing are asked.
    """
    if not path.is_file():
        fail(f"there is no file {path}", help="name a .dspec file or a folder", code=Exit.USAGE)
    session = _Developing(path, tuple(names or ()), max_calls, max_usd, threads, transport, out, evals=evals)
    if code := asyncio.run(session.run()):
        raise typer.Exit(code)


class _Developing:
    """One session of `dspc dev`."""

    def __init__(
        self,
        path: Path,
        names: tuple[str, ...],
        max_calls: int | None,
        max_usd: float | None,
        threads: int,
        transport: TransportChoice,
        out: Path | None,
        *,
        evals: bool,
    ) -> None:
        from ..check.watching import Watched
        from ..compile.affording import check_budgets
        from .quick import check_cache

        self._path, self._names = path, names
        self._allowance = Allowance(max_calls, max_usd)
        self._threads, self._transport, self._evals = threads, transport, evals
        self._base = path.resolve().parent
        self._given = out
        self._watched = Watched(path, cache=check_cache(path), besides=check_budgets)
        self._stop = asyncio.Event()
        self._entering: asyncio.Task[None] | None = None
        """The task that waits for another command to leave the project."""
        self._cut = False
        """Whether a Ctrl-C ended a compile."""
        self._saved = False
        """Whether a compile has taken notice of a save that the next round is about."""
        self._told: object = None
        self._fresh: set[str] = set()
        """Blocks of which it was said that they are what a compile would give."""
        self._scored: dict[str, str] = {}
        """By eval: what it was about when it was last run, or when its block was first found fresh."""

    async def run(self) -> Exit:
        """Rounds until somebody stops it. Returns the code to leave with."""
        self._arm()
        limits = self._allowance.limits
        within = f", and what changed is compiled within {limits}" if limits else ""
        say(f"watching {self._path}: each save is checked{within}; Ctrl-C ends")
        while not self._stop.is_set():
            self._saved = False
            analysis = await self._looked()
            if analysis.project is not None:
                await self._work(analysis.project, analysis)
            if not self._saved:
                await self._until_changed()
        say(f"ended; this session took {self._allowance.taken}")
        return Exit.INTERRUPTED if self._cut else Exit.OK

    # What is watched ----------------------------------------------------------------------------------

    async def _looked(self) -> Analysis:
        """The newest analysis, told where it says something else than the one before."""
        from .crash import with_reports
        from .sources import print_findings

        analysis = await asyncio.to_thread(self._watched.look)
        found = tuple(with_reports(analysis)) if analysis.crashes else analysis.diagnostics
        if self._told != (found, analysis.project is None):
            self._told = (found, analysis.project is None)
            print_findings(analysis)
            if analysis.project is None:
                say(f"{self._path}: errors; nothing is compiled until they are mended")
            else:
                say(f"{self._path}: no errors")
        return analysis

    async def _until_changed(self) -> None:
        """Waits for a save, or for a stop."""
        from ..check.watching import POLL

        while not self._stop.is_set() and not await asyncio.to_thread(self._watched.changed):
            with suppress(TimeoutError):
                await asyncio.wait_for(self._stop.wait(), POLL)

    def _arm(self) -> None:
        """Has Ctrl-C, and what else asks for an end, end the session while nothing is compiled. A compile has its own
        way to stop (`session`), and takes this one away."""
        loop = asyncio.get_running_loop()
        for number in stop_signals():
            with suppress(NotImplementedError, RuntimeError):  # Windows: Python's own KeyboardInterrupt stays
                loop.add_signal_handler(number, self._stopped)

    def _stopped(self) -> None:
        self._stop.set()
        if self._entering is not None:
            self._entering.cancel()

    # What is compiled ---------------------------------------------------------------------------------

    async def _work(self, project: Project, analysis: Analysis) -> None:
        """Compiles what is not fresh, until a save has changed what it is about."""
        try:
            await self._fetch(project, analysis)
            prepared, jobs = await asyncio.to_thread(self._planned, project, analysis)
            for job in jobs:
                if (
                    self._saved
                    or self._stop.is_set()
                    or not self._allowance.may_ask(prepared, job.name, job.plan.most)
                ):
                    return
                if all(prepared.program(name) is not None for name in prepared.project.needed(job.name)):
                    await self._compiled(prepared, job)
            if not jobs:
                await self._evaluated(prepared)
        except asyncio.CancelledError:
            if not self._stop.is_set():
                raise
        except DspecError as error:
            print_error(error.message, error.help)

    async def _fetch(self, project: Project, analysis: Analysis) -> None:
        """Sets keys that models and tools need, and fetches rows that are elsewhere and not kept."""
        from ..data import fetch
        from ..data.needs import compile_needs, sources
        from ..project.state import project_root
        from .dotenv import fill_environment

        root = project_root(self._path)
        own = [lm for program in project.made.values() for lm in program.lms.values()]
        fill_environment(root, [*project.lms.values(), *own], tools=project.externs.values())
        for source in sources(project, compile_needs(project, self._asked(project))):
            look = partial(fetch, source, analysis.session.folder, root, when="missing")
            await asyncio.to_thread(look)

    def _asked(self, project: Project) -> list[str]:
        from .sources import own

        return [name for name in self._names if name in project.optimizes] or own(project.optimizes)

    def _planned(self, project: Project, analysis: Analysis) -> tuple[Prepared, list[Job]]:
        """The blocks that are to be compiled, in order; those that are fresh are told of once."""
        from ..compile.freshness import result_in
        from ..compile.pipeline import check_places, plan_blocks
        from ..compile.prepared import Prepared
        from ..data.needs import compile_needs
        from .planned import recalled

        if unknown := [name for name in self._names if name not in project.optimizes]:
            say(f"{self._path} declares no optimize block {', '.join(unknown)}")
        remembered = recalled(self._path)
        order = project.in_order(self._asked(project))
        looking = Prepared(project, self._base, compile_needs(project, order), sources=analysis.sources)
        stale: list[str] = []
        for name in order:
            found = result_in(self._place(name), looking, name, remembered(name))
            if found is None:
                stale.append(name)
                self._fresh.discard(name)
                continue
            looking.made(name, found)
            if name not in self._fresh:
                self._fresh.add(name)
                say(f"{name}: its artifact is what a compile would give")
        if not stale:
            return looking, []
        prepared, jobs = plan_blocks(
            with_budgets(project, self._path, None),
            stale,
            self._base,
            self._out,
            evals=self._evals,
            recalled=remembered,
            sources=analysis.sources,
        )
        for job in jobs:
            prepared.files(job.name)
        check_places(jobs)
        return prepared, jobs

    @property
    def _out(self) -> Path:
        """The folder of the artifacts, as the project's settings have it now."""
        from .sources import compiled_from_here

        return self._given or compiled_from_here(self._path)

    def _place(self, name: str) -> Path:
        return self._out / f"{name}.dspc.json"

    # One block ----------------------------------------------------------------------------------------

    async def _compiled(self, prepared: Prepared, job: Job) -> None:
        """Compiles one block and shows what came of it, unless a save has ended it."""
        from .compile import keep_record

        declared, before = prepared.project, _whole(self._place(job.name))
        then = await asyncio.to_thread(_meant, prepared, job.name)
        self._tell_changes(prepared, job)
        self._allowance.bound(prepared)
        done, superseded = await self._in_session(prepared, job, then)
        prepared.project = prepared.project.model_copy(
            update={"optimizes": declared.optimizes, "evals": declared.evals}
        )
        if done is not None:
            self._allowance.trained(done.built.spent.training.usd)
            if done.built.status == "complete":
                keep_record(prepared, done, self._path)
                self._fresh.add(job.name)
        if superseded:
            say(f"{job.name}: stopped by a save; every answer is kept")
        elif done is None or done.stopped:
            self._cut = True
            self._stop.set()
        else:
            await self._tell_result(prepared, done, before)
            prepared.finished(job.name)

    @asynccontextmanager
    async def _session(self, attempt: str, project: Project) -> AsyncGenerator[CommandSession]:
        """Ledger, store and engine, whose calls count for the whole session once closed. A stop ends the wait for them."""
        from .session import open_session

        self._entering = asyncio.current_task()
        try:
            async with open_session(
                self._path,
                self._threads,
                self._transport,
                attempt=attempt,
                tools=tuple(project.externs.values()),
            ) as session:
                self._entering = None
                self._allowance.opened(session)
                yield session
        finally:
            self._entering = None
            self._allowance.closed()
            self._arm()

    async def _in_session(self, prepared: Prepared, job: Job, then: Snapshot) -> tuple[Compiled | None, bool]:
        """The result, None where it was stopped before there was one; and whether a save ended it."""
        from msgspec.structs import replace

        from ..compile.pipeline import compile_block
        from .progress import reporting

        project = prepared.project
        shared = tuple(name for name in job.evals if project.evals[name].budget is None)
        async with self._session("compile", project) as session:
            with reporting(lambda: session.engine.tally) as report:
                working = asyncio.create_task(
                    compile_block(
                        prepared,
                        replace(job, evals=shared),
                        engine=session.engine,
                        store=session.store,
                        report=report,
                        execute=session.execute,
                    )
                )
                superseded = await self._overtaken(working, session, job.name, then)
                try:
                    done = await working
                except Stopped:
                    return None, superseded
                if done.whole and not superseded:
                    for name in (one for one in job.evals if one not in shared):
                        done = await self._scored_too(prepared, done, name, session)
            if done.whole:
                session.finished()
            return done, superseded

    async def _overtaken(
        self, working: asyncio.Task[Compiled], session: CommandSession, name: str, then: Snapshot
    ) -> bool:
        """Waits for a compile, or stops it where a save has made it one of something else: then True."""
        from ..check.watching import POLL

        while True:
            await asyncio.wait({working}, timeout=POLL)
            if working.done():
                return False
            if not await asyncio.to_thread(self._watched.changed):
                continue
            self._saved = True
            analysis = await self._looked()
            same = False
            if analysis.project is not None:
                with suppress(DspecError):
                    same = await asyncio.to_thread(self._still, analysis.project, name) == then
            if same or working.done():
                continue
            await session.engine.drain(_PATIENCE)
            await asyncio.wait({working})
            return True

    def _still(self, project: Project, name: str) -> Snapshot | None:
        """What a compile of the block would be of now; None where it is gone."""
        from ..compile.pipeline import plan_blocks
        from .planned import recalled

        if name not in project.optimizes:
            return None
        prepared, _ = plan_blocks(
            project, [name], self._base, self._out, evals=self._evals, recalled=recalled(self._path)
        )
        return _meant(prepared, name)

    async def _scored_too(
        self, prepared: Prepared, done: Compiled, name: str, session: CommandSession
    ) -> Compiled:
        """The result with one more eval, which has a budget of its own."""
        from msgspec.structs import replace

        results, cut = await self._run_eval(prepared, name, done.job.name, session)
        return replace(done, evals=(*done.evals, *results), cut=done.cut or cut)

    async def _run_eval(
        self, prepared: Prepared, name: str, block: str, session: CommandSession
    ) -> tuple[tuple[EvalResult, ...], BudgetExceeded | Stopped | None]:
        from ..compile.evals import Walls, evaluate_each

        self._allowance.bound(prepared)
        compiled = {block: found} if (found := prepared.program(block)) is not None else {}
        return await evaluate_each(
            prepared,
            [name],
            walls=Walls(prepared.project),
            engine=session.engine,
            store=session.store,
            compiled=compiled,
            execute=session.execute,
        )

    async def _evaluated(self, prepared: Prepared) -> None:
        """Runs the evals of fresh blocks that are other ones than they were."""
        from . import results as written

        project, due = prepared.project, dict[str, str]()
        for name, block in project.evals.items() if self._evals else ():
            if block.program in project.made and block.program in project.optimizes:
                key = await asyncio.to_thread(_eval_key, prepared, name)
                if self._scored.setdefault(name, key) != key:
                    due[name] = key
        if not due or not all(
            self._allowance.may_ask(prepared, project.evals[name].program, 0) for name in due
        ):
            return
        results: list[EvalResult] = []
        halt: BudgetExceeded | Stopped | None = None
        async with self._session("eval", project) as session:
            for name, key in due.items():
                found, halt = await self._run_eval(prepared, name, project.evals[name].program, session)
                if halt is not None:
                    break
                results += found
                self._scored[name] = key
            if halt is None:
                session.finished()
        written.draw_evals(stdout(), results)
        if isinstance(halt, Stopped):
            self._cut = True
            self._stop.set()
        elif halt is not None:
            print_error(halt.message, halt.help)

    # What is shown ------------------------------------------------------------------------------------

    def _tell_changes(self, prepared: Prepared, job: Job) -> None:
        from ..compile.changes import NOT_OF_RESULTS
        from .planned import look

        seen = look(self._path, prepared, job.name, made=job.plan, threads=self._threads)
        changed = [str(one) for one in seen.changes or () if not one.place.startswith(NOT_OF_RESULTS)]
        say(
            f"{job.name}: compiling, at most {plural(job.plan.most, 'call')}, {seen.free.calls:,} of them known already"
        )
        for line in few(changed, _SHOWN):
            say(line)
        if seen.free.steps:
            say(f"  as before: {', '.join(seen.free.steps)}")

    async def _tell_result(self, prepared: Prepared, done: Compiled, before: Artifact | None) -> None:
        """Against the artifact before: scores, and the rows that flipped; the first one by itself."""
        from ..compile.reports.compare import comparison, tables_of
        from ..compile.reports.kept import archive
        from ..project.state import project_root, state_place
        from . import differences
        from . import results as written

        name, after, console = done.job.name, done.built.artifact, stdout()
        for one in done.evals:
            self._scored[one.name] = await asyncio.to_thread(_eval_key, prepared, one.name)
        if before is None:
            written.draw_compiled(console, done)
        else:
            names = ("before", "after")
            async with archive(state_place(project_root(self._path))) as kept:
                tables = await tables_of(prepared, name, names, before.program, after.program, kept)
            result = comparison(names, before, after, tables)
            console.print(f"{name}: before → after", markup=False)
            differences.draw_scores(console, result)
            for table in result.tables:
                differences.draw_rows(console, table, "")
            console.print()
            written.draw_evals(console, list(done.evals))
            for note in done.built.notes:
                console.print(f"note: {note}", markup=False)
            console.print(written.spent_line(done.tally, done.spent.calls))
        if done.built.status == "budget":
            print_error("the budget is spent", "the checks go on; what was answered is kept")
        elif done.cut is not None:
            print_error(done.cut.message, done.cut.help)


_SHOWN = 8
"""Changes that are told of one block."""


def _whole(place: Path) -> Artifact | None:
    """The artifact that stands there, if it is of a compile that came to its end."""
    from dspec.runtime.artifact.artifact import read_artifact

    from ..compile.keeping import is_whole

    try:
        found = read_artifact(place)
    except ArtifactError:
        return None
    return found if is_whole(found) else None


def _meant(prepared: Prepared, name: str) -> Snapshot:
    """What the result of a block depends on."""
    from ..compile.changes import NOT_OF_RESULTS, snapshot

    found = snapshot(prepared, name)
    return {place: value for place, value in found.items() if not place.startswith(NOT_OF_RESULTS)}


def _eval_key(prepared: Prepared, name: str) -> str:
    """A hash of what an eval's result follows from."""
    from dspec.runtime.schema.program import digest

    from ..data import rows_digest
    from ..evaluate.digests import metric_digest, program_digest

    project = prepared.project
    block = project.evals[name]
    programs = [prepared.program(one) for one in (block.program, block.baseline) if one is not None]
    return digest(
        [
            block.model_dump(mode="json", exclude={"budget"}),
            metric_digest(project.metrics[block.metric]),
            rows_digest(prepared.rows(block.data)),
            *(None if one is None else program_digest(one) for one in programs),
        ]
    )
