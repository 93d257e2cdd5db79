"""textDocument/diagnostic: what is wrong, for an editor that asks for it. To such a one nothing is pushed."""

from __future__ import annotations

import hashlib

from lsprotocol import types

from ..convert import to_diagnostic
from .base import EditorFeature, EditorRequest


def _answer(
    asked: EditorRequest,
) -> types.RelatedFullDocumentDiagnosticReport | types.RelatedUnchangedDocumentDiagnosticReport:
    items = [to_diagnostic(one, asked.text, asked.document.uri) for one in asked.found]
    name = result_id(items)
    if asked.params.previous_result_id == name:
        return types.RelatedUnchangedDocumentDiagnosticReport(name)
    return types.RelatedFullDocumentDiagnosticReport(items, result_id=name)


def result_id(items: list[types.Diagnostic]) -> str:
    return hashlib.sha256(repr(items).encode(errors="replace")).hexdigest()[:16]


FEATURES = (
    EditorFeature(
        types.TEXT_DOCUMENT_DIAGNOSTIC,
        _answer,
        types.DiagnosticOptions(inter_file_dependencies=True, workspace_diagnostics=False, identifier="dspc"),
        offered=lambda client: client.pulls,
        nothing=types.RelatedFullDocumentDiagnosticReport([]),
    ),
)
