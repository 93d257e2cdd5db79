"""The outline of a document, and the declarations of the project by name."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lsprotocol import types

from ..convert import to_range
from ..text import Text
from ..work import Work
from .base import EditorFeature, EditorRequest, WorkspaceFeature, WorkspaceRequest

if TYPE_CHECKING:
    from ..features.outline import Outline, OutlineKind

MAX_FOUND = 500
KINDS: dict[OutlineKind, types.SymbolKind] = {
    "import": types.SymbolKind.Namespace,
    "extern": types.SymbolKind.Interface,
    "type": types.SymbolKind.Enum,
    "record": types.SymbolKind.Struct,
    "lm": types.SymbolKind.Object,
    "signature": types.SymbolKind.Class,
    "module": types.SymbolKind.Function,
    "program": types.SymbolKind.Function,
    "dataset": types.SymbolKind.Array,
    "metric": types.SymbolKind.Operator,
    "optimize": types.SymbolKind.Constructor,
    "eval": types.SymbolKind.Event,
    "test": types.SymbolKind.Event,
    "field": types.SymbolKind.Field,
    "let": types.SymbolKind.Variable,
    "step": types.SymbolKind.Method,
    "part": types.SymbolKind.Property,
    "parameter": types.SymbolKind.Variable,
}


def _document(asked: EditorRequest) -> list[types.DocumentSymbol] | list[types.SymbolInformation]:
    from ..features.outline import outline

    found = outline(asked.analysis.tree)
    if asked.client.nested_symbols:
        return [_nested(one, asked.text) for one in found]
    return [_flat(one, asked.text, asked.document.uri, "") for one in found]


def _nested(one: Outline, text: Text) -> types.DocumentSymbol:
    return types.DocumentSymbol(
        name=one.name,
        kind=KINDS[one.kind],
        range=to_range(text, one.start, one.end),
        selection_range=to_range(text, one.name_start, one.name_end),
        detail=" ".join(part for part in (one.kind, one.detail) if part),
        children=[_nested(each, text) for each in one.inside] or None,
    )


def _flat(one: Outline, text: Text, uri: str, container: str) -> types.SymbolInformation:
    place = types.Location(uri, to_range(text, one.name_start, one.name_end))
    return types.SymbolInformation(place, one.name, KINDS[one.kind], container_name=container or None)


def _workspace(asked: WorkspaceRequest) -> Work[list[types.SymbolInformation]]:
    """The declarations of all sources of the projects that are open, the best matches first."""
    from ..features.outline import matches

    query = asked.params.query
    found: list[tuple[tuple[bool, int], types.SymbolInformation]] = []
    for root in asked.workspace.folders():
        for path in asked.workspace.sources(root):
            known = asked.workspace.outline(path, root)
            yield
            fitting = [one for one in known[1] if matches(one.name, query)] if known is not None else []
            if known is None or not fitting:
                continue
            text, uri = Text(known[0], asked.workspace.encoding), asked.workspace.uri(path)
            for one in fitting:
                rank = (not one.name.lower().startswith(query.lower()), len(one.name))
                found.append((rank, _flat(one, text, uri, path.relative_to(root).as_posix())))
    found.sort(key=lambda each: each[0])
    return [one for _, one in found[:MAX_FOUND]]


FEATURES = (
    EditorFeature(types.TEXT_DOCUMENT_DOCUMENT_SYMBOL, _document),
    WorkspaceFeature(types.WORKSPACE_SYMBOL, _workspace, title="Looking for declarations"),
)
