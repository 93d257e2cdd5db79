"""Syntax problems, which the parser gives as data, as diagnostics."""

from __future__ import annotations

from dspec.grammar.tree import KEYWORDS, Block, Problem, Span

from ...diagnostics import codes
from ...project.source import Location, Source
from ...tables.blocks import BLOCKS, ROUND
from ..session import Session


def check_syntax(session: Session, source: Source, block: Block) -> None:
    """Report a block's syntax problems. Text that never ends has swallowed what would close a block."""
    swallowed = any(problem.kind == "bad_string" and len(problem.found) > 2 for problem in block.problems)
    for problem in block.problems:
        if not (swallowed and problem.kind == "unclosed"):
            _report(session, source, block, problem)


def _item_words(keyword: str) -> tuple[str, ...]:
    """The words that items of a block start with, those of rounds among them where it may hold such."""
    items = BLOCKS[keyword].items if keyword in BLOCKS else ()
    more = ROUND.items if "return" in items else ()
    return tuple(dict.fromkeys(item for item in (*items, *more) if item != "doc"))


def _report(session: Session, source: Source, block: Block, problem: Problem) -> None:

    def at(span: Span) -> Location:
        return Location(source, span.start, span.end, block)

    here, found = at(problem.span), problem.found
    more = bool(block.text[problem.span.start :].strip())
    declaration = block.declaration
    match problem.kind:
        case "unclosed":
            owner = ""
            if declaration is not None and declaration.name is not None:
                owner = f"{declaration.keyword.text} `{declaration.name.text}`"
            whole = at(Span(0, len(block.text.rstrip())))
            session.report(codes.syntax.NeverClosed(at(problem.opener or problem.span), owner, whole))
        case "unknown_keyword":
            session.report(codes.syntax.UnknownDeclaration(here, found, more, KEYWORDS))
        case "misspelt":
            keyword = declaration.keyword.text if declaration else ""
            meant = problem.expected[0]
            session.report(codes.syntax.MisspeltWord(here, meant, keyword, _item_words(keyword)))
        case "bad_string" if problem.expected:
            session.report(codes.syntax.UnknownEscape(here, found, more, problem.expected))
        case "bad_string":
            session.report(codes.syntax.EndlessText(here))
        case "bad_character":
            session.report(codes.syntax.UnknownCharacter(here, found, more))
        case "too_deep":
            session.report(codes.syntax.TooDeep(here))
        case "unexpected":
            keyword = declaration.keyword.text if declaration else ""
            session.report(
                codes.syntax.UnexpectedText(here, found, more, problem.previous, problem.expected, keyword)
            )
