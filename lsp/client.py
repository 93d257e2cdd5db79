"""What the editor at the other end can do, as it said when it began."""

from __future__ import annotations

from typing import Any, cast

from lsprotocol import types
from msgspec import Struct


class Client(Struct, frozen=True):
    """An editor that says nothing can do little: plain text, no snippets, and problems are pushed to it."""

    markdown: bool = False
    """In hovers."""
    documents_in_markdown: bool = False
    """Beside completions."""
    resolves_docs: bool = False
    """Whether it asks for the docs of a completion when one is looked at."""
    snippets: bool = False
    nested_symbols: bool = False
    versioned_edits: bool = False
    """Whether an edit of several files may say which version of each it is for."""
    asks_about_files: bool = False
    """Whether an edit may rename files, and ask before it does."""
    literal_actions: bool = False
    """Whether a code action may be more than a command."""
    pulls: bool = False
    """Whether it asks for problems by itself. Then none are pushed, or it would show each twice."""
    refreshes: frozenset[str] = frozenset()
    """What it asks for again when it is told to: `diagnostics`, `inlay_hint`, `code_lens`, `semantic_tokens`."""
    progress: bool = False
    """Whether the server may begin to show progress by itself."""
    commands: frozenset[str] = frozenset()
    """The commands of ours that it runs, as its initialization options list them (`features.lenses.COMMANDS`)."""


def client_of(params: types.InitializeParams) -> Client:
    capabilities = params.capabilities
    document, workspace = capabilities.text_document, capabilities.workspace
    formats: list[Any] = _of(document, "hover", "content_format") or []
    edits = _of(workspace, "workspace_edit")
    item = _of(document, "completion", "completion_item")
    described: list[Any] = _of(item, "documentation_format") or []
    resolved: list[Any] = _of(item, "resolve_support", "properties") or []
    refreshing = ("diagnostics", "inlay_hint", "code_lens", "semantic_tokens")
    return Client(
        markdown=types.MarkupKind.Markdown in formats,
        documents_in_markdown=types.MarkupKind.Markdown in described,
        resolves_docs="documentation" in resolved,
        snippets=bool(_of(item, "snippet_support")),
        nested_symbols=bool(_of(document, "document_symbol", "hierarchical_document_symbol_support")),
        versioned_edits=bool(_of(edits, "document_changes")),
        asks_about_files=bool(_of(edits, "document_changes"))
        and types.ResourceOperationKind.Rename in (_of(edits, "resource_operations") or ())
        and _of(edits, "change_annotation_support") is not None,
        literal_actions=_of(document, "code_action", "code_action_literal_support") is not None,
        pulls=_of(document, "diagnostic") is not None,
        refreshes=frozenset(name for name in refreshing if _of(workspace, name, "refresh_support")),
        progress=bool(_of(capabilities.window, "work_done_progress")),
        commands=_commands(params.initialization_options),
    )


def _commands(options: object) -> frozenset[str]:
    """`{"commands": ["dspc.plan", …]}`; anything else means none."""
    found: object = (
        cast("dict[object, object]", options).get("commands") if isinstance(options, dict) else None
    )
    listed = cast("list[object]", found) if isinstance(found, list) else []
    return frozenset(one for one in listed if isinstance(one, str))


def _of(value: object, *names: str) -> Any:
    """A capability some levels down; None where the editor does not speak of it."""
    for name in names:
        value = getattr(value, name, None)
    return value
