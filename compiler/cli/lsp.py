"""`dspc lsp`: the language server over standard input and output."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from .sources import spared


def lsp(
    log_file: Annotated[
        Path | None,
        typer.Option("--log-file", callback=spared, help="Write what happens to this file, too."),
    ] = None,
    stdio: Annotated[
        bool, typer.Option("--stdio", help="Changes nothing: many editors say so to every server.")
    ] = False,
) -> None:
    """Start the language server. Editors do: it speaks LSP over stdin and stdout."""
    from .language_server import serve

    serve(log_file)
