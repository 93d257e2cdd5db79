"""Starts the language server without what other commands need: an editor waits for it.

`dspc lsp` comes here in any case; where its arguments are those that editors give, the command line is not even made.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from dspec.runtime.errors import ConfigurationError


def plain_start(arguments: Sequence[str]) -> bool:
    """Whether the arguments start the server in a way that is understood here; then it has been served. What is wrong with
    arguments, and help, is for the command line to say.

    Raises ConfigurationError as `serve` does.
    """
    match arguments:
        case ["lsp"] | ["lsp", "--stdio"]:
            serve(None)
        case ["lsp", "--log-file", file] | ["lsp", "--stdio", "--log-file", file] if file[:1] != "-":
            serve(Path(file))
        case _:
            return False
    return True


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
