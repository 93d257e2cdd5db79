"""textDocument/rename and prepareRename: another name, in all files of the project."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lsprotocol import types
from pygls.exceptions import JsonRpcException

from ..convert import to_range
from ..work import Work, gathered
from .base import EditorFeature, EditorRequest

if TYPE_CHECKING:
    from ..features.artifacts import ArtifactMove
    from ..features.rename import RenameRefused

REQUEST_FAILED = -32803


def _prepare(asked: EditorRequest) -> types.PrepareRenamePlaceholder:
    from ..features.rename import RenameRefused, renamable

    try:
        location, symbol = renamable(asked.analysis, asked.offset)
    except RenameRefused as refused:
        raise _failed(refused) from None
    return types.PrepareRenamePlaceholder(to_range(asked.text, location.start, location.end), symbol.name)


def _answer(asked: EditorRequest) -> Work[types.WorkspaceEdit]:
    from ..features.artifacts import moved
    from ..features.rename import RenameRefused, renamable, rename

    workspace, offset = asked.workspace, asked.offset
    seeing = yield from gathered(workspace.seeing(asked.analysis))
    try:
        found = yield from rename(asked.analysis, offset, asked.params.new_name, seeing, workspace.together)
    except RenameRefused as refused:
        raise _failed(refused) from None
    edit = workspace.to_edit(found, asked.client)
    move = moved(renamable(asked.analysis, offset)[1], asked.params.new_name)
    return _moving(edit, move) if move is not None and found and asked.client.asks_about_files else edit


def _moving(edit: types.WorkspaceEdit, move: ArtifactMove) -> types.WorkspaceEdit:
    """The edit with the move of an artifact, about which the editor asks."""
    annotation = types.ChangeAnnotation(
        f"Move the artifact to {move.after.name}",
        needs_confirmation=True,
        description="whoever loads it names its file; compiling again makes a new one, mostly from answers that are kept",
    )
    moving = types.RenameFile(
        move.before.as_uri(),
        move.after.as_uri(),
        options=types.RenameFileOptions(overwrite=False, ignore_if_exists=True),
        annotation_id="artifact",
    )
    return types.WorkspaceEdit(
        document_changes=[*(edit.document_changes or ()), moving], change_annotations={"artifact": annotation}
    )


def _failed(refused: RenameRefused) -> JsonRpcException:
    return JsonRpcException(str(refused), REQUEST_FAILED)


FEATURES = (
    EditorFeature(types.TEXT_DOCUMENT_PREPARE_RENAME, _prepare),
    EditorFeature(
        types.TEXT_DOCUMENT_RENAME, _answer, types.RenameOptions(prepare_provider=True), title="Renaming"
    ),
)
