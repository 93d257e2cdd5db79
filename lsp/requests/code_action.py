"""textDocument/codeAction: fixes of what was found, and refactorings."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lsprotocol import types

from ..convert import to_diagnostic
from ..work import Work
from .base import EditorFeature, EditorRequest

if TYPE_CHECKING:
    from ..features.actions import Action

KINDS = ("quickfix", "refactor.extract", "refactor.inline", "refactor.rewrite", "source.fixAll")


def _answer(asked: EditorRequest) -> Work[list[types.CodeAction]]:
    if not asked.client.literal_actions:
        return []  # such an editor takes commands alone, and ours run nothing that edits
    from ..features.actions import actions

    start, end = asked.span(asked.params.range)
    wanted = asked.params.context.only
    found = yield from actions(asked.analysis, asked.found, start, end, asked.workspace)
    return [
        _action(asked, one)
        for one in found
        if not wanted or any(one.kind == kind or one.kind.startswith(f"{kind}.") for kind in wanted)
    ]


def _action(asked: EditorRequest, one: Action) -> types.CodeAction:
    about = [to_diagnostic(each, asked.text, asked.document.uri) for each in one.solves]
    return types.CodeAction(
        one.title,
        kind=types.CodeActionKind(one.kind),
        diagnostics=about or None,
        is_preferred=one.sure or None,
        edit=asked.workspace.to_edit(one.edits, asked.client),
    )


FEATURES = (
    EditorFeature(
        types.TEXT_DOCUMENT_CODE_ACTION,
        _answer,
        types.CodeActionOptions(code_action_kinds=list(KINDS)),
        title="Trying changes",
    ),
)
