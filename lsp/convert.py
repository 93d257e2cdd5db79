"""Our data in the protocol's types. The only file that knows both."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lsprotocol import types

from .text import Text

if TYPE_CHECKING:
    from dspec.compiler.diagnostics.record import Diagnostic, Label

    from .features.offers import SuggestionKind

SEVERITIES = {
    "error": types.DiagnosticSeverity.Error,
    "warning": types.DiagnosticSeverity.Warning,
    "hint": types.DiagnosticSeverity.Hint,
}

KINDS: dict[SuggestionKind, types.CompletionItemKind] = {
    "keyword": types.CompletionItemKind.Keyword,
    "declaration": types.CompletionItemKind.Class,
    "attribute": types.CompletionItemKind.Property,
    "option": types.CompletionItemKind.Property,
    "field": types.CompletionItemKind.Field,
    "value": types.CompletionItemKind.EnumMember,
    "type": types.CompletionItemKind.TypeParameter,
    "function": types.CompletionItemKind.Function,
    "optimizer": types.CompletionItemKind.Constructor,
    "variable": types.CompletionItemKind.Variable,
    "callable": types.CompletionItemKind.Function,
    "file": types.CompletionItemKind.File,
    "folder": types.CompletionItemKind.Folder,
}


def to_range(text: Text, start: int, end: int) -> types.Range:
    first, last = text.place(start), text.place(end)
    return types.Range(
        types.Position(first.line, first.column),
        types.Position(last.line, last.column),
    )


def to_diagnostic(diagnostic: Diagnostic, text: Text, uri: str) -> types.Diagnostic:
    """A diagnostic whose primary place lies in `text`. Notes and help join the message."""

    def related(label: Label) -> types.DiagnosticRelatedInformation | None:
        place = label.location
        if place.source is not diagnostic.primary.location.source:
            other = Text(place.source.text, text.encoding)
            where = types.Location(place.source.path.as_uri(), to_range(other, place.start, place.end))
        else:
            where = types.Location(uri, to_range(text, place.start, place.end))
        return types.DiagnosticRelatedInformation(where, label.text) if label.text else None

    place = diagnostic.primary.location
    lines = [diagnostic.message, *diagnostic.notes]
    if diagnostic.help:
        lines.append(f"help: {diagnostic.help}")
    return types.Diagnostic(
        range=to_range(text, place.start, max(place.end, min(place.start + 1, len(text.content)))),
        severity=SEVERITIES[diagnostic.severity],
        code=diagnostic.code,
        source="dspc",
        message="\n".join(lines),
        related_information=[info for label in diagnostic.secondary if (info := related(label))] or None,
    )
