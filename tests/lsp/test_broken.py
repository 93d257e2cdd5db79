"""No feature of the editor raises, whatever the text is, and what it says of places lies within the text."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import suppress
from itertools import pairwise
from pathlib import Path

from dspec_writer import broken_texts
from hypothesis import given, settings
from hypothesis import strategies as st

from dspec.compiler.check.analysis import Analysis, analyse
from dspec.grammar import format_text
from dspec.lsp.features.actions import actions
from dspec.lsp.features.brackets import folds, growing
from dspec.lsp.features.calls import callable_at, incoming, outgoing
from dspec.lsp.features.colours import colours
from dspec.lsp.features.completion import complete
from dspec.lsp.features.facts import NOTHING
from dspec.lsp.features.formatting import applied, format_closed, format_range, format_whole, indent_line
from dspec.lsp.features.hints import hints
from dspec.lsp.features.hover import hover
from dspec.lsp.features.lenses import COMMANDS, lenses
from dspec.lsp.features.links import links
from dspec.lsp.features.names import definitions, mentions, named_at, same, type_definitions
from dspec.lsp.features.outline import outline
from dspec.lsp.features.rename import RenameRefused, rename, texts_after
from dspec.lsp.features.signature_help import signature_help
from dspec.lsp.work import whole
from dspec.lsp.workspace import Trial

DEEP = bool(os.environ.get("DSPEC_DEEP"))
PATH = Path("/nowhere/main.dspec")


class Alone:
    """A project of one file."""

    def trial(self, path: Path) -> Trial:
        return Trial(path, {})

    def analysis(self, path: Path, instead: Mapping[Path, str]) -> Analysis:
        return analyse(path, text=instead[path], probe=False)

    def seeing(self, analysis: Analysis) -> Iterator[Analysis]:
        yield analysis


@settings(max_examples=400 if DEEP else 25)
@given(broken_texts, st.floats(0, 1), st.floats(0, 1))
def test_no_feature_raises(text: str, first: float, last: float) -> None:
    start, end = sorted((int(first * len(text)), int(last * len(text))))
    analysis = analyse(PATH, text=text, probe=False)
    tree = analysis.tree
    spans = [
        (one.start, one.end)
        for one in (hover(analysis, start, NOTHING), hover(analysis, end, NOTHING))
        if one
    ]
    complete(analysis, start, analysis.diagnostics)
    places = [*definitions(analysis, start), *type_definitions(analysis, start)]
    spans += [(place.start, place.end) for place in places]
    if (found := named_at(analysis, start)) is not None:
        spans += [
            (one.location.start, one.location.end) for one in mentions([analysis], same(analysis, found[1]))
        ]
    spans += [(one.start, one.end) for one in outline(tree)]
    spans += [(one.start, one.end) for one in folds(tree)]
    grown = growing(tree, start)
    assert all(outer[0] <= inner[0] and inner[1] <= outer[1] for inner, outer in pairwise(grown))
    tokens = colours(analysis)
    assert all(one.end <= two.start for one, two in pairwise(tokens))
    assert all("\n" not in text[one.start : one.end] for one in tokens)
    spans += [(one.start, one.end) for one in tokens]
    spans += [(one.start, one.end) for one in links(analysis)]
    spans += [(one.start, one.end) for one in lenses(analysis, NOTHING, COMMANDS)]
    hints(analysis, NOTHING, start, end)
    signature_help(analysis, start)
    if (symbol := callable_at(analysis, start)) is not None:
        outgoing(analysis, symbol)
        incoming([analysis], symbol.location)
    assert all(0 <= one <= two <= len(text) for one, two in spans)


@settings(max_examples=200 if DEEP else 12)
@given(broken_texts, st.floats(0, 1), st.floats(0, 1))
def test_edits_fit_the_text(text: str, first: float, last: float) -> None:
    start, end = sorted((int(first * len(text)), int(last * len(text))))
    analysis = analyse(PATH, text=text, probe=False)
    assert applied(text, format_whole(text)) == format_text(text)
    for found in (
        format_range(analysis.tree, start, end),
        format_closed(analysis.tree, start),
        indent_line(analysis.tree, start),
    ):
        applied(text, found)
    for action in whole(actions(analysis, analysis.diagnostics[:2], start, end, Alone())):
        texts_after(action.edits)
    for one in analysis.symbols.declared[:2]:
        with suppress(RenameRefused):
            whole(
                rename(
                    analysis,
                    one.location.start,
                    "renamed_here",
                    [analysis],
                    lambda paths, texts: [Alone().analysis(one, texts) for one in paths],
                )
            )
