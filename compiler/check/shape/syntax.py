"""Syntax problems, which the parser gives as data, as diagnostics."""

from __future__ import annotations

from dspec.grammar.tree import KEYWORDS, Block, Problem, Span

from ...diagnostics.record import Edit, Fix, Label
from ...diagnostics.spelling import closest
from ...project.source import Location, Source
from ..names.names import did_you_mean
from ..session import Session, replace, suggestions
from . import habits

HABITS = {
    "model": "lm",
    "llm": "lm",
    "struct": "record",
    "class": "record",
    "enum": "type",
    "function": "extern",
    "def": "program",
    "tool": "extern",
    "data": "dataset",
    "optimizer": "optimize",
    "compile": "optimize",
    "evaluate": "eval",
    "include": "import",
    "use": "import",
}
"""What other languages call a declaration."""


def check_syntax(session: Session, source: Source, block: Block) -> None:
    """Report a block's syntax problems. Text that never ends has swallowed what would close a block."""
    swallowed = any(problem.kind == "bad_string" and len(problem.found) > 2 for problem in block.problems)
    for problem in block.problems:
        if not (swallowed and problem.kind == "unclosed"):
            _report(session, source, block, problem)


def _report(session: Session, source: Source, block: Block, problem: Problem) -> None:

    def at(span: Span) -> Location:
        return Location(source, block.start + span.start, block.start + span.end)

    here = at(problem.span)
    found = f"`{_short(problem.found)}`" if problem.found.strip() else "the end"
    if found == "the end" and block.text[problem.span.start :].strip():
        found = "the end of the line"
    match problem.kind:
        case "unclosed":
            _unclosed(session, source, block, problem)
        case "unknown_keyword":
            habit = HABITS.get(problem.found.lower())
            near = (habit,) if habit else closest(problem.found, KEYWORDS)
            session.report(
                "DS0103",
                f"{found} is not a kind of declaration{did_you_mean(near)}",
                here,
                "unknown declaration",
                help="" if near else f"a declaration starts with one of {', '.join(KEYWORDS[1:])}",
                fixes=suggestions(here, near),
            )
        case "bad_string" if problem.expected:
            session.report(
                "DS0109",
                f"{found} is no escape; those known are {', '.join(problem.expected)}",
                here,
                "unknown escape",
                help="write two backslashes for one",
                fixes=(replace(here, "\\" + problem.found),),
            )
        case "bad_string":
            session.report("DS0109", "this text in quotes never ends", here, "no closing quote")
        case "bad_character":
            said, fixes = habits.unknown_character(problem.found.strip(), here)
            session.report(
                "DS0114",
                f"{found} means nothing in this language",
                here,
                "" if said else "remove it, or put it in quotes",
                help=said,
                fixes=fixes,
            )
        case "too_deep":
            session.report(
                "DS0113",
                "this is nested too deeply to be read",
                here,
                help="give an inner part a name of its own",
            )
        case "unexpected":
            _unexpected(session, block, problem, here, found)


def _unclosed(session: Session, source: Source, block: Block, problem: Problem) -> None:
    opener = problem.opener or problem.span
    word = block.text[opener.start : opener.end] or "{"
    closer = {"{": "}", "(": ")", "[": "]"}.get(word, "}")
    declaration = block.declaration
    owner = ""
    if declaration is not None and declaration.name is not None:
        owner = f" of {declaration.keyword.text} `{declaration.name.text}`"
    end = block.start + len(block.text.rstrip())
    separator = "\n" if word == "{" and "\n" in block.text.rstrip() else ""
    session.report(
        "DS0102",
        f"the `{word}`{owner} is never closed",
        Location(source, block.start + opener.start, block.start + opener.end),
        "opened here",
        secondary=(Label(Location(source, end, end), f"`{closer}` is missing by here"),),
        fixes=(Fix(f"Insert `{closer}`", (Edit(Location(source, end, end), separator + closer),), "maybe"),),
    )


def _unexpected(session: Session, block: Block, problem: Problem, here: Location, found: str) -> None:
    wanted = list(problem.expected)
    expected = ""
    if wanted:
        shown = [
            word if word.startswith(("a ", "an ", "the ")) else f"`{word.strip('`')}`" for word in wanted[:5]
        ]
        expected = shown[0] if len(shown) == 1 else f"{', '.join(shown[:-1])} or {shown[-1]}"
        if len(wanted) > 5:
            expected = f"{', '.join(shown)} or one of {len(wanted) - 5} others"
    after = f" after `{_short(problem.previous)}`" if problem.previous.strip() else ""
    message = (
        f"expected {expected}{after}, found {found}" if expected else f"{found} cannot stand here{after}"
    )
    said, fixes = habits.unexpected(problem, block, here)
    if not said and len(wanted) == 1 and not wanted[0].startswith(("a ", "an ", "the ")):
        start = Location(here.source, here.start, here.start)
        word = wanted[0].strip("`")
        fixes = (Fix(f"Insert `{word}`", (Edit(start, word),), "maybe"),)
    session.report("DS0101", message, here, "unexpected", help=said, fixes=fixes)


def _short(text: str) -> str:
    line = text.strip().splitlines()[0] if text.strip() else ""
    return line if len(line) <= 24 else line[:23] + "…"
