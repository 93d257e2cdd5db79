"""Starts the language server, without what other commands need: an editor waits for it."""

from __future__ import annotations

from pathlib import Path

from dspec.runtime.errors import ConfigurationError


def serve(log_file: Path | None) -> None:
    """Serve until the editor says goodbye. Raises ConfigurationError if the log cannot be written."""
    from dspec.lsp.server import serve as serve_editor

    if log_file is not None:
        try:
            log_file.open("a", encoding="utf-8").close()
        except (OSError, ValueError) as error:
            raise ConfigurationError(
                f"the log cannot be written to {log_file}: {error}", help="name another file, or none"
            ) from None
    serve_editor(log_file)
