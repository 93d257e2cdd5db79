"""textDocument/rename and prepareRename: another name, in all files of the project."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lsprotocol import types
from pygls.exceptions import JsonRpcException

from ..convert import to_range
from .base import EditorFeature, EditorRequest

if TYPE_CHECKING:
    from ..features.rename import RenameRefused

REQUEST_FAILED = -32803


def _prepare(asked: EditorRequest) -> types.PrepareRenamePlaceholder:
    from ..features.rename import RenameRefused, renamable

    try:
        location, symbol = renamable(asked.analysis, asked.offset)
    except RenameRefused as refused:
        raise _failed(refused) from None
    return types.PrepareRenamePlaceholder(to_range(asked.text, location.start, location.end), symbol.name)


def _answer(asked: EditorRequest) -> types.WorkspaceEdit:
    from ..features.rename import RenameRefused, rename

    seeing = list(asked.workspace.seeing(asked.analysis))
    try:
        found = rename(asked.analysis, asked.offset, asked.params.new_name, seeing, asked.workspace.analysis)
    except RenameRefused as refused:
        raise _failed(refused) from None
    return asked.workspace.to_edit(found, asked.client)


def _failed(refused: RenameRefused) -> JsonRpcException:
    return JsonRpcException(str(refused), REQUEST_FAILED)


FEATURES = (
    EditorFeature(types.TEXT_DOCUMENT_PREPARE_RENAME, _prepare),
    EditorFeature(types.TEXT_DOCUMENT_RENAME, _answer, types.RenameOptions(prepare_provider=True)),
)
