"""`dspc lsp`: the language server over standard input and output."""

from __future__ import annotations


def lsp() -> None:
    """Start the language server. Editors do: it speaks LSP over stdin and stdout."""
    from dspec.lsp.server import serve

    serve()
