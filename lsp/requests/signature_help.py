"""textDocument/signatureHelp: what takes the arguments that are being written."""

from __future__ import annotations

from lsprotocol import types

from ..text import Text
from .base import EditorFeature, EditorRequest


def _answer(asked: EditorRequest) -> types.SignatureHelp | None:
    from ..features.signature_help import signature_help

    found = signature_help(asked.analysis, asked.offset)
    if found is None:
        return None
    label = Text(found.label, asked.text.encoding)
    parameters = [
        types.ParameterInformation(
            (label.place(found.span(number)[0]).column, label.place(found.span(number)[1]).column),
            one.doc or None,
        )
        for number, one in enumerate(found.parameters)
    ]
    shape = types.SignatureInformation(found.label, found.doc or None, parameters)
    # Beyond the last one, none is shown as the one being written.
    active = len(parameters) if found.active is None else found.active
    return types.SignatureHelp([shape], 0, active)


FEATURES = (
    EditorFeature(
        types.TEXT_DOCUMENT_SIGNATURE_HELP, _answer, types.SignatureHelpOptions(["(", ","], [",", "="])
    ),
)
