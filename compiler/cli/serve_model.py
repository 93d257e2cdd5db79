"""`dspc serve-model`: a checkpoint, or a tuned model's weights, behind OpenAI's chat completions."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from dspec.runtime.errors import ConfigurationError

from .console import Exit, fail, stderr


def serve_model(
    folder: Annotated[
        Path,
        typer.Argument(
            metavar="FOLDER",
            help="A checkpoint; beside an artifact, the folder `NAME.weights-…`.",
            show_default=False,
        ),
    ],
    port: Annotated[int, typer.Option(min=0, max=65535, help="0: one that is free.")] = 8000,
    name: Annotated[
        str | None,
        typer.Option(help="What the model is called; unless said, as the folder.", show_default=False),
    ] = None,
) -> None:
    """Serve a model on this machine, one answer at a time, until it is interrupted."""
    import asyncio

    try:
        from dspec.runtime.models.local.server import served
        from dspec.runtime.models.local.transport import speaker
    except ImportError as error:
        fail(f"the package {error.name} is not installed", code=Exit.USAGE)
    from dspec.runtime.models.checkpoints import digest_of

    place = folder.resolve()
    if not place.is_dir():
        fail(
            f"{folder} is no folder",
            help="name a checkpoint's; that of tuned weights lies beside their artifact, as `NAME.weights-…`",
            code=Exit.USAGE,
        )
    called = name or place.name
    application = served(place, called)
    # Before anybody is told that it answers; what is missing is said now.
    speaker(str(place), digest_of(place))

    async def serve() -> None:
        from aiohttp import web

        runner = web.AppRunner(application, access_log=None)
        await runner.setup()
        try:
            site = web.TCPSite(runner, "127.0.0.1", port)
            try:
                await site.start()
            except OSError as error:
                raise ConfigurationError(
                    f"port {port} cannot be used: {error.strerror or error}",
                    help="`--port 0` takes a free one",
                ) from error
            address = f"http://127.0.0.1:{runner.addresses[0][1]}/v1"
            stderr().print(f"{called} is served at {address} (Ctrl-C ends it)", markup=False, highlight=False)
            await asyncio.Event().wait()
        finally:
            await runner.cleanup()

    try:
        asyncio.run(serve())
    except KeyboardInterrupt:
        raise typer.Exit(Exit.INTERRUPTED) from None
