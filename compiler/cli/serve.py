"""`dspc serve`: compiled programs behind HTTP, or as tools of an MCP server."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Callable, Coroutine, Sequence
from concurrent.futures import Future
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dspec.runtime.errors import ConfigurationError

from .console import Exit, fail, stderr
from .locking import LockedOption, refuse_changed
from .run import AllowOption, ApiBaseOption, LmOption

if TYPE_CHECKING:
    from dspec.runtime.application import Application

    from ..serving.web.server import ServerSettings


def serve(
    artifacts: Annotated[
        list[Path],
        typer.Argument(metavar="FILE", help="Artifacts (.dspc.json), one or more.", show_default=False),
    ],
    host: Annotated[str, typer.Option(help="Where to listen; only this machine unless said.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="0 takes a free one.")] = 8000,
    key_env: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME",
            help="A variable with a key that callers need. Several may be given.",
            show_default=False,
        ),
    ] = None,
    no_key: Annotated[
        bool, typer.Option("--no-key", help="Let everybody call who reaches a --host beyond this machine.")
    ] = False,
    mcp: Annotated[
        bool, typer.Option("--mcp", help="An MCP server on standard input and output instead.")
    ] = False,
    mcp_http: Annotated[
        bool, typer.Option("--mcp-http", help="An MCP server over streamable HTTP, at /mcp, instead.")
    ] = False,
    concurrency: Annotated[int, typer.Option(min=1, max=4096, help="Runs at the same time at most.")] = 64,
    queue: Annotated[
        int, typer.Option(min=0, max=65536, help="Requests that may wait for a run to end.")
    ] = 256,
    patience: Annotated[float, typer.Option(min=0.1, help="Seconds that one waits at most.")] = 30.0,
    timeout: Annotated[
        float, typer.Option(min=0.1, help="Seconds for one run with all of its calls.")
    ] = 120.0,
    max_body: Annotated[int, typer.Option(min=1, help="Bytes of a request's body at most.")] = 1 << 20,
    drain: Annotated[float, typer.Option(min=0.0, help="Seconds that a stop waits for runs.")] = 120.0,
    threads: Annotated[
        int, typer.Option("--threads", "-j", min=1, max=4096, help="Model calls in flight at most.")
    ] = 64,
    lm: LmOption = None,
    api_base: ApiBaseOption = None,
    allow: AllowOption = None,
    cache: Annotated[
        Path | None,
        typer.Option(help="Keep answers in this file, and pay for none twice.", show_default=False),
    ] = None,
    record: Annotated[
        Path | None,
        typer.Option(
            help="Record calls in this SQLite file, and take feedback on them at /feedback.",
            show_default=False,
        ),
    ] = None,
    locked: LockedOption = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No line for each request.")] = False,
) -> None:
    """Serve compiled programs. A first Ctrl-C or SIGTERM answers what is being asked and ends; a second ends at once."""
    from ..serving.web.server import LOOPBACK, ServerSettings

    keys = _keys(key_env or [])
    if host not in LOOPBACK and not keys and not no_key and not mcp:
        fail(
            f"whoever reaches {host} could run these programs, and you would pay",
            help="name a variable with a key, --key-env NAME, or say --no-key",
            code=Exit.USAGE,
        )
    if mcp and mcp_http:
        fail("--mcp and --mcp-http are two ways to serve", help="say one of them", code=Exit.USAGE)
    programs: dict[str, Application] = {}
    with ExitStack() as stack:
        for path in artifacts:
            if locked:
                refuse_changed(path, lm)
            application = stack.enter_context(
                _loaded(path, lm, api_base, allow or [], cache, record, threads, timeout)
            )
            if application.name in programs:
                fail(f"two artifacts are of `{application.name}`", help="serve one of them", code=Exit.USAGE)
            programs[application.name] = application
        settings = ServerSettings(
            host=host,
            port=port,
            concurrency=concurrency,
            queue=queue,
            patience=patience,
            max_body=max_body,
            drain_seconds=drain,
            keys=tuple(keys),
        )
        log = _dropped if quiet else _logged
        if mcp or mcp_http:
            whole = _mcp(programs, settings, log, http=mcp_http)
        else:
            whole = _http(programs, settings, log)
    if not whole:
        fail("some requests were not answered before the stop ended", code=Exit.ENVIRONMENT)


def _http(programs: dict[str, Application], settings: ServerSettings, log: Callable[[str], None]) -> bool:
    from ..serving.web.server import ProgramServer

    async def work(stopping: asyncio.Event) -> bool:
        server = ProgramServer(programs, settings, log)
        try:
            await server.start()
        except OSError as error:
            raise ConfigurationError(
                f"nothing can listen at {settings.host}:{settings.port}: {error.strerror or error}",
                help="name another --port; 0 takes a free one",
            ) from None
        host = f"[{settings.host}]" if ":" in settings.host else settings.host
        stderr().print(f"serving {', '.join(programs)} at http://{host}:{server.port} (/docs)", markup=False)
        try:
            await stopping.wait()
            return await server.stop()
        finally:
            await server.close()

    return _until_stopped(work)


def _mcp(
    programs: dict[str, Application], settings: ServerSettings, log: Callable[[str], None], *, http: bool
) -> bool:
    from ..serving.mcp import McpHttp, mcp_server, over_stdio
    from ..serving.web.turnstile import Turnstile

    async def work(stopping: asyncio.Event) -> bool:
        gate = Turnstile(settings.concurrency, settings.queue, settings.patience)
        server = mcp_server(programs, gate, log)
        serving = McpHttp(server, settings) if http else None
        if serving is not None:
            stderr().print(
                f"serving {', '.join(programs)} at http://{settings.host}:{settings.port}/mcp", markup=False
            )
        running = asyncio.ensure_future(over_stdio(server) if serving is None else serving.run())
        told = asyncio.ensure_future(stopping.wait())
        await asyncio.wait([running, told], return_when=asyncio.FIRST_COMPLETED)
        told.cancel()
        whole = await gate.drained(settings.drain_seconds)
        if serving is not None:
            serving.stop()
        elif not running.done():
            running.cancel()
        await asyncio.wait([running])
        if not running.cancelled():
            running.result()
        return whole

    return _until_stopped(work)


def _until_stopped(work: Callable[[asyncio.Event], Coroutine[Any, Any, bool]]) -> bool:
    """Runs on the loop that applications share, until a signal says to stop and what is to be done then is done."""
    from dspec.runtime.models.background import background

    from .session import collect_rarely

    collect_rarely()
    home = background()

    async def begun() -> tuple[asyncio.Event, Future[bool]]:
        stopping = asyncio.Event()
        return stopping, home.submit(work(stopping))

    stopping, done = home.submit(begun()).result()

    def arrived(number: int, _: object) -> None:
        signal.signal(number, signal.default_int_handler)
        stderr().print("stopping: what is being asked is answered first (again to leave at once) …")
        home.loop.call_soon_threadsafe(stopping.set)

    before = {number: signal.signal(number, arrived) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        return done.result()
    finally:
        done.cancel()
        for number, handler in before.items():
            signal.signal(number, handler)


def _loaded(
    path: Path,
    lm: str | None,
    api_base: str | None,
    allow: Sequence[str],
    cache: Path | None,
    record: Path | None,
    threads: int,
    timeout: float,
) -> Application:
    """An artifact, ready to be asked: its models' keys and addresses are there."""
    from dspec.runtime.application import load
    from dspec.runtime.models.endpoints import resolve
    from dspec.runtime.running.overriding import used_by

    from ..project.state import project_root
    from .dotenv import fill_environment

    if path.suffix == ".dspec":
        fail(f"{path} is a source", help="compile it, and serve what that makes", code=Exit.USAGE)
    place = path.absolute()
    root = project_root(place.parent if place.parent.name == "compiled" else place)
    application = load(
        path,
        lm=lm,
        api_base=api_base,
        allow=allow,
        root=root,
        isolate=True,
        threads=threads,
        timeout=timeout,
        cache=cache,
        record=record,
        history=0,
    )
    fill_environment(project_root(path), application.program.lms.values())
    for name in used_by(application.program):
        resolve(application.program.lms[name])
    return application


def _keys(names: Sequence[str]) -> list[str]:
    found: list[str] = []
    for name in names:
        key = os.environ.get(name, "").strip()
        if not key:
            fail(f"{name} is not set, and callers would need its key", code=Exit.ENVIRONMENT)
        found.append(key)
    return found


def _logged(line: str) -> None:
    try:
        sys.stderr.write(line + "\n")
        sys.stderr.flush()
    except (OSError, ValueError):
        return  # nobody reads it any more


def _dropped(_: str) -> None:
    return
