"""The call hierarchy: what a declaration runs, and what runs it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from lsprotocol import types
from pygls.uris import to_fs_path

from ..text import ClientPosition
from ..work import Work, gathered
from .base import EditorFeature, EditorRequest, WorkspaceFeature, WorkspaceRequest
from .symbols import KINDS

if TYPE_CHECKING:
    from dspec.compiler.check.analysis import Analysis
    from dspec.compiler.check.symbols import Symbol
    from dspec.compiler.project.source import Location

    from ..workspace import Workspace


def _prepare(asked: EditorRequest) -> list[types.CallHierarchyItem]:
    from ..features.calls import callable_at

    symbol = callable_at(asked.analysis, asked.offset)
    return [_item(asked.workspace, symbol)] if symbol is not None else []


def _item(workspace: Workspace, symbol: Symbol) -> types.CallHierarchyItem:
    source, block = symbol.location.source, symbol.block
    return types.CallHierarchyItem(
        symbol.name,
        KINDS[symbol.kind],  # type: ignore[index]  # declarations are among them
        workspace.uri(source.path),
        workspace.range(source, block.start, block.start + symbol.declaration.span.end),
        workspace.range(source, symbol.location.start, symbol.location.end),
        detail=f"{symbol.kind} in {source.name}",
    )


def _found(asked: WorkspaceRequest) -> tuple[Analysis, Symbol] | None:
    """The declaration that an item of an earlier answer stands for, as it is now."""
    from dspec.compiler.project.loading import resolved

    from ..features.calls import callable_at

    item: types.CallHierarchyItem = asked.params.item
    path = to_fs_path(item.uri)
    if path is None or not asked.workspace.knows(resolved(Path(path))):
        return None
    analysis = asked.workspace.analysis(resolved(Path(path)))
    text = asked.workspace.text_of(analysis.source)
    start = item.selection_range.start
    symbol = callable_at(analysis, text.offset(ClientPosition(start.line, start.character)))
    return (analysis, symbol) if symbol is not None else None


def _ranges(asked: WorkspaceRequest, places: tuple[Location, ...]) -> list[types.Range]:
    return [asked.workspace.range(one.source, one.start, one.end) for one in places]


def _incoming(asked: WorkspaceRequest) -> Work[list[types.CallHierarchyIncomingCall]]:
    from ..features.calls import incoming

    found = _found(asked)
    if found is None:
        return []
    analysis, symbol = found
    seeing = yield from gathered(asked.workspace.seeing(analysis))
    return [
        types.CallHierarchyIncomingCall(_item(asked.workspace, one.symbol), _ranges(asked, one.places))
        for one in incoming(seeing, symbol.location)
    ]


def _outgoing(asked: WorkspaceRequest) -> list[types.CallHierarchyOutgoingCall]:
    from ..features.calls import outgoing

    found = _found(asked)
    if found is None:
        return []
    return [
        types.CallHierarchyOutgoingCall(_item(asked.workspace, one.symbol), _ranges(asked, one.places))
        for one in outgoing(*found)
    ]


FEATURES = (
    EditorFeature(types.TEXT_DOCUMENT_PREPARE_CALL_HIERARCHY, _prepare),
    WorkspaceFeature(types.CALL_HIERARCHY_INCOMING_CALLS, _incoming, title="Looking for calls"),
    WorkspaceFeature(types.CALL_HIERARCHY_OUTGOING_CALLS, _outgoing),
)
