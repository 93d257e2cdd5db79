"""Our data in the protocol's types. The only file that knows both."""

from __future__ import annotations

from lsprotocol import types

from dspec.compiler.diagnostics.record import Diagnostic, Label

from .features.completion import Completions, Offer
from .text import Text

SEVERITIES = {
    "error": types.DiagnosticSeverity.Error,
    "warning": types.DiagnosticSeverity.Warning,
    "hint": types.DiagnosticSeverity.Hint,
}

KINDS = {
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


def to_completions(found: Completions, text: Text, end: int) -> types.CompletionList:
    """What was found for the word that ends at the cursor, in our order, whatever the client's taste."""
    place = to_range(text, found.start, end)
    items = [to_completion(each, place, number) for number, each in enumerate(found.suggestions)]
    return types.CompletionList(is_incomplete=False, items=items)


def to_completion(suggestion: Offer, place: types.Range, number: int) -> types.CompletionItem:
    return types.CompletionItem(
        label=suggestion.label,
        kind=KINDS[suggestion.kind],
        detail=suggestion.detail or None,
        documentation=suggestion.doc or None,
        text_edit=types.TextEdit(place, suggestion.insert or suggestion.label),
        sort_text=f"{number:05}",
    )
